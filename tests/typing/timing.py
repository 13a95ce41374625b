"""What type a promise has that takes its time."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from twisted.internet.defer import Deferred

from twpromise import Deadline, Promise


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


def under_a_deadline(promise: Promise[int]) -> None:
    """One for several steps; it may be on the clock of a library copy."""
    deadline = Deadline(5)
    assert_type(deadline, Deadline)
    assert_type(Deadline(0.5, library=Promise.get_new_library_copy()), Deadline)
    assert_type(promise.timeout(deadline), Promise[int])
    assert_type(promise.timeout(deadline, "too late"), Promise[int])
    assert_type(deadline.remaining, float)
    assert_type(deadline.reset(), None)


def mistaken(promise: Promise[int]) -> None:
    """Seconds are numbers."""
    promise.delay("1")  # type: ignore[arg-type]
    promise.delay()  # type: ignore[call-arg]
    promise.delay(1, 2)  # type: ignore[call-arg]
    promise.timeout("1")  # type: ignore[arg-type]
    promise.timeout(1, 2)  # type: ignore[arg-type]
    promise.timeout(Deadline)  # type: ignore[arg-type]
    promise.delay(Deadline(1))  # type: ignore[arg-type]
    Deadline("1")  # type: ignore[arg-type]
    Deadline()  # type: ignore[call-arg]
    Deadline(1, Promise)  # type: ignore[call-arg]
    Promise.delay("1")  # type: ignore[call-overload]
    Promise.delay()  # type: ignore[call-overload]
