"""Executors: the functions that `Promise(executor)` calls, and what they are called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import dropped
from .._core.cancelling import leave
from .._core.contexts import prepare
from .._core.following import end_of
from .._core.jobs import call_soon
from .._core.reactions import Node
from .._core.resolving import is_followed, resolve
from .._core.settling import lock, reject_raised
from .._core.states import CIRCULAR, DECIDED, CorePromise, is_promise, new_pending
from .._util.arity import declared, required_positionals
from .._util.checks import shown
from .resolvers import reject_from_anywhere, resolve_from_anywhere

__all__ = ["execute"]


class _Hooks(Node):
    """The functions that an executor wants to be called when its promise is cancelled."""

    __slots__ = ("_ahead", "_hooks")

    def __init__(self, promise: CorePromise) -> None:
        super().__init__(promise)
        self._hooks: list[Callable[[], object]] = []
        self._ahead: CorePromise | None = None

    def resolve(self, value: Any) -> None:
        """Resolve the promise; what it follows is watched, so that the hooks stay in force."""
        promise = self._promise
        if not is_followed(value):
            resolve(promise, value)
        elif is_promise(value) and end_of(value) is promise:
            reject_raised(promise, TypeError(CIRCULAR))
        else:
            lock(promise, self)
            # Known before it is resolved: that may lead back to the promise, or cancel it.
            followed = self._source = self._ahead = new_pending(type(promise), owner=promise)
            resolve(followed, value)
            self.wait_for(followed)

    def _release(self) -> None:
        self._ahead = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        followed = self._source
        promise = self.finish()
        for hook in self._hooks:
            # A job for each: what one raises is logged, and does not stop the others.
            call_soon(type(promise), dropped.call, type(promise), hook)
        if followed is not None:
            leave(followed, stack)
        return False


class _Settler:
    """The functions that an executor is called with, which settle its promise.

    It drops the promise when it has been used: functions that are kept do not keep the promise.
    """

    __slots__ = ("_promise",)

    def __init__(self, promise: CorePromise) -> None:
        self._promise: CorePromise | None = promise

    def resolve(self, value: Any = None) -> None:
        """Resolve the promise with a value, or something to follow; the first call counts."""
        promise, self._promise = self._promise, None
        if promise is not None:
            resolve_from_anywhere(promise, value)

    def reject(self, reason: Any = None) -> None:
        """Reject the promise; the first call counts."""
        promise, self._promise = self._promise, None
        if promise is not None:
            reject_from_anywhere(promise, reason)

    def on_cancel(self, hook: Callable[[], object]) -> None:
        """Have *hook* called, from the queue, when the promise is cancelled.

        An ``async def`` function is run, and not waited for.

        Raises:
            TypeError: *hook* is not callable.
        """
        if not callable(hook):
            raise TypeError(f"hook must be callable, not {shown(hook)}")
        promise = self._promise
        if promise is not None and not promise._state & DECIDED:
            if promise._source is None:
                promise._source = _Hooks(promise)
            promise._source._hooks.append(prepare(promise, hook, awaited=False))

    def failed(self, error: BaseException) -> bool:
        """An ``async def`` executor has raised something: reject, unless it is too late."""
        promise, self._promise = self._promise, None
        if promise is None or promise._state & DECIDED:
            return False
        reject_from_anywhere(promise, error)
        return True


def execute(promise: CorePromise, executor: Callable[..., object]) -> None:
    """Call the executor of a promise that has just been made; what it raises rejects.

    It gets as many of its arguments as it declares; of `resolve` and `reject`, as many as it takes.
    """
    settler = _Settler(promise)
    try:
        if (required_positionals(executor) or 2) < 3:
            settlers: Any = settler.resolve, settler.reject
            result = executor(*settlers[: declared(executor, 2, 2)])
        else:
            enabled = promise._library.cancellation
            on_cancel = settler.on_cancel if enabled else None
            result = executor(settler.resolve, settler.reject, on_cancel)
        if result is not None:
            dropped.run(type(promise), result, settler.failed)
    except BaseException as error:
        settler._promise = None
        if not promise._state & DECIDED:
            reject_raised(promise, error)
