"""`PromiseChecks`: what promises only log, or never do, fails a test."""

from __future__ import annotations

import asyncio
import gc
import traceback
from contextlib import ExitStack

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.trial import reporter
from twisted.trial.unittest import TestCase

from tests.support.promises import Boom, fail, pending
from twpromise import Promise, PromiseGroup
from twpromise._testing.running import checked_on_loop, checked_on_reactor
from twpromise.loops import use_running_loop
from twpromise.testing import ManualScheduler, PromiseChecks

# The reports are what is tested.
pytestmark = pytest.mark.usefixtures("reports")


@pytest.fixture
def leftover(scheduler):
    """Runs a function inside of the checks; the text of the `AssertionError` that comes."""

    def run(function, **options):
        with pytest.raises(AssertionError) as raised, PromiseChecks(**options):
            function()
        return str(raised.value)

    return run


def run_on_loop(test, *arguments):
    """Run a test on a loop of its own, as the fixture `promises_on_loop` has it run."""
    with ExitStack() as stack:
        checks = stack.enter_context(PromiseChecks())
        asyncio.run(checked_on_loop(test, checks, stack)(*arguments))


class TestErrors:
    """What promises log at critical level."""

    def test_an_unhandled_rejection(self, scheduler):
        """It is raised itself, with what the log says of it as a note."""
        error = Boom()
        with pytest.raises(Boom) as raised, PromiseChecks():
            Promise.reject(error)
            scheduler.flush()
        assert error is raised.value
        assert ["Unhandled rejection in Promise"] == error.__notes__

    def test_one_that_comes_of_what_is_still_queued(self, scheduler):
        """The note says that the test has not flushed."""
        with pytest.raises(Boom) as raised, PromiseChecks():
            Promise.resolve().then(fail)
        assert "call flush()" in raised.value.__notes__[-1]

    def test_a_fatal_error(self, scheduler):
        """Of `done`."""
        with pytest.raises(Boom, match="x") as raised, PromiseChecks():
            Promise.reject(Boom("x")).done()
        assert raised.value.__notes__[0].startswith("Fatal error in Promise")

    def test_several(self, scheduler):
        """They are a group, assertions first; the first is its cause, and so is shown first."""
        with pytest.raises(ExceptionGroup) as raised, PromiseChecks():
            Promise.reject(Boom("x"))
            Promise.reject(AssertionError("y"))
            Promise.reject(KeyError("z"))
        kinds = [type(error) for error in raised.value.exceptions]
        assert [AssertionError, Boom, KeyError] == kinds
        assert raised.value.exceptions[0] is raised.value.__cause__

    def test_one_that_two_promises_have(self, scheduler):
        """It counts once."""
        error = Boom()
        with pytest.raises(Boom), PromiseChecks():
            Promise.reject(error)
            Promise.reject(error)

    def test_what_has_no_exception(self, scheduler):
        """A message at critical level is an `AssertionError`; other levels, and logs, are not."""
        with pytest.raises(AssertionError, match="7 were lost"), PromiseChecks():
            Logger(namespace="twpromise").error("not critical")
            Logger(namespace="elsewhere").critical("not of promises")
            Logger(namespace="twpromise").critical("{n} were lost", n=7)

    @pytest.mark.parametrize("allowed", [True, Boom, (KeyError, Boom)])
    def test_they_may_be_allowed(self, scheduler, allowed):
        """All, or those of some types."""
        with PromiseChecks(allow_unhandled=allowed):
            Promise.reject(Boom())

    def test_others_than_those_that_are_allowed(self, scheduler):
        """They fail the test."""
        with pytest.raises(Boom), PromiseChecks(allow_unhandled=KeyError):
            Promise.reject(KeyError())
            Promise.reject(Boom())

    def test_they_explain_an_error_of_the_test_itself(self, scheduler):
        """They are the cause of the first error in its chain: Python shows them before it."""
        with pytest.raises(KeyError) as raised, PromiseChecks():
            Promise.resolve().then(fail)
            try:
                raise ValueError("an error that was there")
            except ValueError:
                raise KeyError("the test's own") from None
        shown = "".join(traceback.format_exception(raised.value))
        assert shown.index("Boom") < shown.index("the test's own")
        assert "from a handler" == str(raised.value.__cause__)

    @pytest.mark.parametrize("link", ["cause", "context"])
    def test_which_has_come_of_another(self, scheduler, link):
        """They are shown before that."""
        first, second = KeyError(), LookupError()
        setattr(second, f"__{link}__", first)
        with pytest.raises(LookupError) as raised, PromiseChecks():
            Promise.resolve().then(fail)
            raise second
        assert second is raised.value
        assert Boom is type(first.__cause__)

    def test_several_explain_it(self, scheduler):
        """The first is the cause, and names the others."""
        with pytest.raises(KeyError) as raised, PromiseChecks():
            Promise.reject(Boom("x"))
            Promise.reject(AssertionError("y"))
            raise KeyError
        cause = raised.value.__cause__
        assert AssertionError is type(cause)
        assert "There was also: Boom('x')" == cause.__notes__[-1]

    def test_a_rejection_that_the_test_fails_with(self, scheduler):
        """It is no cause of itself."""
        error = Boom()
        with pytest.raises(Boom) as raised, PromiseChecks():
            Promise.reject(error)
            raise error
        assert None is raised.value.__cause__

    def test_they_are_looked_for_no_more_at_the_end(self, scheduler):
        """A later one is reported, and fails nothing."""
        with PromiseChecks():
            pass
        Promise.reject(Boom())
        scheduler.flush()


