"""The bridge in trial tests, under the real reactor."""

from __future__ import annotations

import gc
import threading
import unittest
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, setDebugging
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.promises import Boom
from twpromise import CancellationError, Promise, deferify


def turn() -> Deferred[None]:
    """A turn of the reactor."""
    from twisted.internet import reactor

    return deferLater(reactor, 0)  # type: ignore[arg-type]


class Case(TestCase):
    """A trial test."""

    def compare(self, expected: object, actual: object) -> None:
        """A callback that compares."""
        assert expected == actual


class DeferredsToPromises(Case):
    """Promises adopt Deferreds."""

    def test_thread(self) -> Deferred[Any]:
        """The Deferred of `deferToThread` becomes a promise; handlers run on the reactor."""

        def handler(ident: int) -> None:
            assert ident != threading.get_ident()
            assert home == threading.get_ident()

        home = threading.get_ident()
        promise = Promise.from_deferred(deferToThread(threading.get_ident))
        return promise.then(handler).to_deferred()

    def test_timer(self) -> Deferred[Any]:
        """A Deferred that fires later settles its promise."""
        from twisted.internet import reactor

        later = deferLater(reactor, 0.001, lambda: "value")  # type: ignore[arg-type]
        promise = Promise.from_deferred(later)
        assert promise.is_pending()
        return promise.then(partial(self.compare, "value")).to_deferred()

    def test_cancelled_timer(self) -> Deferred[Any]:
        """Cancelling the promise leaves no timer behind (trial would find it)."""
        from twisted.internet import reactor

        promise = Promise.from_deferred(deferLater(reactor, 3600))  # type: ignore[arg-type]
        promise.cancel()
        return turn()

    async def test_cancelled(self) -> None:
        """A canceller that raises, or answers late, does no harm; what it raises is logged."""
        from twisted.internet import reactor

        def raises(deferred: Deferred[Any]) -> None:
            raise Boom

        answered: Deferred[None] = Deferred()

        def answers_late(deferred: Deferred[Any]) -> None:
            def answer() -> None:
                deferred.callback("late")
                answered.callback(None)

            reactor.callLater(0.001, answer)  # type: ignore[attr-defined]

        for canceller in raises, answers_late, None:
            deferred: Deferred[Any] = Deferred(canceller)
            promise = Promise.from_deferred(deferred)
            promise.cancel()
            await turn()
            assert promise.is_cancelled()
            if canceller is None:
                deferred.callback("late")
        await answered
        assert 1 == len(self.flushLoggedErrors(Boom))

    async def test_failure_is_logged_once(self) -> None:
        """An unhandled failure is logged once, and not again when it is collected."""
        deferred: Deferred[Any] = Deferred()
        promise = Promise.from_deferred(deferred)
        deferred.errback(Boom())
        await turn()
        await turn()
        del deferred, promise
        gc.collect()
        assert 1 == len(self.flushLoggedErrors(Boom))

    async def test_handled(self) -> None:
        """One that is handled is not logged at all, at garbage collection neither."""
        deferred: Deferred[Any] = Deferred()
        promise = Promise.from_deferred(deferred).catch(lambda reason: "caught")
        deferred.errback(Boom())
        assert "caught" == await promise
        del deferred, promise
        gc.collect()
        assert [] == self.flushLoggedErrors()


class PromisesToDeferreds(Case):
    """Deferreds for promises."""

    def test_returned(self) -> Deferred[Any]:
        """Trial waits for a Deferred that is made of a promise."""
        return Promise.resolve(1).then(partial(self.compare, 1)).to_deferred()

    def test_failure(self) -> Any:
        """Trial's own assertions know what comes out of it."""
        promise = Promise.resolve().then(lambda _: Promise.reject(Boom()))
        return self.assertFailure(promise.to_deferred(), Boom)

    def test_cancel(self) -> Any:
        """A Deferred that is cancelled fails with CancelledError."""
        deferred = Promise(lambda resolve, reject: None).to_deferred()
        deferred.cancel()
        return self.assertFailure(deferred, CancelledError)

    def test_cancelled(self) -> Any:
        """A promise that is cancelled by others fails it with CancellationError."""
        promise: Promise[Any] = Promise(lambda resolve, reject: None)
        deferred = promise.to_deferred()
        promise.cancel()
        return self.assertFailure(deferred, CancellationError)

    async def test_unhandled(self) -> None:
        """A Deferred with an unhandled failure logs it, alone, when it is collected."""
        promise = Promise.resolve().then(lambda _: Promise.reject(Boom()))
        deferred = promise.to_deferred()
        await turn()
        assert deferred.called
        assert [] == self.flushLoggedErrors()
        del deferred
        gc.collect()
        assert 1 == len(self.flushLoggedErrors(Boom))

    def test_from_a_thread(self) -> Deferred[Any]:
        """`resolve`, called in another thread, fires the Deferred on the reactor's."""
        home = threading.get_ident()

        def executor(resolve: Any, reject: Any) -> None:
            threading.Thread(target=resolve, args=("value",)).start()

        def callback(value: Any) -> None:
            assert "value" == value
            assert home == threading.get_ident()

        return Promise(executor).to_deferred().addCallback(callback)

    def test_gathered(self) -> Deferred[Any]:
        """They mix with other Deferreds."""
        promises = [Promise.resolve(number).then() for number in range(3)]
        gathered = defer.gatherResults([promise.to_deferred() for promise in promises])
        return gathered.addCallback(partial(self.compare, [0, 1, 2]))


