"""For tests of code that uses promises: a scheduler that runs when the test says so."""

from __future__ import annotations

import asyncio
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from threading import Thread
from typing import Any, cast

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock
from zope.interface import implementer

from ._scheduling.queue import DEFAULT_TIME_SLICE
from .interfaces import IDelayedCall, IScheduler

__all__ = ["ManualScheduler"]


class _Clock(Clock):
    """Twisted's Clock, for many timers: that one sorts all of them at each call."""

    def __init__(self) -> None:
        # Each that is still to be made, and which one it is: those of one time keep their order.
        self._numbers: dict[DelayedCall, int] = {}
        # By time; with those that were cancelled, or put off, until their time comes.
        self._times: list[tuple[float, int, DelayedCall]] = []
        self._made = 0

    @property
    def calls(self) -> list[DelayedCall]:  # type: ignore[override]
        """Those that are still to be made, in their order."""
        return sorted(self._numbers, key=DelayedCall.getTime)

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> Any:
        """As Twisted's."""
        call = DelayedCall(
            self.seconds() + delay, callable, args, kw, self._remove, self._put, self.seconds
        )
        self._made += 1
        self._numbers[call] = self._made
        self._put(call)
        return call

    def _put(self, call: DelayedCall) -> None:
        heappush(self._times, (call.time, self._numbers[call], call))

    def _remove(self, call: DelayedCall) -> None:
        del self._numbers[call]
        if len(self._times) > 2 * len(self._numbers) + 16:
            self._times = [(each.time, number, each) for each, number in self._numbers.items()]
            heapify(self._times)

    def getDelayedCalls(self) -> list[Any]:
        """As Twisted's."""
        return self.calls

    def advance(self, amount: float) -> None:
        """As Twisted's."""
        self.rightNow += amount
        while self._times and self._times[0][0] <= self.rightNow:
            time, _, call = heappop(self._times)
            if call not in self._numbers or call.time != time:
                # It was cancelled, or moved.
                continue
            if call.delayed_time:
                call.activate_delay()
                self._put(call)
                continue
            del self._numbers[call]
            call.called = 1
            call.func(*call.args, **call.kw)


@implementer(IScheduler)
class ManualScheduler:
    """Runs handlers when `flush` is called, on a clock that only `advance` moves.

    Args:
        clock: The `twisted.internet.task.Clock` that timers are on; by default a new one, which
            has the same methods and copes with many timers.

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
        self.clock: Clock = _Clock() if clock is None else clock
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

    def seconds(self) -> float:
        """The clock's time."""
        return float(self.clock.seconds())

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
        return self.seconds()
