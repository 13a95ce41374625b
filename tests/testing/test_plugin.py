"""The pytest plugin: each mistake, made on purpose, fails a test with a text that names it."""

from __future__ import annotations

import textwrap
from importlib.metadata import entry_points

import pytest

import pytest_twpromise

#: No other plugin is loaded, of those that pytest would find.
ALONE = [
    f"-pno:{name}" for name in ("cacheprovider", "anyio", "asyncio", "twisted", "hypothesispytest")
]

#: Stands above each test that is run.
HEAD = """
    import pytest
    from twisted.internet.defer import Deferred
    from twpromise import Promise


    def check(value):
        assert 2 == value

"""


@pytest.fixture
def run(pytester, reports):
    """Runs a test, of which the code is given, under pytest; what pytest does and shows."""

    def run(code, *arguments):
        pytester.makepyfile(textwrap.dedent(HEAD) + textwrap.dedent(code))
        return pytester.runpytest_inprocess(*ALONE, *arguments)

    return run


def test_promises_run_when_the_test_says_so(run):
    """The fixture is a scheduler."""
    run("""
        def test(promises):
            promise = Promise.delay(1, 5).then(str)
            promises.advance(1)
            assert "5" == promise.value()
    """).assert_outcomes(passed=1)


MISTAKES = {
    "unhandled rejection": (
        """
        def test(promises):
            Promise.reject(ValueError("the reason"))
            promises.flush()
        """,
        ["E*ValueError: the reason", "*Unhandled rejection in Promise"],
    ),
    "failed assertion in a handler": (
        """
        def test(promises):
            Promise.resolve(1).then(check)
            promises.flush()
        """,
        [">*assert 2 == value", "E*assert 2 == 1", "*Unhandled rejection in Promise"],
    ),
    "forgotten flush": (
        """
        def test(promises):
            Promise.resolve(1).then(check)
        """,
        ["E*assert 2 == 1", "E*The handler was still queued when the test ended: call flush()*"],
    ),
    "forgotten flush, and an assertion that shows it": (
        """
        def test(promises):
            seen = []
            Promise.resolve(1).then(check).then(seen.append)
            assert [1] == seen
        """,
        [
            "E*assert 2 == 1",
            "The above exception was the direct cause of the following exception:",
            "E*assert ?1? == ??",
        ],
    ),
    "fatal error": (
        """
        def test(promises):
            Promise.reject(ValueError("the reason")).done()
            promises.flush()
        """,
        ["E*ValueError: the reason", "*Fatal error in Promise*"],
    ),
    "a test that never ends": (
        """
        async def test(promises):
            await Deferred()  # here
        """,
        ["E*RuntimeError: <*Promise pending*stays pending*", "*waiting here:", "*line 11, in test"],
    ),
    "an awaited failure": (
        """
        async def test(promises):
            check(await Promise.delay(60, 1))
        """,
        [">*check(await Promise.delay(60, 1))", "E*assert 2 == 1"],
    ),
    "a returned failure": (
        """
        def test(promises):
            return Promise.delay(60, 1).then(check)
        """,
        [">*assert 2 == value", "E*assert 2 == 1"],
    ),
    "a promise that is returned to nothing": (
        """
        def test():
            return Promise.resolve(1)
        """,
        ["*has returned something to be awaited: *take the fixture promises*"],
    ),
    "another value that is returned": (
        """
        def test(promises):
            return 5
        """,
        ["*should return None, but*"],
    ),
    "several": (
        """
        def test(promises):
            Promise.reject(ValueError("the reason"))
            Promise.resolve(1).then(check)
        """,
        [
            ">*assert 2 == value",
            "E*assert 2 == 1",
            "*- and errors of promises -*",
            "ValueError: the reason",
        ],
    ),
}

LEFTOVERS = {
    "pending promise": (
        """
        def test(promises):
            kept.append(Promise(lambda resolve, reject: None))

        kept = []
        """,
        ["1 promise is still pending*", "*.py*, line 11, in test", "*kept.append(Promise(*"],
    ),
    "timer": (
        """
        def test(promises):
            promises.call_later(5, print)
        """,
        ["1 timer is still set*", "*print>, at 5 seconds"],
    ),
    "coroutine that has not finished": (
        """
        async def hang():
            await Deferred()

        def test(promises):
            kept.append(Promise.resolve(hang()))

        kept = []
        """,
        ["1 promise is still pending*", "*has not finished waits here: *line 11, in hang"],
    ),
}


