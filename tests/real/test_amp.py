"""`twisted.protocols.amp`, with responders that return promises."""

from __future__ import annotations

import pytest
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.protocols import amp
from twisted.trial.unittest import TestCase

from twpromise import Promise, TimeoutError, deferify


class NoBook(Exception):
    pass


class GetBook(amp.Command):
    """One book."""

    arguments = ((b"number", amp.Integer()),)
    response = ((b"title", amp.Unicode()),)
    errors = {NoBook: b"NO_BOOK"}  # noqa: RUF012 - amp's own way


class Library(amp.AMP):
    """Answers later, by promises."""

    @GetBook.responder
    @deferify
    def get_book(self, number):
        """A promise for the answer."""
        if number == 0:
            return Promise(lambda resolve, reject: None)
        found = Promise.delay(0, {1: "one", 2: "two"}).get(number)
        return found.then(lambda title: {"title": title}).catch_throw(KeyError, NoBook(number))


class TestAmp(TestCase):
    """A client and a server on the loopback."""

    async def setUp(self):
        """Connect."""
        from twisted.internet import reactor

        port = reactor.listenTCP(0, Factory.forProtocol(Library), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        self.client = await connectProtocol(endpoint, amp.AMP())
        gone = Promise.defer()
        lost = self.client.connectionLost

        def connection_lost(reason):
            lost(reason)
            gone.resolve()

        self.client.connectionLost = connection_lost
        self.addCleanup(gone.promise.to_deferred)
        self.addCleanup(self.client.transport.loseConnection)

    def book(self, number):
        return Promise.from_deferred(self.client.callRemote(GetBook, number=number))

    async def test_answers(self):
        """What the promise is fulfilled with is the response."""
        assert ["one", "two"] == await Promise.map(
            [1, 2], lambda number: self.book(number).get("title")
        )

    async def test_errors(self):
        """What it is rejected with is the command's error, on the other side."""
        error = await self.book(3).catch(NoBook, lambda error: error)
        assert isinstance(error, NoBook)

    async def test_timeout(self):
        """A deadline on this side."""
        with pytest.raises(TimeoutError):
            await self.book(0).timeout(0.01)
