"""Work done elsewhere, and futures back: `twpromise._bridge.executors`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import multiprocessing
import operator
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.logger import LogEvent
from twisted.trial.unittest import TestCase

from tests.support.promises import Boom, Source, quiet
from twpromise import CancellationError, Promise, RejectionError
from twpromise._core.ending import has_ended
from twpromise.testing import ManualScheduler

OnAsyncio = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


def fail(*arguments: object) -> None:
    """Raise."""
    raise Boom(*arguments)


def variable_there() -> str:
    """What the variable is, wherever this runs."""
    return variable.get()


# --- run_in


class TestThreads:
    """`run_in` with a pool of threads."""

    def test_value(self, scheduler: ManualScheduler) -> None:
        """A promise for what the function returns, called with all arguments in a thread."""

        def function(one: int, *, key: int) -> tuple[int, int, int]:
            return one, key, threading.get_ident()

        with ThreadPoolExecutor() as executor:
            promise = Promise.run_in(executor, function, 1, key=2)
        scheduler.flush()
        one, key, thread = promise.value()
        assert (1, 2) == (one, key)
        assert threading.get_ident() != thread

    def test_failing(self, scheduler: ManualScheduler) -> None:
        """What the function raises rejects, with the traceback from there."""
        with ThreadPoolExecutor() as executor:
            promise = quiet(Promise.run_in(executor, fail, "why"))
        scheduler.flush()
        error = promise.reason()
        assert (Boom, ("why",)) == (type(error), error.args)
        names = []
        traceback = error.__traceback__
        while traceback is not None:
            names.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        assert "fail" == names[-1]

    def test_cancelled_before_it_runs(self, scheduler: ManualScheduler) -> None:
        """The function is never called."""
        called: list[str] = []
        go = threading.Event()
        with ThreadPoolExecutor(max_workers=1) as executor:
            first = Promise.run_in(executor, go.wait)
            second = Promise.run_in(executor, called.append, "called")
            second.cancel()
            scheduler.flush()
            go.set()
        scheduler.flush()
        assert (True, True, []) == (first.value(), second.is_cancelled(), called)

    def test_cancelled_while_it_runs(self, scheduler: ManualScheduler) -> None:
        """The promise is cancelled; the thread goes on, and what comes of it is dropped."""
        started, go = threading.Event(), threading.Event()
        ended: list[str] = []

        def function() -> None:
            started.set()
            go.wait()
            ended.append("ended")
            raise Boom

        with ThreadPoolExecutor() as executor:
            promise = Promise.run_in(executor, function)
            started.wait()
            promise.cancel()
            scheduler.flush()
            go.set()
        scheduler.flush()
        assert (True, ["ended"]) == (promise.is_cancelled(), ended)

    def test_shut_down_before(self, scheduler: ManualScheduler) -> None:
        """An executor that was shut down rejects, it does not raise."""
        executor = ThreadPoolExecutor()
        executor.shutdown()
        promise = quiet(Promise.run_in(executor, fail))
        assert isinstance(promise.reason(), RuntimeError)
        assert "cannot schedule new futures after shutdown" == str(promise.reason())

    def test_shut_down_meanwhile(self, scheduler: ManualScheduler) -> None:
        """Work that a shutdown cancels is a promise cancelled."""
        go = threading.Event()
        executor = ThreadPoolExecutor(max_workers=1)
        first = Promise.run_in(executor, go.wait)
        second = Promise.run_in(executor, fail)
        executor.shutdown(wait=False, cancel_futures=True)
        go.set()
        executor.shutdown()
        scheduler.flush()
        assert (True, True) == (first.value(), second.is_cancelled())

    def test_context(self, scheduler: ManualScheduler) -> None:
        """The function sees the context variables of its caller, and changes none of them."""

        def function() -> str:
            seen = variable.get()
            variable.set("thread")
            return seen

        def call(executor: Executor) -> tuple[Promise[str], str]:
            variable.set("caller")
            return Promise.run_in(executor, function), variable.get()

        with ThreadPoolExecutor(max_workers=1) as executor:
            first, after = contextvars.Context().run(call, executor)
            second = contextvars.Context().run(Promise.run_in, executor, function)
        scheduler.flush()
        assert ("caller", "caller", "nothing") == (first.value(), after, second.value())

    def test_many(self, scheduler: ManualScheduler) -> None:
        """A thousand calls, each with its own result, in order."""
        with ThreadPoolExecutor() as executor:
            promise = Promise.all([Promise.run_in(executor, abs, -n) for n in range(1000)])
        scheduler.flush()
        assert list(range(1000)) == promise.value()


class AtOnce(Executor):
    """An executor that runs everything in the caller's thread."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it."""
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


