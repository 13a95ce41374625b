"""Requests without a reactor, and what they cost in steps instead of seconds.

On a clock that is moved by hand nothing depends on how fast the machine is: objects, calls and
instructions are the same in every run, so that a test can hold them to a limit.

    python -m benchmarks.by_hand [NAME ...]   # prints them
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import twpromise
from twpromise import Promise
from twpromise.testing import ManualScheduler

from .child import Waves
from .database import DELAY
from .rows import BY_NAME, REACTOR, Row

PACKAGE = str(Path(twpromise.__file__).parent)


def run(row: Row, requests: int, *, count: bool = False) -> Waves:
    """Run a wave, and one before it, on a clock by hand; every request is checked."""
    scheduler = ManualScheduler()
    previous = Promise.set_scheduler(scheduler)
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
    return _for_one_request(row, _instructions)


def calls(row: Row) -> int:
    """How many calls are made for a request: of this package's functions, and by them."""
    return _for_one_request(row, _calls)


def _for_one_request(row: Row, count: Callable[[Callable[[], object]], int]) -> int:
    # What runs for the first time runs otherwise.
    count(lambda: run(row, 10))
    few, many = count(lambda: run(row, 10)), count(lambda: run(row, 30))
    # Two waves each; what does not depend on the number of requests falls out.
    return round((many - few) / 40)


def _instructions(function: Callable[[], object]) -> int:
    executed = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return trace_inside

    def trace_inside(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal executed
        executed += event == "opcode"
        return trace_inside

    previous = sys.gettrace()
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
    names = parser.parse_args().rows or [
        name
        for name, row in BY_NAME.items()
        if row.loop == REACTOR and row.style in ("chain", "coroutine", "await")
    ]
    print(f"{'a request':24}{'objects':>10}{'calls':>10}{'instructions':>14}")
    for name in names:
        row = BY_NAME[name]
        print(f"{name:24}{objects(row):10}{calls(row):10}{instructions(row):14}")


if __name__ == "__main__":
    main()
