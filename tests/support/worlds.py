"""Where promises run in a fault matrix, and what drives what uses them: with a time of its own.

A scenario is an ``async def`` function that lets time pass by `advance`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.python.failure import Failure

from tests.support.outcomes import outcome
from twpromise import Promise
from twpromise.loops import use_running_loop
from twpromise.testing import ManualScheduler

__all__ = ["DRIVERS", "Handle", "World"]

#: A chain; a coroutine that a promise follows; one under Twisted's driver; a task of asyncio's.
DRIVERS = ["chain", "coroutine", "deferred", "task"]
#: In how many turns of a loop all that is due has run.
_TURNS = 16


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose time only a test moves."""

    now = 0.0

    def time(self) -> float:
        """The time."""
        return self.now


class Handle:
    """Something under way, whatever drives it: what can be done with it, and its outcome."""

    def __init__(self, driven: Any) -> None:
        self._driven = driven
        self._results: list[Any] = []
        if isinstance(driven, Deferred):
            driven.addBoth(self._results.append)
        elif isinstance(driven, Promise):
            driven.suppress_unhandled_rejections()

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
            result = self._results[0]
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
        driver: One of `DRIVERS`.
        scheduler: The manual scheduler.
    """

    def __init__(self, driver: str, scheduler: ManualScheduler) -> None:
        self.driver = driver
        self.scheduler = scheduler

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario to its end."""
        if self.driver == "task":
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._on_loop(scenario))
            return
        try:
            scenario().send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("the scenario waits for something else than `advance`")

    async def _on_loop(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with use_running_loop():
            await scenario()

    async def advance(self, seconds: float) -> None:
        """Let time pass, in steps of half a second; 0 runs what is due."""
        for step in [0.0] + [0.5] * round(2 * seconds):
            if self.driver == "task":
                loop: Any = asyncio.get_running_loop()
                loop.now += step
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
            else:
                self.scheduler.advance(step)

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

        async def use() -> Any:
            return await function()

        if self.driver in ("chain", "coroutine"):
            promise: Any = Promise.resolve(function() if self.driver == "chain" else use())
            return Handle(promise if timeout is None else promise.timeout(timeout))
        if self.driver == "deferred":
            deferred = ensureDeferred(use())
            if timeout is not None:
                deferred.addTimeout(timeout, self.scheduler.clock)
            return Handle(deferred)
        return Handle(asyncio.ensure_future(_within(timeout, function)))


async def _within(timeout: float | None, function: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(timeout):
        return await function()


def _after_turns(
    loop: asyncio.AbstractEventLoop, turns: int, function: Callable[[], object]
) -> None:
    if turns:
        loop.call_soon(_after_turns, loop, turns - 1, function)
    else:
        function()
