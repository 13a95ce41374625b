"""Coroutine objects: driven the Twisted way, as one consumer of what they await."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Coroutine
from types import CoroutineType, GeneratorType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._bridge.deferreds import cancel_deferred
from .._bridge.outcomes import traceback_of
from .._core.resolving import is_followed, resolve
from .._core.states import CorePromise, new_fulfilled, new_pending
from .._util.checks import shown
from .._util.errors import CANCELLATIONS, CancellationError, as_exception
from .._util.exceptions import set_traceback
from .awaiting import Awaiter, await_promise
from .runner import Runner, set_waits

__all__ = ["CoroutineRunner", "adopt_coroutine"]

_AWAIT = await_promise.__code__


class CoroutineRunner(Runner):
    """Runs a coroutine object; it may await promises, Deferreds and asyncio's futures."""

    __slots__ = ()

    def _wait_for_other(self, yielded: Any) -> None:
        kind = type(yielded)
        if yielded is None:
            # ``asyncio.sleep(0)``, or a bare ``yield``: let the others have their turn.
            self._wait_for(new_fulfilled(type(self._promise), None))
            return
        if issubclass(kind, Deferred):
            _wait_for_deferred(self, yielded)
            return
        if not is_followed(yielded):
            raise TypeError(
                f"a value was awaited that could not be treated as a promise: {shown(yielded)}"
            )
        promise = new_pending(type(self._promise), owner=self._promise)
        self._in_context(self._context, resolve, promise, yielded)
        # An asyncio future is asked for its result by its own `__await__`.
        self._wait_for(promise, not issubclass(kind, Future))

    def _looks_itself(self) -> bool:
        # As with an awaiter.  Python 3.11 loses frames of what is thrown in through coroutines.
        inner = self._generator
        while type(inner) is CoroutineType:
            inner = inner.cr_await
        return type(inner) is GeneratorType and inner.gi_code is _AWAIT

    def _cancellation(self) -> BaseException:
        return CancellationError("the coroutine was cancelled")

    def _is_cancellation(self, error: BaseException) -> bool:
        return issubclass(type(error), CANCELLATIONS)


def _wait_for_promise(runner: Runner, awaiter: Awaiter) -> None:
    # The awaiter only tells what is awaited: the runner waits for the promise itself.
    # `await_promise` reads the outcome from it.
    runner._wait_for(awaiter._promise, False)


def _wait_for_deferred(runner: Runner, deferred: Deferred[Any]) -> None:
    runner._foreign = deferred
    runner._stop = cancel_deferred
    deferred.addBoth(_resume, runner, deferred)


def _resume(result: Any, runner: Runner, deferred: Deferred[Any]) -> None:
    # As Twisted's driver does it.  `Deferred.__await__` reads the result from the Deferred all
    # the same, within this callback, which returns None: a failure is the coroutine's concern.
    error = None
    if issubclass(type(result), Failure):
        error = as_exception(result.value)
        set_traceback(error, traceback_of(result))
        result = None
    runner.resume(deferred, result, error)
    # The error's traceback refers to this frame.
    del error


set_waits(Deferred, _wait_for_deferred, Awaiter, _wait_for_promise)


def adopt_coroutine(promise: CorePromise, coroutine: Coroutine[Any, Any, Any]) -> None:
    """Start a coroutine object, and have a pending promise take on its outcome."""
    CoroutineRunner(promise, coroutine).start()
