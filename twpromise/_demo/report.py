"""The output: a line for each step, as it happens."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["Report"]


class Report:
    """Writes lines of four columns: a mark, a name, what happened, and how long it took.

    Args:
        stream: Where to.  Characters that it does not know are replaced.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = stream.encoding or "ascii"
        try:
            "✓✗".encode(self._encoding)
        except UnicodeEncodeError:
            self._done, self._failed = "+", "x"
        else:
            self._done, self._failed = "✓", "✗"

    def done(self, name: str, text: str, seconds: float) -> None:
        """A step succeeded."""
        self._row(self._done, name, text, seconds)

    def failed(self, name: str, reason: str, seconds: float) -> None:
        """A step failed."""
        self._row(self._failed, name, reason, seconds)

    def line(self, text: str = "") -> None:
        """Any other line."""
        known = text.encode(self._encoding, "replace").decode(self._encoding)
        try:
            print(known, file=self._stream, flush=True)
        except BrokenPipeError:
            # The reader has gone (`| head`): go on all the same, and give the buffer a place to go
            # when the interpreter exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _row(self, mark: str, name: str, text: str, seconds: float) -> None:
        self.line(f" {mark} {name:<13}  {text:<54} {_duration(seconds):>6}")


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"
