"""Promises from futures of asyncio and concurrent.futures."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable
from typing import Any

from .._core.jobs import Job, call_at_home
from .._core.reactions import Node
from .._core.resolving import resolve
from .._core.settling import finish_cancel, hand_over, reject
from .._core.states import DEAD, CorePromise
from .._util.errors import CANCELLATIONS
from .._util.exceptions import get_traceback

__all__ = ["FutureSource", "adopt_future"]

_CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)


class FutureSource(Node):
    """Connects a future, of either kind, with the promise that has adopted it.

    It keeps the future until that is done, even if the promise is cancelled before.
    """

    __slots__ = ("_future", "_queue", "_when_done", "name")

    def __init__(self, promise: CorePromise, future: Any, name: str) -> None:
        super().__init__(promise)
        #: The name of the function that an executor runs, if that is known.
        self.name = name
        self._future: Any = future
        self._queue = promise._queue
        # Called from the queue when the future is done.
        self._when_done: tuple[Callable[[], object], ...] = ()

    def __call__(self, future: Any) -> None:
        """The future's callback, in any thread."""
        call_at_home(self._queue, self._take, future)

    def _take(self, future: Any) -> None:
        functions = self._when_done
        promise = self.finish()
        for function in functions:
            self._queue.add(Job(function))
        if promise is None:
            return
        try:
            error = future.exception()
        except _CANCELLED:
            finish_cancel(promise)
            return
        if promise._state & DEAD and (error is None or issubclass(type(error), CANCELLATIONS)):
            # A task has cleaned up.
            finish_cancel(promise)
        elif error is None:
            resolve(promise, future.result())
        else:
            reject(promise, error, get_traceback(error))

    def _release(self) -> None:
        self._future = None
        self._when_done = ()

    def _abandon(self, stack: list[CorePromise]) -> bool:
        if isinstance(self._future, asyncio.Future):
            self._queue.add(Job(self._cancel))
            return True
        self._promise = None
        # At once: a thread may begin the work at any moment.
        self._future.cancel()
        return False

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        return ((self.name, self._future),)

    def from_outside(self) -> bool:
        """Whether the future is pending; its callback may be queued otherwise."""
        return not self._future.done()

    def _can_stop(self) -> bool:
        # What executors run cannot be stopped; see `stop`.
        return not hasattr(self._future, "running")

    def stop(self) -> bool:
        """Cancel the work of an executor; return whether it does not run, and never will.

        Another thread may begin it at any moment, so only this call finds out.
        """
        return bool(self._future.cancel())

    def _cancel(self) -> None:
        future = self._future
        if future is None:
            # It was done, and its callback is queued.
            return
        # An asyncio future: the loop decides when it runs the callback.
        loop = future.get_loop()
        if loop is asyncio._get_running_loop():
            future.cancel()
            return
        try:
            loop.call_soon_threadsafe(future.cancel)
        except RuntimeError:
            # The loop is closed: the future will never be done.
            finish_cancel(self.finish())

    # --- after a cancellation

    def running(self) -> bool:
        """Whether the work goes on: it has not been cancelled yet, or cannot be stopped."""
        return self._future is not None

    def when_done(self, function: Callable[[], object]) -> None:
        """Call a function, from the queue, once the work has ended."""
        if self.running():
            self._when_done += (function,)
        else:
            self._queue.add(Job(function))


def adopt_future(promise: CorePromise, future: Any, name: str = "") -> None:
    """Make a pending promise settle as a future of asyncio, or of an executor, does."""
    source = FutureSource(promise, future, name)
    hand_over(promise, source)
    if future.done():
        source._take(future)
        return
    if isinstance(future, asyncio.Future):
        loop = future.get_loop()
        if loop is not asyncio._get_running_loop():
            # It runs in another thread, or not yet, and takes callbacks on its own thread only.
            loop.call_soon_threadsafe(future.add_done_callback, source)
            return
    future.add_done_callback(source)
