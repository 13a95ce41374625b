"""Values and reasons that raise whatever is asked of them, and exceptions that are like no other.

Promises carry them all the same: through each method of the public API the very object comes out
again, or what it raised where somebody has to ask it something (a filter of `catch`, say); nothing
pends for ever, nothing escapes to whoever settles a promise, and nothing is logged.
"""

from __future__ import annotations

import asyncio
import pickle
from functools import partial

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from twpromise import AggregateError, Disposer, OperationalError, Promise, RejectionError


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


class Base(BaseException):
    pass


VALUES = {"hostile": Hostile, "classless": Classless}
REASONS = {
    **VALUES,
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


#: What takes a promise, and gives one with the same outcome.
WAYS = {
    "then": lambda p: p.then(same),
    "followed": lambda p: Promise.resolve().then(lambda _: p),
    "finally_": lambda p: p.finally_(lambda: None),
    "tap": lambda p: p.tap(same),
    "tap_catch": lambda p: p.tap_catch(lambda _: None),
    "return_": lambda p: p.then(lambda value: Promise.resolve().return_(value)),
    "throw": lambda p: p.catch(lambda reason: Promise.resolve().throw(reason)),
    "all": lambda p: first(Promise.all([p, 1])),
    "race": lambda p: Promise.race([p]),
    "all_settled": lambda p: first(Promise.all_settled([p])).then(inspected),
    "props": lambda p: Promise.props({"key": p}).get("key"),
    "map": lambda p: first(Promise.map([p], same)),
    "map with a limit": lambda p: first(Promise.map([p], same, concurrency=1)),
    "mapper": lambda p: first(Promise.map([1], lambda _: p)),
    "filter": lambda p: first(Promise.filter([p], lambda _: True)),
    "reduce": lambda p: Promise.reduce([1, p], lambda _, value: value),
    "initial": lambda p: Promise.reduce([1], lambda value, _: value, p),
    "each": lambda p: first(Promise.each([p], lambda _: None)),
    "map_series": lambda p: first(Promise.map_series([p], same)),
    "join": lambda p: Promise.join(p, 1, lambda value, _: value),
    "spread": lambda p: Promise.resolve([p]).spread(same),
    "delay": lambda p: p.delay(1),
    "timeout": lambda p: p.timeout(5),
    "reflect": lambda p: p.reflect().then(inspected),
    "using": lambda p: Promise.using(p, same),
    "disposer": lambda p: Promise.using(p.disposer(lambda _: None), same),
    "generator": yields,
    "coroutine": lambda p: Promise.resolve(awaits(p)),
    "as_callback": lambda p: Promise.from_callback(lambda callback: p.as_callback(callback)),
    "promisify": lambda p: p.then(Promise.promisify(lambda value, back: back(None, value))),
    "bind": lambda p: Promise.bind(Promise.resolve(1)).then(lambda this, _: p),
    "bound": lambda p: Promise.resolve(1).bind(p).then(lambda this, _: this),
    "method": lambda p: Promise.method(lambda: p)(),
    "executor": lambda p: Promise(lambda resolve, reject: resolve(p)),
    "get": lambda p: p.then(lambda value: Promise.resolve([value]).get(0)),
    "call": lambda p: p.then(lambda value: Promise.resolve([value]).call("pop")),
}
#: What has to ask a reason something, to know whether it concerns it.
ASKING = {
    "catch": lambda p: p.catch(KeyError, same),
    "catch with attributes": lambda p: p.catch({"code": 1}, same),
    "error": lambda p: p.error(same),
    "to_deferred": lambda p: Promise.from_deferred(p.to_deferred()),
    "all of Deferreds": lambda p: first(Promise.all([p.to_deferred()])),
}
FIRST = {"any": lambda p: Promise.any([p]), "some": lambda p: first(Promise.some([p], 1))}

settled = pytest.mark.parametrize("settled", ["before", "after"])
watched = pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])


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
@watched
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("way", [*WAYS, *FIRST])
def test_values(outcome, kind, way):
    """The very value comes out again."""
    value = VALUES[kind]()
    fulfilled, out = outcome({**WAYS, **FIRST}[way], "resolve", value)
    assert fulfilled
    assert out is value


@settled
@watched
@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", WAYS)
def test_reasons(outcome, kind, way):
    """The very reason comes out again; or is the cause of what stands for it."""
    reason = REASONS[kind]()
    fulfilled, out = outcome(WAYS[way], "reject", reason)
    assert not fulfilled
    if type(out) in (RejectionError, OperationalError):
        # What is no exception cannot be raised, and comes through no callback as it is.
        out = out.cause
    elif type(out) is RuntimeError:
        # PEP 479, for StopIteration.
        out = out.__cause__
    assert out is reason


@settled
@watched
@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", ASKING)
def test_reasons_that_are_asked(outcome, kind, way):
    """The reason comes out, or what stands for it, or what it has raised when it was asked."""
    reason = REASONS[kind]()
    fulfilled, out = outcome(ASKING[way], "reject", reason)
    assert not fulfilled
    assert out is reason or type(out) in (Asked, RejectionError)


@settled
@watched
@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize("way", FIRST)
def test_reasons_of_none(outcome, kind, way):
    """They stand in the `AggregateError`."""
    reason = REASONS[kind]()
    fulfilled, out = outcome(FIRST[way], "reject", reason)
    assert (False, AggregateError) == (fulfilled, type(out))
    assert out.errors[0] is reason


@settled
@watched
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("way", ["to_deferred", "all of Deferreds"])
def test_values_that_no_deferred_can_carry(outcome, kind, way):
    """Twisted asks for the class of each; the Deferred fails with what came of that."""
    fulfilled, out = outcome(ASKING[way], "resolve", VALUES[kind]())
    assert (False, Asked) == (fulfilled, type(out))


@pytest.mark.parametrize("kind", REASONS)
def test_they_are_reported(scheduler, reports, kind):
    """Once, like any other that nobody handles."""
    Promise.reject(REASONS[kind]())
    scheduler.flush()
    assert ["Unhandled rejection in Promise"] == [event["log_format"] for event in reports]


@pytest.mark.parametrize("kind", [name for name in REASONS if name not in VALUES])
@pytest.mark.parametrize("where", ["handler", "executor", "generator", "coroutine", "mapper"])
def test_they_are_raised(scheduler, kind, where):
    """Whoever raises one rejects with it."""
    error = REASONS[kind]()

    def fails(*_):
        raise error

    async def coroutine():
        raise error

    @Promise.coroutine
    def generator():
        yield Promise.resolve()
        raise error

    promise = {
        "handler": lambda: Promise.resolve().then(fails),
        "executor": lambda: Promise(fails),
        "generator": generator,
        "coroutine": lambda: Promise.resolve(coroutine()),
        "mapper": lambda: Promise.map([1], fails),
    }[where]()
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    reason = promise.reason()
    if type(reason) is RuntimeError:
        # PEP 479, for StopIteration in a generator.
        reason = reason.__cause__
    assert reason is error


@pytest.mark.parametrize("kind", [name for name in REASONS if name not in VALUES])
def test_they_are_what_a_deferred_fails_with(scheduler, kind):
    """And what is caught behind it."""
    error = REASONS[kind]()

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
