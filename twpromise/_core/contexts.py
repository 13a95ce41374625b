"""Context variables: each callback runs in its context, and others do not see what it sets.

Handlers without a context of their own share one scratch context per drain, which is replaced as
soon as a handler has set something in it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from . import hooks
from .extra import Binding, binding_of
from .resolving import is_followed, resolve
from .states import CorePromise, is_promise

# The context in which the running drain calls handlers that have none of their own.
scratch: Context | None = None

# Whether a coroutine that runs is most likely driven by this library: in a drain, and where one is
# started.  A coroutine of Twisted's, or a loop of asyncio's, may run there, too: `await_promise`
# copes with both.
driving = False


def run_in_context(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a handler from within a job so that no other one sees what it sets in its context."""
    try:
        if not scratch:
            return function(*arguments)
        # An earlier call of the same job has set something.
        context = Context()
        return _held(context, context.run(function, *arguments))
    finally:
        # The traceback of what the handler raises refers to this frame.
        del arguments


class Held:
    """The result of a handler, to be followed in the context that the handler ran in.

    A coroutine is not started before it is followed, but is part of the handler.
    """

    __slots__ = ("_context", "_result")

    def __init__(self, context: Context, result: Any) -> None:
        self._context = context
        self._result = result

    def close(self) -> None:
        """Close the result, a coroutine, instead of following it."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()


def adopt_held(promise: CorePromise, held: Held) -> None:
    """Make a pending promise follow the result of a handler."""
    held._context.run(resolve, promise, held._result)


def _held(context: Context, result: Any) -> Any:
    if type(result) is Held or is_promise(result) or not is_followed(result):
        return result
    return Held(context, result)


class Callback:
    """A function for a node to call like a handler: with the bound value, in its context."""

    __slots__ = ("_binding", "_context", "_function")

    def __init__(
        self, function: Callable[..., Any], binding: Binding | None, context: Context | None
    ) -> None:
        self._function = function
        self._binding = binding
        self._context = context

    def __call__(self, *arguments: Any) -> Any:
        """Call the function with the bound value first, in a copy of its context."""
        if self._binding is not None:
            arguments = (self._binding.value, *arguments)
        try:
            if self._context is None:
                return run_in_context(self._function, *arguments)
            context = self._context.copy()
            return _held(context, context.run(self._function, *arguments))
        finally:
            # As above.
            del arguments


def kept_by(function: Callable[..., Any]) -> Context | None:
    """The context that `keep_context` has kept for a function."""
    return function._context if isinstance(function, Callback) else None


def context_here(promise: CorePromise) -> Context:
    """The context of the caller, for what is called later, and once, on behalf of *promise*."""
    return copy_context() if promise._library.async_hooks else Context()


def keep_context(
    cls: type[CorePromise], function: Callable[..., Any], binding: Binding | None = None
) -> Callable[..., Any]:
    """*function* as a callback attached here and now, called with the bound value first."""
    context = copy_context()
    kept = context if context and cls._library.async_hooks else None
    return function if kept is None and binding is None else Callback(function, binding, kept)


def prepare(
    promise: CorePromise, function: Callable[..., Any], *, awaited: bool = True
) -> Callable[..., Any]:
    """*function* as a callback of *promise*, attached here and now, for a node to call.

    The node calls the returned function through `run_in_context`.

    Args:
        promise: Gives the callback its binding.
        function: The function to call.
        awaited: Whether the node waits for the result.
    """
    if hooks.observer is not None:
        function = hooks.observer.watched(promise, function, awaited)
    return keep_context(type(promise), function, binding_of(promise))
