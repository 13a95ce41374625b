"""Thenables that misbehave, as far as the bridge is concerned: `twpromise._bridge.thenables`.

What Promises/A+ says of thenables is in tests/conformance/.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from tests.support.outcomes import frames
from tests.support.promises import Boom
from tests.support.threads import in_thread
from twpromise import Promise
from twpromise.testing import ManualScheduler


class Thenable:
    """Has a `then`; what it was called with is kept."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any]] = []

    def then(self, resolve: Any, reject: Any) -> None:
        """Keep the two functions."""
        self.calls.append((resolve, reject))


@pytest.mark.parametrize(("index", "state"), [(0, "is_fulfilled"), (1, "is_rejected")])
@pytest.mark.parametrize("where", ["at home", "in a thread"])
@pytest.mark.usefixtures("reports")
def test_calls_back(scheduler: ManualScheduler, index: int, state: str, where: str) -> None:
    """It may call back at any time, from any thread; the promise settles at home."""
    thenable = Thenable()
    promise = Promise.resolve(thenable)
    assert [] == thenable.calls
    scheduler.flush()
    ((*functions,),) = thenable.calls
    if where == "at home":
        functions[index]("outcome")
    else:
        in_thread(functions[index], "outcome")
        assert promise.is_pending()
        scheduler.flush()
    assert getattr(promise, state)()


@pytest.mark.usefixtures("reports")
def test_without_arguments(scheduler: ManualScheduler) -> None:
    """Calling back with nothing means None."""

    class Resolves:
        def then(self, resolve: Any, reject: Any) -> None:
            resolve()

    class Rejects:
        def then(self, resolve: Any, reject: Any) -> None:
            reject()

    resolved, rejected = Promise.resolve(Resolves()), Promise.resolve(Rejects())
    scheduler.flush()
    assert None is resolved.value()
    assert None is rejected.reason()


def test_first_call_counts(scheduler: ManualScheduler) -> None:
    """Later calls do nothing, and an error raised after the first is ignored."""

    class Eager:
        def then(self, resolve: Any, reject: Any) -> None:
            resolve(1)
            reject(Boom())
            resolve(2)
            raise Boom

    promise = Promise.resolve(Eager())
    scheduler.flush()
    assert 1 == promise.value()


@pytest.mark.usefixtures("reports")
def test_raises(scheduler: ManualScheduler) -> None:
    """What `then` raises rejects, with a traceback that starts there."""

    class Raises:
        def then(self, resolve: Any, reject: Any) -> None:
            raise Boom

    promise = Promise.resolve(Raises())
    scheduler.flush()
    assert ["then"] == frames(promise.reason().__traceback__)


def test_raises_after_it_was_cancelled(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """What it raises when its promise is cancelled from within is logged."""

    class Cancels:
        def then(self, resolve: Any, reject: Any) -> None:
            promise.cancel()
            raise Boom

    promise = Promise.resolve(Cancels())
    scheduler.flush()
    assert promise.is_cancelled()
    assert [Boom] == [event["log_failure"].type for event in reports]


@pytest.mark.parametrize("when", ["before", "after"])
def test_cancelled(scheduler: ManualScheduler, when: str) -> None:
    """A promise that is cancelled does not call `then` any more; what it calls is ignored."""
    thenable = Thenable()
    promise = Promise.resolve(thenable)
    if when == "after":
        scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (when == "after") == len(thenable.calls)
    for resolve, reject in thenable.calls:
        reject(Boom())
        resolve(1)
    scheduler.flush()
    assert promise.is_cancelled()


@pytest.mark.parametrize("attribute", [None, 1, "text"])
def test_then_that_cannot_be_called(scheduler: ManualScheduler, attribute: Any) -> None:
    """An object whose `then` is no function is a value."""

    class Odd:
        then = attribute

    odd = Odd()
    promise = Promise.resolve(odd)
    scheduler.flush()
    assert odd is promise.value()


@pytest.mark.parametrize("when", ["before it is called", "after it was called"])
@pytest.mark.parametrize("make", [Deferred, Future])
def test_brought_by_something_else_and_cancelled(
    scheduler: ManualScheduler, make: Any, when: str
) -> None:
    """What a Deferred or a future has brought is cancelled like any other thenable."""
    bringer = make()
    promise = Promise.resolve(bringer)
    getattr(bringer, "callback" if make is Deferred else "set_result")(Thenable())
    if when == "after it was called":
        scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()


def test_cancelled_while_its_then_is_looked_up(scheduler: ManualScheduler) -> None:
    """Looking up `then` may do anything, even cancel the promise."""

    class Cancels:
        @property
        def then(self) -> None:
            promise.cancel()

    promise = Promise.resolve(Cancels())
    scheduler.flush()
    assert promise.is_cancelled()


def test_a_thenable_within_10_000_others(scheduler: ManualScheduler) -> None:
    """Is followed without recursion."""

    class Nested:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def then(self, resolve: Any, reject: Any) -> None:
            resolve(Nested(self.depth - 1) if self.depth else "value")

    promise = Promise.resolve(Nested(10_000))
    scheduler.flush()
    assert "value" == promise.value()


@pytest.mark.parametrize("way", ["resolves", "raises", "raises too late", "raises when cancelled"])
def test_an_async_then(scheduler: ManualScheduler, reports: list[LogEvent], way: str) -> None:
    """It is run; what it raises rejects, or is logged if that is too late."""

    class Async:
        async def then(self, resolve: Any, reject: Any) -> None:
            if way == "raises too late":
                resolve("value")
            await Promise.delay(1)
            if way == "resolves":
                resolve("value")
            else:
                raise Boom

    promise = Promise.resolve(Async())
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    if way == "raises when cancelled":
        promise.cancel()
    scheduler.advance(1)
    if way == "raises":
        assert Boom is type(promise.reason())
    elif "cancelled" not in way:
        assert "value" == promise.value()
    late = way in ("raises too late", "raises when cancelled")
    assert [Boom] * late == [event["log_failure"].type for event in reports]
