"""Handlers with a choice: filters of `catch`, `error`, `tap`, `tap_catch` and the shorthands.

Bluebird's pages: .catch, .error, .tap, .tapCatch, .catchReturn, .catchThrow; and what holds for
the handlers of every method.
"""

from __future__ import annotations

import gc
import re
from collections import UserDict
from contextvars import ContextVar
from functools import cache, partial, wraps
from types import SimpleNamespace

import pytest
from twisted.internet import defer
from twisted.python.failure import Failure

from tests.support.followed import KINDS, later
from tests.support.outcomes import frames, outcome, reasons
from tests.support.promises import Boom, Source, fail, pending
from twpromise import (
    AggregateError,
    CancellationError,
    OperationalError,
    Promise,
    PromiseError,
    TimeoutError,
    background,
)

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")

FILTER_WORDS = "Catch filter must inherit from Error or be a simple predicate function"

variable: ContextVar[str] = ContextVar("variable", default="unset")


class CodeError(Exception):
    """An error with things to look at."""

    def __init__(self, code, path="path"):
        super().__init__(code)
        self.code = code
        self.path = path

    @property
    def broken(self):
        raise Boom("from a property")


class Odd:
    """A reason that is no exception."""

    code = 404

    def __repr__(self):
        return "Odd()"


# --- what holds for the handlers of every method

#: Whether it is for values or for reasons, and how to attach a handler.  What these handlers
#: return is the new outcome.
INSTEAD = {
    "then": ("value", lambda promise, handler: promise.then(handler)),
    "then, second": ("reason", lambda promise, handler: promise.then(None, handler)),
    "catch": ("reason", lambda promise, handler: promise.catch(handler)),
    "caught": ("reason", lambda promise, handler: promise.caught(handler)),
    "catch with a class": ("reason", lambda promise, handler: promise.catch(Boom, handler)),
    "catch with a predicate": (
        "reason",
        lambda promise, handler: promise.catch(lambda *_: True, handler),
    ),
    "error": ("reason", lambda promise, handler: promise.error(handler)),
}
#: These do their work beside the outcome.
BESIDE = {
    "finally_ of a value": ("value", lambda promise, handler: promise.finally_(handler)),
    "finally_ of a reason": ("reason", lambda promise, handler: promise.finally_(handler)),
    "lastly": ("value", lambda promise, handler: promise.lastly(handler)),
    "tap": ("value", lambda promise, handler: promise.tap(handler)),
    "tap_catch": ("reason", lambda promise, handler: promise.tap_catch(handler)),
    "tap_catch with a class": ("reason", lambda promise, handler: promise.tap_catch(Boom, handler)),
    "tap_catch with a predicate": (
        "reason",
        lambda promise, handler: promise.tap_catch(lambda *_: True, handler),
    ),
}
EVERY = {**INSTEAD, **BESIDE}
#: Those that have a filter before the handler.
FILTERED = [name for name in EVERY if " with a " in name or name == "error"]
WITHOUT_ARGUMENT = ("finally_ of a value", "finally_ of a reason", "lastly")


class OperationalBoom(Boom):
    """For all: `error` too."""

    is_operational = True


def settled(which):
    """A promise with a value, or with a reason that every method takes."""
    return Promise.resolve("value") if which == "value" else Promise.reject(OperationalBoom())


def each_name_and_kind(names):
    """Each way to attach a handler with a promise, and the first one with whatever is followed."""
    first, *others = names
    pairs = [*((first, kind) for kind in KINDS), *((name, KINDS[0]) for name in others)]
    return pytest.mark.parametrize(("name", "kind"), pairs)


@each_name_and_kind(INSTEAD)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_a_promise_returned_by_a_handler_is_followed(scheduler, name, kind, well):
    """The promise has the outcome of what the handler returns, when there is one."""
    which, attach = INSTEAD[name]
    thing, resolve, reject = later(kind)
    promise = attach(settled(which), lambda *_: thing)
    scheduler.flush()
    assert promise.is_pending()
    error = Boom("later")
    if well:
        resolve("result")
    else:
        reject(error)
    scheduler.flush()
    assert (("fulfilled", "result") if well else ("rejected", error)) == outcome(promise)


@each_name_and_kind(BESIDE)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_a_promise_returned_by_a_side_handler_is_waited_for(scheduler, name, kind, well):
    """The outcome is passed on when it has settled; its rejection replaces the outcome."""
    which, attach = BESIDE[name]
    thing, resolve, reject = later(kind)
    parent = settled(which)
    promise = attach(parent, lambda *_: thing)
    scheduler.flush()
    assert promise.is_pending()
    error = Boom("later")
    if well:
        resolve("result, of no interest")
    else:
        reject(error)
    scheduler.flush()
    assert (outcome(parent) if well else ("rejected", error)) == outcome(promise)


@pytest.mark.parametrize("name", EVERY)
def test_handlers_may_be_async_def(scheduler, name):
    """They may await, return and raise as they like."""
    which, attach = EVERY[name]
    gate, open_gate, _ = pending()

    async def works(*_):
        await gate
        return "result"

    async def fails(*_):
        await gate
        raise Boom("from async def")

    parent = settled(which)
    good, bad = attach(parent, works), attach(parent, fails)
    scheduler.flush()
    assert (True, True) == (good.is_pending(), bad.is_pending())
    open_gate()
    scheduler.flush()
    expected = ("fulfilled", "result") if name in INSTEAD else outcome(parent)
    assert expected == outcome(good)
    assert "from async def" == str(bad.reason())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("error", [Boom("x"), KeyboardInterrupt()], ids=repr)
