"""The quick soaks of `benchmarks.soak`: what they count is strict, and nothing is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.exhaustive

ROOT = Path(__file__).parents[2]


def execute(*arguments):
    """A module of the checkout, run as a program; it is not measured for coverage."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def run(name):
    """The figures of a quick soak, whose statement holds."""
    process = execute(f"benchmarks.soak.{name}", "--quick")
    assert 0 == process.returncode, process.stdout + process.stderr
    figures = json.loads(process.stdout.splitlines()[-1])
    assert [] == figures["broken"]
    return figures


def test_threads():
    """What eight threads settle while cancellations race them settles once, and all of it."""
    figures = run("threads")
    outcomes = [figures[f"outcomes: {outcome}"] for outcome in ("value", "reason", "cancelled")]
    assert (20_000, 8) == (sum(outcomes), figures["threads"])
    # Else there was no race.
    assert all(outcomes)
    # And only threads woke those.
    assert (300, 0) == (
        figures["lulls in which only threads settle"],
        figures["promises of which no handler was woken"],
    )


def test_memory():
    """A hundred thousand promises of all kinds leave nothing behind, nor anything to collect."""
    figures = run("memory")
    assert 100_000 <= figures["promises"]
    assert 0 == figures["objects that the collector freed"]


def test_load():
    """Under load, with faults on all sides, all are answered, and all is given back."""
    figures = run("load")
    assert 1_000 == figures["requests"]
    # Those that do not depend on how many requests get to the upstream.
    assert 50 <= figures["faults injected"]


def test_fairness():
    """Whatever runs without an end, timers, sockets, signals, processes and threads are served."""
    figures = run("fairness")
    kinds = ("a timer", "a socket", "a signal", "a process", "a thread")
    assert all(figures[f"served: {kind}"] >= 3 * 12 for kind in kinds)


@pytest.mark.parametrize("arguments", [["absent"], ["--reactor", "absent"]], ids=" ".join)
def test_what_there_is_not(arguments):
    """A soak or a reactor that there is not is an error, and nothing runs."""
    process = execute("benchmarks.soak", *arguments)
    assert (2, "") == (process.returncode, process.stdout)
    assert "absent" in process.stderr
