"""A value that must not get lost on its way to the consumers of a promise.

Between the settling of a promise and the job that notifies its subscribers, all of them may leave.
A `Claim` looks at each subscriber just before it is notified, in the same step of the drain, and
follows the value through promises that only pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

from .settling import finish_cancel, fulfill
from .states import DEAD, FOLLOWING, NODE, OBSERVER, REST, CorePromise
from .subscribers import Subscribers

__all__ = ["Claim"]


class _Delivery:
    """The entry in the queue for the subscribers of a promise; see `draining`."""

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
        # How many promises are still to be fulfilled with it, and how many subscribers hold it
        # for a consumer that runs later.
        self._deliveries = 0
        #: Whether a consumer has it, or a promise that had no consumer when it was fulfilled.
        self.reached = False

    def deliver(self, promise: CorePromise, lost: Callable[[], object]) -> None:
        """Fulfil a pending promise, from the queue.

        Args:
            promise: Can be cancelled until then.
            lost: Called if the value reaches no consumer, here or elsewhere.
        """
        self._deliveries += 1
        promise._queue.add(_Delivery(promise, self._turn(promise, lost)))

    def _turn(self, promise: CorePromise, lost: Callable[[], object]) -> Iterator[Any]:
        """The subscribers for the drain to notify; each is notified as soon as it is yielded."""
        if not promise._state & DEAD:
            subscribers = _consumers_first(promise)
            if all(subscriber._state == OBSERVER for subscriber in subscribers):
                # The promise keeps the value for later consumers.
                self.reached = True
                fulfill(promise, self._value)
            elif _has_left(subscribers[0]):
                # All have had it, since the promise before this one was fulfilled.  Later consumers
                # must not get the value.
                finish_cancel(promise)
            else:
                promise._subscribers = None
                fulfill(promise, self._value)
                for subscriber in subscribers:
                    if _has_left(subscriber):
                        yield subscriber
                    elif _passes_on(subscriber):
                        node = subscriber._state & NODE
                        self.deliver(subscriber.finish() if node else subscriber, lost)
                    else:
                        if not subscriber._state & NODE or subscriber.claims(
                            partial(self._hold, lost)
                        ):
                            self.reached = True
                        yield subscriber
        self._end(lost)

    def _hold(self, lost: Callable[[], object]) -> Callable[[], object]:
        self._deliveries += 1
        return partial(self._end, lost)

    def _end(self, lost: Callable[[], object]) -> None:
        self._deliveries -= 1
        if not self._deliveries and not self.reached:
            lost()


def _has_left(subscriber: Any) -> bool:
    return bool(subscriber._state & DEAD)


def _consumers_first(promise: CorePromise) -> list[Any]:
    """The subscribers: none can leave before the first consumer among them has been notified."""
    there = promise._subscribers
    if there is None:
        return []
    return sorted(there.in_order(), key=_has_left) if type(there) is Subscribers else [there]


def _passes_on(subscriber: Any) -> bool:
    """Whether a subscriber does nothing with a value except fulfil a promise with it."""
    state = subscriber._state
    if state & NODE:
        return bool(subscriber.passes_on)
    # A follower, or a derived promise without a handler for values.
    return bool(state & FOLLOWING) or subscriber._value is None
