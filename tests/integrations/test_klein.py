"""`klein`: routes that return promises."""

from __future__ import annotations

from klein import Klein, Response
from twisted.internet.defer import ensureDeferred

from tests.integrations.local import Local, Pending, Settled
from twpromise import Promise


class NotFound(Exception):
    pass


def missing():
    raise NotFound


class Routes:
    """Each route is fetched twice at once, and again later."""

    async def fetch(self, function):
        answer = await self.answers(function)
        app = Klein()
        app.route("/")(answer)

        @app.handle_errors(NotFound)
        def not_found(request, failure):
            request.setResponseCode(404)
            return Promise.delay(0, b"not found")

        return await self.get_thrice(app.resource())

    async def test_text(self):
        """The text that the promise is fulfilled with."""
        assert (200, "page") == await self.fetch(lambda: "page")

    async def test_a_response(self):
        """A response that the promise is fulfilled with."""
        assert (201, "made") == await self.fetch(lambda: Response(201, body="made"))

    async def test_an_error(self):
        """What it is rejected with is handled by the application, by a promise, too."""
        assert (404, "not found") == await self.fetch(missing)


class TestSettled(Routes, Settled, Local):
    """The promises have settled."""


class TestPending(Routes, Pending, Local):
    """The promises are pending."""

    async def test_a_client_that_disconnects(self):
        """Klein cancels what the client waited for; another client gets the same promise's page."""
        app, waiting, arrived, gone = Klein(), Promise.defer(), [], []

        @app.route("/")
        def page(request):
            arrived.append(request)
            request.notifyFinish().addErrback(gone.append)
            return waiting.promise

        url = self.serve_web(app.resource())
        leaving, staying = (ensureDeferred(self.get(url)) for _ in range(2))
        await self.until(lambda: 2 == len(arrived))
        leaving.cancel()
        await self.assertFailure(leaving, Exception)
        await self.until(lambda: gone)
        waiting.resolve("page")
        assert (200, "page") == await staying
