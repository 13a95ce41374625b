"""The page *With autobahn*: its server and its client, and other clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.integrations.started import Program, started

PAGE = "with-autobahn.md"


def line(program: Program) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


@contextmanager
def server(folder: Path, **options: Any) -> Iterator[tuple[Program, str]]:
    """The server, and its address."""
    listen = "tcp:0:interface=127.0.0.1"
    with started(PAGE, folder, "sockets.py", LISTEN=listen, **options) as program:
        yield program, f"ws://127.0.0.1:{line(program)}/?token=secret"


def ask(client: ClientConnection, *seconds: float) -> None:
    for number, each in enumerate(seconds, 1):
        client.send(json.dumps({"number": number, "seconds": each}))


def test_its_client(tmp_path: Path, run_python: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is answered."""
    with server(tmp_path) as (program, url):
        monkeypatch.setenv("URL", url)
        assert "42\n42\n" == run_python("-W", "error", "sockets.py", "ask", "0.2", "0")
        assert ["ended 1", "ended 2"] == [line(program), line(program)]


def test_a_question_that_is_given_up(
    tmp_path: Path, run_python: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client forgets it, and ends; the server cancels it, and what waits behind it."""
    with server(tmp_path, edits={"timeout(5) for": 'timeout(20 if each == "0" else 0.5) for'}) as (
        program,
        url,
    ):
        monkeypatch.setenv("URL", url)
        late = "TimeoutError('operation timed out')\n"
        assert "42\n" + 2 * late == run_python("sockets.py", "ask", "0", "60", "0.1")
        assert ["ended 1", "ended 2"] == [line(program), line(program)]


def test_a_client_that_is_not_known(tmp_path: Path) -> None:
    """It is refused."""
    with server(tmp_path) as (_, url), pytest.raises(InvalidStatus) as raised:
        connect(url.replace("secret", "guess"))
    assert 403 == raised.value.response.status_code


def test_without_install(tmp_path: Path) -> None:
    """The trap of the page: each connection is closed."""
    edits = {
        "twpromise.install()": "",
        # The reactor does not wait for it, either.
        "return stopped.promise": "return stopped.promise.to_deferred()",
    }
    with (
        server(tmp_path, edits=edits, errors="protocol accepted must be") as (_, url),
        pytest.raises(InvalidMessage),
    ):
        connect(url)


@pytest.mark.parametrize(("code", "taken"), [(1000, True), (1001, False), (3000, True)])
def test_codes_that_a_connection_is_closed_with(code: int, taken: bool) -> None:
    """The trap of the page, as autobahn has it."""
    protocol = WebSocketServerProtocol()
    protocol.state = protocol.STATE_CLOSED
    if taken:
        protocol.sendClose(code)
    else:
        with pytest.raises(Exception, match="invalid close code"):
            protocol.sendClose(code)


def test_messages_in_their_order(tmp_path: Path) -> None:
    """One at a time; one that cannot be read closes the connection."""
    with server(tmp_path) as (_, url), connect(url) as client:
        ask(client, 0.2, 0, 0.1, 0)
        assert [1, 2, 3, 4] == [json.loads(client.recv(20))["number"] for _ in range(4)]
        client.send("?")
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(20)
        assert 4000 == raised.value.rcvd.code
        assert "JSONDecodeError" in raised.value.rcvd.reason


def test_a_client_that_disconnects(tmp_path: Path) -> None:
    """What is under way for it is cancelled; what waits never begins."""
    with server(tmp_path) as (program, url):
        with connect(url) as client:
            ask(client, 0, 60, 60)
            client.recv(20)
        assert ["ended 1", "ended 2"] == [line(program), line(program)]


def test_a_stop(tmp_path: Path) -> None:
    """A question under way is answered before the connection is closed."""
    with server(tmp_path) as (program, url), connect(url) as client:
        ask(client, 0, 0.3)
        client.recv(20)
        program.terminate()
        assert 2 == json.loads(client.recv(20))["number"]
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(20)
        assert 4001 == raised.value.rcvd.code
