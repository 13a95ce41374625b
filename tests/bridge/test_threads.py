"""`call_from_thread`, and awaiting promises of another thread: `twpromise._bridge.threads`."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.support.processes import run_python
from tests.support.promises import Boom, Source, awaiting
from tests.support.threads import in_thread
from twpromise import Promise, ReactorScheduler, RejectionError
from twpromise.loops import LoopScheduler, use_running_loop
from twpromise.testing import ManualScheduler

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


def from_thread(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Future[Any]:
    """What `call_from_thread` gives in another thread."""
    future: Future[Any] = in_thread(
        lambda: Promise.call_from_thread(function, *arguments, **keywords)
    )
    return future


class TestCallFromThread:
    """`call_from_thread` in another thread."""

    def test_value(self, scheduler: ManualScheduler) -> None:
        """The function is called with all arguments in the thread of the scheduler."""

        def function(one: int, *, key: int) -> tuple[int, int, int]:
            return one, key, threading.get_ident()

        future = from_thread(function, 1, key=2)
        assert not future.done()
        scheduler.flush()
        assert (1, 2, threading.get_ident()) == future.result()

    def test_followed(self, scheduler: ManualScheduler) -> None:
        """A promise, a Deferred or a coroutine that it returns is waited for."""
        deferred: Deferred[str] = Deferred()

        async def coroutine() -> Any:
            return await Promise.delay(1, "coroutine")

        futures = [
            from_thread(Promise.delay, 1, "promise"),
            from_thread(lambda: deferred),
            from_thread(coroutine),
        ]
        scheduler.flush()
        assert not any(future.done() for future in futures)
        deferred.callback("Deferred")
        scheduler.advance(1)
        assert ["promise", "Deferred", "coroutine"] == [future.result() for future in futures]

    def test_stop_iteration(self, scheduler: ManualScheduler) -> None:
        """It is wrapped: asyncio's futures, which may wait for this one, do not take it."""
        future = from_thread(next, iter(()))
        scheduler.flush()
        assert isinstance(future.exception(), RejectionError)

    @pytest.mark.parametrize("when", ["now", "later"])
    def test_failing(self, scheduler: ManualScheduler, when: str) -> None:
        """What it raises, or rejects with, is raised there; it is not reported here."""
        source, error = Source(), Boom()
        if when == "now":
            source.reject(error)
        future = from_thread(lambda: source.promise)
        scheduler.flush()
        source.reject(error)
        scheduler.flush()
        assert error is future.exception()

    def test_context(self, scheduler: ManualScheduler) -> None:
        """The call, and the coroutine that it returns, see the context of the caller."""

        async def coroutine() -> list[str]:
            seen = [variable.get()]
            await Promise.delay(0)
            return [*seen, variable.get()]

        def call() -> Future[Any]:
            variable.set("caller")
            return Promise.call_from_thread(coroutine)

        future = in_thread(call)
        scheduler.flush()
        assert ["caller", "caller"] == future.result()
        assert "nothing" == variable.get()

    def test_cancelled_before_it_is_called(self, scheduler: ManualScheduler) -> None:
        """The function is never called."""
        called: list[str] = []
        future = from_thread(called.append, "called")
        assert in_thread(future.cancel)
        scheduler.flush()
        assert [] == called
        # A future that `wait` knows to be done.
        assert {future} == wait([future], 1).done

    def test_cancelled(self, scheduler: ManualScheduler) -> None:
        """What it returned is cancelled."""
        source = Source()
        future = from_thread(lambda: source.promise)
        scheduler.flush()
        assert in_thread(future.cancel)
        assert 0 == source.cancelled
        scheduler.flush()
        assert 1 == source.cancelled
        assert {future} == wait([future], 1).done

    def test_cancelled_when_it_has_settled(self, scheduler: ManualScheduler) -> None:
        """The future stays cancelled, and nothing is logged."""
        source = Source()
        future = from_thread(lambda: source.promise)
        scheduler.flush()
        source.resolve("value")
        assert in_thread(future.cancel)
        scheduler.flush()
        assert {future} == wait([future], 1).done
        assert future.cancelled()

    @pytest.mark.parametrize("result", ["value", "pending", "raised"])
    def test_cancelled_by_the_function(
        self, scheduler: ManualScheduler, reports: list[Any], result: str
    ) -> None:
        """What it returns all the same is dropped: cancelled, if it is pending."""
        source = Source()
        futures: list[Future[Any]] = []

        def function() -> Any:
            assert futures[0].cancel()
            if result == "raised":
                raise Boom
            return source.promise if result == "pending" else result

        futures.append(from_thread(function))
        scheduler.flush()
        assert {futures[0]} == wait(futures, 1).done
        assert (result == "pending") == source.promise.is_cancelled()
        assert [] == reports

    def test_promise_cancelled(self, scheduler: ManualScheduler) -> None:
        """A promise that others cancel cancels the future."""
        source = Source()
        future = from_thread(lambda: source.promise)
        scheduler.flush()
        source.promise.cancel()
        scheduler.flush()
        with pytest.raises(CancelledError):
            in_thread(future.result)

    def test_no_function(self) -> None:
        """Something that cannot be called is refused at once."""
        with pytest.raises(TypeError, match="function must be callable, not 5"):
            Promise.call_from_thread(5)  # type: ignore[call-overload]


