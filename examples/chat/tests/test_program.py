"""The program, as a user starts it: a process, clients that know nothing of Twisted, a signal."""

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from urllib.request import urlopen
from uuid import uuid4

import pytest

FOLDER = Path(__file__).parents[2]
ROOT = FOLDER.parent
POSTGRESQL = os.environ.get("TWPROMISE_TEST_POSTGRESQL")


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request, tmp_path):
    """The options that name an empty database."""
    if request.param == "SQLite":
        yield {"CHAT_SQLITE": str(tmp_path / "chat.sqlite")}
        return
    if POSTGRESQL is None:
        pytest.skip("TWPROMISE_TEST_POSTGRESQL does not name a server")
    psycopg = pytest.importorskip("psycopg")
    schema = f"chat_{uuid4().hex}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield {"CHAT_POSTGRESQL": f"{POSTGRESQL} options=-csearch_path={schema}"}
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def moderator():
    """A site that answers once it is allowed to."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            server.asked.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            server.allowed.wait(60)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.allowed = SimpleQueue(), Event()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.allowed.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Program:
    """The program that runs."""

    def __init__(self, process):
        self.process = process
        self.log = []
        self.lines = int(self.wait_for(r"LinesFactory.* starting on (\d+)"))
        self.http = int(self.wait_for(r"Site.* starting on (\d+)"))

    def wait_for(self, pattern):
        """Wait until it logs something; what the group of the pattern matches."""
        for line in self.process.stdout:
            self.log.append(line)
            if match := re.search(pattern, line):
                return match[1] if match.groups() else None
        raise AssertionError(f"no {pattern!r} in:\n{''.join(self.log)}")

    def connect(self):
        """A file to read lines from, and to write them to."""
        with socket.create_connection(("127.0.0.1", self.lines), timeout=60) as connection:
            return connection.makefile("rw", buffering=1)

    def messages(self, data=None):
        """What the API answers."""
        url = f"http://127.0.0.1:{self.http}/channels/lobby/messages"
        with urlopen(url, data, timeout=60) as response:
            return response.read().decode()

    def stopped(self):
        """Wait for its end; nothing has gone wrong."""
        self.log += self.process.stdout
        log = "".join(self.log)
        # It has come to its end in order, and then `twistd` ends itself by the signal that it got,
        # so that a shell, or a supervisor, knows why.
        assert (-signal.SIGTERM, True) == (self.process.wait(60), "Server Shut Down." in log), log
        assert not re.search("Traceback|[Uu]nhandled|critical|error", log), log


@contextmanager
def started(folder, **options):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(FOLDER), str(ROOT)]),
        "CHAT_LINES": "tcp:0:interface=127.0.0.1",
        "CHAT_HTTP": "tcp:0:interface=127.0.0.1",
        **options,
    }
    twistd = Path(sys.executable).with_name("twistd")
    with subprocess.Popen(
        [sys.executable, twistd, "--pidfile=", "-ny", FOLDER / "chat" / "chat.tac"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


def test_it_serves_and_stops(database, tmp_path):
    """Both ways in work; what was said is there when it is started again."""
    with started(tmp_path, **database) as program:
        with program.connect() as client:
            client.write("/join lobby ada\nhello\n")
            assert "* you are ada in lobby\n" == client.readline()
            assert "ada: hello\n" == client.readline()
            assert '{"result": null}' == program.messages(b"user=grace&text=hi")
            assert "grace: hi\n" == client.readline()
        program.process.terminate()
        program.stopped()
    with started(tmp_path, **database) as program:
        expected = '[{"user": "ada", "text": "hello"}, {"user": "grace", "text": "hi"}]'
        assert f'{{"result": {expected}}}' == program.messages()
        program.process.terminate()
        program.stopped()


def test_what_is_under_way_is_answered(moderator, tmp_path):
    """The signal comes before the moderator answers; each client has its answer all the same."""
    url = f"http://127.0.0.1:{moderator.server_port}/"
    options = {"CHAT_MODERATOR": url, "CHAT_PATIENCE": "60", "CHAT_GRACE": "60"}
    with (
        started(tmp_path, **options) as program,
        program.connect() as client,
        ThreadPoolExecutor(1) as executor,
    ):
        client.write("/join lobby ada\nhello\n")
        assert "* you are ada in lobby\n" == client.readline()
        assert "hello" == moderator.asked.get(timeout=60)
        posted = executor.submit(program.messages, b"user=grace&text=hi")
        # On a slow machine it is asked twice about the first.
        while "hi" != moderator.asked.get(timeout=60):
            pass
        program.process.terminate()
        program.wait_for("Received SIGTERM")
        moderator.allowed.set()
        assert {"ada: hello\n", "grace: hi\n"} == {client.readline() for _ in range(2)}
        assert '{"result": null}' == posted.result(60)
        # It closes the connection.
        assert "" == client.readline()
        program.stopped()
