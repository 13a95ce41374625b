"""The schedulers and the drain: turns, time slices and threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from threading import get_ident

import pytest
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python import threadable
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.outcomes import reasons
from tests.support.promises import pending
from tests.support.threads import in_thread
from twpromise import IScheduler, Promise, ReactorScheduler
from twpromise._scheduling.schedulers import FunctionScheduler
from twpromise._util.checks import check_seconds
from twpromise.testing import ManualScheduler


class CountingClock(Clock):
    """A clock that records its calls."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def callLater(self, when, what, *args, **kwargs):
        self.asked.append(when)
        return super().callLater(when, what, *args, **kwargs)

    def turn(self):
        """One turn of the reactor: what is due now, not what that asks for."""
        due, self.calls = self.calls, []
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)
        return len(due)


class Timer:
    """A timer that each look at it moves on, and handlers can."""

    def __init__(self, step=0.0):
        self.now = 0.0
        self.step = step

    def __call__(self):
        self.now += self.step
        return self.now


@pytest.fixture
def use():
    """Sets a scheduler, and the one before it again at the end."""
    previous = []

    def use(scheduler):
        previous.append(Promise.set_scheduler(scheduler))
        return scheduler

    yield use
    if previous:
        Promise.set_scheduler(previous[0])


@pytest.fixture
def clock():
    return CountingClock()


# --- one callLater(0) for each batch


def test_one_call_later_for_each_batch(use, clock):
    """However many jobs are queued, the queue schedules one drain."""
    use(ReactorScheduler(clock, timer=Timer()))
    called = []
    for number in range(100):
        Promise.resolve(number).then(called.append).then(called.append)
    assert [0] == clock.asked
    assert [] == called
    clock.advance(0)
    assert 200 == len(called)
    assert [0] == clock.asked


def test_jobs_queued_by_a_drain_run_in_the_same_drain(use, clock):
    """A handler's own promises are settled before the reactor has its turn."""
    use(ReactorScheduler(clock, timer=Timer()))
    called = []

    def first(_):
        called.append("first")
        Promise.resolve("second").then(called.append).then(lambda _: called.append("third"))

    Promise.resolve().then(first)
    clock.turn()
    assert ["first", "second", "third"] == called
    assert [0] == clock.asked


def test_the_next_batch_schedules_another_drain(use, clock):
    """After a drain has ended, the next job wakes the scheduler anew."""
    use(ReactorScheduler(clock, timer=Timer()))
    called = []
    for expected in ([0], [0, 0], [0, 0, 0]):
        Promise.resolve().then(called.append)
        assert expected == clock.asked
        clock.turn()
    assert [None] * 3 == called


def test_without_handlers_to_run_no_drain_is_scheduled(use, clock):
    """Settling without handlers, and attaching handlers to a pending promise."""
    use(ReactorScheduler(clock, timer=Timer()))
    Promise.resolve(1)
    _, resolve, _ = pending()
    resolve(2)
    other, _, reject = pending()
    other.then(str).catch(str)
    assert [] == clock.asked
    reject(ValueError())
    assert [0] == clock.asked


# --- the time slice


def test_a_drain_that_outlasts_its_time_slice_waits_for_the_next_turn(use, clock):
    """The rest runs in the next turn of the reactor, in order."""
    timer = Timer()
    use(ReactorScheduler(clock, time_slice=1, timer=timer))
    called = []

    def slow(number):
        called.append(number)
        timer.now += 0.3

    for number in range(40):
        Promise.resolve(number).then(slow)
    turns = []
    while clock.calls:
        clock.turn()
        turns.append(len(called))
    assert list(range(40)) == called
    # The clock is looked at after every eight handlers.
    assert [8, 16, 24, 32, 40] == turns
    assert {0} == set(clock.asked)


