"""Another service, which decides what may be said: called over HTTP, again if it fails."""

import treq
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.web.client import RequestTransmissionFailed, ResponseFailed

from twpromise import Limiter, Promise


class Refused(Exception):
    """The moderator does not want this said."""


class Unavailable(Exception):
    """The moderator cannot be reached, or fails."""


NO_ANSWER = (ConnectError, DNSLookupError, RequestTransmissionFailed, ResponseFailed)


# begin: upstream
class Moderator:
    """Asks the moderator.

    Args:
        url: Where it is.  It answers a POST request with status 200, or 403 and a reason.
        client: The `treq` module, or an `HTTPClient`.
        at_once: How many requests are under way at most, of all callers together.
        waiting: How many more may wait.
        patience: How many seconds one attempt may take.
    """

    def __init__(self, url, client=treq, at_once=10, waiting=100, patience=1.0):
        self._url = url
        self._client = client
        self._patience = patience
        self.limiter = Limiter(at_once, waiting=waiting)

    async def check(self, text, deadline):
        """Raises `Refused` if a text may not be said.

        Tries again until it is known, or the next attempt would begin after the deadline.
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
        # The time in the queue counts.  When it is over, the request is cancelled, or leaves the
        # queue; the slot is held by requests only, not between two attempts.
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
        # In a callback of the Deferred: a response that is not read would keep its connection.
        return self._client.post(self._url, data=text.encode()).addCallback(
            lambda response: response.text().addCallback(lambda text: (response.code, text))
        )


# end: upstream
