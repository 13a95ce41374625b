"""The types of the collection methods: for type checkers only, nothing imports this at run time.

Each class here is the type of a name that is a method and a static function at once.  Checkers
look at `__get__`: on the class it gives the static function; on a promise it gives the method, if
the promise is one of something that fits.  (That a method asks for a certain type of ``self`` is
something they get wrong where there are overloads.)

For why there are always two of everything, with ``Followed[T]`` and with ``T | Followed[T]``,
see `Followed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

from ._types import Followed

if TYPE_CHECKING:
    from ._promise import Promise
    from ._reflection import PromiseInspection

__all__ = [
    "All",
    "AllSettled",
    "Each",
    "Filter",
    "First",
    "Map",
    "MapSeries",
    "Props",
    "Reduce",
    "Some",
]

K = TypeVar("K")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

#: A value, or what is followed to it.
Either: TypeAlias = T | Followed[T]
#: A collection that is read item by item.
Items: TypeAlias = Iterable[T] | AsyncIterable[T]
#: The same, or what it comes from.
Source: TypeAlias = Items[T] | Followed[Items[T]]


class Fired(Protocol[T_co]):
    """A Deferred or asyncio's future: iterable, as it happens, but what counts is its value."""

    def __await__(self) -> Generator[Any, Any, T_co]: ...

    def __iter__(self) -> Iterator[Any]: ...


# --- all at once --------------------------------------------------------------------------


# The last one of each is for mypy, which takes it if the items of a tuple have little in common.


class All(Protocol):
    """`Promise.all`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _All: ...
    @overload
    def __get__(
        self, instance: Promise[Iterable[Followed[T]]], owner: type, /
    ) -> Callable[[], Promise[list[T]]]: ...
    @overload
    def __get__(
        self, instance: Promise[Iterable[Either[T]]], owner: type, /
    ) -> Callable[[], Promise[list[T]]]: ...


class _All(Protocol):
    @overload
    def __call__(self, items: Followed[Iterable[Followed[T]]], /) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Followed[Iterable[Either[T]]], /) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Iterable[Followed[T]], /) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Iterable[Either[T]], /) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: tuple[object, ...], /) -> Promise[list[object]]: ...  # type: ignore[overload-cannot-match]


class AllSettled(Protocol):
    """`Promise.all_settled`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _AllSettled: ...
    @overload
    def __get__(
        self, instance: Promise[Iterable[Followed[T]]], owner: type, /
    ) -> Callable[[], Promise[list[PromiseInspection[T]]]]: ...
    @overload
    def __get__(
        self, instance: Promise[Iterable[Either[T]]], owner: type, /
    ) -> Callable[[], Promise[list[PromiseInspection[T]]]]: ...


class _AllSettled(Protocol):
    @overload
    def __call__(
        self, items: Followed[Iterable[Followed[T]]], /
    ) -> Promise[list[PromiseInspection[T]]]: ...
    @overload
    def __call__(
        self, items: Followed[Iterable[Either[T]]], /
    ) -> Promise[list[PromiseInspection[T]]]: ...
    @overload
    def __call__(self, items: Iterable[Followed[T]], /) -> Promise[list[PromiseInspection[T]]]: ...
    @overload
    def __call__(self, items: Iterable[Either[T]], /) -> Promise[list[PromiseInspection[T]]]: ...
    @overload
    def __call__(  # type: ignore[overload-cannot-match]
        self, items: tuple[object, ...], /
    ) -> Promise[list[PromiseInspection[object]]]: ...


class Props(Protocol):
    """`Promise.props`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Props: ...
    @overload
    def __get__(
        self, instance: Promise[Mapping[K, Followed[T]]], owner: type, /
    ) -> Callable[[], Promise[dict[K, T]]]: ...
    @overload
    def __get__(
        self, instance: Promise[Mapping[K, Either[T]]], owner: type, /
    ) -> Callable[[], Promise[dict[K, T]]]: ...


class _Props(Protocol):
    @overload
    def __call__(self, mapping: Followed[Mapping[K, Followed[T]]], /) -> Promise[dict[K, T]]: ...
    @overload
    def __call__(self, mapping: Followed[Mapping[K, Either[T]]], /) -> Promise[dict[K, T]]: ...
    @overload
    def __call__(self, mapping: Mapping[K, Followed[T]], /) -> Promise[dict[K, T]]: ...
    @overload
    def __call__(self, mapping: Mapping[K, Either[T]], /) -> Promise[dict[K, T]]: ...


class First(Protocol):
    """`Promise.any` and `Promise.race`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _First: ...
    @overload
    def __get__(
        self, instance: Promise[Iterable[Followed[T]]], owner: type, /
    ) -> Callable[[], Promise[T]]: ...
    @overload
    def __get__(
        self, instance: Promise[Iterable[Either[T]]], owner: type, /
    ) -> Callable[[], Promise[T]]: ...


