"""What is cancelled cleans up, whatever runs it; what is behind it waits for that."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    FirstError,
    ensureDeferred,
    gatherResults,
    inlineCallbacks,
    succeed,
)
from twisted.internet.error import ConnectingCancelledError
from twisted.python.failure import Failure
from twisted.web.client import ResponseNeverReceived

from tests.support.promises import Boom, quiet
from tests.support.worlds import World
from twpromise import Promise


async def coroutine(steps):
    try:
        await Promise.delay(60)
    finally:
        await Promise.delay(1)
        steps.append("cleaned up")


@inlineCallbacks
def generator(steps):
    try:
        yield Deferred()
    finally:
        yield Promise.delay(1).to_deferred()
        steps.append("cleaned up")


def errback(steps):
    def clean_up(_):
        return Promise.delay(1).then(lambda _: steps.append("cleaned up")).to_deferred()

    return Deferred().addErrback(clean_up)


WAYS = {
    "coroutine": coroutine,
    "Twisted's coroutine": lambda steps: ensureDeferred(coroutine(steps)),
    "inlineCallbacks": generator,
    "errback": errback,
    "callback": lambda steps: succeed(None).addCallback(lambda _: generator(steps)),
    "DeferredList": lambda steps: DeferredList([generator(steps)], consumeErrors=True),
    "gatherResults": lambda steps: gatherResults([generator(steps)], consumeErrors=True),
}


@pytest.fixture(params=WAYS)
def way(request):
    """A function that starts something with a clean-up that takes a second."""
    return WAYS[request.param]


def finally_(work, steps):
    return work.finally_(lambda: steps.append("next"))


def using(work, steps):
    resource = Promise.resolve("it").disposer(lambda _: steps.append("next"))
    return Promise.using(resource, lambda _: work)


async def block(work, steps):
    async with Promise.resolve("it").disposer(lambda _: steps.append("next")):
        await work


BEHIND = [finally_, using, block]


@pytest.mark.parametrize("behind", BEHIND)
def test_what_is_behind_waits_for_the_clean_up(scheduler, way, behind):
    """A connection that a clean-up still uses is not given to others."""
    steps = []
    promise = Promise.resolve(behind(Promise.resolve(way(steps)), steps))
    scheduler.flush()
    promise.cancel()
    scheduler.advance(0.5)
    assert (True, []) == (promise.is_cancelled(), steps)
    scheduler.advance(0.5)
    assert ["cleaned up", "next"] == steps
    assert [] == [call for call in scheduler.clock.getDelayedCalls() if call.active()]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("cancelled", ["promise", "task"])
def test_what_is_behind_waits_for_a_task(scheduler, behind, cancelled):
    """The same, with a task of asyncio's."""
    steps = []
    world = World("task", scheduler)

    async def scenario():
        task = asyncio.get_running_loop().create_task(coroutine(steps))
        promise = Promise.resolve(behind(Promise.resolve(task), steps))
        await world.advance(0)
        (promise if cancelled == "promise" else task).cancel()
        await world.advance(0.5)
        assert [] == steps
        await world.advance(0.5)
        assert (["cleaned up", "next"], True) == (steps, promise.is_cancelled())

    world.run(scenario)


def test_a_promise_that_has_been_cancelled_before(scheduler, way):
    """`reflect` and `all_settled` wait for the clean-up; `then` and `await` do not."""
    steps = []
    promise = Promise.resolve(way(steps))
    scheduler.flush()
    promise.cancel()
    late = quiet(promise.then(pytest.fail))
    ends = [promise.reflect(), Promise.all_settled([promise])]
    scheduler.flush()
    assert late.is_rejected()
    assert [True, True] == [end.is_pending() for end in ends]
    scheduler.advance(1)
    assert ends[0].value().is_cancelled()
    assert [True] == [one.is_cancelled() for one in ends[1].value()]


def test_a_timeout_does_not_wait_for_the_clean_up(scheduler, way):
    """It rejects on time."""
    steps = []
    promise = quiet(Promise.resolve(way(steps)).timeout(2))
    scheduler.advance(2)
    assert (True, []) == (promise.is_rejected(), steps)
    scheduler.advance(1)
    assert ["cleaned up"] == steps


def cleaning_up(ended):
    return Deferred().addErrback(lambda _: ended)


