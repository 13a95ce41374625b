"""A web service that ends in good order: it answers what it can, and closes what it has opened.

Run it: ``python examples/stopping.py``.  It asks itself for two pages, one of which takes a minute,
and is stopped by a signal while it makes both.
"""

import os
import signal
import socket
from http.client import HTTPConnection

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from twpromise import Promise, PromiseService, TimeoutError, deferify


# begin: pages
class Pages(Resource):
    """Pages that are made under a service.

    Args:
        work: The `PromiseService`.
        make: Called with a request; gives a coroutine, or a promise, for the page.
    """

    isLeaf = True

    def __init__(self, work, make):
        super().__init__()
        self._work = work
        self._make = make

    def render_GET(self, request):
        ended = request.notifyFinish()
        try:
            answer = self._work.start_soon(self._answer, request, ended)
        except RuntimeError:
            # The service stops, and this connection had been open before.
            request.setResponseCode(503)
            return b"try later"
        # If the client leaves.
        ended.addErrback(lambda _: answer.cancel())
        return NOT_DONE_YET

    async def _answer(self, request, ended):
        status, page = 503, b"try later"
        try:
            page = await self._make(request)
            status = 200
        finally:
            # Also if this was cancelled, unless the client has left.
            if not ended.called:
                request.setResponseCode(status)
                request.write(page)
                request.finish()


# end: pages


# begin: service
class Connections(WrappingFactory):
    """Knows the connections of a site, to close them once all that was written has been sent."""

    noisy = False
    _closed = None

    def close(self):
        """A promise that is fulfilled when they are closed."""
        self._closed = Promise.defer()
        for connection in list(self.protocols):
            connection.unregisterProducer()
            connection.loseConnection()
        self._look()
        return self._closed.promise

    def unregisterProtocol(self, connection):
        super().unregisterProtocol(connection)
        self._look()

    def _look(self):
        if self._closed is not None and not self.protocols:
            self._closed.resolve()


class Web(MultiService):
    """A site, the work for it, and a pool of connections that the work needs."""

    def __init__(self, endpoint, pool, make, grace=20):
        super().__init__()
        self._pool = pool
        work = PromiseService(grace=grace)
        work.setServiceParent(self)
        self._connections = Connections(Site(Pages(work, make)))
        # The last one is the first to stop: the port is closed, and then the work refuses more.
        StreamServerEndpointService(endpoint, self._connections).setServiceParent(self)

    @deferify
    async def stopService(self):
        # Waits for both.
        await super().stopService()
        # A client that does not read is not waited for.
        await self._connections.close().timeout(5).catch_return(TimeoutError, None)
        self._pool.close()


# end: service


class Example:
    """A service that is asked for two pages, and stopped while it makes them."""

    def __init__(self):
        self._database = ConnectionPool("sqlite3", ":memory:", cp_max=1, check_same_thread=False)
        self._making = 0

    async def make(self, request):
        self._making += 1
        if self._making == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        await Promise.delay(60 if request.path == b"/slow" else 0.1)
        [(found,)] = await self._database.runQuery("SELECT 'found'")
        return found.encode()

    def run(self):
        from twisted.internet import reactor

        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        endpoint = AdoptedStreamServerEndpoint(reactor, listening.detach(), socket.AF_INET)
        web = Web(endpoint, self._database, self.make, grace=0.5)
        web.startService()
        reactor.addSystemEventTrigger("before", "shutdown", web.stopService)
        asked = Promise.map(["/quick", "/slow"], lambda path: Promise.in_thread(ask, port, path))
        reactor.addSystemEventTrigger("before", "shutdown", asked.to_deferred)
        reactor.run()
        print("stopped")


def ask(port, path):
    """In a thread."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    print(f"{path}: {response.status}, {response.read().decode()}")
    connection.close()


if __name__ == "__main__":
    Example().run()
