"""Where promises run in a fault matrix, and what drives what uses them: with a time of its own.

A scenario is an ``async def`` function that lets time pass by `advance`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.python.failure import Failure

from tests.support.outcomes import outcome, result_of
from twpromise import Promise
from twpromise.loops import use_running_loop
from twpromise.testing import ManualScheduler

__all__ = ["DRIVERS", "Handle", "World"]

#: A chain; a coroutine that a promise follows; one under Twisted's driver; a task of asyncio's.
DRIVERS = ["chain", "coroutine", "deferred", "task"]
#: In how many turns of a loop all that is due has run.
_TURNS = 16


class _Selector(selectors.SelectSelector):
    """Lets the time of its loop pass, instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose next timer goes off as soon as nothing else is left to do."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class Handle:
    """Something under way, whatever drives it: what can be done with it, and its outcome."""

    def __init__(self, driven: Any) -> None:
        self._driven = driven
        self._results = result_of(driven) if isinstance(driven, Deferred) else []
        if isinstance(driven, Promise):
            driven.catch(lambda _: None)

    def cancel(self) -> None:
        """Cancel it."""
        self._driven.cancel()

    def outcome(self) -> tuple[str, Any]:
        """The name of its state, and its value or reason."""
        driven = self._driven
        if isinstance(driven, Promise):
            return outcome(driven)
        if isinstance(driven, Deferred):
            if not self._results:
                return "pending", None
            (result,) = self._results
            if not isinstance(result, Failure):
                return "fulfilled", result
            return ("cancelled", None) if result.check(CancelledError) else _rejected(result.value)
        if not driven.done():
            return "pending", None
        if driven.cancelled():
            return "cancelled", None
        error = driven.exception()
        return ("fulfilled", driven.result()) if error is None else _rejected(error)


def _rejected(error: Any) -> tuple[str, Any]:
    return "rejected", error


class World:
    """Runs scenarios: on a manual scheduler, or, for tasks, on a loop of asyncio's.

    Args:
        driver: One of `DRIVERS`; "promise as a task" is a coroutine that a promise follows, and
            that runs as a task.
        scheduler: The manual scheduler.
    """

    def __init__(self, driver: str, scheduler: ManualScheduler) -> None:
        self.driver = driver
        self.scheduler = scheduler
        self.on_loop = driver in ("task", "promise as a task")
        self._events: list[tuple[float, Callable[[], object]]] = []
        self._handle: Handle | None = None

    def run(self, scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a scenario to its end; gives what it returns."""
        if self.on_loop:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                return runner.run(self._on_loop(scenario))
        try:
            scenario().send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("the scenario waits for something else than `advance`")

    async def _on_loop(self, scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async with use_running_loop():
            return await scenario()

    async def advance(self, seconds: float) -> None:
        """Let time pass, from one timer to the next; 0 runs what is due."""
        if self.on_loop:
            await asyncio.sleep(seconds)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            return
        clock = self.scheduler.clock
        end = clock.seconds() + seconds
        self.scheduler.flush()
        while clock.calls and clock.calls[0].getTime() <= end:
            self.scheduler.advance(clock.calls[0].getTime() - clock.seconds())
        self.scheduler.advance(end - clock.seconds())

    def timers(self) -> list[Any]:
        """The timers that are set."""
        if not self.on_loop:
            return self.scheduler.clock.getDelayedCalls()
        loop: Any = asyncio.get_running_loop()
        return [handle for handle in loop._scheduled if not handle.cancelled()]

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        """Have a function called later, as by the reactor."""
        Promise._queue.scheduler.call_later(seconds, function)  # type: ignore[attr-defined]

    def call_after(self, steps: int, function: Callable[[], object]) -> None:
        """Have a function called after so many steps: of a drain, and for tasks also of a loop."""
        promise = Promise.resolve()
        for _ in range(steps):
            promise = promise.then()
        promise.then(lambda _: function())
        if self.driver == "task":
            _after_turns(asyncio.get_running_loop(), steps, function)

    def start(self, function: Callable[[], Awaitable[Any]], timeout: float | None = None) -> Handle:
        """Have the driver wait for what a function gives: a promise, or a coroutine."""
        if self.driver == "chain":
            driven: Any = Promise.resolve(function())
        else:
            within = timeout if self.driver == "task" else None
            driven = self.begin(_within(within, function))
        if timeout is not None and isinstance(driven, Promise):
            driven = driven.timeout(timeout)
        elif timeout is not None and isinstance(driven, Deferred):
            driven.addTimeout(timeout, self.scheduler.clock)
        return Handle(driven)

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Have the driver run a coroutine; a promise, a Deferred or a task."""
        if self.driver == "task":
            return asyncio.ensure_future(coroutine)
        if self.driver in ("deferred", "twisted"):
            return ensureDeferred(coroutine)
        return Promise.resolve(coroutine)

    def at(self, seconds: float, function: Callable[[], object]) -> None:
        """Have a function called when `drive` has run for some time."""
        self._events.append((seconds, function))

    def cancel(self) -> None:
        """Cancel what `drive` runs."""
        assert self._handle is not None
        self._handle.cancel()

    def drive(self, start: Callable[[], Handle], seconds: float = 20) -> tuple[str, Any]:
        """Run something for some time, after which no timer may be left; its outcome."""

        async def scenario() -> tuple[str, Any]:
            for due, function in self._events:
                self.call_later(due, function)
            self._handle = start()
            await self.advance(seconds)
            assert [] == self.timers()
            return self._handle.outcome()

        return World.run(self, scenario)  # type: ignore[no-any-return]


async def _within(timeout: float | None, function: Callable[[], Awaitable[Any]]) -> Any:
    if timeout is None:
        return await function()
    async with asyncio.timeout(timeout):
        return await function()


def _after_turns(
    loop: asyncio.AbstractEventLoop, turns: int, function: Callable[[], object]
) -> None:
    if turns:
        loop.call_soon(_after_turns, loop, turns - 1, function)
    else:
        function()
