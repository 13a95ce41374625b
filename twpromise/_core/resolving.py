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


#: What a handler returns that does not want the outcome: it is passed on as if the handler had
#: not been there (a `catch` whose filters do not match).
DECLINED: Final = _Declined()


class Adopters(dict[type, "Adopter | None"]):
    """What to do with a result, by its type: None for a plain value, else what follows it.

    A type that is not there is looked up by the host, once.
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
    """Settle a pending promise with a value, or have it follow what is followed.

    The promise must not be settled, and only the caller may settle it.
    """
    adopter = adopters[type(value)]
    if adopter is None:
        fulfill(promise, value)
        return
    try:
        adopter(promise, value)
    except BaseException as error:
        # An adopter never raises for what it is given; this is for what it calls.
        reject_or_report(promise, error)


def reject_or_report(promise: CorePromise, error: BaseException) -> None:
    """Reject a promise with what was raised, or log that if the promise was cancelled meanwhile."""
    if promise._state & DEAD:
        hooks.host.escaped(error)
    else:
        reject_raised(promise, error)


def new_resolved(cls: type[CorePromise], value: Any, owner: CorePromise | None = None) -> Any:
    """A promise that is resolved with anything; see `new_pending` for *owner*."""
    if adopters[type(value)] is None:
        return new_fulfilled(cls, value, owner)
    promise = new_pending(cls, owner=owner)
    # As `resolve`; a call less for each level of coroutines that call themselves.
    try:
        adopters[type(value)](promise, value)  # type: ignore[misc]
    except BaseException as error:
        reject_or_report(promise, error)
    return promise


def new_input(cls: type[CorePromise], value: Any) -> Any:
    """A promise for what a static function was given, from which it derives that for the user.

    Diagnostics take the two for one: they do not announce this one.  A promise that has no binding,
    which a static function does not pass on, stands for itself.
    """
    kind = type(value)
    if adopters[kind] is None:
        return new_fulfilled(cls, value, INPUT)
    if issubclass(kind, cls) and binding_of(value) is None:
        return value
    return new_resolved(cls, value, INPUT)


def new_rejected(
    cls: type[CorePromise], reason: Any, aux: Any = None, owner: CorePromise | None = None
) -> Any:
    """A promise that is rejected; see `reject` for *aux*, `new_pending` for *owner*.

    Raises:
        RuntimeError: See `check_home`.  Nothing is reported then.
    """
    check_home(cls)
    promise = new_pending(cls, owner=owner)
    reject(promise, reason, aux)
    return promise


def call_into(
    promise: CorePromise,
    function: Callable[..., Any],
    arguments: tuple[Any, ...] = (),
    keywords: dict[str, Any] | None = None,
) -> None:
    """Call a function at once, and settle a pending promise with what it returns or raises.

    The promise, which has no binding yet, gets that of a promise that is returned.
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
