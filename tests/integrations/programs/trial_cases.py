"""Tests that return promises, to be run by trial: see `test_trial`."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest, TestCase

import twpromise
from twpromise import Promise

twpromise.install()


class Cases(TestCase):
    """Each name says what becomes of the test."""

    failed = None

    def later(self, function, *arguments):
        return Promise.delay(0.001).then(lambda _: function(*arguments))

    def test_ok(self):
        return self.later(self.assertEqual, 1, 1)

    def test_ok_each_time(self):
        promise = self.later(self.assertEqual, 1, 1)
        self.addCleanup(lambda: promise)
        return promise

    def test_fail(self):
        return self.later(self.assertEqual, 1, 2)

    def test_fail_that_is_known(self):
        return Promise.try_(lambda: self.assertEqual(1, 2))

    def test_fail_each_time_a(self):
        return self.cached()

    def test_fail_each_time_b(self):
        return self.cached()

    def cached(self):
        """The same promise, which is rejected."""
        if Cases.failed is None:
            Cases.failed = self.later(self.assertEqual, 1, 2)
        return Cases.failed

    def test_error(self):
        return self.later(lambda: 1 / 0)

    def test_error_in_cleanup(self):
        self.addCleanup(self.later, lambda: 1 / 0)

    def test_error_timeout(self):
        return Promise(lambda resolve, reject: None)

    test_error_timeout.timeout = 0.1

    def test_skipped(self):
        def skip():
            raise SkipTest("not today")

        return self.later(skip)


class Prepared(TestCase):
    """The promise of `setUp` is waited for."""

    def setUp(self):
        return Promise.delay(0.001).then(lambda _: setattr(self, "ready", True))

    def test_ok_once_set_up(self):
        self.assertTrue(self.ready)


class Unprepared(TestCase):
    """No test runs if the promise of `setUp` is rejected."""

    def setUp(self):
        return Promise.delay(0.001).then(lambda _: 1 / 0)

    def test_error_in_set_up(self):
        pass
