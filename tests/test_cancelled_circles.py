"""Cancelling what waits in a circle: all of it is cleaned up, and all that wait for it notified."""

from __future__ import annotations

from itertools import product

import pytest
from twisted.internet.defer import Deferred

from tests.support.outcomes import result_of
from tests.support.promises import pending
from twpromise import CancellationError, Promise
from twpromise._core.ending import when_ended

pytestmark = pytest.mark.usefixtures("scheduler")


async def awaits(get, log):
    """Waits, and logs its clean-up."""
    await Promise.delay(1)
    try:
        await get()
    finally:
        log()


async def awaits_derived(get, log):
    """Cleans up later."""
    await Promise.delay(1)
    try:
        await get().then(str)
    finally:
        await Promise.delay(1)
        log()


async def awaits_with_a_resource(get, log):
    """Has acquired something."""
    await Promise.delay(1)
    async with Promise.resolve(1).disposer(log):
        await get()


@Promise.coroutine
def yields(get, log):
    """As `awaits`, in a generator."""
    yield Promise.delay(1)
    try:
        yield get()
    finally:
        log()


def uses(get, log, wait=lambda promise: promise):
    """Has acquired a resource; the handler waits."""

    async def handler(_):
        await Promise.delay(1)
        await wait(get())

    return Promise.using(Promise.resolve(1).disposer(log), handler)


def waits(link):
    """A chain that waits by *link*, and logs its clean-up."""
    return lambda get, log: Promise.delay(1).then(lambda _: link(get())).finally_(log)


def under_twisted(get, log):
    """Twisted drives the coroutine."""
    return Promise.resolve(Deferred.fromCoroutine(awaits(get, log)))


#: How one waits for another in a circle, and logs its clean-up once: (get the other, log).
LINKS = {
    "await": lambda get, log: Promise.resolve(awaits(get, log)),
    "await of a derived": lambda get, log: Promise.resolve(awaits_derived(get, log)),
    "async with": lambda get, log: Promise.resolve(awaits_with_a_resource(get, log)),
    "yield": yields,
    "using": uses,
    "using, derived": lambda get, log: uses(get, log, lambda promise: promise.finally_(str)),
    "then": waits(lambda promise: promise.then(str)),
    "delay": waits(lambda promise: promise.delay(1)),
    "timeout": waits(lambda promise: promise.timeout(1000)),
    "bind": waits(lambda promise: promise.bind(Promise.resolve(1))),
    "reflect": waits(lambda promise: promise.reflect()),
    "all": waits(lambda promise: Promise.all([promise, 1])),
    "map": waits(lambda promise: Promise.map([1], lambda _: promise)),
    "Deferred": waits(lambda promise: promise.to_deferred()),
    "tap": lambda get, log: Promise.delay(1).tap(lambda _: get()).finally_(log),
    "finally_": lambda get, log: Promise.delay(1).finally_(lambda: get()).finally_(log),
}


def circle(scheduler, links):
    """Promises each of which waits for the next one, and the last for the first; their log."""
    logged = []
    promises = []

    def waiting(number, link):
        def log(*_):
            logged.append(number)

        return link(lambda: promises[(number + 1) % len(links)], log)

    promises += [waiting(number, link) for number, link in enumerate(links)]
    scheduler.advance(1)
    assert all(promise.is_pending() for promise in promises)
    return promises, logged


def pass_time(scheduler):
    """Clean-up that takes time ends."""
    for _ in range(10):
        scheduler.advance(1)


@pytest.mark.parametrize(("one", "other"), list(product(LINKS, repeat=2)))
def test_two_that_wait_for_each_other_are_cleaned_up(scheduler, reports, one, other):
    """Whichever is cancelled; and those that wait for either are notified."""
    for cancelled in range(2):
        promises, logged = circle(scheduler, [LINKS[one], LINKS[other]])
        fired = [result_of(promise.to_deferred()) for promise in promises]
        inspections = [promise.reflect() for promise in promises]
        ended = []
        for promise in promises:
            promise.add_done_callback(ended.append)
        promises[cancelled].cancel()
        assert promises[cancelled].is_cancelled()
        pass_time(scheduler)
        assert [0, 1] == sorted(logged)
        assert [True, True] == [promise in ended for promise in promises]
        assert [True, True] == [inspection.is_fulfilled() for inspection in inspections]
        assert [1, 1] == [len(results) for results in fired]
        assert CancellationError is fired[cancelled][0].type


@pytest.mark.parametrize("other", [link for link in LINKS if link not in ("tap", "finally_")])
def test_a_circle_through_a_coroutine_of_twisted_is_cleaned_up(scheduler, other):
    """What a cancellation does not wait for it interrupts."""
    for cancelled in range(2):
        promises, logged = circle(scheduler, [under_twisted, LINKS[other]])
        promises[cancelled].cancel()
        pass_time(scheduler)
        assert [0, 1] == sorted(logged)
        assert all(not promise.is_pending() for promise in promises)


@pytest.mark.parametrize("cancelled", range(3))
@pytest.mark.parametrize("link", LINKS)
def test_a_circle_of_three_is_cleaned_up(scheduler, link, cancelled):
    """Where the others wait in two ways of their own."""
    links = [LINKS[link], LINKS["await"], LINKS["using"]]
    promises, logged = circle(scheduler, links)
    promises[cancelled].cancel()
    pass_time(scheduler)
    assert [0, 1, 2] == sorted(logged)
    assert all(not promise.is_pending() for promise in promises)


