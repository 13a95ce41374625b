"""A value that must not get lost on its way to the consumers of a promise.

Between the settling of a promise and the turn in which its subscribers are notified they may all
leave.  A `Claim` looks at each subscriber just before that is notified, in the same step of the
drain, and follows the value through promises that only pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

from .reactions import Node
from .settling import fulfill
from .states import DEAD, FOLLOWING, NODE, REST, CorePromise
from .subscribers import Subscribers

__all__ = ["Claim"]


class _Delivery:
    """In the queue, the subscribers of a promise that are to be notified; see `draining`."""

    __slots__ = ("parent", "subscribers")

    _state: ClassVar[int] = REST

    def __init__(self, parent: CorePromise, subscribers: Iterator[Any]) -> None:
        self.parent = parent
        self.subscribers = subscribers


class Claim:
    """A value, and whether it has reached a consumer."""

    __slots__ = ("_deliveries", "_value", "reached")

    def __init__(self, value: Any) -> None:
        self._value = value
        # How many promises have it whose subscribers have not all been notified, and how many
        # subscribers hold it for a consumer that runs later.
        self._deliveries = 0
        #: Whether a consumer has it, or a promise that had no consumer when it was fulfilled.
        self.reached = False

    def deliver(self, promise: CorePromise, lost: Callable[[], object]) -> None:
        """Fulfil a pending promise, when its turn in the queue has come.

        Args:
            promise: May be cancelled until then.
            lost: Called if the value reaches no consumer.
        """
        self._queue(promise, self._begin(promise), lost)

    def _queue(
        self, promise: CorePromise, subscribers: Iterable[Any], lost: Callable[[], object]
    ) -> None:
        self._deliveries += 1
        promise._queue.add(_Delivery(promise, self._notified(subscribers, lost)))

    def _begin(self, promise: CorePromise) -> Iterator[Any]:
        # A generator: the drain runs this, and notifies the first subscriber next.
        if not promise._state & DEAD:
            yield from self._fulfill(promise)

    def _fulfill(self, promise: CorePromise) -> Iterable[Any]:
        """Fulfil a promise; returns its subscribers, which are still to be notified."""
        there = promise._subscribers
        promise._subscribers = None
        fulfill(promise, self._value)
        if there is None:
            # The promise keeps the value, for consumers that are still to come.
            self.reached = True
            return ()
        return there.in_order() if type(there) is Subscribers else (there,)

    def _notified(self, subscribers: Iterable[Any], lost: Callable[[], object]) -> Iterator[Any]:
        """Those of *subscribers* that the drain is to notify, each of them at once."""
        for subscriber in subscribers:
            passes = _passes_on(subscriber)
            if passes is not None:
                self._queue(passes, self._fulfill(passes), lost)
                continue
            if not subscriber._state & DEAD:
                if subscriber._state & NODE and subscriber.hold(partial(self._end, lost)):
                    self._deliveries += 1
                else:
                    self.reached = True
            yield subscriber
        self._end(lost)

    def _end(self, lost: Callable[[], object]) -> None:
        self._deliveries -= 1
        if not self._deliveries and not self.reached:
            lost()


def _passes_on(subscriber: Any) -> CorePromise | None:
    """The promise that a subscriber does nothing with but fulfil it with the same value."""
    state = subscriber._state
    if state & DEAD:
        return None
    if state & NODE:
        # It is settled as it is notified.
        return subscriber.finish() if type(subscriber)._notify is Node._notify else None
    # A follower, or a derived promise without a handler for values.
    return subscriber if state & FOLLOWING or subscriber._value is None else None
