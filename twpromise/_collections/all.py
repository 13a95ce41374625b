"""Methods that wait for all items: `all` and `all_settled`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, overload

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._bridge.clean_ups import fail_clean_up
from .._bridge.deferreds import lock_to_deferred
from .._bridge.shared import (
    is_shared,
    keep_failure,
    keep_followed,
    leave_to_others,
    taken_from,
)
from .._core import hooks
from .._core.following import follow, outcome_of
from .._core.jobs import call_soon
from .._core.resolving import adopters, is_followed, new_resolved
from .._core.settling import fulfill
from .._core.states import (
    AT_ONCE,
    BY_CALLBACK,
    CANCELLING,
    DEAD,
    FULFILLED,
    CorePromise,
    new_pending,
)
from .._methods.reflection import PromiseInspection
from .._util.types import AllPromises, AllValues, Either, Fired, Followed, Listed
from .collecting import derive_cancelling
from .rules import OneInput
from .several import ListMethod, Several

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["All", "Combining"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class All(Several):
    """All values; or the first rejection, or cancellation.

    Most requests end with `all`, and it is fast in three ways.  It subscribes to a pending promise
    without a call.  It waits for a Deferred without a promise in between.  If all pending items are
    such Deferreds, or promises that only a callback fulfils, it counts them within the call that
    settles them (`AT_ONCE`), since no user code runs there.  The result is fulfilled from the queue
    all the same.
    """

    __slots__ = ("_left", "_looking", "_pending")

    #: The Deferreds that had not fired when the node ended without them, each at its index.
    _left: list[Any]

    def _begin(self, length: int) -> None:
        # Whether a Deferred is being looked at: if it fires now, it had fired before.
        self._looking = False
        # One too many, so that the node does not complete before it has looked at every item.
        self._pending = length + 1

    def _iterate(self, items: list[Any]) -> None:
        queue = self._class._queue
        queued = len(queue)
        arrived = self._arrived
        # Diagnostics see a promise for each item, and that it is consumed.
        fast = hooks.observer is None and not self._state & DEAD
        # Whether all that is pending can be counted at once.
        counts = fast
        valued = 1
        for index, item in enumerate(items):
            adopter = adopters[type(item)]
            if adopter is None:
                valued += 1
                continue
            if fast:
                if adopter is follow:
                    if item._subscribers is None and not item._state:
                        # Like `wait_for`, inlined: that saves a tenth of an item.
                        item._subscribers = self
                        if item._aux is not BY_CALLBACK:
                            counts = False
                        continue
                elif type(item) is Deferred:
                    if not item.called:
                        item.addBoth(arrived, index)
                        continue
                    taken = item._taken_by_promise  # type: ignore[attr-defined]
                    if taken is None and not is_followed(item.result):
                        self._looking = True
                        item.addBoth(arrived, index)
                        self._looking = False
                        continue
            self._look_at(items, index)
            counts = False
            # A coroutine that is started there may cancel the node's promise.
            fast = fast and not self._state & DEAD
        self._less(valued)
        if counts and len(queue) == queued and not self._state & DEAD:
            self.consume_at_once()

    def _notify(self, parent: CorePromise) -> None:
        # Like `Several`, with fewer calls: that saves 2 to 5 % of an item.
        if parent._state & FULFILLED and self._items is not None:
            self._less()
        else:
            super()._notify(parent)

    def _arrived(self, value: Any, index: int) -> None:
        """A Deferred that is waited for without a promise has fired."""
        deferred: Any = (self._left if self._state & DEAD else self._items)[index]
        if value is None and deferred._taken_by_promise is not None:
            value = taken_from(deferred)
        if value is None or adopters[type(value)] is None:
            deferred._taken_by_promise = value
            if self._state == AT_ONCE:
                self._items[index] = value
                # Like `_at_once`, inlined: that saves a tenth of an item.
                if self._pending > 1:
                    self._pending -= 1
                else:
                    call_soon(self._class, self._less)
            elif self._looking:
                self._items[index] = value
                self._pending -= 1
            elif not self._state & DEAD:
                self._items[index] = value
                # From the queue: others may have settled before, and are still to be notified.
                call_soon(self._class, self._less)
            return
        # A failure, or something that is followed.
        if self._state & DEAD and is_shared(deferred, self):
            deferred._taken_by_promise = value
            return
        if issubclass(type(value), Failure):
            keep_failure(deferred, value)
            fail_clean_up(deferred, value)
        else:
            # Through a promise of its own, a turn later, as when a promise adopts the Deferred.
            value = keep_followed(self._class, deferred, value, self._promise)
        promise: CorePromise = new_resolved(self._class, value, self._promise)
        if self._state & DEAD:
            self._too_late(promise)
        else:
            # From the queue, like all others: the first failure must become the reason.
            self.consume()
            self._items[index] = promise
            self.wait_for(promise)

    def _waits_for(self, deferred: Any) -> bool:
        # Also when another item has failed: then it goes on alone, as a promise does.
        return self._items is not None

    def _at_once(self) -> None:
        """An item is fulfilled within this call; the last one is counted from the queue."""
        if self._pending > 1:
            self._pending -= 1
        else:
            call_soon(self._class, self._less)

    def _less(self, items: int = 1) -> None:
        """Count items that have a value; the last one fulfils the promise."""
        if not self._state & DEAD:
            self._pending -= items
            if not self._pending:
                result = self._result()
                fulfill(self.finish(), result)

    def _fulfilled(self, value: Any) -> None:
        self._less()

    def _failed(self, promise: CorePromise) -> None:
        self._leave_deferreds()
        super()._failed(promise)

    def _result(self) -> Any:
        return [
            item._value if adopters[type(item)] is follow else item for item in self._items or ()
        ]

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        if not self._items:
            yield from super().waits()
            return
        yield f"{self._pending} of {len(self._items)} items", None
        for index, item in enumerate(self._items):
            # A promise, or a Deferred that is waited for without one.
            adopter = adopters[type(item)]
            if adopter is follow or (adopter is not None and not item.called):
                yield self._name_of(index), item

    def _name_of(self, index: int) -> str:
        return f"item {index}"

    def _abandon(self, stack: list[CorePromise]) -> bool:
        if self._items is not None:
            self._leave_deferreds()
        return super()._abandon(stack)

    def _promises_of(self, items: list[Any]) -> list[Any]:
        return [
            self._promise_of(item)
            if type(item) is Deferred and not leave_to_others(item, self)
            else item
            for item in items
        ]

    def _leave_deferreds(self) -> None:
        self._left = [item if type(item) is Deferred else None for item in self._items]

    def _promise_of(self, deferred: Deferred[Any]) -> CorePromise:
        """A promise whose cancellation cancels a Deferred that is waited for without one."""
        promise: CorePromise = new_pending(self._class, owner=self._promise)
        lock_to_deferred(promise, deferred)
        return promise


class _AllSettled(All):
    """An inspection of each item, however it settles."""

    __slots__ = ()

    def _look_at(self, items: list[Any], index: int) -> None:
        item = items[index]
        if adopters[type(item)] is follow:
            outcome = outcome_of(item)
            if outcome._state & CANCELLING:
                # It is cleaning up.
                items[index] = outcome
                self.wait_for_end(outcome)
                return
        super()._look_at(items, index)

    def _failed(self, promise: CorePromise) -> None:
        self._less()

    def _result(self) -> Any:
        make, of = PromiseInspection, PromiseInspection._of
        return [
            of(item) if adopters[type(item)] is follow else make(FULFILLED, item)
            for item in self._items or ()
        ]


if TYPE_CHECKING:
    # A short name, for many overloads.
    L: TypeAlias = Followed[T]
    Settled: TypeAlias = Listed[PromiseInspection[T]]

    class _AllMethod(ListMethod):
        @overload
        def __call__(
            self, items: Fired[Iterable[Either[T]]], /, *, cancel_rest: bool = ...
        ) -> Listed[T]: ...
        @overload
        def __call__(  # type: ignore[overload-overlap]
            self, items: tuple[L[A], L[B]], /, *, cancel_rest: bool = ...
        ) -> Promise[tuple[A, B]]: ...
        @overload
        def __call__(  # type: ignore[overload-overlap]
            self, items: tuple[L[A], L[B], L[C]], /, *, cancel_rest: bool = ...
        ) -> Promise[tuple[A, B, C]]: ...
        @overload
        def __call__(  # type: ignore[overload-overlap]
            self, items: tuple[L[A], L[B], L[C], L[D]], /, *, cancel_rest: bool = ...
        ) -> Promise[tuple[A, B, C, D]]: ...
        @overload
        def __call__(self, items: AllPromises[T], /, *, cancel_rest: bool = ...) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /, *, cancel_rest: bool = ...) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...  # pyright: ignore[reportIncompatibleMethodOverride]

    class _AllSettledMethod(OneInput):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> Callable[[], Settled[T]]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> Callable[[], Settled[T]]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Iterable[Either[T]]], /) -> Settled[T]: ...
        @overload
        def __call__(self, items: AllPromises[T], /) -> Settled[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /) -> Settled[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    _AllMethod = _AllSettledMethod = OneInput


class Combining(CorePromise, Generic[T_co]):
    """The methods that wait for all of several promises; each is a static function too.

    An input is an iterable of values, promises, Deferreds and the like, or a promise (a Deferred,
    ...) for one.  It is never modified.  The first rejection settles the result; later ones of the
    same input are not reported as unhandled.  Cancelling the result cancels the inputs that have
    no other consumer.
    """

    __slots__ = ()

    @_AllMethod
    def all(self, *, cancel_rest: bool = False) -> Any:
        """A promise for the list of all values, in the order of the input.

        It rejects with the first rejection.

        Args:
            cancel_rest: Whether to cancel the pending items at the first rejection, except those
                that have another consumer.

        Bluebird: ``Promise.all``; Twisted: ``gatherResults``.
        """
        if cancel_rest is False:
            return All.derive(self)
        return derive_cancelling(All, self, cancel_rest)

    @_AllSettledMethod
    def all_settled(self) -> Any:
        """A promise for a list with a `PromiseInspection` of each item, once all have settled.

        An item that is being cancelled has settled when its clean-up has ended.

        Bluebird: ``Promise.allSettled``; Twisted: ``DeferredList``.
        """
        return _AllSettled.derive(self)

    allSettled = all_settled