class TestCallAtHome:
    """`call_from_thread` in the thread that promises run in."""

    def test_value(self, scheduler: ManualScheduler) -> None:
        """The function is called at once; a value is there at once."""
        future = Promise.call_from_thread(len, "abc")
        assert (3, None) == (future.result(), future.exception())

    @pytest.mark.parametrize("name", ["result", "exception"])
    def test_waiting_for_itself(self, scheduler: ManualScheduler, name: str) -> None:
        """That would never end, and raises; it says what to do."""
        future = Promise.call_from_thread(Promise.delay, 1, "value")
        with pytest.raises(RuntimeError, match=rf"{name}\(\) .* use `await Promise.resolve\(fut"):
            getattr(future, name)(60)
        followed = Promise.resolve(future)
        scheduler.advance(1)
        assert "value" == followed.value() == future.result()

    def test_cancelling(self, scheduler: ManualScheduler) -> None:
        """The work is cancelled at once."""
        source = Source()
        future = Promise.call_from_thread(lambda: source.promise)
        assert future.cancel()
        assert source.promise.is_cancelled()


class TestRefused:
    """What raises in another thread has done nothing."""

    @pytest.mark.parametrize(
        "make",
        [
            lambda pending, cancelled, follow: Promise.try_(5),  # type: ignore[call-overload]
            lambda pending, cancelled, follow: Promise.from_node(5),  # type: ignore[arg-type]
            lambda pending, cancelled, follow: pending.map(5),
            lambda pending, cancelled, follow: cancelled.finally_(str),
            lambda pending, cancelled, follow: pending.bind(follow()),
            lambda pending, cancelled, follow: Promise.bind(1, follow()),
        ],
        ids=["try_", "from_node", "map", "finally_", "bind", "Promise.bind"],
    )
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
    def test_nothing_is_called_or_reported(
        self, scheduler: ManualScheduler, reports: list[Any], make: Callable[..., Any]
    ) -> None:
        """Neither at once nor later."""
        called: list[str] = []

        async def follow() -> None:
            called.append("called")

        pending, cancelled = Source().promise, Source().promise
        cancelled.cancel()
        scheduler.flush()
        with pytest.raises(RuntimeError, match="call_from_thread"):
            in_thread(lambda: make(pending, cancelled, follow))
        Promise.resolve().then(str)
        scheduler.flush()
        assert ([], []) == (called, reports)


# --- awaiting


@pytest.fixture
def on_reactor() -> Iterator[Any]:
    """Promises on a reactor that has not been started: that of pytest's thread."""
    from twisted.internet import reactor

    previous = Promise.set_scheduler(ReactorScheduler(reactor))
    yield
    Promise.set_scheduler(previous)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.usefixtures("on_reactor")
