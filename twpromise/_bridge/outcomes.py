"""Outcomes across the bridge: reasons, tracebacks and Failures."""

from __future__ import annotations

from io import StringIO
from types import TracebackType
from typing import Any, cast

from twisted.python.failure import Failure
from twisted.python.log import logerr

from .._core.settling import mark_handled, reject
from .._core.states import CANCELLED, FULFILLED, LATE_OBSERVER, REJECTED, CorePromise
from .._util.errors import CancellationError, RejectionError, as_exception
from .._util.exceptions import get_traceback, set_traceback

__all__ = ["adopt_failure", "carried", "exception_of", "failure_of", "outcome", "traceback_of"]


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

    The Failure in which the reason came goes out again.
    """
    try:
        return _failure_of(reason, aux)
    except BaseException:
        # An exception that does not let itself be looked at.
        return Failure(RejectionError.wrap(reason))


def carried(value: object) -> object:
    """*value*, if a Deferred can carry it; a Failure if Twisted cannot even ask what it is."""
    try:
        isinstance(value, Failure)
    except BaseException as error:
        return failure_of(error, get_traceback(error))
    return value


def _failure_of(reason: object, aux: Any) -> Failure:
    noted = getattr(reason, "__notes__", None)
    if isinstance(aux, Failure):
        if noted and type(aux) is Failure:
            # The same Failure goes out, but tells more.
            aux.__class__ = NotedFailure
        return aux
    kind: Any = NotedFailure if noted else Failure
    error = as_exception(reason)
    if isinstance(aux, TracebackType):
        raised: Failure = kind(error, type(error), aux)
        return raised
    # It was never raised on its way to the promise.  What another consumer raised it with is
    # not to be seen in this Failure.
    traceback = get_traceback(error)
    set_traceback(error, None)
    failure: Failure = kind(error)
    set_traceback(error, traceback)
    return failure


def traceback_of(aux: Any) -> TracebackType | None:
    """The traceback that a reason was rejected with."""
    if isinstance(aux, Failure):
        # Not `getTracebackObject()`: one that was cleaned or pickled gives an imitation, with
        # which nothing can be raised.
        aux = aux.tb
    return aux if isinstance(aux, TracebackType) else None


def raised_by(promise: CorePromise) -> tuple[BaseException, TracebackType | None]:
    """What to raise for a promise that is rejected, and the traceback to raise it with."""
    return as_exception(promise._value), traceback_of(promise._aux)


def outcome(promise: CorePromise) -> tuple[bool, Any, TracebackType | None]:
    """What a consumer of a settled (or cancelling) promise gets.

    Returns:
        True and the value; or False, the exception to raise, and the traceback to raise it
        with: the one that it was rejected with, so that it does not grow with each consumer.
    """
    state = promise._state
    if state & FULFILLED:
        return True, promise._value, None
    if state & REJECTED:
        mark_handled(promise)
        return False, *raised_by(promise)
    if state & CANCELLED:
        return False, CancellationError("the promise was cancelled"), None
    return False, CancellationError(LATE_OBSERVER), None


def exception_of(promise: CorePromise) -> BaseException:
    """The exception to throw into whoever waits for a promise that was not fulfilled."""
    _, error, traceback = outcome(promise)
    set_traceback(error, traceback)
    return cast("BaseException", error)


def adopt_failure(promise: CorePromise, failure: Failure) -> None:
    """Reject with what a Failure holds: returning one means failing, as it does to Twisted."""
    reject(promise, failure.value, failure)
