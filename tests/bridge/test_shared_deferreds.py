"""One Deferred that several promises and coroutines wait for: each gets what it fires with."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

from tests.support.outcomes import outcome, result_of
from tests.support.promises import Boom, Source, awaiting, quiet
from twpromise import CancellationError, IPromise, Promise
from twpromise.testing import ManualScheduler


@Promise.coroutine
def _yielding(deferred: Deferred[Any]) -> Any:
    return (yield deferred)


#: Every way to wait for a Deferred, each a promise for its value.
WAYS: dict[str, Callable[[Deferred[Any]], Any]] = {
    "from_deferred": Promise.from_deferred,
    "resolve": Promise.resolve,
    "resolver": lambda deferred: Promise(lambda resolve, reject: resolve(deferred)),
    "handler": lambda deferred: Promise.resolve().then(lambda _: deferred),
    "IPromise": lambda deferred: cast("Any", IPromise)(deferred),
    "await": lambda deferred: Promise.resolve(awaiting(deferred)),
    "yield": _yielding,
    "all": lambda deferred: Promise.all([deferred]).get(0),
    "props": lambda deferred: Promise.props({"a": deferred}).get("a"),
    "any": lambda deferred: Promise.any([deferred]).catch(lambda error: Promise.reject(error[0])),
    "race": lambda deferred: Promise.race([deferred]),
    "map": lambda deferred: Promise.map([deferred], lambda value: value).get(0),
    "result of a mapper": lambda deferred: Promise.map([1], lambda _: deferred).get(0),
    "each": lambda deferred: Promise.each([deferred], lambda value: None).get(0),
    "using": lambda deferred: Promise.using(deferred, lambda value: value),
    "delay": lambda deferred: Promise.delay(0, deferred),
}

#: Those that take the result of a Deferred themselves; the others do it by one of these.
TAKERS = ("from_deferred", "handler", "await", "yield", "all", "props")

first_way = pytest.mark.parametrize("first", TAKERS)
second_way = pytest.mark.parametrize("second", WAYS)
either = pytest.mark.parametrize("way", WAYS)


def settle(scheduler: ManualScheduler) -> None:
    """Run all that is due, timers of no seconds included."""
    for _ in range(3):
        scheduler.advance(0)


@first_way
@second_way
@pytest.mark.parametrize("fails", [False, True], ids=["value", "failure"])
def test_both_get_what_it_fires_with(
    scheduler: ManualScheduler, first: str, second: str, fails: bool
) -> None:
    """And other people's callbacks behind them get None, wherever they stand."""
    deferred: Deferred[Any] = Deferred()
    one = quiet(WAYS[first](deferred))
    scheduler.flush()
    between = result_of(deferred)
    two = quiet(WAYS[second](deferred))
    scheduler.flush()
    behind = result_of(deferred)
    error = Boom()
    deferred.callback(Failure(error) if fails else "value")
    settle(scheduler)
    expected = ("rejected", error) if fails else ("fulfilled", "value")
    assert [expected, expected] == [outcome(one), outcome(two)]
    assert [None, None] == between + behind


@first_way
@second_way
@pytest.mark.parametrize("before", [True, False], ids=["fired before", "fires between"])
def test_the_second_comes_after_it_has_fired(
    scheduler: ManualScheduler, first: str, second: str, before: bool
) -> None:
    """It gets the same value; only an ``await`` sees what Twisted shows, as under Twisted."""
    deferred: Deferred[Any] = succeed("value") if before else Deferred()
    one = WAYS[first](deferred)
    scheduler.flush()
    if not before:
        deferred.callback("value")
    settle(scheduler)
    two = WAYS[second](deferred)
    settle(scheduler)
    assert "value" == one.value()
    taken = first != "await" or not before
    assert (None if second == "await" and taken else "value") == two.value()


@second_way
@pytest.mark.parametrize("before", [True, False], ids=["fired before", "fires between"])
def test_the_second_comes_after_it_has_failed(
    scheduler: ManualScheduler, second: str, before: bool
) -> None:
    """It is rejected with the same reason, as long as the promise is there that has it."""
    if second == "await":
        pytest.skip("Twisted has nothing to show")
    error = Boom()
    deferred: Deferred[Any] = fail(error) if before else Deferred()
    one = quiet(Promise.from_deferred(deferred))
    if not before:
        deferred.errback(error)
    two = quiet(WAYS[second](deferred))
    settle(scheduler)
    assert error is one.reason()
    assert error is two.reason()


