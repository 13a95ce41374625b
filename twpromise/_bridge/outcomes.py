"""Outcomes on the other side of the bridge: reasons, tracebacks and Failures."""

from __future__ import annotations

from io import StringIO
from types import TracebackType
from typing import Any

from twisted.python.failure import Failure
from twisted.python.log import logerr

from .._core.settling import mark_handled, reject
from .._core.states import REJECTED, CorePromise
from .._util.errors import CancellationError, RejectionError, as_exception, of_awaited
from .._util.exceptions import get_traceback, set_traceback

__all__ = [
    "adopt_failure",
    "exception_for_future",
    "exception_of",
    "failure_of",
    "raised_by",
    "traceback_of",
]


class NotedFailure(Failure):
    """A Failure that prints the notes of its exception, as Python does, but Twisted does not.

    The places of a long stack trace are in such a note.
    """

    def printTraceback(
        self, file: Any = None, elideFrameworkCode: bool = False, detail: str = "default"
    ) -> None:
        """Print the traceback, then the notes."""
        text = StringIO()
        base: Any = super()
        base.printTraceback(text, elideFrameworkCode, detail)
        for note in getattr(self.value, "__notes__", ()):
            text.write(f"{note}\n")
        if file is None:
            file = logerr
        file.write(text.getvalue())


def failure_of(reason: object, aux: Any) -> Failure:
    """A Failure for a reason, with the traceback that it was rejected with.

    If the reason came in a Failure, that goes out again.
    """
    noted = _has_notes(reason)
    if isinstance(aux, Failure):
        if noted and type(aux) is Failure:
            # The same Failure goes out, but prints more.
            aux.__class__ = NotedFailure
        return aux
    kind: Any = NotedFailure if noted else Failure
    error = as_exception(reason)
    if isinstance(aux, TracebackType):
        raised: Failure = kind(error, type(error), aux)
        return raised
    # It was never raised on its way to the promise.  What another consumer raised it with must
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


def _has_notes(reason: object) -> bool:
    try:
        return bool(getattr(reason, "__notes__", None))
    except Exception:
        # Its `__getattr__` raises.
        return False


def traceback_of(aux: Any) -> TracebackType | None:
    """The traceback that a reason was rejected with."""
    if isinstance(aux, Failure):
        # Not `getTracebackObject()`: one that was cleaned or pickled gives an imitation, with
        # which nothing can be raised.
        aux = aux.tb
    return aux if isinstance(aux, TracebackType) else None


def raised_by(promise: CorePromise) -> tuple[BaseException, TracebackType | None]:
    """What to raise in a consumer of a promise that was rejected or cancelled.

    Returns:
        The exception, and the traceback to raise it with: the one that the promise was rejected
        with, so that it does not grow with each consumer.
    """
    if promise._state & REJECTED:
        mark_handled(promise)
        return as_exception(promise._value), traceback_of(promise._aux)
    return of_awaited(CancellationError("the promise was cancelled")), None


def exception_of(promise: CorePromise) -> BaseException:
    """The exception to throw into a generator that waits for a promise that was not fulfilled."""
    error, traceback = raised_by(promise)
    set_traceback(error, traceback)
    return error


def exception_for_future(promise: CorePromise) -> BaseException:
    """The same for a future, of either kind, that is made of such a promise."""
    error = exception_of(promise)
    # asyncio does not take it: it would end the generator that waits for the future.
    return RejectionError.wrap(error) if issubclass(type(error), StopIteration) else error


def adopt_failure(promise: CorePromise, failure: Failure) -> None:
    """Reject with what a Failure holds: returning one means failing, as it does to Twisted."""
    reject(promise, failure.value, failure)
