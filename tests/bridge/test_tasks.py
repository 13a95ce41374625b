"""Coroutines of promises are asyncio tasks, where promises run on asyncio's loop.

Each test is run by a task, which must stay as it is: no coroutine runs as a part of it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import io
import sys
import types
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from tests.support.outcomes import frames, reasons
from tests.support.promises import Boom, Source, awaiting
from twpromise import CancellationError, Promise, ReactorScheduler
from twpromise.testing import ManualScheduler

Main = Callable[[], Coroutine[Any, Any, Any]]
OnLoop = Callable[[Main], Any]


@pytest.fixture(params=["tasks", "eager tasks"])
def on_loop(request: pytest.FixtureRequest, on_asyncio: OnLoop) -> OnLoop:
    """Runs a function's coroutine as an asyncio task, which must neither end nor be cancelled.

    With the factory of eager tasks, and without.
    """
    eager = "eager tasks" == request.param
    if eager and sys.version_info < (3, 12):
        pytest.skip("this Python has no eager tasks")

    def run(main: Main) -> Any:
        async def checked() -> Any:
            task = current()
            if eager:
                asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            result = await main()
            assert task is current()
            assert 0 == task.cancelling()
            return result

        return on_asyncio(checked)

    return run


def current() -> Any:
    """The task that runs, if one does."""
    return asyncio.current_task()


async def ended(promise: Promise[Any]) -> None:
    """Waits until a promise has settled, however."""
    await promise.reflect()


async def turns(number: int = 5) -> None:
    """Waits for some turns of the loop."""
    for _ in range(number):
        await asyncio.sleep(0)


@types.coroutine
def turn() -> Generator[None, None, None]:
    """What `asyncio.sleep(0)` waits for."""
    yield


#: Each way in which a coroutine function's coroutine is started, in the caller's turn or later.
STARTS: dict[str, Callable[[Callable[..., Any]], Promise[Any]]] = {
    "resolve": lambda function: Promise.resolve(function()),
    "coroutine": lambda function: Promise.coroutine(function)(),
    "all": lambda function: Promise.all([function()]).get(0),
    "map": lambda function: Promise.map([1], function).get(0),
    "then": lambda function: Promise.resolve(1).then(function),
    "using": lambda function: Promise.using(Promise.resolve(1).disposer(lambda *_: None), function),
}
started_each_way = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


class TestWhoseTask:
    """A coroutine runs as its own task, and as no other."""

    @started_each_way
    def test_a_timeout_cancels_what_it_is_in(self, on_loop: OnLoop, start: Any) -> None:
        """The timeout of a coroutine ends what that awaits, and not the task that started it."""

        async def fetch(*_: object) -> str:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(60)
            except TimeoutError:
                return "handled"
            return "slept"

        async def main() -> str:
            return await start(fetch)

        assert "handled" == on_loop(main)

    @started_each_way
    def test_each_step(self, on_loop: OnLoop, start: Any) -> None:
        """All steps of a coroutine are those of one task; what it starts is another one."""
        tasks: dict[str, list[Any]] = {"outer": [], "inner": [], "main": []}

        async def steps(name: str, *others: Any) -> None:
            tasks[name].append(current())
            for other in others:
                promise = Promise.resolve(other)
                tasks[name].append(current())
                await promise
                tasks[name].append(current())
            await Promise.resolve().then()
            tasks[name].append(current())
            await asyncio.sleep(0)
            tasks[name].append(current())
            await asyncio.sleep(0.001)
            tasks[name].append(current())

        async def main() -> None:
            tasks["main"].append(current())
            promise = start(lambda *_: steps("outer", steps("inner")))
            tasks["main"].append(current())
            await promise

        on_loop(main)
        assert [6, 4, 2] == [len(found) for found in tasks.values()]
        assert [1, 1, 1] == [len(set(found)) for found in tasks.values()]
        assert 3 == len({found[0] for found in tasks.values()})

    def test_an_eager_task_within_a_step(self, on_loop: OnLoop) -> None:
        """A task of asyncio's that a coroutine starts awaits promises, too."""
        seen: list[Any] = []

        async def child() -> str:
            seen.append(current())
            return await Promise.resolve().then(lambda _: "from a promise")

        async def parent() -> str:
            seen.append(current())
            task = asyncio.create_task(child())
            seen.append(current())
            return await task

        async def main() -> None:
            assert "from a promise" == await Promise.resolve(parent())

        on_loop(main)
        assert 2 == len(set(seen))

    def test_a_twisted_coroutine_within_a_step(self, on_loop: OnLoop) -> None:
        """A coroutine that Twisted drives there awaits promises, too."""

        async def twisted() -> str:
            return await Promise.resolve().then(lambda _: "from a promise")

        async def parent() -> str:
            return await ensureDeferred(twisted())

        async def main() -> None:
            assert "from a promise" == await Promise.resolve(parent())

        on_loop(main)

    def test_a_deferred_fired_by_a_task(self, on_loop: OnLoop) -> None:
        """A step that a task causes by firing a Deferred is not a part of that task."""
        seen: list[Any] = []
        deferreds: list[Deferred[None]] = [Deferred(), Deferred()]

        async def coroutine() -> None:
            await deferreds[0]
            seen.append(current())

        @Promise.coroutine
        def generator() -> Any:
            seen.append(current())
            yield deferreds[1]
            seen.append(current())

        async def main() -> None:
            promises = Promise.resolve(coroutine()), generator()
            for deferred in deferreds:
                deferred.callback(None)
            assert current() not in seen
            await Promise.all(promises)

        on_loop(main)
        assert [None, None] == [seen[0], seen[2]]
        assert "coroutine" in seen[1].get_name()

    def test_promises_of_another_loop(self, on_loop: OnLoop) -> None:
        """A coroutine whose promise runs elsewhere is no task, and not a part of one."""
        Other: Any = Promise.get_new_library_copy()
        clock = Clock()
        Other.set_scheduler(ReactorScheduler(clock))
        seen: list[Any] = []

        async def coroutine() -> None:
            seen.append(current())
            await Other.resolve().then()
            seen.append(current())

        async def main() -> None:
            promise = Other.resolve(coroutine())
            handled = promise.then(lambda _: seen.append(current()))
            # The drain, too, is within a task here.
            clock.advance(0)
            assert handled.is_fulfilled()

        on_loop(main)
        assert [None, None, None] == seen

    def test_a_coroutine_that_waits_for_one_that_is_no_task(self, on_loop: OnLoop) -> None:
        """A task that starts a coroutine of promises elsewhere waits for it as for others."""
        Other: Any = Promise.get_new_library_copy()
        clock = Clock()
        Other.set_scheduler(ReactorScheduler(clock))

        async def inner() -> str:
            return await Promise.resolve("inner").then()

        async def outer() -> str:
            return await Other.resolve(inner())

        async def main() -> None:
            promise = Promise.resolve(outer())
            await turns()
            clock.advance(0)
            assert "inner" == await promise

        on_loop(main)


