"""A crawler: reads a site, three pages at once, and gives none of them more than half a second.

Run it: ``python examples/crawler.py``.  The site is its own, on loopback: one of its pages fails,
one never answers, and one never ends.
"""

import re
from urllib.parse import urljoin

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import react
from twisted.web.client import Agent, ResponseDone
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from twpromise import Limiter, Promise, PromiseGroup, deferify

PAGES = {
    "/": "<a href='/books'> <a href='/people'> <a href='/slow'>",
    "/books": "<a href='/'> <a href='/books/emma'> <a href='/broken'>",
    "/books/emma": "<a href='/people/austen'> <a href='/endless'>",
    "/people": "<a href='/people/austen'>",
    "/people/austen": "<a href='/books/emma'>",
}


class Pages(Resource):
    """The site."""

    isLeaf = True

    def render_GET(self, request):
        path = request.path.decode()
        if path == "/slow":
            return NOT_DONE_YET
        if path == "/endless":
            request.write(b"to be continued")
            return NOT_DONE_YET
        if path not in PAGES:
            request.setResponseCode(500)
        return PAGES.get(path, "").encode()


def serve(reactor):
    """A disposer for the port of the site."""
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    return Promise.resolve(endpoint.listen(Site(Pages()))).disposer(
        lambda port: port.stopListening()
    )


# begin: crawler
class Refused(Exception):
    pass


class Body(Protocol):
    """Collects the parts of a body, as Twisted's HTTP client delivers them."""

    def __init__(self, resolve, reject, on_cancel):
        self._parts = []
        self._resolve = resolve
        self._reject = reject
        on_cancel(lambda: self.transport.loseConnection())

    def dataReceived(self, data):
        self._parts.append(data)

    def connectionLost(self, reason):
        if reason.check(ResponseDone):
            self._resolve(b"".join(self._parts))
        else:
            self._reject(reason)


def read_body(response):
    """A promise for the body of a response."""
    return Promise(
        lambda resolve, reject, on_cancel: response.deliverBody(Body(resolve, reject, on_cancel))
    )


def leave(response):
    """Close the connection of a response that comes in the turn in which its time is up."""
    read_body(response).cancel()


class Crawler:
    """Reads pages that link to one another, each of them once.

    Args:
        reactor: Where to connect from.
        at_once: How many pages are read at the same time.
        patience: Seconds that a page may take.
    """

    def __init__(self, reactor, at_once=3, patience=0.5):
        self._agent = Agent(reactor)
        self._slots = Limiter(at_once)
        self._patience = patience

    def read(self, url):
        """A promise for the text of a page."""
        requested = self._agent.request(b"GET", url.encode())
        response = Promise.from_deferred(requested, unclaimed=leave)
        return response.then(self._text).timeout(self._patience)

    async def _text(self, response):
        body = await read_body(response)
        if response.code != 200:
            raise Refused(f"status {response.code}")
        return body.decode()

    def links(self, url):
        """A promise for the URLs that a page links to; for none if it cannot be read."""
        return (
            self._slots.run(self.read, url)
            .then(lambda text: [urljoin(url, link) for link in re.findall("href='(.*?)'", text)])
            .tap(lambda links: print(f"{url}: {len(links)} links"))
            .catch(Refused, TimeoutError, lambda error: print(f"{url}: {error}") or [])
        )

    @Promise.coroutine
    async def crawl(self, start):
        """A promise for all URLs that can be reached from *start*."""
        known = {start}

        async def visit(url):
            new = set(await self.links(url)) - known
            known.update(new)
            for link in new:
                group.start_soon(visit, link)

        async with PromiseGroup() as group:
            group.start_soon(visit, start)
        return known


# end: crawler


@deferify
def main(reactor):
    return Promise.using(
        serve(reactor),
        lambda port: (
            Crawler(reactor)
            .crawl(f"http://127.0.0.1:{port.getHost().port}/")
            .then(lambda urls: print(f"{len(urls)} pages"))
        ),
    )


if __name__ == "__main__":
    react(main)
