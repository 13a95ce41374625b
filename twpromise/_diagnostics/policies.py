"""What to do about unhandled rejections: policies, by name."""

from __future__ import annotations

import sys
from _thread import get_ident
from typing import Any, Protocol
from weakref import ref

from .._core.extra import Extra, keep_for
from .._core.states import CorePromise, new_settled
from .._scheduling.queue import call_at_home, call_soon

__all__ = ["POLICIES", "Policy"]


class Policy(Protocol):
    """Decides what is reported of the rejections of a library copy, and when."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        """A rejection stayed unhandled to the end of a drain.

        Args:
            promise: What was rejected.
            report: Called with the promise, reports it.
        """


class _AtOnce:
    """Reports a rejection at the end of the drain in which it stayed unhandled."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        report(promise)


class _WhenCollected:
    """Reports a rejection when the promise is collected, and nobody can handle it any more."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        keep_for(promise, _Guard(promise, report))


class _Guard:
    """Goes with a promise, and reports its rejection then."""

    def __init__(self, promise: CorePromise, report: Any) -> None:
        extra = promise._extra
        self._class = type(promise)
        self._rejection = promise._state, promise._value, promise._aux
        self._extra = (extra.binding, extra.trace) if type(extra) is Extra else (None, None)
        self._report = report
        self._reported = self._handled = False

    def handled(self, promise: CorePromise) -> bool:
        self._handled = True
        return self._reported

    def __del__(self) -> None:
        # At the end of the process everything goes, and nothing is left to report with.
        if self._handled or sys.is_finalizing():
            return
        # A stand-in carries the reason on, since the promise itself is gone.
        stand_in = new_settled(self._class, *self._rejection)
        binding, trace = self._extra
        stand_in._extra = Extra(binding, None, trace)
        stand_in._extra.keeper = self
        # In a turn of its own: it may have been collected in the midst of anything, by any thread.
        queue = stand_in._queue
        if queue.thread == get_ident():
            call_soon(self._class, self._tell, stand_in)
        else:
            call_at_home(queue, self._tell, stand_in)

    def _tell(self, stand_in: CorePromise) -> None:
        self._reported = True
        self._report(stand_in)


class _LiveList:
    """Reports nothing, and keeps a list of what is unhandled at the moment."""

    def __init__(self) -> None:
        self.promises: list[CorePromise] = []
        self._keeper = _Listed(self)

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        self.promises.append(promise)
        keep_for(promise, self._keeper)


class _Listed:
    """What the promises of a list know of it: those that are let go of hold no others."""

    def __init__(self, policy: _LiveList) -> None:
        self._policy = ref(policy)

    def handled(self, promise: CorePromise) -> bool:
        policy = self._policy()
        if policy is not None:
            policy.promises[:] = [other for other in policy.promises if other is not promise]
        return False


class _DoneOnly:
    """Reports nothing: what matters is ended with `done`."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        keep_for(promise, self)

    def handled(self, promise: CorePromise) -> bool:
        return False


#: The policies that `Promise.set_rejection_policy` takes.
POLICIES: dict[str, type[Any]] = {
    "report": _AtOnce,
    "report_when_collected": _WhenCollected,
    "live_list": _LiveList,
    "done_only": _DoneOnly,
}