class TestAsyncio:
    """What asks for the task that runs works in the coroutines of promises."""

    @started_each_way
    def test_task_group(self, on_loop: OnLoop, start: Any) -> None:
        """A group waits for its tasks; when one fails, it cancels the others and the block."""

        async def grouped(*_: object) -> tuple[Any, ...]:
            seen: list[str] = []

            async def fails() -> None:
                await asyncio.sleep(0)
                raise Boom

            async def sleeps() -> None:
                try:
                    await asyncio.sleep(60)
                finally:
                    seen.append("cancelled")

            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, "slept"))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(sleeps())
                    group.create_task(fails())
                    await asyncio.sleep(60)
            except* Boom:
                seen.append("failed")
            return task.result(), *seen, current().cancelling()

        async def main() -> Any:
            return await start(grouped)

        assert ("slept", "cancelled", "failed", 0) == on_loop(main)

    @started_each_way
    def test_wait_for_and_gather(self, on_loop: OnLoop, start: Any) -> None:
        """`wait_for`, of what takes too long and of what does not; `gather`."""

        async def waits(*_: object) -> Any:
            source = Source()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.sleep(60), 0.001)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(source.promise, 0.001)
            await Promise.resolve().then()
            assert 1 == source.cancelled
            return await asyncio.gather(
                asyncio.wait_for(asyncio.sleep(0, 1), 60), Promise.resolve(2).then()
            )

        async def main() -> Any:
            return await start(waits)

        assert [1, 2] == on_loop(main)

    def test_a_timeout_around_each_kind(self, on_loop: OnLoop) -> None:
        """A timeout ends waiting for a promise, a Deferred, a coroutine, a task; once each."""
        source, deferred = Source(), Deferred[None]()
        shared = Source()
        shared.promise.then()

        async def coroutine() -> list[Any]:
            task = asyncio.create_task(asyncio.sleep(60))
            seen: list[Any] = []
            for awaited in source.promise, deferred, awaiting(Source().promise), task:
                try:
                    async with asyncio.timeout(0.001):
                        await awaited
                except TimeoutError:
                    seen.append(current().cancelling())
            try:
                async with asyncio.timeout(0.001):
                    await shared.promise
            except TimeoutError:
                seen.append(shared.cancelled)
            # Nothing of it is left.
            await asyncio.sleep(0)
            await Promise.resolve().then()
            return seen

        async def main() -> Any:
            return await Promise.resolve(coroutine())

        assert [0, 0, 0, 0, 0] == on_loop(main)
        assert 1 == source.cancelled
        assert deferred.called

    def test_what_a_deferred_says_to_a_timeout(
        self, on_loop: OnLoop, reports: list[LogEvent]
    ) -> None:
        """It is not what a later cancellation is answered with: an error of the clean-up it is."""
        error = Boom("no response")

        async def coroutine() -> None:
            with pytest.raises(Boom):
                async with asyncio.timeout(0):
                    await Deferred[None](lambda deferred: deferred.errback(error))
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                raise error

        async def main() -> None:
            promise = Promise.resolve(coroutine())
            await turns()
            promise.cancel()
            await ended(promise)
            assert promise.is_cancelled()

        on_loop(main)
        assert [error] == reasons(reports)

    def test_a_turn(self, on_loop: OnLoop) -> None:
        """`asyncio.sleep(0)` gives the loop a turn: what has been called soon runs before."""
        ran: list[str] = []

        async def coroutine() -> None:
            asyncio.get_running_loop().call_soon(ran.append, "loop")
            await asyncio.sleep(0)
            ran.append("coroutine")

        async def main() -> None:
            await Promise.resolve(coroutine())

        on_loop(main)
        assert ["loop", "coroutine"] == ran

    def test_futures(self, on_loop: OnLoop) -> None:
        """A future's result, or its error with its traceback, comes out of the await."""

        async def coroutine() -> Any:
            loop = asyncio.get_running_loop()
            future, failing, done = loop.create_future(), loop.create_future(), loop.create_future()
            done.set_result("done")
            loop.call_soon(future.set_result, "future")
            loop.call_soon(failing.set_exception, Boom())
            with pytest.raises(Boom):
                await failing
            return await future, await done

        async def main() -> Any:
            return await Promise.resolve(coroutine())

        assert ("future", "done") == on_loop(main)

    def test_what_asyncio_does_not_know(self, on_loop: OnLoop) -> None:
        """Bare yields of what promises follow are waited for, of all else raise TypeError."""

        @types.coroutine
        def bare(value: Any) -> Generator[Any, Any, Any]:
            return (yield value)

        async def coroutine() -> Any:
            future: concurrent.futures.Future[str] = concurrent.futures.Future()
            future.set_result("followed")
            with pytest.raises(TypeError, match="could not be treated as a promise"):
                await bare(1)
            return await bare(future)

        async def main() -> Any:
            return await Promise.resolve(coroutine())

        assert "followed" == on_loop(main)

    def test_its_own_promise(self, on_loop: OnLoop) -> None:
        """So does one that awaits its own promise."""
        own: list[Promise[None]] = []

        async def coroutine() -> None:
            await asyncio.sleep(0)
            await own[0]

        async def main() -> None:
            own.append(Promise.resolve(coroutine()))
            with pytest.raises(TypeError, match="circular promise resolution chain"):
                await own[0]

        on_loop(main)

    def test_its_own_task(self, on_loop: OnLoop) -> None:
        """A coroutine that awaits its own task could never go on: it fails at once."""

        async def coroutine() -> None:
            await current()

        async def main() -> None:
            with pytest.raises(RuntimeError, match="cannot await its own task"):
                await Promise.resolve(coroutine())

        on_loop(main)


