"""Callbacks of the form ``callback(error, *values)``."""

from __future__ import annotations

from _thread import get_ident
from typing import Any, cast

from .._core import hooks
from .._core.reactions import reject_from_anywhere, resolve_from_anywhere
from .._core.resolving import adopters
from .._core.settling import fulfill_by_callback
from .._core.states import CorePromise
from .._core.subscribers import notify_from_queue
from .._util.checks import type_name
from .._util.errors import OperationalError
from .._util.exceptions import is_exception

__all__ = ["MultiCallback", "NodeCallback", "is_error", "node_callback", "operational"]


def operational(error: object) -> BaseException:
    """The reason for an error that a callback was given: it was expected, so to say.

    An exception with a class of its own stays itself, and is marked as operational; anything
    else arrives inside an `OperationalError`.  A Failure is taken for what is in it.
    """
    if issubclass(type(error), hooks.host.failure):
        inside, _ = hooks.host.unwrap(error)
        reason = operational(inside)
        return cast("BaseException", error) if reason is inside else reason
    kind = type(error)
    if is_exception(error) and kind is not Exception and kind is not BaseException:
        try:
            error.is_operational = True  # type: ignore[attr-defined]
        except Exception:
            # It cannot be marked: then it is handled by `catch` only.
            pass
        return error
    try:
        message = str(error)[:200]
    except Exception:
        message = f"a {type_name(error)} without a text"
    return OperationalError(message, error)


def is_error(error: object) -> bool:
    """Whether that is an error, as the first argument of a callback."""
    if error is None or is_exception(error):
        return error is not None
    try:
        return bool(error)
    except Exception:
        # What cannot say that it is none is one.
        return True


class NodeCallback:
    """A callback that settles a promise; callable from any thread, the first call counts.

    It lets go of the promise then: whoever keeps the callback does not keep the promise.  Like
    a promise, it is made without ``__init__``: see `node_callback`.
    """

    __slots__ = ("_promise",)

    _promise: CorePromise | None

    def __call__(self, error: Any = None, value: Any = None, *more: Any) -> None:
        """Reject with *error* unless it is None (or otherwise false), else fulfil."""
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
            or get_ident() != promise._queue.thread
        ):
            notify_from_queue(promise)
            resolve_from_anywhere(promise, value)
        else:
            fulfill_by_callback(promise, value)


class MultiCallback(NodeCallback):
    """The same for callbacks with several values: the promise is fulfilled with their list."""

    __slots__ = ()

    def __call__(self, error: Any = None, *values: Any) -> None:
        """Reject with *error* unless it is None (or otherwise false), else fulfil."""
        super().__call__(error, list(values))


def node_callback(promise: CorePromise, multi_args: bool = False) -> NodeCallback:
    """A callback that settles a promise that is pending, and nobody else's."""
    callback = MultiCallback() if multi_args else NodeCallback()
    callback._promise = promise
    return callback
