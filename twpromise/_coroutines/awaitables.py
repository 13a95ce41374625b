"""Awaitables that are not coroutine objects: a coroutine awaits them, and is followed."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, cast

from .._core.resolving import is_followed, resolve
from .._core.settling import fulfill
from .._core.states import CorePromise

__all__ = ["adopt_awaitable", "adopt_generator"]


def adopt_awaitable(promise: CorePromise, awaitable: Awaitable[Any]) -> None:
    """Resolve a pending promise with the result of awaiting an object."""
    resolve(promise, _await(awaitable))


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def adopt_generator(promise: CorePromise, generator: Generator[Any, Any, Any]) -> None:
    """Await a generator that `types.coroutine` has marked; any other is a plain value."""
    if is_followed(generator):
        adopt_awaitable(promise, cast("Awaitable[Any]", generator))
    else:
        fulfill(promise, generator)
