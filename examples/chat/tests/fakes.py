"""Stand-ins for a database and for another service, and what tests under trial share."""

import sqlite3

from treq.testing import StubTreq
from twisted.internet.defer import DeferredLock, DeferredQueue
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twpromise import Promise
from twpromise.testing import ManualScheduler

from ..store import create_tables


class FakePool:
    """An adbapi pool without threads, in memory."""

    def __init__(self):
        self._connection = sqlite3.connect(":memory:")
        create_tables(self._connection)
        #: The statements that were executed.
        self.statements = []
        self._connection.set_trace_callback(self.statements.append)
        #: Take it, and all that follows waits.
        self.thread = DeferredLock()

    def runInteraction(self, work):
        return self.thread.run(self._transact, work)

    def _transact(self, work):
        with self._connection as connection:
            return work(connection.cursor())

    def close(self):
        self._connection.close()

    def queries(self):
        """How many queries there were."""
        return sum(statement.startswith("SELECT") for statement in self.statements)


class FakeModerator(Resource):
    """A site that answers with one status after the other, and then with 200.

    Args:
        *statuses: None for a request that is not answered.
    """

    isLeaf = True

    def __init__(self, *statuses):
        super().__init__()
        self._statuses = list(statuses)
        #: What was asked.
        self.asked = []
        #: Requests that are not answered, and those of them whose client has disconnected.
        self.requests = DeferredQueue()
        self.left = DeferredQueue()

    def render_POST(self, request):
        self.asked.append(request.content.read().decode())
        status = self._statuses.pop(0) if self._statuses else 200
        if status is None:
            request.notifyFinish().addErrback(lambda _: self.left.put(request))
            self.requests.put(request)
            return NOT_DONE_YET
        request.setResponseCode(status)
        return b"be kind"


class FakeTime(SynchronousTestCase):
    """A test on a fake clock, with HTTP in memory."""

    def setUp(self):
        self.scheduler = ManualScheduler()
        self.addCleanup(Promise.set_scheduler, Promise.set_scheduler(self.scheduler))
        self._clients = []

    def client(self, resource):
        """A client of treq that knows one site, and no network."""
        client = StubTreq(resource)
        self._clients.append(client)
        return client

    def advance(self, seconds=0):
        """Let time pass; requests and answers arrive."""
        for part in (seconds, 0, 0, 0):
            self.scheduler.advance(part)
            for client in self._clients:
                client.flush()
        self.scheduler.flush()
