"""`pending` and `snapshot`: a record for each pending promise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from .._diagnostics.tracking import origin_of
from .._util.checks import printable, shown
from .arguments import check_library, check_limit
from .cycles import find_cycles
from .finding import Found, find_pending, state_of
from .holders import Holder, find_holders
from .waiting import Wait, coroutine_of, handled_now, name, waiters_of, waits_of

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = [
    "LIMIT",
    "Pending",
    "PendingPromise",
    "WaitsFor",
    "as_dict",
    "look",
    "pending",
    "snapshot",
]

U = TypeVar("U")

#: How many promises are shown by default: this takes a few milliseconds.
LIMIT: Final = 200

#: How much of a text is shown: a repr may have megabytes.
_LONGEST: Final = 500

_CHANGING: Final = [Wait("it is changing just now")]

#: How many times to look for holders of what holders wait for.
_ROUNDS: Final = 5

#: Each promise keeps the number that it was shown under first.
_numbers: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
_next: Final = count(1)


def number_of(promise: Any) -> int:
    """The number that names a promise for as long as it exists."""
    number = _numbers.get(promise)
    if number is None:
        number = _numbers[promise] = next(_next)
    return number


def promise_of(number: int) -> Any:
    """The promise that has a number; None if it no longer exists."""
    return next((one for one, its in list(_numbers.items()) if its == number), None)


@dataclass(frozen=True)
class WaitsFor:
    """One thing that a promise waits for.

    Attributes:
        text: Its description.
        id: The number of the promise that it is, or that holds it, if that is shown, too.
    """

    text: str
    id: int | None = None


@dataclass(frozen=True)
class PendingPromise:
    """A promise that is pending, or whose cancellation has not ended.

    Attributes:
        id: Its number, the same for as long as the promise exists.
        name: Its coroutine, its handlers, or the method that made it.
        repr: Its `repr`.
        state: ``"pending"``, ``"following"`` (it shares the outcome of another) or
            ``"cancelling"`` (users see it as cancelled, and its clean-up has not ended).
        place: The line that made it, as in a traceback; None if unknown.
        age: How many seconds ago it was made; None if unknown.
        waits_for: What it waits for.
        waited_for_by: The numbers of the promises that wait for it.
        coroutine: The lines at which its coroutine is suspended, the outermost first.
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
    """The result of `pending`.

    Attributes:
        promises: The promises that are shown.
        total: How many are pending.
        sampled: Whether there are more than are shown.
        cycles: Circles of promises that wait for each other, by their numbers, each circle once.
        time: When this was, in seconds since the epoch.
    """

    promises: tuple[PendingPromise, ...]
    total: int
    sampled: bool
    cycles: tuple[tuple[int, ...], ...]
    time: float = field(default_factory=time.time)


def pending(*, limit: int | None = LIMIT, library: type[Promise[Any]] | None = None) -> Pending:
    """The promises that are pending now.

    Python's garbage collector finds them when you call this: nothing has to be switched on.
    Promises made before ``gc.freeze()`` are not found.

    Args:
        limit: How many to show at most; None for all.  If there are more, a sample is shown, from
            the oldest to the youngest, with all that these wait for.
        library: Show one library copy only; by default all.

    Raises:
        TypeError: *limit* is not an `int`, or *library* not a library copy.
        ValueError: *limit* is less than 1.
    """
    check_limit(limit)
    check_library(library)
    found = find_pending(library, limit)
    return look(found.promises, found, limit)


def snapshot(
    limit: int | None = LIMIT, library: type[Promise[Any]] | None = None
) -> dict[str, Any]:
    """The result of `pending` as a `dict` that `json` can write.

    Args:
        limit: See `pending`.
        library: See `pending`.
    """
    return as_dict(pending(limit=limit, library=library))


def as_dict(now: Pending) -> dict[str, Any]:
    """The result of `snapshot`."""
    return {
        "time": now.time,
        "total": now.total,
        "shown": len(now.promises),
        "sampled": now.sampled,
        "promises": [
            {
                **vars(one),
                "waits_for": [{**vars(wait)} for wait in one.waits_for],
                "waited_for_by": list(one.waited_for_by),
                "coroutine": list(one.coroutine),
            }
            for one in now.promises
        ],
        "cycles": [list(cycle) for cycle in now.cycles],
    }


