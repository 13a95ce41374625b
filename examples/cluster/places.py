"""The same function in threads, in processes, or on a cluster of Dask's: one argument says where.

Run it: ``python places.py cluster``, or ``threads``, or ``processes``.
"""

import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context

from distributed import Client, LocalCluster
from twisted.internet.task import react

from twpromise import Promise, deferify


def prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


@contextmanager
def cluster():
    """Blocks.  One that runs elsewhere needs ``Client("tcp://...:8786")`` alone."""
    with (
        closing(LocalCluster(n_workers=2, dashboard_address=":0")) as workers,
        closing(Client(workers)) as client,
    ):
        yield client.get_executor(pure=False)


PLACES = {
    "threads": lambda: ThreadPoolExecutor(4),
    "processes": lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")),
    "cluster": cluster,
}


def executor_at(place: str):
    """A disposer; starting and ending block, and so both are done in a thread."""
    stack = ExitStack()
    started = Promise.in_thread(lambda: stack.enter_context(PLACES[place]()))
    return started.disposer(lambda _: Promise.in_thread(stack.close))


def primes(executor: Executor, numbers: range) -> Promise[list[int]]:
    return Promise.filter(
        numbers, lambda number: Promise.run_in(executor, prime, number), concurrency=50
    )


@deferify
async def main(reactor, place="cluster"):
    numbers = range(10**6, 10**6 + 1000)
    found = await Promise.using(
        executor_at(place), lambda executor: primes(executor, numbers).timeout(60)
    )
    print(f"{place}: {len(found)} of {len(numbers)} are prime")


if __name__ == "__main__":
    react(main, sys.argv[1:])
