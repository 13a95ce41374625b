"""What a user writes, driven in each way: a chain, a coroutine under Twisted, a task of asyncio's.

Time is the test's own, under asyncio as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from twpromise import Promise
from twpromise.loops import use_running_loop
from twpromise.testing import ManualScheduler

__all__ = ["WAYS", "Attempt", "drive"]

WAYS = ("chain", "coroutine", "task")

#: At a time, in seconds, a function is called with the attempt.
Events = Sequence[tuple[float, Callable[["Attempt"], object]]]


class Attempt:
    """What runs: how it is cancelled, and how it has ended."""

    def __init__(self) -> None:
        self.cancel: Callable[[], object] = lambda: None
        #: Its value, or the class of its error; None until then.
        self.ended: Any = None

    def succeed(self, value: object) -> None:
        """It has ended with a value."""
        self.ended = value

    def fail(self, error: Any) -> None:
        """It has failed, or was cancelled."""
        self.ended = type(getattr(error, "value", error))


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose next timer goes off as soon as nothing else is left to do."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        loop: Any = self
        if not loop._ready:
            times = [handle.when() for handle in loop._scheduled if not handle.cancelled()]
            self._now = max(self._now, min(times, default=0))
        super()._run_once()  # type: ignore[misc]


def drive(
    way: str,
    scheduler: ManualScheduler,
    chain: Callable[[], Promise[Any]],
    coroutine: Callable[[], Coroutine[Any, Any, Any]],
    events: Events,
    seconds: float = 20,
) -> Attempt:
    """Run a chain, or a coroutine in one of two ways, with events, for some seconds."""
    attempt = Attempt()
    if way == "task":
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(_as_task(attempt, coroutine, events, seconds))
        return attempt
    if way == "chain":
        promise = chain()
        attempt.cancel = promise.cancel
        promise.then(attempt.succeed, attempt.fail)
    else:
        deferred: Deferred[Any] = ensureDeferred(coroutine())
        attempt.cancel = deferred.cancel
        deferred.addCallbacks(attempt.succeed, attempt.fail)
    for time, event in events:
        scheduler.clock.callLater(time, event, attempt)
    for _ in range(round(seconds * 4)):
        scheduler.advance(0.25)
    assert [] == scheduler.clock.getDelayedCalls()
    return attempt


async def _as_task(
    attempt: Attempt,
    coroutine: Callable[[], Coroutine[Any, Any, Any]],
    events: Events,
    seconds: float,
) -> None:
    loop = asyncio.get_running_loop()
    async with use_running_loop():
        task = loop.create_task(coroutine())
        attempt.cancel = task.cancel
        for time, event in events:
            loop.call_later(time, event, attempt)
        await asyncio.sleep(seconds)
        assert [] == [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, BaseException):
            attempt.fail(result)
        else:
            attempt.succeed(result)