def test_an_error_raised_by_a_handler_rejects(scheduler, name, error):
    """Whatever it is."""
    which, attach = EVERY[name]

    def handler(*_):
        raise error

    promise = attach(settled(which), handler)
    scheduler.flush()
    assert ("rejected", error) == outcome(promise)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in WITHOUT_ARGUMENT])
def test_a_handler_is_called_for_its_kind_of_outcome_only(scheduler, name):
    """The other kind is passed on."""
    which, attach = EVERY[name]
    parent = settled("reason" if which == "value" else "value")
    called = []
    promise = attach(parent, called.append)
    scheduler.flush()
    assert outcome(parent) == outcome(promise)
    assert [] == called


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
def test_handlers_are_called_once_from_the_scheduler(scheduler, name, early):
    """Never from within the call that attaches them, or the one that settles."""
    which, attach = EVERY[name]
    parent, resolve, reject = pending()
    calls = []

    def settle():
        if which == "value":
            resolve("value")
        else:
            reject(OperationalBoom())

    if not early:
        settle()
    promise = attach(parent, lambda *arguments: calls.append(arguments))
    if early:
        settle()
    assert [] == calls
    scheduler.flush()
    scheduler.flush()
    argument = () if name in WITHOUT_ARGUMENT else (outcome(parent)[1],)
    assert [argument] == calls
    assert not promise.is_pending()


@pytest.mark.parametrize("name", EVERY)
def test_handlers_of_a_bound_promise_get_the_bound_value_first(scheduler, name):
    """And what they return is followed all the same; the new promise is bound, too."""
    which, attach = EVERY[name]
    parent = settled(which)
    calls = []
    gate, open_gate, _ = pending()

    def handler(*arguments):
        calls.append(arguments)
        return gate

    promise = attach(parent.bind("bound"), handler)
    promise.then(lambda *arguments: calls.append(arguments[0])).catch(
        lambda *arguments: calls.append(arguments[0])
    )
    open_gate()
    scheduler.flush()
    argument = () if name in WITHOUT_ARGUMENT else (outcome(parent)[1],)
    assert [("bound", *argument), "bound"] == calls[:2]


@pytest.mark.parametrize("name", EVERY)
def test_handlers_run_in_the_context_in_which_they_were_attached(scheduler, name):
    """And see nothing of what others set."""
    which, attach = EVERY[name]
    seen = []

    def handler(*_):
        seen.append(variable.get())
        variable.set("in the handler")

    parent = settled(which)
    variable.set("attached")
    first = attach(parent, handler)
    second = attach(parent, handler)
    variable.set("later")
    scheduler.flush()
    assert ["attached", "attached"] == seen
    assert (False, False) == (first.is_pending(), second.is_pending())


@pytest.mark.parametrize("name", [name for name in EVERY if name not in FILTERED])
@pytest.mark.parametrize("handler", [None, 5], ids=repr)
def test_a_handler_that_is_not_callable_is_ignored(scheduler, name, handler):
    """The outcome passes, as through `then`."""
    which, attach = EVERY[name]
    parent = settled(which)
    promise = attach(parent, handler)
    scheduler.flush()
    assert outcome(parent) == outcome(promise)


class Counter:
    """Handlers without parameters, of several kinds, which count their calls."""

    def __init__(self):
        self.calls = 0

    def method(self):
        self.calls += 1
        return "handled"

    __call__ = method

    @property
    def function(self):
        return lambda: self.method()

    @property
    def partial(self):
        return partial(lambda this, value: value.method(), 5, value=self)

    @property
    def asynchronous(self):
        async def handler():
            await Promise.delay(0)
            return self.method()

        return handler

    @property
    def object(self):
        return self

    @property
    def cached(self):
        return cache(lambda: self.method())


KINDS_OF_HANDLERS = ["method", "partial", "asynchronous", "object", "cached"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "function") for name in EVERY), *(("then", kind) for kind in KINDS_OF_HANDLERS)],
)
@pytest.mark.parametrize("bound", [False, True], ids=["", "bound"])
@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_a_handler_without_parameters(scheduler, context, config, name, kind, bound, watched):
    """It is called once, without arguments, in its turn."""
    which, attach = EVERY[name]
    config(long_stack_traces=watched)
    counter = Counter()
    order = []
    parent = settled(which)
    if bound:
        parent = parent.bind("this")
    parent.then(lambda *_: order.append("before"), lambda *_: order.append("before"))
    promise = attach(parent, getattr(counter, kind))
    promise.finally_(lambda: order.append("handled"))
    parent.then(lambda *_: order.append("after"), lambda *_: order.append("after"))
    scheduler.flush()
    scheduler.advance(0)
    assert 1 == counter.calls
    expected = ("fulfilled", "handled") if name in INSTEAD else outcome(parent)
    assert expected == outcome(promise)
    if kind != "asynchronous":
        assert ["before", "after", "handled"] == order


