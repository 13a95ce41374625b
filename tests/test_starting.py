"""`start_soon` of groups and services: functions that cancel what they were started for."""

from __future__ import annotations

import pytest

from tests.support.outcomes import reasons
from tests.support.promises import Boom, fail
from twpromise import Promise, PromiseGroup, PromiseService


@pytest.fixture(params=[PromiseGroup, PromiseService])
def starting(request, scheduler):
    """A group or a service, which has nothing to do yet."""
    return request.param()


def stopped(starting):
    """Whether all has ended that was started, after this call."""
    ended = []
    if isinstance(starting, PromiseGroup):
        starting.wait().then(ended.append)
    else:
        starting.stopService().addCallback(ended.append)
    Promise._queue.scheduler.flush()
    return [None] == ended


async def clean_up():
    try:
        await Promise.delay(9)
    finally:
        await Promise.delay(1)


@pytest.mark.parametrize(
    ("returns", "ends"),
    [
        (lambda: 1, True),
        (lambda: Promise.delay(9), True),
        (lambda: Promise.reject(Boom()), True),
        (clean_up, False),
    ],
    ids=["value", "promise", "rejected", "coroutine"],
)
def test_a_function_may_cancel_all_that_was_started(scheduler, starting, returns, ends):
    """Itself, too: what it returns is cancelled, and waited for."""

    def function():
        starting.cancel()
        return returns()

    promise = starting.start_soon(function)
    scheduler.flush()
    assert promise.is_cancelled()
    assert ends == stopped(starting)
    scheduler.advance(1)
    assert "0 " in repr(starting)
    assert [] == [call for call in scheduler.clock.getDelayedCalls() if 9 == call.getTime()]


def test_a_function_that_cancels_itself_and_raises(scheduler, starting, reports):
    """The error has no caller to go to, and is logged."""
    promise = starting.start_soon(lambda: (starting.cancel(), fail()))
    scheduler.flush()
    assert promise.is_cancelled()
    assert [Boom] == [type(reason) for reason in reasons(reports)]
    assert stopped(starting)
