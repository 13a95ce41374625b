"""`twpromise.install`: whether it is called, and what is said where it is not.

What it does is tested in `tests/installed`, in a process of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import defer
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.utils import runWithWarningsSuppressed
from twisted.logger import LogEvent

from tests.support.outcomes import reasons, result_of
from tests.support.processes import run_python
from twpromise import Promise, PromiseWarning
from twpromise.testing import ManualScheduler

# A test that hands a promise over.
LOGIN = "import twpromise; from twisted.internet import defer; p = twpromise.Promise.resolve(1)"


def test_installed() -> None:
    """The tests of `tests/installed` pass."""
    tests = run_python("-m", "pytest", "-q", "-n0", "tests/installed", TWPROMISE_INSTALL="1")
    assert 0 == tests.returncode, tests.stdout


@pytest.mark.parametrize(
    ("variable", "expected"), [("1", "1"), ("", "<Promise"), ("0", "<Promise")]
)
def test_the_environment_installs(variable: str, expected: str) -> None:
    """`TWPROMISE_INSTALL=1` does what the call does; an import alone does nothing."""
    shown = run_python(
        "-c", f"{LOGIN}; print(defer.maybeDeferred(lambda: p).result)", TWPROMISE_INSTALL=variable
    )
    assert shown.stdout.startswith(expected), shown.stderr


def test_a_door_that_has_moved_is_named() -> None:
    """A release of Twisted that has changed is warned about at once."""
    moved = """
from twisted.internet import defer
from twisted.web import _flatten
del defer.race, _flatten._fork
import twpromise
twpromise.install()
"""
    shown = run_python("-c", moved)
    assert "does not wait for promises in: race, templates; use to_deferred()" in shown.stderr


def test_the_reactor_is_not_installed() -> None:
    """By `install`, which tries all doors."""
    shown = run_python("-c", "import sys, twpromise; twpromise.install(); print(*sys.modules)")
    assert "twisted.internet.reactor" not in shown.stdout.split(), shown.stderr
    assert "twpromise" in shown.stdout.split()


@pytest.mark.parametrize(
    "name",
    [
        "addCallback",
        "addCallbacks",
        "addErrback",
        "addBoth",
        "addTimeout",
        "chainDeferred",
        "asFuture",
    ],
)
def test_a_method_of_a_deferred(name: str) -> None:
    """The error says what a promise has instead."""
    promise = Promise.resolve(1)
    with pytest.raises(
        AttributeError, match=rf"no {name}: use then\(\), .* twpromise\.install\(\)"
    ):
        getattr(promise, name)
    assert not hasattr(promise, name)
    assert hasattr(Promise, name)


# --- the warning about a promise that is taken for a value --------------------------------


@pytest.fixture
def place(
    config: Callable[..., dict[str, Any]], recwarn: pytest.WarningsRecorder
) -> Callable[[Callable[..., Any], int, str], None]:
    """Compares the only warning with the place of a function, and a line of it."""
    config(warnings={"w_forgotten_return": False})

    def compare(function: Any, line: int, text: str) -> None:
        [warning] = [each for each in recwarn if each.category is PromiseWarning]
        recwarn.clear()
        assert f"{function.__code__.co_qualname} {text}, which did not wait for it" in str(
            warning.message
        )
        assert (__file__, function.__code__.co_firstlineno + line) == (
            warning.filename,
            warning.lineno,
        )

    return compare


pytestmark = pytest.mark.usefixtures("scheduler")


def give(*_: object) -> Any:
    """A function that gives Twisted a promise."""
    promise = Promise.resolve(1)
    # The same warning twice would be another test's.
    promise.then()
    return promise


def test_a_callback_that_returns_one(place: Any) -> None:
    """Named, with the line where it begins."""
    assert isinstance(result_of(defer.succeed(None).addCallback(give))[0], Promise)
    place(give, 0, "returned a promise from a callback of a Deferred")


def test_maybe_deferred(place: Any) -> None:
    """As used by klein, AMP, cred and LoopingCall; trial hands it the test as an argument."""
    assert isinstance(result_of(defer.maybeDeferred(give))[0], Promise)
    place(give, 0, "returned a promise to maybeDeferred")

    def method() -> Any:
        return give()

    result_of(defer.maybeDeferred(runWithWarningsSuppressed, (), method))
    place(method, 0, "returned a promise to maybeDeferred")


def test_a_generator_that_yields_one(place: Any) -> None:
    """Named, with the line of the `yield`."""

    def wait() -> Any:
        yield give()

    result_of(inlineCallbacks(wait)())
    place(wait, 1, "yielded a promise in inlineCallbacks")


@pytest.mark.usefixtures("place")
def test_a_coroutine_that_awaits_one(scheduler: ManualScheduler) -> None:
    """It waits, in its first step and in a drain, and there is nothing to warn about."""

    async def wait() -> list[int]:
        return [await Promise.resolve(number).then() for number in range(2)]

    results = result_of(defer.ensureDeferred(wait()))
    scheduler.flush()
    assert [[0, 1]] == results


def test_a_generator_that_returns_one(place: Any) -> None:
    """Named."""

    def wait() -> Any:
        yield None
        return give()

    result_of(inlineCallbacks(wait)())
    place(wait, 0, "returned a promise to Twisted's driver of coroutines")

    async def coroutine() -> Any:
        return give()

    result_of(defer.ensureDeferred(coroutine()))
    place(coroutine, 0, "returned a promise to Twisted's driver of coroutines")


def test_firing_a_deferred_with_one(place: Any) -> None:
    """The line that fires it."""

    def fire() -> None:
        deferred: Deferred[Any] = Deferred()
        deferred.callback(give())

    fire()
    place(fire, 2, "fired a Deferred with a promise")


def test_no_warning_for_other_values(place: Any, recwarn: pytest.WarningsRecorder) -> None:
    """Nor for what is written in C, nor for Deferreds."""
    assert [None] == result_of(defer.succeed(None).addCallback(lambda _: defer.succeed(None)))
    result_of(defer.maybeDeferred([give()].pop))
    with pytest.raises(defer.NotACoroutineError):
        defer.ensureDeferred(give())
    assert [] == [each for each in recwarn if each.category is PromiseWarning]


def test_no_warning_for_await(place: Any, scheduler: ManualScheduler) -> None:
    """It waits, wherever the coroutine was started."""

    async def wait() -> Any:
        return await Promise.delay(1, "awaited")

    promise = Promise.resolve().then(lambda _: defer.ensureDeferred(wait()))
    scheduler.advance(1)
    assert "awaited" == promise.value()


def test_warnings_as_errors(place: Any, reports: list[LogEvent]) -> None:
    """They are logged: raised in Twisted's midst, they would leave Deferreds half run."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(result_of(defer.succeed(None).addCallback(give))[0], Promise)
    assert [PromiseWarning] == [type(reason) for reason in reasons(reports)]