class TestPending:
    """Promises that are pending."""

    def test_it_is_named_by_the_line_that_made_it(self, leftover):
        """And its function, and the code."""
        kept = []
        text = leftover(lambda: kept.append(pending()[0]))
        assert text.startswith("1 promise is still pending at the end of the test:\n  File ")
        assert "in pending\n    promise: Promise[Any] = Promise(" in text

    def test_what_is_derived_counts_too(self, leftover):
        """Each line once."""
        kept = []

        def make():
            kept.extend(Promise.resolve(Deferred()).then().then() for _ in range(3))

        text = leftover(make)
        assert text.startswith("9 promises are still pending")
        assert 1 == text.count("in <genexpr>")

    def test_one_that_was_dropped(self, leftover):
        """The handlers of a Deferred without references are never called."""

        def make():
            Promise.resolve(Deferred()).then(fail)
            gc.collect()

        text = leftover(make)
        assert "it was dropped: its handlers will never be called" in text

    def test_a_coroutine_that_has_not_finished(self, leftover):
        """With the lines at which it waits."""

        async def within():
            await Deferred()

        async def main():
            await within()

        kept = []
        text = leftover(lambda: kept.append(Promise.resolve(main())))
        waits = [line for line in text.splitlines() if "has not finished waits here" in line]
        assert [line.rsplit(" ", 1)[1] for line in waits] == ["main", "within"]

    def test_one_whose_clean_up_has_not_ended(self, leftover):
        """It was cancelled, and a handler of `finally_` waits."""

        def make():
            promise = pending()[0].finally_(lambda: Deferred())
            promise.cancel()
            kept.append(promise)

        kept = []
        assert "it was cancelled, and its clean-up has not ended" in leftover(make)

    def test_many(self, leftover):
        """Ten lines are named, and the rest is counted."""
        kept = []
        source = "\n".join(f"kept.append(pending()[0].then())  # {n}" for n in range(12))
        code = compile(source, "lines.py", "exec")
        text = leftover(lambda: exec(code, {"kept": kept, "pending": pending}))
        assert 24 == int(text.split()[0])
        assert "... and 3 others" == text.splitlines()[-1].strip()

    def test_one_that_follows_another_counts_as_that(self, leftover):
        """Both are pending, but only that is to be mended."""
        kept = []

        def make():
            inner = pending()[0]
            kept.extend([inner, Promise.resolve().then(lambda _: inner)])

        text = leftover(make)
        assert text.startswith("1 promise is still pending")

    def test_one_that_no_line_has_made(self, leftover):
        """It has the line of what follows it: the code of the package is not shown."""
        kept = []

        def make():
            kept.append(Promise.resolve(5).then(Promise.delay))  # here
            kept.append(Promise.map([5], Promise.delay))  # there

        text = leftover(make)
        assert text.startswith("2 promises are still pending")
        assert "# here" in text
        assert "# there" in text
        assert "unknown" not in text

    def test_a_group_that_nothing_waits_for(self, scheduler):
        """What it has for itself is no promise of the test."""
        with PromiseChecks():
            group = PromiseGroup()
            group.start_soon(lambda: None)
            scheduler.flush()

    def test_what_was_made_before_does_not_count(self, scheduler):
        """Fixtures may have made it."""
        promise = pending()[0]
        with PromiseChecks():
            assert promise.is_pending()

    def test_what_is_settled_does_not_count(self, scheduler):
        """Fulfilled, rejected or cancelled; by the flush at the end, too."""
        with PromiseChecks():
            Promise.resolve(1).then().then()
            Promise.reject(Boom()).catch(lambda _: None)
            pending()[0].cancel()
            Promise.all([Promise.resolve(1), 2])

    def test_they_are_not_looked_for_if_the_test_fails(self, scheduler):
        """Its own error says why."""
        with pytest.raises(Boom), PromiseChecks():
            Promise(lambda *_: None)
            raise Boom

    def test_they_may_be_allowed(self, scheduler):
        """Then nothing is watched."""
        with PromiseChecks(allow_pending=True):
            assert not Promise.config()["monitoring"]
            Promise(lambda *_: None)

    def test_monitoring_is_as_before_at_the_end(self, scheduler, config):
        """Also if it was on."""
        for before in (False, True):
            config(monitoring=before)
            with PromiseChecks():
                assert Promise.config()["monitoring"]
            assert before == Promise.config()["monitoring"]

    def test_another_library_copy(self, scheduler):
        """Only the one that is given is looked at."""
        copy = Promise.get_new_library_copy()
        kept = []
        with pytest.raises(AssertionError, match="1 promise"), PromiseChecks(library=copy):
            kept.append(Promise(lambda *_: None))
            kept.append(copy(lambda *_: None))


