"""`from_deferred(d, unclaimed=f)`: a value that reaches no consumer is given back, once."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredLock,
    DeferredQueue,
    inlineCallbacks,
    succeed,
)
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from tests.support.outcomes import outcome, reasons, result_of
from tests.support.promises import Boom, fail, pending, quiet
from tests.support.slices import Slices
from tests.support.worlds import DRIVERS, World
from twpromise import Deadline, Promise, TimeoutError
from twpromise._core import draining
from twpromise._core.ending import when_ended
from twpromise.loops import LoopScheduler, use_running_loop
from twpromise.testing import ManualScheduler


class Item:
    """Comes from a Deferred, and is used or given back."""

    def __init__(self, canceller: Any = None) -> None:
        self.deferred: Deferred[Any] = Deferred(canceller)
        self.used: list[Any] = []
        self.given_back: list[Any] = []

    def take(self) -> Promise[Any]:
        """A promise for it, which takes care that it does not get lost."""
        return Promise.from_deferred(self.deferred, unclaimed=self.given_back.append)

    def use(self, value: Any) -> None:
        """A consumer has it."""
        self.used.append(value)

    def came(self) -> tuple[int, int]:
        """How often it was used, and given back."""
        return len(self.used), len(self.given_back)


def same(value: Any) -> Any:
    return value


#: What may stand between the promise and its consumer, and only passes the value on.
BETWEEN: dict[str, Callable[[Promise[Any]], Promise[Any]]] = {
    "nothing": same,
    "a timeout": lambda promise: promise.timeout(5),
    "a deadline": lambda promise: promise.timeout(Deadline(5)),
    "two timeouts": lambda promise: promise.timeout(5).timeout(6),
    "a follower": lambda promise: Promise.resolve().then(lambda _: promise),
    "a follower of a timeout": lambda promise: Promise.resolve().then(lambda _: promise.timeout(5)),
    "followers": lambda promise: Promise.resolve().then(
        lambda _: Promise.resolve().then(lambda _: promise)
    ),
    "a catch": lambda promise: promise.catch(KeyError, fail),
    "an empty then": lambda promise: promise.then(),
    "all of them": lambda promise: (
        Promise.resolve().then(lambda _: promise.timeout(5).then()).timeout(6).catch(KeyError, fail)
    ),
}
between_each = pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)


# --- a value that reaches its consumer


@between_each
def test_a_value_that_reaches_a_consumer_is_not_given_back(
    scheduler: ManualScheduler, between: Any
) -> None:
    """Whatever it has passed through."""
    item = Item()
    promise = between(item.take()).then(item.use)
    scheduler.flush()
    item.deferred.callback("value")
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (["value"], []) == (item.used, item.given_back)


def test_a_deferred_that_has_fired(scheduler: ManualScheduler) -> None:
    """The promise settles in the next turn, so that it can be given up until then."""
    used: list[Any] = []
    given_back: list[Any] = []
    promise = Promise.from_deferred(succeed("value"), unclaimed=given_back.append)
    assert promise.is_pending()
    promise.then(used.append)
    scheduler.flush()
    assert (("fulfilled", "value"), ["value"], []) == (outcome(promise), used, given_back)


def test_a_promise_without_a_consumer_keeps_its_value(scheduler: ManualScheduler) -> None:
    """Nothing has left: a consumer may come later."""
    item = Item()
    promise = item.take()
    timed = promise.timeout(5)
    item.deferred.callback("value")
    scheduler.flush()
    assert (0, 0) == item.came()
    timed.then(item.use)
    promise.then(item.use)
    scheduler.flush()
    assert (2, 0) == item.came()


def test_a_promise_that_is_only_observed_keeps_its_value(scheduler: ManualScheduler) -> None:
    """What observes it is notified, and is no consumer that could leave."""
    item = Item()
    promise = item.take()
    seen: list[str] = []
    when_ended(promise, lambda: seen.append("ended"))
    item.deferred.callback("value")
    scheduler.flush()
    assert (("fulfilled", "value"), (0, 0)) == (outcome(promise), item.came())
    assert ["ended"] == seen


def test_a_promise_whose_consumers_have_left_on_the_way_is_cancelled(
    scheduler: ManualScheduler,
) -> None:
    """One that comes later does not get what was given back."""
    item = Item()
    follower = Promise.resolve().then(lambda _: item.take())
    consumer = follower.then(item.use)
    scheduler.flush()
    item.deferred.callback("value")
    # It runs when what is followed has been fulfilled.
    Promise.resolve().then(lambda _: consumer.cancel())
    scheduler.flush()
    assert ((0, 1), True) == (item.came(), follower.is_cancelled())


def test_a_failure_is_passed_on(scheduler: ManualScheduler) -> None:
    """There is no value to give back."""
    item, error = Item(), Boom()
    promise = quiet(item.take().then(item.use))
    item.deferred.errback(error)
    scheduler.flush()
    assert (("rejected", error), (0, 0)) == (outcome(promise), item.came())


def test_a_later_adoption_gets_the_value(scheduler: ManualScheduler) -> None:
    """As without `unclaimed`; with it, it may give the value back in its turn."""
    item = Item()
    item.take().then(item.use)
    item.deferred.callback("value")
    later = [Promise.from_deferred(item.deferred), item.take()]
    scheduler.flush()
    assert ["value", "value"] == [promise.value() for promise in later]
    assert (1, 0) == item.came()


@pytest.mark.parametrize("late", [False, True], ids=["in the turn", "later"])
def test_a_value_that_was_given_back_is_not_given_out_again(
    scheduler: ManualScheduler, late: bool
) -> None:
    """A promise that adopts the Deferred after that is rejected, and says why."""
    item = Item()
    promise = item.take().then(item.use)
    if late:
        promise.cancel()
    item.deferred.callback("value")
    promise.cancel()
    scheduler.flush()
    again = [quiet(Promise.from_deferred(item.deferred)), quiet(item.take())]
    scheduler.flush()
    assert [True, True] == ["given to `unclaimed`" in str(each.reason()) for each in again]
    assert (0, 1) == item.came()


@pytest.mark.parametrize("value", [None, 0, ""], ids=repr)
def test_any_value_is_given_back(scheduler: ManualScheduler, value: Any) -> None:
    """None, too."""
    item = Item()
    promise = item.take().then(item.use)
    item.deferred.callback(value)
    promise.cancel()
    scheduler.flush()
    assert [value] == item.given_back


def test_several_consumers_of_which_some_leave(scheduler: ManualScheduler) -> None:
    """The value has reached the one that stayed."""
    item = Item()
    promise = item.take()
    consumers = [promise.then(item.use) for _ in range(3)]
    item.deferred.callback("value")
    consumers[0].cancel()
    consumers[2].cancel()
    scheduler.flush()
    assert (1, 0) == item.came()


def test_several_consumers_behind_timeouts_that_all_leave(scheduler: ManualScheduler) -> None:
    """It is given back once, when the last branch has ended."""
    item = Item()
    promise = item.take()
    consumers = [promise.timeout(5).then(item.use), promise.timeout(6).then(item.use)]
    item.deferred.callback("value")
    # Runs when the value has come to the timeouts, and not to what stands behind them.
    Promise.resolve().then(lambda _: [consumer.cancel() for consumer in consumers])
    scheduler.flush()
    assert (0, 1) == item.came()


def test_several_timeouts_of_which_some_are_cancelled(scheduler: ManualScheduler) -> None:
    """The value has reached the one behind which a consumer stayed."""
    item = Item()
    promise = item.take()
    consumers = [promise.timeout(5).then(item.use) for _ in range(3)]
    consumers[0].cancel()
    item.deferred.callback("value")
    consumers[1].cancel()
    scheduler.flush()
    assert ((1, 0), []) == (item.came(), scheduler.clock.getDelayedCalls())


@pytest.mark.usefixtures("short_slices")
def test_the_first_consumer_that_is_left_gets_it_at_once(slices: Slices) -> None:
    """A promise that has been fulfilled for it cannot be left by it any more."""
    for step in range(10):
        item = Item()
        follower = Promise.resolve().then(lambda _, item=item: item.take())
        consumers = [follower.then(item.use) for _ in range(20)]
        slices.flush()
        item.deferred.callback("value")
        for number in range(step):
            slices.turn()
            if number == 0:
                # When what is followed has been fulfilled.
                for consumer in consumers[:-1]:
                    consumer.cancel()
        for consumer in consumers:
            consumer.cancel()
        slices.flush()
        assert item.came() in ((0, 1), (1, 0))
        assert follower.is_fulfilled() == bool(item.used)


def test_observers_are_no_consumers(scheduler: ManualScheduler) -> None:
    """What only waits for the end does not claim the value, and is notified."""
    item = Item()
    promise = item.take()
    timed = promise.timeout(5)
    consumer = timed.then(item.use)
    seen: list[str] = []
    when_ended(timed, lambda: seen.append("ended"))
    item.deferred.callback("value")
    Promise.resolve().then(lambda _: consumer.cancel())
    scheduler.flush()
    assert ((0, 1), ["ended"]) == (item.came(), seen)


# --- in the turn in which it comes


@between_each
@pytest.mark.parametrize("first", ["value", "cancel"])
def test_the_last_consumer_leaves_in_the_turn_of_the_value(
    scheduler: ManualScheduler, between: Any, first: str
) -> None:
    """Whichever of the two comes first."""
    item = Item()
    promise = between(item.take()).then(item.use)
    scheduler.flush()
    if first == "value":
        item.deferred.callback("value")
    promise.cancel()
    if first == "cancel":
        item.deferred.callback("value")
    scheduler.flush()
    assert ([], ["value"]) == (item.used, item.given_back)
    assert [] == scheduler.clock.getDelayedCalls()


def test_what_stands_behind_the_promise_is_not_cancelled_with_it(
    scheduler: ManualScheduler,
) -> None:
    """The Deferred has fired, and waits for another one by now."""
    item, other = Item(), Item(lambda deferred: deferred.errback(Boom()))
    promise = item.take().then(item.use)
    item.deferred.addCallback(lambda _: other.deferred)
    item.deferred.callback("value")
    promise.cancel()
    scheduler.flush()
    assert ((0, 1), False) == (item.came(), other.deferred.called)


@between_each
def test_the_promise_itself_is_cancelled_in_the_turn_of_the_value(
    scheduler: ManualScheduler, between: Any
) -> None:
    """Also if it has no consumer, and the Deferred had fired before."""
    given_back: list[Any] = []
    promise = between(Promise.from_deferred(succeed("value"), unclaimed=given_back.append))
    promise.cancel()
    scheduler.flush()
    # A follower has adopted nothing before its handler was called.
    assert given_back in (["value"], [])
    assert promise.is_cancelled()


async def awaiting(item: Item, between: Any) -> None:
    item.use(await between(item.take()))


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain looks at the clock after every handler."""
    # Two: what follows `_Rest` in the queue is taken with it.
    monkeypatch.setattr(draining, "_CHUNK", range(2))


