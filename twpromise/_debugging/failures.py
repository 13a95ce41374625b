"""Recent failures that promises have logged, without keeping them alive."""

from __future__ import annotations

import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final, NamedTuple

from twisted.logger import globalLogPublisher

from .._bridge.outcomes import notes_of
from .._diagnostics.traces import HEADING
from .._util.checks import shown, type_name

__all__ = ["Failed", "watch_failures"]

#: How many failures are kept, and how much of the text of each.
_KEPT: Final = 50
_LONGEST: Final = 20_000
#: How many exceptions are shown that led to another.
_CAUSES: Final = 10


class Failed(NamedTuple):
    """A failure that was logged: as text, since the exception would keep all that its frames hold.

    Attributes:
        id: A number of its own.
        time: When it was logged, in seconds since the epoch.
        what: What the log says it is.
        reason: The type of the exception; and its text, if values are shown.
        trace: The traceback, and the sections of a long stack trace.
    """

    id: int
    time: float
    what: str
    reason: str
    trace: str


def watch_failures(owner: object, *, values: bool) -> deque[Failed]:
    """Keep the last failures that promises log, for as long as *owner* exists.

    Args:
        owner: The object that shows them.
        values: Whether to keep the texts of exceptions, too.
    """
    kept: deque[Failed] = deque(maxlen=_KEPT)
    stop = _observe(kept, values)
    weakref.finalize(owner, stop).atexit = False
    return kept


def _observe(kept: deque[Failed], values: bool) -> Callable[[], None]:
    numbers = count(1)

    def observe(event: Any) -> None:
        failure = event.get("log_failure")
        if failure is None or event.get("log_namespace") != "twpromise":
            return
        error = failure.value
        reason = shown(error) if values else type_name(error)
        trace = failure.getTraceback() if values else "\n".join(_without_values(failure))
        what = event.get("log_format") or ""
        time = event.get("log_time", 0)
        kept.append(Failed(next(numbers), time, what, reason[:_LONGEST], trace[-_LONGEST:]))

    # Twisted declares no functions as observers.
    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    return lambda: globalLogPublisher.removeObserver(observer)


def _without_values(failure: Any) -> Iterator[str]:
    """A traceback without the texts of exceptions, which may hold secrets."""
    error, frames = failure.value, failure.getTracebackObject()
    for _ in range(_CAUSES):
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(frames)).rstrip("\n")
        yield type_name(error)
        yield from (note for note in notes_of(error) if note.startswith(HEADING))
        cause = getattr(error, "__cause__", None)
        if cause is None and not getattr(error, "__suppress_context__", True):
            cause = error.__context__
        if cause is None:
            break
        yield "\nwhich was raised because of:\n"
        error, frames = cause, cause.__traceback__
