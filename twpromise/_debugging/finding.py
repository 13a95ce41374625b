"""Finding promises: there is no list of them, but the collector knows them all."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import compress, repeat
from operator import attrgetter, is_
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

#: How many objects of the collector are looked at at a time.
_CHUNK: Final = 20_000
#: When so many promises have been found, one of so many further objects is looked at.
ENOUGH: Final = 10_000
_SPARSE: Final = 16

_state: Final = attrgetter("_state")
_aux: Final = attrgetter("_aux")


class Found(NamedTuple):
    """Promises that are pending, those that were made first first."""

    promises: list[Any]
    #: How many there are: about, if they are too many to look at each.
    total: int


def find_pending(library: type[Any] | None, limit: int | None = 0) -> Found:
    """The promises that are pending, or being cancelled.

    Args:
        library: Those of one library copy; None for all of them.
        limit: How many are needed at least, if there are so many; None for all.

    Not those that no user sees; see `is_inner`.
    """
    classes = frozenset(_classes(CorePromise if library is None else library))
    promises: list[Any] = []
    total = 0
    enough = float("inf") if limit is None else max(limit, ENOUGH)
    collects = gc.isenabled()
    # Lest a collection moves promises from a generation that comes later to one before.
    gc.disable()
    try:
        # The oldest generation first; each is dropped before the next.
        for generation in (2, 1, 0):
            objects = gc.get_objects(generation)
            for start in range(0, len(objects), _CHUNK):
                every = 1 if len(promises) < enough else _SPARSE
                some = objects[start : start + _CHUNK : every]
                # In C: there may be hundreds of thousands.
                kinds = map(classes.__contains__, map(type, some))
                pending = _pending(list(compress(some, kinds)))
                promises += pending
                total += every * len(pending)
            del objects
    finally:
        if collects:
            gc.enable()
    return Found(promises, total)


def _classes(base: type[Any]) -> Iterator[type[Any]]:
    yield base
    for cls in base.__subclasses__():
        yield from _classes(cls)


def _pending(promises: list[Any]) -> list[Any]:
    """Those of some promises that are to be shown."""
    try:
        states = list(map(_state, promises))
    except AttributeError:
        # One of them is being made.
        promises = [promise for promise in promises if hasattr(promise, "_subscribers")]
        states = list(map(_state, promises))
    unsettled = {state for state in set(states) if not state & SETTLED}
    promises = list(compress(promises, map(unsettled.__contains__, states)))
    inner = compress(promises, map(is_, map(_aux, promises), repeat(INNER)))
    hidden = {id(promise) for promise in inner if is_inner(promise)}
    if any(state & FOLLOWING for state in unsettled):
        hidden |= {id(one) for one in promises if one._state & FOLLOWING and _has_settled(one)}
    return [one for one in promises if id(one) not in hidden] if hidden else promises


def _has_settled(promise: Any) -> bool:
    return bool(root_of(promise)._state & SETTLED)


def is_inner(promise: Any) -> bool:
    """Whether a pending promise was made by the library for itself: no user sees it.

    That of a coroutine, and of a group, is shown all the same.
    """
    return (
        promise._aux is INNER
        and not promise._state & FOLLOWING
        and not isinstance(promise._source, Suspension)
        and not getattr(promise._source, "is_shown", False)
    )


def root_of(promise: Any) -> Any:
    """As the `root_of` of the core, which shortens the way of followers; this leaves it."""
    while promise._state & FOLLOWING:
        bypassed = promise._state & BYPASSED
        promise = promise._subscribers.now().follower if bypassed else promise._aux
    return promise


def subscribers_of(promise: Any) -> list[Any]:
    """Whom a promise notifies."""
    there = promise._subscribers
    if there is None or promise._state & BYPASSED:
        return []
    return [*there, *there.cleaning] if type(there) is Subscribers else [there]


def state_of(promise: Any) -> str:
    """A word for the state of a promise."""
    if promise._state & CANCELLING:
        return "cancelling"
    return "following" if promise._state & FOLLOWING else "pending"
