"""The programs of the tutorial run as its page says, each over real ports, until SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from threading import Timer
from typing import TextIO

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "tutorial"
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
STEPS = ["chat1", "chat2", "chat3", "chat4", "chat5", "chat7", "chat8"]
WITH_MODERATOR = STEPS[2:]
# An answer of the service, or a message: anything else in a session has been typed.
_ANSWER = re.compile(r"[*!] |\w+: ")


def sections() -> dict[str, str]:
    """The text of each step, by its number."""
    return dict(re.findall(r"^## (\d)\. .*\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE))


def sessions(step: str) -> list[list[str]]:
    """What is typed and answered in the sessions that the page shows for a step."""
    found = re.findall(r"```console\n\$ nc 127.0.0.1 7777\n(.*?)```", sections()[step], re.DOTALL)
    return [session.splitlines() for session in found]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


class Tutorial:
    """The files of the tutorial in a folder, with ports that are free."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._ports = {"chat": free_port(), "moderator": free_port()}
        for path in FOLDER.glob("*.py"):
            text = path.read_text().replace("7777", str(self._ports["chat"]))
            (folder / path.name).write_text(text.replace("7778", str(self._ports["moderator"])))

    def change(self, name: str, old: str, new: str) -> None:
        path = self._folder / f"{name}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run(self, *command: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *command],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # What reads from a process that hangs gets the end of its output.
        watchdog = Timer(60, process.kill)
        watchdog.start()
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        self._stack.callback(watchdog.cancel)
        return process

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start a program, and wait until it listens."""
        process = self.run(f"{name}.py")
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None, process.communicate()
            try:
                self._connection(name.rstrip("0123456789")).close()
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.05)
            else:
                return process

    def connect(self) -> Client:
        client = Client(self._connection("chat"))
        self._stack.callback(client.leave)
        return client

    def _connection(self, name: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._ports[name]), timeout=60)


class Client:
    """A client of the service."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines: TextIO = connection.makefile("r")

    def type(self, line: str) -> None:
        self._connection.sendall(f"{line}\n".encode())

    def read(self) -> str:
        return self._lines.readline()

    def play(self, session: list[str]) -> None:
        """Type the lines of a session; each answer is as in the page."""
        for line in session:
            if _ANSWER.match(line):
                assert f"{line}\n" == self.read()
            else:
                self.type(line)

    def leave(self) -> None:
        self._lines.close()
        self._connection.close()


def stop(*processes: subprocess.Popen[str]) -> list[str]:
    """Stop programs in their order: nothing has gone wrong; what they have printed."""
    printed = []
    for process in processes:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (0, "") == (process.returncode, err)
        printed.append(out)
    return printed


@pytest.fixture
def tutorial(tmp_path: Path) -> Iterator[Tutorial]:
    with ExitStack() as stack:
        yield Tutorial(tmp_path, stack)


@pytest.fixture
def start(tutorial: Tutorial) -> Callable[[str], list[subprocess.Popen[str]]]:
    """Starts the program of a step, and before it the moderator, if it needs that."""

    def start(name: str) -> list[subprocess.Popen[str]]:
        moderator = [tutorial.start("moderator")] if name in WITH_MODERATOR else []
        return [tutorial.start(name), *moderator]

    return start


@pytest.mark.parametrize("name", STEPS)
def test_step_answers_and_stops(name, start, tutorial) -> None:
    """All that an earlier step does works in the later ones."""
    processes = start(name)
    client, other = tutorial.connect(), tutorial.connect()
    for session in sessions("1" if name == "chat1" else "2"):
        client.play(session)
    other.type("/name grace")
    assert "ada: hello\n" == other.read()
    stop(*processes)


def test_history_outlives_the_service(start, tutorial) -> None:
    """The messages are in a file."""
    (session,) = sessions("2")
    for lines in session, session[-3:]:
        processes = start("chat2")
        tutorial.connect().play(lines)
        stop(*processes)


def test_moderator_refuses_and_is_missed(start, tutorial) -> None:
    """The two sessions of step 3."""
    allowed, missed = sessions("3")
    service, moderator = start("chat3")
    tutorial.connect().play(allowed)
    stop(moderator)
    tutorial.connect().play(missed)
    stop(service)


@pytest.mark.parametrize("name", ["chat4", "chat7"])
def test_deadline(name, start, tutorial) -> None:
    """The client has an answer, and the moderator is left."""
    (session,) = sessions("4")
    processes = start(name)
    tutorial.connect().play(session)
    assert ["asked: hmm\n", "dropped: hmm\n"] == [processes[1].stdout.readline() for _ in range(2)]
    stop(*processes)


