"""The testing module: a scheduler whose turns and time the test owns."""

from __future__ import annotations

from threading import Thread, current_thread, get_ident

import pytest
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from twpromise import Promise
from twpromise.testing import ManualScheduler


def test_nothing_runs_until_it_is_told_to(scheduler):
    """Handlers wait for `flush`."""
    called = []
    Promise.resolve("value").then(called.append)
    assert [] == called
    scheduler.flush()
    assert ["value"] == called


def test_flush_runs_what_is_queued_meanwhile(scheduler):
    """Timers that are due included, and what they start."""
    called = []

    def timer():
        called.append("timer")
        Promise.resolve("after the timer").then(called.append)

    def handler(_):
        called.append("handler")
        scheduler.call_later(0, timer)

    Promise.resolve().then(handler)
    scheduler.flush()
    assert ["handler", "timer", "after the timer"] == called


def test_flushing_nothing(scheduler):
    """Does nothing."""
    scheduler.flush()
    assert 0.0 == scheduler.timer()


def test_advance_runs_first_moves_the_clock_and_runs_again(scheduler):
    """What is queued now runs before the clock moves; what timers do runs after."""
    called = []

    def later():
        called.append(("timer", scheduler.timer()))
        Promise.resolve().then(lambda _: called.append(("after", scheduler.timer())))

    Promise.resolve().then(lambda _: called.append(("now", scheduler.timer())))
    scheduler.call_later(5, later)
    scheduler.advance(4)
    assert [("now", 0.0)] == called
    scheduler.advance(1)
    assert [("now", 0.0), ("timer", 5.0), ("after", 5.0)] == called


def test_timers_get_arguments_and_can_be_cancelled(scheduler):
    """As the reactor's."""
    called = []
    scheduler.call_later(1, called.append, "value")
    cancelled = scheduler.call_later(1, called.append, "cancelled")
    cancelled.cancel()
    assert not cancelled.active()
    scheduler.advance(1)
    assert ["value"] == called


def test_a_clock_of_ones_own():
    """Tests that have one go on using it."""
    clock = Clock()
    scheduler = ManualScheduler(clock)
    called = []
    scheduler.call_later(2, called.append, "value")
    clock.advance(2)
    assert (["value"], clock, 2.0) == (called, scheduler.clock, scheduler.timer())


def test_its_thread_is_the_one_that_made_it(scheduler):
    """Settling from another one waits for `flush` in this one."""
    promise, resolve = _pending()
    thread = Thread(target=resolve, args=("value",))
    thread.start()
    thread.join()
    assert promise.is_pending()
    assert get_ident() == scheduler.home_thread()
    scheduler.flush()
    assert "value" == promise.value()


@pytest.mark.parametrize("started", [True, False])
def test_a_function_in_a_thread(scheduler, monkeypatch, started):
    """It is a thread of the reactor's pool; or of its own, if the reactor does not run."""
    pool = ThreadPool(1, 1, "the pool")
    monkeypatch.setattr(reactor, "getThreadPool", lambda: pool)
    if started:
        pool.start()
    promise = Promise.in_thread(lambda: current_thread().name)
    while promise.is_pending():
        scheduler.flush()
    if started:
        pool.stop()
    assert started == ("the pool" in promise.value())


def _pending():
    functions = []
    promise = Promise(lambda resolve, reject: functions.append(resolve))
    return promise, functions[0]


def test_a_time_slice_never_ends_by_itself(scheduler):
    """A long drain is one drain: the clock stands still meanwhile."""
    called = []
    for number in range(10_000):
        Promise.resolve(number).then(called.append)
    scheduler._calls.popleft()()
    assert 10_000 == len(called)


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_timer_tells_the_clocks_time(scheduler, seconds):
    """In seconds, as a float."""
    scheduler.advance(seconds)
    assert float(seconds) == scheduler.timer()
    assert float is type(scheduler.timer())
