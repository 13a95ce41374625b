"""Events: listeners are called for the promises of all library copies."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from inspect import iscoroutinefunction
from typing import Any

from .._core import dropped, hooks
from .._core.states import CorePromise
from .._util.arity import declared
from .._util.checks import shown, spellings

__all__ = [
    "EVENTS",
    "MONITORING",
    "call_hook",
    "emit",
    "event_name",
    "listeners_of",
    "off",
    "on",
]

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

#: Each event with the number of promises among its arguments.
_listeners: dict[str, tuple[tuple[Callable[..., object], int], ...]] = dict.fromkeys(EVENTS, ())


def event_name(name: object) -> str:
    """The name of an event, from either spelling.

    Raises:
        TypeError: *name* is not a `str`.
        ValueError: There is no such event.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be the name of an event, not {shown(name)}")
    if name not in _SPELLINGS:
        raise ValueError(f"name must be one of {', '.join(EVENTS)}, not {name!r}")
    return _SPELLINGS[name]


def on(name: str, listener: Callable[..., object]) -> None:
    """Notify *listener* of an event from now on.

    Raises:
        TypeError: *listener* is ``async def``, and the event one of the life cycle.
    """
    if name in MONITORING and iscoroutinefunction(listener):
        raise _is_async(name)
    count = declared(listener, 2 if name == "promise_chained" else 1)
    _listeners[name] = (*_listeners[name], (listener, count))


def off(name: str, listener: Callable[..., object]) -> bool:
    """Remove a listener; whether there was one."""
    before = _listeners[name]
    for index, (other, _) in enumerate(before):
        # Not by identity: each access to a method gives a new, equal object.
        if other == listener:
            _listeners[name] = before[:index] + before[index + 1 :]
            return True
    return False


def emit(name: str, *promises: CorePromise) -> None:
    """Notify all listeners of an event of the life cycle; what one raises is logged."""
    for listener, count in _listeners[name]:
        try:
            # Other code does not see what it sets.
            result: Any = copy_context().run(listener, *promises[:count])
            if issubclass(type(result), Coroutine):
                result.close()
                raise _is_async(name)
        except BaseException as error:
            hooks.host.escaped(error)


def _is_async(name: str) -> TypeError:
    return TypeError(
        f"a handler of {name} must not be async def: the promises that it makes would be "
        "such events, too, and call it again"
    )


def listeners_of(name: str) -> list[Callable[..., object]]:
    """The listeners of an event."""
    return [listener for listener, _ in _listeners[name]]


def call_hook(
    cls: type[CorePromise],
    hook: Callable[..., object],
    failed: dropped.Failed | None,
    *arguments: Any,
) -> bool:
    """Call a hook or a listener with as many arguments as it declares; log what it raises.

    Args:
        cls: The library copy that follows the result.
        hook: The function to call.
        failed: See `dropped.follow`.
        *arguments: The arguments that the hook may declare.

    Returns:
        False if it has raised.
    """
    # Other code does not see what it sets.
    context = copy_context()
    try:
        result = context.run(hook, *arguments[: declared(hook, len(arguments))])
        context.run(dropped.follow, cls, result, failed)
    except BaseException as error:
        hooks.host.escaped(error)
        return False
    return True
