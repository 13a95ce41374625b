"""Cancelling: `cancel`, and the hooks of executors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core.cancelling import cancel, leave
from .._core.contexts import prepare, run_in_context
from .._core.following import end_of
from .._core.reactions import Node, reject_from_anywhere, resolve_from_anywhere, subscribe
from .._core.resolving import is_followed, resolve
from .._core.settling import fulfill, lock, pass_on, reject, reject_raised
from .._core.states import CANCELLED, CIRCULAR, DECIDED, NODE, CorePromise, is_promise, new_pending
from .._scheduling.queue import call_soon
from .._util.arity import required_positionals
from .._util.checks import shown

__all__ = ["Cancellation", "execute"]


class _Hooks(Node):
    """What an executor wants to be called when its promise is cancelled."""

    __slots__ = ("_ahead", "_followed", "_hooks")

    def __init__(self, promise: CorePromise) -> None:
        self._state = NODE
        self._promise = promise
        self._hooks: list[Callable[[], object]] = []
        self._followed: CorePromise | None = None
        self._ahead: CorePromise | None = None

    def resolve(self, value: Any) -> None:
        """Resolve the promise; what it follows is watched, so that the hooks stay in force."""
        promise = self._promise
        if not is_followed(value):
            fulfill(promise, value)
        elif is_promise(value) and end_of(value) is promise:
            reject(promise, TypeError(CIRCULAR))
        else:
            lock(promise, self)
            # Known before it is resolved: that may lead back to the promise, or cancel it.
            followed = self._followed = self._ahead = new_pending(type(promise), owner=promise)
            resolve(followed, value)
            subscribe(followed, self)

    def _notify(self, parent: CorePromise) -> None:
        self._state = NODE | CANCELLED
        promise, self._promise = self._promise, None
        self._followed = self._ahead = None
        pass_on(promise, parent)

    def _abandon(self, stack: list[CorePromise]) -> bool:
        promise, self._promise = self._promise, None
        self._state = NODE | CANCELLED
        self._ahead = None
        for hook in self._hooks:
            # A turn for each: what one raises is logged, and does not stop the others.
            call_soon(type(promise), run_in_context, hook)
        if self._followed is not None:
            leave(self._followed, stack)
        return False


class _Settler:
    """What an executor gets: the functions that settle its promise.

    It drops the promise when it has been used: functions that are kept do not keep the promise.
    """

    __slots__ = ("_promise",)

    def __init__(self, promise: CorePromise) -> None:
        self._promise: CorePromise | None = promise

    def resolve(self, value: Any = None) -> None:
        """Resolve the promise with a value, or with whatever is followed; first call wins."""
        promise, self._promise = self._promise, None
        if promise is not None:
            resolve_from_anywhere(promise, value)

    def reject(self, reason: Any = None) -> None:
        """Reject the promise; first call wins."""
        promise, self._promise = self._promise, None
        if promise is not None:
            reject_from_anywhere(promise, reason)

    def on_cancel(self, hook: Callable[[], object]) -> None:
        """Have *hook* called, in the next turn, when the promise is cancelled.

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


def execute(promise: CorePromise, executor: Callable[..., object]) -> None:
    """Call the executor of a promise that has just been made; what it raises rejects."""
    settler = _Settler(promise)
    try:
        if (required_positionals(executor) or 2) < 3:
            executor(settler.resolve, settler.reject)
        else:
            enabled = promise._library.cancellation
            executor(settler.resolve, settler.reject, settler.on_cancel if enabled else None)
    except BaseException as error:
        settler._promise = None
        if not promise._state & DECIDED:
            reject_raised(promise, error)


class Cancellation(CorePromise):
    """The method that cancels."""

    __slots__ = ()

    def cancel(self) -> None:
        """Do not care for the outcome any more; does nothing once there is one.

        No handler of this promise is called, save those of `finally_` and `reflect`.  What it
        waits for is cancelled too, if nobody else waits for it, all the way up to executors
        (whose hooks run in the next turn), Deferreds, timers and futures.

        Bluebird: ``.cancel``; Twisted: ``Deferred.cancel``.
        """
        cancel(self)
