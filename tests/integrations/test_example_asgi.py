"""The page *ASGI on Twisted's reactor*: its server, alone, and with an application of FastAPI."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.integrations.pages import paste
from tests.integrations.started import Program, free_port, started
from twpromise import Promise, PromiseService
from twpromise.testing import ManualScheduler

PAGE = "asgi-on-twisted.md"
FILE = Path(__file__).parents[2] / "examples/asgi/asgi.py"
spec = importlib.util.spec_from_file_location("example_asgi", FILE)
asgi: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(asgi)

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9999")]}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}


@pytest.fixture
def failures() -> Iterator[list[Any]]:
    """What is logged with a failure."""
    logged: list[Any] = []

    def observe(event: Any) -> None:
        if "log_failure" in event:
            logged.append(event["log_failure"].value)

    globalLogPublisher.addObserver(observe)
    yield logged
    globalLogPublisher.removeObserver(observe)


class Client:
    """A connection to a site with an application, in memory."""

    def __init__(self, scheduler: ManualScheduler, app: Any, below: bytes | None = None) -> None:
        self._scheduler = scheduler
        self.work = PromiseService(grace=5)
        self.work.startService()
        resource = asgi.Asgi(app, self.work, {"made": "at the start"})
        if below is not None:
            root = Resource()
            root.putChild(below, resource)
            resource = root
        self._channel = Site(resource, reactor=scheduler.clock).buildProtocol(None)
        self.transport = StringTransport()
        self._channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self._channel.dataReceived(data)
        self._scheduler.flush()

    def get(self, path: bytes = b"/") -> None:
        self.send(b"GET " + path + b" HTTP/1.1\r\nHost: here\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n")

    def disconnect(self) -> None:
        self._channel.connectionLost(Failure(ConnectionDone()))
        self._scheduler.flush()

    @property
    def status(self) -> int:
        return int(self.transport.value().split()[1])


def test_the_scope(scheduler: ManualScheduler) -> None:
    """All that is known of a request, below another resource, too."""
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    client = Client(scheduler, app, b"below")
    client.get(b"/below/a%20b?c=%20d")
    (scope,) = scopes
    headers = scope.pop("headers")
    assert [(b"host", b"here"), (b"x-twice", b"a"), (b"x-twice", b"b")] == sorted(headers)
    assert {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/below/a b",
        "raw_path": b"/below/a%20b",
        "root_path": "/below",
        "query_string": b"c=%20d",
        "client": ("192.168.1.1", 54321),
        "server": ("10.0.0.1", 12345),
        "state": {"made": "at the start"},
    } == scope


def test_a_body_comes_in_parts_once_it_is_complete(scheduler: ManualScheduler) -> None:
    """The application is called when all of it has arrived."""
    parts = []

    async def app(scope, receive, send):
        while True:
            message = await receive()
            parts.append(len(message["body"]))
            if not message["more_body"]:
                return

    client = Client(scheduler, app)
    client.send(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 150000\r\n\r\n" + b"x" * 100000)
    assert [] == parts
    client.send(b"x" * 50000)
    assert [65536, 65536, 18928] == parts


def test_a_client_that_does_not_read_holds_the_application_up(scheduler: ManualScheduler) -> None:
    """`send` waits while the connection is full, and goes on when it is not."""
    sent = []

    async def app(scope, receive, send):
        await send(START)
        while True:
            await send(PART)
            sent.append(PART)
            await Promise.delay(1)

    client = Client(scheduler, app)
    client.get()
    scheduler.advance(1)
    assert 2 == len(sent)
    client.transport.producer.pauseProducing()
    scheduler.advance(1)
    client.transport.producer.pauseProducing()
    scheduler.advance(1)
    assert 2 == len(sent)
    client.transport.producer.resumeProducing()
    scheduler.flush()
    assert 3 == len(sent)
    client.disconnect()
    assert "<PromiseService, running: 0 under way>" == repr(client.work)
    assert [] == [call for call in scheduler.clock.getDelayedCalls() if call.active()]


def test_a_client_that_disconnects_cancels_the_application(scheduler: ManualScheduler) -> None:
    """While that waits for anything, and also while it waits for the connection."""
    log = []

    async def app(scope, receive, send):
        await receive()
        try:
            await send(START)
            client.transport.producer.pauseProducing()
            await send(PART)
        finally:
            log.append((await receive())["type"])
            try:
                await send(PART)
            except OSError as error:
                log.append(str(error))

    client = Client(scheduler, app)
    client.get()
    client.disconnect()
    assert ["http.disconnect", "the client has disconnected"] == log
    assert "<PromiseService, running: 0 under way>" == repr(client.work)


def test_who_gives_up_waiting_for_the_disconnection(scheduler: ManualScheduler) -> None:
    """It comes to the next one that waits; after the response, at once."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await Promise.resolve(receive()).timeout(1).catch_return(TimeoutError, None)
        waiting = Promise.resolve(receive()).then(log.append)
        await Promise.delay(1)
        assert [] == log
        await send(START)
        await send(PART | {"more_body": False})
        await waiting

    client = Client(scheduler, app)
    client.get()
    scheduler.advance(1)
    scheduler.advance(1)
    assert [{"type": "http.disconnect"}] == log
    assert "<PromiseService, running: 0 under way>" == repr(client.work)


