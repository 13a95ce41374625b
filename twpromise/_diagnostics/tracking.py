"""Tracking: where each promise was made, and when.

It costs nothing while it is off.  While it is on, the class has another `_new`, which makes all
promises except those that users make by calling the class, and for these another ``__init__``.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe
from time import monotonic
from types import CodeType
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from .._core.states import CorePromise
from .._util.callers import PACKAGE
from .traces import Place
from .unconsumed import made_of
from .warning import TWISTED

__all__ = ["TRACKED", "Origin", "oldest_age", "origin_of", "switch"]


#: The slots of promises that are tracked: the code that made it, the instruction there, the time.
#: A tuple would cost the collector more than all else.
TRACKED: Final = ("_made_by", "_made_in", "_made_at")

#: The same for promises that users have made by calling the class.
_by_hand: Final[WeakKeyDictionary[CorePromise, tuple[CodeType, int, float]]] = WeakKeyDictionary()


def switch(promise_class: Any, *, on: bool) -> None:
    """Switch tracking of the promises of a library copy on or off."""
    plain = getattr(promise_class._new, "__wrapped__", None)
    if on and plain is None:
        promise_class._new = staticmethod(_tracking(promise_class._new, promise_class._tracked))
        promise_class.__init__ = _tracking_init(promise_class.__init__)
    elif plain is not None and not on:
        promise_class._new = plain
        # That of the base takes its place again.
        del promise_class.__init__


def _tracking(plain: Callable[[], Any], tracked: Callable[[], Any]) -> Any:
    # Most promises are made at the same place as the one before, and in the same turn: checking
    # that costs less than reading the clock.
    last: CodeType | None = None
    turn = -1
    now = 0.0

    def new() -> Any:
        nonlocal last, turn, now
        promise = tracked()
        # The frame that has called `then`, or another function of this package.
        frame: Any = _getframe(2)
        promise._made_by = code = frame.f_code
        if code is not last:
            while code.co_filename.startswith(PACKAGE) and frame.f_back is not None:
                frame = frame.f_back
                code = frame.f_code
            last = promise._made_by = code
        promise._made_in = frame.f_lasti
        awake = promise._queue.awake
        if awake != turn:
            # Otherwise this turn cannot be distinguished from others.
            turn = awake if awake > True else -1
            now = monotonic()
        promise._made_at = now
        return promise

    new.__wrapped__ = plain  # type: ignore[attr-defined]
    return new


def _tracking_init(plain: Callable[..., None]) -> Any:
    def __init__(self: Any, executor: Any = None) -> None:
        frame = _getframe(1)
        _by_hand[self] = frame.f_code, frame.f_lasti, monotonic()
        plain(self, executor)

    return __init__


class Origin(NamedTuple):
    """Where a promise was made, and how long ago, as far as that is known."""

    place: Place | None
    age: float | None


def origin_of(promise: CorePromise) -> Origin:
    """The origin that tracking recorded; or the place alone, as other diagnostics recorded it."""
    tracked: Any = promise
    if hasattr(promise, "_made_at"):
        code, instruction, at = tracked._made_by, tracked._made_in, tracked._made_at
    elif promise in _by_hand:
        code, instruction, at = _by_hand[promise]
    else:
        trace = made_of(promise)
        return Origin(trace.place if trace is not None and trace.sections else None, None)
    place = None
    if not code.co_filename.startswith(TWISTED):
        place = code.co_filename, _line(code, instruction), code.co_name
    return Origin(place, monotonic() - at)


def oldest_age(promises: list[Any]) -> float | None:
    """The age of the oldest of some promises, in seconds; None if none of them was tracked."""
    made = [getattr(promise, "_made_at", None) for promise in promises]
    # `origin_of` looks for the line, too.
    by_hand = [_by_hand[promise][2] for promise in promises if promise in _by_hand]
    oldest = min((at for at in made + by_hand if at is not None), default=None)
    return None if oldest is None else monotonic() - oldest


def _line(code: CodeType, instruction: int) -> int:
    for begin, end, line in code.co_lines():
        if begin <= instruction < end and line is not None:
            return line
    return code.co_firstlineno
