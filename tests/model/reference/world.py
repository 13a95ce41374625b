"""The queue, the clock, and what stands between promises."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.model.reference.promise import Reference


PENDING, FULFILLED, REJECTED, CANCELLED = "pending", "fulfilled", "rejected", "cancelled"


class CancellationError(Exception):
    """What late observers see."""

    #: What a coroutine sees that waits for a promise that is cancelled by others.
    of_awaited = False

    @classmethod
    def awaited(cls, message: str) -> CancellationError:
        error = cls(message)
        error.of_awaited = True
        return error


class TimeoutError(Exception):
    """What a timeout rejects with."""


class AggregateError(Exception):
    """What `any` and `some` reject with."""

    def __init__(self, reasons: list[Any]) -> None:
        super().__init__()
        self.reasons = reasons


class Inspection:
    """What `reflect` gives, and what a release gets."""

    def __init__(self, state: str, value: Any) -> None:
        self.state, self.value = state, value


class World:
    """The queue, the clock, and what was reported."""

    def __init__(self, log: Callable[..., None]) -> None:
        self.queue: deque[Callable[[], None]] = deque()
        # What is looked at when nothing is queued: rejections, and timeouts whose time is up.
        self.rejections: list[Any] = []
        self.log = log
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def drain(self) -> None:
        """Run all jobs; then report unhandled rejections."""
        while self.queue or self.rejections:
            while self.queue:
                self.queue.popleft()()
            rejections, self.rejections = self.rejections, []
            for each in rejections:
                each.look()

    def fire(self) -> None:
        """Call the timers that are due, in the order of their times."""
        while True:
            due = sorted((each for each in self.timers if each[0] <= self.now), key=lambda x: x[0])
            if not due:
                return
            self.timers.remove(due[0])
            due[0][1]()

    def flush(self) -> None:
        """Run everything that can be run now."""
        self.fire()
        while self.queue or self.rejections:
            self.drain()
            self.fire()

    def advance(self, seconds: float) -> None:
        """Run what is queued, let time pass, and run what is queued then."""
        self.flush()
        self.now += seconds
        self.fire()
        self.flush()


class Consumer:
    """A consumer of promises.  It counts, and is notified, as long as it is alive."""

    alive = True
    gone = False
    #: Whether a rejection is handled as soon as it has this consumer.
    handles = True
    #: Whether it settles a promise at once when the one that this follows settles.
    follows = False
    #: What the promise that it settles waits for before that.
    followed: Reference | None = None
    #: What it was attached to; another promise, if that had been cancelled before.
    awaited: Reference

    def notify(self, parent: Reference) -> None:
        """*parent* has settled."""
        raise NotImplementedError

    def end(self) -> None:
        """Wait for nothing more."""
        self.alive = False
        self.gone = True

    def too_late(self) -> None:
        """It was gone before its turn, which stood in the queue."""

    def wait_for_ends(self, left: list[Reference]) -> None:
        """What it was attached to goes on without these, which have not ended."""

    def settles(self) -> list[Reference]:
        """The promises that it settles."""
        child = getattr(getattr(self, "whole", self), "child", None)
        return [] if child is None else [child]

    def ahead(self) -> Reference | None:
        """The promise that it waits for, if it is one."""
        return None

    def from_outside(self) -> bool:
        """Whether nothing that is queued can bring what it waits for instead."""
        return False
