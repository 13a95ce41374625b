"""The interfaces between promises and what is around them.

Who may call what, and from where: unless an interface says otherwise, everything is called
on the reactor's thread.
"""

# The methods of an interface have no `self`, and no body but what tells what they are for.
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import Attribute, Interface

__all__ = ["IDeferred", "IDelayedCall", "IPromise", "IScheduler"]


class IDelayedCall(Interface):
    """A call that will be made later (`twisted.internet.interfaces.IDelayedCall` is one)."""

    def cancel() -> None:
        """Do not make the call after all."""

    def active() -> bool:
        """Whether the call is still to be made."""


class IScheduler(Interface):
    """Where promises get their turns, their time and their thread from.

    See `Promise.set_scheduler`.  `twpromise.ReactorScheduler` is the one that is used unless
    another is set, `twpromise.testing.ManualScheduler` the one for tests.
    """

    time_slice = Attribute("Seconds that a drain of the queue may take before the rest waits.")

    def call_soon(function: Callable[[], None]) -> object:
        """Have *function* called soon, on the reactor's thread, but not from within this call.

        Promises call this once for each batch of jobs.
        """

    def call_later(
        seconds: float, function: Callable[..., object], *arguments: Any
    ) -> IDelayedCall:
        """Have *function* called with *arguments* after *seconds*."""

    def call_from_thread(function: Callable[[], None]) -> object:
        """Have *function* called on the reactor's thread.

        May be called from any thread.
        """

    def home_thread() -> int:
        """The identifier of the reactor's thread; of the calling one, if there is none yet.

        May be called from any thread.
        """

    def timer() -> float:
        """Seconds, from any moment on: what the time slice is measured with."""


class IPromise(Interface):
    """A value that will be there later, or the reason why it will not.

    ``IPromise(x)`` adapts whatever promises follow; an adapter to `IPromise` that is
    registered for a type teaches promises to follow it.
    """

    def then(on_fulfilled: Any = None, on_rejected: Any = None) -> IPromise:
        """A promise for what a handler makes of the outcome."""

    def cancel() -> None:
        """Do not care for the outcome any more."""

    def is_pending() -> bool:
        """Whether there is no outcome yet."""

    def is_fulfilled() -> bool:
        """Whether there is a value."""

    def is_rejected() -> bool:
        """Whether there is a reason."""

    def is_cancelled() -> bool:
        """Whether it was cancelled."""

    def value() -> Any:
        """The value of a fulfilled promise."""

    def reason() -> Any:
        """The reason of a rejected promise."""

    def to_deferred() -> Any:
        """A new Deferred for the outcome."""


class IDeferred(Interface):
    """A `twisted.internet.defer.Deferred`, as far as its users are concerned.

    ``IDeferred(x)`` adapts promises, and whatever promises follow.
    """

    def addCallbacks(callback: Any, errback: Any = None) -> IDeferred:
        """Add a pair of callbacks."""

    def addCallback(callback: Any) -> IDeferred:
        """Add a callback for the result."""

    def addErrback(errback: Any) -> IDeferred:
        """Add a callback for the failure."""

    def addBoth(callback: Any) -> IDeferred:
        """Add a callback for either."""

    def cancel() -> None:
        """Do not care for the result any more."""
