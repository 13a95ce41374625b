"""Handlers that need not be written, and values that are bound: `twpromise._values`.

Bluebird's pages: .get, .call, .return, .throw, .bind, Promise.bind.
"""

from __future__ import annotations

from collections import ChainMap, OrderedDict, UserDict, deque
from types import MappingProxyType, SimpleNamespace
from typing import NamedTuple

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.support.followed import KINDS, later
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, pending
from twpromise import CancellationError, Promise

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")


# --- get


class Point(NamedTuple):
    x: int
    y: int


class LikeMapping:
    """Has what a mapping has, and is not registered as one."""

    def keys(self):
        return ["a", -1]

    def __getitem__(self, key):
        return {"a": "item a", -1: "item -1"}[key]


class Sequence:
    """The old protocol: no more than `len` and items."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return [10, 20, 30][index]


class DictWithAttribute(dict):
    attribute = "attribute"


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        # Items of sequences: from the start, from the end, clamped.
        ([1, 2, 3], 0, 1),
        ([1, 2, 3], 2, 3),
        ([1, 2, 3], -1, 3),
        ([1, 2, 3], -2, 2),
        ([1, 2, 3], -3, 1),
        ([1, 2, 3], -4, 1),
        ([1, 2, 3], -20, 1),
        ((1, 2), -1, 2),
        ("abc", -1, "c"),
        (b"abc", -3, ord("a")),
        (range(5), -7, 0),
        (deque([1, 2]), -5, 1),
        (Sequence(), -1, 30),
        (Sequence(), -9, 10),
        (Point(1, 2), -1, 2),
        ([1, 2, 3], slice(1, None), [2, 3]),
        ([1, 2, 3], True, 2),
        # Items of mappings: whatever the key is.
        ({"a": 1}, "a", 1),
        ({0: "zero", -1: "minus one"}, -1, "minus one"),
        ({None: 1}, None, 1),
        ({(1, 2): 3}, (1, 2), 3),
        ({"items": 1}, "items", 1),
        (OrderedDict(a=1), "a", 1),
        (UserDict(a=1), "a", 1),
        (ChainMap({}, {"a": 1}), "a", 1),
        (MappingProxyType({"a": 1}), "a", 1),
        (LikeMapping(), "a", "item a"),
        (LikeMapping(), -1, "item -1"),
        # Attributes of whatever else.
        (SimpleNamespace(name="value"), "name", "value"),
        (Point(1, 2), "y", 2),
        (1j, "imag", 1.0),
        ("text", "upper", None),
    ],
    ids=lambda value: type(value).__name__ + str(value).partition(" object at")[0],
)
def test_get(scheduler, value, key, expected):
    """The item of a mapping or a sequence, else the attribute."""
    promise = Promise.resolve(value).get(key)
    scheduler.flush()
    if key == "upper":
        assert "TEXT" == promise.value()()
    else:
        assert expected == promise.value()


@pytest.mark.parametrize(
    ("value", "key", "error"),
    [
        ([], 0, IndexError),
        ([], -1, IndexError),
        ([1], 1, IndexError),
        ({}, "a", KeyError),
        ({}, "items", KeyError),
        ({}, -1, KeyError),
        (DictWithAttribute(), "attribute", KeyError),
        ({}, [], TypeError),
        ([1], 1.0, TypeError),
        ([1], None, TypeError),
        ({1, 2}, 0, TypeError),
        (iter([1]), -1, TypeError),
        (None, "name", AttributeError),
        (None, 0, TypeError),
        (5, -1, TypeError),
        (SimpleNamespace(), "name", AttributeError),
    ],
    ids=lambda value: type(value).__name__ + str(value).partition(" object at")[0],
)
def test_get_of_a_missing_item_rejects(scheduler, value, key, error):
    """Rejects with Python's own error."""
    promise = Promise.resolve(value).get(key)
    scheduler.flush()
    assert error is type(promise.reason())


