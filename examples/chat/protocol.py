"""The line protocol, for people with ``nc``.

``/join CHANNEL NAME`` comes first; then each line is sent to that channel, and ``/history`` shows
what was sent there before.
"""

from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineOnlyReceiver

from twpromise import Deadline, Limiter

from .answers import start

HELP = "* /join CHANNEL NAME, and then say something, or /history"


# begin: protocol
class Lines(LineOnlyReceiver):
    """A connection."""

    delimiter = b"\n"
    MAX_LENGTH = 2000

    def __init__(self):
        self._channel = self._name = None
        self._under_way = set()
        # One line at a time, so that they keep their order.
        self._turns = Limiter(1, waiting=20)

    def lineReceived(self, line):
        text = line.decode(errors="replace").strip()
        if not text:
            return
        deadline = Deadline(self.factory.patience)
        answered = start(
            self.factory.work, deadline, self._turns.run, self._obey, text, deadline
        ).then(self._answer)
        self._under_way.add(answered)
        answered.add_done_callback(self._under_way.discard)

    def connectionLost(self, reason):
        self._leave()
        for answered in list(self._under_way):
            answered.cancel()

    async def _obey(self, text, deadline):
        """Return the lines to answer with."""
        command, *words = text.split()
        if command == "/join" and len(words) == 2:
            self._leave()
            self._channel, self._name = words
            self.factory.channels.join(self._channel, self._hear)
            return [f"* you are {self._name} in {self._channel}"]
        if self._channel is not None and command == "/history":
            messages = await self.factory.channels.history(self._channel)
            return [f"{message['user']}: {message['text']}" for message in messages]
        if self._channel is None or command.startswith("/"):
            return [HELP]
        await self.factory.channels.say(self._channel, self._name, text, deadline)
        return []

    def _answer(self, answer):
        lines = answer.content if answer.status == 200 else [f"! {answer.content}"]
        for line in lines:
            self.sendLine(line.encode())

    # end: protocol

    def _hear(self, user, text):
        self.sendLine(f"{user}: {text}".encode())

    def _leave(self):
        if self._channel is not None:
            self.factory.channels.leave(self._channel, self._hear)


class LinesFactory(ServerFactory):
    """Makes connections.

    Args:
        work: A `PromiseService`.
        channels: The `Channels`.
        patience: How many seconds a line may take.
    """

    protocol = Lines

    def __init__(self, work, channels, patience):
        self.work = work
        self.channels = channels
        self.patience = patience
