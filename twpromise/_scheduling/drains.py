"""How long drains take: a histogram."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Any, Final

__all__ = ["BUCKETS", "Drains"]

#: The longest time, in seconds, that each bucket but the last counts.  A time slice is 0.01 unless
#: the scheduler says otherwise.
BUCKETS: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)


class Drains:
    """The drains of a queue, counted by the time that they took."""

    __slots__ = ("_counts", "longest", "seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        #: Seconds that all of them took, and the longest.
        self.seconds = self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count a drain."""
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        if seconds > self.longest:
            self.longest = seconds

    def histogram(self) -> dict[str, Any]:
        """The entry ``drains`` of `Promise.statistics`."""
        *counts, count = accumulate(self._counts)
        return {
            "count": count,
            "seconds": self.seconds,
            "buckets": dict(zip(BUCKETS, counts, strict=True)),
        }