def test_a_long_fan_out_is_interrupted_too(use, clock):
    """Many handlers of one promise share the reactor as well, and stay in order."""
    timer = Timer()
    use(ReactorScheduler(clock, time_slice=1, timer=timer))
    called = []
    promise, resolve, _ = pending()

    def slow(number):
        called.append(number)
        timer.now += 1

    for number in range(30):
        promise.then(lambda _, number=number: slow(number))
    resolve(None)
    promise.then(lambda _: called.append("the last"))
    turns = []
    while clock.calls:
        before = len(called)
        clock.turn()
        turns.append(len(called) - before)
    assert [*range(30), "the last"] == called
    assert 8 >= max(turns)


def test_many_followers_of_a_follower_are_interrupted_too(use, clock):
    """They are notified in one drain of the queue, over several turns of the reactor."""
    use(ReactorScheduler(clock, time_slice=2, timer=Timer(step=1)))
    root, settle, _ = pending()
    between = Promise(lambda resolve, reject: resolve(root))
    followers = [Promise(lambda resolve, reject: resolve(between)) for _ in range(80)]
    # The subscribers behind them are notified, too.
    followers.append(Promise(lambda resolve, reject: resolve(root)))
    settle(1)
    turns = 0
    while clock.calls:
        turns += clock.turn()
    assert 5 <= turns
    # They have been notified, and do not just look settled.
    assert {(1, None)} == {(each.value(), each._source) for each in followers}


def test_timers_get_their_turn_in_an_endless_chain(use, clock):
    """A chain without end does not starve the reactor."""
    timer = Timer(step=0.01)
    use(ReactorScheduler(clock, timer=timer))
    called = []
    going = True

    def step(_):
        called.append("step")
        return Promise.resolve().then(step) if going else "the end"

    promise = Promise.resolve().then(step)
    clock.callLater(0, called.append, "timer")
    clock.turn()
    assert "timer" in called
    clock.turn()
    assert called.index("timer") < len(called) - 1
    going = False
    while clock.calls:
        clock.turn()
    assert "the end" == promise.value()


@pytest.mark.parametrize(("time_slice", "turns"), [(0.010, 10), (0.1, 1), (0, 10)])
def test_the_time_slice_can_be_set(use, clock, time_slice, turns):
    """10 ms unless set; a slice of 0 still makes progress."""
    timer = Timer()
    use(ReactorScheduler(clock, time_slice=time_slice, timer=timer))

    def slow(_):
        timer.now += 0.00125

    for _ in range(80):
        Promise.resolve().then(slow)
    taken = 0
    while clock.calls:
        taken += clock.turn()
    assert turns == taken


def test_the_default_time_slice_is_ten_milliseconds():
    """As docs/scheduler.md says, for each scheduler."""
    assert [0.01, 0.01] == [ReactorScheduler().time_slice, ManualScheduler().time_slice]


# --- what escapes a job


def test_an_error_that_escapes_a_job_is_logged_and_stops_nothing(use, clock, reports):
    """Neither the drain nor its other jobs; it is logged at critical level."""
    use(ReactorScheduler(clock, timer=Timer()))
    called = []
    errors = [ValueError("from a hook"), KeyboardInterrupt()]

    def failing(error):
        raise error

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: failing(errors[0]))
        on_cancel(lambda: called.append("second hook"))
        on_cancel(lambda: failing(errors[1]))

    Promise(executor).cancel()
    Promise.resolve("handler").then(called.append)
    clock.turn()
    assert ["second hook", "handler"] == called
    assert errors == reasons(reports)
    assert {"Unhandled error in a job of a Promise"} == {event["log_format"] for event in reports}
    assert [0] == clock.asked


def test_a_scheduler_that_fails_to_wake_is_called_again(use):
    """The error goes to the caller, whose handler is not attached; the next one calls again."""
    asked = []
    called = []

    def failing(function):
        asked.append(function)
        if len(asked) == 1:
            raise RuntimeError("no reactor")

    use(failing)
    with pytest.raises(RuntimeError, match="no reactor"):
        Promise.resolve(1).then(called.append)
    Promise.resolve(2).then(called.append)
    asked[1]()
    assert [2] == called


# --- setting a scheduler


