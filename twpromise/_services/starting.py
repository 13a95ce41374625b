"""What groups and services do with a function that they are given: it is called from the queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._core import hooks
from .._core.contexts import keep_context, run_in_context
from .._core.ending import when_ended
from .._core.jobs import call_soon, check_home
from .._core.resolving import call_into
from .._core.settling import fulfill
from .._core.states import CorePromise, new_pending
from .._util.checks import not_a_function

__all__ = ["check_start", "end_of", "start"]


def check_start(library: type[CorePromise], function: object) -> None:
    """Check what is given to `start_soon`.

    Raises:
        TypeError: *function* is not callable.
        RuntimeError: This is a thread that the promises do not belong to.
    """
    check_home(library)
    if not callable(function):
        raise not_a_function("function", function)


def start(
    library: type[CorePromise],
    function: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """A promise for what a function returns that is called soon, unless that is cancelled."""
    promise: CorePromise = new_pending(library)
    if hooks.observer is not None:
        # It is waited for, whether or not the caller does.
        hooks.observer.consumed(promise)
    call_soon(library, _call, promise, keep_context(library, partial(function, *args, **kwargs)))
    return promise


def _call(promise: CorePromise, function: Callable[[], object]) -> None:
    if not promise._state:
        call_into(promise, run_in_context, (function,))
    # The traceback of what was raised refers to this frame.
    del promise, function


def end_of(promise: CorePromise) -> Any:
    """A promise that is fulfilled once another has ended, of which it is no consumer."""
    end: CorePromise = new_pending(type(promise), owner=promise)
    when_ended(promise, partial(_fulfill_pending, end))
    return end


def _fulfill_pending(promise: CorePromise) -> None:
    if not promise._state:
        fulfill(promise, None)
