"""Synchronous inspection: the state of a promise right now."""

from __future__ import annotations

from reprlib import Repr
from typing import Any, Generic, TypeVar

from .._core import hooks
from .._core.following import root_of
from .._core.settling import mark_handled
from .._core.states import (
    CANCELLED,
    CANCELLING,
    FOLLOWING,
    FULFILLED,
    REJECTED,
    SETTLED,
    CorePromise,
)
from .._util.checks import shown

__all__ = ["NOT_FULFILLED", "NOT_REJECTED", "Inspection", "describe", "state_name"]

T_co = TypeVar("T_co", covariant=True)

NOT_FULFILLED = "cannot get fulfillment value of a non-fulfilled promise: it is {}"
NOT_REJECTED = "cannot get rejection reason of a non-rejected promise: it is {}"

_short = Repr()
_short.maxother = _short.maxstring = 60


def state_name(state: int) -> str:
    if state & FULFILLED:
        return "fulfilled"
    if state & REJECTED:
        return "rejected"
    if state & (CANCELLED | CANCELLING):
        return "cancelled"
    return "pending"


def describe(name: str, state: int, value: object) -> str:
    """A repr that never fails and never grows large."""
    if not state & (FULFILLED | REJECTED):
        return f"<{name} {state_name(state)}>"
    text = shown(value, _short.repr)
    if len(text) > 80:
        text = text[:77] + "..."
    return f"<{name} {state_name(state)}: {text}>"


class Inspection(CorePromise, Generic[T_co]):
    """The methods that read the state of a promise."""

    __slots__ = ()

    def _outcome(self) -> CorePromise:
        # A follower has settled as soon as its root has, though it is notified later.
        return root_of(self) if self._state & FOLLOWING else self

    def is_pending(self) -> bool:
        """Whether it has not settled yet. Bluebird: ``.isPending``."""
        return not (self._outcome()._state | self._state) & (SETTLED | CANCELLING)

    isPending = is_pending

    def is_fulfilled(self) -> bool:
        """Whether it is fulfilled. Bluebird: ``.isFulfilled``."""
        return bool(self._outcome()._state & FULFILLED)

    isFulfilled = is_fulfilled

    def is_rejected(self) -> bool:
        """Whether it is rejected. Bluebird: ``.isRejected``."""
        return bool(self._outcome()._state & REJECTED)

    isRejected = is_rejected

    def is_cancelled(self) -> bool:
        """Whether it was cancelled. Bluebird: ``.isCancelled``."""
        return bool((self._outcome()._state | self._state) & (CANCELLED | CANCELLING))

    isCancelled = is_cancelled

    def value(self) -> T_co:
        """The value.

        Raises:
            TypeError: The promise is not fulfilled.

        Bluebird: ``.value``.
        """
        promise = self._outcome()
        if hooks.observer is not None:
            hooks.observer.consumed(self)
        if not promise._state & FULFILLED:
            raise TypeError(NOT_FULFILLED.format(state_name(promise._state | self._state)))
        value: T_co = promise._value
        return value

    def reason(self) -> Any:
        """The reason; the rejection counts as handled from now on.

        Raises:
            TypeError: The promise is not rejected.

        Bluebird: ``.reason``.
        """
        promise = self._outcome()
        if not promise._state & REJECTED:
            raise TypeError(NOT_REJECTED.format(state_name(promise._state | self._state)))
        # Not its followee, nor its followers: those may have consumers of their own.
        mark_handled(self)
        return promise._value

    def __repr__(self) -> str:
        """The state, and the start of the value's or the reason's own repr."""
        promise = self._outcome()
        return describe("Promise", promise._state | self._state, promise._value)
