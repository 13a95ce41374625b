"""`install_signal`: a signal writes what is pending, whatever the process is doing."""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, TextIO

from .._util.checks import shown
from .arguments import check_file, check_limit, check_signal
from .records import LIMIT, pending
from .text import text_of, write_whole

__all__ = ["install_signal"]


def install_signal(
    signum: int | None = None, *, file: TextIO | None = None, limit: int | None = LIMIT
) -> Callable[[], None]:
    """Dump what is pending when a signal arrives: ``kill -USR1 PID``.

    Args:
        signum: The signal; by default SIGUSR1.
        file: Where to write; by default the current standard error.
        limit: See `pending`.

    The dump is written at once, also while a handler blocks the reactor, and names the line that
    runs.  Then the process goes on.  It works with a reactor, with an asyncio loop, and without.

    Returns:
        A function that restores the former handler of the signal.

    Raises:
        RuntimeError: This is not the main thread, in which Python handles signals.
        TypeError: *signum* is not an `int`, *file* not a text file, or *limit* not an `int`.
        ValueError: There is no such signal, or it cannot be handled; *limit* is less than 1.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("install_signal must be called in the main thread")
    wanted = check_signal(signum)
    check_file(file)
    check_limit(limit)

    def handle(number: int, frame: FrameType | None) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        text = f"--- {stamp} {_name_of(number)}: promises\n"
        try:
            text += text_of(pending(limit=limit)) + _stack(frame)
        except Exception as error:
            # A failure here must not stop the service.
            text += f"They could not be looked at: {shown(error)}\n"
        try:
            write_whole(sys.stderr if file is None else file, text + "---\n")
        except Exception:
            # It is closed, say.
            pass

    try:
        former: Any = signal.signal(wanted, handle)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"signum must be a signal that a process can handle, not {shown(signum)}"
        ) from error

    def restore() -> None:
        if signal.getsignal(wanted) is handle:
            signal.signal(wanted, signal.SIG_DFL if former is None else former)

    return restore


def _name_of(number: int) -> str:
    # Of the signals for real-time Python names the first and the last.
    names = {int(one): one.name for one in signal.Signals}
    return names.get(number, f"signal {number}")


def _stack(frame: FrameType | None) -> str:
    """What the main thread was doing."""
    lines = [] if frame is None else traceback.format_stack(frame, 12)
    return "".join(["The main thread is here:\n", *lines])
