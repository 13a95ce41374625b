"""Twisted waits for a promise wherever it waits for a Deferred."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any

import pytest
from twisted.internet import defer
from twisted.internet.base import _ThreePhaseEvent
from twisted.internet.defer import Deferred, inlineCallbacks, setDebugging
from twisted.internet.task import Clock, Cooperator
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from tests.installed.doors import CANCELLABLE, DOORS, VALUE, Door
from tests.support.outcomes import result_of
from tests.support.promises import Boom, Source
from twpromise import Promise, install
from twpromise.testing import ManualScheduler

each_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
each_cancellable_door = pytest.mark.parametrize("door", CANCELLABLE.values(), ids=CANCELLABLE)
settled_or_not = pytest.mark.parametrize("early", [True, False], ids=["settled", "pending"])


@pytest.fixture(autouse=True, params=[False, True], ids=["plain", "debugging"])
def _debugging(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `setDebugging(True)`, and without."""
    setDebugging(request.param)
    yield
    setDebugging(False)


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """All errors that are logged."""
    events: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] is LogLevel.critical:
            events.append(event)

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def _errors(results: list[Any]) -> list[Any]:
    return [result.value if isinstance(result, Failure) else result for result in results]


@settled_or_not
@each_door
def test_twisted_waits_each_time(scheduler: ManualScheduler, door: Door, early: bool) -> None:
    """The same promise given twice gives its value twice, and not before it is fulfilled."""
    source = Source()
    if early:
        source.resolve(VALUE)
    results = [result_of(door(source.promise)), result_of(door(source.promise))]
    if not early:
        scheduler.flush()
        assert [[], []] == results
        source.resolve(VALUE)
    scheduler.flush()
    assert [[VALUE], [VALUE]] == results
    assert VALUE == source.promise.value()


@settled_or_not
@each_door
def test_a_rejection_reaches_each(
    scheduler: ManualScheduler, logged: list[LogEvent], door: Door, early: bool
) -> None:
    """A cached rejection refuses the second intruder too, and is logged nowhere else."""
    source = Source()
    if early:
        source.reject(Boom("refused"))
    caught: list[Any] = []
    results = [result_of(door(source.promise)), result_of(door(source.promise))]
    source.promise.catch(caught.append)
    if not early:
        source.reject(Boom("refused"))
    scheduler.flush()
    reason = source.promise.reason()
    assert [[reason], [reason]] == [_errors(result) for result in results]
    assert [reason] == caught
    del results, reason, caught, source
    gc.collect()
    own = [event for event in logged if event["log_namespace"] == "twpromise"]
    assert [] == own


@each_cancellable_door
def test_other_consumers_live_when_twisted_cancels(scheduler: ManualScheduler, door: Door) -> None:
    """Twisted's cancellation makes one consumer leave; another of Twisted's, and `then`, wait."""
    source = Source()
    other = source.promise.then(lambda value: value + "!")
    cancelled, result = door(source.promise), result_of(door(source.promise))
    errors = result_of(cancelled)
    cancelled.cancel()
    scheduler.flush()
    assert isinstance(errors[0], Failure)
    assert source.promise.is_pending()
    source.resolve(VALUE)
    scheduler.flush()
    assert [VALUE] == result
    assert VALUE + "!" == other.value()
    assert 0 == source.cancelled


@each_cancellable_door
def test_the_work_stops_with_the_last_consumer(scheduler: ManualScheduler, door: Door) -> None:
    """As if a last promise derived from it had been cancelled."""
    source = Source()
    deferred = door(source.promise)
    errors = result_of(deferred)
    deferred.cancel()
    scheduler.flush()
    assert isinstance(errors[0], Failure)
    assert source.promise.is_cancelled()
    assert 1 == source.cancelled


@settled_or_not
@pytest.mark.parametrize(
    "door",
    [
        DOORS["result_of_a_callback"],
        DOORS["yielded"],
        DOORS["maybe_deferred"],
        DOORS["fired"],
        DOORS["member_of_a_list"],
        DOORS["used_in_place"],
    ],
    ids=lambda door: door.__name__,
)
def test_a_rejection_is_reported_once(
    scheduler: ManualScheduler, logged: list[LogEvent], door: Door, early: bool
) -> None:
    """By Twisted, when its Deferred is collected; no longer by the promise."""
    source = Source()
    if early:
        source.reject(Boom("lost"))
    door(source.promise)
    if not early:
        source.reject(Boom("lost"))
    scheduler.flush()
    del source
    gc.collect()
    failures = [event["log_failure"].type for event in logged if "log_failure" in event]
    assert [Boom] == failures
    assert "twpromise" not in [event["log_namespace"] for event in logged]


