"""A service under load, while everything that it depends on fails.

A web service (`twisted.web`, `adbapi` on SQLite, a pool behind `Promise.using`, files that threads
open and close, deadlines by `timeout`, a cap on what runs at once) has an upstream that fails,
hangs and resets connections, and clients that leave; both are processes of their own, on the
loopback interface.  Every request is answered with what it must be answered with; and when the last
one is, the pool is full, all files are closed, and no delayed call, no socket, no promise and no
unhandled report is left.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, DeferredQueue, DeferredSemaphore
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.tcp import Connection
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from twpromise import Promise

from .harness import Soak, Turns

#: Seconds that an upstream, or the use of a connection, may take; and a request as a whole.
PATIENCE = 0.5
DEADLINE = 2.0

#: Seconds that a file may take to be opened; and that a thread takes which cannot be stopped then.
OPENING = 0.02
SLOW_OPENING = 0.15

#: How many connections the pool has, requests to the upstream run at once, and items of a fan.
POOL = 5
UPSTREAMS = 20
FAN = 3

CLIENTS = 50

#: Milliseconds on the processor that a turn may take, without the collector: a drain's time
#: slice of 10, and what all the sockets that are ready at the same time take.
BOUND = 60

#: Milliseconds that the reactor's thread may be blocked in a turn, by locks (the interpreter's, for
#: which the pool's threads and those that open files compete) or calls that sleep.
BLOCKED = 200

#: Faults that are not the upstream's.
FAULTS = (
    "refused",
    "pool/fail",
    "pool/broken",
    "pool/hang",
    "file/using_late",
    "file/with_late",
)


class BadGateway(Exception):
    """What is behind the service has failed."""

    status = 502


class Pooled:
    """One of the pool's; it notices if two use it at once."""

    def __init__(self, wrong: Counter[str]) -> None:
        self._wrong = wrong
        self.used = self.broken = False

    def begin(self) -> None:
        """It is in use."""
        self._wrong["connections used twice at once"] += self.used
        self.used = True

    def end(self) -> Promise[None]:
        """It is given back; mending it takes a while."""
        self.used = False
        if not self.broken:
            return Promise.resolve(None)
        self.broken = False
        return Promise.delay(0.01)


