"""Failures without a caller, and `exit_process`, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.outcomes import frames
from tests.support.processes import run_python
from twpromise import Promise
from twpromise.testing import ManualScheduler

ROOT = Path(__file__).parents[2]

PROLOGUE = """
import sys
import warnings

warnings.simplefilter("error")

from twisted.internet import reactor
from twisted.logger import globalLogPublisher

from twpromise import Promise, exit_process

Promise.on_fatal(exit_process)


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
    "a loop of asyncio's, and no reactor": (
        (
            "import asyncio\n"
            "from twpromise.loops import use_running_loop\n"
            "async def main():\n"
            "    try:\n"
            "        async with use_running_loop():\n"
            "            crash()\n"
            "            await asyncio.sleep(600)\n"
            "    finally:\n"
            "        print('cleaned up')\n"
            "asyncio.run(main())\n"
        ),
        [FATAL, "cleaned up"],
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
def test_exit_process(name: str) -> None:
    """Logged at critical level, the reactor stopped in order, and exit status 2 in any case.

    The last line of standard error says why.
    """
    program, expected = PROGRAMS[name]
    process = run_python("-c", PROLOGUE + program)
    assert (expected, 2) == (process.stdout.splitlines(), process.returncode), process.stderr
    assert (
        "twpromise: exit status 2, because of a fatal error in a promise: ValueError('fatal')"
    ) == process.stderr.splitlines()[-1]


def test_exit_process_logs_where_it_was_raised() -> None:
    """With the traceback that the promise was rejected with."""
    program = "globalLogPublisher.removeObserver(observe)\nreactor.callWhenRunning(crash)\n"
    assert " in release\n" in run_python("-c", f"{PROLOGUE}{program}reactor.run()\n").stderr


@pytest.mark.parametrize(
    "program",
    [
        "reactor.callWhenRunning(crash)\n",
        "reactor.callWhenRunning(lambda: Promise.reject(ValueError('fatal')).done())\n",
    ],
    ids=["a release that fails", "done"],
)
def test_the_process_goes_on(program: str) -> None:
    """Unless a hook is set, the failure is logged at critical level, and that is all."""
    process = run_python(
        "-c",
        f"{PROLOGUE}Promise.on_fatal()\n{program}"
        "Promise.delay(0.01).then(lambda _: reactor.stop())\nreactor.run()\n",
    )
    line = "critical Fatal error in Promise: a release failed, or done() got a rejection fatal"
    assert (0, [line, *SHUTDOWN]) == (process.returncode, process.stdout.splitlines())


class TestTrial(SynchronousTestCase):
    """Under trial a fatal failure fails the test that it belongs to, and not the process."""

    def test_it_is_a_logged_error(self) -> None:
        """So the test fails, unless it flushes the error."""
        with ManualScheduler():
            Promise.reject(ValueError("fatal")).done()
        assert 1 == len(self.flushLoggedErrors(ValueError))


def test_the_hook_gets_the_traceback(scheduler: ManualScheduler, fatal: list[Any]) -> None:
    """The one that the reason was rejected with, whatever was done with it meanwhile."""

    def handler(_: object) -> None:
        raise ValueError

    Promise.on_fatal(lambda reason: fatal.append(frames(reason.__traceback__)))
    failed = Promise.resolve().then(handler)
    failed.catch(lambda reason: reason.with_traceback(None))
    failed.done()
    scheduler.flush()
    assert ["handler"] == fatal[0][-1:]


def test_a_release_that_fails_is_logged(
    scheduler: ManualScheduler, reports: list[LogEvent]
) -> None:
    """With its own error; the promise of `using` is fulfilled."""

    def release(_: object) -> None:
        raise ValueError("fatal")

    promise = Promise.using(Promise.resolve(1).disposer(release), lambda one: one)
    scheduler.flush()
    assert (1, ["fatal"]) == (
        promise.value(),
        [str(event["log_failure"].value) for event in reports],
    )


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
    """Its error is logged, and the reason too, and the other resources are released."""

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
    assert [KeyError, ValueError] * 2 == [event["log_failure"].type for event in reports]


def test_a_hook_without_parameters(scheduler: ManualScheduler, fatal: list[Any]) -> None:
    """It is called all the same."""
    Promise.on_fatal(lambda: fatal.append("called"))
    Promise.reject(ValueError()).done()
    scheduler.flush()
    assert ["called"] == fatal


def test_an_async_hook(scheduler: ManualScheduler, fatal: list[Any]) -> None:
    """It is run to its end."""

    async def hook(reason: Any) -> None:
        await Promise.delay(1)
        fatal.append(reason)

    Promise.on_fatal(hook)
    error = ValueError()
    Promise.reject(error).done()
    scheduler.advance(1)
    assert [error] == fatal


def test_an_async_hook_that_raises(
    scheduler: ManualScheduler, fatal: list[Any], reports: list[LogEvent]
) -> None:
    """Its error is logged, and so is the reason."""

    async def hook(reason: Any) -> None:
        await Promise.delay(1)
        raise KeyError(reason)

    Promise.on_fatal(hook)
    error = ValueError()
    Promise.reject(error).done()
    scheduler.advance(1)
    assert [ValueError, KeyError] == [event["log_failure"].type for event in reports]
    assert error is reports[0]["log_failure"].value


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