class _First(Protocol):
    @overload
    def __call__(self, items: Followed[Iterable[Followed[T]]], /) -> Promise[T]: ...
    @overload
    def __call__(self, items: Followed[Iterable[Either[T]]], /) -> Promise[T]: ...
    @overload
    def __call__(self, items: Iterable[Followed[T]], /) -> Promise[T]: ...
    @overload
    def __call__(self, items: Iterable[Either[T]], /) -> Promise[T]: ...
    @overload
    def __call__(self, items: tuple[object, ...], /) -> Promise[object]: ...  # type: ignore[overload-cannot-match]


class Some(Protocol):
    """`Promise.some`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Some: ...
    @overload
    def __get__(self, instance: Promise[Iterable[Followed[T]]], owner: type, /) -> _SomeOf[T]: ...
    @overload
    def __get__(self, instance: Promise[Iterable[Either[T]]], owner: type, /) -> _SomeOf[T]: ...


class _SomeOf(Protocol[T]):
    def __call__(self, count: int) -> Promise[list[T]]: ...


class _Some(Protocol):
    @overload
    def __call__(
        self, items: Followed[Iterable[Followed[T]]], /, count: int
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Followed[Iterable[Either[T]]], /, count: int) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Iterable[Followed[T]], /, count: int) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Iterable[Either[T]], /, count: int) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: tuple[object, ...], /, count: int) -> Promise[list[object]]: ...  # type: ignore[overload-cannot-match]


# --- one function for each ----------------------------------------------------------------
#
# A function is called with as many of the item, its index and the number of items as it declares.
# The number may be None: a function may say so, or not.

One: TypeAlias = Callable[[T], U]
Two: TypeAlias = Callable[[T, int], U]
Three: TypeAlias = Callable[[T, int, Any], U]


class Map(Protocol):
    """`Promise.map`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Map: ...
    @overload
    def __get__(self, instance: Promise[Items[Followed[T]]], owner: type, /) -> _MapOf[T]: ...
    @overload
    def __get__(self, instance: Promise[Items[Either[T]]], owner: type, /) -> _MapOf[T]: ...


