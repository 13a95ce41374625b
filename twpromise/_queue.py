"""The job queue: what the core fills and a scheduler empties.

The core knows promises and this queue, and nothing of reactors or clocks.
A queue knows how to ask its scheduler to be woken, and no more than that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

__all__ = ["DEFAULT_TIME_SLICE", "JobQueue", "Waker"]

#: Seconds that one drain may take before it lets the reactor have its turn.
DEFAULT_TIME_SLICE = 0.010


class Waker(Protocol):
    """What a queue needs of a scheduler (see `twpromise.interfaces.IScheduler`)."""

    def call_soon(self, function: Callable[[], None], /) -> object:
        """Have *function* called soon, but not from within this call."""

    def home_thread(self) -> int:
        """The identifier of the thread that handlers run on, as far as it is known."""
        ...

    def call_from_thread(self, function: Callable[[], None], /) -> object:
        """Have *function* called on the reactor's thread; callable from any thread."""


class JobQueue(deque[Any]):
    """First in, first out; wakes its scheduler when the first job comes in.

    Items are settled promises whose waiters are to be told, pending promises whose
    parent has settled already, and `twpromise._core.Job` objects.

    Args:
        scheduler: How to be woken.
        drain: What empties this queue; called by the scheduler.
        time_slice: Seconds a drain may take.
        timer: Where the drain reads the time.
    """

    __slots__ = (
        "_asked",
        "_drain",
        "awake",
        "longest",
        "rejections",
        "scheduler",
        "thread",
        "time_slice",
        "timer",
    )

    def __init__(
        self,
        scheduler: Waker,
        drain: Callable[[JobQueue], None],
        time_slice: float = DEFAULT_TIME_SLICE,
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        super().__init__()
        self.scheduler = scheduler
        self._drain = drain
        # A thread has asked to be let in.
        self._asked = False
        #: A drain is running, or the scheduler has been asked for one.
        self.awake = False
        #: Rejected promises that nobody had handled when they were rejected.
        self.rejections: list[Any] = []
        #: The thread that promises of this queue belong to; unknown until it is first used.
        self.thread: int | None = None
        self.time_slice = time_slice
        self.timer = timer
        #: Seconds that the longest drain took.
        self.longest = 0.0

    # Two queues with the same jobs are still two queues; and queues are keys of weak tables.
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def wake(self) -> None:
        """Ask the scheduler for a drain. Only called when the queue is not awake."""
        self.awake = True
        try:
            self.scheduler.call_soon(self._run)
        except BaseException:
            # Whatever is queued stays queued, and the next job asks again.
            self.awake = False
            raise

    def wake_from_thread(self) -> None:
        """Ask the scheduler for a drain of what another thread has queued; once will do."""
        if not self._asked:
            self._asked = True
            try:
                self.scheduler.call_from_thread(self._rouse)
            except BaseException:
                self._asked = False
                raise

    def _rouse(self) -> None:
        # First this: who comes from now on asks again, and who came before is in the queue.
        self._asked = False
        if self and not self.awake:
            self.wake()

    def _run(self) -> None:
        try:
            self._drain(self)
        except BaseException:
            # Something came between two jobs (Ctrl-C, say); the others still want their turn.
            self.awake = False
            if self or self.rejections:
                self.wake()
            raise
