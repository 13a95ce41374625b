"""Requests without a reactor, and what they cost in steps instead of seconds.

On a clock that is moved by hand nothing depends on how fast the machine is: objects, calls and
instructions are the same in every run, so that a test can hold them to a limit.

    python -m benchmarks.by_hand [NAME ...]   # prints them
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import twpromise
from twpromise import Promise
from twpromise.testing import ManualScheduler

from . import micro
from .child import Waves
from .database import DELAY
from .rows import BY_NAME, REACTOR, Row

PACKAGE = str(Path(twpromise.__file__).parent)


def run(row: Row, requests: int, *, count: bool = False) -> Waves:
    """Run a wave, and one before it, on a clock by hand; every request is checked."""
    scheduler = ManualScheduler()
    previous = Promise.set_scheduler(scheduler)
    # As in a program that runs: until the first drain its thread is looked up each time.
    Promise.resolve().then(str)
    scheduler.flush()
    ended: list[bool] = []
    try:
        waves = Waves(row, requests, 1, 1, scheduler.call_later, lambda: ended.append(True), count)
        waves.begin()
        while not ended:
            scheduler.advance(DELAY)
    finally:
        Promise.set_scheduler(previous)
    waves.check(2)
    return waves


def objects(row: Row, requests: int = 50) -> int:
    """How many objects a request keeps alive that the garbage collector looks at."""
    return round(run(row, requests, count=True).objects())


def instructions(row: Row) -> int:
    """How many instructions of this package are executed for a request."""
    return round(sum(instructions_by_function(row).values()))


def instructions_by_function(row: Row) -> dict[str, float]:
    """The same for each function, the busiest first."""
    few, many = _for_two_sizes(row, instructions_in)
    each = {name: (count - few[name]) / MORE for name, count in many.items()}
    return dict(sorted(each.items(), key=lambda item: -item[1]))


def instructions_of(operation: str) -> int:
    """How many instructions of this package an operation of `micro` executes for one promise."""

    def count(number: int) -> int:
        run = micro.PROGRAMS[operation]["promises"](number)
        run()
        return instructions_in(run).total()

    return round((count(10 + MORE) - count(10)) / MORE)


def calls(row: Row) -> int:
    """How many calls are made for a request: of this package's functions, and by them."""
    few, many = _for_two_sizes(row, _calls)
    return round((many - few) / MORE)


#: How many more requests there are in the second of two runs, in two waves each: what does not
#: depend on the number of requests falls out.
MORE = 40


def _for_two_sizes(row: Row, count: Callable[[Callable[[], object]], Any]) -> tuple[Any, Any]:
    # What runs for the first time runs otherwise.
    count(lambda: run(row, 10))
    return count(lambda: run(row, 10)), count(lambda: run(row, 10 + MORE // 2))


def instructions_in(function: Callable[[], object]) -> Counter[str]:
    """How many instructions of this package a call executes, by function."""
    executed: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return trace_inside

    def trace_inside(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            executed[frame.f_code.co_qualname] += 1
        return trace_inside

    previous = sys.gettrace()
    # CPython 3.12 looks whether any frame has asked for this when tracing starts, and not later.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(previous)
    return executed


def _calls(function: Callable[[], object]) -> int:
    made = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(PACKAGE):
            made += 1

    previous = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(previous)
    return made


def main() -> None:
    """Print what one request costs in each of the rows that run on the reactor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="names; all that use promises, if none is given")
    parser.add_argument("--functions", action="store_true", help="where the instructions are")
    options = parser.parse_args()
    names = options.rows or [
        name
        for name, row in BY_NAME.items()
        if row.loop == REACTOR and row.style in ("chain", "coroutine", "await")
    ]
    print(f"{'a request':24}{'objects':>10}{'calls':>10}{'instructions':>14}")
    for name in names:
        row = BY_NAME[name]
        print(f"{name:24}{objects(row):10}{calls(row):10}{instructions(row):14}")
        if options.functions:
            for function, executed in instructions_by_function(row).items():
                if executed >= 1:
                    print(f"    {function:44}{executed:10.0f}")


if __name__ == "__main__":
    main()