@between_each
@pytest.mark.parametrize("way", ["chain", "coroutine", "deferred"])
@pytest.mark.usefixtures("short_slices")
def test_cancelled_between_any_two_steps(slices: Slices, between: Any, way: str) -> None:
    """The reactor has a turn between any two handlers, and cancels in one of them."""
    ends = []
    for step in range(30):
        item = Item()

        def begin(item: Item = item) -> Any:
            chain = way == "chain"
            return between(item.take()).then(item.use) if chain else awaiting(item, between)

        handle = World(way, slices).start(begin)
        slices.flush()
        item.deferred.callback("value")
        slices.turn(step)
        handle.cancel()
        slices.flush()
        ends.append(item.came())
    # From some step on it has been used.
    given_back = ends.count((0, 1))
    assert 30 > given_back > 0
    assert [(0, 1)] * given_back + [(1, 0)] * (30 - given_back) == ends


async def entering(item: Item, between: Any) -> None:
    async with between(item.take()).disposer(item.given_back.append) as value:
        item.use(value)
        await Promise.resolve().then(same)


@between_each
@pytest.mark.parametrize("way", ["chain", "coroutine", "deferred"])
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
@pytest.mark.usefixtures("short_slices")
def test_a_disposer_and_unclaimed_release_once(
    slices: Slices, between: Any, way: str, others: bool
) -> None:
    """Whenever the use is cancelled, either of the two gets it; others may have it, too."""
    for step in range(30):
        item = Item()
        seen: list[Any] = []

        def begin(item: Item = item, seen: list[Any] = seen) -> Any:
            if way != "chain":
                return entering(item, between)
            resource = between(item.take())
            if others:
                resource.then(seen.append)
            return Promise.using(resource.disposer(item.given_back.append), item.use)

        handle = World(way, slices).start(begin)
        slices.flush()
        item.deferred.callback("value")
        slices.turn(step)
        handle.cancel()
        slices.flush()
        assert (step, ["value"]) == (step, item.given_back)


