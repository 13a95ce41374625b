"""How long the inspector blocks the reactor: `python -m benchmarks.inspector`.

So many promises are pending, of each of several kinds in turn, in a process of its own; each
function of `twpromise.debugging` is called a few times, and the fastest and the slowest call are
printed: the processor's time, since other processes of the machine are not its fault.
Beside it stands what tracking costs: memory, for a promise that is pending.
"""

from __future__ import annotations

import argparse
import gc
import io
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.web.http import Request
from twisted.web.test.requesthelper import DummyChannel

from twpromise import Promise
from twpromise.debugging import InspectorResource, dump, pending, snapshot, tree
from twpromise.testing import ManualScheduler


async def coroutine() -> None:
    """Waits for a Deferred."""
    await Deferred()


def chain(number: int) -> Any:
    """Each promise waits for the one before."""
    promise = Promise.defer().promise
    for _ in range(number):
        promise = promise.then(str)
    return promise


#: What is pending, of so many promises.
KINDS: dict[str, Callable[[int], Any]] = {
    "resolvers": lambda number: [Promise.defer() for _ in range(number)],
    "timers": lambda number: [Promise.delay(60) for _ in range(number)],
    "Deferreds": lambda number: [Promise.from_deferred(Deferred()) for _ in range(number)],
    "coroutines": lambda number: [Promise.resolve(coroutine()) for _ in range(number)],
    "all": lambda number: Promise.all([Promise.defer().promise for _ in range(number)]),
    "chain": chain,
    "resolvers, and ten times as many other objects": lambda number: (
        [Promise.defer() for _ in range(number)],
        [[[]] for _ in range(5 * number)],
    ),
}


def page(path: bytes) -> Callable[[], Any]:
    """Asks for a part of the page."""
    resource = InspectorResource()

    channel: Any = DummyChannel()

    def ask() -> None:
        request: Any = Request(channel, False)
        request.client = IPv4Address("TCP", "127.0.0.1", 1)
        request.requestHeaders.setRawHeaders(b"host", [b"localhost"])
        request.method = b"GET"
        request.prepath, request.postpath = [], [path]
        assert len(resource.render(request)) > 200

    return ask


#: What is called.
CALLS: dict[str, Callable[[], Any]] = {
    "pending()": pending,
    "pending(limit=1000)": lambda: pending(limit=1000),
    "snapshot()": snapshot,
    "dump(file)": lambda: dump(io.StringIO()),
    "tree(promise)": lambda: tree(Promise.defer().promise),
    "Promise.statistics()": Promise.statistics,
    "page: snapshot.json": page(b"snapshot.json"),
    "page: dump": page(b"dump"),
}


def milliseconds(function: Callable[[], Any], times: int) -> tuple[float, float]:
    """The fastest and the slowest of some calls."""
    taken = []
    for _ in range(times):
        began = time.thread_time()
        function()
        taken.append((time.thread_time() - began) * 1000)
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
    parser.add_argument("--kind", choices=[*KINDS, "memory"], help="one of them alone")
    options = parser.parse_args()
    if options.kind is None:
        print(f"Python {sys.version.split()[0]}, {options.promises} promises; milliseconds\n")
        for kind in (*KINDS, "memory"):
            arguments = ["--kind", kind, "--promises", options.promises, "--times", options.times]
            command = [sys.executable, "-m", "benchmarks.inspector", *map(str, arguments)]
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return
    with ManualScheduler() as scheduler:
        if options.kind == "memory":
            without, with_ = (memory(on, options.promises) for on in (False, True))
            print(f"tracking: {with_ - without:.0f} bytes for a promise, which takes {without:.0f}")
            return
        kept = KINDS[options.kind](options.promises)
        scheduler.flush()
        gc.collect()
        print(f"{options.kind} ({len(gc.get_objects())} objects in the process)")
        for name, function in CALLS.items():
            low, high = milliseconds(function, options.times)
            print(f"  {name:22}{low:8.1f} - {high:.1f}")
        del kept


if __name__ == "__main__":
    main()
