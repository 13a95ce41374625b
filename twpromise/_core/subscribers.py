"""The subscribers of a promise: `_subscribers` may be empty, one subscriber, or `Subscribers`.

A subscriber is a derived promise, a follower, or a `Node`.  It is a *consumer* as long as it is
alive, according to its own state: a subscriber that leaves marks itself, and is removed later.  One
that is *cancelling* cleans up: it is not a consumer, but is still notified.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

from .states import (
    AT_ONCE,
    CANCELLING,
    DEAD,
    FOLLOWING,
    NODE,
    OBSERVER,
    SETTLED,
    SEVERAL,
    UNHANDLING,
    CorePromise,
)


class Subscribers(dict[Any, "int | tuple[int, ...]"]):
    """Several subscribers, each with the number, or numbers, under which it has subscribed.

    Dead ones are dropped from the end when they are met there, and everywhere each time the number
    has doubled: so they do not pile up on a promise that stays pending, and the cost of leaving
    does not depend on their number.
    """

    __slots__ = ("_next", "_sorted", "_state", "cleaning", "limit")

    #: `SEVERAL`, with `FOLLOWING` if there are, or were, followers among them.
    _state: int

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, first: Any) -> None:
        super().__init__({first: 0})
        self._state = SEVERAL | first._state & FOLLOWING
        self._next = 1
        # Each has subscribed once, and they are in the order of their numbers.
        self._sorted = True
        self.limit = 8
        #: The ones found cleaning up, at the end.
        self.cleaning: dict[Any, int | tuple[int, ...]] = {}

    def add(self, subscriber: Any) -> None:
        """Append a subscriber; one that has subscribed already is notified once more."""
        if len(self) + len(self.cleaning) >= self.limit:
            for left in [other for other in self if other._state & SETTLED]:
                del self[left]
            self.drop_cleaned()
            self.limit = 2 * (len(self) + len(self.cleaning)) + 8
        number = self._next
        self._next = number + 1
        numbers = self.get(subscriber)
        if numbers is None:
            self[subscriber] = number
        else:
            self[subscriber] = (*_all(numbers), number)
            self._sorted = False

    def replace(self, subscriber: Any, other: Any) -> None:
        """Let *other* subscribe in the place of *subscriber*."""
        holder = self if subscriber in self else self.cleaning
        self[other] = holder.pop(subscriber)
        self._sorted = False

    def has_consumers(self) -> bool:
        """Whether any of them is alive."""
        while self:
            # `next(reversed(self))` would step over all that were deleted there, each time.
            last, numbers = self.popitem()
            if not last._state & DEAD:
                self[last] = numbers
                return True
            if last._state & CANCELLING:
                self.cleaning[last] = numbers
        self.drop_cleaned()
        return False

    def drop_cleaned(self) -> None:
        """Drop those that have ended: they need not be notified."""
        self.cleaning = {
            other: numbers for other, numbers in self.cleaning.items() if not other._state & SETTLED
        }

    def remove(self, subscriber: Any) -> None:
        """Remove a subscriber that is alive again, and waits for something else."""
        self.pop(subscriber, None)
        self.cleaning.pop(subscriber, None)

    def in_order(self) -> Iterator[Any]:
        """The subscribers in the order in which they have subscribed, as often as each has."""
        if self._sorted and not self.cleaning:
            return iter(self)
        entries = [
            (number, subscriber)
            for subscriber, numbers in chain(self.items(), self.cleaning.items())
            for number in _all(numbers)
        ]
        return iter([subscriber for _, subscriber in sorted(entries, key=itemgetter(0))])


def _all(numbers: int | tuple[int, ...]) -> tuple[int, ...]:
    return numbers if isinstance(numbers, tuple) else (numbers,)


def add_subscriber(promise: CorePromise, subscriber: Any) -> None:
    """Append a subscriber to a promise that is neither settled nor cancelling."""
    there = promise._subscribers
    if there is None:
        promise._subscribers = subscriber
        return
    if type(there) is not Subscribers:
        notify_from_queue(promise)
        there = promise._subscribers = Subscribers(there)
    there.add(subscriber)
    there._state |= subscriber._state & FOLLOWING


def notify_from_queue(promise: CorePromise) -> None:
    """Notify a node that counts values at once from the queue, from now on.

    It has counted what had settled before; what comes from the queue keeps its order.
    """
    if promise._subscribers is not None and promise._subscribers._state == AT_ONCE:
        promise._subscribers._state = NODE


def has_consumers(promise: CorePromise) -> bool:
    """Whether any subscriber is alive; if none is alive, all dead ones are dropped."""
    there = promise._subscribers
    if there is None:
        return False
    if type(there) is Subscribers:
        if there.has_consumers():
            return True
        if not there.cleaning:
            promise._subscribers = None
        return False
    if there._state & SETTLED:
        promise._subscribers = None
    return not there._state & DEAD


def has_handlers(promise: CorePromise) -> bool:
    """Whether a rejection has a subscriber that counts as handling it."""
    there = promise._subscribers
    if there is None:
        return False
    if type(there) is Subscribers:
        return any(not other._state & UNHANDLING for other in chain(there, there.cleaning))
    return not there._state & UNHANDLING


def has_subscribed(promise: CorePromise, subscriber: Any) -> bool:
    """Whether a promise will notify a subscriber when it settles."""
    there = promise._subscribers
    if type(there) is Subscribers:
        return subscriber in there or subscriber in there.cleaning
    return there is subscriber


def remove_subscriber(promise: CorePromise, subscriber: Any) -> None:
    """Remove a subscriber that is about to wait for something else."""
    there = promise._subscribers
    if there is subscriber:
        promise._subscribers = None
    elif type(there) is Subscribers:
        there.remove(subscriber)
        if not there and not there.cleaning:
            promise._subscribers = None


def replace_subscriber(promise: CorePromise, subscriber: Any, other: Any) -> None:
    """Let *other*, a follower, subscribe in the place of *subscriber*."""
    if promise._subscribers is subscriber:
        promise._subscribers = other
    else:
        promise._subscribers.replace(subscriber, other)


def subscribers_of(promise: CorePromise) -> list[Any]:
    """All subscribers, in the order in which they have subscribed."""
    there = promise._subscribers
    if there is None:
        return []
    return list(there.in_order()) if type(there) is Subscribers else [there]


def dependents_of(promise: CorePromise) -> list[CorePromise]:
    """The promises among the subscribers, and those that other subscribers will settle."""
    dependents: list[CorePromise] = []
    for subscriber in subscribers_of(promise):
        if subscriber._state & SETTLED or subscriber._state == OBSERVER:
            continue
        dependents += subscriber._settles(promise) if subscriber._state & NODE else [subscriber]
    return dependents


def followers_of(promise: CorePromise) -> list[CorePromise]:
    """The subscribers that follow a promise, the last one first."""
    there = promise._subscribers
    if there is None or not there._state & FOLLOWING:
        return []
    if type(there) is not Subscribers:
        return [there]
    return [other for other in reversed(list(there.in_order())) if other._state & FOLLOWING]


def all_behind(promise: CorePromise, but: int = 0) -> Iterator[CorePromise]:
    """The promises that wait for a promise, directly or through others.

    A promise that waits in a circle is one of those behind it.

    Args:
        promise: The promise they wait for.
        but: Bits of a state; promises in such a state, and those that wait for them, are left out.
    """
    found, seen = [promise], set[int]()
    while found:
        for behind in dependents_of(found.pop()):
            if id(behind) not in seen and not behind._state & but:
                seen.add(id(behind))
                found.append(behind)
                yield behind
