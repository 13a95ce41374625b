"""The functions that settle a promise from outside: of executors, `Promise.defer` and callbacks.

They may be called from any thread, more than once (the first call counts), and after the promise
was cancelled.
"""

from __future__ import annotations

from _thread import get_ident
from typing import Any

from .._core.jobs import call_at_home
from .._core.resolving import resolve
from .._core.settling import reject
from .._core.states import DECIDED
from .._core.subscribers import notify_from_queue

__all__ = ["reject_from_anywhere", "resolve_from_anywhere"]


def resolve_from_anywhere(self: Any, value: Any = None) -> None:
    """Resolve a promise with a value, or with something to follow; the first call counts.

    From another thread the call is queued for the thread of the promise.
    """
    if get_ident() != self._queue.drained_in and not self._queue.is_home():
        call_at_home(self._queue, resolve_from_anywhere, self, value)
    elif not self._state & DECIDED:
        notify_from_queue(self)
        resolve(self, value)


def reject_from_anywhere(self: Any, reason: Any = None) -> None:
    """Reject a promise; the first call counts.

    From another thread the call is queued for the thread of the promise.
    """
    if get_ident() != self._queue.drained_in and not self._queue.is_home():
        call_at_home(self._queue, reject_from_anywhere, self, reason)
    elif not self._state & DECIDED:
        reject(self, reason)
