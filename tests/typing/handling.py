"""What type a promise has, by how it is derived from another."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import concurrent.futures
from typing import Any, assert_type

from twisted.internet.defer import Deferred

from twpromise import Promise


def value(text: str) -> int:
    return len(text)


async def coroutine(text: str) -> int:
    return len(text)


def promise_of(text: str) -> Promise[int]:
    return Promise.resolve(len(text))


def deferred_of(text: str) -> Deferred[int]:
    return promise_of(text).to_deferred()


def future_of(text: str) -> concurrent.futures.Future[int]:
    return concurrent.futures.Future()


def sometimes(text: str) -> int | Promise[int]:
    return promise_of(text) if text else 0


def sometimes_other(text: str) -> Promise[int] | bytes | None:
    return promise_of(text) if text else None


def maybe(text: str) -> int | None:
    return len(text) or None


def nothing(text: str) -> None: ...


def anything(text: Any) -> Any: ...


def recover(error: Exception) -> bytes:
    return b""


def recover_later(error: Exception) -> Promise[bytes]:
    return Promise.resolve(b"")


class Text:
    def __init__(self, text: str) -> None:
        self.text = text


def one_handler(text: Promise[str]) -> None:
    """A handler gets the value, and the promise is for what it makes of it."""
    assert_type(text.then(), Promise[str])
    assert_type(text.then(None), Promise[str])
    assert_type(text.then(len), Promise[int])
    assert_type(text.then(print), Promise[None])
    assert_type(text.then(str.upper), Promise[str])
    assert_type(text.then(Text), Promise[Text])
    assert_type(text.then(value), Promise[int])
    assert_type(text.then(maybe), Promise[int | None])
    assert_type(text.then(nothing), Promise[None])
    assert_type(text.then(anything), Promise[Any])
    assert_type(text.then(lambda text: [text]), Promise[list[str]])


def followed_handler(text: Promise[str]) -> None:
    """What a handler returns is followed."""
    assert_type(text.then(coroutine), Promise[int])
    assert_type(text.then(promise_of), Promise[int])
    assert_type(text.then(deferred_of), Promise[int])
    assert_type(text.then(future_of), Promise[int])
    assert_type(text.then(sometimes), Promise[int])
    assert_type(text.then(sometimes_other), Promise[int | bytes | None])
    assert_type(text.then(sometimes_other, recover), Promise[int | bytes | None])
    assert_type(text.then(lambda text: promise_of(text) if text else None), Promise[int | None])
    assert_type(text.then(lambda text: promise_of(text)), Promise[int])
    assert_type(text.then(lambda text: promise_of(text).then(float)), Promise[float])


def two_handlers(text: Promise[str]) -> None:
    """With two handlers, it is the one or the other."""
    assert_type(text.then(len, recover), Promise[int | bytes])
    assert_type(text.then(promise_of, recover), Promise[int | bytes])
    assert_type(text.then(len, recover_later), Promise[int | bytes])
    assert_type(text.then(coroutine, recover_later), Promise[int | bytes])
    assert_type(text.then(coroutine, lambda error: None), Promise[int | None])
    assert_type(text.then(None, recover), Promise[str | bytes])
    assert_type(text.then(None, recover_later), Promise[str | bytes])
    assert_type(text.then(on_rejected=recover), Promise[str | bytes])
    assert_type(text.then(lambda text: text, lambda error: promise_of("")), Promise[str | int])


def catching(text: Promise[str]) -> None:
    """`catch` adds to the type what the handler makes."""
    assert_type(text.catch(recover), Promise[str | bytes])
    assert_type(text.catch(recover_later), Promise[str | bytes])
    assert_type(text.catch(lambda error: ""), Promise[str])
    assert_type(text.catch(lambda error: promise_of("")), Promise[str | int])
    assert_type(Promise.reject(ValueError()).catch(recover), Promise[bytes])


def catching_some(text: Promise[str]) -> None:
    """The handler behind a filter gets what the filter lets through."""

    def number_of(error: OSError) -> int | None:
        return error.errno

    assert_type(text.catch(OSError, number_of), Promise[str | int | None])
    assert_type(text.catch(OSError, lambda error: error.errno), Promise[str | int | None])
    assert_type(
        text.catch((KeyError, IndexError), lambda error: error.args), Promise[str | tuple[Any, ...]]
    )
    assert_type(text.catch(OSError, lambda error: promise_of("")), Promise[str | int])
    assert_type(text.catch(lambda error: error.code == 404, recover), Promise[str | bytes])
    assert_type(text.catch({"code": 404}, recover_later), Promise[str | bytes])
    assert_type(text.catch(OSError, KeyError, recover), Promise[str | bytes])
    assert_type(
        text.catch(OSError, KeyError, lambda error: error.args), Promise[str | tuple[Any, ...]]
    )
    assert_type(text.catch(OSError, KeyError, IndexError, recover_later), Promise[str | bytes])
    assert_type(
        text.catch(OSError, KeyError, IndexError, EOFError, lambda error: 1), Promise[str | int]
    )
    assert_type(text.catch({"code": 404}, KeyError, recover), Promise[Any])
    assert_type(text.catch(KeyError, lambda error: error.code == 404, recover), Promise[Any])
    text.catch(ValueError, number_of)  # type: ignore[arg-type]
    text.catch(404, recover)  # type: ignore[call-overload]


def forgotten_handlers(text: Promise[str]) -> None:
    """A filter stands before a handler, and not for one."""
    text.catch(KeyError)  # type: ignore[deprecated]
    text.catch((KeyError, OSError))  # type: ignore[deprecated]
    text.catch(KeyError, OSError)  # type: ignore[deprecated]
    text.tap_catch(KeyError)  # type: ignore[deprecated]
    text.tap_catch(KeyError, OSError)  # type: ignore[deprecated]
    text.error(KeyError)  # type: ignore[deprecated]


def untyped_handlers(
    text: Promise[str], either: Promise[Any], handler: Any, kind: type[Exception]
) -> None:
    """One that is typed as Any may be a function, and is not reported."""
    for promise in (text, either):
        promise.catch(handler)
        promise.catch(KeyError, handler)
        promise.catch(kind, handler)
        promise.catch(handler, handler)
        promise.tap_catch(handler)
        promise.tap_catch(KeyError, handler)
        promise.error(handler)
        promise.then(None, handler)
        promise.then(len, handler)
        promise.then(handler, handler)


def finally_changes_nothing(text: Promise[str]) -> None:
    """`finally_` passes the outcome on, whatever its handler returns."""
    assert_type(text.finally_(lambda: None), Promise[str])
    assert_type(text.finally_(lambda: promise_of("")), Promise[str])
    text.finally_(len)  # type: ignore[arg-type]


def chaining(text: Promise[str]) -> Promise[list[float]]:
    """Every link of a chain knows its type."""
    assert_type(
        text.then(len)
        .then(lambda number: number / 2)
        .catch(lambda error: None)
        .finally_(lambda: None)
        .then(lambda half: half or 0.0),
        Promise[float],
    )
    return text.then(promise_of).then(lambda number: [number])


def mistaken(text: Promise[str], number: Promise[int]) -> None:
    """A handler for another type, or no function, is an error."""
    number.then(len)  # type: ignore[arg-type]
    text.then(lambda text: text.nonsense())  # type: ignore[attr-defined]
    text.then(lambda: 1)  # type: ignore[arg-type,misc]
    text.then(5)  # type: ignore[call-overload]
    text.then(len, 5)  # type: ignore[call-overload]
    text.then(promise_of).then(len)  # type: ignore[arg-type]


def covariant(number: Promise[int]) -> Promise[object]:
    """A promise of something more special is a promise of the general."""
    wider: Promise[float] = number
    text: Promise[str] = number  # type: ignore[assignment]
    del wider, text
    return number


def hooks() -> None:
    """A hook declares what it wants; it may be ``async def``."""

    async def later(reason: object) -> None: ...

    async def later_with_promise(reason: object, promise: Promise[Any]) -> None: ...

    Promise.on_possibly_unhandled_rejection(lambda reason, promise: print(reason, promise.reason()))
    Promise.on_possibly_unhandled_rejection(lambda reason: print(reason))
    Promise.on_possibly_unhandled_rejection(lambda: print())
    Promise.on_possibly_unhandled_rejection(later)
    Promise.on_possibly_unhandled_rejection(later_with_promise)
    Promise.on_unhandled_rejection_handled(lambda promise: print(promise.reason()))
    Promise.on_unhandled_rejection_handled(lambda: print())
    Promise.on_fatal(later)
    Promise.on_fatal(lambda: print())
    Promise.on_fatal(5)  # type: ignore[arg-type]
