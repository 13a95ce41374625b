"""The example of a cluster, and Dask's futures among promises, with real clusters."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import traceback
from collections.abc import Awaitable
from functools import partial
from multiprocessing.resource_tracker import _resource_tracker
from pathlib import Path

import psutil
import pytest
from dask import config
from distributed import Client, Event, KilledWorker, LocalCluster

from tests.integrations.local import Local
from tests.integrations.pages import paste
from twpromise import CancellationError, Limiter, Promise
from twpromise.loops import use_running_loop

#: Threads that Dask keeps for the whole process.
KEPT = ("Dask-Offload", "Dask-Callback", "PoolThread-twisted", "asyncio_", "pymp-", "Profile")


@pytest.mark.parametrize("place", ["threads", "processes", "cluster"])
def test_places(run_python, tmp_path: Path, place: str) -> None:
    """What a reader copies from the page runs at each of the places, and leaves nothing."""
    assert ["places.py", "own_futures.py"] == paste("on-a-cluster.md", tmp_path)
    said = run_python("-W", "error", "places.py", place).splitlines()
    # A machine that is busy lets its workers end late, of which Dask warns.
    said = [line for line in said if "distributed.nanny - WARNING" not in line]
    assert [f"{place}: 75 of 1000 are prime"] == said


def test_own_futures(run_python, tmp_path: Path) -> None:
    """Futures of the cluster are followed; a worker that dies rejects, and is replaced."""
    paste("on-a-cluster.md", tmp_path)
    assert [
        "the sum: 332833500",
        "all: 1000",
        "too late",
        "its worker died",
        "another worker: 1000000",
    ] == run_python("-W", "error", "own_futures.py").splitlines()


def double(number):
    return 2 * number


def wait_for(began, may_end, number):
    """Say that this runs, go on when it may, and say that it has ended."""
    Event(began).set()
    Event(may_end).wait()
    Event(f"ended {number}").set()
    return number


def retried(retries=0):
    return retries


def fail_once(event):
    """Fail, unless this was called before."""
    if not Event(event).is_set():
        Event(event).set()
        raise ValueError("the first time")
    return "done"


def fail(text):
    raise ValueError(text)


def threads():
    return {thread for thread in threading.enumerate() if not thread.name.startswith(KEPT)}


class Connected(Local):
    """A cluster of its own for each test; nothing of it may be left."""

    timeout = 60

    async def setUp(self) -> None:
        before = threads(), set(psutil.Process().net_connections())
        self.cluster, self.client = await Promise.in_thread(self.start)
        self.addCleanup(self.check, before)
        self.addCleanup(Promise.in_thread, self.stop)

    def stop(self):
        self.client.close()
        self.cluster.close()

    async def check(self, before) -> None:
        threads_before, connections = before
        await self.until(lambda: threads() <= threads_before)
        await self.until(lambda: set(psutil.Process().net_connections()) <= connections)
        # Python's own process lives as long as this one.
        kept = {_resource_tracker._pid}
        await self.until(lambda: {child.pid for child in psutil.Process().children()} <= kept)


class Threads(Connected):
    """A worker with one thread, in this process."""

    def start(self):
        cluster = LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        )
        return cluster, Client(cluster)

    async def busy(self, number):
        """A future that the only thread works at, and a function that lets it end."""
        began, may_end = f"began {number}", f"may end {number}"
        events = [await Promise.in_thread(Event, name, self.client) for name in (began, may_end)]
        future = self.client.submit(wait_for, began, may_end, number, pure=False)
        await Promise.in_thread(events[0].wait)
        return future, lambda: Promise.in_thread(events[1].set)

    async def test_results_and_errors(self) -> None:
        """Both arrive on the reactor's thread, an error with its traceback."""
        seen = []
        promise = Promise.resolve(self.client.submit(double, 2))
        promise.then(lambda _: seen.append(threading.get_ident()))
        self.assertEqual(4, await promise)
        self.assertEqual([threading.get_ident()], seen)
        with pytest.raises(ValueError, match="no number") as raised:
            await Promise.resolve(self.client.submit(fail, "no number"))
        frames = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
        self.assertEqual("fail", frames[-1])

    async def test_done_already(self) -> None:
        """The result of a future that is done is fetched, too."""
        future = self.client.submit(double, 3)
        await Promise.in_thread(future.result)
        self.assertEqual([6, 6], await Promise.all([future, future]))

    async def test_a_thousand(self) -> None:
        """They are released when they have arrived."""
        futures = self.client.map(double, range(1000))
        self.assertEqual([2 * n for n in range(1000)], await Promise.all(futures))
        del futures
        gc.collect()
        await self.until(lambda: not self.client.futures)

    async def test_as_completed(self) -> None:
        """They are among what the methods for collections take."""
        futures = self.client.map(double, range(5))
        found = [await done async for done in Promise.as_completed(futures)]
        self.assertEqual([0, 2, 4, 6, 8], sorted(found))
        mapped = Promise.map(futures, lambda value: self.client.submit(double, value))
        self.assertEqual([0, 4, 8, 12, 16], await mapped)

    async def test_errors_are_released(self) -> None:
        """A future that failed is released when nothing else keeps it."""
        with pytest.raises(ValueError, match="released"):
            await Promise.resolve(self.client.submit(fail, "released"))
        gc.collect()
        await self.until(lambda: not self.client.futures)

    async def test_cancelled_promise(self) -> None:
        """What waits on the cluster for a worker is not begun, when its promise is cancelled."""
        first, let_end = await self.busy(1)
        events = await Promise.in_thread(Event, "began 2", self.client)
        queued = self.client.submit(wait_for, "began 2", "may end 2", 2)
        promise = Promise.resolve(queued)
        # The worker gets it before it needs it.
        [worker] = self.cluster.workers.values()
        await self.until(lambda: queued.key in worker.state.tasks)
        promise.cancel()
        self.assertTrue(promise.is_cancelled())
        await self.until(queued.cancelled)
        await self.until(lambda: queued.key not in worker.state.tasks)
        await let_end()
        self.assertEqual(1, await Promise.resolve(first))
        self.assertFalse(await Promise.in_thread(events.is_set))

    async def test_others_want_it(self) -> None:
        """What others hold by a future of their own is done, and only this promise cancelled."""
        first, let_end = await self.busy(1)
        one, two = (self.client.submit(double, 21) for _ in range(2))
        dropped, kept = Promise.resolve(one), Promise.resolve(two)
        dropped.cancel()
        await let_end()
        self.assertEqual([42, 1], await Promise.all([kept, first]))

    async def test_tasks_want_it(self) -> None:
        """What other tasks depend on is done."""
        first, let_end = await self.busy(1)
        argument = self.client.submit(double, 2)
        total = self.client.submit(double, argument)
        Promise.resolve(argument).cancel()
        await self.until(argument.cancelled)
        await let_end()
        self.assertEqual([8, 1], await Promise.all([total, first]))

    async def test_retries(self) -> None:
        """With `retries`, what raises is called again."""
        executor = self.client.get_executor(pure=False, retries=1)
        self.assertEqual("done", await Promise.run_in(executor, fail_once, "failed"))

    async def test_cancelled_future(self) -> None:
        """One that others cancel cancels the promise; one that is cancelled already does, too."""
        first, let_end = await self.busy(1)
        queued = self.client.submit(double, 2)
        promise = Promise.resolve(queued)
        await Promise.in_thread(queued.cancel)
        with pytest.raises(CancellationError):
            await promise
        self.assertTrue(promise.is_cancelled())
        self.assertTrue((await Promise.resolve(queued).reflect()).is_cancelled())
        await let_end()
        await Promise.resolve(first)

    async def test_client_that_closes(self) -> None:
        """What is pending then is cancelled, by the executor's futures as by Dask's own."""
        first, _ = await self.busy(1)
        executor = self.client.get_executor(pure=False)
        promises = [Promise.resolve(first), Promise.run_in(executor, double, 1)]
        await Promise.in_thread(self.client.close)
        outcomes = await Promise.all([promise.reflect() for promise in promises])
        self.assertEqual([True, True], [outcome.is_cancelled() for outcome in outcomes])
        self.assertTrue((await Promise.resolve(first).reflect()).is_cancelled())
        # The worker's thread waits for the event, which another client can set.
        self.client = Client(self.cluster)
        await Promise.in_thread(lambda: Event("may end 1", self.client).set())

    async def test_lost_connection(self) -> None:
        """What is pending then is cancelled, and the client connects again."""
        first, _ = await self.busy(1)
        promises = [Promise.resolve(first), Promise.resolve(self.client.submit(double, 1))]
        self.client.loop.add_callback(self.client.scheduler_comm.abort)
        outcomes = await Promise.all([promise.reflect() for promise in promises])
        self.assertEqual([True, True], [outcome.is_cancelled() for outcome in outcomes])
        await self.until(lambda: "running" == self.client.status)
        await Promise.in_thread(lambda: Event("may end 1", self.client).set())
        self.assertEqual(4, await Promise.resolve(self.client.submit(double, 2)))

    async def test_equal_calls(self) -> None:
        """Without `pure=False`, equal calls are one task, and cancelled together."""
        first, let_end = await self.busy(1)
        executors = [self.client.get_executor(pure=pure) for pure in (True, False)]
        pairs = [[Promise.run_in(each, double, 4) for _ in range(2)] for each in executors]
        for cancelled, _ in pairs:
            cancelled.cancel()
        await let_end()
        (_, taken_along), (_, kept) = pairs
        self.assertTrue((await taken_along.reflect()).is_cancelled())
        self.assertEqual(8, await kept)
        await Promise.resolve(first)

    async def test_running_work(self) -> None:
        """What a worker runs goes on; a slot of a limiter is free before it has ended."""
        limiter = Limiter(1)
        executor = self.client.get_executor(pure=False)
        starts = [
            lambda *call: Promise.run_in(executor, *call),
            lambda *call: self.client.submit(*call, pure=False),
        ]
        for number, start in enumerate(starts):
            names = [f"began {number}", f"may end {number}", f"ended {number}"]
            promise = limiter.run(start, wait_for, *names[:2], number)
            began, may_end, ended = await Promise.map(
                names, lambda name: Promise.in_thread(Event, name, self.client)
            )
            await Promise.in_thread(began.wait)
            promise.cancel()
            await self.until(lambda: 0 == limiter.active)
            self.assertFalse(await Promise.in_thread(ended.is_set))
            await Promise.in_thread(may_end.set)
            await Promise.in_thread(ended.wait)

    async def test_arguments_of_submit(self) -> None:
        """Keyword arguments that `Client.submit` has are not passed on; others are."""
        executor = self.client.get_executor(pure=False)
        self.assertEqual(0, await Promise.run_in(executor, retried, retries=3))
        self.assertEqual(3, await Promise.run_in(executor, partial(retried, retries=3)))

    async def test_awaited_by_itself(self) -> None:
        """A future of a client that is synchronous cannot be awaited; a promise for it can."""
        future = self.client.submit(double, 2)
        with pytest.raises(AttributeError, match="__await__"):
            await future
        self.assertEqual(4, await Promise.resolve(future))

    async def test_cluster_by_itself(self) -> None:
        """A cluster can be awaited, so that a promise would do so; an executor is a value."""
        self.assertIsInstance(self.cluster, Awaitable)
        executor = self.client.get_executor()
        self.assertIs(executor, Promise.resolve(executor).value())

    async def test_cap(self) -> None:
        """The cluster gets no more calls than the cap at a time; the others are never sent."""
        first, let_end = await self.busy(1)
        executor = self.client.get_executor(pure=False)
        asked = []

        def ask(number):
            asked.append(number)
            return Promise.run_in(executor, double, number)

        promise = Promise.map(range(1000), ask, concurrency=20)
        await self.until(lambda: len(self.cluster.scheduler.tasks) == 21)
        promise.cancel()
        await let_end()
        await Promise.resolve(first)
        self.assertEqual(list(range(20)), asked)
        await self.until(lambda: len(self.cluster.scheduler.tasks) == 1)


class Processes(Connected):
    """Two workers in processes of their own, each with a nanny that starts another one."""

    def start(self):
        with config.set({"distributed.scheduler.allowed-failures": 0}):
            cluster = LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            )
            return cluster, Client(cluster)

    async def test_worker_that_dies(self) -> None:
        """It rejects what it was doing, and the next call finds another one."""
        executor = self.client.get_executor(pure=False)
        with pytest.raises(KilledWorker):
            await Promise.run_in(executor, os._exit, 1)
        with pytest.raises(KilledWorker):
            await Promise.resolve(self.client.submit(os._exit, 1, pure=False))
        self.assertEqual(2, await Promise.run_in(executor, double, 1))


def test_asynchronous_client() -> None:
    """Its loop is the one that promises run on."""

    async def main():
        async with (
            use_running_loop(),
            LocalCluster(
                n_workers=1,
                threads_per_worker=1,
                processes=False,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            values = await Promise.all(client.map(double, range(10)))
            promise = Promise.resolve(client.submit(fail, "here"))
            with pytest.raises(ValueError, match="here"):
                await promise
            return values

    assert [2 * n for n in range(10)] == asyncio.run(main())
