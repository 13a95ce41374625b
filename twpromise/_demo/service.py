"""The service: books over HTTP, with an endpoint that fails and one that hangs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from .. import Promise
from .books import Book
from .database import Database

__all__ = ["LEFT", "Service"]

if TYPE_CHECKING:
    _Wrapping = WrappingFactory[Any]
else:
    # Not a generic class at run time in older Twisteds.
    _Wrapping = WrappingFactory

_log = Logger()

#: What a promise for the clients that leave is fulfilled with.
LEFT = "left"


class NotFound(Exception):
    """There is no such thing."""

    status = 404


class OutOfOrder(Exception):
    """This endpoint never works."""

    status = 503


class Service:
    """Serves a database's books on loopback.

    Args:
        database: The books.
        reactor: The reactor to listen with.

    ``/books`` answers all of them and ``/books/<number>`` one, ``/broken`` answers with status
    503, and ``/hanging`` never.
    """

    def __init__(self, database: Database, reactor: Any) -> None:
        #: How many requests were being answered at the same time, at most.
        self.peak = 0
        self._active = 0
        self._database = database
        self._hanging = 0
        self._watchers: list[Deferred[str]] = []
        self._reactor = reactor
        self._port: Any = None
        root: Any = _Directory()
        root.putChild(b"books", _Books(self))
        root.putChild(b"broken", _Endpoint(self, _break))
        root.putChild(b"hanging", _Endpoint(self, self._hang))
        site = Site(root, reactor=reactor)
        site.noisy = False
        self._connections = _Connections(site)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections.protocols)

    def start(self) -> str:
        """Listen on a port that is free.

        Returns:
            The URL of the service, without a slash at its end.
        """
        self._port = self._reactor.listenTCP(0, self._connections, interface="127.0.0.1")
        return f"http://127.0.0.1:{self._port.getHost().port}"

    def all_left(self) -> Promise[str]:
        """A promise for `LEFT`, once no client waits for ``/hanging``."""
        if not self._hanging:
            return Promise.resolve(LEFT)
        left: Deferred[str] = Deferred()
        self._watchers.append(left)
        return Promise.from_deferred(left)

    def stop(self) -> Promise[object]:
        """Stop listening, and end every connection that is left.

        Returns:
            A promise that is fulfilled once all of them are closed.
        """
        if self._port is None:
            return Promise.resolve()
        return Promise.from_deferred(maybeDeferred(self._port.stopListening)).then(
            lambda _: self._connections.end()
        )

    def all_books(self) -> Promise[object]:
        """A promise for what ``/books`` answers."""
        return self._database.books().then(lambda books: [book._asdict() for book in books])

    def one_book(self, number: int) -> Promise[object]:
        """A promise for what ``/books/<number>`` answers."""

        def found(books: list[Book]) -> object:
            if not books:
                raise NotFound(f"there is no book {number}")
            return books[0]._asdict()

        return self._database.book(number).then(found)

    def begin(self, ended: Deferred[None]) -> None:
        """Count a request until it has *ended*, one way or the other."""
        self._active += 1
        self.peak = max(self.peak, self._active)

        def end(_: object) -> None:
            self._active -= 1

        ended.addBoth(end)

    def _hang(self) -> Promise[object]:
        def execute(resolve: object, reject: object, on_cancel: Callable[..., object]) -> None:
            self._hanging += 1
            on_cancel(self._left)

        return Promise(execute)

    def _left(self) -> None:
        self._hanging -= 1
        if not self._hanging:
            watchers, self._watchers = self._watchers, []
            for left in watchers:
                left.callback(LEFT)


class _Directory(Resource):
    """Has no children but those that are put there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def getChild(self, path: bytes, request: Request) -> Any:
        """Any other one."""
        return notFound()


class _Endpoint(_Directory):
    """Answers what a function's promise is fulfilled with, as JSON."""

    def __init__(self, service: Service, answer: Callable[[], Promise[object]]) -> None:
        super().__init__()
        self._service = service
        self._answer = answer

    def render_GET(self, request: Request) -> int:
        """Answer when the promise has settled, and cancel it if the client leaves before."""
        self._service.begin(request.notifyFinish())
        sent = self._answer().then(partial(_answer, request)).catch(partial(_fail, request))
        request.notifyFinish().addErrback(lambda _: sent.cancel())
        return NOT_DONE_YET


class _Books(_Endpoint):
    """``/books``, and what is below."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, service.all_books)

    def getChild(self, path: bytes, request: Request) -> Any:
        """The endpoint of one book."""
        # No number that is longer fits into a column of any database.
        if not path.isdigit() or len(path) > 18:
            return super().getChild(path, request)
        return _Endpoint(self._service, partial(self._service.one_book, int(path)))


class _Connections(_Wrapping):
    """The connections of a service."""

    noisy = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)  # type: ignore[no-untyped-call]
        self._ended: Deferred[None] | None = None

    def end(self) -> Deferred[None]:
        """Abort what is open, and say when everything is closed."""
        ended: Deferred[None] = Deferred()
        self._ended = ended
        for protocol in list(self.protocols):
            protocol.abortConnection()
        self._tell()
        return ended

    def unregisterProtocol(self, p: Any) -> None:
        """One connection less."""
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        self._tell()

    def _tell(self) -> None:
        if not self.protocols and self._ended is not None:
            ended, self._ended = self._ended, None
            ended.callback(None)


def _break() -> Promise[object]:
    return Promise.reject(OutOfOrder("out of order"))


def _answer(request: Request, answer: object) -> None:
    _send(request, 200, b"application/json", json.dumps(answer))


def _fail(request: Request, error: Any) -> None:
    status, text = 500, "internal server error"
    if isinstance(error, NotFound | OutOfOrder):
        status, text = error.status, str(error)
    else:
        # The error goes to the log, not to the client.
        _log.error("A request failed", log_failure=Failure(error))
    _send(request, status, b"text/plain; charset=utf-8", text)


def _send(request: Request, status: int, kind: bytes, text: str) -> None:
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader(b"content-type", kind)
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()
