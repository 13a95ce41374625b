"""The fault matrix of `batch`: whatever ends a call, and whenever, no item is lost or run twice.

Time is the test's own: a run takes two seconds, and a coroutine needs one more to clean up.
"""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from twisted.internet import defer

from tests.support.promises import Boom, quiet
from twpromise import CancellationError, Promise, batch

NAMES = "abcdef"
KINDS = ["promise", "coroutine", "deferred", "thread", "failing", "failing for one"]
#: In the turn of the call, while the first run is under way, when it ends, and later.
MOMENTS = [0, 0.5, 1.5, 2, 2.5, 3, 4, 5, 6]


class Calls:
    """Six calls in runs of two, one at a time, and a log of the runs."""

    def __init__(self, world, kind):
        self.world = world
        self.kind = kind
        self.runs = []
        self.under_way = 0
        self.most = 0
        #: What is called when the first run ends; within the turn.
        self.ending = None
        self.handles = {}
        self.double = batch(self._run, size=2, wait=0.5)

    def start(self, name, timeout=None):
        """Make a call."""
        self.handles[name] = self.world.start(lambda: self.double(name), timeout)

    def _run(self, names):
        self.runs.append(names)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return getattr(self, f"_{self.kind.replace(' ', '_')}")(names)

    def _end(self):
        self.under_way -= 1
        ending, self.ending = self.ending, None
        if ending is not None:
            ending()

    def _promise(self, names):
        return Promise.delay(2, [name * 2 for name in names]).finally_(self._end)

    def _failing(self, names):
        return Promise.delay(2).throw(Boom("all")).finally_(self._end)

    def _failing_for_one(self, names):
        return self._promise(names).map(lambda name: Boom("one") if name in "aadd" else name)

    def _deferred(self, names):
        deferred = defer.Deferred()
        Promise.delay(2).then(lambda _: deferred.called or deferred.callback(None))
        return deferred.addBoth(self._ended, names)

    def _ended(self, result, names):
        self._end()
        return result or [name * 2 for name in names]

    async def _coroutine(self, names):
        try:
            return await Promise.delay(2, [name * 2 for name in names])
        finally:
            try:
                await Promise.delay(1)
            finally:
                self._end()

    def _thread(self, names):
        future = Future()
        future.set_running_or_notify_cancel()

        def end():
            self._end()
            future.set_result([name * 2 for name in names])

        self.world.call_later(2, end)
        return Promise.resolve(future)

    def outcome(self, name):
        """How a call ended, in a word."""
        state, value = self.handles[name].outcome()
        if state == "fulfilled":
            assert name * 2 == value
        elif isinstance(value, CancellationError):
            return "cancelled"
        elif isinstance(value, TimeoutError | defer.TimeoutError):
            return "timed out"
        elif state == "rejected":
            assert isinstance(value, Boom)
        return state

    def own(self, name):
        """How a call ends by itself."""
        fails = self.kind == "failing" or (self.kind == "failing for one" and name in "ad")
        return "rejected" if fails else "fulfilled"

    async def check(self, ends):
        """Wait for the end: each call that did not leave has its result, of a run of its own.

        Args:
            ends: How calls that were ended early may be seen to end.
        """
        await self.world.advance(16)
        outcomes = {name: self.outcome(name) for name in self.handles}
        for name, outcome in outcomes.items():
            assert outcome in (self.own(name), ends.get(name, self.own(name)))
        ran = [name for names in self.runs for name in names]
        assert sorted(set(ran)) == ran
        assert {name for name in NAMES if name not in ends} <= set(ran)
        assert (0, 1) == (self.under_way, self.most)
        assert repr(self.double).endswith("0 queued, 0 running>")
        after = quiet(self.double("x"))
        await self.world.advance(4)
        assert after.is_rejected() if self.kind == "failing" else after.value() == "xx"


#: One of the first run; one that waits; all of the first run; all of the second.
LEAVERS = ["a", "c", "ab", "cd"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["cancelled", "cancelled twice", "timed out"])
def test_some_end_early(world, kind, how):
    """At any moment, before their run, within it, and when it ends."""

    async def scenario(leavers, moment):
        calls = Calls(world, kind)
        for name in NAMES:
            calls.start(name, moment if how == "timed out" and name in leavers else None)
        await world.advance(moment)
        waiting = set(NAMES) - {name for names in calls.runs for name in names}
        for name in leavers if how != "timed out" else "":
            calls.handles[name].cancel()
        if how == "cancelled twice":
            await world.advance(0.5)
            for name in leavers:
                calls.handles[name].cancel()
        end = "timed out" if how == "timed out" else "cancelled"
        await calls.check(dict.fromkeys(leavers, end))
        if how != "timed out":
            # What was cancelled in the queue is in no run.
            ran = {name for names in calls.runs for name in names}
            assert not ran & waiting & set(leavers)

    async def scenarios():
        for leavers in LEAVERS:
            for moment in MOMENTS:
                await scenario(leavers, moment)

    world.run(scenarios)


@pytest.mark.parametrize("turn", ["a run ends", "they are called"])
@pytest.mark.parametrize("kind", KINDS)
def test_some_leave_within_one_turn(world, kind, turn):
    """At each step of that in which a run ends, or the first, put together before, begins.

    Those of that run leave, and those of the next.
    """

    async def scenario(leavers, steps):
        calls = Calls(world, kind)
        for name in NAMES:
            calls.start(name)

        def leave():
            for name in leavers:
                calls.handles[name].cancel()

        if turn == "a run ends":
            calls.ending = lambda: world.call_after(steps, leave)
        else:
            world.call_after(steps, leave)
        await calls.check(dict.fromkeys(leavers, "cancelled"))

    async def scenarios():
        for leavers in LEAVERS:
            for steps in range(12):
                await scenario(leavers, steps)

    world.run(scenarios)
