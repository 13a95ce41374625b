"""`twisted.web`: resources, templates and request bodies that are made of promises."""

from __future__ import annotations

import treq
from twisted.internet.defer import ensureDeferred
from twisted.web.client import RequestGenerationFailed
from twisted.web.error import FlattenerError
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.template import Element, TagLoader, flattenString, renderElement, renderer, tags
from twisted.web.util import DeferredResource
from zope.interface import implementer

from tests.integrations.local import Local, Page, Pending, Settled
from twpromise import Promise


def boom():
    raise OSError("boom")


class Greeting(Element):
    """A page whose text is a promise's, two times."""

    def __init__(self, answer):
        super().__init__(TagLoader(tags.p(render="greeting")))
        self.answer = answer

    @renderer
    def greeting(self, request, tag):
        return tag(self.answer(), " ", self.answer())


@implementer(IBodyProducer)
class Body:
    """Sends a body, and is done when its promise is."""

    def __init__(self, answer, length):
        self.answer, self.length = answer, length

    def startProducing(self, consumer):
        consumer.write(b"body")
        return self.answer()

    def stopProducing(self):
        pass

    pauseProducing = resumeProducing = stopProducing


class Children(Resource):
    """Finds its children later."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def getChild(self, name, request):
        return DeferredResource(self.answer())


class Echo(Resource):
    """Answers with what it gets."""

    isLeaf = True

    def render_POST(self, request):
        return request.content.read()


class Pages:
    """Each page is fetched twice at once, and again later."""

    async def test_callbacks_of_the_promise(self):
        """A page that is written by callbacks."""

        def write(request):
            def good(text):
                request.write(text)

            def bad(failure):
                request.setResponseCode(500)

            answer().addCallback(good).addErrback(bad).addBoth(lambda _: request.finish())
            return NOT_DONE_YET

        for function, expected in (lambda: b"page", (200, "page")), (boom, (500, "")):
            answer = await self.answers(function)
            assert expected == await self.get_thrice(Page(write))

    async def test_a_coroutine(self):
        """A page that is written by a coroutine, which Twisted drives."""

        async def write(request):
            request.write(await answer())
            request.finish()

        answer = await self.answers(lambda: b"page")
        page = Page(lambda request: ensureDeferred(write(request)) and NOT_DONE_YET)
        assert (200, "page") == await self.get_thrice(page)

    async def test_a_resource_that_is_found_later(self):
        """`DeferredResource` serves the resource that the promise is fulfilled with."""
        answer = await self.answers(lambda: Page(lambda request: b"page"))
        assert (200, "page") == await self.get_thrice(Children(answer))

    async def test_a_resource_that_cannot_be_found(self):
        """`DeferredResource` serves an error."""
        answer = await self.answers(boom)
        status, _ = await self.get_thrice(Children(answer))
        assert 500 == status
        assert 3 == len(self.flushLoggedErrors(OSError))

    async def test_a_template(self):
        """A renderer's promises become text, as often as they are in the page."""
        answer = await self.answers(lambda: "hello")
        page = Page(lambda request: renderElement(request, Greeting(answer)))
        assert (200, "<!DOCTYPE html>\n<p>hello hello</p>") == await self.get_thrice(page)

    async def test_a_body(self):
        """A request body, with a length and without, ends when its promise does."""
        url = self.serve_web(Echo())
        answer = await self.answers(lambda: None)
        for length in 4, UNKNOWN_LENGTH, 4:
            assert b"body" == await self.post(url, Body(answer, length))

    async def test_a_body_that_fails(self):
        """The request fails with the promise's reason."""
        url = self.serve_web(Echo())
        answer = await self.answers(boom)
        for length in 5, UNKNOWN_LENGTH, 5:
            error = await self.assertFailure(
                self.post(url, Body(answer, length)), RequestGenerationFailed
            )
            assert error.reasons[0].check(OSError)

    def post(self, url, body):
        return treq.post(url, body, persistent=False).addCallback(treq.content)


class TestSettled(Pages, Settled, Local):
    """The promises have settled."""


class TestPending(Pages, Pending, Local):
    """The promises are pending; and some are not wanted any more."""

    async def test_rendering_that_is_given_up(self):
        """Another page, which waits for the same promise, is rendered."""
        answer = await self.answers(lambda: "hello")
        given_up, other = (flattenString(None, Greeting(answer)) for _ in range(2))
        given_up.cancel()
        await self.assertFailure(given_up, FlattenerError)
        assert b"<p>hello hello</p>" == await other

    async def test_a_request_that_is_given_up(self):
        """Another request, whose body waits for the same promise, is sent."""
        url = self.serve_web(Echo())
        for length in 5, UNKNOWN_LENGTH:
            waiting, started = Promise.defer(), []

            def answer(waiting=waiting, started=started):
                started.append(None)
                # Twisted's client cancels the very thing that it got.
                return waiting.promise.to_deferred()

            given_up = self.post(url, Body(answer, length))
            other = self.post(url, Body(answer, UNKNOWN_LENGTH))
            await self.until(lambda started=started: 2 == len(started))
            given_up.cancel()
            await self.assertFailure(given_up, RequestGenerationFailed)
            waiting.resolve()
            assert b"body" == await other
