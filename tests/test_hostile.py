"""Values and reasons that raise whatever is asked of them, and exceptions that are like no other.

Promises carry them all the same: through each method of the public API the very object comes out
again, or what it raised where somebody has to ask it something (a filter of `catch`, say); nothing
pends for ever, nothing escapes to whoever settles a promise, and nothing is logged unless nobody
handles it: then it is once, and everybody else is served.  As arguments they get the error that any
bad argument gets.

The keys of the tables begin with the public name that is tried; `test_all_public_names_are_tried`
compares them with those that there are.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
import warnings
from concurrent.futures import Future
from functools import partial
from types import ModuleType

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, fail, maybeDeferred
from twisted.internet.task import Clock

import twpromise
from tests.things import AtOnce, Eventual
from twpromise import (
    AggregateError,
    Disposer,
    OperationalError,
    Promise,
    PromiseWarning,
    ReactorScheduler,
    RejectionError,
    TimeoutError,
    background,
    promisifiers,
)
from twpromise._bridge import executors

# zope.interface before its C code asked dictionaries in a way that reports errors has Python print
# what it swallows, from Python 3.13 on.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in PyDict_GetItem")


class Asked(Exception):
    """Somebody has asked a hostile object something."""


def ask(*_, **__):
    raise Asked


class Hostile:
    """Raises whatever is asked of it, and whatever is looked up in it."""

    __slots__ = ()

    __eq__ = __ne__ = __lt__ = __hash__ = __repr__ = __str__ = __format__ = ask
    __bool__ = __len__ = __contains__ = __iter__ = __call__ = __await__ = ask
    __int__ = __index__ = __float__ = __enter__ = __exit__ = __reduce_ex__ = ask
    __getattribute__ = ask


class Classless:
    """Just raises when it is asked for its class."""

    __class__ = property(ask)


class HostileError(Exception):
    """Can be neither copied, compared nor printed, and its attributes neither read nor set."""

    def __init__(self, needed, here):
        pass

    __eq__ = __hash__ = __repr__ = __str__ = __bool__ = __reduce_ex__ = ask
    __getattribute__ = __setattr__ = with_traceback = add_note = ask


class ClasslessError(Exception):
    __class__ = property(ask)


class HostileClass(type):
    """A class that can be neither hashed, compared nor printed, and gives no attributes."""

    __eq__ = __ne__ = __hash__ = __repr__ = __getattribute__ = __dir__ = ask
    __instancecheck__ = __iter__ = __len__ = __bool__ = ask


class Unhashable(metaclass=HostileClass):
    __repr__ = ask


class UnhashableError(Exception, metaclass=HostileClass):
    __repr__ = ask


class Base(BaseException):
    pass


VALUES = {"hostile": Hostile, "classless": Classless, "of a hostile class": Unhashable}
REASONS = {
    **VALUES,
    "error of a hostile class": UnhashableError,
    "hostile error": partial(HostileError, 1, 2),
    "classless error": ClasslessError,
    "BaseException": Base,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "group": partial(ExceptionGroup, "group", [ValueError(), TypeError()]),
    "unpickled": lambda: pickle.loads(pickle.dumps(UnicodeDecodeError("utf-8", b"x", 0, 1, "y"))),
}


def same(value):
    return value


async def awaits(promise):
    return await promise


@Promise.coroutine
def yields(promise):
    value = yield promise
    return value


def first(promise):
    return promise.then(lambda values: values[0])


def inspected(inspection):
    if inspection.is_fulfilled():
        return inspection.value()
    return Promise.reject(inspection.reason())


class Sdk:
    """Has functions of either kind."""

    def ask(self, value, callback):
        callback(None, value)

    def give(self, value):
        return value


class Manager:
    """A context manager that has what it is given."""

    def __init__(self, resource=None):
        self.resource = resource

    def __enter__(self):
        return self.resource

    def __exit__(self, *_):
        pass


class AsyncManager(Manager):
    async def __aenter__(self):
        return await self.resource

    async def __aexit__(self, *_):
        pass


async def within(disposer):
    async with disposer as resource:
        return resource


def copied():
    """Another library copy, with the scheduler of this one."""
    return Promise.get_new_library_copy()


def one_step():
    # Not a lambda: from Python 3.12 on PEP 479 does not hold in generators that lambdas make.
    return (yield None)


def handled_as(p):
    """A coroutine that yields something that a yield handler takes for the promise."""
    copy = copied()
    copy.coroutine.add_yield_handler(lambda _: p)
    return copy.coroutine(one_step)()


def called_back(value):
    resolver = Promise.defer()
    resolver.callback(None, value)
    return resolver.promise


def told(p):
    """A deferred promise that is told the outcome."""
    resolver = Promise.defer()
    p.then(resolver.resolve, resolver.reject)
    return resolver.promise


#: What takes a promise, and gives one with the same outcome.
WAYS = {
    "then": lambda p: p.then(same),
    "then, followed": lambda p: Promise.resolve().then(lambda _: p),
    "finally_": lambda p: p.finally_(lambda: None),
    "tap": lambda p: p.tap(same),
    "tap_catch": lambda p: p.tap_catch(lambda _: None),
    "return_": lambda p: p.then(lambda value: Promise.resolve().return_(value)),
    "throw": lambda p: p.catch(lambda reason: Promise.resolve().throw(reason)),
    "catch_return": lambda p: p.then(lambda value: Promise.reject(Asked()).catch_return(value)),
    "catch_throw": lambda p: p.catch(lambda reason: Promise.reject(Asked()).catch_throw(reason)),
    "resolve": lambda p: p.then(Promise.resolve),
    "reject": lambda p: p.catch(Promise.reject),
    "try_": lambda p: Promise.try_(lambda: p),
    "defer": told,
    "defer callback": lambda p: p.then(called_back),
    "all": lambda p: first(Promise.all([p, 1])),
    "race": lambda p: Promise.race([p]),
    "all_settled": lambda p: first(Promise.all_settled([p])).then(inspected),
    "props": lambda p: Promise.props({"key": p}).get("key"),
    "map": lambda p: first(Promise.map([p], same)),
    "map, with a limit": lambda p: first(Promise.map([p], same, concurrency=1)),
    "map mapper": lambda p: first(Promise.map([1], lambda _: p)),
    "filter": lambda p: first(Promise.filter([p], lambda _: True)),
    "reduce": lambda p: Promise.reduce([1, p], lambda _, value: value),
    "reduce initial": lambda p: Promise.reduce([1], lambda value, _: value, p),
    "each": lambda p: first(Promise.each([p], lambda _: None)),
    "map_series": lambda p: first(Promise.map_series([p], same)),
    "join": lambda p: Promise.join(p, 1, lambda value, _: value),
    "spread": lambda p: Promise.resolve([p]).spread(same),
    "delay": lambda p: p.delay(1),
    "timeout": lambda p: p.timeout(5),
    "reflect": lambda p: p.reflect().then(inspected),
    "using": lambda p: Promise.using(p, same),
    "disposer": lambda p: Promise.using(p.disposer(lambda _: None), same),
    "disposer async with": lambda p: Promise.resolve(within(p.disposer(lambda _: None))),
    "Disposer.of": lambda p: Promise.using(Disposer.of(Manager(p)), same),
    "Disposer.of async": lambda p: Promise.using(Disposer.of(AsyncManager(p)), same),
    "Disposer.of async with": lambda p: Promise.resolve(within(Disposer.of(Manager(p)))),
    "coroutine": yields,
    "coroutine yield_handler": lambda p: Promise.coroutine(one_step, yield_handler=lambda _: p)(),
    "coroutine.add_yield_handler": handled_as,
    "resolve of a coroutine": lambda p: Promise.resolve(awaits(p)),
    "as_callback": lambda p: Promise.from_callback(lambda callback: p.as_callback(callback)),
    "from_callback": lambda p: p.then(
        lambda value: Promise.from_callback(lambda callback: callback(None, value))
    ),
    "promisify": lambda p: p.then(Promise.promisify(lambda value, back: back(None, value))),
    "promisify_all": lambda p: p.then(Promise.promisify_all(Sdk()).askAsync),
    "bind": lambda p: Promise.bind(Promise.resolve(1)).then(lambda this, _: p),
    "bind this": lambda p: Promise.resolve(1).bind(p).then(lambda this, _: this),
    "method": lambda p: Promise.method(lambda: p)(),
    "Promise": lambda p: Promise(lambda resolve, reject: resolve(p)),
    "get": lambda p: p.then(lambda value: Promise.resolve([value]).get(0)),
    "call": lambda p: p.then(lambda value: Promise.resolve([value]).call("pop")),
    "run_in": lambda p: p.then(lambda value: Promise.run_in(AtOnce(), same, value)),
    "in_thread": lambda p: p.then(lambda value: Promise.in_thread(lambda: [value]).get(0)),
    "get_new_library_copy": lambda p: copied().resolve(p).then(same),
    "background": lambda p: p.then(background(same)),
    "is_": lambda p: p.then(lambda value: (value, Promise.is_(value))[0]),
    "IPromise": lambda p: twpromise.IPromise(Eventual(p)),
    "callback_pair": lambda p: promisifiers.callback_pair(p.then)(),
    "returning": lambda p: promisifiers.returning(lambda: p)(),
    "threads": lambda p: p.then(promisifiers.threads(lambda value: [value])).get(0),
}
#: What has to ask a reason something, to know whether it concerns it.
ASKING = {
    "catch": lambda p: p.catch(KeyError, same),
    "catch attributes": lambda p: p.catch({"code": 1}, same),
    "tap_catch attributes": lambda p: p.tap_catch({"code": 1}, same),
    "error": lambda p: p.error(same),
    "to_deferred": lambda p: Promise.resolve(p.to_deferred()),
    "from_deferred": lambda p: Promise.from_deferred(p.to_deferred()),
    "all of Deferreds": lambda p: first(Promise.all([p.to_deferred()])),
    "IDeferred": lambda p: Promise.resolve(twpromise.IDeferred(Eventual(p))),
    "deferify": lambda p: Promise.from_deferred(Promise.deferify(lambda: p)()),
    "deferify timeout": lambda p: Promise.from_deferred(Promise.deferify(lambda: p, timeout=5)()),
    "deferify_all": lambda p: Promise.resolve(Promise.deferify_all(Sdk()).giveDeferred(p)),
}
#: Those of them that make a Deferred of what they get.
DEFERRING = [name for name in ASKING if "efer" in name]
FIRST = {"any": lambda p: Promise.any([p]), "some": lambda p: first(Promise.some([p], 1))}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Threads have run a function before one looks."""
    monkeypatch.setattr(executors, "deferToThread", maybeDeferred)


