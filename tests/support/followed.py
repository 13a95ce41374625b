"""One object of each kind that promises follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.promises import pending

__all__ = ["KINDS", "NEED_NO_LOOP", "Thenable", "later"]


class Thenable:
    """A promise of a foreign library."""

    def then(self, resolve: Callable[..., None], reject: Callable[..., None]) -> None:
        """Keep the functions that settle the follower."""
        self.resolve, self.reject = resolve, reject


def _deferred() -> tuple[Any, Callable[..., None], Callable[..., None]]:
    deferred: Deferred[Any] = Deferred()
    return deferred, deferred.callback, deferred.errback


def _coroutine() -> tuple[Any, Callable[..., None], Callable[..., None]]:
    promise, resolve, reject = pending()

    async def coroutine() -> Any:
        return await promise

    return coroutine(), resolve, reject


class _Awaitable:
    def __init__(self, awaited: Any) -> None:
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._awaited.__await__()


def _awaitable() -> tuple[Any, Callable[..., None], Callable[..., None]]:
    promise, resolve, reject = pending()
    return _Awaitable(promise), resolve, reject


def _thenable() -> tuple[Any, Callable[..., None], Callable[..., None]]:
    thenable = Thenable()
    return (
        thenable,
        lambda value: thenable.resolve(value),
        lambda reason: thenable.reject(reason),
    )


def _executors_future() -> tuple[Any, Callable[..., None], Callable[..., None]]:
    future: Future[Any] = Future()
    return future, future.set_result, future.set_exception


def _asyncios_future() -> tuple[Any, Callable[..., None], Callable[..., None]]:
    loop = asyncio.new_event_loop()
    future: asyncio.Future[Any] = loop.create_future()

    async def turns() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    def settle(method: Callable[[Any], None]) -> Callable[[Any], None]:
        def call(outcome: Any) -> None:
            method(outcome)
            loop.run_until_complete(turns())
            loop.close()

        return call

    return future, settle(future.set_result), settle(future.set_exception)


#: How to make one of each kind.
_MAKERS = {
    "promise": pending,
    "Deferred": _deferred,
    "coroutine": _coroutine,
    "awaitable": _awaitable,
    "thenable": _thenable,
    "executor's future": _executors_future,
    "asyncio's future": _asyncios_future,
}
KINDS = list(_MAKERS)
#: Kinds that can be left unsettled; the loop of an asyncio future must run its callbacks.
NEED_NO_LOOP = [kind for kind in KINDS if kind != "asyncio's future"]


def later(kind: str) -> tuple[Any, Callable[..., None], Callable[..., None]]:
    """A pending object of a kind that promises follow, and the functions that settle it.

    A test must settle it once.
    """
    return _MAKERS[kind]()
