"""`PromiseTestMixin`: the same checks in trial's tests, on a clock and on the reactor."""

from __future__ import annotations

import contextlib
import unittest
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial import _synctest, reporter
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.promises import Boom
from twpromise import Promise
from twpromise.testing import PromiseTestMixin

# Trial looks at what is logged.
pytestmark = pytest.mark.usefixtures("reports")

both = pytest.mark.parametrize("base", [SynchronousTestCase, TestCase])


def run(base: type[Any], test: Any, **attributes: Any) -> reporter.TestResult:
    """Run a function as the test of a case of trial; what has come of it."""
    case = type("Case", (PromiseTestMixin, base), {"test": test, **attributes})("test")
    result = reporter.TestResult()
    case.run(result)
    # Where `setUp` has failed, trial's own `run` leaves that observer, for the tests of others.
    if _synctest._logObserver._added:
        case._removeObserver()
        case.flushLoggedErrors()
    return result


def texts(result: reporter.TestResult) -> list[str]:
    """What the failures and errors say."""
    return [str(failure.value) for _, failure in result.failures + result.errors]


@both
class TestBoth:
    """In a `SynchronousTestCase`, and in a `TestCase` on the reactor."""

    def test_what_is_all_right(self, base):
        """Passes."""

        def test(case):
            assert 2 == case.success_result_of(Promise.resolve(1).then(lambda n: n + 1))

        result = run(base, test)
        assert [] == texts(result)
        assert 1 == result.successes

    @pytest.mark.parametrize("kind", ["promise", "coroutine", "Deferred"])
    def test_a_test_is_waited_for(self, base, kind):
        """One that returns a promise, or a Deferred, or is ``async def``."""
        done = []

        def promise(case):
            return Promise.delay(0.001).then(lambda _: done.append(1))

        async def coroutine(case):
            await promise(case)

        def deferred(case):
            return promise(case).to_deferred()

        test = {"promise": promise, "coroutine": coroutine, "Deferred": deferred}[kind]
        assert [] == texts(run(base, test))
        assert [1] == done

    def test_set_up_and_tear_down_are_waited_for(self, base):
        """Likewise."""
        done = []

        def note(case):
            return Promise.delay(0.001).then(lambda _: done.append(1))

        assert [] == texts(run(base, lambda case: None, setUp=note, tearDown=note))
        assert [1, 1] == done

    def test_a_failure_that_comes_late(self, base):
        """Of the promise that the test returns."""

        def test(case):
            return Promise.delay(0.001).then(lambda _: case.fail("too late"))

        assert ["too late"] == texts(run(base, test))

    def test_an_unhandled_rejection(self, base):
        """It is an error of the test that made it, though nothing was flushed."""
        result = run(base, lambda case: Promise.reject(Boom("x")) and None)
        assert ["x"] == texts(result)
        assert 0 == result.successes

    @pytest.mark.parametrize("allowed", [True, Boom, (KeyError, Boom)])
    @pytest.mark.parametrize("where", ["case", "test"])
    def test_it_may_be_allowed(self, base, allowed, where):
        """By an attribute of the case, or of the test."""

        def test(case):
            Promise.reject(Boom())

        if "test" == where:
            test.allow_unhandled = allowed
            assert [] == texts(run(base, test))
        else:
            assert [] == texts(run(base, test, allow_unhandled=allowed))

    def test_others_than_those_that_are_allowed(self, base):
        """They are errors."""
        test: Any = lambda case: Promise.reject(Boom("x")) and None  # noqa: E731
        result = run(base, test, allow_unhandled=KeyError)
        assert ["x"] == texts(result)

    def test_a_pending_promise(self, base):
        """It is an error, and names the line."""

        def test(case):
            case.kept = Promise(lambda *_: None)

        [text] = texts(run(base, test))
        assert "1 promise is still pending" in text
        assert "case.kept = Promise" in text

    def test_it_may_be_allowed_to_be_pending(self, base):
        """By an attribute."""
        test: Any = lambda case: Promise(lambda *_: None) and None  # noqa: E731
        assert [] == texts(run(base, test, allow_pending=True))

    def test_tear_down_may_end_what_is_pending(self, base):
        """The test is looked at behind it."""

        def test(case):
            case.promise = Promise(lambda *_: None)

        assert [] == texts(run(base, test, tearDown=lambda case: case.promise.cancel()))

    @pytest.mark.parametrize("where", ["setUp", "test", "tearDown"])
    def test_what_fails_has_its_own_error_only(self, base, where):
        """What is pending then does not count."""

        def fails(case):
            case.kept = Promise(lambda *_: None)
            raise Boom("x")

        functions = {"test": lambda case: None, where: fails}
        assert ["x"] == texts(run(base, functions.pop("test"), **functions))

    def test_a_case_can_be_run_again(self, base):
        """Its methods are as before."""

        class Case(PromiseTestMixin, base):
            def test(self):
                self.kept = Promise(lambda *_: None)

        case = Case("test")
        case.test = case.test
        for _ in range(2):
            result = reporter.TestResult()
            case.run(result)
            assert 1 == len(texts(result))
        assert {"setUp", "tearDown"}.isdisjoint(vars(case))
        assert "test" in vars(case)

    def test_a_library_copy(self, base):
        """It is the one that is looked at, and runs where the case's promises run."""
        copy = Promise.get_new_library_copy()

        def test(case):
            case.kept = copy(lambda *_: None)
            assert 1 == case.success_result_of(copy.resolve(1).then())

        [text] = texts(run(base, test, promise_library=copy))
        assert "1 promise is still pending" in text

    def test_trial_does_not_come_to_tear_down(self, base):
        """What a result raises, pytest's for one, ends `run`: nothing is left watched."""

        class Result(reporter.TestResult):
            def addFailure(self, test, fail):
                raise Boom

        case = type("Case", (PromiseTestMixin, base), {"test": lambda case: case.fail()})("test")
        with contextlib.suppress(Boom):
            case.run(Result())
        if _synctest._logObserver._added:
            case._removeObserver()
        assert not Promise.config()["monitoring"]


