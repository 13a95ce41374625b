"""The FastAPI example, as its page says: on real connections, and by `TestClient`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integrations.pages import ROOT, paste

EXAMPLE = ROOT / "examples" / "readings"
PAGE = "with-fastapi.md"
LOOPS = ["asyncio", "uvloop"]


def start_line(page: str, application: str) -> list[str]:
    """The line that starts an application, as the page has it."""
    text = (ROOT / "docs" / page).read_text()
    (line,) = re.findall(rf"^uvicorn ({application}:app.*)$", text, re.MULTILINE)
    return line.split()


def eventually(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def copy_example(folder: Path) -> None:
    for path in EXAMPLE.glob("*.py"):
        shutil.copy(path, folder)


@contextmanager
def served(folder: Path, *arguments: str, error: str = "", **variables: str) -> Iterator[str]:
    """The address of an application that uvicorn runs, and that ends well when it is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Connections wait in the socket until the server is there.
        port, number = listening.getsockname()[1], listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-m", "uvicorn", *arguments, "--fd", str(number)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
            pass_fds=[number],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield f"127.0.0.1:{port}"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    except BaseException:
        process.kill()
        print(process.communicate()[0])
        raise
    assert 0 == process.returncode, output
    if error:
        assert 1 == output.count("Traceback")
        assert error in output
    else:
        # uvicorn's own lines: no traceback, and no warning about what is left.
        assert [] == [line for line in output.splitlines() if not line.startswith("INFO:")]