@settled_or_not
def test_a_rejection_in_a_list_that_is_dropped(
    scheduler: ManualScheduler, logged: list[LogEvent], early: bool
) -> None:
    """Reported too, by Twisted: nothing looks at what the triggers of a shutdown have returned."""
    source = Source()
    if early:
        source.reject(Boom("lost"))
    event = _ThreePhaseEvent()
    event.addTrigger("before", lambda promise: promise, source.promise)
    event.fireEvent()
    source.reject(Boom("lost"))
    scheduler.flush()
    del source, event
    gc.collect()
    assert [Boom] == [event["log_failure"].type for event in logged if "log_failure" in event]


# --- rings --------------------------------------------------------------------------------


def test_a_deferred_is_not_fired_with_a_promise_that_waits_for_it(
    scheduler: ManualScheduler,
) -> None:
    """Both fail, with the error of a promise that is resolved with itself."""
    deferred: Deferred[Any] = Deferred()
    promise = Promise.from_deferred(deferred)
    deferred.callback(promise)
    scheduler.flush()
    assert isinstance(promise.reason(), TypeError)
    assert "circular" in str(promise.reason())


def test_a_ring_of_two(scheduler: ManualScheduler) -> None:
    """It is closed by the second of two Deferreds."""
    first: Deferred[Any] = Deferred()
    second: Deferred[Any] = Deferred()
    of_first, of_second = Promise.from_deferred(first), Promise.from_deferred(second)
    first.callback(of_second)
    second.callback(of_first)
    scheduler.flush()
    assert isinstance(of_first.reason(), TypeError)
    assert of_first.reason() is of_second.reason()


def test_a_promise_is_not_resolved_with_a_deferred_that_waits_for_it(
    scheduler: ManualScheduler,
) -> None:
    """The Deferred has been fired with the promise, or made of it."""
    for make in (defer.succeed, Promise.to_deferred):
        source = Source()
        source.resolve(make(source.promise))
        scheduler.flush()
        assert "circular" in str(source.promise.reason())


def test_a_generator_cannot_wait_for_itself(scheduler: ManualScheduler) -> None:
    """`yield` of a promise that has adopted the generator's own Deferred raises."""
    made: list[Any] = []
    start: Deferred[Any] = Deferred()

    @inlineCallbacks
    def wait() -> Any:
        yield start
        yield made[0]

    made.append(Promise.from_deferred(wait()))
    start.callback(None)
    scheduler.flush()
    assert isinstance(made[0].reason(), TypeError)


def test_callbacks_that_call_each_other() -> None:
    """Two Deferreds that `chainDeferred` has made a ring of are adopted as before."""
    first: Deferred[Any] = Deferred()
    second: Deferred[Any] = Deferred()
    first.chainDeferred(second)
    second.chainDeferred(first)
    source = Source()
    assert source.promise.then().is_pending()
    source.resolve(second)
    assert source.promise.is_pending()


def test_long_chains(scheduler: ManualScheduler) -> None:
    """Each link waits for the one before; they are no ring, and nothing recurses."""

    def fired(promise: Any) -> Any:
        deferred: Deferred[Any] = Deferred()
        deferred.callback(promise)
        return deferred

    for make in (fired, Promise.to_deferred):
        source = Source()
        promise: Any = source.promise
        for _ in range(1000):
            promise = Promise.resolve(make(promise))
        end: Deferred[Any] = Deferred()
        results = result_of(end)
        end.callback(promise)
        last = Source()
        derived = last.promise.then()
        last.resolve(promise.to_deferred())
        source.resolve(1)
        scheduler.flush()
        assert ([1], 1) == (results, derived.value())


def test_a_paused_deferred_is_fired(scheduler: ManualScheduler, logged: list[LogEvent]) -> None:
    """It is a consumer at once: it can be cancelled, and a rejection is not reported."""
    source, rejected = Source(), Source()
    for each in source, rejected:
        deferred: Deferred[Any] = Deferred()
        deferred.pause()
        deferred.callback(each.promise)
        if each is source:
            deferred.cancel()
        else:
            rejected.reject(Boom("paused"))
        scheduler.flush()
        deferred.unpause()
        assert [True] == [isinstance(result, Failure) for result in result_of(deferred)]
    assert source.promise.is_cancelled()
    assert [] == logged


# --- in place -----------------------------------------------------------------------------


def _refuse(_: object) -> None:
    raise Boom("refused")


def _refused(promise: Any) -> Any:
    promise.addCallback(_refuse)
    return promise


