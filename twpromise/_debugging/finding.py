"""Finding promises: there is no list of them, but the garbage collector knows them all."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from .._core.states import (
    BYPASSED,
    CANCELLING,
    FOLLOWING,
    INNER,
    SETTLED,
    CorePromise,
)
from .._core.subscribers import Subscribers
from .._coroutines.suspension import Suspension

__all__ = ["ENOUGH", "Found", "find_pending", "is_inner", "root_of", "subscribers_of"]

#: How many promises are looked at more closely; if there are more, a sample from all.
ENOUGH: Final = 10_000


class Found(NamedTuple):
    """Pending promises, the oldest first."""

    promises: list[Any]
    #: How many there are; an estimate, if there are too many to look at each.
    total: int

    def of(self, library: type[Any]) -> Found:
        """Those of one library copy."""
        promises = [promise for promise in self.promises if isinstance(promise, library)]
        return Found(promises, self.total * len(promises) // max(1, len(self.promises)))


def find_pending(library: type[Any] | None, limit: int | None = 0) -> Found:
    """The promises that are pending, or being cancelled.

    Args:
        library: A library copy; None for all of them.
        limit: How many are needed at least, if there are so many; None for all.

    Internal promises are left out; see `is_inner`.
    """
    base = CorePromise if library is None else library
    # Those that have instances.
    classes = {cls for cls in _classes(base) if hasattr(cls, "_queue")}
    collects = gc.isenabled()
    # So that no collection moves promises between generations meanwhile.
    gc.disable()
    try:
        # Each promise refers to its class.  A list of all objects would take three times as long.
        found = [one for one in gc.get_referrers(*classes) if type(one) in classes]
        middle, young = (_count(classes, gc.get_objects(generation)) for generation in (1, 0))
    finally:
        if collects:
            gc.enable()
    # It begins with the youngest generation.
    middle += young
    promises = _unsettled([*found[middle:], *found[young:middle], *found[:young]])
    every = 1 if limit is None else -(-len(promises) // max(limit, ENOUGH)) or 1
    shown = _not_hidden(promises[::every])
    return Found(shown, every * len(shown))


def _count(classes: set[type[Any]], objects: list[Any]) -> int:
    return sum(map(classes.__contains__, map(type, objects)))


def _classes(base: type[Any]) -> Iterator[type[Any]]:
    yield base
    for cls in base.__subclasses__():
        yield from _classes(cls)


def _unsettled(promises: list[Any]) -> list[Any]:
    try:
        return [one for one in promises if not one._state & SETTLED]
    except AttributeError:
        # One of them is being made.
        return [one for one in promises if not getattr(one, "_state", SETTLED) & SETTLED]


def _not_hidden(promises: list[Any]) -> list[Any]:
    """Those of some promises that users see, and that do not just follow a settled one."""
    return [
        one
        for one in promises
        # The source is set last.
        if hasattr(one, "_source")
        and not is_inner(one)
        and not (one._state & FOLLOWING and _has_settled(one))
    ]


def _has_settled(promise: Any) -> bool:
    return bool(root_of(promise)._state & SETTLED)


def is_inner(promise: Any) -> bool:
    """Whether a pending promise was made by the library for itself, and users do not see it.

    The promise of a coroutine, or of a group, is shown all the same.
    """
    return (
        promise._aux is INNER
        and not promise._state & FOLLOWING
        and not isinstance(promise._source, Suspension)
        and not getattr(promise._source, "is_shown", False)
    )


def root_of(promise: Any) -> Any:
    """Like `root_of` of the core, but does not change the promise."""
    while promise._state & FOLLOWING:
        bypassed = promise._state & BYPASSED
        promise = promise._subscribers.now().follower if bypassed else promise._aux
    return promise


def subscribers_of(promise: Any) -> list[Any]:
    """The subscribers that a promise notifies."""
    there = promise._subscribers
    if there is None or promise._state & BYPASSED:
        return []
    return [*there, *there.cleaning] if type(there) is Subscribers else [there]


def state_of(promise: Any) -> str:
    """A word for the state of a promise."""
    if promise._state & CANCELLING:
        return "cancelling"
    return "following" if promise._state & FOLLOWING else "pending"