class TestCancellingThePromise:
    """Cancelling a promise cancels the task of its coroutine."""

    @pytest.mark.parametrize("kind", ["promise", "shared", "Deferred", "future", "turn", "task"])
    def test_sees_asyncios_error(self, on_loop: OnLoop, kind: str) -> None:
        """The coroutine sees asyncio's CancelledError, whatever it waits for."""
        seen: list[Any] = []

        async def main() -> None:
            source, deferred = Source(), Deferred[None]()
            future = asyncio.get_running_loop().create_future()
            if "shared" == kind:
                source.promise.then()
            awaited: Any = {
                "promise": lambda: source.promise,
                "shared": lambda: source.promise,
                "Deferred": lambda: deferred,
                "future": lambda: future,
                "turn": turn,
                "task": lambda: asyncio.create_task(awaiting(future)),
            }[kind]()

            async def coroutine() -> None:
                seen.append(current())
                try:
                    await awaited
                except (CancellationError, asyncio.CancelledError) as error:
                    seen.append(type(error))
                    seen.append(current().cancelling())
                    raise

            promise = Promise.resolve(coroutine())
            if "task" == kind:
                # It begins to wait.
                await turns(1)
            promise.cancel()
            assert promise.is_cancelled()
            await turns()
            assert ("promise" == kind) == bool(source.cancelled)
            assert ("Deferred" == kind) == deferred.called
            assert (kind in ("future", "task")) == future.cancelled()

        on_loop(main)
        task, *rest = seen
        assert [asyncio.CancelledError, 1] == rest
        assert task.cancelled()

    def test_a_task_group_is_cancelled_with_it(self, on_loop: OnLoop) -> None:
        """The tasks of a group are cancelled with the coroutine, which has not failed."""
        seen: list[str] = []

        async def child() -> None:
            try:
                await Source().promise
            finally:
                seen.append("child")

        async def coroutine() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(child())
            finally:
                seen.append("coroutine")

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            await turns()
            promise.cancel()
            await ended(promise)
            await turns()
            return promise.is_cancelled()

        assert on_loop(main)
        assert ["child", "coroutine"] == seen

    def test_what_it_waits_for_cleans_up_first(self, on_loop: OnLoop) -> None:
        """A clean-up of what is cancelled with it ends before the coroutine goes on."""
        seen: list[str] = []

        async def coroutine() -> None:
            async def clean_up() -> None:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                seen.append("cleaned up")

            try:
                await Source().promise.finally_(clean_up)
            finally:
                seen.append("coroutine")

        async def main() -> None:
            promise = Promise.resolve(coroutine())
            promise.cancel()
            await turns(10)

        on_loop(main)
        assert ["cleaned up", "coroutine"] == seen

    def test_a_clean_up_that_fails(self, on_loop: OnLoop, reports: list[LogEvent]) -> None:
        """The coroutine is cancelled, and the error is reported, as it would without a loop."""

        async def clean_up() -> None:
            raise Boom

        async def coroutine() -> None:
            try:
                await Source().promise.finally_(clean_up)
            except BaseException as error:
                seen.append(type(error))

        seen: list[type] = []

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            promise.cancel()
            await turns()
            return promise.is_cancelled()

        assert on_loop(main)
        assert [asyncio.CancelledError] == seen
        assert [Boom] == [type(error) for error in reasons(reports)]

    def test_its_own_clean_up_fails(self, on_loop: OnLoop, reports: list[LogEvent]) -> None:
        """Promise and task stay cancelled, and the error is reported, once."""
        tasks: list[Any] = []

        async def coroutine() -> None:
            tasks.append(current())
            try:
                await asyncio.sleep(60)
            finally:
                raise Boom

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            await turns()
            promise.cancel()
            await turns()
            return promise.is_cancelled()

        assert on_loop(main)
        assert tasks[0].cancelled()
        assert [Boom] == [type(error) for error in reasons(reports)]

    def test_by_itself(self, on_loop: OnLoop) -> None:
        """A coroutine that cancels its own promise is cancelled where it waits next."""
        seen: list[Any] = []

        async def coroutine(waits: bool) -> str:
            await asyncio.sleep(0)
            promises[-1].cancel()
            seen.append("running")
            try:
                if waits:
                    await asyncio.sleep(60)
            finally:
                seen.append(current().cancelling())
            return "not seen"

        promises: list[Promise[Any]] = []

        async def main() -> None:
            for waits in False, True:
                promises.append(Promise.resolve(coroutine(waits)))
                await turns()

        on_loop(main)
        assert [True, True] == [promise.is_cancelled() for promise in promises]
        assert ["running", 1, "running", 1] == seen

    def test_others_that_are_cancelled(self, on_loop: OnLoop) -> None:
        """Awaiting a promise that others cancel is an error of that, and cancels nothing."""

        async def main() -> None:
            source = Source()
            promise = Promise.resolve(awaiting(source.promise))
            source.promise.cancel()
            with pytest.raises(CancellationError):
                await promise

        on_loop(main)

    def test_a_coroutine_that_catches_it(self, on_loop: OnLoop) -> None:
        """It goes on, and may wait; what it returns is dropped."""
        seen: list[Any] = []

        async def coroutine() -> str:
            current().cancel("a message of its own")
            for _ in range(2):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError as error:
                    async with asyncio.timeout(60):
                        await asyncio.sleep(0)
                    seen.append(error.args)
            return "dropped"

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            await turns()
            promise.cancel()
            await turns()
            return promise.is_cancelled()

        assert on_loop(main)
        assert [("a message of its own",), ()] == seen

    def test_a_deferred_that_fires_meanwhile(self, on_loop: OnLoop) -> None:
        """The coroutine goes on with its result, and is cancelled where it waits next."""

        async def main() -> bool:
            deferred = Deferred[None]()
            future = asyncio.get_running_loop().create_future()

            async def coroutine() -> None:
                await deferred
                await future

            promise = Promise.resolve(coroutine())
            promise.cancel()
            deferred.callback(None)
            await ended(promise)
            await Promise.resolve().then()
            return future.cancelled()

        assert on_loop(main)


