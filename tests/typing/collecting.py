"""What type a promise for several has."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise, PromiseInspection


async def coroutine(text: str) -> int:
    return len(text)


async def later() -> list[int]:
    return []


def two(number: int, text: str) -> bytes:
    return b""


async def two_later(number: int, text: str) -> bytes:
    return b""


def three(one: int, two: str, three: int) -> bytes:
    return b""


def all_of_a_collection(
    promise: Promise[int],
    deferred: Deferred[int],
    text: Promise[str],
    promises: list[Promise[int]],
    deferreds: list[Deferred[int]],
    values: list[int],
    mixed: list[int | Promise[int]],
    iterable: Iterable[Promise[int]],
    texts: list[str],
    anything: list[Any],
) -> None:
    """Promises, values and mixtures; lists, tuples and what else can be iterated."""
    assert_type(Promise.all(promises), Promise[list[int]])
    assert_type(Promise.all(deferreds), Promise[list[int]])
    assert_type(Promise.all(values), Promise[list[int]])
    assert_type(Promise.all(mixed), Promise[list[int]])
    assert_type(Promise.all(iterable), Promise[list[int]])
    assert_type(Promise.all(anything), Promise[list[Any]])
    assert_type(Promise.all([promise, promise]), Promise[list[int]])
    assert_type(Promise.all((promise, promise)), Promise[tuple[int, int]])
    assert_type(Promise.all((promise, 1)), Promise[list[int]])
    assert_type(Promise.all((promise, deferred)), Promise[tuple[int, int]])
    assert_type(Promise.all({promise}), Promise[list[int]])
    assert_type(Promise.all((promise, text)), Promise[tuple[int, str]])
    assert_type(Promise.all((text, promise, text)), Promise[tuple[str, int, str]])
    assert_type(Promise.all((text, promise, text, promise)), Promise[tuple[str, int, str, int]])
    assert_type(Promise.all([coroutine(text) for text in texts]), Promise[list[int]])
    assert_type(Promise.all(coroutine(text) for text in texts), Promise[list[int]])
    assert_type(Promise.all(map(Promise.resolve, texts)), Promise[list[str]])


def all_of_what_comes(
    promises: Promise[list[Promise[int]]],
    values: Promise[list[int]],
    mixed: Promise[list[int | Promise[int]]],
    deferred: Deferred[list[int]],
    future: asyncio.Future[list[int]],
    pair: Promise[tuple[Promise[int], Promise[int]]],
) -> None:
    """A promise for a collection, given to the function; or the method of a promise."""
    assert_type(Promise.all(promises), Promise[list[int]])
    assert_type(Promise.all(values), Promise[list[int]])
    assert_type(Promise.all(mixed), Promise[list[int]])
    assert_type(Promise.all(deferred), Promise[list[int]])
    assert_type(Promise.all(future), Promise[list[int]])
    assert_type(Promise.all(later()), Promise[list[int]])
    assert_type(promises.all(), Promise[list[int]])
    assert_type(values.all(), Promise[list[int]])
    assert_type(mixed.all(), Promise[list[int]])
    assert_type(pair.all(), Promise[list[int]])
    assert_type(Promise.resolve([1]).all().then(len), Promise[int])


def some_of_a_collection(
    promises: list[Promise[int]], mixed: tuple[int | Promise[int], ...], values: Promise[list[int]]
) -> None:
    """`some` gives a list, `any` and `race` one value."""
    assert_type(Promise.some(promises, 2), Promise[list[int]])
    assert_type(Promise.some(mixed, count=2), Promise[list[int]])
    assert_type(values.some(2), Promise[list[int]])
    assert_type(values.some(count=2), Promise[list[int]])
    assert_type(Promise.any(promises), Promise[int])
    assert_type(Promise.any(mixed), Promise[int])
    assert_type(values.any(), Promise[int])
    assert_type(Promise.race(promises), Promise[int])
    assert_type(Promise.race(mixed), Promise[int])
    assert_type(values.race(), Promise[int])


def outcomes(promises: list[Promise[int]], values: Promise[list[int]]) -> None:
    """`all_settled` gives inspections."""
    assert_type(Promise.all_settled(promises), Promise[list[PromiseInspection[int]]])
    assert_type(values.all_settled(), Promise[list[PromiseInspection[int]]])
    assert_type(
        Promise.all_settled(promises).then(lambda all: [one.value() for one in all]),
        Promise[list[int]],
    )


def properties(
    promise: Promise[int],
    promises: Mapping[str, Promise[int]],
    values: dict[int, str],
    mixed: dict[str, int | Deferred[int]],
    coming: Promise[dict[str, Promise[int]]],
) -> None:
    """`props` keeps the keys."""
    assert_type(Promise.props({"a": promise}), Promise[dict[str, int]])
    assert_type(Promise.props(promises), Promise[dict[str, int]])
    assert_type(Promise.props(values), Promise[dict[int, str]])
    assert_type(Promise.props(mixed), Promise[dict[str, int]])
    assert_type(Promise.props(coming), Promise[dict[str, int]])
    assert_type(coming.props(), Promise[dict[str, int]])


def spreading(pair: Promise[tuple[int, str]], promises: Promise[list[Promise[int]]]) -> None:
    """What the handler of `spread` is called with is its own business, what it gives is not."""
    assert_type(pair.spread(two), Promise[bytes])
    assert_type(pair.spread(two_later), Promise[bytes])
    assert_type(promises.spread(max), Promise[Any])
    pair.spread(5)  # type: ignore[call-overload]


def joining(number: Promise[int], text: Deferred[str]) -> None:
    """The handler of `join` gets the values."""
    assert_type(Promise.join(number, lambda one: [one]), Promise[list[int]])
    assert_type(Promise.join(5, lambda one: [one]), Promise[list[int]])
    assert_type(Promise.join(number, text, two), Promise[bytes])
    assert_type(Promise.join(number, "text", two), Promise[bytes])
    assert_type(Promise.join(coroutine(""), text, two_later), Promise[bytes])
    assert_type(Promise.join(number, text, lambda one, two: (one, two)), Promise[tuple[int, str]])
    assert_type(Promise.join(number, 5, lambda one, two: [one, two]), Promise[list[int]])
    assert_type(Promise.join(5, number, lambda one, two: number), Promise[int])
    assert_type(Promise.join(number, text, 5, three), Promise[bytes])
    assert_type(
        Promise.join(number, text, coroutine(""), lambda one, two, three: (one, two, three)),
        Promise[tuple[int, str, int]],
    )
    assert_type(
        Promise.join(number, "text", text, lambda one, two, three: (one, two, three)),
        Promise[tuple[int, str, str]],
    )
    assert_type(
        Promise.join(number, text, number, text, lambda a, b, c, d: (a, b, c, d)),
        Promise[tuple[int, str, int, str]],
    )
    assert_type(
        Promise.join(number, text, number, text, number, lambda a, b, c, d, e: (a, b, c, d, e)),
        Promise[tuple[int, str, int, str, int]],
    )
    assert_type(
        Promise.join(number, text, number, text, number, text, lambda a, b, c, d, e, f: (a, f)),
        Promise[tuple[int, str]],
    )
    assert_type(Promise.join(number, number), Promise[list[int]])


def mistaken(number: Promise[int], promises: list[Promise[int]], text: Deferred[str]) -> None:
    """Anything but a collection, and wrong types, are errors."""
    Promise.all(5)  # type: ignore[call-overload]
    Promise.all(number)  # type: ignore[arg-type]
    Promise.all()  # type: ignore[call-overload]
    number.all()  # type: ignore[arg-type]
    number.all_settled()  # type: ignore[arg-type]
    number.any()  # type: ignore[arg-type]
    Promise.some(promises)  # type: ignore[call-overload]
    Promise.some(promises, "2")  # type: ignore[call-overload]
    Promise.resolve(promises).some()  # type: ignore[call-arg]
    Promise.race(5)  # type: ignore[call-overload]
    Promise.props(promises)  # type: ignore[call-overload]
    Promise.resolve(promises).props()  # type: ignore[arg-type]
    wrong: Promise[list[str]] = Promise.all(promises)  # type: ignore[arg-type]
    wronger: Promise[dict[str, str]] = Promise.props({"": number})  # type: ignore[dict-item]
    Promise.join(number, len)  # type: ignore[arg-type]
    Promise.join(text, number, two)  # type: ignore[arg-type]
    Promise.join(number, two)  # type: ignore[arg-type]
    Promise.join(number, text, number, text, two)  # type: ignore[arg-type]
    del wrong, wronger
