"""What a test leaves behind: pending promises and timers."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any
from weakref import ref

from .._bridge.waits import places_of_waiting
from .._core.following import root_of
from .._core.states import CANCELLING, SETTLED, CorePromise
from .._diagnostics.traces import capture
from .._promise import Promise
from .._util.checks import shown
from .manual import ManualScheduler

__all__ = ["PendingPromises", "timers_of"]

#: How many promises, and timers, a message names.
NAMED = 10


class PendingPromises:
    """The promises of a library copy that were made since `start`, and have not settled.

    This includes promises that were dropped while pending: their handlers never run.  It uses the
    events of `monitoring`, and keeps no promise alive.
    """

    def __init__(self, library: type[Promise[Any]]) -> None:
        self._library = library
        self._watching = self._monitoring = False
        # Each with the line that made it; "" where only this package's own code was running.
        self._made: dict[ref[Any], str] = {}
        self._events: dict[str, Callable[..., object]] = {
            "promise_created": self._add,
            "promise_chained": self._add_child,
            "promise_resolved": self._replace,
            "promise_fulfilled": self._remove,
            "promise_rejected": self._remove,
            "promise_cancelled": self._remove,
        }

    def start(self) -> None:
        """Watch what is made from now on."""
        self._watching = True
        self._monitoring = self._library.config()["monitoring"]
        for name, listener in self._events.items():
            Promise.on(name, listener)
        self._library.config(monitoring=True)

    def stop(self) -> None:
        """Stop watching; may be called twice."""
        if not self._watching:
            return
        self._watching = False
        for name, listener in self._events.items():
            Promise.off(name, listener)
        self._library.config(monitoring=self._monitoring)

    def _add(self, promise: CorePromise) -> None:
        if not promise._state & SETTLED and isinstance(promise, self._library):
            self._made[ref(promise)] = _place()

    def _add_child(self, parent: CorePromise, child: CorePromise) -> None:
        self._add(child)

    def _replace(self, follower: CorePromise) -> None:
        # Another promise is pending in its place, and was made here, too; or is settled.
        made = self._made.pop(ref(follower), "")
        root = ref(root_of(follower))
        if not self._made.get(root, made):
            self._made[root] = made

    def _remove(self, promise: CorePromise) -> None:
        self._made.pop(ref(promise), None)

    def describe(self) -> str:
        """A text that names them, by the lines that made them; "" if there are none."""
        # Promises without a line are waited for by others.  Several of one line are one mistake.
        named = [(made, key()) for key, made in self._made.items() if made]
        pending = dict(named)
        if not pending:
            return ""
        lines = [f"{_count(len(named), 'promise')} still pending at the end of the test:"]
        for made, promise in list(pending.items())[:NAMED]:
            lines.append(f"  {made}")
            if promise is None:
                lines.append("    it was dropped: its handlers will never be called")
            elif promise._state & CANCELLING:
                lines.append("    it was cancelled, and its clean-up has not ended")
            lines += [
                f"    a coroutine that has not finished waits here: {place}"
                for place in ([] if promise is None else places_of_waiting(promise))
            ]
        lines += _and_others(len(pending))
        return "\n".join(lines)


def timers_of(scheduler: Any) -> list[Any]:
    """The timers that are set on the clock of a `ManualScheduler`.

    On a loop and on the reactor, others set timers, too; there, a promise with a timer is pending.
    """
    return [*scheduler.clock.getDelayedCalls()] if isinstance(scheduler, ManualScheduler) else []


def is_of_package(timer: Any) -> bool:
    """Whether a timer calls code of this package."""
    return str(getattr(timer.func, "__module__", "")).startswith("twpromise.")


def describe_timers(timers: list[Any]) -> str:
    """A text that names timers; "" if there are none."""
    if not timers:
        return ""
    lines = [f"{_count(len(timers), 'timer')} still set at the end of the test:"]
    lines += [f"  {shown(timer.func)}, at {timer.getTime():g} seconds" for timer in timers[:NAMED]]
    return "\n".join(lines + _and_others(len(timers)))


def _place() -> str:
    """The line that runs, as in a traceback; "" if it is in this package."""
    trace = capture(None)
    if not trace.sections:
        return ""
    filename, line, function = trace.place
    source = linecache.getline(filename, line).strip()
    return f'File "{filename}", line {line}, in {function}' + (f"\n    {source}" if source else "")


def _count(number: int, what: str) -> str:
    return f"1 {what} is" if number == 1 else f"{number} {what}s are"


def _and_others(number: int) -> list[str]:
    return [f"  ... and {number - NAMED} others"] if number > NAMED else []
