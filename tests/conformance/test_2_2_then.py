"""Promises/A+ 2.2: the `then` method."""

from __future__ import annotations

import inspect

import pytest

from twpromise import Promise

ERROR = ValueError("reason")
OTHER_ERROR = KeyError("other reason")


@pytest.fixture(params=["None", "False", "5", "object", "str"])
def not_callable(request):
    """Things that are no functions."""
    return {"None": None, "False": False, "5": 5, "object": object(), "str": "f"}[request.param]


# --- 2.2.1: both arguments are optional


@pytest.mark.parametrize("given", [(), (None,), (None, None)], ids=len)
def test_2_2_1_both_arguments_are_optional(settled, given):
    """2.2.1: `then` may be given both handlers, one, or none."""
    outcome = "value" if settled.how == "fulfilled" else ERROR
    child = settled.promise(outcome).then(*given)
    settled.run()
    got = child.value() if settled.how == "fulfilled" else child.reason()
    assert outcome is got


def test_2_2_1_1_on_fulfilled_that_is_no_function_is_ignored(rejected, not_callable):
    """2.2.1.1: also where the other handler is one, directly or down a chain."""
    called = []
    rejected.promise(ERROR).then(not_callable, called.append)
    rejected.promise(ERROR).then(lambda _: None, None).then(not_callable, called.append)
    rejected.run()
    assert [ERROR, ERROR] == called


def test_2_2_1_2_on_rejected_that_is_no_function_is_ignored(fulfilled, not_callable):
    """2.2.1.2: also where the other handler is one, directly or down a chain."""
    called = []
    fulfilled.promise("value").then(called.append, not_callable)
    fulfilled.promise("value").then(None, lambda _: None).then(called.append, not_callable)
    fulfilled.run()
    assert ["value", "value"] == called


# --- 2.2.2 and 2.2.3: when handlers are called, and with what


def handlers(called):
    """A pair of handlers that record which of them was called, and with what."""
    return (lambda *args: called.append(("fulfilled", *args))), (
        lambda *args: called.append(("rejected", *args))
    )


def test_2_2_2_1_on_fulfilled_gets_the_value(fulfilled):
    """2.2.2.1: called after the promise is fulfilled, with its value as first argument."""
    called = []
    fulfilled.promise("value").then(*handlers(called))
    fulfilled.run()
    assert [("fulfilled", "value")] == called


def test_2_2_3_1_on_rejected_gets_the_reason(rejected):
    """2.2.3.1: called after the promise is rejected, with its reason as first argument."""
    called = []
    rejected.promise(ERROR).then(*handlers(called))
    rejected.run()
    assert [("rejected", ERROR)] == called


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_2_2_2_2_and_2_2_3_2_not_before_it_has_settled(scheduler, run, how):
    """2.2.2.2, 2.2.3.2: no handler is called as long as the promise is pending, or ever."""
    called = []
    functions = []
    promise = Promise(lambda *both: functions.extend(both))
    promise.then(*handlers(called))
    never = Promise(lambda resolve, reject: None)
    never.then(*handlers(called))
    run()
    assert [] == called
    functions[how == "rejected"]("outcome")
    assert [] == called
    run()
    assert [(how, "outcome")] == called


@pytest.mark.parametrize("second_after", [None, 0, 0.05])
@pytest.mark.parametrize("first_after", [None, 0.05])
def test_2_2_2_3_and_2_2_3_3_called_once(scheduler, run, first_after, second_after):
    """2.2.2.3, 2.2.3.3: not more than once, however often and whenever it is settled again."""
    for index in (0, 1):
        called = []
        functions = []
        promise = Promise(lambda *both: functions.extend(both))  # noqa: B023 - called at once
        promise.then(*handlers(called))
        if first_after is not None:
            scheduler.advance(first_after)
        functions[index]("first")
        if second_after is not None:
            scheduler.advance(second_after)
        functions[index]("second")
        run()
        assert [(("fulfilled", "rejected")[index], "first")] == called


def test_2_2_2_3_and_2_2_3_3_called_once_with_several_thens_in_between(settled, scheduler):
    """2.2.2.3, 2.2.3.3: each of several `then` calls, spaced apart, gets its one call."""
    called = []
    promise = settled.promise("outcome")
    promise.then(*handlers(called))
    scheduler.advance(0.01)
    promise.then(*handlers(called))
    settled.run()
    promise.then(*handlers(called))
    settled.run()
    assert [(settled.how, "outcome")] * 3 == called


# --- 2.2.4: not until the stack is clear


def test_2_2_4_not_from_within_then(settled):
    """2.2.4: `then` returns before any handler is called."""
    called = []
    promise = settled.promise("outcome")
    promise.then(*handlers(called))
    called.append("then has returned")
    settled.run()
    assert ["then has returned", (settled.how, "outcome")] == called


@pytest.mark.parametrize("index", [0, 1], ids=["resolve", "reject"])
def test_2_2_4_not_from_within_what_settles(scheduler, run, index):
    """2.2.4: neither `resolve` nor `reject` calls a handler."""
    called = []
    functions = []
    promise = Promise(lambda *both: functions.extend(both))
    promise.then(*handlers(called))
    functions[index]("outcome")
    called.append("it has returned")
    run()
    assert ["it has returned", (("fulfilled", "rejected")[index], "outcome")] == called


