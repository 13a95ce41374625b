"""The interfaces of promises, Deferreds and schedulers.

Unless an interface says otherwise, everything is called on the reactor's thread.
"""

# The methods of an interface have no `self`, and no body but a docstring.
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
# pyright: reportReturnType=false

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ._promise import Promise

    # Type checkers take the call of an interface for the construction of an instance, whose type
    # is what `__new__` returns.  mypy's plugin for zope.interface compares it with the `__new__` of
    # each class that implements the interface, so that it must take anything; and it adds a `self`
    # to the functions of interfaces, so that this one is in a class of its own.

    class _GivesPromise:
        def __new__(  # type: ignore[misc, unused-ignore]
            cls: Any, *args: Any, **kwargs: Any
        ) -> Promise[Any]: ...

    class _GivesDeferred:
        def __new__(  # type: ignore[misc, unused-ignore]
            cls: Any, *args: Any, **kwargs: Any
        ) -> Deferred[Any]: ...

    class _AdaptsToPromise(_GivesPromise, Interface):
        pass

    class _AdaptsToDeferred(_GivesDeferred, Interface):
        pass

else:
    _AdaptsToPromise = _AdaptsToDeferred = Interface

__all__ = ["IDeferred", "IDelayedCall", "IPromise", "IScheduler"]


class IDelayedCall(Interface):
    """A call that will be made later (`twisted.internet.interfaces.IDelayedCall` is one)."""

    def cancel() -> None:
        """Cancel the call."""

    def active() -> bool:
        """Whether the call is still to be made."""


class IScheduler(Interface):
    """Runs the handlers of promises, and has a clock and threads for them.

    Set it with `Promise.set_scheduler`.  The default is `twpromise.ReactorScheduler`; for tests,
    there is `twpromise.testing.ManualScheduler`.
    """

    time_slice = Attribute("Seconds that a drain of the queue may take before the rest waits.")

    def call_soon(function: Callable[[], None]) -> object:
        """Call *function* soon, on the reactor's thread, but not from within this call.

        Promises call this once for each batch of handlers.
        """

    def call_later(
        seconds: float, function: Callable[..., object], *arguments: Any
    ) -> IDelayedCall:
        """Call *function* with *arguments* after *seconds*."""

    def seconds() -> float:
        """The time, in seconds, on the clock of `call_later`; its zero does not matter."""

    def call_from_thread(function: Callable[[], None]) -> object:
        """Call *function* on the reactor's thread.

        May be called from any thread.
        """

    def call_in_thread(function: Callable[[], None]) -> object:
        """Call *function*, which does not raise, in a thread of the scheduler's pool.

        An error of this method rejects the promise of `Promise.in_thread`.
        """

    def event_loop() -> AbstractEventLoop | None:
        """The asyncio loop that promises run on, or None.

        A scheduler that does not know it, such as one for tests, returns the running loop.  May be
        called from any thread.
        """

    def home_thread() -> int:
        """The identifier of the reactor's thread; of the calling thread until the reactor runs.

        May be called from any thread.
        """

    def timer() -> float:
        """The time, in seconds, on the clock of the time slice; its zero does not matter."""


class IPromise(_AdaptsToPromise):
    """A value that will be available later, or the reason why it will not.

    ``IPromise(x)`` adapts everything that promises follow.  If you register an adapter to
    `IPromise` for a type, promises follow its instances.
    """

    def then(on_fulfilled: Any = None, on_rejected: Any = None) -> IPromise:
        """A promise for the result of the handler that is called with the outcome."""

    def cancel() -> None:
        """Cancel the promise, whose outcome is no longer needed."""

    def is_pending() -> bool:
        """Whether it has not settled yet."""

    def is_fulfilled() -> bool:
        """Whether it was fulfilled."""

    def is_rejected() -> bool:
        """Whether it was rejected."""

    def is_cancelled() -> bool:
        """Whether it was cancelled."""

    def value() -> Any:
        """The value of a fulfilled promise."""

    def reason() -> Any:
        """The reason of a rejected promise."""

    def to_deferred() -> Any:
        """A new Deferred for the outcome."""


class IDeferred(_AdaptsToDeferred):
    """The methods of a `twisted.internet.defer.Deferred` that its users call.

    ``IDeferred(x)`` adapts promises, and everything that promises follow.
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
        """Cancel the Deferred, whose result is no longer needed."""
