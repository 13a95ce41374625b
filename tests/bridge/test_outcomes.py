"""Reasons, tracebacks and Failures across the bridge: `twpromise._bridge.outcomes`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, fail, inlineCallbacks
from twisted.python.failure import Failure

from tests.support.outcomes import frames, result_of
from tests.support.promises import Boom, Source
from twpromise import CancellationError, Promise, RejectionError
from twpromise._bridge import outcomes
from twpromise.testing import ManualScheduler

OnAsyncio = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

CONSUMERS = 1000


def innermost() -> None:
    """Raises."""
    raise Boom


def raised() -> Failure:
    """A failure with a traceback that goes through `innermost`."""
    try:
        innermost()
    except Boom:
        return Failure()
    raise AssertionError


async def _raising() -> None:
    innermost()


ORIGINS: dict[str, Callable[[Any], Promise[Any]]] = {
    "raised by a handler": lambda before: before.then(lambda _: innermost()),
    "raised by a coroutine": lambda before: before.then(lambda _: _raising()),
    "never raised": lambda before: before.then(lambda _: Promise.reject(Boom())),
    "from a Deferred": lambda before: before.then(lambda _: fail(raised())),
    "from a Failure without a traceback": lambda before: before.then(lambda _: Failure(Boom())),
}


@pytest.fixture(params=["settled", "pending"])
def when(request: pytest.FixtureRequest) -> str:
    """Whether the promise has settled before it gets its consumers."""
    value: str = request.param
    return value


@pytest.fixture(params=ORIGINS)
def failing(request: pytest.FixtureRequest, when: str, scheduler: ManualScheduler) -> Promise[Any]:
    """A promise that is rejected, or will be when the scheduler runs."""
    promise = ORIGINS[request.param](Promise.resolve())
    if when == "settled":
        # Handled, and nothing that keeps the traceback.
        promise.catch(lambda reason: None)
        scheduler.flush()
    return promise


async def _awaiting(promise: Any, lengths: list[list[str]]) -> None:
    try:
        await promise
    except Boom as error:
        lengths.append(frames(error.__traceback__))
        raise


def _by_deferred(promise: Promise[Any], seen: list[list[str]]) -> None:
    def errback(failure: Failure) -> None:
        seen.append(frames(failure.getTracebackObject()))
        failure.raiseException()

    def errback_again(failure: Failure) -> None:
        seen.append(frames(failure.getTracebackObject()))

    promise.to_deferred().addErrback(errback).addErrback(errback_again)


def _by_ensure_deferred(promise: Promise[Any], seen: list[list[str]]) -> None:
    ensureDeferred(_awaiting(promise, seen)).addErrback(lambda failure: None)


def _by_coroutine(promise: Promise[Any], seen: list[list[str]]) -> None:
    Promise.resolve(_awaiting(promise, seen)).catch(lambda reason: None)


def _by_inline_callbacks(promise: Promise[Any], seen: list[list[str]]) -> None:
    @inlineCallbacks
    def inline() -> Any:
        try:
            yield promise.to_deferred()
        except Boom as error:
            seen.append(frames(error.__traceback__))

    inline()


def _by_handler(promise: Promise[Any], seen: list[list[str]]) -> None:
    def handler(reason: Boom) -> None:
        seen.append(frames(reason.__traceback__))
        raise reason

    promise.catch(handler).catch(lambda reason: None)


WAYS: dict[str, Callable[[Promise[Any], list[list[str]]], None]] = {
    "to_deferred": _by_deferred,
    "await under Twisted": _by_ensure_deferred,
    "await under a promise": _by_coroutine,
    "inlineCallbacks": _by_inline_callbacks,
}


class TestOneTraceback:
    """An exception that is shared by many has one traceback length for all of them."""

    @pytest.mark.parametrize("way", WAYS)
    def test_one_way(self, failing: Promise[Any], scheduler: ManualScheduler, way: str) -> None:
        """Whichever way they get it."""
        seen: list[list[str]] = []
        for _ in range(CONSUMERS):
            WAYS[way](failing, seen)
        scheduler.flush()
        assert CONSUMERS <= len(seen)
        each = len(seen) // CONSUMERS
        for number in range(each):
            assert 1 == len({tuple(names) for names in seen[number::each]})
        assert 10 > max(len(names) for names in seen)

    def test_mixed(self, failing: Promise[Any], scheduler: ManualScheduler) -> None:
        """And if they come one after the other, none sees the frames of another one."""
        alone: dict[str, list[list[str]]] = {way: [] for way in WAYS}
        for way, seen in alone.items():
            WAYS[way](failing, seen)
        mixed: dict[str, list[list[str]]] = {way: [] for way in WAYS}
        for _ in range(CONSUMERS // len(WAYS)):
            for way, seen in mixed.items():
                WAYS[way](failing, seen)
        scheduler.flush()
        for way, seen in mixed.items():
            assert {tuple(names) for names in alone[way]} == {tuple(names) for names in seen}

    def test_after_all_of_them(self, failing: Promise[Any], scheduler: ManualScheduler) -> None:
        """A failure that is made in the end is as that of the first."""
        first: list[list[str]] = []
        _by_deferred(failing, first)
        scheduler.flush()
        for _ in range(20):
            for consume in WAYS.values():
                consume(failing, [])
            scheduler.flush()
        last: list[list[str]] = []
        _by_deferred(failing, last)
        scheduler.flush()
        assert first == last

    def test_handlers(self, failing: Promise[Any], scheduler: ManualScheduler) -> None:
        """Handlers that raise the reason again do not make it longer for one another."""
        seen: list[list[str]] = []
        for _ in range(CONSUMERS):
            _by_handler(failing, seen)
        scheduler.flush()
        assert {tuple(seen[0])} == {tuple(names) for names in seen}

    def test_asyncio(self, on_asyncio: OnAsyncio) -> None:
        """Tasks of asyncio, as well."""

        async def main() -> list[list[str]]:
            source = Source()
            seen: list[list[str]] = []
            tasks = [asyncio.create_task(_awaiting(source.promise, seen)) for _ in range(100)]
            await asyncio.sleep(0)
            source.reject(Boom())
            await asyncio.wait(tasks)
            assert all(isinstance(task.exception(), Boom) for task in tasks)
            return seen

        seen = on_asyncio(main)
        assert 100 == len(seen)
        assert {("_awaiting", "await_promise")} == {tuple(names) for names in seen}

    def test_a_long_chain(self, scheduler: ManualScheduler) -> None:
        """A rejection that falls through many promises and Deferreds has gained no frame."""
        promise = Promise.resolve().then(lambda _: innermost())
        for _ in range(1000):
            promise = promise.then(str).catch(lambda reason: Promise.reject(reason))
        for _ in range(100):
            promise = Promise.from_deferred(promise.to_deferred())
        results = result_of(promise.to_deferred())
        scheduler.flush()
        assert ["<lambda>", "innermost"] == frames(results[0].getTracebackObject())


class TestContext:
    """Exceptions are not chained to what has nothing to do with them."""

    @pytest.mark.parametrize("way", ["await under Twisted", "await under a promise"])
    def test_no_context(self, scheduler: ManualScheduler, way: str) -> None:
        """What an await raises, and what a coroutine's outcome runs into, has no `__context__`."""
        error = Boom()
        source = Source()
        seen: list[list[str]] = []
        WAYS[way](source.promise, seen)
        source.reject(error)
        scheduler.flush()
        assert 1 == len(seen)
        assert None is error.__context__

    def test_after_a_coroutine(self, scheduler: ManualScheduler) -> None:
        """An error that comes of what a coroutine returns has not come of its return."""

        async def inner() -> None:
            raise Boom

        async def outer() -> Any:
            return inner()

        promise = Promise.resolve(outer())
        reason = promise.reason()
        assert isinstance(reason, Boom)
        assert None is reason.__context__