@pytest.mark.parametrize("kind", KINDS)
def test_a_promise_found_by_get_is_followed(scheduler, kind):
    """An item may be anything that is followed."""
    thing, resolve, _ = later(kind)
    promise = Promise.resolve([thing]).get(0)
    scheduler.flush()
    assert promise.is_pending()
    resolve("item")
    scheduler.flush()
    assert "item" == promise.value()


# --- call


class Counter:
    def __init__(self):
        self.calls = []

    def add(self, *arguments, **keywords):
        self.calls.append((arguments, keywords))
        return self

    def fail(self):
        raise Boom("from a method")

    async def async_method(self, number):
        return number + 1

    #: A parameter of that name is nothing special.
    def named(self, *, name):
        return name


def test_call(scheduler):
    """The method is called on the value, with all that is given."""
    counter = Counter()
    promise = (
        Promise.resolve(counter)
        .call("add")
        .call("add", 1, 2)
        .call("add", 1, key="value")
        .get("calls")
    )
    scheduler.flush()
    assert [((), {}), ((1, 2), {}), ((1,), {"key": "value"})] == promise.value()


def test_call_chains_methods_of_values(scheduler):
    """As the page's chain does: one method of each result after the other."""
    promise = Promise.resolve("b,a,c").call("split", ",").then(sorted).then("-".join).call("upper")
    scheduler.flush()
    assert "A-B-C" == promise.value()


def test_call_of_async_methods_and_keywords(scheduler):
    """What the method returns is followed; its parameters may have any name."""
    promises = [
        Promise.resolve(Counter()).call("async_method", 1),
        Promise.resolve(Counter()).call("named", name="x"),
    ]
    scheduler.flush()
    assert [2, "x"] == [promise.value() for promise in promises]


@pytest.mark.parametrize(
    ("name", "error"),
    [("missing", AttributeError), ("calls", TypeError), ("fail", Boom), ("named", TypeError)],
)
def test_a_failing_call_rejects(scheduler, name, error):
    """No such method, no method, a method that raises, wrong arguments: all reject."""
    promise = Promise.resolve(Counter()).call(name)
    scheduler.flush()
    assert error is type(promise.reason())


@pytest.mark.parametrize("kind", KINDS)
def test_a_promise_returned_by_the_method_is_followed(scheduler, kind):
    """Whatever it is."""
    thing, resolve, _ = later(kind)
    promise = Promise.resolve([thing]).call("pop")
    scheduler.flush()
    assert promise.is_pending()
    resolve("item")
    scheduler.flush()
    assert "item" == promise.value()


# --- return_ and throw

RETURNS = ["return_", "then_return", "thenReturn"]
THROWS = ["throw", "then_throw", "thenThrow"]


@pytest.mark.parametrize("name", RETURNS)
def test_return(scheduler, name):
    """The value, once there is one; whatever it was."""
    parent, resolve, _ = pending()
    promise = getattr(parent, name)("instead")
    scheduler.flush()
    assert promise.is_pending()
    resolve("value")
    scheduler.flush()
    assert "instead" == promise.value()


@pytest.mark.parametrize("name", RETURNS)
def test_return_of_nothing_is_none(scheduler, name):
    """The value may be left out."""
    promise = getattr(Promise.resolve("value"), name)()
    scheduler.flush()
    assert ("fulfilled", None) == outcome(promise)


@pytest.mark.parametrize("name", RETURNS)
def test_return_binds_the_value_when_it_is_called(scheduler, name):
    """Not when the promise is fulfilled: so this does not work, as on the page."""
    data = None

    def query(result):
        nonlocal data
        data = result

    promise = getattr(Promise.resolve("result").then(query), name)(data)
    scheduler.flush()
    assert ("result", None) == (data, promise.value())


@pytest.mark.parametrize("name", RETURNS + THROWS)
def test_rejections_pass_by(scheduler, name):
    """They are no values."""
    error = Boom()
    promise = getattr(Promise.reject(error), name)(ValueError("instead"))
    scheduler.flush()
    assert ("rejected", error) == outcome(promise)