CANCELLED = CancelledError()
ENDS = {
    "value": 3,
    "CancelledError": CANCELLED,
    "FirstError": FirstError(Failure(CANCELLED), 0),
    "ResponseNeverReceived": ResponseNeverReceived([Failure(CANCELLED)]),
    "ConnectingCancelledError": ConnectingCancelledError(None),
}


@pytest.mark.parametrize("result", ENDS.values(), ids=ENDS)
def test_a_clean_up_that_ends_well(scheduler, result):
    """What a cancelled Deferred fires with is dropped: the promise stays cancelled."""
    ended = Deferred()
    promise = Promise.resolve(cleaning_up(ended))
    behind = promise.finally_(lambda: None)
    promise.cancel()
    scheduler.flush()
    (ended.errback if isinstance(result, Exception) else ended.callback)(result)
    scheduler.flush()
    assert promise.is_cancelled()
    assert behind.is_cancelled()


@pytest.mark.parametrize("collected", [False, True], ids=["alone", "in all"])
def test_a_clean_up_that_fails(scheduler, reports, collected):
    """The failure is reported, as that of a clean-up of any other kind."""
    ended = Deferred()
    work = cleaning_up(ended)
    promise = Promise.all([work]) if collected else Promise.resolve(work)
    promise.cancel()
    scheduler.flush()
    ended.errback(Boom())
    scheduler.flush()
    assert promise.is_cancelled()
    assert [Boom] == [event["log_failure"].type for event in reports]


def test_a_clean_up_that_gives_up_a_thread(scheduler):
    """The promise ends when the thread has, although the clean-up was cancelled."""
    future = Future()
    future.set_running_or_notify_cancel()
    clean_up = Promise.resolve(future).to_deferred()
    deferred = Deferred()
    promise = Promise.resolve(deferred)
    deferred.addBoth(lambda _: clean_up)
    ended = []
    promise.add_done_callback(ended.append)
    promise.cancel()
    deferred.addErrback(lambda _: None)
    clean_up.cancel()
    scheduler.flush()
    assert (True, []) == (promise.is_cancelled(), ended)
    future.set_result(None)
    scheduler.flush()
    assert [promise] == ended


def test_a_failure_that_answers_the_cancellation(scheduler):
    """`Agent` says "response never received": that is no failure of a clean-up."""
    deferred = Deferred(lambda deferred: deferred.errback(Boom()))
    promise = Promise.resolve(deferred)
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()


@pytest.mark.parametrize(
    "error", [CancelledError(), asyncio.CancelledError()], ids=["Twisted's", "asyncio's"]
)
def test_a_task_that_says_that_it_was_cancelled(scheduler, error):
    """That is no failure: a future of `asyncio.gather` has it as its exception."""
    world = World("task", scheduler)

    async def scenario():
        future = asyncio.get_running_loop().create_future()
        future.cancel = lambda: future.set_exception(error)
        promise = Promise.resolve(future)
        behind = promise.finally_(lambda: None)
        behind.cancel()
        await world.advance(0)
        assert (True, True) == (promise.is_cancelled(), behind.is_cancelled())

    world.run(scenario)


@pytest.mark.parametrize("first", ["fires", "raises"])
def test_a_canceller_that_fires_and_raises(scheduler, reports, first):
    """The promise is finished once."""

    def canceller(deferred):
        if first == "fires":
            deferred.callback(3)
        raise Boom

    copy = Promise.get_new_library_copy()
    copy.config(monitoring=True)
    deferred = Deferred(canceller)
    copy.resolve(deferred).cancel()
    if first == "raises":
        deferred.callback(3)
    scheduler.flush()
    statistics = copy.statistics()
    copy.config(monitoring=False)
    assert (1, 0) == (statistics["settled"], statistics["pending"])
    assert [Boom] == [event["log_failure"].type for event in reports]


@pytest.mark.parametrize("name", ["Twisted's coroutine", "inlineCallbacks"])
def test_a_clean_up_of_what_must_not_get_lost(scheduler, name):
    """The promise waits for it, as without `unclaimed`."""
    steps = []
    promise = Promise.from_deferred(WAYS[name](steps), unclaimed=steps.append)
    behind = finally_(promise, steps)
    scheduler.flush()
    behind.cancel()
    scheduler.flush()
    assert [] == steps
    scheduler.advance(1)
    assert ["cleaned up", "next"] == steps


