"""Reports of what was not handled: to hooks, listeners, and Twisted's log."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from .._core.states import CorePromise
from .._diagnostics.events import emit
from .._diagnostics.policies import was_reported
from .._util.exceptions import get_traceback, is_exception, set_traceback
from .outcomes import report_of, traceback_of

__all__ = ["escaped", "fatal", "handled", "unhandled"]

_log = Logger(namespace="twpromise")


def unhandled(promise: CorePromise) -> None:
    """A rejection stayed unhandled to the end of the drain: the policy says what happens."""
    library: Any = promise._library
    library.unhandled += 1
    library.policy.unhandled(promise, _report)


def handled(promise: CorePromise) -> None:
    """Notify of a rejection that was reported, and has been handled after all."""
    library: Any = promise._library
    library.unhandled -= 1
    if was_reported(promise):
        hook = library.on_unhandled_handled
        if hook is not None:
            _guarded(hook, promise)
        emit("rejection_handled", promise)


def fatal(library: Any, reason: Any, aux: Any) -> None:
    """Hand a failure to the fatal hook of its library copy; without one, log it."""
    try:
        if library.on_fatal is None:
            _log.failure(
                "Fatal error in Promise: a release failed, or done() got a rejection",
                report_of(reason, aux),
            )
        else:
            if is_exception(reason):
                set_traceback(reason, traceback_of(aux))
            library.on_fatal(reason)
    except BaseException as error:
        # Not raised: the caller has more to do (to release other resources, say).
        escaped(error)


def escaped(error: BaseException) -> None:
    """Report an exception that escaped a job; the drain goes on."""
    if isinstance(error, Failure):
        # Twisted raises Failures themselves, too.
        failure = report_of(error.value, error)
    else:
        failure = report_of(error, get_traceback(error))
    _log.failure("Unhandled error in a job of a Promise", failure)


def _report(promise: Any) -> None:
    """Call the hook of the library copy and the listeners of all; without any, log it."""
    hook = promise._library.on_unhandled
    if callable(hook):
        _guarded(hook, promise._value, promise)
    if not emit("unhandled_rejection", promise._value, promise) and hook is None:
        failure = report_of(promise._value, promise._aux)
        _log.failure("Unhandled rejection in Promise", failure)


def _guarded(hook: Any, *arguments: Any) -> None:
    try:
        # What it sets, nobody else sees.
        copy_context().run(hook, *arguments)
    except BaseException as error:
        escaped(error)
