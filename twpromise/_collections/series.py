"""Methods that take one item after the other: `reduce`, `each` and `map_series`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar, overload

from .._core.cancelling import drop
from .._core.following import outcome_of
from .._core.reactions import Node
from .._core.resolving import is_followed, new_resolved
from .._core.settling import fulfill, mark_handled, pass_on
from .._core.states import (
    CANCELLED,
    CANCELLING,
    DEAD,
    FULFILLED,
    REJECTED,
    CorePromise,
    is_promise,
)
from .._util.both import Both
from .._util.types import Either, Fired, Gives, Items, Listed, Promises, Sees, SeesIndex, Values
from .iterating import BATCH, Iterating
from .mapping import MapMethod
from .reading import END, Reader
from .rules import derive_calling

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["InSeries"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "<nothing>"


#: Stands for an `initial` that was left out.
MISSING: Final = _Missing()


class _Series(Iterating):
    """Reads an item, calls a function, waits for its result, and so on."""

    __slots__ = ()

    def _start(self, source: CorePromise, function: Any = None, /, *_: Any) -> None:
        self._cancels_rest = False
        super()._start(source, function)
        if not (self._waits or self._state & DEAD):
            self._run_soon()

    def _open(self, reader: Reader) -> None:
        items = reader.items or []
        for index, item in enumerate(items):
            if is_followed(item):
                items[index] = self._later(item)
                if self._state & DEAD:
                    # A coroutine among them has cancelled the node's promise.
                    drop(items[index])

    def _later(self, item: Any) -> CorePromise:
        """A promise for an item that is followed, but waited for only when it is reached."""
        promise = item if is_promise(item) else new_resolved(self._class, item, self._promise)
        # Its rejection counts when the item is reached, and is not reported before.
        mark_handled(promise)
        return promise

    def _run(self) -> None:
        self._running = True
        for _ in range(BATCH):
            if self._waits or self._state & DEAD:
                self._running = False
                return
            self._read()
        self._run_soon()

    def _take(self, item: Any) -> None:
        if item is END:
            result = self._result()
            fulfill(self.finish(), result)
        else:
            self._go_on(item, self._item)
        # The traceback of what the function raises leads here.
        del item

    def _item(self, value: Any, _: int) -> None:
        """The next item has this value."""
        self._call(len(self._results), value)

    def _result(self) -> Any:
        return self._results

    def _wanted(self) -> list[Any]:
        items = self._reader.items if self._reader is not None else None
        return [*super()._wanted(), *(items or ())]


class _Each(_Series):
    """Keeps the items."""

    __slots__ = ()

    def _item(self, value: Any, _: int) -> None:
        results = self._results
        results.append(value)
        self._call(len(results) - 1, value)


class _MapSeries(_Series):
    """Keeps the results of the function."""

    __slots__ = ()

    def _called(self, result: Any, index: int) -> None:
        self._results.append(result)


class _Initial(Node):
    """Notices that the initial value of a `_Reduce` is cancelled while the collection is pending.

    A rejection counts when it is reached, like that of an item.
    """

    __slots__ = ("whole",)

    whole: _Reduce

    def _notify(self, parent: CorePromise) -> None:
        if not parent._state & (FULFILLED | REJECTED):
            pass_on(self.whole.finish(), parent)


class _Reduce(_Series):
    """Keeps the last result of the function."""

    __slots__ = ("_accumulator", "_index", "_initial", "_watch")

    _least = 2

    def _start(
        self, source: CorePromise, function: Any = None, initial: Any = MISSING, /, *_: Any
    ) -> None:
        self._class = type(source)
        self._initial: Any = self._later(initial) if is_followed(initial) else initial
        self._watch: _Initial | None = None
        self._accumulator: Any = None
        self._index = 0
        super()._start(source, function)

    def _wait_first(self, source: CorePromise) -> None:
        super()._wait_first(source)
        initial = self._initial
        if self._reader is None and is_promise(initial) and not self._state & DEAD:
            # The collection is pending.
            if outcome_of(initial)._state & (CANCELLED | CANCELLING):
                self.settle_if_failed(initial)
            else:
                watch = self._watch = _Initial()
                watch.whole = self
                watch.wait_for(initial)

    def _open(self, reader: Reader) -> None:
        super()._open(reader)
        self._go_on(self._initial, self._called)
        self._end_watch()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.finish()
            self._watch = None

    def _called(self, result: Any, index: int) -> None:
        self._initial = None
        self._accumulator = result

    def _item(self, value: Any, _: int) -> None:
        index = self._index
        self._index += 1
        if self._accumulator is MISSING:
            # No initial value: start with the first item.
            self._accumulator = value
        else:
            accumulator, self._accumulator = self._accumulator, None
            self._call(index, accumulator, value)

    def _result(self) -> Any:
        return None if self._accumulator is MISSING else self._accumulator

    def _wanted(self) -> list[Any]:
        return [*super()._wanted(), self._initial]

    def _release(self) -> None:
        super()._release()
        self._end_watch()
        self._initial = self._accumulator = None


if TYPE_CHECKING:
    R2: TypeAlias = Gives[[U, T], U]
    R34: TypeAlias = Gives[[U, T, int], U] | Gives[[U, T, int, Any], U]

    class _ReduceOf(Protocol[T]):
        @overload
        def __call__(self, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(self, reducer: R34[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(self, reducer: R2[U, T], initial: Either[U]) -> Promise[U]: ...
        @overload
        def __call__(self, reducer: R34[U, T], initial: Either[U]) -> Promise[U]: ...

    class _ReduceMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _ReduceOf[T]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _ReduceOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Items[T]], /, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(
            self, items: Fired[Items[T]], /, reducer: R2[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        @overload
        def __call__(self, items: Promises[T], /, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, reducer: R2[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        @overload
        def __call__(self, items: Values[T], /, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(self, items: Values[T], /, reducer: R34[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(
            self, items: Values[T], /, reducer: R2[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, reducer: R34[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _EachOf(Protocol[T]):
        @overload
        def __call__(self, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, function: SeesIndex[T]) -> Listed[T]: ...

    class _EachMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _EachOf[T]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _EachOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Items[T]], /, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Promises[T], /, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Promises[T], /, function: SeesIndex[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Values[T], /, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Values[T], /, function: SeesIndex[T]) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    _ReduceMethod = _EachMethod = Both


class InSeries(CorePromise, Generic[T_co]):
    """The methods that take one item at a time, in order; each is a static function too.

    A pending item is waited for before the function is called with it.  A rejected item ends the
    series when it is reached.  The next item is not read before the function's result has settled.
    Inputs, and the arguments of the function, are as for `Promise.map`.
    """

    __slots__ = ()

    @_ReduceMethod
    def reduce(self, reducer: Callable[..., Any], initial: Any = MISSING) -> Any:
        """A promise for the last result of *reducer*, which combines the items one by one.

        Args:
            reducer: Called with its previous result and the next item.
            initial: The previous result for the first call; it is waited for.  Without it, the
                first item is used, and *reducer* is not called if there is only one item.

        Bluebird: ``Promise.reduce``; Python: `functools.reduce`.
        """
        return derive_calling(_Reduce, self, "reducer", reducer, initial)

    @_EachMethod
    def each(self, function: Callable[..., Any]) -> Any:
        """A promise for the list of the items, once *function* was called for each of them.

        Args:
            function: Called for each item; its results are waited for, then ignored.

        Bluebird: ``Promise.each``.
        """
        return derive_calling(_Each, self, "function", function)

    @MapMethod
    def map_series(self, mapper: Callable[..., Any]) -> Any:
        """A promise for the list of *mapper*'s results, called for one item after the other.

        Args:
            mapper: Called for each item.

        Bluebird: ``Promise.mapSeries``.
        """
        return derive_calling(_MapSeries, self, "mapper", mapper)

    mapSeries = map_series
