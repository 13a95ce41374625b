"""Callbacks of the form `callback(error, *values)`: `twpromise._callbacks`."""

from __future__ import annotations

import pytest
from twisted.python.failure import Failure

from tests.support.promises import Boom
from tests.support.threads import in_thread
from twpromise import AggregateError, OperationalError, Promise
from twpromise._callbacks.node_callback import node_callback, operational

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")


def called(*arguments, **keywords):
    """What becomes of a promise whose callback is called."""
    resolver = Promise.defer()
    node_callback(resolver.promise, **keywords)(*arguments)
    return resolver.promise


class FalseError(Exception):
    """An exception that is false."""

    def __bool__(self):
        return False


@pytest.mark.parametrize("error", [None, 0, "", False, []], ids=repr)
def test_without_an_error_it_fulfils(error):
    """None says so, and whatever else is false; the first value counts, None if there is none."""
    values = [called(error).value(), called(error, "a").value(), called(error, "a", "b").value()]
    assert [None, "a", "a"] == values


def test_without_arguments_it_fulfils():
    """With None."""
    assert None is called().value()


def test_multi_args():
    """All the values, in a list, however many."""
    values = [called(None, *given, multi_args=True).value() for given in ((), (1,), (1, 2))]
    assert [[], [1], [1, 2]] == values


def test_an_exception_that_is_false_is_an_error():
    """Whatever it thinks of itself."""
    error = FalseError()
    assert error is called(error).reason()


@pytest.mark.parametrize("error", [ValueError("x"), Boom(), KeyboardInterrupt()], ids=repr)
def test_typed_errors_arrive_themselves(error):
    """And count as operational from then on."""
    reason = called(error).reason()
    assert (error, True) == (reason, reason.is_operational)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Exception("bare"), "bare"),
        (BaseException("bare"), "bare"),
        (Exception(), ""),
        ("text", "text"),
        (404, "404"),
        ({"code": 1}, "{'code': 1}"),
        ("x" * 1000, "x" * 200),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_other_errors_arrive_inside_an_operational_error(error, message):
    """With the error itself as its cause, and a message that is not too long."""
    reason = called(error).reason()
    assert (OperationalError, message) == (type(reason), str(reason))
    assert error is reason.cause
    assert (error if isinstance(error, BaseException) else None) is reason.__cause__


def test_an_error_that_cannot_be_shown():
    """Is no reason to leave the promise hanging."""

    class Shy:
        def __repr__(self):
            raise Boom("from repr")

    error = Shy()
    reason = called(error).reason()
    assert (OperationalError, error) == (type(reason), reason.cause)
    assert "Shy" in str(reason)


def test_an_error_that_cannot_be_marked():
    """Arrives itself, and is no operational error: one cannot have everything."""

    class Closed(Exception):
        def __setattr__(self, name, value):
            raise AttributeError(name)

    error = Closed()
    assert error is called(error).reason()
    assert not hasattr(error, "is_operational")


@pytest.mark.parametrize("kind", [Exception, BaseException])
@pytest.mark.parametrize("wrap", [lambda error: error, Failure], ids=["itself", "in a Failure"])
def test_attributes_of_a_bare_exception(scheduler, kind, wrap):
    """The `OperationalError` has them, except those that it has itself."""
    error = kind("no such file")
    error.errno, error.cause, error.message, error.is_operational = 2, "other", "other", False
    error.add_note("note")
    promise = Promise.from_callback(lambda callback: callback(wrap(error)))
    caught = promise.catch({"errno": 2}, lambda reason: reason)
    scheduler.flush()
    reason = caught.value()
    assert (OperationalError, 2, error) == (type(reason), reason.errno, reason.cause)
    assert ("no such file", True) == (reason.message, reason.is_operational)
    assert not hasattr(reason, "__notes__")


@pytest.mark.parametrize("error", [ValueError("x"), Exception("x")], ids=["typed", "bare"])
def test_a_failure_is_taken_for_what_is_in_it(scheduler, error):
    """An errback may hand it on: `deferred.addErrback(callback)`."""
    try:
        raise error
    except Exception:
        failure = Failure()
    seen = []
    promise = called(failure)
    promise.error(seen.append)
    scheduler.flush()
    reason = promise.reason()
    assert [reason] == seen
    if type(error) is ValueError:
        assert error is reason
    else:
        assert (OperationalError, error) == (type(reason), reason.cause)


def test_a_failure_keeps_its_traceback(scheduler):
    """All the way to a Deferred on the other side."""
    try:
        raise ValueError("x")
    except ValueError:
        failure = Failure()
    fired = []
    called(failure).to_deferred().addErrback(fired.append)
    assert [failure] == fired


def test_operational_errors_stay_themselves():
    """They are marked already."""
    for error in (OperationalError("x"), AggregateError("x", [Boom()])):
        assert error is operational(error)


def test_the_first_call_counts():
    """Whatever it says; later ones do nothing."""
    first, second = Promise.defer(), Promise.defer()
    first.callback(None, "value")
    first.callback(Boom())
    second.callback(Boom("first"))
    second.callback(Boom("second"))
    second.callback(None, "value")
    assert ("value", "first") == (first.promise.value(), str(second.promise.reason()))


def test_values_are_followed(scheduler):
    """A promise that is handed over is a promise."""
    promise = called(None, Promise.delay(1, "value"))
    assert promise.is_pending()
    scheduler.advance(1)
    assert "value" == promise.value()


@pytest.mark.parametrize("error", [None, Boom()], ids=["value", "error"])
def test_from_another_thread(scheduler, error):
    """The promise settles on its own."""
    resolver = Promise.defer()
    in_thread(resolver.callback, error, "value")
    assert resolver.promise.is_pending()
    scheduler.flush()
    promise = resolver.promise
    assert ("value" if error is None else error) == (
        promise.value() if error is None else promise.reason()
    )
