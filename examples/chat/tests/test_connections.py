"""Closing connections: under trial, without a network."""

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from ..connections import Connections
from .fakes import FakeTime


class ConnectionsTests(FakeTime):
    """Connections of two clients."""

    def setUp(self):
        super().setUp()
        self.connections = Connections(Factory.forProtocol(Protocol))
        self.clients = [self.connect(), self.connect()]

    def connect(self):
        protocol = self.connections.buildProtocol(None)
        transport = StringTransport()
        # As HTTP does: the transport would wait for it.
        transport.registerProducer(self, streaming=True)
        protocol.makeConnection(transport)
        return protocol

    def lose(self, protocol):
        protocol.connectionLost(Failure(ConnectionDone()))
        self.advance()

    def test_closing(self):
        """All are closed, and waited for."""
        closed = self.connections.close()
        for protocol in self.clients:
            self.assertIsNone(protocol.transport.producer)
            self.assertTrue(protocol.transport.disconnecting)
            self.assertTrue(closed.is_pending())
            self.lose(protocol)
        self.assertTrue(closed.is_fulfilled())

    def test_nothing_to_close(self):
        """There is nothing to wait for."""
        for protocol in self.clients:
            self.lose(protocol)
        closed = self.connections.close()
        self.advance()
        self.assertTrue(closed.is_fulfilled())