class TestCancellingTheTask:
    """Cancelling the task of a coroutine cancels its promise."""

    @pytest.mark.parametrize(
        "kind", ["promise", "shared", "settled", "Deferred", "future", "turn", "done"]
    )
    def test_sees_asyncios_error(self, on_loop: OnLoop, kind: str) -> None:
        """The coroutine sees CancelledError with the message, whatever it waits for."""
        seen: list[Any] = []

        async def main() -> Promise[Any]:
            source, deferred = Source(), Deferred[None]()
            future = asyncio.get_running_loop().create_future()
            if "shared" == kind:
                source.promise.then()
            awaited: Any = {
                "promise": lambda: source.promise,
                "shared": lambda: source.promise,
                "settled": lambda: source.promise,
                "Deferred": lambda: deferred,
                "future": lambda: future,
                "turn": turn,
                "done": lambda: future,
            }[kind]()

            async def coroutine() -> None:
                seen.append(current())
                try:
                    await awaited
                except BaseException as error:
                    seen.append((type(error), *error.args))
                    raise

            promise = Promise.resolve(coroutine())
            if "done" == kind:
                future.set_result(None)
            elif "settled" == kind:
                source.resolve()
            assert seen[0].cancel("enough")
            assert promise.is_pending()
            await ended(promise)
            await Promise.resolve().then()
            assert ("promise" == kind) == bool(source.cancelled)
            assert ("Deferred" == kind) == deferred.called
            assert ("future" == kind) == future.cancelled()
            return promise

        promise = on_loop(main)
        task, error = seen
        assert (asyncio.CancelledError, "enough") == error
        assert promise.is_cancelled()
        assert task.cancelled()
        assert not task.cancel()
        assert (1, 0) == (task.cancelling(), task.uncancel())

    def test_does_not_wait_for_clean_up(self, on_loop: OnLoop) -> None:
        """As other tasks, it goes on while what it waited for is cleaning up."""
        cleaned_up = Source()

        async def coroutine() -> None:
            await Source().promise.finally_(lambda: cleaned_up.promise)

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            await turns(1)
            [task] = asyncio.all_tasks() - {current()}
            task.cancel()
            await ended(promise)
            cleaned_up.resolve()
            return promise.is_cancelled()

        assert on_loop(main)

    def test_a_second_request(self, on_loop: OnLoop) -> None:
        """A clean-up that hangs can be cancelled, too: of the coroutine, or of a promise."""
        seen: list[str] = []
        other = Source()

        async def coroutine() -> None:
            try:
                await Source().promise.finally_(lambda: Source().promise)
            finally:
                seen.append("left")
                with pytest.raises(CancellationError):
                    # By others.
                    await other.promise
                await Source().promise

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            await turns(1)
            [task] = asyncio.all_tasks() - {current()}
            promise.cancel()
            await turns()
            assert [] == seen
            task.cancel()
            await turns()
            assert ["left"] == seen
            other.promise.cancel()
            await turns()
            assert not task.done()
            task.cancel()
            task.cancel()
            await turns()
            return promise.is_cancelled() and task.cancelled()

        assert on_loop(main)

    @pytest.mark.parametrize("requests", ["tt", "tp", "pt"])
    @pytest.mark.parametrize("kind", ["promise", "shared", "settled", "Deferred", "future", "turn"])
    def test_requests_that_come_together(self, on_loop: OnLoop, kind: str, requests: str) -> None:
        """They throw in one CancelledError: by the task, by the promise, or by both."""
        seen: list[Any] = []

        async def main() -> bool:
            source = Source()
            if "shared" == kind:
                source.promise.then()
            awaited: Any = {
                "Deferred": Deferred,
                "future": asyncio.get_running_loop().create_future,
                "turn": turn,
            }.get(kind, lambda: source.promise)()

            async def coroutine() -> None:
                seen.append(current())
                try:
                    await awaited
                finally:
                    await asyncio.sleep(0.001)
                    seen.append("cleaned up")

            promise = Promise.resolve(coroutine())
            if "settled" == kind:
                source.resolve()
            for request in requests:
                {"p": promise, "t": seen[0]}[request].cancel()
            await asyncio.wait(list(seen))
            return promise.is_cancelled()

        assert on_loop(main)
        assert ["cleaned up"] == seen[1:]

    def test_a_coroutine_that_catches_it(self, on_loop: OnLoop) -> None:
        """The promise is not cancelled: it is fulfilled with what the coroutine returns."""

        async def coroutine() -> str:
            try:
                await Source().promise
            except asyncio.CancelledError:
                await Promise.resolve().then()
            return "went on"

        async def main() -> str:
            promise = Promise.resolve(coroutine())
            [task] = asyncio.all_tasks() - {current()}
            task.cancel()
            return await promise

        assert "went on" == on_loop(main)

    @pytest.mark.parametrize("waits", [False, True])
    def test_by_itself(self, on_loop: OnLoop, waits: bool) -> None:
        """A coroutine that cancels its task is cancelled where it waits next, or at its end."""

        async def coroutine() -> Promise[Any]:
            current().cancel()
            if waits:
                await turn()
            return left

        left = Source().promise

        async def main() -> bool:
            promise = Promise.resolve(coroutine())
            await ended(promise)
            return promise.is_cancelled()

        assert on_loop(main)
        assert left.is_cancelled() != waits

    def test_taken_back(self, on_loop: OnLoop) -> None:
        """A request that is taken back before it is thrown in has no effect."""

        async def coroutine() -> str:
            task = current()
            assert (True, 1) == (task.cancel(), task.cancelling())
            assert (True, 2) == (task.cancel(), task.cancelling())
            assert (1, 0, 0) == (task.uncancel(), task.uncancel(), task.uncancel())
            await asyncio.sleep(0)
            return "went on"

        async def main() -> str:
            return await Promise.resolve(coroutine())

        assert "went on" == on_loop(main)

    def test_a_future_that_others_cancel(self, on_loop: OnLoop) -> None:
        """As with a task of asyncio's, the CancelledError that leaves it cancels the promise."""

        async def main() -> bool:
            future = asyncio.get_running_loop().create_future()
            promise = Promise.resolve(awaiting(future))
            future.cancel()
            await ended(promise)
            return promise.is_cancelled()

        assert on_loop(main)

    def test_without_cancellation(self, on_loop: OnLoop) -> None:
        """A task can be cancelled where cancellation of promises is switched off."""
        Other: Any = Promise.get_new_library_copy()
        Other.config(cancellation=False)
        source = Source(Other)

        async def main() -> bool:
            Other.set_scheduler(asyncio.get_running_loop().call_soon)
            promise = Other.resolve(awaiting(source.promise))
            [task] = asyncio.all_tasks() - {current()}
            task.cancel()
            await ended(promise)
            return promise.is_cancelled() and source.promise.is_pending()

        assert on_loop(main)

    @pytest.mark.parametrize("drained", [True, False])
    def test_the_loop_ends(self, drained: bool) -> None:
        """`asyncio.run` cancels what is left, and ends, even if the queue is never run."""
        seen: list[Any] = []
        source = Source()

        async def coroutine() -> None:
            try:
                await source.promise
            finally:
                seen.append(sys.exc_info()[0])
                await asyncio.sleep(0)
                seen.append("cleaned up")

        async def main() -> Promise[Any]:
            loop = asyncio.get_running_loop()
            Promise.set_scheduler(loop.call_soon if drained else ManualScheduler())
            return Promise.resolve(coroutine())

        with ManualScheduler():
            promise = asyncio.run(main())
        assert promise.is_cancelled()
        assert [asyncio.CancelledError, "cleaned up"] == seen


