"""The whole service: under trial, on the real reactor, over TCP, with SQLite in a file.

Trial itself fails a test that leaves a timer, a connection or a port.
"""

import threading
from tempfile import TemporaryDirectory

import treq
from twisted.internet.defer import Deferred, DeferredQueue, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.tcp import Connection, Port
from twisted.protocols.basic import LineOnlyReceiver
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from twpromise import Promise

from ..connections import Connections
from ..protocol import LinesFactory
from ..service import make_chat
from .fakes import FakeModerator


class Client(LineOnlyReceiver):
    """Collects the lines that it receives."""

    delimiter = b"\n"

    def __init__(self):
        self.lines = DeferredQueue()
        self.closed = Deferred()

    def lineReceived(self, line):
        self.lines.put(line.decode())

    def connectionLost(self, reason):
        self.closed.callback(None)


def threads():
    """Those that run, except those of the reactor's own pool: it keeps them."""
    return {each for each in threading.enumerate() if "twisted.internet.reactor" not in each.name}


def port_of(kind):
    """The port on which a factory listens: the operating system has chosen it."""
    from twisted.internet import reactor

    (port,) = (
        each
        for each in reactor.getReaders()
        if isinstance(each, Port)
        and isinstance(each.factory, Connections)
        and isinstance(each.factory.wrappedFactory, kind)
    )
    return port.getHost().port


class ChatTests(TestCase):
    """The service, and a moderator on another port."""

    timeout = 30

    def start(self, **options):
        from twisted.internet import reactor

        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        before = threads()
        self.addCleanup(lambda: self.assertEqual(before, threads()))
        self.addCleanup(self.disconnected)
        self.chat = make_chat(
            reactor,
            {
                "CHAT_SQLITE": f"{folder.name}/chat.sqlite",
                "CHAT_LINES": "tcp:0:interface=127.0.0.1",
                "CHAT_HTTP": "tcp:0:interface=127.0.0.1",
                **options,
            },
        )
        self.chat.startService()
        self.addCleanup(self.stop)
        self.lines = TCP4ClientEndpoint(reactor, "127.0.0.1", port_of(LinesFactory))
        self.url = f"http://127.0.0.1:{port_of(Site)}/channels/lobby/messages"

    def start_moderated(self, *statuses, **options):
        from twisted.internet import reactor

        self.moderator = FakeModerator(*statuses)
        port = reactor.listenTCP(0, Site(self.moderator), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"http://127.0.0.1:{port.getHost().port}/"
        self.start(CHAT_MODERATOR=url, **options)

    async def disconnected(self):
        """Wait until the operating system has reported that connections are closed."""
        from twisted.internet import reactor

        while any(isinstance(reader, Connection) for reader in reactor.getReaders()):
            await Promise.delay(0.001)

    async def stop(self):
        if self.chat.running:
            await self.chat.stopService()

    async def connect(self):
        client = await connectProtocol(self.lines, Client())
        self.addCleanup(lambda: client.closed)
        self.addCleanup(client.transport.loseConnection)
        return client

    async def join(self, name):
        client = await self.connect()
        client.sendLine(f"/join lobby {name}".encode())
        self.assertEqual(f"* you are {name} in lobby", await client.lines.get())
        return client

    async def answer(self, requested):
        response = await requested
        return response.code, await response.text()

    def say(self, text):
        """A Deferred for the status and the text of an answer."""
        values = {"user": "grace", "text": text}
        return ensureDeferred(self.answer(treq.post(self.url, data=values, persistent=False)))

    async def test_both_ways_in(self):
        """A message that comes by one reaches the clients of the other."""
        self.start()
        ada = await self.join("ada")
        self.assertEqual(200, (await self.say("hello"))[0])
        self.assertEqual("grace: hello", await ada.lines.get())
        ada.sendLine(b"good morning")
        self.assertEqual("ada: good morning", await ada.lines.get())
        ada.sendLine(b"/history")
        history = [await ada.lines.get() for _ in range(2)]
        self.assertEqual(["grace: hello", "ada: good morning"], history)
        status, text = await self.answer(treq.get(self.url, persistent=False))
        self.assertEqual(200, status)
        self.assertIn("good morning", text)

    async def test_a_flaky_moderator(self):
        """It is asked until it answers."""
        self.start_moderated(500)
        self.assertEqual(200, (await self.say("hello"))[0])
        self.assertEqual(["hello", "hello"], self.moderator.asked)

    async def test_a_slow_moderator(self):
        """The client has its answer in time, and the moderator's connection is closed."""
        self.start_moderated(None, CHAT_PATIENCE="0.1")
        self.assertEqual(504, (await self.say("hello"))[0])
        # On a slow machine it has not been asked by then.
        if self.moderator.asked:
            await self.moderator.left.get()

    async def test_a_client_that_disconnects(self):
        """By either way in: the moderator is not asked any longer."""
        self.start_moderated(None, None)
        answer = self.say("hello")
        await self.moderator.requests.get()
        answer.cancel()
        await self.assertFailure(answer, Exception)
        await self.moderator.left.get()
        ada = await self.join("ada")
        ada.sendLine(b"hello")
        await self.moderator.requests.get()
        ada.transport.loseConnection()
        await self.moderator.left.get()

    async def test_stopping_within_the_grace(self):
        """No new client can connect; what is under way is answered, and sent to all."""
        self.start_moderated(None)
        ada = await self.join("ada")
        answer = self.say("hello")
        request = await self.moderator.requests.get()
        stopped = self.chat.stopService()
        await self.assertFailure(ensureDeferred(self.connect()), ConnectError)
        ada.sendLine(b"too late")
        self.assertEqual("! the service is stopping", await ada.lines.get())
        request.finish()
        self.assertEqual(200, (await answer)[0])
        self.assertEqual("grace: hello", await ada.lines.get())
        await stopped
        await ada.closed

    async def test_stopping_after_the_grace(self):
        """What is under way is cancelled, and its client gets status 503."""
        self.start_moderated(None, CHAT_GRACE="0")
        answer = self.say("hello")
        await self.moderator.requests.get()
        await self.chat.stopService()
        self.assertEqual(503, (await answer)[0])
        await self.moderator.left.get()
