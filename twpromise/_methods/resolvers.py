"""The functions that settle a promise from outside: executors', `Promise.defer`'s, callbacks'.

They may be called from any thread, more than once (the first call counts), and after the promise
was cancelled.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from typing import Any

from .._core.jobs import call_at_home
from .._core.resolving import resolve
from .._core.settling import reject
from .._core.states import DECIDED, CorePromise

__all__ = ["reject_from_anywhere", "resolve_from_anywhere"]


def resolve_from_anywhere(self: Any, value: Any = None) -> None:
    """Resolve a promise with a value, or with whatever is followed; the first call counts.

    From another thread the call is queued for the promise's own.
    """
    if get_ident() != self._queue.thread and _not_home(self, resolve_from_anywhere, value):
        return
    if not self._state & DECIDED:
        if self._source is None:
            resolve(self, value)
        else:
            # It has cancel hooks, which stay in force.
            self._source.resolve(value)


def reject_from_anywhere(self: Any, reason: Any = None) -> None:
    """Reject a promise; the first call counts.

    From another thread the call is queued for the promise's own.
    """
    if get_ident() != self._queue.thread and _not_home(self, reject_from_anywhere, reason):
        return
    if not self._state & DECIDED:
        reject(self, reason)


def _not_home(promise: CorePromise, settle: Callable[..., None], value: Any) -> bool:
    """Hand a call on to the thread that *promise* belongs to, if that is not this one."""
    queue = promise._queue
    if queue.thread is None:
        queue.thread = queue.scheduler.home_thread()
        if queue.thread == get_ident():
            return False
    call_at_home(queue, settle, promise, value)
    return True
