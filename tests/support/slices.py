"""Turns of the reactor in which next to nothing is done, for what happens between two of them."""

from __future__ import annotations

from twpromise.testing import ManualScheduler

__all__ = ["Slices"]


class Slices(ManualScheduler):
    """Cuts what is queued into the shortest time slices, each of which is a turn."""

    time_slice = 0

    def turn(self, count: int = 1) -> None:
        """Have some turns, as long as anything is queued."""
        for _ in range(count):
            if self._calls:
                self._calls.popleft()()
