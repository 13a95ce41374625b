"""What few promises have: a binding, a context to run in, a trace of their making."""

from __future__ import annotations

from contextvars import Context
from typing import Any, final

from .states import CorePromise


class Binding:
    """What `bind` bound: the first argument of every handler down the chain."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@final
class Extra:
    """A binding, a context, a trace; and what keeps the report of an unhandled rejection."""

    __slots__ = ("binding", "context", "keeper", "trace")

    def __init__(
        self, binding: Binding | None, context: Context | None = None, trace: Any = None
    ) -> None:
        self.binding = binding
        self.context = context
        self.trace = trace
        #: What reports an unhandled rejection later, or never; see `_diagnostics.policies`.
        self.keeper: Any = None

    def arguments(self, value: Any) -> tuple[Any, ...]:
        """What a handler is called with: the bound value, if there is one, and the outcome."""
        return (value,) if self.binding is None else (self.binding.value, value)


def extra_of(parent: CorePromise, context: Context) -> Context | Extra | None:
    """The extra of a promise that is derived in *context*: that, and the binding of its parent."""
    binding = binding_of(parent)
    kept = context if context and parent._library.async_hooks else None
    return kept if binding is None else Extra(binding, kept)


def binding_of(promise: CorePromise) -> Binding | None:
    """What *promise* is bound to, if to anything."""
    extra = promise._extra
    return extra.binding if type(extra) is Extra else None


def bind_promise(promise: CorePromise, binding: Binding | None) -> None:
    """Bind a promise that has just been made, and with it all that will be derived from it."""
    extra = promise._extra
    if type(extra) is Extra:
        promise._extra = Extra(binding, None, extra.trace)
    else:
        promise._extra = None if binding is None else Extra(binding)


def drop_context(promise: CorePromise) -> None:
    """A settled promise keeps its binding and its trace, not what its handlers ran in."""
    extra = promise._extra
    if type(extra) is not Extra:
        promise._extra = None
    elif extra.context is not None:
        promise._extra = Extra(extra.binding, None, extra.trace)
