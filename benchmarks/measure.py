"""The parts of a run: each measures in processes of their own, in turn, and returns figures."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from . import machine, micro
from .rows import Row

#: Requests that are enough to count the objects of one.
COUNTED = 200

#: How many promises there are as they grow.
SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:3]
#: Operations that grow; and how many promises a request of doxbee has, whose requests grow.
GROWING = ("create", "resolve", "then", "fanout", "all", "map", "adopt")
PROMISES_A_REQUEST = 10

#: Turns that a latency is the median of.
TURNS = 2_000


def say(line: str) -> None:
    """Print the progress."""
    print(line, file=sys.stderr, flush=True)


def requests(chosen: list[Row], options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of waves, bytes at their peak, and objects for each request."""
    measured: dict[str, Any] = {}
    for row in chosen:
        counted = machine.run_child(
            "child", row.name, "--count", "--requests", COUNTED, "--warm-ups", 1, "--waves", 1
        )
        say(f"{row.name}: {counted['objects']:.0f} objects a request")
        measured[row.name] = {"seconds": [], "collected": [], "memory": [], **counted}
    sizes = ["--requests", options.requests, "--warm-ups", options.warm_ups]
    for number in range(1, options.rounds + 1):
        for row in chosen:
            found = machine.run_child("child", row.name, *sizes, "--waves", options.waves)
            wave = sum(found["seconds"]) / len(found["seconds"])
            say(f"round {number}: {row.name}: {wave * 1000:.1f} ms a wave")
            for figure in ("seconds", "collected", "memory"):
                measured[row.name][figure].append(found[figure])
    return measured


def operations(chosen: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of single operations: by operation and library, one for each round."""
    measured: dict[str, Any] = {}
    for number in range(1, options.rounds + 1):
        for operation in chosen:
            libraries = micro.PROGRAMS.get(operation, dict.fromkeys(micro.WITH_LATENCY))
            for library in libraries:
                if library == "pypi" and not _has_pypi():
                    continue
                size = TURNS if operation == "latency" else micro.OPERATIONS[operation][1]
                repeat = max(1, 100_000 // size)
                found = machine.run_child(
                    "micro", operation, library, "--number", size, "--repeat", repeat
                )
                say(f"round {number}: {operation} {library}: {found * 1e9:.0f} ns")
                by_library = measured.setdefault(operation, {})
                by_library.setdefault(library, []).append(found)
    return measured


def sizes() -> dict[str, Any]:
    """Bytes of one promise: by library and state."""
    return {
        library: {
            state: machine.run_child("micro", "bytes", library, "--state", state)
            for state in micro.STATES
        }
        for library in micro.LIBRARIES
        if library != "pypi" or _has_pypi()
    }


def growth(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds and bytes for one promise, by operation, from few promises to many."""
    measured: dict[str, Any] = {}
    counts = QUICK_SIZES if options.quick else SIZES
    for size in counts:
        repeat = max(1, 200_000 // size)
        for operation in (*GROWING, "drain"):
            arguments = [operation, "promises", "--number", size]
            timed = [*arguments, "--repeat", repeat]
            found = {
                "seconds": machine.run_child("micro", *timed),
                "without collector": machine.run_child("micro", *timed, "--no-collector"),
            }
            if operation != "drain":
                found["bytes"] = machine.run_child("micro", *arguments, "--peak")
            _grow(measured, operation, size, found)
        count = size // PROMISES_A_REQUEST
        sizes = ["--requests", count, "--waves", min(repeat, 20)]
        wave = machine.run_child("child", "doxbee-chain", *sizes)
        each = sum(wave["seconds"]) / len(wave["seconds"]) / size
        _grow(measured, "doxbee", size, {"seconds": each, "bytes": wave["memory"] / size})
    return measured


def _grow(measured: dict[str, Any], operation: str, size: int, found: dict[str, float]) -> None:
    say(f"{operation} of {size}: {found['seconds'] * 1e9:.0f} ns a promise")
    by_figure = measured.setdefault(operation, {})
    for figure, value in found.items():
        by_figure.setdefault(figure, {})[str(size)] = value


def _has_pypi() -> bool:
    return machine.installed("promise")
