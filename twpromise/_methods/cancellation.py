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
        """Cancel this promise, whose result is no longer needed; does nothing once it is settled.

        No handler of this promise is called, except those of `finally_` and `reflect`.  What it
        waits for is cancelled too, if it has no other consumer, all the way up to executors
        (whose hooks run from the queue), Deferreds, timers and futures.

        May be called from any thread: from another one than the promise's own the call is queued
        for that.

        Bluebird: ``.cancel``; Twisted: ``Deferred.cancel``.
        """
        call_at_home(self._queue, cancel, self)
