"""`txaio` and `autobahn`: functions and WebSocket servers that answer with promises."""

from __future__ import annotations

import txaio
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred

from tests.integrations.local import Local, Pending, Settled
from twpromise import Promise


class Server(WebSocketServerProtocol):
    """Asks whether the client may connect; sends back what it gets, later."""

    def onConnect(self, request):
        return self.factory.answer()

    def onMessage(self, payload, isBinary):
        Promise.delay(0, payload).then(self.sendMessage)


class Client(WebSocketClientProtocol):
    """Sends a message, waits for the answer, and closes the connection."""

    def onOpen(self):
        self.sendMessage(b"hello")

    def onMessage(self, payload, isBinary):
        self.factory.outcome.callback(payload)
        self.sendClose()

    def onClose(self, wasClean, code, reason):
        if not self.factory.outcome.called:
            self.factory.outcome.callback(reason)


def boom():
    raise OSError("boom")


def deny():
    raise ConnectionDeny(403, "not you")


class Sockets:
    """Each question is asked twice at once, and again later."""

    async def connect(self, function):
        """What comes of three clients."""
        factory = WebSocketServerFactory()
        factory.protocol, factory.answer = Server, await self.answers(function)
        port = self.serve(factory)
        outcomes = await Promise.all([self.client(port), self.client(port)])
        return {*outcomes, await self.client(port)}

    def client(self, port):
        from twisted.internet import reactor

        factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}")
        factory.protocol, factory.outcome = Client, Deferred()
        reactor.connectTCP("127.0.0.1", port, factory)
        return factory.outcome

    async def test_a_client_that_may_connect(self):
        """The connection opens once the promise is fulfilled; messages are answered."""
        assert {b"hello"} == await self.connect(lambda: None)

    async def test_a_client_that_may_not(self):
        """The promise's rejection denies the connection."""
        (outcome,) = await self.connect(deny)
        assert "not you" in outcome

    async def test_as_future(self):
        """`as_future`, callbacks and `gather` take promises."""
        good, bad = await self.answers(lambda: 1), await self.answers(boom)
        for _ in range(2):
            assert 1 == await txaio.as_future(good)
            await self.assertFailure(txaio.as_future(bad), OSError)
            assert [1, 1] == await txaio.gather([good(), good()])
            called = Deferred()
            txaio.add_callbacks(good(), called.callback, None)
            assert 1 == await called
            called = Deferred()
            txaio.add_callbacks(bad(), None, called.errback)
            await self.assertFailure(called, OSError)

    async def test_a_future_that_is_resolved_with_a_promise(self):
        """It waits for the promise, each time."""
        good = await self.answers(lambda: 1)
        for _ in range(2):
            future = txaio.create_future()
            txaio.resolve(future, good())
            assert 1 == await future


class TestSettled(Sockets, Settled, Local):
    """The answers are known."""


class TestPending(Sockets, Pending, Local):
    """The answers have to be found."""