@pytest.mark.parametrize("way", ["from_deferred", "await", "all"])
def test_a_failure_that_is_gone(scheduler: ManualScheduler, way: str) -> None:
    """A Deferred keeps no frames alive: what comes later is rejected with an error that says so."""
    error = Boom()
    references: list[weakref.ref[Any]] = [weakref.ref(error)]
    deferred: Deferred[Any] = Deferred()
    WAYS[way](deferred).suppress_unhandled_rejections()
    deferred.errback(error)
    settle(scheduler)
    del error
    gc.collect()
    assert [None] == [reference() for reference in references]
    late = quiet(Promise.from_deferred(deferred))
    assert isinstance(late.reason(), RuntimeError)
    assert "adopt a Deferred once" in str(late.reason())


@first_way
@second_way
@pytest.mark.parametrize("leaves", [0, 1])
def test_one_of_two_is_cancelled(
    scheduler: ManualScheduler, first: str, second: str, leaves: int
) -> None:
    """The other has its value; the Deferred is not cancelled before both have left."""
    cancelled: list[Any] = []
    deferred: Deferred[Any] = Deferred(cancelled.append)
    promises: list[Promise[Any]] = []
    for name in first, second:
        promises.append(quiet(WAYS[name](deferred)))
        scheduler.flush()
    promises[leaves].cancel()
    settle(scheduler)
    assert [] == cancelled
    deferred.callback("value")
    settle(scheduler)
    assert "value" == promises[1 - leaves].value()
    assert not promises[leaves].is_fulfilled()


@first_way
@second_way
def test_both_are_cancelled(scheduler: ManualScheduler, first: str, second: str) -> None:
    """Then the Deferred is, once."""
    cancelled: list[Any] = []
    deferred: Deferred[Any] = Deferred(cancelled.append)
    promises: list[Promise[Any]] = []
    for name in first, second:
        promises.append(quiet(WAYS[name](deferred)))
        scheduler.flush()
    for promise in promises:
        promise.cancel()
        settle(scheduler)
    assert [deferred] == cancelled
    assert not any(promise.is_pending() for promise in promises)


@either
def test_the_one_that_has_left_swallows_no_failure(scheduler: ManualScheduler, way: str) -> None:
    """The other gets it."""
    error = Boom()
    deferred: Deferred[Any] = Deferred(lambda _: None)
    left, stays = quiet(WAYS[way](deferred)), Promise.from_deferred(deferred)
    scheduler.flush()
    left.cancel()
    settle(scheduler)
    deferred.errback(error)
    assert error is quiet(stays).reason()


@either
def test_the_one_that_has_left_takes_no_promise(scheduler: ManualScheduler, way: str) -> None:
    """A promise that the Deferred fires with is there for the other, and not for a callback."""
    if way in ("await", "yield"):
        pytest.skip("Twisted hands the promise over as a value")
    deferred: Deferred[Any] = Deferred(lambda _: None)
    left = quiet(WAYS[way](deferred))
    scheduler.flush()
    seen: list[Any] = []
    deferred.addCallback(seen.append)
    stays = Promise.from_deferred(deferred)
    left.cancel()
    settle(scheduler)
    deferred.callback(Promise.delay(0, "value"))
    settle(scheduler)
    assert ("value", [None]) == (stays.value(), seen)


