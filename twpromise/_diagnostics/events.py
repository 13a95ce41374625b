"""Events: listeners are called for what happens to the promises of all library copies."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from .._core import hooks
from .._util.checks import shown, spellings

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

_SPELLINGS = spellings(EVENTS)

_listeners: dict[str, tuple[Callable[..., object], ...]] = dict.fromkeys(EVENTS, ())


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


def on(name: str, listener: Callable[..., object]) -> None:
    """Have *listener* notified of an event from now on."""
    _listeners[name] = (*_listeners[name], listener)


def off(name: str, listener: Callable[..., object]) -> bool:
    """Remove a listener; whether there was one."""
    before = _listeners[name]
    for index, other in enumerate(before):
        # Not by identity: each access to a method gives a new, equal object.
        if other == listener:
            _listeners[name] = before[:index] + before[index + 1 :]
            return True
    return False


def emit(name: str, *arguments: Any) -> bool:
    """Notify all listeners of an event; what one raises is logged.

    Returns:
        Whether there is a listener.
    """
    listeners = _listeners[name]
    for listener in listeners:
        try:
            # What it sets, nobody else sees.
            copy_context().run(listener, *arguments)
        except BaseException as error:
            hooks.host.escaped(error)
    return bool(listeners)
