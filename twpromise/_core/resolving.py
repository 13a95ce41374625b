"""Resolving: a promise is given a value, or something to follow, decided by the type."""

from __future__ import annotations

from collections.abc import Callable
from inspect import CO_ITERABLE_COROUTINE
from types import GeneratorType
from typing import Any, Final

from . import hooks
from .extra import bind_promise, binding_of
from .hooks import Adopter
from .jobs import check_home
from .settling import fulfill, reject, reject_raised
from .states import DEAD, INPUT, CorePromise, is_promise, new_fulfilled, new_pending


class _Declined:
    __slots__ = ()


#: Returned by a handler that declines the outcome, such as a `catch` whose filters do not match:
#: the outcome is passed on as if there were no handler.
DECLINED: Final = _Declined()


class Adopters(dict[type, "Adopter | None"]):
    """How to follow a result, by its type: None for a plain value.

    The host decides on a new type, once.
    """

    def __missing__(self, kind: type) -> Adopter | None:
        """How values of that type are followed."""
        # For what declines anything but None: the drain compares with DECLINED before it calls it.
        adopter = reject if kind is _Declined else hooks.host.adopter_for(kind)
        self[kind] = adopter
        return adopter


adopters: Final = Adopters()


def is_followed(value: Any) -> bool:
    """Whether a promise that is resolved with *value* follows it, or waits for it."""
    kind = type(value)
    return adopters[kind] is not None and (
        # All generators are of one type; it is a flag that makes one a coroutine.
        kind is not GeneratorType or bool(value.gi_code.co_flags & CO_ITERABLE_COROUTINE)
    )


def resolve(promise: CorePromise, value: Any) -> None:
    """Settle a pending promise with a plain value, or make it follow another value.

    The promise must not be settled, and only the caller may settle it.
    """
    adopter = adopters[type(value)]
    if adopter is None:
        fulfill(promise, value)
        return
    try:
        adopter(promise, value)
    except BaseException as error:
        # An adopter itself never raises, but functions that it calls may.
        reject_or_report(promise, error)


def reject_or_report(promise: CorePromise, error: BaseException) -> None:
    """Reject a promise with an error, or log the error if the promise was cancelled meanwhile."""
    if promise._state & DEAD:
        hooks.host.escaped(error)
    else:
        reject_raised(promise, error)


def new_resolved(cls: type[CorePromise], value: Any, owner: CorePromise | None = None) -> Any:
    """A promise that is resolved with anything; see `new_pending` for *owner*."""
    if adopters[type(value)] is None:
        return new_fulfilled(cls, value, owner)
    promise = new_pending(cls, owner=owner)
    # Like `resolve`, inlined: that saves a call for each level of recursive coroutines.
    try:
        adopters[type(value)](promise, value)  # type: ignore[misc]
    except BaseException as error:
        reject_or_report(promise, error)
    return promise


def new_input(cls: type[CorePromise], value: Any) -> Any:
    """A promise for the input of a static function, which derives the user's promise from it.

    Diagnostics treat the two as one: this one is not announced.
    """
    return new_resolved(cls, value, INPUT)


def new_rejected(cls: type[CorePromise], reason: Any, owner: CorePromise | None = None) -> Any:
    """A promise that is rejected; see `new_pending` for *owner*.

    Raises:
        RuntimeError: See `check_home`.  Nothing is reported then.
    """
    check_home(cls)
    promise = new_pending(cls, owner=owner)
    reject(promise, reason)
    return promise


def call_into(
    promise: CorePromise,
    function: Callable[..., Any],
    arguments: tuple[Any, ...] = (),
    keywords: dict[str, Any] | None = None,
) -> None:
    """Call a function at once, and settle a pending promise with its result or error.

    The promise, which has no binding yet, gets that of a returned promise.
    """
    try:
        result = function(*arguments, **(keywords or {}))
    except BaseException as error:
        reject_raised(promise, error)
        # The traceback of the error leads to this frame.
        del promise, function, arguments, keywords
        return
    adopter = adopters[type(result)]
    if adopter is None:
        fulfill(promise, result)
        return
    if is_promise(result):
        bind_promise(promise, binding_of(result))
    # As in `new_resolved`.
    try:
        adopter(promise, result)
    except BaseException as error:
        reject_or_report(promise, error)
