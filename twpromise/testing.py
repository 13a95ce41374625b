"""For tests of code that uses promises: a scheduler that runs when the test says so."""

from __future__ import annotations

import asyncio
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Any, cast

from twisted.internet.task import Clock
from zope.interface import implementer

from ._scheduling.queue import DEFAULT_TIME_SLICE
from .interfaces import IDelayedCall, IScheduler

__all__ = ["ManualScheduler"]


@implementer(IScheduler)
class ManualScheduler:
    """Runs handlers when `flush` is called, on a clock that only `advance` moves.

    Args:
        clock: The `twisted.internet.task.Clock` that timers are on; a new one by default.

    The time slice is measured on the same clock, so that it never ends by itself.

    Example::

        scheduler = ManualScheduler()
        previous = Promise.set_scheduler(scheduler)
        try:
            promise = Promise.resolve(1).then(str)
            scheduler.flush()
            assert promise.value() == "1"
        finally:
            Promise.set_scheduler(previous)
    """

    time_slice = DEFAULT_TIME_SLICE

    def __init__(self, clock: Clock | None = None) -> None:
        #: The clock that timers are on.
        self.clock: Clock = Clock() if clock is None else clock
        self._calls: deque[Callable[[], None]] = deque()
        self._home = get_ident()

    def flush(self) -> None:
        """Run everything that is queued, and what is queued meanwhile.

        Timers that are due are run too.
        """
        self.clock.advance(0)
        while self._calls:
            self._calls.popleft()()
            self.clock.advance(0)

    def advance(self, seconds: float) -> None:
        """Run what is queued, move the clock, and run what is queued then.

        Args:
            seconds: How far to move the clock.
        """
        self.flush()
        self.clock.advance(seconds)
        self.flush()

    # --- IScheduler

    def call_soon(self, function: Callable[[], None], /) -> None:
        """Keep *function* for `flush`."""
        self._calls.append(function)

    def call_later(
        self, seconds: float, function: Callable[..., object], /, *arguments: Any
    ) -> IDelayedCall:
        """Have *function* called when the clock has been moved by *seconds*."""
        return cast("IDelayedCall", self.clock.callLater(seconds, function, *arguments))

    def call_from_thread(self, function: Callable[[], None], /) -> None:
        """Keep *function* for `flush`, which is called on the test's own thread."""
        self._calls.append(function)

    def call_in_thread(self, function: Callable[[], None], /) -> None:
        """Have *function* called in a thread; what comes of it waits for `flush`.

        It is one of the global reactor's pool, or a thread of its own while no reactor runs.
        """
        from twisted.internet import reactor

        pool = cast("Any", reactor).getThreadPool()
        if pool.started:
            pool.callInThread(function)
        else:
            Thread(target=function).start()

    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that is running: a task may call `flush`."""
        return asyncio._get_running_loop()

    def home_thread(self) -> int:
        """The thread that made this scheduler."""
        return self._home

    def timer(self) -> float:
        """The clock's time."""
        return float(self.clock.seconds())
