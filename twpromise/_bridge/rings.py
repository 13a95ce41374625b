"""Rings: a promise that waits for a Deferred that waits for the promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.following import end_of
from .._core.reactions import Node
from .._core.settling import reject
from .._core.states import CIRCULAR, CorePromise
from .deferreds import DeferredSource, adopt_deferred

__all__ = ["adopt_checked", "ahead_of", "circular"]


def circular() -> TypeError:
    """The error of a promise that would wait for itself."""
    return TypeError(CIRCULAR)


def ahead_of(promise: CorePromise) -> Iterator[object]:
    """The promises and Deferreds that will settle *promise* as they settle, nearest first."""
    end = end_of(promise)
    yield end
    yield from _ahead_of_deferred(getattr(end._source, "_deferred", None))


def _ahead_of_deferred(deferred: Any) -> Iterator[object]:
    """The same for a Deferred."""
    while deferred is not None:
        yield deferred
        # If it was made of a promise, this is a method of what stands between the two.
        sink = getattr(deferred._canceller, "__self__", None)
        if isinstance(sink, Node) and sink._promise is not None:
            yield from ahead_of(sink._promise)
        deferred = deferred._chainedTo


def adopt_checked(promise: CorePromise, deferred: Any) -> None:
    """Have a pending promise settle as a Deferred does, unless that was made of the promise."""
    adopt_deferred(promise, deferred)
    source = promise._source
    if type(source) is DeferredSource and promise in _ahead_of_deferred(deferred):
        source._promise = None
        reject(promise, circular())
