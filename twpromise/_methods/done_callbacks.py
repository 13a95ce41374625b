"""`add_done_callback`: watch a promise without being one of its consumers."""

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
    """The methods for callbacks that watch a promise."""

    __slots__ = ()

    def add_done_callback(
        self, callback: Callable[[Promise[T_co]], object], *, context: Context | None = None
    ) -> None:
        """Have a function called with this promise once it has settled and ended.

        Args:
            callback: Called from the queue with the promise alone.  What it returns does not
                matter; an ``async def`` function is run.  What it raises is logged.
            context: The callback runs in a copy of it; by default that of the caller of this.

        Raises:
            TypeError: *callback* is not callable, or *context* is no `contextvars.Context`.

        A promise that is cancelled, or timed out, has *ended* when what cleans up has:
        `finally_` handlers, ``finally`` blocks, releases, functions in threads; also if handlers
        and coroutines before this promise have given that up, and gone on.  The callback is
        no consumer: it does not keep the promise from being cancelled, and handles no rejection.
        For metrics, spans, trackers; to do something with the outcome, use `then` or `finally_`.

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
        """Take out a callback, each time that it was added; those that are equal by ``==``.

        Args:
            callback: What `add_done_callback` was called with.

        Returns:
            How many were taken out; 0 if their calls have been queued already.

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
        """Queue the calls, once it has ended, each as a job, so that none stops the others."""
        extra = whole_extra_of(self)
        callbacks, extra.callbacks = extra.callbacks or [], None
        cls = type(self)
        for _, call in callbacks:
            call_soon(cls, dropped.call, cls, call, self)