@pytest.mark.parametrize("error", [OSError("boom"), None])
def test_an_application_that_does_not_answer(scheduler, failures, error) -> None:
    """Status 500; what it raises is logged."""

    async def app(scope, receive, send):
        if error is not None:
            raise error

    client = Client(scheduler, app)
    client.get()
    assert (500, [error] if error else []) == (client.status, failures)


@pytest.mark.parametrize("error", [OSError("boom"), None])
def test_an_application_that_ends_amid_its_answer(scheduler, failures, error) -> None:
    """The connection is closed, so that the client sees it."""

    async def app(scope, receive, send):
        await send(START)
        await send(PART)
        if error is not None:
            raise error

    client = Client(scheduler, app)
    client.get()
    assert (200, True) == (client.status, client.transport.disconnecting)
    assert failures == ([error] if error else [])


def test_a_stop(scheduler: ManualScheduler) -> None:
    """Work after the response is waited for; the rest gets status 503, as what comes later."""
    log = []

    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            await Promise.delay(60)
        await send(START | {"headers": [(b"content-length", b"4")]})
        await send(PART | {"more_body": False})
        await Promise.delay(2)
        log.append("in the background")

    slow = Client(scheduler, app)
    slow.get(b"/slow")
    quick = Client(scheduler, app)
    quick.get()
    stopped = [client.work.stopService() for client in (slow, quick)]
    scheduler.advance(2)
    scheduler.advance(1)
    assert (["in the background"], [False, True]) == (log, [each.called for each in stopped])
    scheduler.advance(2)
    scheduler.advance(1)
    assert (503, [True, True]) == (slow.status, [each.called for each in stopped])
    late = Client(scheduler, app)
    late.work.stopService()
    late.get()
    assert 503 == late.status