@inlineCallbacks
def _yields(promise: Any) -> Any:
    promise.addCallback(_refuse)
    return (yield promise)


@inlineCallbacks
def _returns(promise: Any) -> Any:
    yield None
    promise.addCallback(_refuse)
    return promise


async def _returns_as_coroutine(promise: Any) -> Any:
    promise.addCallback(_refuse)
    return promise


def _fires(promise: Any) -> Any:
    deferred: Deferred[Any] = Deferred()
    deferred.callback(_refused(promise))
    return deferred


_CHECKS: dict[str, Door] = {
    "callback": lambda promise: defer.succeed(None).addCallback(lambda _: _refused(promise)),
    "maybeDeferred": lambda promise: defer.maybeDeferred(_refused, promise),
    "ensureDeferred": lambda promise: defer.ensureDeferred(_refused(promise)),
    "fromCoroutine": lambda promise: Deferred.fromCoroutine(_refused(promise)),
    "coroutine": lambda promise: defer.ensureDeferred(_returns_as_coroutine(promise)),
    "list": lambda promise: defer.gatherResults([_refused(promise)]),
    "race": lambda promise: defer.race([_refused(promise)]),
    "yield": _yields,
    "return": _returns,
    "fire": _fires,
    "succeed": lambda promise: defer.succeed(_refused(promise)),
}


@settled_or_not
@pytest.mark.parametrize("check", _CHECKS.values(), ids=_CHECKS)
def test_what_was_added_in_place_is_waited_for(
    scheduler: ManualScheduler, check: Door, early: bool
) -> None:
    """However the function that has added it hands the promise over: a check must not be lost."""
    source = Source()
    if early:
        source.resolve(VALUE)
    results = result_of(check(source.promise))
    if not early:
        source.resolve(VALUE)
    scheduler.flush()
    assert [True] == [isinstance(result, Failure) for result in results]


def test_in_place_in_code_of_no_module(scheduler: ManualScheduler) -> None:
    """Code that `exec` runs, a template's for example, has no name."""
    names = {"promise": Promise.resolve(1)}
    exec("deferred = promise.addCallback(str)", names)
    assert ["1"] == result_of(names["deferred"])


@settled_or_not
def test_cancelling_what_waits_for_a_deferred_in_place(
    scheduler: ManualScheduler, early: bool
) -> None:
    """The Deferred that a callback has returned is cancelled, whether or not one waited before."""
    cancelled: list[Any] = []
    inner: Deferred[Any] = Deferred(cancelled.append)
    source = Source()

    @inlineCallbacks
    def wait() -> Any:
        if not early:
            yield source.promise
        promise: Any = Promise.resolve(1)
        promise.addCallback(lambda _: inner)
        yield promise

    waiting = wait()
    source.resolve(None)
    scheduler.flush()
    waiting.cancel()
    results = result_of(waiting)
    assert [inner] == cancelled
    assert [defer.CancelledError] == [failure.type for failure in results]


@settled_or_not
def test_in_place(scheduler: ManualScheduler, early: bool) -> None:
    """Callbacks that are added one by one are what the next that takes the promise waits for."""
    source = Source()
    if early:
        source.resolve(1)
    promise: Any = source.promise
    returned = promise.addCallback(lambda value: value + 1)
    assert type(returned) is Deferred
    assert returned is promise.addCallbacks(lambda value: value * 10)
    assert returned is promise.addErrback(lambda _: None)
    first = result_of(defer.maybeDeferred(lambda: promise))
    second = result_of(defer.maybeDeferred(lambda: promise))
    if not early:
        source.resolve(1)
    scheduler.flush()
    assert [20] == first
    assert [1] == second
    assert (1 == promise.then(lambda value: value) and promise.value()) or promise.value()


def test_in_place_is_not_seen_by_then_and_await(scheduler: ManualScheduler) -> None:
    """They are consumers of the promise itself."""
    promise: Any = Promise.resolve(1)
    assert [2] == result_of(promise.addBoth(lambda value: value + 1))
    promise.addBoth(lambda _: 3)

    async def wait() -> Any:
        return await promise

    then, awaited = promise.then(str), Promise.resolve(wait())
    scheduler.flush()
    assert ["1", 1] == [then.value(), awaited.value()]


def test_an_error_in_place_refuses(scheduler: ManualScheduler) -> None:
    """What a callback raises that was added in place fails what Twisted waits for."""
    promise: Any = Promise.resolve("wrong")

    def verify(_: object) -> None:
        raise Boom("refused")

    promise.addCallback(verify)
    results = result_of(defer.succeed(None).addCallback(lambda _: promise))
    assert ["refused"] == [str(result.value) for result in results]


