"""The types of groups and services."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise, PromiseGroup, PromiseService


async def coroutine(text: str, *, times: int = 1) -> bytes:
    return b""


def deferred(number: int) -> Deferred[str]:
    return Deferred()


def promise() -> Promise[int]:
    return Promise.resolve(1)


def value(number: int) -> int:
    return number


async def grouping() -> None:
    """What is started gives a promise for what the function returns."""
    async with PromiseGroup() as group:
        assert_type(group, PromiseGroup)
        assert_type(group.start_soon(coroutine, "text", times=2), Promise[bytes])
        assert_type(group.start_soon(deferred, 1), Promise[str])
        assert_type(group.start_soon(promise), Promise[int])
        assert_type(group.start_soon(value, 1), Promise[int])
    assert_type(group.wait(), Promise[None])


async def returning() -> int:
    """A block is taken to be left with what it raises, though a cancelled group is left quietly."""
    async with PromiseGroup():
        return 1


def serving(copy: type[Promise[Any]]) -> None:
    """The same."""
    service = PromiseService(grace=5, library=copy)
    assert_type(service.start_soon(coroutine, "text"), Promise[bytes])
    assert_type(service.start_soon(value, 1), Promise[int])
    assert_type(service.stopService(), Deferred[None])
    PromiseService(grace=None)
    PromiseGroup(library=copy)


def mistaken(group: PromiseGroup, service: PromiseService) -> None:
    """Arguments are those of the function."""
    group.start_soon(value)  # type: ignore[call-overload]
    group.start_soon(value, "text")  # type: ignore[call-overload]
    group.start_soon(coroutine("text"))  # type: ignore[call-overload]
    service.start_soon(value, 1, 2)  # type: ignore[call-overload]
    PromiseService(grace="5")  # type: ignore[arg-type]
    PromiseGroup(library=5)  # type: ignore[arg-type]
