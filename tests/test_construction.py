"""Starting chains: the constructor's words, `resolve`, `reject`, `try_`, `method`, `defer`, `is_`.

Bluebird's pages: new Promise, Promise.resolve, Promise.reject, Promise.try, Promise.method,
Deferred migration.  (`core/test_executors.py` tests how executors are called.)
"""

from __future__ import annotations

import inspect
from functools import partial

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from tests.support.followed import KINDS, Thenable, later
from tests.support.outcomes import outcome
from tests.support.promises import Boom, Source, fail, pending
from tests.support.threads import in_thread
from twpromise import OperationalError, Promise

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")


# --- new Promise


@pytest.mark.parametrize("executor", [None, 5, "text", [], Boom()], ids=repr)
def test_an_executor_that_is_not_callable(executor):
    """A TypeError at once, in the page's words, showing what it was."""
    words = "the promise constructor requires a resolver function"
    with pytest.raises(TypeError, match=words) as caught:
        Promise(executor)
    assert repr(executor) in str(caught.value)


def test_promises_are_not_subclassed():
    """As bluebird's are not; the message says what to do instead."""
    with pytest.raises(TypeError, match="the promise constructor cannot be invoked directly"):
        type("Mine", (Promise,), {})
    with pytest.raises(TypeError, match="get_new_library_copy"):
        type("Mine", (Promise,), {"__slots__": ()})


def test_the_resolver_is_called_synchronously():
    """So what it hands out is there when the constructor returns: the page's example."""

    def get_promise_resolve_function():
        found = []
        Promise(lambda resolve, reject: found.append(resolve))
        return found[0]

    assert callable(get_promise_resolve_function())


def test_a_function_that_starts_with_a_promise_never_raises(scheduler):
    """The page's `getConnection`: what is raised before anything is asynchronous rejects."""

    def get_connection(url):
        def executor(resolve, reject):
            scheme, _ = url.split(":")
            resolve(Promise.resolve(scheme).delay(1))

        return Promise(executor)

    good, bad = get_connection("tcp:host"), get_connection("host")
    scheduler.advance(1)
    assert ("tcp", ValueError) == (good.value(), type(bad.reason()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
@pytest.mark.parametrize("hooks", [False, True], ids=["plain", "with hooks"])
def test_resolving_with_a_promise_follows_it(scheduler, kind, well, hooks):
    """Or a Deferred, coroutine, future or thenable: the outcome is the same."""
    thing, resolve, reject = later(kind)
    if hooks:
        promise = Promise(lambda settle, _, on_cancel: (on_cancel(list), settle(thing)))
    else:
        promise = Promise(lambda settle, _: settle(thing))
    scheduler.flush()
    assert promise.is_pending()
    error = Boom()
    if well:
        resolve("value")
    else:
        reject(error)
    scheduler.flush()
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)


def test_resolving_with_itself(scheduler):
    """Rejects, in the page's words."""
    promise, resolve, _ = pending()
    resolve(promise)
    assert (TypeError, "a promise waits for itself (circular promise resolution chain)") == (
        type(promise.reason()),
        str(promise.reason()),
    )


@pytest.mark.parametrize("hooks", [False, True], ids=["plain", "with a cancel hook"])
def test_resolving_with_a_deferred_that_leads_back(scheduler, hooks):
    """A circle is found through what the Deferred has brought, too."""
    functions = []

    def executor(resolve, reject, on_cancel):
        functions.append(resolve)
        if hooks:
            on_cancel(str)

    promise = Promise(executor)
    functions[0](succeed(promise))
    scheduler.flush()
    assert "a promise waits for itself (circular promise resolution chain)" == str(promise.reason())


def test_returning_a_promise_from_its_own_handler(scheduler):
    """The page's example of a circle."""
    promise = Promise.delay(1).then(lambda _: promise)
    scheduler.advance(1)
    assert "a promise waits for itself (circular promise resolution chain)" == str(promise.reason())


# --- Promise.resolve, Promise.reject


@pytest.mark.parametrize("value", [5, None, "text", [1], len, Boom, Boom()], ids=repr)
def test_resolve_with_a_value(value):
    """Fulfilled at once, with the object itself; an exception is a value here."""
    promise = Promise.resolve(value)
    assert value is promise.value()


def test_resolve_of_nothing():
    """Is None."""
    assert ("fulfilled", None) == outcome(Promise.resolve())


@pytest.mark.parametrize("how", ["value", "reason", "pending", "derived", "bound"])
def test_resolve_with_a_promise_gives_it_back(how):
    """A trusted promise is returned as it is."""
    promise = {
        "value": lambda: Promise.resolve(1),
        "reason": lambda: Promise.reject(Boom()),
        "pending": lambda: pending()[0],
        "derived": lambda: Promise.resolve(1).then(str),
        "bound": lambda: Promise.bind(1),
    }[how]()
    assert promise is Promise.resolve(promise)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "promise"])
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_resolve_with_anything_that_promises_follow(scheduler, kind, well):
    """Gives a promise that has the same outcome."""
    thing, resolve, reject = later(kind)
    promise = Promise.resolve(thing)
    assert isinstance(promise, Promise)
    scheduler.flush()
    assert promise.is_pending()
    error = Boom()
    if well:
        resolve("value")
    else:
        reject(error)
    scheduler.flush()
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)


