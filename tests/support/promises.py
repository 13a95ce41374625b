"""Promises that a test settles, and an error of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twpromise import Promise

__all__ = ["Boom", "Source", "awaiting", "fail", "pending", "quiet"]


class Boom(Exception):
    """An error that no code but tests raises."""


def fail(*_: object) -> None:
    """A handler that raises."""
    raise Boom("from a handler")


def quiet(promise: Promise[Any]) -> Promise[Any]:
    """The promise, which is not reported if it is rejected and has no handler."""
    promise.suppress_unhandled_rejections()
    return promise


async def awaiting(awaitable: Any) -> Any:
    """A coroutine that awaits one thing."""
    return await awaitable


def pending() -> tuple[Promise[Any], Callable[..., None], Callable[..., None]]:
    """A pending promise, and the functions that settle it."""
    functions: list[Callable[..., None]] = []
    promise: Promise[Any] = Promise(lambda *both: functions.extend(both))
    resolve, reject = functions
    return promise, resolve, reject


class Source:
    """A pending promise, the functions that settle it, and how often its cancel hook ran."""

    resolve: Callable[..., None]
    reject: Callable[..., None]

    def __init__(self, cls: type[Promise[Any]] = Promise) -> None:
        self.cancelled = 0
        self.promise: Promise[Any] = cls(self._execute)

    def _execute(self, resolve: Any, reject: Any, on_cancel: Any) -> None:
        self.resolve, self.reject = resolve, reject
        if on_cancel is not None:
            on_cancel(self._hook)

    def _hook(self) -> None:
        self.cancelled += 1
