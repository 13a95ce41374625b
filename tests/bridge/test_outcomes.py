"""Reasons, tracebacks and Failures across the bridge: `twpromise._bridge.outcomes`."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest
from twisted.internet import defer
from twisted.internet.defer import Deferred, ensureDeferred, fail, inlineCallbacks
from twisted.python.failure import Failure

from tests.support.outcomes import frames, result_of
from tests.support.promises import Boom, Source
from twpromise import CancellationError, Promise, RejectionError, TimeoutError
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


class TestTwistedsTimeouts:
    """The error of `Deferred.addTimeout` becomes ours where a Deferred is adopted or awaited."""

    @staticmethod
    async def _awaits(late: Any) -> Any:
        try:
            await late()
        except TimeoutError as error:
            return error

    @staticmethod
    @Promise.coroutine
    def _yields(late: Any) -> Any:
        try:
            yield late()
        except TimeoutError as error:
            return error

    @staticmethod
    def _calls_back(late: Any) -> Any:
        return Promise.from_callback(lambda callback: late().addErrback(callback))

    WAYS: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "resolve": lambda late: Promise.resolve(late()),
        "from_deferred": lambda late: Promise.from_deferred(late()),
        "an executor": lambda late: Promise(lambda resolve, reject: late().addErrback(reject)),
        "a handler": lambda late: Promise.resolve().then(lambda _: late()),
        "a handler that gets a Failure": lambda late: Promise(
            lambda resolve, reject: late().addErrback(resolve)
        ),
        "a collection": lambda late: Promise.all([late()]),
        "a callback": lambda late: TestTwistedsTimeouts._calls_back(late),
        "await": lambda late: Promise.resolve(TestTwistedsTimeouts._awaits(late)),
        "yield": lambda late: TestTwistedsTimeouts._yields(late),
        "another promise behind a Deferred": lambda late: Promise.resolve(
            Promise.resolve(late()).to_deferred()
        ),
    }

    @pytest.mark.parametrize("way", WAYS)
    def test_they_are_ours(self, scheduler: ManualScheduler, way: str) -> None:
        """With the seconds in the message, and Twisted's error behind it."""
        promise = self.WAYS[way](lambda: Deferred().addTimeout(5, scheduler.clock))
        caught = promise.catch(TimeoutError, lambda error: error)
        scheduler.advance(5)
        error = caught.value()
        assert (TimeoutError, "Deferred timed out after 5 seconds") == (type(error), str(error))
        assert (defer.TimeoutError, (5, "Deferred")) == (
            type(error.__cause__),
            error.__cause__.args,
        )
        assert "convertCancelled" in frames(error.__traceback__)

    def test_an_error_of_a_callback_is_operational(self, scheduler: ManualScheduler) -> None:
        """As every error that a callback is given."""
        late = fail(defer.TimeoutError("late"))
        caught = self._calls_back(lambda: late).error(lambda error: error)
        scheduler.flush()
        assert (TimeoutError, "late") == (type(caught.value()), str(caught.value()))

    @pytest.mark.parametrize(
        "kind", [TimeoutError, defer.TimeoutError, builtins.TimeoutError], ids=str
    )
    def test_back_in_a_deferred(self, scheduler: ManualScheduler, kind: type) -> None:
        """The Failure is checked, and trapped, by all names."""
        late: Deferred[Any] = Deferred().addTimeout(5, scheduler.clock)
        failures: list[Failure] = []
        Promise.resolve(late).to_deferred().addErrback(failures.append)
        scheduler.advance(5)
        assert kind is failures[0].check(kind)
        assert "timed out after 5 seconds" in failures[0].getErrorMessage()

    def test_an_error_without_a_traceback(self, scheduler: ManualScheduler) -> None:
        """Nor has ours one."""
        promise = Promise.resolve(fail(defer.TimeoutError()))
        caught = promise.catch(TimeoutError, lambda error: error)
        scheduler.flush()
        assert ("", None) == (str(caught.value()), caught.value().__traceback__)

    def test_classes_derived_from_it_stay(self, scheduler: ManualScheduler) -> None:
        """They may be caught by their own name, and carry more."""

        class Special(defer.TimeoutError):
            pass

        error = Special()
        caught = Promise.resolve(fail(error)).catch(TimeoutError, Special, lambda error: error)
        scheduler.flush()
        assert error is caught.value()

    @pytest.mark.parametrize(
        "error", [defer.TimeoutError("raised"), builtins.TimeoutError("asyncio's")], ids=str
    )
    def test_what_is_raised_stays(self, scheduler: ManualScheduler, error: Exception) -> None:
        """An error that does not come in a Failure is not replaced; nor is asyncio's."""
        caught = Promise.reject(error).catch(lambda error: error)
        scheduler.flush()
        assert error is caught.value()
