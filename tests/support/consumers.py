"""What consumes promises: a chain, a coroutine that Twisted drives, a task of asyncio's.

Unlike in a `World`, the test is no coroutine, and promises do not run on the loop of the task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.support.promises import awaiting
from tests.support.worlds import Handle
from twpromise import Promise
from twpromise.testing import ManualScheduler

__all__ = ["CONSUMERS", "Consumer"]

CONSUMERS = ["chain", "coroutine under Twisted", "task under asyncio"]


class Consumer:
    """Consumes promises in one of these ways, and lets all run that is queued."""

    def __init__(self, kind: str, scheduler: ManualScheduler) -> None:
        self.scheduler = scheduler
        self.loop = asyncio.new_event_loop()
        self._is_chain = kind == CONSUMERS[0]
        self._drives: Any = {
            CONSUMERS[0]: Promise.resolve,
            CONSUMERS[1]: ensureDeferred,
            CONSUMERS[2]: self.loop.create_task,
        }[kind]

    def run(self, promise: Promise[Any]) -> Handle:
        """Start a consumer of a promise."""
        return Handle(promise.then()) if self._is_chain else self.start(awaiting(promise))

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Handle:
        """Start a coroutine, which a chain runs by itself."""
        return Handle(self._drives(coroutine))

    def flush(self, seconds: float = 0) -> None:
        """Let all run that is queued, and what comes of it; let time pass first."""
        for _ in range(4):
            self._turns()
            self.scheduler.advance(seconds)
            seconds = 0
            self._turns()

    def _turns(self) -> None:
        for _ in range(4):
            self.loop.run_until_complete(asyncio.sleep(0))

    def outcome(self, started: Handle) -> Any:
        """The value of a consumer, or the class of its error; None if it pends or was cancelled."""
        state, value = started.outcome()
        return type(value) if state == "rejected" else value
