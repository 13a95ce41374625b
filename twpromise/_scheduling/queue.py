"""The job queue: the core fills it, and the scheduler drains it.

It is a `deque` that asks its scheduler for a drain.
"""

from __future__ import annotations

import asyncio
import os
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from threading import current_thread
from time import perf_counter
from typing import Any, Final
from weakref import WeakValueDictionary

from .._util.running import outside_tasks
from .drains import Drains

__all__ = ["DEFAULT_TIME_SLICE", "JobQueue", "is_forked", "queues"]

#: Seconds that one drain may take before the rest waits for the next turn of the reactor.
DEFAULT_TIME_SLICE = 0.010

#: Seconds that all may take that is queued when the reactor stops, or the process ends.
_LAST_SLICE = 1.0

_PROCESS: Final = os.getpid()


def is_forked() -> bool:
    """Whether this process is a copy, by a fork, of one that goes on.

    The queue and the resources belong to the parent then; the parent of a daemon does not go on.
    """
    return os.getppid() == _PROCESS


class JobQueue(deque[Any]):
    """First in, first out; asks its scheduler for a drain when the first item is added.

    Args:
        scheduler: An `IScheduler`; calls the drain.
        drain: Runs the items of this queue.
        time_slice: Seconds a drain may take.
        timer: The clock of the drain.
    """

    __slots__ = (
        "_asked",
        "_drain",
        "_wakes",
        "awake",
        "drained_in",
        "drains",
        "rejections",
        "scheduler",
        "time_slice",
        "timer",
    )

    def __init__(
        self,
        scheduler: Any,
        drain: Callable[[JobQueue], None],
        time_slice: float = DEFAULT_TIME_SLICE,
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        super().__init__()
        self.scheduler = scheduler
        self._drain = drain
        # Another thread has asked the scheduler for a drain, which has not begun.
        self._asked = False
        #: A drain is running, or the scheduler has been asked for one: false if not.  Mostly it is
        #: a number, another one for each drain that is asked for; see `_diagnostics.tracking`.
        self.awake: int = False
        self._wakes = 1
        #: Items for when the queue is empty: rejections that may be unhandled, and jobs that run
        #: after all that is queued.
        self.rejections: list[Any] = []
        #: The thread of the last drain; None before the first.  Until then the scheduler is asked
        #: each time, since a reactor may be started in another thread than was expected.
        self.drained_in: int | None = None
        self.time_slice = time_slice
        self.timer = timer
        #: How long drains took.
        self.drains = Drains()

    # Compared by identity, and weakly referenced.
    #: Takes the first item out.  A call could be interrupted by a signal when that is done: its
    #: handler may raise, and the item would be lost.  Reading an attribute cannot.
    taken = property(deque.popleft)

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def is_home(self) -> bool:
        """Whether this is the thread that the promises of this queue belong to."""
        here = get_ident()
        return here == self.drained_in or (
            self.drained_in is None and here == self.scheduler.home_thread()
        )

    def check_thread(self) -> None:
        """Raise unless this is the thread that the promises of this queue belong to.

        Raises:
            RuntimeError: This is another thread.
        """
        if not self.is_home() and get_ident() != self.scheduler.home_thread():
            message = (
                f"a promise was used in the thread {current_thread().name!r}, which is not the "
                "one that promises run in: use Promise.call_from_thread(function, *args) there"
            )
            if asyncio._get_running_loop() is not None:
                message += (
                    "; or have promises run on the asyncio loop of this thread: "
                    "`async with twpromise.loops.use_running_loop():`"
                )
            raise RuntimeError(message)

    def add(self, item: Any) -> None:
        """Append an item; from the queue's own thread."""
        self.append(item)
        if not self.awake:
            self.wake()

    def wake(self) -> None:
        """Ask the scheduler for a drain: when the queue is not awake, or a drain has to stop.

        Raises:
            RuntimeError: This is not the thread that the promises of this queue belong to.  The
                queue is drained in that thread all the same.
        """
        if get_ident() != self.drained_in:
            try:
                self.check_thread()
            except RuntimeError:
                self.wake_from_thread()
                raise
        self._wakes += 1
        self.awake = self._wakes
        try:
            self.scheduler.call_soon(self._run)
        except BaseException:
            self.awake = False
            # It may have been a signal's handler that raised, after or before the scheduler has
            # taken this.  If the scheduler fails, the items stay queued, and the next asks again.
            self.scheduler.call_soon(self._run)
            self.awake = self._wakes
            raise

    def wake_from_thread(self) -> None:
        """Ask the scheduler for a drain, from another thread; once for all that is queued."""
        if not self._asked:
            self._asked = True
            try:
                self.scheduler.call_from_thread(self._rouse)
            except BaseException:
                self._asked = False
                raise

    def _rouse(self) -> None:
        # First of all: a thread that queues from now on asks again.
        self._asked = False
        if (self or self.rejections) and not self.awake:
            self.wake()

    def run_rest(self) -> None:
        """Run what is queued, for a second at most, when the scheduler may no longer do so."""
        time_slice, self.time_slice = self.time_slice, _LAST_SLICE
        # What is queued meanwhile need not ask for a drain.
        self.awake = True
        try:
            self._run()
        finally:
            self.time_slice = time_slice

    def _run(self) -> None:
        try:
            self.drained_in = get_ident()
            # No handler is part of a task that may have called this.
            outside_tasks(lambda: self._drain(self))
        except BaseException:
            # A signal's handler has raised (Ctrl-C, say); what is queued has to be run.
            self.awake = False
            if self or self.rejections:
                self.wake()
            raise


#: By what was given to `Promise.set_scheduler`.  Library copies with the same scheduler share its
#: queue, which lives for as long as one has it or anything is queued.
queues: Final[WeakValueDictionary[Any, JobQueue]] = WeakValueDictionary()
