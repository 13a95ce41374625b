"""Handlers of `then`, `catch`, `finally_`: what is not the same for all methods.

`tests/test_filters.py` tests what holds for the handlers of every method.
"""

from __future__ import annotations

import pytest
from twisted.python.failure import Failure

from tests.support.promises import Boom, fail, pending, quiet
from twpromise import Promise

pytestmark = pytest.mark.usefixtures("scheduler")


# --- then and catch


def test_then_with_both_handlers_calls_one(scheduler):
    """Neither sees what the other one of the same `then` does."""
    called = []
    promise = Promise.resolve("value").then(fail, called.append)
    promise.catch(called.append)
    scheduler.flush()
    assert [Boom] == [type(error) for error in called]


class OwnFailure(Failure):
    """A Failure of a class of its own, such as Perspective Broker has."""


@pytest.mark.parametrize("how", ["raised", "returned", "rejected with"])
@pytest.mark.parametrize("kind", [Failure, OwnFailure])
def test_a_failure_is_what_it_holds(scheduler, kind, how):
    """Twisted's Failure, however it comes: the reason is the exception in it."""
    failure = kind(Boom("inside"))

    def handler(_):
        if how == "raised":
            raise failure
        return failure

    promise = Promise.reject(failure) if how == "rejected with" else Promise.resolve().then(handler)
    seen = []
    promise.catch(seen.append)
    scheduler.flush()
    assert [failure.value] == seen


# --- finally_


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "what follows it"])
@pytest.mark.parametrize("method", ["finally_", "tap", "tap_catch"])
def test_a_handler_that_is_waited_for_returns_its_own_promise(scheduler, method, wrapped):
    """Rejected, as with `then`, instead of pending without end."""
    source = Promise.reject(Boom()) if method == "tap_catch" else Promise.resolve()

    def handler():
        return quiet(Promise(lambda resolve: resolve(promise))) if wrapped else promise

    promise = quiet(getattr(source, method)(handler))
    scheduler.flush()
    assert isinstance(promise.reason(), TypeError)
    assert "a promise waits for itself (circular promise resolution chain)" == str(promise.reason())


def test_finally_runs_in_order_with_other_handlers(scheduler):
    """It is attached like any other handler."""
    called = []
    promise, resolve, _ = pending()
    promise.then(lambda _: called.append(1))
    promise.finally_(lambda: called.append(2))
    promise.then(lambda _: called.append(3))
    resolve(None)
    promise.finally_(lambda: called.append(4))
    scheduler.flush()
    assert [1, 2, 3, 4] == called


@pytest.mark.parametrize("method", ["finally_", "tap", "then"])
def test_the_first_value_of_a_type_settles_as_early_as_later_ones(scheduler, method):
    """The order of handlers does not depend on which types were seen before."""
    kind = type("NotSeenBefore", (), {})
    orders = []
    for _ in range(2):
        order = []
        source = Promise.resolve(1)
        getattr(source, method)(lambda *_: kind()).then(lambda _, order=order: order.append(1))
        source.then().then(lambda _, order=order: order.append(2))
        scheduler.flush()
        orders.append(order)
    assert [[1, 2]] * 2 == orders


# --- handlers that wait for their own promise

CIRCULAR = "a promise waits for itself (circular promise resolution chain)"


def beside(method, handler):
    """A promise behind a handler that is called beside its outcome."""
    source = Promise.reject(Boom()) if method == "tap_catch" else Promise.resolve("value")
    return getattr(source, method)(lambda *_: handler())


async def awaits(promise):
    """What an `async def` handler does."""
    await promise


def follows(promise):
    """What was resolved with it, and reports for it."""
    return Promise(lambda resolve, reject: resolve(promise))