@between_each
def test_cancelled_by_each_of_the_handlers_before(scheduler: ManualScheduler, between: Any) -> None:
    """One of many handlers in the queue cancels: it runs before, between or behind the hops."""
    ends = set()
    for hops in range(12):
        item = Item()
        consumer = between(item.take()).then(item.use)
        scheduler.flush()
        before = Promise.resolve()
        for _ in range(hops):
            before = before.then()
        before.then(lambda _, consumer=consumer: consumer.cancel())
        item.deferred.callback("value")
        scheduler.flush()
        ends.add(item.came())
    assert {(0, 1), (1, 0)} == ends


@between_each
@pytest.mark.parametrize("ours", [False, True], ids=["asyncio's task", "promise's task"])
@pytest.mark.usefixtures("short_slices")
def test_a_task_that_is_cancelled_between_any_two_turns_of_the_loop(
    between: Any, ours: bool
) -> None:
    """A task is resumed a turn after it was woken; it may be cancelled in between."""
    ends = set()

    async def attempt(turns: int) -> None:
        item = Item()
        if ours:
            task: Any = Promise.resolve(awaiting(item, between))
        else:
            task = asyncio.get_running_loop().create_task(awaiting(item, between))
        for _ in range(20):
            await asyncio.sleep(0)
        item.deferred.callback("value")
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        for _ in range(40):
            await asyncio.sleep(0)
        ends.add(item.came())

    async def main() -> None:
        scheduler = LoopScheduler(time_slice=0)
        previous = Promise.set_scheduler(scheduler)
        try:
            for turns in range(30):
                await attempt(turns)
        finally:
            Promise.set_scheduler(previous)
            scheduler._clear_timers()

    asyncio.run(main())
    assert {(0, 1), (1, 0)} == ends


