"""What type a coroutine has."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Generator
from typing import Any, assert_type

from twpromise import Promise


@Promise.coroutine
def generating(text: str, *, times: int = 1) -> Generator[Promise[int], Any, list[str]]:
    count = yield Promise.resolve(times)
    return [text] * count


@Promise.coroutine
def following(text: str) -> Generator[Any, Any, Promise[int]]:
    yield
    return Promise.resolve(len(text))


@Promise.coroutine
def sometimes(text: str) -> Generator[Any, Any, int | Promise[int]]:
    yield
    return len(text) or Promise.resolve(0)


@Promise.coroutine
def endless() -> Generator[Any, Any, None]:
    while True:
        yield Promise.delay(1)


@Promise.coroutine
async def awaiting(text: str) -> int:
    return await Promise.resolve(len(text))


@Promise.coroutine
def promising(text: str) -> Promise[int]:
    return Promise.resolve(len(text))


def handled(delay: float) -> Generator[Any, Any, str]:
    yield delay
    return "slept"


class Service:
    @Promise.coroutine
    def get(self, name: str) -> Generator[Any, Any, bytes]:
        yield
        return name.encode()

    @Promise.coroutine
    async def fetch(self, name: str) -> bytes:
        return name.encode()


def calling(service: Service) -> None:
    """What a generator returns is what the promise is for; the parameters are kept."""
    assert_type(generating("text", times=2), Promise[list[str]])
    assert_type(following("text"), Promise[int])
    assert_type(sometimes("text"), Promise[int])
    assert_type(endless(), Promise[None])
    assert_type(awaiting("text"), Promise[int])
    assert_type(promising("text"), Promise[int])
    assert_type(service.get("name"), Promise[bytes])
    assert_type(service.fetch("name"), Promise[bytes])
    assert_type(service.get("name").then(len), Promise[int])


def handling() -> None:
    """A yield handler makes something that is followed of anything."""
    sleeping = Promise.coroutine(handled, yield_handler=lambda value: Promise.delay(value))
    assert_type(sleeping(0.5), Promise[str])
    Promise.coroutine.add_yield_handler(lambda value: Promise.race(value))
    Promise.coroutine.addYieldHandler(Promise.delay)


def mistaken(service: Service) -> None:
    """Wrong arguments are errors, as for the function itself."""
    generating(5)  # type: ignore[arg-type]
    generating("text", 2)  # type: ignore[call-arg]
    awaiting()  # type: ignore[call-arg]
    service.get(5)  # type: ignore[arg-type]
    service.fetch()  # type: ignore[call-arg]
    Promise.coroutine(5)  # type: ignore[call-overload]
    Promise.coroutine(handled, yield_handler=5)  # type: ignore[call-overload]
    Promise.coroutine.add_yield_handler(5)  # type: ignore[arg-type]
