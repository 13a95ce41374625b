"""All parts of the service, and the order in which they stop."""

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
        reactor: The reactor.
        store: A `Store`, which the service closes when it stops.
        moderator: A `Moderator`, or None.
        lines: The endpoint of the line protocol, as for `serverFromString`.
        http: The endpoint of the API.
        patience: The seconds that a request may take.
        grace: The seconds that requests may go on when the service stops.
    """

    def __init__(self, reactor, store, moderator, lines, http, patience=5.0, grace=10.0):
        super().__init__()
        self._store = store
        work = PromiseService(grace=grace)
        channels = Channels(store, moderator)
        # The last child stops first: the ports close before the work refuses requests.
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
        # Wait for all children, which stop at the same time.
        await super().stopService()
        # Do not wait for a client that does not read.
        closed = Promise.map(self._connections, Connections.close)
        await closed.timeout(5).catch_return(TimeoutError, None)
        # All requests have ended: none needs the database any more.
        self._store.close()


def make_chat(reactor, options):
    """Return the service that options, such as `os.environ`, describe."""
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
