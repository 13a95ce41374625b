"""What the core asks of Twisted and of this package's errors: answered here, in one place."""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from .._core.hooks import Adopter, Host, install
from .._core.states import LATE_OBSERVER, CorePromise
from .._util.errors import CancellationError
from . import kinds, outcomes, reports

__all__ = ["TwistedHost"]


class TwistedHost(Host):
    """Follows what Twisted and asyncio have, and reports to Twisted's log."""

    failure = Failure

    def unwrap(self, failure: Failure) -> tuple[object, Failure]:
        """A Failure stands for its value, and goes out again with the same traceback."""
        return failure.value, failure

    def adopter_for(self, kind: type) -> Adopter | None:
        """Decided by the bridge, once for each type."""
        return kinds.decide(kind)

    def exception_of(self, promise: CorePromise) -> BaseException:
        """The reason, or what stands for it where Python needs an exception."""
        return outcomes.exception_of(promise)

    def late_cancellation(self) -> BaseException:
        """Twisted's CancelledError, too."""
        return CancellationError(LATE_OBSERVER)

    def unhandled(self, promise: CorePromise) -> None:
        """The policy of the library copy says what happens."""
        reports.unhandled(promise)

    def handled(self, promise: CorePromise) -> None:
        """The hook of the library copy and the listeners are notified."""
        reports.handled(promise)

    def fatal(self, library: Any, reason: Any, aux: Any) -> None:
        """The fatal hook of the library copy is called."""
        reports.fatal(library, reason, aux)

    def escaped(self, error: BaseException) -> None:
        """Logged at critical level: trial fails the test by itself."""
        reports.escaped(error)


install(TwistedHost())
