"""What a promise waits for, from promises, nodes and sources."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Iterator
from itertools import islice
from types import FrameType
from typing import Any, Final, NamedTuple

from .._bridge.deferreds import DeferredSource
from .._bridge.futures import FutureSource
from .._core.draining import _run_jobs
from .._core.jobs import Job
from .._core.reactions import Node
from .._core.states import (
    BY_CALLBACK,
    CANCELLING,
    FOLLOWING,
    LOCKED,
    NODE,
    OBSERVER,
    SETTLED,
    CorePromise,
    is_promise,
)
from .._coroutines.suspension import Suspension
from .._diagnostics.background import unwrapped
from .._util.checks import name_of
from .finding import is_inner, root_of, subscribers_of
from .things import lines_of, lock_of, look_at

__all__ = ["MANY", "Wait", "coroutine_of", "name", "waiters_of", "waits_of"]

#: How many things that a promise waits for, or that wait for it, are shown.
MANY: Final = 20
_RUN_JOBS: Final = _run_jobs.__code__

#: How deep to look into objects that are not shown themselves.
_DEEP: Final = 20
#: How much of a queue is looked at.
_QUEUED: Final = 10_000


class Wait(NamedTuple):
    """One thing that a promise waits for."""

    text: str
    #: If it is a promise.
    promise: Any = None
    #: If it is held by others: a lock, say.
    resource: Any = None


def coroutine_of(promise: Any) -> list[str]:
    """The lines at which the coroutine behind a promise is suspended."""
    source = promise._source
    return lines_of(source._generator) if isinstance(source, Suspension) else []


# --- names


def name(promise: Any) -> str:
    """The name of a promise: its coroutine, its handlers, or the method that made it."""
    source = promise._source
    if promise._state & FOLLOWING:
        return "promise"
    if isinstance(source, Suspension):
        return f"coroutine {name_of(source._generator)}"
    if is_promise(source):
        handlers = [promise._value, promise._aux]
        while handlers and handlers[-1] is None:
            handlers.pop()
        return f"then({', '.join(map(_handler, handlers))})"
    if isinstance(source, FutureSource):
        return f"promise for {source.name}" if source.name else "promise for a future"
    if isinstance(source, DeferredSource):
        return "promise for a Deferred"
    if isinstance(source, Node):
        return source.title or _title(type(source).__name__)
    return "promise"


def _handler(handler: Any) -> str:
    return "None" if handler is None else name_of(unwrapped(handler)[0])


def _title(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.strip("_")).lower()


# --- what it waits for


def handled_now() -> set[int]:
    """The `id` of each promise whose handler runs."""
    found: set[int] = set()
    # One of them is this function's own frame: no variable may refer to it at the end, or it would
    # keep itself and its callers' variables alive.
    frames: list[FrameType | None] = [*sys._current_frames().values()]
    while frames:
        frame = frames.pop()
        while frame is not None:
            if frame.f_code is _RUN_JOBS:
                found.add(id(frame.f_locals["child"]))
            frame = frame.f_back
    return found


def waits_of(promise: Any, handled: Container[int] = ()) -> list[Wait]:
    """What a pending promise waits for; the first of them, if they are many.

    Args:
        promise: The promise.
        handled: See `handled_now`.
    """
    if id(promise) in handled:
        return [Wait("its handler, which runs")]
    waits = list(islice(_expand(_waits(promise), 0), MANY + 1))
    waits = waits or [Wait("what has settled: a handler is queued, or runs")]
    if len(waits) > MANY:
        waits[MANY:] = [Wait("and others")]
    return waits


def _waits(promise: Any) -> Iterable[tuple[str, Any]]:
    state, source = promise._state, promise._source
    if state & FOLLOWING:
        return (("it follows", root_of(promise)),)
    if is_promise(source):
        return (("", source),)
    lock = lock_of(source._generator) if isinstance(source, Suspension) else None
    if lock is not None:
        return (("", lock),)
    if source is not None:
        return source.waits()  # type: ignore[no-any-return]
    return ((_settler(promise), None),)


def _settler(promise: Any) -> str:
    """What will settle a promise without a source."""
    if promise._state & CANCELLING:
        return "its clean-up"
    if promise._state & LOCKED:
        return "an object with a `then` method, which has not called back"
    if promise._aux is BY_CALLBACK:
        return "a callback, which has not been called"
    for job in islice(promise._queue, _QUEUED):
        if type(job) is Job and promise in job._arguments:
            return "a call that is queued"
    return "resolve() or reject(), which have not been called"


def _expand(pairs: Iterable[tuple[str, Any]], depth: int) -> Iterator[Wait]:
    for text, what in pairs:
        if what is None:
            yield Wait(text)
        elif is_promise(what):
            # Items of a collection may have settled.
            if root_of(what)._state & SETTLED:
                continue
            if is_inner(what) and depth < _DEEP:
                yield from _prefixed(text, _expand(_waits(what), depth + 1))
            else:
                yield Wait(_join(text, name(what)), what)
        else:
            thing = look_at(what)
            text = _join(text, thing.text)
            ahead = list(islice(_expand(thing.ahead, depth + 1), MANY)) if depth < _DEEP else []
            yield from _prefixed(text, ahead) if ahead else [Wait(text, None, thing.resource)]


def _prefixed(text: str, waits: Iterable[Wait]) -> Iterator[Wait]:
    return (wait._replace(text=_join(text, wait.text)) for wait in waits)


def _join(*texts: str) -> str:
    return ": ".join(filter(None, texts))


# --- who waits for it


def waiters_of(promise: Any) -> list[Any]:
    """The promises that wait for one; the first of them, if they are many."""
    return list(dict.fromkeys(islice(_waiters(promise, 0), MANY)))


def _waiters(promise: CorePromise, depth: int) -> Iterator[Any]:
    for subscriber in subscribers_of(promise):
        if subscriber._state & SETTLED or subscriber._state == OBSERVER:
            continue
        waiting = subscriber._settles(promise) if subscriber._state & NODE else [subscriber]
        for one in waiting:
            if is_inner(one) and depth < _DEEP:
                yield from _waiters(one, depth + 1)
            else:
                yield one
