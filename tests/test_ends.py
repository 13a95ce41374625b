"""What is queued when the reactor stops, or the process ends: in processes of their own."""

from __future__ import annotations

import asyncio

import pytest
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads
from twisted.internet.task import Clock
from zope.interface import implementer

from tests.support.outcomes import outcome, reasons
from tests.support.processes import run_python
from tests.support.promises import Boom, fail
from twpromise import Promise, ReactorScheduler
from twpromise._scheduling import queue as queues
from twpromise._scheduling import scheduling
from twpromise.loops import LoopScheduler

PROLOGUE = """
import asyncio
import sys
import time

from twpromise import Promise
from twpromise.loops import LoopScheduler, reactor_in_loop


async def background():
    raise ValueError("lost")


def fail(_):
    raise ValueError("lost")


def start():
    # A handler behind it has a turn of its own.
    Promise.resolve(background()).then(print)


def later(seconds, function):
    from twisted.internet import reactor

    reactor.callLater(seconds, function)


def stop():
    from twisted.internet import reactor

    reactor.stop()


def crash():
    from twisted.internet import reactor

    reactor.crash()


def run():
    from twisted.internet import reactor

    reactor.run()


def trigger(phase, function):
    from twisted.internet import reactor

    reactor.addSystemEventTrigger(phase, "shutdown", function)
"""

# What a process does that loses an error.
PROGRAMS = {
    "react": """
from twisted.internet.task import deferLater, react

async def main(reactor):
    await deferLater(reactor, 0)
    start()

react(main)
""",
    "stopped by a handler": """
later(0, lambda: Promise.resolve().then(lambda _: stop()).then(lambda _: start()) and None)
run()
""",
    "a trigger before": "trigger('before', start)\nlater(0, stop)\nrun()",
    "a trigger during": "trigger('during', start)\nlater(0, stop)\nrun()",
    "a trigger after": "Promise.delay(0)\ntrigger('after', start)\nlater(0, stop)\nrun()",
    "a thread that ends late": """
later(0, lambda: Promise.in_thread(lambda: time.sleep(0.1) or fail(None)) and stop())
run()
""",
    "after the reactor": "later(0, stop)\nrun()\nstart()",
    "after a crash": "later(0, lambda: start() or crash())\nrun()",
    "no reactor": "start()",
    "a rejection alone": "Promise.reject(ValueError('lost'))",
    "a library copy": "Promise.get_new_library_copy().resolve(1).then(fail)",
    "a function for a scheduler": "Promise.set_scheduler(lambda run: None)\nstart()",
    "a loop": """
async def main():
    Promise.set_scheduler(LoopScheduler())
    start()

asyncio.run(main())
""",
    "a server's loop": """
async def main():
    async with reactor_in_loop():
        trigger('after', start)

asyncio.run(main())
""",
}
ASYNCIO = "from twisted.internet import asyncioreactor\nasyncioreactor.install()\n"


def run(program):
    """The exit status of a program, and what it prints."""
    process = run_python("-c", program)
    return process.returncode, process.stdout + process.stderr


@pytest.mark.parametrize(
    ("name", "reactor"),
    [
        *((name, "") for name in PROGRAMS),
        *((name, ASYNCIO) for name in ("react", "a trigger before", "a thread that ends late")),
    ],
    ids=lambda value: "asyncio" if value == ASYNCIO else value or "default",
)
def test_no_rejection_is_lost_at_the_end(name, reactor):
    """Whatever ends before its turn: it is reported once, and the exit status stays."""
    status, output = run(reactor + PROLOGUE + PROGRAMS[name])
    assert (0, 1) == (status, output.count("ValueError: lost")), output
    assert "Unhandled rejection in Promise" in output


def test_a_fatal_error_at_the_end():
    """It is logged, and with `exit_process` the status is 2, as at any other time."""
    for hook, expected in ("None", 0), ("twpromise.exit_process", 2):
        ends = f"import twpromise; Promise.on_fatal({hook}); Promise.resolve().then(fail).done()"
        status, output = run(PROLOGUE + ends)
        assert (expected, 1) == (status, output.count("ValueError: lost")), output


FORKED = """
import os

Promise.using(Promise.resolve(1).disposer(print), lambda _: Promise.delay(60))
later(0, stop)
run()
Promise.resolve("a turn").then(print)
if os.fork():
    {parent}
else:
    {child}
"""


