"""The types of `Limiter` and `batch`."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import assert_type

from twisted.internet.defer import Deferred

from twpromise import Batch, Disposer, Limiter, Promise, batch

limiter = Limiter(10, waiting=100)


def length(text: str, *, times: int = 1) -> int:
    return len(text) * times


def later(text: str) -> Promise[int]:
    return Promise.resolve(len(text))


async def coroutine(text: str) -> bytes:
    return text.encode()


def deferred(text: str) -> Deferred[int]:
    return Deferred()


def running() -> None:
    """A promise for what the function gives, which gets its own arguments."""
    assert_type(limiter.run(length, "text", times=2), Promise[int])
    assert_type(limiter.run(later, "text"), Promise[int])
    assert_type(limiter.run(coroutine, "text"), Promise[bytes])
    assert_type(limiter.run(deferred, "text"), Promise[int])
    assert_type(limiter.run(lambda: later("text")), Promise[int])
    assert_type(limiter.run(lambda: Promise.in_thread(names, [1])).timeout(5), Promise[list[str]])


class Client:
    @limiter
    def length(self, text: str) -> int:
        return len(text)

    @limiter
    async def fetch(self, text: str) -> bytes:
        return text.encode()

    @limiter
    def later(self, text: str) -> Promise[int]:
        return Promise.resolve(len(text))


@limiter
async def fetch(text: str, times: int = 1) -> bytes:
    return text.encode() * times


def decorating(client: Client) -> None:
    """Functions and methods give promises, and keep their parameters."""
    assert_type(fetch("text", times=3), Promise[bytes])
    assert_type(client.length("text"), Promise[int])
    assert_type(client.fetch("text"), Promise[bytes])
    assert_type(client.later("text"), Promise[int])


async def entering() -> None:
    """A slot is no value."""
    async with limiter:
        assert_type(limiter.active, int)
        assert_type(limiter.waiting, int)
    assert_type(limiter.acquire(), Disposer[None])
    assert_type(Promise.using(limiter.acquire(), lambda _: 1), Promise[int])


def names(ids: list[int]) -> list[str]:
    return [str(id) for id in ids]


async def names_later(ids: list[int]) -> list[str]:
    return names(ids)


def names_promised(ids: list[int]) -> Promise[list[str]]:
    return Promise.resolve(names(ids))


def names_in_turn(ids: list[int]) -> Iterator[str]:
    return map(str, ids)


def batching() -> None:
    """A function of one item, of the batch function's items and results."""
    assert_type(batch(names), Batch[int, str])
    assert_type(batch(names_later, size=100), Batch[int, str])
    assert_type(batch(names_promised, wait=0, in_flight=2), Batch[int, str])
    assert_type(batch(names_in_turn), Batch[int, str])
    assert_type(batch(limiter(names_later)), Batch[int, str])
    assert_type(batch(names)(1), Promise[str])
    function: Callable[[int], Promise[str]] = batch(names)
    assert_type(Promise.map([1, 2], function), Promise[list[str]])


def mistaken() -> None:
    """Wrong sizes, functions and arguments are errors."""
    Limiter("10")  # type: ignore[arg-type]
    Limiter(10, 100)  # type: ignore[call-arg]
    limiter.run(5)  # type: ignore[call-overload]
    limiter.run(length, 5)  # type: ignore[call-overload]
    limiter(5)  # type: ignore[call-overload]
    fetch(5)  # type: ignore[arg-type]
    batch(length)  # type: ignore[arg-type]
    batch(names, size="many")  # type: ignore[call-overload]
    batch(names)("text")  # type: ignore[arg-type]