@pytest.mark.parametrize("kind", KINDS)
def test_a_promise_given_to_return_is_followed(scheduler, kind):
    """As from a handler."""
    thing, resolve, _ = later(kind)
    promise = Promise.resolve("value").return_(thing)
    scheduler.flush()
    assert promise.is_pending()
    resolve("instead")
    scheduler.flush()
    assert "instead" == promise.value()


@pytest.mark.parametrize(
    ("attach", "settle"),
    [
        (lambda promise, value: promise.return_(value), "resolve"),
        (lambda promise, value: promise.catch_return(value), "reject"),
        (lambda promise, value: promise.catch_return(Boom, value), "reject"),
    ],
    ids=["return_", "catch_return", "catch_return with a filter"],
)
def test_a_rejected_promise_given_to_return_is_not_reported_early(
    scheduler, reports, attach, settle
):
    """Only when it is returned; and then once, for the resulting promise."""
    source = Promise.defer()
    error = ValueError("instead")
    promise = attach(source.promise, Promise.reject(error))
    scheduler.flush()
    assert [] == reasons(reports)
    getattr(source, settle)(Boom())
    scheduler.flush()
    assert ([error], ("rejected", error)) == (reasons(reports), outcome(promise))


def test_a_function_is_returned_as_it_is(scheduler):
    """Nothing is called."""
    promise = Promise.resolve("value").return_(len)
    scheduler.flush()
    assert len is promise.value()


@pytest.mark.parametrize("name", THROWS)
@pytest.mark.parametrize("reason", [Boom("x"), KeyboardInterrupt(), "text", None], ids=repr)
def test_throw(scheduler, name, reason):
    """The reason, once there is a value; anything may be one."""
    parent, resolve, _ = pending()
    promise = getattr(parent, name)(reason)
    resolve("value")
    scheduler.flush()
    assert ("rejected", reason) == outcome(promise)


def test_throw_of_nothing_is_none(scheduler):
    """The reason may be left out."""
    promise = Promise.resolve("value").throw()
    scheduler.flush()
    assert ("rejected", None) == outcome(promise)


def test_throw_of_a_failure_and_of_a_class(scheduler):
    """A Failure stands for what it holds, and a class is called, as by `raise`."""
    error = Boom()
    promises = [Promise.resolve().throw(Failure(error)), Promise.resolve().throw(Boom)]
    scheduler.flush()
    reasons = [promise.reason() for promise in promises]
    assert (error, Boom) == (reasons[0], type(reasons[1]))


def test_the_thrown_reason_is_handled_by_the_next_handler(scheduler, reports):
    """Nothing is reported of the promise in between."""
    seen = []
    error = Boom()
    Promise.resolve().throw(error).catch(seen.append)
    scheduler.flush()
    assert ([error], []) == (seen, reports)


def test_throwing_the_same_error_often_does_not_grow_its_traceback(scheduler):
    """It was never raised."""
    error = Boom()
    for _ in range(3):
        Promise.resolve().throw(error).catch(lambda _: None)
        scheduler.flush()
    assert None is error.__traceback__


# --- bind


def record(calls):
    """A handler that records all of its arguments, and returns the last one."""

    def handler(*arguments):
        calls.append(arguments)
        return arguments[-1] if arguments else None

    return handler


BINDS = {
    "method": lambda this, value: Promise.resolve(value).bind(this),
    "static": Promise.bind,
    "static, of a promise": lambda this, value: Promise.bind(this, Promise.resolve(value)),
    "of a pending promise": lambda this, value: Promise.delay(0, value).bind(this),
}


@pytest.mark.parametrize("name", BINDS)
@pytest.mark.parametrize("this", ["this", 0, "", [], len, Boom], ids=repr)
def test_bind(scheduler, name, this):
    """Handlers get the bound value first, all down the chain; any value but None is one."""
    calls = []
    promise = BINDS[name](this, "value").then(record(calls)).then(record(calls))
    scheduler.flush()
    assert [(this, "value"), (this, "value")] == calls
    assert "value" == promise.value()