class Service:
    """What is put under load."""

    def __init__(self, reactor: Any, database: str, upstream: int) -> None:
        self.reactor = reactor
        self.wrong: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self.active = self.peak = 0
        self.random = random.Random(5)
        self.queries = adbapi.ConnectionPool(
            "sqlite3", database, check_same_thread=False, timeout=60, cp_min=1, cp_max=3
        )
        self.pool: DeferredQueue[Pooled] = DeferredQueue()
        for _ in range(POOL):
            self.pool.put(Pooled(self.wrong))
        #: Files that are open.
        self.files: set[Any] = set()
        self.slots = DeferredSemaphore(UPSTREAMS)
        self.connections = HTTPConnectionPool(reactor)
        self.connections.retryAutomatically = False
        self.agent = Agent(reactor, pool=self.connections)
        self.url = f"http://127.0.0.1:{upstream}/"
        site = Site(Endpoint(self), reactor=reactor)
        site.noisy = False
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")

    @property
    def all_given_back(self) -> bool:
        """Whether no connection of the pool, slot or file is in use."""
        full = len(self.pool.pending) == POOL and self.slots.tokens == UPSTREAMS
        return full and not self.files

    def prepare(self) -> Promise[Any]:
        """The table."""
        return Promise.from_deferred(
            self.queries.runOperation("CREATE TABLE books (number INTEGER PRIMARY KEY, title TEXT)")
        )

    def stop(self) -> Promise[Any]:
        """Release everything."""
        self.queries.close()
        return Promise.all([self.port.stopListening(), self.connections.closeCachedConnections()])

    # --- what there is to ask for

    def books(self, _: str) -> Promise[Any]:
        """Read from the database."""
        rows = Promise.from_deferred(
            self.queries.runQuery("SELECT title FROM books ORDER BY number DESC LIMIT 20")
        )
        return rows.map(lambda row: row[0])

    def insert(self, _: str) -> Promise[Any]:
        """Write to it, in a transaction."""

        def interact(transaction: Any) -> Any:
            transaction.execute("INSERT INTO books (title) VALUES (?)", ("A title",))
            transaction.execute("SELECT COUNT(*) FROM books")
            return transaction.fetchone()[0]

        return Promise.from_deferred(self.queries.runInteraction(interact))

    def refused(self, _: str) -> Promise[Any]:
        """A transaction that the database refuses."""

        def interact(transaction: Any) -> None:
            transaction.execute("INSERT INTO books VALUES (NULL, 'one')")
            transaction.execute("INSERT INTO books SELECT * FROM books LIMIT 1")

        return Promise.from_deferred(self.queries.runInteraction(interact))

    def use_pool(self, how: str) -> Promise[Any]:
        """Use a connection of the pool, which may break, fail, or hang."""

        def release(connection: Pooled) -> Promise[Any]:
            return connection.end().then(lambda _: self.pool.put(connection))

        def use(connection: Pooled) -> Any:
            connection.begin()
            if how == "fail":
                raise BadGateway(how)
            if how == "broken":
                connection.broken = True
                return Promise.delay(0.002).throw(BadGateway(how))
            seconds = 3600 if how == "hang" else 0.01 * self.random.random()
            return Promise.delay(seconds, "used").timeout(PATIENCE)

        connection: Promise[Pooled] = Promise.from_deferred(self.pool.get())
        return Promise.using(connection.disposer(release), use)

    def use_file(self, how: str) -> Promise[Any]:
        """Use a file that a thread opens, which goes on when its promise is cancelled."""
        seconds = SLOW_OPENING if how.endswith("late") else 0.002 * self.random.random()
        file = Promise.in_thread(self.open, seconds).disposer(
            lambda file: Promise.in_thread(self.close, file)
        )

        async def enter() -> str:
            async with file as entered:
                return await Promise.delay(0.001, entered.name)

        used: Promise[str]
        if how.startswith("with"):
            used = Promise.resolve(enter())
        else:
            used = Promise.using(file, lambda file: Promise.delay(0.001, file.name))
        return used.timeout(OPENING) if how.endswith("late") else used

    def open(self, seconds: float) -> Any:
        """Open a file, in a thread."""
        time.sleep(seconds)
        file = open(os.devnull)  # noqa: SIM115
        self.files.add(file)
        return file

    def close(self, file: Any) -> None:
        """Close it, once, in a thread."""
        self.wrong["files closed twice"] += file.closed
        file.close()
        self.files.discard(file)

    def upstream(self, how: str) -> Promise[Any]:
        """Ask the upstream, if no more than so many do so already."""
        slot: Promise[Any] = Promise.from_deferred(self.slots.acquire())

        def ask(_: object) -> Promise[Any]:
            requested = self.agent.request(b"GET", f"{self.url}{how}".encode())
            # In the Deferred's own callback: a response that came in the very turn in which its
            # client leaves would not be read by a handler, and keep its connection.
            return Promise.from_deferred(requested.addCallback(self.read)).timeout(PATIENCE)

        return Promise.using(slot.disposer(lambda _: self.slots.release()), ask)

    def read(self, response: Any) -> Deferred[str]:
        """The body of a good answer."""

        def decode(body: bytes) -> str:
            if response.code != 200:
                raise BadGateway(response.code)
            return body.decode()

        return readBody(response).addCallback(decode)

    def fan(self, how: str) -> Promise[Any]:
        """Ask the upstream often, a few at a time; one of the answers is of a kind."""
        active = 0

        def ask(kind: str) -> Promise[Any]:
            nonlocal active
            active += 1
            self.wrong["items of a fan beyond the cap"] += active > FAN
            return self.upstream(kind).finally_(answered)

        def answered() -> None:
            nonlocal active
            active -= 1

        return Promise.map(["ok", "slow", how, "ok", "slow", "ok"], ask, concurrency=FAN)


