"""The page *With klein and treq*: its gateway, over real connections."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests.integrations.pages import paste
from tests.integrations.started import Program, eventually_get, free_port, started

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = "with-klein-and-treq.md"
#: The time is not up before the test is, also on a machine that is busy.
PATIENT = {".timeout(2)": ".timeout(60)"}


@contextmanager
def gateway(folder: Path, edits: dict[str, str] | None = None, **environment: str) -> Iterator[str]:
    """The address of the gateway."""
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    with started(PAGE, folder, "gateway.py", edits=edits, LISTEN=listen, **environment):
        url = f"http://127.0.0.1:{port}"
        assert 404 == eventually_get(f"{url}/").status_code
        yield url


class Upstream:
    """Another service, as the test plays it: what it answers is said for each connection."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(20)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open = contextlib.ExitStack()
        self._open.enter_context(self._listening)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def accept(self, answer: bytes = b"") -> socket.socket:
        """A connection on which a request has arrived, once it has got that answer."""
        connection, _ = self._listening.accept()
        self._open.enter_context(connection)
        connection.settimeout(20)
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        connection.sendall(answer)
        return connection


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side closes it, in either way, and sends nothing before."""
    try:
        return b"" == connection.recv(1)
    except ConnectionResetError:
        return True


def answer(status: int, body: object) -> bytes:
    """An answer, complete."""
    text = json.dumps(body)
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


#: The beginning of an answer that never ends.
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning"


def test_alone(tmp_path: Path) -> None:
    """As the page starts it: many clients at once are answered, over connections that are kept."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    listen = f"tcp:{port}:interface=127.0.0.1"
    environment = {"LISTEN": listen, "UPSTREAM": f"{url}/upstream"}
    with started(PAGE, tmp_path, "gateway.py", edits=PATIENT, **environment):
        found = {"title": "title of emma", "price": "price of emma"}
        assert found == eventually_get(f"{url}/books/emma").json()
        with ThreadPoolExecutor(20) as threads:
            answers = threads.map(lambda _: httpx.get(f"{url}/books/emma", timeout=20), range(20))
            assert [found] * 20 == [each.json() for each in answers]


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    """Status 502, at once."""
    with gateway(tmp_path, UPSTREAM=f"http://127.0.0.1:{free_port()}") as url:
        assert 502 == httpx.get(f"{url}/books/emma").status_code


def test_an_upstream_that_refuses(tmp_path: Path) -> None:
    """Status 502; the other request, which is not needed any more, is cancelled."""
    with (
        Upstream() as upstream,
        gateway(tmp_path, PATIENT, UPSTREAM=upstream.url) as url,
        ThreadPoolExecutor(1) as threads,
    ):
        asked = threads.submit(httpx.get, f"{url}/books/emma", timeout=20)
        other = upstream.accept()
        upstream.accept(answer(404, "none"))
        assert is_closed(other)
        assert 502 == asked.result().status_code
        assert {"error": "upstream answered 404"} == asked.result().json()


@pytest.mark.parametrize("begun", [b"", BEGUN])
def test_an_upstream_that_hangs(tmp_path: Path, begun: bytes) -> None:
    """Status 504 when the time is up, and its connections are closed, also amid an answer."""
    with (
        Upstream() as upstream,
        gateway(tmp_path, UPSTREAM=upstream.url) as url,
        ThreadPoolExecutor(1) as threads,
    ):
        asked = threads.submit(httpx.get, f"{url}/books/emma", timeout=20)
        connections = [upstream.accept(begun) for _ in range(2)]
        assert 504 == asked.result().status_code
        assert all(map(is_closed, connections))


@pytest.mark.parametrize("begun", [b"", BEGUN])
def test_a_client_that_disconnects(tmp_path: Path, begun: bytes) -> None:
    """Its requests to the other service are cancelled: the connections are closed."""
    with Upstream() as upstream, gateway(tmp_path, PATIENT, UPSTREAM=upstream.url) as url:
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as client:
            client.sendall(b"GET /books/emma HTTP/1.1\r\nHost: x\r\n\r\n")
            connections = [upstream.accept(begun) for _ in range(2)]
        assert all(map(is_closed, connections))


def test_what_treq_leaves_open(tmp_path: Path) -> None:
    """The trap of the page: without `Body` the connection outlives the client, and the time."""
    begin, end = "await Promise(\n", "Body(resolve, reject, on_cancel))\n    )"
    text = (EXAMPLES / "gateway.py").read_text()
    body = text[text.index(begin) : text.index(end) + len(end)]
    edits = {body: "await response.content()"}
    with (
        Upstream() as upstream,
        gateway(tmp_path, edits, UPSTREAM=upstream.url) as url,
        ThreadPoolExecutor(1) as threads,
    ):
        asked = threads.submit(httpx.get, f"{url}/books/emma", timeout=20)
        connections = [upstream.accept(BEGUN) for _ in range(2)]
        assert 504 == asked.result().status_code
        # Once more, so that what was to be closed is.
        assert 404 == httpx.get(url).status_code
        for connection in connections:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


def stop(process: Program, url: str) -> None:
    """Have it stop; it has begun to once its port is closed."""
    process.terminate()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            httpx.get(url, timeout=20)
        except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
            return


@pytest.mark.parametrize("grace", [5, 0])
def test_a_stop(tmp_path: Path, grace: int) -> None:
    """A request that is under way is answered before the process ends: 503 after the grace."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        Upstream() as upstream,
        ThreadPoolExecutor(1) as threads,
        started(
            PAGE,
            tmp_path,
            "gateway.py",
            edits={"grace=5": f"grace={grace}", **PATIENT},
            LISTEN=f"tcp:{port}:interface=127.0.0.1",
            UPSTREAM=upstream.url,
        ) as process,
    ):
        eventually_get(url)
        asked = threads.submit(httpx.get, f"{url}/books/emma", timeout=20)
        connections = [upstream.accept() for _ in range(2)]
        stop(process, url)
        if grace:
            for connection in connections:
                connection.sendall(answer(200, "late"))
            assert {"title": "late", "price": "late"} == asked.result().json()
        else:
            assert 503 == asked.result().status_code


def test_a_port_that_is_taken(tmp_path: Path, run_python: Any, monkeypatch: Any) -> None:
    """The process says so, and ends with status 1."""
    paste(PAGE, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("LISTEN", f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1")
        assert "CannotListenError" in run_python("gateway.py", status=1)


def test_an_error_handler_that_gets_no_cancellations(tmp_path: Path) -> None:
    """The trap of the page: status 500, and a traceback in the log."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        Upstream() as upstream,
        ThreadPoolExecutor(1) as threads,
        started(
            PAGE,
            tmp_path,
            "gateway.py",
            edits={
                "grace=5": "grace=0",
                "    CancelledError: 503,  # the process stops\n": "",
                **PATIENT,
            },
            errors="Failure: twpromise.CancellationError",
            LISTEN=f"tcp:{port}:interface=127.0.0.1",
            UPSTREAM=upstream.url,
        ) as process,
    ):
        eventually_get(url)
        asked = threads.submit(httpx.get, f"{url}/books/emma", timeout=20)
        upstream.accept()
        stop(process, url)
        assert 500 == asked.result().status_code
