"""What type a promise has, by how it is made."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Generator
from typing import Any, NoReturn, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise

Reject = Callable[[BaseException], None]
Hooks = Callable[[Callable[[], object]], None]


async def coroutine() -> int:
    return 1


class Call:
    """What can only be awaited."""

    def __await__(self) -> Generator[Any, Any, int]:
        raise NotImplementedError


def resolving(
    promise: Promise[int],
    deferred: Deferred[int],
    future: asyncio.Future[int],
    task: asyncio.Task[int],
    from_executor: concurrent.futures.Future[int],
    either: Promise[int] | Deferred[str] | bytes,
    anything: Any,
) -> None:
    """`resolve` takes values as they are, and follows promises, Deferreds and coroutines."""
    assert_type(Promise.resolve(), Promise[None])
    assert_type(Promise.resolve(None), Promise[None])
    assert_type(Promise.resolve("value"), Promise[str])
    assert_type(Promise.resolve([1]), Promise[list[int]])
    assert_type(Promise.resolve(promise), Promise[int])
    assert_type(Promise.resolve(deferred), Promise[int])
    assert_type(Promise.resolve(coroutine()), Promise[int])
    assert_type(Promise.resolve(Call()), Promise[int])
    assert_type(Promise.resolve().then(lambda _: Call()), Promise[int])
    assert_type(Promise.resolve(future), Promise[int])
    assert_type(Promise.resolve(task), Promise[int])
    assert_type(Promise.resolve(from_executor), Promise[int])
    assert_type(Promise.resolve(anything), Promise[Any])
    settled: Promise[int | str | bytes] = Promise.resolve(either)
    del settled


def rejecting() -> Promise[int]:
    """A promise that is rejected is a promise of anything."""
    assert_type(Promise.reject(ValueError("no")), Promise[NoReturn])
    assert_type(Promise.reject("not an exception"), Promise[NoReturn])
    assert_type(Promise.reject(), Promise[NoReturn])
    return Promise.reject(ValueError("no"))


def crossing_over(deferred: Deferred[int], promise: Promise[int]) -> None:
    """A Deferred and a promise for the same have the same type parameter."""
    assert_type(Promise.from_deferred(deferred), Promise[int])
    assert_type(promise.to_deferred(), Deferred[int])
    assert_type(Promise.from_deferred(promise.to_deferred()).then(str), Promise[str])
    Promise.from_deferred(promise)  # type: ignore[arg-type]


async def released(number: int) -> None:
    """What is run with a value that reaches no consumer."""


def giving_back(deferred: Deferred[int], names: list[str]) -> None:
    """The function takes the value, and may be async; what it returns is of no interest."""
    assert_type(Promise.from_deferred(deferred, unclaimed=print), Promise[int])
    assert_type(Promise.from_deferred(deferred, unclaimed=released), Promise[int])
    assert_type(Promise.from_deferred(deferred, unclaimed=lambda n: n + 1), Promise[int])
    assert_type(Promise.from_deferred(deferred, unclaimed=None), Promise[int])
    Promise.from_deferred(deferred, unclaimed=names.append)  # type: ignore[arg-type]
    Promise.from_deferred(deferred, unclaimed=1)  # type: ignore[arg-type]
    Promise.from_deferred(deferred, print)  # type: ignore[call-arg]


def executing() -> None:
    """The type is that of what the executor resolves with, if it says so."""

    def two(resolve: Callable[[int], None], reject: Reject) -> None:
        resolve(1)

    def three(resolve: Callable[[int], None], reject: Reject, on_cancel: Hooks) -> None:
        on_cancel(lambda: reject(ValueError()))

    def careful(resolve: Callable[[int], None], reject: Reject, on_cancel: Hooks | None) -> None:
        resolve(1)

    def either(resolve: Callable[[int | Promise[int]], None], reject: Reject) -> None:
        resolve(Promise.resolve(1))

    def untold(resolve: Callable[..., None], reject: Callable[..., None]) -> None:
        resolve(1)

    def one(resolve: Callable[[int], None]) -> None:
        resolve(1)

    async def later(resolve: Callable[[int], None], reject: Reject) -> None:
        resolve(1)

    assert_type(Promise(one), Promise[int])
    assert_type(Promise(later), Promise[int])
    assert_type(Promise(two), Promise[int])
    assert_type(Promise(three), Promise[int])
    assert_type(Promise(careful), Promise[int])
    assert_type(Promise(either), Promise[int])
    assert_type(Promise[int](untold), Promise[int])


def executing_as_annotated() -> None:
    """The annotation of the result says what an executor may resolve with."""
    value: Promise[int] = Promise(lambda resolve, reject: resolve(1))
    followed: Promise[int] = Promise(lambda resolve, reject: resolve(value))
    nothing: Promise[None] = Promise(lambda resolve, reject: resolve())
    rejected: Promise[int] = Promise(lambda resolve, reject: reject(ValueError()))
    hooked: Promise[int] = Promise(lambda resolve, reject, on_cancel: on_cancel(print))
    general: Promise[list[float]] = Promise(lambda resolve, reject: resolve([1]))
    alone: Promise[int] = Promise(lambda resolve: resolve(1))
    endless: Promise[int] = Promise(lambda: None)
    del followed, nothing, rejected, hooked, general, alone, endless


def executing_badly() -> None:
    """Anything but an executor, or one that resolves with another type, is an error."""

    def four(resolve: Callable[[int], None], reject: Reject, on_cancel: Any, more: Any) -> None:
        resolve(1)

    def two(resolve: Callable[[int], None], reject: Reject) -> None:
        resolve(1)

    Promise()  # type: ignore[call-overload]
    Promise(5)  # type: ignore[call-overload]
    Promise(four)  # type: ignore[arg-type]
    text: Promise[str] = Promise(two)  # type: ignore[arg-type]
    number: Promise[int] = Promise(lambda resolve, reject: resolve("x"))  # type: ignore[arg-type]
    del text, number
