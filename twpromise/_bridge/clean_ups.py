"""Deferreds that are cancelled, and may have to clean up: a coroutine of Twisted's, say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.python.failure import Failure

from .._core.ending import finish_without
from .._core.settling import reject
from .._core.states import CANCELLING, CorePromise
from .outcomes import says_cancelled
from .shared import callbacks_of, is_shared

__all__ = ["CleanUp", "clean_ups", "fail_clean_up"]


class CleanUp:
    """The callback of a Deferred that is cancelled: finishes the cancellation of a promise.

    Most Deferreds fire when they are cancelled.  A coroutine of Twisted's may have to clean up.
    """

    __slots__ = ("given_up", "late", "promise")

    def __init__(self, promise: CorePromise) -> None:
        self.promise = promise
        #: What the Deferred has gone on without, and may not have ended: a thread.
        self.given_up: list[Any] = []
        #: A failure that comes now is not the answer to the cancellation, but of the clean-up.
        self.late = False

    def __call__(self, result: Any) -> Any:
        if self.promise._state & CANCELLING:
            finish_without(self.promise, self.given_up)
        return result


def clean_ups(deferred: Any) -> Iterator[CleanUp]:
    """The callbacks of this kind that a Deferred has not called yet."""
    return (each for (each, _, _), _ in callbacks_of(deferred) if type(each) is CleanUp)


def fail_clean_up(deferred: Any, failure: Failure) -> None:
    """Report the failure of a Deferred that cleans up, unless it only says: cancelled."""
    if not says_cancelled(failure) and not is_shared(deferred, None):
        for clean_up in clean_ups(deferred):
            if clean_up.late and clean_up.promise._state & CANCELLING:
                reject(clean_up.promise, failure)