def test_a_fork_leaves_alone_what_its_parent_has_queued_and_holds():
    """It would call handlers that the parent calls, too."""
    status, output = run(PROLOGUE + FORKED.format(parent="os.wait()", child="sys.exit(0)"))
    assert 0 == status
    assert [1, 1] == [output.count(line) for line in ("a turn", "has not released")], output


def test_a_daemon_is_no_such_copy():
    """Its parent does not go on."""
    waits = "while os.getppid() == parent: pass"
    program = FORKED.replace("if os.fork", "parent = os.getpid()\nif os.fork")
    _, output = run(PROLOGUE + program.format(parent="os._exit(0)", child=waits))
    assert [1, 1] == [output.count(line) for line in ("a turn", "has not released")], output


# --- by hand


@implementer(IReactorCore, IReactorFromThreads)
class Reactor(Clock):
    """A reactor that stops when `stop` is called, in whose last turn no calls are made any more."""

    running = True

    def __init__(self):
        super().__init__()
        self.triggers = []

    def callFromThread(self, function):
        """Too late for that."""

    def addSystemEventTrigger(self, phase, event, function):
        assert ("after", "shutdown") == (phase, event)
        self.triggers.append(function)

    def stop(self):
        self.running = False
        while self.triggers:
            self.triggers.pop(0)()


@pytest.fixture
def reactor():
    """A reactor, on which promises run."""
    reactor = Reactor()
    previous = Promise.set_scheduler(ReactorScheduler(reactor))
    yield reactor
    Promise.set_scheduler(previous)


def endless(_=None):
    return Promise.resolve().then(endless)


def test_what_is_queued_when_the_reactor_stops_is_run(reactor):
    """And what is queued meanwhile; also by triggers that come behind."""
    first = Promise.resolve(1).then(lambda number: Promise.resolve(number).then(str))
    late = []
    reactor.triggers.append(lambda: late.append(Promise.resolve(2).then(str)))
    reactor.stop()
    assert [("fulfilled", "1"), ("fulfilled", "2")] == [outcome(each) for each in (first, *late)]
    assert not Promise._queue.awake


def test_one_trigger_for_each_stop(reactor):
    """However much is queued."""
    for _ in range(3):
        Promise.resolve().then(str)
        Promise.delay(1).cancel()
        reactor.advance(0)
    assert 1 == len(reactor.triggers)
    reactor.stop()
    Promise.resolve().then(str)
    assert 1 == len(reactor.triggers)


def test_a_scheduler_that_is_not_used_any_more_when_the_reactor_stops(reactor):
    """Nothing is left to do."""
    scheduler = ReactorScheduler(reactor)
    scheduler.call_soon(list)
    reactor.stop()
    assert scheduler.is_over()


def test_a_clock_is_not_watched():
    """It does not stop, and what a test leaves on it is not run at the end."""
    scheduler = ReactorScheduler(Clock())
    scheduler.call_soon(list)
    assert not scheduler.is_over()


def test_at_exit_what_is_left_has_its_turn(reactor, reports):
    """Not while the reactor runs, in another thread then."""
    promise = Promise.resolve().then(fail)
    scheduling._at_exit()
    assert promise.is_pending()
    reactor.running = False
    scheduling._at_exit()
    assert [Boom] == [type(error) for error in reasons(reports)]


def test_a_chain_without_end_is_named_at_exit(reactor, reports, monkeypatch):
    """It gets a second; what cannot be run is counted in one line, and the process ends."""
    monkeypatch.setattr(queues, "_LAST_SLICE", 0.0)
    endless()
    reactor.running = False
    scheduling._at_exit()
    [event] = reports
    assert "The process ends, and promises have handlers" in event["log_format"]
    assert (1, repr(Promise._queue.scheduler)) == (event["count"], repr(event["scheduler"]))
    assert queues.DEFAULT_TIME_SLICE == Promise._queue.time_slice
    Promise._queue.clear()


def test_a_loop_is_over_when_it_does_not_run():
    """What is queued for it is run at exit, too."""

    async def main():
        at = LoopScheduler()
        assert not at.is_over()
        return at

    assert asyncio.run(main()).is_over()