def test_set_scheduler_returns_the_previous_one(use):
    """So that it can be set back."""
    first, second = ManualScheduler(), ManualScheduler()
    use(first)
    assert first is Promise.set_scheduler(second)
    assert second is Promise.set_scheduler(second)
    assert second is Promise.set_scheduler(first)


@pytest.mark.parametrize(
    "scheduler", [None, 5, "text", [], object()], ids=lambda s: type(s).__name__
)
def test_set_scheduler_takes_nothing_else(scheduler):
    """Anything but an IScheduler or a function is a TypeError, and changes nothing."""
    before = Promise._library.scheduler
    with pytest.raises(TypeError, match="scheduler must be"):
        Promise.set_scheduler(scheduler)
    assert before is Promise._library.scheduler


def test_an_async_function_is_no_scheduler(scheduler):
    """It would call nothing."""

    async def call_soon(function):
        function()

    with pytest.raises(TypeError, match="scheduler must be"):
        Promise.set_scheduler(call_soon)


def test_a_plain_function_will_do(use):
    """It takes a function and has it called soon; timers and threads stay with the reactor."""
    queued = []
    called = []
    use(queued.append)
    Promise.resolve("value").then(called.append)
    Promise.resolve("other").then(called.append)
    assert (1, []) == (len(queued), called)
    queued.pop()()
    assert ["value", "other"] == called
    assert [] == queued


def test_queued_jobs_stay_with_their_scheduler(use):
    """Setting another scheduler moves nothing that is queued."""
    first, second = ManualScheduler(), ManualScheduler()
    called = []
    use(first)
    Promise.resolve(1).then(called.append)
    use(second)
    Promise.resolve(2).then(called.append)
    second.flush()
    assert [2] == called
    first.flush()
    assert [2, 1] == called


def test_a_pending_promise_goes_to_the_scheduler_that_is_set_when_it_settles(use):
    """A promise does not remember the scheduler that it was made under."""
    first, second = ManualScheduler(), ManualScheduler()
    called = []
    use(first)
    promise, resolve, _ = pending()
    promise.then(called.append)
    use(second)
    resolve("value")
    second.flush()
    assert ["value"] == called


def test_a_scheduler_that_is_set_again_keeps_its_queue(use):
    """Order is kept across a change of scheduler and back."""
    first, second = ManualScheduler(), ManualScheduler()
    called = []
    use(first)
    Promise.resolve(1).then(called.append)
    use(second)
    use(first)
    Promise.resolve(2).then(called.append)
    first.flush()
    assert [1, 2] == called


@pytest.mark.parametrize(
    "make",
    [ReactorScheduler, ManualScheduler, lambda: FunctionScheduler(print, ManualScheduler())],
    ids=["ReactorScheduler", "ManualScheduler", "FunctionScheduler"],
)
def test_schedulers_provide_the_interface(make):
    """With everything that promises use."""
    assert verifyObject(IScheduler, make())


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"reactor": "epoll"}, TypeError, "reactor must provide IReactorTime"),
        ({"reactor": 5}, TypeError, "reactor must provide IReactorTime"),
        ({"timer": 5}, TypeError, "timer must be a callable"),
        ({"timer": None}, TypeError, "timer must be a callable"),
        ({"time_slice": "1"}, TypeError, "time_slice must be a number of seconds"),
        ({"time_slice": None}, TypeError, "time_slice must be a number of seconds"),
        ({"time_slice": True}, TypeError, "time_slice must be a number of seconds"),
        ({"time_slice": -1}, ValueError, "time_slice must be a number of seconds, 0 or more"),
        ({"time_slice": float("nan")}, ValueError, "time_slice must be a number of seconds"),
    ],
    ids=str,
)
def test_a_reactor_scheduler_refuses_anything_but_a_reactor(arguments, error, words):
    """A clear error, at once."""
    with pytest.raises(error, match=words):
        ReactorScheduler(**arguments)


