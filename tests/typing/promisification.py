"""What type functions have that were made of others."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise, deferify, promisifiers


def with_callback(name: str, callback: Callable[..., None]) -> None: ...


def blocking(name: str, *, times: int = 1) -> int:
    return len(name) * times


async def coroutine(name: str) -> int:
    return len(name)


def deferring(name: str) -> Deferred[int]:
    return Promise.resolve(len(name)).to_deferred()


def own(function: Callable[..., object]) -> Callable[[str], Promise[int]]:
    return Promise.method(len)


def asking(
    function: Callable[..., object], default: Callable[..., Callable[..., Promise[Any]]]
) -> Callable[[str], Promise[Any]]:
    return default(function)


def promisifying() -> None:
    """Of a function with a callback nothing is known but that a promise comes out."""
    assert_type(Promise.promisify(with_callback), Callable[..., Promise[Any]])
    assert_type(Promise.promisify(with_callback, multi_args=True)("name"), Promise[Any])
    assert_type(Promise.promisify(with_callback, multiArgs=True)("name"), Promise[Any])
    assert_type(Promise.promisify(with_callback, context="name")(), Promise[Any])
    assert_type(Promise.promisify_all(blocking, suffix="Later"), Any)


def promisifying_otherwise() -> None:
    """A promisifier says what it makes."""
    assert_type(Promise.promisify(with_callback, promisifier=own)("name"), Promise[int])
    assert_type(Promise.promisify(with_callback, promisifier=asking)("name"), Promise[Any])
    assert_type(
        Promise.promisify(blocking, promisifier=promisifiers.threads)("", times=2), Promise[int]
    )
    assert_type(Promise.promisify(deferring, promisifier=promisifiers.returning)(""), Promise[int])
    assert_type(promisifiers.threads(blocking)("name", times=2), Promise[int])
    assert_type(promisifiers.returning(blocking)("name", times=2), Promise[int])
    assert_type(promisifiers.returning(coroutine)("name"), Promise[int])
    assert_type(promisifiers.returning(deferring)("name"), Promise[int])
    assert_type(promisifiers.callback_pair(with_callback)("name"), Promise[Any])


def calling_back(promise: Promise[int]) -> None:
    """A callback may take any value, and the other way round."""
    assert_type(Promise.from_callback(lambda callback: callback(None, 1)), Promise[Any])
    assert_type(Promise.from_callback(print, multi_args=True), Promise[Any])
    assert_type(Promise.from_callback(print, multiArgs=True), Promise[Any])
    assert_type(Promise.from_node(print), Promise[Any])
    assert_type(promise.as_callback(print), Promise[int])
    assert_type(promise.nodeify(print, spread=True), Promise[int])


def elsewhere(promise: Promise[int], executor: Executor) -> None:
    """What runs elsewhere takes and gives what it does here."""
    assert_type(Promise.in_thread(blocking, "name", times=2), Promise[int])
    assert_type(Promise.run_in(executor, blocking, "name"), Promise[int])
    assert_type(promise.to_future(), asyncio.Future[int])


def from_a_thread() -> None:
    """What another thread gets is unwrapped as by `try_`."""
    assert_type(Promise.call_from_thread(blocking, "name", times=2), Future[int])
    assert_type(Promise.call_from_thread(coroutine, "name"), Future[int])
    assert_type(Promise.call_from_thread(deferring, "name"), Future[int])
    assert_type(Promise.call_from_thread(promisifiers.threads(blocking), "").result(30), int)


def with_a_deadline() -> None:
    """`deferify` with a timeout is a decorator."""
    assert_type(deferify(timeout=1)(blocking)("name", times=2), Deferred[int])
    assert_type(deferify(timeout=1)(coroutine)("name"), Deferred[int])
    assert_type(Promise.deferify(timeout=1)(deferring)("name"), Deferred[int])


def mistaken(promise: Promise[int], executor: Executor) -> None:
    """Anything but a function, and arguments of other types, are errors."""
    Promise.promisify(5)  # type: ignore[call-overload]
    Promise.promisify(with_callback, promisifier=own)(5)  # type: ignore[arg-type]
    promisifiers.threads(blocking)(5)  # type: ignore[arg-type]
    promisifiers.threads(5)  # type: ignore[arg-type]
    promisifiers.returning(blocking)()  # type: ignore[call-arg]
    Promise.from_callback(5)  # type: ignore[arg-type]
    promise.as_callback(5)  # type: ignore[arg-type]
    Promise.in_thread(blocking, 5)  # type: ignore[arg-type]
    Promise.in_thread(5)  # type: ignore[arg-type]
    Promise.run_in(executor, blocking, 5)  # type: ignore[arg-type]
    Promise.call_from_thread(5)  # type: ignore[call-overload]
    Promise.run_in(blocking, "name")  # type: ignore[arg-type]
    deferify(timeout=1)(blocking)(5)  # type: ignore[arg-type]
    deferify(timeout="1")  # type: ignore[call-overload]