class TestTimers:
    """On the clock of a `ManualScheduler`."""

    def test_one_that_is_set(self, scheduler, leftover):
        """It is named by its function and its time."""
        text = leftover(lambda: scheduler.clock.callLater(5, print))
        assert "1 timer is still set at the end of the test:\n" in text
        assert "print>, at 5 seconds" in text

    def test_one_that_was_set_before(self, scheduler):
        """A fixture may have set it."""
        scheduler.call_later(5, print)
        with PromiseChecks():
            pass

    def test_together_with_a_promise(self, scheduler, leftover):
        """One error names both, but not the timer that a promise waits for."""

        def make():
            kept.append(Promise.delay(5))
            scheduler.clock.callLater(6, print)

        kept = []
        text = leftover(make)
        assert "1 promise is still pending" in text
        assert "1 timer is still set" in text
        assert "at 6 seconds" in text


class TestWhatIsLeftForFixtures:
    """`end_of_test` looks for errors only."""

    def test_what_is_pending_may_be_settled_later(self, scheduler):
        """In the fixture's own end, or `tearDown`."""
        with PromiseChecks() as checks:
            promise, resolve, _ = pending()
            checks.end_of_test(None)
            resolve(1)
        assert 1 == promise.value()

    def test_errors_are_raised_there(self, scheduler):
        """And not again."""
        with PromiseChecks() as checks:
            Promise.reject(Boom())
            with pytest.raises(Boom):
                checks.end_of_test(None)

    def test_a_test_that_has_failed(self, scheduler):
        """What is pending is not looked for then."""
        kept = []
        with PromiseChecks() as checks:
            kept.append(pending())
            Promise.reject(Boom())
            error = KeyError()
            checks.end_of_test(error)
        assert Boom is type(error.__cause__)