def test_each_cancellation_is_its_own(scheduler: ManualScheduler) -> None:
    """Every consumer of a cancelled promise gets a CancellationError of its own."""
    source = Source()
    results = [result_of(source.promise.to_deferred()) for _ in range(3)]
    source.promise.cancel()
    scheduler.flush()
    errors = [failure.value for (failure,) in results]
    assert [CancellationError] * 3 == [type(error) for error in errors]
    assert 3 == len({id(error) for error in errors})


def test_an_error_whose_attributes_raise(scheduler: ManualScheduler) -> None:
    """It goes out as it is, though its notes cannot be read."""

    class Hostile(Exception):
        def __getattr__(self, name: str) -> Any:
            raise Boom

    error = Hostile()
    results = result_of(Promise.resolve().then(lambda _: Promise.reject(error)).to_deferred())
    scheduler.flush()
    value = results[0].value
    assert error is (value.cause if isinstance(value, RejectionError) else value)


def test_an_error_that_no_failure_can_be_made_of(
    scheduler: ManualScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes out as the cause of an error that Twisted can carry; old Twisted needs that."""
    refused = Boom()

    class Picky(Failure):
        def __init__(self, error: Any = None, *more: Any) -> None:
            if error is refused:
                raise AttributeError("old Twisted has asked for an attribute")
            super().__init__(error, *more)

    monkeypatch.setattr(outcomes, "Failure", Picky)
    results = result_of(Promise.resolve().then(lambda _: Promise.reject(refused)).to_deferred())
    scheduler.flush()
    assert refused is results[0].value.cause


def test_cleaned_failure(scheduler: ManualScheduler) -> None:
    """A failure whose traceback is only text is raised without it, and goes out again."""
    imitation = raised()
    imitation.cleanFailure()
    deferred: Deferred[Any] = Deferred()
    promise = Promise.from_deferred(deferred)
    awaited: list[list[str]] = []
    _by_ensure_deferred(promise, awaited)
    results = result_of(promise.to_deferred())
    deferred.errback(imitation)
    scheduler.flush()
    assert [["_awaiting", "await_promise"]] == awaited
    assert imitation is results[0]
    assert "innermost" in imitation.getTraceback()
