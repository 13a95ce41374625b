"""Waiting for several: `all`, `all_settled`, `props`, `any`, `some`, `race`, `join`, `spread`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import sys
import weakref
from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from types import MappingProxyType

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from tests.support.collections import calls_of, sources
from tests.support.promises import Boom, Source, pending, quiet
from tests.support.things import Value
from tests.support.threads import in_thread
from twpromise import AggregateError, CancellationError, Promise
from twpromise._core.resolving import adopters

pytestmark = pytest.mark.usefixtures("scheduler")

NOT_ITERABLE = "expecting an array, a promise or a thenable"


def cancelled(scheduler):
    """A promise that was cancelled a while ago."""
    promise = Source().promise
    promise.cancel()
    scheduler.flush()
    return promise


def cancelling(scheduler):
    """A promise that is cancelled, and takes a second to clean up."""
    promise = Source().promise.finally_(lambda: Promise.delay(1))
    promise.cancel()
    scheduler.flush()
    return promise


def outcome(promise):
    """The value of a promise, or its reason, or the word for its state."""
    if promise.is_fulfilled():
        return promise.value()
    return promise.reason() if promise.is_rejected() else repr(promise)[9:-1]


class Thenable:
    def __init__(self, value):
        self.value = value

    def then(self, on_fulfilled, on_rejected):
        on_fulfilled(self.value)


async def returns(value):
    return value


def asyncio_future(value):
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    future.set_result(value)
    return future


def concurrent_future(value):
    future = concurrent.futures.Future()
    future.set_result(value)
    return future


def follower(value):
    source, promise = Source(), Source()
    promise.resolve(source.promise)
    source.resolve(value)
    return promise.promise


#: What makes of a value something that is followed, or is the value already.
WRAPPED = {
    "value": lambda value: value,
    "promise": Promise.resolve,
    "later": lambda value: Promise.resolve().then(lambda _: value),
    "follower": follower,
    "other copy": Promise.get_new_library_copy().resolve,
    "Deferred": succeed,
    "coroutine": returns,
    "asyncio": asyncio_future,
    "concurrent": concurrent_future,
    "thenable": Thenable,
}

#: Every method that waits for several, as functions of the input.
METHODS = {
    "all": Promise.all,
    "all_settled": Promise.all_settled,
    "any": Promise.any,
    "some": lambda xs: Promise.some(xs, 2),
    "race": Promise.race,
}
IDS = list(METHODS)

#: Those, and what they make of the values 1, 2, 3 if all are there.
RESULTS = {
    "all": (METHODS["all"], [1, 2, 3]),
    "any": (METHODS["any"], 1),
    "some": (METHODS["some"], [1, 2]),
    "race": (METHODS["race"], 1),
}

each_kind = pytest.mark.parametrize("wrap", WRAPPED.values(), ids=list(WRAPPED))
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=IDS)
each_result = pytest.mark.parametrize(("method", "expected"), RESULTS.values(), ids=list(RESULTS))


# --- inputs


@each_result
@each_kind
def test_items_may_be_anything_that_promises_follow(scheduler, method, expected, wrap):
    """Values, promises, Deferreds, coroutines, futures and thenables, all alike."""
    promise = method([wrap(1), wrap(2), wrap(3)])
    scheduler.flush()
    assert expected == promise.value()


@each_kind
def test_items_may_be_mixed(scheduler, wrap):
    """Each result is at the place of its item, whatever the others are."""
    promise = Promise.all([1, wrap(2), Promise.resolve(3), None])
    scheduler.flush()
    assert [1, 2, 3, None] == promise.value()


@each_result
@each_kind
def test_the_input_may_be_a_promise_for_an_iterable(scheduler, method, expected, wrap):
    """Or anything else that promises follow; and so may its items."""
    promise = method(wrap([1, Promise.resolve(2), 3]))
    scheduler.flush()
    assert expected == promise.value()


@each_result
@pytest.mark.parametrize(
    "make",
    [tuple, iter, deque, lambda xs: (x for x in xs), lambda xs: dict.fromkeys(xs).keys()],
    ids=["tuple", "iterator", "deque", "generator", "keys"],
)
def test_any_iterable_will_do(scheduler, method, expected, make):
    """Tuples, iterators, generators and views, read once."""
    assert expected == method(make([1, 2, 3])).value()


@each_method
@pytest.mark.parametrize(
    ("wrong", "as_promise"),
    [
        *((wrong, False) for wrong in (5, None, "text", b"bytes", {}, MappingProxyType({}), list)),
        (5, True),
    ],
    ids=["number", "None", "str", "bytes", "dict", "mapping", "class", "promise for a number"],
)
def test_an_input_that_is_not_iterable_rejects(scheduler, method, wrong, as_promise):
    """With a TypeError in the words of bluebird's page; nothing is raised."""
    promise = quiet(method(Promise.resolve().then(lambda _: wrong) if as_promise else wrong))
    scheduler.flush()
    assert TypeError is type(promise.reason())
    assert f"({NOT_ITERABLE})" in str(promise.reason())
    assert type(wrong).__name__ in str(promise.reason())


@each_method
def test_an_error_of_the_iterator_rejects(method):
    """An iterator that fails makes the result fail."""

    def items():
        yield 1
        raise LookupError("iterating")

    assert LookupError is type(method(items()).reason())


class Failing:
    """A collection of promises that raises behind the last one, and what these were."""

    def __init__(self):
        self.sources = []
        self.log = []

    async def coroutine(self):
        self.log.append("started")
        raise ValueError("in a coroutine")

    def __iter__(self):
        yield Promise.reject(ValueError("rejected"))
        yield fail(ValueError("failed"))
        yield self.coroutine()
        for _ in range(2):
            self.sources.append(Source())
            yield self.sources[-1].promise
        yield 5
        raise LookupError("iterating")


class FailingMapping(UserDict):
    """A mapping that raises for its last key."""

    def __getitem__(self, key):
        if key == "last":
            raise LookupError("iterating")
        return super().__getitem__(key)


class FailingCollection(Failing):
    """One that is read as a whole."""

    def __len__(self):
        return 6

    def __contains__(self, item):
        return True


def failing_mapping(failing):
    """The items of a failing collection as a mapping."""
    items = iter(failing)
    return FailingMapping(
        {**{index: next(items) for index in range(6)}, "last": "in the way of the rest"}
    )


