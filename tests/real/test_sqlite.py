"""SQLite: under `adbapi`, and promisified through threads."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from twisted.enterprise import adbapi
from twisted.trial.unittest import TestCase

from twpromise import Promise
from twpromise.promisifiers import threads


class Refused(Exception):
    pass


class TestAdbapi(TestCase):
    """A pool of connections, through promises."""

    def setUp(self):
        """A pool, and a table."""
        self.pool = adbapi.ConnectionPool(
            "sqlite3", self.mktemp(), check_same_thread=False, cp_min=1, cp_max=3
        )
        self.addCleanup(self.pool.close)
        return self.pool.runOperation("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")

    def numbers(self):
        rows = Promise.from_deferred(self.pool.runQuery("SELECT number FROM numbers"))
        return rows.map(lambda row: row[0])

    async def test_queries(self):
        """One after the other, each a promise."""

        def insert(number):
            return self.pool.runOperation("INSERT INTO numbers VALUES (?)", (number,))

        await Promise.each(range(20), insert)
        assert list(range(20)) == await self.numbers()

    async def test_errors(self):
        """What sqlite3 raises in the thread is caught by its class."""
        promise = Promise.from_deferred(self.pool.runQuery("SELECT absent"))
        error = await promise.catch(sqlite3.OperationalError, lambda error: error)
        assert "no such column" in str(error)

    def connection(self):
        """A connection of the pool as a resource."""
        return Promise.in_thread(adbapi.Connection, self.pool).disposer(
            lambda connection: Promise.in_thread(connection.close)
        )

    def with_transaction(self, function):
        """The pattern of the page about disposers."""

        def use(connection):
            def rollback(error):
                return Promise.in_thread(connection.rollback).catch(lambda _: None).throw(error)

            return Promise.try_(lambda: function(connection)).then(
                lambda result: Promise.in_thread(connection.commit).return_(result), rollback
            )

        return Promise.using(self.connection(), use)

    def insert(self, connection, number):
        def run():
            connection.cursor().execute("INSERT INTO numbers VALUES (?)", (number,))

        return Promise.in_thread(run)

    async def test_a_transaction_commits(self):
        """All of it is there when the block has completed."""

        def work(connection):
            return Promise.each([1, 2, 3], lambda number: self.insert(connection, number))

        assert [1, 2, 3] == await self.with_transaction(work)
        assert [1, 2, 3] == await self.numbers()

    async def test_a_transaction_rolls_back(self):
        """Any rejection, and anything that is raised, undoes all of it."""

        def rejects(connection):
            return self.insert(connection, 1).throw(Refused())

        def raises(connection):
            raise Refused

        for work in (rejects, raises):
            with pytest.raises(Refused):
                await self.with_transaction(work)
        assert [] == await self.numbers()

    async def test_a_cancelled_use(self):
        """The connection is released before consumers are notified of the cancellation."""
        log = []
        used = Promise.defer()

        def give_back(connection):
            return Promise.in_thread(connection.rollback).then(lambda _: log.append("given back"))

        def use(connection):
            return self.insert(connection, 1).then(used.resolve).then(lambda _: Promise.delay(60))

        resource = Promise.in_thread(adbapi.Connection, self.pool).disposer(give_back)
        promise = Promise.using(resource, use)
        outcome = promise.reflect()
        await used.promise
        promise.cancel()
        assert (await outcome).is_cancelled()
        assert (["given back"], []) == (log, await self.numbers())


class TestPromisified(TestCase):
    """The blocking module itself."""

    async def test_a_class(self):
        """Each method gets a version that runs in a thread of the reactor's pool."""

        class Connection(sqlite3.Connection):
            def rows(self, sql, *parameters):
                return self.execute(sql, parameters).fetchall()

        Promise.promisify_all(Connection, promisifier=threads)
        connect = threads(sqlite3.connect)
        path = Path(self.mktemp())

        def query(connection):
            return (
                connection.executeAsync("CREATE TABLE t (n INTEGER)")
                .then(
                    lambda _: connection.executemanyAsync("INSERT INTO t VALUES (?)", [(1,), (2,)])
                )
                .then(lambda _: connection.commitAsync())
                .then(lambda _: connection.rowsAsync("SELECT n FROM t WHERE n > ?", 1))
            )

        resource = connect(path, factory=Connection, check_same_thread=False)
        assert [(2,)] == await Promise.using(resource.disposer(Connection.close), query)
        assert path.exists()

    async def test_errors(self):
        """What it raises rejects, caught by its class."""
        promise = threads(sqlite3.connect)(Path(self.mktemp()) / "none" / "file")
        await promise.catch(sqlite3.OperationalError, lambda _: None)
