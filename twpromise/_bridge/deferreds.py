"""Deferreds into promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._core import hooks
from .._core.cancelling import drop
from .._core.jobs import call_soon
from .._core.resolving import adopters, resolve
from .._core.settling import fulfill, hand_over, mark_handled, reject
from .._core.states import CANCELLING, DEAD, CorePromise
from .clean_ups import CleanUp, clean_ups, fail_clean_up
from .shared import (
    is_shared,
    keep_failure,
    keep_followed,
    leave_to_others,
    taken_from,
)
from .to_deferred import DeferredSink

__all__ = [
    "adopt_deferred",
    "cancel_deferred",
    "fires_from_outside",
    "last_of",
    "lock_to_deferred",
]


def last_of(deferred: Any) -> Any:
    """The Deferred that a Deferred waits for in the end, through those that callbacks returned."""
    while issubclass(type(result := getattr(deferred, "result", None)), Deferred):
        deferred = result
    return deferred


def cancel_deferred(deferred: Deferred[Any]) -> None:
    """Cancel a Deferred that this library owns; firing it later has no effect, and is no error.

    Twisted itself fires a Deferred whose canceller does not, and ignores a later call of
    ``callback`` only if there is no canceller at all.
    """
    # The cancellation is passed on to the last one.
    last = last_of(deferred)
    if not last.called:
        canceller = getattr(last, "_canceller", None)
        if canceller is not None:
            last._canceller = partial(_cancel_quietly, canceller)
        try:
            deferred.cancel()
        finally:
            last._suppressAlreadyCalled = True


def _cancel_quietly(canceller: Callable[[Any], object], deferred: Any) -> None:
    canceller(deferred)
    # Not later: code that is resumed by the cancellation may fire the Deferred.  Not before: a
    # canceller that fires it twice gets Twisted's error.
    deferred._suppressAlreadyCalled = True


class DeferredSource:
    """Connects a Deferred with the promise that has adopted it: the promise's source.

    It waits for no promise, so it need not be a `Node`; without an ``__init__`` it costs half as
    much to make.
    """

    __slots__ = ("_deferred", "_promise")

    _deferred: Any
    _promise: Any

    def __call__(self, result: Any) -> None:
        """The Deferred's callback and errback; later callbacks of the Deferred get None."""
        promise = self._promise
        if result is None and self._deferred._taken_by_promise is not None:
            result = taken_from(self._deferred)
        if result is None or adopters[type(result)] is None:
            self._deferred._taken_by_promise = result
            if promise is not None:
                fulfill(promise, result)
            return
        deferred = self._deferred
        self._promise = None
        if issubclass(type(result), Failure):
            keep_failure(deferred, result)
            if promise is None:
                fail_clean_up(deferred, result)
            else:
                reject(promise, result)
        elif promise is None:
            deferred._taken_by_promise = result
        else:
            followed = keep_followed(type(promise), deferred, result, promise)
            if not promise._state & DEAD:
                resolve(promise, followed)
            elif not is_shared(deferred, self):
                # A coroutine has cancelled the promise before it came to its first `await`.
                mark_handled(followed)
                drop(followed, promise)

    def _waits_for(self, deferred: Any) -> bool:
        return self._promise is not None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        promise, self._promise = self._promise, None
        if promise is None:
            # The Deferred has fired with a coroutine, which cancels the promise.
            return False
        deferred = self._deferred
        # At once: if the Deferred fired before the next job, its value (a lock, say) would get
        # lost.
        try:
            if leave_to_others(deferred, self):
                return False
            waits = self._cancel(promise)
            late = deferred._taken_by_promise
            if adopters[type(late)] is not None:
                # The canceller has fired it with that, which has no consumer then.
                followed = keep_followed(type(promise), deferred, late, promise)
                mark_handled(followed)
                drop(followed, promise)
        except BaseException as error:
            # What a canceller raises is logged; the promise is cancelled anyway.
            call_soon(type(promise), hooks.host.escaped, error)
            # It may have fired the Deferred before.
            return not promise._state & CANCELLING
        return waits

    def _cancel(self, promise: CorePromise) -> bool:
        """Cancel the Deferred; return whether that finishes the cancellation of the promise."""
        end = CleanUp(promise)
        self._deferred.addBoth(end)
        waits = self._cancel_deferred()
        end.late = True
        return waits

    def _cancel_deferred(self) -> bool:
        """Cancel the Deferred; return whether that fires it."""
        cancel_deferred(self._deferred)
        return True

    def wait_for_ends(self, left: list[Any]) -> None:
        """The Deferred, which is cancelled, has gone on without these; see `ending.give_up`."""
        for end in clean_ups(self._deferred):
            end.given_up += left

    def awaited(self) -> None:
        """No promise."""

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        return (("", self._deferred),)

    def from_outside(self) -> bool:
        """Whether nothing that is queued can fire the Deferred; see `Node`."""
        return fires_from_outside(self._deferred)

    def _can_stop(self) -> bool:
        return True


def fires_from_outside(deferred: Any) -> bool:
    """Whether nothing that is queued can fire a Deferred.

    A coroutine of Twisted can fire it, and so can a promise that it was made of: both are known by
    their canceller.  So can others that a `DeferredList` waits for.
    """
    last = last_of(deferred)
    canceller = getattr(last, "_canceller", None)
    return type(last) is Deferred and getattr(canceller, "__module__", None) not in (
        Deferred.__module__,
        DeferredSink.__module__,
    )


def lock_to_deferred(promise: CorePromise, deferred: Deferred[Any]) -> None:
    """Cancel a Deferred when a pending promise is cancelled."""
    source = DeferredSource()
    source._promise = promise
    source._deferred = deferred
    hand_over(promise, source)


def adopt_deferred(promise: CorePromise, deferred: Deferred[Any]) -> None:
    """Make a pending promise settle as a Deferred does, which it owns from now on."""
    source = DeferredSource()
    source._promise = promise
    source._deferred = deferred
    hand_over(promise, source)
    # If it has fired, this settles the promise at once.
    deferred.addBoth(source)
