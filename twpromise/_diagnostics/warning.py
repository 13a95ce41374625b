"""Warnings, and the line of the user's code that each is about."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import twisted.internet
from twisted.logger import Logger

from .._util.callers import calling
from .._util.errors import PromiseWarning

__all__ = ["TWISTED", "show", "warn"]

_log = Logger(namespace="twpromise")

#: The reactor, which calls everything, and is not the user's code.
TWISTED = str(Path(twisted.internet.__file__).parent) + os.sep

# For Python's filters, which warnings were shown already: the places are not those of a frame.
_registry: dict[Any, Any] = {}


def show(
    message: str,
    filename: str,
    line: int,
    module: str = "",
    registry: dict[Any, Any] | None = None,
) -> None:
    """Warn about a line.

    Args:
        message: The text of the warning.
        filename: The file of that line.
        line: Its number.
        module: The module of that line; by default made from the file's name.
        registry: For Python's filters: which warnings were shown already.

    Raises:
        PromiseWarning: Python's filters make it an error.
    """
    try:
        warnings.warn_explicit(
            message,
            PromiseWarning,
            filename,
            line,
            # Code without a module would make the warning vanish.
            module=module or filename.removesuffix(".py") or "<string>",
            registry=_registry if registry is None else registry,
        )
    except PromiseWarning:
        raise
    except Exception:
        # Standard error may be closed, say; that changes no outcome.
        _log.failure("A warning could not be shown: {message}", message=message)


def warn(message: str, promise: Any = None) -> None:
    """Warn about the line of the user's code that is running: the first outside this package.

    Args:
        message: The text of the warning.
        promise: The promise that it is about.  If only the reactor is running, the warning names
            the line that made this promise, if that is known.
    """
    frame = calling()
    filename, line = frame.f_code.co_filename, frame.f_lineno
    if promise is not None and filename.startswith(TWISTED):
        trace = getattr(promise._extra, "trace", None)
        if trace is not None and trace.sections:
            filename, line, _ = trace.place
            show(message, filename, line)
            return
    show(
        message,
        filename,
        line,
        frame.f_globals.get("__name__") or "",
        frame.f_globals.setdefault("__warningregistry__", {}),
    )
