"""Reports of unhandled failures: to hooks, listeners, and Twisted's log."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from .._core.states import CorePromise
from .._diagnostics.events import call_hook, listeners_of
from .._diagnostics.policies import was_reported
from .._util.exceptions import get_traceback, is_exception, set_traceback
from .outcomes import report_of, traceback_of

__all__ = ["escaped", "fatal", "handled", "unhandled"]

_log = Logger(namespace="twpromise")


def unhandled(promise: CorePromise) -> None:
    """A rejection stayed unhandled to the end of the drain: ask the policy."""
    library: Any = promise._library
    library.unhandled += 1
    library.unhandled_total += 1
    library.policy.unhandled(promise, _report)


def handled(promise: CorePromise) -> None:
    """Notify of a rejection that was reported, and has been handled since."""
    library: Any = promise._library
    library.unhandled -= 1
    if was_reported(promise):
        hook = library.on_unhandled_handled
        for each in [hook] * (hook is not None) + listeners_of("rejection_handled"):
            call_hook(type(promise), each, None, promise)


def fatal(library: Any, reason: Any, aux: Any) -> None:
    """Call the fatal hook of a library copy with a failure; without a hook, log it."""

    # Nothing is raised: the caller has more to do (to release other resources, say).
    def log(_: object = None) -> bool:
        _log.failure(
            "Fatal error in Promise: a release failed, or done() got a rejection",
            report_of(reason, aux),
        )
        # What the hook has failed with is logged, too.
        return False

    if library.on_fatal is None:
        log()
        return
    if is_exception(reason):
        set_traceback(reason, traceback_of(aux))
    if not call_hook(library.promise_class, library.on_fatal, log, reason):
        log()


def escaped(error: BaseException) -> None:
    """Report an exception that escaped a job; the drain goes on."""
    if isinstance(error, Failure):
        # Twisted raises Failures themselves, too.
        failure = report_of(error.value, error)
    else:
        failure = report_of(error, get_traceback(error))
    _log.failure("Unhandled error in a job of a Promise", failure)


def _report(promise: Any) -> None:
    """Call the hook of the library copy and the listeners of all; log if none has got the reason.

    A hook that fails has not got it.
    """
    hook = promise._library.on_unhandled
    reason, aux = promise._value, promise._aux
    called = [hook] * callable(hook) + listeners_of("unhandled_rejection")
    left = len(called)

    def failed(_: object = None) -> bool:
        nonlocal left
        left -= 1
        if left < 1:
            _log.failure("Unhandled rejection in Promise", report_of(reason, aux))
        # What a hook has failed with is logged, too.
        return False

    for each in called:
        if not call_hook(type(promise), each, failed, reason, promise):
            failed()
    if not called and hook is None:
        failed()