class Endpoint(Resource):
    """All that the service answers."""

    isLeaf = True

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service
        self._kinds = {
            "books": service.books,
            "insert": service.insert,
            "refused": service.refused,
            "pool": service.use_pool,
            "file": service.use_file,
            "upstream": service.upstream,
            "fan": service.fan,
        }

    def render_GET(self, request: Request) -> int:
        """Answer within the deadline; stop the work if the client leaves before."""
        service = self._service
        kind, _, how = request.path.decode()[1:].partition("/")
        service.counted[f"{kind}/{how}".strip("/")] += 1
        service.active += 1
        service.peak = max(service.peak, service.active)
        sent = (
            self._kinds[kind](how)
            .timeout(DEADLINE)
            .then(json.dumps)
            .then(partial(self._send, request, 200), partial(self._failed, request))
        )
        sent.finally_(self._ended)
        request.notifyFinish().addErrback(lambda _: sent.cancel())
        return NOT_DONE_YET

    def _ended(self) -> None:
        self._service.active -= 1

    def _failed(self, request: Request, error: Any) -> None:
        if isinstance(error, Promise.TimeoutError):
            status = 504
        elif isinstance(error, BadGateway) or type(error).__module__.startswith("twisted."):
            status = 502
        else:
            status = 500
        self._send(request, status, repr(error))

    def _send(self, request: Request, status: int, text: str) -> None:
        body = text.encode()
        request.setResponseCode(status)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()


class Child(ProcessProtocol):
    """Another process; what it prints first, and what it prints last."""

    def __init__(self) -> None:
        self.output = b""
        first: Deferred[bytes] = Deferred()
        ended: Deferred[bytes] = Deferred()
        self._first: Deferred[bytes] | None = first
        self._ended = ended
        self.first: Promise[bytes] = Promise.from_deferred(first)
        self.ended: Promise[bytes] = Promise.from_deferred(ended)

    def outReceived(self, data: bytes) -> None:
        """Some of its output."""
        self.output += data
        if b"\n" in self.output and self._first is not None:
            first, self._first = self._first, None
            first.callback(self.output)

    def errReceived(self, data: bytes) -> None:
        """What it complains of is ours."""
        sys.stderr.write(data.decode())

    def processEnded(self, reason: Any) -> None:
        """It is gone."""
        self._ended.callback(self.output.splitlines()[-1])


