"""Which database: a DB-API module, and how to connect with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from textwrap import shorten
from typing import Any

__all__ = ["BadDriver", "Driver", "load_driver", "one_line", "parse_arguments"]

# PEP 249's names for how parameters are marked in SQL; those that take a sequence.
_MARKS = {"qmark": "?", "format": "%s", "pyformat": "%s"}


class BadDriver(ValueError):
    """There is no such database; the message says why, in one line."""


@dataclass(frozen=True)
class Driver:
    """A DB-API module that can be used.

    Args:
        name: The module, as it is imported.
        mark: What stands for a parameter in its SQL.
        arguments: The keyword arguments of its ``connect``.
    """

    name: str
    mark: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def wants_file(self) -> bool:
        """Whether it is left to us where the data goes."""
        return self.name == "sqlite3" and "database" not in self.arguments

    def sql(self, statement: str) -> str:
        """*statement*, with this module's marks in place of each ``?``."""
        return statement.replace("?", self.mark)


def load_driver(name: str, arguments: Mapping[str, Any]) -> Driver:
    """Find a DB-API module, and see whether one can connect with it.

    Args:
        name: The module to import.
        arguments: The keyword arguments of its ``connect``.

    Raises:
        BadDriver: There is no such module, it is no DB-API module, or it does not connect.
    """
    try:
        module: Any = import_module(name)
    except Exception as error:
        raise BadDriver(f"cannot import {name!r}: {one_line(error)}") from error
    style = getattr(module, "paramstyle", None)
    if style is None or not callable(getattr(module, "connect", None)):
        raise BadDriver(f"{name!r} is no DB-API module: it has no connect() or no paramstyle")
    if style not in _MARKS:
        raise BadDriver(f"{name!r} has paramstyle {style!r}, and not one of {', '.join(_MARKS)}")
    driver = Driver(name, _MARKS[style], arguments)
    try:
        module.connect(
            **({"database": ":memory:"} if driver.wants_file else {}), **arguments
        ).close()
    except Exception as error:
        raise BadDriver(f"cannot connect with {name!r}: {one_line(error)}") from error
    return driver


def parse_arguments(texts: Iterable[str]) -> dict[str, Any]:
    """The keyword arguments in texts like ``host=127.0.0.1 port=5432``.

    Args:
        texts: Each holds any number of ``name=value``, quoted as in a shell.  A value that is
            a whole number is passed as one.

    Raises:
        ValueError: One of them is not a ``name=value``; the message names it.
    """
    arguments: dict[str, Any] = {}
    for text in texts:
        for word in shlex.split(text):
            name, equals, value = word.partition("=")
            if not equals or not name.isidentifier():
                raise ValueError(f"expected name=value, not {word!r}")
            # Not what only looks like one: a password of 0123 stays what it is.
            arguments[name] = int(value) if re.fullmatch("0|[1-9][0-9]*", value) else value
    return arguments


def one_line(error: object, width: int = 200) -> str:
    """The text of an error, in one line of limited width; or its type, if it has none."""
    return shorten(str(error) or repr(error), width, placeholder=" ...")