def test_a_test_that_trial_gives_up():
    """After its timeout: what it waits for has not to be named."""

    def test(case):
        return Promise(lambda *_: None)

    [text] = texts(run(TestCase, test, timeout=0.01))
    assert "still running at 0.01 secs" in text


class TestOnTheClock:
    """In a `SynchronousTestCase` promises run when it says so."""

    def test_the_scheduler(self):
        """It is an attribute."""

        def test(case):
            promise = Promise.delay(1, "value")
            case.assert_no_result(promise)
            case.promises.advance(1)
            case.assertEqual("value", case.success_result_of(promise))

        assert [] == texts(run(SynchronousTestCase, test))

    def test_a_timer(self):
        """One that is left is an error."""
        [text] = texts(run(SynchronousTestCase, lambda case: case.promises.call_later(5, print)))
        assert "1 timer is still set" in text

    def test_the_former_scheduler_is_set_again(self):
        """At the end."""
        before = Promise._queue.scheduler
        run(SynchronousTestCase, lambda case: None)
        assert before is Promise._queue.scheduler


class TestResults:
    """`success_result_of`, `failure_result_of` and `assert_no_result`."""

    @pytest.fixture
    def case(self, scheduler):
        """A case that is not run."""
        return type("Case", (PromiseTestMixin, SynchronousTestCase), {"test": None})("test")

    @pytest.fixture(params=["snake", "camel"])
    def methods(self, case, request):
        """In both spellings: trial's own take promises, too."""
        if "camel" == request.param:
            return case.successResultOf, case.failureResultOf, case.assertNoResult
        return case.success_result_of, case.failure_result_of, case.assert_no_result

    def test_they_take_all_that_can_be_awaited(self, methods):
        """Promises, Deferreds, coroutines."""
        success, failure, none = methods

        async def coroutine():
            return 1

        assert [1, 1, 1] == [
            success(each) for each in (Promise.resolve(1), succeed(1), coroutine())
        ]
        for each in (Promise.reject(Boom()), fail(Boom())):
            assert Boom is failure(each, KeyError, Boom).type
        for each in (Promise(lambda *_: None), Deferred()):
            none(each)

    def test_a_failure_counts_as_handled(self, case, scheduler, reports):
        """It is not reported."""
        case.failure_result_of(Promise.reject(Boom()))
        scheduler.flush()
        assert [] == reports

    def test_of_another_outcome(self, case, methods):
        """They fail, and what was there instead is the cause."""
        success, failure, none = methods
        error = Boom()
        with pytest.raises(case.failureException, match="was not fulfilled") as raised:
            success(Promise.reject(error))
        assert error is raised.value.__cause__
        with pytest.raises(
            case.failureException, match="KeyError or OSError was expected"
        ) as raised:
            failure(Promise.reject(error), KeyError, OSError)
        assert error is raised.value.__cause__
        with pytest.raises(case.failureException, match="was fulfilled, with 'value'"):
            failure(Promise.resolve("value"))
        with pytest.raises(case.failureException, match="is not pending"):
            none(Promise.resolve(1))

    def test_of_a_pending_promise(self, case, methods):
        """They fail, and say where a coroutine waits."""
        success, failure, _ = methods

        async def hang():
            await Deferred()

        for method in (success, failure):
            with pytest.raises(case.failureException, match="is pending") as raised:
                method(Promise.resolve(hang()))
            assert "in hang" in raised.value.__notes__[0]


def test_it_is_for_cases_of_trial():
    """The standard library's own know no logged errors."""
    case = type("Case", (PromiseTestMixin, unittest.TestCase), {"test": None})("test")
    with pytest.raises(TypeError, match="Case must be a test case of trial"):
        case.run(unittest.TestResult())