def test_other_methods_in_place(scheduler: ManualScheduler) -> None:
    """`addTimeout` and `chainDeferred`; `asFuture` is a consumer of its own."""
    clock = Clock()
    source = Source()
    promise: Any = source.promise
    timed_out = result_of(promise.addTimeout(1, clock))
    clock.advance(1)
    assert isinstance(timed_out[0].value, defer.TimeoutError)
    chained: Deferred[Any] = Deferred()
    value: Any = Promise.resolve(5)
    value.chainDeferred(chained)
    assert [5] == result_of(chained)
    loop = asyncio.new_event_loop()
    assert 6 == Promise.resolve(6).asFuture(loop).result()  # type: ignore[attr-defined]
    loop.close()


def test_cancelling_in_place_and_the_promise(scheduler: ManualScheduler) -> None:
    """`cancel` of the promise is the promise's own; that of the Deferred makes one leave."""
    source = Source()
    promise: Any = source.promise
    other = promise.then()
    in_place = promise.addErrback(lambda _: "left")
    in_place.cancel()
    assert "left" == in_place.result
    assert promise.is_pending()
    promise.cancel()
    scheduler.flush()
    assert other.is_cancelled()


def test_looking_makes_nothing(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """A rejection is still reported after a debugger has looked at it."""
    promise: Any = Promise.reject(Boom("seen"))
    assert (True, 0) == (promise.called, promise.paused)
    assert "seen" == str(promise.result.value)
    assert hasattr(promise, "addCallback")
    scheduler.flush()
    assert ["seen"] == [str(event["log_failure"].value) for event in reports]
    fulfilled: Any = Promise.resolve(1)
    assert (True, 1) == (fulfilled.called, fulfilled.result)
    pending: Any = Source().promise
    assert (False, False) == (pending.called, hasattr(pending, "result"))
    pending.cancel()
    assert isinstance(pending.result.value, defer.CancelledError)
    used: Any = Promise.resolve(1)
    used.addCallback(str)
    assert (True, 0, "1") == (used.called, used.paused, used.result)


def test_a_deferred_in_place_that_waits(scheduler: ManualScheduler) -> None:
    """What takes the promise waits with it."""
    inner: Deferred[Any] = Deferred()
    promise: Any = Promise.resolve(1)
    promise.addCallback(lambda _: inner)
    results = result_of(defer.succeed(None).addCallback(lambda _: promise))
    assert [] == results
    inner.callback("inner")
    assert ["inner"] == results


def test_in_place_keeps_a_binding_and_a_context(scheduler: ManualScheduler) -> None:
    """A promise that is bound stays so."""
    source = Source()
    promise: Any = source.promise.bind("bound")
    promise.addCallback(lambda value: value + 1)
    taken = result_of(defer.maybeDeferred(lambda: promise))
    bound = promise.then(lambda this, value: (this, value))
    source.resolve(1)
    scheduler.flush()
    assert ("bound", 1) == bound.value()
    assert [2] == taken


def test_in_place_belongs_to_who_returns_the_promise(scheduler: ManualScheduler) -> None:
    """Another user of the promise does not get what the first one has left of it."""

    def use(promise: Any, results: list[Any]) -> None:
        promise.addCallback(results.append)
        promise.addErrback(lambda failure: results.append(failure.type))

    source, results = Source(), list[Any]()
    promise: Any = source.promise
    use(promise, results)
    use(promise, results)
    login = result_of(defer.maybeDeferred(lambda: promise))
    source.reject(Boom())
    scheduler.flush()
    assert [Boom, Boom] == results
    assert [Boom] == [failure.type for failure in login]


def test_in_place_while_a_variable_is_set(scheduler: ManualScheduler, context: Context) -> None:
    """What was added in place is waited for, whatever else the promise keeps."""
    for settle in ("resolve", "reject"):
        source = Source()
        promise: Any = source.promise
        promise.addBoth(lambda _: "changed")
        promise.bind("bound").addBoth(lambda _: None)
        getattr(source, settle)(Boom())
        results = result_of(defer.maybeDeferred(lambda promise=promise: promise))
        scheduler.flush()
        assert ["changed"] == results


@pytest.mark.usefixtures("no_collector", "context")
@pytest.mark.parametrize("settle", ["resolve", "reject"])
def test_the_calls_that_used_it_are_not_kept(scheduler: ManualScheduler, settle: str) -> None:
    """After the turn, even if the promise has been rejected in it, and keeps a context."""

    class Local:
        pass

    def use(promise: Any) -> weakref.ref[Any]:
        local = Local()
        promise.addBoth(lambda _: None)
        return weakref.ref(local)

    source = Source()
    promise = source.promise
    local = use(promise)
    getattr(source, settle)(Boom())
    scheduler.flush()
    assert local() is None


@pytest.mark.usefixtures("no_collector")
def test_nothing_is_kept(scheduler: ManualScheduler) -> None:
    """Neither the promise nor its Deferred, once both are dropped."""

    def use() -> list[weakref.ref[Any]]:
        promise: Any = Promise.resolve(1).then(lambda value: value)
        deferred = promise.addCallback(lambda value: value)
        defer.maybeDeferred(lambda: promise)
        scheduler.flush()
        return [weakref.ref(promise), weakref.ref(deferred)]

    assert [None, None] == [reference() for reference in use()]


# --- what else is a Deferred --------------------------------------------------------------


def test_a_promise_counts_as_a_deferred() -> None:
    """For libraries that ask; but `from_deferred` takes Deferreds only."""
    promise = Promise.resolve(1)
    assert isinstance(promise, Deferred)
    with pytest.raises(TypeError, match="deferred must be a Deferred"):
        Promise.from_deferred(promise)
    assert promise is Promise.resolve(promise)


def test_library_copies_too(scheduler: ManualScheduler) -> None:
    """Those that are made after `install`, as well."""
    value = Promise.get_new_library_copy().resolve(1)
    assert [1] == result_of(defer.maybeDeferred(lambda: value))
    assert [1] == result_of(defer.succeed(None).addCallback(lambda _: value))


def test_deferreds_are_taken_as_before() -> None:
    """Also those of a class that is derived after `install`."""

    class Later(Deferred[Any]):
        pass

    later = Later()
    assert later is defer.maybeDeferred(lambda: later)
    assert later is defer.ensureDeferred(later)
    outer = defer.succeed(None).addCallback(lambda _: later)
    results = result_of(outer)
    later.callback(1)
    assert [1] == results
    failed = result_of(defer.maybeDeferred(lambda: Failure(Boom("returned"))))
    assert [Boom] == [failure.type for failure in failed]

    async def give() -> int:
        return 1

    assert [1] == result_of(defer.maybeDeferred(give))
    assert [1] == result_of(defer.maybeDeferred(int, "1"))
    assert isinstance(result_of(defer.maybeDeferred(int, "x"))[0].value, ValueError)
    twice: Deferred[Any] = Deferred()
    twice.callback(1)
    with pytest.raises(defer.AlreadyCalledError):
        twice.callback(Promise.resolve(2))


def test_signatures_stay() -> None:
    """`inspect` shows Twisted's parameters."""
    assert ["f", "args", "kwargs"] == list(inspect.signature(defer.maybeDeferred).parameters)
    assert ["result"] == list(inspect.signature(defer.succeed).parameters)
    assert ["self", "result"] == list(inspect.signature(Deferred.callback).parameters)
    assert "consumeErrors" in inspect.signature(defer.DeferredList).parameters


def test_calling_it_again_does_nothing() -> None:
    """Nothing is replaced twice."""
    before = Deferred.callback
    install()
    assert before is Deferred.callback


def test_a_list_of_both() -> None:
    """A `DeferredList` takes promises and Deferreds together."""
    mixed = defer.gatherResults([defer.succeed(1), Promise.resolve(2)])  # type: ignore[list-item]
    assert [[1, 2]] == result_of(mixed)


def test_what_promises_did_before(scheduler: ManualScheduler) -> None:
    """They adopt a Deferred that has fired, and are awaited by Twisted's coroutines in a drain."""
    assert 1 == Promise.resolve(defer.succeed(1)).value()

    async def wait() -> Any:
        return await Promise.delay(1, "awaited")

    promise = Promise.resolve().then(lambda _: defer.ensureDeferred(wait()))
    scheduler.advance(1)
    assert "awaited" == promise.value()


def test_cooperate_goes_on(scheduler: ManualScheduler) -> None:
    """With the next step, once the promise is fulfilled."""
    calls: list[Callable[[], object]] = []
    source = Source()
    steps: list[int] = []

    def work() -> Any:
        for step in range(3):
            steps.append(step)
            yield source.promise if step == 1 else None

    done = result_of(Cooperator(scheduler=calls.append).coiterate(work()))

    def run() -> None:
        while calls:
            calls.pop()()

    run()
    assert [0, 1] == steps
    source.resolve(None)
    scheduler.flush()
    run()
    assert ([0, 1, 2], 1) == (steps, len(done))
