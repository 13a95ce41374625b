"""Tests that a loop or the reactor runs, with checks at their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from .._diagnostics.traces import STOPS
from ..loops import use_running_loop
from .checks import PromiseChecks
from .manual import ManualScheduler

__all__ = ["checked_on_clock", "checked_on_loop", "checked_on_reactor", "turn_of_reactor"]


def checked_on_clock(
    test: Callable[..., Any], checks: PromiseChecks, scheduler: ManualScheduler
) -> Callable[..., Any]:
    """Wrap a test, so that it runs on a `ManualScheduler`, to its end if it can be awaited.

    It ends with a check for errors; the caller ends *checks* later.
    """

    def run(*arguments: Any, **named: Any) -> Any:
        # For pytest: its tracebacks begin with the test.
        __tracebackhide__ = True
        try:
            result = test(*arguments, **named)
            if isawaitable(result):
                scheduler.run_until_complete(result)
                result = None
        except BaseException as error:
            checks.end_of_test(error)
            raise
        checks.end_of_test(None)
        return result

    # Long stack traces begin with the test, too.
    STOPS.add(id(run.__code__))
    return wraps(test)(run)


def checked_on_loop(
    test: Callable[..., Awaitable[object]], checks: PromiseChecks, ends: ExitStack
) -> Callable[..., Awaitable[None]]:
    """Wrap an ``async def`` test, so that asyncio runs it, with promises on the same loop.

    It ends with a check for errors.  *ends* checks for what is pending before promises leave the
    loop, since that cancels coroutines; unless a fixture put them there, which may settle them.

    Raises:
        TypeError: *test* is not ``async def``.
    """
    if not iscoroutinefunction(test):
        raise TypeError("promises_on_loop is for tests that are async def")

    @wraps(test)
    async def run(*arguments: Any, **named: Any) -> None:
        __tracebackhide__ = True
        library = checks.library
        here = library._queue.scheduler.event_loop() is asyncio.get_running_loop()

        async def settle() -> None:
            await library._queue.scheduler._finish(library._queue)

        async with use_running_loop(library):
            with ExitStack() if here else ends.pop_all():
                await _run(test(*arguments, **named), settle, checks)

    return run


def checked_on_reactor(
    test: Callable[..., Any], checks: PromiseChecks
) -> Callable[..., Deferred[None]]:
    """Wrap a test for a running reactor; it may return a promise, or another awaitable.

    It ends with a check for errors; the caller ends *checks* later.
    """

    async def call(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        __tracebackhide__ = True
        result = test(*arguments, **named)
        if isawaitable(result):
            await result

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(_run(call(arguments, named), turn_of_reactor, checks))

    return run


async def _run(
    test: Awaitable[object], settle: Callable[[], Awaitable[None]], checks: PromiseChecks
) -> None:
    """Wait for a test, and for what is queued then, and check for errors."""
    __tracebackhide__ = True
    try:
        try:
            await test
        finally:
            await settle()
    except BaseException as error:
        checks.end_of_test(error)
        raise
    checks.end_of_test(None)


def turn_of_reactor() -> Deferred[None]:
    """A Deferred that fires in the reactor's next turn: not within a handler of a promise."""
    from twisted.internet import reactor

    return deferLater(reactor, 0)
