"""How steps end, whatever they are: in turn, in time, with a reason, and with all cleaned up."""

from __future__ import annotations

import os
from io import StringIO

import pytest
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from twpromise import Promise
from twpromise._demo import tour as tour_module
from twpromise._demo.books import BOOKS
from twpromise._demo.driver import Driver
from twpromise._demo.report import Report
from twpromise._demo.tour import Interrupted, Step, StepFailed, Tour, expect


def done(name="done", needed=False):
    """A step that does what it should."""
    return Step(name, lambda tour: Promise.resolve("well"), needed)


def failing(name="failing", error=None, needed=False):
    """A step that does not."""
    return Step(name, lambda tour: Promise.reject(error or StepFailed("ill")), needed)


class Tours(TestCase):
    """Steps of all kinds."""

    async def run_steps(self, *steps):
        """The failures, and the marks and names of the rows."""
        from twisted.internet import reactor

        self.reactor = reactor
        # Trial starts its own timer when the test is under way.
        await Promise.delay(0)
        self.stream = StringIO()
        self.tour = Tour(Driver("sqlite3", "?"), Report(self.stream), reactor)
        try:
            return dict(await self.tour.run(steps)), self.rows()
        finally:
            assert not os.path.exists(self.tour._folder)

    def rows(self):
        """The mark and the name of each row, those of the cleaning up left out."""
        rows = [line[1:17].split()[:2] for line in self.stream.getvalue().splitlines()]
        assert ["cleanup", "leftovers"] == [name for _, name in rows[-2:]]
        return ["".join(row) for row in rows[:-2]]

    async def test_in_turn(self):
        """Steps run in order; one that fails keeps no other from being tried."""
        failures, rows = await self.run_steps(done("a"), failing("b"), done("c"))
        assert {"b": "ill"} == failures
        assert ["+a", "xb", "+c"] == rows

    async def test_needed(self):
        """One that fails and is needed is the last; one that is needed and succeeds is not."""
        steps = done("a", needed=True), failing("b", needed=True), done("c")
        failures, rows = await self.run_steps(*steps)
        assert {"b": "ill"} == failures
        assert ["+a", "xb"] == rows

    async def test_reasons(self):
        """A reason shows the type of the error and its message, in one line."""

        def fail(tour):
            raise KeyError("at once")

        failures, _ = await self.run_steps(
            failing("rejects", ValueError("one\ntwo")), Step("raises", fail)
        )
        assert {"rejects": "ValueError: one two", "raises": "KeyError: 'at once'"} == failures

    async def test_deadline(self):
        """A step without an outcome fails when its time is up."""

        def have(deadline, outcome):
            # In force for this step already; what cleans up must not be hurried.
            self.patch(tour_module, "DEADLINE", deadline)
            return outcome

        hung = Step("hangs", lambda tour: have(0.05, Promise(lambda resolve, reject: None)))
        patient = Step("patient", lambda tour: have(30.0, Promise.resolve("well")))
        failures, rows = await self.run_steps(hung, patient)
        assert {"hangs": "TimeoutError: no outcome in 0.05 seconds"} == failures
        assert ["xhangs", "+patient"] == rows

    async def test_leftover_timers(self):
        """A timer that a step leaves behind is reported."""
        calls = []
        forgetful = Step(
            "forgetful",
            lambda tour: Promise.resolve(calls.append(self.reactor.callLater(60, print)) or "well"),
        )
        failures, rows = await self.run_steps(forgetful)
        calls[0].cancel()
        assert ["leftovers"] == list(failures)
        assert failures["leftovers"].startswith("timers: expected [], got ")
        assert ["+forgetful"] == rows

    async def test_a_timer_that_goes_by_itself(self):
        """One that is about to be due is waited for: a connection may have left it."""
        fired = []
        brief = Step(
            "brief",
            lambda tour: Promise.resolve(
                self.reactor.callLater(0.2, fired.append, "fired") and "well"
            ),
        )
        failures, _ = await self.run_steps(brief)
        assert ({}, ["fired"]) == (failures, fired)

    async def test_errors_in_the_log(self):
        """An unhandled rejection is reported, and so is any other critical event of the log."""

        def careless(tour):
            Promise.reject(ValueError("lost"))
            Logger().info("fine")
            Logger().critical("really bad")
            return Promise.delay(0, "well")

        failures, _ = await self.run_steps(Step("careless", careless))
        reason = failures["leftovers"]
        assert reason.startswith("errors in the log: expected [], got ['really bad', 'Unhandled")
        assert ["lost"] == [str(failure.value) for failure in self.flushLoggedErrors(ValueError)]

    async def test_interrupt(self):
        """The step that runs is cancelled, no other is tried, and that is what comes out."""
        cancelled = []

        def hang(tour):
            self.reactor.callLater(0, tour.interrupt)
            return Promise(
                lambda resolve, reject, on_cancel: on_cancel(lambda: cancelled.append(1))
            )

        with pytest.raises(Interrupted):
            await self.run_steps(done("a"), Step("hangs", hang), done("b"))
        assert ["+a", "xhangs"] == self.rows()
        assert [1] == cancelled

    async def test_interrupt_before_a_step_is_under_way(self):
        """Then there is nothing to cancel."""

        def interrupt(tour):
            tour.interrupt()
            return Promise.resolve("well")

        with pytest.raises(Interrupted):
            await self.run_steps(Step("interrupts", interrupt), done("b"))
        assert ["+interrupts"] == self.rows()

    async def test_interrupt_while_cleaning_up(self):
        """Cleaning up is seen through, and waited for."""
        ended = []

        def interrupt_later(tour):
            tour.client.close = lambda: Promise.resolve(
                tour.interrupt().addCallback(lambda _: ended.append(self.stream.getvalue()))
                and None
            )
            return tour.database.create(BOOKS).then(lambda _: "well")

        with pytest.raises(Interrupted):
            await self.run_steps(Step("interrupts", interrupt_later))
        await Promise.delay(0)
        assert [self.stream.getvalue()] == ended

    async def test_interrupt_afterwards(self):
        """There is nothing to wait for."""
        await self.run_steps(done())
        assert None is await self.tour.interrupt()


class Expectations(TestCase):
    """`expect`."""

    def test_as_it_should_be(self):
        """Then nothing happens."""
        expect("two", 2, 2.0)

    def test_not_as_it_should_be(self):
        """The message has both values, in one line that is not too long."""
        with pytest.raises(StepFailed) as caught:
            expect("lists", [1], list(range(1000)))
        message = str(caught.value)
        assert message.startswith("lists: expected [1], got [0, 1, 2")
        assert len(message) < 120
