"""Deferreds into promises, and promises into Deferreds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from .._core import hooks
from .._core.cancelling import drop
from .._core.following import outcome_of
from .._core.reactions import Node, subscribe
from .._core.resolving import adopters, resolve
from .._core.settling import fulfill, lock, mark_handled, reject
from .._core.states import (
    CANCELLED,
    CANCELLING,
    FULFILLED,
    LATE_OBSERVER,
    NODE,
    REJECTED,
    CorePromise,
)
from .._scheduling.queue import call_soon
from .._util.errors import CancellationError
from .outcomes import carried, failure_of

__all__ = ["ThreadSource", "adopt_deferred", "cancel_deferred", "lock_to_deferred", "make_deferred"]


def cancel_deferred(deferred: Deferred[Any]) -> None:
    """Cancel a Deferred that is ours alone; whoever fires it later does not get to feel it.

    Twisted itself fires a Deferred whose canceller does not, and swallows the late answer only
    where there is no canceller at all.
    """
    last: Any = deferred
    while issubclass(type(getattr(last, "result", None)), Deferred):
        # That is where the cancellation goes.
        last = last.result
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
    # Not later: whoever is resumed by the cancellation may be the one who fires it.  Not before:
    # a canceller that fires it twice is told so.
    deferred._suppressAlreadyCalled = True


class DeferredSource:
    """Stands between a Deferred and the promise that has adopted it: the promise's source.

    It waits for no promise, so that it need not be a `Node`; and having no ``__init__`` halves
    what it costs to make one.
    """

    __slots__ = ("_deferred", "_promise")

    _deferred: Any
    _promise: Any

    def __call__(self, result: Any) -> None:
        """The Deferred's callback and errback; whoever looks at it later sees None."""
        promise = self._promise
        if promise is not None:
            self._promise = self._deferred = None
            if adopters[type(result)] is None:
                fulfill(promise, result)
            elif issubclass(type(result), Failure):
                reject(promise, result.value, result)
            else:
                resolve(promise, result)

    def _abandon(self, stack: list[CorePromise]) -> bool:
        promise, self._promise = self._promise, None
        # At once: what the Deferred was given between now and the next turn (a lock, say) would
        # belong to nobody.
        try:
            cancel_deferred(self._deferred)
        except BaseException as error:
            # What a canceller raises is logged; the promise is cancelled anyway.
            call_soon(type(promise), hooks.host.escaped, error)
        return False

    def _can_stop(self) -> bool:
        return True


class ThreadSource(DeferredSource):
    """The same for a Deferred of a thread, which cannot be stopped."""

    __slots__ = ()

    def _can_stop(self) -> bool:
        return False


def lock_to_deferred(promise: CorePromise, deferred: Deferred[Any]) -> None:
    """Make a Deferred what is cancelled with a pending promise."""
    source = DeferredSource()
    source._promise = promise
    source._deferred = deferred
    lock(promise, source)


def adopt_deferred(
    promise: CorePromise,
    deferred: Deferred[Any],
    kind: type[DeferredSource] = DeferredSource,
) -> None:
    """Have a pending promise take on the fate of a Deferred, which it owns from now on."""
    source = kind()
    source._promise = promise
    source._deferred = deferred
    lock(promise, source)
    # If it has fired, this settles the promise at once.
    deferred.addBoth(source)


class DeferredSink(Node):
    """Stands between a promise and a Deferred that was made of it: one of its consumers."""

    __slots__ = ("_deferred",)

    def __init__(self, promise: CorePromise) -> None:
        self._state = NODE
        self._promise = promise
        self._deferred: Deferred[Any] = Deferred(self._canceller)

    def _canceller(self, deferred: Deferred[Any]) -> None:
        self._state |= CANCELLED
        promise, self._promise = self._promise, None
        # After this returns, Twisted errbacks with CancelledError.
        drop(promise)

    def _notify(self, parent: CorePromise) -> None:
        self._state |= CANCELLED
        self._promise = None
        if not self._deferred.called:
            if parent._state & FULFILLED:
                self._deferred.callback(carried(parent._value))
            elif parent._state & REJECTED:
                self._deferred.errback(failure_of(parent._value, parent._aux))
            else:
                self._deferred.errback(CancellationError("the promise was cancelled"))


def make_deferred(promise: CorePromise) -> Deferred[Any]:
    """A new Deferred for a promise, which counts as one of its consumers."""
    outcome = outcome_of(promise)
    state = outcome._state
    if state & FULFILLED:
        return succeed(carried(outcome._value))
    if state & REJECTED:
        mark_handled(promise)
        return fail(failure_of(outcome._value, outcome._aux))
    if state & (CANCELLED | CANCELLING):
        return fail(CancellationError(LATE_OBSERVER))
    sink = DeferredSink(promise)
    subscribe(promise, sink)
    return sink._deferred
