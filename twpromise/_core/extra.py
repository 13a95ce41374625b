"""The data that few promises have: a binding, a context, a trace of their making, cancel hooks."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, final

from .states import CorePromise


class Binding:
    """The value of `bind`: the first argument of every handler down the chain."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@final
class Extra:
    """A binding, a context, a trace, hooks; what keeps a report; a Deferred; done callbacks."""

    __slots__ = ("binding", "callbacks", "context", "deferred", "hooks", "keeper", "trace")

    def __init__(
        self, binding: Binding | None, context: Context | None = None, trace: Any = None
    ) -> None:
        self.binding = binding
        self.context = context
        self.trace = trace
        #: The object that knows about the report of an unhandled rejection; see
        #: `_diagnostics.policies`.
        self.keeper: Any = None
        #: The Deferred that is made when the promise is used as one.
        self.deferred: Any = None
        #: Called, in this order, when the promise is cancelled.
        self.hooks: tuple[Callable[[], object], ...] = ()
        #: Called when the promise has ended: each with the context to run it in.
        self.callbacks: list[tuple[Any, Callable[..., Any]]] | None = None

    def arguments(self, value: Any) -> tuple[Any, ...]:
        """The arguments for a handler: the bound value, if there is one, and the outcome."""
        return (value,) if self.binding is None else (self.binding.value, value)


def extra_of(parent: CorePromise, context: Context) -> Context | Extra | None:
    """The extra of a promise derived in *context*: that context, and the binding of its parent."""
    binding = binding_of(parent)
    kept = context if context and parent._library.async_hooks else None
    return kept if binding is None else Extra(binding, kept)


def binding_of(promise: CorePromise) -> Binding | None:
    """The binding of *promise*, if it has one."""
    extra = promise._extra
    return extra.binding if type(extra) is Extra else None


def bind_promise(promise: CorePromise, binding: Binding | None) -> None:
    """Bind a new promise, and with it all promises that will be derived from it."""
    _give(promise, binding, context_of(promise))


def _give(
    promise: CorePromise,
    binding: Binding | None,
    context: Context | None,
    hooks: tuple[Callable[[], object], ...] = (),
) -> None:
    extra = promise._extra
    if type(extra) is Extra:
        given = promise._extra = Extra(binding, context, extra.trace)
        given.deferred = extra.deferred
        given.hooks = hooks
        given.callbacks = extra.callbacks
    else:
        promise._extra = context if binding is None else Extra(binding, context)


def whole_extra_of(promise: CorePromise) -> Extra:
    """The `Extra` of a promise, which is made if it has none."""
    extra = promise._extra
    if type(extra) is not Extra:
        extra = promise._extra = Extra(None, extra)
    return extra


# --- hooks --------------------------------------------------------------------------------


def hooks_of(promise: CorePromise) -> tuple[Callable[[], object], ...]:
    """The functions to call when the promise is cancelled."""
    extra = promise._extra
    return extra.hooks if type(extra) is Extra else ()


def add_hook(promise: CorePromise, hook: Callable[[], object]) -> None:
    """Call *hook* when the promise, which is not bypassed, is cancelled."""
    extra = whole_extra_of(promise)
    extra.hooks += (hook,)


# --- contexts -----------------------------------------------------------------------------


def context_of(promise: CorePromise) -> Context | None:
    """The context that a promise keeps; None for an empty one, or if it keeps none.

    A pending promise keeps the context that it was made in.  A rejected one keeps the context of
    its rejection until the drain reports unhandled rejections.
    """
    extra = promise._extra
    return extra.context if type(extra) is Extra else extra


def keep_for_report(promise: CorePromise, context: Context) -> None:
    """Keep a context for a promise that something else will settle, in case it is rejected."""
    if promise._library.async_hooks:
        _give(promise, binding_of(promise), context, hooks_of(promise))


def keep_origin(promise: CorePromise, origin: Context | None) -> bool:
    """Keep the context of a rejection, for a promise that was rejected just now.

    Args:
        promise: The rejected promise.
        origin: The context, if it is known and not empty.  Otherwise it is the one that the promise
            keeps already, in which its handler ran; or else that of the caller.

    Returns:
        Whether there is anything in that context; an empty one is not kept.
    """
    kept = context_of(promise)
    if not promise._library.async_hooks:
        origin = None
    elif not origin:
        origin = copy_context() if kept is None else kept
    if not origin:
        origin = None
    if origin is not kept or hooks_of(promise):
        _give(promise, binding_of(promise), origin)
    return origin is not None


def run_at_origin(origin: Context | None, function: Callable[..., object], *arguments: Any) -> None:
    """Call a function in a copy of the context of a rejection; None is an empty one."""
    # A copy: other promises may have been rejected in this context, and must not see what the
    # function sets.
    (Context() if origin is None else origin.copy()).run(function, *arguments)


def drop_context(promise: CorePromise, hooks: tuple[Callable[[], object], ...] = ()) -> None:
    """Drop the contexts of handlers; a settled promise keeps its binding and its trace.

    A follower keeps its *hooks*, too.
    """
    extra = promise._extra
    if type(extra) is not Extra:
        promise._extra = None
    elif extra.context is not None or extra.hooks is not hooks:
        _give(promise, extra.binding, None, hooks)