#: Everything that reads a collection.
READS = {
    **METHODS,
    "props": lambda xs: Promise.props(failing_mapping(xs)),
    "spread": lambda xs: Promise.resolve(xs).spread(pytest.fail),
    "map": lambda xs: Promise.map(xs, lambda x: x),
    "map with a limit": lambda xs: Promise.map(xs, lambda x: x, 9),
    "filter": lambda xs: Promise.filter(xs, lambda x: x),
    "each": lambda xs: Promise.each(xs, lambda x: x),
    "map_series": lambda xs: Promise.map_series(xs, lambda x: x),
    "reduce": lambda xs: Promise.reduce(xs, lambda a, b: b, 0),
}


@pytest.mark.parametrize("make", [Failing, FailingCollection])
@pytest.mark.parametrize("way", READS)
def test_what_an_iterator_gave_before_it_raised(scheduler, way, make):
    """It counts as handled, whether it was rejected or will be; and it is left to itself."""
    failing = make()
    promise = quiet(READS[way](failing))
    scheduler.flush()
    # Those that are lazy have reached a rejected item before.
    lazy = make is Failing and way in ("each", "map_series", "reduce")
    assert isinstance(promise.reason(), ValueError if lazy else LookupError)
    for source in failing.sources:
        source.reject(ValueError("later"))
    scheduler.flush()
    assert [0, 0][: 0 if lazy else 2] == [source.cancelled for source in failing.sources]
    assert lazy or ["started"] == failing.log


@each_method
def test_an_iterator_that_raises_after_it_has_cancelled_the_result(scheduler, method, reports):
    """What it gave is cancelled with the result, what it raises is logged."""
    source, inputs = Source(), Promise.defer()

    def items():
        yield source.promise
        yield Promise.reject(ValueError("rejected"))
        promise.cancel()
        raise LookupError("iterating")

    promise = method(inputs.promise)
    inputs.resolve(items())
    scheduler.flush()
    assert promise.is_cancelled()
    assert 1 == source.cancelled
    assert [LookupError] == [event["log_failure"].type for event in reports]


class OldStyle:
    """Iterable by `__getitem__` alone, as before Python 2.2."""

    def __init__(self, *items):
        self.items = items

    def __getitem__(self, index):
        return self.items[index]


@each_result
def test_old_style_iterables(scheduler, method, expected):
    """They are iterables to Python, and so here."""
    promise = method(OldStyle(1, Promise.resolve(2), succeed(3)))
    scheduler.flush()
    assert expected == promise.value()


@pytest.mark.parametrize("way", [way for way in READS if way not in ("props", "some")])
def test_old_style_iterables_are_taken_everywhere(scheduler, way):
    """Also by those that call a function for each item; `spread` calls its handler."""
    given = []
    method = {
        **READS,
        "spread": lambda xs: Promise.resolve(xs).spread(lambda *values: given.append(values)),
    }[way]
    promise = method(OldStyle(Promise.resolve("a"), "b"))
    scheduler.flush()
    assert promise.is_fulfilled()
    assert ("spread" == way) == (given == [("a", "b")])


class Unreadable:
    """It says that it is no iterable."""

    __iter__ = None

    def __getitem__(self, index):
        raise AssertionError


@each_method
def test_what_says_that_it_is_no_iterable(method):
    """Python refuses it, too."""
    reason = quiet(method(Unreadable())).reason()
    assert (TypeError, True) == (type(reason), f"({NOT_ITERABLE})" in str(reason))


@each_method
@pytest.mark.parametrize("how", ["rejected", "cancelled"])
def test_the_result_settles_as_a_failed_promise_for_the_input(scheduler, method, how):
    """Rejected or cancelled with it."""
    source = Source()
    promise = quiet(method(source.promise))
    error = ValueError("no input")
    if how == "rejected":
        source.reject(error)
    else:
        source.promise.cancel()
    scheduler.flush()
    if how == "rejected":
        assert error is promise.reason()
    else:
        # The method waits for a promise of its own, a follower of this one.
        assert promise.is_cancelled()


@each_method
def test_inputs_are_not_modified(scheduler, method):
    """The list that was given holds what it held."""
    items = [1, Promise.resolve(2), succeed(3), None]
    before = list(items)
    method(items)
    scheduler.flush()
    assert before == items


@each_method
def test_a_later_change_of_the_input_changes_nothing(scheduler, method):
    """The input is read once, at the start."""
    made, items = sources(3)
    promise = method(items)
    items.clear()
    for source in made:
        source.resolve("value")
    scheduler.flush()
    assert promise.is_fulfilled()


def test_none_is_a_value_like_others(scheduler):
    """Bluebird's holes: None is an item."""
    items = [None, Promise.resolve(), None]
    results = [
        Promise.all(items),
        Promise.any(items),
        Promise.some(items, 2),
        Promise.race(items),
    ]
    scheduler.flush()
    assert [[None] * 3, None, [None] * 2, None] == [promise.value() for promise in results]


@pytest.mark.parametrize(
    ("method", "expected"),
    [(Promise.all, []), (Promise.all_settled, []), (lambda xs: Promise.some(xs, 0), [])],
    ids=["all", "all_settled", "some"],
)
@each_kind
def test_nothing_gives_nothing(scheduler, method, expected, wrap):
    """The empty input gives an empty list."""
    promise = method(wrap([]))
    scheduler.flush()
    assert expected == promise.value()


@each_method
def test_settled_inputs_give_a_settled_result(method):
    """Where nothing has to be waited for, nothing is."""
    assert method([1, 2]).is_fulfilled()


#: Wrong calls, by a function of the method and of two promises.
WRONG_CALLS = {
    "nothing": lambda method, p, q: method(),
    "two promises": lambda method, p, q: method(p, q),
    "a list and a name": lambda method, p, q: method([p, q], count=1),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=list(WRONG_CALLS))
@pytest.mark.parametrize("name", ["all", "all_settled", "any", "race"])
def test_a_wrong_call_shows_the_right_one(name, call):
    """`Promise.all(p, q)` raises at the call, and names the public function."""
    with pytest.raises(TypeError) as raised:
        call(getattr(Promise, name), Source().promise, Source().promise)
    expected = f"Promise.{name}() takes one iterable: Promise.{name}([p, q])"
    assert expected == str(raised.value)


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=list(WRONG_CALLS))
def test_a_wrong_call_of_props_shows_the_right_one(call):
    """The same for a mapping."""
    with pytest.raises(TypeError) as raised:
        call(Promise.props, Source().promise, Source().promise)
    expected = 'Promise.props() takes one mapping: Promise.props({"a": p, "b": q})'
    assert expected == str(raised.value)


