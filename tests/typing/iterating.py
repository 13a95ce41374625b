"""What type a promise for what a function makes of items has."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise


def one(item: int) -> str:
    return str(item)


def two(item: int, index: int) -> str:
    return str(item + index)


def three(item: int, index: int, length: int) -> str:
    return str(item + index + length)


def careful(item: int, index: int, length: int | None) -> str:
    return str(length)


async def one_later(item: int) -> str:
    return str(item)


async def three_later(item: int, index: int, length: int) -> str:
    return str(item)


def deferred_of(item: int, index: int) -> Deferred[str]:
    return Promise.resolve(str(item)).to_deferred()


def sometimes(item: int) -> str | Promise[str]:
    return str(item)


def sometimes_none(item: int) -> Promise[str] | None:
    return sometimes_none(item - 1) if item else None


async def later() -> list[int]:
    return []


def generate() -> Iterator[int]:
    yield 1


async def generate_later() -> AsyncIterator[int]:
    yield 1


def mapping(
    values: list[int],
    promises: list[Promise[int]],
    mixed: list[int | Promise[int]],
    coming: Promise[list[int]],
    deferred: Deferred[list[int]],
    future: asyncio.Future[list[int]],
) -> None:
    """The static function takes all kinds of collections, and promises for one."""
    assert_type(Promise.map(values, one), Promise[list[str]])
    assert_type(Promise.map(promises, one), Promise[list[str]])
    assert_type(Promise.map(mixed, one), Promise[list[str]])
    assert_type(Promise.map(coming, one), Promise[list[str]])
    assert_type(Promise.map(deferred, one), Promise[list[str]])
    assert_type(Promise.map(future, one), Promise[list[str]])
    assert_type(Promise.map(later(), one), Promise[list[str]])
    assert_type(Promise.map(range(3), one), Promise[list[str]])
    assert_type(Promise.map((1, 2), one), Promise[list[str]])
    assert_type(Promise.map(generate(), one), Promise[list[str]])
    assert_type(Promise.map(generate_later(), one), Promise[list[str]])
    assert_type(Promise.map(values, one, 2), Promise[list[str]])
    assert_type(Promise.map(values, one, concurrency=2), Promise[list[str]])


def mapping_with(
    values: list[int], promises: list[Promise[int]], coming: Promise[list[int]]
) -> None:
    """The function declares what it wants, and may take its time."""
    assert_type(Promise.map(values, two), Promise[list[str]])
    assert_type(Promise.map(values, three), Promise[list[str]])
    assert_type(Promise.map(values, careful), Promise[list[str]])
    assert_type(Promise.map(values, one_later), Promise[list[str]])
    assert_type(Promise.map(promises, three_later), Promise[list[str]])
    assert_type(Promise.map(promises, deferred_of), Promise[list[str]])
    assert_type(Promise.map(promises, sometimes), Promise[list[str]])
    assert_type(Promise.map(values, sometimes_none), Promise[list[str | None]])
    assert_type(coming.map(sometimes_none), Promise[list[str | None]])
    assert_type(Promise.map(promises, str), Promise[list[str]])
    assert_type(Promise.map(promises, print), Promise[list[None]])
    assert_type(coming.map(one), Promise[list[str]])
    assert_type(coming.map(two, 2), Promise[list[str]])
    assert_type(coming.map(three, concurrency=2), Promise[list[str]])
    assert_type(coming.map(one_later), Promise[list[str]])
    assert_type(coming.map(one_later).map(len), Promise[list[int]])


def mapping_with_lambdas(
    values: list[int],
    promises: list[Promise[int]],
    coming: Promise[list[Promise[int]]],
    deferred: Deferred[list[int]],
) -> None:
    """A lambda knows the types of its parameters."""
    assert_type(Promise.map(values, lambda item: item / 2), Promise[list[float]])
    assert_type(Promise.map(promises, lambda item: item / 2), Promise[list[float]])
    assert_type(Promise.map(deferred, lambda item: item / 2), Promise[list[float]])
    assert_type(Promise.filter(deferred, lambda item: item > 0), Promise[list[int]])
    assert_type(Promise.each(deferred, lambda item: item.bit_length()), Promise[list[int]])
    assert_type(Promise.reduce(deferred, lambda total, item: total + item, 0), Promise[int])
    assert_type(Promise.map(values, lambda item, index: item / index), Promise[list[float]])
    assert_type(Promise.map(promises, lambda item: one_later(item)), Promise[list[str]])
    assert_type(coming.map(lambda item: item / 2), Promise[list[float]])
    assert_type(coming.map(lambda item, index: (item, index)), Promise[list[tuple[int, int]]])
    assert_type(coming.map(lambda item, index, length: Promise.resolve(item)), Promise[list[int]])
    assert_type(coming.map(lambda item: Promise.resolve(item).then(str)), Promise[list[str]])


def one_at_a_time(
    values: list[int], promises: list[Promise[int]], coming: Promise[list[int]]
) -> None:
    """`map_series` is like `map`, `each` gives the items back."""
    assert_type(Promise.map_series(values, one), Promise[list[str]])
    assert_type(Promise.map_series(promises, three_later), Promise[list[str]])
    assert_type(Promise.map_series(promises, lambda item, index: item), Promise[list[int]])
    assert_type(coming.map_series(one_later), Promise[list[str]])
    assert_type(coming.map_series(lambda item: [item]), Promise[list[list[int]]])
    assert_type(Promise.each(values, one), Promise[list[int]])
    assert_type(Promise.each(promises, three_later), Promise[list[int]])
    assert_type(Promise.each(promises, lambda item: item.bit_length()), Promise[list[int]])
    assert_type(coming.each(print), Promise[list[int]])
    assert_type(coming.each(lambda item, index: one_later(item)), Promise[list[int]])


def filtering(values: list[int], promises: list[Promise[int]], coming: Promise[list[int]]) -> None:
    """`filter` gives items, whatever the predicate gives."""
    assert_type(Promise.filter(values, one), Promise[list[int]])
    assert_type(Promise.filter(promises, one_later), Promise[list[int]])
    assert_type(Promise.filter(promises, lambda item: item > 0), Promise[list[int]])
    assert_type(Promise.filter(promises, two, concurrency=2), Promise[list[int]])
    assert_type(coming.filter(three), Promise[list[int]])
    assert_type(coming.filter(lambda item, index: item > index, 2), Promise[list[int]])


def reducing(
    values: list[int],
    promises: list[Promise[int]],
    coming: Promise[list[Promise[int]]],
    text: Promise[str],
) -> None:
    """`reduce` gives what its initial value is, or else what the items are."""

    def add(total: int, item: int) -> int:
        return total + item

    async def append(total: str, item: int) -> str:
        return total + str(item)

    def append_some(total: str, item: int, index: int, length: int) -> str:
        return total + str(item) if index < length else total

    assert_type(Promise.reduce(values, add), Promise[int | None])
    assert_type(Promise.reduce(promises, add), Promise[int | None])
    assert_type(Promise.reduce(values, max), Promise[int | None])
    assert_type(Promise.reduce(values, lambda total, item: total + item), Promise[int | None])
    assert_type(coming.reduce(add), Promise[int | None])
    assert_type(coming.reduce(lambda total, item: total + item), Promise[int | None])
    assert_type(coming.reduce(add, 0), Promise[int])
    assert_type(Promise.reduce(values, append, ""), Promise[str])
    assert_type(Promise.reduce(promises, append, initial=""), Promise[str])
    assert_type(Promise.reduce(promises, append, text), Promise[str])
    assert_type(Promise.reduce(promises, append_some, ""), Promise[str])
    assert_type(Promise.reduce(values, lambda total, item: total + str(item), ""), Promise[str])
    assert_type(coming.reduce(append, ""), Promise[str])
    assert_type(coming.reduce(append_some, ""), Promise[str])
    assert_type(coming.reduce(lambda total, item, index: total + str(index), ""), Promise[str])


def mistaken(values: list[int], number: Promise[int], coming: Promise[list[int]]) -> None:
    """Anything but a collection, and a function for other items, are errors."""
    Promise.map(5, one)  # type: ignore[call-overload]
    Promise.map(values, 5)  # type: ignore[call-overload]
    Promise.map(values, len)  # type: ignore[arg-type]
    Promise.map(values, lambda: 1)  # type: ignore[arg-type,misc]
    Promise.map(values, one, "2")  # type: ignore[call-overload]
    Promise.map(values)  # type: ignore[call-overload]
    number.map(one)  # type: ignore[arg-type]
    number.each(one)  # type: ignore[arg-type]
    coming.map(len)  # type: ignore[arg-type]
    coming.map(5)  # type: ignore[call-overload]
    coming.map(one).map(one)  # type: ignore[arg-type]
    coming.map_series(one, 2)  # type: ignore[call-overload]
    coming.each(len)  # type: ignore[arg-type]
    coming.filter(len)  # type: ignore[arg-type]
    coming.filter(lambda item: item.nonsense)  # type: ignore[attr-defined]
    coming.reduce(len)  # type: ignore[arg-type]
    coming.reduce(one, 0)  # type: ignore[arg-type]