CALLING = {
    "as_callback": lambda promise, f: promise.as_callback(f),
    "done": lambda promise, f: promise.done(f),
    "spread": lambda promise, f: promise.then_return([1, 2]).spread(f),
    "join": lambda promise, f: Promise.join(promise, 2, f),
    "using": lambda promise, f: Promise.using(promise, promise, f),
    "using of a list": lambda promise, f: Promise.using([promise, promise], f),
    "background": lambda promise, f: promise.then(background(f)),
    "background, filtered": lambda promise, f: promise.throw(Boom()).catch(Boom, background(f)),
}


@pytest.mark.parametrize("name", CALLING)
@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_other_handlers_without_parameters(scheduler, context, config, name, watched):
    """They are called in the same way."""
    config(long_stack_traces=watched)
    calls = []
    CALLING[name](Promise.resolve(1), lambda: calls.append("called"))
    scheduler.flush()
    assert ["called"] == calls


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_a_function_for_items_takes_one(scheduler, context, config, watched):
    """It is no handler: one without parameters is a mistake."""
    config(long_stack_traces=watched)
    promises = [Promise.map([1], lambda: 1), Promise.each([1], lambda: 1)]
    scheduler.flush()
    assert [TypeError] * 2 == [type(promise.reason()) for promise in promises]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_a_handler_that_raises_a_type_error(scheduler, context, config, name, watched):
    """It is not called again, and not taken for one without parameters."""
    config(long_stack_traces=watched)
    which, attach = EVERY[name]
    calls = []

    def inner():
        """Takes nothing."""

    def handler(*_):
        calls.append(1)
        inner(5)

    @wraps(inner)
    def lies(*_):
        calls.append(2)
        inner(5)

    def two(one, two, three):
        calls.append(3)

    promises = [attach(settled(which), each) for each in (handler, lies, two)]
    scheduler.flush()
    assert [1, 2] == calls
    assert [TypeError] * 3 == [type(promise.reason()) for promise in promises]


def test_what_a_handler_without_parameters_raises(scheduler):
    """It rejects, with nothing behind it."""
    error = Boom()

    def handler():
        raise error

    promises = [
        Promise.resolve(1).then(handler),
        Promise.resolve(1).tap(handler),
        Promise.reject(KeyError()).catch(KeyError, handler),
    ]
    scheduler.flush()
    assert [error] * 3 == [promise.reason() for promise in promises]
    assert error.__context__ is None
    assert "handler" == frames(error.__traceback__)[-1]


@pytest.mark.parametrize("time_slice", [0.0, 1.0])
def test_handlers_without_parameters_of_one_promise(scheduler, monkeypatch, time_slice):
    """Each has its turn among the others, also where a drain's time is used up behind it."""
    monkeypatch.setattr(Promise._queue, "time_slice", time_slice)
    calls = []
    promise = Promise.delay(1)
    for index in range(0, 40, 2):
        promise.then(partial(calls.append, index))
        promise.then(partial(lambda index, value: calls.append(index), index + 1))
    scheduler.advance(1)
    scheduler.flush()
    assert list(range(40)) == calls


@pytest.mark.parametrize("name", FILTERED)
@pytest.mark.parametrize("handler", [None, 5], ids=repr)
def test_behind_a_filter_a_handler_must_be_callable(scheduler, name, handler):
    """Else a `TypeError` says so, whatever the outcome is: it would never be called."""
    _, attach = EVERY[name]
    for parent in settled("value"), settled("reason"):
        reason = attach(parent, handler).reason()
        method = name.split()[0]
        assert re.fullmatch(
            rf"{method}\((.*, )?{handler}\) has no handler: the last argument must be "
            rf"a function that takes the reason, not {handler}",
            str(reason),
        )
        assert TypeError is type(reason)


#: Filters alone, and how a message names them.
ALONE = {
    "KeyError": KeyError,
    "BaseException": BaseException,
    "OperationalBoom": OperationalBoom,
    "(KeyError, OSError)": (KeyError, OSError),
}


@pytest.mark.parametrize(
    "name",
    [name for name, (which, _) in EVERY.items() if which == "reason" and "finally" not in name],
)
@pytest.mark.parametrize("written", ALONE)
def test_a_filter_is_no_handler(scheduler, name, written):
    """A class could be called, with the reason, and would turn the rejection into a value."""
    _, attach = EVERY[name]
    parent, resolve, _ = pending()
    reason = attach(parent, ALONE[written]).reason()
    assert TypeError is type(reason)
    assert f"{written}) has no handler: the last argument" in str(reason)
    # Nothing is attached.
    resolve("value")
    scheduler.flush()
    assert "value" == parent.value()


def test_how_a_message_names_a_call_without_a_handler(scheduler):
    """As it is written, whatever the spelling of the method."""
    rejected = Promise.reject(Boom())
    assert [
        "catch(KeyError)",
        "catch(KeyError, OSError)",
        "catch((KeyError,))",
        "catch({'errno': 2})",
        "catch({'errno': 2}, KeyError)",
        "tap_catch(KeyError)",
        "tap_catch({'errno': 2})",
        "error(KeyError)",
        "then(None, KeyError)",
        "then(str, (KeyError,))",
    ] == [
        str(promise.reason()).partition(" has no handler")[0]
        for promise in (
            rejected.caught(KeyError),
            rejected.catch(KeyError, OSError),
            rejected.catch((KeyError,)),
            rejected.catch({"errno": 2}),
            rejected.catch({"errno": 2}, KeyError),
            rejected.tapCatch(KeyError),
            rejected.tap_catch({"errno": 2}),
            rejected.error(KeyError),
            rejected.then(None, KeyError),
            rejected.then(str, (KeyError,)),
        )
    ]