class _MapOf(Protocol[T_co]):
    @overload
    def __call__(
        self, mapper: One[T_co, Followed[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, mapper: One[T_co, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, mapper: Two[T_co, Followed[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, mapper: Two[T_co, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, mapper: Three[T_co, Followed[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, mapper: Three[T_co, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...


class _Map(Protocol):
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: One[T, Followed[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: One[T, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Two[T, Followed[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Two[T, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Fired[Items[T]],
        /,
        mapper: Three[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Three[T, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        mapper: One[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        mapper: One[T, Either[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        mapper: Two[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        mapper: Two[T, Either[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        mapper: Three[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        mapper: Three[T, Either[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        mapper: One[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: One[T, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        mapper: Two[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: Two[T, Either[U]], concurrency: int | None = None
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        mapper: Three[T, Followed[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        mapper: Three[T, Either[U]],
        concurrency: int | None = None,
    ) -> Promise[list[U]]: ...


class MapSeries(Protocol):
    """`Promise.map_series`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _MapSeries: ...
    @overload
    def __get__(self, instance: Promise[Items[Followed[T]]], owner: type, /) -> _MapSeriesOf[T]: ...
    @overload
    def __get__(self, instance: Promise[Items[Either[T]]], owner: type, /) -> _MapSeriesOf[T]: ...


class _MapSeriesOf(Protocol[T_co]):
    @overload
    def __call__(self, mapper: One[T_co, Followed[U]]) -> Promise[list[U]]: ...
    @overload
    def __call__(self, mapper: One[T_co, Either[U]]) -> Promise[list[U]]: ...
    @overload
    def __call__(self, mapper: Two[T_co, Followed[U]]) -> Promise[list[U]]: ...
    @overload
    def __call__(self, mapper: Two[T_co, Either[U]]) -> Promise[list[U]]: ...
    @overload
    def __call__(self, mapper: Three[T_co, Followed[U]]) -> Promise[list[U]]: ...
    @overload
    def __call__(self, mapper: Three[T_co, Either[U]]) -> Promise[list[U]]: ...


class _MapSeries(Protocol):
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: One[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: One[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Two[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Two[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Three[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, mapper: Three[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, mapper: One[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, mapper: One[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, mapper: Two[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, mapper: Two[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, mapper: Three[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, mapper: Three[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: One[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: One[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: Two[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: Two[T, Either[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: Three[T, Followed[U]]
    ) -> Promise[list[U]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, mapper: Three[T, Either[U]]
    ) -> Promise[list[U]]: ...


class Filter(Protocol):
    """`Promise.filter`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Filter: ...
    @overload
    def __get__(self, instance: Promise[Items[Followed[T]]], owner: type, /) -> _FilterOf[T]: ...
    @overload
    def __get__(self, instance: Promise[Items[Either[T]]], owner: type, /) -> _FilterOf[T]: ...


class _FilterOf(Protocol[T]):
    @overload
    def __call__(
        self, predicate: One[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, predicate: Two[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, predicate: Three[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...


class _Filter(Protocol):
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, predicate: One[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, predicate: Two[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, predicate: Three[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        predicate: One[T, object],
        concurrency: int | None = None,
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        predicate: Two[T, object],
        concurrency: int | None = None,
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        predicate: Three[T, object],
        concurrency: int | None = None,
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, predicate: One[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, predicate: Two[T, object], concurrency: int | None = None
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        predicate: Three[T, object],
        concurrency: int | None = None,
    ) -> Promise[list[T]]: ...


class Each(Protocol):
    """`Promise.each`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Each: ...
    @overload
    def __get__(self, instance: Promise[Items[Followed[T]]], owner: type, /) -> _EachOf[T]: ...
    @overload
    def __get__(self, instance: Promise[Items[Either[T]]], owner: type, /) -> _EachOf[T]: ...


class _EachOf(Protocol[T]):
    @overload
    def __call__(self, function: One[T, object]) -> Promise[list[T]]: ...
    @overload
    def __call__(self, function: Two[T, object]) -> Promise[list[T]]: ...
    @overload
    def __call__(self, function: Three[T, object]) -> Promise[list[T]]: ...


class _Each(Protocol):
    @overload
    def __call__(self, items: Fired[Items[T]], /, function: One[T, object]) -> Promise[list[T]]: ...
    @overload
    def __call__(self, items: Fired[Items[T]], /, function: Two[T, object]) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, function: Three[T, object]
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, function: One[T, object]
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, function: Two[T, object]
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, function: Three[T, object]
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, function: One[T, object]
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, function: Two[T, object]
    ) -> Promise[list[T]]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, function: Three[T, object]
    ) -> Promise[list[T]]: ...


class Reduce(Protocol):
    """`Promise.reduce`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Reduce: ...
    @overload
    def __get__(self, instance: Promise[Items[Followed[T]]], owner: type, /) -> _ReduceOf[T]: ...
    @overload
    def __get__(self, instance: Promise[Items[Either[T]]], owner: type, /) -> _ReduceOf[T]: ...


class _ReduceOf(Protocol[T]):
    @overload
    def __call__(self, reducer: Callable[[T, T], Either[T]]) -> Promise[T]: ...
    @overload
    def __call__(self, reducer: Callable[[T, T, int], Either[T]]) -> Promise[T]: ...
    @overload
    def __call__(self, reducer: Callable[[T, T, int, Any], Either[T]]) -> Promise[T]: ...
    @overload
    def __call__(
        self, reducer: Callable[[U, T], Either[U]], initial: Followed[U]
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, reducer: Callable[[U, T, int], Either[U]], initial: Followed[U]
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, reducer: Callable[[U, T, int, Any], Either[U]], initial: Followed[U]
    ) -> Promise[U]: ...
    @overload
    def __call__(self, reducer: Callable[[U, T], Either[U]], initial: U) -> Promise[U]: ...
    @overload
    def __call__(self, reducer: Callable[[U, T, int], Either[U]], initial: U) -> Promise[U]: ...
    @overload
    def __call__(
        self, reducer: Callable[[U, T, int, Any], Either[U]], initial: U
    ) -> Promise[U]: ...


class _Reduce(Protocol):
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[T, T], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[T, T, int], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[T, T, int, Any], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[U, T], Either[U]], initial: Followed[U]
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Fired[Items[T]],
        /,
        reducer: Callable[[U, T, int], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Fired[Items[T]],
        /,
        reducer: Callable[[U, T, int, Any], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[U, T], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[U, T, int], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Fired[Items[T]], /, reducer: Callable[[U, T, int, Any], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, reducer: Callable[[T, T], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, reducer: Callable[[T, T, int], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, reducer: Callable[[T, T, int, Any], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        reducer: Callable[[U, T], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        reducer: Callable[[U, T, int], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        reducer: Callable[[U, T, int, Any], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, reducer: Callable[[U, T], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Source[Followed[T]], /, reducer: Callable[[U, T, int], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Source[Followed[T]],
        /,
        reducer: Callable[[U, T, int, Any], Either[U]],
        initial: U,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, reducer: Callable[[T, T], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, reducer: Callable[[T, T, int], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, reducer: Callable[[T, T, int, Any], Either[T]]
    ) -> Promise[T]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        reducer: Callable[[U, T], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        reducer: Callable[[U, T, int], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        reducer: Callable[[U, T, int, Any], Either[U]],
        initial: Followed[U],
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, reducer: Callable[[U, T], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, items: Source[Either[T]], /, reducer: Callable[[U, T, int], Either[U]], initial: U
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        items: Source[Either[T]],
        /,
        reducer: Callable[[U, T, int, Any], Either[U]],
        initial: U,
    ) -> Promise[U]: ...
