"""Work of a service: calling a function, and noticing the end of the work that it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import hooks
from .._core.cancelling import discard
from .._core.ending import has_ended, when_ended
from .._core.jobs import check_library
from .._core.resolving import reject_or_report, resolve
from .._core.states import DEAD, SETTLED, CorePromise, is_promise

__all__ = ["begin", "call", "check_library"]


def begin(promise: CorePromise, function: Callable[[], Any], ended: Callable[[], object]) -> None:
    """Like `call`; and call *ended* once the work has ended: at once, or from the queue."""
    work = call(promise, function)
    # The traceback of what it raised leads to this frame.
    del promise, function
    if work is None or (work._state & SETTLED and has_ended(work)):
        ended()
    else:
        when_ended(work, ended)


def call(promise: CorePromise, function: Callable[[], Any]) -> CorePromise | None:
    """Call a function at once, and resolve a pending promise with its result.

    Args:
        promise: The function may cancel it; then the result is cancelled.
        function: The caller chooses its context.

    Returns:
        The promise that the function has returned, if it has, or else *promise*: it ends when the
        work does.  None if the function has raised.
    """
    if hooks.observer is not None:
        function = hooks.observer.watched(promise, function, True)
    try:
        result = function()
    except BaseException as error:
        reject_or_report(promise, error)
        # The traceback of the error leads to this frame.
        del promise, function
        return None
    if promise._state & DEAD:
        discard(promise, result)
    else:
        resolve(promise, result)
    return result if is_promise(result) else promise
