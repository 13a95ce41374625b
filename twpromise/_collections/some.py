"""Methods that need the first of several: `any`, `some` and `race`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, overload

from .._core.resolving import new_rejected
from .._core.settling import finish_cancel, fulfill, reject
from .._core.states import REJECTED, CorePromise
from .._util.both import Both
from .._util.checks import is_int
from .._util.errors import AggregateError
from .._util.types import AllPromises, AllValues, Either, Fired, Listed
from .collecting import derive_cancelling
from .rules import not_an_int
from .several import FirstMethod, Several

__all__ = ["Racing", "Some"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Some(Several):
    """The first values, in the order in which they arrive."""

    __slots__ = ("_can", "_count", "_reasons", "_values")

    def _start(
        self, source: CorePromise, count: Any = 1, cancel_rest: Any = False, /, *_: Any
    ) -> None:
        self._count = count
        self._values: list[Any] = []
        self._reasons: list[Any] = []
        super()._start(source, cancel_rest)

    def _begin(self, length: int) -> None:
        # How many items are fulfilled, or may still be.
        self._can = length
        if not self._count:
            self._complete()
        elif length < self._count:
            error = ValueError(
                f"the input must contain at least {self._count} items "
                f"but contains only {length} items"
            )
            self.settle(reject, error)

    def _fulfilled(self, value: Any) -> None:
        self._values.append(value)
        if len(self._values) == self._count:
            self._complete()

    def _complete(self) -> None:
        self.settle(fulfill, self._values)

    def _failed(self, promise: CorePromise) -> None:
        self._can -= 1
        if promise._state & REJECTED:
            self._reasons.append(promise._value)
        if self._can < self._count:
            if self._reasons:
                message = "too few of the promises were fulfilled"
                self.settle(reject, AggregateError(message, self._reasons))
            else:
                self.settle(finish_cancel)

    def _was_cancelled(self, promise: CorePromise) -> None:
        # Count it as one less, like an item that is cancelled later; it is not a failure.
        self._failed(promise)

    def _release(self) -> None:
        super()._release()
        self._values, self._reasons = [], []


class _Any(Some):
    """The first value."""

    __slots__ = ()

    def _complete(self) -> None:
        self.settle(fulfill, *self._values)


class _Race(Several):
    """The first outcome."""

    __slots__ = ()

    def _fulfilled(self, value: Any) -> None:
        self.settle(fulfill, value)


if TYPE_CHECKING:

    class _SomeMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> _SomeOf[T]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> _SomeOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Iterable[Either[T]]], /, count: int, *, cancel_rest: bool = ...
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: AllPromises[T], /, count: int, *, cancel_rest: bool = ...
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: AllValues[T], /, count: int, *, cancel_rest: bool = ...
        ) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _SomeOf(Protocol[T]):
        def __call__(self, count: int, *, cancel_rest: bool = ...) -> Listed[T]: ...

else:
    _SomeMethod = Both


class Racing(CorePromise, Generic[T_co]):
    """The methods that need the first of several promises; each is a static function too.

    The input is as for `Promise.all`.
    """

    __slots__ = ()

    @FirstMethod
    def any(self, *, cancel_rest: bool = False) -> Any:
        """A promise for the value of the first item that is fulfilled.

        Args:
            cancel_rest: Whether to cancel the other items then, except those that have another
                consumer.

        Rejects with an `AggregateError` of all reasons if no item is fulfilled, and with
        `ValueError` if there are no items.  Is cancelled if all items are.

        Bluebird: ``Promise.any``.
        """
        return derive_cancelling(_Any, self, cancel_rest, 1)

    @_SomeMethod
    def some(self, count: int, *, cancel_rest: bool = False) -> Any:
        """A promise for a list of the first *count* values, in the order in which they arrive.

        Args:
            count: An `int`, 0 or more; anything else rejects with `TypeError`.
            cancel_rest: As for `any`; also when too few items can be fulfilled.

        Rejects with `ValueError` if there are too few items; and as soon as too few can be
        fulfilled, with an `AggregateError` of the reasons, in the order in which they arrived.
        Is cancelled instead if there are no reasons, since those items were cancelled.

        Bluebird: ``Promise.some``.
        """
        if not is_int(count) or count < 0:
            return new_rejected(type(self), not_an_int("count", count, "0 or more"))
        return derive_cancelling(Some, self, cancel_rest, count)

    @FirstMethod
    def race(self, *, cancel_rest: bool = False) -> Any:
        """A promise with the outcome of the first item that settles.

        Args:
            cancel_rest: Whether to cancel the other items then, except those that have another
                consumer.

        Without items it stays pending; use `any` if the input may be empty.

        Bluebird: ``Promise.race``; Twisted: `DeferredList`, with both ``fireOn`` flags.
        """
        return derive_cancelling(_Race, self, cancel_rest)
