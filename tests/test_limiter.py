"""`Limiter`: what runs at once, what waits, and what becomes of each."""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import Future
from contextvars import ContextVar
from queue import SimpleQueue
from threading import Event, Lock, Thread

import pytest
from twisted.internet.defer import Deferred

from tests.support.collections import calls_of
from tests.support.outcomes import reasons
from tests.support.promises import Boom, fail, quiet
from tests.support.threads import in_thread
from twpromise import CancellationError, Disposer, Limiter, LimitExceeded, Promise, PromiseError

variable = ContextVar("variable", default=None)


class Gates:
    """Functions for a limiter: each says that it has begun, and ends when the test opens it."""

    def __init__(self):
        self.begun = []
        self.gates = {}

    def __call__(self, name):
        self.begun.append(name)
        gate = self.gates[name] = Promise.defer()
        return gate.promise

    def open(self, name):
        """Let one end."""
        self.gates.pop(name).resolve(name)


@pytest.fixture
def gates(scheduler):
    """Functions that end when the test says so."""
    return Gates()


def running():
    """A promise for work that cannot be stopped, and the future that ends it."""
    future = Future()
    future.set_running_or_notify_cancel()
    return Promise.resolve(future), future


# --- run


def test_calls_beyond_the_size_wait_in_order(scheduler, gates):
    """A slot that is free again goes to the call that has waited longest."""
    limiter = Limiter(2)
    promises = [limiter.run(gates, name) for name in "abcd"]
    assert ["a", "b"] == gates.begun
    gates.open("b")
    scheduler.flush()
    assert ["a", "b", "c"] == gates.begun
    for name in "acd":
        gates.open(name)
        scheduler.flush()
    assert list("abcd") == [promise.value() for promise in promises]


def test_a_call_begins_at_once_if_a_slot_is_free(scheduler):
    """Within `run`, with its arguments; and its value is there."""
    log = []
    promise = Limiter(1).run(lambda *args, **kwargs: log.append((args, kwargs)) or "value", 1, b=2)
    assert [((1,), {"b": 2})] == log
    assert "value" == promise.value()


async def give(value):
    return value


@pytest.mark.parametrize(
    "function",
    [
        lambda value: value,
        lambda value: Promise.delay(1, value),
        lambda value: Promise.delay(1, value).to_deferred(),
        give,
    ],
    ids=["value", "promise", "deferred", "coroutine"],
)
def test_what_a_function_returns_is_followed(scheduler, function):
    """Called at once, or after a wait."""
    limiter = Limiter(1)
    promises = [limiter.run(function, number) for number in range(3)]
    for _ in range(3):
        scheduler.advance(1)
    assert [0, 1, 2] == [promise.value() for promise in promises]


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "queued"])
def test_what_a_function_raises_rejects(scheduler, gates, waits):
    """And the slot is free again."""
    limiter = Limiter(1)
    if waits:
        limiter.run(gates, "first")
    promise = quiet(limiter.run(fail))
    if waits:
        gates.open("first")
        scheduler.flush()
    assert isinstance(promise.reason(), Boom)
    assert 0 == limiter.active


@pytest.mark.parametrize(
    "function",
    [int, fail, lambda: Promise.resolve(1), lambda: Promise.reject(Boom()), give],
    ids=["value", "raises", "fulfilled", "rejected", "coroutine"],
)
def test_work_that_ends_at_once_gives_its_slot_back_at_once(scheduler, function):
    """The next call in the same turn is not refused for its sake."""
    limiter = Limiter(1, waiting=0)
    arguments = [1] if function is give else []
    for _ in range(3):
        promise = quiet(limiter.run(function, *arguments))
        assert 0 == limiter.active
    scheduler.flush()
    assert not isinstance(promise.is_rejected() and promise.reason(), LimitExceeded)


def test_a_function_is_never_called_within_another(scheduler):
    """One that ends at once lets the next one begin from the queue."""
    limiter = Limiter(1)
    log = []

    def nested():
        log.append("begins")
        limiter.run(log.append, "inner")
        log.append("ends")

    limiter.run(nested)
    assert ["begins", "ends"] == log
    scheduler.flush()
    assert ["begins", "ends", "inner"] == log


@pytest.mark.usefixtures("low_recursion_limit")
def test_many_queued_calls_that_end_at_once_do_not_recurse(scheduler, gates):
    """Each is a job of its own, so that a drain can end between two."""
    limiter = Limiter(1)
    limiter.run(gates, "first")
    called = []
    promises = [limiter.run(called.append, number) for number in range(1000)]
    gates.open("first")
    scheduler.flush()
    assert list(range(1000)) == called
    assert all(promise.is_fulfilled() for promise in promises)


