"""The types of methods with too many of them to stand beside the code: for type checkers only.

See `_typing_collections`.  Nothing imports this at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

from ._types import Followed

if TYPE_CHECKING:
    from ._promise import Promise
    from ._resources import Disposer

__all__ = ["Bind", "Delay", "Join", "Try", "Using"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

#: A value, or what is followed to it.
Either: TypeAlias = T | Followed[T]
#: What can be given to `Promise.using`: of this, checkers find out what the resource is.
Resource: TypeAlias = "Disposer[T] | Followed[T]"
#: The same, if it is not there yet.
Coming: TypeAlias = "Followed[Disposer[T]]"
#: And whatever else can be given.
Anything: TypeAlias = "T | Disposer[T] | Followed[T] | Followed[Disposer[T]]"


class Delay(Protocol):
    """`Promise.delay`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Delay: ...
    @overload
    def __get__(self, instance: Promise[T], owner: type, /) -> _DelayOf[T]: ...


class _DelayOf(Protocol[T_co]):
    def __call__(self, seconds: float) -> Promise[T_co]: ...


class _Delay(Protocol):
    @overload
    def __call__(self, seconds: float) -> Promise[None]: ...
    @overload
    def __call__(self, seconds: float, value: Followed[T]) -> Promise[T]: ...
    @overload
    def __call__(self, seconds: float, value: Either[T]) -> Promise[T]: ...


class Bind(Protocol):
    """`Promise.bind`.

    From where a value is bound on, every handler has one parameter more: that is more than can
    be told to checkers, and what they are told is nothing.
    """

    @overload
    def __get__(self, instance: None, owner: type, /) -> _Bind: ...
    @overload
    def __get__(self, instance: Promise[T], owner: type, /) -> _BindOf[T]: ...


class _BindOf(Protocol[T_co]):
    @overload
    def __call__(self, this: None = None) -> Promise[T_co]: ...
    @overload
    def __call__(self, this: object) -> Any: ...


class _Bind(Protocol):
    @overload
    def __call__(self, this: None = None) -> Promise[None]: ...
    @overload
    def __call__(self, this: None, value: Followed[T]) -> Promise[T]: ...
    @overload
    def __call__(self, this: None, value: Either[T]) -> Promise[T]: ...
    @overload
    def __call__(self, this: object, value: object = None) -> Any: ...


class Try(Protocol):
    """`Promise.try_`."""

    @overload
    def __call__(self, function: Callable[[], Followed[U]]) -> Promise[U]: ...
    @overload
    def __call__(self, function: Callable[[], Either[U]]) -> Promise[U]: ...


