"""Tests that a loop or the reactor runs, with the checks at their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from .._diagnostics.traces import STOPS
from .._scheduling.loop import LoopScheduler
from ..loops import use_running_loop
from .checks import PromiseChecks
from .manual import ManualScheduler

__all__ = ["checked_on_clock", "checked_on_loop", "checked_on_reactor", "turn_of_reactor"]


def checked_on_clock(
    test: Callable[..., Any], checks: PromiseChecks, scheduler: ManualScheduler
) -> Callable[..., Any]:
    """A test to be run on a `ManualScheduler`; if it can be awaited it is run to its end.

    Errors are looked for then, within *checks*, which are ended by others.
    """

    def run(*arguments: Any, **named: Any) -> Any:
        # For pytest: what it shows begins with the test.
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
    test: Callable[..., Awaitable[object]], checks: PromiseChecks
) -> Callable[..., Awaitable[None]]:
    """A test that is ``async def``, to be run by asyncio, with promises on the same loop.

    Raises:
        TypeError: *test* is not ``async def``.
    """
    if not iscoroutinefunction(test):
        raise TypeError("promises_on_loop is for tests that are async def")

    @wraps(test)
    async def run(*arguments: Any, **named: Any) -> None:
        __tracebackhide__ = True
        async with use_running_loop(checks.library):
            with checks:
                try:
                    await test(*arguments, **named)
                finally:
                    queue = checks.library._queue
                    at: Any = queue.scheduler
                    assert isinstance(at, LoopScheduler)
                    await at._finish(queue)

    return run


def checked_on_reactor(
    test: Callable[..., Any], checks: PromiseChecks
) -> Callable[..., Deferred[None]]:
    """A test to be run while the reactor runs; it may return a promise, or another awaitable."""

    async def checked(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        __tracebackhide__ = True
        with checks:
            try:
                result = test(*arguments, **named)
                if isawaitable(result):
                    await result
            finally:
                await turn_of_reactor()

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(checked(arguments, named))

    return run


def turn_of_reactor() -> Deferred[None]:
    """A Deferred that fires in the reactor's next turn: not within a handler of a promise."""
    from twisted.internet import reactor

    return deferLater(reactor, 0)
