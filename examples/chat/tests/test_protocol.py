"""The line protocol: under trial, on a fake clock, without a network."""

from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from twpromise import Promise, PromiseService

from ..channels import Channels
from ..protocol import HELP, LinesFactory
from ..store import Store
from ..upstream import Unavailable
from .fakes import FakePool, FakeTime


class SlowModerator:
    """Takes two seconds for each text, and fails for two of them."""

    def __init__(self):
        self.checked = []

    async def check(self, text, deadline):
        await Promise.delay(2)
        self.checked.append(text)
        if text == "fail":
            raise Unavailable("the moderator fails")
        if text == "bug":
            raise ZeroDivisionError


class LinesTests(FakeTime):
    """Two clients, who may wait three seconds for an answer."""

    def setUp(self):
        super().setUp()
        self.pool = FakePool()
        self.addCleanup(self.pool.close)
        self.work = PromiseService(grace=1)
        self.work.startService()
        self.moderator = SlowModerator()
        self.channels = Channels(Store(self.pool), self.moderator)
        self.factory = LinesFactory(self.work, self.channels, 3)
        self.ada, self.grace = self.connect(), self.connect()

    def connect(self):
        protocol = self.factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        return protocol

    def send(self, client, *lines):
        client.dataReceived("".join(f"{line}\n" for line in lines).encode())
        self.advance()

    def received(self, client):
        """The lines that a client has got since it was asked last."""
        lines = client.transport.value().decode().splitlines()
        client.transport.clear()
        return lines

    def join(self):
        self.send(self.ada, "/join lobby ada")
        self.send(self.grace, "/join lobby grace")
        self.assertEqual(["* you are ada in lobby"], self.received(self.ada))
        self.assertEqual(["* you are grace in lobby"], self.received(self.grace))

    def test_a_channel_comes_first(self):
        """Until then, each line is refused."""
        self.send(self.ada, "hello", "/history")
        self.assertEqual([HELP] * 2, self.received(self.ada))

    def test_lines_that_say_nothing(self):
        """An empty line is ignored, and a command that does not exist is explained."""
        self.join()
        self.send(self.ada, "", " ", "/join kitchen", "/quit")
        self.advance(2)
        self.assertEqual(([], [HELP] * 2), (self.moderator.checked, self.received(self.ada)))

    def test_a_message(self):
        """All in the channel get it, and it is in the history."""
        self.join()
        self.send(self.ada, "hello")
        self.advance(2)
        self.assertEqual(["ada: hello"], self.received(self.ada))
        self.assertEqual(["ada: hello"], self.received(self.grace))
        self.send(self.grace, "/history")
        self.advance(1)
        self.assertEqual(["ada: hello"], self.received(self.grace))

    def test_lines_keep_their_order(self):
        """Those of one client are answered one after the other."""
        self.join()
        self.send(self.ada, "one", "/join kitchen ada", "two")
        self.assertEqual([], self.received(self.ada))
        self.advance(2)
        self.assertEqual(["ada: one", "* you are ada in kitchen"], self.received(self.ada))
        self.assertEqual(["ada: one"], self.received(self.grace))

    def test_errors(self):
        """The client gets the reason; an unexpected error is logged."""
        self.join()
        self.send(self.ada, "fail")
        self.advance(2)
        self.assertEqual(["! the moderator fails"], self.received(self.ada))
        self.send(self.ada, "bug")
        self.advance(2)
        self.assertEqual(["! something went wrong"], self.received(self.ada))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_a_deadline(self):
        """Time in the queue counts, and what is too late is not said."""
        self.join()
        self.send(self.ada, "one", "two")
        self.advance(2)
        self.advance(1)
        self.assertEqual(["ada: one", "! it took too long"], self.received(self.ada))
        self.advance(5)
        self.assertEqual(["one"], self.moderator.checked)

    def test_too_many_lines(self):
        """One is under way, and twenty wait."""
        self.join()
        self.send(self.ada, *["hello"] * 23)
        self.assertEqual(["! too many requests, try again later"] * 2, self.received(self.ada))

    def test_a_client_that_disconnects(self):
        """What it has asked for is cancelled, and it is in no channel."""
        self.join()
        self.send(self.ada, "one", "two")
        self.ada.connectionLost(Failure(ConnectionDone()))
        self.advance()
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())
        self.assertEqual(([], []), (self.moderator.checked, self.received(self.grace)))
        self.send(self.grace, "hello")
        self.advance(2)
        self.assertEqual([], self.received(self.ada))
        self.successResultOf(self.work.stopService())

    def test_a_message_that_cannot_be_stored(self):
        """That is logged, whether the client is still there or not."""
        self.join()
        for leave in (lambda: None, lambda: self.ada.connectionLost(Failure(ConnectionDone()))):
            stored = Deferred()
            with mock.patch.object(self.pool, "runInteraction", lambda _, stored=stored: stored):
                self.send(self.ada, "hello")
                self.advance(2)
            leave()
            stored.errback(OSError("disk full"))
            self.advance()
            self.assertEqual(1, len(self.flushLoggedErrors(OSError)))
        self.assertEqual(["! something went wrong"], self.received(self.ada))
        self.assertEqual([], self.received(self.grace))

    def test_the_service_stops(self):
        """What is under way is answered within the grace, or not at all; nothing begins."""
        self.join()
        self.send(self.ada, "one")
        self.advance(1.5)
        self.send(self.grace, "two")
        stopped = self.work.stopService()
        self.send(self.ada, "three")
        self.advance(0.5)
        self.assertEqual(["! the service is stopping", "ada: one"], self.received(self.ada))
        self.assertNoResult(stopped)
        self.advance(0.5)
        self.successResultOf(stopped)
        self.assertEqual(["ada: one", "! the service is stopping"], self.received(self.grace))
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())
