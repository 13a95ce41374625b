"""Policies: whether and when unhandled rejections are reported."""

from __future__ import annotations

import sys
from contextvars import Context, copy_context
from typing import Any, Protocol
from weakref import ref

from .._core.extra import Extra, run_at_origin
from .._core.jobs import call_at_home, call_soon
from .._core.states import CorePromise, new_settled

__all__ = ["POLICIES", "Keeper", "Policy", "was_reported"]


class Policy(Protocol):
    """Decides which rejections of a library copy are reported, and when."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        """A rejection stayed unhandled to the end of a drain.

        Args:
            promise: The rejected promise.
            report: Reports it, when called with the promise.
        """


class Keeper(Protocol):
    """Knows whether a rejection without a consumer was reported; outlives the policy."""

    def handled(self, promise: CorePromise) -> bool:
        """Note that the rejection has been handled, and return whether it had been reported."""
        ...


def _keep_for(promise: CorePromise, keeper: Keeper) -> None:
    """Record that an unhandled rejection is not reported (yet), and which *keeper* knows more."""
    # In the promise itself: a separate table would keep a promise alive as long as the traceback of
    # its reason leads to it.
    extra = promise._extra
    if type(extra) is not Extra:
        extra = promise._extra = Extra(None)
    extra.keeper = keeper


def was_reported(promise: CorePromise) -> bool:
    """Whether a rejection that has now been handled had been reported."""
    extra = promise._extra
    if type(extra) is not Extra or extra.keeper is None:
        return True
    keeper, extra.keeper = extra.keeper, None
    reported: bool = keeper.handled(promise)
    return reported


class _AtOnce:
    """Reports a rejection at the end of the drain in which it stayed unhandled."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        report(promise)


class _WhenCollected:
    """Reports a rejection when the promise is garbage-collected, and can no longer be handled."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        _keep_for(promise, _Guard(promise, report))


class _Guard:
    """Is collected with a promise, and reports its rejection then."""

    def __init__(self, promise: CorePromise, report: Any) -> None:
        extra = promise._extra
        self._class = type(promise)
        self._rejection = promise._state, promise._value, promise._aux
        self._extra = (extra.binding, extra.trace) if type(extra) is Extra else (None, None)
        self._report = report
        self._reported = self._handled = False
        # The context that the rejection came from, until it is reported.
        self._origin: Context | None = copy_context()

    def handled(self, promise: CorePromise) -> bool:
        self._handled = True
        return self._reported

    def __del__(self) -> None:
        # While the interpreter shuts down, there may be no log to report to.
        if self._handled or sys.is_finalizing():
            return
        # The promise itself is gone: its hooks get another one with the same outcome.
        stand_in = new_settled(self._class, *self._rejection)
        binding, trace = self._extra
        stand_in._extra = Extra(binding, None, trace)
        stand_in._extra.keeper = self
        # From the queue: the collector may run at any point, and in any thread.
        call_at_home(stand_in._queue, call_soon, self._class, self._report_now, stand_in)

    def _report_now(self, stand_in: CorePromise) -> None:
        self._reported = True
        origin, self._origin = self._origin, None
        run_at_origin(origin, self._report, stand_in)


class _LiveList:
    """Reports nothing, and keeps a list of the rejections that are unhandled now."""

    def __init__(self) -> None:
        self.promises: list[CorePromise] = []
        self._keeper = _Listed(self)

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        self.promises.append(promise)
        _keep_for(promise, self._keeper)


class _Listed:
    """The entry of a promise in a live list; weak, so that one promise does not keep the others."""

    def __init__(self, policy: _LiveList) -> None:
        self._policy = ref(policy)

    def handled(self, promise: CorePromise) -> bool:
        policy = self._policy()
        if policy is not None:
            policy.promises[:] = [other for other in policy.promises if other is not promise]
        return False


class _DoneOnly:
    """Reports nothing: only failures of chains that end with `done` matter."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        _keep_for(promise, self)

    def handled(self, promise: CorePromise) -> bool:
        return False


#: The policies for `Promise.set_rejection_policy`.
POLICIES: dict[str, type[Any]] = {
    "report": _AtOnce,
    "report_when_collected": _WhenCollected,
    "live_list": _LiveList,
    "done_only": _DoneOnly,
}
