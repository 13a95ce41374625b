"""A web service under load is stopped by signals: it answers, or refuses, and leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("stopping_program.py")
#: What a request may be, by its path; see the program.
KINDS = ["quick", "timer", "deferred", "cleaning", "using", "group", "limited", "thread"]
#: Threads of the reactor's pool.
THREADS = 10

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")

few_and_many = pytest.mark.parametrize(
    "requests", [48, pytest.param(1000, marks=pytest.mark.exhaustive)]
)


class Program:
    """The service in a process of its own."""

    def __init__(self, start, requests, grace):
        if start == "twistd":
            twistd = "from twisted.scripts.twistd import run; run()"
            arguments = ["-c", twistd, "-n", "--pidfile=", "--logfile=/dev/null", "-y", PROGRAM]
        else:
            arguments = [PROGRAM, start]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "REQUESTS": str(requests),
                "GRACE": str(grace),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.kill = self._process.send_signal
        # Else a test would wait for what it says.
        self._too_long = threading.Timer(120, self._process.kill)
        self._too_long.start()

    def close(self):
        """End it, if a test has failed."""
        self._too_long.cancel()
        self._process.kill()
        self._process.communicate()

    def wait_for(self, event):
        """What the program says next, which must be this."""
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        said = json.loads(line)
        assert event == said.pop("event")
        return said

    def end(self):
        """Its exit status, and what it has logged, at its end."""
        output, logged = self._process.communicate(timeout=60)
        assert "" == output
        return self._process.returncode, logged


@pytest.fixture
def program():
    """Starts the program, and ends it if a test fails."""
    started = []

    def start(*arguments):
        started.append(Program(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()


async def ask(port, kind):
    """The kind, and the status of the answer with its text, by a connection that stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(kind))
    # Until the service closes the connection.
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    text = body.splitlines()[1] if "chunked" in head else body
    return kind, " ".join([*head.split()[1:2], text])


def request(kind):
    """What a client sends."""
    return f"GET /{kind} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def load(program, requests, kinds, while_under_way):
    """Send requests; what the clients get when these have been stopped."""
    port = program.wait_for("port")["port"]

    async def all_of_them():
        clients = [ask(port, kinds[number % len(kinds)]) for number in range(requests)]
        answers = asyncio.gather(*clients)
        await asyncio.to_thread(while_under_way)
        return await asyncio.wait_for(answers, 60)

    return Counter(asyncio.run(all_of_them()))


def expected(requests, kinds=KINDS):
    """What the clients get if only the quick ones are answered in time."""
    return Counter(
        (kind, "200 quick" if kind == "quick" else "503 try later")
        for kind in (kinds[number % len(kinds)] for number in range(requests))
    )


def check_end(program, requests, kinds=KINDS, status=0, hanging=0):
    """Nothing is left, but for what hangs; what the program has logged."""
    share = requests // len(kinds)
    done = Counter({kind: share for kind in kinds if kind != "hanging"})
    # Each group has one.
    done["timer"] += done["group"]
    in_threads = min(done["thread"], THREADS)
    stopped = program.wait_for("stopped")
    assert +done == Counter(stopped.pop("done"))
    assert bool(hanging) == bool(stopped.pop("pending"))
    assert {
        "result": "None",
        "closed": [True],
        "in_threads": in_threads,
        "service": f"<PromiseService, stopped: {hanging} under way>",
        "calls": [],
        "sockets": 0,
        "selectables": [],
    } == stopped
    assert {"threads": ["MainThread"], "in_threads": in_threads} == program.wait_for("end")
    found, logged = program.end()
    assert (status, False) == (found, "Traceback" in logged), logged
    return logged


@few_and_many
@pytest.mark.parametrize("start", ["default", "asyncio", "react", "twistd"])
def test_a_signal_under_load(program, start, requests):
    """What is ready within the grace is answered, the rest is refused; nothing is left."""
    service = program(start, requests, 0.5 if requests < 1000 else 5)

    def stop():
        service.wait_for("under way")
        service.kill(signal.SIGTERM)
        service.wait_for("stopping")

    assert expected(requests) == load(service, requests, KINDS, stop)
    # twistd ends itself by the signal.
    check_end(service, requests, status=-signal.SIGTERM if start == "twistd" else 0)


@few_and_many
@pytest.mark.parametrize("start", ["default", "asyncio"])
def test_a_second_signal_under_load(program, start, requests):
    """It cancels what is under way, long before the grace is over."""
    service = program(start, requests, 3600)

    def stop():
        service.wait_for("under way")
        service.kill(signal.SIGTERM)
        service.wait_for("stopping")
        service.kill(signal.SIGTERM)

    got = load(service, requests, KINDS, stop)
    # Whether there is time for the quick ones is not known.
    refused = got.pop(("quick", "503 try later"), 0)
    assert expected(requests) == got + Counter({("quick", "200 quick"): refused})
    check_end(service, requests)


def test_what_was_answered_last_is_sent(program):
    """Also if the connections are closed by the reactor, as soon as the service has stopped."""
    service = program("plain", 48, 0)

    def stop():
        service.wait_for("under way")
        service.kill(signal.SIGTERM)

    assert expected(48, ["timer", "using"]) == load(service, 48, ["timer", "using"], stop)
    for event in "stopping", "stopped", "end":
        service.wait_for(event)
    status, logged = service.end()
    assert (0, False) == (status, "Traceback" in logged), logged


def test_a_release_that_hangs(program):
    """The third signal gives it up: its connection is closed, and it is logged where it hangs."""
    kinds = ["hanging", *KINDS[:-1]]
    service = program("default", 48, 3600)

    def stop():
        service.wait_for("under way")
        service.kill(signal.SIGTERM)
        service.wait_for("stopping")
        service.kill(signal.SIGTERM)
        service.wait_for("hanging")
        service.kill(signal.SIGTERM)

    got = load(service, 48, kinds, stop)
    assert 6 == got.pop(("hanging", ""))
    assert 42 == got.total()
    assert {"200 quick", "503 try later"} >= {answer for _, answer in got}
    logged = check_end(service, 48, kinds, hanging=6)
    assert "and these were given up:" in logged
    assert 6 == logged.count(", in hanging")


def test_a_connection_that_had_been_open(program):
    """A request that comes by it while the service stops is refused; no other can be opened."""
    service = program("default", 1, 3600)
    port = service.wait_for("port")["port"]

    async def late():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        slow = asyncio.create_task(ask(port, "timer"))
        await asyncio.to_thread(service.wait_for, "under way")
        service.kill(signal.SIGTERM)
        await asyncio.to_thread(service.wait_for, "stopping")
        with pytest.raises(ConnectionError):
            await ask(port, "quick")
        writer.write(request("quick"))
        assert b"HTTP/1.1 503 Service Unavailable\r\n" == await reader.readline()
        await reader.readuntil(b"try later")
        service.kill(signal.SIGTERM)
        assert ("timer", "503 try later") == await slow
        assert b"" == await reader.read()
        writer.close()

    asyncio.run(late())
    check_end(service, 1, ["timer"])
