"""Handlers: `then`, `catch` of everything, `finally_`."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.support.promises import Boom, fail, pending
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


def test_catch_gets_the_reason(scheduler):
    """And its result goes on as a value."""
    error = Boom()
    promise = Promise.reject(error).catch(lambda reason: (reason, "recovered"))
    scheduler.flush()
    assert (error, "recovered") == promise.value()


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


def test_catch_passes_values_on(scheduler):
    """It is not called for them."""
    promise = Promise.resolve("value").catch(fail)
    scheduler.flush()
    assert "value" == promise.value()


def test_an_error_of_a_catch_handler_has_the_first_one_as_context(scheduler):
    """With another error; the first one is its context, as Python has it."""
    promise = Promise.reject(ValueError("first")).catch(fail)
    other = promise.catch(lambda error: error)
    scheduler.flush()
    assert Boom is type(other.value())


@pytest.mark.parametrize("handler", [None, 5, "text"])
def test_a_catch_handler_that_is_not_callable_is_ignored(scheduler, handler):
    """It is ignored, as by `then`."""
    error = Boom()
    promise = Promise.reject(error).catch(handler)
    seen = []
    promise.catch(seen.append)
    scheduler.flush()
    assert [error] == seen


@pytest.mark.parametrize(
    "followed",
    ["promise", "deferred", "coroutine"],
)
def test_what_a_handler_returns_is_followed(scheduler, followed):
    """Whatever kind it is of; and `async def` functions are handlers like any other."""

    async def coroutine(value):
        return value + 1

    handlers = {
        "promise": lambda value: Promise.resolve(value + 1),
        "deferred": lambda value: _fired(value + 1),
        "coroutine": coroutine,
    }
    promise = Promise.resolve(1).then(handlers[followed])
    caught = Promise.reject(1).catch(handlers[followed])
    scheduler.flush()
    assert (2, 2) == (promise.value(), caught.value())


def _fired(value):
    deferred = Deferred()
    deferred.callback(value)
    return deferred


# --- finally_


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_finally_runs_and_passes_the_outcome_on(scheduler, how):
    """Without arguments, whatever the outcome is; what it returns does not count."""
    called = []
    error = Boom()
    before = Promise.resolve("value") if how == "fulfilled" else Promise.reject(error)
    promise = before.finally_(lambda *args: called.append(args) or "ignored")
    seen = []
    promise.then(seen.append, seen.append)
    scheduler.flush()
    assert [()] == called
    assert ["value" if how == "fulfilled" else error] == seen


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_a_promise_returned_by_a_finally_handler_is_waited_for(scheduler, how):
    """Then the outcome is passed on."""
    other, settle, _ = pending()
    before = Promise.resolve("outcome") if how == "fulfilled" else Promise.reject("outcome")
    promise = before.finally_(lambda: other)
    seen = []
    promise.then(seen.append, seen.append)
    scheduler.flush()
    assert promise.is_pending()
    settle("ignored")
    scheduler.flush()
    assert ["outcome"] == seen


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
@pytest.mark.parametrize("late", [False, True])
def test_finally_changes_the_outcome_by_failing(scheduler, how, late):
    """By what it raises, or by how what it returns is rejected."""
    before = Promise.resolve("outcome") if how == "fulfilled" else Promise.reject("outcome")
    other, _, reject = pending()
    promise = before.finally_((lambda: other) if late else fail)
    seen = []
    promise.catch(lambda error: seen.append(type(error)))
    scheduler.flush()
    reject(Boom())
    other.catch(str)
    scheduler.flush()
    assert [Boom] == seen


@pytest.mark.parametrize("handler", [None, 5, "text"])
def test_a_finally_handler_that_is_not_callable_is_ignored(scheduler, handler):
    """It is ignored, as by `then`."""
    promise = Promise.resolve("value").finally_(handler)
    scheduler.flush()
    assert "value" == promise.value()


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


def test_a_finally_handler_is_called_from_the_scheduler(scheduler):
    """Never from within the call that attaches it."""
    called = []
    Promise.resolve().finally_(lambda: called.append("finally"))
    assert [] == called
    scheduler.flush()
    assert ["finally"] == called


# --- finally_ and cancellation


def test_finally_runs_on_cancellation(scheduler):
    """From the scheduler, once; then the promise is cancelled and no other handler is called."""
    called = []
    promise, _, _ = pending()
    last = promise.finally_(lambda: called.append("finally")).then(called.append, called.append)
    last.cancel()
    assert ([], True) == (called, last.is_cancelled())
    scheduler.flush()
    assert ["finally"] == called
    assert promise.is_cancelled()


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


def test_a_finally_that_fails_on_cancellation_is_reported(scheduler, reports):
    """The error is not lost, though the promise has no consumer any more."""
    promise, _, _ = pending()
    last = promise.finally_(fail)
    last.cancel()
    scheduler.flush()
    assert [Boom] == [type(event["log_failure"].value) for event in reports]


def test_a_running_finally_is_not_cancelled(scheduler):
    """Its promise may be releasing a resource."""
    other, settle, _ = pending()
    called = []
    promise = Promise.resolve("value").finally_(lambda: other)
    last = promise.finally_(lambda: called.append("last"))
    scheduler.flush()
    last.cancel()
    scheduler.flush()
    assert ([], False) == (called, other.is_cancelled())
    settle(None)
    scheduler.flush()
    assert ["last"] == called
    assert last.is_cancelled()


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


def test_a_finally_is_cancelled_after_its_parent_has_settled(scheduler):
    """Between the settling and the turn: the handler runs once."""
    called = []
    promise, resolve, _ = pending()
    branch = promise.finally_(lambda: called.append("finally"))
    resolve("value")
    branch.cancel()
    scheduler.flush()
    assert ["finally"] == called
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
