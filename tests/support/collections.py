"""Inputs of collection methods, functions for them, and how many calls these take."""

from __future__ import annotations

import sys
from contextvars import ContextVar

from tests.support.promises import Source
from twpromise import Promise

__all__ = ["calls_of", "later", "seen", "sources", "variable"]

variable: ContextVar[str] = ContextVar("variable", default="unset")


def sources(count=3):
    """Sources, and the promises of them."""
    made = [Source() for _ in range(count)]
    return made, [source.promise for source in made]


def calls_of(function):
    """How many functions are called while one runs, those in C included."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def seen(item):
    """The variable as a call sees it; sets it to a value that no other call may see."""
    before = variable.get()
    variable.set(f"set for {item}")
    return before


async def later(before):
    """*before*, and the variable as a later step of the same coroutine sees it."""
    await Promise.resolve()
    return before, variable.get()
