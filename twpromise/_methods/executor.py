"""Executors: the functions that `Promise(executor)` calls, and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ReferenceType

from .._core import dropped
from .._core.contexts import prepare
from .._core.extra import add_hook
from .._core.following import decided_by, rejoin
from .._core.settling import reject_raised
from .._core.states import BYPASSED, DEAD, DECIDED, SETTLED, CorePromise
from .._util.arity import declared, required_positionals
from .._util.checks import shown
from .resolvers import reject_from_anywhere, resolve_from_anywhere

__all__ = ["execute"]


class _Settler:
    """The functions passed to an executor, which settle its promise.

    They drop the promise after the first call: keeping the functions does not keep the promise.
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

    def failed(self, error: BaseException) -> bool:
        """Reject with what an ``async def`` executor has raised, if it is not too late."""
        promise, self._promise = self._promise, None
        if promise is None or promise._state & DECIDED:
            return False
        reject_from_anywhere(promise, error)
        return True


class _CancellableSettler(_Settler):
    """The same for an executor with a third parameter, which registers cancel hooks."""

    __slots__ = ("_resolved",)

    def __init__(self, promise: CorePromise) -> None:
        super().__init__(promise)
        # The promise, once it has been resolved with something that is pending: hooks may still
        # be registered.
        self._resolved: ReferenceType[CorePromise] | None = None

    def resolve(self, value: Any = None) -> None:
        """Resolve the promise with a value, or something to follow; the first call counts."""
        promise = self._promise
        super().resolve(value)
        if promise is not None and not promise._state & SETTLED:
            self._resolved = ReferenceType(promise)

    def on_cancel(self, hook: Callable[[], object]) -> None:
        """Call *hook*, from the queue, when the promise is cancelled.

        An ``async def`` function is run, but not waited for.

        Raises:
            TypeError: *hook* is not callable.
        """
        if not callable(hook):
            raise TypeError(f"hook must be callable, not {shown(hook)}")
        promise = self._promise
        if promise is None and self._resolved is not None:
            promise = self._resolved()
        if promise is None or (promise._state | decided_by(promise)._state) & DEAD:
            return
        if promise._state & BYPASSED:
            rejoin(promise)
        prepared = prepare(promise, hook, awaited=False)
        add_hook(promise, partial(dropped.call, type(promise), prepared))


def execute(promise: CorePromise, executor: Callable[..., object]) -> None:
    """Call the executor of a new promise; what it raises rejects the promise.

    It gets as many arguments as it declares.
    """
    settler = _Settler(promise)
    try:
        required = required_positionals(executor)
        if required == 2:
            result = executor(settler.resolve, settler.reject)
        elif required is None or required < 2:
            settlers: Any = settler.resolve, settler.reject
            result = executor(*settlers[: declared(executor, 2, 2)])
        elif promise._library.cancellation:
            settler = cancellable = _CancellableSettler(promise)
            result = executor(settler.resolve, settler.reject, cancellable.on_cancel)
        else:
            result = executor(settler.resolve, settler.reject, None)
        if result is not None:
            dropped.run(type(promise), result, settler.failed)
    except BaseException as error:
        settler._promise = None
        if not promise._state & DECIDED:
            reject_raised(promise, error)