def test_moderator_that_comes_back(start, tutorial) -> None:
    """It is asked again, as long as there is time."""
    tutorial.change("chat4", "PATIENCE = 5", "PATIENCE = 60")
    service, moderator = start("chat4")
    stop(moderator)
    client = tutorial.connect()
    client.type("hello")
    moderator = tutorial.start("moderator")
    assert "guest: hello\n" == client.read()
    stop(service, moderator)


@pytest.mark.parametrize("name", ["chat5", "chat8"])
def test_disconnect_cancels_the_request(name, start, tutorial) -> None:
    """The moderator sees it long before the deadline."""
    service, moderator = start(name)
    client = tutorial.connect()
    client.play(["/name ada", "* you are ada", "hmm"])
    assert "asked: hmm\n" == moderator.stdout.readline()
    client.leave()
    assert "dropped: hmm\n" == moderator.stdout.readline()
    stop(service, moderator)


def test_tests_pass(tutorial) -> None:
    """The reader's own tests; without the cancellation that they test, the last one fails."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_chat.py"]
    process = tutorial.run(*command)
    out, _ = process.communicate(timeout=60)
    assert 0 == process.returncode, out
    assert "3 passed" in out
    tutorial.change("chat5", "request.cancel()", "pass")
    out, _ = tutorial.run(*command).communicate(timeout=60)
    assert "FAILED test_chat.py::test_disconnect_cancels_requests" in out
    assert "1 failed, 2 passed" in out


def test_shutdown_waits_for_requests(start, tutorial) -> None:
    """Short ones are answered, long ones are cancelled, and new ones are refused."""
    service, moderator = start("chat7")
    short, long, late = (tutorial.connect() for _ in range(3))
    short.type("/wait 1")
    long.type("/wait 60")
    for client in short, long, late:
        client.play(["/name ada", "* you are ada"])
    began = time.monotonic()
    service.send_signal(signal.SIGTERM)
    # Refused, or reset while it is in the queue of the port that is closed.
    with pytest.raises(ConnectionError):
        list(iter(tutorial.connect, None))
    late.play(["hello", "! the service is stopping"])
    short.play(["* waited 1 s"])
    assert "" == long.read()
    assert time.monotonic() - began > 1.5
    assert ("", "") == service.communicate(timeout=60)
    assert 0 == service.returncode
    stop(moderator)


def test_dump_is_as_in_the_page(start, tutorial) -> None:
    """But for numbers, paths, times, and what the main thread does at that moment."""

    def comparable(dump: str) -> str:
        for pattern, replacement in [
            (r'File "[^"]*/', 'File "'),
            (r"^--- .* SIGUSR1", "--- TIME SIGUSR1"),
            (r"due in [0-9.]+ s", "due in SOME s"),
            (r"a Deferred, which .* cancels", "a Deferred"),
        ]:
            dump = re.sub(pattern, replacement, dump)
        # The numbers of promises are in no order that matters.
        numbers: dict[str, str] = {}
        dump = re.sub(r"#\d+", lambda found: numbers.setdefault(found[0], f"#{len(numbers)}"), dump)
        return dump.partition("The main thread is here:\n")[0]

    service, moderator = start("chat8")
    client = tutorial.connect()
    client.play(["/name ada", "* you are ada", "hmm"])
    assert "asked: hmm\n" == moderator.stdout.readline()
    service.send_signal(signal.SIGUSR1)
    dump = ""
    for line in iter(service.stderr.readline, "---\n"):
        assert line, dump
        dump += line
    (shown,) = re.findall(r"```text\n(.*?)```", sections()["8"], re.DOTALL)
    assert comparable(shown) == comparable(dump)
    client.leave()
    stop(service, moderator)


def _shown(name: str) -> str:
    """The options with which the page shows a file."""
    (options,) = re.findall(
        rf"^```{{literalinclude}} \.\./examples/tutorial/{name}\.py\n(.*?)^```",
        PAGE,
        re.MULTILINE | re.DOTALL,
    )
    return options


def new_lines(before: str, after: str) -> str:
    """The numbers of the lines that a file has and an older one has not, as in the page."""
    old, new = before.splitlines(), after.splitlines()
    ranges = [
        f"{first + 1}-{end}" if end - first > 1 else str(end)
        for tag, _, _, first, end in SequenceMatcher(None, old, new, False).get_opcodes()
        if tag in ("insert", "replace")
    ]
    return ",".join(ranges)


def test_page_shows_all_files() -> None:
    """Each once, with its name; none is long."""
    for path in FOLDER.glob("*.py"):
        assert f":caption: {path.name}\n" in _shown(path.stem)
        assert path.read_text().count("\n") < 100


@pytest.mark.parametrize(("before", "after"), list(pairwise(STEPS)))
def test_page_highlights_what_is_new(before, after) -> None:
    """The lines that a step adds or changes."""
    expected = new_lines(*((FOLDER / f"{name}.py").read_text() for name in (before, after)))
    assert f":emphasize-lines: {expected}\n" in _shown(after)
