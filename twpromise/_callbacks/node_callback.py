"""Callbacks of the form ``callback(error, *values)``."""

from __future__ import annotations

from _thread import get_ident
from typing import Any, cast

from .._core import dropped, hooks
from .._core.jobs import call_soon
from .._core.resolving import adopters
from .._core.settling import fulfill_by_callback, reject, reject_raised
from .._core.states import DECIDED, CorePromise
from .._methods.resolvers import reject_from_anywhere, resolve_from_anywhere
from .._util.checks import type_name
from .._util.errors import OperationalError
from .._util.exceptions import is_exception

__all__ = [
    "MultiCallback",
    "NodeCallback",
    "is_error",
    "node_callback",
    "operational",
    "reject_if_failing",
    "reject_unless_called",
]


def operational(error: object) -> BaseException:
    """The reason to reject with for the error that was passed to a callback: an operational error.

    An exception with a class of its own is marked as operational; anything else is wrapped in an
    `OperationalError`, with the attributes of a bare `Exception`.  A Failure counts as the
    exception in it.
    """
    if issubclass(type(error), hooks.host.failure):
        inside, aux = hooks.host.unwrap(error)
        reason = operational(inside)
        return cast("BaseException", error) if reason is inside and aux is error else reason
    kind = type(error)
    if is_exception(error) and kind is not Exception and kind is not BaseException:
        try:
            error.is_operational = True  # type: ignore[attr-defined]
        except Exception:
            # It accepts no attributes, so `Promise.error` does not catch it.
            pass
        return error
    try:
        message = str(error)[:200]
    except Exception:
        message = f"a {type_name(error)} without a text"
    reason = OperationalError(message, error)
    if is_exception(error):
        for name, value in vars(error).items():
            if name != "__notes__" and not hasattr(reason, name):
                setattr(reason, name, value)
    return reason


def is_error(error: object) -> bool:
    """Whether the first argument of a callback is an error: it is true, in a condition."""
    if error is None or is_exception(error):
        return error is not None
    try:
        return bool(error)
    except Exception:
        # Its truth value cannot be found out.
        return True


class NodeCallback:
    """A callback that settles a promise; may be called from any thread, the first call counts.

    It drops the promise then: keeping the callback does not keep the promise.  Like a promise, it
    is made without ``__init__``: see `node_callback`.
    """

    __slots__ = ("_promise",)

    _promise: CorePromise | None

    def __call__(self, error: Any = None, value: Any = None, *more: Any) -> None:
        """Fulfil the promise with *value*; or reject it, if *error* is true."""
        promise = self._promise
        if promise is None:
            return
        self._promise = None
        if error is not None and is_error(error):
            reject_from_anywhere(promise, operational(error))
            return
        if (
            promise._state
            or adopters[type(value)] is not None
            or get_ident() != promise._queue.drained_in
        ):
            resolve_from_anywhere(promise, value)
        else:
            fulfill_by_callback(promise, value)


class MultiCallback(NodeCallback):
    """The same for callbacks with several values: fulfils the promise with their list."""

    __slots__ = ()

    def __call__(self, error: Any = None, *values: Any) -> None:
        """Fulfil the promise with the list of *values*; or reject it, if *error* is true."""
        super().__call__(error, list(values))


def node_callback(promise: CorePromise, multi_args: bool = False) -> NodeCallback:
    """A callback that settles a pending promise, which only this callback settles."""
    callback = MultiCallback() if multi_args else NodeCallback()
    callback._promise = promise
    return callback


def reject_unless_called(
    promise: CorePromise, callback: NodeCallback, error: BaseException
) -> None:
    """Reject a promise with an error of the function that got its callback."""
    # The traceback leads to a frame that refers to the callback.
    callback._promise = None
    if promise._state:
        # The callback was called before, and that counts; but the error must not be lost.
        call_soon(type(promise), hooks.host.escaped, error)
    else:
        reject_raised(promise, error)


def reject_if_failing(promise: CorePromise, callback: NodeCallback, result: Any) -> None:
    """Run the coroutine of an ``async def`` function that got the callback of a promise."""

    def failed(error: BaseException) -> bool:
        uncalled, callback._promise = callback._promise, None
        if uncalled is None or promise._state & DECIDED:
            return False
        reject(promise, error)
        return True

    dropped.run(type(promise), result, failed)