def test_bind_changes_nothing_of_the_outcome(scheduler):
    """A bound promise follows the one it was made of."""
    error = Boom()
    good, bad = Promise.resolve("value").bind("this"), Promise.reject(error).bind("this")
    assert [("fulfilled", "value"), ("rejected", error)] == [outcome(good), outcome(bad)]
    assert ("fulfilled", None) == outcome(Promise.bind("this"))


def test_bind_makes_another_promise(scheduler):
    """The one it is called on stays as it was."""
    calls = []
    promise = Promise.resolve("value")
    promise.bind("this")
    promise.then(record(calls))
    scheduler.flush()
    assert [("value",)] == calls


@pytest.mark.parametrize("arguments", [(), (None,)], ids=["nothing", "None"])
def test_unbinding(scheduler, arguments):
    """`bind()` and `bind(None)` end the binding for the promises behind."""
    calls = []
    Promise.bind("this", "value").then(record(calls)).bind(*arguments).then(record(calls))
    scheduler.flush()
    assert [("this", "value"), ("value",)] == calls


def test_rebinding(scheduler):
    """The last one counts."""
    calls = []
    Promise.resolve("value").bind("one").then(record(calls)).bind("two").then(record(calls))
    scheduler.flush()
    assert [("one", "value"), ("two", "value")] == calls


def test_rebinding_to_call_unbound_methods(scheduler):
    """The page's gratuitous example: methods of classes as handlers."""
    seen = []

    class Document:
        def get_element_by_id(self, name):
            return self, name

    class Console:
        def log(self, what):
            seen.append((self, what))

    document, console = Document(), Console()
    (
        Promise.resolve("my-element")
        .bind(document)
        .then(Document.get_element_by_id)
        .bind(console)
        .then(Console.log)
    )
    scheduler.flush()
    assert [(console, (document, "my-element"))] == seen


def test_sharing_state_without_closures(scheduler):
    """The page's scope object."""

    def first(scope, a, b):
        scope.a, scope.b = a, b
        return Promise.resolve(a * b)

    promise = (
        Promise.resolve([2, 3])
        .bind(SimpleNamespace())
        .spread(first)
        .then(lambda scope, c: scope.a + scope.b + c)
    )
    scheduler.flush()
    assert 11 == promise.value()


def test_chains_inside_a_handler_are_not_bound(scheduler):
    """Binding goes along chains, not into what handlers do."""
    calls = []

    def outer(this, value):
        return Promise.all([value]).then(record(calls))

    Promise.bind("this", "value").then(outer).then(record(calls))
    scheduler.flush()
    assert [(["value"],), ("this", ["value"])] == calls


@pytest.mark.parametrize(
    "derive",
    [
        lambda promise: promise.then(),
        lambda promise: promise.then(lambda this, value: value),
        lambda promise: promise.then(lambda this, value: Promise.resolve(value)),
        lambda promise: promise.catch(record([])),
        lambda promise: promise.finally_(record([])),
        lambda promise: promise.tap(record([])),
        lambda promise: promise.tap_catch(record([])),
        lambda promise: promise.get(slice(None)),
        lambda promise: promise.call("strip"),
        lambda promise: promise.return_("value"),
        lambda promise: promise.throw(Boom()).catch_return("value"),
        lambda promise: promise.throw(Boom()).catch_throw(Boom()).catch_return("value"),
        lambda promise: promise.delay(0),
        lambda promise: promise.timeout(1),
        lambda promise: promise.reflect().call("value"),
        lambda promise: Promise.resolve(promise),
        lambda promise: promise.return_(["value"]).all().get(0),
        lambda promise: promise.return_(["value"]).any(),
        lambda promise: promise.return_(["value"]).map(record([])).get(0),
        lambda promise: promise.return_(["value"]).spread(record([])),
    ],
    ids=[
        "then, empty",
        "then",
        "then with a promise",
        "catch",
        "finally_",
        "tap",
        "tap_catch",
        "get",
        "call",
        "return_",
        "catch_return",
        "catch_throw",
        "delay",
        "timeout",
        "reflect",
        "Promise.resolve",
        "all",
        "any",
        "map",
        "spread",
    ],
)
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "pending"])
def test_whatever_is_derived_is_bound_too(scheduler, derive, settled):
    """With the same binding."""
    calls = []
    gate, open_gate, _ = pending()
    promise = Promise.bind("this", "value" if settled else gate)
    derive(promise).then(record(calls))
    open_gate("value")
    scheduler.flush()
    assert [("this", "value")] == calls