def test_queued_calls_leave_the_drain_its_time_slice(scheduler, gates):
    """However many end at once, others in the queue have their turns between them."""
    limiter = Limiter(2)
    for name in "ab":
        limiter.run(gates, name)
    log = []
    for number in range(4):
        limiter.run(log.append, number)
    for name in "ab":
        gates.open(name)
    Promise.delay(0).then().then().then(lambda _: log.append("another"))
    scheduler.flush()
    assert "another" != log[-1]


def test_cancelled_while_it_waits_a_function_is_never_called(scheduler, gates):
    """And those behind it do not wait for it."""
    limiter = Limiter(1)
    promises = [limiter.run(gates, name) for name in "abc"]
    promises[1].cancel()
    assert 1 == limiter.waiting
    gates.open("a")
    scheduler.flush()
    assert ["a", "c"] == gates.begun
    assert promises[1].is_cancelled()


def test_those_that_wait_are_cancelled_when_a_slot_has_come_back(scheduler, gates):
    """The slot that was on its way to them is given to the next call, and to no other."""
    limiter = Limiter(1)

    async def block():
        async with limiter:
            await Promise.delay(1)
        waiting.cancel()
        for name in "cd":
            limiter.run(gates, name)

    Promise.resolve(block())
    waiting = limiter.run(gates, "b")
    scheduler.advance(1)
    assert ["c"] == gates.begun
    gates.open("c")
    scheduler.flush()
    assert ["c", "d"] == gates.begun


def test_cancelling_a_call_cancels_what_the_function_returned(scheduler):
    """Down to the Deferred."""
    cancelled = []
    limiter = Limiter(1)
    promise = limiter.run(lambda: Deferred(cancelled.append))
    promise.cancel()
    scheduler.flush()
    assert 1 == len(cancelled)
    assert (0, True) == (limiter.active, promise.is_cancelled())


def test_what_others_wait_for_keeps_its_slot(scheduler):
    """Cancelling the call leaves it running."""
    limiter = Limiter(1)
    shared = Promise.delay(2)
    other = shared.then()
    promise = limiter.run(lambda: shared)
    promise.cancel()
    scheduler.advance(1)
    assert (1, True) == (limiter.active, promise.is_cancelled())
    scheduler.advance(1)
    assert (0, True) == (limiter.active, other.is_fulfilled())


@pytest.mark.parametrize(
    "end",
    [
        lambda run: run.cancel(),
        lambda run: quiet(run.timeout(1)),
        lambda run: quiet(run.then(fail).timeout(1)),
        lambda run: Promise.all([run, Promise.delay(9)]).cancel(),
    ],
    ids=["cancelled", "timed out", "timed out behind a handler", "in a collection"],
)
def test_work_that_cannot_be_stopped_keeps_its_slot(scheduler, gates, end):
    """The promise was given up; the slot comes back when the thread has ended."""
    limiter = Limiter(1)
    work, future = running()
    end(limiter.run(lambda: work))
    limiter.run(gates, "next")
    scheduler.advance(1)
    assert [] == gates.begun
    future.set_result(None)
    scheduler.flush()
    assert ["next"] == gates.begun


def test_a_timeout_within_what_the_function_returns_is_seen(scheduler, gates):
    """The promise that the function gave knows what it has given up."""
    limiter = Limiter(1)
    work, future = running()
    promise = quiet(limiter.run(lambda: work.timeout(1)))
    limiter.run(gates, "next")
    scheduler.advance(1)
    assert isinstance(promise.reason(), TimeoutError)
    assert [] == gates.begun
    future.set_result(None)
    scheduler.flush()
    assert ["next"] == gates.begun


def caught(work):
    return work.timeout(1).catch_return(TimeoutError, "given up")


async def awaited(work):
    try:
        await work.timeout(1)
    except TimeoutError:
        return await Promise.delay(1, "given up")


@pytest.mark.parametrize("function", [caught, awaited])
def test_work_that_a_function_left_behind_keeps_its_slot(scheduler, gates, function):
    """Though the function has gone on without it, and has ended."""
    limiter = Limiter(1)
    work, future = running()
    promise = limiter.run(function, work)
    limiter.run(gates, "next")
    for _ in range(6):
        scheduler.advance(0.5)
    assert ("given up", []) == (promise.value(), gates.begun)
    future.set_result(None)
    scheduler.flush()
    assert ["next"] == gates.begun


