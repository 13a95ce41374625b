"""Bluebird's spellings have the types of the others."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any, NoReturn, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise, PromiseInspection
from twpromise.testing import ManualScheduler


def functions(promises: list[Promise[int]], deferred: Deferred[int], executor: Executor) -> None:
    """All of those that are static."""
    assert_type(Promise.allSettled(promises), Promise[list[PromiseInspection[int]]])
    assert_type(Promise.mapSeries(promises, str), Promise[list[str]])
    assert_type(Promise.fromCallback(print), Promise[Any])
    assert_type(Promise.fromNode(print), Promise[Any])
    assert_type(Promise.fromDeferred(deferred), Promise[int])
    assert_type(Promise.inThread(abs, 1), Promise[int])
    assert_type(Promise.runIn(executor, abs, 1), Promise[int])
    assert_type(Promise.callFromThread(abs, 1), Future[int])
    assert_type(Promise.promisifyAll(promises), Any)
    assert_type(Promise.deferifyAll(promises), Any)
    assert_type(Promise.getNewLibraryCopy(), type[Promise[Any]])
    assert_type(Promise.setScheduler(ManualScheduler()), Any)
    Promise.onFatal(print)
    Promise.onPossiblyUnhandledRejection(print)
    Promise.onUnhandledRejectionHandled(print)
    Promise.longStackTraces()
    assert_type(Promise.setRejectionPolicy("report"), Any)


def methods(promise: Promise[int], values: Promise[list[int]]) -> None:
    """All of those that are not."""
    assert_type(values.allSettled(), Promise[list[PromiseInspection[int]]])
    assert_type(values.mapSeries(lambda item: [item]), Promise[list[list[int]]])
    assert_type(promise.asCallback(print), Promise[int])
    assert_type(promise.catchReturn(OSError, ""), Promise[int | str])
    assert_type(promise.catchThrow(OSError, KeyError()), Promise[int])
    assert_type(promise.tapCatch(OSError, print), Promise[int])
    assert_type(promise.thenReturn(""), Promise[str])
    assert_type(promise.thenThrow(KeyError()), Promise[NoReturn])
    assert_type(promise.toDeferred(), Deferred[int])
    assert_type(promise.isCancelled(), bool)
    assert_type(promise.isFulfilled(), bool)
    assert_type(promise.isPending(), bool)
    assert_type(promise.isRejected(), bool)
    promise.toFuture().set_result(1)
    promise.suppressUnhandledRejections()


def inspections(inspection: PromiseInspection[int]) -> None:
    """All of an inspection."""
    assert_type(inspection.isCancelled(), bool)
    assert_type(inspection.isFulfilled(), bool)
    assert_type(inspection.isPending(), bool)
    assert_type(inspection.isRejected(), bool)


def mistaken(promise: Promise[int]) -> None:
    """And complain as those do."""
    Promise.inThread(abs, "")  # type: ignore[arg-type]
    promise.tapCatch(5)  # type: ignore[call-overload]
    promise.mapSeries(str)  # type: ignore[arg-type]
    promise.isSettled()  # type: ignore[attr-defined]
