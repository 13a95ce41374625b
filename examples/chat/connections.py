"""Closes the connections of clients when the service stops."""

from twisted.protocols.policies import WrappingFactory

from twpromise import Promise


class Connections(WrappingFactory):
    """Knows the connections that a factory has made.

    Args:
        factory: Makes their protocols.
    """

    noisy = False
    _closed = None

    def close(self):
        """Close all connections, and return a promise that is fulfilled when all has been sent."""
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