@pytest.mark.parametrize("seconds", [0, 0.0, 1, 2.5, float("inf")])
def test_numbers_of_seconds(seconds):
    """What can be waited for is given back."""
    assert seconds == check_seconds("seconds", seconds)


def test_repr(clock):
    """It names the reactor, and looks none up to do so."""
    assert f"<ReactorScheduler on {clock!r}>" == repr(ReactorScheduler(clock))
    assert "<ReactorScheduler on the global reactor>" == repr(ReactorScheduler())


# --- timers


def test_timers_are_on_the_reactor(clock):
    """`call_later` is the reactor's."""
    called = []
    scheduler = ReactorScheduler(clock)
    scheduler.call_later(2, called.append, "value")
    cancelled = scheduler.call_later(2, called.append, "cancelled")
    assert cancelled.active()
    cancelled.cancel()
    clock.advance(1)
    assert [] == called
    clock.advance(1)
    assert ["value"] == called


def test_the_global_reactor_is_looked_up_when_it_is_needed():
    """A scheduler without a reactor uses the installed one."""
    from twisted.internet import reactor

    call = ReactorScheduler().call_later(1000, print)
    assert call in reactor.getDelayedCalls()
    call.cancel()


# --- threads


@implementer(IReactorFromThreads)
class ThreadedClock(CountingClock):
    """A clock that can be called from threads."""

    def __init__(self):
        super().__init__()
        self.from_threads = []

    def callFromThread(self, function, *arguments):
        self.from_threads.append(get_ident())
        super().callLater(0, function, *arguments)


@pytest.mark.parametrize(
    "make",
    [
        ManualScheduler,
        lambda: ReactorScheduler(Clock()),
        lambda: ReactorScheduler(ThreadedClock()),
    ],
    ids=["ManualScheduler", "Clock", "reactor"],
)
@pytest.mark.parametrize("how", ["resolve", "reject"])
def test_settling_from_another_thread(use, make, how):
    """The promise changes on the reactor's thread only, and so do its handlers run."""
    scheduler = use(make())

    def turn():
        if type(scheduler) is ManualScheduler:
            scheduler.flush()
        else:
            scheduler._reactor.advance(0)

    Promise.resolve().then(str)
    turn()
    seen = []
    promise, resolve, reject = pending()
    promise.then(
        lambda value: seen.append(("resolve", value, get_ident())),
        lambda reason: seen.append(("reject", reason, get_ident())),
    )
    in_thread(resolve if how == "resolve" else reject, how)
    assert promise.is_pending()
    turn()
    assert [(how, how, get_ident())] == seen


def test_a_reactor_is_woken_by_call_from_thread(use):
    """`callLater` would not wake a reactor that sleeps."""
    clock = ThreadedClock()
    use(ReactorScheduler(clock, timer=Timer()))
    Promise.resolve().then(str)
    clock.advance(0)
    promise, resolve, _ = pending()
    thread_ids = []

    def settle():
        thread_ids.append(get_ident())
        resolve("value")

    in_thread(settle)
    assert thread_ids == clock.from_threads
    clock.advance(0)
    assert "value" == promise.value()


def test_a_flood_from_threads_is_cut_into_time_slices(use):
    """Threads that settle faster than the reactor can take it do not keep it from its turns.

    The reactor is asked once for all of them.
    """
    clock, timer = ThreadedClock(), Timer()
    use(ReactorScheduler(clock, time_slice=1, timer=timer))
    called = []

    def slow(number):
        called.append(number)
        timer.now += 1

    Promise.resolve().then(str)
    clock.turn()
    resolves = []
    for number in range(100):
        promise, resolve, _ = pending()
        promise.then(slow)
        resolves.append((resolve, number))
    futures = [Future() for _ in range(100)]
    for future in futures:
        Promise.resolve(future).then(slow)

    def flood():
        for resolve, number in resolves:
            resolve(number)
        for number, future in enumerate(futures, 100):
            future.set_result(number)

    in_thread(flood)
    assert 1 == len(clock.from_threads)
    turns = []
    while clock.calls:
        before = len(called)
        clock.turn()
        turns.append(len(called) - before)
    assert list(range(200)) == called
    assert 8 >= max(turns)


