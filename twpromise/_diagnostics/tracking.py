"""Tracking: where each promise was made, and when.

It hooks into the making of promises, and nothing looks whether it is on: while it is, the class has
another `_new`, which all promises come from but those that users make by calling the class; and for
these another ``__init__``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from sys import _getframe
from time import monotonic
from types import CodeType
from typing import Any, Final, NamedTuple

from .._core.states import CorePromise
from .._util.callers import PACKAGE
from .traces import Place
from .unconsumed import made_of
from .warning import TWISTED

__all__ = ["Origin", "oldest_age", "origin_of", "switch"]

#: How many file names are remembered: a program may make code, with names of its own, without end.
_LIMIT: Final = 1024


class _Ours(dict[str, bool]):
    """Whether a file is one of this package, by its name."""

    def __missing__(self, filename: str) -> bool:
        if len(self) >= _LIMIT:
            self.clear()
        ours = self[filename] = filename.startswith(PACKAGE)
        return ours


_ours: Final = _Ours()


def switch(promise_class: Any, *, on: bool) -> None:
    """Track the promises of a library copy, or track them no more."""
    plain = getattr(promise_class._new, "__wrapped__", None)
    if on and plain is None:
        promise_class._new = staticmethod(_tracking(promise_class._new))
        promise_class.__init__ = _tracking_init(promise_class.__init__)
    elif plain is not None and not on:
        promise_class._new = plain
        # The one of the base stands for it again.
        del promise_class.__init__


def _tracking(plain: Callable[[], Any]) -> Any:
    ours = _ours

    def new() -> Any:
        promise = plain()
        # That of `then`, or of another function of this package.
        frame: Any = _getframe(1)
        code = frame.f_code
        while ours[code.co_filename] and frame.f_back is not None:
            frame = frame.f_back
            code = frame.f_code
        # Three slots: a tuple would double what the collector counts.
        promise._made = code
        promise._made_in = frame.f_lasti
        promise._made_at = monotonic()
        return promise

    new.__wrapped__ = plain  # type: ignore[attr-defined]
    return new


def _tracking_init(plain: Callable[..., None]) -> Any:
    def __init__(self: Any, executor: Any = None) -> None:
        frame = _getframe(1)
        self._made = frame.f_code
        self._made_in = frame.f_lasti
        self._made_at = monotonic()
        plain(self, executor)

    return __init__


class Origin(NamedTuple):
    """Where a promise was made, and how long ago, as far as that is known."""

    place: Place | None
    age: float | None


def origin_of(promise: CorePromise) -> Origin:
    """What tracking knows of a promise; or the place alone, by what other diagnostics keep."""
    at = getattr(promise, "_made_at", None)
    if at is None:
        trace = made_of(promise)
        return Origin(trace.place if trace is not None and trace.sections else None, None)
    code, place = promise._made, None
    if not code.co_filename.startswith(TWISTED):
        place = code.co_filename, _line(code, promise._made_in), code.co_name
    return Origin(place, monotonic() - at)


def oldest_age(promises: Iterable[CorePromise]) -> float | None:
    """How long ago the oldest of some promises was made; None if none of them was tracked."""
    made = (getattr(promise, "_made_at", None) for promise in promises)
    oldest = min((at for at in made if at is not None), default=None)
    return None if oldest is None else monotonic() - oldest


def _line(code: CodeType, instruction: int) -> int:
    for begin, end, line in code.co_lines():
        if begin <= instruction < end and line is not None:
            return line
    return code.co_firstlineno
