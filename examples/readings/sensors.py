"""The sensors' side: a line protocol on Twisted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from twisted.internet.defer import DeferredQueue
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from twpromise import Promise


@dataclass
class Reading:
    sensor: str
    value: float


class Feed:
    """Gives each reading to all who wait for one."""

    def __init__(self) -> None:
        self._queues: set[DeferredQueue[Reading]] = set()

    def __len__(self) -> int:
        return len(self._queues)

    def put(self, reading: Reading) -> None:
        for queue in self._queues:
            if len(queue.pending) == 100:
                # A client that is too slow misses the oldest ones.
                queue.pending.pop(0)
            queue.put(reading)

    @contextmanager
    def readings(self) -> Iterator[DeferredQueue[Reading]]:
        """A queue with the readings that come while this block runs."""
        queue: DeferredQueue[Reading] = DeferredQueue()
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.remove(queue)


# begin: protocol
class Sensor(LineOnlyReceiver):
    """Sends lines such as `kitchen 21.5`: when it likes, and as the answer to `measure`."""

    delimiter = b"\n"

    def __init__(self, sensors: "set[Sensor]", received: Callable[[Reading], object]) -> None:
        self._sensors = sensors
        self._received = received
        self.asking: set[tuple[Callable, Callable]] = set()

    def measure(self) -> Promise[Reading]:
        """Ask for a reading."""

        def ask(resolve: Callable, reject: Callable, on_cancel: Callable) -> None:
            settle = resolve, reject
            self.asking.add(settle)
            on_cancel(lambda: self.asking.discard(settle))
            self.sendLine(b"measure")

        return Promise(ask)

    def connectionMade(self) -> None:
        self._sensors.add(self)

    def lineReceived(self, line: bytes) -> None:
        try:
            name, value = line.decode().split()
            reading = Reading(name, float(value))
        except ValueError:
            self.sendLine(b"expected: name value")
            return
        self._received(reading)
        while self.asking:
            resolve, _ = self.asking.pop()
            resolve(reading)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._sensors.remove(self)
        while self.asking:
            _, reject = self.asking.pop()
            reject(ConnectionError("the sensor has disconnected"))


# end: protocol