def test_a_follower_of_a_bound_promise_is_not_bound(scheduler):
    """Derived promises get the binding, followers do not."""
    calls = []
    bound = Promise.bind("this", "value")
    Promise(lambda resolve, reject: resolve(bound)).then(record(calls))
    Promise.resolve().then(lambda _: bound).then(record(calls))
    scheduler.flush()
    assert [("value",), ("value",)] == calls


STARTS = {
    "try_": lambda function: Promise.try_(function),
    "method": lambda function: Promise.method(function)(),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("this", ["a value", "pending"])
def test_the_promise_of_a_function_is_bound_as_what_it_returns(scheduler, start, this):
    """Unlike a follower: it is the same promise to users."""
    pending_this, resolve_this, _ = pending()
    calls = []
    bound = Promise.bind("this" if this == "a value" else pending_this, "value")
    STARTS[start](lambda: bound).then(record(calls)).then(record(calls))
    resolve_this("this")
    scheduler.flush()
    assert [("this", "value")] * 2 == calls


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("returns", ["a value", "a promise", "a rejection"])
def test_the_promise_of_a_function_is_not_bound_otherwise(scheduler, start, returns):
    """Handlers get one argument."""
    made = {
        "a value": lambda: "value",
        "a promise": lambda: Promise.bind("this", "value").bind(),
        "a rejection": lambda: Promise.reject("value"),
    }
    calls = []
    STARTS[start](made[returns]).then(record(calls), record(calls))
    scheduler.flush()
    assert [("value",)] == calls


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["this", "value"])
def test_binding_a_promise_binds_its_value(scheduler, kind, first):
    """It is waited for; what is bound is its value."""
    this, resolve_this, _ = later(kind)
    source, resolve, _ = pending()
    calls = []
    promise = source.bind(this)
    promise.then(record(calls)).then(record(calls))
    steps = [lambda: resolve_this("this"), lambda: resolve("value")]
    for step in steps if first == "this" else reversed(steps):
        scheduler.flush()
        assert (True, []) == (promise.is_pending(), calls)
        step()
    scheduler.flush()
    assert [("this", "value"), ("this", "value")] == calls


def test_binding_a_settled_promise(scheduler):
    """The static function, with both followed."""
    calls = []
    Promise.bind(Promise.resolve("this"), Promise.resolve("value")).then(record(calls))
    fired = Deferred()
    fired.callback("this")
    Promise.bind(fired, "value").then(record(calls))
    scheduler.flush()
    assert [("this", "value")] * 2 == calls


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["pending", "fulfilled", "rejected"])
def test_binding_a_rejected_promise_rejects(scheduler, reports, kind, source):
    """Handlers get None for the bound value; an earlier reason is reported, and not lost."""
    this, _, reject_this = later(kind)
    error, another = Boom("no this"), Boom("another")
    sources = {
        "pending": lambda: pending()[0],
        "fulfilled": lambda: Promise.resolve("value"),
        "rejected": lambda: Promise.reject(another),
    }
    calls = []
    sources[source]().bind(this).then(record(calls), record(calls))
    scheduler.flush()
    reject_this(error)
    scheduler.flush()
    lost = [another] if source == "rejected" else []
    assert ([(None, error)], lost) == (calls, reasons(reports))


