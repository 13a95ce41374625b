"""`add_done_callback`: observe a promise without being one of its consumers."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._core import dropped
from .._core.contexts import Callback, keep_context
from .._core.ending import when_ended
from .._core.extra import Extra, whole_extra_of
from .._core.jobs import call_soon, check_home
from .._core.states import CorePromise
from .._util.checks import not_a_function, shown

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["DoneCallbacks"]

T_co = TypeVar("T_co", covariant=True)


class DoneCallbacks(CorePromise, Generic[T_co]):
    """The methods for callbacks that observe a promise."""

    __slots__ = ()

    def add_done_callback(
        self, callback: Callable[[Promise[T_co]], object], *, context: Context | None = None
    ) -> None:
        """Call a function with this promise once it has settled and ended.

        Use it for metrics, spans and trackers.  To work with the outcome, use `then` or `finally_`.

        Args:
            callback: Called from the queue with the promise.  Its result is ignored; an
                ``async def`` function is run.  What it raises is logged.
            context: The `contextvars.Context` whose copy the callback runs in; by default the
                current one.

        Raises:
            TypeError: *callback* is not callable, or *context* is not a `contextvars.Context`.

        A promise that was cancelled or timed out has *ended* when all its clean-up has: `finally_`
        handlers, ``finally`` blocks, releases, functions in threads, also those of earlier steps
        that were abandoned on the way.  The callback is not a consumer: it does not keep the
        promise from being cancelled, and does not handle a rejection.

        asyncio: ``Future.add_done_callback``; Twisted: ``Deferred.addBoth``, as a consumer.
        """
        if not callable(callback):
            raise not_a_function("callback", callback)
        if context is not None and not isinstance(context, Context):
            raise TypeError(f"context must be a contextvars.Context, not {shown(context)}")
        cls = type(self)
        check_home(cls)
        extra = whole_extra_of(self)
        if extra.callbacks is None:
            # One observer for all of them.
            extra.callbacks = []
            when_ended(self, self._call_all)
        call = keep_context(cls, callback) if context is None else Callback(callback, None, context)
        extra.callbacks.append((callback, call))

    addDoneCallback = add_done_callback

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Remove a callback, as often as it was added.

        Args:
            callback: The argument of `add_done_callback`; compared by ``==``.

        Returns:
            How many were removed; 0 if their calls are queued already.

        asyncio: ``Future.remove_done_callback``.
        """
        check_home(type(self))
        extra = self._extra
        callbacks = extra.callbacks if type(extra) is Extra else None
        if callbacks is None:
            return 0
        count = len(callbacks)
        callbacks[:] = [entry for entry in callbacks if entry[0] != callback]
        return count - len(callbacks)

    removeDoneCallback = remove_done_callback

    def _call_all(self) -> None:
        """Queue each call as a job of its own, so that an error in one does not stop the others."""
        extra = whole_extra_of(self)
        callbacks, extra.callbacks = extra.callbacks or [], None
        cls = type(self)
        for _, call in callbacks:
            call_soon(cls, dropped.call, cls, call, self)
