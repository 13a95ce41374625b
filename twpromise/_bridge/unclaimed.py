"""`from_deferred(d, unclaimed=f)`: what happens to a value that has no consumer any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._core.claims import Claim
from .._core.contexts import keep_context
from .._core.dropped import call
from .._core.jobs import call_soon
from .._core.resolving import adopters
from .._core.settling import hand_over
from .._core.states import CorePromise
from .deferreds import DeferredSource, last_of
from .shared import callbacks_of, taken_from, waiting_for

__all__ = ["adopt_for_certain"]


class CertainSource(DeferredSource):
    """Like its base; each value goes to a consumer, or else to a function.

    The promise is fulfilled from the queue, and its subscribers are notified at the same time, so
    that it can be cancelled until then.  All such sources of a Deferred share a `Claim`.
    """

    __slots__ = ("_bare", "_class", "_holds", "_unclaimed")

    _bare: bool
    _class: type[CorePromise]
    _holds: bool
    _unclaimed: Callable[[Any], object]

    def __call__(self, result: Any) -> None:
        """See the base."""
        deferred, promise = self._deferred, self._promise
        claim: Claim | None = getattr(deferred, "_claim_of_promises", None)
        others = list(waiting_for(deferred, self))
        if result is None and deferred._taken_by_promise is not None:
            result = taken_from(deferred)
            if claim is None:
                # Something else of this library has the value already.
                DeferredSource.__call__(self, None)
                return
        if adopters[type(result)] is not None:
            DeferredSource.__call__(self, result)
            return
        deferred._taken_by_promise = result
        if claim is None:
            claim = deferred._claim_of_promises = Claim(result)
            claim.reached = any(type(other) is not CertainSource for other in others)
            if promise is None and not others:
                self._give_back()
        if promise is not None:
            self._holds = True
            claim.deliver(promise, self._give_back)

    def _give_back(self) -> None:
        """The value has reached no consumer."""
        deferred = self._deferred
        value = deferred._taken_by_promise
        # Others that adopt the Deferred do not get it any more.
        deferred._taken_by_promise = Failure(
            RuntimeError(
                "the value of the Deferred has reached no consumer, and was given to "
                "`unclaimed`: adopt a Deferred once, and share the promise"
            )
        )
        call_soon(self._class, call, self._class, self._unclaimed, value)

    def _cancel(self, promise: CorePromise) -> bool:
        last = last_of(self._deferred)
        if self._holds or last._canceller is None or last.called:
            # Nothing stops its source.
            return False
        return DeferredSource._cancel(self, promise)

    def _cancel_deferred(self) -> bool:
        if not self._bare:
            return DeferredSource._cancel_deferred(self)
        # No other callback has to see an error, so do not fire the Deferred: it may still fire
        # with a value.
        last = last_of(self._deferred)
        canceller, last._canceller = last._canceller, None
        canceller(last)
        # That of a coroutine of Twisted's fires it, and the coroutine may clean up.
        return bool(last.called)

    def from_outside(self) -> bool:
        """See the base."""
        return not self._holds and DeferredSource.from_outside(self)


def adopt_for_certain(
    promise: CorePromise, deferred: Deferred[Any], unclaimed: Callable[[Any], object]
) -> None:
    """Like `adopt_deferred`, but call *unclaimed*, in its context, with a value that gets lost."""
    source = CertainSource()
    source._promise = promise
    source._deferred = deferred
    source._class = type(promise)
    source._unclaimed = keep_context(type(promise), unclaimed)
    source._holds = False
    source._bare = not deferred.called and not callbacks_of(deferred)
    hand_over(promise, source)
    deferred.addBoth(source)
