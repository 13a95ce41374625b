"""A service that hangs in every way there is, with the inspector's page: see `test_inspector`.

It writes its port.
"""

from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredLock
from twisted.web.resource import Resource
from twisted.web.server import Site

from twpromise import Limiter, Promise, PromiseGroup
from twpromise.debugging import InspectorResource

Promise.config(tracking=True, long_stack_traces=True)
kept = []


def never():
    """A Deferred that nothing fires."""
    return Deferred(lambda _: None)


async def transfer(mine, other):
    async with mine:
        await Promise.delay(0)
        async with other:
            pass


async def outer():
    await middle()


async def middle():
    await innermost()


async def innermost():
    await Promise.from_deferred(never())


def markup(_):
    raise ValueError("<script>document.title = 'reason'</script>")


def one_more(_):
    raise AssertionError


markup.__qualname__ = "<script>document.title = 'name'</script>"


async def group():
    async with PromiseGroup() as children:
        children.start_soon(outer)


def begin():
    checking, saving = DeferredLock(), DeferredLock()
    limiter = Limiter(1)
    shared = Promise.defer().promise
    woken = threading.Event()
    reactor.addSystemEventTrigger("before", "shutdown", woken.set)
    kept.extend(
        [
            Promise.from_deferred(never()),
            Promise.resolve(transfer(checking, saving)),
            Promise.resolve(transfer(saving, checking)),
            Promise.map(range(5), lambda _: Promise.from_deferred(never()), concurrency=2),
            Promise.defer().promise,
            Promise.in_thread(woken.wait),
            Promise.resolve(outer()),
            Promise.delay(3600),
            limiter.run(lambda: Promise.from_deferred(never())),
            limiter.run(lambda: Promise.from_deferred(never())),
            Promise.resolve(group()),
            Promise.from_deferred(never()).then(markup),
            shared.then(one_more),
            shared.then(one_more),
        ]
    )


class Orders(Resource):
    """What the test wants to happen."""

    isLeaf = True

    def render_POST(self, request):
        if request.postpath == [b"more"]:
            kept.append(Promise.defer().promise.then(one_more))
        else:
            Promise.resolve().then(markup)
        return b""


root = Resource()
root.putChild(b"promises", InspectorResource())
root.putChild(b"orders", Orders())
root.putChild(b"values", InspectorResource(values=True))
port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
begin()
print(port.getHost().port, flush=True)
reactor.run()