class TestExecutors:
    """`run_in` with anything that submits."""

    def test_done_at_once(self, scheduler: ManualScheduler) -> None:
        """A future that is done already gives a promise that is."""
        assert 6 == Promise.run_in(AtOnce(), operator.mul, 2, 3).value()

    def test_value_that_is_followed(self, scheduler: ManualScheduler) -> None:
        """A promise that comes back is followed."""
        source = Source()
        promise = Promise.run_in(AtOnce(), lambda: source.promise)
        source.resolve("value")
        scheduler.flush()
        assert "value" == promise.value()

    def test_no_executor(self) -> None:
        """Something that cannot submit is refused at once."""
        for wrong in (None, object(), len):
            with pytest.raises(TypeError, match="executor must be a concurrent"):
                Promise.run_in(wrong, len)  # type: ignore[arg-type]

    def test_no_function(self) -> None:
        """So is something that cannot be called."""
        with pytest.raises(TypeError, match="function must be callable, not 'name'"):
            Promise.run_in(AtOnce(), "name")  # type: ignore[arg-type]

    def test_library_copy(self, scheduler: ManualScheduler) -> None:
        """The promise is of the library copy that was asked."""
        copy = Promise.get_new_library_copy()
        assert isinstance(copy.run_in(AtOnce(), len, "abc"), copy)


@pytest.mark.skipif(
    not hasattr(concurrent.futures, "InterpreterPoolExecutor"),
    reason="this Python has no pool of interpreters",
)
def test_interpreters(scheduler: ManualScheduler) -> None:
    """A pool of interpreters is one of threads to Python, but no context can go there."""
    pool: Any = getattr(concurrent.futures, "InterpreterPoolExecutor")  # noqa: B009 - not in 3.11
    with pool(max_workers=1) as executor:
        promise = Promise.run_in(executor, pow, 2, 10)
    scheduler.flush()
    assert 1024 == promise.value()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """A pool of one process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
        yield executor


class TestProcesses:
    """`run_in` with a pool of processes."""

    def wait(self, executor: ProcessPoolExecutor, scheduler: ManualScheduler) -> None:
        """Wait for all that was submitted before."""
        done = threading.Event()
        executor.submit(len, "").add_done_callback(lambda _: done.set())
        assert done.wait(60)
        scheduler.flush()

    def test_value(self, processes: ProcessPoolExecutor, scheduler: ManualScheduler) -> None:
        """Arguments go over, and the result comes back."""
        promise = Promise.run_in(processes, pow, 2, exp=10)
        self.wait(processes, scheduler)
        assert 1024 == promise.value()

    def test_context(self, processes: ProcessPoolExecutor, scheduler: ManualScheduler) -> None:
        """Context variables stay here."""

        def call() -> Promise[str]:
            variable.set("caller")
            return Promise.run_in(processes, variable_there)

        promise = contextvars.Context().run(call)
        self.wait(processes, scheduler)
        assert "nothing" == promise.value()

    def test_failing(self, processes: ProcessPoolExecutor, scheduler: ManualScheduler) -> None:
        """The exception's remote traceback is kept in its `__cause__`."""
        promise = quiet(Promise.run_in(processes, operator.truediv, 1, 0))
        self.wait(processes, scheduler)
        error = promise.reason()
        assert isinstance(error, ZeroDivisionError)
        assert "_RemoteTraceback" == type(error.__cause__).__name__
        assert "ZeroDivisionError: division by zero" in str(error.__cause__)

    def test_not_to_be_sent(
        self, processes: ProcessPoolExecutor, scheduler: ManualScheduler
    ) -> None:
        """What cannot be pickled rejects."""
        promise = quiet(Promise.run_in(processes, len, threading.Lock()))  # type: ignore[arg-type]
        self.wait(processes, scheduler)
        assert isinstance(promise.reason(), TypeError)

    def test_remote_traceback_in_the_log(
        self,
        processes: ProcessPoolExecutor,
        scheduler: ManualScheduler,
        reports: list[LogEvent],
    ) -> None:
        """An unhandled one shows where it was raised, in the other process."""
        Promise.run_in(processes, operator.truediv, 1, 0)
        self.wait(processes, scheduler)
        (event,) = reports
        assert "_RemoteTraceback" == type(event["log_failure"].value.__cause__).__name__


