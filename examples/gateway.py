"""A gateway on klein: several requests to another service become one answer.

Run it: ``python gateway.py``, and then ``curl http://127.0.0.1:8080/books/emma``.
"""

import json
import os

from klein import Klein
from treq.client import HTTPClient
from twisted.application import strports
from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed
from twisted.web.server import Site

import twpromise
from twpromise import Limiter, LimitExceeded, Promise, PromiseService

twpromise.install()  # klein, treq and Twisted take promises from here on

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:8080/upstream")
work = PromiseService(grace=5)
http = HTTPClient(Agent(reactor, connectTimeout=2, pool=HTTPConnectionPool(reactor)))
app = Klein()


class Refused(Exception):
    pass


class Body(Protocol):
    """Reads a body, and closes the connection if it is cancelled; `treq.content` does not."""

    def __init__(self, resolve, reject, on_cancel):
        self._parts, self._resolve, self._reject = [], resolve, reject
        on_cancel(lambda: self.transport.loseConnection())

    def dataReceived(self, data):
        self._parts.append(data)

    def connectionLost(self, reason):
        if reason.check(ResponseDone):
            self._resolve(b"".join(self._parts))
        else:
            self._reject(ResponseFailed([reason]))


@Limiter(10, waiting=100)  # for all clients together
async def ask(path):
    response = await http.get(f"{UPSTREAM}/{path}")
    body = await Promise(
        lambda resolve, reject, on_cancel: response.deliverBody(Body(resolve, reject, on_cancel))
    )
    if response.code != 200:
        raise Refused(f"upstream answered {response.code}")
    return json.loads(body)


async def book(name):
    asked = [ask(f"title/{name}"), ask(f"price/{name}")]
    title, price = await Promise.all(asked, cancel_rest=True)
    return json.dumps({"title": title, "price": price})


@app.route("/books/<name>")
def show(request, name):
    if not work.running:
        raise CancelledError
    request.setHeader("Content-Type", "application/json")
    return work.start_soon(book, name).timeout(2)


STATUS = {
    LimitExceeded: 503,  # too many requests wait
    CancelledError: 503,  # the process stops
    TimeoutError: 504,
    Refused: 502,
    ConnectError: 502,
    ResponseFailed: 502,
}


@app.handle_errors(*STATUS)
def show_error(request, failure):
    request.setResponseCode(STATUS[failure.check(*STATUS)])
    return json.dumps({"error": str(failure.value) or failure.type.__name__})


@app.route("/upstream/<what>/<name>")
def upstream(request, what, name):
    """Serves in place of the other service, so that you can try this file alone."""
    return Promise.delay(0.1, json.dumps(f"{what} of {name}"))


if __name__ == "__main__":
    services = MultiService()
    work.setServiceParent(services)
    listen = os.environ.get("LISTEN", "tcp:8080:interface=127.0.0.1")
    strports.service(listen, Site(app.resource()), reactor=reactor).setServiceParent(services)
    services.startService()
    reactor.addSystemEventTrigger("before", "shutdown", services.stopService)
    reactor.run()