class Deferified(TestCase):
    """Trial tests that return promises, by way of `deferify`."""

    def has_run_to_its_end(self) -> None:
        """Called after a test that trial has waited for."""
        assert "the end" == self.reached

    @deferify
    def test_promise(self) -> Any:
        """Trial waits for the promise: what its handlers assert is asserted."""
        self.addCleanup(self.has_run_to_its_end)

        def handler(_: Any) -> None:
            self.reached = "the end"

        return Promise.resolve().then().then().then(handler)

    @deferify
    async def test_async_def(self) -> None:
        """And for a coroutine that a promise runs."""
        self.addCleanup(self.has_run_to_its_end)
        await Promise.resolve().then()
        await turn()
        self.reached = "the end"

    def test_failing(self) -> None:
        """A test that returns a promise that is rejected fails."""

        class Failing(TestCase):
            @deferify
            def test(self) -> Any:
                """Fails in the second turn."""
                return Promise.resolve().then().then(lambda _: self.fail("as it should"))

        results: list[Any] = []

        class Result(unittest.TestResult):
            def addFailure(self, test: Any, error: Any) -> None:
                results.append(error)

        Failing("test").run(Result())
        assert 1 == len(results)

    @inlineCallbacks
    def test_looping_call(self) -> Any:
        """A `LoopingCall` waits for each round."""
        rounds: list[int] = []
        running = 0

        @deferify
        async def call() -> None:
            nonlocal running
            running += 1
            assert 1 == running
            await turn()
            await Promise.resolve().then()
            rounds.append(len(rounds))
            running -= 1
            if 3 == len(rounds):
                looping.stop()

        looping = LoopingCall(call)
        yield looping.start(0)
        assert [0, 1, 2] == rounds


class Awaiting(Case):
    """``await`` and ``yield`` under the real reactor."""

    async def test_coroutine(self) -> None:
        """A trial test that is a coroutine awaits promises beside Deferreds."""
        assert 1 == await Promise.resolve(1)
        assert 2 == await Promise.resolve(2).then()
        await turn()
        assert 3 == await Promise.from_deferred(turn()).then(lambda _: 3)
        try:
            await Promise.resolve().then(lambda _: Promise.reject(Boom()))
        except Boom:
            return
        raise AssertionError

    @inlineCallbacks
    def test_inline_callbacks(self) -> Any:
        """An `inlineCallbacks` function yields a coroutine that awaits promises."""

        async def coroutine() -> int:
            return await Promise.from_deferred(turn()).then(lambda _: 1)

        assert 1 == (yield coroutine())
        assert 2 == (yield Promise.resolve(2).to_deferred())

    @inlineCallbacks
    def test_cancelling_inline_callbacks(self) -> Any:
        """Cancelling an `inlineCallbacks` function reaches the promise that is awaited."""
        promise: Promise[Any] = Promise(lambda resolve, reject: None)

        async def coroutine() -> Any:
            return await promise

        @inlineCallbacks
        def inline() -> Any:
            return (yield coroutine())

        deferred = inline()
        deferred.cancel()
        yield self.assertFailure(deferred, CancelledError)
        assert promise.is_cancelled()


def _debugging(test_case: type[TestCase]) -> type[TestCase]:
    """The same tests with `setDebugging(True)`."""

    def setUp(self: TestCase) -> None:
        self.addCleanup(setDebugging, Deferred.debug)
        setDebugging(True)

    name = f"{test_case.__name__}Debugging"
    return type(name, (test_case,), {"setUp": setUp, "__module__": __name__})


DeferredsToPromisesDebugging = _debugging(DeferredsToPromises)
PromisesToDeferredsDebugging = _debugging(PromisesToDeferreds)
AwaitingDebugging = _debugging(Awaiting)
