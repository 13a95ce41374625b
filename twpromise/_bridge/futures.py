"""asyncio's and concurrent's futures into promises."""

from __future__ import annotations

import asyncio
import concurrent.futures
from _thread import get_ident
from typing import Any

from .._core.reactions import Node
from .._core.resolving import resolve
from .._core.settling import finish_cancel, lock, reject
from .._core.states import DEAD, CorePromise
from .._scheduling.queue import call_at_home, call_soon

__all__ = ["adopt_asyncio_future", "adopt_concurrent_future"]

_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)


class FutureSource(Node):
    """Stands between a future, of either kind, and the promise that has adopted it."""

    __slots__ = ("_future",)

    def __init__(self, promise: CorePromise, future: Any) -> None:
        self._promise = promise
        self._future: Any = future
        queue = promise._queue
        if queue.thread is None:
            # Found out here: the future may call back in any thread.
            queue.thread = queue.scheduler.home_thread()

    def __call__(self, future: Any) -> None:
        """The future's callback, in whichever thread."""
        promise = self._promise
        if promise is None:
            return
        queue = promise._queue
        if get_ident() == queue.thread:
            self._take(future)
        else:
            call_at_home(queue, self._take, future)

    def _take(self, future: Any) -> None:
        promise, self._promise, self._future = self._promise, None, None
        if promise is None or promise._state & DEAD:
            return
        try:
            error = future.exception()
        except _CANCELLED:
            finish_cancel(promise)
            return
        if error is None:
            resolve(promise, future.result())
        else:
            reject(promise, error)

    def _abandon(self, stack: list[CorePromise]) -> bool:
        promise, self._promise = self._promise, None
        call_soon(type(promise), self._cancel)
        return False

    def _can_stop(self) -> bool:
        running = getattr(self._future, "running", None)
        return running is None or not running()

    def _cancel(self) -> None:
        future, self._future = self._future, None
        if future is None:
            # It was done, and on its way here.
            return
        if isinstance(future, asyncio.Future):
            loop = future.get_loop()
            if loop.is_closed():
                # Nothing will ever come of it.
                return
            if loop is not asyncio._get_running_loop():
                loop.call_soon_threadsafe(future.cancel)
                return
        future.cancel()


def _adopt(promise: CorePromise, future: Any) -> None:
    source = FutureSource(promise, future)
    lock(promise, source)
    if future.done():
        source._take(future)
    else:
        future.add_done_callback(source)


def adopt_concurrent_future(promise: CorePromise, future: concurrent.futures.Future[Any]) -> None:
    """Have a pending promise take on the fate of an executor's future."""
    _adopt(promise, future)


def adopt_asyncio_future(promise: CorePromise, future: asyncio.Future[Any]) -> None:
    """Have a pending promise take on the fate of an asyncio future or task."""
    loop = future.get_loop()
    if future.done() or loop is asyncio._get_running_loop():
        _adopt(promise, future)
        return
    # Its loop runs elsewhere (or not yet), and callbacks are added on the loop's own thread.
    source = FutureSource(promise, future)
    lock(promise, source)
    loop.call_soon_threadsafe(future.add_done_callback, source)