def skip_unless_twisted_carries(reason):
    """Skip where Twisted's own Deferreds raise when they fail with it, as they once did."""
    if issubclass(type(reason), BaseException):
        try:
            fail(reason).addErrback(lambda _: None)
        except Asked:
            pytest.skip("a Deferred of this Twisted asks the class of what it fails with")


#: When it is settled, and whether somebody watches.
settled = pytest.mark.parametrize(
    ("settled", "watched"),
    [("before", False), ("after", False), ("after", True)],
    ids=["before", "after", "watched"],
)


@pytest.fixture
def outcome(scheduler, config, settled, watched):
    """What comes of a way, for a value or a reason: whether it is a value, and which."""

    def outcome(way, settle, what):
        if watched:
            config(monitoring=True, long_stack_traces=True)
        resolver = Promise.defer()
        resolver.promise.suppress_unhandled_rejections()
        if settled == "before":
            getattr(resolver, settle)(what)
        promise = way(resolver.promise)
        promise.suppress_unhandled_rejections()
        if settled == "after":
            getattr(resolver, settle)(what)
        scheduler.advance(1)
        assert not promise.is_pending()
        assert all(map(repr, (promise, promise.reflect())))
        return (
            promise.is_fulfilled(),
            promise.value() if promise.is_fulfilled() else promise.reason(),
        )

    return outcome


# A reason that is no exception is warned about while warnings are on; they are not.
@settled
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("way", [*WAYS, *FIRST])
def test_values(outcome, kind, way):
    """The very value comes out again."""
    value = VALUES[kind]()
    fulfilled, out = outcome({**WAYS, **FIRST}[way], "resolve", value)
    assert fulfilled
    assert out is value


@settled
@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", WAYS)
def test_reasons(outcome, kind, way):
    """The very reason comes out again; or is the cause of what stands for it."""
    reason = REASONS[kind]()
    fulfilled, out = outcome(WAYS[way], "reject", reason)
    assert not fulfilled
    if issubclass(type(out), (RejectionError, OperationalError)):
        # What is no exception cannot be raised, and comes through no callback as it is.
        out = out.cause
    elif type(out) is RuntimeError:
        # PEP 479, for StopIteration.
        out = out.__cause__
    assert out is reason


@settled
@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", ASKING)
def test_reasons_that_are_asked(outcome, kind, way):
    """The reason comes out, or what stands for it, or what it has raised when it was asked."""
    reason = REASONS[kind]()
    if way in DEFERRING:
        skip_unless_twisted_carries(reason)
    fulfilled, out = outcome(ASKING[way], "reject", reason)
    assert not fulfilled
    assert out is reason or issubclass(type(out), (Asked, RejectionError))


@settled
@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", FIRST)
def test_reasons_of_none(outcome, kind, way):
    """They stand in the `AggregateError`."""
    reason = REASONS[kind]()
    fulfilled, out = outcome(FIRST[way], "reject", reason)
    assert (False, AggregateError) == (fulfilled, type(out))
    assert out.errors[0] is reason


@settled
@pytest.mark.parametrize("kind", ["hostile", "classless"])
@pytest.mark.parametrize("way", DEFERRING)
def test_values_that_no_deferred_can_carry(outcome, kind, way):
    """Twisted asks for the class of each; the Deferred fails with what came of that."""
    fulfilled, out = outcome(ASKING[way], "resolve", VALUES[kind]())
    assert (False, Asked) == (fulfilled, type(out))


