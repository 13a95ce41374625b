"""The service: requests, their answers, and what stops in which order."""

import json
from concurrent.futures import BrokenExecutor

from klein import Klein
from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.logger import Logger
from twisted.web.server import Site

import twpromise
from twpromise import Deadline, LimitExceeded, Promise, PromiseService, deferify

# An application does this once; a library never does.
twpromise.install()
log = Logger()

#: How long a text may be.
LONGEST = 200_000


class WrongRequest(Exception):
    """What the client has sent is not what is expected."""


# begin: api
ERRORS = [
    (WrongRequest, 400, None),
    (LimitExceeded, 503, "too many requests, try again later"),
    (BrokenExecutor, 503, "try again"),
    (TimeoutError, 504, None),
]


class Api:
    """Answers in JSON.

    Args:
        work: A `PromiseService`.
        predictor: A `Predictor`.
        seconds: How long a request may take.

    When a client disconnects, klein cancels what the route has returned, and so the request.
    """

    app = Klein()

    def __init__(self, work, predictor, seconds):
        self._work = work
        self._predictor = predictor
        self._seconds = seconds

    @app.route("/ready")
    def ready(self, request):
        """For a load balancer."""
        ready = self._is_ready()
        return respond(request, 200 if ready else 503, {"ready": ready})

    @app.route("/language", methods=["POST"])
    def language(self, request):
        if not self._is_ready():
            return respond(request, 503, {"error": "the service starts, or stops"})
        deadline = Deadline(self._seconds)
        answer = self._work.start_soon(self._answer, request.content.read(), deadline)
        return answer.reflect().then(lambda outcome: respond(request, *answer_of(outcome)))

    def _is_ready(self):
        return bool(self._work.running and self._predictor.is_ready())

    async def _answer(self, body, deadline):
        return await self._predictor.predict(text_of(body), deadline)


def answer_of(outcome):
    """A status, and what to send, whatever has become of a request."""
    if outcome.is_fulfilled():
        return 200, outcome.value()
    if outcome.is_cancelled():
        # The client is there, or this would not be called: the time to stop has come.
        return 503, {"error": "the service stops"}
    error = outcome.reason()
    for kind, status, text in ERRORS:
        if isinstance(error, kind):
            return status, {"error": text or str(error)}
    log.error("a request failed: {error!r}", error=error)
    return 500, {"error": "something went wrong"}


# end: api


def respond(request, status, content):
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return json.dumps(content, allow_nan=False)


def text_of(body):
    try:
        text = json.loads(body)["text"]
    except (ValueError, LookupError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise WrongRequest('the body must be JSON, as in {"text": "good morning"}')
    if len(text) > LONGEST:
        raise WrongRequest(f"the text must have at most {LONGEST} characters")
    return text


# begin: service
class Serving(MultiService):
    """A site, and the work for it; the predictor starts with it, and stops after it.

    Args:
        endpoint: Where the site listens.
        predictor: A `Predictor`.
        seconds: How long a request may take.
        grace: How many seconds requests may go on when the service stops.
    """

    def __init__(self, endpoint, predictor, seconds=2.0, grace=10.0):
        super().__init__()
        self._predictor = predictor
        work = PromiseService(grace=grace)
        work.setServiceParent(self)
        # The last one is the first to stop: the port is closed, and then the work refuses more.
        site = Site(Api(work, predictor, seconds).app.resource())
        port = StreamServerEndpointService(endpoint, site)
        port.setServiceParent(self)

    def startService(self):
        super().startService()
        # If the model cannot be loaded, that is logged, and the service does not become ready.
        self.started = Promise.resolve(self._predictor.start())

    @deferify
    async def stopService(self):
        # Waits for both.
        await super().stopService()
        await self._predictor.stop()


# end: service
