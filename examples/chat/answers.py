"""What both front ends do with a request: start it, limit its time, and know what to answer."""

from typing import Any, NamedTuple

from twisted.logger import Logger
from twisted.python.failure import Failure

from twpromise import LimitExceeded, Promise

from .upstream import Refused, Unavailable

log = Logger()


class Answer(NamedTuple):
    """A status, as in HTTP, and the content, or what went wrong."""

    status: int
    content: Any


STOPPING = Answer(503, "the service is stopping")
ERRORS = [
    (LimitExceeded, 503, "too many requests, try again later"),
    (TimeoutError, 504, "it took too long"),
    (Unavailable, 502, None),
    (Refused, 403, None),
]


# begin: answers
def start(work, deadline, function, *args):
    """A promise for an `Answer`, which is never rejected.

    Args:
        work: The `PromiseService` that waits for the request when the process stops.
        deadline: When the request is given up.
        function: Gives the content of the answer, or a promise, or coroutine, for it.
        *args: What it is called with.

    Cancelling the promise cancels the request.
    """
    if not work.running:
        return Promise.resolve(STOPPING)
    return work.start_soon(function, *args).timeout(deadline).reflect().then(answer_of)


def answer_of(outcome):
    """What to answer, whatever has become of a request."""
    if outcome.is_fulfilled():
        return Answer(200, outcome.value())
    if outcome.is_cancelled():
        # The client is there, or this would not be called: the time to stop has come.
        return STOPPING
    error = outcome.reason()
    for kind, status, text in ERRORS:
        if isinstance(error, kind):
            return Answer(status, text or str(error))
    log.failure("a request failed", Failure(error))
    return Answer(500, "something went wrong")


# end: answers
