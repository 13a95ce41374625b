"""What `PromiseGroup` costs beside `asyncio.TaskGroup`, on the same loop.

    python -m benchmarks.groups [--members N]

Both take turns; the best time of each row counts, and is printed as microseconds a member.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from time import process_time

from twpromise import Promise, PromiseGroup
from twpromise.loops import use_running_loop

ROUNDS = 7


async def nothing() -> None:
    """A member that waits for nothing."""


async def turn() -> None:
    """A member that waits for a turn of the loop."""
    await asyncio.sleep(0)


async def fail() -> None:
    """A member that fails in the next turn."""
    await asyncio.sleep(0)
    raise LookupError


async def task_group(members: int, member: Callable[[], Awaitable[None]], last: bool) -> None:
    """With asyncio's class; if *last*, the last member fails and cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(members):
                group.create_task(asyncio.sleep(60) if last else member())  # type: ignore[arg-type]
            if last:
                group.create_task(fail())
    except* LookupError:
        pass


async def promise_group(members: int, member: Callable[[], Awaitable[None]], last: bool) -> None:
    """The same with this library's."""
    try:
        async with PromiseGroup() as group:
            for _ in range(members):
                if last:
                    group.start_soon(asyncio.sleep, 60)
                else:
                    group.start_soon(member)
            if last:
                group.start_soon(fail)
    except LookupError:
        pass


ROWS = {
    "functions that return": (nothing, False),
    "one turn of the loop": (turn, False),
    "one fails, all are cancelled": (turn, True),
}


async def measure(members: int) -> None:
    """Print a row for each kind of member."""
    async with use_running_loop(Promise):
        for name, (member, last) in ROWS.items():
            best = []
            for run in (task_group, promise_group):
                times = []
                for _ in range(ROUNDS):
                    began = process_time()
                    await run(members, member, last)
                    times.append(process_time() - began)
                best.append(min(times) / members * 1e6)
            print(f"{name:30} TaskGroup {best[0]:6.1f} us   PromiseGroup {best[1]:6.1f} us")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=10_000)
    asyncio.run(measure(parser.parse_args().members))


if __name__ == "__main__":
    main()