@either
def test_a_deferred_that_was_cancelled_by_a_promise(scheduler: ManualScheduler, way: str) -> None:
    """What adopts it then is rejected, and gets no None for a value."""
    if way == "await":
        pytest.skip("Twisted has nothing to show")
    deferred: Deferred[Any] = Deferred()
    kept = Promise.from_deferred(deferred)
    kept.cancel()
    settle(scheduler)
    late = quiet(WAYS[way](deferred))
    settle(scheduler)
    assert isinstance(late.reason(), (CancelledError, CancellationError, RuntimeError))


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest.mark.parametrize("fired", [False, True], ids=["", "fired"])
def test_often_in_one_collection(scheduler: ManualScheduler, count: int, fired: bool) -> None:
    """Each place has the value."""
    deferred: Deferred[Any] = succeed("value") if fired else Deferred()
    promise = Promise.all([deferred] * count)
    settled = Promise.all_settled([deferred] * count)
    if not fired:
        deferred.callback("value")
    scheduler.flush()
    assert ["value"] * count == promise.value()
    assert ["value"] * count == [each.value() for each in settled.value()]


def test_twice_in_a_collection_that_is_cancelled(scheduler: ManualScheduler) -> None:
    """Its canceller is called once."""
    cancelled: list[Any] = []
    deferred: Deferred[Any] = Deferred(cancelled.append)
    promise = Promise.all([deferred, deferred])
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [deferred] == cancelled


@pytest.mark.parametrize("ends", ["rejected", "cancelled"])
def test_twice_in_a_collection_that_leaves_it_to_others(
    scheduler: ManualScheduler, ends: str
) -> None:
    """The collection settles, and the Deferred is not cancelled."""
    deferred: Deferred[Any] = Deferred()
    other = Promise.from_deferred(deferred)
    last = Source()
    promise = quiet(Promise.all([deferred, deferred, last.promise], cancel_rest=True))
    if ends == "cancelled":
        promise.cancel()
    else:
        last.reject(ValueError())
    scheduler.flush()
    deferred.callback("value")
    assert (ends, "value") == (outcome(promise)[0], other.value())


@pytest.mark.parametrize("result", ["value", "failure", "promise", "rejection", "coroutine"])
@pytest.mark.parametrize("ends", ["rejected", "cancelled"])
@pytest.mark.parametrize("collect", [Promise.all, Promise.all_settled])
def test_a_collection_that_ended_before(
    scheduler: ManualScheduler, result: str, ends: str, collect: Callable[..., Promise[Any]]
) -> None:
    """What its Deferreds fire with later is there for others."""
    if collect is Promise.all_settled and ends == "rejected":
        pytest.skip("it waits for all")
    error = Boom()

    async def later() -> str:
        return "value"

    made: dict[str, Callable[[], Any]] = {
        "value": lambda: "value",
        "failure": lambda: Failure(error),
        "promise": lambda: Promise.resolve("value"),
        "rejection": lambda: Promise.reject(error),
        "coroutine": later,
    }
    failing, deferred = Source(), Deferred[Any]()
    collection = quiet(collect([failing.promise, deferred]))
    other = quiet(Promise.from_deferred(deferred))
    if ends == "rejected":
        failing.reject(ValueError())
    else:
        collection.cancel()
    scheduler.flush()
    deferred.callback(made[result]())
    late = quiet(Promise.from_deferred(deferred))
    scheduler.flush()
    fails = result in ("failure", "rejection")
    expected = ("rejected", error) if fails else ("fulfilled", "value")
    assert [expected, expected] == [outcome(other), outcome(late)]


@first_way
def test_a_coroutine_that_it_fires_with_runs_once(scheduler: ManualScheduler, first: str) -> None:
    """What it returns is the value of both, also if one of them leaves meanwhile."""
    if first in ("await", "yield"):
        pytest.skip("Twisted hands the coroutine over as a value")
    source = Source()

    async def later() -> Any:
        return await source.promise

    deferred: Deferred[Any] = Deferred()
    one, two = WAYS[first](deferred), Promise.from_deferred(deferred)
    three = Promise.from_deferred(deferred)
    scheduler.flush()
    deferred.callback(later())
    scheduler.flush()
    three.cancel()
    source.resolve("value")
    settle(scheduler)
    assert ["value", "value"] == [one.value(), two.value()]
    assert three.is_cancelled()


def test_one_leaves_the_promise_that_it_has_fired_with(scheduler: ManualScheduler) -> None:
    """The other goes on to wait for it."""
    source, deferred = Source(), Deferred[Any]()
    one, two = Promise.from_deferred(deferred), Promise.from_deferred(deferred)
    deferred.callback(source.promise)
    one.cancel()
    scheduler.flush()
    source.resolve("value")
    scheduler.flush()
    assert one.is_cancelled()
    assert "value" == two.value()


