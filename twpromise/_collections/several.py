"""The node that waits for several promises, and the types of the methods that use it.

`all` and `some` are kinds of it: they define what happens when an item is fulfilled, when one
has failed, and when there are no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, overload

from .._core.cancelling import drop, leave
from .._core.following import follow, outcome_of
from .._core.reactions import late_observer, subscribe
from .._core.resolving import adopters
from .._core.settling import mark_handled, pass_on
from .._core.states import DEAD, FULFILLED, REJECTED, CorePromise, is_promise
from .._util.types import AllPromises, AllValues, Either, Fired, Listed
from .collecting import Collecting
from .rules import OneInput, as_promise, expect_iterable

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["FirstMethod", "ListMethod", "Several"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Several(Collecting):
    """Waits for a promise of a collection, then for the items, and settles one promise.

    It subscribes to the items itself, without an object for each of them.
    """

    __slots__ = ("_class", "_items")

    def _start(self, source: CorePromise, cancel_rest: bool = False, /, *_: Any) -> None:
        self._cancels_rest = cancel_rest
        self._class = type(source)
        # For each item its value, or its promise while that is pending or if it has failed.  None
        # before the collection is read, and after the node's promise was cancelled.
        self._items: Any = None
        outcome = outcome_of(source)
        if outcome._state & FULFILLED:
            self._read(outcome._value)
        else:
            self.wait_for_source(source)

    def _notify(self, parent: CorePromise) -> None:
        if self._items is not None:
            if parent._state & FULFILLED:
                self._fulfilled(parent._value)
            else:
                self._failed(parent)
        elif parent._state & FULFILLED:
            self._source = None
            self._read(parent._value)
        else:
            super()._notify(parent)

    def _read(self, collection: Any) -> None:
        promise, cancels = self._promise, self._cancels_rest
        # If something settles it meanwhile, cancel nothing before all items have been looked at.
        self._cancels_rest = False
        items: list[Any] = []
        try:
            items.extend(self._list(collection))
        except BaseException as error:
            self.fail(error)
        # Always: also look at what an iterator yielded before it raised.
        if not self._state & DEAD:
            self._items = items
            self._begin(len(items))
        self._iterate(items)
        if cancels:
            self._cancels_rest = True
            if self._state & DEAD and self._items is not None:
                self._drop_rest(self._promises_of(items), promise)

    def _iterate(self, items: list[Any]) -> None:
        """Look at each item, also at those after the one that has settled the promise."""
        for index, item in enumerate(items):
            adopter = adopters[type(item)]
            if adopter is None:
                if not self._state & DEAD:
                    self._fulfilled(item)
            elif adopter is follow and not (item._state or self._state & DEAD):
                # Like `_look_at`, inlined: that saves a quarter of an item.
                subscribe(item, self)
            else:
                self._look_at(items, index)

    def _look_at(self, items: list[Any], index: int) -> None:
        """An item is followed: go on with its value, or wait for it."""
        item = items[index]
        promise = as_promise(self._class, item, self._promise)
        outcome = outcome_of(promise)
        if outcome._state & FULFILLED:
            items[index] = outcome._value
            if not self._state & DEAD:
                self._fulfilled(outcome._value)
        elif self._state & DEAD:
            items[index] = promise
            self._too_late(promise)
        elif outcome._state & DEAD:
            items[index] = outcome
            mark_handled(promise)
            if outcome._state & REJECTED:
                self._failed(outcome)
            else:
                self._was_cancelled(promise)
        else:
            items[index] = promise
            subscribe(promise, self)

    def _too_late(self, promise: CorePromise) -> None:
        """An item is pending or has failed, but the node has ended."""
        # A rejection counts as handled.
        mark_handled(promise)
        if self._items is None:
            drop(promise)

    # --- what each kind defines

    def _list(self, collection: Any) -> Iterable[Any]:
        """The items; an error of this method, or of reading them, rejects."""
        return expect_iterable(collection)  # type: ignore[no-any-return]

    def _begin(self, length: int) -> None:
        """Prepare for so many items; none of them has been looked at yet."""

    def _fulfilled(self, value: Any) -> None:
        """An item has this value."""

    def _failed(self, promise: CorePromise) -> None:
        """An item was rejected or cancelled."""
        self.settle(pass_on, promise)

    def _was_cancelled(self, promise: CorePromise) -> None:
        """An item had been cancelled before it was looked at."""
        self._failed(late_observer(promise))

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        if not self._items:
            return super().waits()
        return (
            (f"item {index}", item) for index, item in enumerate(self._items) if is_promise(item)
        )

    # --- ending

    def _release(self) -> None:
        self._items = []

    def _abandon(self, stack: list[CorePromise]) -> bool:
        wanted = self._wanted()
        self.finish()
        self._items = None
        # Cancel the first item first.
        for item in reversed(wanted):
            if is_promise(item):
                leave(item, stack)
        return False

    def _wanted(self) -> list[Any]:
        return [self._source] if self._items is None else self._promises_of(self._items)

    def _drop_rest(self, items: list[Any], promise: CorePromise) -> None:
        if self._cancels_rest:
            # Stop waiting, as after a cancellation of the node's promise.
            self._items = None
            super()._drop_rest(items, promise)

    def _promises_of(self, items: list[Any]) -> list[Any]:
        """Items, with a promise to leave for each that is waited for without one."""
        return items


if TYPE_CHECKING:

    class ListOf(Protocol[T]):
        """The type of a promise's method that returns a promise for a list of values."""

        def __call__(self, *, cancel_rest: bool = ...) -> Listed[T]: ...

    class _FirstOf(Protocol[T_co]):
        def __call__(self, *, cancel_rest: bool = ...) -> Promise[T_co]: ...

    class ListMethod(OneInput):
        """The type of a method that returns a promise for a list of values of the items."""

        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> ListOf[T]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> ListOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Iterable[Either[T]]], /, *, cancel_rest: bool = ...
        ) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllPromises[T], /, *, cancel_rest: bool = ...) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /, *, cancel_rest: bool = ...) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class FirstMethod(OneInput):
        """The type of a method that returns a promise for the value of one of the items."""

        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> _FirstOf[T]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> _FirstOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Iterable[Either[T]]], /, *, cancel_rest: bool = ...
        ) -> Promise[T]: ...
        @overload
        def __call__(self, items: AllPromises[T], /, *, cancel_rest: bool = ...) -> Promise[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /, *, cancel_rest: bool = ...) -> Promise[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    FirstMethod = ListMethod = OneInput
