"""The HTTP API, for programs and ``curl``."""

import json
from functools import partial

from klein import Klein

from twpromise import Deadline

from .answers import Answer, start


# begin: api
class Api:
    """Answers in JSON.

    Args:
        work: A `PromiseService`.
        channels: The `Channels`.
        patience: How many seconds a request may take.

    When a client disconnects, klein cancels the promise that the route has returned.
    """

    app = Klein()

    def __init__(self, work, channels, patience):
        self._work = work
        self._channels = channels
        self._patience = patience

    @app.route("/channels/<channel>/messages", methods=["GET"])
    def history(self, request, channel):
        deadline = Deadline(self._patience)
        return self._answer(request, start(self._work, deadline, self._channels.history, channel))

    @app.route("/channels/<channel>/messages", methods=["POST"])
    def say(self, request, channel):
        user, text = one_line(request, b"user"), one_line(request, b"text")
        if not user or not text:
            return self._render(request, Answer(400, "user and text are needed"))
        deadline = Deadline(self._patience)
        saying = start(self._work, deadline, self._channels.say, channel, user, text, deadline)
        return self._answer(request, saying)

    def _answer(self, request, answered):
        return answered.then(partial(self._render, request))

    def _render(self, request, answer):
        request.setResponseCode(answer.status)
        request.setHeader("Content-Type", "application/json")
        name = "result" if answer.status == 200 else "error"
        return json.dumps({name: answer.content})


# end: api


def one_line(request, name):
    """Return a value of a form in one line, as the line protocol needs it."""
    value = request.args.get(name, [b""])[0]
    return " ".join(value.decode(errors="replace").split())
