"""The messages, in an SQLite file."""

from twisted.enterprise.adbapi import ConnectionPool

from twpromise import Promise


def create_table(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS messages (line TEXT)")


class Store:
    def __init__(self, reactor):
        # SQLite allows one writer at a time: one connection, in a thread of the pool.
        self.pool = ConnectionPool(
            "sqlite3",
            "chat.sqlite",
            check_same_thread=False,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_openfun=create_table,
        )

    def add(self, line):
        """Return a promise that is fulfilled once the line is stored."""
        return Promise.from_deferred(
            self.pool.runOperation("INSERT INTO messages VALUES (?)", [line])
        )

    def last(self, count):
        """Return a promise for the last lines, oldest first."""
        query = "SELECT line FROM messages ORDER BY rowid DESC LIMIT ?"
        return Promise.from_deferred(self.pool.runQuery(query, [count])).then(
            lambda rows: [line for (line,) in reversed(rows)]
        )
