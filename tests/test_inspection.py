"""Synchronous inspection and `repr`."""

from __future__ import annotations

import pytest

from tests.support.promises import pending
from twpromise import Promise

pytestmark = pytest.mark.usefixtures("scheduler")


def rejected(reason):
    promise = Promise.reject(reason)
    promise.catch(str)
    return promise


def cancelled():
    promise, _, _ = pending()
    promise.cancel()
    return promise


def following(promise):
    return Promise(lambda resolve, reject: resolve(promise))


def followed_and_cancelled():
    promise, _, _ = pending()
    follower = following(promise)
    promise.cancel()
    return follower


MAKERS = {
    "pending": lambda: pending()[0],
    "fulfilled": lambda: Promise.resolve("outcome"),
    "rejected": lambda: rejected("outcome"),
    "cancelled": cancelled,
}


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("state", MAKERS)
def test_one_state_at_a_time(scheduler, state, follow):
    """Exactly one of the four questions is answered by yes, also through a follower."""
    promise = MAKERS[state]()
    if follow and state != "cancelled":
        promise = following(promise)
    elif follow:
        promise = followed_and_cancelled()
    assert {state} == {
        name
        for name, answer in {
            "pending": promise.is_pending(),
            "fulfilled": promise.is_fulfilled(),
            "rejected": promise.is_rejected(),
            "cancelled": promise.is_cancelled(),
        }.items()
        if answer
    }
    promise.catch(str)


@pytest.mark.parametrize("state", [state for state in MAKERS if state != "fulfilled"])
def test_value_raises_unless_the_promise_is_fulfilled(state):
    """The page's words, and what it is."""
    promise = MAKERS[state]()
    with pytest.raises(
        TypeError,
        match=f"cannot get fulfillment value of a non-fulfilled promise: it is {state}",
    ):
        promise.value()


@pytest.mark.parametrize("state", [state for state in MAKERS if state != "rejected"])
def test_reason_raises_unless_the_promise_is_rejected(state):
    """The page's words, and what it is."""
    promise = MAKERS[state]()
    with pytest.raises(
        TypeError,
        match=f"cannot get rejection reason of a non-rejected promise: it is {state}",
    ):
        promise.reason()


def test_value_and_reason_are_the_objects_themselves():
    """Nothing is copied or wrapped."""
    value, reason = object(), ValueError()
    assert (value, reason) == (Promise.resolve(value).value(), Promise.reject(reason).reason())


def test_settled_at_once():
    """What an executor settles with is there when the constructor returns."""
    promise, resolve, _ = pending()
    assert promise.is_pending()
    resolve("value")
    assert "value" == promise.value()


def test_a_handler_that_has_not_run_leaves_its_promise_pending(scheduler):
    """A derived promise is pending until its handler has run."""
    promise = Promise.resolve("value").then(len)
    assert promise.is_pending()
    scheduler.flush()
    assert 5 == promise.value()


# --- repr


SHOWN = {
    "pending": (MAKERS["pending"], "<Promise pending>"),
    "fulfilled": (MAKERS["fulfilled"], "<Promise fulfilled: 'outcome'>"),
    "rejected": (MAKERS["rejected"], "<Promise rejected: 'outcome'>"),
    "cancelled": (cancelled, "<Promise cancelled>"),
    "follower": (lambda: following(Promise.resolve("x")), "<Promise fulfilled: 'x'>"),
    "pending-follower": (lambda: following(pending()[0]), "<Promise pending>"),
    "cancelled-follower": (followed_and_cancelled, "<Promise cancelled>"),
    "error": (lambda: rejected(ValueError("x")), "<Promise rejected: ValueError('x')>"),
    "none": (Promise.resolve, "<Promise fulfilled: None>"),
    "derived": (lambda: Promise.resolve(1).then(str), "<Promise pending>"),
}


@pytest.mark.parametrize(("make", "expected"), SHOWN.values(), ids=SHOWN)
def test_repr_shows_the_state(make, expected):
    """And the value or reason, in its own words."""
    promise = make()
    assert expected == repr(promise)
    assert expected == str(promise)


class Failing:
    def __repr__(self):
        raise ValueError("no repr")


class FailingEvenMore:
    """An object whose `__class__` raises."""

    @property
    def __class__(self):
        raise ValueError("no class")

    def __repr__(self):
        raise ValueError("no repr")


class Endless:
    def __repr__(self):
        return repr(self)


class Large:
    def __repr__(self):
        return "x" * 1_000_000


def nested():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


NASTY = {
    "failing": Failing,
    "failing-class": FailingEvenMore,
    "endless": Endless,
    "large": Large,
    "nested": nested,
    "text": lambda: "x" * 1_000_000,
    "list": lambda: list(range(1_000_000)),
    "dict": lambda: dict.fromkeys(range(1000), "x" * 1000),
    "lists": lambda: [["x" * 100] * 100] * 100,
    "integer": lambda: 10**100,
    "error": lambda: ValueError("x" * 1_000_000),
    "long-name": lambda: type("x" * 200, (), {})(),
    "long-name-failing": lambda: type("x" * 200, (Failing,), {})(),
}


@pytest.mark.parametrize("make", NASTY.values(), ids=NASTY)
def test_repr_never_fails_and_never_grows_large(make):
    """Whatever the value is like."""
    value = make()
    promise = Promise(lambda resolve, reject: resolve(value))
    text = repr(promise)
    assert text.startswith("<Promise fulfilled: ")
    assert 110 > len(text)


def test_repr_of_a_promise_of_promises_is_finite():
    """A value that refers back to the promise does not recurse."""
    values = []
    promise = Promise.resolve(values)
    values.append(promise)
    assert 110 > len(repr(promise))


def test_repr_changes_nothing(scheduler, reports):
    """Looking at a rejection is not handling it."""
    promise = Promise.reject(ValueError("x"))
    assert "<Promise rejected: ValueError('x')>" == repr(promise)
    assert promise.is_rejected()
    scheduler.flush()
    assert 1 == len(reports)
