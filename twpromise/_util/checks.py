"""Checks of arguments, and how messages show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeGuard

__all__ = [
    "check_count",
    "check_seconds",
    "check_switch",
    "is_exception_class",
    "is_filter_only",
    "is_int",
    "name_of",
    "no_handler",
    "not_a_function",
    "printable",
    "shown",
    "spellings",
    "type_name",
]


def name_of(function: Any) -> str:
    """The name of a function, or the type of another callable."""
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type_name(function)


def type_name(value: object) -> str:
    """The name of the type of *value*."""
    return type(value).__name__


def printable(text: str) -> str:
    """*text* on one line: without newlines and escape characters, which could forge a log."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def shown(value: object, write: Callable[[object], str] = repr) -> str:
    """*value* in a message: its repr, or the result of *write*; if that fails, its type."""
    try:
        return printable(write(value))
    except Exception:
        return f"<{type_name(value)} without a repr>"


def not_a_function(name: str, function: object) -> TypeError:
    """The error for a function that is not callable."""
    return TypeError(f"{name} must be callable, not {shown(function)} (fn must be a function)")


def is_exception_class(value: object) -> TypeGuard[type[BaseException]]:
    """Whether *value* is a class of exceptions."""
    return isinstance(value, type) and issubclass(value, BaseException)


def is_filter_only(handler: object) -> bool:
    """Whether a handler of rejections is a filter, and the handler behind it is missing.

    That is an exception class, or a tuple of them.  A class can be called: as a handler, it would
    turn any rejection into a value.
    """
    if isinstance(handler, tuple):
        return handler != () and all(map(is_exception_class, handler))
    return is_exception_class(handler)


def no_handler(method: str, *arguments: object) -> TypeError:
    """The error for a call of *method* whose last argument is not a handler of rejections."""
    written = [shown(argument, _written) for argument in arguments]
    return TypeError(
        f"{method}({', '.join(written)}) has no handler: the last argument must be a function "
        f"that takes the reason, not {written[-1]}"
    )


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        items = ", ".join(map(_written, value))
        return f"({items},)" if len(value) == 1 else f"({items})"
    return value.__name__ if isinstance(value, type) else repr(value)


def spellings(names: Iterable[str]) -> dict[str, str]:
    """A mapping to *names*, from each of them and from bluebird's spelling of it."""
    return {
        spelling: name
        for name in names
        for first, *rest in [name.split("_")]
        for spelling in (name, "".join([first, *(word.title() for word in rest)]))
    }


def is_int(value: object) -> TypeGuard[int]:
    """Whether *value* is an `int`, and not a `bool`."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_count(name: str, count: object, least: int) -> int:
    """*count*, checked to be an `int`, *least* or more.

    Raises:
        TypeError: It is not an `int`.
        ValueError: It is less.
    """
    if not is_int(count):
        raise TypeError(f"{name} must be an int, {least} or more, not {shown(count)}")
    if count < least:
        raise ValueError(f"{name} must be {least} or more, not {shown(count)}")
    return count


def check_switch(name: str, value: object) -> bool:
    """*value*, checked to be a `bool`.

    Raises:
        TypeError: It is not a `bool`.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {shown(value)}")
    return value


def check_seconds(name: str, seconds: object) -> float:
    """*seconds*, checked to be a number of seconds, 0 or more.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative, not a number (NaN), or an `int` too large for a `float`.
    """
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(f"{name} must be a number of seconds, not {shown(seconds)}")
    if not seconds >= 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more, not {shown(seconds)}")
    try:
        float(seconds)
    except OverflowError:
        raise ValueError(
            f"{name} must be a number of seconds that a float can hold, not {shown(seconds)}"
        ) from None
    return seconds
