"""`reflect`: outcomes as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .._core.extra import bind_promise, binding_of
from .._core.following import outcome_of
from .._core.reactions import Node
from .._core.settling import fulfill, mark_handled, pass_on
from .._core.states import (
    CANCELLING,
    SETTLED,
    CorePromise,
    new_pending,
)
from .inspection import Inspected

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["PromiseInspection", "Reflection"]

T_co = TypeVar("T_co", covariant=True)


class PromiseInspection(Inspected[T_co]):
    """The outcome of a settled promise; does not keep the promise alive.

    Returned by `Promise.reflect` and `Promise.all_settled`.  Bluebird: ``PromiseInspection``.
    """

    __slots__ = ("__weakref__", "_inspected")

    def __init__(self, state: int, value: Any) -> None:
        self._inspected = (state, value)

    @classmethod
    def _of(cls, promise: CorePromise) -> PromiseInspection[Any]:
        """An inspection of a settled promise."""
        return cls(promise._state & SETTLED, promise._value)

    def _inspect(self) -> tuple[int, Any]:
        return self._inspected

    error = Inspected.reason


class _Reflector(Node):
    """Fulfils a promise with an inspection of another."""

    __slots__ = ()

    def _start(self, source: CorePromise, /, *_: Any) -> None:
        self._source = source
        self.wait_for_end(source)

    def _notify(self, parent: CorePromise) -> None:
        promise = self.finish()
        if promise._state & CANCELLING:
            pass_on(promise, parent)
        else:
            fulfill(promise, PromiseInspection._of(parent))


class Reflection(CorePromise, Generic[T_co]):
    """Outcomes as values, and rejections that are not reported."""

    __slots__ = ()

    def reflect(self) -> Promise[PromiseInspection[T_co]]:
        """A promise that is fulfilled with a `PromiseInspection` of this one, however it settles.

        If this promise is cancelled, that happens when its clean-up has ended: `finally_` handlers,
        ``finally`` blocks of coroutines, releases.  Bluebird: ``.reflect``.
        """
        outcome = outcome_of(self)
        if outcome._state & SETTLED:
            mark_handled(self)
            promise = new_pending(type(self), parent=self)
            bind_promise(promise, binding_of(self))
            fulfill(promise, PromiseInspection._of(outcome))
        else:
            promise = _Reflector.derive(self)
        return cast("Promise[PromiseInspection[T_co]]", promise)

    def suppress_unhandled_rejections(self) -> None:
        """Do not report a rejection of this promise as unhandled.

        Call it if you attach a handler later.  Bluebird: ``.suppressUnhandledRejections``.
        """
        mark_handled(self)

    suppressUnhandledRejections = suppress_unhandled_rejections
