"""Promises/A+ 2.3: the promise resolution procedure."""

from __future__ import annotations

from unittest.mock import MagicMock, Mock

import pytest

from tests.support.promises import pending
from twpromise import Promise

ERROR = ValueError("reason")
LATE = KeyError("too late")


# --- 2.3.1: with itself


def test_2_3_1_a_handler_returns_its_own_promise(settled):
    """2.3.1: the promise is rejected with a TypeError."""
    children = []
    parent = settled.promise("outcome")
    children.append(parent.then(*[lambda _: children[0]] * 2))
    settled.run()
    assert TypeError is type(children[0].reason())


def test_2_3_1_resolve_with_itself(run):
    """2.3.1: the same by the function that an executor gets, at once."""
    promise, resolve, _ = pending()
    resolve(promise)
    assert TypeError is type(promise.reason())


@pytest.mark.parametrize("forwards", [True, False])
@pytest.mark.parametrize("length", [2, 3, 10])
def test_2_3_1_a_ring_of_promises(run, length, forwards):
    """2.3.1: a ring of promises that are resolved with each other rejects, all of it."""
    ring = [pending() for _ in range(length)]
    order = range(length) if forwards else reversed(range(length))
    for index in order:
        ring[index][1](ring[(index + 1) % length][0])
    run()
    assert {TypeError} == {type(promise.reason()) for promise, *_ in ring}


@pytest.mark.parametrize("hooks", ["first", "second", "both"])
def test_2_3_1_a_ring_of_promises_with_cancel_hooks(run, hooks):
    """2.3.1: executors that ask for `on_cancel` make no difference."""

    def hooked():
        functions = []

        def executor(resolve, reject, on_cancel):
            on_cancel(lambda: None)
            functions.extend((resolve, reject))

        return Promise(executor), *functions

    first = hooked() if hooks in ("first", "both") else pending()
    second = hooked() if hooks in ("second", "both") else pending()
    first[1](second[0])
    second[1](first[0])
    run()
    assert [TypeError] * 2 == [type(first[0].reason()), type(second[0].reason())]


def test_2_3_1_with_itself_with_cancel_hooks(run):
    """2.3.1: nor if it is resolved with itself."""
    functions = []

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: None)
        functions.append(resolve)

    promise = Promise(executor)
    functions[0](promise)
    run()
    assert TypeError is type(promise.reason())


# --- 2.3.2: with a promise


@pytest.mark.parametrize("route", ["handler", "executor", "resolve"])
def test_2_3_2_1_pending_as_long_as_the_other_is(run, route):
    """2.3.2.1: if x is pending, the promise must remain pending until x is settled."""
    x, resolve, _ = pending()
    promise = {
        "handler": lambda: Promise.resolve().then(lambda _: x),
        "executor": lambda: Promise(lambda resolve, reject: resolve(x)),
        "resolve": lambda: Promise.resolve(x),
    }[route]()
    called = []
    promise.then(called.append, called.append)
    run()
    assert ([], True) == (called, promise.is_pending())
    resolve("value")
    run()
    assert (["value"], "value") == (called, promise.value())


def test_2_3_2_2_fulfilled_with_the_same_value(fulfilled, resolve_with):
    """2.3.2.2: if/when x is fulfilled, the promise is fulfilled with the same value."""
    value = object()
    promise = resolve_with(fulfilled.promise(value))
    fulfilled.run()
    assert value is promise.value()


def test_2_3_2_3_rejected_with_the_same_reason(rejected, resolve_with):
    """2.3.2.3: if/when x is rejected, the promise is rejected with the same reason."""
    promise = resolve_with(rejected.promise(ERROR))
    rejected.run()
    assert ERROR is promise.reason()


# --- 2.3.3: with a thenable


def test_2_3_3_1_then_is_read_once(resolve_with, run):
    """2.3.3.1: "let then be x.then": the attribute is read once."""
    reads = []

    class Counting:
        @property
        def then(self):
            reads.append("then")
            return lambda resolve, reject: resolve("value")

    promise = resolve_with(Counting())
    run()
    assert (["then"], "value") == (reads, promise.value())


@pytest.mark.parametrize(
    "error",
    [ERROR, KeyboardInterrupt(), AttributeError("then")],
    ids=lambda error: type(error).__name__,
)
def test_2_3_3_2_then_cannot_be_read(resolve_with, run, throwing_accessor, error):
    """2.3.3.2: what reading `then` raises rejects the promise."""
    promise = resolve_with(throwing_accessor(error))
    run()
    assert error is promise.reason()


def test_2_3_3_3_called_with_x_and_two_functions(resolve_with, run):
    """2.3.3.3: `then` is called with x as `self`, and two functions."""
    called = []

    class Thenable:
        def then(self, *args):
            called.append((self, len(args), *map(callable, args)))
            args[0](None)

    x = Thenable()
    resolve_with(x)
    run()
    assert [(x, 2, True, True)] == called