def test_done_with_a_filter_for_a_handler(scheduler):
    """It is an error that has no other consumer."""
    fatal = []
    copy = Promise.get_new_library_copy()
    copy.on_fatal(fatal.append)
    copy.reject(Boom()).done(None, KeyError)
    scheduler.flush()
    assert [TypeError] == [type(reason) for reason in fatal]


def test_an_exception_class_as_the_handler_of_values(scheduler):
    """It is called with the value, as any class is."""
    promise = Promise.resolve("value").then(KeyError)
    scheduler.flush()
    assert (KeyError, ("value",)) == (type(promise.value()), promise.value().args)


def test_a_class_as_the_handler_of_reasons(scheduler):
    """One of no exceptions is a function like any other; alone, an empty filter is ignored."""
    error = OperationalBoom("why")
    promises = [
        Promise.reject(error).catch(str),
        Promise.reject(error).catch(Boom, str),
        Promise.reject(error).then(None, str),
        Promise.reject(error).error(str),
        Promise.reject(error).catch(()),
        Promise.reject(error).catch({}),
    ]
    scheduler.flush()
    assert ["why"] * 4 == [promise.value() for promise in promises[:4]]
    assert [error] * 2 == [promise.reason() for promise in promises[4:]]


@pytest.mark.parametrize("name", EVERY)
def test_handlers_of_rejections_see_a_late_cancellation(scheduler, name):
    """A promise cancelled before rejects its late observers."""
    which, attach = EVERY[name]
    parent, *_ = pending()
    parent.cancel()
    calls = []
    promise = attach(parent, lambda *arguments: calls.append(arguments))
    scheduler.flush()
    called = name in WITHOUT_ARGUMENT or (
        which == "reason" and "class" not in name and name != "error"
    )
    assert int(called) == len(calls)
    if called and name in INSTEAD:
        assert promise.is_fulfilled()
    else:
        reason = promise.reason()
        assert (CancellationError, "the promise was cancelled (late cancellation observer)") == (
            type(reason),
            str(reason),
        )


@pytest.mark.parametrize("name", BESIDE)
def test_a_side_handler_that_returns_a_cancelled_promise_cancels_the_chain(scheduler, name):
    """The chain goes with it, as where `then` returns it."""
    which, attach = BESIDE[name]
    thing, *_ = pending()
    parent = settled(which)
    promise = attach(parent, lambda *_: thing)
    scheduler.flush()
    thing.cancel()
    scheduler.flush()
    assert ("cancelled", None) == outcome(promise)


# --- filters

PASSING = {
    "its class": lambda: (CodeError,),
    "a base class": lambda: (Exception,),
    "the base of all": lambda: (BaseException,),
    "the second of two classes": lambda: (KeyError, CodeError),
    "a tuple of classes": lambda: ((KeyError, CodeError),),
    "a predicate": lambda: (lambda error: 400 <= error.code < 500,),
    "a predicate that gives something true": lambda: (lambda error: "yes",),
    "the second of two predicates": lambda: (lambda error: False, lambda error: True),
    "a bound method": lambda: (Codes([404]).has,),
    "an object that can be called": lambda: (Codes([404]),),
    "a builtin": lambda: (id,),
    "a mapping": lambda: ({"code": 404},),
    "a mapping with two names": lambda: ({"code": 404, "path": "path"},),
    "a mapping that is no dict": lambda: (UserDict(code=404),),
    "an empty mapping": lambda: ({},),
    "loosely equal": lambda: ({"code": 404.0},),
    "all kinds together": lambda: (KeyError, (OSError, ValueError), lambda _: False, {"code": 404}),
}
STOPPING = {
    "another class": lambda: (KeyError,),
    "two other classes": lambda: (KeyError, OSError),
    "a tuple of other classes": lambda: ((KeyError, OSError),),
    "an empty tuple": lambda: ((),),
    "a predicate": lambda: (lambda error: error.code >= 500,),
    "a predicate that gives nothing": lambda: (lambda error: None,),
    "a mapping with another value": lambda: ({"code": 500},),
    "a mapping with another name": lambda: ({"number": 404},),
    "a mapping of which half fits": lambda: ({"code": 404, "path": "other"},),
    "a name that is None": lambda: ({"missing": None},),
    "all kinds together": lambda: (KeyError, (OSError,), lambda _: False, {"code": 1}),
}


class Codes:
    """Predicates of other kinds."""

    def __init__(self, codes):
        self.codes = codes

    def has(self, error):
        return error.code in self.codes

    def __call__(self, error):
        return self.has(error)


METHODS = ["catch", "caught", "tap_catch"]


def seen_by(scheduler, method, filters, reason):
    """How often a handler with filters is called with a reason, and what comes out."""
    calls = []
    promise = getattr(Promise.reject(reason), method)(*filters, calls.append)
    scheduler.flush()
    assert calls in ([], [reason])
    return bool(calls), outcome(promise)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PASSING)
