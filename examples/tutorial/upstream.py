"""The client of the moderator."""

from urllib.parse import quote

from twisted.internet.error import ConnectError
from twisted.web.client import Agent, ResponseFailed

from twpromise import Promise


class Refused(Exception):
    """The moderator does not allow a text."""


class Unavailable(Exception):
    """The moderator cannot be reached."""


class Moderator:
    def __init__(self, reactor):
        self.agent = Agent(reactor)

    async def check(self, text):
        """Raise `Refused` if the text is not allowed."""
        url = f"http://127.0.0.1:7778/?text={quote(text)}"
        requested = self.agent.request(b"HEAD", url.encode())
        try:
            response = await Promise.from_deferred(requested)
        except (ConnectError, ResponseFailed) as error:
            raise Unavailable("the moderator cannot be reached") from error
        if response.code != 200:
            raise Refused(response.phrase.decode())