def test_2_3_3_3_called_in_a_fresh_turn(scheduler, make_thenable):
    """2.3.3.3: `then` is not called from within what resolves (2.2.4's clean stack)."""
    called = []
    Promise.resolve(make_thenable(lambda resolve, reject: called.append("then")))
    assert [] == called
    scheduler.flush()
    assert ["then"] == called


@pytest.mark.parametrize(
    "y",
    [None, False, 5, "text", object(), [], ValueError("a value")],
    ids=lambda y: type(y).__name__,
)
def test_2_3_3_3_1_resolved_with_a_plain_value(outer, run, y):
    """2.3.3.3.1: if resolve is called with a value that is no thenable, it fulfils."""
    promise = Promise.resolve().then(lambda _: outer(y))
    run()
    assert y is promise.value()


def test_2_3_3_3_1_resolved_with_a_thenable_that_fulfils(outer, fulfilling, run):
    """2.3.3.3.1: every kind of thing that is followed, in every kind of thenable."""
    value = object()
    promise = Promise.resolve().then(lambda _: outer(fulfilling(value)))
    run()
    assert value is promise.value()


def test_2_3_3_3_1_resolved_with_a_thenable_that_rejects(outer, rejecting, run):
    """2.3.3.3.1: and the same for those that reject."""
    promise = Promise.resolve().then(lambda _: outer(rejecting(ERROR)))
    run()
    assert ERROR is promise.reason()


@pytest.mark.parametrize("inner", ["fulfilled", "rejected"])
def test_2_3_3_3_1_resolve_recurses_to_any_depth(resolve_with, outer, make_thenable, run, inner):
    """2.3.3.3.1: thenables that resolve with thenables."""
    innermost = Promise.resolve("value") if inner == "fulfilled" else Promise.reject(ERROR)
    promise = resolve_with(make_thenable(lambda resolve, _: resolve(outer(outer(innermost)))))
    run()
    if inner == "fulfilled":
        assert "value" == promise.value()
    else:
        assert ERROR is promise.reason()


def test_fulfilling_things_directly(resolve_with, fulfilling, run):
    """2.3.2, 2.3.3: each kind of thing that is followed, by each route."""
    value = object()
    promise = resolve_with(fulfilling(value))
    run()
    assert value is promise.value()


def test_rejecting_things_directly(resolve_with, rejecting, run):
    """2.3.2, 2.3.3: each kind of thing that is followed, by each route."""
    promise = resolve_with(rejecting(ERROR))
    run()
    assert ERROR is promise.reason()


@pytest.mark.parametrize(
    "reason",
    [None, False, 0, "text", ERROR, "thenable", "promise"],
    ids=lambda reason: str(reason),
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_2_3_3_3_2_reject_takes_anything_as_it_is(
    resolve_with, scheduler, run, make_thenable, reason, asynchronous
):
    """2.3.3.3.2: reject rejects with its argument, also with a thenable, which is not followed."""
    if reason == "thenable":
        reason = make_thenable(lambda resolve, reject: resolve("followed"))
    elif reason == "promise":
        reason = Promise.resolve("followed")

    def then(resolve, reject):
        if asynchronous:
            scheduler.call_later(0.05, reject, reason)
        else:
            reject(reason)

    promise = resolve_with(make_thenable(then))
    run()
    assert reason is promise.reason()


CALLS = {
    "resolve": lambda resolve, reject: resolve("other"),
    "reject": lambda resolve, reject: reject(LATE),
}


@pytest.mark.parametrize("first_when", ["synchronously", "asynchronously"])
@pytest.mark.parametrize("second_when", ["at once", "asynchronously"])
@pytest.mark.parametrize("second", CALLS)
@pytest.mark.parametrize(
    "first",
    ["resolve", "resolve with an asynchronous thenable", "resolve with a promise", "reject"],
)
def test_2_3_3_3_3_the_first_call_wins(
    resolve_with, scheduler, run, make_thenable, first, second, first_when, second_when
):
    """2.3.3.3.3: later calls are ignored, also while the first one's outcome is awaited."""
    value = {
        "resolve": lambda: "value",
        "resolve with an asynchronous thenable": lambda: make_thenable(
            lambda resolve, _: scheduler.call_later(0.2, resolve, "value")
        ),
        "resolve with a promise": lambda: Promise.resolve("value"),
        "reject": lambda: None,
    }[first]

    def then(resolve, reject):
        def first_call():
            if first == "reject":
                reject(ERROR)
            else:
                resolve(value())
            if second_when == "at once":
                CALLS[second](resolve, reject)

        if first_when == "synchronously":
            first_call()
        else:
            scheduler.call_later(0.05, first_call)
        if second_when == "asynchronously":
            scheduler.call_later(0.1, CALLS[second], resolve, reject)

    promise = resolve_with(make_thenable(then))
    run()
    if first == "reject":
        assert ERROR is promise.reason()
    else:
        assert "value" == promise.value()


@pytest.mark.parametrize("second", CALLS)
def test_2_3_3_3_3_a_pending_promise_is_a_first_call_too(resolve_with, run, make_thenable, second):
    """2.3.3.3.3: the promise that was given first decides, whenever it settles."""
    x, settle, _ = pending()

    def then(resolve, reject):
        resolve(x)
        CALLS[second](resolve, reject)

    promise = resolve_with(make_thenable(then))
    run()
    assert promise.is_pending()
    settle("value")
    run()
    assert "value" == promise.value()


def test_2_3_3_3_3_calls_saved_for_later(resolve_with, scheduler, run, make_thenable):
    """2.3.3.3.3: the functions are kept and called in turns of their own: the first wins."""
    saved = []
    promise = resolve_with(make_thenable(lambda *both: saved.append(both)))
    scheduler.flush()
    [(resolve, reject)] = saved
    resolve("value")
    scheduler.advance(0.05)
    reject(LATE)
    resolve("other")
    run()
    assert "value" == promise.value()


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("resolve", "value"),
        ("resolve with an asynchronous fulfilled promise", "value"),
        ("resolve with an asynchronous rejected promise", ERROR),
        ("reject", ERROR),
    ],
)
def test_2_3_3_3_4_1_what_is_raised_after_a_call_is_ignored(
    resolve_with, scheduler, run, make_thenable, first, expected
):
    """2.3.3.3.4.1: if resolve or reject have been called, what `then` raises is ignored."""

    def then(resolve, reject):
        x, settle, fail = pending()
        if first == "resolve":
            resolve("value")
        elif first == "reject":
            reject(ERROR)
        elif "fulfilled" in first:
            scheduler.call_later(0.05, settle, "value")
            resolve(x)
        else:
            scheduler.call_later(0.05, fail, ERROR)
            resolve(x)
        raise LATE

    promise = resolve_with(make_thenable(then))
    run()
    assert expected == (promise.value() if promise.is_fulfilled() else promise.reason())


