"""Futures of Dask, by their interface: `twpromise._bridge.dask`.

`distributed` itself is in `tests/integrations`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
import traceback
import weakref
from collections.abc import Coroutine, Generator
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from tests.support.promises import Boom
from tests.support.threads import in_thread
from twpromise import Promise
from twpromise.debugging import pending
from twpromise.testing import ManualScheduler


class Future:
    """What `distributed.Future` has, with a client whose loop runs when the test says so."""

    key = "double-1"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.client = SimpleNamespace(loop=SimpleNamespace(asyncio_loop=loop))
        self.released = 0
        self._loop = loop
        self._status = "pending"
        self._done = asyncio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    def become(self, status: str, value: Any = None) -> None:
        """Be finished, an error or cancelled."""
        self._status = status
        if status == "error":
            self._error, self._traceback = value, value.__traceback__
        self._value = value
        self._done.set()

    def cancelled(self) -> bool:
        """Whether it was cancelled, or its client closed."""
        return self._status == "cancelled"

    def release(self) -> None:
        """Have the cluster forget the work, unless others want it."""
        self.released += 1
        self.become("cancelled")

    def exception(self) -> Coroutine[Any, Any, BaseException | None]:
        """The error, once it is done."""
        return self._wait("_error")

    def traceback(self) -> Coroutine[Any, Any, TracebackType | None]:
        """Where the error comes from."""
        return self._wait("_traceback")

    async def _wait(self, name: str) -> Any:
        # What a synchronous client would block for.
        assert self._loop is asyncio.get_running_loop()
        await self._done.wait()
        return getattr(self, name)

    async def _fetch(self) -> Any:
        value = await self._wait("_value")
        if self._status == "cancelled":
            raise concurrent.futures.CancelledError("double-1 cancelled for reason: unknown.")
        return value

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._fetch().__await__()


Future.__module__ = "distributed.client"


def run(loop: asyncio.AbstractEventLoop) -> None:
    """Run all that waits on a loop, in a thread of its own."""

    async def steps() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    in_thread(loop.run_until_complete, steps())


def failed(function: Any) -> BaseException:
    """What a function raises, with its traceback."""
    with pytest.raises(Boom) as raised:
        function()
    return raised.value


@pytest.mark.parametrize("when", ["before", "after"])
def test_result(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop, when: str) -> None:
    """The result is fetched on the client's loop, and arrives on the scheduler's thread."""
    future = Future(loop)
    if when == "before":
        future.become("finished", "value")
    promise = Promise.resolve().then(lambda _: future)
    threads: list[int] = []
    promise.then(lambda _: threads.append(threading.get_ident()))
    scheduler.flush()
    run(loop)
    future.become("finished", "value")
    run(loop)
    assert promise.is_pending()
    scheduler.flush()
    assert "value" == promise.value()
    assert [threading.get_ident()] == threads
    assert 0 == future.released


def test_client_on_the_same_loop(
    scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop
) -> None:
    """An asynchronous client may run on the thread that promises belong to."""
    future = Future(loop)
    promise = Promise.resolve(future)
    future.become("finished", "value")
    loop.run_until_complete(asyncio.wait_for(_until_settled(promise), 10))
    assert "value" == promise.value()


async def _until_settled(promise: Promise[Any]) -> None:
    while promise.is_pending():
        await asyncio.sleep(0)


@pytest.mark.usefixtures("reports")
def test_error(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """An error arrives as itself, with the traceback from the cluster."""

    def on_a_worker() -> None:
        raise Boom

    future = Future(loop)
    promise = Promise.resolve(future)
    error = failed(on_a_worker)
    future.become("error", error)
    run(loop)
    scheduler.flush()
    assert error is promise.reason()
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert "on_a_worker" == frames[-1]


@pytest.mark.usefixtures("reports")
def test_error_keeps_no_future(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """The client keeps the error of a future; so that must not keep the future."""
    future = Future(loop)
    error = Boom()
    future.become("error", error)
    promise = Promise.resolve(future)
    run(loop)
    scheduler.flush()
    kept = weakref.ref(future)
    del future
    gc.collect()
    assert error is promise.reason()
    assert kept() is None


def test_values_keep_no_future(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """The cluster forgets a result that has arrived, if its future is not kept elsewhere."""
    future = Future(loop)
    future.become("finished", "value")
    promise = Promise.resolve(future)
    run(loop)
    scheduler.flush()
    kept = weakref.ref(future)
    del future
    gc.collect()
    assert "value" == promise.value()
    assert kept() is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_cancelled_future(
    scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop, when: str
) -> None:
    """One that is cancelled, as when its client closes, cancels the promise."""
    future = Future(loop)
    if when == "before":
        future.become("cancelled")
        # A client that is closed has ended its loop.
        loop.close()
    promise = Promise.resolve(future)
    if when != "before":
        run(loop)
        future.become("cancelled")
        run(loop)
    scheduler.flush()
    assert promise.is_cancelled()


@pytest.mark.parametrize("begun", [True, False])
def test_cancelled_promise(
    scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop, begun: bool
) -> None:
    """Cancelling the promise releases the future, and waits for nothing; its loop ends clean."""
    future = Future(loop)
    promise = Promise.resolve(future)
    if begun:
        run(loop)
    promise.cancel()
    assert 1 == future.released
    assert promise.is_cancelled()
    run(loop)
    assert set() == asyncio.all_tasks(loop)
    scheduler.flush()


def test_one_of_two_consumers(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """The future is released when the last consumer of the promise has left."""
    future = Future(loop)
    promise = Promise.resolve(future)
    one, two = promise.then(str), promise.then(repr)
    one.cancel()
    run(loop)
    scheduler.flush()
    assert 0 == future.released
    two.cancel()
    scheduler.flush()
    assert 1 == future.released
    run(loop)


def test_loop_that_has_ended(
    scheduler: ManualScheduler,
    loop: asyncio.AbstractEventLoop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A future whose loop is closed, and that was not cancelled, will never be done."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    future = Future(loop)
    loop.close()
    promise = Promise.resolve(future).catch(RuntimeError, str)
    scheduler.flush()
    assert "Event loop is closed" == promise.value()
    # A coroutine that was never awaited would warn now.
    gc.collect()
    assert [] == unraisable


def test_inspector(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """The inspector shows the key, which Dask's own pages show, too."""
    library = Promise.get_new_library_copy()
    promise = library.resolve(Future(loop))
    (shown,) = pending(library=library).promises
    assert "promise for double-1" == shown.name
    promise.cancel()
    run(loop)


def test_many(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """Collections take them as they take other futures, some of which are done before."""
    futures = [Future(loop) for _ in range(1000)]
    for number, future in enumerate(futures[::2]):
        future.become("finished", 2 * number)
    promise = Promise.all(futures)
    run(loop)
    for number, future in enumerate(futures[1::2]):
        future.become("finished", 2 * number + 1)
    run(loop)
    scheduler.flush()
    assert list(range(1000)) == promise.value()


def test_derived(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """So do futures of a class that is derived from Dask's."""

    class Derived(Future):
        pass

    future = Derived(loop)
    promise = Promise.resolve(future)
    future.become("finished", "value")
    run(loop)
    scheduler.flush()
    assert "value" == promise.value()


def test_namesakes(scheduler: ManualScheduler, loop: asyncio.AbstractEventLoop) -> None:
    """Other classes of that module, and other classes of that name, are no such futures."""
    client = type("Client", (), {"__module__": "distributed.client"})()
    future = type("Future", (), {})()
    assert client is Promise.resolve(client).value()
    assert future is Promise.resolve(future).value()
