"""The pytest plugin of twpromise: see the page *Testing* of its documentation.

It is not part of the package, and imports it in its fixtures only: so it installs no reactor,
costs other tests nothing, and coverage tools see the imports.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from inspect import iscoroutinefunction
from traceback import format_exception
from typing import Any

import pytest

_checks = pytest.StashKey[Any]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line(
        "markers",
        "allow_unhandled(types=...): rejections may stay unhandled, and errors be fatal, in a test "
        "that takes a fixture of twpromise; all, or those of some types",
    )
    config.addinivalue_line(
        "markers",
        "allow_pending: promises may stay pending, and timers set, at the end of a test that "
        "takes a fixture of twpromise",
    )


def _make_checks(item: pytest.Item) -> Any:
    from twpromise.testing import PromiseChecks

    unhandled = item.get_closest_marker("allow_unhandled")
    checks = item.stash[_checks] = PromiseChecks(
        allow_unhandled=unhandled is not None and unhandled.kwargs.get("types", True),
        allow_pending=item.get_closest_marker("allow_pending") is not None,
    )
    return checks


@contextmanager
def _replaced(item: Any, wrap: Callable[[Any], Any]) -> Generator[None]:
    """Let another function run a test; with hypothesis, each example."""
    from unittest import IsolatedAsyncioTestCase

    at, name = item, "obj"
    # Those of other plugins need not have a function.
    test: Any = getattr(item, "obj", None)
    if hasattr(getattr(test, "hypothesis", None), "inner_test"):
        at, name = test.hypothesis, "inner_test"
        test = at.inner_test
    instance = getattr(test, "__self__", None)
    # A loop of its own runs these.
    if test is None or isinstance(instance, IsolatedAsyncioTestCase):
        yield
        return
    wrapped = wrap(test)
    if instance is not None:
        # Before pytest 8.2, fixtures that are methods find their instance there.
        wrapped.__self__ = instance
    setattr(at, name, wrapped)
    yield
    # It may be run again.
    setattr(at, name, test)


@pytest.fixture
def promises(request: pytest.FixtureRequest) -> Generator[Any]:
    """A `ManualScheduler` for the promises of the test: ``flush()``, ``advance(seconds)``.

    The test fails for what `twpromise.testing.PromiseChecks` finds.  A test that is ``async def``,
    or returns a promise, is run until that has settled.
    """
    from twpromise._testing.running import checked_on_clock
    from twpromise.testing import ManualScheduler

    __tracebackhide__ = True
    item: Any = request.node
    for name in ("asyncio", "anyio"):
        if item.get_closest_marker(name) is not None:
            raise pytest.UsageError(
                f"a test that pytest's plugin for {name} runs takes promises_on_loop, not promises"
            )
    with (
        ManualScheduler() as scheduler,
        _make_checks(item) as checks,
        _replaced(item, lambda test: checked_on_clock(test, checks, scheduler)),
    ):
        yield scheduler


@pytest.fixture
def promises_on_loop(request: pytest.FixtureRequest) -> Generator[None]:
    """Run promises on asyncio's loop, for an ``async def`` test that another plugin runs.

    The plugin may be pytest-asyncio or anyio.  The test fails for what
    `twpromise.testing.PromiseChecks` finds.
    """
    from twpromise._testing.running import checked_on_loop

    __tracebackhide__ = True
    item: Any = request.node
    with ExitStack() as stack:
        checks = stack.enter_context(_make_checks(item))
        with _replaced(item, lambda test: checked_on_loop(test, checks, stack)):
            yield


@pytest.fixture
def promises_on_reactor(request: pytest.FixtureRequest) -> Generator[None]:
    """Run promises on Twisted's reactor, for a test that pytest-twisted runs.

    The test fails for what `twpromise.testing.PromiseChecks` finds.
    """
    if not request.config.pluginmanager.hasplugin("twisted"):
        raise pytest.UsageError("promises_on_reactor is for tests that pytest-twisted runs")
    from twpromise._testing.running import checked_on_reactor

    __tracebackhide__ = True
    item: Any = request.node
    with (
        _make_checks(item) as checks,
        _replaced(item, lambda test: checked_on_reactor(test, checks)),
    ):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Fail a test that returns a promise, and uses no fixture of twpromise; say what to do."""
    __tracebackhide__ = True
    try:
        return (yield)
    except pytest.fail.Exception as failed:
        if "async def functions" not in str(failed) or iscoroutinefunction(pyfuncitem.obj):
            raise
    pytest.fail(
        "the test has returned something to be awaited: if that is a promise, take the fixture "
        "promises, and it will be waited for"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the first of several errors as pytest shows a single one, and the others below."""
    report = yield
    if _checks in item.stash and call.excinfo is not None:
        error = call.excinfo.value
        checks = item.stash[_checks]
        # Also a fixture that has failed: what is pending does not count then.
        checks.failed = True
        first = error
        if isinstance(error, BaseExceptionGroup) and error.__cause__ is error.exceptions[0]:
            first, *others = error.exceptions
            report.longrepr = item.repr_failure(pytest.ExceptionInfo.from_exception(first))
            report.sections += [
                (f"and {error.message}", "".join(format_exception(each))) for each in others
            ]
        if first is checks.leftovers:
            # Its traceback has no line of the test.
            report.longrepr = pytest.ExceptionInfo.from_exception(first).getrepr(style="value")
    return report