def test_filters_that_let_a_reason_pass(scheduler, method, name):
    """Any one of them is enough: then the handler is called with the reason."""
    error = CodeError(404)
    expected = ("rejected", error) if method == "tap_catch" else ("fulfilled", None)
    assert (True, expected) == seen_by(scheduler, method, PASSING[name](), error)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", STOPPING)
def test_filters_that_stop_a_reason(scheduler, method, name):
    """The rejection goes on to the next that may have it."""
    error = CodeError(404)
    assert (False, ("rejected", error)) == seen_by(scheduler, method, STOPPING[name](), error)


def test_the_first_eligible_handler_is_called(scheduler):
    """Like the clauses of `except`: one of them, the first that fits."""
    calls = []
    promise = (
        Promise.resolve()
        .then(lambda _: {}["missing"])
        .catch(OSError, lambda _: calls.append("OSError"))
        .catch(TypeError, KeyError, lambda _: calls.append("KeyError"))
        .catch(LookupError, lambda _: calls.append("LookupError"))
        .catch(lambda _: calls.append("the rest"))
    )
    scheduler.flush()
    assert (["KeyError"], ("fulfilled", None)) == (calls, outcome(promise))


def test_an_error_raised_in_one_handler_goes_to_the_next(scheduler):
    """As in a new `try` around the old one."""
    calls = []
    Promise.reject(KeyError("x")).catch(KeyError, fail).catch(Boom, calls.append)
    scheduler.flush()
    assert [Boom] == [type(error) for error in calls]


def test_recovering(scheduler):
    """By not raising, a handler turns the failure into a value, or whatever it returns."""
    promise = Promise.reject(Boom("fail!")).catch(lambda _: Promise.resolve("success!"))
    scheduler.flush()
    assert "success!" == promise.value()


def test_catch_without_arguments_passes_the_outcome_on(scheduler):
    """As `then` without arguments does."""
    error = Boom()
    promises = [Promise.reject(error).catch(), Promise.reject(error).tap_catch()]
    scheduler.flush()
    assert [("rejected", error)] * 2 == [outcome(promise) for promise in promises]


NO_FILTERS = {
    "a class that is no exception": int,
    "object": object,
    "an instance of an exception": Boom(),
    "a number": 5,
    "a string": "KeyError",
    "None": None,
    "a list of classes": [KeyError],
    "a tuple with something else in it": (KeyError, int),
    "a tuple of tuples": ((KeyError,),),
    "a union": KeyError | OSError,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("name", "place"),
    [*((name, "alone") for name in NO_FILTERS), ("a number", "first"), ("a number", "last")],
)
def test_an_invalid_filter_rejects(scheduler, method, name, place):
    """With a TypeError, in the page's words and Python's, whatever the outcome is."""
    bad = NO_FILTERS[name]
    filters = {"alone": (bad,), "first": (bad, KeyError), "last": (KeyError, bad)}[place]
    calls = []
    promise = getattr(Promise.resolve("value"), method)(*filters, calls.append)
    reason = promise.reason()
    assert (TypeError, []) == (type(reason), calls)
    assert f"({FILTER_WORDS})" in str(reason)
    assert repr(bad) in str(reason)


def test_an_error_raised_by_a_filter_has_the_reason_as_its_context(scheduler):
    """Unless it has a context already, or the chain of contexts would lead to itself."""
    reason, cause, inner = ValueError("reason"), KeyError("cause"), TypeError("inner")
    inner.__context__ = cause
    reason.__context__ = cause
    circle = IndexError()
    circle.__context__ = LookupError()
    circle.__context__.__context__ = circle
    for rejected, raised, context in [
        (ValueError(), OSError(), ValueError),
        (reason, inner, KeyError),
        (reason, reason, KeyError),
        (reason, cause, None),
        (circle, OSError(), None),
    ]:

        def filter_(_, raised=raised):
            raise raised

        promise = Promise.reject(rejected).catch(filter_, print)
        scheduler.flush()
        assert promise.reason() is raised
        found = raised.__context__
        assert context is (None if found is None else type(found))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["a predicate", "a mapping", "a mapping with a strange name"])
def test_a_filter_that_raises(scheduler, method, name):
    """The rejection is what the filter raised: nothing is lost, and no handler is called."""
    filters = {
        "a predicate": fail,
        "a mapping": {"broken": 1},
        "a mapping with a strange name": {5: 1},
    }
    calls = []
    promise = getattr(Promise.reject(CodeError(1)), method)(filters[name], calls.append)
    scheduler.flush()
    expected = TypeError if "strange" in name else Boom
    assert (expected, []) == (type(promise.reason()), calls)


async def asynchronous(error):
    return False


SLOW_PREDICATES = {
    "async def": asynchronous,
    "a coroutine": lambda error: asynchronous(error),
    "a promise": lambda error: Promise.resolve(False),
    "a Deferred": lambda error: defer.succeed(False),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SLOW_PREDICATES)
def test_a_predicate_that_returns_a_promise_rejects(scheduler, context, method, name):
    """A promise is always true; its coroutine is closed."""
    called = []
    promise = getattr(Promise.reject(Boom()), method)(SLOW_PREDICATES[name], called.append)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert (TypeError, []) == (type(promise.reason()), called)
    assert f"({FILTER_WORDS})" in str(promise.reason())
    assert "must return True or False at once" in str(promise.reason())
    del promise
    gc.collect()


