"""The testing module: a scheduler whose turns and time the test owns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event, current_thread, get_ident

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from tests.support.collections import calls_of
from tests.support.promises import Boom
from tests.support.threads import in_thread
from twpromise import CancellationError, Promise, TimeoutError
from twpromise._testing import manual
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
    in_thread(resolve, "value")
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


# --- the clock


def play(clock, seed):
    """Random timers, some of which set others, or cancel or move them: what has happened."""
    random = Random(seed)
    log, timers = [], []

    def act(number):
        log.append((number, clock.seconds()))
        for _ in range(random.choice((0, 0, 1, 2))):
            step()

    def step():
        kind = random.choice(("new", "new", "cancel", "reset", "delay"))
        waiting = [timer for timer in timers if timer.active()]
        if kind == "new" or not waiting:
            timers.append(clock.callLater(random.choice((0, 1, random.random())), act, len(timers)))
        elif kind == "cancel":
            random.choice(waiting).cancel()
        elif kind == "reset":
            random.choice(waiting).reset(3 * random.random())
        else:
            random.choice(waiting).delay(3 * random.random() - 1)

    for _ in range(60):
        step()
        log.append(sorted(round(call.getTime(), 6) for call in clock.getDelayedCalls()))
        if random.random() < 0.4:
            clock.advance(random.choice((0, 0.5, 1)))
    clock.pump([1] * 20)
    log.append(len(clock.calls))
    return log


@pytest.mark.parametrize("seed", range(30))
def test_its_clock_is_one_of_twisteds(scheduler, seed):
    """Timers are called in the same order, at the same times, however they are moved."""
    assert isinstance(scheduler.clock, Clock)
    assert play(Clock(), seed) == play(scheduler.clock, seed)


def timers(count, cancels):
    """Set timers, of which some are cancelled, and let their time come one by one."""
    scheduler = ManualScheduler()
    called = []
    set_ = [scheduler.call_later(number, called.append, number) for number in range(count)]
    for timer in set_[: count if cancels else 0]:
        timer.cancel()
    for _ in range(count):
        scheduler.advance(1)
    assert ([] if cancels else list(range(count))) == called


@pytest.mark.parametrize("cancels", [False, True])
def test_many_timers_take_time_in_proportion(cancels):
    """Four times as many, four times the calls and little more."""
    few = calls_of(lambda: timers(200, cancels))
    assert calls_of(lambda: timers(800, cancels)) < 4.5 * few


def test_timers_that_were_cancelled_do_not_pile_up(scheduler):
    """Though their time never comes."""
    for _ in range(1000):
        scheduler.call_later(60, print).cancel()
    assert len(scheduler.clock._times) < 20
    assert [] == scheduler.clock.calls


# --- as a context manager


def test_promises_run_on_it_inside_of_with():
    """What is queued at the end is run; then the former scheduler is set again."""
    before = Promise.set_scheduler(ManualScheduler())
    former = Promise.set_scheduler(before)
    called = []
    with ManualScheduler() as outer, ManualScheduler() as inner:
        assert inner is not outer
        Promise.resolve(1).then(called.append)
        assert [] == called
    assert [1] == called
    assert before is Promise.set_scheduler(before)
    assert before is not former


def test_a_library_copy_runs_on_it():
    """The one that is given, and no other."""
    copy = Promise.get_new_library_copy()
    called = []
    with ManualScheduler(library=copy) as scheduler:
        copy.resolve(1).then(called.append)
        scheduler.flush()
        assert [1] == called
        assert scheduler is not Promise._queue.scheduler


# --- run_until_complete


def test_run_until_complete_moves_the_clock(scheduler):
    """To each timer in turn: a minute takes no time."""

    async def main():
        await Promise.delay(20)
        return await Promise.delay(40, "done")

    assert "done" == scheduler.run_until_complete(main())
    assert 60.0 == scheduler.seconds()


@pytest.mark.parametrize("kind", ["promise", "Deferred", "value"])
def test_run_until_complete_takes_what_resolve_takes(scheduler, kind):
    """Promises, Deferreds, and plain values."""
    given = {"promise": Promise.delay(1, 5), "Deferred": succeed(5), "value": 5}[kind]
    assert 5 == scheduler.run_until_complete(given)


def test_run_until_complete_raises_the_reason(scheduler):
    """It counts as handled."""
    error = Boom()
    with pytest.raises(Boom) as raised:
        scheduler.run_until_complete(Promise.reject(error))
    assert error is raised.value


def test_run_until_complete_of_a_cancelled_promise(scheduler):
    """A `CancellationError`, as an await raises it."""
    promise = Promise.delay(1)
    promise.cancel()
    with pytest.raises(CancellationError):
        scheduler.run_until_complete(promise)


def test_run_until_complete_waits_for_threads_before_it_moves_the_clock(scheduler):
    """A timeout leaves a thread that is at work its time."""
    release = Event()
    promise = Promise.in_thread(lambda: release.wait(10)).timeout(1)
    scheduler.call_later(0, release.set)
    assert scheduler.run_until_complete(promise)
    assert 0.0 == scheduler.seconds()


def test_run_until_complete_waits_for_other_threads(scheduler):
    """A future that an executor's thread settles, say."""
    with ThreadPoolExecutor(1) as executor:
        release = Event()
        promise = Promise.run_in(executor, release.wait, 10)
        scheduler.call_later(0, release.set)
        assert scheduler.run_until_complete(promise)


def test_run_until_complete_of_what_never_comes(scheduler, monkeypatch):
    """It raises, and says where the coroutine waits; other threads are waited for a while."""
    monkeypatch.setattr(manual, "PATIENCE", 0.001)

    async def main():
        await Deferred()

    with pytest.raises(RuntimeError, match="stays pending: nothing is queued") as raised:
        scheduler.run_until_complete(main())
    assert "in main" in raised.value.__notes__[0]


def test_a_thread_that_hangs_holds_up_timers_for_a_while_only(scheduler, monkeypatch):
    """So that its timeout can be tested."""
    monkeypatch.setattr(manual, "PATIENCE", 0.001)
    release = Event()
    promise = Promise.in_thread(release.wait, 10).timeout(1)
    with pytest.raises(TimeoutError):
        scheduler.run_until_complete(promise)
    release.set()