def test_a_clean_up_keeps_its_slot(scheduler, gates):
    """A cancelled coroutine's ``finally`` block is part of the work."""

    async def work():
        try:
            await Promise.delay(9)
        finally:
            await Promise.delay(1)

    limiter = Limiter(1)
    promise = limiter.run(work)
    limiter.run(gates, "next")
    promise.cancel()
    scheduler.flush()
    assert (True, []) == (promise.is_cancelled(), gates.begun)
    scheduler.advance(1)
    assert ["next"] == gates.begun


def own(make):
    """A queued call whose function gets the call's own promise."""
    limiter = Limiter(1)
    gate = Promise.defer()
    limiter.run(lambda: gate.promise)
    promises = []
    promises.append(limiter.run(lambda: make(promises[0])))
    gate.resolve()
    return limiter, promises[0]


def test_a_function_that_returns_its_own_promise_is_refused(scheduler):
    """It would wait for itself, and keep its slot."""
    limiter, promise = own(lambda promise: promise)
    quiet(promise)
    scheduler.flush()
    assert "a promise waits for itself (circular promise resolution chain)" == str(promise.reason())
    assert 0 == limiter.active


@pytest.mark.parametrize(
    "work",
    [lambda: 1, lambda: Promise.delay(9), lambda: give(1), lambda: Promise.reject(Boom())],
    ids=["value", "promise", "coroutine", "rejection"],
)
def test_a_function_that_cancels_its_own_promise(scheduler, work):
    """It stays cancelled; what the function returns is cancelled, and its rejection handled."""
    limiter, promise = own(lambda promise: (promise.cancel(), work())[1])
    scheduler.flush()
    assert promise.is_cancelled()
    assert 0 == limiter.active
    assert [] == scheduler.clock.getDelayedCalls()


def test_a_function_that_cancels_its_own_promise_and_raises(scheduler, reports):
    """The error has no caller to go to, and is logged."""
    limiter, promise = own(lambda promise: (promise.cancel(), fail()))
    scheduler.flush()
    assert promise.is_cancelled()
    assert 0 == limiter.active
    assert [Boom] == [type(reason) for reason in reasons(reports)]


# --- the bound of the queue


def test_calls_beyond_the_bound_are_refused_at_once(scheduler, gates):
    """Nothing is called, and nothing waits."""
    limiter = Limiter(1, waiting=1)
    limiter.run(gates, "a")
    limiter.run(gates, "b")
    refused = [
        quiet(limiter.run(gates, "c")),
        quiet(Promise.using(limiter.acquire(), gates)),
    ]
    scheduler.flush()
    for promise in refused:
        error = promise.reason()
        assert isinstance(error, LimitExceeded)
        assert isinstance(error, PromiseError)
        assert "the limiter is full: 1 running, 1 waiting" == str(error)
    assert 1 == limiter.waiting


def test_a_slot_that_is_on_its_way_to_a_call_leaves_room_in_the_queue(scheduler, gates):
    """In the turn in which a slot comes back the queue may be one longer, not more."""
    limiter = Limiter(1, waiting=1)
    promises = []

    async def block():
        async with limiter:
            await Promise.delay(1)
        promises.extend(quiet(limiter.run(gates, name)) for name in "cd")

    Promise.resolve(block())
    limiter.run(gates, "b")
    scheduler.advance(1)
    assert (["b"], 1) == (gates.begun, limiter.waiting)
    assert [False, True] == [promise.is_rejected() for promise in promises]


def test_a_queue_of_none(scheduler, gates):
    """What cannot begin at once is refused."""
    limiter = Limiter(1, waiting=0)
    limiter.run(gates, "a")
    assert isinstance(quiet(limiter.run(gates, "b")).reason(), LimitExceeded)


# --- the decorator


def test_a_decorated_function(scheduler, gates):
    """Its calls share the cap, and give promises."""
    limiter = Limiter(1)

    @limiter
    def begin(name):
        """Begin it."""
        return gates(name)

    promises = [begin("a"), begin(name="b")]
    assert ["a"] == gates.begun
    gates.open("a")
    scheduler.flush()
    gates.open("b")
    scheduler.flush()
    assert ["a", "b"] == [promise.value() for promise in promises]
    assert ("begin", "Begin it.") == (begin.__name__, begin.__doc__)


