"""The data: any DB-API module behind `twisted.enterprise.adbapi`."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool, Transaction

from .. import Promise
from .books import Book
from .driver import Driver

__all__ = ["Database"]


class Database:
    """A table of books of its own, and the connections to it.

    Args:
        driver: The DB-API module.
        reactor: The reactor, running.
        **defaults: Keyword arguments for ``connect`` that *driver* may override.
    """

    def __init__(self, driver: Driver, reactor: Any, **defaults: Any) -> None:
        if driver.name == "sqlite3":
            # Connections are closed by the reactor's thread.  One of them is enough: only one
            # can write at a time, and a database in memory is seen by one connection only.
            defaults.update(check_same_thread=False, cp_min=1, cp_max=1)
        self._driver = driver
        # The database may be in use: do not touch existing tables.
        self._table = f"twpromise_demo_{token_hex(4)}"
        self._created: Promise[object] = Promise.resolve()
        self._pool: Any = ConnectionPool(
            driver.name, cp_reactor=reactor, **{**defaults, **driver.arguments}
        )

    def create(self, books: tuple[Book, ...]) -> Promise[int]:
        """Make the table, and put books into it, in one transaction.

        Returns:
            A promise for how many books there are now.
        """

        def interact(transaction: Transaction) -> int:
            run: Any = transaction
            run.execute(
                f"CREATE TABLE {self._table} (id INTEGER PRIMARY KEY, "
                "title VARCHAR(80), author VARCHAR(80), published INTEGER)"
            )
            insert = self._driver.sql(f"INSERT INTO {self._table} VALUES (?, ?, ?, ?)")
            for book in books:
                run.execute(insert, tuple(book))
            run.execute(f"SELECT COUNT(*) FROM {self._table}")
            return int(run.fetchone()[0])

        created: Promise[int] = Promise.from_deferred(self._pool.runInteraction(interact))
        # Two consumers: when one of them is cancelled, the other still knows when the thread
        # has done its work.  `close` waits for that.
        self._created = created.then(None, lambda error: None)
        return created.then()

    def books(self) -> Promise[list[Book]]:
        """A promise for all books."""
        return self._query("SELECT id, title, author, published FROM {} ORDER BY id")

    def book(self, number: int) -> Promise[list[Book]]:
        """A promise for the book with that number, in a list; or an empty list."""
        return self._query("SELECT id, title, author, published FROM {} WHERE id = ?", number)

    def _query(self, statement: str, *parameters: object) -> Promise[list[Book]]:
        sql = self._driver.sql(statement.format(self._table))
        rows: Promise[list[Any]] = Promise.from_deferred(self._pool.runQuery(sql, parameters))
        return rows.then(lambda rows: [Book(*map(_decoded, row)) for row in rows])

    def close(self) -> Promise[None]:
        """Drop the table, and close all connections."""
        drop = f"DROP TABLE IF EXISTS {self._table}"
        return self._created.then(
            lambda _: Promise.from_deferred(self._pool.runOperation(drop))
        ).finally_(self._pool.close)


def _decoded(value: Any) -> Any:
    # psycopg does not decode what comes from a database whose encoding is SQL_ASCII.
    return value.decode() if isinstance(value, bytes) else value
