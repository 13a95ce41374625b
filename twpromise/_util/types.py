"""Types for checkers that several mixins use."""

from __future__ import annotations

import concurrent.futures
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from .._promise import Promise

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

#: A plain value.  By its bound mypy distinguishes it from what is followed.
N = TypeVar("N", bound=int | float | str | bytes | None)

#: What promises follow, as checkers see it: promises, Deferreds, coroutines and asyncio's futures
#: are awaitable; the futures of executors are not.
Followed: TypeAlias = Awaitable[T] | concurrent.futures.Future[T]
Either: TypeAlias = T | Followed[T]

#: A function whose result is followed; one that does so on one path, and returns a plain value on
#: another; and one that returns either.  mypy infers too little from the last alone, and nothing
#: for a `lambda` that returns a promise; hence an overload for each.
Later: TypeAlias = Callable[P, Followed[T]]
Mixed: TypeAlias = Callable[P, Followed[T] | N]
Gives: TypeAlias = Callable[P, T | Followed[T]]

#: The input of a method that reads a collection as a whole: items that are followed, or any items;
#: or a promise for those.  mypy needs both, as for the results of handlers.
AllPromises: TypeAlias = Iterable[Followed[T]] | Followed[Iterable[Followed[T]]]
AllValues: TypeAlias = Iterable[Either[T]] | Followed[Iterable[Either[T]]]
#: The same for a method that reads the items one by one.
Items: TypeAlias = Iterable[T] | AsyncIterable[T]
Promises: TypeAlias = Items[Followed[T]] | Followed[Items[Followed[T]]]
Values: TypeAlias = Items[Either[T]] | Followed[Items[Either[T]]]

#: A function that is called for each item: with the item, or with its index too, and with the
#: number of items, which may be None.
Sees: TypeAlias = Callable[[T], object]
SeesIndex: TypeAlias = Callable[[T, int], object] | Callable[[T, int, Any], object]

#: The result of most of them.
Listed: TypeAlias = "Promise[list[T]]"

#: The class of a class method that has an alias: mypy takes no alias of a method whose first
#: parameter has the type parameter of the class.
Class: TypeAlias = type[Any]


class Fired(Protocol[T_co]):
    """A Deferred or an asyncio future: its type variable is the value, although it is iterable."""

    def __await__(self) -> Generator[Any, Any, T_co]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Resolve(Protocol[T_contra]):
    """The first argument of an executor."""

    def __call__(self, value: T_contra | Followed[T_contra] = ..., /) -> None:
        """Resolve the promise, with None unless there is a value."""
