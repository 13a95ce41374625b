"""`Agent` against a server that hangs."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, ResponseDone
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from twpromise import Promise, TimeoutError, deferify


class Body(Protocol):
    """Reads the body of a response into a promise; cancelling that closes the connection."""

    def __init__(self):
        self.parts = []
        self.promise = Promise(self.execute)

    def execute(self, resolve, reject, on_cancel):
        self.resolve, self.reject = resolve, reject
        on_cancel(lambda: self.transport.loseConnection())

    def dataReceived(self, data):
        """Some more of it."""
        self.parts.append(data)

    def connectionLost(self, reason):
        """All of it, or not."""
        if reason.check(ResponseDone):
            self.resolve(b"".join(self.parts))
        else:
            self.reject(reason)


def read(response):
    """A promise for the body of a response."""
    body = Body()
    response.deliverBody(body)
    return body.promise


class Hanging(Resource):
    """Never answers; records when a request comes, and when its connection is lost."""

    isLeaf = True

    def __init__(self):
        super().__init__()
        self.arrived = Promise.defer()
        self.gone = Promise.defer()

    def render_GET(self, request):
        """Let it wait."""
        request.notifyFinish().addBoth(self.gone.resolve)
        self.arrived.resolve(request)
        return NOT_DONE_YET


class TestAgent(TestCase):
    """Requests, cancelled by deadlines and by hand."""

    def setUp(self):
        """A server on a free port."""
        from twisted.internet import reactor

        self.reactor = reactor
        self.hanging = Hanging()
        port = reactor.listenTCP(0, Site(self.hanging), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/".encode()
        self.agent = Agent(reactor)

    async def check_disconnected(self):
        """The server sees that the client has gone."""
        outcome = await self.hanging.gone.promise.reflect()
        assert isinstance(outcome.reason(), (ConnectionDone, ConnectionLost))

    async def test_timeout(self):
        """The deadline rejects, cancels the request, and the server sees the disconnect."""
        response = Promise.from_deferred(self.agent.request(b"GET", self.url))
        await self.hanging.arrived.promise
        with pytest.raises(TimeoutError):
            await response.timeout(0.01)
        await self.check_disconnected()

    async def test_cancel(self):
        """So it does when the promise is cancelled."""
        response = Promise.from_deferred(self.agent.request(b"GET", self.url))
        await self.hanging.arrived.promise
        response.cancel()
        await self.check_disconnected()

    async def test_cancel_as_the_answer_comes(self):
        """A callback of the Deferred gets the answer, though a consumer leaves in that turn."""

        def leave(response):
            self.reactor.callLater(0, answer.cancel)
            return read(response).to_deferred()

        requested = self.agent.request(b"GET", self.url)
        answer = Promise.from_deferred(requested.addCallback(leave))
        request = await self.hanging.arrived.promise
        request.write(b"begun")
        await self.check_disconnected()

    async def test_timeout_by_deferify(self):
        """The same for those who want a Deferred."""

        @deferify(timeout=0.01)
        def get():
            return self.agent.request(b"GET", self.url)

        waiting = get()
        # Whether the server has heard of it by then is not known.
        self.hanging.gone.promise.suppress_unhandled_rejections()
        with pytest.raises(TimeoutError):
            await waiting

    async def test_timeout_of_the_body(self):
        """A body that does not end is given up, and its connection closed."""
        response = Promise.from_deferred(self.agent.request(b"GET", self.url))
        request = await self.hanging.arrived.promise
        request.write(b"begun")
        body = read(await response)
        with pytest.raises(TimeoutError):
            await body.timeout(0.01)
        await self.check_disconnected()

    async def test_answer(self):
        """The deadline does not affect a request that is answered in time."""
        response = Promise.from_deferred(self.agent.request(b"GET", self.url))
        request = await self.hanging.arrived.promise
        request.write(b"ans")
        body = read(await response.timeout(60)).timeout(60)
        request.write(b"wer")
        request.finish()
        assert b"answer" == await body
