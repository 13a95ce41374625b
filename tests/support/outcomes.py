"""Outcomes of promises and Deferreds."""

from __future__ import annotations

from traceback import walk_tb
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from twpromise import Promise

__all__ = ["frames", "outcome", "reasons", "result_of"]


def outcome(promise: Promise[Any]) -> tuple[str, Any]:
    """The name of the state of a promise, and its value or reason."""
    if promise.is_fulfilled():
        return "fulfilled", promise.value()
    if promise.is_rejected():
        return "rejected", promise.reason()
    return "cancelled" if promise.is_cancelled() else "pending", None


def result_of(deferred: Deferred[Any]) -> list[Any]:
    """A list that gets the result of a Deferred; failures count as handled."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


def reasons(reports: list[LogEvent]) -> list[BaseException | None]:
    """The reasons of rejections that were logged."""
    return [event["log_failure"].value for event in reports]


def frames(traceback: TracebackType | None) -> list[str]:
    """The names of the functions that a traceback goes through, outermost first."""
    return [frame.f_code.co_name for frame, _ in walk_tb(traceback)]