def test_a_wrong_call_by_bluebirds_name_shows_the_right_one():
    """`Promise.allSettled` is the same function, and the message names it as Python does."""
    with pytest.raises(TypeError, match=r"^Promise\.all_settled\(\) takes one iterable: "):
        Promise.allSettled(1, 2)


# --- all


def test_all_waits_for_all(scheduler):
    """It pends until the last item is there; values are in the order of the input."""
    made, items = sources(3)
    promise = Promise.all(items)
    for index in (2, 0):
        made[index].resolve(index)
        scheduler.flush()
        assert promise.is_pending()
    made[1].resolve(1)
    scheduler.flush()
    assert [0, 1, 2] == promise.value()


@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("settled", [False, True], ids=["later", "before"])
def test_all_rejects_with_the_first_rejection(scheduler, index, settled):
    """At once, wherever it stands, whatever else pends."""
    made, items = sources(3)
    error = ValueError(index)
    if settled:
        made[index].reject(error)
    promise = quiet(Promise.all(items))
    made[index].reject(error)
    scheduler.flush()
    assert error is promise.reason()


def test_of_two_rejections_the_first_in_time_wins(scheduler):
    """Not the first in the input."""
    made, items = sources(3)
    promise = quiet(Promise.all(items))
    made[2].reject(ValueError("first"))
    made[0].reject(ValueError("second"))
    scheduler.flush()
    assert "first" == str(promise.reason())


def test_the_same_promise_may_be_there_several_times(scheduler):
    """Each place gets its value."""
    source = Source()
    promise = Promise.all([source.promise, 1, source.promise])
    source.resolve(2)
    scheduler.flush()
    assert [2, 1, 2] == promise.value()


def test_a_deferred_that_fires_after_the_end_changes_nothing(scheduler):
    """Its value is dropped."""
    first, second = Deferred(), Deferred()
    promise = quiet(Promise.all([first, second]))
    first.errback(ValueError("x"))
    scheduler.flush()
    second.callback(1)
    scheduler.flush()
    assert "x" == str(promise.reason())


# --- all_settled


def test_all_settled_gives_an_inspection_of_each_item(scheduler):
    """In order, once the last has settled; nothing rejects the result."""
    made, items = sources(3)
    error = ValueError("x")
    promise = quiet(Promise.all_settled([0, *items, Promise.reject(error)]))
    made[2].promise.cancel()
    made[1].reject(error)
    scheduler.flush()
    assert promise.is_pending()
    made[0].resolve(1)
    scheduler.flush()
    inspections = promise.value()
    assert [
        (True, False, False),
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (False, True, False),
    ] == [(each.is_fulfilled(), each.is_rejected(), each.is_cancelled()) for each in inspections]
    assert [0, 1] == [each.value() for each in inspections[:2]]
    assert [error, error] == [inspections[2].reason(), inspections[4].reason()]


@pytest.mark.parametrize("make", [cancelled, cancelling])
@pytest.mark.parametrize("follows", [False, True], ids=["itself", "follower"])
def test_all_settled_of_a_cancelled_item(scheduler, make, follows):
    """Its inspection says that it was cancelled, once its clean-up has ended."""
    promise = make(scheduler)
    if follows:
        other = Source().promise.finally_(lambda: Promise.delay(1) if make is cancelling else None)
        promise = Promise.resolve().then(lambda _: other)
        scheduler.flush()
        other.cancel()
        scheduler.flush()
    settled = Promise.all_settled([promise])
    scheduler.flush()
    assert (make is cancelling) == settled.is_pending()
    scheduler.advance(1)
    assert [True] == [each.is_cancelled() for each in settled.value()]


# --- props


def test_props_waits_for_the_values_of_a_mapping(scheduler):
    """A `dict` comes back, its keys in the same order, whatever came first."""
    made, items = sources(2)
    mapping = {"c": items[0], "a": 1, "b": items[1], None: succeed(3)}
    promise = Promise.props(mapping)
    made[1].resolve("second")
    made[0].resolve("first")
    scheduler.flush()
    assert [("c", "first"), ("a", 1), ("b", "second"), (None, 3)] == list(promise.value().items())
    assert items[0] is mapping["c"]


@pytest.mark.parametrize(
    "make",
    [dict, OrderedDict, UserDict, ChainMap, MappingProxyType],
    ids=lambda kind: kind.__name__,
)
def test_props_takes_any_mapping(scheduler, make):
    """The result is a plain `dict`."""
    promise = Promise.props(make({"a": 1}))
    assert {"a": 1} == promise.value()
    assert dict is type(promise.value())


@each_kind
def test_props_takes_anything_that_promises_follow(scheduler, wrap):
    """For the mapping, and for its values."""
    promise = Promise.props(wrap({"a": wrap(1)}))
    scheduler.flush()
    assert {"a": 1} == promise.value()
    assert dict is type(promise.value())


def test_props_of_nothing():
    """The empty mapping gives an empty `dict`."""
    assert {} == Promise.props({}).value()


def test_props_does_not_await_keys(scheduler):
    """Promises among the keys stay what they are."""
    key = Promise.resolve("key")
    promise = Promise.props({key: Promise.resolve("value")})
    scheduler.flush()
    assert {key: "value"} == promise.value()


def test_props_rejects_with_the_first_rejection(scheduler):
    """As `all` does."""
    made, items = sources(2)
    promise = quiet(Promise.props({"a": items[0], "b": items[1]}))
    made[1].reject(ValueError("b"))
    scheduler.flush()
    assert "b" == str(promise.reason())


@pytest.mark.parametrize(
    "wrong",
    [5, None, "text", [("a", 1)], object()],
    ids=["int", "None", "str", "pairs", "object"],
)
def test_props_of_no_mapping_rejects(scheduler, wrong):
    """A TypeError, in the words of bluebird's page."""
    promise = quiet(Promise.props(wrong))
    assert TypeError is type(promise.reason())
    assert "(cannot await properties of a non-object)" in str(promise.reason())


def test_props_of_a_mapping_that_fails():
    """What looking up a value raises rejects."""

    class Failing(UserDict):
        def __getitem__(self, key):
            raise LookupError(key)

    assert LookupError is type(Promise.props(Failing(a=1)).reason())