class TestForeignLoop:
    """On a loop in the thread of the promises that they do not run on."""

    def test_await(self, debug: bool) -> None:
        """An await of a pending promise raises at once, in the coroutine."""
        source = Source()

        async def main() -> None:
            with pytest.raises(RuntimeError, match=r"twpromise\.loops\.use_running_loop"):
                await source.promise
            with pytest.raises(RuntimeError, match="would never settle while it runs"):
                await asyncio.gather(source.promise)
            assert 1 == await Promise.resolve(1)

        asyncio.run(main(), debug=debug)
        assert source.promise.is_pending()

    def test_to_future(self, debug: bool) -> None:
        """So does making a future."""

        async def main() -> None:
            with pytest.raises(RuntimeError, match="would never settle while it runs"):
                Source().promise.to_future()

        asyncio.run(main(), debug=debug)


def test_a_reactor_that_was_never_started() -> None:
    """An await in another thread raises, too: nothing would ever settle the promise."""
    program = (
        "import asyncio, threading\n"
        "from twpromise import Promise\n"
        "promise = Promise.defer().promise\n"
        "async def main():\n"
        "    for wait in promise.__await__, promise.to_future:\n"
        "        try:\n"
        "            await promise if wait == promise.__await__ else wait()\n"
        "        except RuntimeError as error:\n"
        "            print('in which no reactor runs' in str(error))\n"
        "thread = threading.Thread(target=lambda: asyncio.run(main()))\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    for options in [], ["-X", "dev"]:
        assert ["True", "True"] == run(*options, "-c", program)


def test_a_thread_with_a_loop_of_its_own(scheduler: ManualScheduler) -> None:
    """The error of a foreign thread also says how promises can run on its loop."""

    async def main() -> None:
        Promise.delay(1)

    with pytest.raises(RuntimeError, match=r"twpromise\.loops\.use_running_loop\(\)"):
        in_thread(lambda: asyncio.run(main()))


def test_a_reactor_that_is_started_in_another_thread_than_was_expected() -> None:
    """As by crochet, once promises have been made: they belong to its thread from then on."""
    program = (
        "import threading\n"
        "from twisted.internet import reactor\n"
        "from twpromise import Promise\n"
        "first, second = Promise.defer(), Promise.defer()\n"
        "seen, both = [], threading.Event()\n"
        "def see(_):\n"
        "    seen.append(threading.current_thread().name)\n"
        "    if len(seen) == 2:\n"
        "        both.set()\n"
        "first.promise.then(see)\n"
        "second.promise.catch(see)\n"
        "started = threading.Event()\n"
        "reactor.callWhenRunning(started.set)\n"
        "thread = threading.Thread(target=reactor.run, args=(False,), name='reactor')\n"
        "thread.start()\n"
        "started.wait(60)\n"
        "for make in Promise.delay, Promise.try_, Promise.in_thread:\n"
        "    try:\n"
        "        make(0.1 if make == Promise.delay else str)\n"
        "    except RuntimeError as error:\n"
        "        print('call_from_thread' in str(error))\n"
        "first.resolve()\n"
        "second.reject(ValueError())\n"
        "print(both.wait(60), *seen)\n"
        "reactor.callFromThread(reactor.stop)\n"
        "thread.join()\n"
    )
    assert ["True", "True", "True", "True reactor reactor"] == run("-c", program)


def run(*arguments: str) -> list[str]:
    """What another Python prints, line by line."""
    done = run_python("-W", "error", *arguments)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.splitlines()


def test_eight_threads() -> None:
    """They use all that is public of a reactor's promises, which runs in a thread of its own.

    Nothing hangs; everything is answered, or raises.
    """
    lines = run("-m", "tests.bridge.threads_program")
    assert ["0 hang", "8 threads"] == lines


async def start(promise: Any) -> asyncio.Task[Any]:
    """A task that awaits a promise by now."""
    task = asyncio.ensure_future(awaiting(promise))
    await asyncio.sleep(0)
    return task


async def cancel(task: asyncio.Task[Any]) -> bool:
    """Whether a task is cancelled at once, whatever other threads do."""
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


class TestAbroad:
    """In a loop of another thread, while promises have a thread of their own."""

    @pytest.fixture(autouse=True)
    def _drained(self, scheduler: ManualScheduler) -> None:
        """So that the scheduler is known to run."""
        Promise.resolve().then(str)
        scheduler.flush()

    @staticmethod
    def on(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
        """What comes of a coroutine there."""
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    def test_value(self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop) -> None:
        """The task is subscribed here, and woken there."""
        source = Source()
        task = self.on(other_loop, start(source.promise))
        assert None is source.promise._subscribers
        scheduler.flush()
        source.resolve("value")
        scheduler.flush()
        assert "value" == self.on(other_loop, awaiting(task))

    @pytest.mark.parametrize("subscribed", [False, True])
    def test_cancelled(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop, subscribed: bool
    ) -> None:
        """The task is woken at once, by its own loop; the promise is left here."""
        source = Source()
        task = self.on(other_loop, start(source.promise))
        if subscribed:
            scheduler.flush()
        assert self.on(other_loop, cancel(task))
        assert source.promise.is_pending()
        scheduler.flush()
        assert source.promise.is_cancelled()

    def test_cancelled_when_it_has_settled(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """The news of that come too late, and change nothing."""
        source = Source()
        task = self.on(other_loop, start(source.promise))
        scheduler.flush()
        source.resolve("value")
        assert self.on(other_loop, cancel(task))
        scheduler.flush()
        self.on(other_loop, asyncio.sleep(0))
        assert "value" == source.promise.value()

    def test_cancelled_once_it_is_woken(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """A task that is cancelled when it is about to go on is cancelled, as with a future."""
        source = Source()
        task = self.on(other_loop, start(source.promise))
        scheduler.flush()
        source.resolve("value")
        gate = threading.Event()
        other_loop.call_soon_threadsafe(gate.wait)
        scheduler.flush()
        # Behind what wakes the task, and before it is run.
        other_loop.call_soon_threadsafe(task.cancel)
        gate.set()
        self.on(other_loop, asyncio.wait([task]))
        assert task.cancelled()

    def test_the_loop_has_closed(self, scheduler: ManualScheduler) -> None:
        """What has been left behind there is not woken, and nothing is logged."""
        source = Source()
        loop = asyncio.new_event_loop()
        task = in_thread(lambda: loop.run_until_complete(start(source.promise)))
        loop.close()
        scheduler.flush()
        source.resolve("value")
        scheduler.flush()
        assert not task.done()
        # Of a task that was never finished asyncio logs that it was destroyed.
        task._log_destroy_pending = False

    def test_awaited_while_a_coroutine_runs(self, other_loop: asyncio.AbstractEventLoop) -> None:
        """The task there is not taken for one that is driven here."""

        async def main() -> Any:
            async with use_running_loop():
                source = Source()

                async def coroutine() -> Any:
                    await Promise.delay(0)
                    return [self.on(other_loop, start(source.promise))]

                [task] = await Promise.resolve(coroutine())
                source.resolve("value")
                return await asyncio.wrap_future(
                    asyncio.run_coroutine_threadsafe(awaiting(task), other_loop)
                )

        assert "value" == asyncio.run(main())

    def test_the_loop_of_the_promise_has_closed(
        self, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """An await raises, instead of waiting for what cannot come."""

        async def main() -> Any:
            Own.set_scheduler(LoopScheduler())
            await Own.delay(0)
            return [Own.defer().promise]

        Own = Promise.get_new_library_copy()
        [promise] = asyncio.run(main())
        with pytest.raises(RuntimeError, match="has closed"):
            self.on(other_loop, awaiting(promise))

    def test_to_future(
        self, scheduler: ManualScheduler, other_loop: asyncio.AbstractEventLoop
    ) -> None:
        """A future that was made there is settled there."""
        source = Source()

        async def make() -> Any:
            return source.promise.to_future()

        future = self.on(other_loop, make())
        assert None is source.promise._subscribers
        scheduler.flush()
        source.resolve("value")
        scheduler.flush()
        assert "value" == self.on(other_loop, awaiting(future))