@settled
@pytest.mark.parametrize("way", DEFERRING)
def test_values_that_a_deferred_carries(outcome, way):
    """Twisted asks their class nothing that it could refuse."""
    value = Unhashable()
    fulfilled, out = outcome(ASKING[way], "resolve", value)
    assert fulfilled
    assert out is value


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", [*WAYS, *ASKING, *FIRST])
def test_they_are_reported(scheduler, reports, kind, way):
    """Once, like any other that nobody handles, and whoever stands behind it has its turn."""
    reason, served = REASONS[kind](), []
    resolver = Promise.defer()
    before, after = Promise.defer(), Promise.defer()
    before.promise.then(served.append)
    before.resolve("before")
    promise = {**WAYS, **ASKING, **FIRST}[way](resolver.promise)
    resolver.reject(reason)
    after.promise.then(served.append)
    after.resolve("after")
    scheduler.advance(1)
    assert ["before", "after"] == served
    assert ["Unhandled rejection in Promise"] == [event["log_format"] for event in reports]
    assert promise.is_rejected()


@pytest.mark.parametrize("kind", REASONS)
def test_hooks_are_told(scheduler, kind):
    """Each gets the very reason and the promise, once, and the log gets nothing."""
    reason, told = REASONS[kind](), []
    Promise.on_possibly_unhandled_rejection(lambda *arguments: told.append(arguments))
    Promise.on("unhandled_rejection", hear := lambda *arguments: told.append(arguments))
    promise = Promise.reject(reason)
    scheduler.flush()
    Promise.off("unhandled_rejection", hear)
    Promise.set_rejection_policy()
    assert [2, 2] == list(map(len, told))
    assert all(this is reason and that is promise for this, that in told)


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("policy", ["report_when_collected", "live_list", "done_only"])
def test_policies(scheduler, reports, policy, kind):
    """They keep it, and report it when it is theirs to report."""
    promise = Promise.get_new_library_copy()
    kept = promise.set_rejection_policy(policy)
    rejected = promise.reject(REASONS[kind]())
    scheduler.flush()
    if policy == "live_list":
        assert [rejected] == kept.promises
    del rejected
    scheduler.flush()
    assert (policy == "report_when_collected") == len(reports)


def fails_with(error):
    def fails(*_):
        raise error

    return fails


def fulfils_with(make):
    return lambda resolve, reject: resolve(make())


def raising(error):
    """A coroutine that raises."""

    async def coroutine():
        raise error

    return coroutine()


def yielding(error):
    """A generator that raises."""
    yield Promise.resolve()
    raise error


class Failing:
    """What raises an error wherever it is asked."""

    def __init__(self, error):
        self.error = error

    def __iter__(self):
        raise self.error

    def __enter__(self):
        raise self.error

    def __exit__(self, *_):
        """It is never entered."""

    def then(self, resolve, reject):
        raise self.error

    def ask(self, callback):
        raise self.error

    def submit(self, *_):
        raise self.error


class FailingGetter:
    """A thenable whose `then` cannot be had."""

    def __init__(self, error):
        self.error = error

    @property
    def then(self):
        raise self.error


class FailingAfterwards:
    """An iterator that ends so."""

    def __init__(self, error):
        self.error = error
        self.items = iter([1])

    def __iter__(self):
        return self

    def __next__(self):
        for item in self.items:
            return item
        raise self.error


class FailingMapping(dict):
    """One that has a key and no values."""

    def __init__(self, error):
        super().__init__(key=1)
        self.error = error

    def __getitem__(self, key):
        raise self.error


def resource():
    return Promise.resolve("resource").disposer(lambda _: None)


def failed(error):
    future = Future()
    future.set_exception(error)
    return future


#: Where an error is raised, or comes from elsewhere; what is rejected with it.
RAISED = {
    "then": lambda error: Promise.resolve().then(fails_with(error)),
    "catch": lambda error: Promise.reject(Asked()).catch(fails_with(error)),
    "catch filter": lambda error: Promise.reject(Asked()).catch(fails_with(error), same),
    "tap": lambda error: Promise.resolve().tap(fails_with(error)),
    "tap_catch": lambda error: Promise.reject(Asked()).tap_catch(fails_with(error)),
    "finally_": lambda error: Promise.resolve().finally_(fails_with(error)),
    "error": lambda error: Promise.reject(OperationalError()).error(fails_with(error)),
    "spread": lambda error: Promise.resolve([1]).spread(fails_with(error)),
    "join": lambda error: Promise.join(1, fails_with(error)),
    "Promise": lambda error: Promise(fails_with(error)),
    "try_": lambda error: Promise.try_(fails_with(error)),
    "method": lambda error: Promise.method(fails_with(error))(),
    "coroutine": lambda error: Promise.coroutine(yielding)(error),
    "coroutine yield_handler": lambda error: Promise.coroutine(
        one_step, yield_handler=fails_with(error)
    )(),
    "resolve of a coroutine": lambda error: Promise.resolve(raising(error)),
    "resolve of a thenable": lambda error: Promise.resolve(Failing(error)),
    "resolve of a getter": lambda error: Promise.resolve(FailingGetter(error)),
    "resolve of a future": lambda error: Promise.resolve(failed(error)),
    "map mapper": lambda error: Promise.map([1], fails_with(error)),
    "map with a coroutine": lambda error: Promise.map([1], lambda _: raising(error)),
    "map of what cannot be iterated": lambda error: Promise.map(Failing(error), same),
    "map of what ends so": lambda error: Promise.map(FailingAfterwards(error), same),
    "all": lambda error: Promise.all(Failing(error)),
    "all of coroutines": lambda error: Promise.all([raising(error)]),
    "all of what ends so": lambda error: Promise.all(FailingAfterwards(error)),
    "props": lambda error: Promise.props(FailingMapping(error)),
    "filter": lambda error: Promise.filter([1], fails_with(error)),
    "reduce": lambda error: Promise.reduce([1, 2], fails_with(error)),
    "each": lambda error: Promise.each([1], fails_with(error)),
    "each of what ends so": lambda error: Promise.each(FailingAfterwards(error), same),
    "map_series": lambda error: Promise.map_series([1], fails_with(error)),
    "using": lambda error: Promise.using(resource(), fails_with(error)),
    "using what is rejected": lambda error: Promise.using(Promise.reject(error), same),
    "Disposer.of": lambda error: Promise.using(Disposer.of(Failing(error)), same),
    "Disposer.of async with": lambda error: Promise.resolve(within(Disposer.of(Failing(error)))),
    "promisify": lambda error: Promise.promisify(fails_with(error))(),
    "promisify_all": lambda error: Promise.promisify_all(Failing(error)).askAsync(),
    "from_callback": lambda error: Promise.from_callback(fails_with(error)),
    "from_callback error": lambda error: Promise.from_callback(lambda callback: callback(error)),
    "run_in": lambda error: Promise.run_in(AtOnce(), fails_with(error)),
    "run_in executor": lambda error: Promise.run_in(Failing(error), same),
    "timeout": lambda error: Promise.delay(9).timeout(1, error),
    "background": lambda error: Promise.resolve().then(background(fails_with(error))),
}
ERRORS = [name for name in REASONS if name not in VALUES]


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("way", RAISED)
def test_they_are_raised(scheduler, kind, way):
    """Whoever raises one rejects with it."""
    error = REASONS[kind]()
    promise = RAISED[way](error)
    promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    if way.endswith("what ends so") and kind == "StopIteration":
        # That is how iterators end.
        assert promise.is_fulfilled()
        return
    reason = promise.reason()
    if type(reason) is RuntimeError:
        # PEP 479, for StopIteration in a generator.
        reason = reason.__cause__
    assert reason is error


