"""The service and its client, under the real reactor; trial sees whether anything is left."""

from __future__ import annotations

import os
from json import JSONDecodeError
from tempfile import TemporaryDirectory

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from twpromise import Promise
from twpromise._demo import client
from twpromise._demo.books import BOOKS, Book
from twpromise._demo.client import Client, ServiceError
from twpromise._demo.database import Database
from twpromise._demo.driver import Driver
from twpromise._demo.service import LEFT, Service


class OnReactor(TestCase):
    """Tests that need the reactor."""

    def setUp(self):
        from twisted.internet import reactor

        self.reactor = reactor

    def turn(self):
        """A turn of the reactor."""
        turned = Deferred()
        self.reactor.callLater(0, turned.callback, None)
        return turned


class Endpoints(OnReactor):
    """What the service answers."""

    def setUp(self):
        super().setUp()
        self.database = Database(Driver("sqlite3", "?"), self.reactor, database=":memory:")
        self.addCleanup(lambda: self.database.close().to_deferred())
        self.service = Service(self.database, self.reactor)
        self.addCleanup(lambda: self.service.stop().to_deferred())
        self.client = Client(self.reactor)
        self.addCleanup(lambda: self.client.close().to_deferred())
        self.client.url = self.service.start()

    async def status(self, path):
        """The status of an error response."""
        try:
            answer = await self.client.get(path)
        except ServiceError as error:
            return error.status
        raise AssertionError(answer)

    async def test_books(self):
        """All books, in their order; one book by its number; titles in any script."""
        await self.database.create(BOOKS)
        assert [book._asdict() for book in BOOKS] == await self.client.get("/books")
        for book in BOOKS:
            assert book._asdict() == await self.client.get(f"/books/{book.id}")

    async def test_not_found(self):
        """A book that there is not, and any other path: status 404."""
        await self.database.create(BOOKS)
        huge = ("/books/" + "9" * digits for digits in (18, 19, 4_300, 5_000))
        for path in ("/books/99", "/books/x", "/books/1/more", "/elsewhere", "/", *huge):
            assert 404 == await self.status(path), path

    async def test_a_database_that_fails(self):
        """An unexpected error is status 500, the reason is logged, and the service goes on."""
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        for _ in range(2):
            with pytest.raises(ServiceError, match=r"^status 500: internal server error$"):
                await self.client.get("/books")
        failures = [event["log_failure"] for event in logged if "log_failure" in event]
        assert 2 == len(failures)
        assert "no such table" in failures[0].getErrorMessage()
        self.flushLoggedErrors()
        self.client.url += "/broken"
        assert 503 == await self.status("")

    async def test_broken(self):
        """/broken says 503, and why, each time."""
        with pytest.raises(ServiceError, match=r"^status 503: out of order$"):
            await self.client.get("/broken")
        assert 503 == await self.status("/broken")

    async def test_hanging(self):
        """/hanging does not answer; cancelling the promise ends the request at both ends."""
        requests = [self.client.get("/hanging") for _ in range(2)]
        while self.service.peak < 2:
            await self.turn()
        left = self.service.all_left()
        requests[0].cancel()
        while self.service.connections > 1:
            await self.turn()
        await self.turn()
        assert left.is_pending()
        requests[1].cancel()
        assert LEFT == await left
        assert requests[0].is_cancelled()

    async def test_no_client_hangs(self):
        """There is no request to wait for, then."""
        assert LEFT == await self.service.all_left()

    async def test_how_many_at_once(self):
        """The service counts requests while they are answered."""
        await self.database.create(BOOKS)
        await self.client.get("/books/1")
        await self.client.get("/books/2")
        assert 1 == self.service.peak
        await Promise.map(range(1, 6), lambda number: self.client.get(f"/books/{number}"))
        assert 1 <= self.service.peak <= 5

    async def test_stopping_ends_what_is_left(self):
        """Requests that are not answered when the service stops fail, and connections close."""
        request = self.client.get("/hanging")
        while not self.service.peak:
            await self.turn()
        await self.service.stop()
        assert 0 == self.service.connections
        with pytest.raises(ResponseNeverReceived):
            await request

    async def test_stopping_what_was_not_started(self):
        """There is nothing to stop then."""
        assert None is await Service(self.database, self.reactor).stop()


