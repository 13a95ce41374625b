"""The family of errors."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest
from twisted.internet import defer

import twpromise
from twpromise import (
    AggregateError,
    CancellationError,
    OperationalError,
    Promise,
    PromiseError,
    PromiseWarning,
    RejectionError,
    TimeoutError,
)
from twpromise._util.errors import as_exception


class Nasty:
    def __repr__(self):
        raise ValueError("no repr")


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (TimeoutError, (builtins.TimeoutError, defer.TimeoutError, OSError)),
        (CancellationError, (defer.CancelledError,)),
        (OperationalError, (Exception,)),
        (RejectionError, (Exception,)),
        (AggregateError, (ExceptionGroup, Exception)),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_one_family(error, bases):
    """All are PromiseErrors, and what users of Python and Twisted catch anyway."""
    assert issubclass(error, PromiseError)
    assert [True] * len(bases) == [issubclass(error, base) for base in bases]


def test_the_warning_is_a_user_warning():
    """Shown by default, and no error."""
    assert issubclass(PromiseWarning, UserWarning)
    assert not issubclass(PromiseWarning, PromiseError)


@pytest.mark.parametrize("error", [PromiseError, TimeoutError, CancellationError])
def test_messages(error):
    """`message` is what the error was made with."""
    assert ("text", "text") == (error("text").message, str(error("text")))
    assert "" == error().message


# --- TimeoutError


@pytest.mark.parametrize(
    "caught",
    [TimeoutError, builtins.TimeoutError, defer.TimeoutError],
    ids=["ours", "builtin", "twisted"],
)
def test_a_timeout_is_caught_by_all_its_names(caught):
    """`except TimeoutError` works, whichever is meant."""
    with pytest.raises(caught, match="too late"):
        raise TimeoutError("too late")


@pytest.mark.parametrize("kind", [builtins.TimeoutError, defer.TimeoutError], ids=str)
def test_isinstance_says_what_except_does(kind):
    """An error of another class is not caught by our name, and is no instance."""
    assert not isinstance(kind(), TimeoutError)


# --- errors with a cause


@pytest.mark.parametrize("error", [OperationalError, RejectionError])
def test_a_cause_is_carried(error):
    """As `cause`; and as Python's `__cause__`, if it is an exception."""
    cause = ValueError("the cause")
    assert (cause, cause, "text") == (
        error("text", cause).cause,
        error("text", cause).__cause__,
        error("text", cause).message,
    )
    assert ("no exception", None) == (error("", "no exception").cause, error("", 1).__cause__)
    assert (None, "") == (error().cause, error().message)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("error", [OperationalError, RejectionError])
def test_copies_carry_the_cause(how, error):
    """In both places, and what else the error has."""
    original = error("text", KeyError("cause"))
    original.code = "ENOENT"
    copied = COPIES[how](original)
    assert (error, ("text",), "ENOENT") == (type(copied), copied.args, copied.code)
    assert "KeyError('cause')" == repr(copied.cause)
    assert copied.cause is copied.__cause__


@pytest.mark.parametrize("how", COPIES)
def test_copies_carry_what_the_error_was_raised_from(how):
    """Also if that is not its `cause`; and no `__cause__` where there is none."""
    try:
        raise OperationalError("text", KeyError("cause")) from ValueError("from")
    except OperationalError as original:
        copied = COPIES[how](original)
    assert ("KeyError('cause')", "ValueError('from')") == (
        repr(copied.cause),
        repr(copied.__cause__),
    )
    copied = COPIES[how](OperationalError("text", "odd"))
    assert ("odd", None, False) == (
        copied.cause,
        copied.__cause__,
        copied.__suppress_context__,
    )


def test_operational_errors_say_so():
    """The attribute that `Promise.error` reads."""
    assert (True, True) == (OperationalError.is_operational, AggregateError.is_operational)


# --- RejectionError


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("text", "rejected with 'text'"),
        (None, "rejected with None"),
        (Nasty(), "rejected with something that is not an exception"),
    ],
    ids=["text", "None", "nasty"],
)
def test_a_rejection_error_stands_for_a_reason(reason, text):
    """The reason itself is in `cause`; its repr may fail."""
    error = as_exception(reason)
    assert RejectionError is type(error)
    assert reason is error.cause
    assert text == str(error)


def test_the_text_of_a_rejection_error_is_short():
    """However large the reason's repr is."""
    assert 200 == len(str(as_exception("x" * 10_000)))


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()], ids=repr)
def test_exceptions_stand_for_themselves(error):
    """They need nothing around them."""
    assert error is as_exception(error)


# --- AggregateError


@pytest.fixture
def reasons():
    return [ValueError("first"), "second", KeyboardInterrupt("third"), OSError("fourth")]


def test_an_aggregate_is_a_sequence_of_the_reasons(reasons):
    """Themselves, in order."""
    error = AggregateError("all failed", reasons)
    assert reasons == list(error)
    assert tuple(reasons) == error.errors
    assert (4, "second", reasons[-1], tuple(reasons[1:3])) == (
        len(error),
        error[1],
        error[-1],
        error[1:3],
    )
    assert "second" in error
    assert 3 == error.index(reasons[3])
    assert "all failed" == error.message


def test_an_aggregate_is_an_exception_group(reasons):
    """A reason that is no Exception is wrapped in the group."""
    error = AggregateError("all failed", reasons)
    assert [ValueError, RejectionError, RejectionError, OSError] == [
        type(one) for one in error.exceptions
    ]
    assert ["second", reasons[2]] == [one.cause for one in error.exceptions[1:3]]


def test_except_star(reasons):
    """Works, and what is left is of the same kind."""
    caught = []
    try:
        try:
            raise AggregateError("all failed", reasons)
        except* ValueError as group:
            caught.append(group)
    except AggregateError as rest:
        caught.append(rest)
    assert [AggregateError, AggregateError] == [type(group) for group in caught]
    assert [[reasons[0]], 3] == [list(caught[0]), len(caught[1])]
    assert "all failed" == caught[1].message


def test_what_is_left_of_a_group_has_the_reasons_themselves(reasons):
    """Splitting does not turn reasons into what they were wrapped in."""
    _, rest = AggregateError("all failed", reasons).split(ValueError)
    assert reasons[1:] == list(rest)


@pytest.mark.parametrize("errors", [[], ()])
def test_an_aggregate_of_nothing(errors):
    """As every exception group it needs at least one."""
    with pytest.raises(ValueError, match="non-empty"):
        AggregateError("none", errors)


# --- where they are


@pytest.mark.parametrize(
    "name",
    [
        "AggregateError",
        "CancellationError",
        "OperationalError",
        "PromiseError",
        "RejectionError",
        "TimeoutError",
    ],
)
def test_errors_are_attributes_of_promise_too(name):
    """As bluebird has them."""
    assert getattr(twpromise, name) is getattr(Promise, name)


@pytest.mark.parametrize("name", ["PromiseWarning", "TimeoutError"])
def test_tracebacks_show_the_names_that_users_import(name):
    """Not those of private modules."""
    kind = getattr(twpromise, name)
    assert ("twpromise", name) == (kind.__module__, kind.__qualname__)
