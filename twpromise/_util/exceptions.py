"""Exceptions and their tracebacks, whatever an exception class does with its attributes."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeGuard


def is_exception(value: object) -> TypeGuard[BaseException]:
    """Whether a value is an exception: by its type, since `isinstance` reads its ``__class__``."""
    return issubclass(type(value), BaseException)


#: As the attribute, for exceptions that have overridden how attributes are read or set.
get_traceback: Callable[[BaseException], TracebackType | None]
get_traceback = BaseException.__dict__["__traceback__"].__get__
set_traceback: Callable[[BaseException, TracebackType | None], None]
set_traceback = BaseException.__dict__["__traceback__"].__set__
