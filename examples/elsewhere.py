"""Blocking work in threads, and work for the processor in other processes.

Run it: ``python examples/elsewhere.py``.
"""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from twisted.internet.task import react

from twpromise import Promise, deferify
from twpromise.promisifiers import threads


def answer(question):
    """Blocks."""
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute(question).fetchone()[0]
    finally:
        connection.close()


# begin: threads
def sum_in_thread():
    return Promise.in_thread(answer, "SELECT 6 * 7").timeout(5)


answer_later = Promise.promisify(answer, promisifier=threads)
# end: threads


# begin: processes
def prime(number):
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def processes(count):
    """A disposer for an executor; its shutdown waits for what runs, and so it runs in a thread."""
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    return Promise.resolve(executor).disposer(
        lambda executor: Promise.in_thread(executor.shutdown, cancel_futures=True)
    )


def primes(numbers):
    """A promise for those that are prime."""
    return Promise.using(
        processes(4),
        lambda executor: Promise.filter(
            numbers, lambda number: Promise.run_in(executor, prime, number)
        ),
    )


# end: processes


@deferify
async def main(reactor):
    print("in a thread:", await sum_in_thread())
    print("and again:", await answer_later("SELECT sqlite_version() >= '3'"))
    print("in processes:", await primes(range(10**9, 10**9 + 30)))


if __name__ == "__main__":
    react(main)
