"""Twisted waits for promises on the real reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet import defer
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import TestCase

from twpromise import Promise


class Waiting(TestCase):
    """Trial itself waits for what these return."""

    def setUp(self) -> Any:
        """A promise is waited for before the test."""
        self.ready = False
        return Promise.delay(0.01).then(lambda _: setattr(self, "ready", True))

    def test_a_promise_is_waited_for(self) -> Any:
        """The test has not ended before its promise has settled."""
        assert self.ready

        def last(_: object) -> None:
            self.ended = True

        self.addCleanup(lambda: self.assertTrue(self.ended))
        return Promise.delay(0.01).then(last)

    def test_results_and_failures(self) -> Any:
        """Trial's own methods take a promise."""
        assert 1 == self.successResultOf(Promise.resolve(1))  # type: ignore[arg-type]
        self.failureResultOf(Promise.reject(KeyError()), KeyError)  # type: ignore[arg-type]
        return self.assertFailure(Promise.delay(0.01).throw(KeyError()), KeyError)  # type: ignore[arg-type]

    def test_blocking_call_from_thread(self) -> Any:
        """The thread gets the value."""
        from twisted.internet import reactor

        def call() -> Any:
            return blockingCallFromThread(reactor, Promise.delay, 0.01, "value")  # type: ignore[arg-type]

        return deferToThread(call).addCallback(self.assertEqual, "value")

    def test_timeouts(self) -> Any:
        """`addTimeout` makes one consumer leave."""
        from twisted.internet import reactor

        promise: Any = Promise.delay(0.05, "value")
        timed_out = promise.addTimeout(0.01, reactor)
        self.assertFailure(timed_out, defer.TimeoutError)
        return promise.then(lambda value: self.assertEqual("value", value))