def look(seeds: list[Any], found: Found, limit: int | None, *, all_of: bool = True) -> Pending:
    """Records for some promises, for what they wait for, and for the holders of that.

    Args:
        seeds: The promises to begin with.
        found: All pending promises that were found.
        limit: How many get a record at most.
        all_of: The seeds are all that were found: a sample of them is taken if there are too many.
    """
    few = all_of and len(found.promises) == found.total <= (limit or found.total)
    chosen = _Chosen(limit, {id(promise) for promise in found.promises} if few else None)
    # Leave some of the limit for promises that hold what others wait for.
    chosen.add(seeds, 0 if few or limit is None else limit // 4)
    holders: dict[int, list[Holder]] = {}
    for _ in range(_ROUNDS):
        resources = [one for one in chosen.resources() if id(one) not in holders]
        if not resources:
            break
        promises = chosen.and_others(found.promises)
        held = _safely(find_holders, {}, promises, resources, *chosen.waiting())
        holders |= held
        chosen.add([holder.promise for several in held.values() for holder in several])
    chosen.add(seeds)
    return _pending(chosen, holders, found.total)


class _Chosen:
    """The promises that get a record, each with what it waits for.

    Args:
        limit: How many there may be.
        known: The `id` of each promise that may be among them; None for all.
    """

    def __init__(self, limit: int | None, known: set[int] | None) -> None:
        self._limit: float = float("inf") if limit is None else limit
        self._known = known
        self._handled = handled_now()
        self.waits: dict[int, list[Wait]] = {}
        self.promises: list[Any] = []

    def add(self, seeds: list[Any], left: int = 0) -> None:
        """Add promises, evenly spread, each with what it waits for; leave *left* unused."""
        every = -(-len(seeds) // int(min(self._limit, len(seeds) or 1)))
        for first in range(every):
            for seed in seeds[first::every]:
                ahead = [seed]
                while ahead and len(self.promises) < self._limit - left:
                    promise = ahead.pop()
                    if id(promise) not in self.waits and self._may_be_shown(promise):
                        waits = _safely(waits_of, _CHANGING, promise, self._handled)
                        self.waits[id(promise)] = waits
                        self.promises.append(promise)
                        ahead += [one.promise for one in reversed(waits) if one.promise is not None]
                if ahead:
                    return

    def _may_be_shown(self, promise: Any) -> bool:
        return self._known is None or id(promise) in self._known

    def resources(self) -> list[Any]:
        """The resources that they wait for, and that others hold."""
        found = {id(one.resource): one.resource for waits in self.waits.values() for one in waits}
        return [resource for resource in found.values() if resource is not None]

    def waiting(self) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
        """By the `id` of a resource: the promises that wait for it, and all behind them.

        The latter wait for the former.
        """
        waiting: dict[int, set[int]] = {}
        followed_by: dict[int, list[int]] = {}
        for promise, waits in self.waits.items():
            for one in waits:
                waiting.setdefault(id(one.resource), set()).add(promise)
                followed_by.setdefault(id(one.promise), []).append(promise)
        behind: dict[int, set[int]] = {}
        for resource, promises in waiting.items():
            behind[resource] = set()
            ahead = [*promises]
            while ahead:
                promise = ahead.pop()
                if promise not in behind[resource]:
                    behind[resource].add(promise)
                    ahead += followed_by.get(promise, ())
        return waiting, behind

    def and_others(self, promises: list[Any]) -> Iterable[Any]:
        """The chosen ones of some promises first, then the others."""
        return chain(self.promises, (one for one in promises if id(one) not in self.waits))


def _pending(chosen: _Chosen, holders: dict[int, list[Holder]], total: int) -> Pending:
    ids = {id(promise): number_of(promise) for promise in chosen.promises}
    waits_for = {
        number: list(_waits_for(chosen.waits[key], ids, holders)) for key, number in ids.items()
    }
    edges = {
        number: [one.id for one in waits if one.id is not None]
        for number, waits in waits_for.items()
    }
    waited_for_by: dict[int, dict[int, None]] = {number: {} for number in edges}
    for number, ahead in edges.items():
        for one in ahead:
            waited_for_by[one][number] = None
    for promise in chosen.promises:
        for waiter in _safely(waiters_of, [], promise):
            if id(waiter) in ids:
                waited_for_by[ids[id(promise)]][ids[id(waiter)]] = None
    records = [
        _record(promise, number, waits_for[number], tuple(waited_for_by[number]))
        for promise, number in zip(chosen.promises, ids.values(), strict=True)
    ]
    # So that a page that is loaded again looks the same.
    records.sort(key=attrgetter("id"))
    shown_ = len(records)
    cycles = tuple(map(tuple, find_cycles(edges)))
    return Pending(tuple(records), max(total, shown_), total > shown_, cycles)


def _waits_for(
    waits: Iterable[Wait], ids: dict[int, int], holders: dict[int, list[Holder]]
) -> Iterable[WaitsFor]:
    for wait in waits:
        held_by = holders.get(id(wait.resource), ())
        if wait.resource is None or not held_by:
            yield WaitsFor(_short(wait.text), ids.get(id(wait.promise)))
        for holder in held_by:
            certainly = "" if holder.certain else ", it seems"
            number = ids.get(id(holder.promise))
            who = _name(holder.promise) + ("" if number is None else f" #{number}")
            yield WaitsFor(f"{_short(wait.text)}; {who} holds it{certainly}", number)


def _record(
    promise: Any, number: int, waits_for: list[WaitsFor], waited_for_by: tuple[int, ...]
) -> PendingPromise:
    place, age = origin_of(promise)
    return PendingPromise(
        id=number,
        name=_name(promise),
        repr=_short(shown(promise)),
        state=state_of(promise),
        place=None if place is None else 'File "{}", line {}, in {}'.format(*place),
        age=age,
        waits_for=tuple(waits_for),
        waited_for_by=waited_for_by,
        coroutine=tuple(_safely(coroutine_of, [], promise)),
    )


def _name(promise: Any) -> str:
    return _short(printable(_safely(name, "promise", promise)))


def _short(text: str) -> str:
    """The start of a text, which may be any object's repr."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _safely(function: Callable[..., U], otherwise: Any, *arguments: Any) -> U:
    """The result of a function, also if a signal has interrupted a change of the promises."""
    try:
        return function(*arguments)
    except Exception:
        return otherwise  # type: ignore[no-any-return]
