"""Questions and answers over a websocket: a server and a client, by autobahn.

Run the server by ``python sockets.py``, and the client by ``python sockets.py ask 1 2 3``.
"""

import json
import os
import sys
from itertools import count

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import ConnectionLost
from twisted.internet.task import react

import twpromise
from twpromise import Limiter, Promise, PromiseService, deferify

twpromise.install()  # autobahn waits for the promise of `onConnect`


class Server(WebSocketServerProtocol):
    """Answers questions in their order; what is under way ends with the connection."""

    def onConnect(self, request):
        return Promise.delay(0.1).then(lambda _: self._check(request))

    def _check(self, request):
        if request.params.get("token") != ["secret"]:
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "unknown token")

    def onOpen(self):
        self.factory.open.add(self)
        self._turns, self._answers = Limiter(1, waiting=100), set()

    def onMessage(self, payload, isBinary):
        if self.factory.work.running:
            answer = self.factory.work.start_soon(self._turns.run, self._answer, payload)
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)
            answer.catch(lambda error: self.sendClose(4000, repr(error)[:100]))

    async def _answer(self, payload):
        question = json.loads(payload)
        try:
            await Promise.delay(question["seconds"])
        finally:
            print("ended", question["number"], flush=True)
        self.sendMessage(json.dumps({**question, "answer": 42}).encode())

    def onClose(self, wasClean, code, reason):
        if self in self.factory.open:
            self.factory.open.discard(self)
            for answer in list(self._answers):
                answer.cancel()


class Client(WebSocketClientProtocol):
    """Asks; each question is a promise."""

    def onOpen(self):
        self._numbers, self._waiting = count(1), {}
        self.factory.opened.resolve(self)

    def ask(self, seconds):
        number = next(self._numbers)

        def start(resolve, reject, on_cancel):
            self._waiting[number] = resolve, reject
            on_cancel(lambda: self._waiting.pop(number))

        self.sendMessage(json.dumps({"number": number, "seconds": seconds}).encode())
        return Promise(start)

    def onMessage(self, payload, isBinary):
        answer = json.loads(payload)
        # Unless it was given up.
        resolve, _ = self._waiting.pop(answer["number"], (lambda _: None, None))
        resolve(answer["answer"])

    def onClose(self, wasClean, code, reason):
        error = ConnectionLost(reason)
        # Settles only if it never opened.
        self.factory.opened.reject(error)
        for _, reject in list(vars(self).get("_waiting", {}).values()):
            reject(error)


async def serve(reactor, endpoint):
    factory = WebSocketServerFactory()
    factory.protocol, factory.open = Server, set()
    factory.work = PromiseService(grace=5)
    factory.work.startService()
    port = await serverFromString(reactor, endpoint).listen(factory)
    print(port.getHost().port, flush=True)
    stopping, stopped = Promise.defer(), Promise.defer()

    def stop():
        stopping.resolve()
        return stopped.promise

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    await stopping.promise
    await port.stopListening()
    await factory.work.stopService()
    closed = [server.is_closed for server in factory.open]
    for server in factory.open:
        server.sendClose(4001, "the server stops")
    await Promise.all(closed).timeout(5).catch_return(TimeoutError, None)
    stopped.resolve()


async def ask(reactor, url, *seconds):
    factory = WebSocketClientFactory(url)
    factory.protocol, factory.opened = Client, Promise.defer()
    await clientFromString(reactor, f"tcp:{factory.host}:{factory.port}").connect(factory)
    client = await factory.opened.promise.timeout(5)
    asked = [client.ask(float(each)).timeout(5) for each in seconds]
    for outcome in await Promise.all_settled(asked):
        print(outcome.value() if outcome.is_fulfilled() else repr(outcome.reason()))
    client.sendClose()
    await client.is_closed


if __name__ == "__main__":
    URL = os.environ.get("URL", "ws://127.0.0.1:9000/?token=secret")
    if sys.argv[1:2] == ["ask"]:
        react(deferify(ask), [URL, *sys.argv[2:]])
    else:
        react(deferify(serve), [os.environ.get("LISTEN", "tcp:9000:interface=127.0.0.1")])
