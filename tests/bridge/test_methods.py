"""`deferify`: functions that return Deferreds: `twpromise._bridge.methods`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.task import LoopingCall

from tests.support.outcomes import frames, result_of
from tests.support.promises import Boom, Source
from twpromise import Promise, TimeoutError, deferify
from twpromise.testing import ManualScheduler


def test_exact_type(scheduler: ManualScheduler) -> None:
    """The result is exactly of type Deferred, as some of Twisted's code requires."""
    source = Source()
    deferred = maybeDeferred(deferify(lambda: source.promise))
    assert Deferred is type(deferred)
    results = result_of(deferred)
    source.resolve("value")
    scheduler.flush()
    assert ["value"] == results


async def _coroutine() -> str:
    return await Promise.resolve("value").then()


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda: Promise.resolve("value"), id="promise"),
        pytest.param(lambda: Promise.resolve("value").then(), id="pending promise"),
        pytest.param(lambda: succeed("value"), id="Deferred"),
        pytest.param(_coroutine, id="async def"),
        pytest.param(lambda: _coroutine(), id="coroutine"),
        pytest.param(lambda: "value", id="value"),
    ],
)
def test_whatever_comes_back(scheduler: ManualScheduler, function: Callable[[], Any]) -> None:
    """Whatever the function returns, the Deferred fires with its value."""
    results = result_of(deferify(function)())
    scheduler.flush()
    assert ["value"] == results


@pytest.mark.parametrize("way", ["raises", "raises in async def", "rejects", "rejects later"])
def test_failing(scheduler: ManualScheduler, way: str) -> None:
    """What it raises, or is rejected with, becomes a failure of the Deferred."""
    error = Boom()

    def raises() -> None:
        raise error

    async def raises_in_async_def() -> None:
        raises()

    functions: dict[str, Any] = {
        "raises": raises,
        "raises in async def": raises_in_async_def,
        "rejects": lambda: Promise.reject(error),
        "rejects later": lambda: Promise.resolve().then(lambda _: raises()),
    }
    deferred = deferify(functions[way])()
    results = result_of(deferred)
    scheduler.flush()
    assert error is results[0].value
    if way != "rejects":
        assert "raises" == frames(results[0].getTracebackObject())[-1]


class Service:
    """Has methods of every kind."""

    def __init__(self, name: str) -> None:
        self._name = name

    @deferify
    def method(self, greeting: str, *, mark: str = "!") -> Any:
        """Greets."""
        return Promise.resolve(f"{greeting} {self._name}{mark}")

    @deferify
    async def coroutine(self, greeting: str) -> str:
        """Greets, later."""
        await Promise.resolve().then()
        return f"{greeting} {self._name}"

    @classmethod
    @deferify
    def of_class(cls, greeting: str) -> Any:
        """Greets the class."""
        return Promise.resolve(f"{greeting} {cls.__name__}")

    @staticmethod
    @deferify
    def static(greeting: str) -> Any:
        """A docstring to be kept."""
        return Promise.resolve(greeting)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda service: service.method("hello"), "hello you!"),
        (lambda service: service.method("hello", mark="?"), "hello you?"),
        (lambda service: service.coroutine(greeting="bye"), "bye you"),
        (lambda service: service.of_class("hello"), "hello Service"),
        (lambda service: service.static("hello"), "hello"),
        (lambda service: deferify(service.method)("again"), "again you!"),
    ],
)
def test_methods(
    scheduler: ManualScheduler, call: Callable[[Service], Deferred[Any]], expected: str
) -> None:
    """It decorates methods of every kind, and takes bound ones."""
    results = result_of(call(Service("you")))
    scheduler.flush()
    assert [expected] == results


def test_looks_like_the_function() -> None:
    """Name, docstring and signature are those of the function; it is no coroutine function."""
    assert "method" == Service.method.__name__
    assert "Greets." == Service.method.__doc__
    assert ["self", "greeting", "mark"] == list(inspect.signature(Service.method).parameters)
    assert not inspect.iscoroutinefunction(Service.coroutine)


@pytest.mark.parametrize("wrong", [1, "text", Promise.resolve, None])
def test_something_else(wrong: Any) -> None:
    """Something that cannot be called is a TypeError that says so."""
    if callable(wrong):
        assert callable(deferify(wrong))
    else:
        with pytest.raises(TypeError, match="function must be callable, not "):
            deferify(wrong)


def test_wrong_arguments(scheduler: ManualScheduler) -> None:
    """Arguments that do not fit fail the Deferred, as `maybeDeferred` does it."""
    (failure,) = result_of(Service("you").method(1, 2, 3))
    assert TypeError is failure.type


@pytest.mark.parametrize("kind", ["promise", "async def"])
def test_cancelling(scheduler: ManualScheduler, kind: str) -> None:
    """Cancelling the Deferred stops the work, unless it has another consumer."""
    source = Source()

    async def coroutine() -> Any:
        return await source.promise

    deferred = deferify({"promise": lambda: source.promise, "async def": coroutine}[kind])()
    results = result_of(deferred)
    deferred.cancel()
    scheduler.flush()
    assert CancelledError is results[0].type
    assert 1 == source.cancelled


def test_cancelled_before_it_returns(scheduler: ManualScheduler) -> None:
    """A promise that is cancelled already fails the Deferred."""
    source = Source()
    source.promise.cancel()
    results = result_of(deferify(lambda: source.promise)())
    scheduler.flush()
    assert results[0].check(CancelledError)


def test_timeout(scheduler: ManualScheduler) -> None:
    """`deferify(timeout=...)` errbacks when the time is up, and stops the work."""
    source = Source()
    functions = deferify(timeout=5)(lambda: source.promise), deferify(_coroutine, timeout=5)
    timed_out, in_time = [result_of(function()) for function in functions]
    scheduler.advance(4)
    assert [] == timed_out
    assert ["value"] == in_time
    scheduler.advance(1)
    assert timed_out[0].check(TimeoutError)
    scheduler.flush()
    assert 1 == source.cancelled
    for wrong, error in ((-1, ValueError), ("1", TypeError)):
        with pytest.raises(error):
            deferify(timeout=wrong)  # type: ignore[call-overload]


class TestLoopingCall:
    """A `LoopingCall` waits for a deferified function, and only for that."""

    def test_waits(self, scheduler: ManualScheduler) -> None:
        """It does not call again before the promise has settled."""
        sources = []

        @deferify
        def call() -> Any:
            sources.append(Source())
            return sources[-1].promise

        looping = LoopingCall(call)
        looping.clock = scheduler.clock
        results = result_of(looping.start(1))
        for _ in range(3):
            scheduler.advance(5)
            assert 1 == len(sources)
        sources[0].resolve()
        scheduler.flush()
        scheduler.advance(1)
        assert 2 == len(sources)
        looping.stop()
        sources[1].resolve()
        scheduler.flush()
        assert [looping] == results

    def test_failure_ends_it(self, scheduler: ManualScheduler) -> None:
        """A rejection ends the loop, as any failure does."""
        source = Source()
        looping = LoopingCall(deferify(lambda: source.promise))
        looping.clock = scheduler.clock
        results = result_of(looping.start(1))
        source.reject(Boom())
        scheduler.flush()
        assert Boom is results[0].type
        assert not looping.running


def test_deferify_all(scheduler: ManualScheduler) -> None:
    """`deferify_all` adds a Deferred-returning version of each function."""

    class Api:
        def fetch(self) -> Any:
            return Promise.resolve("fetched")

    assert Api is Promise.deferify_all(Api)
    assert ["fetched"] == result_of(Api().fetchDeferred())