def test_a_thread_that_finds_the_queue_asleep_wakes_it(use):
    """However often the reactor has been asked, and has had its turns, before."""
    clock = ThreadedClock()
    use(ReactorScheduler(clock, timer=Timer()))
    Promise.resolve().then(str)
    clock.turn()
    called = []
    for number in range(3):
        promise, resolve, _ = pending()
        promise.then(called.append)
        # Only the thread: any other job would wake the queue, too.
        assert not clock.calls
        in_thread(resolve, number)
        assert number + 1 == len(clock.from_threads)
        while clock.calls:
            clock.turn()
    assert [0, 1, 2] == called


def test_a_job_from_a_thread_at_the_end_of_a_drain_is_run(use):
    """The thread saw that a drain was running, and scheduled none."""
    clock = ThreadedClock()
    use(ReactorScheduler(clock, timer=Timer()))
    Promise.resolve().then(str)
    clock.turn()
    promise, resolve, _ = pending()
    looks = []

    class Rejections(list):
        """The drain looks at it last, when it has found that nothing is queued."""

        def __bool__(self):
            looks.append(len(Promise._queue))
            if 2 == len(looks):
                in_thread(resolve, "value")
            return False

    Promise._queue.rejections = Rejections()
    Promise.resolve().then(str)
    while clock.calls:
        clock.turn()
    assert [0, 0] == looks[:2]
    assert [] == clock.from_threads
    assert "value" == promise.value()


def test_the_first_call_counts_across_threads(use):
    """Also if both calls come from threads, or one from each side."""
    scheduler = use(ManualScheduler())
    first, resolve_first, reject_first = pending()
    second, resolve_second, _ = pending()
    in_thread(resolve_first, 1)
    in_thread(reject_first, ValueError("too late"))
    in_thread(resolve_second, "from the thread")
    resolve_second("from here")
    scheduler.flush()
    assert (1, "from the thread") == (first.value(), second.value())


def refused(function, *arguments):
    """Call a function in a thread of its own, where it must be refused."""

    def run():
        with pytest.raises(RuntimeError, match=r"use Promise.call_from_thread\(function, \*args\)"):
            function(*arguments)

    in_thread(run)


def call_coroutine():
    """Drive a coroutine by a promise."""

    async def coroutine():
        return None

    coroutine = coroutine()
    try:
        Promise.resolve(coroutine)
    finally:
        coroutine.close()


MAKING = {
    "Promise": lambda: Promise(print),
    "resolve": call_coroutine,
    "reject": lambda: Promise.reject(ValueError()),
    "try_": lambda: Promise.try_(print),
    "method": lambda: Promise.method(print)(),
    "defer": Promise.defer,
    "from_callback": lambda: Promise.from_callback(print),
    "from_deferred": lambda: Promise.from_deferred(succeed(1)),
    "deferify": lambda: Promise.deferify(print)(),
    "in_thread": lambda: Promise.in_thread(print),
    "run_in": lambda: Promise.run_in(ThreadPoolExecutor(), print),
    "all": lambda: Promise.all([]),
    "map": lambda: Promise.map([], print),
    "join": lambda: Promise.join(1, print),
    "using": lambda: Promise.using(1, print),
    "delay": lambda: Promise.delay(1),
}


@pytest.mark.parametrize("drained", [False, True])
@pytest.mark.parametrize("make", MAKING)
def test_a_thread_makes_no_promises(use, make, drained):
    """It has to call the function at home; nothing is called, and nothing is left queued."""
    scheduler = use(ManualScheduler())
    if drained:
        Promise.resolve().then(str)
        scheduler.flush()
    refused(MAKING[make])
    assert not Promise._queue
    assert [] == scheduler.clock.getDelayedCalls()


