"""Outcomes on the other side of the bridge: reasons, tracebacks and Failures."""

from __future__ import annotations

from io import StringIO
from types import TracebackType
from typing import Any

from twisted.internet import defer
from twisted.internet.error import ConnectingCancelledError
from twisted.python.failure import Failure
from twisted.python.log import logerr
from twisted.python.reflect import safe_str

from .._core import hooks
from .._core.settling import mark_handled, reject
from .._core.states import REJECTED, CorePromise
from .._util.checks import printable
from .._util.errors import (
    CANCELLATIONS,
    CancellationError,
    RejectionError,
    TimeoutError,
    as_exception,
    of_awaited,
)
from .._util.exceptions import get_traceback, set_traceback

__all__ = [
    "adopt_failure",
    "exception_for_future",
    "exception_in",
    "exception_of",
    "failure_of",
    "notes_of",
    "raised_by",
    "report_of",
    "says_cancelled",
    "traceback_of",
    "unwrap",
]


class NotedFailure(Failure):
    """A Failure that prints the notes of its exception, as Python does but Twisted does not.

    The places of a long stack trace are in such a note.  The text of the exception, which may come
    from a client, stays on one line, so that it cannot fake other lines of the log.
    """

    def printTraceback(
        self, file: Any = None, elideFrameworkCode: bool = False, detail: str = "default"
    ) -> None:
        """Print the traceback, then the notes."""
        printed = StringIO()
        base: Any = super()
        base.printTraceback(printed, elideFrameworkCode, detail)
        text = safe_str(self.value)
        parts = printed.getvalue().rsplit(f": {text}\n", 1)
        lines = [f": {printable(text)}\n".join(parts)]
        for note in notes_of(self.value):
            lines += [f"{printable(line)}\n" for line in note.splitlines()]
        if file is None:
            file = logerr
        file.write("".join(lines))


def failure_of(reason: object, aux: Any) -> Failure:
    """A Failure for a reason, with the traceback of its rejection.

    If the reason came in a Failure, that one is returned.
    """
    noted = bool(notes_of(reason))
    if isinstance(aux, Failure):
        if noted and type(aux) is Failure:
            # The same Failure is returned, but prints more.
            aux.__class__ = NotedFailure
        return aux
    kind: Any = NotedFailure if noted else Failure
    error = as_exception(reason)
    if isinstance(aux, TracebackType):
        raised: Failure = kind(error, type(error), aux)
        return raised
    # The error was never raised on its way to the promise.  The traceback of another consumer must
    # not show in this Failure.
    traceback = get_traceback(error)
    set_traceback(error, None)
    try:
        failure: Failure = kind(error)
    except Exception:
        # Twisted before 24.10 asks the error for an attribute, and that raises.
        failure = Failure(RejectionError.wrap(error))
    set_traceback(error, traceback)
    return failure


def report_of(reason: object, aux: Any) -> Failure:
    """The same for Twisted's log."""
    failure = failure_of(reason, aux)
    if type(failure) is Failure:
        failure.__class__ = NotedFailure
    return failure


def notes_of(reason: object) -> list[str]:
    """The notes that Python would print with an exception."""
    try:
        return [f"{note}" for note in getattr(reason, "__notes__", ())]
    except Exception:
        # Its `__getattr__` raises, say.
        return []


def traceback_of(aux: Any) -> TracebackType | None:
    """The traceback of a rejection."""
    if isinstance(aux, Failure):
        # Not `getTracebackObject()`: one that was cleaned or pickled gives an imitation, with
        # which nothing can be raised.
        aux = aux.tb
    return aux if isinstance(aux, TracebackType) else None


def raised_by(promise: CorePromise) -> tuple[BaseException, TracebackType | None]:
    """The exception to raise in a consumer of a promise that was rejected or cancelled.

    Returns:
        The exception, and the traceback to raise it with: that of the rejection, so that it does
        not grow with each consumer.
    """
    if promise._state & REJECTED:
        mark_handled(promise)
        if hooks.observer is not None:
            hooks.observer.shown(promise)
        return as_exception(promise._value), traceback_of(promise._aux)
    return of_awaited(CancellationError("the promise was cancelled")), None


def exception_of(promise: CorePromise) -> BaseException:
    """The exception to throw into a generator that waits for a promise that was not fulfilled."""
    error, traceback = raised_by(promise)
    set_traceback(error, traceback)
    return error


def exception_in(failure: Failure) -> BaseException:
    """The same for a Deferred that has failed."""
    reason, aux = unwrap(failure)
    error = as_exception(reason)
    set_traceback(error, traceback_of(aux))
    return error


def exception_for_future(promise: CorePromise) -> BaseException:
    """The exception for a future, of asyncio or `concurrent.futures`, made of such a promise."""
    error = exception_of(promise)
    # asyncio does not take it: it would end the generator that waits for the future.
    return RejectionError.wrap(error) if issubclass(type(error), StopIteration) else error


def adopt_failure(promise: CorePromise, failure: Failure) -> None:
    """Reject with the exception in a Failure: as in Twisted, returning a Failure means failing."""
    reject(promise, failure)


def says_cancelled(failure: Failure) -> bool:
    """Whether a failure only says that a Deferred was cancelled; some of Twisted's wrap that."""
    error: Any = failure.value
    kind = type(error)
    if issubclass(kind, defer.FirstError):
        return says_cancelled(error.subFailure)
    if kind.__module__ == "twisted.web._newclient":
        # `ResponseNeverReceived` and its like.
        return any(map(says_cancelled, getattr(error, "reasons", ())))
    return issubclass(kind, (*CANCELLATIONS, ConnectingCancelledError))


def unwrap(failure: Failure) -> tuple[object, Any]:
    """The reason in a Failure, and the `aux` to reject with; see `settling.reject`.

    Mostly the Failure itself is the `aux`, and `failure_of` returns it again.  Twisted's own
    TimeoutError becomes ours, so that ``except`` and ``catch`` need one name; classes derived from
    it stay.
    """
    error = failure.value
    if type(error) is not defer.TimeoutError:
        return error, failure
    late: Any = TimeoutError(_lateness(error))
    late.__cause__ = error
    set_traceback(late, traceback_of(failure))
    return late, traceback_of(failure)


def _lateness(error: defer.TimeoutError) -> str:
    match error.args:
        case (int() | float() as seconds, str() as what):
            # As `Deferred.addTimeout` makes it.
            return f"{what} timed out after {seconds} seconds"
        case _:
            return str(error)