def test_decorated_methods(scheduler):
    """One limiter for all instances; static methods, too."""
    limiter = Limiter(1)

    class Client:
        def __init__(self, name):
            self.name = name

        @limiter
        async def fetch(self, path):
            return await Promise.delay(1, f"{self.name} {path}")

        @limiter
        @staticmethod
        def count(number):
            return number

    promises = [Client("a").fetch("/1"), Client("b").fetch("/2")]
    assert 1 == limiter.waiting
    counted = Client.count(3)
    scheduler.advance(1)
    scheduler.advance(1)
    assert ["a /1", "b /2"] == [promise.value() for promise in promises]
    assert 3 == counted.value()


# --- acquire and async with


def test_an_acquired_slot_comes_back_after_its_use(scheduler, gates):
    """Nothing is acquired before it is used, and a disposer that is dropped loses nothing."""
    limiter = Limiter(1)
    disposer = limiter.acquire()
    assert isinstance(disposer, Disposer)
    assert 0 == limiter.active
    used = Promise.using(disposer, gates)
    limiter.acquire()
    scheduler.flush()
    assert (1, [None]) == (limiter.active, gates.begun)
    gates.open(None)
    scheduler.flush()
    assert (0, True) == (limiter.active, used.is_fulfilled())


def test_a_disposer_is_used_once(scheduler, gates):
    """The second use is refused, and takes no slot."""
    limiter = Limiter(2)
    disposer = limiter.acquire()
    Promise.using(disposer, gates)
    again = quiet(Promise.using(disposer, gates))
    scheduler.flush()
    assert "the disposer has been used already: one resource, one use" == str(again.reason())
    assert (1, [None]) == (limiter.active, gates.begun)


def test_all_ways_wait_in_one_queue(scheduler, gates):
    """First come, first served, whatever the way."""
    limiter = Limiter(1)

    async def block(name):
        async with limiter:
            return await gates(name)

    limiter.run(gates, "first")
    for number in range(3):
        limiter.run(gates, f"run {number}")
        Promise.using(limiter.acquire(), lambda _, number=number: gates(f"using {number}"))
        Promise.resolve(block(f"block {number}"))
    for name in list(gates.gates):
        gates.open(name)
    scheduler.flush()
    while gates.gates:
        gates.open(*gates.gates)
        scheduler.flush()
    expected = [f"{way} {number}" for number in range(3) for way in ("run", "using", "block")]
    assert ["first", *expected] == gates.begun
    assert 0 == limiter.active


def test_a_block_that_cannot_be_entered_raises(scheduler, gates):
    """The block is not run."""
    limiter = Limiter(1, waiting=0)
    limiter.run(gates, "a")

    async def block():
        async with limiter:
            gates("block")

    promise = quiet(Promise.resolve(block()))
    scheduler.flush()
    assert isinstance(promise.reason(), LimitExceeded)
    assert ["a"] == gates.begun


def test_a_block_gives_its_slot_back_though_a_thread_runs_on(scheduler, gates):
    """The slot is the block's: `run` is the way to wait for threads."""
    limiter = Limiter(1)
    work, _ = running()

    async def block():
        async with limiter:
            await work

    promise = Promise.resolve(block())
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert 0 == limiter.active


@pytest.mark.parametrize("entered", [False, True], ids=["waiting", "entered"])
def test_a_block_that_is_closed_loses_nothing(scheduler, gates, entered):
    """As a coroutine is that is dropped."""
    limiter = Limiter(1)
    if not entered:
        limiter.run(gates, "a")

    async def block():
        async with limiter:
            await Promise.defer().promise

    coroutine = block()
    coroutine.send(None)
    coroutine.close()
    scheduler.flush()
    if not entered:
        gates.open("a")
        scheduler.flush()
    assert (0, 0) == (limiter.active, limiter.waiting)


def test_a_block_that_is_collected_in_another_thread_loses_nothing(scheduler):
    """Its slot comes back in the thread that promises run in."""
    limiter = Limiter(1)

    async def block():
        async with limiter:
            await Promise.defer().promise

    coroutine = block()
    coroutine.send(None)
    in_thread(coroutine.close)
    assert 1 == limiter.active
    scheduler.flush()
    assert 0 == limiter.active


def test_a_task_of_asyncios_that_is_cancelled_while_it_waits(scheduler, gates):
    """It leaves the queue, and raises asyncio's error."""
    limiter = Limiter(1)

    async def block():
        async with limiter:
            gates("block")

    async def main():
        limiter.run(gates, "a")
        task = asyncio.ensure_future(block())
        await asyncio.sleep(0)
        assert 1 == limiter.waiting
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        scheduler.flush()
        assert 0 == limiter.waiting

    with asyncio.Runner() as runner:
        runner.run(main())
    assert ["a"] == gates.begun


