"""Fixtures of the tests of the bridge."""

from __future__ import annotations

import asyncio
import gc
import threading
import unittest
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred, setDebugging
from twisted.logger import LogEvent, LogLevel, globalLogPublisher


@pytest.fixture
def other_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def deferred_errors() -> list[LogEvent]:
    """Events that Deferreds log at critical level; a test that takes it checks them itself."""
    return []


@pytest.fixture(autouse=True)
def _nothing_logged_twice(request: pytest.FixtureRequest) -> Iterator[None]:
    """No Deferred may log an unhandled error, at the end of a test least of all.

    Trial checks its own tests.
    """
    if request.cls and issubclass(request.cls, unittest.TestCase):
        yield
        return
    taken = "deferred_errors" in request.fixturenames
    logged: list[LogEvent] = request.getfixturevalue("deferred_errors") if taken else []

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") != "twpromise" and event["log_level"] is LogLevel.critical:
            logged.append(event)

    globalLogPublisher.addObserver(observe)
    yield
    # Objects that a test has left behind are in the young generations.
    gc.collect(1)
    globalLogPublisher.removeObserver(observe)
    if not taken:
        assert [] == [event.get("log_failure", event) for event in logged]


@pytest.fixture(params=[False, True], ids=["plain", "debugging"])
def debugging(request: pytest.FixtureRequest) -> Iterator[bool]:
    """With `setDebugging(True)`, and without."""
    before = Deferred.debug
    setDebugging(request.param)
    yield request.param
    setDebugging(before)
