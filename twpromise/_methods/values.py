"""Shorthands for common handlers (`get`, `call`, `return_` ...), and `bind`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast, overload

from .._core.resolving import new_rejected
from .._core.settling import mark_handled
from .._core.states import INPUT, is_promise
from .._util.types import Either, Followed
from .binding import bind as _bind
from .filters import Filter
from .handlers import Handlers

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Values"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


def _item(value: Any, key: Any) -> Any:
    kind = type(value)
    if issubclass(kind, Mapping) or (hasattr(kind, "keys") and hasattr(kind, "__getitem__")):
        return value[key]
    if isinstance(key, str):
        return getattr(value, key)
    if isinstance(key, int) and key < 0:
        key = max(0, len(value) + key)
    return value[key]


def _constant(value: Any) -> Callable[..., Any]:
    if is_promise(value):
        # A rejection is passed on when the handler returns it; it is not reported before.
        mark_handled(value)
    return lambda *_: value


class Values(Handlers[T_co], Generic[T_co]):
    """Shorthands for common handlers, and `bind`."""

    __slots__ = ()

    def get(self, name_or_index: Any) -> Promise[Any]:
        """A promise for a part of the value.

        Args:
            name_or_index: The key of a mapping, the index of a sequence, or the name of an
                attribute.  A negative index counts from the end, and means 0 if that is before
                the start.  A missing part rejects with `KeyError`, `IndexError` or
                `AttributeError`.

        Bluebird: ``.get``.
        """
        return self.then(lambda *arguments: _item(arguments[-1], name_or_index))

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Promise[Any]:
        """A promise for the result of a method of the value.

        Args:
            name: The method's name.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Bluebird: ``.call``.
        """
        return self.then(lambda *arguments: getattr(arguments[-1], name)(*args, **kwargs))

    @overload
    def return_(self) -> Promise[None]: ...
    @overload
    def return_(self, value: Followed[U]) -> Promise[U]: ...
    @overload
    def return_(self, value: Either[U]) -> Promise[U]: ...
    def return_(self, value: Any = None) -> Any:
        """A promise for *value*, once this promise is fulfilled.

        Args:
            value: Evaluated now, not when the promise is fulfilled.

        Bluebird: ``.return``.
        """
        return self.then(_constant(value))

    then_return = return_
    thenReturn = then_return

    def throw(self, reason: Any = None) -> Promise[NoReturn]:
        """A promise that is rejected with *reason*, once this promise is fulfilled.

        Args:
            reason: Evaluated now, not when the promise is fulfilled.

        Bluebird: ``.throw``.
        """
        cls = type(self)
        return cast(
            "Promise[NoReturn]", self.then(lambda *_: new_rejected(cls, reason, owner=INPUT))
        )

    then_throw = throw
    thenThrow = then_throw

    @overload
    def catch_return(self) -> Promise[T_co | None]: ...
    @overload
    def catch_return(self, value: Followed[U], /) -> Promise[T_co | U]: ...
    @overload
    def catch_return(self, value: Either[U], /) -> Promise[T_co | U]: ...
    @overload
    def catch_return(self, filter: Filter, value: Followed[U], /) -> Promise[T_co | U]: ...
    @overload
    def catch_return(self, filter: Filter, value: Either[U], /) -> Promise[T_co | U]: ...
    def catch_return(self, *filter_and_value: Any) -> Any:
        """A promise for the value of this one, or for another value if this one is rejected.

        Args:
            *filter_and_value: The other value; an optional filter, as for `catch`, comes first.

        Raises:
            TypeError: There are more than two arguments.

        Bluebird: ``.catchReturn``.
        """
        *filters, value = _one_or_two("catch_return", filter_and_value)
        return self.catch(*filters, _constant(value))

    catchReturn = catch_return

    @overload
    def catch_throw(self, reason: Any = None, /) -> Promise[T_co]: ...
    @overload
    def catch_throw(self, filter: Filter, reason: Any, /) -> Promise[T_co]: ...
    def catch_throw(self, *filter_and_reason: Any) -> Any:
        """A promise for the value of this one; if this one is rejected, it has another reason.

        Args:
            *filter_and_reason: The other reason; an optional filter, as for `catch`, comes first.

        Raises:
            TypeError: There are more than two arguments.

        Bluebird: ``.catchThrow``.
        """
        *filters, reason = _one_or_two("catch_throw", filter_and_reason)
        cls = type(self)
        return self.catch(*filters, lambda *_: new_rejected(cls, reason, owner=INPUT))

    catchThrow = catch_throw

    bind = _bind


def _one_or_two(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) > 2:
        raise TypeError(f"{name}() takes a filter and a value, but {len(arguments)} were given")
    return arguments or (None,)
