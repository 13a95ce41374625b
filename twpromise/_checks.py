"""Checks of what users give, the same everywhere."""

from __future__ import annotations

__all__ = ["check_seconds"]


def check_seconds(name: str, seconds: object) -> float:
    """*seconds*, if it is a number of seconds that one can wait.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, not a number (NaN), or an `int` too large for a `float`.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {seconds!r}")
    if not seconds >= 0:
        raise ValueError(f"{name} must be a number of seconds, 0 or more, not {seconds!r}")
    try:
        float(seconds)
    except OverflowError:
        raise ValueError(
            f"{name} must be a number of seconds that a float can hold, not {seconds!r}"
        ) from None
    return seconds