@pytest.mark.parametrize(("code", "text"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_fails_the_test(run, code, text):
    """With a text that names it; a traceback begins in the test."""
    result = run(code)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(text)
    assert "twpromise/_testing" not in result.stdout.str().replace("\\", "/")


@pytest.mark.parametrize(("code", "text"), LEFTOVERS.values(), ids=LEFTOVERS)
def test_what_is_left_fails_the_test(run, code, text):
    """At its end, behind its fixtures."""
    result = run(code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(text)
    result.stdout.no_fnmatch_line("*All traceback entries are hidden*")


@pytest.mark.parametrize(("code", "_"), LEFTOVERS.values(), ids=LEFTOVERS)
def test_what_is_left_may_be_allowed(run, code, _):
    """By a marker."""
    run(f"pytestmark = pytest.mark.allow_pending\n{textwrap.dedent(code)}").assert_outcomes(
        passed=1
    )


@pytest.mark.parametrize(
    "name", ["unhandled rejection", "fatal error", "forgotten flush", "several"]
)
def test_errors_may_be_allowed(run, name):
    """By a marker."""
    code = textwrap.dedent(MISTAKES[name][0])
    run(f"pytestmark = pytest.mark.allow_unhandled\n{code}").assert_outcomes(passed=1)


def test_errors_of_some_types_may_be_allowed(run):
    """Others fail the test."""
    run("""
        @pytest.mark.allow_unhandled(types=(KeyError, ValueError))
        def test_allowed(promises):
            Promise.reject(ValueError())

        @pytest.mark.allow_unhandled(types=KeyError)
        def test_other(promises):
            Promise.reject(ValueError())
    """).assert_outcomes(passed=1, failed=1)


def test_fixtures_may_end_what_is_pending(run):
    """One that takes `promises` ends before the test is looked at."""
    run("""
        @pytest.fixture
        def service(promises):
            promise = Promise.delay(60)
            yield promise
            promise.cancel()

        def test(service):
            assert service.is_pending()
    """).assert_outcomes(passed=1)


def test_a_test_that_fails_is_not_told_of_what_is_pending(run):
    """Its own error says why."""
    run("""
        def test(promises):
            Promise.delay(60)
            assert False
    """).assert_outcomes(failed=1)


def test_a_fixture_that_fails_has_its_own_error_only(run):
    """Though it has left a promise pending."""
    run("""
        @pytest.fixture
        def service(promises):
            Promise.delay(60)
            assert False

        def test(service):
            pass
    """).assert_outcomes(errors=1)


@pytest.mark.parametrize("how", ["skip", "xfail"])
def test_a_test_that_is_given_up(run, how):
    """Skipped, say: what is pending does not count."""
    run(f"""
        def test(promises):
            Promise.delay(60)
            pytest.{how}("a reason")
    """).assert_outcomes(**{{"skip": "skipped", "xfail": "xfailed"}[how]: 1})


def test_methods_of_classes(run):
    """They are waited for, too."""
    run("""
        class Test:
            async def test(self, promises):
                check(await Promise.delay(60, 2))
    """).assert_outcomes(passed=1)


def test_fixtures_that_are_methods(run):
    """They have the instance that the test has."""
    run("""
        class Test:
            @pytest.fixture(autouse=True)
            def value(self, promises):
                self.value = 1

            def test(self, request):
                assert 1 == self.value
                assert request.node.obj.__self__ is self
    """).assert_outcomes(passed=1)


def test_what_is_no_test_function(run, pytester):
    """Doctests, tests of a loop of their own, and items of other plugins may have the fixture."""
    pytester.makeini("[pytest]\nusefixtures = promises\n")
    run(
        """
        import asyncio
        import unittest

        def add(first, second):
            '''
            >>> add(1, 2)
            3
            '''
            return first + second

        class Tests(unittest.IsolatedAsyncioTestCase):
            async def test(self):
                await asyncio.sleep(0)
        """,
        "--doctest-modules",
    ).assert_outcomes(passed=2)


def test_examples_of_hypothesis(run):
    """Each is checked by itself, so that the least is found; it is waited for, too."""
    result = run("""
        from hypothesis import HealthCheck, given, settings, strategies

        numbers = given(number=strategies.integers(0, 100))
        pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

        def fast(test):
            return settings(
                max_examples=50,
                derandomize=True,
                database=None,
                suppress_health_check=[HealthCheck.function_scoped_fixture],
            )(numbers(test))

        class TestMethods:
            @fast
            async def test_passes(self, promises, number):
                assert number == await Promise.delay(1, number)

        def check_is_small(number):
            assert number < 7

        @fast
        def test_fails(promises, number):
            Promise.resolve(number).then(check_is_small)
    """)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*assert 7 < 7"])


def test_a_test_that_is_run_again(run, pytester):
    """By another plugin: as it was the first time."""
    pytester.makeconftest("""
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            before = item.obj
            for _ in range(2):
                item._initrequest()
                runtestprotocol(item, nextitem=nextitem, log=True)
                assert before == item.obj
            return True
    """)
    run("""
        async def test(promises):
            check(await Promise.delay(60, 2))
    """).assert_outcomes(passed=2)


def test_the_long_stack_trace_is_shown(run, config):
    """Where that is on."""
    config(long_stack_traces=True)
    result = run("""
        def start():
            return Promise.resolve(1)

        def test(promises):
            start().then(check)
            promises.flush()
    """)
    # It begins with the test.
    result.stdout.no_fnmatch_line("*pluggy*/*")
    result.stdout.fnmatch_lines(
        ["E*From previous event:", "E*line 14, in test", "E*start().then(check)"]
    )


def test_the_long_stack_trace_is_not_shown_otherwise(run):
    """Looking for pending promises does not switch it on."""
    result = run(MISTAKES["unhandled rejection"][0])
    result.stdout.no_fnmatch_line("*From previous event:*")


@pytest.mark.parametrize("name", ["asyncio", "anyio"])
def test_tests_that_another_plugin_runs(run, name):
    """They take another fixture, and the message says so."""
    result = run(
        f"""
        @pytest.mark.{name}
        def test(promises):
            pass
        """,
        *("-o", f"markers={name}: declared by that plugin"),
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E*that pytest's plugin for {name} runs takes promises_on_loop*"])


def test_tests_on_the_reactor(run):
    """`promises_on_reactor` without pytest-twisted: the test says that nothing would run it."""
    result = run("""
        def test(promises_on_reactor):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*promises_on_reactor is for tests that pytest-twisted runs*"])


def test_tests_that_something_runs_on_the_reactor(run, pytester):
    """What runs them is in the place of pytest-twisted here."""
    pytester.makeconftest("""
        from twisted.trial.reporter import TestResult
        from twisted.trial.unittest import TestCase


        def pytest_configure(config):
            # It is switched off by its name.
            config.pluginmanager._name2plugin["twisted"] = object()


        def pytest_unconfigure(config):
            del config.pluginmanager._name2plugin["twisted"]


        def pytest_pyfunc_call(pyfuncitem):
            class Case(TestCase):
                def test(self):
                    return pyfuncitem.obj(None)

            result = TestResult()
            Case("test").run(result)
            for _, failure in result.errors + result.failures:
                failure.raiseException()
            return True
    """)
    run("""
        async def test_passes(promises_on_reactor):
            check(await Promise.delay(0.001, 2))

        async def test_fails(promises_on_reactor):
            kept.append(Promise(lambda *_: None))

        kept = []

        @pytest.fixture
        def service(promises_on_reactor):
            kept.clear()
            yield
            kept[0].cancel()

        async def test_is_ended_by_its_fixture(service):
            kept.append(Promise(lambda *_: None))
    """).assert_outcomes(passed=3, errors=1)


def test_tests_on_a_loop(run):
    """`promises_on_loop` is for coroutine functions."""
    result = run("""
        def test(promises_on_loop):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E*TypeError: promises_on_loop is for tests that are async def"])


def test_tests_that_something_runs_on_a_loop(run, pytester):
    """What runs them is in the place of pytest-asyncio here."""
    pytester.makeconftest("""
        import asyncio


        def pytest_pyfunc_call(pyfuncitem):
            asyncio.run(pyfuncitem.obj(None))
            return True
    """)
    run("""
        async def test_passes(promises_on_loop):
            check(await Promise.delay(0.001, 2))

        async def test_fails(promises_on_loop):
            kept.append(Promise(lambda *_: None))

        kept = []
    """).assert_outcomes(passed=1, failed=1)


def test_other_tests_have_nothing_to_do_with_it(pytester):
    """It imports nothing of the package, or of Twisted, until a test takes a fixture."""
    pytester.makepyfile("""
        import sys

        def test():
            assert "pytest_twpromise" in sys.modules
            assert {"twpromise", "twisted", "zope.interface"}.isdisjoint(sys.modules)
    """)
    pytester.runpytest_subprocess(*ALONE).assert_outcomes(passed=1)


def test_it_installs_no_reactor(pytester):
    """Though a test takes a fixture."""
    pytester.makepyfile("""
        import sys

        def test(promises):
            assert "twisted.internet.reactor" not in sys.modules
    """)
    pytester.runpytest_subprocess(*ALONE).assert_outcomes(passed=1)


def test_coverage_of_the_package_is_whole(pytester, monkeypatch):
    """Its modules are imported when coverage is measured already."""
    # The coverage of this test itself is not to be mixed with that.
    monkeypatch.setenv("COVERAGE_FILE", str(pytester.path / "coverage"))
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile("""
        def test(promises):
            pass
    """)
    result = pytester.runpytest_subprocess(
        *ALONE, "--cov=twpromise.testing", "--cov-report=term-missing"
    )
    result.stdout.re_match_lines([r".*testing\.py +\d+ +0 .*100%"])


def test_tests_in_several_processes(pytester):
    """pytest-xdist's."""
    pytester.makepyfile("""
        import pytest
        from twpromise import Promise

        @pytest.mark.parametrize("number", range(4))
        def test(promises, number):
            Promise.resolve(1).then(lambda one: 1 / (number - 3))
    """)
    result = pytester.runpytest_subprocess(*ALONE, "-n", "2")
    result.assert_outcomes(passed=3, failed=1)


def test_its_entry_point_is_installed():
    """So that it needs no configuration."""
    [point] = [point for point in entry_points(group="pytest11") if "twpromise" == point.name]
    assert pytest_twpromise is point.load()