@pytest.mark.parametrize("wrap", [lambda promise: promise, follows, awaits])
@pytest.mark.parametrize("method", ["finally_", "tap", "tap_catch"])
def test_a_handler_that_waits_for_its_own_promise(scheduler, reports, method, wrap):
    """Rejected, and reported once, instead of waiting without end."""
    promise = beside(method, lambda: wrap(promise))
    scheduler.flush()
    assert (TypeError, CIRCULAR) == (type(promise.reason()), str(promise.reason()))
    assert ["Unhandled rejection in Promise"] == [event["log_format"] for event in reports]


@pytest.mark.usefixtures("unhandled_allowed")
@pytest.mark.parametrize("method", ["finally_", "tap", "tap_catch"])
def test_a_circle_behind_a_handler_that_is_closed_later(scheduler, method):
    """What the handler returned is resolved with the promise that waits for it: that rejects."""
    waits, resolve, _ = pending()
    promise = beside(method, lambda: waits)
    scheduler.flush()
    resolve(promise)
    scheduler.flush()
    assert (CIRCULAR, CIRCULAR) == (str(waits.reason()), str(promise.reason()))


@pytest.mark.usefixtures("unhandled_allowed")
def test_two_handlers_that_wait_for_each_other(scheduler):
    """A circle goes through the one and the other."""
    promises = []
    promises += [beside("tap", lambda: promises[1]), beside("finally_", lambda: promises[0])]
    scheduler.flush()
    assert [CIRCULAR] * 2 == [str(promise.reason()) for promise in promises]


@pytest.mark.parametrize("when", ["before", "in the handler", "later"])
def test_a_cancelled_promise_whose_handler_waits_for_it(scheduler, when):
    """It stays cancelled, and what waits for its end comes to it."""
    waits, resolve, _ = pending()
    waits.suppress_unhandled_rejections()

    def handler():
        if when == "in the handler":
            promise.cancel()
        return waits if when == "later" else promise

    source = Promise.delay(1) if when == "before" else Promise.resolve("value")
    promise = source.finally_(handler)
    promise.suppress_unhandled_rejections()
    if when != "in the handler":
        if when == "later":
            scheduler.flush()
        promise.cancel()
    inspection = promise.reflect()
    scheduler.flush()
    resolve(promise)
    scheduler.flush()
    assert inspection.value().is_cancelled()
    assert promise.is_cancelled()
    if when == "later":
        assert "the promise was cancelled (late cancellation observer)" == str(waits.reason())


# --- finally_ and cancellation


def test_several_finallys_of_a_cancelled_chain_run_in_order(scheduler):
    """From the first promise of the chain down, each waited for."""
    called = []
    other, settle, _ = pending()
    promise, _, _ = pending()
    last = (
        promise.finally_(lambda: called.append(1))
        .finally_(lambda: called.append(2) or other)
        .then(called.append)
        .finally_(lambda: called.append(3))
    )
    last.cancel()
    scheduler.flush()
    assert [1, 2] == called
    settle(None)
    scheduler.flush()
    assert [1, 2, 3] == called


def test_a_finally_beside_others_runs_when_its_branch_is_cancelled(scheduler):
    """The parent has another consumer, and stays pending; the handler runs once."""
    called = []
    promise, resolve, _ = pending()
    kept = promise.then(str)
    branch = promise.finally_(lambda: called.append("finally"))
    branch.cancel()
    scheduler.flush()
    assert (["finally"], False) == (called, promise.is_cancelled())
    resolve("value")
    scheduler.flush()
    assert (["finally"], "value") == (called, kept.value())
    assert branch.is_cancelled()


def test_a_cancelled_finally_finishes_although_its_parent_is_fulfilled_meanwhile(scheduler):
    """Handlers behind it wait for its handler, and not for the parent that it has left."""
    log = []
    shared = Promise.defer()
    other = shared.promise.then()
    cleaning = shared.promise.finally_(lambda: log.append("begun") or Promise.delay(1))
    behind = cleaning.finally_(lambda: log.append("behind"))
    behind.cancel()
    scheduler.flush()
    shared.resolve(1)
    scheduler.flush()
    assert ["begun"] == log
    scheduler.advance(1)
    assert ["begun", "behind"] == log
    assert 1 == other.value()