class Join(Protocol):
    """`Promise.join`.

    Of up to three values, mypy finds out which are followed; of more, only if all are or none is,
    or if the handler says what it takes.
    """

    @overload
    def __call__(self, *values: Followed[T]) -> Promise[list[T]]: ...
    @overload
    def __call__(self, a: Followed[A], handler: Callable[[A], Followed[U]], /) -> Promise[U]: ...
    @overload
    def __call__(self, a: Followed[A], handler: Callable[[A], Either[U]], /) -> Promise[U]: ...
    @overload
    def __call__(self, a: Either[A], handler: Callable[[A], Followed[U]], /) -> Promise[U]: ...
    @overload
    def __call__(self, a: Either[A], handler: Callable[[A], Either[U]], /) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Followed[A], b: Followed[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Followed[A], b: Followed[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Followed[A], b: Either[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Followed[A], b: Either[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Followed[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Followed[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Either[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Either[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Either[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Either[C],
        handler: Callable[[A, B, C], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Either[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Either[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Either[B],
        c: Either[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Followed[A], b: Either[B], c: Either[C], handler: Callable[[A, B, C], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Followed[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Followed[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Followed[B],
        c: Either[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Followed[B], c: Either[C], handler: Callable[[A, B, C], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Followed[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Either[B], c: Followed[C], handler: Callable[[A, B, C], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Either[B], c: Either[C], handler: Callable[[A, B, C], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Either[A], b: Either[B], c: Either[C], handler: Callable[[A, B, C], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        d: Followed[D],
        handler: Callable[[A, B, C, D], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        d: Followed[D],
        handler: Callable[[A, B, C, D], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Either[C],
        d: Either[D],
        handler: Callable[[A, B, C, D], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Either[C],
        d: Either[D],
        handler: Callable[[A, B, C, D], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        d: Followed[D],
        e: Followed[E],
        handler: Callable[[A, B, C, D, E], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        d: Followed[D],
        e: Followed[E],
        handler: Callable[[A, B, C, D, E], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Either[C],
        d: Either[D],
        e: Either[E],
        handler: Callable[[A, B, C, D, E], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Either[C],
        d: Either[D],
        e: Either[E],
        handler: Callable[[A, B, C, D, E], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        d: Followed[D],
        e: Followed[E],
        f: Followed[F],
        handler: Callable[[A, B, C, D, E, F], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Followed[A],
        b: Followed[B],
        c: Followed[C],
        d: Followed[D],
        e: Followed[E],
        f: Followed[F],
        handler: Callable[[A, B, C, D, E, F], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Either[C],
        d: Either[D],
        e: Either[E],
        f: Either[F],
        handler: Callable[[A, B, C, D, E, F], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Either[A],
        b: Either[B],
        c: Either[C],
        d: Either[D],
        e: Either[E],
        f: Either[F],
        handler: Callable[[A, B, C, D, E, F], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: object,
        b: object,
        c: object,
        d: object,
        e: object,
        f: object,
        g: object,
        h: object,
        /,
        *more: Any,
    ) -> Promise[Any]: ...


class Using(Protocol):
    """`Promise.using`."""

    @overload
    def __call__(self, a: Coming[A], handler: Callable[[A], Followed[U]], /) -> Promise[U]: ...
    @overload
    def __call__(self, a: Coming[A], handler: Callable[[A], Either[U]], /) -> Promise[U]: ...
    @overload
    def __call__(self, a: Resource[A], handler: Callable[[A], Followed[U]], /) -> Promise[U]: ...
    @overload
    def __call__(self, a: Resource[A], handler: Callable[[A], Either[U]], /) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Coming[A], b: Coming[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Coming[A], b: Coming[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Coming[A], b: Resource[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Coming[A], b: Resource[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Resource[A], b: Coming[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Resource[A], b: Coming[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Resource[A], b: Resource[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Resource[A], b: Resource[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Anything[A], b: Anything[B], handler: Callable[[A, B], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Anything[A], b: Anything[B], handler: Callable[[A, B], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Coming[A], b: Coming[B], c: Coming[C], handler: Callable[[A, B, C], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: Coming[A], b: Coming[B], c: Coming[C], handler: Callable[[A, B, C], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Resource[A],
        b: Resource[B],
        c: Resource[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Resource[A],
        b: Resource[B],
        c: Resource[C],
        handler: Callable[[A, B, C], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Anything[A],
        b: Anything[B],
        c: Anything[C],
        handler: Callable[[A, B, C], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Anything[A],
        b: Anything[B],
        c: Anything[C],
        handler: Callable[[A, B, C], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Coming[A],
        b: Coming[B],
        c: Coming[C],
        d: Coming[D],
        handler: Callable[[A, B, C, D], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Coming[A],
        b: Coming[B],
        c: Coming[C],
        d: Coming[D],
        handler: Callable[[A, B, C, D], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Resource[A],
        b: Resource[B],
        c: Resource[C],
        d: Resource[D],
        handler: Callable[[A, B, C, D], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Resource[A],
        b: Resource[B],
        c: Resource[C],
        d: Resource[D],
        handler: Callable[[A, B, C, D], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Anything[A],
        b: Anything[B],
        c: Anything[C],
        d: Anything[D],
        handler: Callable[[A, B, C, D], Followed[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self,
        a: Anything[A],
        b: Anything[B],
        c: Anything[C],
        d: Anything[D],
        handler: Callable[[A, B, C, D], Either[U]],
        /,
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, resources: Sequence[Coming[A]], handler: Callable[[list[A]], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, resources: Sequence[Coming[A]], handler: Callable[[list[A]], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, resources: Sequence[Resource[A]], handler: Callable[[list[A]], Followed[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, resources: Sequence[Resource[A]], handler: Callable[[list[A]], Either[U]], /
    ) -> Promise[U]: ...
    @overload
    def __call__(
        self, a: object, b: object, c: object, d: object, e: object, f: object, /, *more: Any
    ) -> Promise[Any]: ...
