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
    assert "circular promise resolution chain" == str(promise.reason())


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
