"""Deadlines and whole APIs for Deferred code: ``deferify(timeout=...)`` and `deferify_all`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import LogEvent

from tests.support.outcomes import result_of
from tests.support.promises import Boom, Source
from twpromise import Promise, TimeoutError, deferify, deferify_all
from twpromise.testing import ManualScheduler

# --- timeout


def _raising(deferred: Deferred[Any]) -> None:
    raise Boom


def _answering_twice(deferred: Deferred[Any]) -> None:
    deferred.callback("first")
    deferred.callback("second")


CANCELLERS: dict[str, tuple[Any, list[type]]] = {
    "none": (None, []),
    "never answers": (lambda deferred: None, []),
    "answers": (lambda deferred: deferred.callback("answer"), []),
    "fails": (lambda deferred: deferred.errback(Boom()), []),
    "raises": (_raising, [Boom]),
    "answers twice": (_answering_twice, [Exception]),
}


@pytest.mark.parametrize("kind", ["Deferred", "promise", "coroutine"])
@pytest.mark.parametrize("name", CANCELLERS)
def test_on_time(scheduler: ManualScheduler, reports: list[LogEvent], name: str, kind: str) -> None:
    """It errbacks on time, whatever the canceller does, and what comes later does no harm."""
    canceller, logged = CANCELLERS[name]
    deferred: Deferred[Any] = Deferred(canceller)

    async def coroutine() -> Any:
        return await deferred

    functions: dict[str, Callable[[], Any]] = {
        "Deferred": lambda: deferred,
        "promise": lambda: Promise.from_deferred(deferred),
        "coroutine": coroutine,
    }
    results = result_of(deferify(functions[kind], timeout=5)())
    scheduler.advance(4.5)
    assert [] == results
    scheduler.advance(0.5)
    (failure,) = results
    assert failure.check(TimeoutError)
    assert [] == scheduler.clock.getDelayedCalls()
    assert len(logged) == len(reports)
    for event, kind_of_error in zip(reports, logged, strict=True):
        assert event["log_failure"].check(kind_of_error)
    deferred.callback("late")
    scheduler.flush()
    assert 1 == len(results)


@pytest.mark.parametrize("outcome", ["value", "failure", "cancelled"])
def test_in_time(scheduler: ManualScheduler, outcome: str) -> None:
    """Whatever settles first leaves no timer behind."""
    deferred: Deferred[Any] = Deferred()
    waiting = deferify(lambda: deferred, timeout=5)()
    results = result_of(waiting)
    scheduler.advance(1)
    if outcome == "value":
        deferred.callback("value")
    elif outcome == "failure":
        deferred.errback(Boom())
    else:
        waiting.cancel()
    scheduler.flush()
    assert [] == scheduler.clock.getDelayedCalls()
    (result,) = results
    if outcome == "value":
        assert "value" == result
    else:
        assert result.check(Boom if outcome == "failure" else CancelledError)


def test_the_work_is_stopped(scheduler: ManualScheduler) -> None:
    """The timer behind the Deferred is cleared, too, since it has no other consumer."""
    results = result_of(
        deferify(lambda: deferLater(scheduler.clock, 10, Boom), timeout=5)()  # type: ignore[arg-type]
    )
    scheduler.advance(5)
    assert results[0].check(TimeoutError)
    assert [] == scheduler.clock.getDelayedCalls()


def test_the_work_goes_on_for_others(scheduler: ManualScheduler) -> None:
    """A promise with another consumer is not cancelled."""
    source = Source()
    other = source.promise.then()
    results = result_of(deferify(lambda: source.promise, timeout=5)())
    scheduler.advance(5)
    assert results[0].check(TimeoutError)
    assert 0 == source.cancelled
    source.resolve("value")
    scheduler.flush()
    assert "value" == other.value()


def test_there_already(scheduler: ManualScheduler) -> None:
    """The Deferred of a settled promise has fired, and starts no timer."""
    assert ["value"] == result_of(deferify(lambda: "value", timeout=5)())
    assert ["value"] == result_of(deferify(lambda: succeed("value"), timeout=0)())
    (failure,) = result_of(deferify(lambda: fail(Boom()), timeout=5)())
    assert failure.check(Boom)
    assert [] == scheduler.clock.getDelayedCalls()


def test_no_time_at_all(scheduler: ManualScheduler) -> None:
    """A timeout of 0 gives it this turn."""
    source = Source()
    results = result_of(deferify(lambda: source.promise, timeout=0)())
    assert [] == results
    scheduler.flush()
    assert results[0].check(TimeoutError)


def test_as_a_decorator(scheduler: ManualScheduler) -> None:
    """Of functions and methods; name, docstring and signature are carried over."""

    class Service:
        @deferify(timeout=5)
        async def fetch(self, name: str, *, times: int = 1) -> str:
            """Some words."""
            await Promise.delay(1)
            return name * times

    results = result_of(Service().fetch("ab", times=2))
    scheduler.advance(1)
    assert ["abab"] == results
    assert ("fetch", "Some words.") == (Service.fetch.__name__, Service.fetch.__doc__)
    assert ["self", "name", "times"] == list(inspect.signature(Service.fetch).parameters)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), ([], TypeError)],
)
def test_no_time(timeout: Any, error: type[Exception]) -> None:
    """An invalid or negative number is refused where the function is decorated."""
    with pytest.raises(error, match="timeout"):
        deferify(timeout=timeout)
    with pytest.raises(error, match="timeout"):
        deferify(len, timeout=timeout)  # type: ignore[call-overload]


@pytest.mark.parametrize("wrong", [None, 5, "name"])
def test_no_function(wrong: Any) -> None:
    """So is something that cannot be called, in either spelling."""
    with pytest.raises(TypeError, match="function must be callable, not"):
        deferify(wrong)
    with pytest.raises(TypeError, match="function must be callable, not"):
        deferify(timeout=5)(wrong)


# --- deferify_all


class Api:
    """An API that returns promises."""

    @property
    def prop(self) -> None:
        """Must not be read."""
        raise AssertionError

    def fetch(self, name: str) -> Promise[Any]:
        """Fetch it."""
        return Promise.resolve((self, name))

    async def fetch_slowly(self, name: str) -> Any:
        """Fetch it in a second."""
        await Promise.delay(1)
        return name

    @classmethod
    def make(cls) -> Promise[Any]:
        """Make one."""
        return Promise.resolve(cls)

    @staticmethod
    def version() -> int:
        """A plain value."""
        return 3

    def broken(self) -> None:
        """Raise."""
        raise Boom

    def _private(self) -> None:
        raise NotImplementedError


@pytest.fixture
def api() -> type[Any]:
    """A class like `Api`, not deferified yet."""
    return type("Api", (), {name: value for name, value in vars(Api).items() if name[:2] != "__"})


def test_a_class(scheduler: ManualScheduler, api: Any) -> None:
    """Each function gets a version that returns a Deferred; the originals stay."""
    before = dict(vars(api))
    assert api is deferify_all(api)
    after = dict(vars(api))
    assert before == {name: after[name] for name in before}
    new = {"fetch", "fetch_slowly", "make", "version", "broken"}
    assert {name + "Deferred" for name in new} == set(after) - set(before)
    service = api()
    for deferred, expected in (
        (service.fetchDeferred("a"), (service, "a")),
        (api.makeDeferred(), api),
        (service.versionDeferred(), 3),
    ):
        assert Deferred is type(deferred)
        assert [expected] == result_of(deferred)
    slow = result_of(service.fetch_slowlyDeferred("slow"))
    scheduler.advance(1)
    assert ["slow"] == slow
    (failure,) = result_of(service.brokenDeferred())
    assert failure.check(Boom)
    assert "Fetch it." == api.fetchDeferred.__doc__


def test_twice(api: Any) -> None:
    """A function that has been deferified is skipped."""
    deferify_all(api)
    before = dict(vars(api))
    deferify_all(api)
    assert before == dict(vars(api))


def test_an_instance(scheduler: ManualScheduler, api: Any) -> None:
    """Only that one gets them."""
    service = api()
    assert service is Promise.deferify_all(service)
    assert [(service, "a")] == result_of(service.fetchDeferred("a"))
    assert not hasattr(api, "fetchDeferred")


def test_a_module(scheduler: ManualScheduler) -> None:
    """Its functions and its classes."""
    module = ModuleType("own")
    exec(
        "def fetch(): return 'fetched'\nclass Service:\n    def serve(self): return 'served'\n",
        module.__dict__,
    )
    deferify_all(module)
    assert ["fetched"] == result_of(module.fetchDeferred())
    assert ["served"] == result_of(module.Service().serveDeferred())


def test_options(scheduler: ManualScheduler, api: Any) -> None:
    """`suffix` and `filter`, as with `promisify_all`."""
    deferify_all([api], suffix="_d", filter=lambda name: name == "version")
    assert [3] == result_of(api.version_d())
    assert not hasattr(api, "fetch_d")


@pytest.mark.parametrize(
    ("target", "options", "error"),
    [
        (None, {}, TypeError),
        (5, {}, TypeError),
        ([5], {}, TypeError),
        (Api, {"suffix": "-"}, ValueError),
        (Api, {"suffix": None}, TypeError),
        (Api, {"filter": 5}, TypeError),
        (dict, {}, TypeError),
    ],
)
def test_refused(target: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """Bad targets and options, as with `promisify_all`."""
    with pytest.raises(error):
        deferify_all(target, **options)
    assert not hasattr(Api, "fetchDeferred")


def test_a_name_is_taken(api: Any) -> None:
    """The documented error, and nothing is changed."""
    api.fetchDeferred = "taken"
    before = dict(vars(api))
    with pytest.raises(TypeError, match="'Deferred'-suffix: there is a fetchDeferred already"):
        deferify_all(api)
    assert before == dict(vars(api))


def test_a_promisified_name_is_taken(api: Any) -> None:
    """A promise-returning version is not taken for a Deferred-returning one."""
    Promise.promisify_all(api, filter=lambda name: name == "fetch")
    with pytest.raises(TypeError, match="fetchAsync"):
        deferify_all(api, suffix="Async")
