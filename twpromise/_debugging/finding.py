"""Finding promises: there is no list of them, but the collector knows them all."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import compress
from typing import Any

from .._core.states import (
    BYPASSED,
    CANCELLING,
    FOLLOWING,
    INNER,
    SETTLED,
    CorePromise,
    is_promise,
)
from .._core.subscribers import Subscribers
from .._coroutines.suspension import Suspension

__all__ = ["find_pending", "is_inner", "root_of", "subscribers_of"]

#: How many steps are made on the way to a root; a signal may come amid a change.
_FAR = 10_000


def find_pending(library: type[Any] | None) -> list[Any]:
    """The promises that are pending, or being cancelled, those that were made first first.

    Args:
        library: Those of one library copy; None for all of them.

    Not those that no user sees; see `is_inner`.
    """
    base: Any = CorePromise if library is None else library
    classes = frozenset(_classes(base))
    found: list[Any] = []
    # The oldest generation first; each is let go before the next.
    for generation in (2, 1, 0):
        objects = gc.get_objects(generation)
        # In C: there may be millions.
        found += compress(objects, map(classes.__contains__, map(type, objects)))
        del objects
    return [promise for promise in found if _is_listed(promise)]


def _classes(base: type[Any]) -> Iterator[type[Any]]:
    yield base
    for cls in base.__subclasses__():
        yield from _classes(cls)


def _is_listed(promise: Any) -> bool:
    try:
        state = promise._state
        if state & SETTLED:
            return False
        if state & FOLLOWING:
            return not root_of(promise)._state & SETTLED
        return promise._aux is not INNER or not is_inner(promise)
    except AttributeError:
        # It is being made.
        return False


def is_inner(promise: Any) -> bool:
    """Whether a pending promise was made by the library for itself: no user sees it.

    The promise of a coroutine is shown all the same.
    """
    return (
        promise._aux is INNER
        and not promise._state & FOLLOWING
        and not isinstance(promise._source, Suspension)
    )


def root_of(promise: Any) -> Any:
    """As the `root_of` of the core, which shortens the way; this changes nothing."""
    for _ in range(_FAR):
        if not promise._state & FOLLOWING:
            break
        if promise._state & BYPASSED:
            cell = promise._subscribers
            while cell.moved is not None:
                cell = cell.moved
            promise = cell.follower
        else:
            promise = promise._aux
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


def is_settled(what: object) -> bool:
    """Whether something is a promise that has settled."""
    return is_promise(what) and bool(root_of(what)._state & SETTLED)
