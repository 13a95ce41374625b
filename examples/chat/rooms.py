"""Who listens in which room, and what is said there."""

from collections import defaultdict

from twpromise import Promise


class Rooms:
    """All rooms.

    Args:
        store: A `Store`.
        moderator: A `Moderator`; None lets everything be said.
    """

    def __init__(self, store, moderator=None):
        self._store = store
        self._moderator = moderator
        self._listeners = defaultdict(set)

    def join(self, room, listener):
        """Have a function called with the user and the text of each message."""
        self._listeners[room].add(listener)

    def leave(self, room, listener):
        self._listeners[room].discard(listener)
        if not self._listeners[room]:
            del self._listeners[room]

    # begin: rooms
    async def say(self, room, user, text, deadline):
        """Check a message, store it, and send it to all that are in the room."""
        if self._moderator is not None:
            await self._moderator.check(text, deadline)
        # From here on it is said, even if the client disconnects: stored, and sent to all.  The
        # request has ended when that is done, so that a service that stops waits for it.
        delivered = Promise.resolve(self._deliver(room, user, text))
        await delivered.shield().finally_(lambda: delivered)

    async def history(self, room):
        """The last messages of a room."""
        rows = await self._store.messages(room)
        # One query for all names: `name_of` is a batch.
        names = await Promise.map(rows, lambda row: self._store.name_of(row[0]))
        return [{"user": name, "text": text} for name, (_, text) in zip(names, rows, strict=True)]

    # end: rooms

    async def _deliver(self, room, user, text):
        await self._store.add(room, user, text)
        for listener in list(self._listeners.get(room, ())):
            listener(user, text)
