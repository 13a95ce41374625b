"""What Promises/A+ varies: when promises settle, and every kind of thenable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent

from twpromise import Promise
from twpromise.testing import ManualScheduler

WHEN = ["already", "immediately", "eventually"]


@pytest.fixture(autouse=True)
def _reports_do_not_matter(reports: list[LogEvent]) -> None:
    """The standard knows no unhandled rejections; many of its tests leave some."""


class Outcomes:
    """Promises that settle already, immediately (once the test has used them) or eventually."""

    def __init__(self, when: str, how: str, scheduler: ManualScheduler) -> None:
        self.when = when
        self.how = how
        self._scheduler = scheduler
        self._to_do: list[Callable[[], object]] = []

    def promise(self, outcome: Any) -> Promise[Any]:
        """A promise with that value or reason, now or when the test calls `run`."""
        if self.when == "already":
            if self.how == "fulfilled":
                return Promise.resolve(outcome)
            return Promise.reject(outcome)
        functions: list[Callable[[Any], None]] = []
        promise: Promise[Any] = Promise(lambda *both: functions.extend(both))
        settle = functions[self.how == "rejected"]
        self._to_do.append(lambda: settle(outcome))
        return promise

    def run(self) -> None:
        """Settle all promises that are pending, and run all handlers."""
        for settle in self._to_do:
            if self.when == "immediately":
                settle()
            else:
                self._scheduler.call_later(0.05, settle)
        finish(self._scheduler)


def finish(scheduler: ManualScheduler) -> None:
    """Let all turns and timers pass, those that timers start included."""
    for _ in range(6):
        scheduler.advance(1)


@pytest.fixture(params=WHEN)
def fulfilled(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Outcomes:
    """Fulfilled promises."""
    return Outcomes(request.param, "fulfilled", scheduler)


@pytest.fixture(params=WHEN)
def rejected(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Outcomes:
    """Rejected promises."""
    return Outcomes(request.param, "rejected", scheduler)


@pytest.fixture(params=[(when, how) for how in ("fulfilled", "rejected") for when in WHEN])
def settled(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Outcomes:
    """Promises that settle either way, as `how` says."""
    when, how = request.param
    return Outcomes(when, how, scheduler)


@pytest.fixture
def run(scheduler: ManualScheduler) -> Callable[[], None]:
    """Let all turns and timers pass."""
    return lambda: finish(scheduler)


# --- thenables ----------------------------------------------------------------------------


class Thenable:
    """An object whose class has a `then`, which is what makes a thenable in Python."""

    def __init__(self, then: Callable[..., object]) -> None:
        self._then = then

    def then(self, resolve: Any, reject: Any) -> object:
        return self._then(resolve, reject)


class OneTimeThenable:
    """`then` can be read once."""

    def __init__(self, then: Callable[..., object]) -> None:
        self._then: Callable[..., object] | None = then

    @property
    def then(self) -> Callable[..., object]:
        assert self._then is not None, "then was read twice"
        then, self._then = self._then, None
        return then


class ThrowingAccessor:
    """`then` cannot be read at all."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    @property
    def then(self) -> Callable[..., object]:
        raise self._error


@pytest.fixture
def make_thenable() -> Callable[[Callable[..., object]], Thenable]:
    """Makes a thenable of what its `then` does."""
    return Thenable


@pytest.fixture
def one_time_thenable() -> Callable[[Callable[..., object]], OneTimeThenable]:
    """Makes a thenable whose `then` can be read once."""
    return OneTimeThenable


@pytest.fixture
def throwing_accessor() -> Callable[[BaseException], ThrowingAccessor]:
    """Makes an object whose `then` raises when it is read."""
    return ThrowingAccessor


def _raise(error: BaseException) -> None:
    raise error


async def _return(value: Any) -> Any:
    return value


async def _fail_with(reason: BaseException) -> None:
    raise reason


def _eventual_promise(scheduler: ManualScheduler, index: int, outcome: Any) -> Promise[Any]:
    functions: list[Callable[[Any], None]] = []
    promise: Promise[Any] = Promise(lambda *both: functions.extend(both))
    scheduler.call_later(0.05, functions[index], outcome)
    return promise


