"""Which scheduler the promises of a library copy run on."""

from __future__ import annotations

import atexit
from inspect import iscoroutinefunction
from typing import Any, Final

from twisted.logger import Logger

from .._core.draining import drain
from .._core.states import CorePromise
from .._util.checks import shown
from .._util.types import Class
from ..interfaces import IScheduler
from .queue import JobQueue, queues
from .schedulers import FunctionScheduler, ReactorScheduler

__all__ = ["Scheduling", "reactor_scheduler", "schedulers"]

_log = Logger(namespace="twpromise")

#: The default scheduler.
reactor_scheduler: Final = ReactorScheduler()


def schedulers() -> list[Any]:
    """The schedulers that promises run on, of all library copies."""
    return [queue.scheduler for queue in list(queues.values())]


def _at_exit() -> None:
    """Run what is queued if no reactor and no loop runs any more, and name what is left."""
    for queue in list(queues.values()):
        at = queue.scheduler
        # The schedulers of tests have no such method.
        if (queue or queue.rejections) and getattr(at, "is_over", bool)():
            try:
                queue.run_rest()
            finally:
                if queue:
                    _log.critical(
                        "The process ends, and promises have handlers that were not called "
                        "({count} turns were left in the queue of {scheduler})",
                        count=len(queue),
                        scheduler=at,
                    )


# Before the exit handler of `_bridge.crash`, which has been registered by now.
atexit.register(_at_exit)


class Scheduling(CorePromise):
    """`set_scheduler`."""

    __slots__ = ()

    @classmethod
    def set_scheduler(cls: Class, scheduler: Any) -> Any:
        """Choose where promises of this library copy run their handlers.

        Args:
            scheduler: An `IScheduler`; or a function that takes a function without arguments, and
                calls it soon, but not from within the call.  Timers and threads stay with the
                reactor then.

        Returns:
            The scheduler that was set before.

        Raises:
            TypeError: *scheduler* is neither.

        What is queued already runs on the former scheduler.  Bluebird: ``Promise.setScheduler``.
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
        queue = queues.get(scheduler)
        if queue is None:
            queue = queues[scheduler] = JobQueue(at, drain, at.time_slice, at.timer)
        library = cls._library
        library.scheduler = scheduler
        library.promise_class._queue = queue
