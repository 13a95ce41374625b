"""What a coroutine costs on asyncio's loop: `python -m benchmarks.tasks`.

The same coroutine is run by asyncio's own task, as our task, and as a coroutine of promises that
is no task (as on Twisted's other reactors): so many at once, each so many steps.  A step waits
for what the loop settles in its next turn.  The rows are run in turn, in one process, several
rounds, and compared as ratios within each round, of which the median counts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from twpromise import Promise
from twpromise.loops import LoopScheduler

#: How many coroutines are under way at once.
WIDTH = 200


class OffLoop(LoopScheduler):
    """Runs promises on a loop without saying so: coroutines are no tasks."""

    def event_loop(self) -> Any:
        """None."""


async def future_step(loop: asyncio.AbstractEventLoop) -> None:
    """Waits for a future."""
    future = loop.create_future()
    loop.call_soon(future.set_result, 1)
    await future


async def promise_step(loop: asyncio.AbstractEventLoop) -> None:
    """Waits for a promise."""
    await Promise(lambda resolve, _: loop.call_soon(resolve, 1))


Step = Callable[[asyncio.AbstractEventLoop], Awaitable[None]]


async def steps(step: Step, number: int) -> None:
    """The coroutine that is measured."""
    loop = asyncio.get_running_loop()
    for _ in range(number):
        await step(loop)


def in_tasks(step: Step, number: int) -> Any:
    """All of them by asyncio."""
    return asyncio.gather(*[steps(step, number) for _ in range(WIDTH)])


def in_promises(step: Step, number: int) -> Any:
    """All of them by promises."""
    done = asyncio.get_running_loop().create_future()
    # Not awaited: `OffLoop` does not say that promises run on this loop.
    every = Promise.all([steps(step, number) for _ in range(WIDTH)])
    every.then(done.set_result, done.set_exception)
    return done


#: What is awaited, who drives, and on which scheduler.
ROWS: dict[str, tuple[Step, Callable[[Step, int], Any], type[LoopScheduler]]] = {
    "a promise, no task": (promise_step, in_promises, OffLoop),
    "a promise, our task": (promise_step, in_promises, LoopScheduler),
    "a promise, asyncio's task": (promise_step, in_tasks, LoopScheduler),
    "a future, no task": (future_step, in_promises, OffLoop),
    "a future, our task": (future_step, in_promises, LoopScheduler),
    "a future, asyncio's task": (future_step, in_tasks, LoopScheduler),
}


async def seconds(name: str, number: int, repeat: int) -> float:
    """Processor's time of a step."""
    step, run, kind = ROWS[name]
    previous = Promise.set_scheduler(kind())
    try:
        await run(step, number)
        gc.collect()
        gc.disable()
        began = time.process_time()
        for _ in range(repeat):
            await run(step, number)
        return (time.process_time() - began) / repeat / number / WIDTH
    finally:
        gc.enable()
        Promise.set_scheduler(previous)


def main() -> None:
    """Run the rows in turn and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each row is run")
    parser.add_argument("--repeat", type=int, default=10, help="how many runs together")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {options.rounds} rounds, {WIDTH} coroutines at once")
    for number in (1, 10, 100):
        found: dict[str, list[float]] = {name: [] for name in ROWS}
        for _ in range(options.rounds):
            for name in ROWS:
                repeat = max(1, options.repeat * 20 // number)
                found[name].append(asyncio.run(seconds(name, number, repeat)))
        print(f"\n{f'coroutines of {number} steps':28}{'ns a step':>10}{'ratio':>8}{'spread':>14}")
        for name, mine in found.items():
            base = found[name.split(",")[0] + ", no task"]
            ratios = [a / b for a, b in zip(mine, base, strict=True)]
            spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
            print(f"{name:28}{median(mine) * 1e9:10.0f}{median(ratios):8.2f}{spread:>14}")


if __name__ == "__main__":
    main()
