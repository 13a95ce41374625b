"""Promises in Deferreds in promises, and so on: a cancellation goes through any number of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed

from tests.support.promises import Boom, awaiting
from twpromise import IDeferred, IPromise, Promise
from twpromise._core import cancelling
from twpromise.testing import ManualScheduler

Layer = Callable[[Promise[Any]], Promise[Any]]

#: Two library copies, each with a queue of its own.
COPIES = [Promise.get_new_library_copy(), Promise.get_new_library_copy()]


@Promise.coroutine
def yields(followed: Any) -> Generator[Any, Any, Any]:
    """A generator that waits."""
    return (yield followed)


@inlineCallbacks
def yields_under_twisted(promise: Promise[Any]) -> Generator[Any, Any, Any]:
    """A generator of Twisted's."""
    return (yield promise.to_deferred())


def cancels(promise: Promise[Any]) -> Deferred[Any]:
    """A Deferred whose canceller cancels a promise."""
    waiting = promise.then()
    return Deferred(lambda _: waiting.cancel())


LAYERS: dict[str, Layer] = {
    "from_deferred": lambda promise: Promise.from_deferred(promise.to_deferred()),
    "resolve": lambda promise: Promise.resolve(promise.to_deferred()),
    "handler": lambda promise: Promise.resolve().then(lambda _: promise.to_deferred()),
    "executor": lambda promise: Promise(lambda resolve, _: resolve(promise.to_deferred())),
    "adapters": lambda promise: IPromise(IDeferred(promise)),
    "deferify": lambda promise: Promise.resolve(Promise.deferify(lambda: promise)()),
    "Deferred in a Deferred": lambda promise: Promise.from_deferred(
        succeed(None).addCallback(lambda _: promise.to_deferred())
    ),
    "finally_": lambda promise: Promise.resolve(promise.finally_(lambda: None).to_deferred()),
    "timeout": lambda promise: Promise.resolve(promise.timeout(1e6).to_deferred()),
    "all": lambda promise: Promise.all([promise.to_deferred()]),
    "using": lambda promise: Promise.using(1, lambda _: promise.to_deferred()),
    "coroutine": lambda promise: Promise.resolve(awaiting(promise)),
    "coroutine, Deferred": lambda promise: Promise.resolve(awaiting(promise.to_deferred())),
    "generator": lambda promise: yields(promise),
    "generator, Deferred": lambda promise: yields(promise.to_deferred()),
    "Twisted's coroutine": lambda promise: Promise.resolve(
        Deferred.fromCoroutine(awaiting(promise))
    ),
    "inlineCallbacks": lambda promise: Promise.resolve(yields_under_twisted(promise)),
    "canceller": lambda promise: Promise.resolve(cancels(promise)),
    "future": lambda promise: Promise.resolve(Promise.call_from_thread(lambda: promise)),
    "copies": lambda promise: COPIES[isinstance(promise, COPIES[0])].resolve(promise.to_deferred()),
}


def cancel_through(scheduler: ManualScheduler, layers: list[Layer], by_deferred: bool) -> None:
    """Cancel what is behind all layers: the work before them is stopped, once, within the call."""
    for copy in COPIES:
        copy.set_scheduler(scheduler)
    stopped: list[Deferred[Any]] = []
    work: Deferred[Any] = Deferred(stopped.append)
    promises = [Promise.from_deferred(work)]
    for layer in layers:
        promises.append(layer(promises[-1]))
    scheduler.flush()
    assert promises[-1].is_pending()
    if by_deferred:
        errors: list[type] = []
        deferred = promises[-1].to_deferred()
        deferred.addErrback(lambda failure: errors.append(failure.type))
        deferred.cancel()
        assert [CancelledError] == errors
    else:
        promises[-1].cancel()
    assert promises[-1].is_cancelled()
    scheduler.flush()
    assert [work] == stopped
    assert all(promise.is_cancelled() for promise in promises)
    assert {} == cancelling._under_way


@pytest.mark.parametrize("by_deferred", [False, True], ids=["promise", "Deferred"])
@pytest.mark.parametrize("layer", LAYERS)
def test_many_layers_are_cancelled_without_recursion(
    scheduler: ManualScheduler, layer: str, by_deferred: bool
) -> None:
    """However deep the work is, and by whichever end."""
    cancel_through(scheduler, [LAYERS[layer]] * 400, by_deferred)


@pytest.mark.parametrize("seed", range(5))
def test_layers_of_all_kinds_are_cancelled_without_recursion(
    scheduler: ManualScheduler, seed: int
) -> None:
    """One within another."""
    random = Random(seed)
    layers = random.choices(list(LAYERS.values()), k=400)
    cancel_through(scheduler, layers, bool(seed % 2))


@pytest.mark.exhaustive
@pytest.mark.parametrize("layer", LAYERS)
def test_ten_thousand_layers_are_cancelled(scheduler: ManualScheduler, layer: str) -> None:
    """The same."""
    cancel_through(scheduler, [LAYERS[layer]] * 10_000, False)


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize("layers", [1, 3])
def test_what_is_before_a_deferred_is_cancelled_first(layers: int) -> None:
    """As Twisted does it: then the Deferred's own callbacks are called."""
    log: list[Any] = []
    promise = Promise.from_deferred(Deferred(lambda _: log.append("work")))

    def logged(number: int) -> Deferred[Any]:
        before = promise

        def errback(_: Any) -> None:
            log.append((number, before.is_cancelled()))

        return before.to_deferred().addErrback(errback)

    for number in range(layers):
        promise = Promise.from_deferred(logged(number))
    promise.cancel()
    assert ["work", *[(number, True) for number in range(layers)]] == log


def test_an_error_of_a_canceller_deep_down_stops_nothing(
    scheduler: ManualScheduler, reports: list[Any]
) -> None:
    """It is logged, and what has still to be cancelled is."""
    stopped = []

    def failing(number: int) -> Layer:
        def layer(promise: Promise[Any]) -> Promise[Any]:
            waiting = promise.then()

            def canceller(_: Any) -> None:
                waiting.cancel()
                stopped.append(number)
                raise Boom

            return Promise.from_deferred(Deferred(canceller))

        return layer

    cancel_through(scheduler, [failing(number) for number in range(30)], False)
    assert list(range(30)) == sorted(stopped)
    assert 30 == len(reports)
