"""The page *With databases*: its program, with SQLite, and with real servers if any."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from twisted.enterprise.adbapi import ConnectionPool
from twisted.trial.unittest import SkipTest, TestCase

from tests.integrations.pages import paste
from twpromise import Promise

PAGE = "with-databases.md"
POSTGRESQL = os.environ.get("TWPROMISE_TEST_POSTGRESQL")
REDIS = os.environ.get("TWPROMISE_TEST_REDIS")

# txredisapi uses what is deprecated.
QUIET = ["-W", "error", "-W", "ignore::DeprecationWarning"]


@pytest.fixture
def run(
    run_python: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Runs the page's program, with a folder for temporary files, in which nothing is left."""
    paste(PAGE, tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    def run(**options: str) -> list[str]:
        for name, value in options.items():
            monkeypatch.setenv(name, value)
        lines = run_python(*QUIET, "storage.py").splitlines()
        assert [] == list(temporary.iterdir())
        return lines

    return run


def prices(queries: int) -> str:
    return f"prices: 150 in all, after {queries} queries"


def test_sqlite(run: Callable[..., list[str]]) -> None:
    """Twenty lookups are one query; a sale that is too large leaves no trace."""
    sales = ["left: 3", "NotEnough('1 of persuasion')", "left: 0"]
    assert [prices(1), prices(2), *sales] == run()


@pytest.mark.skipif(POSTGRESQL is None, reason="TWPROMISE_TEST_POSTGRESQL names no server")
def test_postgresql(run: Callable[..., list[str]]) -> None:
    """The same; sales are made side by side, in either order."""
    lines = run(POSTGRESQL=str(POSTGRESQL))
    assert [prices(1), prices(2), "NotEnough('1 of persuasion')"] == [*lines[:2], lines[3]]
    assert (lines[2], lines[4]) in [("left: 3", "left: 0"), ("left: 0", "left: 2")]


def redis(command: str) -> str:
    """The first line of the answer."""
    host, port = str(REDIS).split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.makefile().readline().strip()


@pytest.mark.skipif(REDIS is None, reason="TWPROMISE_TEST_REDIS names no server")
def test_redis(run: Callable[..., list[str]]) -> None:
    """The second time there is no query: the prices are in the cache, for a minute."""
    keys = "price:emma price:persuasion"
    redis(f"DEL {keys}")
    try:
        assert [prices(1), prices(1)] == run(REDIS=str(REDIS))[:2]
        assert redis("TTL price:emma") in {f":{seconds}" for seconds in range(1, 61)}
    finally:
        assert ":2" == redis(f"DEL {keys}")


def test_a_redis_that_does_not_answer(run: Callable[..., list[str]]) -> None:
    """The program does without; its connection is closed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert [prices(1), prices(2)] == run(REDIS=f"127.0.0.1:{listening.getsockname()[1]}")[:2]
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(20)
            while connection.recv(4096):
                pass


class TestTraps(TestCase):
    """What the page says to watch for."""

    async def run_cancelled(self, pattern):
        """What has happened in which order, when a query is cancelled that is in its thread."""
        pool = ConnectionPool("sqlite3", ":memory:", cp_max=1, check_same_thread=False)
        self.addCleanup(pool.close)
        begun, may_end, log = threading.Event(), threading.Event(), []

        def work(transaction):
            begun.set()
            may_end.wait(20)
            log.append("thread")

        running = pattern(Promise.resolve(pool.runInteraction(work)))
        await Promise.in_thread(begun.wait, 20)
        ended = running.reflect().then(lambda outcome: log.append(outcome.is_cancelled()))
        running.cancel()
        # Time for what is due at once.
        await Promise.delay(0)
        await Promise.delay(0)
        may_end.set()
        await ended
        await Promise.resolve(pool.runInteraction(lambda _: None))
        return log

    async def test_a_query_cannot_be_stopped(self):
        """It has ended before its thread has, unless there is a handler that waits."""
        assert [True, "thread"] == await self.run_cancelled(lambda running: running)
        waiting = lambda running: running.shield().finally_(running.reflect)  # noqa: E731
        assert ["thread", True] == await self.run_cancelled(waiting)

    async def test_a_statement_that_takes_too_long(self):
        """PostgreSQL ends it."""
        if POSTGRESQL is None:
            raise SkipTest("TWPROMISE_TEST_POSTGRESQL names no server")
        import psycopg

        options = f"{POSTGRESQL} options='-c statement_timeout=50'"
        pool = ConnectionPool("psycopg", options)
        self.addCleanup(pool.close)
        asked = Promise.resolve(pool.runQuery("SELECT pg_sleep(60)"))
        assert "ended" == await asked.catch_return(psycopg.errors.QueryCanceled, "ended")

    @pytest.mark.filterwarnings("ignore::DeprecationWarning:txredisapi")
    async def test_a_blocking_command_that_is_cancelled(self):
        """It takes the next item; one whose connection is closed does not."""
        if REDIS is None:
            raise SkipTest("TWPROMISE_TEST_REDIS names no server")
        import txredisapi

        host, port = REDIS.split(":")
        key = f"twpromise:{uuid4().hex}"

        def connection():
            connecting = txredisapi.Connection(host, int(port), reconnect=False)
            return Promise.resolve(connecting).disposer(lambda redis: redis.disconnect())

        async def blocked(redis, number):
            """Waits until the server has so many clients that wait for an item."""
            while str(number) != (await redis.info("clients"))["blocked_clients"]:
                pass

        async with connection() as one, connection() as other:
            popping = Promise.resolve(one.blpop([key]))
            popping.cancel()
            await blocked(other, 1)
            await other.lpush(key, "item")
            assert 0 == await other.llen(key)

        async with connection() as other:
            popping = Promise.using(connection(), lambda one: one.blpop([key]))
            await blocked(other, 1)
            popping.cancel()
            await blocked(other, 0)
            await other.lpush(key, "item")
            assert 1 == await other.llen(key)
            await other.delete(key)
