"""Dask's own futures among promises: results stay on the cluster until a promise follows one.

Run it: ``python own_futures.py``.
"""

import logging
import os
import time

import dask
from distributed import Client, KilledWorker, LocalCluster
from twisted.internet.task import react

from twpromise import Promise, TimeoutError, deferify


def square(number: int) -> int:
    return number * number


def connect():
    """Blocks.  Not the cluster alone: it can be awaited, and a promise would do so."""
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
    )
    return cluster, Client(cluster)


def disconnect(connected):
    for each in reversed(connected):
        each.close()


async def use(client: Client) -> None:
    squares = client.map(square, range(1000))
    print("the sum:", await Promise.resolve(client.submit(sum, squares)))
    print("all:", len(await Promise.all(squares)))

    try:
        await Promise.resolve(client.submit(time.sleep, 1)).timeout(0.1)
    except TimeoutError:
        print("too late")

    try:
        await Promise.resolve(client.submit(os._exit, 1, pure=False))
    except KilledWorker:
        print("its worker died")
    print("another worker:", await Promise.resolve(client.submit(square, 1000)))


@deferify
async def main(reactor):
    connected = Promise.in_thread(connect).disposer(lambda it: Promise.in_thread(disconnect, it))
    await Promise.using(connected, lambda it: use(it[1]))


if __name__ == "__main__":
    react(main)