def test_filters_behind_a_matching_one_are_not_called(scheduler):
    """Nor are predicates called with values."""
    asked = []

    def predicate(error):
        asked.append(error)
        return True

    Promise.reject(Boom()).catch(Boom, predicate, lambda _: None)
    Promise.resolve("value").catch(predicate, lambda _: None)
    scheduler.flush()
    assert [] == asked


@pytest.mark.parametrize("method", METHODS)
def test_predicates_of_a_bound_promise_get_the_bound_value_first(scheduler, method):
    """As handlers do; classes and mappings do not care."""
    asked = []
    error = Boom()
    bound = Promise.reject(error).bind("bound")
    promise = getattr(bound, method)(
        KeyError, {"code": 1}, lambda *arguments: asked.append(arguments), fail
    )
    scheduler.flush()
    assert [("bound", error)] == asked
    assert ("rejected", error) == outcome(promise)


@pytest.mark.parametrize("method", METHODS)
def test_predicates_run_in_the_context_in_which_they_were_attached(scheduler, method):
    """As handlers do."""
    seen = []

    def predicate(_):
        seen.append(variable.get())
        return True

    variable.set("attached")
    getattr(Promise.reject(Boom()), method)(predicate, lambda _: None)
    variable.set("later")
    scheduler.flush()
    assert ["attached"] == seen


