"""`twisted.protocols.amp`: responders that return promises as they are."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.amp import AMP, Command, Integer

from tests.integrations.local import Local, Pending, Settled


class NoBook(Exception):
    pass


class Count(Command):
    """How many books there are."""

    response = ((b"count", Integer()),)
    errors = {NoBook: b"NO_BOOK"}  # noqa: RUF012 - amp's own way


def none():
    raise NoBook


class Responders:
    """Each command is called twice at once, and again later."""

    async def client(self, function):
        """A client of a server whose responder has the same promise for each call."""
        from twisted.internet import reactor

        answer = await self.answers(function)

        class Library(AMP):
            count = Count.responder(lambda self: answer())

        port = self.serve(Factory.forProtocol(Library))
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        client = await connectProtocol(endpoint, AMP())
        self.addCleanup(client.transport.loseConnection)
        return client

    async def test_answers(self):
        """What the promise is fulfilled with is the response, each time."""
        client = await self.client(lambda: {"count": 3})
        calls = [client.callRemote(Count), client.callRemote(Count)]
        assert [{"count": 3}] * 2 == await gatherResults(calls)
        assert {"count": 3} == await client.callRemote(Count)

    async def test_errors(self):
        """What it is rejected with is the command's error, each time."""
        client = await self.client(none)
        for call in client.callRemote(Count), client.callRemote(Count):
            await self.assertFailure(call, NoBook)
        await self.assertFailure(client.callRemote(Count), NoBook)


class TestSettled(Responders, Settled, Local):
    """The answers are known."""


class TestPending(Responders, Pending, Local):
    """The answers have to be found."""
