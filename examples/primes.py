"""Find primes in other processes.

Run it: ``python primes.py``.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from twisted.internet.task import react

from twpromise import Promise, deferify


def is_prime(number):
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def processes(count):
    """A disposer for an executor."""
    executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    return Promise.resolve(executor).disposer(
        # In a thread: `shutdown` blocks until all processes have ended.
        lambda executor: Promise.in_thread(executor.shutdown, cancel_futures=True)
    )


@deferify
async def main(reactor):
    async with processes(4) as executor:
        primes = Promise.filter(
            range(10**9, 10**9 + 30), lambda number: Promise.run_in(executor, is_prime, number)
        )
        print(await primes.timeout(60))


if __name__ == "__main__":
    react(main)