@pytest.mark.parametrize("loop", LOOPS)
def test_the_page(loop: str, tmp_path: Path) -> None:
    """What is pasted from the page into an empty folder starts by its line, and works."""
    assert ["app.py", "promise_routes.py"] == paste(PAGE, tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    app = tmp_path / "app.py"
    assert 1 == app.read_text().count("8007")
    app.write_text(app.read_text().replace("8007", str(port)))
    reading = {"sensor": "kitchen", "value": 21.5}
    with (
        served(tmp_path, *start_line(PAGE, "app"), "--loop", loop, error="ValueError") as address,
        ThreadPoolExecutor(1) as thread,
        httpx.Client(base_url=f"http://{address}", timeout=20) as client,
        connect(f"ws://{address}/watch", open_timeout=60) as watching,
        socket.create_connection(("127.0.0.1", port)) as sensor,
    ):
        following = thread.submit(lambda: client.get("/next").json())
        while not following.done():
            # The request gets the first one after it has arrived.
            sensor.sendall(b"kitchen 21.5\n")
            assert reading == json.loads(watching.recv(20))
        assert reading == following.result()
        sensor.sendall(b"no number\nkitchen 1\n")
        assert b"" == sensor.recv(1)


class Station:
    """What tests do with the station: all that its users do."""

    def __init__(self, address: str, client: httpx.Client, database: Path) -> None:
        self.address, self.client, self.database = address, client, database
        host, port = address.split(":")
        self.to = host, int(port)

    def status(self) -> dict[str, Any]:
        return self.client.get("/status").json()

    def wait_for(self, **expected: object) -> None:
        """Wait until the station says so of itself."""
        eventually(lambda: expected.items() <= self.status().items())

    def watch(self) -> Any:
        return connect(f"ws://{self.address}/watch", open_timeout=60)

    @contextmanager
    def sensor(self) -> Iterator[socket.socket]:
        """A connection of a sensor, which the station knows."""
        port = self.status()["sensors_port"]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sensor:
            sensor.sendall(b"?\n")
            assert b"expected: name value\n" == sensor.recv(100)
            yield sensor

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make each query wait."""
        with closing(
            sqlite3.connect(self.database, isolation_level=None, check_same_thread=False)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    def abandon(self, method: str, path: str, **expected: object) -> None:
        """Disconnect from a request that is under way: when the station says so of itself."""
        with socket.create_connection(self.to, timeout=20) as client:
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: it\r\n\r\n".encode())
            self.wait_for(**expected)


@pytest.fixture(params=LOOPS)
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Station]:
    """The station under uvicorn, which has nothing left to do at the end."""
    copy_example(tmp_path)
    variables = {"READINGS_SENSORS": "tcp:0:interface=127.0.0.1"}
    arguments = [*start_line(PAGE, "station"), "--loop", request.param]
    with (
        served(tmp_path, *arguments, **variables) as address,
        httpx.Client(base_url=f"http://{address}", timeout=30) as client,
    ):
        station = Station(address, client, tmp_path / "readings.sqlite")
        yield station
        station.wait_for(sensors=0, waiting=0, asking=0, averages=0)
        station.wait_for(pool="<Pool: 3 of 3 idle, 0 waiting>")


def test_readings(station: Station) -> None:
    """What sensors send is watched, stored, queried and forgotten, and sensors get commands."""
    with station.sensor() as sensor, station.watch() as watching:
        sensor.sendall(b"kitchen 20\nkitchen 22\n")
        assert [20, 22] == [json.loads(watching.recv(20))["value"] for _ in range(2)]
        watching.send("light on")
        assert b"light on\n" == sensor.recv(100)
    get = station.client.get
    assert {"sensor": "kitchen", "value": 22} == get("/sensors/kitchen").json()
    assert 21 == get("/sensors/kitchen/average").json()
    assert 202 == station.client.delete("/sensors/kitchen").status_code
    eventually(lambda: 404 == get("/sensors/kitchen").status_code)
    model = get("/openapi.json").json()["paths"]["/sensors/{name}"]["get"]["responses"]["200"]
    assert model["content"]["application/json"]["schema"]["$ref"].endswith("/Reading")


def test_many_at_once(station: Station) -> None:
    """Requests share a pool, and readings from several sensors stay in their order."""
    with ExitStack() as stack:
        watching = stack.enter_context(station.watch())
        threads = stack.enter_context(ThreadPoolExecutor(8))
        sensors = [stack.enter_context(station.sensor()) for _ in range(4)]
        for index, sensor in enumerate(sensors):
            sensor.sendall(b"".join(b"%d %d\n" % (index, number) for number in range(25)))
        last = {str(index): -1 for index in range(4)}
        for _ in range(100):
            reading = json.loads(watching.recv(20))
            assert last[reading["sensor"]] + 1 == reading["value"]
            last[reading["sensor"]] = reading["value"]
        paths = [f"/sensors/{number % 4}" for number in range(100)]
        assert 100 * [24] == [a.json()["value"] for a in threads.map(station.client.get, paths)]


def test_a_stream(station: Station) -> None:
    """Sensors are asked, and answers sent in the order in which they come; errors among them."""
    with (
        station.sensor() as slow,
        station.sensor() as quick,
        station.sensor() as leaving,
        station.client.stream("POST", "/measure?seconds=30") as answers,
    ):
        lines = answers.iter_lines()
        for sensor in slow, quick, leaving:
            assert b"measure\n" == sensor.recv(100)
        quick.sendall(b"quick 1\n")
        assert {"sensor": "quick", "value": 1} == json.loads(next(lines))
        leaving.close()
        assert {"error": "the sensor has disconnected"} == json.loads(next(lines))
        slow.sendall(b"slow 2\n")
        assert {"sensor": "slow", "value": 2} == json.loads(next(lines))
        assert [] == list(lines)


def test_errors(station: Station) -> None:
    """Exception handlers answer for promises that time out, or that a limiter refuses."""
    get = station.client.get
    assert 404 == get("/sensors/cellar").status_code
    assert (504, {"detail": "no answer in time"}) == (
        (late := get("/sensors/cellar/next?wait=0.01")).status_code,
        late.json(),
    )
    assert 422 == get("/sensors/cellar/next?wait=nan").status_code
    with ThreadPoolExecutor(4) as threads:
        with station.locked():
            averages = [threads.submit(get, "/sensors/cellar/average") for _ in range(4)]
            station.wait_for(averages=4)
            assert 503 == get("/sensors/cellar/average").status_code
        assert 4 * [200] == [average.result().status_code for average in averages]


def test_abandoned_requests(station: Station) -> None:
    """A request whose client disconnects gives up its place in each queue, and its connection."""
    station.abandon("GET", "/sensors/cellar/next", waiting=1)
    station.wait_for(waiting=0)
    with station.sensor() as sensor:
        station.abandon("POST", "/measure", asking=1)
        station.wait_for(asking=0)
        assert b"measure\n" == sensor.recv(100)
    watching = station.watch()
    station.wait_for(waiting=1)
    watching.socket.shutdown(socket.SHUT_RDWR)
    station.wait_for(waiting=0)
    watching.socket.close()
    with ThreadPoolExecutor(3) as threads:
        with station.locked():
            get = station.client.get
            answers = [threads.submit(get, "/sensors/cellar") for _ in range(3)]
            station.wait_for(pool="<Pool: 0 of 3 idle, 0 waiting>")
            station.abandon("GET", "/sensors/cellar", pool="<Pool: 0 of 3 idle, 1 waiting>")
            station.wait_for(pool="<Pool: 0 of 3 idle, 0 waiting>")
        assert 3 * [404] == [answer.result().status_code for answer in answers]
    with station.locked():
        # Its connection is given back when the statement has ended, which nothing can stop.
        station.abandon("GET", "/sensors/cellar", pool="<Pool: 2 of 3 idle, 0 waiting>")
        station.abandon("GET", "/sensors/cellar/average", averages=1)


def test_an_abandoned_body(station: Station) -> None:
    """A client that disconnects amid its body is no error that is logged."""
    with socket.create_connection(station.to, timeout=20) as client:
        client.sendall(b"POST /measure HTTP/1.1\r\nHost: it\r\nContent-Length: 9\r\n\r\nhalf")


def test_stopping(tmp_path: Path) -> None:
    """What sensors have sent is stored before the process ends; clients are disconnected."""
    variables = {"READINGS_SENSORS": "tcp:0:interface=127.0.0.1"}
    copy_example(tmp_path)

    def unlock_when_disconnected() -> None:
        with pytest.raises(ConnectionClosed):
            watching.recv(60)
        lock.close()

    with ExitStack() as stack:
        lock = stack.enter_context(ExitStack())
        thread = stack.enter_context(ThreadPoolExecutor(1))
        with served(tmp_path, *start_line(PAGE, "station"), **variables) as address:
            client = stack.enter_context(httpx.Client(base_url=f"http://{address}", timeout=30))
            station = Station(address, client, tmp_path / "readings.sqlite")
            watching = stack.enter_context(station.watch())
            sensor = stack.enter_context(station.sensor())
            lock.enter_context(station.locked())
            sensor.sendall(b"".join(b"kitchen %d\n" % number for number in range(5)) + b"?\n")
            assert b"expected: name value\n" == sensor.recv(100)
            unlocked = thread.submit(unlock_when_disconnected)
        unlocked.result()
        assert b"" == sensor.recv(100)
    with closing(sqlite3.connect(tmp_path / "readings.sqlite")) as database:
        assert [(float(number),) for number in range(5)] == database.execute(
            "SELECT value FROM readings ORDER BY rowid"
        ).fetchall()


def test_stopping_in_time(tmp_path: Path) -> None:
    """A request that does not end is cancelled when uvicorn's time is up."""
    variables = {"READINGS_SENSORS": "tcp:0:interface=127.0.0.1"}
    copy_example(tmp_path)
    arguments = [*start_line(PAGE, "station")[:-1], "1"]
    with ThreadPoolExecutor(1) as thread:
        with served(tmp_path, *arguments, error="Cancel 1 running task(s)", **variables) as address:
            url = f"http://{address}/sensors/cellar/next"
            waiting = thread.submit(httpx.get, url, timeout=60)
            status = f"http://{address}/status"
            eventually(lambda: 1 == httpx.get(status, timeout=60).json()["waiting"])
        assert 500 == waiting.result().status_code


def own_tests(folder: Path) -> str:
    """What pytest writes of tests in a folder, in a process of its own, all of which pass."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    options = ["-q", "-W", "error", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "."],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def test_under_test_client(tmp_path: Path) -> None:
    """The example's own tests pass, and nothing is left in their process."""
    copy_example(tmp_path)
    (tmp_path / "conftest.py").write_text(
        """
import gc, socket, threading
import pytest
from twpromise import Promise

Promise.config(monitoring=True)

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    from twisted.internet import reactor

    gc.collect()
    assert [threading.main_thread()] == threading.enumerate()
    assert [] == reactor.getDelayedCalls() + reactor.getWriters()
    (waker,) = reactor.getReaders()
    assert waker is reactor.waker
    sockets = [each for each in gc.get_objects() if isinstance(each, socket.socket)]
    assert [] == [each for each in sockets if each.fileno() != -1]
    assert 0 == Promise.statistics()["pending"]
"""
    )
    assert "6 passed" in own_tests(tmp_path)


ROUTES = """
import asyncio, pytest
from typing import Annotated
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import FastAPIError, ResponseValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from promise_routes import PromiseRoute
from twpromise import CancellationError, Promise
from twpromise.loops import use_running_loop

plain = FastAPI(lifespan=lambda app: use_running_loop())
promised = APIRouter(route_class=PromiseRoute)

@promised.get("/sync")
def sync() -> Promise[int]:
    return Promise.delay(0.001, 3)

@promised.get("/string")
async def string() -> "Promise[int]":
    return Promise.delay(0.001, 4)

@promised.post("/body")
async def body(request: Request) -> Promise:
    data = await request.json()
    return Promise.delay(0.001, data)

@promised.get("/thread")
def thread() -> int:
    return 5

@promised.get("/wrong")
def wrong() -> Promise[int]:
    return Promise.resolve("no number")

@plain.get("/awaits")
async def awaits() -> int:
    return await Promise.delay(0.001, 6)

@plain.get("/returns")
async def returns():
    return Promise.delay(0.001, 7)

@plain.get("/in-thread")
def in_thread():
    return Promise.delay(0.001, 8)

@plain.get("/attaches")
def attaches():
    return made[0].then(print)

@plain.get("/passes")
def passes():
    return made[0]

@plain.get("/makes")
async def makes():
    made.append(Promise.resolve(9))

async def commits():
    seen.append("begin")
    try:
        yield
        seen.append("commit")
    except HTTPException as error:
        seen.append(error.status_code)
        raise
    finally:
        seen.append("end")

@promised.get("/abandoned")
async def abandoned(dependency: Annotated[None, Depends(commits)]) -> int:
    try:
        return await Promise.delay(60, 1)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise

@plain.get("/others")
async def others():
    promise = Promise.delay(60)
    promise.cancel()
    return await promise

@plain.exception_handler(CancellationError)
async def cancelled(request, error):
    return JSONResponse("by others", status_code=503)

@plain.get("/background")
async def background(tasks: BackgroundTasks) -> None:
    tasks.add_task(Promise.delay, 1)

@plain.get("/in-a-dependency")
async def in_a_dependency(dependency: Annotated[Promise, Depends(in_thread)]): ...

async def lends():
    seen.append("lent")
    yield
    seen.append("given back")

async def stream():
    seen.append("sent")
    yield "all"

@plain.get("/early")
async def early(dependency: Annotated[None, Depends(lends, scope="function")]):
    return StreamingResponse(stream())

@plain.get("/late")
async def late(dependency: Annotated[None, Depends(lends)]):
    return StreamingResponse(stream())

made = []
plain.include_router(promised)

@pytest.fixture
def client():
    with TestClient(plain) as client:
        yield client

def test_what_works(client):
    assert [client.get(path).json() for path in ("/sync", "/string", "/thread", "/awaits")] == [
        3, 4, 5, 6]
    assert client.post("/body", json={"some": "thing"}).json() == {"some": "thing"}
    operation = client.get("/openapi.json").json()["paths"]["/sync"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["type"] == "integer"

@pytest.mark.parametrize("path, error, words", [
    ("/wrong", ResponseValidationError, "valid integer"),
    ("/returns", ValueError, "Promise"),
    ("/in-thread", RuntimeError, "Promise.call_from_thread"),
    ("/attaches", RuntimeError, "Promise.call_from_thread"),
    ("/passes", ValueError, "Promise"),
    ("/background", RuntimeError, "Promise.call_from_thread"),
    ("/in-a-dependency", RuntimeError, "Promise.call_from_thread"),
])
def test_what_cannot_work_raises(client, path, error, words):
    client.get("/makes")
    with pytest.raises(error, match=words):
        client.get(path)

seen = []

def test_a_promise_that_others_have_cancelled(client):
    assert client.get("/others").status_code == 503

@pytest.mark.parametrize("path, order", [
    ("/early", ["lent", "given back", "sent"]), ("/late", ["lent", "sent", "given back"])])
def test_the_scope_of_a_dependency(client, path, order):
    seen.clear()
    assert client.get(path).text == "all"
    assert seen == order

def test_dependencies_see_that_the_client_has_disconnected():
    received = [{"type": "http.request", "body": b"", "more_body": False}]
    scope = {"type": "http", "method": "GET", "path": "/abandoned", "query_string": b"",
             "headers": [], "http_version": "1.1"}

    async def receive():
        if received:
            return received.pop()
        while not seen:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message): ...

    seen.clear()

    async def main():
        async with use_running_loop():
            await plain(scope, receive, send)

    asyncio.run(main())
    assert seen == ["begin", "cancelled", 499, "end"]

def test_an_annotation_without_the_route_class():
    with pytest.raises(FastAPIError):
        @FastAPI().get("/")
        def number() -> Promise[int]: ...
"""


def test_promise_routes(tmp_path: Path) -> None:
    """What the page says of path operations that return promises."""
    copy_example(tmp_path)
    (tmp_path / "test_station.py").write_text(ROUTES)
    assert "13 passed" in own_tests(tmp_path)
