"""Calls that wait in the queue, among the promises."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ClassVar

from .._util.checks import shown
from .states import JOB, CorePromise

if TYPE_CHECKING:
    from .._scheduling.queue import JobQueue


class Job:
    """A call that waits in the queue; what it raises is logged by the drain."""

    __slots__ = ("_arguments", "_function")

    _state: ClassVar[int] = JOB

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        self._function = function
        self._arguments = arguments

    def run(self) -> None:
        """Make the call."""
        self._function(*self._arguments)
        # The traceback of what was raised, and caught, in there leads to this frame.
        del self


def call_soon(cls: type[CorePromise], function: Callable[..., object], *arguments: Any) -> None:
    """Queue a call, behind all that is queued; what it raises is logged."""
    cls._queue.add(Job(function, *arguments))


def check_library(library: Any) -> Any:
    """*library*, checked to be `Promise`, or a library copy.

    Raises:
        TypeError: It is something else.
    """
    if not (isinstance(library, type) and issubclass(library, CorePromise)):
        raise TypeError(f"library must be a library copy, such as Promise, not {shown(library)}")
    return library


def check_home(cls: type[CorePromise]) -> None:
    """Raise in a thread that the promises of a library copy do not belong to.

    Call this before work that makes promises and more; in `then` it would cost 6 % of a hop.

    Raises:
        RuntimeError: See `JobQueue.check_thread`.
    """
    if get_ident() != cls._queue.drained_in:
        cls._queue.check_thread()


def call_at_home(queue: JobQueue, function: Callable[..., object], *arguments: Any) -> None:
    """Make a call now, if this is the queue's own thread; else queue it for that thread.

    There it waits with all the others, so that a drain takes no more calls from threads than its
    time slice allows.  What it raises then is logged.
    """
    if queue.is_home():
        function(*arguments)
        return
    # In the context of the thread: rejections are reported in it.
    queue.append(Job(copy_context().run, function, *arguments))
    if not queue.awake:
        queue.wake_from_thread()
