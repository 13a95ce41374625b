"""The client of the moderator, an HTTP service that allows or refuses messages."""

import treq
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.web.client import RequestTransmissionFailed, ResponseFailed

from twpromise import Limiter, Promise


class Refused(Exception):
    """The moderator does not allow a message."""


class Unavailable(Exception):
    """The moderator cannot be reached, or fails."""


NO_ANSWER = (ConnectError, DNSLookupError, RequestTransmissionFailed, ResponseFailed)


# begin: upstream
class Moderator:
    """Asks the moderator, and tries again if it fails.

    Args:
        url: The URL of the moderator, which answers a POST request with status 200, or with
            403 and a reason.
        client: The `treq` module, or an `HTTPClient`.
        at_once: The limit of requests at one time, for all callers together.
        waiting: The limit of requests that wait for one of these to end.
        patience: The seconds that one attempt may take.
    """

    def __init__(self, url, client=treq, at_once=10, waiting=100, patience=1.0):
        self._url = url
        self._client = client
        self._patience = patience
        self.limiter = Limiter(at_once, waiting=waiting)

    async def check(self, text, deadline):
        """Raise `Refused` if a text is not allowed.

        Try again until there is an answer, or the next attempt would begin after the deadline.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((Unavailable, TimeoutError)),
            wait=wait_exponential(multiplier=0.1, max=1),
            stop=lambda state: deadline.remaining <= state.upcoming_sleep,
            sleep=Promise.delay,
            reraise=True,
        )
        await retrying(self._attempt, text)

    async def _attempt(self, text):
        # The timeout includes the time in the queue.  When it ends, the request is cancelled, or
        # leaves the queue.  Between two attempts no slot of the limiter is in use.
        asked = self.limiter.run(self._ask, text).timeout(self._patience)
        try:
            status, reason = await asked
        except NO_ANSWER as error:
            raise Unavailable("the moderator cannot be reached") from error
        if status == 403:
            raise Refused(reason)
        if status != 200:
            raise Unavailable(f"the moderator answers with status {status}")

    def _ask(self, text):
        # Read the body in a callback of the Deferred, not in a handler of a promise, which a
        # cancellation would bypass: a response that is not read keeps its connection open.
        return self._client.post(self._url, data=text.encode()).addCallback(
            lambda response: response.text().addCallback(lambda text: (response.code, text))
        )


# end: upstream
