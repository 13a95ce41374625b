"""The fault matrix of `PromiseGroup`: whatever happens, and whenever, its work ends, once.

Member number n takes n + 1 seconds and cleans up for one more; the block takes two seconds.
"""

from __future__ import annotations

import asyncio

import pytest
from twisted.internet.defer import TimeoutError as TwistedsTimeoutError
from twisted.internet.defer import ensureDeferred

from tests.support.drivers import DRIVERS, Driving
from tests.support.promises import Boom
from twpromise import AggregateError, Promise, PromiseGroup
from twpromise._util.errors import CANCELLATIONS

COUNT = 3


class Yard:
    """A group, its members, and a log of what became of them."""

    def __init__(self, driver, fault):
        self.chain = driver == "chain"
        self.driving = Driving("promise" if self.chain else driver)
        self.fault = fault
        self.log = []
        self.group = None
        self.errors = Boom("member"), Boom("block")

    async def member(self, number):
        """What is started in the group."""
        self.log.append(f"begins {number}")
        try:
            await Promise.delay(number + 1)
            if self.fault == f"member {number} fails":
                raise self.errors[0]
        finally:
            try:
                await Promise.delay(1)
            finally:
                # It may be cancelled while it cleans up.
                self.log.append(f"ends {number}")

    def start(self):
        """Start all of them."""
        members = [self.group.start_soon(self.member, number) for number in range(COUNT)]
        if self.fault == "a member is cancelled":
            Promise.delay(0.75).then(members[1].cancel)
        if self.fault == "cancelled in the queue":
            members[1].cancel()

    async def block(self):
        """Run the group in a block."""
        try:
            async with PromiseGroup() as self.group:
                self.start()
                await Promise.delay(2)
                if self.fault == "the block fails":
                    raise self.errors[1]
        finally:
            self.log.append("left")

    async def without_block(self):
        """Wait for the group in a chain."""
        self.group = PromiseGroup()
        self.start()
        await self.group.wait().finally_(lambda: self.log.append("left"))

    def main(self, timeout=None):
        """The coroutine to run."""
        coroutine = self.without_block() if self.chain else self.block()
        return coroutine if timeout is None else self.timed(coroutine, timeout)

    async def timed(self, coroutine, seconds):
        """Run the coroutine with a timeout, as is usual under its driver."""
        if self.driving.on_loop:
            async with asyncio.timeout(seconds):
                await coroutine
        elif self.driving.driver == "twisted":
            deferred = ensureDeferred(coroutine)
            await deferred.addTimeout(seconds, Promise._queue.scheduler.clock)
        else:
            await Promise.resolve(coroutine).timeout(seconds)

    def check(self):
        """All that began has ended, once; and before the group was left."""
        begun = sorted(entry[-1] for entry in self.log if entry.startswith("begins"))
        ended = sorted(entry[-1] for entry in self.log if entry.startswith("ends"))
        assert begun == ended
        assert len(set(begun)) == len(begun)
        assert "left" == self.log[-1]
        assert "<PromiseGroup, closed: 0 running>" == repr(self.group)


FAULTS = [
    "none",
    "member 0 fails",
    "member 2 fails",
    "a member is cancelled",
    "cancelled in the queue",
    "the block fails",
]


@pytest.fixture(params=["chain", *DRIVERS])
def driver(request):
    """What waits for the group."""
    return request.param


@pytest.fixture(params=FAULTS)
def yard(request, driver):
    """The group and its members, one of which may fail."""
    if (driver, request.param) == ("chain", "the block fails"):
        pytest.skip("a chain has no block")
    return Yard(driver, request.param)


def test_without_interference(yard):
    """The group ends as its members do."""
    state, value = yard.driving.run(yard.main())
    yard.check()
    if yard.fault.endswith("fails"):
        # A member that fails in the turn in which the block ends.
        assert ("rejected", yard.errors["block" in yard.fault]) == (state, value)
    else:
        assert ("fulfilled", None) == (state, value)
    assert (2 if "queue" in yard.fault else 3) == sum("begins" in entry for entry in yard.log)


#: In each phase, and where one ends: begun, the first is cleaning up, the block or a member ends,
#: all are cleaning up, and when all is over.
MOMENTS = pytest.mark.parametrize("moment", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 10])


@MOMENTS
@pytest.mark.parametrize("times", [1, 2])
def test_cancelled(yard, moment, times, reports):
    """At any moment, once or twice."""
    for time in range(times):
        yard.driving.at(moment + time * 0.25, yard.driving.cancel)
    state, value = yard.driving.run(yard.main())
    if yard.group is not None:
        # Else it was cancelled where it would have been entered.
        yard.check()
    assert state in ("cancelled", "fulfilled", "rejected")
    if state == "rejected":
        assert value in yard.errors or isinstance(value, (AggregateError, *CANCELLATIONS))
    if state == "fulfilled":
        assert moment >= 3.5
    # An error that a cancelled promise cannot pass on is reported, once.
    assert len(reports) <= 1


@MOMENTS
def test_the_group_is_cancelled(yard, moment):
    """At any moment: it is left without an error, unless there was one before."""
    yard.driving.at(moment, lambda: yard.group and yard.group.cancel())
    state, value = yard.driving.run(yard.main())
    yard.check()
    if state == "rejected":
        assert value in yard.errors
    else:
        assert ("fulfilled", None) == (state, value)


@pytest.mark.parametrize("moment", [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 10])
def test_timed_out(yard, moment, reports):
    """At any moment; what has not ended by then does, later."""
    state, value = yard.driving.run(yard.main(moment))
    yard.check()
    assert state in ("fulfilled", "rejected")
    if state == "rejected":
        assert value in yard.errors or isinstance(
            value, (TimeoutError, TwistedsTimeoutError, AggregateError)
        )
    else:
        assert moment >= 3
    assert len(reports) <= 1
