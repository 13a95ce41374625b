"""What happens to a coroutine that goes on after it was cancelled.

It may clean up: what it awaits in `finally` or `except`, while it handles an error, is let through.
A coroutine that swallows the cancellation (by ``except Exception`` in a loop, say) may wait once
more, which is logged; everything that it awaits after that is cancelled.  If it swallows that, too,
it is closed.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import ref

from twisted.logger import Logger

from .frames import frame_of, handles_an_error, place, suspended

__all__ = ["CANCEL", "CLOSE", "WAIT", "Insistence"]

_log = Logger(namespace="twpromise")

#: What to do about the next wait of a cancelled generator.
WAIT: Final = "wait"
CANCEL: Final = "cancel"
CLOSE: Final = "close"


class Insistence:
    """A cancellation that is thrown into a generator, and the reaction of the generator.

    Args:
        generator: Suspended, where the cancellation is thrown in.
    """

    __slots__ = ("_next", "_places")

    def __init__(self, generator: Any) -> None:
        self._next = WAIT
        self._places = [
            (ref(one), frame.f_lineno) for one in suspended(generator) if (frame := frame_of(one))
        ]

    def decide(self, generator: Any) -> str:
        """What to do about the generator's next wait."""
        now = self._next
        if now is WAIT:
            if self.was_swallowed(generator):
                self._next = CANCEL
        elif now is CANCEL:
            self._next = CLOSE
        elif handles_an_error(generator):
            return CANCEL
        return now

    def was_swallowed(self, generator: Any) -> bool:
        """Whether the generator waits without cleaning up; this is logged."""
        if handles_an_error(generator):
            return False
        # The generators that the error went through have ended.
        swallowed = [place(frame, line) for one, line in self._places if (frame := frame_of(one()))]
        waits = [place(frame) for one in suspended(generator) if (frame := frame_of(one))]
        _log.error(
            "A coroutine has swallowed its cancellation, at {swallowed}; it waits again at {waits}",
            swallowed=swallowed[-1],
            waits=waits[-1],
        )
        return True
