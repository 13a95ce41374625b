"""Calls a function again after an error, as long as there is time."""

from twpromise import Promise


async def retry(function, error_type, deadline, pause=0.5):
    """Return what *function* gives; raise its error if the deadline is near."""
    while True:
        try:
            return await function()
        except error_type:
            if deadline.remaining < 2 * pause:
                raise
        await Promise.delay(pause)
