"""A scheduler that runs when the test says so."""

from __future__ import annotations

import asyncio
from _thread import get_ident
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from heapq import heapify, heappop, heappush
from threading import Condition, Thread, active_count
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock
from zope.interface import implementer

from .._bridge.waits import note_where_it_waits
from .._core import hooks
from .._promise import Promise
from .._scheduling.queue import DEFAULT_TIME_SLICE
from .._util.checks import shown
from ..interfaces import IDelayedCall, IScheduler

__all__ = ["ManualScheduler"]

T = TypeVar("T")

#: Seconds to wait for other threads, before a test counts as waiting for nothing.
PATIENCE: Final = 5.0


class _Clock(Clock):
    """Twisted's Clock for many timers: Twisted's sorts all of them at each call."""

    def __init__(self) -> None:
        # Each call that is still to be made, with its number: calls at the same time keep their
        # order.
        self._numbers: dict[DelayedCall, int] = {}
        # Sorted by time; cancelled and postponed calls are removed when their time comes.
        self._times: list[tuple[float, int, DelayedCall]] = []
        self._made = 0

    @property
    def calls(self) -> list[DelayedCall]:  # type: ignore[override]
        """The calls that are still to be made, in their order."""
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

    Promises use it inside of ``with``; leaving the block runs what is queued.

    Args:
        clock: A `twisted.internet.task.Clock` for the timers; by default a new one, which has the
            same methods and copes with many timers.
        library: The library copy whose promises use it; `Promise` by default.

    The time slice is measured on the same clock, so that it never ends by itself.

    Example::

        from twpromise import Promise
        from twpromise.testing import ManualScheduler

        with ManualScheduler() as scheduler:
            promise = Promise.resolve(1).then(str)
            scheduler.flush()
            assert promise.value() == "1"
    """

    time_slice = DEFAULT_TIME_SLICE

    def __init__(
        self, clock: Clock | None = None, *, library: type[Promise[Any]] = Promise
    ) -> None:
        #: The clock that timers are on.
        self.clock: Clock = _Clock() if clock is None else clock
        self._library = library
        self._former: list[Any] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._in_threads = 0
        # Other threads have called, or ended.
        self._changed = Condition()
        self._home = get_ident()

    def __enter__(self) -> Self:
        """Set this scheduler for the library copy."""
        self._former.append(self._library.set_scheduler(self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Run what is queued, and restore the former scheduler."""
        try:
            self.flush()
        finally:
            self._library.set_scheduler(self._former.pop())

    def flush(self) -> None:
        """Run everything that is queued, and what is queued meanwhile, with timers that are due."""
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

    def run_until_complete(self, awaitable: Awaitable[T]) -> T:
        """Run promises until *awaitable* has settled, and return its value.

        Whenever nothing is queued, and no thread of this scheduler is at work, the clock is moved
        to the next timer: so a minute of `Promise.delay` takes no time.

        Args:
            awaitable: A promise, a coroutine, a Deferred or anything else that promises follow.

        Returns:
            Its value.

        Raises:
            RuntimeError: It can never settle: nothing is queued, no timer is set, and other
                threads, if there are any, have not called within 5 seconds.
            BaseException: The reason of its rejection, or `CancellationError`.

        Asyncio: ``loop.run_until_complete``; trio: ``autojump_clock``.
        """
        # For pytest: its tracebacks begin with the test.
        __tracebackhide__ = True
        promise: Any = self._library.resolve(awaitable)
        # Attaching a handler keeps it from being reported or cancelled.
        done = promise.reflect()
        while True:
            self.flush()
            if not done.is_pending():
                break
            if not (self._wait_for_threads() or self._jump()):
                raise note_where_it_waits(
                    RuntimeError(
                        f"{shown(promise)} stays pending: nothing is queued, no timer is set, and "
                        "no other thread has called"
                    ),
                    promise,
                )
        if promise.is_fulfilled():
            return cast("T", promise.value())
        raise hooks.host.exception_of(promise)

    def _wait_for_threads(self) -> bool:
        """Wait until another thread calls, if one may; return whether one has."""
        with self._changed:
            if self._in_threads or (not self.clock.getDelayedCalls() and active_count() > 1):
                at_work = self._in_threads
                self._changed.wait_for(lambda: self._calls or self._in_threads < at_work, PATIENCE)
            return bool(self._calls)

    def _jump(self) -> bool:
        """Move the clock to the next timer; return whether there is one."""
        calls: Sequence[Any] = self.clock.getDelayedCalls()
        times = [call.getTime() for call in calls]
        if times:
            self.clock.advance(max(0.0, min(times) - self.seconds()))
        return bool(times)

    # --- IScheduler

    def call_soon(self, function: Callable[[], None], /) -> None:
        """Keep *function* for `flush`."""
        self._calls.append(function)

    def call_later(
        self, seconds: float, function: Callable[..., object], /, *arguments: Any
    ) -> IDelayedCall:
        """Call *function* when the clock has been moved by *seconds*."""
        return cast("IDelayedCall", self.clock.callLater(seconds, function, *arguments))

    def seconds(self) -> float:
        """The clock's time."""
        return float(self.clock.seconds())

    def call_from_thread(self, function: Callable[[], None], /) -> None:
        """Keep *function* for `flush`, which runs on the thread of the test."""
        with self._changed:
            self._calls.append(function)
            self._changed.notify_all()

    def call_in_thread(self, function: Callable[[], None], /) -> None:
        """Call *function* in a thread; `flush` handles its result.

        The thread is one of the global reactor's pool, or a new one while no reactor runs.
        """
        from twisted.internet import reactor

        pool = cast("Any", reactor).getThreadPool()
        self._in_threads += 1
        if pool.started:
            pool.callInThread(self._run_in_thread, function)
        else:
            Thread(target=self._run_in_thread, args=(function,)).start()

    def _run_in_thread(self, function: Callable[[], None]) -> None:
        try:
            function()
        finally:
            with self._changed:
                self._in_threads -= 1
                self._changed.notify_all()

    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The running loop, if any: a task may call `flush`."""
        return asyncio._get_running_loop()

    def home_thread(self) -> int:
        """The thread that made this scheduler."""
        return self._home

    def timer(self) -> float:
        """The clock's time."""
        return self.seconds()