@pytest.mark.parametrize("method", ["delay", "timeout"])
def test_a_thread_starts_no_timers(use, method):
    """The promise has no hidden consumer."""
    scheduler = use(ManualScheduler())
    promise, _, _ = pending()
    refused(getattr(promise, method), 1)
    assert [] == scheduler.clock.getDelayedCalls()
    assert None is promise._subscribers


@pytest.mark.parametrize("how", ["fulfilled", "rejected", "cancelled"])
def test_a_handler_that_a_thread_attaches_is_refused(use, reports, how):
    """If the promise has settled: the handler is not queued, and handles nothing."""
    scheduler = use(ManualScheduler())
    promise, resolve, reject = pending()
    {"fulfilled": resolve, "rejected": reject, "cancelled": promise.cancel}[how]()
    # The report of a rejection comes at the end of a drain.
    Promise._queue.awake = False
    called = []
    refused(promise.then, called.append, called.append)
    Promise._queue.wake()
    scheduler.flush()
    assert [] == called
    assert ("rejected" == how) == len(reports)


def test_a_reactor_is_home_where_it_runs(use, monkeypatch):
    """The thread that has made promises before it was started is foreign from then on."""
    use(ReactorScheduler(ThreadedClock()))
    Promise.resolve().then(str)
    Promise.defer().resolve()
    monkeypatch.setattr(threadable, "ioThread", -1)
    with pytest.raises(RuntimeError, match="call_from_thread"):
        Promise._queue.check_thread()


def test_a_clock_is_home_where_it_was_made(use, monkeypatch):
    """Wherever a reactor runs."""
    monkeypatch.setattr(threadable, "ioThread", -1)
    clock = Clock()
    use(ReactorScheduler(clock))
    called = []
    Promise.resolve(1).then(called.append)
    clock.advance(0)
    assert [1] == called


def test_a_function_is_home_where_it_was_set(use, monkeypatch):
    """Until the reactor runs."""
    monkeypatch.setattr(threadable, "ioThread", None)
    queued = []

    def in_another_thread():
        use(queued.append)
        Promise.resolve(1).then(called.append)

    called = []
    in_thread(in_another_thread)
    in_thread(queued[0])
    assert [1] == called


def test_what_a_foreign_thread_settles_reaches_its_handlers(use):
    """By a Deferred that is fired there: the call raises, and no handler is lost."""
    scheduler = use(ManualScheduler())
    deferred = Deferred()
    called = []
    Promise.from_deferred(deferred).then(lambda value: called.append((value, get_ident())))
    failures = []
    in_thread(deferred.callback, "value")
    deferred.addErrback(failures.append)
    assert [] == called
    scheduler.flush()
    assert [("value", get_ident())] == called
    assert [RuntimeError] == [failure.type for failure in failures]


def test_cancelling_from_another_thread(use):
    """The promise is cancelled on the reactor's thread."""
    scheduler = use(ManualScheduler())
    hooks = []
    promise = Promise(lambda resolve, reject, on_cancel: on_cancel(lambda: hooks.append(1)))
    in_thread(promise.cancel)
    assert promise.is_pending()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [1] == hooks


def test_a_thenable_that_calls_back_from_a_thread(use):
    """It hops to the reactor's thread, once."""
    scheduler = use(ManualScheduler())

    class Thenable:
        def then(self, resolve, reject):
            in_thread(resolve, "first")
            in_thread(reject, ValueError("too late"))

    seen = []
    Promise.resolve(Thenable()).then(lambda value: seen.append((value, get_ident())))
    scheduler.flush()
    assert [("first", get_ident())] == seen


@pytest.mark.parametrize("value", ["a value", "a pending promise"])
def test_cancel_hooks_stay_in_force_when_resolved_from_a_thread(use, value):
    """As when it is resolved in the reactor's thread."""
    scheduler = use(ManualScheduler())
    called = []
    functions = []
    other, _, _ = pending()

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: called.append("hook"))
        functions.append(resolve)

    promise = Promise(executor)
    in_thread(functions[0], other if value == "a pending promise" else value)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (["hook"] if value == "a pending promise" else []) == called
    assert (value == "a pending promise") == promise.is_cancelled()


