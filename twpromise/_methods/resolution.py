"""`Promise.resolve` and `Promise.reject`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, overload

from .._core.resolving import new_rejected, new_resolved
from .._core.states import CorePromise, is_promise
from .._util.types import Followed

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Resolution"]

U = TypeVar("U")


class Resolution(CorePromise):
    """`resolve` and `reject`."""

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
            value: A promise of this library copy is returned as it is; whatever else is
                followed is adopted; any other value fulfils.

        Bluebird: ``Promise.resolve``; Twisted: ``defer.succeed``.
        """
        if is_promise(value) and value._library is cls._library:
            return value
        return new_resolved(cls, value)

    @classmethod
    def reject(cls, reason: Any = None) -> Promise[NoReturn]:
        """A promise that is rejected.

        Args:
            reason: An exception, or a class of them, or a Failure; other objects are allowed,
                and warned about.

        Bluebird: ``Promise.reject``; Twisted: ``defer.fail``.
        """
        return cast("Promise[NoReturn]", new_rejected(cls, reason))
