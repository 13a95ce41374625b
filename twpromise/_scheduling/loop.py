"""A scheduler on asyncio's own loop: promises without a reactor."""

from __future__ import annotations

import asyncio
from _thread import get_ident
from collections.abc import Callable
from contextvars import Context
from time import perf_counter
from typing import Any, cast

from zope.interface import implementer

from .._util.checks import check_seconds, shown
from ..interfaces import IDelayedCall, IScheduler
from .queue import DEFAULT_TIME_SLICE, JobQueue, is_forked

__all__ = ["LoopScheduler"]


@implementer(IDelayedCall)
class _DelayedCall:
    """A call that the loop will make later; asyncio's own handle does not know if it was made."""

    __slots__ = ("_active", "_arguments", "_function", "_handle", "_loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        active: set[_DelayedCall],
        seconds: float,
        function: Callable[..., object],
        arguments: tuple[Any, ...],
    ) -> None:
        self._active = active
        self._loop = loop
        self._function = function
        self._arguments = arguments
        active.add(self)
        # A timer that was cancelled may stay in the loop for long, and with it the context.
        self._handle = loop.call_later(seconds, self._run, context=Context())

    def _run(self) -> None:
        self._active.discard(self)
        self._function(*self._arguments)

    def cancel(self) -> None:
        """Cancel the call."""
        self._active.discard(self)
        self._handle.cancel()

    def getTime(self) -> float:
        """When the call is made."""
        return self._handle.when()

    def seconds(self) -> float:
        """The time on the same clock."""
        return self._loop.time()

    def active(self) -> bool:
        """Whether the call is still to be made."""
        return self in self._active


@implementer(IScheduler)
class LoopScheduler:
    """Runs promises, timers and threads on an asyncio loop, without a reactor.

    Args:
        loop: The loop; by default the running one.  If it does not run yet, the current thread
            must run it.
        time_slice: Seconds that one batch of handlers may take before the rest of it waits for the
            next turn of the loop.

    Raises:
        RuntimeError: *loop* is left out, and no loop is running; *loop* is closed, or is run by
            another thread.
        TypeError: *loop* is not an asyncio loop, or *time_slice* not a number.
        ValueError: *time_slice* is negative or NaN.

    After the loop was closed, its methods raise `RuntimeError`.  `use_running_loop` makes
    a `LoopScheduler`, and sets it for as long as it is needed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        time_slice: float = DEFAULT_TIME_SLICE,
    ) -> None:
        running = asyncio._get_running_loop()
        if loop is None:
            if running is None:
                raise RuntimeError(
                    "no asyncio loop is running: make the LoopScheduler in a coroutine that "
                    "asyncio runs, or give it a loop, LoopScheduler(loop)"
                )
            loop = running
        elif not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop must be an asyncio event loop, not {shown(loop)}")
        elif loop.is_running() and loop is not running:
            raise RuntimeError(
                f"{shown(loop)} is run by another thread: make its LoopScheduler in that thread"
            )
        self._loop = loop
        self._home = get_ident()
        # Calls that the loop has still to make, and functions that threads still run.
        self._timers: set[_DelayedCall] = set()
        self._in_threads: set[asyncio.Future[None]] = set()
        self.time_slice: float = check_seconds("time_slice", time_slice)
        self._open_loop()

    def __repr__(self) -> str:
        """Which loop it is on."""
        return f"<LoopScheduler on {shown(self._loop)}>"

    def _open_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop.is_closed():
            raise RuntimeError(
                f"the asyncio loop that promises run on has closed ({shown(self._loop)}): use "
                "promises in the loop that runs now, inside "
                "`async with twpromise.loops.use_running_loop():`"
            )
        return self._loop

    def call_soon(self, function: Callable[[], None], /) -> object:
        """Call *function* in the loop's next turn."""
        return self._open_loop().call_soon(function, context=Context())

    def call_later(
        self, seconds: float, function: Callable[..., object], /, *arguments: Any
    ) -> IDelayedCall:
        """Call *function* after *seconds*."""
        call: Any = _DelayedCall(self._open_loop(), self._timers, seconds, function, arguments)
        return cast("IDelayedCall", call)

    def seconds(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def call_from_thread(self, function: Callable[[], None], /) -> object:
        """Call *function* on the loop's thread; may be called from any thread."""
        return self._open_loop().call_soon_threadsafe(function, context=Context())

    def call_in_thread(self, function: Callable[[], None], /) -> None:
        """Call *function* in a thread of the loop's default executor.

        Raises:
            RuntimeError: The executor was shut down.
        """
        future = self._open_loop().run_in_executor(None, function)
        self._in_threads.add(future)
        future.add_done_callback(self._in_threads.discard)

    async def _finish(self, queue: JobQueue) -> None:
        """Wait until nothing is queued, and no thread is at work."""
        while queue or queue.awake or self._in_threads:
            if self._in_threads:
                await asyncio.wait(self._in_threads)
            await asyncio.sleep(0)

    def _clear_timers(self) -> None:
        for timer in list(self._timers):
            timer.cancel()

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def is_over(self) -> bool:
        """Whether the process ends, and the loop does not run."""
        return not self._loop.is_running() and not is_forked()

    def home_thread(self) -> int:
        """The thread that made this scheduler."""
        return self._home

    def timer(self) -> float:
        """Python's `time.perf_counter`."""
        return perf_counter()
