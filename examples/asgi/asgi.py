"""A small ASGI server on twisted.web: for applications of FastAPI or Starlette.

Run it: ``python asgi.py app:app``.  Each request is a promise, which a `PromiseService` waits for
when the process is to stop, and which is cancelled when its client disconnects.
"""

import sys
from importlib import import_module
from urllib.parse import unquote

from twisted.internet import asyncioreactor
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import react
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from twpromise import Promise, PromiseService, deferify

VERSIONS = {"version": "3.0", "spec_version": "2.4"}
PART = 2**16  # bytes of a request's body
log = Logger()


@implementer(IPushProducer)
class Exchange:
    """A request and its response, as the application sees them.

    Args:
        request: Of twisted.web, which has received its body.
    """

    def __init__(self, request):
        self._request = request
        request.defaultContentType = None
        self._more = True
        self._begun = self._done = False
        self._over = Promise.defer()
        request.notifyFinish().addBoth(lambda _: self._over.resolve())
        # Pending while too much data waits for the client.
        self._ready = Promise.resolve()
        self._resume = lambda: None

    def scope(self, state):
        """The scope that the application is called with."""
        request = self._request
        client, server = request.getClientAddress(), request.getHost()
        return {
            "type": "http",
            "asgi": VERSIONS,
            "http_version": request.clientproto.decode().removeprefix("HTTP/"),
            "method": request.method.decode(),
            "scheme": "https" if request.isSecure() else "http",
            "path": unquote(request.path.decode("ascii", "replace")),
            "raw_path": request.path,
            "root_path": "/".join(["", *(part.decode() for part in request.prepath)]),
            "query_string": request.uri.partition(b"?")[2],
            "headers": [
                (name.lower(), value)
                for name, values in request.requestHeaders.getAllRawHeaders()
                for value in values
            ],
            "client": (client.host, client.port),
            "server": (server.host, server.port),
            "state": dict(state),
        }

    async def receive(self):
        if self._more:
            part = self._request.content.read(PART)
            self._more = len(part) == PART
            return {"type": "http.request", "body": part, "more_body": self._more}
        # Shielded: a caller that is cancelled must not cancel it for the next one.
        await self._over.promise.shield()
        return {"type": "http.disconnect"}

    async def send(self, message):
        request = self._request
        if message["type"] == "http.response.start":
            request.setResponseCode(message["status"])
            for name, value in message.get("headers", ()):
                request.responseHeaders.addRawHeader(name, value)
            self._begun = True
            request.registerProducer(self, True)
            return
        if self._over.promise.is_pending():
            request.write(message.get("body", b""))
            if not message.get("more_body"):
                self._finish()
        elif not self._done:
            raise OSError("the client has disconnected")
        await self._ready.shield()

    def _finish(self):
        self._done = True
        self._request.unregisterProducer()
        self._request.finish()

    def close(self, status):
        """Answer the request if the application has ended without an answer."""
        if self._done or not self._over.promise.is_pending():
            return
        if self._begun:
            # The client sees that the response is not complete.
            self._request.unregisterProducer()
            self._request.loseConnection()
        else:
            self._request.setResponseCode(status)
            self._request.finish()

    # --- IPushProducer, for the connection

    def pauseProducing(self):
        if not self._ready.is_pending():
            self._ready = Promise(lambda resolve, reject: setattr(self, "_resume", resolve))

    def resumeProducing(self):
        self._resume()

    def stopProducing(self):
        self._resume()


class Asgi(Resource):
    """A resource that is an ASGI application; it may be a child of others.

    Args:
        app: The application.
        work: A `PromiseService` that has been started.
        state: What the application has set in its lifespan.
    """

    isLeaf = True

    def __init__(self, app, work, state=()):
        super().__init__()
        self._app, self._work, self._state = app, work, state

    def render(self, request):
        if not self._work.running:
            request.setResponseCode(503)
            return b"try later"
        answering = self._work.start_soon(self._answer, Exchange(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        return NOT_DONE_YET

    async def _answer(self, exchange):
        status = 503  # if this is cancelled: the process stops
        try:
            await self._app(exchange.scope(self._state), exchange.receive, exchange.send)
            status = 500
        except CancelledError:
            raise
        except Exception:
            status = 500
            log.failure("the application has failed")
        finally:
            exchange.close(status)


class Lifespan:
    """Sends an application the messages of its lifespan.

    Args:
        app: If the application supports no lifespan, it raises an error, which is ignored.
    """

    def __init__(self, app):
        self.state = {}
        self._stop, self._started = Promise.defer(), Promise.defer()
        self._messages = iter([Promise.resolve("startup"), self._stop.promise])
        self._app = app
        self._ended = Promise.resolve(self._run())

    async def _run(self):
        scope = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:
            if self._started.promise.is_fulfilled():
                log.failure("the application has failed to stop")

    async def _receive(self):
        return {"type": f"lifespan.{await next(self._messages)}"}

    async def _send(self, message):
        if message["type"].endswith(".failed"):
            self._started.reject(RuntimeError(message.get("message", message["type"])))
        else:
            self._started.resolve()

    def start(self):
        return Promise.race([self._started.promise, self._ended])

    def stop(self):
        self._stop.resolve("shutdown")
        return self._ended


async def serve(reactor, app, endpoint, grace):
    """Serve until the reactor stops."""
    stopping, stopped = Promise.defer(), Promise.defer()

    def stop():
        stopping.resolve()
        return stopped.promise.to_deferred()

    lifespan = Lifespan(app)
    await lifespan.start()
    try:
        work = PromiseService(grace=grace)
        work.startService()
        site = Site(Asgi(app, work, lifespan.state))
        port = await serverFromString(reactor, endpoint).listen(site)
        reactor.addSystemEventTrigger("before", "shutdown", stop)
        print(f"http://127.0.0.1:{port.getHost().port}", flush=True)
        await stopping.promise
        await port.stopListening()
        await work.stopService()
    finally:
        await lifespan.stop()
    stopped.resolve()


def main(name, endpoint="tcp:8000:interface=127.0.0.1", grace="10"):
    module, _, attribute = name.partition(":")
    app = getattr(import_module(module), attribute)
    react(deferify(serve), [app, endpoint, float(grace)])


if __name__ == "__main__":
    # Promises run coroutines as asyncio tasks on this reactor, which FastAPI needs.
    asyncioreactor.install()
    main(*sys.argv[1:])
