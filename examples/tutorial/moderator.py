"""The moderator: an HTTP service that allows a text, refuses it, or does not answer."""

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


class Texts(Resource):
    isLeaf = True

    def render_HEAD(self, request):
        text = request.args[b"text"][0].decode()
        print(f"asked: {text}", flush=True)
        if text == "hmm":
            request.notifyFinish().addErrback(lambda _: print("dropped: hmm", flush=True))
            return NOT_DONE_YET
        if text.isupper():
            request.setResponseCode(403, b"do not shout")
        return b""


def main(reactor):
    reactor.listenTCP(7778, Site(Texts()), interface="127.0.0.1")
    return Deferred()  # never fires: the program runs until a signal stops it


if __name__ == "__main__":
    react(main)