@pytest.mark.parametrize("way", ["from_deferred", "await", "all"])
def test_what_callbacks_of_other_people_give(scheduler: ManualScheduler, way: str) -> None:
    """Between two promises it counts, as everywhere in a chain of Deferreds, unless it is None."""
    deferred: Deferred[Any] = Deferred()
    one = WAYS[way](deferred)
    scheduler.flush()
    deferred.addCallback(lambda none: f"instead of {none}")
    two = WAYS[way](deferred)
    scheduler.flush()
    deferred.callback("value")
    settle(scheduler)
    assert ["value", "instead of None"] == [one.value(), two.value()]


@pytest.mark.parametrize("mixed", [None, 0, "", [], False])
def test_values_that_are_false(scheduler: ManualScheduler, mixed: Any) -> None:
    """Each is a value."""
    deferred: Deferred[Any] = Deferred()
    promises = [WAYS[name](deferred) for name in ("from_deferred", "await", "all", "yield")]
    scheduler.flush()
    deferred.callback(mixed)
    settle(scheduler)
    assert [mixed] * 4 == [promise.value() for promise in promises]


def test_a_cache_of_deferreds(scheduler: ManualScheduler) -> None:
    """As there are in many programs: each look-up gives the row, before and after it is there."""
    cache: dict[str, Deferred[Any]] = {}

    def lookup(key: str) -> Deferred[Any]:
        return cache.setdefault(key, Deferred())

    early = [Promise.resolve("k").then(lookup) for _ in range(2)]
    scheduler.flush()
    cache["k"].callback("row")
    scheduler.flush()
    late = Promise.all([lookup("k"), lookup("k")])
    scheduler.flush()
    assert ["row", "row"] == [promise.value() for promise in early]
    assert ["row", "row"] == late.value()
    del early
    gc.collect()
    assert "row" == Promise.from_deferred(cache["k"]).value()


@pytest.mark.parametrize("way", ["from_deferred", "await", "yield", "all"])
@pytest.mark.parametrize("between", [False, True], ids=["", "other people's callbacks"])
def test_a_deferred_does_not_collect_those_that_have_left(
    scheduler: ManualScheduler, way: str, between: bool
) -> None:
    """Unless callbacks of other people would get in their place what the next is to get."""
    deferred: Deferred[Any] = Deferred()
    stays = Promise.from_deferred(deferred) if not between else None
    seen: list[Any] = []
    for _ in range(9):
        leaves = quiet(WAYS[way](deferred))
        scheduler.flush()
        if between:
            deferred.addCallback(seen.append)
            stays = Promise.from_deferred(deferred)
        leaves.cancel()
        settle(scheduler)
    callbacks = getattr(deferred, "_callbacks", None) or deferred.callbacks
    assert between or 1 == len(callbacks)
    deferred.callback("value")
    settle(scheduler)
    assert stays is not None
    assert "value" == stays.value()
    assert [None] * 9 * between == seen


# --- fired with a coroutine that cancels the promise


async def _cancelling(promises: list[Promise[Any]], deferred: Deferred[Any]) -> Any:
    promises[0].cancel()
    return await deferred


@pytest.mark.parametrize("shared", [False, True])
def test_a_coroutine_that_the_deferred_fires_with_cancels_the_promise(
    scheduler: ManualScheduler, reports: list[Any], shared: bool
) -> None:
    """Before its first `await`: it is cancelled with it, unless other promises wait for it."""
    deferred: Deferred[Any] = Deferred()
    cancelled: list[Deferred[Any]] = []
    inner: Deferred[Any] = Deferred(cancelled.append)
    promises = [Promise.resolve(deferred) for _ in range(2 if shared else 1)]
    deferred.callback(_cancelling(promises, inner))
    scheduler.flush()
    assert promises[0].is_cancelled()
    assert ([] if shared else [inner]) == cancelled
    if shared:
        inner.callback("value")
        scheduler.flush()
        assert "value" == promises[1].value()
    assert [] == reports
