"""Rings: a promise that waits for a Deferred that waits for the promise."""

from __future__ import annotations

from collections.abc import Iterator
from types import MethodType
from typing import Any

from .._core.following import end_of
from .._core.reactions import Node
from .._core.settling import reject
from .._core.states import CIRCULAR, CorePromise, is_promise
from .deferreds import DeferredSource, adopt_deferred

__all__ = ["adopt_checked", "ahead_of", "circular"]


def circular() -> TypeError:
    """The error of a promise that would wait for itself."""
    return TypeError(CIRCULAR)


def ahead_of(waiting: object) -> Iterator[object]:
    """The promises and Deferreds that will settle a promise or a Deferred; itself comes first."""
    ahead, seen = [waiting], set[object]()
    while ahead:
        one: Any = ahead.pop()
        if is_promise(one):
            one = end_of(one)
        # `chainDeferred` can make a ring of Deferreds alone.
        if one is None or one in seen:
            continue
        seen.add(one)
        yield one
        if is_promise(one):
            ahead.append(getattr(one._source, "_deferred", None))
        else:
            ahead.append(one._chainedTo)
            # If it was made of a promise, this is a method of the node between the two.
            sink = getattr(one._canceller, "__self__", None)
            if isinstance(sink, Node):
                ahead.append(sink._promise)


def adopt_checked(promise: CorePromise, deferred: Any) -> None:
    """Make a pending promise settle as a Deferred does, unless that was made of the promise."""
    adopt_deferred(promise, deferred)
    # Most wait for no other Deferred, and were not made of a promise: see `ahead_of`.
    if deferred._chainedTo is None and type(deferred._canceller) is not MethodType:
        return
    source = promise._source
    if type(source) is DeferredSource and promise in ahead_of(deferred):
        source._promise = None
        reject(promise, circular())
