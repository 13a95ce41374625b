"""`reflect`: outcomes as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .._core.cancelling import leave
from .._core.extra import bind_promise, binding_of
from .._core.following import outcome_of
from .._core.reactions import Node, subscribe
from .._core.settling import fulfill, mark_handled, pass_on
from .._core.states import (
    CANCELLED,
    CANCELLING,
    DEAD,
    FULFILLED,
    NODE,
    REJECTED,
    SETTLED,
    CorePromise,
    new_pending,
)
from .inspection import NOT_FULFILLED, NOT_REJECTED, describe, state_name

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["PromiseInspection", "Reflection"]

T_co = TypeVar("T_co", covariant=True)


class PromiseInspection(Generic[T_co]):
    """How a promise has settled; lives on when the promise is gone.

    Given by `Promise.reflect` and `Promise.all_settled`.  Bluebird: ``PromiseInspection``.
    """

    __slots__ = ("__weakref__", "_state", "_value")

    def __init__(self, state: int, value: Any) -> None:
        self._state = state
        self._value = value

    @classmethod
    def _of(cls, promise: CorePromise) -> PromiseInspection[Any]:
        """An inspection of a promise that is settled, or cancelled in all but name."""
        state = promise._state
        if state & CANCELLING:
            return cls(CANCELLED, None)
        return cls(state & SETTLED, promise._value)

    def is_pending(self) -> bool:
        """False: it has settled. Bluebird: ``.isPending``."""
        return False

    def is_fulfilled(self) -> bool:
        """Whether there is a value. Bluebird: ``.isFulfilled``."""
        return bool(self._state & FULFILLED)

    def is_rejected(self) -> bool:
        """Whether there is a reason. Bluebird: ``.isRejected``."""
        return bool(self._state & REJECTED)

    def is_cancelled(self) -> bool:
        """Whether it was cancelled. Bluebird: ``.isCancelled``."""
        return bool(self._state & CANCELLED)

    def value(self) -> T_co:
        """The value.

        Raises:
            TypeError: The promise was not fulfilled.

        Bluebird: ``.value``.
        """
        if not self._state & FULFILLED:
            raise TypeError(NOT_FULFILLED.format(state_name(self._state)))
        return cast("T_co", self._value)

    def reason(self) -> Any:
        """The reason.

        Raises:
            TypeError: The promise was not rejected.

        Bluebird: ``.reason``.
        """
        if not self._state & REJECTED:
            raise TypeError(NOT_REJECTED.format(state_name(self._state)))
        return self._value

    error = reason

    isCancelled = is_cancelled
    isFulfilled = is_fulfilled
    isPending = is_pending
    isRejected = is_rejected

    def __repr__(self) -> str:
        """The state, and the start of the value's or the reason's own repr."""
        return describe("PromiseInspection", self._state, self._value)


class _Reflector(Node):
    """Fulfils a promise with an inspection of another."""

    __slots__ = ("_source",)

    def _start(self, source: CorePromise) -> None:
        self._source: CorePromise | None = source
        subscribe(source, self)

    def _notify(self, parent: CorePromise) -> None:
        promise: CorePromise = self._promise
        self._state = NODE | CANCELLED
        self._promise = self._source = None
        if promise._state & CANCELLING:
            # Cancelled too; or it failed in that, of which nobody else would hear.
            pass_on(promise, parent)
        else:
            fulfill(promise, PromiseInspection._of(parent))

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self._state = NODE | CANCELLING
        if leave(cast("CorePromise", self._source), stack):
            # The source will be cancelled, and what it still has to finish comes first.
            return True
        self._state = NODE | CANCELLED
        self._promise = self._source = None
        return False


class Reflection(CorePromise, Generic[T_co]):
    """Outcomes as values, and rejections that are nobody's concern."""

    __slots__ = ()

    def reflect(self) -> Promise[PromiseInspection[T_co]]:
        """A promise that is fulfilled with a `PromiseInspection`, however this one settles.

        Also when this promise is cancelled.  Bluebird: ``.reflect``.
        """
        outcome = outcome_of(self)
        if outcome._state & DEAD:
            mark_handled(self)
            promise = new_pending(type(self), parent=self)
            bind_promise(promise, binding_of(self))
            fulfill(promise, PromiseInspection._of(outcome))
        else:
            promise = _Reflector.derive(self)
        return cast("Promise[PromiseInspection[T_co]]", promise)

    def suppress_unhandled_rejections(self) -> None:
        """Do not report it if this promise is rejected and nobody handles that.

        For handlers that are attached later.  It adds no branch, as attaching a handler does.
        Bluebird: ``.suppressUnhandledRejections``.
        """
        mark_handled(self)

    suppressUnhandledRejections = suppress_unhandled_rejections