def test_classes_of_deferreds_that_are_made_meanwhile(
    config: Callable[..., dict[str, Any]],
) -> None:
    """Twisted knows them when warnings are off again."""
    config(warnings=True)

    class Meanwhile(Deferred[Any]):
        pass

    config(warnings=False)
    assert [1] == result_of(defer.succeed(None).addCallback(lambda _: _fired(Meanwhile())))


def _fired(deferred: Deferred[Any]) -> Deferred[Any]:
    deferred.callback(1)
    return deferred


def test_library_copies_without_warnings(
    config: Callable[..., dict[str, Any]], recwarn: pytest.WarningsRecorder
) -> None:
    """Only promises of copies that have warnings switched on are warned about."""
    config(warnings=True)
    other = Promise.get_new_library_copy()
    other.config(warnings=False)
    value = other.resolve(1)
    result_of(defer.succeed(None).addCallback(lambda _: value))
    result_of(defer.maybeDeferred(lambda: value))
    Deferred().callback(value)
    assert [] == list(recwarn)


def test_off_again(config: Callable[..., dict[str, Any]]) -> None:
    """With warnings off, Twisted has what it had."""
    before = Deferred.callback, defer.iscoroutine, defer._DEFERRED_SUBCLASSES
    config(warnings=True)
    config(warnings=True)
    assert before != (Deferred.callback, defer.iscoroutine, defer._DEFERRED_SUBCLASSES)
    config(warnings=False)
    assert before == (Deferred.callback, defer.iscoroutine, defer._DEFERRED_SUBCLASSES)
