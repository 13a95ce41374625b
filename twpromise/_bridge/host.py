"""The host: what the core needs of Twisted, and of this package's errors."""

from __future__ import annotations

from twisted.python.failure import Failure

from .._core.hooks import install
from .._core.states import LATE_OBSERVER
from .._util.errors import CancellationError
from . import kinds, outcomes, reports

__all__ = ["TwistedHost"]


class TwistedHost:
    """Follows awaitables of Twisted and asyncio, and reports to Twisted's log; see `hooks.Host`."""

    failure: type = Failure

    adopter_for = staticmethod(kinds.decide)
    exception_of = staticmethod(outcomes.exception_of)
    unhandled = staticmethod(reports.unhandled)
    handled = staticmethod(reports.handled)
    fatal = staticmethod(reports.fatal)
    escaped = staticmethod(reports.escaped)
    unwrap = staticmethod(outcomes.unwrap)

    @staticmethod
    def late_cancellation() -> BaseException:
        """Also Twisted's CancelledError."""
        return CancellationError(LATE_OBSERVER)


install(TwistedHost())
