"""The first of several: `any`, `some` and `race`."""

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
from .rules import not_an_int
from .several import FirstMethod, Several

__all__ = ["Racing", "Some"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Some(Several):
    """The first values, in the order in which they came."""

    __slots__ = ("_can", "_count", "_reasons", "_values")

    def _start(self, source: CorePromise, /, count: int = 1, *_: Any) -> None:
        self._count = count
        self._values: list[Any] = []
        self._reasons: list[Any] = []
        super()._start(source)

    def _begin(self, length: int) -> None:
        # How many items are fulfilled, or can still be.
        self._can = length
        if not self._count:
            self._complete()
        elif length < self._count:
            error = ValueError(
                f"the input must contain at least {self._count} items "
                f"but contains only {length} items"
            )
            reject(self.finish(), error)

    def _fulfilled(self, value: Any) -> None:
        self._values.append(value)
        if len(self._values) == self._count:
            self._complete()

    def _complete(self) -> None:
        values = self._values
        fulfill(self.finish(), values)

    def _failed(self, promise: CorePromise) -> None:
        self._can -= 1
        if promise._state & REJECTED:
            self._reasons.append(promise._value)
        if self._can < self._count:
            reasons = self._reasons
            own = self.finish()
            if reasons:
                reject(own, AggregateError("too few of the promises were fulfilled", reasons))
            else:
                finish_cancel(own)

    def _was_cancelled(self, promise: CorePromise) -> None:
        # It is one less, as one that is cancelled later, and no failure.
        self._failed(promise)

    def _release(self) -> None:
        super()._release()
        self._values, self._reasons = [], []


class _Any(Some):
    """The first value."""

    __slots__ = ()

    def _complete(self) -> None:
        (value,) = self._values
        fulfill(self.finish(), value)


class _Race(Several):
    """What settles first."""

    __slots__ = ()

    def _fulfilled(self, value: Any) -> None:
        fulfill(self.finish(), value)


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
        def __call__(self, items: Fired[Iterable[Either[T]]], /, count: int) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllPromises[T], /, count: int) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /, count: int) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _SomeOf(Protocol[T]):
        def __call__(self, count: int) -> Listed[T]: ...

else:
    _SomeMethod = Both


class Racing(CorePromise, Generic[T_co]):
    """The methods that need the first of several promises; each is a static function too.

    An input is as for `Promise.all`.
    """

    __slots__ = ()

    @FirstMethod
    def any(self) -> Any:
        """A promise for the first value that comes.

        Rejects with an `AggregateError` of all reasons if there is none, and with a
        `ValueError` if there are no items; it is cancelled if all items are, or were before.

        Bluebird: ``Promise.any``.
        """
        return _Any.derive(self)

    @_SomeMethod
    def some(self, count: int) -> Any:
        """A promise for a list of the first *count* values, in the order in which they came.

        Args:
            count: An `int`, 0 or more; anything else rejects with a `TypeError`.

        Rejects with an `AggregateError` of the reasons, in the order in which they came, as
        soon as too few can be fulfilled; with a `ValueError` if there are too few items.  Items
        that are cancelled, or were before, have no reason: without any, the result is cancelled.

        Bluebird: ``Promise.some``.
        """
        if not is_int(count) or count < 0:
            return new_rejected(type(self), not_an_int("count", count, "0 or more"))
        return Some.derive(self, count)

    @FirstMethod
    def race(self) -> Any:
        """A promise that settles as the first of the items that does.

        A race of nothing stays pending; see `any`.

        Bluebird: ``Promise.race``; Twisted: `DeferredList`, fired by the first of either kind.
        """
        return _Race.derive(self)
