"""A coroutine run to its end by each thing that drives coroutines, in time of the test's own."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.python.failure import Failure

from tests.support.outcomes import outcome, result_of
from twpromise import Promise
from twpromise.loops import use_running_loop
from twpromise.testing import ManualScheduler

__all__ = ["DRIVERS", "Driving"]

DRIVERS = ["promise", "twisted", "task", "promise as a task"]


class _Selector(selectors.SelectSelector):
    """Lets the time of its loop pass, instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


class Driving:
    """Runs coroutines by one of `DRIVERS`; `at` says what happens to them meanwhile."""

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.on_loop = driver in ("task", "promise as a task")
        self._events: list[tuple[float, Callable[[], object]]] = []
        #: What is cancelled to cancel the coroutine.
        self.handle: Any = None

    def at(self, seconds: float, function: Callable[[], object]) -> None:
        """Have a function called when the coroutine has run for some time."""
        self._events.append((seconds, function))

    def cancel(self) -> None:
        """Cancel the coroutine."""
        self.handle.cancel()

    def run(self, coroutine: Coroutine[Any, Any, Any], seconds: float = 60) -> tuple[str, Any]:
        """Run a coroutine for some time; its outcome, as `outcome` gives that of a promise."""
        if self.on_loop:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                return runner.run(self._on_loop(coroutine, seconds))
        with _manual() as scheduler:
            for due, function in self._events:
                scheduler.clock.callLater(due, function)
            if self.driver == "promise":
                self.handle = Promise.resolve(coroutine)
                self.handle.catch(lambda _: None)
                scheduler.flush()
            else:
                self.handle = ensureDeferred(coroutine)
            for _ in range(round(seconds * 4)):
                scheduler.advance(0.25)
            assert [] == scheduler.clock.getDelayedCalls()
            if self.driver == "promise":
                return outcome(self.handle)
            return _outcome(result_of(self.handle))

    async def _on_loop(
        self, coroutine: Coroutine[Any, Any, Any], seconds: float
    ) -> tuple[str, Any]:
        loop = asyncio.get_running_loop()
        async with use_running_loop():
            for due, function in self._events:
                loop.call_later(due, function)
            if self.driver == "task":
                self.handle = asyncio.create_task(coroutine)
                await asyncio.wait([self.handle], timeout=seconds)
                if not self.handle.done():
                    return "pending", None
                if self.handle.cancelled():
                    return "cancelled", None
                error = self.handle.exception()
                return ("rejected", error) if error else ("fulfilled", self.handle.result())
            self.handle = Promise.resolve(coroutine)
            self.handle.catch(lambda _: None)
            await asyncio.sleep(seconds)
            return outcome(self.handle)


@contextmanager
def _manual() -> Iterator[ManualScheduler]:
    scheduler = ManualScheduler()
    former = Promise.set_scheduler(scheduler)
    yield scheduler
    scheduler.flush()
    Promise.set_scheduler(former)


def _outcome(results: list[Any]) -> tuple[str, Any]:
    if not results:
        return "pending", None
    (result,) = results
    if not isinstance(result, Failure):
        return "fulfilled", result
    if result.check(CancelledError):
        return "cancelled", None
    return "rejected", result.value
