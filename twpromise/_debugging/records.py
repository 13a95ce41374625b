"""`pending` and `snapshot`: a record for each promise that is pending."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from .._diagnostics.tracking import origin_of
from .._util.checks import check_count, shown
from .cycles import find_cycles
from .finding import find_pending, state_of
from .holders import find_holders
from .waiting import Wait, coroutine_of, name, waiters_of, waits_of

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["LIMIT", "Pending", "PendingPromise", "WaitsFor", "look", "pending", "snapshot"]

#: How many promises are shown unless it is said otherwise: so that it takes a few milliseconds.
LIMIT: Final = 200

#: Each promise keeps the number that it was shown under first.
_numbers: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
_next: Final = count(1)


def number_of(promise: Any) -> int:
    """The number of a promise, by which it is named as long as it exists."""
    number = _numbers.get(promise)
    if number is None:
        number = _numbers[promise] = next(_next)
    return number


@dataclass(frozen=True)
class WaitsFor:
    """One thing that a promise waits for.

    Attributes:
        text: What it is.
        id: The number of the promise that it is, or that holds it, if that is shown, too.
    """

    text: str
    id: int | None = None


@dataclass(frozen=True)
class PendingPromise:
    """A promise that is pending, or whose cancellation has not ended.

    Attributes:
        id: Its number: the same for as long as the promise exists.
        name: Its coroutine, its handlers, or the method that made it.
        repr: Its `repr`.
        state: ``"pending"``, ``"following"`` (it shares the outcome of another) or
            ``"cancelling"`` (users see it as cancelled, and its clean-up has not ended).
        place: The line that made it, as Python's tracebacks write it; None if that is not known.
        age: How many seconds ago that was; None if that is not known.
        waits_for: What it waits for.
        waited_for_by: The numbers of those that wait for it.
        coroutine: The lines at which its coroutine is suspended, from without to within.
    """

    id: int
    name: str
    repr: str
    state: str
    place: str | None
    age: float | None
    waits_for: tuple[WaitsFor, ...]
    waited_for_by: tuple[int, ...]
    coroutine: tuple[str, ...]


@dataclass(frozen=True)
class Pending:
    """What `pending` returns.

    Attributes:
        promises: The promises that are shown.
        total: How many are pending.
        sampled: Whether there are more than are shown.
        cycles: Promises that wait for each other in a circle, each circle once, by their numbers.
        time: When this was, in seconds since the epoch.
    """

    promises: tuple[PendingPromise, ...]
    total: int
    sampled: bool
    cycles: tuple[tuple[int, ...], ...]
    time: float = field(default_factory=time.time)


def pending(*, limit: int | None = LIMIT, library: type[Promise[Any]] | None = None) -> Pending:
    """The promises that are pending now.

    Args:
        limit: How many are shown at most; None for all.  Of more than that a sample is shown: some,
            from the oldest to the youngest, and all that these wait for.
        library: Those of one library copy; by default of all.

    They are found when this is called, by Python's garbage collector: nothing is switched on, and
    nothing keeps a list.  What was made before ``gc.freeze()`` is not found.

    Raises:
        TypeError: *limit* is no `int`.
        ValueError: *limit* is less than 1.
    """
    if limit is not None:
        limit = check_count("limit", limit, 1)
    found = find_pending(library)
    return look(found.promises, limit, found.total)


def snapshot(
    limit: int | None = LIMIT, library: type[Promise[Any]] | None = None
) -> dict[str, Any]:
    """What `pending` finds, as a `dict` that `json` can write.

    Args:
        limit: See `pending`.
        library: See `pending`.
    """
    now = pending(limit=limit, library=library)
    return {
        "time": now.time,
        "total": now.total,
        "shown": len(now.promises),
        "sampled": now.sampled,
        "promises": [
            {
                "id": one.id,
                "name": one.name,
                "repr": one.repr,
                "state": one.state,
                "place": one.place,
                "age": one.age,
                "waits_for": [{"text": wait.text, "id": wait.id} for wait in one.waits_for],
                "waited_for_by": list(one.waited_for_by),
                "coroutine": list(one.coroutine),
            }
            for one in now.promises
        ],
        "cycles": [list(cycle) for cycle in now.cycles],
    }


def look(found: list[Any], limit: int | None, total: int, beyond: bool = False) -> Pending:
    """Records for some promises.

    Args:
        found: The promises that were found.
        limit: How many get a record at most.
        total: How many there are.
        beyond: Follow what they wait for, also to promises that were not found.
    """
    chosen = _choose(found, limit, beyond)
    ids = {id(promise): number_of(promise) for promise, _ in chosen}
    waiting: dict[int, set[int]] = {}
    resources: dict[int, Any] = {}
    for promise, waits in chosen:
        for wait in waits:
            if wait.resource is not None:
                resources[id(wait.resource)] = wait.resource
                waiting.setdefault(id(wait.resource), set()).add(id(promise))
    others = (promise for promise in found if id(promise) not in ids)
    holders = find_holders(
        chain((promise for promise, _ in chosen), others), resources.values(), waiting
    )
    records: dict[int, list[WaitsFor]] = {}
    for promise, waits in chosen:
        records[ids[id(promise)]] = list(_waits_for(waits, ids, holders))
    by: dict[int, dict[int, None]] = {number: {} for number in records}
    for number, waits_for in records.items():
        for one in waits_for:
            if one.id is not None:
                by[one.id][number] = None
    for promise, _ in chosen:
        for waiter in _safely(waiters_of, promise, []):
            if id(waiter) in ids:
                by[ids[id(promise)]][ids[id(waiter)]] = None
    edges = {
        number: [one.id for one in waits_for if one.id is not None]
        for number, waits_for in records.items()
    }
    return Pending(
        tuple(
            _record(promise, number, records[number], tuple(by[number]))
            for promise, number in ((promise, ids[id(promise)]) for promise, _ in chosen)
        ),
        max(total, len(chosen)),
        total > len(chosen),
        tuple(map(tuple, find_cycles(edges))),
    )


def _choose(found: list[Any], limit: int | None, beyond: bool) -> list[tuple[Any, list[Wait]]]:
    """Promises, each with what it waits for: those that were found, as far as the limit allows.

    If there are more, evenly from all that were found; and with each, what it waits for.
    """
    room = len(found) if limit is None else limit
    every = 1 if room >= len(found) else -(-len(found) // room)
    known = None if beyond or every > 1 else {id(promise) for promise in found}
    chosen: dict[int, tuple[Any, list[Wait]]] = {}
    for seed in _from_all(found, every):
        ahead = [seed]
        while ahead and (limit is None or len(chosen) < limit):
            promise = ahead.pop()
            if id(promise) in chosen or (known is not None and id(promise) not in known):
                continue
            waits = _safely(waits_of, promise, [Wait("it is changing just now")])
            chosen[id(promise)] = promise, waits
            ahead += [wait.promise for wait in reversed(waits) if wait.promise is not None]
    return list(chosen.values())


def _from_all(found: list[Any], every: int) -> Iterable[Any]:
    for first in range(every):
        yield from found[first::every]


def _waits_for(
    waits: Iterable[Wait], ids: dict[int, int], holders: dict[int, Any]
) -> Iterable[WaitsFor]:
    for wait in waits:
        held_by = holders.get(id(wait.resource), ())
        if wait.resource is None or not held_by:
            yield WaitsFor(wait.text, ids.get(id(wait.promise)))
        for holder in held_by:
            certainly = "" if holder.certain else ", it seems"
            number = ids.get(id(holder.promise))
            who = name(holder.promise) + ("" if number is None else f" #{number}")
            yield WaitsFor(f"{wait.text}; {who} holds it{certainly}", number)


def _record(
    promise: Any, number: int, waits_for: list[WaitsFor], waited_for_by: tuple[int, ...]
) -> PendingPromise:
    place, age = origin_of(promise)
    return PendingPromise(
        id=number,
        name=_safely(name, promise, "promise"),
        repr=shown(promise),
        state=state_of(promise),
        place=None if place is None else 'File "{}", line {}, in {}'.format(*place),
        age=age,
        waits_for=tuple(waits_for),
        waited_for_by=waited_for_by,
        coroutine=tuple(_safely(coroutine_of, promise, [])),
    )


def _safely(function: Any, promise: Any, otherwise: Any) -> Any:
    """What a function says of a promise that may be in the midst of a change: of a signal, say."""
    try:
        return function(promise)
    except Exception:
        return otherwise
