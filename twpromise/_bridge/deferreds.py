"""Deferreds into promises, and promises into Deferreds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from twisted.internet.defer import _CONTINUE, Deferred, _CancellationStatus, fail, succeed
from twisted.python.failure import Failure

from .._core import hooks
from .._core.cancelling import drop
from .._core.following import outcome_of
from .._core.jobs import call_soon
from .._core.reactions import Node
from .._core.resolving import adopters, resolve
from .._core.settling import fulfill, hand_over, mark_handled, reject
from .._core.states import DEAD, FULFILLED, REJECTED, CorePromise
from .._util.errors import CancellationError
from .outcomes import failure_of
from .shared import (
    callbacks_of,
    is_last,
    is_shared,
    keep_failure,
    keep_followed,
    leave_to_others,
    taken_from,
    waiting_for,
)

__all__ = [
    "adopt_deferred",
    "cancel_deferred",
    "fires_from_outside",
    "last_of",
    "lock_to_deferred",
    "make_deferred",
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
        self._promise = self._deferred = None
        if issubclass(type(result), Failure):
            keep_failure(deferred, result)
            if promise is not None:
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
            if not leave_to_others(deferred, self):
                self._cancel()
                late = deferred._taken_by_promise
                if adopters[type(late)] is not None:
                    # The canceller has fired it with that, which has no consumer then.
                    followed = keep_followed(type(promise), deferred, late, promise)
                    mark_handled(followed)
                    drop(followed, promise)
        except BaseException as error:
            # What a canceller raises is logged; the promise is cancelled anyway.
            call_soon(type(promise), hooks.host.escaped, error)
        return False

    def _cancel(self) -> None:
        cancel_deferred(self._deferred)

    def awaited(self) -> None:
        """No promise."""

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        return (("", self._deferred),)

    def from_outside(self) -> bool:
        """Whether nothing that is queued can fire the Deferred; see `Node`."""
        return fires_from_outside(self._deferred)

    def _can_stop(self) -> bool:
        return not self.running()

    # --- after a cancellation

    def running(self) -> bool:
        """Whether the Deferred has been cancelled, and waits: a coroutine of Twisted's cleans up.

        Twisted fires each Deferred that it cancels, and passes the cancellation on to the one that
        this waits for.
        """
        deferred = self._deferred
        return (
            self._promise is None
            and deferred is not None
            and bool(deferred.called)
            and is_last(deferred, self)
        )

    def when_done(self, function: Callable[[], object]) -> None:
        """Call a function once the Deferred, which is `running`, has settled."""

        def notify(result: Any) -> Any:
            function()
            return result

        self._deferred.addBoth(notify)


def fires_from_outside(deferred: Any) -> bool:
    """Whether nothing that is queued can fire a Deferred.

    A coroutine of Twisted can fire it, and so can a promise that it was made of: both are known by
    their canceller.  So can others that a `DeferredList` waits for.
    """
    last = last_of(deferred)
    canceller = getattr(last, "_canceller", None)
    return type(last) is Deferred and getattr(canceller, "__module__", None) not in (
        Deferred.__module__,
        __name__,
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


def promises_behind(deferred: Deferred[Any]) -> list[CorePromise]:
    """The promises that wait for a Deferred, directly or through other Deferreds and coroutines."""
    promises: list[CorePromise] = []
    found, seen = [deferred], set[object]()
    while found:
        one = found.pop()
        if one in seen:
            continue
        seen.add(one)
        promises += [waiting._promise for waiting in waiting_for(one, None)]
        for (callback, arguments, _), _ in callbacks_of(one):
            called = getattr(callback, "__self__", None)
            if isinstance(called, Deferred):
                # A `DeferredList`, say.
                found.append(called)
            elif callback is _CONTINUE:
                # One whose callback has returned this one.
                found += arguments
            else:
                found += [each.deferred for each in arguments if type(each) is _CancellationStatus]
    return promises


class DeferredSink(Node):
    """Connects a promise with a Deferred that was made of it: one of its consumers."""

    __slots__ = ("_context", "_deferred")

    def __init__(self, promise: CorePromise) -> None:
        super().__init__(promise)
        self._deferred: Any = Deferred(self._canceller)
        # For the callbacks.  In an empty context they must leave nothing behind, like all code in a
        # drain.
        context = copy_context()
        kept = context and promise._library.async_hooks
        self._context: Context | None = context if kept else None

    def _canceller(self, deferred: Deferred[Any]) -> None:
        # After this returns, Twisted errbacks with CancelledError.
        behind = promises_behind(deferred)
        drop(self.finish(), *behind)

    def _notify(self, parent: CorePromise) -> None:
        deferred, context = self._deferred, self._context
        self.finish()
        if not deferred.called:
            fire, result = deferred.callback, parent._value
            if parent._state & REJECTED:
                fire, result = deferred.errback, failure_of(parent._value, parent._aux)
            elif not parent._state & FULFILLED:
                fire, result = deferred.errback, CancellationError("the promise was cancelled")
            if context is None:
                fire(result)
            else:
                context.run(fire, result)

    def _settles(self, awaited: CorePromise) -> list[CorePromise]:
        return promises_behind(self._deferred)

    def _release(self) -> None:
        # A promise that stays pending may refer to this node for long.
        self._deferred = self._context = None


def make_deferred(promise: CorePromise) -> Deferred[Any]:
    """A new Deferred for a promise, which counts as one of its consumers."""
    outcome = outcome_of(promise)
    state = outcome._state
    if state & FULFILLED:
        return succeed(outcome._value)
    if state & REJECTED:
        mark_handled(promise)
        return fail(failure_of(outcome._value, outcome._aux))
    if state & DEAD:
        return fail(hooks.host.late_cancellation())
    sink = DeferredSink(promise)
    sink.wait_for(promise)
    deferred: Deferred[Any] = sink._deferred
    return deferred
