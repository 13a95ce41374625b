"""What type shorthands give, and functions that start chains."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, NoReturn, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise


def value(text: str, *, times: int = 1) -> int:
    return len(text) * times


async def coroutine(text: str) -> int:
    return len(text)


def deferred_of(text: str) -> Deferred[int]:
    return Promise.resolve(len(text)).to_deferred()


def number_of(error: OSError) -> int | None:
    return error.errno


def returning(promise: Promise[int], text: Promise[str], deferred: Deferred[str]) -> None:
    """Another value, or none at all."""
    assert_type(promise.return_(), Promise[None])
    assert_type(promise.return_("text"), Promise[str])
    assert_type(promise.return_(text), Promise[str])
    assert_type(promise.return_(deferred), Promise[str])
    assert_type(promise.then_return("text"), Promise[str])
    assert_type(promise.throw(KeyError()), Promise[NoReturn])
    assert_type(promise.then_throw(KeyError()), Promise[NoReturn])
    assert_type(promise.catch_return("text"), Promise[int | str])
    assert_type(promise.catch_return(5), Promise[int])
    assert_type(promise.catch_return(), Promise[int | None])
    assert_type(promise.catch_return(OSError, text), Promise[int | str])
    assert_type(promise.catch_return({"errno": 2}, None), Promise[int | None])
    assert_type(promise.catch_throw(KeyError()), Promise[int])
    assert_type(promise.catch_throw((OSError, KeyError), ValueError()), Promise[int])


def looking(promise: Promise[int]) -> None:
    """`tap` keeps the type."""
    assert_type(promise.tap(print), Promise[int])
    assert_type(promise.tap(lambda value: value.bit_length()), Promise[int])
    assert_type(promise.tap_catch(print), Promise[int])
    assert_type(promise.tap_catch(OSError, number_of), Promise[int])
    assert_type(promise.tap_catch(OSError, KeyError, print), Promise[int])
    assert_type(promise.tap_catch((OSError, KeyError), lambda error: error.args), Promise[int])


def parts(promise: Promise[dict[str, int]]) -> None:
    """The type of the item is not known."""
    assert_type(promise.get("key"), Promise[Any])
    assert_type(promise.call("get", "key", default=1), Promise[Any])


def binding(promise: Promise[int], text: Promise[str]) -> None:
    """Handlers of bound promises have one parameter more, and are not checked."""
    assert_type(promise.bind(), Promise[int])
    assert_type(promise.bind(None), Promise[int])
    assert_type(Promise.bind(), Promise[None])
    assert_type(Promise.bind(None, text), Promise[str])
    assert_type(promise.bind(text), Any)
    assert_type(Promise.bind(text, 1), Any)


def starting(text: Promise[str]) -> None:
    """What a function returns is followed."""
    assert_type(Promise.try_(lambda: 5), Promise[int])
    assert_type(Promise.try_(lambda: text), Promise[str])
    assert_type(Promise.try_(lambda: coroutine("")), Promise[int])
    assert_type(Promise.attempt(lambda: deferred_of("")), Promise[int])
    assert_type(Promise.method(value)("text", times=2), Promise[int])
    assert_type(Promise.method(coroutine)("text"), Promise[int])
    assert_type(Promise.method(deferred_of)("text"), Promise[int])
    assert_type(Promise.defer().promise, Promise[Any])
    assert_type(Service().get("name"), Promise[bytes])


class Service:
    @Promise.method
    def get(self, name: str) -> bytes:
        return name.encode()


def copying(number: Promise[int]) -> None:
    """A copy of the library has the same types."""
    copy = Promise.get_new_library_copy()
    assert_type(copy.resolve(1).delay(1), Promise[int])
    assert_type(copy.all([number]), Promise[list[int]])
    assert_type(copy.map([number], str), Promise[list[str]])


def mistaken(promise: Promise[int]) -> None:
    """A handler for another type is an error."""
    promise.tap(len)  # type: ignore[arg-type]
    promise.tap_catch(ValueError, number_of)  # type: ignore[arg-type]
    promise.tap_catch(5)  # type: ignore[call-overload]
    promise.return_("text").then(abs)  # type: ignore[arg-type]
    promise.catch_return(OSError, 1, 2)  # type: ignore[call-overload]
    Promise.try_(value)  # type: ignore[arg-type]
    Promise.try_(5)  # type: ignore[call-overload]
    Promise.method(value)(5)  # type: ignore[arg-type]
    Promise.method(5)  # type: ignore[call-overload]
