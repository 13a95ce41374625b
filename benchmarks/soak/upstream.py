"""What the service under load depends on: a server that fails, hangs and resets connections.

    python -m benchmarks.soak.upstream

Prints its port, and at the end of its input how often it did what, as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"


class Upstream(LineReceiver):
    """Just enough of HTTP to break it everywhere."""

    path = b""

    def lineReceived(self, line: bytes) -> None:
        """A line of a request; the empty one ends it."""
        if line.startswith(b"GET /"):
            self.path = line.split()[1][1:]
        elif not line:
            self.answer(self.path.decode())

    def answer(self, how: str) -> None:
        """Answer as the request's path says."""
        from twisted.internet import reactor

        self.factory.counted[how] += 1
        transport: Any = self.transport
        if how == "ok":
            transport.write(ANSWER)
        elif how == "slow":
            reactor.callLater(0.05, transport.write, ANSWER)  # type: ignore[attr-defined]
        elif how == "fail":
            transport.write(FAILURE)
        elif how == "reset":
            transport.abortConnection()
        elif how == "reset_body":
            transport.write(ANSWER[:-3])
            reactor.callLater(0.01, transport.abortConnection)  # type: ignore[attr-defined]
        elif how == "hang_body":
            transport.write(ANSWER[:-3])
        elif how == "garbage":
            transport.write(b"\x00\xff no HTTP at all\r\n\r\n")
            transport.loseConnection()
        else:
            assert how == "hang"


class UpstreamFactory(Factory):
    """Counts."""

    protocol = Upstream
    noisy = False

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()


class UntilClosed(Protocol):
    """Lives as long as the parent holds the other end of its input."""

    def __init__(self, factory: UpstreamFactory) -> None:
        self.upstream = factory

    def dataReceived(self, data: bytes) -> None:
        """On a request to end: report what was done."""
        from twisted.internet import reactor

        self.transport.write(json.dumps(self.upstream.counted).encode() + b"\n")
        reactor.callLater(0, self.transport.loseConnection)  # type: ignore[attr-defined]

    def connectionLost(self, reason: Any) -> None:
        """The end."""
        from twisted.internet import reactor

        reactor.stop()  # type: ignore[attr-defined]


def main() -> None:
    """Serve on a free port of the loopback interface."""
    from twisted.internet import reactor

    upstream = UpstreamFactory()
    port = reactor.listenTCP(0, upstream, interface="127.0.0.1")  # type: ignore[attr-defined]
    control = UntilClosed(upstream)
    StandardIO(control)
    control.transport.write(b"%d\n" % port.getHost().port)
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
