"""`twisted.mail`: conversations over SMTP, in which promises decide what the server accepts."""

from __future__ import annotations

from twisted.internet.protocol import Factory
from twisted.mail.smtp import (
    ESMTP,
    IMessage,
    IMessageDelivery,
    SMTPBadRcpt,
    SMTPBadSender,
    User,
    sendmail,
)
from zope.interface import implementer

from tests.integrations.local import Local, Pending, Settled


@implementer(IMessage)
class Message:
    """Has the same promise for each message that was received."""

    def __init__(self, store):
        self.eomReceived = store

    def lineReceived(self, line):
        pass


@implementer(IMessageDelivery)
class Delivery:
    """Has the same promises for each conversation."""

    def __init__(self, check_sender, check_recipient):
        self.validateFrom, self.validateTo = check_sender, check_recipient

    def receivedHeader(self, helo, origin, recipients):
        return b""


class Server(Factory):
    """Starts conversations."""

    noisy = False
    protocol = ESMTP

    def __init__(self, delivery):
        self.delivery = delivery

    def buildProtocol(self, address):
        protocol = super().buildProtocol(address)
        protocol.delivery = self.delivery
        return protocol


def bad_sender():
    raise SMTPBadSender(b"eve")


def bad_recipient():
    raise SMTPBadRcpt(User(b"nobody", b"", None, b"ada"))


def full():
    raise OSError("no space left")


class Conversations:
    """The same message is sent three times, twice at once."""

    async def codes(self, *, sender=lambda: b"ada", recipient=None, stored=lambda: None):
        """The codes with which the server ends the conversations."""

        store = await self.answers(stored)
        recipient = await self.answers(recipient or (lambda: lambda: Message(store)))
        delivery = Delivery(await self.answers(sender), recipient)
        port = self.serve(Server(delivery))

        def send():
            sent = sendmail(b"127.0.0.1", b"ada@x", [b"eve@x"], b"a: b\n\nc", port=port)
            return sent.addCallbacks(lambda _: 250, lambda failure: failure.value.code)

        first, second = send(), send()
        return [await first, await second, await send()]

    async def test_accepted(self):
        """All is accepted each time."""
        assert [250, 250, 250] == await self.codes()

    async def test_a_sender_is_refused_each_time(self):
        """The conversation ends with the sender's address."""
        assert [550, 550, 550] == await self.codes(sender=bad_sender)

    async def test_a_recipient_is_refused_each_time(self):
        """The conversation ends with the recipient's address."""
        assert [550, 550, 550] == await self.codes(recipient=bad_recipient)

    async def test_a_message_that_cannot_be_stored(self):
        """The sender hears that the message was not delivered."""
        assert [550, 550, 550] == await self.codes(stored=full)
        assert 3 == len(self.flushLoggedErrors(OSError))


class TestSettled(Conversations, Settled, Local):
    """The answers are known."""


class TestPending(Conversations, Pending, Local):
    """The answers have to be found."""