def test_using_whose_handler_waits_for_it_is_released(scheduler):
    """Whether it is cancelled itself, or what its handler waits for."""
    for cancelled in range(2):
        released = []
        waiting = []
        handled = Promise.delay(1).then(lambda _: waiting[0])  # noqa: B023
        promise = Promise.using(Promise.resolve(1).disposer(released.append), lambda _: handled)  # noqa: B023
        waiting.append(promise.then(str))
        scheduler.advance(1)
        [promise, handled][cancelled].cancel()
        scheduler.flush()
        assert [1] == released
        assert promise.is_cancelled()
        assert waiting[0].is_cancelled()


@pytest.mark.parametrize("cancelled", [0, 1], ids=["what it waits for", "itself"])
@pytest.mark.parametrize("lent", [False, True], ids=["value", "disposer"])
def test_using_one_of_whose_resources_waits_for_it_is_released(scheduler, lent, cancelled):
    """What has been acquired is given back, and what acquires the other is cleaned up."""
    logged, promises = [], []
    promises.append(Promise.resolve(awaits(lambda: promises[1], lambda: logged.append("second"))))
    other = promises[0].disposer(lambda _: logged.append("not called")) if lent else promises[0]
    first = Promise.resolve(1).disposer(lambda _: logged.append("first"))
    promises.append(Promise.using(first, other, lambda *_: None))
    scheduler.advance(1)
    promises[cancelled].cancel()
    pass_time(scheduler)
    assert ["first", "second"] == sorted(logged)
    assert [True, True] == [promise.is_cancelled() for promise in promises]
    assert promises[1].reflect().is_fulfilled()


@pytest.mark.parametrize("cancelled", [0, 1], ids=["what it waits for", "itself"])
def test_a_clean_up_that_waits_for_what_it_cleans_up_after(scheduler, cancelled):
    """A promise waits for the handler of `finally_`, unless that waits for the promise."""
    waiting = []
    source = pending()[0]
    promise = source.finally_(lambda: waiting[0])
    waiting.append(promise.then(str))
    inspection = promise.reflect()
    (source, promise)[cancelled].cancel()
    scheduler.flush()
    assert inspection.value().is_cancelled()
    assert waiting[0].is_cancelled()


@pytest.mark.parametrize(
    "wait",
    [
        lambda promise: promise,
        lambda promise: Promise.map([1], lambda _: promise),
        lambda promise: promise.to_deferred(),
    ],
    ids=["directly", "map", "Deferred"],
)
def test_a_circle_that_clean_up_has_closed_is_opened_by_another_cancellation(scheduler, wait):
    """What is cancelled meanwhile waits for something that waits for it."""
    logged, promises = [], []

    async def cleans_up():
        try:
            await pending()[0]
        finally:
            try:
                await wait(promises[1])
            finally:
                logged.append("first")

    promises.append(Promise.resolve(cleans_up()))
    promises.append(Promise.resolve(awaits(lambda: promises[0], lambda: logged.append("second"))))
    scheduler.advance(1)
    promises[0].cancel()
    scheduler.flush()
    assert [] == logged
    promises[1].cancel()
    scheduler.flush()
    assert ["second", "first"] == logged


def test_what_waits_in_no_circle_waits_for_a_clean_up(scheduler):
    """Though it is cancelled in the same turn as what it waits for, and others observe that."""
    logged = []
    first = pending()[0].finally_(lambda: Promise.delay(1).then(lambda _: logged.append("first")))
    second = first.finally_(lambda: logged.append("second"))
    third = Promise.resolve(awaits(lambda: second, lambda: logged.append("third")))
    fourth = Promise.resolve(third).finally_(lambda: logged.append("fourth"))
    scheduler.advance(1)
    first.cancel()
    when_ended(first, lambda: logged.append("ended"))
    fourth.cancel()
    scheduler.flush()
    assert [] == logged
    scheduler.advance(1)
    assert ["first", "second", "third", "fourth"] == [one for one in logged if one != "ended"]


def test_what_waits_in_two_ways_waits_in_no_circle(scheduler):
    """Two promises are derived from one, and a third waits for both."""
    logged = []
    first = pending()[0].finally_(lambda: Promise.delay(1).then(lambda _: logged.append("first")))
    second = first.then()
    Promise.all([second.then(), second.then()]).finally_(lambda: logged.append("all"))
    scheduler.flush()
    first.cancel()
    second.cancel()
    assert second.is_cancelled()
    scheduler.flush()
    assert [] == logged
    scheduler.advance(1)
    assert ["first", "all"] == logged


def test_what_was_left_does_not_close_a_circle(scheduler):
    """A coroutine that was cancelled, and goes on, waits no more for what it has left."""
    logged, promises = [], []

    async def cleans_up():
        await Promise.delay(1)
        try:
            await promises[1]
        finally:
            await Promise.delay(1)
            logged.append("first")

    promises.append(Promise.resolve(cleans_up()))
    promises.append(Promise.resolve(awaits(lambda: promises[0], lambda: logged.append("second"))))
    scheduler.advance(1)
    kept = promises[1].then(str)
    promises[0].cancel()
    promises[1].cancel()
    scheduler.flush()
    assert [] == logged
    scheduler.advance(1)
    assert ["first", "second"] == logged
    assert kept.is_cancelled()


@pytest.mark.exhaustive
def test_a_large_circle_is_cancelled_without_recursion(scheduler):
    """10,000 coroutines, each of which awaits the next one."""
    promises, logged = circle(scheduler, [LINKS["await"]] * 10_000)
    promises[0].cancel()
    scheduler.flush()
    assert 10_000 == len(logged)
