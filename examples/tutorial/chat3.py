"""Step 3: a moderator decides what may be said."""

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from store import Store
from twpromise import Promise
from upstream import Moderator, Refused, Unavailable


class Chat(LineOnlyReceiver):
    """The connection of one client."""

    delimiter = b"\n"
    name = "guest"

    def connectionMade(self):
        self.factory.clients.add(self)

    def connectionLost(self, reason):
        self.factory.clients.discard(self)

    def lineReceived(self, line):
        text = line.decode(errors="replace").strip()
        (
            Promise.try_(lambda: self.handle(text))
            .catch(ValueError, Refused, Unavailable, lambda error: f"! {error}")
            .then(self.send)
        )

    def send(self, answer):
        self.sendLine(answer.encode())

    def handle(self, text):
        """Return the answer, or a promise for it."""
        match text.split():
            case ["/name", name]:
                self.name = name
                return f"* you are {name}"
            case ["/wait", seconds]:
                return Promise.delay(float(seconds), f"* waited {seconds} s")
            case ["/history"]:
                return self.factory.store.last(10).then("\n".join)
            case [word, *_] if not word.startswith("/"):
                return self.say(text)
        raise ValueError("commands: /name NAME, /history, /wait SECONDS")

    async def say(self, text):
        message = f"{self.name}: {text}"
        await self.factory.moderator.check(text)
        await self.factory.store.add(message)
        self.factory.broadcast(message, self)
        return message


class ChatFactory(ServerFactory):
    protocol = Chat

    def __init__(self, store, moderator):
        self.store = store
        self.moderator = moderator
        self.clients = set()

    def broadcast(self, message, sender):
        for client in self.clients - {sender}:
            client.send(message)


def main(reactor):
    factory = ChatFactory(Store(reactor), Moderator(reactor))
    reactor.listenTCP(7777, factory, interface="127.0.0.1")
    return Deferred()  # never fires: the program runs until a signal stops it


if __name__ == "__main__":
    react(main)
