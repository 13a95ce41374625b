"""Futures of asyncio and of executors: `twpromise._bridge.futures`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.logger import LogEvent

from tests.support.outcomes import result_of
from tests.support.promises import Boom
from tests.support.threads import in_thread
from twpromise import Promise
from twpromise.testing import ManualScheduler

OnAsyncio = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


class TestConcurrent:
    """Futures of `concurrent.futures`."""

    def test_done_already(self, scheduler: ManualScheduler) -> None:
        """One that is done gives a promise that is settled at once."""
        fulfilled: concurrent.futures.Future[str] = concurrent.futures.Future()
        fulfilled.set_result("value")
        assert "value" == Promise.resolve(fulfilled).value()
        error = Boom()
        failed: concurrent.futures.Future[str] = concurrent.futures.Future()
        failed.set_exception(error)
        assert error is Promise.resolve(failed).reason()

    @pytest.mark.parametrize("way", ["resolve", "returned", "resolver"])
    def test_from_a_thread(self, scheduler: ManualScheduler, way: str) -> None:
        """One that is set in another thread settles on the scheduler's own."""
        ways: dict[str, Callable[[Any], Promise[Any]]] = {
            "resolve": Promise.resolve,
            "returned": lambda future: Promise.resolve().then(lambda _: future),
            "resolver": lambda future: Promise(lambda resolve, reject: resolve(future)),
        }
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        threads: list[int] = []
        promise = ways[way](future)
        promise.then(lambda _: threads.append(threading.get_ident()))
        scheduler.flush()
        in_thread(lambda: future.set_result("value"))
        assert promise.is_pending()
        scheduler.flush()
        assert "value" == promise.value()
        assert [threading.get_ident()] == threads

    def test_from_a_thread_before_any_turn(self, scheduler: ManualScheduler) -> None:
        """So it does when nothing has ever run on the scheduler before."""
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        promise = Promise.resolve(future)
        in_thread(lambda: future.set_result("value"))
        assert promise.is_pending()
        scheduler.flush()
        assert "value" == promise.value()

    def test_set_at_home(self, scheduler: ManualScheduler) -> None:
        """One that is set on the scheduler's thread settles the promise there and then."""
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        promise = Promise.resolve(future)
        future.set_result("value")
        assert "value" == promise.value()

    def test_in_an_executor(self, scheduler: ManualScheduler) -> None:
        """What an executor's function raises keeps its traceback."""

        def work() -> None:
            raise Boom

        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            promise = Promise.resolve(executor.submit(work))
            results = result_of(promise.to_deferred())
        scheduler.flush()
        assert "in work" in results[0].getTraceback()

    def test_cause_stays(self, scheduler: ManualScheduler) -> None:
        """A remote traceback in `__cause__` stays where it is."""
        error = Boom()
        error.__cause__ = cause = KeyError("remote")
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_exception(error)
        assert cause is Promise.resolve(future).reason().__cause__

    def test_value_that_is_followed(self, scheduler: ManualScheduler) -> None:
        """A result that is a promise is followed."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_result(Promise.resolve("value"))
        assert "value" == Promise.resolve(future).value()

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_cancelled(self, scheduler: ManualScheduler, when: str) -> None:
        """One that is cancelled cancels the promise."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        if when == "before":
            future.cancel()
        promise = Promise.resolve(future)
        if when == "after":
            in_thread(future.cancel)
        scheduler.flush()
        assert promise.is_cancelled()

    def test_cancelling(self, scheduler: ManualScheduler) -> None:
        """Cancelling the promise cancels the future at once: no thread begins the work later."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        promise = Promise.resolve(future)
        promise.cancel()
        assert promise.is_cancelled()
        assert future.cancelled()

    def test_cancelling_what_runs(self, scheduler: ManualScheduler) -> None:
        """A future that runs cannot be cancelled; what comes of it is swallowed."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        promise = Promise.resolve(future)
        promise.cancel()
        scheduler.flush()
        in_thread(lambda: future.set_exception(Boom()))
        scheduler.flush()
        assert promise.is_cancelled()

    def test_cancelled_on_the_way_home(self, scheduler: ManualScheduler) -> None:
        """A promise that is cancelled while the result is on its way stays cancelled."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        promise = Promise.resolve(future)
        in_thread(lambda: future.set_exception(Boom()))
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()


class TestRunning:
    """The source of a promise says whether the work goes on after the promise was cancelled."""

    def test_work_that_runs(self, scheduler: ManualScheduler) -> None:
        """It ends when the future is done, and what waits for that is called from the queue."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        promise = Promise.resolve(future)
        source = promise._source
        assert source.running()
        promise.cancel()
        ended: list[int] = []
        source.when_done(lambda: ended.append(threading.get_ident()))
        scheduler.flush()
        assert source.running()
        in_thread(lambda: future.set_result(None))
        assert [] == ended
        scheduler.flush()
        assert not source.running()
        assert [threading.get_ident()] == ended
        source.when_done(lambda: ended.append(0))
        assert 1 == len(ended)
        scheduler.flush()
        assert 0 == ended[-1]

    def test_work_that_has_not_begun(self, scheduler: ManualScheduler) -> None:
        """It has ended when its future is cancelled, which is no longer kept."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        promise = Promise.resolve(future)
        source = promise._source
        promise.cancel()
        ended: list[str] = []
        source.when_done(lambda: ended.append("ended"))
        assert [] == ended
        scheduler.flush()
        assert ["ended"] == ended
        assert not source.running()

    def test_a_future_that_is_done_when_it_is_cancelled(self, on_asyncio: OnAsyncio) -> None:
        """The promise is cancelled; the news of the future come in between."""

        async def main() -> bool:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            promise = Promise.resolve(future)
            future.set_result("value")
            promise.cancel()
            await asyncio.sleep(0.001)
            return promise.is_cancelled()

        assert on_asyncio(main)

    def test_a_task_that_cleans_up(self, on_asyncio: OnAsyncio) -> None:
        """A task has ended when its own clean-up has."""

        async def cleans_up(go: asyncio.Event) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await go.wait()

        async def main() -> list[bool]:
            go = asyncio.Event()
            task = asyncio.create_task(cleans_up(go))
            await asyncio.sleep(0)
            promise = Promise.resolve(task)
            source = promise._source
            promise.cancel()
            await asyncio.sleep(0.01)
            seen = [promise.is_cancelled(), source.running()]
            ended = asyncio.Event()
            source.when_done(ended.set)
            go.set()
            await ended.wait()
            return [*seen, source.running()]

        assert [True, True, False] == on_asyncio(main)

    def test_a_task_whose_loop_is_closed(self, scheduler: ManualScheduler) -> None:
        """It will never be done: it counts as ended."""
        loop = asyncio.new_event_loop()
        promise = Promise.resolve(loop.create_future())
        loop.close()
        promise.cancel()
        ended: list[object] = []
        promise.add_done_callback(ended.append)
        scheduler.flush()
        assert [promise] == ended


class TestAsyncio:
    """Futures and tasks of asyncio."""

    def test_on_the_loop(self, on_asyncio: OnAsyncio) -> None:
        """Futures and tasks of the loop that promises run on."""

        async def main() -> list[Any]:
            loop = asyncio.get_running_loop()

            async def fails() -> None:
                await asyncio.sleep(0)
                raise Boom

            future = loop.create_future()
            loop.call_soon(future.set_result, "value")
            task = loop.create_task(fails())
            caught = Promise.resolve(task).catch(lambda reason: type(reason))
            return [await Promise.resolve(future), await Promise.resolve(future), await caught]

        assert ["value", "value", Boom] == on_asyncio(main)

    @pytest.mark.parametrize("outcome", ["value", "error", "cancelled"])
    def test_done_already(
        self, scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop, outcome: str
    ) -> None:
        """One that is done gives a promise that is settled at once, loop or no loop."""
        future = loop.create_future()
        error = Boom()
        if outcome == "value":
            future.set_result("value")
        elif outcome == "error":
            future.set_exception(error)
        else:
            future.cancel()
        promise = Promise.resolve(future)
        if outcome == "value":
            assert "value" == promise.value()
        elif outcome == "error":
            assert error is promise.reason()
        else:
            assert promise.is_cancelled()

    def test_another_loop(
        self, scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop
    ) -> None:
        """A future of a loop that runs in another thread settles on the scheduler's own."""
        future = loop.create_future()
        promise = Promise.resolve(future)
        loop.call_soon(future.set_result, "value")
        in_thread(lambda: loop.run_until_complete(future))
        # The callback was added behind what `run_until_complete` has added.
        in_thread(lambda: loop.run_until_complete(asyncio.sleep(0)))
        assert promise.is_pending()
        scheduler.flush()
        assert "value" == promise.value()

    def test_cancelling(self, scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
        """Cancelling the promise cancels the future, on its own loop."""
        future = loop.create_future()
        promise = Promise.resolve(future)
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert not future.cancelled()
        loop.run_until_complete(asyncio.sleep(0))
        assert future.cancelled()

    def test_cancelling_on_the_loop(self, on_asyncio: OnAsyncio) -> None:
        """On the loop that promises run on, a task is cancelled too."""

        async def main() -> bool:
            task = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            promise = Promise.resolve(task)
            promise.cancel()
            await asyncio.wait([task])
            return task.cancelled() and promise.is_cancelled()

        assert on_asyncio(main)

    def test_task_that_is_cancelled(self, on_asyncio: OnAsyncio) -> None:
        """A task that others cancel cancels the promise."""

        async def main() -> bool:
            task = asyncio.create_task(asyncio.sleep(3600))
            promise = Promise.resolve(task)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return promise.is_cancelled()

        assert on_asyncio(main)

    def test_closed_loop(self, scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
        """A future whose loop is closed will never be done: its promise says so."""
        loop = asyncio.new_event_loop()
        future = loop.create_future()
        loop.close()
        promise = Promise.resolve(future)
        assert isinstance(promise.reason(), RuntimeError)
        scheduler.flush()
        assert [] == reports

    def test_loop_that_is_closed_later(self, scheduler: ManualScheduler) -> None:
        """Cancelling a promise whose loop has been closed is quiet."""
        loop = asyncio.new_event_loop()
        promise = Promise.resolve(loop.create_future())
        loop.close()
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