class Peer(Protocol):
    """A server that gives a fixed answer."""

    def dataReceived(self, data):
        self.transport.write(self.factory.answer)
        self.factory.answered.callback(self)

    def connectionLost(self, reason):
        self.factory.lost.callback(None)


class Clients(OnReactor):
    """What the client makes of odd services."""

    def setUp(self):
        super().setUp()
        self.factory = Factory.forProtocol(Peer)
        self.factory.noisy = False
        self.factory.answered = Deferred()
        self.factory.lost = Deferred()
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(lambda: self.factory.lost)
        self.client = Client(self.reactor)
        self.addCleanup(lambda: self.client.close().to_deferred())
        self.client.url = f"http://127.0.0.1:{port.getHost().port}"

    async def test_half_an_answer(self):
        """A connection that is lost within the body rejects."""
        self.factory.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,"
        request = self.client.get("/")
        peer = await self.factory.answered
        peer.transport.loseConnection()
        with pytest.raises(ResponseFailed):
            await request

    async def test_no_json(self):
        """An answer that cannot be decoded rejects, and the connection can go on."""
        self.factory.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1,"
        with pytest.raises(JSONDecodeError):
            await self.client.get("/")

    async def test_leaving_within_the_body(self):
        """Cancelling closes the connection when the answer has begun, too."""
        begun = Deferred()

        class Body(client._Body):
            def dataReceived(self, data):
                super().dataReceived(data)
                begun.callback(None)

        self.patch(client, "_Body", Body)
        self.factory.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,"
        request = self.client.get("/")
        await begun
        await self.turn()
        request.cancel()
        await self.factory.lost
        assert request.is_cancelled()

    async def test_leaving_as_the_answer_comes(self):
        """So it does in the very turn in which the answer begins."""
        requested = self.client._agent.request

        def request(method, url):
            def leave(response):
                self.reactor.callLater(0, answer.cancel)
                return response

            return requested(method, url).addCallback(leave)

        self.patch(self.client._agent, "request", request)
        self.factory.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,"
        answer = self.client.get("/")
        await self.factory.lost
        assert answer.is_cancelled()

    async def test_closing_ends_what_is_under_way(self):
        """An answer that comes after closing is not waited for, and leaves no connection."""
        self.factory.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
        request = self.client.get("/")
        await self.factory.answered
        await self.client.close()
        assert request.is_cancelled()
        await self.factory.lost


class Databases(OnReactor):
    """The table, from its making to its end."""

    def path(self):
        """Where a database file may go."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return os.path.join(folder.name, "books.sqlite")

    def make(self, **arguments):
        """A database, which the test closes."""
        return Database(Driver("sqlite3", "?", arguments), self.reactor, database=self.path())

    async def test_rows(self):
        """What goes in comes out, in order of the numbers."""
        database = self.make()
        assert 12 == await database.create(BOOKS[::-1])
        assert list(BOOKS) == await database.books()
        assert [BOOKS[2]] == await database.book(3)
        assert [] == await database.book(99)
        await database.close()

    async def test_bytes(self):
        """Text that a module does not decode is decoded."""
        database = self.make()
        await database.create((Book(1, b"Caf\xc3\xa9", "", 0),))
        assert [Book(1, "Café", "", 0)] == await database.books()
        await database.close()

    async def test_arguments_that_were_given_win(self):
        """The driver's arguments override the defaults."""
        database = self.make(database=":memory:")
        assert 12 == await database.create(BOOKS)
        await database.close()

    async def test_closing_at_once(self):
        """Closing waits for a table that is being made, though no request does any more."""
        path = self.path()
        database = Database(Driver("sqlite3", "?", {"database": path}), self.reactor)
        created = database.create(BOOKS)
        created.cancel()
        await database.close()
        assert created.is_cancelled()
        other = Database(Driver("sqlite3", "?", {"database": path}), self.reactor)
        rows = other._pool.runQuery("SELECT name FROM sqlite_master")
        assert [] == await rows
        await other.close()

    async def test_closing_what_was_never_made(self):
        """There is nothing to drop then, and that is no error."""
        await self.make().close()