# --- any, some


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_some_gives_the_first_values_in_the_order_of_fulfilment(scheduler, count):
    """As soon as there are enough, and no more than that."""
    made, items = sources(3)
    promise = Promise.some(items, count)
    for number, index in enumerate((2, 0, 1)):
        scheduler.flush()
        assert (number >= count) == promise.is_fulfilled()
        made[index].resolve(index)
    scheduler.flush()
    assert [2, 0, 1][:count] == promise.value()


def test_some_of_zero_waits_for_nothing(scheduler):
    """It gives an empty list at once; rejections of the input count as handled."""
    promise = Promise.some([Source().promise, Promise.reject(ValueError("x")), 1], 0)
    assert [] == promise.value()


def test_some_and_spread(scheduler):
    """The page's example: the fastest two of four name servers."""
    pinged = []
    made, items = sources(4)
    Promise.some(items, 2).spread(lambda first, second: pinged.append((first, second)))
    for index in (3, 1, 0, 2):
        made[index].resolve(f"ns{index}")
    scheduler.flush()
    assert [("ns3", "ns1")] == pinged


def test_some_rejects_as_soon_as_too_few_items_are_left(scheduler):
    """With an AggregateError of the reasons, in the order of the rejections."""
    made, items = sources(4)
    promise = quiet(Promise.some(items, 3))
    made[2].reject(ValueError("first"))
    scheduler.flush()
    assert promise.is_pending()
    made[0].reject(KeyError("second"))
    scheduler.flush()
    error = promise.reason()
    assert Promise.AggregateError is AggregateError is type(error)
    assert [ValueError, KeyError] == [type(reason) for reason in error]
    assert ("first", 2) == (str(error[0]), len(error))


def test_the_aggregate_error_of_some_is_caught_by_its_class_and_by_error(scheduler):
    """`catch(Promise.AggregateError, ...)` and `.error(...)`, though no reason is operational."""
    caught = []
    for attach in (lambda promise: promise.error, lambda promise: promise.caught):
        attach(Promise.any([Promise.reject(ValueError("x"))]))(caught.append)
    Promise.any([Promise.reject(ValueError("x"))]).catch(Promise.AggregateError, caught.append)
    scheduler.flush()
    assert [AggregateError] * 3 == [type(error) for error in caught]


def test_except_star_of_what_any_awaits(scheduler):
    """A coroutine that awaits it sorts its reasons with `except*`."""
    caught = []

    async def main():
        try:
            await Promise.any([Promise.reject(ValueError("x")), fail(KeyError("y"))])
        except* KeyError as group:
            caught.append(group.exceptions)
        except* ValueError as group:
            caught.append(group.exceptions)

    Promise.resolve(main())
    scheduler.flush()
    assert [KeyError, ValueError] == [type(error) for (error,) in caught]


def test_any_gives_the_value_itself(scheduler):
    """The first value, not a list of it; rejections are skipped."""
    made, items = sources(3)
    promise = Promise.any(items)
    made[1].reject(ValueError("x"))
    scheduler.flush()
    assert promise.is_pending()
    made[2].resolve("value")
    made[0].resolve("later")
    scheduler.flush()
    assert "value" == promise.value()


@pytest.mark.parametrize("values", [[Promise.reject], [fail, Promise.reject]], ids=len)
def test_any_of_rejections_only(scheduler, values):
    """An AggregateError of them all."""
    promise = quiet(Promise.any([make(ValueError(index)) for index, make in enumerate(values)]))
    scheduler.flush()
    assert [(index,) for index in range(len(values))] == [e.args for e in promise.reason()]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (Promise.any, "at least 1 items but contains only 0 items"),
        (lambda xs: Promise.some(xs, 5), "at least 5 items but contains only 0 items"),
    ],
    ids=["any", "some"],
)
def test_some_of_too_few_items_rejects_at_once(method, expected):
    """With a ValueError, bluebird's RangeError."""
    error = method([]).reason()
    assert ValueError is type(error)
    assert expected in str(error)


def test_rejections_of_too_few_items_count_as_handled(scheduler):
    """They are not reported; and coroutines among the items are run as always."""
    ran = []

    async def run():
        ran.append(True)
        raise ValueError("not reported either")

    promise = quiet(Promise.some([Promise.reject(KeyError("x")), run()], 3))
    scheduler.flush()
    assert ValueError is type(promise.reason())
    assert [True] == ran


@pytest.mark.parametrize("count", [-1, 1.0, 2.5, True, False, None, "1", float("nan")], ids=repr)
def test_some_of_an_invalid_count_rejects(count):
    """Negative, or not an `int`: a TypeError, in the words of bluebird's page."""
    promise = quiet(Promise.some([1, 2], count))
    assert TypeError is type(promise.reason())
    assert "(expecting a positive integer)" in str(promise.reason())
    assert repr(count) in str(promise.reason())


def test_cancelled_items_count_as_missing_for_some(scheduler):
    """The reasons are those of the other items."""
    made, items = sources(3)
    promise = quiet(Promise.some(items, 2))
    made[0].promise.cancel()
    made[1].reject(ValueError("x"))
    scheduler.flush()
    assert [ValueError] == [type(reason) for reason in promise.reason()]


def test_cancelled_items_do_not_stop_some(scheduler):
    """As long as there are enough others."""
    made, items = sources(3)
    some, first = Promise.some(items, 2), Promise.any(items)
    made[0].promise.cancel()
    made[1].resolve(1)
    made[2].resolve(2)
    scheduler.flush()
    assert [[1, 2], 1] == [some.value(), first.value()]


@pytest.mark.parametrize("method", [Promise.any, METHODS["some"]], ids=["any", "some"])
def test_all_items_cancelled(scheduler, method):
    """There is no reason to reject with: the result is cancelled too."""
    made, items = sources(2)
    promise = method(items)
    for source in made:
        source.promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()


# --- race


@pytest.mark.parametrize("how", ["resolve", "reject", "cancel"])
def test_race_settles_as_the_first_does(scheduler, how):
    """Fulfilled or rejected; items that settle later change nothing."""
    made, items = sources(3)
    promise = quiet(Promise.race(items))
    if how == "cancel":
        made[1].promise.cancel()
    else:
        getattr(made[1], how)(ValueError("first"))
    made[0].resolve("later")
    scheduler.flush()
    made[2].reject(ValueError("later"))
    scheduler.flush()
    assert ("cancelled" if how == "cancel" else "first") == str(outcome(promise))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (lambda p: [p, 1, Promise.reject(ValueError("x"))], 1),
        (lambda p: [p, Promise.resolve(2), 1], 2),
        (lambda p: [p, Promise.reject(ValueError("x")), 1], "x"),
    ],
    ids=["value", "promise", "rejection"],
)
def test_the_first_settled_item_of_the_input_wins_the_race(items, expected):
    """If several have settled before the call."""
    promise = Promise.race(items(Source().promise))
    assert str(expected) == str(outcome(promise))


