"""A coroutine run to its end by each thing that drives coroutines, in time of the test's own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tests.support.worlds import Handle, World
from twpromise import Promise
from twpromise.testing import ManualScheduler

__all__ = ["DRIVERS", "Driving"]

DRIVERS = ["promise", "twisted", "task", "promise as a task"]


class Driving(World):
    """Runs one coroutine by one of `DRIVERS`; `at` says what happens to it meanwhile."""

    def __init__(self, driver: str) -> None:
        super().__init__(driver, ManualScheduler())

    def run(  # type: ignore[override]
        self, coroutine: Coroutine[Any, Any, Any], seconds: float = 60
    ) -> tuple[str, Any]:
        """Run a coroutine for some time; its outcome."""
        former = Promise.set_scheduler(self.scheduler)
        outcome = self.drive(lambda: Handle(self.begin(coroutine)), seconds)
        self.scheduler.flush()
        Promise.set_scheduler(former)
        return outcome
