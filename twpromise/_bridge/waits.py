"""Where the coroutine behind a promise waits."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from .._core.following import root_of
from .._core.states import CorePromise, is_promise
from .._coroutines.frames import frame_of, place, suspended
from .._coroutines.suspension import Suspension

__all__ = ["note_where_it_waits", "places_of_waiting"]

E = TypeVar("E", bound=BaseException)

#: How many promises to look at: there may be a circle of them.
_FAR: Final = 100


def note_where_it_waits(error: E, promise: CorePromise) -> E:
    """Add a note to an error that says where the coroutine behind a promise waits, if any does."""
    places = places_of_waiting(promise)
    if places:
        error.add_note("\n  ".join(["The coroutine was waiting here:", *places]))
    return error


def places_of_waiting(promise: CorePromise) -> list[str]:
    """The lines at which the coroutine behind a promise waits, the outermost first.

    It may wait for the promise of another coroutine, and so on.
    """
    places: list[str] = []
    ahead: Any = promise
    for _ in range(_FAR):
        if not is_promise(ahead):
            break
        source = root_of(ahead)._source
        if isinstance(source, Suspension):
            frames = map(frame_of, suspended(source._generator))
            places += [place(frame) for frame in frames if frame is not None]
            ahead = source._waiting or source._special
        else:
            # A derived promise waits for another one, and so do most nodes.
            ahead = source if is_promise(source) else getattr(source, "_source", None)
    return places
