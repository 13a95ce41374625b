"""A real PostgreSQL: psycopg under `adbapi`, through promises."""

from __future__ import annotations

import os
from uuid import uuid4

from twisted.enterprise import adbapi
from twisted.trial.unittest import SkipTest, TestCase

from twpromise import Promise, TimeoutError

SERVER = os.environ.get("TWPROMISE_TEST_POSTGRESQL")


class TestPostgreSQL(TestCase):
    """Run where ``TWPROMISE_TEST_POSTGRESQL`` says how to connect; CI starts a server."""

    def setUp(self):
        """A pool of two connections, and a table of our own."""
        if SERVER is None:
            raise SkipTest("TWPROMISE_TEST_POSTGRESQL does not name a server")
        self.pool = adbapi.ConnectionPool("psycopg", SERVER, cp_min=1, cp_max=2)
        self.addCleanup(self.pool.close)
        self.table = f"numbers_{uuid4().hex}"
        self.addCleanup(self.run_, f"DROP TABLE {self.table}")
        return self.run_(f"CREATE TABLE {self.table} (number integer PRIMARY KEY)")

    def run_(self, sql, *parameters):
        return self.pool.runOperation(sql, parameters or None)

    def query(self, sql, *parameters):
        return Promise.from_deferred(self.pool.runQuery(sql, parameters or None))

    def insert(self, number):
        return self.run_(f"INSERT INTO {self.table} VALUES (%s)", number)

    def numbers(self):
        rows = self.query(f"SELECT number FROM {self.table} ORDER BY number")
        return rows.then(lambda rows: [number for (number,) in rows])

    def check_all(self, found):
        assert list(range(50)) == found

    def test_in_parallel(self):
        """Many statements at once, no more than two of them in the database."""
        promise = Promise.map(range(50), self.insert, concurrency=2).then(lambda _: self.numbers())
        return promise.then(self.check_all).to_deferred()

    def test_errors_are_caught_by_class(self):
        """What psycopg raises arrives itself, with the traceback of the thread."""
        import psycopg

        async def duplicate():
            await self.insert(1)
            promise = Promise.resolve(self.insert(1))
            error = await promise.catch(psycopg.errors.UniqueViolation, lambda error: error)
            assert "duplicate key" in str(error)
            assert [1] == await self.numbers()

        return Promise.resolve(duplicate()).to_deferred()

    def transaction(self, work):
        """The transaction pattern: commit or roll back by hand, the connection is a resource."""

        def connect():
            return adbapi.Connection(self.pool)

        def give_back(connection):
            # A connection belongs to the thread that made it: adbapi's own.
            return Promise.in_thread(connection.close)

        def use(connection):
            return Promise.try_(lambda: work(connection)).then(
                lambda result: Promise.in_thread(connection.commit).return_(result),
                lambda error: Promise.in_thread(connection.rollback).throw(error),
            )

        return Promise.using(Promise.in_thread(connect).disposer(give_back), use)

    def test_a_transaction_commits_or_rolls_back(self):
        """What succeeds is there afterwards, and what fails is not."""

        def insert(connection, number):
            def run():
                cursor = connection.cursor()
                cursor.execute(f"INSERT INTO {self.table} VALUES (%s)", (number,))

            return Promise.in_thread(run)

        async def both():
            await self.transaction(lambda connection: insert(connection, 1))
            failing = self.transaction(
                lambda connection: insert(connection, 2).throw(ValueError("changed my mind"))
            )
            assert "changed my mind" == await failing.catch(ValueError, str)
            assert [1] == await self.numbers()

        return Promise.resolve(both()).to_deferred()

    def test_a_slow_statement_is_given_up(self):
        """On time; the statement itself goes on in its thread, without effect."""

        async def slow():
            sleeping = self.query("SELECT pg_sleep(0.3)")
            error = await sleeping.timeout(0.05).catch(TimeoutError, lambda error: error)
            assert isinstance(error, TimeoutError)
            assert [] == await self.numbers()

        return Promise.resolve(slow()).to_deferred()
