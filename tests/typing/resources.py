"""The types of resources."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, assert_type

from twpromise import Disposer, Promise, PromiseInspection


class Connection:
    def query(self, text: str) -> Promise[int]:
        return Promise.resolve(len(text))

    def close(self) -> Promise[None]:
        return Promise.resolve()


async def give_back(connection: Connection) -> None: ...


def log_and_give_back(connection: Connection, outcome: PromiseInspection[Any]) -> None: ...


def use(connection: Connection) -> int:
    return 1


async def use_two(connection: Connection, text: str) -> bytes:
    return b""


def query(connection: Connection) -> Promise[int]:
    return connection.query("")


@contextmanager
def lent() -> Generator[Connection]:
    yield Connection()


@asynccontextmanager
async def lent_later() -> AsyncGenerator[Connection]:
    yield Connection()


def disposing(connection: Promise[Connection]) -> None:
    """A release gets the resource, and what came of its use if it asks."""
    assert_type(connection.disposer(Connection.close), Disposer[Connection])
    assert_type(connection.disposer(give_back), Disposer[Connection])
    assert_type(connection.disposer(log_and_give_back), Disposer[Connection])
    assert_type(connection.disposer(lambda one: one.close()), Disposer[Connection])
    assert_type(
        connection.disposer(lambda one, outcome: outcome.is_fulfilled() and one.close()),
        Disposer[Connection],
    )
    assert_type(connection.disposer(lambda: None), Disposer[Connection])
    assert_type(Disposer.of(lent()), Disposer[Connection])
    assert_type(Disposer.of(lent_later()), Disposer[Connection])


def using(
    connection: Disposer[Connection],
    coming: Promise[Disposer[Connection]],
    text: Promise[str],
    number: Disposer[int],
) -> None:
    """The handler gets the resources."""
    assert_type(Promise.using(connection, use), Promise[int])
    assert_type(Promise.using(connection, lambda one: query(one)), Promise[int])
    assert_type(Promise.using(coming, use), Promise[int])
    assert_type(Promise.using(Disposer.of(lent()), use), Promise[int])
    assert_type(Promise.using(connection, text, use_two), Promise[bytes])
    assert_type(Promise.using(coming, text, use_two), Promise[bytes])
    assert_type(Promise.using(connection, "text", use_two), Promise[bytes])
    assert_type(
        Promise.using(connection, text, lambda one, two: (one, two)),
        Promise[tuple[Connection, str]],
    )
    assert_type(
        Promise.using(connection, text, number, lambda one, two, three: (one, two, three)),
        Promise[tuple[Connection, str, int]],
    )
    assert_type(
        Promise.using(connection, text, number, text, lambda a, b, c, d: one_of(a, b, c, d)),
        Promise[str],
    )


def one_of(connection: Connection, one: str, number: int, two: str) -> Promise[str]:
    return Promise.resolve(one or two)


def using_a_list(
    connection: Disposer[Connection], connections: list[Disposer[Connection]], text: Promise[str]
) -> None:
    """Of a list of resources, the handler gets the list."""

    def use_all(all: list[Connection]) -> int:
        return len(all)

    assert_type(Promise.using(connections, use_all), Promise[int])
    assert_type(Promise.using([connection, connection], use_all), Promise[int])
    assert_type(Promise.using(connections, lambda all: query(all[0])), Promise[int])
    assert_type(Promise.using([text, text], lambda all: all), Promise[list[str]])


async def entering(connection: Disposer[Connection]) -> None:
    """A disposer is an async context manager."""
    async with connection as one:
        assert_type(one, Connection)
    async with Disposer.of(lent()) as other:
        assert_type(other, Connection)


def mistaken(
    connection: Disposer[Connection], text: Promise[str], coming: Promise[Connection]
) -> None:
    """A handler or a release for another type is an error."""
    Promise.using(connection, len)  # type: ignore[arg-type]
    Promise.using(connection, lambda: 1)  # type: ignore[arg-type,misc]
    Promise.using(connection)  # type: ignore[call-overload]
    Promise.using(connection, 5)  # type: ignore[call-overload]
    Promise.using(text, connection, use_two)  # type: ignore[arg-type]
    Promise.using([connection], use)  # type: ignore[arg-type]
    Disposer.of(5)  # type: ignore[arg-type]
    coming.disposer(5)  # type: ignore[call-overload]
    coming.disposer(len)  # type: ignore[arg-type]
