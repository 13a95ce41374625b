"""What type comes out of a promise."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, assert_type

from twisted.internet.defer import Deferred, ensureDeferred

from twpromise import Promise, deferify


def inspecting(promise: Promise[int]) -> None:
    """The state of a promise right now."""
    assert_type(promise.value(), int)
    assert_type(promise.reason(), Any)
    assert_type(promise.is_pending(), bool)
    assert_type(promise.is_fulfilled(), bool)
    assert_type(promise.is_rejected(), bool)
    assert_type(promise.is_cancelled(), bool)


async def awaiting(promise: Promise[int]) -> str:
    """`await` gives the value."""
    assert_type(await promise, int)
    assert_type(await promise.then(str), str)
    number: str = await promise  # type: ignore[assignment]
    return number


def driving(promise: Promise[int]) -> None:
    """A coroutine that awaits promises is a coroutine like others."""
    assert_type(ensureDeferred(awaiting(promise)), Deferred[str])
    assert_type(Promise.resolve(awaiting(promise)), Promise[str])


@deferify
def promising(name: str, *, times: int = 1) -> Promise[int]:
    return Promise.resolve(len(name) * times)


@deferify
async def asynchronous(name: str, *, times: int = 1) -> int:
    return len(name) * times


@deferify
def plain(name: str, *, times: int = 1) -> int:
    return len(name) * times


@deferify
def deferring(name: str) -> Deferred[int]:
    return promising(name)


@deferify
def executing(name: str) -> concurrent.futures.Future[int]:
    return concurrent.futures.Future()


@Promise.deferify
def sometimes(name: str) -> int | Promise[int]:
    return len(name) or Promise.resolve(0)


class Service:
    @deferify
    def get(self, name: str) -> Promise[bytes]:
        return Promise.resolve(name.encode())

    @deferify
    async def fetch(self, name: str) -> bytes:
        return name.encode()


def deferified(service: Service) -> None:
    """`deferify` changes what a function returns, not what it takes."""
    assert_type(promising("name", times=2), Deferred[int])
    assert_type(asynchronous("name", times=2), Deferred[int])
    assert_type(plain("name", times=2), Deferred[int])
    assert_type(deferring("name"), Deferred[int])
    assert_type(executing("name"), Deferred[int])
    assert_type(sometimes("name"), Deferred[int])
    assert_type(service.get("name"), Deferred[bytes])
    assert_type(service.fetch("name"), Deferred[bytes])
    bound: Callable[[str], Deferred[bytes]] = service.get
    del bound
    promising(1)  # type: ignore[arg-type]
    promising("name", 2)  # type: ignore[call-arg]
    asynchronous()  # type: ignore[call-arg]
    service.get()  # type: ignore[call-arg]
    deferify(5)  # type: ignore[call-overload]