def test_a_race_of_nothing_stays_pending(scheduler):
    """As in JavaScript; `any` rejects instead."""
    promise = Promise.race([])
    scheduler.flush()
    assert promise.is_pending()
    promise.cancel()
    assert promise.is_cancelled()


# --- spread, join


@each_kind
def test_spread_gives_the_items_as_arguments(scheduler, wrap):
    """It does `all` first, so that items may be promises, as in the page's second example."""
    got = []
    Promise.delay(0.5).then(lambda _: [wrap("text1"), wrap("text2")]).spread(
        lambda first, second: got.append((first, second))
    )
    scheduler.advance(1)
    assert [("text1", "text2")] == got


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3]], ids=len)
def test_spread_takes_any_number(scheduler, values):
    """As many arguments as there are items."""
    promise = Promise.resolve(values).spread(lambda *arguments: arguments)
    scheduler.flush()
    assert tuple(values) == promise.value()


def test_spread_of_the_wrong_number(scheduler):
    """Python's own TypeError, for a handler that takes another number."""
    promise = quiet(Promise.resolve([1, 2]).spread(lambda one: one))
    scheduler.flush()
    assert TypeError is type(promise.reason())


@pytest.mark.parametrize("wrong", [5, "text", {"a": 1}], ids=repr)
def test_spread_of_no_collection(scheduler, wrong):
    """The value must be one; the handler is not called."""
    promise = quiet(Promise.resolve(wrong).spread(pytest.fail))
    scheduler.flush()
    assert f"({NOT_ITERABLE})" in str(promise.reason())


@pytest.mark.parametrize("handler", [None, 5, "text"], ids=repr)
def test_spread_with_no_function(handler):
    """A TypeError, in the words of bluebird's page."""
    promise = quiet(Promise.resolve([1]).spread(handler))
    assert TypeError is type(promise.reason())
    assert "(fn must be a function)" in str(promise.reason())


def test_spread_passes_a_rejection_on(scheduler):
    """Of the promise, or of an item; the handler is not called."""
    promises = [
        quiet(Promise.reject(ValueError("x")).spread(pytest.fail)),
        quiet(Promise.resolve([1, Promise.reject(ValueError("x"))]).spread(pytest.fail)),
    ]
    scheduler.flush()
    assert ["x", "x"] == [str(promise.reason()) for promise in promises]


@each_kind
def test_what_a_spread_handler_returns_is_followed(scheduler, wrap):
    """As of every handler."""
    promise = Promise.resolve([1, 2]).spread(lambda a, b: wrap(a + b))
    scheduler.flush()
    assert 3 == promise.value()


def test_spread_of_a_bound_promise(scheduler):
    """The bound value comes first."""
    promise = Promise.bind("this", [1, 2]).spread(lambda *arguments: arguments)
    scheduler.flush()
    assert ("this", 1, 2) == promise.value()


@each_kind
def test_join_calls_its_handler_with_the_values(scheduler, wrap):
    """The last argument is the handler, and the others are waited for."""
    promise = Promise.join(wrap(1), wrap(2), 3, lambda *values: wrap(values))
    scheduler.flush()
    assert (1, 2, 3) == promise.value()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), []), ((1,), [1]), ((1, Promise.resolve(2)), [1, 2]), ((lambda: "called",), "called")],
    ids=["nothing", "one", "two", "handler-only"],
)
def test_join_without_values_or_handler(scheduler, arguments, expected):
    """Without a handler it is the list of the values; without values the handler gets none."""
    promise = Promise.join(*arguments)
    scheduler.flush()
    assert expected == promise.value()


def test_join_rejects_with_the_first_rejection(scheduler):
    """As `all` does; the handler is not called."""
    promise = quiet(Promise.join(Source().promise, Promise.reject(ValueError("x")), pytest.fail))
    scheduler.flush()
    assert "x" == str(promise.reason())


def test_what_join_handler_raises(scheduler):
    """It rejects, as of every handler."""
    promise = quiet(Promise.join(1, 2, lambda *_: 1 / 0))
    scheduler.flush()
    assert ZeroDivisionError is type(promise.reason())


# --- other consumers


@each_method
def test_later_rejections_are_not_reported(scheduler, method):
    """Rejections of the input after the result has settled count as handled."""
    made, items = sources(4)
    promise = quiet(method([*items, Promise.reject(ValueError("in the input"))]))
    for source in made:
        source.reject(ValueError("x"))
        scheduler.flush()
    assert not promise.is_pending()


def cancelled_asyncio_future(scheduler):
    """One that was cancelled before its promise is made."""
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    future.cancel()
    loop.close()
    return future


def cancelled_concurrent_future(scheduler):
    """The same of an executor's."""
    future = concurrent.futures.Future()
    future.cancel()
    return future


def following_a_cancelled_one(scheduler):
    """A promise whose followee was cancelled, and that has not been notified."""
    source, (promise, resolve, _) = Source(), pending()
    resolve(source.promise)
    source.promise.cancel()
    return promise


GONE = (
    cancelled,
    cancelling,
    cancelled_asyncio_future,
    cancelled_concurrent_future,
    following_a_cancelled_one,
)


@pytest.mark.parametrize("make", GONE)
@each_method
def test_an_item_that_was_cancelled_before(scheduler, method, make):
    """It rejects, as any late observer sees it; `any` and `some` go on without it."""
    promise = quiet(method([make(scheduler), make(scheduler)]))
    scheduler.flush()
    if method is METHODS["all_settled"]:
        # It waits for what cleans up.
        scheduler.advance(1)
        assert [True, True] == [each.is_cancelled() for each in promise.value()]
    elif method in (METHODS["any"], METHODS["some"]):
        assert promise.is_cancelled()
    else:
        error = promise.reason()
        assert (CancellationError, "the promise was cancelled (late cancellation observer)") == (
            type(error),
            str(error),
        )


