"""`Deadline`: one budget of time for many steps, or an idle timeout that data resets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._core.jobs import Job, check_home, check_library
from .._core.states import CorePromise
from .._util.checks import check_seconds

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Deadline", "call_behind"]

#: How many rounds of the queue a timeout waits for, if the queue does not become empty.
TURNS: Final = 8


def call_behind(queue: Any, function: Callable[[], object]) -> None:
    """Call a function when a queue is empty, or after some rounds of it.

    So the handlers behind what is queued have run, too.
    """
    queue.rejections.append(Job(_look, queue, function, TURNS))


def _look(queue: Any, function: Callable[[], object], turns: int) -> None:
    if queue and turns:
        queue.rejections.append(Job(_look, queue, function, turns - 1))
    else:
        function()


class Deadline:
    """A time limit that several promises share; `reset` makes it an idle timeout.

    Args:
        seconds: When the deadline passes, counted from now or from the last `reset`; 0 or more.
        library: The library copy whose clock is used, by default `Promise`.  A later
            `Promise.set_scheduler` does not change the clock.

    Raises:
        TypeError: *seconds* is not a number, or *library* not a library copy.
        ValueError: *seconds* is negative or NaN.

    ``promise.timeout(deadline)`` rejects when the deadline passes.  If it has passed already, this
    is like ``promise.timeout(0)``: a promise that has its value, or gets it from what is queued,
    is fulfilled.

    All promises that wait share one timer.

    asyncio: ``timeout_at``, ``Timeout.reschedule``; trio: ``CancelScope(deadline=...)``;
    Twisted: ``TimeoutMixin``.

    Example::

        from twpromise import Deadline, Promise


        async def orders_of(name):
            deadline = Deadline(5)
            user = await Promise.delay(3, name.title()).timeout(deadline)
            return await Promise.delay(1, [user]).timeout(deadline)  # within the other 2 seconds


        orders = Promise.resolve(orders_of("ada"))
    """

    __slots__ = ("_aim", "_due", "_queue", "_timer", "_waiting", "seconds")

    #: `Promise` sets itself here.
    _default_class: ClassVar[type[CorePromise]]

    def __init__(self, seconds: float, *, library: type[Promise[Any]] | None = None) -> None:
        self.seconds = check_seconds("seconds", seconds)
        cls = self._default_class if library is None else check_library(library)
        check_home(cls)
        self._queue: Any = cls._queue
        # In the order in which they began to wait.
        self._waiting: dict[Waiting, None] = {}
        # None, or the timer.  It stays here after it has fired, until the deadline has passed for
        # the promises that wait.
        self._timer: Any = None
        # When the timer fires: at the deadline, or before, if that was reset since.
        self._aim = 0.0
        self.reset()

    def __repr__(self) -> str:
        left = self.remaining
        state = f"{left:.3g} of {self.seconds} seconds left" if left else "passed"
        return f"<Deadline: {state}, {len(self._waiting)} waiting>"

    @property
    def remaining(self) -> float:
        """How many seconds are left; 0 if the deadline has passed."""
        left: float = self._due - self._queue.scheduler.seconds()
        return max(0.0, left)

    def reset(self) -> None:
        """Begin anew: the deadline passes `seconds` from now, also for promises that wait.

        Cheap enough to call for each piece of data that arrives: it sets no timer.
        """
        self._due: float = self._queue.scheduler.seconds() + self.seconds

    def _fits(self, promise: CorePromise) -> bool:
        """Whether a promise is on the same scheduler."""
        return promise._queue is self._queue

    def _call(self, function: Callable[[], None]) -> Waiting:
        """Call *function* when the deadline has passed, from the reactor or the queue."""
        waiting = Waiting(self, function)
        self._waiting[waiting] = None
        if self._timer is None:
            self._set_timer()
        return waiting

    def _set_timer(self) -> None:
        self._aim = self._due
        self._timer = self._queue.scheduler.call_later(self.remaining, self._went_off)

    def _went_off(self) -> None:
        # Data that resets this may be queued.
        if self._queue or self._queue.awake:
            call_behind(self._queue, self._pass)
        else:
            self._pass()

    def _pass(self) -> None:
        self._timer = None
        try:
            if self._due == self._aim:
                for waiting in list(self._waiting):
                    # Unless one before it has cancelled it.
                    if self._waiting.pop(waiting, self) is None:
                        waiting.function()
        finally:
            # It was reset; or others have begun to wait, or a signal's handler has raised.
            if self._waiting and self._timer is None:
                self._set_timer()

    def _leave(self, waiting: Waiting) -> None:
        del self._waiting[waiting]
        if not self._waiting and self._timer is not None and self._timer.active():
            self._timer.cancel()
            self._timer = None


class Waiting:
    """One wait for a deadline, as an `IDelayedCall`."""

    __slots__ = ("_deadline", "function")

    def __init__(self, deadline: Deadline, function: Callable[[], None]) -> None:
        self._deadline = deadline
        self.function = function

    def getTime(self) -> float:
        """When the call is made."""
        return self._deadline._due

    def seconds(self) -> float:
        """The time on the same clock."""
        now: float = self._deadline._queue.scheduler.seconds()
        return now

    def active(self) -> bool:
        """Whether the call is still to be made."""
        return self in self._deadline._waiting

    def cancel(self) -> None:
        """Cancel the call."""
        self._deadline._leave(self)