def test_tasks_of_which_all_are_cancelled(scheduler: ManualScheduler) -> None:
    """One before the value came, one when it had been woken with it."""

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        async with use_running_loop():
            item = Item()
            promise = item.take()

            async def wait() -> None:
                item.use(await promise)

            tasks = [loop.create_task(wait()) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.sleep(0)
            item.deferred.callback("value")
            # Once for the drain, which is to come before the tasks are resumed.
            loop.call_soon(tasks[1].cancel)
            loop.call_soon(tasks[2].cancel)
            for _ in range(10):
                await asyncio.sleep(0)
            assert [True] * 3 == [task.cancelled() for task in tasks]
            return item.came()

    assert (0, 1) == asyncio.run(main())


# --- later


@pytest.mark.parametrize("canceller", [None, lambda _: None], ids=["none", "never answers"])
@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_value_that_comes_when_nothing_waits_any_more(
    scheduler: ManualScheduler, canceller: Any, how: str
) -> None:
    """The Deferred fires all the same, once; the canceller has been called."""
    called: list[Any] = []
    item = Item(canceller and called.append)
    promise = quiet(item.take().then(item.use).timeout(5))
    scheduler.advance(1)
    if how == "cancelled":
        promise.cancel()
    scheduler.advance(5)
    later = quiet(item.take())
    later.cancel()
    # Once.
    assert ([item.deferred] if canceller else [], (0, 0)) == (called, item.came())
    item.deferred.callback("value")
    scheduler.flush()
    assert ([], ["value"]) == (item.used, item.given_back)
    assert TimeoutError is type(promise.reason()) if how == "timed out" else promise.is_cancelled()


def test_a_canceller_that_answers_with_the_value(scheduler: ManualScheduler) -> None:
    """It was there already, say."""
    item = Item(lambda deferred: deferred.callback("value"))
    item.take().then(item.use).cancel()
    scheduler.flush()
    assert ([], ["value"]) == (item.used, item.given_back)


@pytest.mark.parametrize(
    "canceller",
    [lambda deferred: deferred.errback(Boom()), lambda _: None, None],
    ids=["fails", "never answers", "none"],
)
def test_a_failure_that_comes_when_nothing_waits_any_more(
    scheduler: ManualScheduler, canceller: Any
) -> None:
    """It is of no interest, as without `unclaimed`."""
    item = Item(canceller)
    item.take().then(item.use).cancel()
    scheduler.flush()
    if not item.deferred.called:
        item.deferred.errback(Boom())
    scheduler.flush()
    assert (0, 0) == item.came()


def test_a_canceller_that_raises(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """It is logged; the value that comes all the same is given back."""

    def canceller(deferred: Deferred[Any]) -> None:
        raise Boom

    item = Item(canceller)
    promise = item.take().then(item.use)
    promise.cancel()
    scheduler.flush()
    assert (True, [Boom]) == (promise.is_cancelled(), [type(error) for error in reasons(reports)])
    item.deferred.callback("value")
    scheduler.flush()
    assert (0, 1) == item.came()


def test_callbacks_of_the_deferred_make_the_value(scheduler: ManualScheduler) -> None:
    """What is given back is what they have made of it, if nothing stops the Deferred."""
    item = Item()
    item.deferred.addCallback(lambda value: f"{value}, wrapped")
    item.take().then(item.use).cancel()
    scheduler.flush()
    item.deferred.callback("value")
    scheduler.flush()
    assert ["value, wrapped"] == item.given_back


def test_callbacks_of_a_deferred_that_can_be_cancelled(scheduler: ManualScheduler) -> None:
    """They see Twisted's CancelledError, as ever: so they can clean up."""
    item = Item(lambda _: None)
    seen: list[Failure] = []
    item.deferred.addErrback(lambda failure: seen.append(failure) or failure)
    item.take().then(item.use).cancel()
    scheduler.flush()
    assert [CancelledError] == [failure.type for failure in seen]
    item.deferred.callback("dropped by Twisted")
    scheduler.flush()
    assert (0, 0) == item.came()


@pytest.mark.parametrize("stoppable", [False, True])
def test_a_deferred_that_waits_for_another(scheduler: ManualScheduler, stoppable: bool) -> None:
    """The other one is cancelled; if nothing stops it, its value is given back."""
    inner = Item((lambda _: None) if stoppable else None)
    item = Item()
    item.deferred.callback(None)
    item.deferred.addCallback(lambda _: inner.deferred)
    item.take().then(item.use).cancel()
    assert stoppable == inner.deferred.called
    inner.deferred.callback("value")
    scheduler.flush()
    assert (0, int(not stoppable)) == item.came()


def test_a_coroutine_of_twisteds(scheduler: ManualScheduler) -> None:
    """It is cancelled where it waits; one that returns a value all the same has it given back."""

    @inlineCallbacks
    def stubborn() -> Any:
        try:
            yield Deferred()
        except CancelledError:
            pass
        return "value"

    given_back: list[Any] = []
    promise = Promise.from_deferred(stubborn(), unclaimed=given_back.append).then()
    promise.cancel()
    scheduler.flush()
    assert (True, ["value"]) == (promise.is_cancelled(), given_back)


def test_a_value_that_is_followed(scheduler: ManualScheduler) -> None:
    """The promise follows it; it is not for this to give back."""
    item = Item()
    item.deferred.addCallback(lambda _: Promise.resolve("followed"))
    promise = item.take().then(item.use)
    item.deferred.callback(None)
    scheduler.flush()
    assert (["followed"], []) == (item.used, item.given_back)
    promise.cancel()


def test_a_value_that_is_followed_and_comes_when_nothing_waits(scheduler: ManualScheduler) -> None:
    """It is left alone: what it is fulfilled with may be wanted elsewhere."""
    item = Item()
    followed, resolve, _ = pending()
    item.deferred.addCallback(lambda _: followed)
    item.take().then(item.use).cancel()
    item.deferred.callback(None)
    resolve("value")
    scheduler.flush()
    assert (("fulfilled", "value"), (0, 0)) == (outcome(followed), item.came())


# --- a Deferred that is adopted more than once


@pytest.mark.parametrize("leaves", [[0], [1], [0, 1]], ids=str)
@pytest.mark.parametrize("when", ["before", "in the turn", "in its turn, first"])
@pytest.mark.parametrize("guarded", [[True, True], [True, False], [False, True]], ids=str)
def test_two_promises_for_one_deferred(
    scheduler: ManualScheduler, leaves: list[int], when: str, guarded: list[bool]
) -> None:
    """The value is given back once, if none of the two gets it.

    If one of them was made without `unclaimed`, and has it, it may get lost as ever.
    """
    item = Item()
    promises = [
        item.take() if certain else Promise.from_deferred(item.deferred) for certain in guarded
    ]
    consumers = [promise.then(item.use) for promise in promises]

    def leave() -> None:
        for number in leaves:
            consumers[number].cancel()

    if when == "before":
        leave()
        scheduler.flush()
    elif when == "in its turn, first":
        leave()
    item.deferred.callback("value")
    if when == "in the turn":
        leave()
    scheduler.flush()
    used, given_back = item.came()
    assert 2 - len(leaves) == used
    if used or all(guarded):
        assert (not used) == given_back
    else:
        assert given_back <= 1


# --- how it is called


def test_in_its_context_and_from_the_queue(scheduler: ManualScheduler) -> None:
    """That is the one in which `from_deferred` was called."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[str] = []
    deferred: Deferred[Any] = Deferred()
    variable.set("of the caller")
    promise = Promise.from_deferred(deferred, unclaimed=lambda _: seen.append(variable.get()))
    variable.set("of another")
    promise.cancel()
    deferred.callback("value")
    assert [] == seen
    scheduler.flush()
    assert ["of the caller"] == seen


def test_what_it_raises_is_logged(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """It has no caller to go to."""
    deferred: Deferred[Any] = Deferred()
    Promise.from_deferred(deferred, unclaimed=fail).cancel()
    deferred.callback("value")
    scheduler.flush()
    assert [Boom] == [type(error) for error in reasons(reports)]


@pytest.mark.parametrize("fails", [False, True])
def test_an_async_function_is_run(
    scheduler: ManualScheduler, reports: list[LogEvent], fails: bool
) -> None:
    """To its end; what it raises is logged."""
    seen: list[Any] = []

    async def unclaimed(value: str) -> None:
        await Promise.delay(1)
        seen.append(value)
        if fails:
            raise Boom

    deferred: Deferred[str] = Deferred()
    Promise.from_deferred(deferred, unclaimed=unclaimed).cancel()
    deferred.callback("value")
    scheduler.advance(1)
    assert ["value"] == seen
    assert ([Boom] if fails else []) == [type(error) for error in reasons(reports)]


@pytest.mark.parametrize("wrong", [5, "release", []], ids=repr)
def test_what_cannot_be_called_is_refused(scheduler: ManualScheduler, wrong: Any) -> None:
    """By its name; and the Deferred is left alone."""
    deferred: Deferred[Any] = succeed("value")
    with pytest.raises(TypeError, match="unclaimed must be callable, not"):
        Promise.from_deferred(deferred, unclaimed=wrong)
    assert ["value"] == result_of(deferred)


def test_a_timeout_waits_for_what_is_queued(scheduler: ManualScheduler) -> None:
    """A value that came in time is passed on by a queue that lags."""
    item = Item()
    promise = item.take().timeout(5).then(item.use)
    scheduler.flush()
    scheduler.clock.advance(1)
    item.deferred.callback("value")
    scheduler.clock.advance(4.5)
    assert promise.is_pending()
    scheduler.flush()
    assert (1, 0) == item.came()


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.usefixtures("no_collector")
def test_no_cycle_keeps_the_value(scheduler: ManualScheduler, leaves: bool) -> None:
    """Reference counting frees it, used or given back."""

    class Value:
        pass

    def attempt() -> weakref.ref[Value]:
        value = Value()
        deferred: Deferred[Value] = Deferred()
        promise = Promise.from_deferred(deferred, unclaimed=lambda _: None).timeout(5).then(id)
        deferred.callback(value)
        if leaves:
            promise.cancel()
        scheduler.flush()
        return weakref.ref(value)

    assert attempt()() is None


# --- Twisted's own


@pytest.mark.parametrize("waits", [False, True], ids=["free", "taken"])
def test_a_lock_is_not_lost(scheduler: ManualScheduler, waits: bool) -> None:
    """It is granted in the turn in which its only consumer leaves."""
    lock = DeferredLock()
    if waits:
        lock.acquire()
    promise = (
        Promise.from_deferred(lock.acquire(), unclaimed=DeferredLock.release)
        .timeout(5)
        .then(lambda lock: lock.release())
    )
    if waits:
        scheduler.flush()
        lock.release()
    promise.cancel()
    scheduler.flush()
    assert not lock.locked


def test_an_item_of_a_queue_is_put_back(scheduler: ManualScheduler) -> None:
    """For the next who asks."""
    queue: DeferredQueue[str] = DeferredQueue()
    promise = Promise.from_deferred(queue.get(), unclaimed=queue.put).then(fail)
    queue.put("item")
    promise.cancel()
    scheduler.flush()
    assert ["item"] == result_of(queue.get())


# --- the fault matrix: an item that comes at a time, is used for two seconds, and is returned


class Shelf:
    """One item at a time, which takes a second to come, and must come back."""

    def __init__(self, limit: float, fails: bool) -> None:
        self.limit = limit
        self.fails = fails
        self.log: list[str] = []
        self.deferred: Deferred[str] = Deferred()

    def give_back(self, item: str) -> None:
        self.log.append(f"{item} back")

    def take(self) -> Promise[str]:
        return Promise.from_deferred(self.deferred, unclaimed=self.give_back).timeout(self.limit)

    def end(self, item: str) -> str:
        if self.fails:
            raise Boom
        return item

    def use(self, item: str) -> Promise[Any]:
        self.log.append(f"{item} used")
        return (
            Promise.delay(2).then(lambda _: self.end(item)).finally_(lambda: self.give_back(item))
        )

    def chain(self) -> Promise[Any]:
        return self.take().then(self.use)

    async def coroutine(self) -> Any:
        item = await self.take()
        return await self.use(item)


def fire(shelf: Shelf, _: World) -> None:
    shelf.deferred.callback("item")


def give_up(_: Shelf, world: World) -> None:
    world.cancel()


def fire_and_give_up(shelf: Shelf, world: World) -> None:
    fire(shelf, world)
    world.cancel()


def give_up_and_fire(shelf: Shelf, world: World) -> None:
    world.cancel()
    fire(shelf, world)


#: The seconds of the timeout, what happens when, and whether the item was used.
FAULTS: dict[str, tuple[float, list[tuple[float, Any]], bool]] = {
    "success": (5, [(1, fire)], True),
    "failure": (5, [(1, fire)], True),
    "cancelled before it comes": (5, [(0.5, give_up), (1, fire)], False),
    "cancelled twice before it comes": (5, [(0.5, give_up), (0.5, give_up), (1, fire)], False),
    "cancelled in the turn, before": (5, [(1, give_up_and_fire)], False),
    "cancelled in the turn, after": (5, [(1, fire_and_give_up)], False),
    "cancelled while it is used": (5, [(1, fire), (2, give_up)], True),
    "cancelled at the end": (5, [(1, fire), (3, give_up)], True),
    "timed out before it comes": (0.5, [(1, fire)], False),
    "timed out, and cancelled": (0.5, [(0.75, give_up), (1, fire)], False),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", FAULTS)
def test_the_item_comes_back_once(scheduler: ManualScheduler, driver: str, name: str) -> None:
    """Whatever happens, and when."""
    limit, events, used = FAULTS[name]
    world, shelf = World(driver, scheduler), Shelf(limit, name == "failure")
    for time, act in events:
        world.at(time, partial(act, shelf, world))
    state, value = world.drive(
        lambda: world.start(shelf.chain if driver == "chain" else shelf.coroutine)
    )
    assert (["item used"] if used else []) + ["item back"] == shelf.log
    if name == "success":
        assert ("fulfilled", "item") == (state, value)
    elif name in ("failure", "timed out before it comes", "timed out, and cancelled"):
        assert ("rejected", Boom if name == "failure" else TimeoutError) == (state, type(value))
    else:
        assert "cancelled" == state
