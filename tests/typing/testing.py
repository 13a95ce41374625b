"""What type checkers infer for tests."""

from __future__ import annotations

from typing import assert_type

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from twpromise import Promise
from twpromise.testing import ManualScheduler, PromiseChecks, PromiseTestMixin


async def coroutine() -> str:
    return ""


with ManualScheduler() as scheduler, PromiseChecks(allow_unhandled=(KeyError, OSError)) as checks:
    assert_type(scheduler, ManualScheduler)
    assert_type(checks, PromiseChecks)
    assert_type(scheduler.run_until_complete(Promise.resolve(1)), int)
    assert_type(scheduler.run_until_complete(coroutine()), str)
    scheduler.run_until_complete(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

PromiseChecks(allow_unhandled=KeyError, allow_pending=True)
PromiseChecks(allow_unhandled="KeyError")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class OnTheClock(PromiseTestMixin, SynchronousTestCase):
    allow_unhandled = KeyError

    def test(self) -> None:
        self.promises.advance(1)
        assert_type(self.success_result_of(Promise.resolve(1)), int)
        assert_type(self.success_result_of(coroutine()), str)
        deferred: Deferred[int] = Deferred()
        assert_type(self.success_result_of(deferred), int)
        assert_type(self.failure_result_of(Promise.resolve(1), KeyError), Failure)
        self.assert_no_result(Promise.resolve(1))


class OnTheReactor(PromiseTestMixin, TestCase):
    allow_pending = True

    def test(self) -> Promise[None]:
        return Promise.resolve(None)