def sockets() -> set[str]:
    """The sockets that this process has."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def promises() -> int:
    """How many promises there are."""
    gc.collect()
    return sum(isinstance(thing, Promise) for thing in gc.get_objects())


class Load(Soak):
    """The soak."""

    def __init__(self) -> None:
        super().__init__("load", __doc__)
        self.requests = 0

    def main(self) -> None:
        """Start the three of them, and compare afterwards."""
        self.requests = 1_000 if self.quick else 20_000
        self.turns = Turns(self.reactor)
        self.folder = tempfile.TemporaryDirectory()
        self.began = sockets()
        self.alive = promises()
        Promise.resolve(self.run_service()).finally_(self.folder.cleanup).done(
            lambda _: self.reactor.callLater(0, self.finish)
        )

    def child(self, module: str, *arguments: object) -> Child:
        """Another module of this package, as a process."""
        child = Child()
        command = [sys.executable, "-m", f"{__package__}.{module}", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child.process = self.reactor.spawnProcess(child, sys.executable, command, environment)
        return child

    async def run_service(self) -> None:
        """The whole of it."""
        upstream = self.child("upstream")
        self.service = service = Service(
            self.reactor, str(Path(self.folder.name) / "database"), int(await upstream.first)
        )
        await service.prepare()
        self.turns.start()
        url = f"http://127.0.0.1:{service.port.getHost().port}"
        generator = self.child("generator", url, self.requests, CLIENTS, 7)
        self.seen = json.loads(await generator.ended)
        # What runs beside the item of a fan that failed goes on after the answer.
        await self.until(lambda: not service.active and service.all_given_back)
        self.turns.stop()
        self.full = len(service.pool.pending)
        self.tokens = service.slots.tokens
        self.files = len(service.files)
        await service.stop()
        upstream.process.write(b"end\n")
        self.upstream = json.loads(await upstream.ended)
        await self.until(lambda: sockets() <= self.began and not self.delayed())

    async def until(self, condition: Any) -> None:
        """Give what is on its way some time."""
        for _ in range(400):
            if condition():
                return
            await Promise.delay(0.025)

    def delayed(self) -> list[Any]:
        """Delayed calls, but the one that asks for them."""
        return [call for call in self.reactor.getDelayedCalls() if call.active()]

    def finish(self) -> None:
        """Tell what came of it."""
        service, seen = self.service, self.seen
        faults = {f"upstream: {kind}": self.upstream.get(kind, 0) for kind in UPSTREAM_FAULTS}
        faults |= {kind: service.counted[kind] for kind in FAULTS}
        faults["clients that left"] = seen["left"]
        self.tell("requests", sum(seen["asked"].values()))
        self.tell("requests held at once", service.peak)
        for status, number in sorted(seen["statuses"].items()):
            self.tell(f"answers with status {status}", number)
        for fault, number in faults.items():
            self.tell(f"faults: {fault}", number)
        self.tell("faults injected", sum(faults.values()))
        self.tell("requests of which the service heard", sum(service.counted.values()))
        self.tell("median answer, ms", round(1000 * seen["median"], 1))
        self.tell("99 % of the answers, ms", round(1000 * seen["99 %"], 1))
        self.turns.tell(self)
        wrong = {**seen["wrong"], **+service.wrong}
        for what, number in wrong.items():
            self.tell(f"wrong: {what}", number)
        answered = sum(seen["statuses"].values()) + seen["left"]
        left = self.delayed()
        open_sockets = sockets() - self.began
        alive = promises() - self.alive
        self.tell("files left open", self.files)
        self.tell("delayed calls left", len(left))
        self.tell("sockets left", len(open_sockets))
        if open_sockets:
            # The reactor knows of those only that wait for something.
            for thing in gc.get_objects():
                if isinstance(thing, Connection) and thing.connected:
                    print(f"  LEFT: {thing!r} to {thing.getPeer()}", file=sys.stderr)
        self.tell("promises left", alive)
        self.check("every request is answered", answered == self.requests)
        self.check("with what it must be answered with", not wrong)
        if not self.quick:
            # On a machine that does little else, that is.
            good = seen["statuses"].get("200", 0)
            self.check("more than half of them have what they want", 2 * good > answered)
            self.check("every kind of fault was injected", all(faults.values()))
        self.check("the service has no request left", not service.active)
        self.check("the pool is full again", self.full == POOL)
        self.check("so are the slots", self.tokens == UPSTREAMS)
        self.check("every file is closed", not self.files)
        self.check("no delayed call is left", not left)
        self.check("no socket is left", not open_sockets)
        self.check("no promise is left", alive <= 0)
        self.check_turn("worst turn on the processor, ms", BOUND)
        self.check_turn("longest time blocked, ms", BLOCKED)
        self.end()


#: Faults of the upstream.
UPSTREAM_FAULTS = ("slow", "fail", "hang", "hang_body", "reset", "reset_body", "garbage")


if __name__ == "__main__":
    # It says so of answers that are there as a whole.
    warnings.filterwarnings("ignore", "Using readBody with a transport")
    soak = Load()
    soak.run(soak.main)
