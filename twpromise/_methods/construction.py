"""Making promises: `resolve`, `reject`, `try_`, `method`, `defer`; and `is_`."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, cast, overload

from .._callbacks.node_callback import node_callback
from .._core.jobs import check_home
from .._core.resolving import call_into, is_followed, new_rejected, new_resolved
from .._core.states import CorePromise, is_promise, new_pending
from .._util.checks import not_a_function
from .._util.types import Class, Followed, Gives, Later, Mixed, N, Resolve
from .resolvers import reject_from_anywhere, resolve_from_anywhere

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Construction", "Resolver"]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")


class Resolver(Generic[T]):
    """A promise and the functions that settle it; made by `Promise.defer`.

    The functions may be called from any thread.  The first call counts.

    Attributes:
        promise: The promise.
        resolve: ``resolve(value=None)`` resolves the promise.
        reject: ``reject(reason)`` rejects it.
        callback: ``callback(error, *values)`` settles it as Node's callbacks do.
    """

    __slots__ = ("callback", "promise", "reject", "resolve")

    promise: Promise[T]
    resolve: Resolve[T]

    def __init__(self, promise: Any) -> None:
        self.promise = promise
        self.resolve = MethodType(resolve_from_anywhere, promise)
        self.reject: Callable[..., None] = MethodType(reject_from_anywhere, promise)
        self.callback: Callable[..., None] = node_callback(promise)


class Construction(CorePromise, Generic[T_co]):
    """The functions that start chains."""

    __slots__ = ()

    @overload
    @classmethod
    def resolve(cls) -> Promise[None]: ...
    @overload
    @classmethod
    def resolve(cls, value: Followed[U]) -> Promise[U]: ...
    @overload
    @classmethod
    def resolve(cls, value: U | Followed[U]) -> Promise[U]: ...
    @classmethod
    def resolve(cls, value: Any = None) -> Any:
        """A promise that is resolved with *value*.

        Args:
            value: A promise of this library copy is returned as it is.  A promise of another copy,
                a Deferred, a coroutine or anything else that is followed is adopted.  Any other
                value fulfils the promise.

        Bluebird: ``Promise.resolve``; Twisted: ``defer.succeed``.
        """
        if is_promise(value) and value._library is cls._library:
            return value
        if is_followed(value):
            check_home(cls)
        return new_resolved(cls, value)

    @classmethod
    def reject(cls, reason: Any = None) -> Promise[NoReturn]:
        """A promise that is rejected with *reason*.

        Args:
            reason: An exception, an exception class or a Failure.  Other objects are accepted
                with a warning.

        Bluebird: ``Promise.reject``; Twisted: ``defer.fail``.
        """
        return cast("Promise[NoReturn]", new_rejected(cls, reason))

    @overload
    @classmethod
    def try_(cls: Class, function: Later[[], U]) -> Promise[U]: ...
    @overload
    @classmethod
    def try_(cls: Class, function: Mixed[[], U, N]) -> Promise[U | N]: ...
    @overload
    @classmethod
    def try_(cls: Class, function: Gives[[], U]) -> Promise[U]: ...
    @classmethod
    def try_(cls: Class, function: Callable[[], Any]) -> Any:
        """A promise for what *function* returns or raises.

        Args:
            function: Called at once, without arguments.  If it is not callable, the promise is
                rejected with a `TypeError`.  If it returns a bound promise, the new promise is
                bound to the same value.

        Bluebird: ``Promise.try``; Twisted: ``maybeDeferred``.
        """
        if not callable(function):
            return new_rejected(cls, not_a_function("function", function))
        check_home(cls)
        promise = new_pending(cls)
        call_into(promise, function)
        return promise

    attempt = try_

    @overload
    @classmethod
    def method(cls, function: Later[P, U]) -> Callable[P, Promise[U]]: ...
    @overload
    @classmethod
    def method(cls, function: Gives[P, U]) -> Callable[P, Promise[U]]: ...
    @overload
    @classmethod
    def method(cls, function: Mixed[P, U, N]) -> Callable[P, Promise[U | N]]: ...
    @classmethod
    def method(cls, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that calls *function* and returns a promise for what it returns or raises.

        Args:
            function: A function or method; it may be ``async def`` or return a Deferred.  If it
                returns a bound promise, the new promise is bound to the same value.

        Raises:
            TypeError: *function* is not callable.

        Bluebird: ``Promise.method``; Twisted: ``maybeDeferred``, as a decorator.
        """
        if not callable(function):
            raise not_a_function("function", function)

        def method(*args: Any, **kwargs: Any) -> Any:
            check_home(cls)
            promise = new_pending(cls)
            call_into(promise, function, args, kwargs)
            return promise

        return update_wrapper(method, function)

    @classmethod
    def defer(cls) -> Resolver[Any]:
        """A `Resolver`: a pending promise, and the functions that settle it.

        Bluebird: ``Promise.defer``; Twisted: ``Deferred()``.
        """
        check_home(cls)
        return Resolver(new_pending(cls))

    @staticmethod
    def is_(value: object) -> bool:
        """Whether *value* is a promise of any copy of this library.

        Bluebird: ``Promise.is``.
        """
        return is_promise(value)
