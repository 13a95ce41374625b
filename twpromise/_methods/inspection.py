"""Synchronous inspection: the state of a promise right now."""

from __future__ import annotations

from reprlib import Repr
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .._core import hooks
from .._core.following import root_of
from .._core.settling import mark_handled
from .._core.states import (
    CANCELLED,
    CANCELLING,
    DEAD,
    FOLLOWING,
    FULFILLED,
    REJECTED,
    SETTLED,
    CorePromise,
)
from .._util.checks import shown

__all__ = ["Inspected", "Inspection"]

T_co = TypeVar("T_co", covariant=True)

_short = Repr()
_short.maxother = _short.maxstring = 60


def _state_name(state: int) -> str:
    if state & FULFILLED:
        return "fulfilled"
    if state & REJECTED:
        return "rejected"
    if state & (CANCELLED | CANCELLING):
        return "cancelled"
    return "pending"


def _describe(name: str, state: int, value: object) -> str:
    """A repr that never fails and never grows large."""
    if not state & (FULFILLED | REJECTED):
        return f"<{name} {_state_name(state)}>"
    text = shown(value, _short.repr)
    if len(text) > 80:
        text = text[:77] + "..."
    return f"<{name} {_state_name(state)}: {text}>"


class Inspected(Generic[T_co]):
    """The methods of a promise and of a `PromiseInspection`."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _inspect(self) -> tuple[int, Any]:
            """The state, and the value or reason."""
            ...

    def is_pending(self) -> bool:
        """Whether it has not settled yet. Bluebird: ``.isPending``."""
        return not self._inspect()[0] & DEAD

    isPending = is_pending

    def is_fulfilled(self) -> bool:
        """Whether it is fulfilled. Bluebird: ``.isFulfilled``."""
        return bool(self._inspect()[0] & FULFILLED)

    isFulfilled = is_fulfilled

    def is_rejected(self) -> bool:
        """Whether it is rejected. Bluebird: ``.isRejected``."""
        return bool(self._inspect()[0] & REJECTED)

    isRejected = is_rejected

    def is_cancelled(self) -> bool:
        """Whether it is cancelled. Bluebird: ``.isCancelled``."""
        return bool(self._inspect()[0] & (CANCELLED | CANCELLING))

    isCancelled = is_cancelled

    def value(self) -> T_co:
        """The value.

        Raises:
            TypeError: The promise is not fulfilled.

        Bluebird: ``.value``.
        """
        state, value = self._inspect()
        if not state & FULFILLED:
            raise TypeError(
                "cannot get fulfillment value of a non-fulfilled promise: "
                f"it is {_state_name(state)}"
            )
        return cast("T_co", value)

    def reason(self) -> Any:
        """The reason.  Reading it from a promise marks the rejection as handled.

        Raises:
            TypeError: The promise is not rejected.

        Bluebird: ``.reason``.
        """
        state, reason = self._inspect()
        if not state & REJECTED:
            raise TypeError(
                f"cannot get rejection reason of a non-rejected promise: it is {_state_name(state)}"
            )
        return reason

    def __repr__(self) -> str:
        """The state, and the start of the repr of the value or reason."""
        state, value = self._inspect()
        return _describe(type(self).__name__, state, value)


class Inspection(CorePromise, Inspected[T_co]):
    """The methods that read the state of a promise."""

    __slots__ = ()

    def _inspect(self) -> tuple[int, Any]:
        # A follower has settled as soon as its root has, though it is notified later.
        root = root_of(self) if self._state & FOLLOWING else self
        state = root._state
        return state if state & SETTLED else state | self._state, root._value

    def value(self) -> T_co:
        if hooks.observer is not None:
            hooks.observer.consumed(self)
        return super().value()

    def reason(self) -> Any:
        reason = super().reason()
        # Not its followee, nor its followers: they may have other consumers.
        mark_handled(self)
        return reason
