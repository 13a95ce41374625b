"""The channels, their listeners, and their messages."""

from collections import defaultdict

from twpromise import Promise


class Channels:
    """All channels.

    Args:
        store: A `Store`.
        moderator: A `Moderator`, or None to allow every message.
    """

    def __init__(self, store, moderator=None):
        self._store = store
        self._moderator = moderator
        self._listeners = defaultdict(set)

    def join(self, channel, listener):
        """Call a function with the user and the text of each message from now on."""
        self._listeners[channel].add(listener)

    def leave(self, channel, listener):
        self._listeners[channel].discard(listener)
        if not self._listeners[channel]:
            del self._listeners[channel]

    # begin: channels
    async def say(self, channel, user, text, deadline):
        """Check a message, store it, and send it to all listeners of the channel."""
        if self._moderator is not None:
            await self._moderator.check(text, deadline)
        # From here on the message is stored and sent even if the client disconnects.  The request
        # ends when that is done, so that a service that stops waits for it.
        delivered = Promise.resolve(self._deliver(channel, user, text))
        await delivered.shield().finally_(lambda: delivered)

    async def history(self, channel):
        """Return the last messages of a channel."""
        rows = await self._store.messages(channel)
        # One query for all names: `name_of` is a batch.
        names = await Promise.map(rows, lambda row: self._store.name_of(row[0]))
        return [{"user": name, "text": text} for name, (_, text) in zip(names, rows, strict=True)]

    # end: channels

    async def _deliver(self, channel, user, text):
        await self._store.add(channel, user, text)
        for listener in list(self._listeners.get(channel, ())):
            listener(user, text)
