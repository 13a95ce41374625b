"""What users give: checked and named without trusting it, the same everywhere.

An ``isinstance``, a comparison or a ``repr`` may raise, and that would be somebody else's error in
the place of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

__all__ = [
    "attribute",
    "bases_of",
    "check_seconds",
    "derives",
    "dressed",
    "is_a",
    "mro_of",
    "plain_number",
    "plain_text",
    "shown",
    "type_name",
    "vars_of",
]

#: As the attribute, for classes whose own class has overridden how attributes are read.
_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__
bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__bases__"].__get__
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
vars_of: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__


def type_name(value: object) -> str:
    """The name of the type of *value*."""
    return _name_of(type(value))


def is_a(value: object, *kinds: type) -> bool:
    """Whether *value* is an instance of one of *kinds*; by its type, if it does not let us ask."""
    kind: Any = type(value)
    try:
        return isinstance(value, kinds)
    except Exception:
        # Its ``__class__`` raises, or its class does.
        return derives(kind, *kinds)


def derives(kind: type, *kinds: type) -> bool:
    """Whether *kind* is a subclass of one of *kinds*; by its bases, if it does not let us ask."""
    try:
        return issubclass(kind, kinds)
    except Exception:
        # It raises when it is hashed, say: abstract classes remember those they are asked about.
        return any(derives(base, *kinds) for base in bases_of(kind))


def attribute(value: object, name: str) -> Any:
    """An attribute of *value*; None if it has none, or does not let us ask."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def shown(value: object, write: Callable[[object], str] = repr) -> str:
    """The repr of *value*, for a message, or what *write* makes of it; if that fails, its type."""
    try:
        return write(value)
    except Exception:
        return f"<{type_name(value)} without a repr>"


def plain_number(value: object) -> float | None:
    """The `int` or `float` that *value* is, a bool excepted, or None.

    One of a class derived from them comes back as the number that it stands for: comparing it may
    raise, or anything.
    """
    kind = type(value)
    if kind is bool:
        return None
    if issubclass(kind, int):
        return int.__int__(value)  # type: ignore[arg-type]
    if issubclass(kind, float):
        return float.__float__(value)  # type: ignore[arg-type]
    return None


def plain_text(value: object) -> str | None:
    """The `str` that *value* is, or None; as `plain_number`."""
    text: Any = value
    return str.__str__(text) if issubclass(type(text), str) else None


def check_seconds(name: str, seconds: object) -> float:
    """*seconds*, if it is a number of seconds that one can wait.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, not a number (NaN), or an `int` too large for a `float`.
    """
    kind = type(seconds)
    number: Any = seconds if kind is float or kind is int else plain_number(seconds)
    if number is None:
        raise TypeError(f"{name} must be a number of seconds, not {shown(seconds)}")
    if not number >= 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more, not {shown(seconds)}")
    try:
        float(number)
    except OverflowError:
        raise ValueError(
            f"{name} must be a number of seconds that a float can hold, not {shown(seconds)}"
        ) from None
    return number  # type: ignore[no-any-return]


def dressed(made: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """*made*, with the name, docstring and attributes of *function*, if that gives them away."""
    try:
        return update_wrapper(made, function)
    except Exception:
        made.__wrapped__ = function  # type: ignore[attr-defined]
        return made
