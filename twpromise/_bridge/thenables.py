"""Thenables: objects of foreign promise libraries, which may misbehave."""

from __future__ import annotations

from contextvars import Context
from typing import Any

from .._core import dropped
from .._core.contexts import context_here
from .._core.jobs import call_at_home, call_soon
from .._core.resolving import reject_or_report, resolve
from .._core.settling import fulfill, hand_over, reject
from .._core.states import DEAD, CorePromise

__all__ = ["adopt_thenable"]


class _ThenableSource:
    """The callbacks for a thenable; the first call counts."""

    __slots__ = ("_promise",)

    def __init__(self, promise: CorePromise) -> None:
        self._promise: CorePromise | None = promise

    def resolve(self, value: Any = None) -> None:
        """Resolve with a value, or with something to follow."""
        self._settle(resolve, value)

    def reject(self, reason: Any = None) -> None:
        """Reject with a reason."""
        self._settle(reject, reason)

    def _settle(self, settle: Any, value: Any) -> None:
        promise = self._promise
        if promise is None:
            return
        call_at_home(promise._queue, self._settle_at_home, settle, value)

    def _settle_at_home(self, settle: Any, value: Any) -> None:
        promise = self.take()
        if promise is not None and not promise._state & DEAD:
            settle(promise, value)

    def failed(self, error: BaseException) -> bool:
        """A `then` that is ``async def`` has raised something."""
        promise = self.take()
        if promise is None or promise._state & DEAD:
            return False
        reject(promise, error)
        return True

    def take(self) -> CorePromise | None:
        """The promise to settle; None from the second call on."""
        promise, self._promise = self._promise, None
        return promise


def adopt_thenable(promise: CorePromise, thenable: Any) -> None:
    """Make a pending promise settle as a thenable does; its `then` is called later."""
    # The source of the thenable (a Deferred, a future) is done, and cannot be cancelled.
    hand_over(promise)
    call_soon(type(promise), _call_then, promise, thenable, context_here(promise))


def _call_then(promise: CorePromise, thenable: Any, context: Context) -> None:
    if promise._state & DEAD:
        return
    source = _ThenableSource(promise)
    try:
        then = context.run(getattr, thenable, "then")
        if callable(then):
            result = context.run(then, source.resolve, source.reject)
            context.run(dropped.run, type(promise), result, source.failed)
        elif source.take() is not None and not promise._state & DEAD:
            fulfill(promise, thenable)
    except BaseException as error:
        # If it has called back before, only that counts.
        if source.take() is not None:
            reject_or_report(promise, error)
    # The error's traceback refers to this frame.
    del promise, context
