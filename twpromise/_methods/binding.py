"""`bind`: a value that every handler down the chain gets as its first argument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast, overload

from .._core.cancelling import drop, leave
from .._core.extra import Binding, bind_promise
from .._core.following import follow
from .._core.reactions import Node, observed
from .._core.resolving import is_followed, new_input
from .._core.settling import pass_on
from .._core.states import CANCELLING, FULFILLED, REJECTED, CorePromise, new_pending
from .._util.both import Both
from .._util.types import Either, Followed

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["bind"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def _report_lost(rejected: CorePromise, other: CorePromise) -> None:
    """Report a rejection that no promise passes on, since *other* is passed on instead.

    Both may have the same reason: then there is nothing to report.
    """
    if rejected._state & REJECTED and rejected._value is not other._value:
        # Report it as the rejection of a new promise.
        pass_on(new_pending(type(rejected), owner=rejected), rejected)


class _Lost(Node):
    """Observes a promise after *outcome* has been passed on instead of its own."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: CorePromise) -> None:
        super().__init__()
        self._outcome = outcome
        self.stop_consuming()

    def _notify(self, parent: CorePromise) -> None:
        _report_lost(parent, self._outcome)


class _Bind(Node):
    """Passes an outcome on, once the value to be bound has settled too."""

    __slots__ = ("_binding", "_outcome", "_this")

    def _start(self, source: CorePromise, this: CorePromise) -> None:
        self._binding = Binding(None)
        bind_promise(self._promise, self._binding)
        # `_source` and `_this` become None when they have settled.
        self._this: CorePromise | None = this
        # The outcome that will be passed on.
        self._outcome: CorePromise | None = None
        self.wait_for_source(observed(source))
        self.wait_for(this)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        yield from super().waits()
        if self._this is not None:
            yield "the value that is to be bound", self._this

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
            # A cancellation has left it.
            return
        outcome, waiting = self._outcome, self._source or self._this
        if self._promise._state & CANCELLING:
            if waiting is None:
                promise, outcome = self._promise, cast("CorePromise", outcome)
                # What cancelled one of the two may have settled the other.
                settled = outcome._state & (FULFILLED | REJECTED)
                pass_on(self.finish(), promise if settled else outcome)
        elif outcome is not None:
            cancelled = not outcome._state & (FULFILLED | REJECTED)
            if self._this is None or cancelled:
                promise = self.finish()
                if waiting is not None:
                    if cancelled:
                        drop(waiting)
                    else:
                        _Lost(outcome).wait_for(waiting)
                pass_on(promise, outcome)

    def _decide(self, parent: CorePromise) -> None:
        # A failure is passed on before anything else; of two, the later one.
        before = self._outcome
        if before is None or parent._state & REJECTED or before._state & FULFILLED:
            self._outcome = parent
            if before is not None:
                _report_lost(before, parent)

    def _release(self) -> None:
        self._this = self._outcome = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self.stop_consuming()
        self._outcome = None
        if self._source is not None and not leave(self._source, stack, self._promise):
            self._source = None
        if self._this is not None and not leave(self._this, stack, self._promise):
            self._this = None
        if self._source is None and self._this is None:
            self.finish()
            return False
        return True


def _bind(self: CorePromise, this: Any = None) -> Any:  # noqa: D417 - a method
    """A promise for the same outcome, whose handlers get a value as their first argument.

    The promises derived from it are bound to the value, too.

    Args:
        this: The value.  A promise, a Deferred or the like is waited for; if it is rejected,
            so is the new promise, and an earlier rejection of this promise is reported as
            unhandled.  None unbinds.

    As a static function it takes the value of the new promise second:
    ``Promise.bind(this, value=None)``.

    Bluebird: ``.bind``; Python: what ``self`` is.
    """
    cls = type(self)
    cls._queue.check_thread()
    if not is_followed(this):
        promise = new_pending(cls, parent=self)
        bind_promise(promise, None if this is None else Binding(this))
        follow(promise, self)
        return promise
    return _Bind.derive(self, new_input(cls, this))


_bind.__name__ = "bind"


def _static_bind(cls: type[CorePromise], this: Any = None, value: Any = None) -> Any:
    cls._queue.check_thread()
    return _bind(new_input(cls, value), this)


if TYPE_CHECKING:
    # Handlers of a bound promise have one more parameter, which type checkers cannot express: they
    # get Any.

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

bind = _BindMethod(_bind, _static_bind)
