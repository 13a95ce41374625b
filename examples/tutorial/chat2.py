"""Step 2: messages are stored in a database."""

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from store import Store
from twpromise import Promise


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
            .catch(ValueError, lambda error: f"! {error}")
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
                return self.say(f"{self.name}: {text}")
        raise ValueError("commands: /name NAME, /history, /wait SECONDS")

    def say(self, message):
        return (
            self.factory.store.add(message)
            .then(lambda: self.factory.broadcast(message, self))
            .then(lambda: message)
        )


class ChatFactory(ServerFactory):
    protocol = Chat

    def __init__(self, store):
        self.store = store
        self.clients = set()

    def broadcast(self, message, sender):
        for client in self.clients - {sender}:
            client.send(message)


def main(reactor):
    factory = ChatFactory(Store(reactor))
    reactor.listenTCP(7777, factory, interface="127.0.0.1")
    return Deferred()  # never fires: the program runs until a signal stops it


if __name__ == "__main__":
    react(main)
