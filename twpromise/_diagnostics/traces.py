"""Long stack traces: where the chain was built that led to an error."""

from __future__ import annotations

import linecache
import sys
from types import FrameType
from typing import Any

from .._util.callers import PACKAGE

__all__ = ["HEADING", "STOPS", "Trace", "annotate", "capture"]

HEADING = "From previous event:"

#: How many places of a stack are kept, and how many stacks.
FRAMES = 16
SECTIONS = 16

#: Where a stack ends: the functions that run handlers and coroutines, since the frames above those
#: are in the trace of their promise.  By the `id` of the code, which is cheaper than its hash.
STOPS: set[int] = set()

#: One place: file, line, function.
Place = tuple[str, int, str]


class Trace:
    """Where a promise was made, and where the handlers were attached that led to that.

    Traces share their sections, their number is limited, and none is in a trace twice: an endless
    loop takes no more memory than one round of it.
    """

    __slots__ = ("sections",)

    def __init__(self, section: tuple[Place, ...], parent: Trace | None) -> None:
        others = () if parent is None else parent.sections
        if section:
            others = (section, *(other for other in others if other != section))[:SECTIONS]
        self.sections: tuple[tuple[Place, ...], ...] = others

    @property
    def place(self) -> Place:
        """The innermost place: the line that made the promise."""
        return self.sections[0][0] if self.sections else ("<unknown>", 0, "<unknown>")

    def __str__(self) -> str:
        """The sections, as Python prints tracebacks, each below its heading."""
        lines: list[str] = []
        for section in self.sections:
            lines.append(HEADING)
            # As in a traceback, the innermost place is the last.
            for filename, line, function in reversed(section):
                lines.append(f'  File "{filename}", line {line}, in {function}')
                source = linecache.getline(filename, line).strip()
                if source:
                    lines.append(f"    {source}")
        return "\n".join(lines)


def capture(parent: Trace | None) -> Trace:
    """The trace of a promise that is being made.

    Args:
        parent: The trace of the promise whose handler is running, or on whose behalf this package
            makes another, if any.
    """
    frame: FrameType | None = sys._getframe(1)
    places: list[Place] = []
    while frame is not None and len(places) < FRAMES:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            places.append((code.co_filename, frame.f_lineno, code.co_name))
        elif id(code) in STOPS:
            break
        frame = frame.f_back
    return Trace(tuple(places), parent)


def annotate(reason: Any, note: str, again: bool = True) -> str:
    """Add a trace, as text, to the notes of an exception.

    Args:
        reason: Mostly an exception.
        note: The text, or "".
        again: Replace the trace of another chain, if the exception has one.

    Returns:
        The text that the exception has then.
    """
    if not issubclass(type(reason), BaseException):
        return ""
    try:
        notes = getattr(reason, "__notes__", ())
        former = [one for one in notes if str(one).startswith(HEADING)]
        if former and not again:
            return str(former[0])
        if former and former != [note]:
            reason.__notes__ = [one for one in notes if one not in former]
        if note and former != [note]:
            reason.add_note(note)
    except Exception:
        # It accepts no attributes, or has its own kind of notes: do without.
        pass
    return note
