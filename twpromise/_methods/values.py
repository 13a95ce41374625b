"""Shorthands for common handlers (`get`, `call`, `return_` ...), and `bind`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, Self, TypeVar, cast, overload

from .._core.cancelling import cancel_all, leave
from .._core.extra import Binding, bind_promise
from .._core.following import follow
from .._core.reactions import Node, observed
from .._core.resolving import is_followed, new_rejected, new_resolved
from .._core.settling import mark_handled, pass_on
from .._core.states import (
    CANCELLED,
    CANCELLING,
    FULFILLED,
    REJECTED,
    CorePromise,
    is_promise,
    new_pending,
)
from .._util.both import Both
from .._util.types import Either, Followed
from .filters import Filter
from .handlers import Handlers

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Values"]

T = TypeVar("T")
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


class _Bind(Node):
    """Passes an outcome on, once the value that is to be bound has settled too."""

    __slots__ = ("_binding", "_outcome", "_this")

    def _start(self, source: CorePromise, this: CorePromise) -> None:
        self._binding = Binding(None)
        bind_promise(self._promise, self._binding)
        # `_source` and `_this` are None once they have settled.
        self._this: CorePromise | None = this
        # The outcome that will be passed on.
        self._outcome: CorePromise | None = None
        self.wait_for_source(observed(source))
        self.wait_for(this)

    def _notify(self, parent: CorePromise) -> None:
        if parent is self._source:
            self._source = None
            self._decide(parent)
        elif parent is self._this:
            self._this = None
            if parent._state & FULFILLED:
                self._binding.value = parent._value
            else:
                self._decide(parent)
        else:
            # It was left, in a cancellation.
            return
        outcome, waiting = self._outcome, (self._source, self._this)
        if self._promise._state & CANCELLING:
            if waiting == (None, None):
                pass_on(self.finish(), cast("CorePromise", outcome))
        elif outcome is not None and (self._this is None or outcome._state & CANCELLED):
            promise = self.finish()
            if outcome._state & CANCELLED:
                stack: list[CorePromise] = []
                for other in waiting:
                    if other is not None:
                        leave(other, stack)
                cancel_all(stack)
            pass_on(promise, outcome)

    def _decide(self, parent: CorePromise) -> None:
        # A failure is passed on before anything else.
        if self._outcome is None or parent._state & REJECTED or self._outcome._state & FULFILLED:
            self._outcome = parent

    def _release(self) -> None:
        self._this = self._outcome = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self.stop_consuming()
        self._outcome = None
        if self._source is not None and not leave(self._source, stack):
            self._source = None
        if self._this is not None and not leave(self._this, stack):
            self._this = None
        if self._source is None and self._this is None:
            self.finish()
            return False
        return True


def _bind(self: CorePromise, this: Any = None) -> Any:  # noqa: D417 - a method
    """A promise for the same outcome, with a value bound to it and to its descendants.

    Args:
        this: The first argument of every handler down the chain.  If it is followed, it is
            waited for, and its rejection rejects.  None unbinds.

    The static function takes the value second: ``Promise.bind(this, value=None)``.

    Bluebird: ``.bind``; Python: what ``self`` is.
    """
    cls = type(self)
    if not is_followed(this):
        promise = new_pending(cls, parent=self)
        bind_promise(promise, None if this is None else Binding(this))
        follow(promise, self)
        return promise
    return _Bind.derive(self, new_resolved(cls, this))


_bind.__name__ = "bind"


def _static_bind(cls: type[CorePromise], this: Any = None, value: Any = None) -> Any:
    return _bind(new_resolved(cls, value), this)


if TYPE_CHECKING:
    # From where a value is bound on, every handler has one parameter more: that is more than
    # checkers can be given, and they get Any.

    class _BindOf(Protocol[T_co]):
        @overload
        def __call__(self, this: None = None) -> Promise[T_co]: ...
        @overload
        def __call__(self, this: object) -> Any: ...

    class _BindMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promise[T], owner: type, /) -> _BindOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, this: None = None) -> Promise[None]: ...
        @overload
        def __call__(self, this: None, value: Followed[T]) -> Promise[T]: ...
        @overload
        def __call__(self, this: None, value: Either[T]) -> Promise[T]: ...
        @overload
        def __call__(self, this: object, value: object = None) -> Any: ...
        def __call__(self, this: Any = None, value: Any = None) -> Any: ...

else:
    _BindMethod = Both


class Values(Handlers[T_co], Generic[T_co]):
    """Handlers that need not be written, and values bound to a chain."""

    __slots__ = ()

    def get(self, name_or_index: Any) -> Promise[Any]:
        """A promise for a part of the value.

        Args:
            name_or_index: The key of a mapping, the index of a sequence (a negative one counts
                from the end, and is 0 if that is before the start), or the name of an
                attribute.  A part that does not exist rejects with Python's own error.

        Bluebird: ``.get``.
        """
        return self.then(lambda *arguments: _item(arguments[-1], name_or_index))

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Promise[Any]:
        """A promise for what a method of the value returns.

        Args:
            name: The method's name.
            *args: What it is called with.
            **kwargs: What it is called with.

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
        """A promise for *value*, once there is a value.

        Args:
            value: Bound now, not when the promise is fulfilled.

        Bluebird: ``.return``.
        """
        return self.then(_constant(value))

    then_return = return_
    thenReturn = then_return

    def throw(self, reason: Any = None) -> Promise[NoReturn]:
        """A promise that is rejected with *reason*, once there is a value.

        Args:
            reason: Bound now, not when the promise is fulfilled.

        Bluebird: ``.throw``.
        """
        cls = type(self)
        return cast("Promise[NoReturn]", self.then(lambda *_: new_rejected(cls, reason)))

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
        """A promise for the value, or for another if there is none.

        Args:
            *filter_and_value: The value; before it, if one likes, a filter as for `catch`.

        Raises:
            TypeError: There are more than two arguments.

        Bluebird: ``.catchReturn``.
        """
        *filters, value = _one_or_two("catch_return", filter_and_value)
        return self._catch(tuple(filters), _constant(value))

    catchReturn = catch_return

    @overload
    def catch_throw(self, reason: Any = None, /) -> Promise[T_co]: ...
    @overload
    def catch_throw(self, filter: Filter, reason: Any, /) -> Promise[T_co]: ...
    def catch_throw(self, *filter_and_reason: Any) -> Any:
        """A promise for the value, or for another rejection if there is none.

        Args:
            *filter_and_reason: The reason; before it, if one likes, a filter as for `catch`.

        Raises:
            TypeError: There are more than two arguments.

        Bluebird: ``.catchThrow``.
        """
        *filters, reason = _one_or_two("catch_throw", filter_and_reason)
        cls = type(self)
        return self._catch(tuple(filters), lambda *_: new_rejected(cls, reason))

    catchThrow = catch_throw

    bind = _BindMethod(_bind, _static_bind)


def _one_or_two(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) > 2:
        raise TypeError(f"{name}() takes a filter and a value, but {len(arguments)} were given")
    return arguments or (None,)