@pytest.mark.parametrize("make", GONE)
@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["gone"], "cancelled"),
        (["gone", "gone"], "cancelled"),
        (["gone", "error"], ["error"]),
        (["error", "gone"], ["error"]),
        (["error", "gone", "other"], ["error", "other"]),
        (["gone", "value"], "value"),
        (["value", "gone"], "value"),
        (["gone", "error", "value"], "value"),
        (["gone", "later"], "value"),
    ],
)
@pytest.mark.parametrize("method", [Promise.any, lambda xs: Promise.some(xs, 1)])
def test_items_that_were_cancelled_before_are_no_failures(scheduler, make, items, expected, method):
    """The result is as if they were not there; without any other it is cancelled."""
    made = {
        "gone": lambda: make(scheduler),
        "error": lambda: Promise.reject(Boom("error")),
        "other": lambda: Promise.reject(Boom("other")),
        "value": lambda: "value",
        "later": lambda: Promise.delay(1, "value"),
    }
    # This one takes a turn, after which rejections are reported.
    gone = [made[item]() if item == "gone" else None for item in items]
    promise = quiet(method([each or made[item]() for each, item in zip(gone, items, strict=True)]))
    scheduler.advance(1)
    got = outcome(promise)
    if isinstance(got, AggregateError):
        got = [str(error) for error in got]
    assert expected == (got[0] if ["value"] == got else got)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
def test_some_needs_more_than_is_left(scheduler, count, before):
    """Items cancelled before the call count as those cancelled after it."""
    sources = [Source() for _ in range(2)]
    if before:
        for source in sources:
            source.promise.cancel()
    promise = quiet(Promise.some([sources[0].promise, 1, sources[1].promise], count))
    for source in sources:
        source.promise.cancel()
    scheduler.flush()
    assert ([1] if count == 1 else "cancelled") == outcome(promise)


@each_method
def test_a_rejection_is_reported_once_for_the_result(scheduler, method, reports):
    """The rejection of the item counts as handled, that of the result does not."""
    method([Promise.reject(ValueError("x")), Promise.reject(ValueError("x"))])
    scheduler.flush()
    assert len(reports) == (0 if method is METHODS["all_settled"] else 1)


@each_method
@pytest.mark.parametrize("how", ["resolve", "reject"])
def test_other_consumers_of_an_input_are_unaffected(scheduler, method, how):
    """They get each outcome, also when the result has settled or was cancelled."""
    made, items = sources(3)
    seen = []
    first, second = method(items), method(items)
    for item in items:
        item.then(seen.append, seen.append)
    first.cancel()
    second.suppress_unhandled_rejections()
    scheduler.flush()
    for index, source in enumerate(made):
        getattr(source, how)(str(index))
        scheduler.flush()
    assert ["0", "1", "2"] == seen
    assert first.is_cancelled()


# --- cancellation


@each_method
@pytest.mark.parametrize("as_promise", [False, True], ids=["itself", "promise"])
def test_cancelling_the_result_cancels_the_inputs(scheduler, method, as_promise):
    """Each once, in the order of the input, however often it is there."""
    hooked = []
    items = [
        Promise(lambda resolve, reject, on_cancel, i=i: on_cancel(lambda: hooked.append(i)))
        for i in range(3)
    ]
    collection = [*items, items[0]]
    promise = method(Promise.resolve().then(lambda _: collection) if as_promise else collection)
    scheduler.flush()
    promise.cancel()
    assert promise.is_cancelled()
    scheduler.flush()
    assert [0, 1, 2] == hooked
    assert [True] * 3 == [item.is_cancelled() for item in items]


@each_method
def test_inputs_with_other_consumers_are_not_cancelled(scheduler, method):
    """An input is cancelled with its last consumer."""
    made, items = sources(3)
    other = items[1].then()
    promise = method(items)
    promise.cancel()
    scheduler.flush()
    assert [1, 0, 1] == [source.cancelled for source in made]
    other.cancel()
    scheduler.flush()
    assert [1, 1, 1] == [source.cancelled for source in made]


@each_method
def test_cancelling_the_result_cancels_a_promise_for_the_input(scheduler, method):
    """While that is pending."""
    source = Source()
    promise = method(source.promise)
    promise.cancel()
    scheduler.flush()
    assert (True, 1) == (promise.is_cancelled(), source.cancelled)


@each_method
def test_cancelling_the_result_cancels_deferreds_and_coroutines(scheduler, method):
    """All that the collection has adopted."""
    stopped = []

    async def run():
        try:
            await Source().promise
        finally:
            stopped.append("coroutine")

    promise = method([Deferred(lambda _: stopped.append("Deferred")), run()])
    promise.cancel()
    scheduler.flush()
    assert ["Deferred", "coroutine"] == stopped


def test_a_settled_result_cancels_nothing(scheduler):
    """The other items stay pending, since they may get other consumers."""
    made, items = sources(2)
    promises = [method([*items, 1]) for method in (Promise.any, Promise.race)]
    promises.append(Promise.all([*items, Promise.reject(ValueError("x"))]))
    promises[-1].suppress_unhandled_rejections()
    for promise in promises:
        promise.cancel()
    scheduler.flush()
    assert [0, 0] == [source.cancelled for source in made]
    assert ["fulfilled", "fulfilled", "rejected"] == [
        "fulfilled" if promise.is_fulfilled() else "rejected" for promise in promises
    ]


@pytest.mark.parametrize("method", [Promise.all, Promise.race], ids=["all", "race"])
def test_cancelling_an_input_cancels_the_result(scheduler, method):
    """The result would pend without end."""
    made, items = sources(2)
    promise = method(items)
    called = []
    promise.then(called.append, called.append)
    after = promise.finally_(lambda: called.append("finally"))
    items[0].cancel()
    scheduler.flush()
    assert (True, ["finally"]) == (promise.is_cancelled(), called)
    assert after.is_cancelled()
    assert 0 == made[1].cancelled


@each_method
def test_a_coroutine_that_cancels_the_result_as_it_starts(scheduler, method, reports):
    """All other items are cancelled, too."""
    source = Source()
    hooked = Source()
    ran = []

    async def run(number):
        ran.append(number)
        promise.cancel()
        await hooked.promise

    promise = method(source.promise)
    waiting = Source().promise
    source.resolve([waiting, run(1), run(2), Promise.reject(ValueError("x"))])
    scheduler.flush()
    assert (True, [1, 2]) == (promise.is_cancelled(), ran)
    assert waiting.is_cancelled()
    assert [] == reports


@each_method
@pytest.mark.parametrize("fails", [False, True])
def test_an_iterator_that_cancels_the_result(scheduler, method, fails, reports):
    """It is read to its end; what it raises after that is logged."""

    def items():
        promise.cancel()
        yield 1
        if fails:
            raise ValueError("too late")
        yield Promise.reject(KeyError("in the input"))

    source = Source()
    promise = method(source.promise)
    source.resolve(items())
    scheduler.flush()
    assert promise.is_cancelled()
    assert [ValueError] * fails == [event["log_failure"].type for event in reports]