@pytest.mark.parametrize("method", METHODS)
def test_reasons_that_are_no_exceptions(scheduler, method):
    """Predicates and attributes may match them, exception classes never do."""
    reason = Odd()
    assert not seen_by(scheduler, method, (BaseException,), reason)[0]
    assert seen_by(scheduler, method, (lambda reason: reason.code == 404,), reason)[0]
    assert seen_by(scheduler, method, ({"code": 404},), reason)[0]
    assert not seen_by(scheduler, method, ({"code": 404},), None)[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_failure_is_matched_by_what_it_holds(scheduler, method):
    """Twisted's Failure is never seen by a filter."""
    error = CodeError(404)
    calls = []
    getattr(Promise.reject(Failure(error)), method)(CodeError, calls.append)
    scheduler.flush()
    assert [error] == calls


def test_a_filtered_rejection_counts_as_handled_only_where_it_is_handled(scheduler, reports):
    """A filter that does not match leaves it to be reported; once."""
    error = Boom("let through")
    Promise.reject(error).catch(KeyError, lambda _: None)
    scheduler.flush()
    assert [error] == reasons(reports)


def test_tap_catch_does_not_handle(scheduler, reports):
    """It reacts to errors without handling them."""
    error = Boom("looked at")
    seen = []
    Promise.reject(error).tap_catch(seen.append)
    scheduler.flush()
    assert ([error], [error]) == (seen, reasons(reports))


# --- error


class Marked(Exception):
    is_operational = True


def marked(error, value=True):
    error.is_operational = value
    return error


OPERATIONAL = {
    "OperationalError": OperationalError("x"),
    "a class derived from it": type("Derived", (OperationalError,), {})("x"),
    "AggregateError": AggregateError("none", [Boom()]),
    "a marked class": Marked(),
    "a marked error": marked(Boom()),
}
NOT_OPERATIONAL = {
    "marked with something true": marked(Boom(), 1),
    "marked as something else": marked(Boom(), False),
    "any error": Boom(),
    "TimeoutError": TimeoutError("x"),
    "CancellationError": CancellationError("x"),
    "PromiseError": PromiseError("x"),
    "no exception": "text",
    "None": None,
}


@pytest.mark.parametrize("name", [*OPERATIONAL, *NOT_OPERATIONAL])
def test_error_is_for_operational_errors_only(scheduler, name):
    """OperationalError, AggregateError, and what is marked; `True` itself, nothing that is true."""
    expected = name in OPERATIONAL
    reason = {**OPERATIONAL, **NOT_OPERATIONAL}[name]
    calls = []
    promise = Promise.reject(reason).error(calls.append)
    scheduler.flush()
    assert ([reason] if expected else []) == calls
    assert (("fulfilled", None) if expected else ("rejected", reason)) == outcome(promise)


def test_error_catches_errors_reported_by_callbacks_only(scheduler):
    """What a promisified function reports is operational, what it throws is not."""

    def reports_it(callback):
        callback(ValueError("reported"))

    def throws_it(callback):
        raise ValueError("thrown")

    seen = []
    for function in (reports_it, throws_it):
        Promise.promisify(function)().error(lambda error: seen.append(("error", str(error)))).catch(
            lambda error: seen.append(("catch", str(error)))
        )
    scheduler.flush()
    assert [("error", "reported"), ("catch", "thrown")] == sorted(seen, reverse=True)


# --- tap


def test_tap_passes_the_value_on(scheduler):
    """Whatever the handler returns; rejections pass it by."""
    seen = []
    promise = Promise.resolve([1, 2]).tap(seen.append).then(len)
    scheduler.flush()
    assert ([[1, 2]], 2) == (seen, promise.value())


@pytest.mark.parametrize("result", [None, [1], SimpleNamespace(then=None)], ids=repr)
@pytest.mark.parametrize("name", BESIDE)
def test_values_returned_by_side_handlers_are_dropped(scheduler, name, result):
    """They are dropped."""
    which, attach = BESIDE[name]
    parent = settled(which)
    promise = attach(parent, lambda *_: result)
    scheduler.flush()
    assert outcome(parent) == outcome(promise)


@pytest.mark.parametrize("result", ["reason", None, 5], ids=repr)
def test_side_handlers_may_reject_with_any_reason(scheduler, result):
    """A reason that is no exception replaces the outcome like any other."""
    promise = Promise.resolve("value").tap(lambda _: Promise.reject(result))
    scheduler.flush()
    assert ("rejected", result) == outcome(promise)


def test_rejections_raised_in_async_tap_catch_replace_the_reason(scheduler):
    """The logging failed: that is the error now."""

    async def log(error):
        raise OSError("the disk is full") from error

    first = Boom()
    promise = Promise.reject(first).tap_catch(log)
    scheduler.flush()
    assert (OSError, first) == (type(promise.reason()), promise.reason().__cause__)


# --- cancelling what handlers beside do


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_cancelling_before_the_parent_has_settled(scheduler, name, others):
    """Only a `finally_` handler runs, once; the parent is cancelled if it has no other consumer."""
    _, attach = BESIDE[name]
    source = Source()
    calls = []
    promise = attach(source.promise, lambda *arguments: calls.append(arguments))
    seen = []
    if others:
        source.promise.then(seen.append)
    promise.cancel()
    assert promise.is_cancelled()
    assert [] == calls
    scheduler.flush()
    assert ([()] if name in WITHOUT_ARGUMENT else []) == calls
    assert int(not others) == source.cancelled
    source.resolve("value")
    scheduler.flush()
    assert (["value"] if others else []) == seen
    assert ([()] if name in WITHOUT_ARGUMENT else []) == calls
    assert ("cancelled", None) == outcome(promise)


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_cancelling_just_after_the_parent_has_settled(scheduler, name, others):
    """Between the settling and the handler's turn: it is cancelled all the same."""
    which, attach = BESIDE[name]
    parent, resolve, reject = pending()
    calls = []
    promise = attach(parent, lambda *arguments: calls.append(arguments))
    if others:
        parent.then(None, lambda _: None)
    if which == "value":
        resolve("value")
    else:
        reject(OperationalBoom())
    promise.cancel()
    scheduler.flush()
    assert ([()] if name in WITHOUT_ARGUMENT else []) == calls
    assert ("cancelled", None) == outcome(promise)


@each_name_and_kind(BESIDE)
def test_cancelling_while_the_handlers_promise_is_pending(scheduler, name, kind):
    """A clean-up is not cut short, and the end of the chain waits for it."""
    which, attach = BESIDE[name]
    thing, resolve, _ = later(kind)
    calls = []

    def handler(*_):
        calls.append("called")
        return thing

    order = []
    promise = attach(settled(which), handler)
    last = promise.finally_(lambda: order.append("after"))
    scheduler.flush()
    assert ["called"] == calls
    last.cancel()
    scheduler.flush()
    assert (True, True, []) == (promise.is_cancelled(), last.is_cancelled(), order)
    resolve("result")
    scheduler.flush()
    assert (["after"], ["called"]) == (order, calls)
    assert [("cancelled", None)] * 2 == [outcome(promise), outcome(last)]


@pytest.mark.parametrize("how", ["raises", "rejects", "async def", "rejects later"])
@pytest.mark.parametrize("place", ["before", "meanwhile"])
def test_cleanup_that_fails_during_a_cancellation_is_reported(scheduler, reports, how, place):
    """No consumer is left, yet the error is not lost."""
    gate, open_gate, _ = pending()
    error = Boom("cleanup failed")

    def handler():
        if how == "raises":
            raise error
        if how == "rejects":
            return Promise.reject(error)
        if how == "async def":
            return fails()
        return gate.then(lambda _: Promise.reject(error))

    async def fails():
        raise error

    source = Source()
    promise = source.promise.finally_(
        (lambda: gate.then(lambda _: handler())) if place == "meanwhile" else handler
    )
    if place == "meanwhile":
        source.resolve("value")
        scheduler.flush()
    promise.cancel()
    open_gate()
    scheduler.flush()
    assert [error] == reasons(reports)
    assert ("cancelled", None) == outcome(promise)


CONSUMERS = {
    "then": lambda promise: promise.then(str),
    "catch": lambda promise: promise.catch(KeyError, str),
    "finally_": lambda promise: promise.finally_(list),
    "tap": lambda promise: promise.tap(str),
    "tap_catch": lambda promise: promise.tap_catch(KeyError, str),
    "return_": lambda promise: promise.return_(1),
    "bind": lambda promise: promise.bind("bound"),
    "bind to a promise": lambda promise: promise.bind(pending()[0]),
    "delay": lambda promise: promise.delay(1),
    "timeout": lambda promise: promise.timeout(1),
    "reflect": lambda promise: promise.reflect(),
    "resolve": lambda promise: Promise(lambda resolve, reject: resolve(promise)),
    "resolve, with hooks": lambda promise: Promise(lambda resolve, _, on_cancel: resolve(promise)),
    "coroutine": lambda promise: Promise.coroutine(wait)(promise),
    "async def": lambda promise: Promise.try_(lambda: wait_async(promise)),
    "all": lambda promise: Promise.all([promise]),
    "any": lambda promise: Promise.any([promise]),
    "race": lambda promise: Promise.race([promise]),
    "map": lambda promise: Promise.map([promise], str),
    "to_deferred": lambda promise: promise.to_deferred(),
}
#: These do not wait for what they leave.
SEVERAL = ("all", "any", "race", "map", "to_deferred")


def wait(promise):
    yield promise


async def wait_async(promise):
    await promise


@pytest.mark.parametrize("name", CONSUMERS)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_cleanup_that_fails_when_the_last_consumer_leaves_is_not_lost(
    scheduler, reports, name, late
):
    """Whichever consumer that was, the error is logged, once."""
    gate, open_gate, _ = pending()
    error = Boom("cleanup failed")

    def cleanup():
        return gate.then(lambda _: Promise.reject(error))

    source = Source()
    consumer = CONSUMERS[name](source.promise.finally_(cleanup))
    scheduler.flush()
    if name == "to_deferred":
        consumer.addErrback(lambda _: None)
    consumer.cancel()
    if not late:
        open_gate()
    scheduler.flush()
    open_gate()
    scheduler.flush()
    assert 1 == source.cancelled
    assert [error] == reasons(reports)


@pytest.mark.parametrize("name", [name for name in CONSUMERS if name not in SEVERAL])
def test_a_chain_is_cleaned_up_in_order(scheduler, name):
    """From the cancelled work on down."""
    gate, open_gate, _ = pending()
    order = []

    def cleanup():
        order.append("first")
        return gate

    source = Source()
    consumer = CONSUMERS[name](source.promise.finally_(cleanup))
    last = consumer.finally_(lambda *_: order.append("last"))
    scheduler.flush()
    last.cancel()
    assert last.is_cancelled()
    scheduler.flush()
    assert ["first"] == order
    open_gate()
    scheduler.flush()
    assert ["first", "last"] == order


# --- catch_return, catch_throw


def test_catch_return(scheduler):
    """The value, in place of any reason."""
    promises = [
        Promise.reject(Boom()).catch_return("instead"),
        Promise.reject(Boom()).catch_return(),
        Promise.reject(Boom()).catch_return(Promise.resolve("followed")),
        Promise.resolve("value").catch_return("instead"),
        Promise.reject(Boom()).bind("bound").catch_return("instead"),
    ]
    scheduler.flush()
    expected = ["instead", None, "followed", "value", "instead"]
    assert expected == [promise.value() for promise in promises]


def test_catch_throw(scheduler):
    """The reason, in place of any other."""
    error, new = KeyError("x"), Boom()
    promises = [
        Promise.reject(error).catch_throw(new),
        Promise.reject(error).catch_throw(),
        Promise.reject(error).catch_throw(Failure(new)),
        Promise.resolve("value").catch_throw(new),
        Promise.reject(error).bind("bound").catch_throw(new),
    ]
    scheduler.flush()
    expected = [
        ("rejected", new),
        ("rejected", None),
        ("rejected", new),
        ("fulfilled", "value"),
        ("rejected", new),
    ]
    assert expected == [outcome(promise) for promise in promises]


@pytest.mark.parametrize("name", PASSING)
def test_shorthands_with_a_filter_that_lets_pass(scheduler, name):
    """One filter, of any kind that `catch` takes."""
    filters = PASSING[name]()[-1:]
    new = Boom()
    given = Promise.reject(CodeError(404)).catch_return(*filters, "instead")
    thrown = Promise.reject(CodeError(404)).catch_throw(*filters, new)
    scheduler.flush()
    assert ("instead", new) == (given.value(), thrown.reason())


@pytest.mark.parametrize("name", STOPPING)
def test_shorthands_with_a_filter_that_stops(scheduler, name):
    """The rejection goes on."""
    filters = STOPPING[name]()[:1]
    error = CodeError(404)
    given = Promise.reject(error).catch_return(*filters, "instead")
    thrown = Promise.reject(error).catch_throw(*filters, Boom())
    scheduler.flush()
    assert (error, error) == (given.reason(), thrown.reason())


@pytest.mark.parametrize("name", NO_FILTERS)
@pytest.mark.parametrize("method", ["catch_return", "catch_throw"])
def test_shorthands_with_an_invalid_filter(name, method):
    """The same TypeError as from `catch`."""
    promise = getattr(Promise.resolve(), method)(NO_FILTERS[name], Boom())
    assert TypeError is type(promise.reason())
    assert f"({FILTER_WORDS})" in str(promise.reason())


@pytest.mark.parametrize("method", ["catch_return", "catch_throw"])
def test_shorthands_take_one_filter(method):
    """More than one is an error at once; `catch` is there for that."""
    with pytest.raises(TypeError, match=f"{method}.* 3 were given"):
        getattr(Promise.resolve(), method)(KeyError, OSError, "value")


def test_one_argument_is_the_value(scheduler):
    """Whatever it is: a class is no filter where nothing comes after it."""
    promise = Promise.reject(Boom()).catch_return(KeyError)
    scheduler.flush()
    assert KeyError is promise.value()
