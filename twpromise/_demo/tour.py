"""The order of the steps, their ends, and the clean-up."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from .. import Promise
from .client import Client
from .database import Database
from .driver import Driver, one_line
from .report import Report
from .service import Service

__all__ = ["Interrupted", "Step", "StepFailed", "Tour", "expect"]

#: Seconds after which a step that has no outcome has failed.
DEADLINE = 30.0
#: Seconds within which Twisted tries the next address of a host.
NEXT_ATTEMPT = 0.5


class StepFailed(Exception):
    """A step failed."""


class Interrupted(Exception):
    """The reactor was stopped in the middle of it."""


class _ErrorLog:
    """Remembers what is logged as critical: errors without a handler."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._publisher: Any = globalLogPublisher

    def __enter__(self) -> None:
        self._publisher.addObserver(self)

    def __exit__(self, *error: object) -> None:
        self._publisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"] is LogLevel.critical:
            failure = event.get("log_failure")
            reason = f": {failure.getErrorMessage()}" if failure else ""
            self.errors.append(formatEvent(event) + reason)


@dataclass(frozen=True)
class Step:
    """One step of the tour.

    Args:
        name: What it shows.
        run: Does it, and returns a promise for what happened, in a few words.
        needed: Whether the tour ends if it fails.
    """

    name: str
    run: Callable[[Tour], Promise[str]]
    needed: bool = False


class Tour:
    """The service, its client and its data, and the steps that they go through.

    Args:
        driver: The database.
        report: Gets a line for each step.
        reactor: The reactor, running.
    """

    def __init__(self, driver: Driver, report: Report, reactor: Any) -> None:
        self._folder = tempfile.mkdtemp(prefix="twpromise-") if driver.wants_file else None
        self._report = report
        self._reactor = reactor
        self._timers = set(reactor.getDelayedCalls())
        self._log = _ErrorLog()
        self._failures: dict[str, str] = {}
        self._running: Promise[Any] = Promise.resolve()
        self._step: Promise[str] | None = None
        self._interrupted = False
        self.driver = driver
        where = {"database": os.path.join(self._folder, "books.sqlite")} if self._folder else {}
        self.database = Database(driver, reactor, **where)
        self.service = Service(self.database, reactor)
        self.client = Client(reactor)

    def run(self, steps: Sequence[Step]) -> Deferred[Mapping[str, str]]:
        """Go through steps, one after the other, and clean up.

        Args:
            steps: If one fails, the others are tried all the same, unless it is needed.

        Returns:
            A Deferred for the reasons of those that failed, by their names.  It fails with
            `Interrupted` after `interrupt`.  All has been cleaned up when it fires.
        """
        self._running = Promise.resolve(self._run(steps))
        return self._running.to_deferred()

    def interrupt(self) -> Deferred[None]:
        """Cancel the step that runs, skip the others, and clean up.

        Returns:
            A Deferred that fires when all has been cleaned up.
        """
        self._interrupted = True
        if self._step is not None:
            self._step.cancel()
        return self._running.then(lambda _: None, lambda _: None).to_deferred()

    async def _run(self, steps: Sequence[Step]) -> Mapping[str, str]:
        with self._log:
            for step in steps:
                if self._interrupted or not (await self._try(step) or not step.needed):
                    break
            await self._try(Step("cleanup", Tour._clean_up), may_be_cancelled=False)
            await self._try(Step("leftovers", Tour._look_for_leftovers), may_be_cancelled=False)
        if self._interrupted:
            raise Interrupted
        return self._failures

    async def _try(self, step: Step, *, may_be_cancelled: bool = True) -> bool:
        started = perf_counter()
        try:
            outcome = step.run(self).timeout(DEADLINE, f"no outcome in {DEADLINE:g} seconds")
            self._step = outcome if may_be_cancelled else None
            text = await outcome
        except Exception as error:
            reason = one_line(error)
            if not isinstance(error, StepFailed):
                reason = f"{type(error).__name__}: {reason}"
            self._failures[step.name] = reason
            self._report.failed(step.name, reason, perf_counter() - started)
            return False
        self._report.done(step.name, text, perf_counter() - started)
        return True

    def _clean_up(self) -> Promise[str]:
        return (
            self.client.close()
            .finally_(self.service.stop)
            .finally_(self.database.close)
            .finally_(self._remove_folder)
            .then(lambda _: "port, connections, pool, table and files are gone")
        )

    def _remove_folder(self) -> None:
        if self._folder:
            shutil.rmtree(self._folder)

    def _look_for_leftovers(self) -> Promise[str]:
        calls = [call for call in self._reactor.getDelayedCalls() if call not in self._timers]
        now = self._reactor.seconds()
        left = [call.getTime() - now for call in calls]

        def look(_: object) -> str:
            expect("timers", [], [str(call) for call in calls if call.active()])
            expect("connections", 0, self.service.connections)
            expect("errors in the log", [], self._log.errors)
            return "no timer, no connection, no error in the log"

        # If a connection attempt is cancelled just as it is retried, Twisted keeps a timer until
        # the next attempt is due.
        soon = max((seconds for seconds in left if seconds < NEXT_ATTEMPT), default=0.0)
        return (Promise.delay(max(soon, 0.0)) if calls else Promise.resolve()).then(look)


def expect(what: str, expected: object, actual: object) -> None:
    """Check that something is as it should be.

    Raises:
        StepFailed: It is not.
    """
    if actual != expected:
        wanted, got = one_line(repr(expected), 70), one_line(repr(actual), 70)
        raise StepFailed(f"{what}: expected {wanted}, got {got}")
