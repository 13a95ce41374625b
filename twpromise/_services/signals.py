"""The second and later signals to stop: Twisted itself handles only the first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["call_on_signals", "end_calls_on_signals"]

#: The objects that stop now, each with the function to call for each further signal.
_stopping: dict[object, Callable[[], object]] = {}
#: The handlers that were there before.
_former: dict[int, Any] = {}
_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


def call_on_signals(stopping: object, function: Callable[[], object]) -> None:
    """Call *function* for each signal to stop from now on, if something handled it before.

    A signal without a handler still ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        # Handlers are set by the main thread only.
        return
    _stopping[stopping] = function
    for number in () if _former else _NUMBERS:
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            _former[number] = signal.signal(number, _call)


def end_calls_on_signals(stopping: object) -> None:
    """*stopping* has stopped; after the last one, restore the former handlers."""
    _stopping.pop(stopping, None)
    while _former and not _stopping:
        number, handler = _former.popitem()
        if signal.getsignal(number) is _call:
            signal.signal(number, handler)


def _call(number: int, frame: object) -> None:
    for function in list(_stopping.values()):
        function()
