"""Promises into Deferreds."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import Any

from twisted.internet.defer import _CONTINUE, Deferred, _CancellationStatus, fail, succeed

from .._core import hooks
from .._core.cancelling import drop
from .._core.following import outcome_of
from .._core.reactions import Node
from .._core.settling import mark_handled
from .._core.states import DEAD, FULFILLED, REJECTED, CorePromise
from .._util.errors import CancellationError
from .clean_ups import clean_ups
from .outcomes import failure_of
from .shared import callbacks_of, waiting_for

__all__ = ["DeferredSink", "make_deferred", "promises_behind"]


def promises_behind(deferred: Deferred[Any]) -> list[CorePromise]:
    """The promises that wait for a Deferred, directly or through other Deferreds and coroutines."""
    promises: list[CorePromise] = []
    found, seen = [deferred], set[object]()
    while found:
        one = found.pop()
        if one in seen:
            continue
        seen.add(one)
        promises += [waiting._promise for waiting in waiting_for(one, None)]
        promises += [clean_up.promise for clean_up in clean_ups(one)]
        for (callback, arguments, _), _ in callbacks_of(one):
            called = getattr(callback, "__self__", None)
            if isinstance(called, Deferred):
                # A `DeferredList`, say.
                found.append(called)
            elif callback is _CONTINUE:
                # One whose callback has returned this one.
                found += arguments
            else:
                found += [each.deferred for each in arguments if type(each) is _CancellationStatus]
    return promises


class DeferredSink(Node):
    """Connects a promise with a Deferred that was made of it: one of its consumers."""

    __slots__ = ("_context", "_deferred")

    def __init__(self, promise: CorePromise) -> None:
        super().__init__(promise)
        self._deferred: Any = Deferred(self._canceller)
        # For the callbacks.  In an empty context they must leave nothing behind, like all code in a
        # drain.
        context = copy_context()
        kept = context and promise._library.async_hooks
        self._context: Context | None = context if kept else None

    def _canceller(self, deferred: Deferred[Any]) -> None:
        # After this returns, Twisted errbacks with CancelledError.
        behind = promises_behind(deferred)
        drop(self.finish(), *behind)

    def _notify(self, parent: CorePromise) -> None:
        deferred, context = self._deferred, self._context
        self.finish()
        if not deferred.called:
            fire, result = deferred.callback, parent._value
            if parent._state & REJECTED:
                fire, result = deferred.errback, failure_of(parent._value, parent._aux)
            elif not parent._state & FULFILLED:
                fire, result = deferred.errback, CancellationError("the promise was cancelled")
            if context is None:
                fire(result)
            else:
                context.run(fire, result)

    def _settles(self, awaited: CorePromise) -> list[CorePromise]:
        return promises_behind(self._deferred)

    def _release(self) -> None:
        # A promise that stays pending may refer to this node for long.
        self._deferred = self._context = None


def make_deferred(promise: CorePromise) -> Deferred[Any]:
    """A new Deferred for a promise, which counts as one of its consumers."""
    outcome = outcome_of(promise)
    state = outcome._state
    if state & FULFILLED:
        return succeed(outcome._value)
    if state & REJECTED:
        mark_handled(promise)
        return fail(failure_of(outcome._value, outcome._aux))
    if state & DEAD:
        return fail(hooks.host.late_cancellation())
    sink = DeferredSink(promise)
    sink.wait_for(promise)
    deferred: Deferred[Any] = sink._deferred
    return deferred
