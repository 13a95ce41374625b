"""Callbacks of the form ``callback(error, *values)``."""

from __future__ import annotations

from _thread import get_ident
from typing import Any, cast

from . import _core
from ._checks import type_name
from ._core import COUNTER, FULFILLED, KINDS, CorePromise, is_exception
from ._errors import OperationalError

__all__ = ["MultiCallback", "NodeCallback", "is_error", "node_callback", "operational"]

_UNKNOWN = object()


def operational(error: object) -> BaseException:
    """The reason for an error that a callback was given: it was expected, so to say.

    An exception with a class of its own stays itself, and is marked as operational; anything
    else arrives inside an `OperationalError`.  A Failure is taken for what is in it.
    """
    if issubclass(type(error), _core.wrapper):
        inside, _ = _core.unwrap(error)
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
            promise._reject_from_anywhere(operational(error))
            return
        try:
            kind: Any = KINDS[type(value)]
        except Exception:
            kind = _UNKNOWN
        if kind is None and not promise._state:
            queue = promise._queue
            if get_ident() != queue.thread or _core._observer is not None:
                promise._resolve_from_anywhere(value)
                return
            # What that comes to, for most: `fulfill`, of a promise that comes from nowhere else.
            promise._value = value
            promise._aux = None
            promise._state = FULFILLED
            waiters = promise._waiters
            if waiters is None:
                return
            if waiters._state == COUNTER:
                promise._waiters = None
                waiters._one_more()
            else:
                queue.append(promise)
                if not queue.awake:
                    queue.wake()
        else:
            promise._resolve_from_anywhere(value)


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
