"""The method `cancel`."""

from __future__ import annotations

from .._core.cancelling import cancel
from .._core.jobs import call_at_home
from .._core.states import CorePromise

__all__ = ["Cancellation"]


class Cancellation(CorePromise):
    """The method that cancels."""

    __slots__ = ()

    def cancel(self) -> None:
        """Cancel this promise, whose result you no longer need; has no effect once it is settled.

        Of its handlers, only those of `finally_` and `reflect` run.  What the promise waits for is
        cancelled too, if it has no other consumer: promises, Deferreds, timers, futures, and
        executors, whose cancel hooks run from the queue.

        May be called from any thread: the call is queued for the thread of the promise.

        Bluebird: ``.cancel``; Twisted: ``Deferred.cancel``.
        """
        call_at_home(self._queue, cancel, self)
