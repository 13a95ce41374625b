"""Suspended generators and coroutines: the generators inside them, and the lines they are at."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Generator, Iterator
from itertools import takewhile
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final

from twisted.internet.defer import Deferred

from .._util.exceptions import get_traceback, set_traceback

__all__ = ["AWAITS", "frame_of", "handles_an_error", "place", "suspended", "throw_inwards"]

#: The code that `await` itself runs for a Deferred, a future, and a promise.
AWAITS: Final = {
    getattr(function, "__code__", None)
    for function in (
        vars(Deferred).get("__iter__"),
        vars(Deferred).get("__await__"),
        asyncio.futures._PyFuture.__await__,  # type: ignore[attr-defined]
    )
}

#: The attributes of a suspended object: its frame, and what it waits for.
_ATTRIBUTES: Final[dict[type, tuple[str, str]]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}


#: Objects between two of them that refer to the inner one: the awaitable of `async for`, and the
#: result of a coroutine's `__await__`.
_BETWEEN: Final = {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}


def suspended(generator: Any) -> Iterator[Any]:
    """A suspended generator or coroutine, and those that it waits for, the outermost first.

    Up to the one that `await` itself runs.
    """
    while True:
        if type(generator).__name__ in _BETWEEN:
            within = gc.get_referents(generator)
            generator = next((one for one in within if type(one) in _ATTRIBUTES), None)
        attributes = _ATTRIBUTES.get(type(generator))
        if attributes is None or (type(generator) is GeneratorType and generator.gi_code in AWAITS):
            return
        yield generator
        generator = getattr(generator, attributes[1])


def frame_of(generator: Any) -> FrameType | None:
    """The frame of a generator from `suspended`; None once it has ended."""
    attributes = _ATTRIBUTES.get(type(generator))
    return None if attributes is None else getattr(generator, attributes[0])


def place(frame: FrameType, line: int | None = None) -> str:
    """A line, as Python's own tracebacks name it: the one that a frame is at, by default."""
    code = frame.f_code
    return f'File "{code.co_filename}", line {line or frame.f_lineno}, in {code.co_name}'


def handles_an_error(generator: Any) -> bool:
    """Whether a suspended generator, or what it waits for, is in an `except` or `finally` block.

    Only if an error is being handled, which ``sys.exception()`` would return there.
    """
    ahead = generator
    for one in suspended(generator):
        # Python shows it only within the generator; but the collector visits it, after everything
        # else.
        if issubclass(type(gc.get_referents(one)[-1]), BaseException):
            return True
        ahead = getattr(one, _ATTRIBUTES[type(one)][1])
    # The frames of code compiled by other tools cannot be read: assume that it may.
    return ahead is generator or isinstance(ahead, Coroutine)


def throw_inwards(generator: Generator[Any, Any, Any], error: BaseException) -> Any:
    """Like ``generator.throw(error)``, but first into the generator that it delegates to.

    For a `GeneratorExit`: Python closes the inner generator instead, and so breaks off its
    clean-up at the first `yield`.
    """
    # A coroutine that has ended takes no error any more, which would have to go through it.
    within = takewhile(lambda one: type(one) is GeneratorType, suspended(generator))
    delegates: list[Any] = list(within) or [generator]
    raised: BaseException = error
    try:
        while True:
            try:
                return delegates.pop().throw(raised)
            except BaseException as other:
                # This frame is of no interest.
                here = get_traceback(other)
                assert here is not None
                set_traceback(other, here.tb_next)
                del here
                if not delegates:
                    raise
                # One that has returned has ended, too: what delegates to it is exited all the same.
                raised = error if type(other) is StopIteration else other
    finally:
        # The frames in the traceback refer to this one.
        del error, raised
