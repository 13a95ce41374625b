"""Fixtures of all tests: a scheduler with its own time, and checks for unhandled errors."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import unittest
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from importlib import import_module
from typing import Any

import pytest
from constantly import NamedConstant
from twisted.internet import asyncioreactor
from twisted.logger import LogEvent, LogLevel, globalLogBeginner, globalLogPublisher

from tests.support.consumers import CONSUMERS, Consumer
from tests.support.slices import Slices
from tests.support.worlds import DRIVERS, World
from twpromise import Promise
from twpromise._core import hooks
from twpromise._diagnostics.watching import switch
from twpromise.testing import ManualScheduler, PromiseChecks


def pytest_configure(config: pytest.Config) -> None:
    """Have Twisted log nowhere, and install the reactor that ``TWPROMISE_TEST_REACTOR`` names.

    For instance ``epoll``, ``select`` or ``asyncio``; unless it is set, Twisted chooses.
    """
    # Else Twisted keeps what is logged until it is said where to, with the frames of each error.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    name = os.environ.get("TWPROMISE_TEST_REACTOR")
    if not name:
        return
    if name == "asyncio":
        asyncioreactor.install(asyncio.new_event_loop())
        config.add_cleanup(_close_loop)
    else:
        import_module(f"twisted.internet.{name}reactor").install()


def _close_loop() -> None:
    from twisted.internet import reactor

    reactor._asyncioEventloop.close()  # type: ignore[attr-defined]


def pytest_report_header(config: pytest.Config) -> str:
    """Name the reactor, if one was chosen."""
    name = os.environ.get("TWPROMISE_TEST_REACTOR")
    return f"reactor: {name or 'as Twisted chooses'}"


def pytest_collection_finish() -> None:
    """Keep modules and collected tests out of later runs of the garbage collector.

    Many tests call it, and it would traverse thousands of tests each time.
    """
    gc.collect()
    gc.freeze()


_context_key = pytest.StashKey[Context]()
_variable: ContextVar[str] = ContextVar("variable")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run each test in its own context, which is empty unless the test takes `context`.

    Promises take another path where a context variable is set; and some library sets one (a
    decimal context, say) in the main thread, so that the common path would hardly be tested.
    """
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    context = pyfuncitem.stash.get(_context_key, None)
    # Not `or`: an empty context is false.
    (_empty_context() if context is None else context).run(pyfuncitem.obj, **arguments)
    return True


def _variables_of_warnings() -> list[ContextVar[Any]]:
    with warnings.catch_warnings():
        return list(copy_context())


#: Where Python keeps filters of warnings in a context (``-X context_aware_warnings``).
_of_warnings = Context().run(_variables_of_warnings)


def _empty_context() -> Context:
    """A context in which nothing is set except filters of warnings, if Python keeps them there."""
    context = Context()
    for variable in _of_warnings:
        context.run(variable.set, variable.get())
    return context


@pytest.fixture(params=["empty", "in use"])
def context(request: pytest.FixtureRequest) -> Context:
    """The context that the test runs in: with nothing set in it, or with something."""
    context = _empty_context()
    if request.param == "in use":
        context.run(_variable.set, "set")
    request.node.stash[_context_key] = context
    return context


def _logged(level: NamedConstant) -> Iterator[list[LogEvent]]:
    logged: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "twpromise" and event["log_level"] is level:
            logged.append(event)

    globalLogPublisher.addObserver(observe)
    yield logged
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def reports() -> Iterator[list[LogEvent]]:
    """Events that promises log at critical level; a test that takes it checks them itself."""
    yield from _logged(LogLevel.critical)


@pytest.fixture
def errors() -> Iterator[list[LogEvent]]:
    """Events that promises log at error level."""
    yield from _logged(LogLevel.error)


@pytest.fixture
def unhandled_allowed(reports: list[LogEvent]) -> Iterator[None]:
    """Rejections may stay unhandled in the test, and are reported; nothing else may be."""
    yield
    assert {"Unhandled rejection in Promise"} >= {event["log_format"] for event in reports}


@pytest.fixture
def low_recursion_limit() -> Iterator[None]:
    """A limit little above what pytest needs, so that code that recurses for each item fails."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 60)
    yield
    sys.setrecursionlimit(before)


@pytest.fixture(autouse=True)
def _nothing_unhandled(request: pytest.FixtureRequest) -> Iterator[None]:
    """No promise may log an error in a test that does not take `reports`.

    Trial checks its own tests.  Many tests leave promises pending on purpose.
    """
    by_trial = request.cls is not None and issubclass(request.cls, unittest.TestCase)
    allowed = by_trial or "reports" in request.fixturenames
    with PromiseChecks(allow_unhandled=allowed, allow_pending=True):
        yield


@pytest.fixture(autouse=True)
def _collects() -> Iterator[None]:
    """A test must leave the garbage collector switched on."""
    yield
    on = gc.isenabled()
    gc.enable()
    assert on


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Run the test without the garbage collector: reference counting alone frees objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def scheduler() -> Iterator[ManualScheduler]:
    """A scheduler whose turns and time the test controls; jobs left at the end are run."""
    with ManualScheduler() as manual:
        yield manual


@pytest.fixture
def on_asyncio() -> Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]:
    """Runs a function's coroutine as an asyncio task, with promises on the same loop."""

    def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async def on_loop() -> Any:
            loop = asyncio.get_running_loop()
            previous = Promise.set_scheduler(lambda function: loop.call_soon(function))
            try:
                return await main()
            finally:
                Promise.set_scheduler(previous)

        return asyncio.run(on_loop())

    return run


@pytest.fixture
def copy(scheduler: ManualScheduler) -> Iterator[Any]:
    """A library copy, whose settings, hooks and figures are its own."""
    made = Promise.get_new_library_copy()
    yield made
    made.config(warnings=False, long_stack_traces=False, monitoring=False, tracking=False)


@pytest.fixture(params=DRIVERS)
def world(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> World:
    """A world for each driver."""
    return World(request.param, scheduler)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of asyncio's that does not run unless the test says so."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(params=CONSUMERS)
def consumer(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Iterator[Consumer]:
    """Each thing that can consume a promise, or drive a coroutine."""
    one = Consumer(request.param, scheduler)
    yield one
    one.loop.close()


@pytest.fixture
def slices(scheduler: ManualScheduler) -> Slices:
    """A scheduler on the same clock, in the place of that one."""
    short = Slices(scheduler.clock)
    Promise.set_scheduler(short)
    return short


@pytest.fixture
def config() -> Iterator[Callable[..., dict[str, Any]]]:
    """`Promise.config`, undone at the end."""
    before = Promise.config()
    yield Promise.config
    Promise.config(**before)


@pytest.fixture(autouse=True)
def _nothing_observed() -> None:
    """Diagnostics that earlier tests switched on are off: those of their library copies, too."""
    if hooks.observer is not None:
        # What a test that failed has made may be there still, behind its traceback.
        gc.collect()
        switch()
