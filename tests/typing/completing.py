"""What `cancel_rest` leaves as it is, and what `as_completed` gives."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import assert_type

from twpromise import Promise


def functions(promise: Promise[int], text: Promise[str], many: list[Promise[int]]) -> None:
    """All that take it."""
    assert_type(Promise.race(many, cancel_rest=True), Promise[int])
    assert_type(Promise.any(many, cancel_rest=True), Promise[int])
    assert_type(Promise.some(many, 2, cancel_rest=True), Promise[list[int]])
    assert_type(Promise.all(many, cancel_rest=True), Promise[list[int]])
    assert_type(Promise.all((promise, text), cancel_rest=False), Promise[tuple[int, str]])
    assert_type(Promise.props({"a": promise}, cancel_rest=True), Promise[dict[str, int]])
    assert_type(Promise.join(promise, promise, cancel_rest=True), Promise[list[int]])
    assert_type(Promise.join(promise, abs, cancel_rest=True), Promise[int])
    assert_type(Promise.map(many, str, cancel_rest=True), Promise[list[str]])
    assert_type(Promise.map(many, str, 2, cancel_rest=True), Promise[list[str]])
    assert_type(Promise.filter(many, bool, cancel_rest=True), Promise[list[int]])
    assert_type(Promise.filter(many, bool, 2, cancel_rest=True), Promise[list[int]])


def methods(many: Promise[list[Promise[int]]], keyed: Promise[dict[str, Promise[int]]]) -> None:
    """The same of a promise for the items."""
    assert_type(many.race(cancel_rest=True), Promise[int])
    assert_type(many.any(cancel_rest=True), Promise[int])
    assert_type(many.some(2, cancel_rest=True), Promise[list[int]])
    assert_type(many.all(cancel_rest=True), Promise[list[int]])
    assert_type(keyed.props(cancel_rest=True), Promise[dict[str, int]])
    assert_type(many.map(str, cancel_rest=True), Promise[list[str]])
    assert_type(many.filter(bool, cancel_rest=True), Promise[list[int]])


def mistaken(many: list[Promise[int]], promise: Promise[list[int]]) -> None:
    """It is no other type, goes by name, and is not everywhere."""
    promise.race(True)  # type: ignore[call-arg]
    promise.all(cancel_rest="yes")  # type: ignore[arg-type]
    promise.map(str, cancel_rest=1)  # type: ignore[call-overload]
    promise.all_settled(cancel_rest=True)  # type: ignore[call-arg]
    promise.each(print, cancel_rest=True)  # type: ignore[call-overload]


async def as_completed(
    many: list[Promise[int]], mixed: list[int | Promise[int]], later: Promise[list[int]]
) -> None:
    """An async iterator of promises, whatever the items are."""
    async for promise in Promise.as_completed(many):
        assert_type(promise, Promise[int])
        assert_type(await promise, int)
    assert_type(Promise.as_completed(mixed), AsyncGenerator[Promise[int], None])
    assert_type(later.as_completed(), AsyncGenerator[Promise[int], None])
    assert_type(later.asCompleted(), AsyncGenerator[Promise[int], None])
    assert_type(Promise.each(Promise.as_completed(many), print), Promise[list[int]])
    assert_type(Promise.map(Promise.as_completed(many), str), Promise[list[str]])
    Promise.as_completed(1)  # type: ignore[call-overload]
