"""The schedulers, which call the drain of a queue."""

from __future__ import annotations

import asyncio
import sys
from _thread import get_ident
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from twisted.internet.interfaces import IReactorCore, IReactorFromThreads, IReactorInThreads
from twisted.python import threadable
from zope.interface import implementer

from .._util.checks import check_seconds, shown
from ..interfaces import IDelayedCall, IScheduler
from .queue import DEFAULT_TIME_SLICE, is_forked, queues

__all__ = ["FunctionScheduler", "ReactorScheduler"]


@implementer(IScheduler)
class ReactorScheduler:
    """Runs promises on a Twisted reactor: one ``callLater(0)`` for each batch of handlers.

    Args:
        reactor: Anything that provides `IReactorTime`: a reactor, or a
            `twisted.internet.task.Clock`.  None is the global reactor, which is looked up when it
            is first needed, so that importing this library installs none.
        time_slice: Seconds that one batch may take before the rest of it waits for the next turn of
            the reactor, so that sockets and timers are served.
        timer: The clock for the time slice: a function that returns seconds.

    Raises:
        TypeError: *reactor* has no ``callLater``, or *time_slice* is not a number.
        ValueError: *time_slice* is negative or NaN.
    """

    def __init__(
        self,
        reactor: Any = None,
        *,
        time_slice: float = DEFAULT_TIME_SLICE,
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        if reactor is not None and not callable(getattr(reactor, "callLater", None)):
            raise TypeError(f"reactor must provide IReactorTime, not {shown(reactor)}")
        if not callable(timer):
            raise TypeError(f"timer must be a callable that returns seconds, not {shown(timer)}")
        self._reactor = reactor
        # Until the reactor runs, its thread is taken to be the one that has made this.
        self._home = get_ident()
        # Whether the reactor will say when it stops.
        self._is_watched = False
        self.time_slice: float = check_seconds("time_slice", time_slice)
        self.timer = timer

    def __repr__(self) -> str:
        """Which reactor it is on."""
        where = "the global reactor" if self._reactor is None else shown(self._reactor)
        return f"<ReactorScheduler on {where}>"

    def _get_reactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        return self._reactor

    def _is_clock(self) -> bool:
        """Whether the reactor is a Clock, which runs in no thread that could be woken."""
        return self._reactor is not None and not IReactorFromThreads.providedBy(self._reactor)

    def _stops(self) -> bool:
        """Whether the reactor is one that is run and stopped: not a Clock, or a part of one."""
        return IReactorCore.providedBy(self._get_reactor()) and not self._is_clock()

    def _watch(self) -> Any:
        """The reactor; when it stops, the rest of the queue is run, since no turn follows."""
        reactor = self._get_reactor()
        if not self._is_watched:
            self._is_watched = True
            if self._stops():
                reactor.addSystemEventTrigger("after", "shutdown", self._stopped)
        return reactor

    def _stopped(self) -> None:
        queue = queues.get(self)
        if queue is not None:
            queue.run_rest()
        # Another trigger runs what later triggers queue.
        self._is_watched = False

    def is_over(self) -> bool:
        """Whether the process ends, and the reactor does not run."""
        return self._stops() and not self._get_reactor().running and not is_forked()

    def call_soon(self, function: Callable[[], None], /) -> object:
        """Call *function* in the reactor's next turn."""
        return self._watch().callLater(0, function)

    def call_later(
        self, seconds: float, function: Callable[..., object], /, *arguments: Any
    ) -> IDelayedCall:
        """Call *function* after *seconds*."""
        call: IDelayedCall = self._watch().callLater(seconds, function, *arguments)
        return call

    def seconds(self) -> float:
        """The reactor's time."""
        return float(self._get_reactor().seconds())

    def call_from_thread(self, function: Callable[[], None], /) -> None:
        """Call *function* on the reactor's thread; may be called from any thread."""
        reactor = self._get_reactor()
        if self._is_clock():
            reactor.callLater(0, function)
        else:
            reactor.callFromThread(function)

    def call_in_thread(self, function: Callable[[], None], /) -> None:
        """Call *function* in a thread of the reactor's pool."""
        reactor = self._watch()
        if not IReactorInThreads.providedBy(reactor):
            # A Clock has no pool.
            reactor = ReactorScheduler()._get_reactor()
        reactor.callInThread(function)

    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of Twisted's asyncio reactor; None on any other, or if there is none yet."""
        reactor = self._reactor or sys.modules.get("twisted.internet.reactor")
        return getattr(reactor, "_asyncioEventloop", None)

    def home_thread(self) -> int:
        """The thread that runs the reactor; before that, the one that made this scheduler."""
        if self._is_clock():
            # A Clock is moved by the thread that has made it, wherever a reactor runs.
            return self._home
        return cast("int | None", threadable.ioThread) or self._home


@implementer(IScheduler)
class FunctionScheduler:
    """Runs promises by a plain function; timers and threads stay with another scheduler.

    Args:
        function: Takes a function and calls it soon, but not from within the call.
        clock: The scheduler of the timers and threads.
    """

    def __init__(self, function: Callable[[Callable[[], None]], object], clock: Any) -> None:
        self.call_soon = function
        self.call_later = clock.call_later
        self.seconds = clock.seconds
        self.call_from_thread = clock.call_from_thread
        self.call_in_thread = clock.call_in_thread
        self.home_thread = clock.home_thread
        self.is_over = getattr(clock, "is_over", bool)
        self.time_slice = clock.time_slice
        self.timer = clock.timer

    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The running loop: the function may use it, without a way to find out."""
        return asyncio._get_running_loop()
