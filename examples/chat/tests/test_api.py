"""The HTTP API: under trial, on a fake clock, over HTTP in memory."""

import json

from twpromise import PromiseService

from ..api import Api
from ..channels import Channels
from ..store import Store
from ..upstream import Moderator
from .fakes import FakeModerator, FakePool, FakeTime

LOBBY = "http://chat/channels/lobby/messages"


class ApiTests(FakeTime):
    """A request may take five seconds, the moderator as long, and it is asked once at a time."""

    def start(self, *statuses):
        pool = FakePool()
        self.addCleanup(pool.close)
        self.work = PromiseService(grace=1)
        self.work.startService()
        self.site = FakeModerator(*statuses)
        self.moderator = Moderator(
            "http://moderator/", self.client(self.site), at_once=1, waiting=0, patience=60
        )
        channels = Channels(Store(pool), self.moderator)
        self.chat = self.client(Api(self.work, channels, 5).app.resource())

    def say(self, text, user="ada"):
        """A Deferred for the status of the answer, and its content."""
        return self.answer(self.chat.post(LOBBY, data={"user": user, "text": text}))

    def answer(self, requested):
        answered = requested.addCallback(
            lambda response: response.text().addCallback(lambda text: (response.code, text))
        )
        self.advance()
        return answered

    def test_a_message(self):
        """It is in the history."""
        self.start()
        said = self.say("hello")
        self.assertEqual((200, '{"result": null}'), self.successResultOf(said))
        got = self.answer(self.chat.get(LOBBY))
        self.advance(1)
        status, text = self.successResultOf(got)
        self.assertEqual(200, status)
        self.assertEqual({"result": [{"user": "ada", "text": "hello"}]}, json.loads(text))

    def test_a_message_is_one_line(self):
        """Else it could pretend to be several, of others."""
        self.start()
        self.say("hello\njoan: hi", "ada\r\n lovelace")
        self.assertEqual(["hello joan: hi"], self.site.asked)
        got = self.answer(self.chat.get(LOBBY))
        self.advance(1)
        self.assertIn('{"user": "ada lovelace", "text": "hello joan', self.successResultOf(got)[1])

    def test_a_bad_request(self):
        """It says what is missing."""
        self.start()
        missing = (400, '{"error": "user and text are needed"}')
        self.assertEqual(missing, self.successResultOf(self.say("")))
        self.assertEqual(missing, self.successResultOf(self.say("hello", " ")))
        self.assertEqual([], self.site.asked)

    def test_refused(self):
        """The moderator's reason is the answer."""
        self.start(403)
        self.assertEqual((403, '{"error": "be kind"}'), self.successResultOf(self.say("boo")))

    def test_too_slow(self):
        """The answer comes at the deadline; the moderator is left, and its slot is free."""
        self.start(None)
        slow = self.say("hello")
        self.advance(4.75)
        self.assertNoResult(slow)
        self.advance(0.25)
        self.assertEqual((504, '{"error": "it took too long"}'), self.successResultOf(slow))
        self.successResultOf(self.site.left.get())
        self.assertEqual(0, self.moderator.limiter.active)
        self.assertEqual(200, self.successResultOf(self.say("hello"))[0])

    def test_too_many(self):
        """A request beyond what the moderator's limiter takes is refused at once."""
        self.start(None)
        first, second = self.say("1"), self.say("2")
        self.assertEqual(503, self.successResultOf(second)[0])
        self.successResultOf(self.site.requests.get()).finish()
        self.advance()
        self.assertEqual(200, self.successResultOf(first)[0])

    def test_the_service_stops(self):
        """What is under way is cancelled after the grace; nothing begins meanwhile."""
        self.start(None)
        slow = self.say("1")
        stopped = self.work.stopService()
        stopping = (503, '{"error": "the service is stopping"}')
        self.assertEqual(stopping, self.successResultOf(self.say("2")))
        self.assertNoResult(stopped)
        self.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(stopping, self.successResultOf(slow))
        self.assertEqual(["1"], self.site.asked)
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())