# --- contexts, copies, threads, memory


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "queued"])
@pytest.mark.parametrize("outer", [None, "caller"])
def test_a_function_runs_in_its_callers_context(scheduler, gates, waits, outer):
    """In a copy of it: what it sets is its own."""
    limiter = Limiter(1)
    if waits:
        limiter.run(gates, "first")
    token = variable.set(outer) if outer else None

    async def work(name):
        seen = variable.get()
        variable.set(name)
        await Promise.resolve()
        return seen, variable.get()

    promises = [limiter.run(work, name) for name in "ab"]
    if token:
        variable.reset(token)
    if waits:
        gates.open("first")
    scheduler.flush()
    assert [(outer, "a"), (outer, "b")] == [promise.value() for promise in promises]
    assert variable.get() is None


def test_leaving_a_block_shows_no_other_call_its_context(scheduler):
    """What is called when a slot comes back sees what its own caller saw."""
    limiter = Limiter(1)

    async def block():
        async with limiter:
            await Promise.delay(1)
            variable.set("block")

    Promise.resolve(block())
    promise = limiter.run(variable.get)
    scheduler.advance(1)
    assert promise.value() is None


def test_the_promises_are_of_the_limiters_library_copy(scheduler, gates):
    """With its settings: there is no cancellation here, and work of another copy is followed."""
    Copy = Promise.get_new_library_copy()
    Copy.config(cancellation=False, async_hooks=False)
    Copy.set_scheduler(scheduler)
    limiter = Limiter(1, library=Copy)
    variable.set("caller")
    promises = [limiter.run(gates, "a"), limiter.run(lambda: (variable.get(), gates("b"))[0])]
    used = Copy.using(limiter.acquire(), lambda _: "used")
    assert all(isinstance(promise, Copy) for promise in promises)
    promises[1].cancel()
    gates.open("a")
    scheduler.flush()
    assert ["a", "b"] == gates.begun
    assert ["a", None, "used"] == [promise.value() for promise in [*promises, used]]


@pytest.mark.parametrize(
    "use",
    [
        lambda limiter: limiter.run(int),
        lambda limiter: limiter(int)(),
        lambda limiter: limiter.acquire(),
        lambda limiter: limiter.__aenter__().send(None),
    ],
    ids=["run", "decorator", "acquire", "async with"],
)
def test_another_thread_is_refused(scheduler, use):
    """Before anything is taken."""
    limiter = Limiter(1)
    scheduler.flush()
    with pytest.raises(RuntimeError, match="call_from_thread"):
        in_thread(use, limiter)
    assert (0, 0) == (limiter.active, limiter.waiting)


def test_long_stack_traces_lead_to_the_call(scheduler, config, gates):
    """Also if the function was called when a slot came back, and what it made fails later."""
    config(long_stack_traces=True)
    limiter = Limiter(1)
    limiter.run(gates, "first")
    made = []

    def work():
        made.append(quiet(Promise.delay(1).then(fail)))

    def caller():
        limiter.run(work)

    caller()
    gates.open("first")
    scheduler.advance(1)
    assert "in caller" in "".join(made[0].reason().__notes__)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", ["called", "failed", "cancelled"])
def test_what_a_call_refers_to_is_freed(scheduler, gates, end):
    """By reference counting, when it has ended; the limiter stays."""

    class Argument:
        pass

    limiter = Limiter(1)
    limiter.run(gates, "first")
    argument = Argument()
    reference = weakref.ref(argument)
    promise = quiet(limiter.run(fail if end == "failed" else len, [argument]))
    del argument
    assert reference() is not None
    if end == "cancelled":
        promise.cancel()
    gates.open("first")
    scheduler.flush()
    kept = weakref.ref(promise)
    del promise
    assert (None, None) == (reference(), kept())


