"""Work that a function has given up, and went on without: who waits for the end, waits for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest
from twisted.internet.defer import ensureDeferred, gatherResults, inlineCallbacks, succeed

from tests.support.promises import quiet
from tests.support.worlds import World
from twpromise import Limiter, Promise, PromiseGroup, PromiseService, batch


def running():
    """A promise for work in a thread, which cannot be stopped, and the future that ends it."""
    future = Future()
    future.set_running_or_notify_cancel()
    return Promise.resolve(future), future


def go_on(*_):
    return "went on"


def given_up(work):
    return work.timeout(1)


def caught(work):
    return work.timeout(1).catch(go_on)


async def awaited(work):
    try:
        await work.timeout(1)
    except TimeoutError:
        return "went on"


async def awaited_and_more(work):
    await awaited(work)
    await Promise.delay(0.5)


async def raising(work):
    await work.timeout(1)


async def of_another(work):
    return await awaited(work)


@Promise.coroutine
def generator(work):
    try:
        yield work.timeout(1)
    except TimeoutError:
        pass


def added_timeout(work):
    return work.to_deferred().addTimeout(1, Promise._queue.scheduler.clock)


def through_twisted(work):
    async def outer():
        return await ensureDeferred(awaited_and_more(work))

    return ensureDeferred(outer())


@inlineCallbacks
def inline(work):
    try:
        yield work.timeout(1).to_deferred()
    except TimeoutError:
        pass


CHAINS = {
    "then": lambda work: given_up(work).then(go_on),
    "catch": caught,
    "catch, then": lambda work: caught(work).then(go_on),
    "catch, and a promise": lambda work: given_up(work).catch(lambda _: Promise.delay(0.5)),
    "catch of another": lambda work: given_up(work).catch(KeyError, go_on),
    "finally": lambda work: given_up(work).finally_(go_on),
    "reflect": lambda work: given_up(work).reflect(),
    "delay": lambda work: caught(work).delay(0.5),
    "timeout": lambda work: caught(work).timeout(9),
    "timeout of the whole": lambda work: work.then(go_on).timeout(1).catch(go_on),
    "shield": lambda work: caught(work).shield(),
    "returned": lambda work: Promise.resolve().then(lambda _: given_up(work)),
    "resolved with": lambda work: Promise(lambda resolve, _: resolve(caught(work))),
}
COLLECTIONS = {
    "all, failing": lambda work: Promise.all([given_up(work), 1]),
    "all": lambda work: Promise.all([caught(work), 1]),
    "map": lambda work: Promise.map([work, 1], lambda one: one, concurrency=1).timeout(1),
    "map, of results": lambda work: Promise.map([0, 1], lambda one: one or caught(work)),
    "each": lambda work: Promise.each([0, 1], lambda one: one or caught(work)),
    "race": lambda work: Promise.race([work, Promise.delay(1)], cancel_rest=True).then(go_on),
    "using": lambda work: Promise.using(Promise.resolve(1).disposer(go_on), lambda _: caught(work)),
    "releasing": lambda work: Promise.using(
        Promise.resolve(1).disposer(lambda *_: caught(work)), go_on
    ),
}
COROUTINES = {
    "await": awaited,
    "await, and more": awaited_and_more,
    "raised at await": raising,
    "await of another": of_another,
    "generator": generator,
}
TWISTED = {
    "coroutine": lambda work: ensureDeferred(awaited(work)),
    "coroutine, and more": lambda work: ensureDeferred(awaited_and_more(work)),
    "coroutine in another": through_twisted,
    "inlineCallbacks": inline,
    "callback": lambda work: ensureDeferred(awaited_and_more(work)).addCallback(go_on),
    "chained": lambda work: succeed(1).addCallback(lambda _: ensureDeferred(awaited(work))),
    "list": lambda work: gatherResults([ensureDeferred(awaited(work))]),
    "twice in a list": lambda work: gatherResults([ensureDeferred(awaited(work))] * 2),
    "in all": lambda work: Promise.all([ensureDeferred(awaited(work))]),
    "addTimeout": lambda work: added_timeout(work).addErrback(go_on),
    "addTimeout of a coroutine": lambda work: (
        ensureDeferred(raising(work.delay(9)))
        .addTimeout(0.5, Promise._queue.scheduler.clock)
        .addErrback(go_on)
    ),
}
WAYS = {**CHAINS, **COLLECTIONS, **COROUTINES, **TWISTED}


@pytest.mark.parametrize("way", WAYS)
def test_a_slot_is_free_when_what_was_given_up_has_ended(scheduler, way):
    """The promise of the call settles without it; no other call begins before."""
    limiter = Limiter(1)
    work, future = running()
    promise = quiet(limiter.run(WAYS[way], work))
    called = []
    limiter.run(called.append, "next")
    for _ in range(6):
        scheduler.advance(0.5)
    assert (False, []) == (promise.is_pending(), called)
    future.set_result(None)
    scheduler.flush()
    assert (["next"], 0) == (called, limiter.active)
    assert [] == scheduler.clock.getDelayedCalls()


async def within_asyncios_timeout(work):
    try:
        async with asyncio.timeout(1):
            await work
    except TimeoutError:
        return "went on"


TASKS = {
    **COROUTINES,
    "catch": caught,
    "Twisted's coroutine": TWISTED["coroutine"],
    "asyncio.timeout": within_asyncios_timeout,
}


@pytest.mark.parametrize("way", TASKS)
def test_the_same_on_a_loop_of_asyncio(scheduler, way):
    """Where coroutines are tasks."""
    world = World("task", scheduler)

    async def scenario():
        limiter = Limiter(1)
        work, future = running()
        promise = quiet(limiter.run(TASKS[way], work))
        await world.advance(3)
        assert (False, 1) == (promise.is_pending(), limiter.active)
        future.set_result(None)
        await world.advance(0)
        assert 0 == limiter.active

    world.run(scenario)


@pytest.mark.parametrize("way", ["catch", "await"])
def test_all_that_wait_for_an_end(scheduler, way):
    """A done callback, a group, a service that stops, the next run of a batch."""
    ended = []
    works, futures = zip(*(running() for _ in range(4)), strict=True)
    function = WAYS[way]
    watched = Promise.resolve(function(works[0]))
    watched.add_done_callback(lambda _: ended.append("watched"))

    async def block():
        async with PromiseGroup() as group:
            group.start_soon(function, works[1])
        ended.append("group")

    Promise.resolve(block())
    service = PromiseService(grace=None)
    service.startService()
    service.start_soon(function, works[2])
    service.stopService().addCallback(lambda _: ended.append("service"))
    items = [quiet(each) for each in map(batch(lambda _: function(works[3]), size=1), "ab")]
    items[1].add_done_callback(lambda _: ended.append("batch"))
    for _ in range(4):
        scheduler.advance(0.5)
    assert (True, False) == (watched.is_fulfilled(), items[0].is_pending())
    assert [] == ended
    for future, name in zip(futures, ["watched", "group", "service", "batch"], strict=True):
        future.set_result(None)
        scheduler.advance(2)
        assert name == ended.pop()
    assert [] == ended


def test_a_group_without_a_coroutine(scheduler):
    """What `wait` gives is fulfilled when what its members have given up has ended."""
    group = PromiseGroup()
    work, future = running()
    member = group.start_soon(caught, work)
    waiting = group.wait()
    scheduler.advance(1)
    assert (True, True) == (member.is_fulfilled(), waiting.is_pending())
    future.set_result(None)
    scheduler.flush()
    assert waiting.is_fulfilled()


def test_several_that_were_given_up(scheduler):
    """The slot is free when the last of them has ended, whichever that is."""
    limiter = Limiter(1)
    works, futures = zip(*(running() for _ in range(3)), strict=True)
    promise = limiter.run(lambda: Promise.all(map(caught, works)))
    scheduler.advance(1)
    assert ["went on"] * 3 == promise.value()
    for future in futures[1], futures[2], futures[0]:
        assert 1 == limiter.active
        future.set_result(None)
        scheduler.flush()
    assert 0 == limiter.active


async def plainly(work):
    await work


CANCELLED = {
    "coroutine": plainly,
    "Twisted's coroutine": lambda work: ensureDeferred(plainly(work)),
    "Deferred": lambda work: work.to_deferred(),
    "list": lambda work: gatherResults([work.to_deferred()]),
    "then, behind a coroutine": lambda work: Promise.resolve(plainly(work)).then(go_on),
    "then, behind Twisted's": lambda work: Promise.resolve(ensureDeferred(plainly(work))).then(),
    "using": lambda work: Promise.using(Promise.resolve(1).disposer(go_on), lambda _: work),
}


@pytest.mark.parametrize("way", CANCELLED)
def test_a_slot_is_free_when_a_cancelled_thread_has_ended(scheduler, way):
    """What a caller cancels is settled at once; the thread goes on, and keeps the slot."""
    limiter = Limiter(1)
    work, future = running()
    promise = limiter.run(CANCELLED[way], work)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (True, 1) == (promise.is_cancelled(), limiter.active)
    future.set_result(None)
    scheduler.flush()
    assert 0 == limiter.active


@pytest.mark.parametrize("way", CANCELLED)
def test_the_end_of_a_cancelled_thread_for_those_that_ask_later(scheduler, way):
    """A promise that has settled without the thread remembers it."""
    work, future = running()
    promise = Promise.resolve(CANCELLED[way](work))
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    ended = []
    promise.add_done_callback(ended.append)
    scheduler.flush()
    assert [] == ended
    future.set_result(None)
    scheduler.flush()
    assert [promise] == ended


def test_a_clean_up_that_was_given_up(scheduler):
    """A coroutine that has timed out, and cleans up, is part of the work."""

    async def work():
        try:
            await Promise.delay(9)
        finally:
            await Promise.delay(1)

    limiter = Limiter(1)
    promise = limiter.run(lambda: caught(Promise.resolve(work())))
    scheduler.advance(1)
    assert ("went on", 1) == (promise.value(), limiter.active)
    scheduler.advance(1)
    assert 0 == limiter.active


def test_what_ends_before_the_function_does(scheduler):
    """The slot is free with the function, then."""
    limiter = Limiter(1)
    work, future = running()
    promise = limiter.run(lambda: caught(work).delay(1))
    scheduler.advance(1)
    future.set_result(None)
    scheduler.flush()
    assert (True, 1) == (promise.is_pending(), limiter.active)
    scheduler.advance(1)
    assert (True, 0) == (promise.is_fulfilled(), limiter.active)


def test_what_others_wait_for_is_not_given_up(scheduler):
    """A thread that goes on for another consumer is no part of the work."""
    limiter = Limiter(1)
    work, _ = running()
    work.then()
    promise = limiter.run(caught, work)
    scheduler.advance(1)
    assert ("went on", 0) == (promise.value(), limiter.active)


def test_a_task_that_was_cancelled(scheduler):
    """It ends when what it waited for has, for what asks for that later, too."""
    world = World("task", scheduler)
    ended = []

    async def scenario():
        work, future = running()
        promise = Promise.resolve(awaited(work))
        await world.advance(0)
        promise.cancel()
        await world.advance(0)
        assert promise.is_cancelled()
        promise.add_done_callback(ended.append)
        await world.advance(0)
        assert [] == ended
        future.set_result(None)
        await world.advance(0)
        assert [promise] == ended

    world.run(scenario)
