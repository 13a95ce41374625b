"""A shop that can be observed.  Start it by ``python shop.py 8080 8081``."""

import sys

from klein import Klein
from observe import log, observed, report, set_up
from prometheus_client.twisted import MetricsResource
from twisted.internet import reactor
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater
from twisted.logger import globalLogBeginner
from twisted.web.resource import Resource
from twisted.web.server import Site

import twpromise
from twpromise import Promise, PromiseService
from twpromise.debugging import InspectorResource, install_signal
from twpromise.tracing import traced

app, work, till = Klein(), PromiseService(grace=1), DeferredLock()
prices = {"tea": 3, "cake": 5}


@traced
def look_up(item):
    """In a thread."""
    log.info("looking up", item=item)
    return prices[item]


@app.route("/price/<item>")
@observed(work)
async def price(request, item):
    price = await Promise.in_thread(look_up, item)
    await deferLater(reactor, 0.1)
    log.info("found", price=price)
    return f"{price}\n"


@app.route("/prefetch/<item>")
@observed(work)
async def prefetch(request, item):
    Promise.in_thread(look_up, item)  # No request waits for it.
    return "begun\n"


@app.route("/pay")
@observed(work)
async def pay(request):
    async with till:
        await Promise.delay(3600)  # Hangs, and so do all that wait for the till.


@app.handle_errors(Exception)
def failed(request, failure):
    request.setResponseCode(500)
    return "failed\n"


def main(port, admin_port):
    twpromise.install()
    set_up()
    globalLogBeginner.beginLoggingTo([report], redirectStandardIO=False)
    install_signal()
    admin = Resource()
    admin.putChild(b"metrics", MetricsResource())
    admin.putChild(b"promises", InspectorResource())
    sites = [(port, app.resource()), (admin_port, admin)]
    ports = [reactor.listenTCP(n, Site(page), interface="127.0.0.1") for n, page in sites]
    log.info("listening", ports=[port.getHost().port for port in ports])
    work.startService()
    reactor.addSystemEventTrigger("before", "shutdown", work.stopService)
    reactor.run()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
