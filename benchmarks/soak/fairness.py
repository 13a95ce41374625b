"""Chains of promises without an end, and all else that a reactor serves beside them.

While something made of promises runs that never ends, timers fire, sockets are read and written,
signals are handled, processes are reaped and threads answer: each of them as often as is asked
for.  Then the chain gets a signal to end, and ends.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from queue import SimpleQueue
from typing import Any

from twisted.internet.protocol import ClientFactory, Factory, ProcessProtocol, Protocol
from twisted.internet.threads import deferToThread

from twpromise import Promise

from .harness import Soak, Turns

#: How often each is to be served.
TIMES = 20
QUICK = 3

#: Milliseconds on the processor that a turn may take: a drain's time slice of 10, and what it
#: may overstay; and what else there is to be served.
BOUND = 50

#: Milliseconds that the reactor's thread may be blocked in a turn, by locks or calls that sleep.
BLOCKED = 100


class Endless:
    """What never ends by itself, and how far it has come."""

    def __init__(self) -> None:
        self.going = True
        self.steps = 0

    def step(self) -> bool:
        """One more step; whether to go on."""
        self.steps += 1
        return self.going

    def numbers(self) -> Iterator[int]:
        """Numbers without an end."""
        for number in count():
            if not self.step():
                return
            yield number

    # --- one for each way to write a loop with promises

    def chain(self) -> Promise[Any]:
        """Each handler returns a promise whose handler returns a promise."""

        def step(_: object) -> Any:
            return Promise.resolve().then(step) if self.step() else None

        return Promise.resolve().then(step)

    def side_by_side(self) -> Promise[Any]:
        """Hundreds of such chains."""
        return Promise.all([self.chain() for _ in range(500)])

    def rejections(self) -> Promise[Any]:
        """Each failure is caught, and fails again."""

        def step(error: Exception) -> Any:
            if not self.step():
                return None
            return Promise.reject(error).catch(step)

        return Promise.reject(ValueError()).catch(step)

    def fan_outs(self) -> Promise[Any]:
        """Promises with thousands of handlers each, one after the other."""

        def step(_: object) -> Any:
            if not self.going:
                return None
            promise: Promise[Any] = Promise.resolve().then(lambda _: None)
            for _ in range(1000):
                promise.then(lambda _: self.step())
            return promise.then(step)

        return Promise.resolve().then(step)

    def generator(self) -> Promise[Any]:
        """A generator that yields settled promises."""

        @Promise.coroutine
        def run() -> Any:
            for number in self.numbers():
                yield Promise.resolve(number)

        return run()

    def coroutine(self) -> Promise[Any]:
        """A coroutine that awaits promises which are about to settle."""

        async def run() -> None:
            for number in self.numbers():
                await Promise.resolve(number).then()

        return Promise.resolve(run())

    def mapped(self) -> Promise[Any]:
        """`map` over a generator without an end, plain values."""
        return Promise.map(self.numbers(), lambda number: None, concurrency=2)

    def mapped_promises(self) -> Promise[Any]:
        """`map` over a generator without an end, promises."""
        return Promise.map(self.numbers(), lambda _: Promise.resolve().then(), concurrency=2)

    def each(self) -> Promise[Any]:
        """`each` over a generator without an end."""
        return Promise.each(self.numbers(), lambda number: None)

    def reduced(self) -> Promise[Any]:
        """`reduce` over a generator without an end, settled promises."""
        return Promise.reduce(self.numbers(), lambda total, number: Promise.resolve(0), 0)

    def async_iterable(self) -> Promise[Any]:
        """`filter` over an async generator without an end."""

        async def numbers() -> Any:
            for number in self.numbers():
                yield number

        return Promise.filter(numbers(), lambda number: False, concurrency=1)

    def threads(self) -> Promise[Any]:
        """A thread settles promises as fast as it can; each makes work for it."""
        work: SimpleQueue[Callable[..., None] | None] = SimpleQueue()

        def settle() -> None:
            for resolve in iter(work.get, None):
                resolve()

        def make() -> None:
            Promise(lambda resolve, reject: work.put(resolve)).then(step)

        def step(_: object) -> None:
            if self.step():
                make()
            else:
                work.put(None)

        for _ in range(1000):
            make()
        return Promise.in_thread(settle)


CHAINS = (
    "chain",
    "side_by_side",
    "rejections",
    "fan_outs",
    "generator",
    "coroutine",
    "mapped",
    "mapped_promises",
    "each",
    "reduced",
    "async_iterable",
    "threads",
)


class Echo(Protocol):
    """The other end of the socket."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)