@pytest.mark.parametrize("first", ["this", "source"])
def test_both_parts_of_a_bound_promise_are_rejected(scheduler, reports, first):
    """The promise is rejected with the reason of `this`; the other one is reported, once."""
    source, this = Source(), Source()
    errors = {"this": Boom("this"), "source": Boom("source")}
    promise = source.promise.bind(this.promise)
    promise.suppress_unhandled_rejections()
    steps = [lambda: this.reject(errors["this"]), lambda: source.reject(errors["source"])]
    for step in steps if first == "this" else reversed(steps):
        step()
        scheduler.flush()
    assert (errors["this"], [errors["source"]]) == (promise.reason(), reasons(reports))


@pytest.mark.parametrize("first", ["this", "source"])
def test_both_parts_of_a_bound_promise_are_rejected_with_one_reason(scheduler, reports, first):
    """It is not reported beside the promise that has it."""
    failed = Promise.reject(Boom())
    other = failed.then(str)
    source, this = (failed, other) if first == "source" else (other, failed)
    promise = source.bind(this)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert (True, []) == (promise.is_rejected(), reports)


def test_the_other_part_of_a_rejected_bound_promise_can_be_cancelled(scheduler):
    """What waits for its rejection, to report it, is no consumer."""
    source, this = Source(), Source()
    promise = source.promise.bind(this.promise)
    promise.suppress_unhandled_rejections()
    consumer = source.promise.then(str)
    this.reject(Boom())
    scheduler.flush()
    consumer.cancel()
    scheduler.flush()
    assert (True, 1) == (promise.is_rejected(), source.cancelled)


@pytest.mark.parametrize("order", ["this first", "source first"])
def test_a_rejection_waits_for_what_is_bound(scheduler, reports, order):
    """It is not reported meanwhile: handlers will get it, with the bound value."""
    source, _, reject = pending()
    this, resolve_this, _ = pending()
    error = Boom()
    calls = []
    source.bind(this).catch(record(calls))
    steps = [lambda: resolve_this("this"), lambda: reject(error)]
    for step in steps if order == "this first" else reversed(steps):
        step()
        scheduler.flush()
    assert ([("this", error)], []) == (calls, reports)


def test_a_rejection_with_something_bound_is_reported_once(scheduler, reports):
    """If it has no handler."""
    error = Boom()
    Promise.reject(error).bind("this")
    other = Boom()
    Promise.reject(other).bind(Promise.resolve("this"))
    scheduler.flush()
    assert {error, other} == set(reasons(reports))
    assert 2 == len(reports)


def test_binding_to_a_cancelled_promise(scheduler):
    """It is observed late, as by any other consumer."""
    this, *_ = pending()
    this.cancel()
    promise = Promise.resolve("value").bind(this)
    scheduler.flush()
    assert CancellationError is type(promise.reason())
    assert "the promise was cancelled (late cancellation observer)" == str(promise.reason())


@pytest.mark.parametrize("this", ["this", "promise"])
@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("done", [False, True], ids=["cancelling", "cancelled"])
def test_binding_a_cancelled_promise(scheduler, this, follows, done):
    """And the same if the source is, or what it follows, or is about to be."""
    gate, open_gate, _ = pending()
    root = pending()[0].finally_(lambda: None if done else gate)
    source = Promise(lambda resolve, _: resolve(root)) if follows else root
    root.cancel()
    if done:
        scheduler.flush()
    promise = source.bind("this" if this == "this" else Promise.resolve("this"))
    scheduler.flush()
    assert CancellationError is type(promise.reason())
    open_gate()


# --- binding and cancelling


