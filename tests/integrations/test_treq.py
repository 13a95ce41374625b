"""`treq`: an agent and callbacks that return promises."""

from __future__ import annotations

import treq
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError
from twisted.web.client import Agent
from twisted.web.iweb import IAgent
from zope.interface import implementer

from tests.integrations.local import Local, Page, Pending, Settled
from twpromise import Promise


@implementer(IAgent)
class Shared:
    """Has the same promise for each request."""

    def __init__(self, answer):
        self.request = answer


def boom():
    raise OSError("boom")


class Requests:
    """Each request is sent twice at once, and again later."""

    async def client(self, function):
        return HTTPClient(Shared(await self.answers(function)))

    def head(self):
        """A Deferred for a response."""
        from twisted.internet import reactor

        url = self.serve_web(Page(lambda request: b"page"))
        return Agent(reactor).request(b"HEAD", url.encode())

    async def test_an_agent_that_answers(self):
        """Each request gets the response."""
        client = await self.client(self.head)
        responses = await Promise.all([client.get("http://x"), client.get("http://x")])
        assert [200, 200] == [response.code for response in responses]
        assert 200 == (await client.get("http://x")).code

    async def test_an_agent_that_fails(self):
        """Each request fails."""
        client = await self.client(boom)
        for response in client.get("http://x"), client.get("http://x"):
            await self.assertFailure(response, OSError)
        await self.assertFailure(client.get("http://x"), OSError)

    async def test_a_callback(self):
        """A callback of a request returns a promise."""
        answer = await self.answers(lambda: "more")
        url = self.serve_web(Page(lambda request: b"page"))
        requested = [treq.get(url, persistent=False).addCallback(answer) for _ in range(2)]
        assert ["more", "more"] == [await request for request in requested]


class TestSettled(Requests, Settled, Local):
    """The promises have settled."""


class TestPending(Requests, Pending, Local):
    """The promises are pending."""

    async def test_a_deadline(self):
        """A request that is cancelled by its deadline leaves alone what another waits for."""
        client = await self.client(self.head)
        leaving, staying = client.get("http://x", timeout=0.001), client.get("http://x")
        await self.assertFailure(leaving, CancelledError)
        assert 200 == (await staying).code
