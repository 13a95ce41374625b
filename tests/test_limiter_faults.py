"""The fault matrix of `Limiter`: whatever ends a use, and whenever, no slot is lost or given twice.

Time is the test's own: work takes two seconds, and a coroutine needs one more to clean up.
"""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from twisted.internet import defer

from tests.support.promises import Boom
from twpromise import CancellationError, Limiter, Promise

NAMES = "abcd"
WAYS = ["run", "using", "async with"]
KINDS = ["promise", "coroutine", "driven", "thread", "failing"]
#: Before anything has had a turn, while the first works, when it ends, and later.
MOMENTS = [0, 0.5, 1.5, 2, 2.5, 3, 4, 5, 6]


class Uses:
    """Four uses of a limiter with one slot, and a log of what they did."""

    def __init__(self, world, way, kind, size=1):
        self.world = world
        self.way = way
        self.kind = kind
        self.size = size
        self.limiter = Limiter(size)
        self.begun = []
        self.at_work = 0
        self.most = 0
        #: What is called when the work of one ends, by name; within the turn.
        self.ending = {}
        self.handles = {}

    def start(self, name, timeout=None):
        """Begin a use."""
        self.handles[name] = self.world.start(lambda: self._use(name), timeout)

    def _use(self, name):
        if self.way == "run":
            return self.limiter.run(self._work, name)
        if self.way == "using":
            return Promise.using(self.limiter.acquire(), lambda _: self._work(name))
        return self._use_block(name)

    async def _use_block(self, name):
        async with self.limiter:
            return await self._work(name)

    def _work(self, name):
        self.begun.append(name)
        if self.kind == "driven":
            # By Twisted, or as a task, which may be cancelled before its first step.
            return self.world.begin(self._driven(name))
        self._begin()
        return getattr(self, f"_{self.kind}")(name)

    def _begin(self):
        self.at_work += 1
        self.most = max(self.most, self.at_work)

    def _end(self, name):
        self.at_work -= 1
        self.ending.pop(name, bool)()

    def _promise(self, name):
        return Promise.delay(2, name).finally_(lambda: self._end(name))

    def _failing(self, name):
        return Promise.delay(2).throw(Boom(name)).finally_(lambda: self._end(name))

    async def _coroutine(self, name):
        try:
            return await Promise.delay(2, name)
        finally:
            # Cancelling it there cuts the clean-up short.
            try:
                await Promise.delay(1)
            finally:
                self._end(name)

    async def _driven(self, name):
        self._begin()
        return await self._coroutine(name)

    def _thread(self, name):
        future = Future()
        future.set_running_or_notify_cancel()

        def end():
            self._end(name)
            future.set_result(name)

        self.world.call_later(2, end)
        return Promise.resolve(future)

    def outcome(self, name):
        """How the use ended, in a word."""
        state, value = self.handles[name].outcome()
        if state == "fulfilled":
            assert name == value
        elif state == "rejected" and isinstance(value, CancellationError):
            return "cancelled"
        elif state == "rejected" and isinstance(value, TimeoutError | defer.TimeoutError):
            return "timed out"
        elif state == "rejected":
            assert (Boom, name) == (type(value), str(value))
        return state

    @property
    def own(self):
        """How a use ends by itself."""
        return "rejected" if self.kind == "failing" else "fulfilled"

    @property
    def keeps_its_cap(self):
        """Whether a slot is kept until the work ends: not all ways know what cannot be stopped."""
        return self.kind not in ("driven", "thread") or self.way == "run"

    async def check(self, ends):
        """Wait for the end; nothing is lost, and all is as if those that left had not been.

        Args:
            ends: How a use that was ended early may be seen to end.
        """
        await self.world.advance(16)
        outcomes = {name: self.outcome(name) for name in self.handles}
        early = [name for name, outcome in outcomes.items() if outcome != self.own]
        assert set(early) <= set(ends)
        assert [] == [name for name in early if outcomes[name] != ends[name]]
        # First come, first served; and each that was not cancelled has run, once.
        assert sorted(self.begun) == self.begun
        assert len(set(self.begun)) == len(self.begun)
        assert set(NAMES) - set(early) <= set(self.begun)
        assert 0 == self.at_work
        if self.keeps_its_cap:
            assert self.most <= self.size
        assert (0, 0) == (self.limiter.active, self.limiter.waiting)
        assert 1 == await_now(self.limiter.run(lambda: 1))


def await_now(promise):
    """The value of a promise that is fulfilled already."""
    return promise.value()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["cancelled", "cancelled twice", "timed out"])
def test_one_ends_early(world, way, kind, how):
    """The first, which works, or the second, which waits, ends at any moment."""

    async def scenario(who, moment):
        uses = Uses(world, way, kind)
        for name in NAMES:
            late = moment if how == "timed out" and name == who else None
            uses.start(name, late)
        await world.advance(moment)
        waits = who not in uses.begun
        if how != "timed out":
            uses.handles[who].cancel()
        if how == "cancelled twice":
            uses.handles[who].cancel()
            await world.advance(0.5)
            uses.handles[who].cancel()
        await uses.check({who: "timed out" if how == "timed out" else "cancelled"})
        if waits and uses.outcome(who) != uses.own:
            assert who not in uses.begun

    async def scenarios():
        for who in NAMES[:2]:
            for moment in MOMENTS:
                await scenario(who, moment)

    world.run(scenarios)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_one_is_cancelled_in_the_turn_in_which_the_slot_changes_hands(world, way, kind):
    """At each step of that turn: the one that leaves, and the one that comes."""

    async def scenario(who, steps):
        uses = Uses(world, way, kind)
        for name in NAMES:
            uses.start(name)
        uses.ending["a"] = lambda: world.call_after(steps, uses.handles[who].cancel)
        await uses.check({who: "cancelled"})

    async def scenarios():
        for who in NAMES[:2]:
            for steps in range(12):
                await scenario(who, steps)

    world.run(scenarios)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_wait_leave_at_once(world, way, kind):
    """What is queued is cancelled while it waits, or in the turn in which slots come back."""

    async def scenario(moment, first):
        uses = Uses(world, way, kind, size=2)
        for name in NAMES:
            uses.start(name)
        await world.advance(moment)
        for name in NAMES[first:]:
            uses.handles[name].cancel()
        await uses.check(dict.fromkeys(NAMES[first:], "cancelled"))

    async def scenarios():
        for moment in MOMENTS:
            for first in (0, 2):
                await scenario(moment, first)

    world.run(scenarios)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_work_cancels_its_own_use(world, way, kind):
    """A function that cancels what it was called for: the slot comes back, once, when it ends."""

    async def scenario(who):
        uses = Uses(world, way, kind)
        work = uses._work

        def cancelling(name):
            if name == who and name in uses.handles:
                uses.handles[name].cancel()
            return work(name)

        uses._work = cancelling
        for name in NAMES:
            uses.start(name)
        await uses.check({who: "cancelled"})

    async def scenarios():
        for who in NAMES[:2]:
            await scenario(who)

    world.run(scenarios)


@pytest.mark.parametrize("way", WAYS)
def test_the_work_raises_at_once(world, way):
    """Nothing was begun: the slot is free again, and each caller has the error."""

    async def scenario():
        uses = Uses(world, way, "failing")

        def raise_(name):
            uses.begun.append(name)
            raise Boom(name)

        uses._work = raise_
        for name in NAMES:
            uses.start(name)
        await uses.check({})
        assert list(NAMES) == uses.begun

    world.run(scenario)