@pytest.mark.parametrize("this", ["a value", "pending", "settled", "settled later"])
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_cancelling_a_bound_promise(scheduler, this, others):
    """The source and the promise to be bound are cancelled, unless they have other consumers."""
    source, binding = Source(), Source()
    if others:
        source.promise.then(str)
        binding.promise.then(str)
    if this == "settled":
        binding.resolve("this")
    promise = source.promise.bind("this" if this == "a value" else binding.promise)
    scheduler.flush()
    if this == "settled later":
        binding.resolve("this")
        scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert ("cancelled", None) == outcome(promise)
    assert int(not others) == source.cancelled
    assert int(not others and this == "pending") == binding.cancelled


@pytest.mark.parametrize("which", ["source", "this"])
def test_cancelling_a_bound_promise_just_after_one_part_has_settled(scheduler, which):
    """One of the two is there, and has yet to say so."""
    source, binding = Source(), Source()
    promise = source.promise.bind(binding.promise)
    after = []
    promise.finally_(lambda *_: after.append("after"))
    scheduler.flush()
    (source if which == "source" else binding).resolve("value")
    promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), ["after"]) == (outcome(promise), after)
    expected = (0, 1) if which == "source" else (1, 0)
    assert expected == (source.cancelled, binding.cancelled)


def test_cancelling_a_bound_promise_just_after_both_parts_have_settled(scheduler):
    """There is nothing to wait for."""
    source, binding = Source(), Source()
    promise = source.promise.bind(binding.promise)
    after = []
    promise.finally_(lambda *_: after.append("after"))
    scheduler.flush()
    source.resolve("value")
    binding.resolve("this")
    promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), ["after"]) == (outcome(promise), after)


@pytest.mark.parametrize("which", ["source", "this"])
@pytest.mark.parametrize("other", ["pending", "fulfilled", "rejected"])
def test_cancelling_one_part_cancels_the_bound_promise(scheduler, which, other):
    """And with it the other part."""
    source, binding = Source(), Source()
    promise = source.promise.bind(binding.promise)
    scheduler.flush()
    gone, left = (source, binding) if which == "source" else (binding, source)
    if other == "fulfilled":
        left.resolve("value")
    elif other == "rejected":
        left.reject(Boom())
    scheduler.flush()
    gone.promise.cancel()
    scheduler.flush()
    if other == "rejected":
        # A failure is not lost.
        assert Boom is type(promise.reason())
    elif other == "fulfilled" and which == "source":
        assert ("cancelled", None) == outcome(promise)
    else:
        assert ("cancelled", None) == outcome(promise)
    assert int(other == "pending") == left.cancelled


@pytest.mark.parametrize("failing", ["source", "this", "both"])
@pytest.mark.parametrize("first", ["source", "this"])
def test_cleanup_of_both_is_waited_for(scheduler, reports, failing, first):
    """Errors on the way are reported."""
    gates = {"source": pending(), "this": pending()}

    def cleanup(name):
        return lambda: gates[name][0]

    source = Source().promise.finally_(cleanup("source"))
    this = Source().promise.finally_(cleanup("this"))
    promise = source.bind(this)
    after = []
    scheduler.flush()
    last = promise.finally_(lambda *_: after.append("after"))
    last.cancel()
    names = ["source", "this"] if first == "source" else ["this", "source"]
    for name in names:
        scheduler.flush()
        assert (True, []) == (last.is_cancelled(), after)
        _, resolve, reject = gates[name]
        if failing in (name, "both"):
            reject(Boom(name))
        else:
            resolve()
    scheduler.flush()
    assert ["after"] == after
    assert promise.is_cancelled()
    assert [name for name in names if failing in (name, "both")] == list(map(str, reasons(reports)))


@pytest.mark.exhaustive
def test_many_bound_promises_in_a_chain(scheduler):
    """A long chain of binds neither recurses nor forgets."""
    calls = []
    source, resolve, _ = pending()
    promise = source
    for number in range(10_000):
        promise = promise.bind(number)
    promise.then(record(calls))
    resolve("value")
    scheduler.flush()
    assert [(9_999, "value")] == calls
