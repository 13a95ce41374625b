"""The whole: what is started, and in which order it stops."""

from treq.client import HTTPClient
from twisted.application import strports
from twisted.application.service import MultiService
from twisted.web.client import Agent
from twisted.web.server import Site

from twpromise import Promise, PromiseService, deferify

from .api import Api
from .channels import Channels
from .connections import Connections
from .protocol import LinesFactory
from .store import open_store
from .upstream import Moderator


# begin: service
class Chat(MultiService):
    """The service.

    Args:
        reactor: Where it listens.
        store: A `Store`, which it closes at its end.
        moderator: A `Moderator`, or None.
        lines: Where the line protocol listens, as for `serverFromString`.
        http: Where the API listens.
        patience: How many seconds a request may take.
        grace: How many seconds requests may go on when the service stops.
    """

    def __init__(self, reactor, store, moderator, lines, http, patience=5.0, grace=10.0):
        super().__init__()
        self._store = store
        work = PromiseService(grace=grace)
        channels = Channels(store, moderator)
        # The last one is the first to stop: the ports are closed, and then the work refuses more.
        work.setServiceParent(self)
        self._connections = []
        for where, factory in (
            (lines, LinesFactory(work, channels, patience)),
            (http, Site(Api(work, channels, patience).app.resource())),
        ):
            connections = Connections(factory)
            self._connections.append(connections)
            strports.service(where, connections, reactor).setServiceParent(self)

    @deferify
    async def stopService(self):
        # Waits for all services; they stop side by side.
        await super().stopService()
        # A client that does not read is not waited for.
        closed = Promise.map(self._connections, Connections.close)
        await closed.timeout(5).catch_return(TimeoutError, None)
        # No request needs it any more.
        self._store.close()


def make_chat(reactor, options):
    """A service with options as in `os.environ`."""
    store = open_store(
        reactor, options.get("CHAT_SQLITE", "chat.sqlite"), options.get("CHAT_POSTGRESQL")
    )
    url = options.get("CHAT_MODERATOR")
    return Chat(
        reactor,
        store,
        Moderator(url, HTTPClient(Agent(reactor))) if url else None,
        lines=options.get("CHAT_LINES", "tcp:7000:interface=127.0.0.1"),
        http=options.get("CHAT_HTTP", "tcp:7080:interface=127.0.0.1"),
        patience=float(options.get("CHAT_PATIENCE", "5")),
        grace=float(options.get("CHAT_GRACE", "10")),
    )


# end: service
