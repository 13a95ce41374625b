"""The errors of this library: one family, the same objects in every library copy."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Iterator, Sequence
from typing import Any, Self, overload

from twisted.internet import defer

from .checks import printable
from .exceptions import is_exception

__all__ = [
    "AggregateError",
    "CancellationError",
    "LimitExceeded",
    "OperationalError",
    "PromiseError",
    "PromiseWarning",
    "RejectionError",
    "TimeoutError",
]


class PromiseWarning(UserWarning):
    """The category of all warnings of this library; see `Promise.config`."""


class PromiseError(Exception):
    """The base class of the errors of this library."""

    @property
    def message(self) -> str:
        """The message that the error was made with."""
        return str(self.args[0]) if self.args else ""


class TimeoutError(PromiseError, builtins.TimeoutError, defer.TimeoutError):
    """An operation took longer than its limit.

    It is also the builtin `TimeoutError` and `twisted.internet.defer.TimeoutError`.  When a promise
    adopts a Deferred, or a promise's coroutine awaits one, the error of `Deferred.addTimeout` is
    replaced by this one, with the original as its `__cause__`.

    Bluebird: ``Promise.TimeoutError``.
    """


class CancellationError(PromiseError, defer.CancelledError):
    """An operation was cancelled; also `twisted.internet.defer.CancelledError`.

    Bluebird: ``Promise.CancellationError``.
    """

    #: Raised in a coroutine that waits for a cancelled promise: a coroutine that does not catch it
    #: counts as cancelled.
    _of_awaited = False


class _CausedError(PromiseError):
    """An error in place of another object.

    Args:
        message: The text of the error; by default the text of the cause.
        cause: The object.
    """

    __cause__: BaseException | None

    def __init__(self, message: object = "", cause: Any = None) -> None:
        super().__init__(message)
        #: The wrapped object; also `__cause__`, if it is an exception.
        self.cause = cause
        if is_exception(cause):
            self.__cause__ = cause

    def __reduce__(self) -> tuple[Any, ...]:
        """As for any exception, with `__cause__`, so that copies and pickles have it too."""
        state = dict(vars(self))
        if self.__cause__ is not None:
            state["__cause__"] = self.__cause__
        return type(self), self.args, state


class OperationalError(_CausedError):
    """An expected error that was passed to a callback, unlike one raised by a mistake in the code.

    Wraps an error of a promisified function that has no class of its own.  The original is in
    `cause`, and its attributes are copied.

    Bluebird: ``Promise.OperationalError``.
    """

    #: `Promise.error` looks for this attribute.
    is_operational = True


class LimitExceeded(PromiseError):
    """Too many calls are waiting for a `Limiter`."""


class RejectionError(_CausedError):
    """Wraps a rejection reason that is not an exception, where Python needs an exception.

    The reason itself is in `cause`.
    """

    @classmethod
    def wrap(cls, reason: object) -> RejectionError:
        """Wrap *reason*."""
        from_reason = cls("rejected with something that is not an exception", reason)
        try:
            from_reason.args = (printable(f"rejected with {reason!r}"[:200]),)
        except Exception:
            # Its repr fails: the message stays without it.
            pass
        return from_reason


#: The errors raised in a cancelled coroutine: by Twisted, by asyncio, in a generator.
CANCELLATIONS = (defer.CancelledError, asyncio.CancelledError, GeneratorExit)


def of_awaited(error: Any) -> BaseException:
    """A `CancellationError` to raise where a coroutine waits for a cancelled promise."""
    error._of_awaited = True
    cancellation: BaseException = error
    return cancellation


def passes_cancellation(error: BaseException) -> bool:
    """Whether a coroutine ends with the cancellation of what it waited for."""
    return type(error) is CancellationError and error._of_awaited


def as_exception(reason: object) -> BaseException:
    """*reason* as an exception: itself, or wrapped in a `RejectionError`."""
    return reason if is_exception(reason) else RejectionError.wrap(reason)


class AggregateError(PromiseError, ExceptionGroup[Exception], Sequence[Any]):
    """The reasons why none, or not enough, of several promises was fulfilled.

    It is an `ExceptionGroup`, so that ``except*`` works, and a sequence of the reasons.

    Args:
        message: The first line of the text.
        errors: The reasons, at least one.

    Raises:
        ValueError: There are no reasons.

    Bluebird: ``Promise.AggregateError``.
    """

    #: Aggregate errors are caught by `Promise.error`.
    is_operational = True
    _reasons: tuple[Any, ...]

    def __new__(cls, message: str, errors: Sequence[Any]) -> Self:
        """Build the group; a reason that is not an `Exception` is wrapped in a `RejectionError`."""
        reasons = tuple(errors)
        group = super().__new__(
            cls,
            message,
            [
                reason if issubclass(type(reason), Exception) else RejectionError.wrap(reason)
                for reason in reasons
            ],
        )
        group._reasons = reasons
        return group

    def __init__(self, message: str, errors: Sequence[Any]) -> None:
        super().__init__(message, tuple(errors))

    @property
    def errors(self) -> tuple[Any, ...]:
        """The reasons themselves."""
        return self._reasons

    def derive(self, excs: Sequence[Any], /) -> AggregateError:  # type: ignore[override]
        """A group of the same kind with other reasons (``except*`` needs it)."""
        group = AggregateError(self.message, excs)
        # Python compares the exceptions by identity, so they are not wrapped again; the reasons
        # are looked up.
        reasons = dict(zip(map(id, self.exceptions), self._reasons, strict=True))
        group._reasons = tuple(reasons.get(id(error), error) for error in excs)
        return group

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """The reason at *index*."""
        return self._reasons[index]

    def __len__(self) -> int:
        """How many reasons there are."""
        return len(self._reasons)

    def __iter__(self) -> Iterator[Any]:
        """The reasons."""
        return iter(self._reasons)


for _name in __all__:
    # Tracebacks, warnings and pickles have the name that users import.
    globals()[_name].__module__ = "twpromise"
