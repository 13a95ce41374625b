"""Starts a request, limits its time, and makes the answer, for both protocols."""

from typing import Any, NamedTuple

from twisted.logger import Logger
from twisted.python.failure import Failure

from twpromise import LimitExceeded, Promise

from .upstream import Refused, Unavailable

log = Logger()


class Answer(NamedTuple):
    """An HTTP status, and the content or the text of an error."""

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
    """Return a promise for an `Answer`, which is never rejected.

    Args:
        work: The `PromiseService` that waits for the request when the process stops.
        deadline: The `Deadline` of the request.
        function: Returns the content of the answer, or a promise or coroutine for it.
        *args: The arguments of the function.

    Cancelling the promise cancels the request.
    """
    if not work.running:
        return Promise.resolve(STOPPING)
    return work.start_soon(function, *args).timeout(deadline).reflect().then(answer_of)


def answer_of(outcome):
    """Return the answer for an inspection of a request."""
    if outcome.is_fulfilled():
        return Answer(200, outcome.value())
    if outcome.is_cancelled():
        # The service stops: for a client that has left, this function is not called.
        return STOPPING
    error = outcome.reason()
    for kind, status, text in ERRORS:
        if isinstance(error, kind):
            return Answer(status, text or str(error))
    log.failure("a request failed", Failure(error))
    return Answer(500, "something went wrong")


# end: answers
