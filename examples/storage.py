"""A shop's books: in SQLite or PostgreSQL by adbapi, with a cache in Redis by txredisapi.

Run it: ``python storage.py``, with a connection string in ``POSTGRESQL``, and host:port in
``REDIS``, if there are such servers.  It sells some books, prints what has happened, and ends.
"""

import os
from tempfile import TemporaryDirectory

import txredisapi
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.task import react

from twpromise import Disposer, Promise, batch, deferify

POSTGRESQL, REDIS = os.environ.get("POSTGRESQL"), os.environ.get("REDIS")


def open_pool(folder):
    """A disposer for a pool of connections: it is closed when it has been used."""
    if POSTGRESQL:
        pool = ConnectionPool("psycopg", POSTGRESQL, cp_max=5)
    else:
        # SQLite has one writer at a time; and the pool closes connections in another thread.
        path = f"{folder}/books.sqlite"
        pool = ConnectionPool("sqlite3", path, cp_min=1, cp_max=1, check_same_thread=False)
    return Promise.resolve(pool).disposer(ConnectionPool.close)


def open_redis():
    """A disposer for a connection, or for None."""
    if not REDIS:
        return Promise.resolve(None).disposer(lambda _: None)
    host, port = REDIS.split(":")
    connecting = Promise.resolve(txredisapi.Connection(host, int(port), reconnect=False))
    return connecting.timeout(5).disposer(lambda redis: redis.disconnect())


class NotEnough(Exception):
    pass


class Books:
    def __init__(self, pool, redis):
        self._pool, self._redis = pool, redis
        self._load = batch(self._load_all, size=100)  # many lookups become one query
        self.queries = 0

    async def price(self, title):
        price = await self._ask_redis("get", f"price:{title}")
        if price is None:
            price = await self._load(title)
            await self._ask_redis("setex", f"price:{title}", 60, price)
        return price

    def sell(self, title, number):
        """A promise for how many are left; all of a transaction is done, or nothing."""

        def work(transaction):
            change = "UPDATE book SET number = number - ? WHERE title = ?"
            self._execute(transaction, change, number, title)
            select = "SELECT number FROM book WHERE title = ?"
            [(left,)] = self._execute(transaction, select, title).fetchall()
            if left < 0:
                raise NotEnough(f"{left + number} of {title}")
            return left

        return self.run(work)

    def run(self, work):
        """A promise for what a function makes of a transaction, in a thread of the pool.

        Nothing stops the thread: a promise that is cancelled has ended when the thread has.
        """
        running = Promise.resolve(self._pool.runInteraction(work))
        return running.shield().finally_(running.reflect)

    async def _load_all(self, titles):
        self.queries += 1
        select = f"SELECT title, price FROM book WHERE title IN ({', '.join('?' * len(titles))})"
        found = await self.run(lambda each: self._execute(each, select, *titles).fetchall())
        prices = dict(found)
        return [prices.get(title, KeyError(title)) for title in titles]

    def _ask_redis(self, command, *arguments):
        """A promise for the answer, or for None if Redis fails, or takes too long."""
        if self._redis is None:
            return Promise.resolve(None)
        asked = Promise.try_(lambda: getattr(self._redis, command)(*arguments))
        return asked.timeout(0.5).catch(txredisapi.RedisError, TimeoutError, lambda _: None)

    @staticmethod
    def _execute(transaction, sql, *values):
        transaction.execute(sql.replace("?", "%s") if POSTGRESQL else sql, values)
        return transaction


def create(transaction):
    transaction.execute("DROP TABLE IF EXISTS book")
    transaction.execute("CREATE TABLE book (title TEXT PRIMARY KEY, price INTEGER, number INTEGER)")
    transaction.execute("INSERT INTO book VALUES ('emma', 8, 5), ('persuasion', 7, 1)")


@deferify
async def main(reactor):
    async with (
        Disposer.of(TemporaryDirectory()) as folder,
        open_pool(folder) as pool,
        open_redis() as redis,
    ):
        books = Books(pool, redis)
        await books.run(create)
        for _ in range(2):
            prices = await Promise.map(["emma", "persuasion"] * 10, books.price)
            print(f"prices: {sum(prices)} in all, after {books.queries} queries")
        sold = [books.sell("emma", 2), books.sell("persuasion", 2), books.sell("emma", 3)]
        for outcome in await Promise.all_settled(sold):
            print(f"left: {outcome.value()}" if outcome.is_fulfilled() else repr(outcome.reason()))


if __name__ == "__main__":
    react(main)
