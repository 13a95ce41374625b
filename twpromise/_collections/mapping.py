"""`map` and `filter`: call a function for each item, with a limit on how many run at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

from .._core.resolving import adopters, new_rejected
from .._core.settling import fulfill
from .._core.states import DEAD, CorePromise
from .._util.both import Both
from .._util.checks import is_int, not_a_function
from .._util.types import (
    Fired,
    Gives,
    Items,
    Later,
    Listed,
    Mixed,
    N,
    Promises,
    Sees,
    SeesIndex,
    Values,
)
from .collecting import derive_cancelling
from .iterating import BATCH, Iterating
from .reading import END, Reader
from .rules import not_an_int

__all__ = ["MapMethod", "Mapped"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

#: Replaces an item that `filter` leaves out.
_LEFT_OUT: Final = object()


class _Map(Iterating):
    """Starts a function for each item, first in, first out, as the items come."""

    __slots__ = ("_early", "_exhausted", "_limit", "_ready")

    #: An item of a lazy collection is kept until there is a result.
    _keeps = False

    def _start(
        self,
        source: CorePromise,
        function: Any = None,
        limit: int | None = None,
        cancel_rest: bool = False,
        /,
        *_: Any,
    ) -> None:
        self._cancels_rest = cancel_rest
        self._limit = limit
        # Values and indices of items that can be started.
        self._ready: deque[tuple[Any, int]] = deque()
        # How many items of a list are waited for.  They do not count for the limit; a pending item
        # of a lazy collection does, so that no more are read than it allows.
        self._early = 0
        # There are no more items to read.
        self._exhausted = False
        super()._start(source, function)

    def _open(self, reader: Reader) -> None:
        items = reader.items
        if items is not None:
            self._exhausted = True
            # Clear each item, so that its memory is free for its result.
            self._results = items
            ready = self._ready
            for index, item in enumerate(items):
                if adopters[type(item)] is None:
                    # Like `_go_on`, inlined: that saves a third of an item for a plain value.
                    ready.append((item, index))
                else:
                    self._early += 1
                    self._go_on(item, self._arrived_early, index)
        self._run_soon()

    def _take(self, item: Any) -> None:
        if item is END:
            self._exhausted = True
        else:
            index = len(self._results)
            self._results.append(item if self._keeps else None)
            # Like `_go_on` and `_arrived`, inlined: that saves a tenth of an item for a plain
            # value.
            if adopters[type(item)] is None:
                self._ready.append((item, index))
            else:
                self._go_on(item, self._arrived, index)

    def _arrived(self, value: Any, index: int) -> None:
        """An item has a value."""
        self._ready.append((value, index))

    def _arrived_early(self, value: Any, index: int) -> None:
        self._early -= 1
        self._arrived(value, index)

    def _run(self) -> None:
        self._running = True
        ready, limit = self._ready, self._limit
        for _ in range(BATCH):
            if self._state & DEAD or (limit is not None and self._active() >= limit):
                break
            if ready:
                value, index = ready.popleft()
                self._call(index, value)
            elif self._exhausted or self._reading is not None:
                break
            else:
                self._read()
        else:
            self._run_soon()
            return
        self._running = False
        if self._exhausted and not (ready or self._waits or self._state & DEAD):
            results = self._list()
            fulfill(self.finish(), results)

    def _active(self) -> int:
        """How many results are pending, and items of a lazy collection."""
        return len(self._waits) - self._early - (self._reading is not None)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        if self._reader is not None:
            limit = "" if self._limit is None else f", at most {self._limit} at once"
            yield f"{self._active()} results{limit}; {len(self._ready)} items are ready", None
        yield from super().waits()

    def _called(self, result: Any, index: int) -> None:
        self._results[index] = result

    def _list(self) -> list[Any]:
        return self._results

    def _release(self) -> None:
        super()._release()
        self._ready.clear()


class _Filter(_Map):
    """Keeps the items for which a function returns something true."""

    __slots__ = ()

    _keeps = True

    def _arrived(self, value: Any, index: int) -> None:
        self._results[index] = value
        super()._arrived(value, index)

    def _called(self, result: Any, index: int) -> None:
        if not result:
            self._results[index] = _LEFT_OUT

    def _list(self) -> list[Any]:
        return [value for value in self._results if value is not _LEFT_OUT]


def _derive(
    kind: type[_Map],
    self: CorePromise,
    name: str,
    function: Any,
    limit: object,
    cancel_rest: object,
) -> Any:
    if not callable(function):
        return new_rejected(type(self), not_a_function(name, function))
    if limit is not None and (not is_int(limit) or limit < 1):
        error = not_an_int("concurrency", limit, "1 or more, or None")
        return new_rejected(type(self), error)
    return derive_cancelling(kind, self, cancel_rest, function, limit)


if TYPE_CHECKING:

    class _MapOf(Protocol[T_co, P]):
        @overload
        def __call__(
            self, mapper: Mixed[[T_co], U, N], *a: P.args, **k: P.kwargs
        ) -> Listed[U | N]: ...
        @overload
        def __call__(self, mapper: Gives[[T_co], U], *a: P.args, **k: P.kwargs) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Later[[T_co, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Gives[[T_co, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Later[[T_co, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Gives[[T_co, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...

    class MapMethod(Both, Generic[P]):
        def __init__(
            self, function: Callable[Concatenate[Any, Callable[..., Any], P], Any]
        ) -> None: ...

        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _MapOf[T, P]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _MapOf[T, P]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Items[T]], /, mapper: Later[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Fired[Items[T]], /, mapper: Gives[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, mapper: Later[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, mapper: Gives[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, mapper: Gives[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Mixed[[T], U, N], *a: P.args, **k: P.kwargs
        ) -> Listed[U | N]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Gives[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Later[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Gives[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Later[[T, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Gives[[T, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        def __call__(self, items: Any, /, mapper: Any, *a: P.args, **k: P.kwargs) -> Any: ...

    class _FilterOf(Protocol[T, P]):
        @overload
        def __call__(self, predicate: Sees[T], *a: P.args, **k: P.kwargs) -> Listed[T]: ...
        @overload
        def __call__(self, predicate: SeesIndex[T], *a: P.args, **k: P.kwargs) -> Listed[T]: ...

    class _FilterMethod(Both, Generic[P]):
        def __init__(
            self, function: Callable[Concatenate[Any, Callable[..., Any], P], Any]
        ) -> None: ...

        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _FilterOf[T, P]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _FilterOf[T, P]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Items[T]], /, predicate: Sees[T], *a: P.args, **k: P.kwargs
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, predicate: Sees[T], *a: P.args, **k: P.kwargs
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, predicate: SeesIndex[T], *a: P.args, **k: P.kwargs
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Values[T], /, predicate: Sees[T], *a: P.args, **k: P.kwargs
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Values[T], /, predicate: SeesIndex[T], *a: P.args, **k: P.kwargs
        ) -> Listed[T]: ...
        def __call__(self, items: Any, /, predicate: Any, *a: P.args, **k: P.kwargs) -> Any: ...

else:
    MapMethod = _FilterMethod = Both


class Mapped(CorePromise, Generic[T_co]):
    """The methods that call a function for each item; each is a static function too.

    The input is a list, an iterator or generator, or an async iterable.  The function is called for
    the items of a list as they are fulfilled, in that order.  A generator is read no further than
    the limit allows, and closed when the result has failed or is cancelled.

    The function is called with the item; and with its index and the number of items (None if it is
    not known), if it has positional parameters without a default for them.  It may be
    ``async def``, or return a promise, a Deferred or the like.
    """

    __slots__ = ()

    @MapMethod
    def map(
        self,
        mapper: Callable[..., Any],
        concurrency: int | None = None,
        *,
        cancel_rest: bool = False,
    ) -> Any:
        """A promise for the list of *mapper*'s results, in the order of the items.

        Args:
            mapper: Called for each item.
            concurrency: How many results may be pending at once; None for any number.
            cancel_rest: Whether to cancel the other pending results and items at the first
                rejection, except those that have another consumer.

        Bluebird: ``Promise.map``; Twisted: `DeferredSemaphore`, `Cooperator`.
        """
        return _derive(_Map, self, "mapper", mapper, concurrency, cancel_rest)

    @_FilterMethod
    def filter(
        self,
        predicate: Callable[..., Any],
        concurrency: int | None = None,
        *,
        cancel_rest: bool = False,
    ) -> Any:
        """A promise for the list of the items for which *predicate* returns something true.

        Args:
            predicate: Called for each item.
            concurrency: How many results may be pending at once; None for any number.
            cancel_rest: As for `map`.

        Bluebird: ``Promise.filter``.
        """
        return _derive(_Filter, self, "predicate", predicate, concurrency, cancel_rest)
