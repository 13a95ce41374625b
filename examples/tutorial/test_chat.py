"""Step 6: tests, without a network, a database or waiting."""

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport

from chat5 import ChatFactory
from twpromise import Promise


class MemoryStore:
    def __init__(self):
        self.messages = []

    def add(self, message):
        self.messages.append(message)
        return Promise.resolve()


class SlowModerator:
    """Allows each text, after as many seconds as the text says."""

    def check(self, text):
        return Promise.delay(float(text))


@pytest.fixture
def factory(promises):
    return ChatFactory(MemoryStore(), SlowModerator())


def connect(factory):
    client = factory.buildProtocol(None)
    client.makeConnection(StringTransport())
    return client


def test_message_goes_to_all_clients(promises, factory):
    ada, grace = connect(factory), connect(factory)
    ada.dataReceived(b"1\n")
    promises.advance(1)
    assert ada.transport.value() == b"guest: 1\n"
    assert grace.transport.value() == b"guest: 1\n"


def test_request_ends_at_its_deadline(promises, factory):
    ada = connect(factory)
    ada.dataReceived(b"60\n")
    promises.advance(5)
    assert ada.transport.value() == b"! no answer within 5 s\n"


def test_disconnect_cancels_requests(promises, factory):
    ada = connect(factory)
    ada.dataReceived(b"1\n")
    ada.connectionLost(ConnectionDone())
    promises.advance(1)
    assert factory.store.messages == []