def test_a_clean_up_whose_failure_another_promise_gets(scheduler):
    """It has adopted the Deferred meanwhile, and rejects."""
    ended = Deferred()
    work = cleaning_up(ended)
    Promise.resolve(work).cancel()
    other = quiet(Promise.resolve(work))
    ended.errback(Boom())
    assert isinstance(other.reason(), Boom)


def test_a_deferred_that_others_wait_for(scheduler):
    """It is not cancelled, and what is behind a promise that leaves it does not wait for it."""
    deferred, steps = Deferred(), []
    leaving, staying = finally_(Promise.resolve(deferred), steps), Promise.resolve(deferred)
    leaving.cancel()
    scheduler.flush()
    assert ["next"] == steps
    deferred.callback(3)
    assert 3 == staying.value()


class Thread:
    """A function that a thread runs, and that nothing can stop."""

    def __init__(self):
        self.future = Future()
        self.future.set_running_or_notify_cancel()

    def end(self):
        self.future.set_result(None)


def released(log):
    """A resource that notes how its use has ended."""
    return Promise.resolve("it").disposer(lambda _, use: log.append(use))


def test_a_thread_that_uses_a_resource(scheduler):
    """A cancelled `using` releases it when the thread has ended."""
    log, thread = [], Thread()
    promise = Promise.using(released(log), lambda _: thread.future)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (True, []) == (promise.is_cancelled(), log)
    thread.end()
    scheduler.flush()
    assert [True] == [use.is_cancelled() for use in log]


@pytest.mark.parametrize("caught", [False, True])
def test_a_thread_that_was_given_up(scheduler, caught):
    """`using` settles on time, and ends when the thread has, and the release."""
    log, thread = [], Thread()

    def use(_):
        work = Promise.resolve(thread.future).timeout(2)
        return work.catch_return("late") if caught else work

    promise = quiet(Promise.using(released(log), use))
    after = promise.catch_return("after")
    after.add_done_callback(lambda _: log.append("ended"))
    scheduler.advance(2)
    assert ("late" if caught else "after") == after.value()
    assert [] == log
    thread.end()
    scheduler.flush()
    use, ended = log
    assert (caught, not caught, "ended") == (use.is_fulfilled(), use.is_rejected(), ended)
    assert not promise.is_cancelled()


def test_a_resource_that_was_given_up_while_it_was_acquired(scheduler):
    """The others are released at once: the thread does not use them."""
    log, thread = [], Thread()
    late = Promise.resolve(thread.future).timeout(2)
    promise = quiet(Promise.using(released(log), late, pytest.fail))
    scheduler.advance(2)
    assert (True, 1) == (promise.is_rejected(), len(log))
    thread.end()


def test_a_thread_that_was_given_up_while_a_resource_was_acquired(scheduler):
    """It does not use the resources, which are released when the handler's work has ended."""
    log, thread = [], Thread()
    late = Promise.resolve(thread.future).timeout(2).catch_return("late")
    promise = Promise.using(released(log), late, lambda *_: Promise.delay(1))
    scheduler.advance(2)
    scheduler.advance(1)
    assert (True, 1) == (promise.is_fulfilled(), len(log))
    thread.end()


def test_a_clean_up_that_waits_for_what_is_behind_using(scheduler):
    """The resource is released first: else neither would end."""
    log, behind = [], []

    async def work():
        try:
            await Promise.delay(60)
        finally:
            await behind[0]
            log.append("cleaned up")

    def use(_):
        return Promise.resolve(work()).timeout(2).catch_return("late")

    promise = Promise.using(released(log), use)
    behind.append(promise.then())
    scheduler.advance(2)
    assert "late" == promise.value()
    assert (True, "cleaned up") == (log[0].is_fulfilled(), log[1])


def test_a_thread_within_using_within_using(scheduler):
    """The outer resource is released after the inner one, which a thread still uses."""
    log, thread = [], Thread()

    def release(_):
        return Promise.delay(1).then(lambda _: log.append("inner"))

    def inner(_):
        work = Promise.resolve(thread.future).timeout(2).catch_return("late")
        return Promise.using(Promise.resolve(2).disposer(release), lambda _: work).then(str.upper)

    outer = Promise.using(Promise.resolve(1).disposer(lambda _: log.append("outer")), inner)
    scheduler.advance(2)
    assert "LATE" == outer.value()
    thread.end()
    scheduler.flush()
    assert [] == log
    scheduler.advance(1)
    assert ["inner", "outer"] == log
