"""Rings: a promise that waits for a Deferred that waits for the promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.following import end_of
from .._core.reactions import Node
from .._core.states import CIRCULAR, CorePromise

__all__ = ["ahead_of", "ahead_of_deferred", "circular"]


#: Whether a Deferred may have been made of the promise that adopts it: with `install`, which makes
#: one of each promise that a Deferred is fired with.
possible = False


def circular() -> TypeError:
    """The error of a promise that would wait for itself."""
    return TypeError(CIRCULAR)


def ahead_of(promise: CorePromise) -> Iterator[object]:
    """The promises and Deferreds that will settle *promise* as they settle, nearest first."""
    end = end_of(promise)
    yield end
    yield from ahead_of_deferred(getattr(end._source, "_deferred", None))


def ahead_of_deferred(deferred: Any) -> Iterator[object]:
    """The same for a Deferred."""
    while deferred is not None:
        yield deferred
        # If it was made of a promise, this is a method of what stands between the two.
        sink = getattr(deferred._canceller, "__self__", None)
        if isinstance(sink, Node) and sink._promise is not None:
            yield from ahead_of(sink._promise)
        deferred = deferred._chainedTo
