"""One row in a process of its own: `python -m benchmarks.child NAME`; prints JSON.

Every wave is so many requests at once.  What is measured is the processor's time of each wave
after the first few, from the start of its first request until the turn after the end of its last
one; and the peak of resident memory, over what was resident before the first wave.

With `--count`, a wave is stopped whenever all of its requests wait for the database, and the
objects are counted that the garbage collector knows of: what a collection has to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from .database import Database, DeferredDatabase, Transaction
from .request import STEPS, Score
from .rows import BY_NAME, REACTOR, UVLOOP, Row


def resident(field: str) -> int:
    """Bytes of resident memory: now (`VmRSS`), or at its peak (`VmHWM`)."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    # The peak only, and on some systems that of the parent, if it was higher.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Counter:
    """Lets the database answer when all requests wait for it, and counts objects then."""

    #: Turns of the loop that must pass before what is over is surely over.
    SETTLE = 5

    def __init__(self, width: int) -> None:
        self.active = False
        self.before = 0
        self.most = 0
        self.score: Score | None = None
        self._width = width
        self._ready = 0

    def may_answer(self, waiting: int) -> bool:
        """Whether all requests wait."""
        assert self.score is not None
        if waiting not in (self.score.left, self.score.left * self._width):
            return False
        self._ready += 1
        if self._ready < self.SETTLE:
            return False
        self._ready = 0
        if self.active:
            gc.collect()
            self.most = max(self.most, len(gc.get_objects()) - self.before)
        return True


class Collections:
    """Adds up how long garbage collections take; a collection is long beside its two calls."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        """What `gc.callbacks` calls."""
        if phase == "start":
            self._began = time.process_time()
        else:
            self.seconds += time.process_time() - self._began


class Waves:
    """Runs waves of requests, one after the other, on a loop that is running.

    Args:
        row: Which requests.
        requests: How many in a wave.
        warm_ups: Waves that are not measured.
        waves: Waves that are.
        call_later: The loop's.
        finished: Called at the end.
        count: Whether to count objects instead of time.
    """

    def __init__(
        self,
        row: Row,
        requests: int,
        warm_ups: int,
        waves: int,
        call_later: Callable[..., object],
        finished: Callable[[], object],
        count: bool,
    ) -> None:
        self._row = row
        self._requests = requests
        self._left = warm_ups + waves
        self._waves = waves
        self._call_later = call_later
        self._finished = finished
        self._counter = Counter(row.width) if count else None
        may_answer = self._counter.may_answer if self._counter is not None else None
        kind = DeferredDatabase if row.over_deferreds else Database
        # A query a turn is about the turns: no time is spent on waiting.
        delay = {"delay": 0.0} if row.one_by_one else {}
        self.database = kind(call_later, may_answer, **delay)
        self.score = Score(self.database)
        if self._counter is not None:
            self._counter.score = self.score
        module, make = row.load()
        query = self.database.query if row.over_deferreds else module.adapt(self.database)
        self._start = make(query, self.score)
        self.seconds: list[float] = []
        self._collections = Collections()
        #: Seconds of these that the garbage collector took.
        self.collected = 0.0

    def begin(self) -> None:
        """Begin the next wave, or come to the end."""
        if not self._left:
            gc.callbacks.remove(self._collections)
            gc.enable()
            self._finished()
            return
        if self._left == self._waves:
            gc.collect()
            if self._counter is not None:
                gc.disable()
                self._counter.active = True
                self._counter.before = len(gc.get_objects())
            gc.callbacks.append(self._collections)
        self._left -= 1
        self._collections.seconds = 0.0
        requests = self._requests
        if self._row.one_by_one:
            self._began = time.process_time()
            self._singles = requests
            self._next()
            return
        transactions = [Transaction(self._fails_at(number)) for number in range(requests)]
        start = self._start
        self._began = time.process_time()
        self.score.begin(requests, self._ended)
        for transaction in transactions:
            start(transaction)

    def _next(self) -> None:
        if not self._singles:
            self._measure()
            return
        self._singles -= 1
        self.score.begin(1, lambda: self._call_later(0, self._next))
        self._start(Transaction())

    def _ended(self) -> None:
        self._call_later(0, self._measure)

    def _measure(self) -> None:
        seconds = time.process_time() - self._began
        if self._left < self._waves:
            self.seconds.append(seconds)
            self.collected += self._collections.seconds
        self._call_later(0, self.begin)

    def _fails_at(self, number: int) -> int:
        """Every tenth request fails, each time at another step."""
        return 1 + number // 10 % STEPS if self._row.fails and not number % 10 else 0

    def check(self, waves: int) -> None:
        """See that every request has ended as it should, after all its queries."""
        row, score, database = self._row, self.score, self.database
        numbers = range(self._requests)
        failing = [self._fails_at(number) for number in numbers if self._fails_at(number)]
        good = self._requests - len(failing)
        expected = (waves * good, waves * len(failing), [], waves * len(failing))
        found = (score.completed_right, score.failed_right, score.wrong, database.rolled_back)
        if found != expected:
            raise AssertionError(f"{row.name}: {found} instead of {expected}")
        queries = waves * (good * row.queries + sum(failing))
        if database.answered != queries:
            raise AssertionError(f"{row.name}: {database.answered} queries instead of {queries}")

    def objects(self) -> float:
        """How many objects a request has kept alive."""
        assert self._counter is not None
        return self._counter.most / self._requests


def run(row: Row, requests: int, warm_ups: int, waves: int, count: bool) -> dict[str, Any]:
    """Run waves of a row's requests in this process; what was measured."""
    before = 0
    runner: Any = None

    def begin(call_later: Callable[..., object], finished: Callable[[], object]) -> None:
        nonlocal before, runner
        runner = Waves(row, requests, warm_ups, waves, call_later, finished, count)
        gc.collect()
        before = resident("VmRSS")
        runner.begin()

    if row.loop == REACTOR:
        from twisted.internet import reactor

        reactor.callWhenRunning(begin, reactor.callLater, reactor.stop)
        reactor.run()
    else:

        async def main() -> None:
            loop = asyncio.get_running_loop()
            end = loop.create_future()
            begin(loop.call_later, lambda: end.set_result(None))
            await end

        if row.loop == UVLOOP:
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
                loop_runner.run(main())
        else:
            asyncio.run(main())
    peak = resident("VmHWM")
    runner.check(warm_ups + waves)
    if count:
        return {"objects": runner.objects()}
    return {"seconds": runner.seconds, "collected": runner.collected, "memory": peak - before}


def main() -> None:
    """Run one row and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=sorted(BY_NAME))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--warm-ups", type=int, default=2)
    parser.add_argument("--waves", type=int, default=4)
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args()
    row = BY_NAME[options.row]
    result = run(row, options.requests, options.warm_ups, options.waves, options.count)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
