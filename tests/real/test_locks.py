"""Twisted's own resources: `DeferredLock`, `DeferredSemaphore` and `DeferredQueue`."""

from __future__ import annotations

import pytest
from twisted.internet.defer import (
    DeferredLock,
    DeferredQueue,
    DeferredSemaphore,
    QueueOverflow,
    QueueUnderflow,
)

from twpromise import Promise, TimeoutError


def acquired(lock):
    """A lock or semaphore as a resource."""
    return Promise.from_deferred(lock.acquire()).disposer(lock.__class__.release)


@pytest.mark.parametrize("fails", [False, True], ids=["well", "fails"])
def test_lock(scheduler, fails):
    """One at a time, in order; released whatever happens."""
    lock = DeferredLock()
    log = []

    def work(name):
        def use(_):
            log.append(f"{name} in")
            return Promise.delay(1).then(lambda _: leave())

        def leave():
            log.append(f"{name} out")
            if fails:
                raise ValueError(name)

        return Promise.using(acquired(lock), use).reflect()

    promises = [work(name) for name in "ab"]
    scheduler.advance(1)
    scheduler.advance(1)
    assert ["a in", "a out", "b in", "b out"] == log
    assert [fails, fails] == [promise.value().is_rejected() for promise in promises]
    assert (False, []) == (lock.locked, lock.waiting)


def test_lock_and_cancellation(scheduler):
    """A cancelled waiter leaves the queue; a cancelled holder releases the lock."""
    lock = DeferredLock()
    log = []

    def work(name):
        return Promise.using(acquired(lock), lambda _: log.append(name) or Promise.delay(10))

    first, second, third = work("a"), work("b"), work("c")
    scheduler.flush()
    second.cancel()
    scheduler.flush()
    assert 1 == len(lock.waiting)
    first.cancel()
    scheduler.flush()
    assert (["a", "c"], True) == (log, lock.locked)
    third.cancel()
    scheduler.flush()
    assert not lock.locked


def test_lock_and_timeout(scheduler):
    """A deadline while waiting for the lock."""
    lock = DeferredLock()
    lock.acquire()
    promise = Promise.using(acquired(lock), print).timeout(5)
    promise.suppress_unhandled_rejections()
    scheduler.advance(5)
    assert isinstance(promise.reason(), TimeoutError)
    assert ([], True) == (lock.waiting, lock.locked)


def test_semaphore(scheduler):
    """No more than its tokens at once, and all of them back at the end, whichever are cancelled."""
    semaphore = DeferredSemaphore(3)
    running, most = [], []

    def work(number):
        def use(_):
            running.append(number)
            most.append(len(running))
            return Promise.delay(1).finally_(lambda: running.remove(number))

        return Promise.using(acquired(semaphore), use)

    promises = [work(number) for number in range(12)]
    scheduler.advance(0.5)
    for promise in promises[::3]:
        promise.cancel()
    for _ in range(20):
        scheduler.advance(0.5)
    assert (3, [], 3) == (max(most), running, semaphore.tokens)
    assert 8 == sum(promise.is_fulfilled() for promise in promises)
    assert [] == semaphore.waiting


def test_queue(scheduler):
    """Items that are put go to the waiting consumers, in order."""
    queue = DeferredQueue()
    promise = Promise.all([Promise.from_deferred(queue.get()) for _ in range(3)])
    for item in "abc":
        queue.put(item)
    scheduler.flush()
    assert ["a", "b", "c"] == promise.value()


def test_queue_and_timeout(scheduler):
    """A cancelled consumer takes no item."""
    queue = DeferredQueue()
    promise = Promise.from_deferred(queue.get()).timeout(5).reflect()
    scheduler.advance(5)
    assert isinstance(promise.value().reason(), TimeoutError)
    queue.put("item")
    later = Promise.from_deferred(queue.get())
    assert "item" == later.value()


def test_queue_errors(scheduler):
    """What the queue raises at once rejects, through `Promise.method`."""
    queue = DeferredQueue(size=0, backlog=0)
    for method, error in ((queue.get, QueueUnderflow), (lambda: queue.put(1), QueueOverflow)):
        promise = Promise.method(method)()
        promise.suppress_unhandled_rejections()
        assert isinstance(promise.reason(), error)
