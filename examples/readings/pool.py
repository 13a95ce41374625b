"""A pool of connections to SQLite."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from twisted.internet.defer import DeferredQueue

from twpromise import Disposer, Promise


class Connection:
    """A connection with a thread of its own, where its statements wait for each other."""

    def __init__(self, path: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._sqlite = self._thread.submit(sqlite3.connect, path, timeout=30).result()

    def execute(self, sql: str, *values: Any) -> Promise[list[Any]]:
        return Promise.run_in(self._thread, lambda: self._sqlite.execute(sql, values).fetchall())

    def commit(self) -> Promise[None]:
        return Promise.run_in(self._thread, self._sqlite.commit)

    def rollback(self) -> Promise[None]:
        return Promise.run_in(self._thread, self._sqlite.rollback)

    def close(self) -> Promise[None]:
        return Promise.run_in(self._thread, self._sqlite.close).finally_(
            lambda: self._thread.shutdown(wait=False)
        )


class Pool:
    """Lends connections; a request waits until one is idle."""

    def __init__(self, path: str, size: int) -> None:
        self._size = size
        self._idle: DeferredQueue[Connection] = DeferredQueue()
        for _ in range(size):
            self._idle.put(Connection(path))

    def __repr__(self) -> str:
        idle, waiting = len(self._idle.pending), len(self._idle.waiting)
        return f"<Pool: {idle} of {self._size} idle, {waiting} waiting>"

    # begin: connection
    def connection(self) -> Disposer[Connection]:
        """A connection, for `using` or `async with`; what is not committed is rolled back."""
        return Promise.resolve(self._idle.get()).disposer(
            # In the connection's thread, after a statement that was given up.
            lambda connection: connection.rollback().finally_(lambda: self._idle.put(connection))
        )

    # end: connection

    async def close(self) -> None:
        """Close each connection when it is idle."""
        for _ in range(self._size):
            connection = await Promise.resolve(self._idle.get())
            await connection.close()
