"""Promises that never get a consumer, and the warnings about them."""

from __future__ import annotations

import gc
import sys
from types import FrameType, MethodType
from typing import Any

from .._callbacks.node_callback import NodeCallback
from .._core import hooks
from .._core.ending import Ending
from .._core.extra import Extra
from .._core.following import Cell
from .._core.reactions import Node
from .._core.states import (
    CANCELLED,
    CANCELLING,
    DEAD,
    FOLLOWING,
    FULFILLED,
    HANDLED,
    REJECTED,
    CorePromise,
    is_promise,
)
from .._core.subscribers import Subscribers
from .._coroutines.suspension import Suspension
from .._util.checks import name_of
from .background import code_of, unwrapped
from .traces import Trace
from .warning import show

__all__ = ["Made", "Running", "check_return", "made_of", "never_consumed"]

#: Objects that refer to promises, and do not belong to the user.
_OWN = (CorePromise, Node, Cell, Ending, Subscribers, NodeCallback, FrameType)


class Made(Trace):
    """Where a promise was made, and whether it has had a consumer."""

    __slots__ = ("consumed", "idle", "note", "token")

    #: It has had a consumer, or does not need one.
    consumed: bool
    #: If it is fulfilled with None, it needs no consumer: it was made with that value, or is
    #: derived from another promise, and may be the end of a chain.
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

    Another return value, or `background`, shows that this is on purpose.
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
    """Whether an object of the user refers to a promise, and may use it later.

    This is slow, and called only before a warning.
    """
    for other in gc.get_referrers(promise):
        if other is made or other is promise._queue or other is promise._queue.rejections:
            continue
        if isinstance(other, _OWN):
            continue
        if isinstance(other, MethodType) and isinstance(other.__self__, CorePromise):
            continue
        return True
    return False


def _lost_with(promise: CorePromise) -> str | None:
    """A text: what will never run, since a pending promise is dropped; None if there is nothing.

    In a chain, only its first promise has a text, and the others have "": one warning is enough.
    """
    source = promise._source
    if isinstance(source, Suspension):
        # The line of the await is unknown: the coroutine was closed just before.
        return f"its coroutine {name_of(source._generator)} will never go on"
    if is_promise(source) or isinstance(source, Node):
        return ""
    there = promise._subscribers
    for subscriber in there if type(there) is Subscribers else [there]:
        if subscriber is not None and not subscriber._state & DEAD:
            # The promise of a coroutine says so itself.
            return "" if isinstance(subscriber, Suspension) else "its handlers will never be called"
    return None


def never_consumed(promise: Any) -> None:
    """The finalizer of promises while warnings are on: warns if one never had a consumer.

    It also warns about a pending promise whose consumers or work will never run.
    """
    try:
        trace = made_of(promise)
        state = promise._state
        value = promise._value
    except AttributeError:
        # An exception was raised while it was made.
        return
    if trace is None or state & (REJECTED | CANCELLED | CANCELLING):
        return
    lost = None if state & (FULFILLED | FOLLOWING) else _lost_with(promise)
    filename, line, _ = trace.place
    # At the end of the process all is dropped.
    if lost and not sys.is_finalizing():
        message = f"a promise was dropped while it was pending, and {lost}"
        show(f"{message}: it was made at {filename}:{line}", filename, line)
    if trace.consumed or lost is not None:
        return
    if trace.token is not getattr(hooks.observer, "token", None):
        # Diagnostics were switched off meanwhile, and consumers went unnoticed.
        return
    if trace.idle and state & FULFILLED and value is None:
        return
    show(f"a promise was never consumed: it was made at {filename}:{line}", filename, line)
