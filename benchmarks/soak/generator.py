"""Puts a service under load, and looks at each answer.

    python -m benchmarks.soak.generator URL REQUESTS CLIENTS SEED

Made of Twisted alone: what is to be tested does not test itself.  Some clients leave before they
have their answer.  Prints what it has seen as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.task import react
from twisted.web.client import Agent, HTTPConnectionPool, readBody

from .upstream import ANSWER

#: What is asked for, how often, and the statuses that may come of it.
PATHS = {
    "books": (20, 200),
    "insert": (10, 200),
    "refused": (3, 500),
    "pool/ok": (15, 200),
    "pool/fail": (3, 502),
    "pool/broken": (2, 502),
    "pool/hang": (2, 504),
    "file/using": (3, 200),
    "file/with": (3, 200),
    "file/using_late": (2, 504),
    "file/with_late": (2, 504),
    "upstream/ok": (15, 200),
    "upstream/slow": (5, 200),
    "upstream/fail": (3, 502),
    "upstream/reset": (3, 502),
    "upstream/reset_body": (3, 502),
    "upstream/garbage": (2, 502),
    "upstream/hang": (2, 504),
    "upstream/hang_body": (2, 504),
    "fan/ok": (5, 200),
    "fan/fail": (2, 502),
    "fan/hang": (1, 504),
}

UPSTREAM = ANSWER.partition(b"\r\n\r\n")[2].decode()

#: What is said where all is well, as JSON.
SAID: dict[str, Callable[[Any], bool]] = {
    "books": lambda said: isinstance(said, list) and {*said} <= {"A title"},
    "insert": lambda said: isinstance(said, int) and said > 0,
    "pool": lambda said: said == "used",
    "file": lambda said: said == os.devnull,
    "upstream": lambda said: said == UPSTREAM,
    "fan": lambda said: said == 6 * [UPSTREAM],
}

#: Whatever has to wait for something may meet a deadline as the load grows.
LATE = 504

#: How many of a hundred clients leave early.
LEAVE = 8


class Load:
    """The clients and what they have seen."""

    def __init__(self, reactor: Any, url: str, requests: int, seed: int) -> None:
        self.reactor = reactor
        self.url = url
        self.random = random.Random(seed)
        self.pool = HTTPConnectionPool(reactor)
        self.pool.maxPersistentPerHost = 1000
        # Each failure is to be seen, not mended.
        self.pool.retryAutomatically = False
        self.agent = Agent(reactor, pool=self.pool)
        self.work: Iterator[int] = iter(range(requests))
        self.statuses: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.left = 0
        self.times: list[float] = []

    async def client(self) -> None:
        """One client: a request after the other."""
        for _ in self.work:
            path = self.random.choices(list(PATHS), [weight for weight, _ in PATHS.values()])[0]
            self.asked[path] += 1
            leaves = self.random.randrange(100) < LEAVE
            began = time.perf_counter()
            request = self.get(path)
            call = None
            if leaves:
                call = self.reactor.callLater(0.05 * self.random.random(), request.cancel)
            try:
                status, body = await request
            except Exception as error:
                if call is None or call.active():
                    self.wrong[f"{path}: {error!r}"] += 1
                else:
                    self.left += 1
            else:
                self.times.append(time.perf_counter() - began)
                self.statuses[str(status)] += 1
                if status not in {PATHS[path][1], LATE}:
                    self.wrong[f"{path}: status {status}"] += 1
                elif status == 200 and not SAID[path.partition("/")[0]](json.loads(body)):
                    self.wrong[f"{path}: {body!r}"] += 1
            if call is not None and call.active():
                call.cancel()

    def get(self, path: str) -> Deferred[tuple[int, bytes]]:
        """The status and the body of an answer that is there to its end."""
        url = f"{self.url}/{path}".encode()

        def body(response: Any) -> Deferred[tuple[int, bytes]]:
            return readBody(response).addCallback(lambda body: (response.code, body))

        return self.agent.request(b"GET", url).addCallback(body)


def main(reactor: Any, url: str, requests: str, clients: str, seed: str) -> Deferred[None]:
    """Run the clients."""
    load = Load(reactor, url, int(requests), int(seed))
    running = DeferredList(
        [ensureDeferred(load.client()) for _ in range(int(clients))], fireOnOneErrback=True
    )

    def tell(_: object) -> Deferred[None]:
        times = sorted(load.times)
        print(
            json.dumps(
                {
                    "asked": load.asked,
                    "statuses": load.statuses,
                    "left": load.left,
                    "wrong": load.wrong,
                    "median": times[len(times) // 2],
                    "99 %": times[int(0.99 * (len(times) - 1))],
                    "worst": times[-1],
                }
            )
        )
        return load.pool.closeCachedConnections()

    return running.addCallback(tell)


if __name__ == "__main__":
    # It says so of answers that are there as a whole.
    warnings.filterwarnings("ignore", "Using readBody with a transport")
    react(main, sys.argv[1:])
