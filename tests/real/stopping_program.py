"""The web service of `examples/stopping.py` under load, to be stopped by signals.

Run by `test_stopping`, in a process of its own: as a program, with the reactor that is named, or as
a `.tac` file by twistd.  The environment says for how many requests it waits, and the grace.  Each
line that it prints is an event, in JSON: its port; that all requests are under way; that it stops;
what is left when the service has stopped, and when the process ends.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.application.service import Application, MultiService
from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from twpromise import Limiter, Promise, PromiseGroup

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

START = sys.argv[1] if __name__ == "__main__" else "twistd"
if START == "asyncio":
    asyncioreactor.install()  # type: ignore[no-untyped-call]

# After the reactor has been chosen.
from stopping import Web  # type: ignore[import-not-found] # noqa: E402
from twisted.internet import reactor as _reactor  # noqa: E402

reactor: Any = _reactor
#: Of the reactor's pool.
THREADS = 10
REQUESTS, GRACE = int(os.environ["REQUESTS"]), float(os.environ["GRACE"])


def say(event: str, **what: Any) -> None:
    """Print an event; twistd takes `sys.stdout` for its log."""
    print(json.dumps({"event": event, **what}), file=sys.__stdout__, flush=True)


def sockets() -> int:
    """How many there are in this process."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            # The one of the directory.
            pass
    return count


class Work:
    """What the requests do, by the name in their path; and the pool that they need."""

    def __init__(self) -> None:
        self.begun = self._ended = self._hanging = 0
        # Requests that wait for a thread, and threads that have begun.
        self._waiting = self._begun = 0
        #: How often each kind has done what it has to do in any case.
        self.done: Counter[str] = Counter()
        self.in_threads = 0
        #: Both, when the pool was closed.
        self.closed: list[tuple[Counter[str], int]] = []
        #: Fired a little after the service has begun to stop.
        self.soon: Deferred[None] = Deferred()
        self._limiter = Limiter(2)
        self._cancelled = False
        self._over = threading.Event()

    async def make(self, request: Any) -> bytes:
        """A page."""
        self.begun += 1
        kind = request.path.decode()[1:]
        self._hanging += kind == "hanging"
        self._waiting += kind == "thread"
        self._look()
        try:
            await getattr(self, kind)()
        finally:
            self._ended += 1
            if self._ended == REQUESTS - self._hanging < REQUESTS:
                say("hanging")
        return kind.encode()

    def _look(self) -> None:
        if self.begun == REQUESTS and self._begun == min(self._waiting, THREADS):
            say("under way")

    async def quick(self) -> None:
        """Answered when the service stops, within the grace."""
        try:
            await Promise.resolve(self.soon)
        finally:
            self.done["quick"] += 1

    async def timer(self) -> None:
        """Takes too long."""
        try:
            await Promise.delay(3600)
        finally:
            self.done["timer"] += 1

    def deferred(self) -> Promise[None]:
        """Waits for a Deferred, whose canceller is called."""
        return Promise.from_deferred(Deferred(lambda _: self.done.update(["deferred"])))

    async def cleaning(self) -> None:
        """Cleans up for some time."""
        try:
            await Promise.delay(3600)
        finally:
            await Promise.delay(0.05)
            self.done["cleaning"] += 1

    def using(self) -> Promise[None]:
        """Has a resource, which is released in two steps."""

        def release(_: str) -> Promise[None]:
            return Promise.delay(0.02).then(lambda _: self.done.update(["using"]))

        resource = Promise.delay(0, "resource").disposer(release)
        return Promise.using(resource, lambda _: Promise.delay(3600))

    async def group(self) -> None:
        """Waits for two in a group."""
        try:
            async with PromiseGroup() as group:
                group.start_soon(Promise.delay, 3600)
                group.start_soon(self.timer)
        finally:
            self.done["group"] += 1

    def limited(self) -> Promise[None]:
        """Most wait for one of two slots."""
        return self._limiter.run(Promise.delay, 3600).finally_(
            lambda: self.done.update(["limited"])
        )

    async def thread(self) -> None:
        """Few are in a thread, which goes on for some time; the others are never called."""
        try:
            await Promise.in_thread(self._block)
        finally:
            self.done["thread"] += 1
            if not self._cancelled:
                self._cancelled = True
                reactor.callLater(0.1, self._over.set)

    def _has_begun(self) -> None:
        self._begun += 1
        self._look()

    def _block(self) -> None:
        reactor.callFromThread(self._has_begun)
        assert self._over.wait(60)
        # The service must not have stopped by then.
        time.sleep(0.1)
        self.in_threads += 1

    async def hanging(self) -> None:
        """Its clean-up never ends."""
        try:
            await Promise.delay(3600)
        finally:
            await Promise.defer().promise

    def close(self) -> None:
        """As a pool that is closed, which nothing may use any more."""
        self.closed.append((self.done.copy(), self.in_threads))


class Watched(Web):  # type: ignore[misc]
    """Says when it stops, and what is left then."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=REQUESTS)
        self._port = listening.getsockname()[1]
        endpoint = AdoptedStreamServerEndpoint(reactor, listening.detach(), socket.AF_INET)
        self._work = Work()
        super().__init__(endpoint, self._work, self._work.make, GRACE)

    def startService(self) -> None:
        """Before a socket is opened."""
        super().startService()
        reactor.callWhenRunning(self._begin)
        reactor.addSystemEventTrigger("after", "shutdown", self._end)

    def _begin(self) -> None:
        # All but the one that listens.
        self._sockets = sockets() - 1
        say("port", port=self._port)

    def stopService(self) -> Any:
        """As a user's service does; and then look round."""
        # Plain: neither the connections nor the pool is closed.
        stopped = MultiService.stopService(self) if START == "plain" else super().stopService()
        self._soon = reactor.callLater(0.1, self._work.soon.callback, None)
        say("stopping")
        return stopped.addBoth(self._look)

    def _look(self, result: object) -> None:
        if self._soon.active():
            self._soon.cancel()
        gc.collect()
        pending = [
            found
            for found in gc.get_objects()
            if issubclass(type(found), Promise) and found.is_pending()
        ]
        selectables = {*reactor.getReaders(), *reactor.getWriters()}
        say(
            "stopped",
            result=repr(result),
            done=self._work.done,
            in_threads=self._work.in_threads,
            closed=[
                closed == (self._work.done, self._work.in_threads) for closed in self._work.closed
            ],
            service=repr(next(iter(self))),
            pending=len(pending),
            calls=[str(call) for call in reactor.getDelayedCalls() if call.active()],
            sockets=sockets() - self._sockets,
            selectables=[repr(one) for one in selectables if hasattr(one, "getPeer")],
        )

    def _end(self) -> None:
        left = [thread.name for thread in threading.enumerate()]
        say("end", threads=left, in_threads=self._work.in_threads)


web = Watched()
# For twistd.
application = Application("stopping")  # type: ignore[no-untyped-call]
web.setServiceParent(application)


def main(_: object) -> Deferred[None]:
    """Start it; for `react`, which goes on until the signal."""
    web.startService()
    reactor.addSystemEventTrigger("before", "shutdown", web.stopService)
    return Deferred()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    if START == "react":
        react(main)
    else:
        main(reactor)
        reactor.run()