class TestWithoutTheLoop:
    """Steps of a task while its loop does not run."""

    def test_starting_one_within_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before the loop runs, each begins at once, and goes on as a task."""
        scheduler = ManualScheduler()
        loop = asyncio.new_event_loop()
        monkeypatch.setattr(scheduler, "event_loop", lambda: loop)
        source = Source()
        seen: list[Any] = []

        async def inner() -> None:
            seen.append(asyncio._get_running_loop())
            await source.promise
            seen.append(current().get_name())

        async def outer() -> None:
            await Promise.resolve(inner())

        async def flush() -> None:
            source.resolve()
            scheduler.flush()

        with scheduler:
            promise = Promise.resolve(outer())
            loop.run_until_complete(flush())
            loop.close()
        assert [None, inner.__qualname__] == seen
        assert promise.is_fulfilled()

    def test_in_between(self) -> None:
        """A drain, or a Deferred, goes on with the coroutine; outside of the loop it is no task."""
        scheduler = ManualScheduler()
        loop = asyncio.new_event_loop()
        deferred = Deferred[None]()
        sources = Source(), Source()
        seen: list[Any] = []

        async def coroutine() -> None:
            for awaited in sources[0].promise, deferred, sources[1].promise:
                await awaited
                seen.append(asyncio._get_running_loop() and current().get_name())

        async def main() -> Promise[Any]:
            return Promise.resolve(coroutine())

        async def flush() -> None:
            scheduler.flush()

        with scheduler:
            promise = loop.run_until_complete(main())
            sources[0].resolve()
            scheduler.flush()
            deferred.callback(None)
            sources[1].resolve()
            loop.run_until_complete(flush())
            loop.close()
        assert [None, None, coroutine.__qualname__] == seen
        assert promise.is_fulfilled()


class TestTask:
    """What asyncio, and those who debug, see of a coroutine."""

    def test_is_among_all_tasks(self, on_loop: OnLoop) -> None:
        """By the name of its coroutine, until it has ended."""
        source = Source()

        async def waits() -> None:
            await source.promise

        async def main() -> None:
            before = asyncio.all_tasks()
            coroutine = waits()
            promise = Promise.resolve(coroutine)
            [task] = asyncio.all_tasks() - before
            assert isinstance(task, asyncio.Future)
            assert asyncio.get_running_loop() is task.get_loop()
            assert coroutine is task.get_coro()
            assert waits.__qualname__ == task.get_name()
            assert f"<CoroutineTask pending name={waits.__qualname__!r} coro=" in repr(task)
            task.set_name(5)
            assert "5" == task.get_name()
            [frame] = task.get_stack(limit=1)
            assert "waits" == frame.f_code.co_name
            printed = io.StringIO()
            task.print_stack(file=printed)
            assert "await source.promise" in printed.getvalue()
            source.resolve()
            await promise
            assert before == asyncio.all_tasks()
            assert "<CoroutineTask finished name='5'" in repr(task)

        on_loop(main)

    @pytest.mark.skipif(sys.version_info < (3, 14), reason="this Python has no call graphs")
    def test_is_in_call_graphs(self, on_loop: OnLoop) -> None:
        """A future that it awaits names it, until it goes on."""

        async def main() -> None:
            graph: Any = asyncio.capture_call_graph  # type: ignore[attr-defined]
            before = asyncio.all_tasks()
            future = asyncio.get_running_loop().create_future()
            promise = Promise.resolve(awaiting(future))
            [task] = asyncio.all_tasks() - before
            [waiter] = graph(future).awaited_by
            assert task is waiter.future
            assert "awaiting" == waiter.call_stack[-1].frame.f_code.co_name
            future.set_result(1)
            assert 1 == await promise
            assert () == graph(future).awaited_by

        on_loop(main)

    def test_ends_as_the_coroutine(self, on_loop: OnLoop) -> None:
        """A task can be awaited; its error is reported by the promise alone."""

        async def fails() -> None:
            await asyncio.sleep(0)
            raise Boom

        async def main() -> None:
            tasks: list[Any] = []
            for coroutine in asyncio.sleep(0, 1), fails():
                promise = Promise.resolve(coroutine).reflect()
                tasks += asyncio.all_tasks() - {current(), *tasks}
            well, failing = tasks
            assert 1 == await well
            with pytest.raises(Boom):
                await failing
            assert (1, Boom) == (well.result(), type(failing.exception()))
            assert "fails" == failing.get_stack()[-1].f_code.co_name
            assert failing.exception() is (await promise).reason()

        on_loop(main)

    def test_its_end_is_its_own(self, on_loop: OnLoop) -> None:
        """Only its coroutine gives it a result."""

        async def coroutine() -> None:
            for method in current().set_result, current().set_exception:
                with pytest.raises(RuntimeError, match="does not support"):
                    method(None)

        async def main() -> None:
            await Promise.resolve(coroutine())

        on_loop(main)

    def test_what_it_waits_for(self, on_loop: OnLoop) -> None:
        """Libraries look at `_fut_waiter` and `_must_cancel`, as of a task of asyncio's."""

        async def main() -> None:
            future = asyncio.get_running_loop().create_future()
            promise = Promise.resolve(awaiting(future))
            [task] = asyncio.all_tasks() - {current()}
            assert (future, False) == (task._fut_waiter, task._must_cancel)
            future.set_result(None)
            task.cancel()
            assert task._must_cancel
            await ended(promise)
            assert (None, False) == (task._fut_waiter, task._must_cancel)

        on_loop(main)

    def test_context(self, on_loop: OnLoop) -> None:
        """`get_context` gives the context that the coroutine runs in."""
        variable = contextvars.ContextVar("variable", default="unset")
        seen: list[str] = []

        async def coroutine(value: str) -> None:
            seen.append(current().get_context().get(variable, "none"))
            await Promise.resolve().then()
            variable.set(value)
            seen.append(current().get_context()[variable])
            await asyncio.sleep(0)
            seen.append(current().get_context()[variable])
            await Source().promise

        async def main() -> None:
            promise = Promise.resolve(coroutine("own"))
            await turns()
            [task] = asyncio.all_tasks() - {current()}
            assert ["none", "own", "own"] == seen
            assert "own" == task.get_context()[variable]
            task.cancel()
            await ended(promise)
            assert variable not in task.get_context()
            assert "unset" == variable.get()

        on_loop(main)

    @pytest.mark.usefixtures("no_collector")
    @pytest.mark.parametrize("ends", ["well", "raises", "its error", "cancelled"])
    @pytest.mark.parametrize("waits", ["promise", "promise, in a context", "Deferred", "future"])
    def test_is_freed(self, on_loop: OnLoop, waits: str, ends: str) -> None:
        """Reference counting frees the task, the coroutine and the promise when it has ended.

        asyncio says nothing of an exception: the promise has it.
        """
        variable = contextvars.ContextVar[int]("variable")
        watched: list[weakref.ref[Any]] = []

        async def coroutine(take: Callable[[], Any]) -> None:
            if "promise, in a context" == waits:
                variable.set(1)
            # The traceback of an error refers to this frame, and so to what is named in it.
            await take()
            if "raises" == ends:
                raise Boom

        async def start() -> None:
            loop = asyncio.get_running_loop()
            source = Source()
            awaited: Any = source.promise
            resolve, reject = source.resolve, source.reject
            if "Deferred" == waits:
                awaited = Deferred[None]()
                resolve, reject = awaited.callback, awaited.errback
            elif "future" == waits:
                awaited = loop.create_future()
                resolve, reject = awaited.set_result, awaited.set_exception
            run = coroutine([awaited].pop)
            promise = Promise.resolve(run).catch(Boom, lambda _: None)
            [task] = asyncio.all_tasks() - {current()}
            watched.extend(map(weakref.ref, (task, run, promise)))
            if "Deferred" != waits:
                # A frame of Twisted's keeps that.
                watched.append(weakref.ref(awaited))
            del run, awaited, source
            await asyncio.sleep(0)
            # Not below a frame that refers to what is watched.
            if "cancelled" == ends:
                loop.call_soon(task.cancel)
            elif "its error" == ends:
                loop.call_soon(reject, Boom())
            else:
                loop.call_soon(resolve, None)
            del task, resolve, reject
            await ended(promise)

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, said: logged.append(said))
            await start()
            await turns(2)
            assert {None} == {reference() for reference in watched}

        logged: list[Any] = []
        on_loop(main)
        assert [] == logged

    def test_errors_keep_their_traceback(self, on_loop: OnLoop) -> None:
        """A traceback begins with the coroutine."""

        async def coroutine() -> None:
            await Promise.resolve().then()
            raise Boom

        async def main() -> list[str]:
            inspection = await Promise.resolve(coroutine()).reflect()
            return frames(inspection.reason().__traceback__)

        assert ["coroutine"] == on_loop(main)


@pytest.mark.parametrize("cancelled", ["first", "second", "its task"])
def test_tasks_that_wait_for_each_other_are_cleaned_up(on_loop: OnLoop, cancelled: str) -> None:
    """Whichever is cancelled, as a promise or as a task."""

    async def main() -> None:
        promises: dict[str, Promise[Any]] = {}
        tasks: dict[str, Any] = {}
        logged = []

        async def waits(name: str, other: str) -> None:
            tasks[name] = current()
            await asyncio.sleep(0)
            try:
                await promises[other]
            finally:
                logged.append(name)

        promises["first"] = Promise.resolve(waits("first", "second"))
        promises["second"] = Promise.resolve(waits("second", "first"))
        await turns()
        assert [] == logged
        (promises[cancelled] if cancelled in promises else tasks["first"]).cancel()
        for promise in promises.values():
            promise.suppress_unhandled_rejections()
            await ended(promise)
        await turns()
        assert ["first", "second"] == sorted(logged)

    on_loop(main)
