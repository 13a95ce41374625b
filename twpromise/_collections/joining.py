"""Methods that pass several values to one handler: `join` and `spread`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from .._core.resolving import new_input, new_rejected
from .._core.states import CorePromise
from .._util.arity import taking
from .._util.both import Static
from .._util.checks import not_a_function
from .._util.types import Either, Followed, Gives, Later, Listed, N
from .all import All
from .collecting import derive_cancelling

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Joining"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class _Joined(All):
    """The values for a handler: an internal promise, in front of the one that users get."""

    __slots__ = ()

    # A rejection is passed on.
    _make_promise = All._make_hidden_promise


class _Spread:
    """Calls a handler with the items of a list as its arguments."""

    # Python's name for what a wrapper is about: so a warning can name the handler.
    __slots__ = ("__wrapped__",)

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.__wrapped__ = handler

    def __call__(self, *arguments: Any) -> Any:
        # The bound value, if there is one, comes first.
        *bound, values = arguments
        try:
            return self.__wrapped__(*bound, *values)
        finally:
            # The traceback of what it raises refers to this frame.
            del arguments, bound, values


if TYPE_CHECKING:
    # Short names, for many overloads: what is followed, and that or a value.
    L: TypeAlias = Followed[T]
    V: TypeAlias = Either[T]

    class _JoinMethod(Static):
        @overload
        def __call__(self, *values: L[T], cancel_rest: bool = ...) -> Listed[T]: ...
        @overload
        def __call__(
            self, a: L[A], fn: Later[[A], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], fn: Gives[[A], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], fn: Later[[A], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], fn: Gives[[A], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: L[B], fn: Later[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: L[B], fn: Gives[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: V[B], fn: Later[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: V[B], fn: Gives[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], b: L[B], fn: Later[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], b: L[B], fn: Gives[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], b: V[B], fn: Later[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], b: V[B], fn: Gives[[A, B], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: L[B], c: L[C], fn: Later[[A, B, C], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: L[B], c: L[C], fn: Gives[[A, B, C], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], b: V[B], c: V[C], fn: Later[[A, B, C], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: V[A], b: V[B], c: V[C], fn: Gives[[A, B, C], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: L[A], b: V[B], c: L[C], fn: Gives[[A, B, C], U], /, *, cancel_rest: bool = ...
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self,
            a: L[A],
            b: L[B],
            c: L[C],
            d: L[D],
            fn: Gives[[A, B, C, D], U],
            /,
            *,
            cancel_rest: bool = ...,
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self,
            a: L[A],
            b: L[B],
            c: L[C],
            d: L[D],
            e: L[E],
            fn: Gives[[A, B, C, D, E], U],
            /,
            *,
            cancel_rest: bool = ...,
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self,
            a: L[A],
            b: L[B],
            c: L[C],
            d: L[D],
            e: L[E],
            f: L[F],
            fn: Gives[[A, B, C, D, E, F], U],
            /,
            *,
            cancel_rest: bool = ...,
        ) -> Promise[U]: ...
        def __call__(self, *values: Any, cancel_rest: bool = ...) -> Any: ...

else:
    _JoinMethod = Static


class Joining(CorePromise, Generic[T_co]):
    """The methods that call one handler with the values of several promises."""

    __slots__ = ()

    @overload
    def spread(self, handler: Callable[..., Followed[U]]) -> Promise[U]: ...
    @overload
    def spread(self, handler: Callable[..., Followed[U] | N]) -> Promise[U | N]: ...
    @overload
    def spread(self, handler: Callable[..., Either[U]]) -> Promise[U]: ...
    def spread(self, handler: Callable[..., Any]) -> Any:
        """A promise for the result of *handler*, called with all values as its arguments.

        Args:
            handler: Called when all items are fulfilled.  If it is not callable, the promise is
                rejected with `TypeError`.

        Bluebird: ``.spread``.
        """
        if not callable(handler):
            return new_rejected(type(self), not_a_function("handler", handler))
        return _Joined.derive(self).then(_Spread(taking(handler)))

    @_JoinMethod
    def join(cls: Any, *values: Any, cancel_rest: bool = False) -> Any:
        """A promise for the result of a handler, called with several values as its arguments.

        Args:
            *values: Values, promises, Deferreds and the like; the last argument is the handler.
                Without a handler the promise is for the list of values.
            cancel_rest: As for `Promise.all`.

        Bluebird: ``Promise.join``.
        """
        cls._queue.check_thread()
        handler = values[-1] if values else None
        if callable(handler):
            joined = derive_cancelling(_Joined, new_input(cls, values[:-1]), cancel_rest)
            return joined.then(_Spread(taking(handler)))
        return derive_cancelling(All, new_input(cls, values), cancel_rest)
