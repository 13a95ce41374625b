"""The end of the process: `twpromise._bridge.crash`, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent

from twpromise import Promise
from twpromise.testing import ManualScheduler

ROOT = Path(__file__).parents[2]

PROLOGUE = """
import sys
import warnings

warnings.simplefilter("error")

from twisted.internet import reactor
from twisted.logger import globalLogPublisher

from twpromise import Promise


def observe(event):
    if event.get("log_namespace") == "twpromise":
        print(event["log_level"].name, event["log_format"], event["log_failure"].value, flush=True)


globalLogPublisher.addObserver(observe)
reactor.addSystemEventTrigger("before", "shutdown", lambda: print("before shutdown"))
reactor.addSystemEventTrigger("after", "shutdown", lambda: print("after shutdown"))


def crash(text="fatal"):
    def release(_):
        raise ValueError(text)

    return Promise.using(Promise.resolve(1).disposer(release), lambda _: None)


"""
FATAL = "critical Fatal error in Promise: the process is going to end fatal"
SHUTDOWN = ["before shutdown", "after shutdown"]

# What a process does, and the lines that it prints.
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "a release that fails": (
        "reactor.callWhenRunning(crash)\nreactor.run()\nprint('ran')",
        [FATAL, *SHUTDOWN, "ran"],
    ),
    "done": (
        (
            "def start():\n"
            "    Promise.reject(ValueError('fatal')).done()\n"
            "reactor.callWhenRunning(start)\n"
            "reactor.run()\n"
        ),
        [FATAL, *SHUTDOWN],
    ),
    "a done handler that fails": (
        (
            "def handler(_):\n"
            "    raise ValueError('fatal')\n"
            "reactor.callWhenRunning(lambda: Promise.resolve(1).done(handler))\n"
            "reactor.run()\n"
        ),
        [FATAL, *SHUTDOWN],
    ),
    "before the reactor runs": (
        (
            "from twisted.internet.task import Clock\n"
            "from twpromise.testing import ManualScheduler\n"
            "scheduler = ManualScheduler()\n"
            "previous = Promise.set_scheduler(scheduler)\n"
            "crash()\n"
            "scheduler.flush()\n"
            "print('not yet')\n"
            "reactor.callWhenRunning(lambda: print('running'))\n"
            "reactor.run()\n"
        ),
        [FATAL, "not yet", "running", *SHUTDOWN],
    ),
    "the reactor never runs": (
        (
            "from twpromise.testing import ManualScheduler\n"
            "scheduler = ManualScheduler()\n"
            "Promise.set_scheduler(scheduler)\n"
            "crash()\n"
            "scheduler.flush()\n"
            "print('end')\n"
        ),
        [FATAL, "end"],
    ),
    "other code stops the reactor": (
        (
            "from twpromise.testing import ManualScheduler\n"
            "scheduler = ManualScheduler()\n"
            "Promise.set_scheduler(scheduler)\n"
            "reactor.callWhenRunning(reactor.stop)\n"
            "crash()\n"
            "scheduler.flush()\n"
            "reactor.run()\n"
        ),
        [FATAL, *SHUTDOWN],
    ),
    "while the reactor stops": (
        (
            "reactor.callWhenRunning(reactor.stop)\n"
            "trigger = lambda: crash().to_deferred()\n"
            "reactor.addSystemEventTrigger('before', 'shutdown', trigger)\n"
            "reactor.run()\n"
        ),
        ["before shutdown", FATAL, "after shutdown"],
    ),
    "twice": (
        "reactor.callWhenRunning(crash)\nreactor.callWhenRunning(crash)\nreactor.run()\n",
        [FATAL, FATAL, *SHUTDOWN],
    ),
    "an exit status of its own": (
        "reactor.callWhenRunning(crash)\nreactor.run()\nsys.exit(0)\n",
        [FATAL, *SHUTDOWN],
    ),
    "buffers that are not flushed yet": (
        (
            "import logging\n"
            "from logging.handlers import MemoryHandler\n"
            "handler = MemoryHandler(100, target=logging.StreamHandler(sys.stdout))\n"
            "logging.getLogger().addHandler(handler)\n"
            "logging.getLogger().warning('logged')\n"
            "reactor.callWhenRunning(crash)\n"
            "reactor.run()\n"
            "sys.stdout.write('written\\n')\n"
        ),
        [FATAL, *SHUTDOWN, "written", "logged"],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_crash(name: str) -> None:
    """Logged at critical level, the reactor stopped in order, and exit status 2 in any case."""
    program, expected = PROGRAMS[name]
    process = subprocess.run(
        [sys.executable, "-c", PROLOGUE + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (expected, 2) == (process.stdout.splitlines(), process.returncode), process.stderr


@pytest.fixture
def fatal() -> Any:
    """The reasons that the fatal hook was called with."""
    notified: list[Any] = []
    yield notified
    Promise.on_fatal(None)


def test_hook(scheduler: ManualScheduler, fatal: list[Any]) -> None:
    """A hook is called instead, with the reason itself."""
    Promise.on_fatal(fatal.append)
    error = ValueError()
    Promise.reject(error).done()
    Promise.reject("odd").done()
    scheduler.flush()
    assert [error, "odd"] == fatal


def test_hook_of_a_library_copy(scheduler: ManualScheduler, fatal: list[Any]) -> None:
    """Each library copy has its own."""
    copy = Promise.get_new_library_copy()
    copy.on_fatal(lambda reason: fatal.append(("copy", reason)))
    Promise.on_fatal(lambda reason: fatal.append(("own", reason)))
    copy.reject("one").done()
    Promise.reject("two").done()
    scheduler.flush()
    assert [("copy", "one"), ("own", "two")] == fatal


def test_hook_that_raises(
    scheduler: ManualScheduler, fatal: list[Any], reports: list[LogEvent]
) -> None:
    """The error of a hook is logged, and the other resources are released."""

    def hook(reason: Any) -> None:
        fatal.append(reason)
        raise KeyError(reason)

    def release(name: str) -> None:
        released.append(name)
        raise ValueError(name)

    released: list[str] = []
    Promise.on_fatal(hook)
    resources = [Promise.resolve(name).disposer(release) for name in "ab"]
    promise = Promise.using(resources, "".join)
    scheduler.flush()
    assert ("ab", ["a", "b"], 2) == (promise.value(), released, len(fatal))
    assert [KeyError, KeyError] == [event["log_failure"].type for event in reports]


@pytest.mark.parametrize("wrong", [5, "name"])
def test_no_hook(wrong: Any) -> None:
    """Something that cannot be called is refused."""
    with pytest.raises(TypeError, match="handler must be callable or None, not"):
        Promise.on_fatal(wrong)


def test_without_standard_streams():
    """The exit status is the same where nothing can be written out any more."""
    program = (
        "globalLogPublisher.removeObserver(observe)\n"
        "reactor.callWhenRunning(crash)\n"
        "reactor.callWhenRunning(sys.stdout.close)\n"
        "reactor.run()\n"
        "sys.stderr = None\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", PROLOGUE + program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert 2 == process.returncode
