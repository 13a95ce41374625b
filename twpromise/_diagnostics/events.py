"""Global events: what happens to the promises of all library copies, for who wants to know."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

from .._core import hooks
from .._util.checks import shown

__all__ = ["EVENTS", "MONITORING", "emit", "event_name", "off", "on"]

#: The life-cycle events; they are only sent for library copies with ``monitoring`` on.
MONITORING = (
    "promise_created",
    "promise_chained",
    "promise_fulfilled",
    "promise_rejected",
    "promise_resolved",
    "promise_cancelled",
)
#: All events.
EVENTS = ("unhandled_rejection", "rejection_handled", *MONITORING)

_SPELLINGS = {name: name for name in EVENTS} | {
    "".join([first, *(word.title() for word in rest)]): name
    for name in EVENTS
    for first, *rest in [name.split("_")]
}

# By event, each as it was given, and as it is called: in the context that it was given in.
_listeners: dict[str, tuple[tuple[Callable[..., object], Callable[..., object]], ...]] = (
    dict.fromkeys(EVENTS, ())
)


def event_name(name: object) -> str:
    """The name of an event, in whichever spelling it was given.

    Raises:
        TypeError: *name* is no `str`.
        ValueError: There is no such event.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be the name of an event, not {shown(name)}")
    if name not in _SPELLINGS:
        raise ValueError(f"name must be one of {', '.join(EVENTS)}, not {name!r}")
    return _SPELLINGS[name]


def on(name: str, listener: Callable[..., object], called: Callable[..., object]) -> None:
    """Have *listener* told of an event from now on, by calling *called*."""
    _listeners[name] = (*_listeners[name], (listener, called))


def off(name: str, listener: Callable[..., object]) -> bool:
    """Do not tell *listener* any more; whether it had been told."""
    before = _listeners[name]
    for index, (other, _) in enumerate(before):
        # Each look at a method gives another object, which is equal.
        if other == listener:
            _listeners[name] = before[:index] + before[index + 1 :]
            return True
    return False


def emit(name: str, *arguments: Any) -> bool:
    """Tell of an event; what a listener raises is logged, and the others are told all the same.

    Returns:
        Whether anybody was told.
    """
    listeners = _listeners[name]
    for _, called in listeners:
        try:
            # What it sets is not for whoever runs just now, nor the other way round.
            Context().run(called, *arguments)
        except BaseException as error:
            hooks.host.escaped(error)
    return bool(listeners)