# --- in_thread


class InThread(TestCase):
    """`in_thread` runs a function in the reactor's pool: a trial test."""

    async def test_value(self) -> None:
        """Called with all arguments, in another thread; handlers run on the reactor's."""

        def function(one: int, *, key: int) -> tuple[int, int, int]:
            return one, key, threading.get_ident()

        def handler(result: tuple[int, int, int]) -> tuple[Any, ...]:
            return *result, threading.get_ident()

        *arguments, there, here = await Promise.in_thread(function, 1, key=2).then(handler)
        assert [1, 2] == arguments
        assert threading.get_ident() == here
        assert there != here

    async def test_failing(self) -> None:
        """What it raises rejects."""
        with pytest.raises(Boom):
            await Promise.in_thread(fail)

    async def test_context(self) -> None:
        """The function sees the context variables of its caller, and changes none of them."""

        def function() -> str:
            seen = variable.get()
            variable.set("thread")
            return seen

        token = variable.set("caller")
        try:
            assert "caller" == await Promise.in_thread(function)
            assert "caller" == variable.get()
        finally:
            variable.reset(token)

    async def test_cancelled(self) -> None:
        """The promise is cancelled at once, whatever the thread does."""
        go = threading.Event()
        promise = Promise.in_thread(go.wait)
        watched = promise.reflect()
        promise.cancel()
        assert (await watched).is_cancelled()
        go.set()
        # Until the pool has nothing to do any more.
        await Promise.in_thread(len, "")

    async def test_running(self) -> None:
        """The promise's source says whether the thread runs on, and calls when it has ended."""
        started, go = threading.Event(), threading.Event()

        def function() -> None:
            started.set()
            go.wait()
            fail()

        promise = Promise.in_thread(function)
        source = promise._source
        # The pool begins in the reactor's turn.
        while not started.is_set():
            await Promise.delay(0)
        promise.cancel()
        ended = [Promise.defer(), Promise.defer()]
        source.when_done(ended[0].resolve)
        await Promise.delay(0)
        assert source.running()
        assert ended[0].promise.is_pending()
        go.set()
        await ended[0].promise
        assert not source.running()
        source.when_done(ended[1].resolve)
        assert ended[1].promise.is_pending()
        await ended[1].promise

    async def test_cancelled_while_it_is_queued(self) -> None:
        """The function is never called, and what waited for it has ended."""
        go = threading.Event()
        called: list[str] = []
        pool: Any = reactor.getThreadPool()  # type: ignore[attr-defined]
        busy = [Promise.in_thread(go.wait) for _ in range(pool.max)]
        queued = Promise.in_thread(called.append, "called")
        queued.cancel()
        assert has_ended(queued)
        go.set()
        await Promise.all(busy)
        await Promise.in_thread(len, "")
        assert [] == called

    async def test_timeout(self) -> None:
        """A thread that hangs does not make its caller hang."""
        go = threading.Event()
        with pytest.raises(TimeoutError):
            await Promise.in_thread(go.wait).timeout(0.001)
        go.set()

    def test_no_function(self) -> None:
        """Something that cannot be called is refused at once."""
        with pytest.raises(TypeError, match="function must be callable, not 5"):
            Promise.in_thread(5)  # type: ignore[arg-type]


