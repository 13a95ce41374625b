"""Step 7: an orderly shutdown."""

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from retrying import retry
from store import Store
from twpromise import Deadline, Promise, PromiseService
from upstream import Moderator, Refused, Unavailable

PATIENCE = 5  # seconds for one request


class Chat(LineOnlyReceiver):
    """The connection of one client."""

    delimiter = b"\n"
    name = "guest"

    def connectionMade(self):
        self.requests = set()
        self.factory.clients.add(self)

    def connectionLost(self, reason):
        self.factory.clients.discard(self)
        for request in list(self.requests):
            request.cancel()

    def lineReceived(self, line):
        if not self.factory.work.running:
            self.send("! the service is stopping")
            return
        text = line.decode(errors="replace").strip()
        deadline = Deadline(PATIENCE)
        request = (
            self.factory.work.start_soon(self.handle, text, deadline)
            .timeout(deadline, f"no answer within {PATIENCE} s")
            .catch(ValueError, Refused, Unavailable, TimeoutError, lambda error: f"! {error}")
            .then(self.send)
        )
        self.requests.add(request)
        request.add_done_callback(self.requests.discard)

    def send(self, answer):
        self.sendLine(answer.encode())

    def handle(self, text, deadline):
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
                return self.say(text, deadline)
        raise ValueError("commands: /name NAME, /history, /wait SECONDS")

    async def say(self, text, deadline):
        message = f"{self.name}: {text}"
        await retry(lambda: self.factory.moderator.check(text), Unavailable, deadline)
        await self.factory.store.add(message)
        self.factory.broadcast(message, self)
        return message


class ChatFactory(ServerFactory):
    protocol = Chat

    def __init__(self, work, store, moderator):
        self.work = work
        self.store = store
        self.moderator = moderator
        self.clients = set()

    def broadcast(self, message, sender):
        for client in self.clients - {sender}:
            client.send(message)


def main(reactor):
    work = PromiseService(grace=2)
    work.startService()
    factory = ChatFactory(work, Store(reactor), Moderator(reactor))
    port = reactor.listenTCP(7777, factory, interface="127.0.0.1")
    reactor.addSystemEventTrigger("before", "shutdown", port.stopListening)
    reactor.addSystemEventTrigger("before", "shutdown", work.stopService)
    return Deferred()  # never fires: the program runs until a signal stops it


if __name__ == "__main__":
    react(main)
