"""What to do about unhandled rejections: policies, by name."""

from __future__ import annotations

from _thread import get_ident
from functools import partial
from typing import Any, Protocol
from weakref import ref

from ._core import CorePromise

__all__ = ["POLICIES", "Policy"]


class Policy(Protocol):
    """Decides what is reported of the rejections of a library copy, and when."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        """A rejection stayed unhandled to the end of a drain.

        Args:
            promise: What was rejected.
            report: Called with the promise, reports it.
        """

    def handled(self, promise: CorePromise) -> bool:  # pyright: ignore[reportReturnType]
        """It has been handled after all; whether it had been reported."""


class _AtOnce:
    """Reports a rejection at the end of the drain in which it stayed unhandled."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        report(promise)

    def handled(self, promise: CorePromise) -> bool:
        return True


class _WhenCollected:
    """Reports a rejection when the promise is collected, and nobody can handle it any more."""

    def __init__(self) -> None:
        self._waiting: dict[ref[Any], tuple[CorePromise, Any]] = {}

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        # A stand-in carries the reason on, since the promise itself will be gone.
        stand_in: CorePromise = promise._new()
        for slot in ("_state", "_value", "_aux", "_extra"):
            setattr(stand_in, slot, getattr(promise, slot))
        stand_in._source = stand_in._waiters = None
        self._waiting[ref(promise, self._collected)] = (stand_in, report)

    def _collected(self, key: ref[Any]) -> None:
        stand_in, report = self._waiting.pop(key)
        queue = stand_in._queue
        if queue.thread == get_ident():
            report(stand_in)
        else:
            # Whichever thread collects; hooks belong to the reactor's.
            queue.scheduler.call_from_thread(partial(report, stand_in))

    def handled(self, promise: CorePromise) -> bool:
        # What does not wait has been reported: by what took its place, or an earlier policy.
        return self._waiting.pop(ref(promise), None) is None


class _LiveList:
    """Reports nothing, and keeps a list of what is unhandled at the moment."""

    def __init__(self) -> None:
        self.promises: list[CorePromise] = []

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        self.promises.append(promise)

    def handled(self, promise: CorePromise) -> bool:
        others = [other for other in self.promises if other is not promise]
        # What is not listed has been reported by an earlier policy.
        reported = len(others) == len(self.promises)
        self.promises[:] = others
        return reported


class _DoneOnly:
    """Reports nothing: what matters is ended with `done`."""

    def unhandled(self, promise: CorePromise, report: Any) -> None:
        pass

    def handled(self, promise: CorePromise) -> bool:
        return False


#: The policies that `Promise.set_rejection_policy` takes.
POLICIES: dict[str, type[Any]] = {
    "report": _AtOnce,
    "report_when_collected": _WhenCollected,
    "live_list": _LiveList,
    "done_only": _DoneOnly,
}