@pytest.mark.parametrize("afterwards", [None, *CALLS])
def test_2_3_3_3_4_2_what_is_raised_before_any_call_rejects(
    resolve_with, scheduler, run, make_thenable, afterwards
):
    """2.3.3.3.4.2: otherwise it rejects, and what is called afterwards is ignored."""

    def then(resolve, reject):
        if afterwards is not None:
            scheduler.call_later(0.05, CALLS[afterwards], resolve, reject)
        raise ERROR

    promise = resolve_with(make_thenable(then))
    run()
    assert ERROR is promise.reason()


@pytest.mark.parametrize(
    "then",
    [5, None, "text", object(), {}, []],
    ids=lambda then: type(then).__name__,
)
def test_2_3_3_4_then_is_not_callable(resolve_with, run, then):
    """2.3.3.4: if `then` is no function, fulfil with x."""
    x = type("Impostor", (), {"then": then})()
    promise = resolve_with(x)
    run()
    assert x is promise.value()


@pytest.mark.parametrize("routes", [2, 5])
def test_a_thenable_that_resolves_with_itself_does_not_block(scheduler, make_thenable, routes):
    """2.3: an endless chain of thenables runs a turn at a time, so that others get theirs."""
    rounds = []
    others = []

    def then(resolve, reject):
        rounds.append(None)
        if len(rounds) < routes:
            resolve(x)
        else:
            resolve("value")

    x = make_thenable(then)
    promise = Promise.resolve(x)
    promise.then(lambda _: others.append("the end"))
    Promise.resolve().then(lambda _: others.append("another"))
    scheduler.flush()
    assert (routes, ["another", "the end"]) == (len(rounds), others)


# --- 2.3.4: with anything else


class WithAttribute:
    """Has a `then` on the instance, which does not make it a thenable."""

    def __init__(self):
        self.then = lambda resolve, reject: resolve("followed")


class WithGetattr:
    """Makes up attributes, which does not make it a thenable either."""

    def __getattr__(self, name):
        return lambda resolve, reject: resolve("followed")


class Meta(type):
    """A metaclass whose classes have a `then`; their instances do not."""

    def then(cls, resolve, reject):
        resolve("followed")


class OfMeta(metaclass=Meta):
    pass


@pytest.mark.parametrize(
    "x",
    [
        None,
        True,
        0,
        1.5,
        "text",
        b"",
        (),
        [1],
        {"then": 1},
        object(),
        lambda: None,
        Promise,
        ValueError("a value"),
        Mock(),
        MagicMock(),
        WithAttribute(),
        WithGetattr(),
        OfMeta(),
    ],
    ids=lambda x: type(x).__name__,
)
def test_2_3_4_anything_else_fulfils(resolve_with, run, x):
    """2.3.4: what is no thenable is a value; decided by its type, so that mocks are values."""
    promise = resolve_with(x)
    run()
    assert x is promise.value()
