"""Watching and shielding change no type."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from contextvars import Context
from typing import assert_type

from twpromise import Promise


def ended(promise: Promise[int]) -> None:
    """A callback of promises for numbers."""


def of_text(promise: Promise[str]) -> None:
    """A callback of other promises."""


async def later(promise: Promise[object]) -> str:
    """A callback of any promise."""
    return ""


def watching(promise: Promise[int], tracked: set[Promise[int]]) -> None:
    """Callbacks take the promise."""
    promise.add_done_callback(ended)
    promise.add_done_callback(later)
    promise.add_done_callback(tracked.discard, context=Context())
    promise.addDoneCallback(lambda promise: print(promise.value() + 1))
    assert_type(promise.remove_done_callback(ended), int)
    assert_type(promise.removeDoneCallback(tracked.discard), int)


def shielding(promise: Promise[int]) -> None:
    """A shield is a promise for the same."""
    assert_type(promise.shield(), Promise[int])


def mistaken(promise: Promise[int]) -> None:
    """A callback that takes something else."""
    promise.add_done_callback(of_text)  # type: ignore[arg-type]
    promise.add_done_callback(None)  # type: ignore[arg-type]
    promise.add_done_callback()  # type: ignore[call-arg]
    promise.add_done_callback(ended, Context())  # type: ignore[call-arg]
    promise.remove_done_callback()  # type: ignore[call-arg]
    promise.shield(1)  # type: ignore[call-arg]
