"""How long the inspector blocks the reactor: `python -m benchmarks.inspector`.

So many promises are pending, of each of several kinds in turn; each function of
`twpromise.debugging` is called a few times, and the fastest and the slowest call are printed.
Beside it stands what tracking costs: memory, for a promise that is pending.
"""

from __future__ import annotations

import argparse
import gc
import io
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from twpromise import Promise
from twpromise.debugging import dump, pending, snapshot
from twpromise.testing import ManualScheduler


async def coroutine() -> None:
    """Waits for a Deferred."""
    await Deferred()


#: What is pending; each makes one promise.
KINDS: dict[str, Callable[[], Any]] = {
    "resolvers": Promise.defer,
    "timers": lambda: Promise.delay(60),
    "Deferreds": lambda: Promise.from_deferred(Deferred()),
    "coroutines": lambda: Promise.resolve(coroutine()),
}

#: What is called.
CALLS: dict[str, Callable[[], Any]] = {
    "pending()": pending,
    "pending(limit=1000)": lambda: pending(limit=1000),
    "snapshot()": snapshot,
    "dump(file)": lambda: dump(io.StringIO()),
}


def milliseconds(function: Callable[[], Any], times: int) -> tuple[float, float]:
    """The fastest and the slowest of some calls."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken), max(taken)


def memory(tracking: bool, number: int) -> float:
    """Bytes for a derived promise that is pending."""
    Promise.config(tracking=tracking)
    source = Promise.defer().promise
    gc.collect()
    tracemalloc.start()
    kept = [source.then() for _ in range(number)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    Promise.config(tracking=False)
    assert number == len(kept)
    return size / number


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--promises", type=int, default=100_000, help="how many are pending")
    parser.add_argument("--times", type=int, default=5, help="how often each call is made")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {options.promises} pending promises; milliseconds\n")
    with ManualScheduler() as scheduler:
        for kind, make in KINDS.items():
            kept = [make() for _ in range(options.promises)]
            scheduler.flush()
            gc.collect()
            objects = len(gc.get_objects())
            print(f"{kind} ({objects} objects in the process)")
            for name, function in CALLS.items():
                low, high = milliseconds(function, options.times)
                print(f"  {name:22}{low:8.1f} - {high:.1f}")
            del kept
            scheduler.clock.calls.clear()
            gc.collect()
        without, with_ = (memory(on, options.promises) for on in (False, True))
    print(f"\ntracking: {with_ - without:.0f} bytes for a promise, which takes {without:.0f}")


if __name__ == "__main__":
    main()
