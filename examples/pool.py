"""A bank: a pool of database connections, and transactions of several steps.

Run it: ``python examples/pool.py``.  It keeps its accounts in a temporary SQLite file, begins four
transfers at once over two connections, one without enough money and one that takes too long, and
prints how each has ended.  Nothing is left behind, and no penny is lost.
"""

import sqlite3
from tempfile import TemporaryDirectory

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import DeferredQueue
from twisted.internet.task import react
from twisted.internet.threads import deferToThreadPool

from twpromise import Disposer, Promise, deferify


class Connection:
    """A connection with a thread of its own: adbapi's pool, of one.

    ``runInteraction`` would commit at the end of each step; these steps make one transaction.
    """

    def __init__(self, reactor, path):
        self._reactor = reactor
        self._pool = ConnectionPool(
            "sqlite3",
            path,
            isolation_level="IMMEDIATE",
            check_same_thread=False,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
        )

    def execute(self, statement, *values):
        """A promise for the rows."""
        return self._step(lambda connection: connection.execute(statement, values).fetchall())

    def commit(self):
        return self._step(sqlite3.Connection.commit)

    def rollback(self):
        return self._step(sqlite3.Connection.rollback)

    def close(self):
        self._pool.close()

    def _step(self, function):
        return Promise.from_deferred(
            deferToThreadPool(
                self._reactor, self._pool.threadpool, lambda: function(self._pool.connect())
            )
        )


# begin: pool
class Pool:
    """Connections that are lent, and taken back clean."""

    def __init__(self, connections):
        self._connections = connections
        self._idle = DeferredQueue()
        for connection in connections:
            self._idle.put(connection)

    def connection(self):
        """A disposer for a connection, for as long as it takes until one is idle."""
        return Promise.from_deferred(self._idle.get()).disposer(self._take_back)

    def _take_back(self, connection):
        # After a commit there is nothing to roll back.
        return connection.rollback().then(lambda _: self._idle.put(connection))

    def transaction(self, work):
        """A promise for what *work* makes of a connection: all of it is done, or nothing."""
        return Promise.using(
            self.connection(),
            lambda connection: Promise.try_(lambda: work(connection)).tap(
                lambda _: connection.commit()
            ),
        )

    def close(self):
        """Close all connections, each when it has come back: a transaction may still roll back."""
        come_back = [self._idle.get() for _ in self._connections]
        return Promise.map(come_back, lambda connection: connection.close())


def open_pool(reactor, path, size=2):
    """A disposer for a pool."""
    connections = [Connection(reactor, path) for _ in range(size)]
    return Promise.resolve(Pool(connections)).disposer(Pool.close)


# end: pool


class NotEnough(Exception):
    pass


def create(connection):
    accounts = [("ada", 50), ("grace", 50), ("mary", 0)]
    return connection.execute("CREATE TABLE account (name TEXT, pence INTEGER)").then(
        lambda _: Promise.each(
            accounts, lambda row: connection.execute("INSERT INTO account VALUES (?, ?)", *row)
        )
    )


def transfer(giver, taker, pence, control=0):
    """The work of a transaction: take the pence, control that for some seconds, give them."""

    async def work(connection):
        statement = "UPDATE account SET pence = pence + ? WHERE name = ?"
        await connection.execute(statement, -pence, giver)
        [(left,)] = await connection.execute("SELECT pence FROM account WHERE name = ?", giver)
        if left < 0:
            raise NotEnough(f"{giver} has {left + pence} pence only")
        await Promise.delay(control)
        await connection.execute(statement, pence, taker)
        return f"{giver} gave {taker} {pence} pence"

    return work


@deferify
async def main(reactor):
    async with (
        Disposer.of(TemporaryDirectory()) as folder,
        open_pool(reactor, f"{folder}/bank.sqlite") as bank,
    ):
        await bank.transaction(create)
        outcomes = await Promise.all_settled(
            [
                bank.transaction(transfer("ada", "mary", 20)),
                bank.transaction(transfer("mary", "grace", 1000)),
                bank.transaction(transfer("grace", "ada", 30, control=60)).timeout(0.5),
                bank.transaction(transfer("grace", "mary", 5)),
            ]
        )
        for outcome in outcomes:
            print(outcome.value() if outcome.is_fulfilled() else f"not done: {outcome.reason()}")
        rows = await bank.transaction(lambda it: it.execute("SELECT name, pence FROM account"))
        print(", ".join(f"{name}: {pence}" for name, pence in rows))


if __name__ == "__main__":
    react(main)
