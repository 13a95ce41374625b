"""Checks of the arguments of `twpromise.debugging`."""

from __future__ import annotations

import signal
from io import BufferedIOBase, RawIOBase

from .._core.states import CorePromise
from .._util.checks import check_count, is_int, shown

__all__ = ["check_file", "check_library", "check_limit", "check_signal"]


def check_limit(limit: int | None) -> int | None:
    """*limit*, checked to be a number of promises, or None.

    Raises:
        TypeError: It is not an `int`.
        ValueError: It is less than 1.
    """
    return None if limit is None else check_count("limit", limit, 1)


def check_library(library: object) -> None:
    """Raise a `TypeError` unless *library* is a library copy, or None."""
    if library is not None and not (isinstance(library, type) and issubclass(library, CorePromise)):
        raise TypeError(f"library must be a library copy or None, not {shown(library)}")


def check_file(file: object) -> None:
    """Raise a `TypeError` unless *file* is a text file, or None."""
    binary = isinstance(file, RawIOBase | BufferedIOBase)
    if file is not None and (binary or not callable(getattr(file, "write", None))):
        raise TypeError(f"file must be a text file that is open, or None, not {shown(file)}")


def check_signal(signum: int | None) -> int:
    """*signum*, checked to be an `int`; SIGUSR1 by default.

    Raises:
        TypeError: It is not an `int`.
    """
    if signum is None:
        return signal.SIGUSR1
    if not is_int(signum):
        raise TypeError(f"signum must be the number of a signal, or None, not {shown(signum)}")
    return signum
