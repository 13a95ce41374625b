"""FastAPI on its server's loop, with Twisted's reactor inside, and under test tools."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

HERE = Path(__file__).parent

#: uvicorn as a task on the loop of Twisted's reactor, which is what runs it.
TASK = """
import asyncio, sys
from twisted.internet import asyncioreactor
loop = asyncio.new_event_loop()
asyncioreactor.install(loop)
from twisted.internet import reactor
import uvicorn
server = uvicorn.Server(uvicorn.Config("fastapi_app:app", fd=int(sys.argv[1])))
serving = loop.create_task(server.serve())
reactor.run()
"""

#: The arguments of Python for each server, by a name; a socket's number takes the place of FD.
SERVERS = {
    f"uvicorn on {loop}": f"-m uvicorn fastapi_app:app --fd FD --loop {loop}".split()
    for loop in ("asyncio", "uvloop")
} | {
    f"hypercorn on {loop}": f"-m hypercorn fastapi_app:app --bind fd://FD -k {loop}".split()
    for loop in ("asyncio", "uvloop")
}


def environment(on: str) -> dict[str, str]:
    """The variables of a process that finds the service and this package."""
    before = filter(None, [os.environ.get("PYTHONPATH")])
    paths = [str(HERE / "programs"), str(HERE.parents[1]), *before]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TWPROMISE_TEST_ON": on}


@contextmanager
def served(arguments: list[str], on: str) -> Iterator[str]:
    """The address of the service, run by a server, which ends with status 0 when it is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Connections wait in the socket until the server is there.
        port, number = listening.getsockname()[1], listening.fileno()
        process = subprocess.Popen(
            [sys.executable, *(each.replace("FD", str(number)) for each in arguments)],
            env=environment(on),
            pass_fds=[number],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield f"127.0.0.1:{port}"
        # Twisted does not end by SIGINT where that is ignored, as in what a shell runs in the
        # background; and uvicorn, where it is not a task, ends by SIGTERM in another way.
        process.send_signal(signal.SIGTERM if "task" == on else signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    except BaseException:
        process.kill()
        print(*process.communicate(), sep="\n")
        raise
    assert 0 == process.returncode, errors
    assert "Traceback" not in errors
    order = {"loop": ["left"], "reactor": ["stopped", "left"], "task": ["left", "stopped"]}
    assert order[on] == [line for line in output.splitlines() if line in ("left", "stopped")]


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def use(address: str, on: str) -> None:
    """Do with the service all that its users do."""
    with httpx.Client(base_url=f"http://{address}", timeout=30) as client:
        assert 42 == client.get("/double/21").json()
        with ThreadPoolExecutor(4) as threads:
            many = threads.map(lambda n: client.get(f"/double/{n}").json(), range(20))
            assert list(range(0, 40, 2)) == list(many)
        assert 49 == client.get("/thread/7").json()
        if on != "loop":
            assert "by Twisted" == client.get("/echo/by Twisted").json()
            assert 3 == client.get("/child").json()
        assert "part 0\npart 1\npart 2\n" == client.get("/stream").text
        with connect(f"ws://{address}/words") as words:
            for word in ("one", "two"):
                words.send(word)
                assert word.upper() == words.recv(20)
        with client.stream("GET", "/endless") as endless:
            assert "first" == next(endless.iter_text())
        with pytest.raises(httpx.ReadTimeout):
            client.get("/slow", timeout=0.2)
        eventually(lambda: ["endless", "slow"] == sorted(client.get("/cancelled").json()))


@pytest.mark.parametrize("on", ["loop", "reactor"])
@pytest.mark.parametrize("server", SERVERS)
def test_servers(server: str, on: str) -> None:
    """Requests, sockets and streams; work ends with its client, and the process well."""
    with served(SERVERS[server], on) as address:
        use(address, on)


def test_a_server_as_a_task_of_the_reactor() -> None:
    """The same, where Twisted's reactor runs the server."""
    with served(["-c", TASK, "FD"], "task") as address:
        use(address, "task")


def test_twenty_processes() -> None:
    """Not one of twenty hangs, or ends in another way, with either loop."""

    def process(number: int) -> None:
        server = ("uvicorn on asyncio", "uvicorn on uvloop")[number % 2]
        with served(SERVERS[server], "reactor") as address:
            use(address, "reactor")

    with ThreadPoolExecutor(3) as threads:
        assert 20 == len(list(threads.map(process, range(20))))


def run(*arguments: str, cwd: Path = HERE) -> list[str]:
    """What a program prints that ends by itself, and well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment("loop"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_test_client_twenty_times() -> None:
    """Each in a thread and a loop of its own, in one process, which imports no reactor."""
    program = """
import sys
from fastapi.testclient import TestClient
from fastapi_app import app
from twpromise import Promise

before = Promise.set_scheduler(print)
Promise.set_scheduler(before)
for number in range(20):
    with TestClient(app) as client:
        assert 2 * number == client.get(f"/double/{number}").json()
        assert number**2 == client.get(f"/thread/{number}").json()
        assert "part 0\\npart 1\\npart 2\\n" == client.get("/stream").text
        with client.websocket_connect("/words") as words:
            words.send_text("word")
            assert "WORD" == words.receive_text()
    assert before is Promise.set_scheduler(before)
assert "twisted.internet.reactor" not in sys.modules
"""
    assert 20 * ["left"] == run("-c", program)


FIXTURES = {
    "pytest_asyncio.plugin": """
import pytest_asyncio

pytestmark = pytest.mark.asyncio

@pytest_asyncio.fixture(autouse=True)
""",
    "anyio.pytest_plugin": """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture(autouse=True)
""",
}


@pytest.mark.parametrize("plugin", FIXTURES)
def test_fixtures(plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixture puts promises on the loop of each test."""
    options = "asyncio_default_fixture_loop_scope = function" if "asyncio" in plugin else ""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = -p {plugin}\n{options}\n")
    (tmp_path / "test_service.py").write_text(
        f"""
import pytest
from twpromise import Promise
from twpromise.loops import use_running_loop
{FIXTURES[plugin]}
async def promises():
    async with use_running_loop():
        yield

@pytest.mark.parametrize("number", range(3))
async def test(number):
    assert number == await Promise.delay(0.001, number)
"""
    )
    # Of the plugins that are installed, one would import a reactor.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    last = run("-m", "pytest", "-q", "-W", "error", str(tmp_path), cwd=tmp_path)[-1]
    assert last.startswith("3 passed")


def test_without_a_scheduler_for_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would hang raises instead, and says what to do: in pytest-asyncio, and a TestClient."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "test_service.py").write_text(
        r"""
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from twpromise import Promise

use = pytest.raises(RuntimeError, match=r"async with twpromise.loops.use_running_loop\(\):")
app = FastAPI()

@app.get("/")
async def endpoint():
    return await Promise.delay(0.001, 1)

@pytest.mark.asyncio
async def test_await():
    with use:
        await Promise.delay(0.001, 1)

def test_client():
    with use:
        TestClient(app).get("/")
"""
    )
    plugins = ["-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider", "-c", "/dev/null"]
    options = ["-o", "asyncio_default_fixture_loop_scope=function", "--rootdir", str(tmp_path)]
    for mode in [], ["-X", "dev"]:
        last = run(*mode, "-m", "pytest", "-q", *plugins, *options, str(tmp_path), cwd=tmp_path)[-1]
        assert last.startswith("2 passed"), last
