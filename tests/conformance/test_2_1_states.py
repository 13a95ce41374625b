"""Promises/A+ 2.1: the states of a promise."""

from __future__ import annotations

import pytest

from twpromise import Promise
from twpromise._methods.resolvers import reject_from_anywhere, resolve_from_anywhere

ERROR = ValueError("reason")


@pytest.fixture
def deferred():
    """A pending promise and the functions that settle it."""
    functions = []
    promise = Promise(lambda *both: functions.extend(both))
    return promise, *functions


def attach(promise, called):
    promise.then(
        lambda value: called.append(("fulfilled", value)),
        lambda reason: called.append(("rejected", reason)),
    )


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_2_1_1_1_pending_may_become_settled(deferred, run, how):
    """2.1.1.1: a pending promise may transition to either the fulfilled or the rejected state."""
    promise, resolve, reject = deferred
    assert promise.is_pending()
    if how == "fulfilled":
        resolve("value")
    else:
        reject(ERROR)
    run()
    assert (False, how == "fulfilled", how == "rejected") == (
        promise.is_pending(),
        promise.is_fulfilled(),
        promise.is_rejected(),
    )


@pytest.mark.parametrize("second", ["fulfil", "reject"])
def test_2_1_2_1_fulfilled_stays_fulfilled(fulfilled, run, second):
    """2.1.2.1: when fulfilled, a promise must not transition to any other state."""
    called = []
    promise = fulfilled.promise("value")
    attach(promise, called)
    fulfilled.run()
    if second == "fulfil":
        resolve_from_anywhere(promise, "other")
    else:
        reject_from_anywhere(promise, ERROR)
    run()
    assert [("fulfilled", "value")] == called
    assert "value" == promise.value()


@pytest.mark.parametrize("second", ["fulfil", "reject"])
def test_2_1_3_1_rejected_stays_rejected(rejected, run, second):
    """2.1.3.1: when rejected, a promise must not transition to any other state."""
    called = []
    promise = rejected.promise(ERROR)
    attach(promise, called)
    rejected.run()
    if second == "fulfil":
        resolve_from_anywhere(promise, "other")
    else:
        reject_from_anywhere(promise, KeyError("other"))
    run()
    assert [("rejected", ERROR)] == called
    assert ERROR is promise.reason()


@pytest.mark.parametrize("first", ["fulfilled", "rejected"])
@pytest.mark.parametrize("second", ["fulfilled", "rejected"])
@pytest.mark.parametrize("second_when", ["immediately", "after a turn", "after a while"])
@pytest.mark.parametrize("first_when", ["immediately", "after a while"])
def test_2_1_2_and_2_1_3_only_the_first_call_counts(
    deferred, scheduler, run, first, second, second_when, first_when
):
    """2.1.2.1, 2.1.3.1: trying to settle twice, immediately or delayed, changes nothing."""
    promise, resolve, reject = deferred
    settle = {"fulfilled": lambda: resolve("value"), "rejected": lambda: reject(ERROR)}
    again = {"fulfilled": lambda: resolve("other"), "rejected": lambda: reject(KeyError("other"))}
    called = []
    attach(promise, called)
    if first_when == "after a while":
        scheduler.advance(0.05)
    settle[first]()
    if second_when == "after a turn":
        scheduler.flush()
    elif second_when == "after a while":
        scheduler.advance(0.05)
    again[second]()
    run()
    assert [(first, "value" if first == "fulfilled" else ERROR)] == called


def test_2_1_2_2_the_value_does_not_change(fulfilled):
    """2.1.2.2: a fulfilled promise has a value, which is the very object each time."""
    value = object()
    seen = []
    promise = fulfilled.promise(value)
    promise.then(seen.append)
    promise.then(seen.append)
    fulfilled.run()
    promise.then(seen.append)
    fulfilled.run()
    assert [True] * 3 == [value is other for other in seen]
    assert value is promise.value()


def test_2_1_3_2_the_reason_does_not_change(rejected):
    """2.1.3.2: a rejected promise has a reason, which is the very object each time."""
    seen = []
    promise = rejected.promise(ERROR)
    promise.then(None, seen.append)
    promise.then(None, seen.append)
    rejected.run()
    promise.then(None, seen.append)
    rejected.run()
    assert [True] * 3 == [ERROR is other for other in seen]
    assert ERROR is promise.reason()
