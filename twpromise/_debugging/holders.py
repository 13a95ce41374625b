"""Who holds a lock, a semaphore or a slot of a limiter: the parts of a deadlock."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import chain, islice
from types import CellType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from .._core.ending import Ending
from .._core.states import is_promise
from .._coroutines.frames import frame_of, suspended
from .finding import root_of, subscribers_of
from .things import coroutines_of

__all__ = ["Holder", "find_holders"]

#: How many promises are looked at: reading the stack of a coroutine takes microseconds.
_MANY: Final = 2_000
_EXITS: Final = ("__aexit__", "__exit__")
#: How many objects are looked at, for what the handlers of one promise release.
_FEW: Final = 50


class Holder(NamedTuple):
    """A promise that holds something; or may hold it, since its coroutine refers to it."""

    promise: Any
    certain: bool


def find_holders(
    promises: Iterable[Any],
    resources: Iterable[Any],
    waiting: dict[int, set[int]],
    behind: dict[int, set[int]],
) -> dict[int, list[Holder]]:
    """Which of some promises hold which of some resources, by the `id` of the resources.

    A coroutine holds what is on its stack, inside of ``async with``; and the work that a limiter
    has begun holds a slot.  There is no proof for what coroutines have acquired otherwise, nor for
    chains: those are named that refer to the resource, and to a ``release``.

    Args:
        promises: The promises that may hold something.
        resources: The resources.
        waiting: By the `id` of a resource: the promises that wait for it.
        behind: The same, with the promises that wait for these.
    """
    wanted = {id(resource): resource for resource in resources}
    certain: dict[int, list[Any]] = {key: [] for key in wanted}
    likely: dict[int, list[Any]] = {key: [] for key in wanted}
    #: The callback of a limiter for the end of work, which several promises may have.
    ends: set[Ending] = set()
    for count, promise in enumerate(promises):
        if count == _MANY or not wanted:
            break
        for subscriber in (*subscribers_of(promise), *subscribers_of(root_of(promise))):
            if type(subscriber) is Ending and subscriber not in ends:
                ends.add(subscriber)
                owner = getattr(subscriber._function, "__self__", None)
                if id(owner) in wanted:
                    certain[id(owner)].append(promise)
        generators = coroutines_of(promise._source)
        if generators:
            entered, known = _look_into(generators, wanted)
            for key in wanted:
                # While it waits to enter, the exit method is on the stack, too.
                if entered[key] > (id(promise) in waiting[key]):
                    certain[key].append(promise)
                elif key in known and id(promise) not in behind[key]:
                    likely[key].append(promise)
        else:
            for key in wanted.keys() & _released_by_handlers(promise):
                if id(promise) not in behind[key]:
                    likely[key].append(promise)
    return {
        key: [Holder(one, True) for one in certain[key]]
        or [Holder(one, False) for one in likely[key]]
        for key in wanted
    }


def _look_into(generators: list[Any], wanted: dict[int, Any]) -> tuple[Counter[int], set[int]]:
    """Which resources suspended coroutines are inside of, how often, and which they may release."""
    entered: Counter[int] = Counter()
    known: set[int] = set()
    for one in chain.from_iterable(map(suspended, generators)):
        here: set[int] = set()
        before: Any = None
        for referent in gc.get_referents(one):
            # Up to Python 3.13 the bound method is on the stack; then the function, and the object
            # after it.
            if type(referent) is MethodType and referent.__name__ in _EXITS:
                entered[id(referent.__self__)] += 1
            elif type(before) is FunctionType and before.__name__ in _EXITS:
                entered[id(referent)] += 1
            elif type(referent) is CellType:
                here.add(id(_content(referent)))
            here.add(id(referent))
            here |= _attributes(referent)
            before = referent
        frame = frame_of(one)
        names = () if frame is None else frame.f_code.co_names
        if frame is not None and "release" in names:
            here |= {id(frame.f_globals.get(name)) for name in names}
            known |= here
    return entered, known


def _released_by_handlers(promise: Any) -> set[int]:
    """What the handlers of a promise may release: ``lock.release``, or a function that calls it."""
    source = promise._source
    ahead = [promise._value, promise._aux] if is_promise(source) else [source]
    released: set[int] = set()
    for one in islice(ahead, _FEW):
        # It grows meanwhile.
        known: list[Any] = []
        if type(one) is MethodType:
            known.append(one.__self__)
            if one.__name__ == "release":
                released.add(id(one.__self__))
        function = one.__func__ if known else one
        if type(function) is FunctionType:
            within = [*map(_content, function.__closure__ or ()), *(function.__defaults__ or ())]
            ahead += within
            names = function.__code__.co_names
            if "release" in names and "acquire" not in names:
                known += within + [function.__globals__.get(name) for name in names]
                released.update(map(id, known))
                released.update(*map(_attributes, known))
        elif type(one) in (partial, tuple, list) or (
            type(one).__module__.startswith("twpromise.") and not is_promise(one)
        ):
            # A node, or one of the wrappers of handlers.
            ahead += gc.get_referents(one)[:_FEW]
    return released


def _attributes(one: Any) -> set[int]:
    """What an object refers to, from the collector: asking the object might run its code."""
    found: set[int] = set()
    if type(one).__dictoffset__ and type(one) is not FunctionType:
        for referent in gc.get_referents(one):
            found.update(map(id, referent.values()) if type(referent) is dict else [id(referent)])
    return found


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # It is empty.
        return None
