"""Helpers for the tests of the bridge."""

from __future__ import annotations

from collections.abc import Callable
from traceback import walk_tb
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred

from twpromise import Promise

__all__ = ["Eventually", "frames", "pending", "result_of"]


def frames(traceback: TracebackType | None) -> list[str]:
    """The names of the functions that a traceback goes through, outermost first."""
    return [frame.f_code.co_name for frame, _ in walk_tb(traceback)]


class Eventually:
    """A pending promise, with what settles it, and what it was told about being cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.resolve: Callable[..., None]
        self.reject: Callable[..., None]

        def executor(
            resolve: Callable[..., None], reject: Callable[..., None], on_cancel: Any
        ) -> None:
            self.resolve, self.reject = resolve, reject
            on_cancel(lambda: self.cancelled.append("cancelled"))

        self.promise: Promise[Any] = Promise(executor)


def pending() -> Eventually:
    """A pending promise, with what settles it."""
    return Eventually()


def result_of(deferred: Deferred[Any]) -> list[Any]:
    """What a Deferred fires with, as soon as it does; failures are taken care of."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results
