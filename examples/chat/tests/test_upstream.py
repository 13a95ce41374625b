"""The moderator: under trial, on a fake clock, over HTTP in memory."""

from twisted.internet.defer import fail
from twisted.internet.error import ConnectionRefusedError

from twpromise import Deadline, LimitExceeded, Promise

from ..upstream import Moderator, Refused, Unavailable
from .fakes import FakeModerator, FakeTime


class Unreachable:
    """A client that finds no server."""

    def post(self, url, data):
        return fail(ConnectionRefusedError())


class ModeratorTests(FakeTime):
    """One request holds the slot, and one may wait."""

    def moderator(self, *statuses):
        self.site = FakeModerator(*statuses)
        client = self.client(self.site)
        return Moderator("http://moderator/", client, at_once=1, waiting=1)

    def check(self, moderator, text="hello", seconds=5):
        """A promise for None, or for an error."""
        checked = Promise.resolve(moderator.check(text, Deadline(seconds)))
        outcome = checked.catch(lambda error: error)
        self.advance()
        return outcome

    def test_allowed(self):
        """One request is enough."""
        checked = self.check(self.moderator())
        self.assertEqual((None, ["hello"]), (checked.value(), self.site.asked))
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())

    def test_refused(self):
        """It gives the reason, and does not ask again."""
        checked = self.check(self.moderator(403))
        self.assertIsInstance(checked.value(), Refused)
        self.assertEqual(("be kind", ["hello"]), (str(checked.value()), self.site.asked))

    def test_flaky(self):
        """It is asked again after 0.1 seconds, and after 0.2 more."""
        checked = self.check(self.moderator(500, 503))
        for seconds, count in [(0.05, 1), (0.05, 2), (0.1, 2), (0.1, 3)]:
            self.advance(seconds)
            self.assertEqual(count, len(self.site.asked))
        self.assertTrue(checked.is_fulfilled())
        self.assertIsNone(checked.value())

    def test_an_attempt_that_takes_too_long(self):
        """Its request is cancelled, and another one is made."""
        moderator = self.moderator(None)
        checked = self.check(moderator)
        self.assertEqual([], self.site.left.pending)
        self.advance(1)
        self.successResultOf(self.site.left.get())
        self.assertEqual(0, moderator.limiter.active)
        self.advance(0.1)
        self.assertIsNone(checked.value())

    def test_it_gives_up(self):
        """When the next attempt would begin after the deadline."""
        checked = self.check(self.moderator(*[500] * 9), seconds=1)
        for _ in range(8):
            self.advance(0.1)
        self.assertIsInstance(checked.value(), Unavailable)
        self.assertEqual(4, len(self.site.asked))
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())

    def test_it_cannot_be_reached(self):
        """That counts as an attempt that has failed."""
        checked = self.check(Moderator("http://moderator/", Unreachable()), seconds=0)
        self.assertEqual("the moderator cannot be reached", str(checked.value()))

    def test_cancelled_between_two_attempts(self):
        """No further request is made, and no timer is left."""
        checked = self.check(self.moderator(500))
        checked.cancel()
        self.advance()
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())
        self.assertEqual(["hello"], self.site.asked)

    def test_cancelled_during_an_attempt(self):
        """The request is cancelled, and the slot is free."""
        moderator = self.moderator(None)
        checked = self.check(moderator)
        checked.cancel()
        self.advance()
        self.successResultOf(self.site.left.get())
        self.assertEqual(0, moderator.limiter.active)
        self.assertEqual([], self.scheduler.clock.getDelayedCalls())

    def test_too_many(self):
        """One is refused at once; the one that waits has its turn."""
        moderator = self.moderator(None)
        first, second, third = (self.check(moderator, text) for text in ("1", "2", "3"))
        self.assertIsInstance(third.value(), LimitExceeded)
        self.successResultOf(self.site.requests.get()).finish()
        self.advance()
        self.assertEqual(["1", "2"], self.site.asked)
        self.assertEqual((None, None), (first.value(), second.value()))
