"""Settled, and ended: what a cancelled promise has given up may still be under way."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from twisted.internet.defer import Deferred

from tests.support.collections import calls_of
from tests.support.promises import Boom
from twpromise import CancellationError, Promise
from twpromise._core.cancelling import drop
from twpromise._core.ending import has_ended, when_ended


class Executor:
    """Gives back one future, which a test settles."""

    def __init__(self):
        self.future = Future()

    def submit(self, function, *arguments):
        return self.future

    def start(self):
        """From now on the future cannot be cancelled."""
        self.future.set_running_or_notify_cancel()


def cleaning_up():
    """A cancelled promise behind a ``finally_`` handler, and what ends that."""
    gate = Promise.defer()
    promise = Promise.defer().promise.finally_(lambda: gate.promise)
    promise.cancel()
    return promise, gate


def running():
    """A cancelled promise behind a function that an executor still runs, and its future."""
    executor = Executor()
    promise = Promise.run_in(executor, print)
    executor.start()
    return promise, executor.future


def waiting_for_the_end(promise):
    """Wait for the end of a promise; returns a list, empty until then."""
    called = []
    when_ended(promise, lambda: called.append("ended"))
    return called


def test_what_has_settled_in_the_ordinary_way_has_ended(scheduler):
    """A value, a rejection, a Deferred that was cancelled: nothing is left."""
    rejected = Promise.reject(Boom())
    rejected.suppress_unhandled_rejections()
    cancelled = Promise.from_deferred(Deferred()).then()
    cancelled.cancel()
    scheduler.flush()
    assert all(map(has_ended, (Promise.resolve(1), rejected, cancelled)))
    assert not has_ended(Promise.defer().promise)


def test_a_clean_up_is_waited_for(scheduler):
    """A promise that is cancelled has ended when its ``finally_`` handler has."""
    promise, gate = cleaning_up()
    scheduler.flush()
    assert promise.is_cancelled()
    assert not has_ended(promise)
    called = waiting_for_the_end(promise)
    scheduler.flush()
    assert [] == called
    gate.resolve()
    scheduler.flush()
    assert ["ended"] == called
    assert has_ended(promise)


def test_a_clean_up_that_fails_is_reported_all_the_same(scheduler, reports):
    """Waiting for the end of a promise does not count as handling its rejection."""
    promise, gate = cleaning_up()
    scheduler.flush()
    called = waiting_for_the_end(promise)
    gate.reject(Boom())
    scheduler.flush()
    assert ["ended"] == called
    assert [Boom] == [event["log_failure"].type for event in reports]


async def awaits(promise):
    """A coroutine that is cancelled at once."""
    await promise


async def cleans_up(promise):
    """A coroutine that is cancelled, and waits for more."""
    try:
        await promise
    finally:
        await Promise.delay(0)


@Promise.coroutine
def yields(promise):
    """A generator."""
    yield promise


@pytest.mark.parametrize(
    "derive",
    [
        lambda promise: promise,
        lambda promise: promise.then(),
        lambda promise: Promise(lambda resolve, _: resolve(promise)),
        lambda promise: Promise.all([promise, 1]),
        lambda promise: promise.delay(1),
        lambda promise: Promise.resolve(awaits(promise)),
        lambda promise: Promise.resolve(cleans_up(promise)),
        lambda promise: Promise.resolve(awaits(awaits(promise))),
        yields,
        lambda promise: Promise.using(1, lambda _: promise),
    ],
    ids=[
        *("itself", "derived", "following", "all", "delay", "coroutine", "coroutine, cleaning up"),
        *("coroutine in a coroutine", "generator", "using"),
    ],
)
def test_work_that_cannot_be_stopped_is_waited_for(scheduler, derive):
    """A function in an executor runs on, though the promise for it is cancelled at once."""
    source, future = running()
    promise = derive(source)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert not has_ended(promise)
    called = waiting_for_the_end(promise)
    scheduler.flush()
    assert [] == called
    future.set_result("late")
    scheduler.flush()
    assert ["ended"] == called
    assert has_ended(promise)


def test_work_that_a_timeout_gave_up_is_waited_for(scheduler):
    """The promise is rejected in time; the function behind it runs on."""
    source, future = running()
    promise = source.timeout(1)
    promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    assert promise.is_rejected()
    assert not has_ended(promise)
    future.set_result("late")
    scheduler.flush()
    assert has_ended(promise)


@pytest.mark.parametrize("returns", [False, True], ids=["waits again", "returns another"])
def test_all_that_a_coroutine_has_given_up_is_waited_for(scheduler, returns):
    """One that swallows a cancellation is cancelled where it waits next, too."""
    (one, first), (two, second) = running(), running()

    async def coroutine():
        try:
            await one
        except CancellationError:
            return two if returns else await two

    promise = Promise.resolve(coroutine())
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    called = waiting_for_the_end(promise)
    for future in (second, first) if returns else (first, second):
        scheduler.flush()
        assert [] == called
        future.set_result("late")
    scheduler.flush()
    assert ["ended"] == called


def test_what_a_coroutine_waits_for_that_is_closed_is_waited_for(scheduler):
    """One that swallows each cancellation ends at last, and what it has begun does not."""
    futures = []

    async def coroutine():
        while len(futures) < 5:
            source, future = running()
            futures.append(future)
            try:
                await source
            except CancellationError:
                pass

    promise = Promise.resolve(coroutine())
    promise.cancel()
    scheduler.flush()
    # This one was let through.
    futures.pop(1).set_result("in time")
    scheduler.flush()
    assert 3 == len(futures)
    called = waiting_for_the_end(promise)
    for future in futures:
        scheduler.flush()
        assert [] == called
        future.set_result("late")
    scheduler.flush()
    assert ["ended"] == called


def test_a_coroutine_that_goes_on_waits_for_nothing_more(scheduler):
    """What it has given up by itself is not known."""
    source, future = running()

    async def coroutine():
        await source.timeout(1).catch(TimeoutError, str)

    promise = Promise.resolve(coroutine())
    scheduler.advance(1)
    assert promise.is_fulfilled()
    assert has_ended(promise)
    future.set_result("late")


def test_what_another_consumer_waits_for_is_not_given_up(scheduler):
    """Who leaves a promise that others wait for has ended at once."""
    source, _ = running()
    source.then()
    promise = source.then()
    promise.cancel()
    scheduler.flush()
    assert has_ended(promise)


def test_dropping_names_the_promise_that_has_settled_without_it(scheduler):
    """`drop` remembers what was given up, if it was."""
    source, future = running()
    settled, other = Promise.resolve(1), Promise.resolve(2)
    drop(source, settled)
    drop(source, other)
    assert [False, True] == [has_ended(settled), has_ended(other)]
    future.set_result("late")
    scheduler.flush()
    assert has_ended(settled)


def test_what_has_ended_is_not_kept(scheduler):
    """A cancelled promise refers to nothing that has ended; asking costs the same at any depth."""
    promise = Promise.defer().promise
    for _ in range(60):
        promise = Promise.all([promise, promise])
    promise.cancel()
    scheduler.flush()
    assert promise._source is None
    assert has_ended(promise)


def test_shared_work_is_looked_at_once(scheduler):
    """Promises that were given up together may share what runs on."""
    promise, future = running()
    for _ in range(60):
        promise = Promise.all([promise, promise])
    promise.cancel()
    scheduler.flush()
    assert not has_ended(promise)
    future.set_result("late")
    scheduler.flush()
    assert has_ended(promise)


def test_many_levels_that_wait_for_what_cannot_be_stopped_take_time_in_proportion(scheduler):
    """Four times as many coroutines, four times the calls and little more."""

    def cancel(levels):
        executor = Executor()
        promise = Promise.run_in(executor, print)
        executor.start()
        for _ in range(levels):
            promise = Promise.resolve(awaiting(promise))
        scheduler.flush()
        return lambda: (promise.cancel(), scheduler.flush())

    async def awaiting(promise):
        await promise

    few = calls_of(cancel(25))
    assert calls_of(cancel(100)) < 4.5 * few
