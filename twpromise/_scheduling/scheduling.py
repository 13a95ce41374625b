"""Which scheduler the promises of a library copy run on."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any, Final
from weakref import WeakValueDictionary

from .._core.draining import drain
from .._core.states import CorePromise
from .._util.checks import shown
from .._util.types import Class
from ..interfaces import IScheduler
from .queue import JobQueue
from .schedulers import FunctionScheduler, ReactorScheduler

__all__ = ["Scheduling", "reactor_scheduler", "schedulers"]

#: The one that is used unless another is set.
reactor_scheduler: Final = ReactorScheduler()

# Library copies with the same scheduler share its queue, which lives for as long as one has it or
# anything is queued.
_queues: WeakValueDictionary[Any, JobQueue] = WeakValueDictionary()


def schedulers() -> list[Any]:
    """The schedulers that promises run on, of all library copies."""
    return [queue.scheduler for queue in list(_queues.values())]


class Scheduling(CorePromise):
    """`set_scheduler`."""

    __slots__ = ()

    @classmethod
    def set_scheduler(cls: Class, scheduler: Any) -> Any:
        """Choose where promises of this library copy run their handlers.

        Args:
            scheduler: An `IScheduler`; or a function that takes a function without arguments
                and has it called soon, but not from within the call.  Timers and threads stay
                with the reactor then.

        Returns:
            The scheduler that was set before.

        Raises:
            TypeError: *scheduler* is neither.

        What is queued already runs where it was queued.  Bluebird: ``Promise.setScheduler``.
        """
        previous = cls._library.scheduler
        if previous is not scheduler:
            cls._set_queue(scheduler)
        return previous

    setScheduler = set_scheduler

    @classmethod
    def _set_queue(cls, scheduler: Any) -> None:
        if IScheduler.providedBy(scheduler):
            at = scheduler
        elif callable(scheduler) and not iscoroutinefunction(scheduler):
            # Its thread is this one, until the reactor runs.
            at = FunctionScheduler(scheduler, ReactorScheduler())
        else:
            raise TypeError(
                "scheduler must be an IScheduler or a function that takes a function, "
                f"not {shown(scheduler)}"
            )
        queue = _queues.get(scheduler)
        if queue is None:
            queue = _queues[scheduler] = JobQueue(at, drain, at.time_slice, at.timer)
        library = cls._library
        library.scheduler = scheduler
        library.promise_class._queue = queue