def test_applications_and_their_lifespan(scheduler: ManualScheduler, failures: list[Any]) -> None:
    """One starts, and makes a state; one fails to; one knows nothing of it; one fails to stop."""

    async def starts(scope, receive, send):
        assert {"type": "lifespan.startup"} == await receive()
        scope["state"]["made"] = 1
        await send({"type": "lifespan.startup.complete"})
        assert {"type": "lifespan.shutdown"} == await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def fails(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise OSError

    async def ignores(scope, receive, send):
        raise KeyError(scope["type"])

    async def fails_to_stop(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise OSError("cannot stop")

    lifespans = [asgi.Lifespan(app) for app in (starts, fails, ignores, fails_to_stop)]
    begun = [each.start().reflect() for each in lifespans]
    scheduler.flush()
    assert {"made": 1} == lifespans[0].state
    assert "no database" == str(begun[1].value().reason())
    assert [True, False, True, True] == [each.value().is_fulfilled() for each in begun]
    ended = [each.stop() for each in lifespans]
    scheduler.flush()
    assert [True] * 4 == [each.is_fulfilled() for each in ended]
    assert ["cannot stop"] == [str(error) for error in failures]


# --- with FastAPI, over real connections


def line(program: Program) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def start(folder: Path, *arguments: str, **options: Any) -> Any:
    """The program, as the page starts it, on a free port."""
    return started(PAGE, folder, "asgi.py", "app:app", "tcp:0:interface=127.0.0.1", **options)


def test_the_application(tmp_path: Path) -> None:
    """Requests, many at once, treq, a body and a stream; the lifespan ends with the process."""
    with start(tmp_path) as program:
        url = line(program)
        with httpx.Client(base_url=url, timeout=20) as client, ThreadPoolExecutor(10) as threads:
            numbers = threads.map(lambda n: client.get(f"/double/{n}").json(), range(50))
            assert [2 * n for n in range(50)] == list(numbers)
            assert 2 == client.get("/size", params={"url": f"{url}/double/21"}).json()
            assert 1_000_000 == client.post("/count", content=b"x" * 1_000_000).json()
            assert "tick 0\ntick 1\n" == client.get("/ticks?number=2&seconds=0").text
            assert "ticks ended" == line(program)
            assert 404 == client.get("/missing").status_code
            assert 422 == client.get("/double/x").status_code
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
            assert 404 == client.get("/websocket", headers=upgrade).status_code
        program.terminate()
        assert "left" == line(program)


def test_clients_that_disconnect(tmp_path: Path) -> None:
    """An endpoint, and a stream, are cancelled."""
    with start(tmp_path) as program:
        port = httpx.URL(line(program)).port
        for path in "slow", "ticks?seconds=60":
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                if path != "slow":
                    assert b"HTTP/1.1 200 OK" == connection.recv(15)
                else:
                    # It answers another request, and so has received this one.
                    httpx.get(f"http://127.0.0.1:{port}/double/1", timeout=20)
            assert f"{path.partition('?')[0]} ended" == line(program)


def test_a_signal_amid_requests(tmp_path: Path) -> None:
    """One is answered, one is refused when the grace is over; the application stops after that."""
    with start(tmp_path, edits={'grace="10"': 'grace="3"'}) as program:
        url = httpx.URL(line(program))
        with socket.create_connection((url.host, url.port), timeout=20) as slow:
            slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            with httpx.stream("GET", f"{url}/ticks?number=2", timeout=20) as response:
                text = response.iter_text()
                # It answers this request, and so has received the other one.
                assert "tick 0\n" == next(text)
                program.terminate()
                assert ["tick 1\n"] == list(text)
            assert b"HTTP/1.1 503" == slow.recv(12)
        assert ["ticks ended", "slow ended", "left"] == [line(program) for _ in range(3)]


def test_an_application_that_fails_to_start(tmp_path: Path) -> None:
    """The process ends with status 1, and says why."""
    (tmp_path / "asgi.py").write_text(FILE.read_text())
    (tmp_path / "app.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    program = [sys.executable, "asgi.py", "app:app", f"tcp:{free_port()}"]
    done = subprocess.run(
        program,
        cwd=tmp_path,
        env={"PYTHONPATH": str(FILE.parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == done.returncode
    assert "RuntimeError: no database" in done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The process ends with status 1, and the application's lifespan before that."""
    paste(PAGE, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        done = subprocess.run(
            [sys.executable, "asgi.py", "app:app", endpoint],
            cwd=tmp_path,
            env={"PYTHONPATH": str(FILE.parents[2])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (1, "left\n") == (done.returncode, done.stdout)
    assert "CannotListenError" in done.stderr


@pytest.mark.parametrize("reactor", ["asyncio", "another"])
def test_an_endpoint_that_needs_asyncio(tmp_path: Path, reactor: str) -> None:
    """The trap of the page: it works on asyncio's reactor only."""
    another = reactor == "another"
    edits = {"asyncioreactor.install()": "pass"} if another else {}
    errors = "the application has failed" if another else ""
    (tmp_path / "plain.py").write_text(
        "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "def plain() -> int:\n"
        "    return 1\n"
    )
    where = "tcp:0:interface=127.0.0.1"
    with started(
        PAGE, tmp_path, "asgi.py", "plain:app", where, edits=edits, errors=errors
    ) as program:
        answer = httpx.get(line(program), timeout=20)
        assert (500 if another else 200) == answer.status_code
