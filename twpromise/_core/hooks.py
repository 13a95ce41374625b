"""What the core needs from the rest of the package: one host, installed once, and one observer.

The core does not know Twisted, a clock, or the exception classes of this package: it asks `host`.
Diagnostics that are switched on are in `observer`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .states import CorePromise


#: Makes a pending promise follow, or wait for, a value of the type that it was registered for.
Adopter = Callable[["CorePromise", Any], None]


class Host(Protocol):
    """The questions of the core; `twpromise._bridge.host` answers them."""

    #: The type of objects that wrap an exception: Twisted's Failure.
    failure: type

    def unwrap(self, failure: Any) -> tuple[object, Any]:
        """The reason in a failure, and the `aux` to reject with; see `settling.reject`."""
        ...

    def adopter_for(self, kind: type) -> Adopter | None:
        """How a value of that type is followed; None for a plain value."""
        ...

    def exception_of(self, promise: CorePromise) -> BaseException:
        """The exception for a generator that waits for a promise that was not fulfilled."""
        ...

    def late_cancellation(self) -> BaseException:
        """The reason for a subscriber that subscribes after a promise was cancelled."""
        ...

    def unhandled(self, promise: CorePromise) -> None:
        """A rejection was still unhandled at the end of the drain."""

    def handled(self, promise: CorePromise) -> None:
        """A rejection that was reported has been handled since."""

    def fatal(self, library: Any, reason: Any, aux: Any) -> None:
        """Call the fatal hook of *library* for a failure that no caller can handle."""

    def escaped(self, error: BaseException) -> None:
        """Log an exception that has no caller."""


class Observer(Protocol):
    """The calls of the core to diagnostics that are switched on."""

    #: The code that runs a watched function: its frame is left out of tracebacks.
    watching: CodeType
    #: A listener is being notified of an event just now.
    notifying: bool

    def created(self, promise: CorePromise, owner: CorePromise | None = None, /) -> None:
        """A promise was made; on behalf of *owner*, if users will not see it.

        If its owner is `INPUT`, it counts as the promise that is derived from it.
        """

    def chained(self, parent: CorePromise, child: CorePromise) -> None:
        """A promise was derived from another."""

    def settled(self, promise: CorePromise) -> None:
        """A promise was fulfilled, rejected or cancelled."""

    def failed(self, promise: CorePromise, reason: object, aux: Any = None) -> None:
        """A promise is being rejected with an error, not with the outcome of another promise.

        Args:
            promise: Settles just after this call.
            reason: The error.
            aux: Its traceback or Failure; see `settling.reject`.
        """

    def passed(self, child: CorePromise, parent: CorePromise) -> None:
        """A promise is being rejected with the outcome of another one."""

    def shown(self, promise: CorePromise) -> None:
        """The reason of a promise is about to be reported, or passed to a handler."""

    def handed(self, reason: object) -> None:
        """A running coroutine is about to get a reason raised at an await."""

    def resolved(self, promise: CorePromise) -> None:
        """A promise has begun to follow another."""

    def bypassed(self, promise: CorePromise) -> None:
        """A follower was bypassed: it may never be settled."""

    def consumed(self, promise: CorePromise) -> None:
        """A promise has got a consumer."""

    def watched(
        self, promise: CorePromise, function: Callable[..., Any], awaited: bool, bare: bool = False
    ) -> Any:
        """*function*, watched while it runs as a callback of *promise*; see `prepare`.

        With *bare*, it is called without arguments if it has no parameter.
        """


#: Set by `install`.
host: Host

# None while diagnostics are off: one look at a module attribute on the hot path.
observer: Observer | None = None
# `watching` of the last observer: a handler may switch diagnostics off, and raise.
watching: CodeType | None = None
# The code that raises the reason of a promise at an await.
awaiting: CodeType | None = None


def install(new: Host) -> None:
    """Set the host: done once, when the package is imported."""
    global host
    host = new


def observe(new: Observer | None) -> None:
    """Switch diagnostics on (or off, with None)."""
    global observer, watching
    observer = new
    if new is not None:
        watching = new.watching