# --- bad input, and how it shows itself


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be 1 or more, not 0"),
        ({"size": -1}, ValueError, "size must be 1 or more, not -1"),
        ({"size": 1.5}, TypeError, "size must be an int, 1 or more, not 1.5"),
        ({"size": True}, TypeError, "size must be an int, 1 or more, not True"),
        ({"size": None}, TypeError, "size must be an int, 1 or more, not None"),
        ({"size": 1, "waiting": -1}, ValueError, "waiting must be 0 or more, not -1"),
        ({"size": 1, "waiting": "1"}, TypeError, "waiting must be an int, 0 or more, not '1'"),
        (
            {"size": 1, "library": int},
            TypeError,
            "library must be a library copy, such as Promise, not <class 'int'>",
        ),
        (
            {"size": 1, "library": None},
            TypeError,
            "library must be a library copy, such as Promise, not None",
        ),
    ],
)
def test_wrong_arguments(arguments, error, message):
    """The message names the argument, and what was expected."""
    with pytest.raises(error) as caught:
        Limiter(**arguments)
    assert message == str(caught.value)


def test_something_that_cannot_be_called(scheduler):
    """`run` rejects, the decorator raises; no slot is taken."""
    limiter = Limiter(1)
    message = "function must be callable, not 5 (fn must be a function)"
    promise = quiet(limiter.run(5))
    assert (TypeError, message) == (type(promise.reason()), str(promise.reason()))
    with pytest.raises(TypeError) as caught:
        limiter(5)
    assert message == str(caught.value)
    assert 0 == limiter.active


def test_it_shows_what_it_is_doing(scheduler, gates):
    """Its `repr`, and two attributes."""
    limiter = Limiter(2)
    for name in "abc":
        limiter.run(gates, name)
    assert "<Limiter: 2 of 2 running, 1 waiting>" == repr(limiter)
    assert (2, 1) == (limiter.active, limiter.waiting)


# --- scale


class Crew:
    """An executor with a thread for each call, which ends when the test says so."""

    def __init__(self):
        self._lock = Lock()
        self._at_work = 0
        self.most = 0
        #: Threads that are at work, and what lets each go on.
        self.begun = SimpleQueue()

    def submit(self, function, *arguments):
        """Call a function in a thread."""
        future = Future()
        future.set_running_or_notify_cancel()
        thread = Thread(target=lambda: future.set_result(self._work(function, *arguments)))
        thread.start()
        return future

    def _work(self, function, *arguments):
        with self._lock:
            self._at_work += 1
            self.most = max(self.most, self._at_work)
        goes_on = Event()
        self.begun.put((threading.current_thread(), goes_on))
        goes_on.wait()
        with self._lock:
            self._at_work -= 1
        return function(*arguments)


@pytest.mark.parametrize("count", [12, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_threads_with_timeouts_never_exceed_the_cap(scheduler, count):
    """`map` goes on when its promises time out: two threads are at work all the same."""
    limiter = Limiter(2)
    crew = Crew()

    def work(number):
        call = limiter.run(Promise.run_in, crew, abs, number)
        return call.timeout(0.5 + number % 4).catch_return(TimeoutError, None)

    mapped = Promise.map(range(count), work, concurrency=4)
    scheduler.flush()
    while limiter.active:
        thread, goes_on = crew.begun.get(timeout=60)
        scheduler.advance(0.5)
        goes_on.set()
        thread.join()
        scheduler.flush()
    assert 2 == crew.most
    # Some had ended in time.
    assert {None} < set(mapped.value())


def queue_and_run(scheduler, count):
    """Queue calls, cancel every third, and run the others; returns which were called."""
    limiter = Limiter(3)
    gate = Promise.defer()
    for _ in range(3):
        limiter.run(lambda: gate.promise)
    called = []
    promises = [limiter.run(called.append, number) for number in range(count)]
    for promise in promises[::3]:
        promise.cancel()
    gate.resolve()
    scheduler.flush()
    assert (0, 0) == (limiter.active, limiter.waiting)
    return called


def test_queueing_costs_the_same_however_many_wait(scheduler):
    """Twice as many take no more than twice the calls of functions."""
    few, many = (
        calls_of(lambda count=count: queue_and_run(scheduler, count)) for count in (300, 600)
    )
    assert many <= 2 * few


@pytest.mark.exhaustive
def test_a_hundred_thousand_calls(scheduler):
    """First in, first out; those that were cancelled are never called."""
    called = queue_and_run(scheduler, 100_000)
    assert [number for number in range(100_000) if number % 3] == called


def test_a_late_cancellation_error_is_not_made(scheduler, gates):
    """Waiting for a call that was cancelled while queued gives what it gives everywhere."""
    limiter = Limiter(1)
    limiter.run(gates, "a")
    promise = limiter.run(gates, "b")
    promise.cancel()
    late = quiet(promise.then())
    scheduler.flush()
    assert isinstance(late.reason(), CancellationError)
