"""Coroutines that call themselves: how deep they get, and what comes of those that get too deep."""

from __future__ import annotations

import asyncio
import gc
import warnings
from types import CoroutineType

import pytest
from twisted.internet.defer import ensureDeferred, inlineCallbacks

from twpromise import Promise
from twpromise.loops import use_running_loop

pytestmark = pytest.mark.usefixtures("scheduler", "low_recursion_limit")


@pytest.fixture(autouse=True)
def _too_deep(reports):
    """What the limit leaves: coroutines that are never awaited, and errors that are reported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
        assert {RecursionError} >= {event["log_failure"].type for event in reports}
        # Tracebacks, which what captures logs keeps, lead to coroutines that are never awaited.
        for found in gc.get_objects():
            if type(found) is CoroutineType and found.__qualname__.startswith("by_"):
                found.close()


def by_inline_callbacks():
    @inlineCallbacks
    def function(depth):
        return 1 + (yield function(depth - 1)) if depth else 0

    return function


def by_ensure_deferred():
    async def function(depth):
        return 1 + await ensureDeferred(function(depth - 1)) if depth else 0

    return lambda depth: ensureDeferred(function(depth))


def by_generators():
    @Promise.coroutine
    def function(depth):
        return 1 + (yield function(depth - 1)) if depth else 0

    return function


def by_coroutines():
    @Promise.coroutine
    async def function(depth):
        return 1 + await function(depth - 1) if depth else 0

    return function


def by_method():
    @Promise.method
    async def function(depth):
        return 1 + await function(depth - 1) if depth else 0

    return function


def by_resolve():
    async def function(depth):
        return 1 + await Promise.resolve(function(depth - 1)) if depth else 0

    return lambda depth: Promise.resolve(function(depth))


def deepest(function, succeeds):
    """The depth that a function reaches within Python's limit."""
    return next(depth for depth in range(1, 200) if not succeeds(function(depth))) - 1


def fired(deferred):
    results = []
    deferred.addCallbacks(results.append, lambda _: None)
    return bool(results)


@pytest.mark.parametrize(
    ("make", "twisteds"),
    [
        (by_generators, by_inline_callbacks),
        (by_coroutines, by_inline_callbacks),
        (by_method, by_ensure_deferred),
        (by_resolve, by_ensure_deferred),
    ],
)
def test_coroutines_get_as_deep_as_twisteds(scheduler, make, twisteds):
    """That do the same; less one at most, since ours may need a frame more to end."""

    def fulfilled(promise):
        promise.suppress_unhandled_rejections()
        scheduler.flush()
        return promise.is_fulfilled()

    assert deepest(make(), fulfilled) >= deepest(twisteds(), fired) - 1


@pytest.mark.parametrize("make", [by_generators, by_coroutines, by_method, by_resolve])
def test_coroutines_that_get_too_deep_reject(make):
    """On asyncio's loop, too, which waits for each of their tasks when it ends."""

    async def main():
        async with use_running_loop():
            outcomes = []
            for depth in range(1, 30):
                try:
                    outcomes.append(await make()(depth))
                except RecursionError:
                    outcomes.append(None)
            return outcomes

    outcomes = asyncio.run(asyncio.wait_for(main(), 10))
    reached = outcomes.index(None)
    assert [*range(1, reached + 1)] + [None] * (29 - reached) == outcomes
