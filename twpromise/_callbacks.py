"""Callbacks of the form ``callback(error, *values)``."""

from __future__ import annotations

from typing import Any, cast

from ._core import UNWRAPPERS, CorePromise
from ._errors import OperationalError

__all__ = ["NodeCallback", "operational"]


def operational(error: object) -> BaseException:
    """The reason for an error that a callback was given: it was expected, so to say.

    An exception with a class of its own stays itself, and is marked as operational; anything
    else arrives inside an `OperationalError`.  A Failure is taken for what is in it.
    """
    if type(error) in UNWRAPPERS:
        inside, _ = UNWRAPPERS[type(error)](error)
        reason = operational(inside)
        return cast("BaseException", error) if reason is inside else reason
    if isinstance(error, BaseException) and type(error) not in (Exception, BaseException):
        try:
            error.is_operational = True  # type: ignore[attr-defined]
        except Exception:
            # It cannot be marked: then it is handled by `catch` only.
            pass
        return error
    try:
        message = str(error)[:200]
    except Exception:
        message = f"a {type(error).__name__} without a text"
    return OperationalError(message, error)


class NodeCallback:
    """A callback that settles a promise; callable from any thread, the first call counts.

    It lets go of the promise then: whoever keeps the callback does not keep the promise.
    """

    __slots__ = ("_multi_args", "_promise")

    def __init__(self, promise: CorePromise, multi_args: bool = False) -> None:
        self._promise: CorePromise | None = promise
        self._multi_args = multi_args

    def __call__(self, error: Any = None, *values: Any) -> None:
        """Reject with *error* unless it is None (or otherwise false), else fulfil."""
        promise, self._promise = self._promise, None
        if promise is None:
            return
        if isinstance(error, BaseException) or error:
            promise._reject_from_anywhere(operational(error))
        elif self._multi_args:
            promise._resolve_from_anywhere(list(values))
        else:
            promise._resolve_from_anywhere(values[0] if values else None)