class TestInThread:
    """`in_thread` asks the scheduler for the thread."""

    def test_by_the_scheduler(self, scheduler: ManualScheduler) -> None:
        """The function runs where the scheduler calls it; its end waits for the scheduler."""
        done = threading.Event()
        promise = Promise.in_thread(lambda: (done.set(), threading.get_ident())[1])
        assert done.wait(60)
        while promise.is_pending():
            scheduler.flush()
        assert threading.get_ident() != promise.value()

    def test_a_scheduler_that_has_no_thread(
        self, scheduler: ManualScheduler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it raises rejects."""
        monkeypatch.setattr(scheduler, "call_in_thread", fail)
        assert isinstance(quiet(Promise.in_thread(len, "")).reason(), Boom)


# --- to_future


class TestToFuture:
    """Promises in asyncio, on the loop that promises run on."""

    def test_value(self, on_asyncio: OnAsyncio) -> None:
        """Pending and settled promises give futures that get the value."""

        async def main() -> list[Any]:
            source = Source()
            later = source.promise.to_future()
            assert not later.done()
            source.resolve("later")
            return [await later, await Promise.resolve("now").to_future()]

        assert ["later", "now"] == on_asyncio(main)

    def test_each_its_own(self, on_asyncio: OnAsyncio) -> None:
        """Each call gives a new future: one consumer each."""

        async def main() -> None:
            source = Source()
            first, second = source.promise.to_future(), source.promise.to_future()
            assert first is not second
            first.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert 0 == source.cancelled
            source.resolve("value")
            assert "value" == await second

        on_asyncio(main)

    def test_cancelling(self, on_asyncio: OnAsyncio) -> None:
        """The last future that is cancelled stops the work."""

        async def main() -> list[str]:
            source = Source()
            future = source.promise.to_future()
            await Promise.resolve().then()
            future.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            source.resolve("late")
            return source.cancelled

        assert 1 == on_asyncio(main)

    def test_cancelled_by_others(self, on_asyncio: OnAsyncio) -> None:
        """A promise that is cancelled cancels the future."""

        async def main() -> bool:
            source = Source()
            future = source.promise.to_future()
            source.promise.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            return future.cancelled()

        assert on_asyncio(main)

    def test_cancelled_before(self, on_asyncio: OnAsyncio) -> None:
        """Consuming a promise that is cancelled already is an error."""

        async def main() -> None:
            source = Source()
            source.promise.cancel()
            with pytest.raises(CancellationError, match="late cancellation observer"):
                await source.promise.to_future()

        on_asyncio(main)

    def test_cancelled_when_it_has_settled(self, on_asyncio: OnAsyncio) -> None:
        """A future that is cancelled between the outcome and its news stays cancelled."""

        async def main() -> bool:
            source = Source()
            future = source.promise.to_future()
            source.resolve("value")
            future.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            return future.cancelled() and source.promise.is_fulfilled()

        assert on_asyncio(main)

    @pytest.mark.parametrize("when", ["before", "later"])
    def test_failing(self, on_asyncio: OnAsyncio, when: str) -> None:
        """The reason is raised; the rejection counts as handled."""

        async def main() -> None:
            source, error = Source(), Boom()
            if when == "before":
                source.reject(error)
            future = source.promise.to_future()
            if when == "later":
                source.reject(error)
            with pytest.raises(Boom) as caught:
                await future
            assert error is caught.value

        on_asyncio(main)

    @pytest.mark.parametrize("reason", ["odd", StopIteration(5)], ids=["odd", "StopIteration"])
    def test_odd_reasons(self, on_asyncio: OnAsyncio, reason: object) -> None:
        """What asyncio does not take travels inside a RejectionError."""

        async def main() -> None:
            with pytest.raises(RejectionError) as caught:
                await Promise.reject(reason).to_future()
            assert reason is caught.value.cause

        on_asyncio(main)

    def test_with_asyncios_own(self, on_asyncio: OnAsyncio) -> None:
        """`wait_for`, `gather` and `wait` take the futures."""

        async def main() -> None:
            source = Source()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(source.promise.to_future(), 0)
            assert [1, 2] == await asyncio.gather(
                Promise.resolve(1).to_future(), Promise.resolve(2).to_future()
            )
            done, _ = await asyncio.wait([Promise.resolve(1).to_future()])
            assert [1] == [future.result() for future in done]

        on_asyncio(main)

    def test_round_trip(self, on_asyncio: OnAsyncio) -> None:
        """A future of a promise of a future."""

        async def main() -> Any:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            back = Promise.resolve(future).to_future()
            future.set_result("value")
            return await back

        assert "value" == on_asyncio(main)

    def test_no_loop(self, scheduler: ManualScheduler) -> None:
        """Without a loop, given or running, there is no future."""
        with pytest.raises(RuntimeError, match="no running event loop"):
            Promise.resolve(1).to_future()


class TestAnotherLoop:
    """`to_future(loop)`, with a loop that runs in another thread."""

    def on(self, loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
        """The result of a coroutine that runs there."""
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    def test_value(self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop) -> None:
        """The future gets its value on its own loop's thread."""
        source = Source()
        future = source.promise.to_future(other_loop)

        async def wait() -> tuple[Any, int]:
            return await future, threading.get_ident()

        waiting = asyncio.run_coroutine_threadsafe(wait(), other_loop)
        source.resolve("value")
        scheduler.flush()
        value, thread = waiting.result(60)
        assert "value" == value
        assert threading.get_ident() != thread

    def test_failing(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """So it does with an exception."""
        future = Promise.reject(Boom()).to_future(other_loop)
        scheduler.flush()

        async def wait() -> None:
            with pytest.raises(Boom):
                await future

        self.on(other_loop, wait())

    def test_cancelling(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """Cancelled there, the promise is left here."""
        source = Source()
        future = source.promise.to_future(other_loop)

        async def cancel() -> None:
            future.cancel()
            await asyncio.sleep(0)

        self.on(other_loop, cancel())
        assert source.promise.is_pending()
        scheduler.flush()
        assert (True, 1) == (source.promise.is_cancelled(), source.cancelled)

    def test_cancelled_by_others(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """Cancelled here, the future is cancelled there."""
        source = Source()
        future = source.promise.to_future(other_loop)
        source.promise.cancel()
        scheduler.flush()

        async def wait() -> None:
            with pytest.raises(asyncio.CancelledError):
                await future

        self.on(other_loop, wait())

    @pytest.mark.parametrize("settle", ["resolve", "cancel"])
    def test_cancelled_on_both_sides(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop, settle: str
    ) -> None:
        """A promise that settles while the news of the cancellation are on their way."""
        source = Source()
        future = source.promise.to_future(other_loop)

        async def cancel() -> None:
            future.cancel()
            await asyncio.sleep(0)

        if settle == "resolve":
            source.resolve("value")
        else:
            source.promise.cancel()
        self.on(other_loop, cancel())
        scheduler.flush()
        self.on(other_loop, asyncio.sleep(0))
        assert future.cancelled()
        assert (settle == "cancel") == source.promise.is_cancelled()

    def test_closed(self, scheduler: ManualScheduler) -> None:
        """A future of a closed loop is not settled, and nothing is logged."""
        loop = asyncio.new_event_loop()
        source = Source()
        future = source.promise.to_future(loop)
        loop.close()
        source.resolve("value")
        scheduler.flush()
        assert not future.done()
        del future
        gc.collect()


class TestAcquiringInAThread(TestCase):
    """A thread cannot be stopped."""

    async def test_it_is_waited_for(self) -> None:
        """What a thread acquires after the cancellation is released."""
        started, go = threading.Event(), threading.Event()
        released: list[Any] = []

        def acquire() -> str:
            started.set()
            go.wait(30)
            return "connection"

        acquiring = Promise.in_thread(acquire)
        promise = Promise.using(acquiring.disposer(released.append), lambda _: None)
        while not started.is_set():
            await Promise.delay(0)
        promise.cancel()
        go.set()
        while not released:
            await Promise.delay(0)
        assert ["connection"] == released
        assert promise.is_cancelled()
