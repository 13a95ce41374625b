"""What `Limiter` costs beside `DeferredSemaphore`, and `batch` beside calls one by one.

    python -m benchmarks.services [--rounds N]

Both sides of a row take turns in one process; the best time of each counts, as a ratio.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, ensureDeferred

from twpromise import Limiter, Promise, batch
from twpromise.testing import ManualScheduler

scheduler = ManualScheduler()

#: How many calls a measurement makes.
CALLS = 1000
#: How many of them may run at once.
SIZE = 10


class Work:
    """Functions that give Deferreds, each fired when the next ones have begun."""

    def __init__(self) -> None:
        self._begun: list[Deferred[None]] = []

    def begin(self) -> Deferred[None]:
        """Begin something."""
        deferred: Deferred[None] = Deferred()
        self._begun.append(deferred)
        return deferred

    def end_all(self) -> None:
        """End what has begun, and what begins by that."""
        scheduler.flush()
        while self._begun:
            begun, self._begun = self._begun, []
            for deferred in begun:
                deferred.callback(None)
            scheduler.flush()


def free_slots(cap: Any) -> None:
    """Functions that end at once."""
    for _ in range(CALLS):
        cap.run(int)
    scheduler.flush()


def slots_in_turn(cap: Any) -> None:
    """Deferreds that fire later, one at a time."""
    work = Work()
    for _ in range(CALLS):
        cap.run(work.begin)
        work.end_all()


def queued(cap: Any) -> None:
    """All calls at once: most of them wait."""
    work = Work()
    for _ in range(CALLS):
        cap.run(work.begin)
    work.end_all()


async def _blocks_of_limiter(cap: Limiter) -> None:
    for _ in range(CALLS):
        async with cap:
            pass


async def _blocks_of_semaphore(cap: DeferredSemaphore) -> None:
    for _ in range(CALLS):
        await cap.acquire()
        try:
            pass
        finally:
            cap.release()


def blocks(cap: Any) -> None:
    """A block in a coroutine, with a slot that is free."""
    if isinstance(cap, Limiter):
        Promise.resolve(_blocks_of_limiter(cap))
    else:
        ensureDeferred(_blocks_of_semaphore(cap))
    scheduler.flush()


#: A database in a file, for rows that are inserted one by one, or many by one transaction.
folder = TemporaryDirectory()
database = sqlite3.connect(Path(folder.name, "benchmark.sqlite"))
database.execute("pragma synchronous = off")
database.execute("create table event (id integer)")


def insert_one(item: int) -> None:
    """Insert one row."""
    database.execute("insert into event values (?)", (item,))
    database.commit()


def insert_all(items: list[int]) -> list[None]:
    """Insert many."""
    database.executemany("insert into event values (?)", [(item,) for item in items])
    database.commit()
    return [None] * len(items)


def calls_of(function: Callable[[int], Promise[Any]]) -> None:
    """A call for each item, all of them concurrent."""
    promises = [function(item) for item in range(CALLS)]
    scheduler.advance(1)
    assert all(promise.is_fulfilled() for promise in promises)


def one_by_one(function: Callable[[int], Any]) -> None:
    """`calls_of` without a batch."""
    calls_of(Promise.method(function))


def batched(function: Callable[[list[int]], list[Any]]) -> None:
    """`calls_of` with a batch."""
    calls_of(batch(function, size=100))


#: By name: what is measured, and what it is compared with.
ROWS: dict[str, tuple[Callable[[], object], Callable[[], object], str]] = {
    **{
        f"Limiter, {name}": (
            lambda use=use: use(Limiter(SIZE)),  # type: ignore[misc]
            lambda use=use: use(DeferredSemaphore(SIZE)),  # type: ignore[misc]
            "DeferredSemaphore",
        )
        for name, use in {
            "calls that end at once": free_slots,
            "calls in turn": slots_in_turn,
            "calls that wait": queued,
            "async with": blocks,
        }.items()
    },
    "batch, of rows that are inserted": (
        lambda: batched(insert_all),
        lambda: one_by_one(insert_one),
        "a transaction for each",
    ),
    "batch, of nothing": (
        lambda: batched(lambda items: items),
        lambda: one_by_one(lambda item: item),
        "a call for each",
    ),
}


def _time(function: Callable[[], object]) -> float:
    began = process_time()
    function()
    return process_time() - began


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds that both sides of each row take."""
    previous = Promise.set_scheduler(scheduler)
    try:
        return {
            name: (
                min(times := [(_time(function), _time(other)) for _ in range(rounds)])[0],
                min(each for _, each in times),
            )
            for name, (function, other, _) in ROWS.items()
        }
    finally:
        Promise.set_scheduler(previous)


def main() -> None:
    """Print the ratios, and the time of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    for name, (seconds, others) in measure(parser.parse_args().rounds).items():
        print(
            f"{name:36} {1e6 * seconds / CALLS:6.2f} µs a call, "
            f"{seconds / others:5.2f} of the time of {ROWS[name][2]}"
        )


if __name__ == "__main__":
    main()
