"""Work of a service: calling a function, and knowing when what it has begun has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import hooks
from .._core.cancelling import discard
from .._core.ending import has_ended, when_ended
from .._core.resolving import is_followed, new_resolved, reject_or_report, resolve
from .._core.settling import fulfill
from .._core.states import DEAD, SETTLED, CorePromise, is_promise
from .._util.checks import shown

__all__ = ["begin", "check_library"]


def begin(promise: CorePromise, call: Callable[[], Any], ended: Callable[[], object]) -> None:
    """Make a call at once, and resolve a pending promise with what it returns.

    Args:
        promise: May be cancelled by the call itself; then what the call returns is cancelled.
        call: The call; the caller of `begin` chooses the context.
        ended: Called once the work has ended: at once if it has, or else from the queue.  Work that
            cannot be stopped ends later than a promise that is cancelled.
    """
    if hooks.observer is not None:
        call = hooks.observer.watched(promise, call, True)
    try:
        result = call()
    except BaseException as error:
        reject_or_report(promise, error)
        # The traceback of the error leads to this frame.
        del promise, call
        ended()
        return
    if not is_followed(result):
        if not promise._state & DEAD:
            fulfill(promise, result)
        ended()
        return
    # The promise that the function gave, not one that follows it: it knows what it has given up.
    work = result if is_promise(result) else new_resolved(type(promise), result, promise)
    if promise._state & DEAD:
        discard(promise, work)
    else:
        resolve(promise, work)
    if work._state & SETTLED and has_ended(work):
        ended()
    else:
        when_ended(work, ended)


def check_library(library: Any) -> Any:
    """*library*, checked to be `Promise`, or a library copy.

    Raises:
        TypeError: It is something else.
    """
    if not (isinstance(library, type) and issubclass(library, CorePromise)):
        raise TypeError(f"library must be a library copy, such as Promise, not {shown(library)}")
    return library