def test_cancellation_can_be_switched_off(scheduler, config):
    """Then nothing is cancelled, and the result comes."""
    config(cancellation=False)
    resolve = []
    items = [Promise(lambda settle, _: resolve.append(settle)) for _ in range(2)]
    promise = Promise.all(items)
    promise.cancel()
    for settle in resolve:
        settle(1)
    scheduler.flush()
    assert [1, 1] == promise.value()


# --- many


SETTLING = {
    "settled": lambda made: None,
    "in order": lambda made: made,
    "in random order": lambda made: random.Random(1).sample(made, len(made)),
    "never": None,
}


def run(scheduler, method, count, settling):
    """Run a method over so many inputs; `never` is cancelled instead."""
    made, items = sources(0 if settling == "settled" else count)
    if settling == "settled":
        items = [Promise.resolve(index) if index % 2 else index for index in range(count)]
    promise = method(items)
    if settling == "never":
        promise.cancel()
    else:
        for number, source in enumerate(SETTLING[settling](made) or ()):
            source.resolve(number)
            if not number % 1000:
                scheduler.flush()
    scheduler.flush()
    assert not promise.is_pending()


HALF = {
    **METHODS,
    "some": lambda xs: Promise.some(xs, len(xs) // 2),
    "props": lambda xs: Promise.props(dict(enumerate(xs))),
}


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.usefixtures("low_recursion_limit")
@pytest.mark.parametrize("method", HALF.values(), ids=list(HALF))
@pytest.mark.parametrize("settling", SETTLING)
def test_100_000_inputs(scheduler, method, settling):
    """All settled, all pending, or settling in any order: nothing recurses."""
    run(scheduler, method, 100_000, settling)


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.parametrize("method", HALF.values(), ids=list(HALF))
@pytest.mark.parametrize("settling", SETTLING)
def test_twice_the_inputs_take_twice_the_calls(scheduler, method, settling):
    """The work is in proportion to the number of inputs."""
    first, second = (
        calls_of(lambda count=count: run(scheduler, method, count, settling))
        for count in (1000, 2000)
    )
    assert second <= 2.1 * first


def lines_of(function):
    """How many lines of Python run while a function does."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.parametrize("method", HALF.values(), ids=list(HALF))
@pytest.mark.parametrize("how", ["cancelled", "rejected", "fulfilled"])
def test_one_promise_at_every_place_takes_linear_work(scheduler, method, how):
    """To settle, and to cancel."""

    def main(count):
        source = Source()
        promise = method([source.promise] * count)
        promise.suppress_unhandled_rejections()
        if how == "cancelled":
            promise.cancel()
        elif how == "rejected":
            source.reject(ValueError("x"))
        else:
            source.resolve(1)
        scheduler.flush()
        assert not promise.is_pending()

    first, second = (lines_of(lambda count=count: main(count)) for count in (100, 200))
    assert second <= 2.2 * first


# --- memory


@pytest.mark.usefixtures("no_collector")
@each_method
def test_a_cancelled_result_is_freed_while_its_inputs_live(scheduler, method):
    """Its inputs hold no reference to it."""
    _, items = sources(3)
    others = [item.then() for item in items]
    promise = method(items)
    promise.cancel()
    scheduler.flush()
    reference = weakref.ref(promise)
    del promise
    assert reference() is None
    assert [True] * 3 == [other.is_pending() for other in others]


#: What ends with the first of three items pending, and with what becomes of the two others.
ENDS = [
    ("all", "rejected"),
    ("any", "fulfilled"),
    ("race", "fulfilled"),
    ("race", "rejected"),
    ("some", "fulfilled"),
    ("some", "rejected"),
    *[(name, "cancelled") for name in METHODS],
]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(("name", "how"), ENDS, ids=map("-".join, ENDS))
def test_an_item_that_pends_keeps_nothing_of_what_has_ended(scheduler, name, how):
    """Though it has another consumer: neither the other items nor their outcomes.

    It has the collection among its waiters, since it cannot know that this has ended.
    """
    lasting = Source()
    made, items = sources(2)
    outcomes = [Boom() if how == "rejected" else Value() for _ in made]
    promise = quiet(METHODS[name]([lasting.promise, *items]))
    other = lasting.promise.then()
    references = [weakref.ref(thing) for thing in (promise, *items, *outcomes)]
    if how == "cancelled":
        if name not in ("any", "race"):
            made[0].resolve(outcomes[0])
            scheduler.flush()
        promise.cancel()
    else:
        for source, thing in zip(made, outcomes, strict=True):
            source.resolve(thing) if how == "fulfilled" else source.reject(thing)
        del source, thing
    scheduler.flush()
    assert not promise.is_pending()
    del promise, made, items, outcomes
    assert [None] * 5 == [reference() for reference in references]
    assert other.is_pending()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("how", ["rejected", "cancelled"])
def test_a_pending_item_keeps_no_keys(scheduler, how):
    """Nor the values of the mapping, after the result has settled."""
    lasting, deciding = Source(), Source()
    key, value = Value(), Value()
    promise = quiet(Promise.props({key: value, "a": lasting.promise, "b": deciding.promise}))
    other = lasting.promise.then()
    references = [weakref.ref(thing) for thing in (promise, key, value)]
    promise.cancel() if how == "cancelled" else deciding.reject(ValueError("x"))
    scheduler.flush()
    assert not promise.is_pending()
    del promise, key, value
    assert [None] * 3 == [reference() for reference in references]
    assert other.is_pending()


def test_settled_races_do_not_pile_up_on_a_pending_promise(scheduler):
    """One promise is raced against many that settle."""
    forever = Source().promise
    for _ in range(1000):
        Promise.race([forever, 1])
        race = Promise.race([forever, Promise.delay(1)])
        scheduler.advance(1)
        assert race.is_fulfilled()
    assert len(forever._subscribers) < 20


# --- reasons and failures


def test_a_twisted_failure_among_the_items_rejects(scheduler):
    """With the exception that it wraps."""
    error = ValueError("x")
    promise = quiet(Promise.all([1, Failure(error)]))
    scheduler.flush()
    assert error is promise.reason()


@pytest.mark.parametrize("name", ["any", "race"])
def test_a_settled_race_consumes_no_later_item(scheduler, name):
    """Cancelling such an item's other consumer cancels the item."""
    adopters.clear()
    resolver = Promise.defer()
    assert 0 == getattr(Promise, name)([0, resolver.promise]).value()
    resolver.promise.then().cancel()
    scheduler.flush()
    assert resolver.promise.is_cancelled()


# --- the order of handlers must not depend on the kind of items, or on diagnostics

watchers = pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])


