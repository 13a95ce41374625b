"""`install_signal`, in a process of its own: the dump is whole, and the service goes on."""

from __future__ import annotations

import io
import os
import signal

import pytest

from tests.support.processes import run_python
from tests.support.threads import in_thread
from twpromise._debugging import signals
from twpromise.debugging import install_signal

PROLOGUE = """
import os, signal, sys, threading, time
from twpromise import Promise
from twpromise.debugging import install_signal

install_signal()


def kill():
    os.kill(os.getpid(), signal.SIGUSR1)


def kill_soon():
    threading.Timer(0.05, lambda: [kill(), done.set()]).start()


done = threading.Event()
"""

#: What a process does; and what is in its dump.
PROGRAMS = {
    "a drain that goes on": (
        """
from twisted.internet import reactor

def step(_):
    global left
    left -= 1
    if left == 5000:
        kill()
    if left:
        return Promise.resolve().then(step)
    reactor.stop()

left = 10000
chain = Promise.resolve().then(step)
reactor.run()
print("went on")
""",
        ["in step", "kill()"],
    ),
    "a deadlock": (
        """
from twisted.internet import reactor
from twisted.internet.defer import DeferredLock

async def locking(first, second):
    async with first:
        await Promise.delay(0.01)
        async with second:
            pass

locks = DeferredLock(), DeferredLock()
kept = [Promise.resolve(locking(*locks)), Promise.resolve(locking(*reversed(locks)))]
reactor.callLater(0.1, kill)
Promise.delay(0.2).then(lambda _: print("went on")).then(lambda _: reactor.stop())
reactor.run()
""",
        ["They wait for each other: #", "a DeferredLock, with 1 waiting; coroutine locking #"],
    ),
    "load": (
        """
from twisted.internet import reactor

async def request(number):
    for _ in range(100):
        await Promise.resolve(number)
    await Promise.delay(0)
    return number

def again(results):
    assert results == list(range(1000))
    if not done.is_set():
        return Promise.map(range(1000), request).then(again)
    print("went on")
    reactor.stop()

kill_soon()
Promise.map(range(1000), request).then(again).done()
reactor.run()
""",
        ["waits for"],
    ),
    "a handler that blocks": (
        """
from twisted.internet import reactor

def blocking(_):
    kill_soon()
    while not done.is_set():
        time.sleep(0.01)
    reactor.stop()

Promise.delay(0).then(blocking)
reactor.run()
print("went on")
""",
        ["in blocking", "  waits for its handler, which runs"],
    ),
    "asyncio": (
        """
import asyncio
from twpromise.loops import use_running_loop

async def main():
    async with use_running_loop():
        delay = Promise.delay(600)
        kill_soon()
        while not done.is_set():
            await asyncio.sleep(0)
        delay.cancel()
        await Promise.delay(0)
        print("went on")

asyncio.run(main())
""",
        ["delay", "a timer, due in"],
    ),
    "no reactor": (
        """
kept = Promise.defer()
kill()
print("went on")
""",
        ["1 promise is pending.", "resolve() or reject(), which have not been called"],
    ),
    "output that is being written": (
        """
kept = Promise.defer()
kill_soon()
while not done.is_set():
    sys.stderr.write("a line of the log\\n")
print("went on")
""",
        ["1 promise is pending."],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_dump(name):
    """It has its first line and its last, and what is to be known; and the process goes on."""
    program, expected = PROGRAMS[name]
    # A program of more than one line has lines in its tracebacks only if it is a file.
    source = PROLOGUE + program
    process = run_python("-W", "error", "-c", LINES.format(source=source))
    assert ("went on\n", 0) == (process.stdout, process.returncode), process.stderr
    before, begin, rest = process.stderr.partition("SIGUSR1: promises\n")
    dump, end, _ = rest.partition("\n---\n")
    assert (1, True, True) == (process.stderr.count("SIGUSR1: promises"), bool(begin), bool(end))
    assert [] == [text for text in expected if text not in dump], process.stderr
    assert "The main thread is here:\n" in dump
    assert "Traceback" not in before


#: Has the source in `linecache`.
LINES = """
import linecache
source = {source!r}
linecache.cache["<program>"] = len(source), None, source.splitlines(True), "<program>"
exec(compile(source, "<program>", "exec"), dict(__name__="__main__"))
"""


@pytest.fixture
def received():
    """A handler of SIGUSR1 that was there before: it notes that it was called."""
    numbers = []
    former = signal.signal(signal.SIGUSR1, lambda number, frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGUSR1, former)


def test_it_can_be_undone(received):
    """The former handler is set again; unless another has been set meanwhile."""
    file = io.StringIO()
    restore = install_signal(signal.SIGUSR1, file=file, limit=1)
    os.kill(os.getpid(), signal.SIGUSR1)
    restore()
    assert 1 == file.getvalue().count("SIGUSR1: promises\n")
    os.kill(os.getpid(), signal.SIGUSR1)
    assert [signal.SIGUSR1] == received
    restore()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert 2 == len(received)


def test_a_handler_that_was_not_set_by_python(received, monkeypatch):
    """It cannot be set again: the default is."""
    real = signal.signal
    monkeypatch.setattr(signals.signal, "signal", lambda *given: real(*given) and None)
    restore = install_signal(signal.SIGUSR1, file=io.StringIO())
    restore()
    assert signal.SIG_DFL == signal.getsignal(signal.SIGUSR1)


def test_what_fails(received, monkeypatch):
    """It is said, and the process goes on; also if it cannot be said."""

    def fail(**_):
        raise RuntimeError("changed")

    monkeypatch.setattr(signals, "pending", fail)
    file = io.StringIO()
    restore = install_signal(file=file)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert "They could not be looked at: RuntimeError('changed')\n" in file.getvalue()
    file.close()
    os.kill(os.getpid(), signal.SIGUSR1)
    restore()


def test_without_a_frame(received):
    """Python may know none."""
    assert "The main thread is here:\n" == signals._stack(None)


def test_in_another_thread():
    """Python lets the main thread alone set handlers."""
    with pytest.raises(RuntimeError, match="install_signal must be called in the main thread"):
        in_thread(install_signal)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"signum": "USR1"}, TypeError, "signum must be the number of a signal, or None, not 'U"),
        ({"signum": 0}, ValueError, "signum must be a signal that a process can handle, not 0"),
        ({"signum": signal.SIGKILL}, ValueError, "signum must be a signal that a process can"),
        ({"file": "promises.txt"}, TypeError, "file must be a text file that is open, or None,"),
        ({"limit": 0}, ValueError, "limit must be 1 or more, not 0"),
    ],
)
def test_wrong_arguments_are_refused(received, arguments, error, message):
    """The error names the argument, and the former handler stays: not when the signal comes."""
    former = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(error, match=message):
        install_signal(**arguments)
    assert former == signal.getsignal(signal.SIGUSR1)


def test_a_signal_without_a_name():
    """Python names few of those for real-time."""
    file = io.StringIO()
    number = signal.SIGRTMIN + 1
    restore = install_signal(number, file=file)
    os.kill(os.getpid(), number)
    restore()
    assert f" signal {number}: promises\n" in file.getvalue()
