"""Suspended generators and coroutines: what stands within them, and where."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final

from .._util.exceptions import get_traceback, set_traceback

__all__ = ["frame_of", "handles_an_error", "place", "suspended", "throw_inwards"]

#: The attributes of what is suspended: its frame, and what it waits for in its turn.
_ATTRIBUTES: Final[dict[type, tuple[str, str]]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}


#: What `async for` and `aclose` wait for; it refers to the asynchronous generator.
_STEPS: Final = {"async_generator_asend", "async_generator_athrow"}


def suspended(generator: Any) -> Iterator[Any]:
    """A suspended generator or coroutine, and those that it waits for, from without to within."""
    while True:
        if type(generator).__name__ in _STEPS:
            within = gc.get_referents(generator)
            generator = next((one for one in within if type(one) is AsyncGeneratorType), None)
        attributes = _ATTRIBUTES.get(type(generator))
        if attributes is None:
            return
        yield generator
        generator = getattr(generator, attributes[1])


def frame_of(generator: Any) -> FrameType | None:
    """The frame of one that `suspended` gave; None once it has ended."""
    frame: FrameType | None = getattr(generator, _ATTRIBUTES[type(generator)][0])
    return frame


def place(frame: FrameType, line: int | None = None) -> str:
    """A line, as Python's own tracebacks name it: the one that a frame is at, by default."""
    code = frame.f_code
    return f'File "{code.co_filename}", line {line or frame.f_lineno}, in {code.co_name}'


def handles_an_error(generator: Any) -> bool:
    """Whether a suspended generator, or what it waits for, is in an `except` or `finally` block.

    That of an error, that is, in which ``sys.exception()`` would give it.
    """
    # Only from within Python would say it; but the collector visits it, behind all else.
    return any(
        issubclass(type(gc.get_referents(one)[-1]), BaseException) for one in suspended(generator)
    )


def throw_inwards(generator: Generator[Any, Any, Any], error: GeneratorExit) -> Any:
    """As ``generator.throw(error)``, first into what it delegates to by `yield from`.

    Python closes that instead, and so breaks off its clean-up at the first `yield`.
    """
    delegates: list[Any] = [generator]
    while isinstance(inner := getattr(delegates[-1], "gi_yieldfrom", None), Generator):
        delegates.append(inner)
    raised: BaseException = error
    while True:
        try:
            return delegates.pop().throw(raised)
        except BaseException as other:
            # This frame refers to the generators, and is of no interest.
            here = get_traceback(other)
            assert here is not None
            set_traceback(other, here.tb_next)
            del here
            if not delegates:
                raise
            # One that has returned has ended, too, and what delegates to it is exited all the same.
            raised = error if type(other) is StopIteration else other
