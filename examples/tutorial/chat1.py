"""Step 1: a line protocol that answers."""

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

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
            case [word, *_] if not word.startswith("/"):
                return self.say(f"{self.name}: {text}")
        raise ValueError("commands: /name NAME, /wait SECONDS")

    def say(self, message):
        self.factory.broadcast(message, self)
        return message


class ChatFactory(ServerFactory):
    protocol = Chat

    def __init__(self):
        self.clients = set()

    def broadcast(self, message, sender):
        for client in self.clients - {sender}:
            client.send(message)


def main(reactor):
    reactor.listenTCP(7777, ChatFactory(), interface="127.0.0.1")
    return Deferred()  # never fires: the program runs until a signal stops it


if __name__ == "__main__":
    react(main)