def _settles_with_callback(value):
    resolver = Promise.defer()
    return resolver.promise, lambda: resolver.callback(None, value)


def _settles_with_resolve(value):
    resolver = Promise.defer()
    return resolver.promise, lambda: resolver.resolve(value)


def _settles_with_deferred(value):
    deferred = Deferred()
    return deferred, lambda: deferred.callback(value)


SETTLES = [_settles_with_callback, _settles_with_resolve, _settles_with_deferred]


@watchers
@pytest.mark.parametrize("make", SETTLES)
def test_the_result_settles_after_handlers_of_earlier_promises(scheduler, config, make, watched):
    """Whatever the items are, and whether or not diagnostics are on."""
    config(monitoring=watched)
    order = []
    before = Promise.defer()
    item, settle = make("b")
    Promise.all([item]).then(order.append)
    before.promise.then(order.append)
    before.callback(None, "a")
    settle()
    scheduler.flush()
    assert ["a", ["b"]] == order


def _settles_with_promisified(value):
    callbacks = []
    promise = Promise.promisify(callbacks.append)()
    return promise, lambda: callbacks[0](None, value)


def _settles_from_a_thread(value):
    callbacks = []
    promise = Promise.promisify(callbacks.append)()

    def settle():
        in_thread(callbacks[0], None, value)

    return promise, settle


def _settles_with_followed(value):
    callbacks = []
    promise = Promise.promisify(callbacks.append)()
    other = Promise.defer()

    def settle():
        callbacks[0](None, other.promise)
        other.resolve(value)

    return promise, settle


def _settles_with_deferred_of_a_promise(value):
    deferred, other = Deferred(), Promise.defer()

    def settle():
        deferred.callback(other.promise)
        other.resolve(value)

    return deferred, settle


def _has_other_waiters(value):
    promise, settle = _settles_with_promisified(value)
    promise.then(lambda _: None)
    return promise, settle


ALL_SETTLE = [
    *SETTLES,
    _settles_with_promisified,
    _settles_from_a_thread,
    _settles_with_followed,
    _settles_with_deferred_of_a_promise,
    _has_other_waiters,
]


@pytest.mark.parametrize("last", ALL_SETTLE)
@pytest.mark.parametrize("first", ALL_SETTLE)
@pytest.mark.parametrize(
    ("watched", "later_waiter"), [(False, False), (True, True)], ids=["", "watched, another waiter"]
)
def test_the_result_settles_with_its_last_item(
    scheduler, config, first, last, later_waiter, watched
):
    """And not with one before it."""
    config(monitoring=watched)
    order = []
    between = Promise.defer()
    items, settles = zip(first("a"), last("b"), strict=True)
    Promise.all(items).then(order.append)
    if later_waiter and not isinstance(items[0], Deferred):
        items[0].then(lambda _: None)
    between.promise.then(lambda _: order.append(1)).then(lambda _: order.append(2))
    settles[0]()
    between.resolve()
    settles[1]()
    scheduler.flush()
    assert [1, 2, ["a", "b"]] == order


class LazyList(UserList):
    """A collection whose reading is noticed."""

    def __init__(self, log):
        self.log = log
        super().__init__([1, 2])

    def __iter__(self):
        self.log.append("read")
        return super().__iter__()


class LazyDict(UserDict):
    """The same for a mapping."""

    def __init__(self, log):
        self.log = log
        super().__init__({1: 2})

    def __iter__(self):
        self.log.append("read")
        return super().__iter__()


async def _step(log):
    log.append("step")
    return 1


COLLECTIONS = {
    "all": (lambda promise: promise.all(), LazyList),
    "all of a coroutine": (lambda promise: promise.all(), lambda log: [_step(log)]),
    "spread": (lambda promise: promise.spread(lambda *_: None), LazyList),
    "props": (lambda promise: promise.props(), LazyDict),
    "props of a coroutine": (lambda promise: promise.props(), lambda log: {"one": _step(log)}),
}


@pytest.mark.parametrize("way", COLLECTIONS)
def test_a_collection_is_read_from_the_queue(scheduler, way):
    """Not from within the call that settles the promise for it."""
    collect, make = COLLECTIONS[way]
    # The second time all types are known, and the thread.
    for _ in range(2):
        log = []
        resolver = Promise.defer()
        promise = collect(resolver.promise)
        resolver.callback(None, make(log))
        assert [] == log
        scheduler.flush()
        assert [] != log
        assert promise.is_fulfilled()


@watchers
def test_the_first_rejection_is_the_reason(scheduler, config, watched):
    """Also where the second was a Deferred, which is waited for without a promise."""
    config(monitoring=watched)
    first, second = Promise.defer(), Deferred()
    promise = quiet(Promise.all([second, first.promise]))
    error = KeyError("first")
    first.reject(error)
    second.errback(KeyError("second"))
    scheduler.flush()
    assert error is promise.reason()


async def _cancels(cancel, log):
    cancel()
    try:
        await Promise.delay(1)
    except BaseException:
        log.append("the first")
        raise


async def _is_cancelled(log):
    try:
        await Promise.delay(1)
    except BaseException:
        log.append("the second")
        raise


READING = {
    **{name: getattr(Promise, name) for name in ("all", "all_settled", "any", "race", "props")},
    **{
        name: lambda promise, name=name: getattr(promise, name)(lambda *_: None)
        for name in ("map", "filter", "each", "map_series", "reduce", "spread")
    },
    "some": lambda promise: promise.some(2),
}


@pytest.mark.parametrize("name", READING)
def test_an_item_that_cancels_the_result_cancels_later_items(scheduler, name):
    """Those that start later, since they stand behind it, are cancelled too."""
    log = []
    source = Promise.defer()
    collection = READING[name](source.promise)
    future = concurrent.futures.Future()
    items = [_cancels(collection.cancel, log), _is_cancelled(log), future]
    source.resolve(dict(enumerate(items)) if name == "props" else items)
    scheduler.flush()
    scheduler.advance(2)
    assert collection.is_cancelled()
    assert ["the first", "the second"] == log
    assert future.cancelled()
