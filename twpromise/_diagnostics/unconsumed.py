"""Promises that were made and have no consumer: what warnings say of them."""

from __future__ import annotations

import gc
from types import FrameType, MethodType
from typing import Any

from .._callbacks.node_callback import NodeCallback
from .._core import hooks
from .._core.extra import Extra
from .._core.following import Cell
from .._core.reactions import Node
from .._core.states import (
    CANCELLED,
    CANCELLING,
    FULFILLED,
    HANDLED,
    REJECTED,
    SETTLED,
    CorePromise,
)
from .._core.subscribers import Subscribers
from .background import code_of, unwrapped
from .traces import Trace
from .warning import show

__all__ = ["Made", "Running", "check_return", "made_of", "never_consumed"]


class Made(Trace):
    """Where a promise was made, and whether it has had a consumer."""

    __slots__ = ("consumed", "idle", "note", "token")

    #: It has had a consumer, or is meant to have none.
    consumed: bool
    #: There is nothing to wait for if it is fulfilled with None: it was made with that value, or is
    #: derived from another promise, and so may be the end of a chain.
    idle: bool
    #: Of a rejected promise: the long stack trace of the chain that failed, as text.
    note: str
    #: The `token` of the `_Watch` that watched for consumers.
    token: object


def made_of(promise: CorePromise) -> Made | None:
    extra = promise._extra
    return extra.trace if type(extra) is Extra else None


class Running:
    """A handler that is running."""

    __slots__ = ("handed", "handler", "outer", "promises", "trace")

    def __init__(
        self, handler: Any, handed: int, trace: Trace | None, outer: Running | None
    ) -> None:
        self.handler = handler
        #: The `id` of the reason that it was called with, or has seen raised at an await.
        self.handed = handed
        self.trace = trace
        self.outer = outer
        #: The promises that it has made.
        self.promises: list[CorePromise] = []


def check_return(running: Running, result: object) -> None:
    """Warn if a handler that returned None has made a promise that has no consumer.

    By returning something else, or by `background`, it says that this is meant.
    """
    promises, running.promises = running.promises, []
    handler, on_purpose = unwrapped(running.handler)
    on_purpose = on_purpose or result is not None
    while promises:
        promise = promises.pop()
        trace = made_of(promise)
        if trace is None or trace.consumed:
            continue
        if on_purpose:
            trace.consumed = True
            continue
        library: Any = promise._library
        if not library.w_forgotten_return or promise._state & (FULFILLED | CANCELLED):
            continue
        if promise._state & (HANDLED | CANCELLING) or _is_kept(promise, promises):
            continue
        # One warning is enough.
        trace.consumed = True
        code = code_of(handler)
        filename, line, name = (
            trace.place
            if code is None
            else (code.co_filename, code.co_firstlineno, code.co_qualname)
        )
        made_in, made_on, _ = trace.place
        where = f"on line {made_on}" if made_in == filename else f"at {made_in}:{made_on}"
        show(
            f"a promise was created in handler {name} at {filename}:{line}, {where}, but was "
            "not returned from it",
            filename,
            line,
        )
        return


def _is_kept(promise: CorePromise, made: list[CorePromise]) -> bool:
    """Whether an object of the user's refers to a promise, and may use it later.

    This is slow, and called only before a warning.
    """
    for other in gc.get_referrers(promise):
        if other is made or other is promise._queue or other is promise._queue.rejections:
            continue
        if isinstance(other, CorePromise | Node | Cell | Subscribers | NodeCallback | FrameType):
            continue
        if isinstance(other, MethodType) and isinstance(other.__self__, CorePromise):
            continue
        return True
    return False


def never_consumed(promise: Any) -> None:
    """The finalizer of promises while warnings are on: warns if one never had a consumer."""
    try:
        trace = made_of(promise)
        state = promise._state
        value = promise._value
    except AttributeError:
        # An exception was raised while it was made.
        return
    if trace is None or trace.consumed or state & (REJECTED | CANCELLED | CANCELLING):
        return
    if trace.token is not getattr(hooks.observer, "token", None):
        # Diagnostics were switched off meanwhile, and consumers went unnoticed.
        return
    if trace.idle and state & SETTLED and value is None:
        return
    filename, line, _ = trace.place
    show(f"a promise was never consumed: it was made at {filename}:{line}", filename, line)
