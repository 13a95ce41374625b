"""`PromiseService`: a stopping process waits for the work that is under way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from .._bridge.waits import note_where_it_waits
from .._core.cancelling import cancel
from .._core.ending import when_ended
from .._core.jobs import check_home
from .._core.states import CorePromise
from .._promise import Promise
from .._util.checks import check_seconds, shown
from .signals import call_on_signals, end_calls_on_signals
from .starting import Starting
from .work import check_library

__all__ = ["PromiseService"]

_log = Logger(namespace="twpromise")

#: Seconds after which cancelled work that has not ended is logged.
_PATIENCE = 5.0

#: Turns of the reactor between the end of the last work and the end of the service, after which the
#: reactor closes all connections.  In the first turn, what the work has written is sent; TLS
#: collects it in the first, and sends it in the second.
_TURNS = 2


class PromiseService(Starting, Service):
    """A Twisted service that waits for the work under way when it is stopped.

    Args:
        grace: Seconds that `stopService` waits before it cancels the work; None for no limit.
        library: The library copy whose promises the service returns.

    Raises:
        TypeError: *grace* is not a number, or *library* not a library copy.
        ValueError: *grace* is negative.

    `stopService` returns a Deferred that fires when all work has *ended*, with its threads and
    clean-up.  Work that does not end after it was cancelled is logged after some seconds.  While
    the service stops, a second SIGINT or SIGTERM cancels the rest at once; a third one logs what
    is left, and fires the Deferred.

    Unlike in a `PromiseGroup`, a failure does not end the other work.  The service is not
    a consumer: a rejection without a handler is reported.

    Example::

        from twpromise import Promise, PromiseService


        async def answer(request):
            await Promise.delay(1)
            return f"answer to {request}"


        service = PromiseService(grace=20)
        service.startService()
        answered = service.start_soon(answer, "question")
    """

    def __init__(
        self, *, grace: float | None = 10.0, library: type[Promise[Any]] = Promise
    ) -> None:
        self._grace = None if grace is None else check_seconds("grace", grace)
        self._library: Any = check_library(library)
        # The promises that have not ended, each with the function that it came from.
        self._under_way: dict[CorePromise, object] = {}
        self._closed = False
        # Fired when all has ended.
        self._stops: list[Deferred[None]] = []
        self._cancelled = False
        self._timer: Any = None

    def __repr__(self) -> str:
        """How much is under way."""
        return f"<PromiseService, {self._state}: {len(self._under_way)} under way>"

    @property
    def _state(self) -> str:
        if not self._closed:
            return "running" if self.running else "not started"
        return "stopping" if self._stops else "stopped"

    def _refusal(self) -> str | None:
        return f"service that is {self._state}" if self._closed else None

    def _add(self, promise: CorePromise, function: object) -> None:
        self._under_way[promise] = function
        when_ended(promise, partial(self._ended, promise))

    def cancel(self) -> None:
        """Cancel all work at once."""
        check_home(self._library)
        for promise in list(self._under_way):
            cancel(promise)

    # --- as Twisted sees it

    def startService(self) -> None:
        """Accept work; also again after the service has stopped.

        Raises:
            RuntimeError: The service is still stopping.
        """
        if self._stops:
            raise RuntimeError(f"the service cannot be started before it has stopped: {self!r}")
        self._closed = False
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Deferred[None]:
        """Refuse new work, and wait for the work under way; cancel it after `grace` seconds.

        Returns:
            A Deferred that fires when all work has ended.  Cancelling it has no effect on the work.
        """
        check_home(self._library)
        super().stopService()  # type: ignore[no-untyped-call]
        stopped: Deferred[None] = Deferred()
        waited_for = bool(self._stops)
        self._stops.append(stopped)
        if not self._closed:
            self._closed = True
            self._cancelled = False
            call_on_signals(self, self._hear)
            if self._grace is not None:
                self._call_later(self._grace, self._cancel_rest)
        if not self._under_way and not waited_for:
            self._fire()
        return stopped

    def _ended(self, promise: CorePromise) -> None:
        del self._under_way[promise]
        if self._stops and not self._under_way:
            self._fire_soon(_TURNS)

    def _fire_soon(self, turns: int) -> None:
        if turns:
            self._call_later(0, self._fire_soon, turns - 1)
        else:
            self._fire()

    def _fire(self) -> None:
        self._end_timer()
        end_calls_on_signals(self)
        stops, self._stops = self._stops, []
        for stopped in stops:
            stopped.callback(None)

    def _cancel_rest(self) -> None:
        self._cancelled = True
        self._call_later(_PATIENCE, self._log_rest, "have been cancelled, and do not end")
        self.cancel()

    def _hear(self) -> None:
        """Handle a signal to stop."""
        self._library._queue.scheduler.call_from_thread(self._hurry)

    def _hurry(self) -> None:
        if not self._under_way or not self._stops:
            return
        if not self._cancelled:
            self._cancel_rest()
            return
        self._log_rest("were given up")
        self._fire()

    def _log_rest(self, what: str) -> None:
        rest = [_described(*one) for one in self._under_way.items()]
        _log.error(
            "{service!r} stops, and these {what}:\n{rest}",
            service=self,
            what=what,
            rest="\n".join(rest),
        )

    # --- the timer

    def _call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> None:
        self._end_timer()
        self._timer = self._library._queue.scheduler.call_later(seconds, function, *args)

    def _end_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def _described(promise: CorePromise, function: object) -> str:
    noted = note_where_it_waits(Exception(), promise)
    return "\n".join([shown(function), *getattr(noted, "__notes__", [])])
