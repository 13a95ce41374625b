"""Servers on the loopback, and promises in both states, for tests with real packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import treq
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.tcp import Connection
from twisted.trial.unittest import TestCase
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from twpromise import Promise

__all__ = ["Local", "Page", "Pending", "Settled"]


class Page(Resource):
    """A page that a function renders."""

    isLeaf = True

    def __init__(self, render: Callable[[Any], Any]) -> None:
        super().__init__()
        self.render_GET = render


class Pending:
    """Promises that are pending when they are handed over."""

    async def answers(self, function: Callable[[], Any]) -> Callable[..., Promise[Any]]:
        """A function that gives the same promise each time: for what *function* gives, later."""
        promise: Promise[Any] | None = None

        def answer(*_: object, **__: object) -> Promise[Any]:
            nonlocal promise
            if promise is None:
                promise = Promise.delay(0.02).then(lambda _: function())
            return promise

        return answer


class Settled(Pending):
    """Promises that have settled before they are handed over."""

    async def answers(self, function: Callable[[], Any]) -> Callable[..., Promise[Any]]:
        """A function that gives the same promise each time."""
        answer = await super().answers(function)
        await answer().reflect()
        return answer


class Local(TestCase):
    """Servers that stop when the test ends, once their last connection is closed."""

    timeout = 20

    async def _disconnected(self) -> None:
        from twisted.internet import reactor

        await self.until(
            lambda: not any(isinstance(reader, Connection) for reader in reactor.getReaders())
        )

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds."""
        while not condition():
            await Promise.delay(0.001)

    def serve(self, factory: IProtocolFactory) -> int:
        """The port on which a server listens."""
        from twisted.internet import reactor

        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self._disconnected)
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def serve_web(self, resource: IResource) -> str:
        """The address of a resource."""
        return f"http://127.0.0.1:{self.serve(Site(resource))}/"

    async def get(self, url: str, **options: Any) -> tuple[int, str]:
        """The status and the text that a web server answers with."""
        response = await treq.get(url, persistent=False, **options)
        return response.code, await response.text()

    async def get_thrice(self, resource: IResource) -> tuple[int, str]:
        """What a resource answers with three times: twice at once, and again later."""
        url = self.serve_web(resource)
        answers = await Promise.all([self.get(url), self.get(url)])
        self.assertEqual(answers, [await self.get(url)] * 2)
        return answers[0]
