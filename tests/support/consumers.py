"""What consumes promises: a chain, a coroutine that Twisted drives, a task of asyncio's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from tests.support.promises import quiet
from twpromise import Promise
from twpromise.testing import ManualScheduler

__all__ = ["CONSUMERS", "Consumer", "consuming"]

#: The kinds of consumers; for ``pytest.fixture(params=CONSUMERS)``.
CONSUMERS = ["chain", "coroutine under Twisted", "task under asyncio"]


async def _awaiting(promise: Promise[Any]) -> Any:
    return await promise


class Consumer:
    """Consumes promises in one of three ways, and lets all run that is queued.

    Attributes:
        run: Starts a consumer of a promise; returns the promise, Deferred or task of it.
        start: The same for a coroutine, which a chain runs by itself.
    """

    def __init__(self, kind: str, scheduler: ManualScheduler) -> None:
        self.scheduler = scheduler
        self.loop = asyncio.new_event_loop() if kind == CONSUMERS[2] else None
        self.deferreds: list[Deferred[Any]] = []
        self.start: Callable[[Any], Any] = {
            CONSUMERS[0]: lambda coroutine: quiet(Promise.resolve(coroutine)),
            CONSUMERS[1]: self._as_deferred,
            CONSUMERS[2]: self._as_task,
        }[kind]
        self.run: Callable[[Promise[Any]], Any] = (
            (lambda promise: quiet(promise.then()))
            if kind == CONSUMERS[0]
            else lambda promise: self.start(_awaiting(promise))
        )

    def _as_task(self, coroutine: Any) -> asyncio.Task[Any]:
        assert self.loop is not None
        return self.loop.create_task(coroutine)

    def _as_deferred(self, coroutine: Any) -> Deferred[Any]:
        deferred = ensureDeferred(coroutine)
        self.deferreds.append(deferred)
        return deferred

    def flush(self, seconds: float = 0) -> None:
        """Let all run that is queued, and what comes of it; let time pass first."""
        for _ in range(4):
            self._turns()
            self.scheduler.advance(seconds)
            seconds = 0
            self._turns()

    def _turns(self) -> None:
        if self.loop is not None:
            for _ in range(4):
                self.loop.run_until_complete(asyncio.sleep(0))

    def outcome(self, started: Any) -> Any:
        """The value of a consumer, or the name of the class of its error; None if it pends."""
        results: list[Any] = []
        if isinstance(started, Deferred):
            started.addBoth(results.append)
            result = results[0] if results else None
            return getattr(result, "type", result)
        if isinstance(started, asyncio.Task):
            if not started.done():
                return None
            if started.cancelled():
                return asyncio.CancelledError
            return started.result() if started.exception() is None else type(started.exception())
        if started.is_rejected():
            return type(started.reason())
        return started.value() if started.is_fulfilled() else None


@contextmanager
def consuming(kind: str, scheduler: ManualScheduler) -> Iterator[Consumer]:
    """A `Consumer`, whose loop is closed at the end."""
    consumer = Consumer(kind, scheduler)
    yield consumer
    for deferred in consumer.deferreds:
        # The test has looked at what it wanted to know.
        deferred.addErrback(lambda _: None)
    if consumer.loop is not None:
        consumer.loop.close()
