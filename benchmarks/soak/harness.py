"""What the soaks share: the reactor, its turns, its log, and how figures are reported."""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from threading import get_ident
from typing import Any

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

REACTORS = ("default", "epoll", "select", "poll", "asyncio")

#: Seconds after which a soak that still runs is stuck: it says where, and the process ends.
STUCK = 1800


def parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """The options that each soak has."""
    arguments = argparse.ArgumentParser(
        prog=program,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("--quick", action="store_true", help="less of it: what the tests run")
    arguments.add_argument(
        "--reactor",
        choices=REACTORS,
        default=os.environ.get("TWPROMISE_TEST_REACTOR") or "default",
        help="default: what TWPROMISE_TEST_REACTOR says, or Twisted's own choice",
    )
    return arguments


def install(name: str) -> Any:
    """The reactor of that name, installed; "default" is what Twisted chooses."""
    if name == "asyncio":
        import asyncio

        from twisted.internet import asyncioreactor

        asyncioreactor.install(asyncio.new_event_loop())
    elif name != "default":
        import_module(f"twisted.internet.{name}reactor").install()
    from twisted.internet import reactor

    return reactor


def waited() -> float:
    """Seconds that the threads of this process have waited for a processor, where Linux tells.

    All of them: one may hold the interpreter lock meanwhile, for which the others wait.
    """
    seconds = 0.0
    for schedule in Path("/proc/self/task").glob("*/schedstat"):
        # A thread may end just now.
        with suppress(OSError):
            seconds += int(schedule.read_text().split()[1]) / 1e9
    return seconds


class Turns:
    """How long the reactor's turns are, as a timer feels it that is due all the time.

    Wall time includes what other threads and other processes take from this one; the time of
    the reactor's thread on the processor does not.  What is left of the former without the latter,
    and without the time in which threads waited for a processor, the thread was blocked: by a lock,
    Python's interpreter lock among them, or by a call that sleeps.
    """

    EVERY = 0.005

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._call: Any = None
        #: Seconds that the timer was late, at most; of the collector's pauses, the longest.
        self.worst = self.worst_pause = self.worst_pause_cpu = 0.0
        #: Seconds of the processor between two of its calls, at most, without the collector's.
        self.worst_cpu = 0.0
        #: Seconds that the thread was blocked between them, at most.
        self.worst_blocked = 0.0
        self.count = 0
        self._lates: list[float] = []
        self._paused = self._paused_cpu = self._collected_cpu = 0.0
        self._thread = 0

    def start(self) -> None:
        """Measure from now on; to be called on the reactor's thread."""
        self._thread = get_ident()
        self._waited = waited()
        gc.callbacks.append(self._collecting)
        self._again()

    def stop(self) -> None:
        """Leave no timer behind."""
        gc.callbacks.remove(self._collecting)
        self._call.cancel()

    def late(self, share: float) -> float:
        """What that share of all calls was late at most."""
        return sorted(self._lates)[int(share * (len(self._lates) - 1))]

    def _again(self) -> None:
        self._due = time.perf_counter() + self.EVERY
        self._cpu = time.thread_time()
        self._collected_cpu = 0.0
        self._call = self._reactor.callLater(self.EVERY, self._beat)

    def _beat(self) -> None:
        self.count += 1
        late = time.perf_counter() - self._due
        self._lates.append(late)
        self.worst = max(self.worst, late)
        cpu = time.thread_time() - self._cpu
        before, self._waited = self._waited, waited()
        self.worst_blocked = max(self.worst_blocked, late - cpu - max(self._waited - before, 0))
        self.worst_cpu = max(self.worst_cpu, cpu - self._collected_cpu)
        self._again()

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._paused, self._paused_cpu = time.perf_counter(), time.thread_time()
        else:
            self.worst_pause = max(self.worst_pause, time.perf_counter() - self._paused)
            cpu = time.thread_time() - self._paused_cpu
            self.worst_pause_cpu = max(self.worst_pause_cpu, cpu)
            if get_ident() == self._thread:
                self._collected_cpu += cpu

    def tell(self, soak: Soak) -> None:
        """Print what was measured."""
        soak.tell("turns measured", self.count)
        soak.tell("99 % of the turns, ms", round(1000 * self.late(0.99), 1))
        soak.tell("worst turn, ms", round(1000 * self.worst, 1))
        soak.tell("worst turn on the processor, ms", round(1000 * self.worst_cpu, 1))
        soak.tell("longest time blocked, ms", round(1000 * self.worst_blocked, 1))
        soak.tell("worst pause of the collector, ms", round(1000 * self.worst_pause, 1))
        soak.tell("worst of them on the processor, ms", round(1000 * self.worst_pause_cpu, 1))


class Soak:
    """One soak: its options, what it found, and whether its statement holds.

    Args:
        name: What it is called.
        description: For ``--help``: the statement.
    """

    def __init__(self, name: str, description: str | None) -> None:
        self._arguments = parser(f"python -m benchmarks.soak.{name}", description)
        self._name = name
        self.figures: dict[str, Any] = {}
        self.broken: list[str] = []
        #: What was logged at critical level, by anybody.
        self.reports: list[str] = []
        self.quick = False
        self.reactor: Any = None

    def run(self, main: Callable[[], object]) -> None:
        """Run *main* in the reactor until `end` is called, tell the figures, and exit."""
        options = self._arguments.parse_args()
        self.quick = options.quick
        faulthandler.dump_traceback_later(STUCK, exit=True)
        self.reactor = install(options.reactor)
        globalLogPublisher.addObserver(self._observe)
        self.tell("Python", platform.python_version())
        self.tell("Twisted", version("twisted"))
        self.tell("reactor", type(self.reactor).__name__)
        began = time.perf_counter()
        self.reactor.callWhenRunning(self._begin, main)
        self.reactor.run()
        # Only the collector may find a rejection that is not handled.
        gc.collect()
        self.tell("seconds", round(time.perf_counter() - began, 1))
        self.check("no unhandled report", self.reports[:3] == [])
        print(json.dumps({"soak": self._name, "broken": self.broken, **self.figures}))
        sys.exit(bool(self.broken))

    def _begin(self, main: Callable[[], object]) -> None:
        try:
            main()
        except BaseException:
            self.broken.append("the soak itself failed")
            self.end()
            raise

    def end(self) -> None:
        """All is done."""
        self.reactor.stop()

    def _observe(self, event: LogEvent) -> None:
        if event["log_level"] is LogLevel.critical:
            failure = event.get("log_failure")
            self.reports.append(f"{formatEvent(event)} {failure and failure.getTraceback()}")
            print(f"  REPORTED: {self.reports[-1]}", file=sys.stderr)

    def tell(self, what: str, figure: Any) -> None:
        """Print a figure."""
        self.figures[what] = figure
        number = f"{figure:,}" if isinstance(figure, int) else figure
        print(f"{self._name}: {what + ':':48} {number}", flush=True)

    def check(self, statement: str, holds: bool) -> None:
        """Print whether something holds that must."""
        print(f"{self._name}: {statement + ':':48} {'yes' if holds else 'NO'}", flush=True)
        if not holds:
            self.broken.append(statement)

    def check_turn(self, figure: str, milliseconds: float) -> None:
        """A worst turn must stay below a bound; in a quick soak it may be what it is."""
        if not self.quick:
            self.check(
                f"{figure} stays below {milliseconds:g}", self.figures[figure] < milliseconds
            )
