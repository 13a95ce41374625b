"""What `twpromise.install` costs Twisted, and what a promise costs beside its Deferred.

    python -m benchmarks.installed [--rounds N]

Processes with `install` and without take turns; the best time of each row counts, as a ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred, inlineCallbacks, succeed

from twpromise import Promise
from twpromise.testing import ManualScheduler

FIRED = succeed(None)


def callbacks() -> None:
    """Three callbacks, and then the result."""
    deferred: Deferred[int] = Deferred()
    for _ in range(3):
        deferred.addCallback(lambda value: value)
    deferred.callback(1)


def returned() -> None:
    """A callback returns a Deferred."""
    succeed(1).addCallback(lambda _: succeed(2))


@inlineCallbacks
def yields() -> Any:
    """Five Deferreds that have fired."""
    for _ in range(5):
        yield FIRED


async def _coroutine() -> None:
    await FIRED


OF_TWISTED: dict[str, Callable[[], object]] = {
    "three callbacks": callbacks,
    "a callback returns a Deferred": returned,
    "inlineCallbacks, five yields": yields,
    "a coroutine": lambda: defer.ensureDeferred(_coroutine()),
    "maybeDeferred": lambda: defer.maybeDeferred(int),
    "DeferredLock.run": lambda: defer.DeferredLock().run(int),
    "DeferredList of five": lambda: defer.DeferredList([succeed(1) for _ in range(5)]),
}


@inlineCallbacks
def _each(items: list[Any]) -> Any:
    for item in items:
        _ = yield item


@inlineCallbacks
def _each_as_deferred(items: list[Any]) -> Any:
    for item in items:
        yield item.to_deferred()


def best(function: Callable[[], object], times: int = 2000, repeats: int = 15) -> float:
    """Seconds that a call takes."""
    fastest = float("inf")
    for _ in range(repeats):
        began = process_time()
        for _ in range(times):
            function()
        fastest = min(fastest, process_time() - began)
    return fastest / times


def of_promises() -> dict[str, float]:
    """Ratios of `yield promise` to `yield promise.to_deferred()`."""
    scheduler = ManualScheduler()
    Promise.set_scheduler(scheduler)

    def settled(wait: Callable[[list[Any]], object]) -> None:
        wait([Promise.resolve(1) for _ in range(100)])

    def pending(wait: Callable[[list[Any]], object]) -> None:
        resolvers = [Promise.defer() for _ in range(100)]
        wait([resolver.promise for resolver in resolvers])
        for resolver in resolvers:
            resolver.resolve(1)
        scheduler.flush()

    return {
        f"yield promise, {run.__name__}": best(lambda run=run: run(_each), 20, 60)
        / best(lambda run=run: run(_each_as_deferred), 20, 60)
        for run in (settled, pending)
    }


def measure() -> None:
    """Print what this process measures, as JSON."""
    times = {name: best(function) for name, function in OF_TWISTED.items()}
    ratios = of_promises() if os.environ.get("TWPROMISE_INSTALL") == "1" else {}
    print(json.dumps([times, ratios]))


def main() -> None:
    """Run the processes, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure()
        return
    fastest: dict[tuple[str, str], float] = {}
    shown: dict[str, float] = {}
    for _ in range(options.rounds):
        for install in ("0", "1"):
            output = subprocess.check_output(
                [sys.executable, "-m", "benchmarks.installed", "--measure"],
                env=os.environ | {"TWPROMISE_INSTALL": install},
            )
            times, ratios = json.loads(output)
            for name, seconds in times.items():
                key = name, install
                fastest[key] = min(seconds, fastest.get(key, seconds))
            for name, ratio in ratios.items():
                shown[name] = min(ratio, shown.get(name, ratio))
    for name in OF_TWISTED:
        print(
            f"{name:32} {fastest[name, '1'] / fastest[name, '0']:.2f} of the time without install"
        )
    for name, ratio in shown.items():
        print(f"{name:32} {ratio:.2f} of the time of yield promise.to_deferred()")


if __name__ == "__main__":
    main()