def hooked(call):
    """A library copy that asks a hook."""
    copy = copied()
    copy.on_possibly_unhandled_rejection(call)
    return copy.reject(Asked())


def hooked_late(call):
    """And one that does when it has been handled after all."""
    copy = copied()
    copy.on_possibly_unhandled_rejection()
    copy.on_unhandled_rejection_handled(call)
    promise = copy.reject(Asked())
    promise._queue.scheduler.flush()
    promise.suppress_unhandled_rejections()


def listened(call):
    Promise.on("unhandledRejection", call)
    promise = copied().reject(Asked())
    promise._queue.scheduler.flush()
    Promise.off("unhandledRejection", call)


def cancelled(promise):
    promise.cancel()


#: Where somebody is called in whose place nobody is rejected: what he raises is logged, once.
LOGGED = {
    "as_callback": lambda call: Promise.resolve().as_callback(call),
    "Promise on_cancel": lambda call: cancelled(Promise(lambda _, __, on_cancel: on_cancel(call))),
    "from_deferred canceller": lambda call: cancelled(Promise.from_deferred(Deferred(call))),
    "cancel": lambda call: cancelled(Promise.delay(9).finally_(call)),
    "on_possibly_unhandled_rejection": hooked,
    "on_unhandled_rejection_handled": hooked_late,
    "on_fatal": lambda call: (Promise.on_fatal(call), Promise.reject(Asked()).done()),
    "on": listened,
    "promisify": lambda call: Promise.promisify(lambda back: (back(None, 1), call()))(),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("way", LOGGED)
def test_they_are_logged(scheduler, reports, kind, way):
    """Once, and whoever stands behind has its turn."""
    error, served = REASONS[kind](), []
    LOGGED[way](fails_with(error))
    Promise.resolve("after").then(served.append)
    scheduler.flush()
    Promise.on_fatal()
    assert ["after"] == served
    assert 1 == len(reports)
    told = reports[0]["log_failure"].value
    assert told is error or told.cause is error


class Leaving(Manager):
    """One that cannot be left."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def __exit__(self, *_):
        raise self.error


#: Where nothing may fail.
FATAL = {
    "done": lambda error: Promise.reject(error).done(),
    "done handler": lambda error: Promise.resolve().done(fails_with(error)),
    "disposer": lambda error: Promise.using(
        Promise.resolve().disposer(fails_with(error)), lambda _: "after"
    ),
    "disposer that rejects": lambda error: Promise.using(
        Promise.resolve().disposer(lambda _: Promise.reject(error)), lambda _: "after"
    ),
    "disposer async with": lambda error: Promise.resolve(
        within(Promise.resolve().disposer(fails_with(error)))
    ),
    "disposer that is thrown away": lambda error: Promise.resolve().disposer(fails_with(error)),
    "Disposer.of": lambda error: Promise.using(Disposer.of(Leaving(error)), lambda _: "after"),
    "Disposer.of async with": lambda error: Promise.resolve(within(Disposer.of(Leaving(error)))),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("way", FATAL)
def test_they_are_fatal(scheduler, kind, way):
    """The hook is told the very reason, once, and whoever stands behind has its turn."""
    error, fatal, served = REASONS[kind](), [], []
    Promise.on_fatal(fatal.append)
    promise = FATAL[way](error)
    if type(promise) is Disposer:
        promise = None
    Promise.resolve("after").then(served.append)
    scheduler.flush()
    Promise.on_fatal()
    assert ["after"] == served
    [reason] = fatal
    assert reason is error
    # The release has failed, and not what was done with the resource.
    assert promise is None or promise.is_fulfilled()


@pytest.mark.parametrize("kind", ERRORS)
def test_they_are_what_a_deferred_fails_with(scheduler, kind):
    """And what is caught behind it."""
    error = REASONS[kind]()
    skip_unless_twisted_carries(error)

    async def fails():
        raise error

    if kind in ("hostile error", "classless error", "StopIteration"):
        pytest.skip("Twisted's own driver, or Python's, does not let it through")
    promise = Promise.resolve(ensureDeferred(fails()))
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    reason = promise.reason()
    assert reason is error or reason.__cause__ is error


# --- thenables


class Nested:
    """A thenable that gives another one."""

    def __init__(self, depth):
        self.depth = depth

    def then(self, resolve, reject):
        resolve(Nested(self.depth - 1) if self.depth else "value")


def test_thenables_in_thenables(scheduler):
    """However deep, without recursion."""
    promise = Promise.resolve(Nested(10_000))
    scheduler.flush()
    assert "value" == promise.value()


def test_a_thenable_that_gives_itself(scheduler):
    """It goes on for ever, one turn after the other, and does not stop anybody else."""
    turns = []

    class Itself:
        def then(self, resolve, reject):
            turns.append(None)
            if len(turns) < 1000:
                resolve(self)
            else:
                reject(ValueError("enough"))

    promise = Promise.resolve(Itself())
    other = Promise.resolve("other").then(lambda value: (value, len(turns)))
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    name, before = other.value()
    assert "other" == name
    assert before < 1000
    assert "enough" == str(promise.reason())


def test_a_deferred_for_a_hostile_value_is_not_left_hanging(scheduler):
    """It fires, whether it was made before or after."""
    value = Hostile()
    results = []
    resolver = Promise.defer()
    early = resolver.promise.to_deferred()
    resolver.resolve(value)
    scheduler.flush()
    for deferred in early, resolver.promise.to_deferred():
        assert isinstance(deferred, Deferred)
        deferred.addErrback(lambda failure: results.append(failure.type))
    assert [Asked, Asked] == results


# --- where the errors are ends of something else


#: What something may end with.
ENDS = [ClasslessError, lambda: HostileError(1, 2)]


def _closing(error):
    async def closing():
        try:
            await Promise.delay(9)
        finally:
            raise error

    return closing


def _closing_generator(error):
    @Promise.coroutine
    def closing():
        try:
            yield Promise.delay(9)
        finally:
            raise error

    return closing


def check_that_cancelling_ends(scheduler, promise):
    told = []
    scheduler.flush()
    promise.finally_(lambda: told.append("finally")).suppress_unhandled_rejections()
    promise.cancel()
    scheduler.advance(1)
    assert ["finally"] == told
    assert not promise.is_pending()


@pytest.mark.parametrize("make", ENDS)
@pytest.mark.parametrize("start", [_closing, _closing_generator])
def test_a_clean_up_that_fails(scheduler, start, make):
    """A cancelled coroutine whose clean-up fails is rejected, and those behind it are told."""
    promise = Promise.resolve(start(make())())
    check_that_cancelling_ends(scheduler, promise)


@pytest.mark.parametrize("make", ENDS)
def test_a_coroutine_that_waits_for_what_fails_as_it_is_cancelled(scheduler, make):
    """So it is if what it waits for is cleaned up first, and that fails."""

    @Promise.coroutine
    def waits(error):
        yield _closing_generator(error)()

    promise = waits(make())
    check_that_cancelling_ends(scheduler, promise)


@pytest.mark.parametrize("make", ENDS)
def test_async_with(scheduler, make):
    """A resource is released though the body fails, with the very reason."""
    released, error = [], make()

    async def use():
        disposer = Promise.resolve("r").disposer(lambda _, outcome: released.append(outcome))
        async with disposer:
            raise error

    promise = Promise.resolve(use())
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert promise.reason() is error
    [outcome] = released
    assert outcome.reason() is error


@pytest.mark.parametrize("make", ENDS)
def test_a_context_manager_of_what_fails(scheduler, make):
    """A manager is left, with the very reason, and nothing is fatal."""
    left, fatal, error = [], [], make()
    Promise.on_fatal(fatal.append)

    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, *arguments):
            left.append(arguments)

    promise = Promise.using(Disposer.of(Manager()), lambda _: Promise.reject(error))
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    Promise.on_fatal()
    assert promise.reason() is error
    [(kind, reason, _)] = left
    assert kind is type(error)
    assert reason is error
    assert [] == fatal


@pytest.mark.parametrize("make", ENDS)
def test_an_asyncio_future(scheduler, make):
    """It has the very reason."""
    error = make()

    async def main():
        future = Promise.reject(error).to_future()
        scheduler.flush()
        assert future.done()
        assert future.exception() is error

    asyncio.run(main())


@pytest.mark.parametrize("make", [Hostile, Classless])
def test_what_coroutine_functions_return(scheduler, make):
    """It is carried as it is."""
    value = make()
    returned = Promise.coroutine(lambda: value)()
    scheduler.flush()
    assert returned.value() is value


def test_what_is_used(scheduler):
    """So it is, unless it has the methods of a context manager: then it is named by its type."""
    value = Classless()
    used = Promise.using(value, lambda resource: resource)
    refused = Promise.using(Hostile(), lambda resource: resource)
    refused.suppress_unhandled_rejections()
    scheduler.flush()
    assert used.value() is value
    assert isinstance(refused.reason(), TypeError)
    assert "Hostile" in str(refused.reason())


# --- where they are arguments


class Bad:
    """What is of no use as anything, and tells nobody so."""

    __slots__ = ()

    __eq__ = __ne__ = __lt__ = __hash__ = __repr__ = __str__ = __format__ = ask
    __bool__ = __reduce_ex__ = __getattribute__ = ask


class Unprintable:
    __repr__ = ask


class BadMapping(dict):
    """Cannot be read."""

    __iter__ = items = keys = __getitem__ = __len__ = __bool__ = __repr__ = ask


class Whole(int):
    """A number that cannot be compared."""

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __repr__ = __float__ = __int__ = ask


class Fraction(float):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __repr__ = __float__ = __int__ = ask


class Text(str):
    """A text that cannot be looked up."""

    __slots__ = ()

    __eq__ = __hash__ = __repr__ = __str__ = __format__ = ask


BAD = {"bad": Bad, "classless": Classless, "unprintable": Unprintable}
#: Bad arguments whose error is raised; the key is the public name and the argument, which the
#: message must name.
RAISES = {
    "Promise executor": Promise,
    "method function": Promise.method,
    "coroutine generator_function": Promise.coroutine,
    "coroutine yield_handler": lambda bad: Promise.coroutine(same, yield_handler=bad),
    "coroutine.add_yield_handler handler": Promise.coroutine.add_yield_handler,
    "promisify function": Promise.promisify,
    "promisify promisifier": lambda bad: Promise.promisify(same, promisifier=bad),
    "promisify promisifier must return": lambda bad: Promise.promisify(
        same, promisifier=lambda _: bad
    ),
    "promisify_all a list": lambda bad: Promise.promisify_all([bad]),
    "promisify_all suffix": lambda bad: Promise.promisify_all(Sdk(), suffix=bad),
    "promisify_all filter": lambda bad: Promise.promisify_all(Sdk(), filter=bad),
    "promisify_all promisifier": lambda bad: Promise.promisify_all(Sdk(), promisifier=bad),
    "deferify function": Promise.deferify,
    "deferify timeout": lambda bad: Promise.deferify(same, timeout=bad),
    "deferify_all suffix": lambda bad: Promise.deferify_all(Sdk(), suffix=bad),
    "deferify_all filter": lambda bad: Promise.deferify_all(Sdk(), filter=bad),
    "run_in executor": lambda bad: Promise.run_in(bad, same),
    "run_in function": lambda bad: Promise.run_in(AtOnce(), bad),
    "in_thread function": Promise.in_thread,
    "to_future loop": lambda bad: Promise.resolve().to_future(bad),
    "from_deferred deferred": Promise.from_deferred,
    "disposer release": lambda bad: Promise.resolve().disposer(bad),
    "Disposer.of manager": Disposer.of,
    "background handler": background,
    "on name": lambda bad: Promise.on(bad, same),
    "on handler": lambda bad: Promise.on("promise_created", bad),
    "off name": lambda bad: Promise.off(bad, same),
    "on_fatal handler": Promise.on_fatal,
    "set_scheduler scheduler": Promise.set_scheduler,
    "set_rejection_policy name": Promise.set_rejection_policy,
    "config monitoring": lambda bad: Promise.config(warnings=True, monitoring=bad),
    "config warnings": lambda bad: Promise.config(monitoring=True, warnings=bad),
    "config warnings: a switch": lambda bad: Promise.config(warnings={"wForgottenReturn": bad}),
    "ReactorScheduler reactor": ReactorScheduler,
    "ReactorScheduler time_slice": lambda bad: ReactorScheduler(Clock(), time_slice=bad),
    "ReactorScheduler timer": lambda bad: ReactorScheduler(Clock(), timer=bad),
}


def refused():
    """A rejected promise whose handler, if it is none, will not see to that."""
    promise = Promise.reject(1)
    promise.suppress_unhandled_rejections()
    return promise


#: Those whose error rejects.
REJECTS = {
    "Promise hook": lambda bad: Promise(lambda _, __, on_cancel: on_cancel(bad)),
    "try_ function": Promise.try_,
    "from_callback resolver": Promise.from_callback,
    "catch filter": lambda bad: refused().catch(bad, same),
    "catch filter in a tuple": lambda bad: refused().catch((KeyError, bad), same),
    "catch filter in a mapping": lambda bad: refused().catch({1: bad}, same),
    "tap_catch filter": lambda bad: refused().tap_catch(bad, same),
    "catch_return filter": lambda bad: refused().catch_return(bad, 1),
    "catch_throw filter": lambda bad: refused().catch_throw(bad, 1),
    "all input": Promise.all,
    "all_settled input": Promise.all_settled,
    "props input": Promise.props,
    "any input": Promise.any,
    "some input": lambda bad: Promise.some(bad, 1),
    "some count": lambda bad: Promise.some([1], bad),
    "race input": Promise.race,
    "spread input": lambda bad: Promise.resolve(bad).spread(same),
    "spread handler": lambda bad: Promise.resolve([1]).spread(bad),
    "map input": lambda bad: Promise.map(bad, same),
    "map mapper": lambda bad: Promise.map([1], bad),
    "map concurrency": lambda bad: Promise.map([1], same, concurrency=bad),
    "filter input": lambda bad: Promise.filter(bad, same),
    "filter predicate": lambda bad: Promise.filter([1], bad),
    "filter concurrency": lambda bad: Promise.filter([1], same, concurrency=bad),
    "reduce input": lambda bad: Promise.reduce(bad, same),
    "reduce reducer": lambda bad: Promise.reduce([1], bad),
    "each input": lambda bad: Promise.each(bad, same),
    "each function": lambda bad: Promise.each([1], bad),
    "map_series input": lambda bad: Promise.map_series(bad, same),
    "map_series mapper": lambda bad: Promise.map_series([1], bad),
    "delay seconds": Promise.delay,
    "timeout seconds": lambda bad: Promise.delay(9).timeout(bad),
    "timeout message_or_error": lambda bad: Promise.delay(9).timeout(1, bad),
    "using handler": lambda bad: Promise.using(1, bad),
    "coroutine that yielded": lambda bad: Promise.coroutine(lambda: (yield bad))(),
}


@pytest.mark.parametrize("kind", [object, *BAD.values(), partial(Unhashable)])
@pytest.mark.parametrize("way", RAISES)
def test_bad_arguments(scheduler, way, kind):
    """Each gets the error of an ordinary one, which names the argument, and all is as before."""
    before = Promise.config(), len(Promise._library.yield_handlers), vars(Sdk).copy()
    with pytest.raises(TypeError) as caught:
        RAISES[way](kind())
    assert way.partition(" ")[2].partition(":")[0] in str(caught.value)
    assert before == (Promise.config(), len(Promise._library.yield_handlers), vars(Sdk).copy())
    assert scheduler is Promise.set_scheduler(scheduler)


@pytest.mark.parametrize("kind", [object, *BAD.values(), partial(Unhashable)])
@pytest.mark.parametrize("way", REJECTS)
def test_bad_arguments_that_reject(scheduler, way, kind):
    """So they do where an error rejects."""
    promise = REJECTS[way](kind())
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    reason = promise.reason()
    assert type(reason) is TypeError
    assert way.split()[1] in str(reason)


#: Numbers, by the name of the argument; whether they are too small for it.
NUMBERS = {
    "map concurrency": lambda number: first(Promise.map([1], same, concurrency=number)),
    "filter concurrency": lambda number: first(Promise.filter([1], same, concurrency=number)),
    "some count": lambda number: first(Promise.some([1, 2], number)),
    "delay seconds": lambda number: Promise.delay(number, 1),
    "delay of a promise": lambda number: Promise.resolve(1).delay(number),
    "timeout seconds": lambda number: Promise.delay(0.5, 1).timeout(number),
    "deferify timeout": lambda number: Promise.resolve(
        Promise.deferify(lambda: Promise.delay(0.5, 1), timeout=number)()
    ),
}


class UnhashableClass(type):
    __hash__ = ask


class Unclassed(metaclass=UnhashableClass):
    """Raises when it is asked for its class, and its class when that is looked up."""

    __class__ = property(ask)
    __repr__ = ask


@pytest.mark.parametrize("way", [way for way in REJECTS if way.endswith(("filter", "_or_error"))])
def test_what_no_class_is_known_of(scheduler, way):
    """What is of no known class is of none that is expected."""
    promise = REJECTS[way](Unclassed())
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert type(promise.reason()) is TypeError
    assert way.split()[1] in str(promise.reason())


def test_what_has_a_class_that_cannot_be_hashed(scheduler):
    """It is carried, though it does not say which that is either."""
    value = Unclassed()
    promises = [Promise.resolve().then(lambda _: value), Promise(fulfils_with(lambda: value))]
    served = []
    Promise.resolve("after").then(served.append)
    for promise in promises:
        promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert all(promise.value() is value for promise in promises)
    assert ["after"] == served


@pytest.mark.parametrize("make", [Whole, Fraction])
@pytest.mark.parametrize("way", NUMBERS)
def test_numbers(scheduler, way, make):
    """What they stand for counts, whatever they raise."""
    promise = NUMBERS[way](make(1))
    promise.suppress_unhandled_rejections()
    scheduler.advance(0.5)
    scheduler.advance(0.5)
    if make is Fraction and way.split()[1] in ("concurrency", "count"):
        assert type(promise.reason()) is TypeError
        assert way.split()[1] in str(promise.reason())
    else:
        assert 1 == promise.value()


@pytest.mark.parametrize("make", [Whole, Fraction])
@pytest.mark.parametrize("way", [name for name in NUMBERS if name != "delay of a promise"])
def test_numbers_that_are_too_small(scheduler, way, make):
    """They get the error of any other."""
    try:
        promise = NUMBERS[way](make(-1))
        promise.suppress_unhandled_rejections()
        scheduler.flush()
        error = promise.reason()
    except ValueError as raised:
        error = raised
    assert type(error) in (TypeError, ValueError)
    assert way.split()[1] in str(error)


def test_texts(scheduler):
    """Names are what they say, whatever they raise; so is a message."""
    told = []
    Promise.on(Text("promise_created"), told.append)
    assert Promise.off(Text("promiseCreated"), told.append)
    Promise.set_rejection_policy(Text("report"))
    for call in (Promise.set_rejection_policy, partial(Promise.off, handler=same)):
        with pytest.raises(ValueError, match=r"name must be one of .* not 'nothing'"):
            call(Text("nothing"))
    promise = Promise.delay(9).timeout(1, Text("late"))
    promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    assert type(promise.reason()) is TimeoutError


def test_a_listener_that_cannot_be_compared():
    """Another is not taken for it, and it is found itself."""
    listener, other = Hostile(), Hostile()
    Promise.on("promise_created", listener)
    assert not Promise.off("promise_created", other)
    assert Promise.off("promise_created", listener)


@pytest.mark.parametrize("settings", [BadMapping(wForgottenReturn=True), {Bad: True}, {1: True}])
def test_settings_of_warnings(settings):
    """What cannot be read is no setting, and none is changed."""
    before = Promise.config()
    with pytest.raises(TypeError, match="warning"):
        Promise.config(monitoring=True, warnings=settings)
    assert before == Promise.config()


#: Where something that is no function is ignored.
IGNORED = {
    "then": lambda bad: Promise.resolve(1).then(bad),
    "then on_rejected": lambda bad: Promise.resolve(1).then(None, bad),
    "catch": lambda bad: Promise.resolve(1).catch(bad),
    "tap": lambda bad: Promise.resolve(1).tap(bad),
    "tap_catch": lambda bad: Promise.resolve(1).tap_catch(bad),
    "finally_": lambda bad: Promise.resolve(1).finally_(bad),
    "error": lambda bad: Promise.resolve(1).error(bad),
    "done": lambda bad: (Promise.resolve(1).done(bad), Promise.resolve(1))[1],
    "as_callback": lambda bad: Promise.resolve(1).as_callback(bad),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("way", IGNORED)
def test_what_is_ignored(scheduler, config, way, kind):
    """It is, and named in the warning by its type."""
    config(warnings=True)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        promise = IGNORED[way](BAD[kind]())
        scheduler.flush()
        assert 1 == promise.value()
        del promise
    told = [str(warning.message) for warning in shown if warning.category is PromiseWarning]
    assert "as_callback" == way or BAD[kind].__name__ in told[0]


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize(
    "hook", ["on_possibly_unhandled_rejection", "on_unhandled_rejection_handled"]
)
def test_hooks_that_are_none(scheduler, reports, hook, kind):
    """One that cannot be called is none; without one for what is not handled, nothing is said."""
    copy = copied()
    getattr(copy, hook)(BAD[kind]())
    promise = copy.reject(Asked())
    scheduler.flush()
    promise.catch(same)
    scheduler.flush()
    said = [] if "possibly" in hook else [Asked]
    assert said == [event["log_failure"].type for event in reports]


#: Functions that raise whatever they are asked, and as they are called; what comes of calling.
CALLED = {
    "then": lambda function: Promise.resolve(1).then(function),
    "catch": lambda function: Promise.reject(1).catch(function),
    "catch predicate": lambda function: Promise.reject(1).catch(function, same),
    "tap": lambda function: Promise.resolve(1).tap(function),
    "tap_catch predicate": lambda function: Promise.reject(1).tap_catch(function, same),
    "finally_": lambda function: Promise.resolve(1).finally_(function),
    "spread": lambda function: Promise.resolve([1]).spread(function),
    "try_": Promise.try_,
    "method": lambda function: Promise.method(function)(),
    "Promise": Promise,
    "coroutine": lambda function: Promise.coroutine(function)(),
    "coroutine yield_handler": lambda function: Promise.coroutine(
        lambda: (yield 1), yield_handler=function
    )(),
    "promisify": lambda function: Promise.promisify(function)(),
    "promisify context": lambda function: Promise.promisify(function, context=Hostile())(),
    "from_callback": Promise.from_callback,
    "deferify": lambda function: Promise.resolve(Promise.deferify(function)()),
    "map": partial(Promise.map, [1]),
    "filter": partial(Promise.filter, [1]),
    "reduce": partial(Promise.reduce, [1, 2]),
    "each": partial(Promise.each, [1]),
    "map_series": partial(Promise.map_series, [1]),
    "join": partial(Promise.join, 1),
    "using": partial(Promise.using, 1),
    "run_in": partial(Promise.run_in, AtOnce()),
    "in_thread": Promise.in_thread,
    "background": lambda function: Promise.resolve().then(background(function)),
}


class Callable(metaclass=HostileClass):
    __call__ = __repr__ = ask


@pytest.mark.parametrize("make", [Hostile, partial(Callable)], ids=["", "of a hostile class"])
@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
@pytest.mark.parametrize("way", CALLED)
def test_functions(scheduler, config, way, watched, make):
    """They are called, and what they raise then rejects."""
    if watched:
        config(monitoring=True, long_stack_traces=True, warnings=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PromiseWarning)
        promise = CALLED[way](make())
        promise.suppress_unhandled_rejections()
        scheduler.flush()
        assert type(promise.reason()) is Asked
        del promise


class Forgetful:
    """Makes a promise, and leaves it there."""

    def __call__(self, value):
        Promise.resolve(value).then(same)


class ForgetfulClassless(Forgetful, Classless):
    pass


class ForgetfulUnhashable(Forgetful, metaclass=HostileClass):
    pass


@pytest.mark.parametrize("make", [Forgetful, ForgetfulClassless, partial(ForgetfulUnhashable)])
def test_handlers_that_are_warned_of(scheduler, config, make):
    """They are, with the place of what was called."""
    config(warnings=True)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        promise = Promise.resolve(1).then(make())
        scheduler.flush()
        assert promise.value() is None
    told = "".join(str(warning.message) for warning in shown)
    assert "Forgetful.__call__" in told


class HostileSdk(Sdk, metaclass=HostileClass):
    pass


@pytest.mark.parametrize("all_", [Promise.promisify_all, Promise.deferify_all])
def test_targets_of_a_hostile_class(all_):
    """They get what any other gets, and so do such classes, and the modules that hold them."""
    target = HostileSdk()
    target.own = same
    module = ModuleType("module")
    module.held = type.__call__(HostileClass, "Held", (Sdk,), {})
    for one in target, type.__call__(HostileClass, "Other", (Sdk,), {}), module:
        assert all_(one) is one
    suffix = "Async" if all_ == Promise.promisify_all else "Deferred"
    assert {"own", "own" + suffix, "ask" + suffix, "give" + suffix} == set(vars(target))
    assert "ask" + suffix in type.__dict__["__dict__"].__get__(module.held)


def test_a_promisifier_that_raises():
    """It is asked at the call, and nothing is added to anything."""
    sdk = Sdk()
    for promisify in (partial(Promise.promisify, same), partial(Promise.promisify_all, sdk)):
        with pytest.raises(Asked):
            promisify(promisifier=Hostile())
    assert {} == vars(sdk)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("all_", [Promise.promisify_all, Promise.deferify_all])
def test_targets(all_, kind):
    """Attributes that raise are no functions; a target that takes none is named by its type."""
    holder = Sdk()
    holder.attribute = VALUES[kind]()
    assert all_(holder) is holder
    assert {"attribute", "askAsync", "giveAsync"} >= {
        name.replace("Deferred", "Async") for name in vars(holder)
    }

    class Closed(Sdk):
        __setattr__ = __delattr__ = __repr__ = ask
        __getattribute__ = ask

    with pytest.raises(TypeError, match=r"target must take new attributes.*Closed"):
        all_(Closed())


# --- filters


class Asks(type):
    def __instancecheck__(cls, instance):
        raise Asked


class Filter(Exception, metaclass=Asks):
    pass


class Reason(Exception):
    attribute = Hostile()
    getter = property(ask)


class Changing(dict):
    """A mapping that could be read once."""

    items = ask


FILTERS = {
    "class": Filter,
    "tuple": (KeyError, Filter),
    "predicate": lambda _: ask(),
    "answer": lambda _: Hostile(),
    "value": {"attribute": 1},
    "other value": {"args": Hostile()},
    "attribute": {"getter": 1},
    "mapping": Changing(getter=1),
}
#: What takes filters.
FILTERING = {
    "catch": lambda p, one: p.catch(one, same),
    "catch, the second": lambda p, one: p.catch(KeyError, one, same),
    "tap_catch": lambda p, one: p.tap_catch(one, same),
    "catch_return": lambda p, one: p.catch_return(one, 1),
    "catch_throw": lambda p, one: p.catch_throw(one, 1),
}


@pytest.mark.parametrize("one", FILTERS)
@pytest.mark.parametrize("way", FILTERING)
def test_filters_that_raise(scheduler, way, one):
    """What they raise rejects, and tells of the reason that they were asked about."""
    reason = Reason()
    promise = FILTERING[way](Promise.reject(reason), FILTERS[one])
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert type(promise.reason()) is Asked
    assert promise.reason().__context__ is reason


@pytest.mark.parametrize("kind", REASONS)
def test_reasons_of_filters_that_raise(scheduler, kind):
    """So it does for a reason of any kind that is an exception."""
    reason = REASONS[kind]()
    promise = Promise.reject(reason).catch(fails_with(Asked()), same)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    context = promise.reason().__context__
    assert context is (None if kind in VALUES else reason)


def test_the_context_of_what_filters_raise(scheduler):
    """It is not changed if there is one, nor made to lead to the error itself."""
    reason, cause, inner = ValueError("reason"), KeyError("cause"), TypeError("inner")
    inner.__context__ = cause
    reason.__context__ = cause
    circle = IndexError()
    circle.__context__ = LookupError()
    circle.__context__.__context__ = circle
    for rejected, raised, context in [
        (reason, inner, cause),
        (reason, reason, cause),
        (reason, cause, None),
        (circle, OSError(), None),
    ]:
        promise = Promise.reject(rejected).catch(fails_with(raised), same)
        promise.suppress_unhandled_rejections()
        scheduler.flush()
        assert promise.reason() is raised
        assert raised.__context__ is context


def test_a_mapping_that_cannot_be_read_is_no_filter(scheduler):
    """So it gets the error of any bad filter."""
    promise = refused().catch(BadMapping(attribute=1), same)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert type(promise.reason()) is TypeError
    assert "filter" in str(promise.reason())


# --- keys, and parts


@pytest.mark.parametrize("kind", VALUES)
def test_keys(scheduler, kind):
    """`get` and `call` reject with what comes of asking; and what is well is found."""
    value = Classless()
    value.attribute = 1
    found = Promise.resolve(value).get("attribute")
    promises = [
        Promise.resolve({}).get(VALUES[kind]()),
        Promise.resolve([]).get(VALUES[kind]()),
        Promise.resolve(VALUES[kind]()).get("missing"),
        Promise.resolve([]).call(VALUES[kind]()),
    ]
    for promise in promises:
        promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert 1 == found.value()
    assert all(type(p.reason()) in (Asked, TypeError, KeyError, AttributeError) for p in promises)


class Key:
    """Can be a key once, and never again."""

    def __init__(self):
        self.hashed = 0

    def __hash__(self):
        self.hashed += 1
        if self.hashed > 1:
            raise Asked
        return 1


def test_keys_of_a_mapping_whose_values_are_awaited(scheduler):
    """What they raise rejects."""
    promise = Promise.props({Key(): 1})
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert type(promise.reason()) is Asked


# --- looking


#: What looks at a promise (or its inspection) and changes nothing.
LOOKS = {
    "is_pending": lambda p: p.is_pending(),
    "is_fulfilled": lambda p: p.is_fulfilled(),
    "is_rejected": lambda p: p.is_rejected(),
    "is_cancelled": lambda p: p.is_cancelled(),
    "Promise repr": repr,
    "is_ itself": Promise.is_,
    "statistics": lambda _: Promise.statistics(),
}


@pytest.mark.parametrize("kind", REASONS)
def test_looks(scheduler, kind):
    """They tell of the outcome, not of what it says."""
    outcome = REASONS[kind]()
    for make, part in (Promise.resolve, "value"), (Promise.reject, "reason"):
        promise = make(outcome)
        reflected = promise.reflect()
        scheduler.flush()
        inspection = reflected.value()
        for name, look in LOOKS.items():
            assert look(promise) is not None
            if name.startswith("is_") and name != "is_ itself":
                assert look(promise) == look(inspection) == (name[3:] in repr(promise))
        assert getattr(promise, part)() is outcome
        assert getattr(inspection, part)() is outcome
        assert not Promise.is_(outcome)


#: Errors that carry something.
CARRYING = {
    "OperationalError": lambda value: OperationalError("message", value).cause,
    "RejectionError": lambda value: RejectionError("message", value).cause,
    "RejectionError wrap": lambda value: RejectionError.wrap(value).cause,
    "AggregateError": lambda value: AggregateError("message", [value]).errors[0],
    "AggregateError item": lambda value: AggregateError("message", [value])[0],
    "AggregateError iterated": lambda value: next(iter(AggregateError("message", [value]))),
    "AggregateError split": lambda value: (
        AggregateError("message", [value]).split(lambda _: True)[0].errors[0]
    ),
    "PromiseInspection": lambda value: Promise.resolve(value).reflect().value().value(),
}


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", CARRYING)
def test_errors_carry_them(scheduler, way, kind):
    """The very object is in there."""
    value = REASONS[kind]()
    assert CARRYING[way](value) is value


# --- all of this


#: Names to which no value can be handed, or to which a value is nothing but an argument of
#: somebody else's; and why.
NOTHING = {
    "IScheduler": "an interface",
    "PromiseError": "carries what any exception carries, and is not raised itself",
    "CancellationError": "carries what any exception carries",
    "TimeoutError": "carries what any exception carries; `timeout` makes it of a message",
    "PromiseWarning": "a category",
    "Disposer": "has no constructor for users; see `disposer` and `Disposer.of`",
    "long_stack_traces": "takes nothing",
    "suppress_unhandled_rejections": "takes nothing, and is called in nearly all of these tests",
    "value": "takes nothing, and is called in nearly all of these tests",
    "reason": "takes nothing, and is called in nearly all of these tests",
}


def test_all_public_names_are_tried():
    """A new name without a case here is a mistake of these tests."""
    tables = [WAYS, ASKING, FIRST, RAISED, LOGGED, FATAL, RAISES, REJECTS, NUMBERS, IGNORED]
    tables += [CALLED, FILTERING, LOOKS, CARRYING]
    tried = {key.replace(",", " ").split()[0] for table in tables for key in table}
    names = {name for name in dir(Promise) if not name.startswith("_")}
    # Bluebird's spellings.
    names -= {name for name in names if name[0].islower() and name != name.lower()}
    # One object with two names (`attempt` is `try_`) is tried by either.
    objects = {name: inspect.getattr_static(Promise, name) for name in names}
    first_names = {id(thing): name for name, thing in objects.items() if name in tried}
    names -= {name for name, thing in objects.items() if id(thing) in first_names} - tried
    names |= {*twpromise.__all__, *promisifiers.__all__} | {
        "Disposer.of",
        "coroutine.add_yield_handler",
    }
    assert tried | set(NOTHING) == names
    assert tried & set(NOTHING) == set()