def test_a_value_that_may_be_cached(scheduler):
    """The page's example: a function that always returns a promise."""
    cached = None

    def query():
        nonlocal cached
        if cached is not None:
            return Promise.resolve(cached)

        def keep(value):
            nonlocal cached
            cached = value
            return value

        return Promise.delay(1, "row").then(keep)

    first = query()
    scheduler.advance(1)
    assert ("row", "row") == (first.value(), query().value())


@pytest.mark.parametrize("reason", [Boom("x"), KeyboardInterrupt(), "text", None, 0], ids=repr)
def test_reject(scheduler, reason):
    """Rejected at once, with the object itself."""
    promise = Promise.reject(reason)
    assert ("rejected", reason) == outcome(promise)


def test_reject_of_nothing_is_none():
    """The reason may be left out."""
    assert ("rejected", None) == outcome(Promise.reject())


def test_reject_does_not_follow(scheduler):
    """A promise is a reason like any other object."""
    reason = Promise.resolve(1)
    promise = Promise.reject(reason)
    assert ("rejected", reason) == outcome(promise)


class NeedsArguments(Exception):
    def __init__(self, code):
        super().__init__(code)


REJECTIONS = {
    "Promise.reject": Promise.reject,
    "executor": lambda reason: Promise(lambda _, reject: reject(reason)),
    "throw": lambda reason: Promise.resolve().throw(reason),
    "thenable": lambda reason: Promise.resolve(rejecting(reason)),
    "defer": lambda reason: (resolver := Promise.defer()).reject(reason) or resolver.promise,
}


def rejecting(reason):
    class Rejecting:
        def then(self, resolve, reject):
            reject(reason)

    return Rejecting()


@pytest.mark.parametrize("name", REJECTIONS)
def test_rejecting_with_a_class(scheduler, name):
    """As `raise` does: it is called; if that fails, with what it fails."""
    good, bad = REJECTIONS[name](Boom), REJECTIONS[name](NeedsArguments)
    scheduler.flush()
    assert (Boom, TypeError) == (type(good.reason()), type(bad.reason()))


# --- Promise.try

TRIES = ["try_", "attempt"]


@pytest.mark.parametrize("name", TRIES)
def test_try_with_a_value(scheduler, name):
    """The function is called at once, without arguments; the promise has what it returns."""
    called = []
    promise = getattr(Promise, name)(lambda *arguments: called.append(arguments) or "value")
    assert [()] == called
    assert ("fulfilled", "value") == outcome(promise)


