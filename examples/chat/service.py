"""The whole: what is started, and in which order it stops."""

from treq.client import HTTPClient
from twisted.application import strports
from twisted.application.service import MultiService
from twisted.web.client import Agent
from twisted.web.server import Site

from twpromise import PromiseService, deferify

from .api import Api
from .protocol import LinesFactory
from .rooms import Rooms
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
        rooms = Rooms(store, moderator)
        self._lines = LinesFactory(work, rooms, patience)
        site = Site(Api(work, rooms, patience).app.resource())
        # They stop in the reverse order: the ports are closed first.
        work.setServiceParent(self)
        strports.service(lines, self._lines, reactor).setServiceParent(self)
        strports.service(http, site, reactor).setServiceParent(self)

    @deferify
    async def stopService(self):
        # Services of a `MultiService` stop side by side.  What requests use is closed after them.
        await super().stopService()
        self._lines.close()
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
