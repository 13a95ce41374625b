"""The client: `twisted.web.client.Agent`, with promises for its Deferreds."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone

from .. import Promise

__all__ = ["Client", "ServiceError"]


class ServiceError(Exception):
    """The service answered with an error.

    Args:
        status: The status of the answer.
        message: The text of the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"status {status}: {message}")
        #: The status of the answer.
        self.status = status


class Client:
    """Asks a service, over connections that are kept open.

    Args:
        reactor: The reactor to connect with.
    """

    def __init__(self, reactor: Any) -> None:
        #: Where the service is: what paths are added to.
        self.url = ""
        self._connections = HTTPConnectionPool(reactor)
        self._agent = Agent(reactor, pool=self._connections)
        self._answers: WeakSet[Promise[Any]] = WeakSet()

    def get(self, path: str) -> Promise[Any]:
        """A promise for the answer of the service, decoded.

        Args:
            path: The path of the request.

        Rejects with a `ServiceError` if the status is not 200.  Cancelling it ends the request.
        """
        requested = self._agent.request(b"GET", f"{self.url}{path}".encode("ascii"))
        # In the Deferred's own callback: no handler would read a response that arrives in the turn
        # of a cancellation, and the connection would stay open.
        answer: Promise[Any] = Promise.from_deferred(requested.addCallback(_read))
        self._answers.add(answer)
        return answer

    def close(self) -> Promise[object]:
        """Cancel what is under way, and close all connections; fulfilled once they are."""
        # A connection whose answer comes later would be kept open for the next request.
        for answer in list(self._answers):
            answer.cancel()
        return Promise.resolve(self._connections.closeCachedConnections())


class _Body(Protocol):
    """Collects the body of a response."""

    def __init__(self, resolve: Callable[[bytes], None], reject: Callable[[Any], None]) -> None:
        self._resolve = resolve
        self._reject = reject
        self._chunks: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """A piece of it."""
        self._chunks.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The body is complete, or the connection is lost."""
        if reason.check(ResponseDone):
            self._resolve(b"".join(self._chunks))
        else:
            self._reject(reason)

    def leave(self) -> None:
        """Drop the rest."""
        transport: Any = self.transport
        transport.loseConnection()


def _read(response: Any) -> Deferred[Any]:
    # `readBody` would do, but for its warning, and that it goes on when it is cancelled: the
    # transport of a response cannot be aborted.
    def execute(
        resolve: Callable[[bytes], None],
        reject: Callable[[Any], None],
        on_cancel: Callable[..., object],
    ) -> None:
        body = _Body(resolve, reject)
        on_cancel(body.leave)
        response.deliverBody(body)

    return Promise(execute).then(partial(_decode, response.code)).to_deferred()


def _decode(status: int, body: bytes) -> Any:
    if status != 200:
        raise ServiceError(status, body.decode(errors="replace"))
    return json.loads(body)