class TestOnTheLoop:
    """`checked_on_loop`, which the fixture `promises_on_loop` uses."""

    def test_promises_run_on_the_loop(self):
        """They can be awaited, and what is queued at the end is run."""
        called = []

        async def test(argument):
            assert 3 == await Promise.resolve(argument).then(lambda n: n + 1)
            Promise.resolve(4).then(called.append)

        run_on_loop(test, 2)
        assert [4] == called

    def test_what_fails_a_test(self):
        """The same as elsewhere."""
        kept = []

        async def rejects():
            Promise.reject(Boom())

        async def leaves():
            kept.append(Promise.delay(50))

        for test, error in ((rejects, Boom), (leaves, AssertionError)):
            with pytest.raises(error):
                run_on_loop(test)

    def test_a_test_that_fails(self):
        """A rejection explains its error, and what is pending is not looked for."""
        kept = []

        async def test():
            kept.append(Promise(lambda *_: None))
            Promise.reject(Boom())
            raise KeyError

        with pytest.raises(KeyError) as raised:
            run_on_loop(test)
        assert Boom is type(raised.value.__cause__)

    def test_a_fixture_that_holds_the_loop_may_end_what_is_pending(self, scheduler):
        """Then it is looked for when the fixture `promises_on_loop` ends."""
        kept = []

        async def test():
            kept.append(Promise(lambda *_: None))

        async def run(checks, stack, cancelled):
            async with use_running_loop():
                await checked_on_loop(test, checks, stack)()
                if cancelled:
                    kept[-1].cancel()

        def run_with(cancelled):
            with ExitStack() as stack:
                checks = stack.enter_context(PromiseChecks())
                asyncio.run(run(checks, stack, cancelled))

        run_with(cancelled=True)
        with pytest.raises(AssertionError, match="1 promise is still pending"):
            run_with(cancelled=False)

    def test_it_is_for_coroutine_functions(self):
        """Another would not be on the loop."""
        with pytest.raises(TypeError, match="async def"):
            checked_on_loop(lambda: None, PromiseChecks(), ExitStack())


class TestOnTheReactor:
    """`checked_on_reactor`, which the fixture `promises_on_reactor` uses."""

    @pytest.fixture
    def run(self):
        """Runs a test while the reactor runs; what has come of it."""

        def run(test):
            def on_reactor(case):
                return checked_on_reactor(test, checks)(2)

            result = reporter.TestResult()
            with PromiseChecks() as checks:
                type("Case", (TestCase,), {"test": on_reactor})("test").run(result)
            return [failure.type for _, failure in result.failures + result.errors]

        return run

    @pytest.mark.parametrize("kind", ["plain", "promise", "coroutine"])
    def test_it_is_waited_for(self, run, kind):
        """Whatever it returns; and what is queued at the end is run."""
        called = []

        def plain(argument):
            Promise.resolve(argument).then(called.append)

        def promise(argument):
            return Promise.delay(0.001, argument).then(called.append)

        async def coroutine(argument):
            called.append(await Promise.delay(0.001, argument))

        assert [] == run({"plain": plain, "promise": promise, "coroutine": coroutine}[kind])
        assert [2] == called

    def test_what_fails_a_test(self, run):
        """The same as elsewhere."""
        kept = []

        async def rejects(_):
            await Promise.delay(0.001)
            Promise.reject(Boom()).then()

        async def leaves(_):
            kept.append(Promise(lambda *_: None))

        # Trial finds in the log what has been raised.
        assert {Boom} == set(run(rejects))
        with pytest.raises(AssertionError, match="1 promise is still pending"):
            run(leaves)


def test_in_another_thread_than_promises_run_in(monkeypatch):
    """Nothing is run there; what was logged counts."""
    with ManualScheduler() as scheduler:
        queue = Promise._queue
        monkeypatch.setattr(type(queue), "is_home", lambda _: False)
        Promise.set_scheduler(scheduler.call_soon)
        with PromiseChecks(allow_pending=True):
            pass
        Promise.set_scheduler(scheduler)