@pytest.mark.parametrize("name", TRIES)
@pytest.mark.parametrize("error", [Boom(), KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_try_with_an_error(name, error):
    """What the function raises rejects; whatever it is."""

    def function():
        raise error

    promise = getattr(Promise, name)(function)
    assert ("rejected", error) == outcome(promise)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_try_follows_a_returned_promise(scheduler, kind, well):
    """As from a handler."""
    thing, resolve, reject = later(kind)
    promise = Promise.try_(lambda: thing)
    scheduler.flush()
    assert promise.is_pending()
    error = Boom()
    if well:
        resolve("value")
    else:
        reject(error)
    scheduler.flush()
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)


def test_try_with_async_def(scheduler):
    """It is run."""

    async def function():
        return await Promise.delay(1, "value")

    promise = Promise.try_(function)
    scheduler.advance(1)
    assert "value" == promise.value()


@pytest.mark.parametrize("name", TRIES)
@pytest.mark.parametrize("function", [None, 5, "text"], ids=repr)
def test_try_of_anything_but_a_function_rejects(name, function):
    """Rejects with a TypeError in the page's words: it never raises."""
    reason = getattr(Promise, name)(function).reason()
    assert TypeError is type(reason)
    assert "(fn must be a function)" in str(reason)
    assert repr(function) in str(reason)


def test_the_traceback_of_try_starts_at_the_function(scheduler):
    """Starts at the function."""
    reason = Promise.try_(fail).reason()
    assert "fail" == reason.__traceback__.tb_frame.f_code.co_name


def test_one_flow_of_exceptions(scheduler):
    """The page's example: one handler gets synchronous and asynchronous errors."""

    def get_user(number):
        def function():
            if not isinstance(number, int):
                raise TypeError("id must be a number")
            return Promise.reject(KeyError(number)) if number < 0 else Promise.resolve(number)

        return Promise.try_(function)

    seen = []
    for number in (1, -1, "x"):
        get_user(number).then(seen.append).catch(lambda error: seen.append(type(error)))
    scheduler.flush()
    assert {1, KeyError, TypeError} == set(seen)


# --- Promise.method


class Service:
    cached = None

    def __init__(self, valid=True):
        self.valid = valid

    @Promise.method
    def query(self, key, *, default="default"):
        """Ask for something."""
        if not self.valid:
            raise TypeError("input is not valid")
        if self.cached is not None:
            return self.cached
        return Promise.delay(1, (key, default)).bind(self).then(Service.keep)

    def keep(self, value):
        self.cached = value
        return value

    @classmethod
    @Promise.method
    def of_class(cls, value):
        return cls.__name__, value

    @staticmethod
    @Promise.method
    def static(value):
        return value

    @Promise.method
    async def async_method(self, value):
        return await Promise.resolve(value)


def test_methods_always_return_a_promise(scheduler):
    """The page's example: returned, raised, or promised."""
    service = Service()
    first = service.query("key", default=5)
    scheduler.advance(1)
    assert ("key", 5) == first.value()
    assert ("fulfilled", ("key", 5)) == outcome(service.query("key"))
    assert TypeError is type(Service(valid=False).query("key").reason())
    assert TypeError is type(service.query().reason())


def test_methods_of_all_kinds(scheduler):
    """Class methods, static methods, `async def`, functions, builtins, objects."""
    promises = [
        Service.of_class(1),
        Service.static(2),
        Service().async_method(3),
        Promise.method(lambda value: value)(4),
        Promise.method(len)([1] * 5),
        Promise.method(partial(max, 6))(0),
        Promise.method(Deferred)(),
        Promise.method(succeed)(8),
    ]
    scheduler.flush()
    expected = [("Service", 1), 2, 3, 4, 5, 6, None, 8]
    assert expected == [outcome(promise)[1] for promise in promises]
    assert promises[6].is_pending()


@pytest.mark.parametrize("kind", KINDS)
def test_a_promise_returned_by_a_method_is_followed(scheduler, kind):
    """As from a handler."""
    thing, resolve, _ = later(kind)
    promise = Promise.method(lambda: thing)()
    scheduler.flush()
    assert promise.is_pending()
    resolve("value")
    scheduler.flush()
    assert "value" == promise.value()


def test_name_docstring_and_signature_are_kept():
    """As by every good decorator."""
    assert ("query", "Ask for something.") == (Service.query.__name__, Service.query.__doc__)
    assert "(self, key, *, default='default')" == str(inspect.signature(Service.query))


@pytest.mark.parametrize("function", [None, 5, "text"], ids=repr)
def test_a_method_must_be_a_function(function):
    """A TypeError at once, in the page's words: nothing could be called later."""
    with pytest.raises(TypeError, match="fn must be a function") as caught:
        Promise.method(function)
    assert repr(function) in str(caught.value)


# --- Promise.defer


def test_defer(scheduler):
    """A pending promise beside what settles it; the first call counts."""
    error = Boom()
    first, second = Promise.defer(), Promise.defer()
    assert (True, True) == (first.promise.is_pending(), second.promise.is_pending())
    first.resolve("value")
    first.reject(error)
    second.reject(error)
    second.resolve("value")
    assert [("fulfilled", "value"), ("rejected", error)] == [
        outcome(first.promise),
        outcome(second.promise),
    ]


def test_defer_resolves_with_anything(scheduler):
    """A promise, Deferred or coroutine is followed; without an argument the value is None."""
    first, second, third = Promise.defer(), Promise.defer(), Promise.defer()
    first.resolve(Promise.resolve("value"))
    second.resolve()
    third.reject()
    scheduler.flush()
    expected = [("fulfilled", "value"), ("fulfilled", None), ("rejected", None)]
    assert expected == [outcome(each.promise) for each in (first, second, third)]


def test_defer_has_a_callback(scheduler):
    """For functions that want one: `callback(error, *values)`."""
    good, bad = Promise.defer(), Promise.defer()
    good.callback(None, "value", "another")
    bad.callback(ValueError("x"))
    assert ("fulfilled", "value") == outcome(good.promise)
    assert ValueError is type(bad.promise.reason())


@pytest.mark.parametrize("how", ["resolve", "reject", "callback"])
def test_defer_settles_from_any_thread(scheduler, how):
    """As executors' functions do."""
    resolver = Promise.defer()
    argument = None if how == "callback" else "outcome"
    in_thread(getattr(resolver, how), argument)
    assert resolver.promise.is_pending()
    scheduler.flush()
    assert not resolver.promise.is_pending()


def test_the_page_makes_its_own_defer(scheduler):
    """It takes no more than the constructor."""

    class Resolver:
        def __init__(self):
            def executor(*functions):
                self.resolve, self.reject = functions

            self.promise = Promise(executor)

    resolver = Resolver()
    resolver.resolve("value")
    assert "value" == resolver.promise.value()


def test_a_cancelled_promise_of_defer_ignores_later_calls(scheduler):
    """Settling it later does nothing."""
    resolver = Promise.defer()
    resolver.promise.cancel()
    resolver.resolve("value")
    resolver.reject(Boom())
    resolver.callback(Boom())
    scheduler.flush()
    assert ("cancelled", None) == outcome(resolver.promise)


# --- Promise.is


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Promise.resolve(), True),
        (lambda: Promise.resolve().then(), True),
        (lambda: Promise.get_new_library_copy().resolve(), True),
        (lambda: Source().promise, True),
        (lambda: Promise, False),
        (Deferred, False),
        (Thenable, False),
        (lambda: Failure(Boom()), False),
        (lambda: OperationalError("x"), False),
        (lambda: Promise.resolve().reflect().value(), False),
        (lambda: None, False),
    ],
    ids=[
        "promise",
        "derived",
        "another copy's",
        "from an executor",
        "the class",
        "Deferred",
        "thenable",
        "Failure",
        "error",
        "inspection",
        "None",
    ],
)
def test_is(make, expected):
    """Promises of this library, of whichever copy; nothing else, however alike."""
    assert expected is Promise.is_(make())


def test_a_late_callback_of_a_bypassed_promise_does_nothing(scheduler):
    """A promise that follows another was decided: `callback` is ignored, wherever it stands."""
    outer, between, root = Promise.defer(), Promise.defer(), Promise.defer()
    outer.resolve(between.promise)
    between.resolve(root.promise)
    between.callback(None, "late")
    root.resolve("value")
    scheduler.flush()
    assert ["value"] * 2 == [outer.promise.value(), between.promise.value()]