class Caller(Protocol):
    """This end: a byte at a time, there and back."""

    def connectionMade(self) -> None:
        """The first one."""
        self.transport.write(b".")

    def dataReceived(self, data: bytes) -> None:
        """Count it, and send another one."""
        if self.factory.served("a socket"):
            self.transport.write(b".")
        else:
            self.transport.loseConnection()


class Reaped(ProcessProtocol):
    """A process that ends at once."""

    def __init__(self, served: Callable[[], object]) -> None:
        self._served = served

    def processEnded(self, reason: Any) -> None:
        """It has been noticed."""
        self._served()


class Fairness(Soak):
    """The soak."""

    def __init__(self) -> None:
        super().__init__("fairness", __doc__)
        self.counted: Counter[str] = Counter()
        self.total: Counter[str] = Counter()

    def main(self) -> None:
        """One chain after the other."""
        self.times = QUICK if self.quick else TIMES
        self.turns = Turns(self.reactor)
        self.echo = Factory.forProtocol(Echo)
        self.echo.noisy = False
        self.port = self.reactor.listenTCP(0, self.echo, interface="127.0.0.1")
        self.turns.start()
        Promise.each(CHAINS, self.one).then(lambda _: self.port.stopListening()).then(
            lambda _: self.finish()
        ).done()

    def one(self, name: str) -> Promise[Any]:
        """Run one chain until everything beside it has been served often enough."""
        self.counted.clear()
        functions: list[Callable[..., None]] = []
        self.all_served: Promise[Any] = Promise(lambda resolve, reject: functions.append(resolve))
        self.enough = functions[0]
        endless = Endless()
        ended = getattr(endless, name)()
        signal.signal(signal.SIGUSR1, self.on_signal)
        self.timer()
        self.socket()
        self.send_signal()
        self.process()
        self.thread()

        def stop(_: object) -> Any:
            self.tell(f"{name}: steps meanwhile", endless.steps)
            endless.going = False
            return ended

        return self.all_served.then(stop).then(lambda _: self.total.update(self.counted))

    # --- beside it

    KINDS = ("a timer", "a socket", "a signal", "a process", "a thread")

    def served(self, kind: str) -> bool:
        """Something was served; whether it is to be served once more."""
        self.counted[kind] += 1
        if all(self.counted[kind] >= self.times for kind in self.KINDS):
            self.enough()
        return self.counted[kind] < self.times

    def timer(self) -> None:
        """A timer, again and again."""

        def fire() -> None:
            if self.served("a timer"):
                self.timer()

        self.reactor.callLater(0.001, fire)

    def socket(self) -> None:
        """A connection to ourselves."""
        factory = ClientFactory.forProtocol(Caller)
        factory.noisy = False
        factory.served = self.served
        port = self.port.getHost().port
        self.reactor.connectTCP("127.0.0.1", port, factory)

    def send_signal(self) -> None:
        """A signal, from another thread, as from outside."""
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1)).start()

    def on_signal(self, *_: object) -> None:
        """A signal's handler may be called anywhere: it hands over to the reactor."""

        def handle() -> None:
            if self.served("a signal"):
                self.send_signal()

        self.reactor.callFromThread(handle)

    def process(self) -> None:
        """A child process that ends."""

        def end() -> None:
            if self.served("a process"):
                self.process()

        self.reactor.spawnProcess(Reaped(end), "/bin/true", ["true"])

    def thread(self) -> None:
        """Work in a thread of the reactor's pool."""

        def end(_: object) -> None:
            if self.served("a thread"):
                self.thread()

        deferToThread(os.getpid).addCallback(end)

    def finish(self) -> None:
        """Tell what came of it."""
        self.turns.stop()
        for kind in self.KINDS:
            self.tell(f"served: {kind}", self.total[kind])
        self.turns.tell(self)
        wanted = self.times * len(CHAINS)
        self.check("all were served", all(self.total[kind] >= wanted for kind in self.KINDS))
        self.check_turn("worst turn on the processor, ms", BOUND)
        self.check_turn("longest time blocked, ms", BLOCKED)
        self.end()


if __name__ == "__main__":
    soak = Fairness()
    soak.run(soak.main)