def _eventual_deferred(scheduler: ManualScheduler, method: str, outcome: Any) -> Deferred[Any]:
    deferred: Deferred[Any] = Deferred()
    scheduler.call_later(0.05, getattr(deferred, method), outcome)
    return deferred


Maker = Callable[[ManualScheduler, Any], Any]

#: Makers of objects that fulfil with a value; those of the official suite come first.
FULFILLING: dict[str, Maker] = {
    "synchronous": lambda scheduler, value: Thenable(lambda resolve, _: resolve(value)),
    "asynchronous": lambda scheduler, value: Thenable(
        lambda resolve, _: scheduler.call_later(0.05, resolve, value)
    ),
    "one-time": lambda scheduler, value: OneTimeThenable(lambda resolve, _: resolve(value)),
    "fulfils-twice": lambda scheduler, value: Thenable(
        lambda resolve, _: (resolve(value), resolve("another value"))
    ),
    "fulfils-then-raises": lambda scheduler, value: Thenable(
        lambda resolve, _: (resolve(value), _raise(ValueError("too late")))
    ),
    "promise": lambda scheduler, value: Promise.resolve(value),
    "eventual-promise": lambda scheduler, value: _eventual_promise(scheduler, 0, value),
    "coroutine": lambda scheduler, value: _return(value),
    "deferred": lambda scheduler, value: succeed(value),
    "eventual-deferred": lambda scheduler, value: _eventual_deferred(scheduler, "callback", value),
}

#: Makers of objects that reject with a reason.
REJECTING: dict[str, Maker] = {
    "synchronous": lambda scheduler, reason: Thenable(lambda _, reject: reject(reason)),
    "asynchronous": lambda scheduler, reason: Thenable(
        lambda _, reject: scheduler.call_later(0.05, reject, reason)
    ),
    "one-time": lambda scheduler, reason: OneTimeThenable(lambda _, reject: reject(reason)),
    "raises": lambda scheduler, reason: Thenable(lambda *_: _raise(reason)),
    "throwing-accessor": lambda scheduler, reason: ThrowingAccessor(reason),
    "promise": lambda scheduler, reason: Promise.reject(reason),
    "eventual-promise": lambda scheduler, reason: _eventual_promise(scheduler, 1, reason),
    "coroutine": lambda scheduler, reason: _fail_with(reason),
    "deferred": lambda scheduler, reason: fail(reason),
    "eventual-deferred": lambda scheduler, reason: _eventual_deferred(scheduler, "errback", reason),
}


@pytest.fixture(params=FULFILLING)
def fulfilling(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Any:
    """Makes a thing that is followed and fulfils with a value."""
    return partial(FULFILLING[request.param], scheduler)


@pytest.fixture(params=REJECTING)
def rejecting(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Any:
    """Makes a thing that is followed and rejects with a reason."""
    return partial(REJECTING[request.param], scheduler)


@pytest.fixture(params=[name for name in FULFILLING if "deferred" not in name])
def outer(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Any:
    """Makes a thing that resolves with another one (which Deferreds refuse to do)."""
    return partial(FULFILLING[request.param], scheduler)


def _by_executor(x: Any) -> Promise[Any]:
    return Promise(lambda resolve, reject: resolve(x))


#: The ways in which a promise is resolved with *x*; the official suite knows the first two.
ROUTES: dict[str, Callable[[Any], Promise[Any]]] = {
    "fulfilled-handler": lambda x: Promise.resolve("ignored").then(lambda _: x),
    "rejected-handler": lambda x: Promise.reject(ValueError("ignored")).then(None, lambda _: x),
    "executor": _by_executor,
    "resolve": lambda x: Promise.resolve(x),
}


@pytest.fixture(params=ROUTES)
def resolve_with(request: pytest.FixtureRequest) -> Callable[[Any], Promise[Any]]:
    """Resolves a promise with a thing, in one of the ways there are."""
    return ROUTES[request.param]