def test_2_2_4_not_from_within_another_handler(settled):
    """2.2.4: a handler attached by a handler, of either kind, runs after that one has ended."""
    called = []
    promise = settled.promise("outcome")

    def handler(_):
        promise.then(*handlers(called))
        called.append("the outer one has ended")

    promise.then(handler, handler)
    settled.run()
    assert ["the outer one has ended", (settled.how, "outcome")] == called


def test_2_2_4_a_handler_that_settles_runs_to_its_end(settled, run):
    """2.2.4: a handler that settles another promise is not interrupted by that one's."""
    called = []
    functions = []
    other = Promise(lambda *both: functions.extend(both))
    other.then(*handlers(called))

    def handler(outcome):
        functions[0](outcome)
        called.append("the outer one has ended")

    settled.promise("outcome").then(handler, handler)
    settled.run()
    assert ["the outer one has ended", ("fulfilled", "outcome")] == called


# --- 2.2.5: functions, with nothing else


def test_2_2_5_called_as_functions(settled):
    """2.2.5: with the outcome and no other argument; nor is anything else of ours around."""
    called = []

    def handler(*args, **kwargs):
        called.append((args, kwargs, inspect.currentframe().f_code.co_name))

    settled.promise("outcome").then(handler, handler)
    settled.run()
    assert [(("outcome",), {}, "handler")] == called


# --- 2.2.6: several times on the same promise


def test_2_2_6_in_the_order_of_their_calls(settled):
    """2.2.6.1, 2.2.6.2: all handlers of their kind, in order, each with the outcome."""
    called = []
    promise = settled.promise("outcome")
    for number in range(5):
        wrong = lambda _: called.append("wrong")  # noqa: E731
        right = lambda outcome, number=number: called.append((number, outcome))  # noqa: E731
        if settled.how == "fulfilled":
            promise.then(right, wrong)
        else:
            promise.then(wrong, right)
    settled.run()
    assert [(number, "outcome") for number in range(5)] == called


def test_2_2_6_also_if_one_of_them_raises(settled):
    """2.2.6: an exception in one handler keeps no other from being called."""
    called = []
    promise = settled.promise("outcome")

    def failing(_):
        called.append("failing")
        raise ERROR

    promise.then(*handlers(called))
    child = promise.then(failing, failing)
    promise.then(*handlers(called))
    settled.run()
    assert [(settled.how, "outcome"), "failing", (settled.how, "outcome")] == called
    assert ERROR is child.reason()


def test_2_2_6_branches_are_independent(settled):
    """2.2.6: one branch per `then`: each has the outcome of its own handler."""
    promise = settled.promise("outcome")

    def failing(_):
        raise ERROR

    first = promise.then(*[lambda _: "one"] * 2)
    second = promise.then(failing, failing)
    third = promise.then(*[lambda _: "three"] * 2)
    settled.run()
    assert ("one", ERROR, "three") == (first.value(), second.reason(), third.value())


def test_2_2_6_in_order_even_when_attached_from_a_handler(settled):
    """2.2.6: a handler attached by a handler runs behind those attached before it."""
    called = []
    promise = settled.promise("outcome")

    def first(_):
        called.append(1)
        promise.then(*[lambda _: called.append(3)] * 2)

    promise.then(first, first)
    promise.then(*[lambda _: called.append(2)] * 2)
    settled.run()
    assert [1, 2, 3] == called


# --- 2.2.7: what `then` returns


def test_2_2_7_then_returns_a_promise(settled):
    """2.2.7: a new promise."""
    promise = settled.promise("outcome")
    child = promise.then()
    assert isinstance(child, Promise)
    assert child is not promise
    settled.run()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("an exception"),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        StopIteration("value"),
        type("Thenable", (Exception,), {"then": lambda self, resolve, reject: resolve(1)})(),
        AssertionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_2_2_7_2_what_a_handler_raises_rejects(settled, error):
    """2.2.7.2: whatever it is, a thenable included; it is not followed."""

    def handler(_):
        raise error

    child = settled.promise("outcome").then(handler, handler)
    settled.run()
    assert error is child.reason()


VALUES = [None, False, 0, "text", 5.0, [], {}, object(), Exception("as a value"), type]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_2_2_7_1_what_a_handler_returns_fulfils(settled, value):
    """2.2.7.1: the child is resolved with it, whichever handler returned it."""
    child = settled.promise("outcome").then(lambda _: value, lambda _: value)
    settled.run()
    assert value is child.value()


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_2_2_7_3_without_on_fulfilled_the_value_is_passed_on(fulfilled, value):
    """2.2.7.3: if on_fulfilled is no function, the child is fulfilled with the same value."""
    children = [fulfilled.promise(value).then(none, lambda _: "wrong") for none in (None, 5)]
    fulfilled.run()
    assert all(child.value() is value for child in children)


@pytest.mark.parametrize(
    "reason",
    [ERROR, None, False, 0, "text", KeyboardInterrupt()],
    ids=lambda reason: type(reason).__name__,
)
def test_2_2_7_4_without_on_rejected_the_reason_is_passed_on(rejected, reason):
    """2.2.7.4: if on_rejected is no function, the child is rejected with the same reason."""
    children = [rejected.promise(reason).then(lambda _: "wrong", none) for none in (None, 5)]
    rejected.run()
    assert all(child.reason() is reason for child in children)