def test_a_scheduler_without_a_reactor_belongs_to_the_thread_that_used_it_first():
    """A scheduler on a Clock belongs to the thread that used it first."""
    scheduler = ReactorScheduler(Clock())
    home = scheduler.home_thread()
    in_thread(lambda: scheduler.home_thread())
    assert home == scheduler.home_thread()


def test_a_clock_has_the_pool_of_the_global_reactor(monkeypatch):
    """It has no threads of its own."""
    from twisted.internet import reactor

    called = []
    monkeypatch.setattr(reactor, "callInThread", called.append)
    for scheduler in ReactorScheduler(), ReactorScheduler(Clock()):
        scheduler.call_in_thread(print)
    assert [print, print] == called


def test_the_loop_of_a_reactor_scheduler():
    """It is that of asyncio's reactor; another reactor runs on none."""
    loop = asyncio.new_event_loop()
    on_asyncio = AsyncioSelectorReactor(loop)
    assert loop is ReactorScheduler(on_asyncio).event_loop()
    on_asyncio.removeAll()
    loop.close()
    assert None is ReactorScheduler(SelectReactor()).event_loop()


@pytest.mark.parametrize(
    "make",
    [ManualScheduler, lambda: FunctionScheduler(print, ManualScheduler())],
    ids=["ManualScheduler", "FunctionScheduler"],
)
def test_the_loop_of_a_scheduler_that_anything_runs(make):
    """It is whichever runs, since that may be what runs the scheduler."""
    scheduler = make()

    async def main():
        return scheduler.event_loop() is asyncio.get_running_loop()

    assert asyncio.run(main())
    assert None is scheduler.event_loop()


def expect(expected, promise):
    """A Deferred for trial that fails unless the promise's value is what is expected."""

    def compare(value):
        assert expected == value

    return promise.then(compare).to_deferred()


class RealReactorTests(TestCase):
    """Under the real reactor, with trial."""

    def setUp(self):
        from twisted.internet import reactor

        self.reactor = reactor
        previous = Promise.set_scheduler(ReactorScheduler())
        self.addCleanup(Promise.set_scheduler, previous)

    def test_settled_from_a_thread(self):
        """A promise that a thread resolves wakes the reactor, and settles on its thread."""
        home = get_ident()
        promise, resolve, _ = pending()
        self.reactor.callInThread(lambda: resolve(get_ident()))
        seen = promise.then(lambda thread: (thread != home, get_ident() == home))
        return expect((True, True), seen)

    def test_rejected_from_a_thread(self):
        """The same for a rejection, with the traceback of the thread."""
        promise, _, reject = pending()

        def fail():
            try:
                raise ValueError("reason")
            except ValueError as error:
                reject(error)

        self.reactor.callInThread(fail)
        seen = promise.catch(lambda error: error.__traceback__.tb_frame.f_code.co_name)
        return expect("fail", seen)

    def test_timers_and_threads_get_their_turn(self):
        """An endless chain lets the reactor's timers in, which ends it."""
        going = True

        def stop():
            nonlocal going
            going = False

        def step(rounds):
            return Promise.resolve(rounds + 1).then(step) if going else rounds

        self.reactor.callLater(0.02, stop)
        return expect(True, Promise.resolve(0).then(step).then(lambda rounds: rounds > 0))

    def test_deferreds_of_threads(self):
        """What `deferToThread` gives can be followed."""
        promise = Promise.resolve(deferToThread(get_ident))
        home = get_ident()
        return expect(False, promise.then(lambda thread: thread == home))

    def test_an_unhandled_rejection_fails_the_test(self):
        """It is logged, where trial finds it."""
        Promise.reject(ValueError("unhandled"))
        flushed = self.later().then(lambda _: len(self.flushLoggedErrors(ValueError)))
        return expect(1, flushed)

    def later(self):
        """A promise for the reactor's next turn."""
        promise, resolve, _ = pending()
        self.reactor.callLater(0, resolve)
        return promise
