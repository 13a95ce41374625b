"""What type a promise has that takes its time."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise


async def coroutine() -> int:
    return 1


def delaying(promise: Promise[int], deferred: Deferred[int]) -> None:
    """The function takes a value, the method has one."""
    assert_type(promise.delay(1), Promise[int])
    assert_type(promise.delay(0.5).delay(seconds=1), Promise[int])
    assert_type(Promise.delay(1), Promise[None])
    assert_type(Promise.delay(1, "text"), Promise[str])
    assert_type(Promise.delay(1, promise), Promise[int])
    assert_type(Promise.delay(1, deferred), Promise[int])
    assert_type(Promise.delay(1, value=coroutine()), Promise[int])


def timing_out(promise: Promise[int]) -> None:
    """A timeout changes no type."""
    assert_type(promise.timeout(1), Promise[int])
    assert_type(promise.timeout(1, "too late"), Promise[int])
    assert_type(promise.timeout(1, KeyError()), Promise[int])


def mistaken(promise: Promise[int]) -> None:
    """Seconds are numbers."""
    promise.delay("1")  # type: ignore[arg-type]
    promise.delay()  # type: ignore[call-arg]
    promise.delay(1, 2)  # type: ignore[call-arg]
    promise.timeout("1")  # type: ignore[arg-type]
    promise.timeout(1, 2)  # type: ignore[arg-type]
    Promise.delay("1")  # type: ignore[call-overload]
    Promise.delay()  # type: ignore[call-overload]
