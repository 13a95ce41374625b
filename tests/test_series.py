"""One after the other: `reduce`, `each` and `map_series`."""

from __future__ import annotations

import concurrent.futures
import random
import weakref

import pytest
from twisted.internet.defer import Deferred, succeed

from tests.support.collections import calls_of, sources, variable
from tests.support.promises import Source, quiet
from tests.support.things import Value, within
from twpromise import CancellationError, Promise

pytestmark = pytest.mark.usefixtures("scheduler")


async def returns(value):
    return value


async def fails(*arguments):
    raise ValueError("x")


def raises(*arguments):
    raise ValueError("x")


#: The methods, with a function of one item; a `reduce` that starts with None.
METHODS = {
    "each": lambda xs, f: Promise.each(xs, f),
    "map_series": lambda xs, f: Promise.map_series(xs, f),
    "reduce": lambda xs, f: Promise.reduce(xs, lambda _, item: f(item), None),
}

each_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
each_kind = pytest.mark.parametrize(
    "wrap",
    [lambda x: x, Promise.resolve, lambda x: Promise.delay(1, x), succeed, returns],
    ids=["value", "promise", "later", "Deferred", "coroutine"],
)


def advance(scheduler, seconds=10):
    for _ in range(seconds):
        scheduler.advance(1)


# --- each and map_series


@each_kind
def test_map_series_as_on_the_page(scheduler, wrap):
    """Values and promises mixed; the results are those of the mapper, in order."""
    names = ["1.txt", wrap("2.txt"), "3.txt", Promise.delay(3, "4.txt"), "5.txt"]
    promise = Promise.map_series(names, lambda name: wrap(f"{name}!"))
    advance(scheduler)
    assert ["1.txt!", "2.txt!", "3.txt!", "4.txt!", "5.txt!"] == promise.value()


@each_kind
def test_each_as_on_the_page(scheduler, wrap):
    """What the iterator returns is waited for and does not matter: the items come back."""
    names = ["1.txt", wrap("2.txt"), "3.txt", Promise.delay(3, "4.txt"), "5.txt"]
    promise = Promise.each(names, lambda name: wrap("anything"))
    advance(scheduler)
    assert ["1.txt", "2.txt", "3.txt", "4.txt", "5.txt"] == promise.value()


@pytest.mark.parametrize("method", [Promise.each, Promise.map_series], ids=["each", "map_series"])
def test_the_iteration_stops_at_a_rejected_item_as_on_the_page(scheduler, method):
    """After twelve seconds, not sixteen."""
    log = []
    items = ["A", Promise.delay(8, "B"), Promise.reject("C"), "D"]

    def function(item):
        return Promise.delay(4).then(lambda _: log.append(f"On iterator: {item}"))

    method(items, function).then(pytest.fail).catch(lambda reason: log.append(f"Catch: {reason}"))
    at = []
    for _ in range(20):
        scheduler.advance(1)
        at.append(len(log))
    assert ["On iterator: A", "On iterator: B", "Catch: C"] == log
    assert (1, 3) == (at[10], at[11])


@each_method
def test_one_at_a_time(scheduler, method):
    """The next item waits for the result of the last, and each item for its turn."""
    made, items = sources(3)
    given, results = sources(3)
    started = []

    def function(item):
        started.append(item)
        return results[item]

    promise = method(items, function)
    made[2].resolve(2)
    made[1].resolve(1)
    scheduler.flush()
    assert [] == started
    made[0].resolve(0)
    for number in range(3):
        scheduler.flush()
        assert list(range(number + 1)) == started
        assert promise.is_pending()
        given[number].resolve()
    scheduler.flush()
    assert promise.is_fulfilled()


@pytest.mark.parametrize(
    ("method", "expected"),
    [(Promise.each, [None, 1, None]), (Promise.map_series, [(None,), (1,), (None,)])],
    ids=["each", "map_series"],
)
def test_none_is_an_item_like_others(scheduler, method, expected):
    """Bluebird's holes."""
    promise = method([None, 1, Promise.resolve()], lambda item: (item,))
    scheduler.flush()
    assert expected == promise.value()


@each_method
def test_a_long_series_lets_other_handlers_run(scheduler, method):
    """Handlers queued beside it run between items."""
    order = []
    method(range(1000), order.append)
    Promise.resolve().then(lambda _: None).then(lambda _: order.append("other"))
    scheduler.flush()
    assert order.index("other") < 100


# --- reduce


def test_reduce_as_on_the_page(scheduler):
    """Files are read one after the other, and what is in them is summed."""
    reading = []

    def read(name):
        reading.append(name)
        return Promise.delay(1, "10")

    promise = Promise.reduce(
        ["file1.txt", "file2.txt", "file3.txt"],
        lambda total, name: read(name).then(lambda contents: total + int(contents, 10)),
        0,
    )
    scheduler.advance(1)
    assert 2 == len(reading)
    advance(scheduler, 2)
    assert 30 == promise.value()


def joined(accumulator, item):
    return f"({accumulator}{item})"


@each_kind
@pytest.mark.parametrize(
    ("items", "expected"), [("", "a"), ("b", "(ab)"), ("bc", "((ab)c)"), ("bcd", "(((ab)c)d)")]
)
def test_with_an_initial_value(scheduler, items, expected, wrap):
    """From the left; the initial value is waited for, as items are."""
    promise = Promise.reduce([wrap(item) for item in items], joined, wrap("a"))
    advance(scheduler, 5)
    assert expected == promise.value()


@each_kind
@pytest.mark.parametrize(
    ("items", "expected"), [("", None), ("b", "b"), ("bc", "(bc)"), ("bcd", "((bc)d)")]
)
def test_without_an_initial_value(scheduler, items, expected, wrap):
    """The first item is it: a single one is the result, and nothing gives None."""
    promise = Promise.reduce([wrap(item) for item in items], joined)
    advance(scheduler, 5)
    assert expected == promise.value()


def test_none_is_an_initial_value(scheduler):
    """As in `functools.reduce`."""
    promises = [Promise.reduce(items, joined, None) for items in ([], ["a"])]
    promises.append(Promise.reduce(["a"], joined, initial=None))
    promises.append(Promise.reduce(["a"], joined, Promise.resolve()))
    scheduler.flush()
    assert [None, "(Nonea)", "(Nonea)", "(Nonea)"] == [promise.value() for promise in promises]


@each_kind
def test_the_accumulator_is_waited_for(scheduler, wrap):
    """A promise that the reducer returns has settled before it is called again."""
    promise = Promise.reduce([1, 2, 3], lambda total, item: wrap(total + item), 0)
    advance(scheduler, 5)
    assert 6 == promise.value()


def test_reduce_starts_as_soon_as_possible(scheduler):
    """It does not wait for the whole input, as `all` would."""
    source = Source()
    seen = []
    Promise.reduce([1, 2, source.promise], lambda a, b: seen.append((a, b)) or a + b)
    scheduler.flush()
    assert [(1, 2)] == seen


@pytest.mark.parametrize("initial", [(), ("a",)], ids=["without", "with"])
def test_the_items_index_counts_all_items(scheduler, initial):
    """Also where the first is the initial value."""
    got = []
    Promise.reduce(
        ["x", "y", "z"], lambda a, b, index, length: got.append((index, length)), *initial
    )
    scheduler.flush()
    assert [(index, 3) for index in range(1 - len(initial), 3)] == got


def test_a_rejected_initial_value_rejects_the_result(scheduler):
    """The reducer is not called; the rejection counts as handled from the start."""
    source = Source()
    promise = quiet(Promise.reduce(source.promise, pytest.fail, Promise.reject(ValueError("x"))))
    scheduler.flush()
    assert promise.is_pending()
    source.resolve([1])
    scheduler.flush()
    assert "x" == str(promise.reason())


@pytest.mark.parametrize("wrap", [None, Promise.resolve, "future"])
def test_an_initial_value_that_is_cancelled_while_the_input_pends(scheduler, wrap):
    """So is the result, at once; the input goes on."""
    source, inputs = Source(), Source()
    initial = source.promise
    if wrap == "future":
        initial = concurrent.futures.Future()
    elif wrap is not None:
        initial = Promise.resolve(Promise.resolve().then(lambda _: source.promise))
        scheduler.flush()
    promise = Promise.reduce(inputs.promise, pytest.fail, initial)
    fired = []
    promise.to_deferred().addErrback(lambda failure: fired.append(failure.type))
    scheduler.flush()
    (initial if wrap == "future" else source.promise).cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [CancellationError] == fired
    assert inputs.promise.is_pending()
    inputs.resolve([1])
    scheduler.flush()
    assert promise.is_cancelled()


@pytest.mark.parametrize("pends", [True, False], ids=["pending", "there"])
def test_an_initial_value_that_was_cancelled_before(scheduler, pends):
    """It is observed late: the result is rejected, and does not wait for the input."""
    source, inputs = Source(), Source()
    source.promise.cancel()
    scheduler.flush()
    collection = inputs.promise if pends else [1]
    promise = quiet(Promise.reduce(collection, pytest.fail, source.promise))
    scheduler.flush()
    assert "the promise was cancelled (late cancellation observer)" == str(promise.reason())


def test_the_initial_value_has_a_consumer_while_the_input_pends(scheduler):
    """Others may leave it."""
    source, inputs = Source(), Source()
    promise = Promise.reduce(inputs.promise, lambda a, b: a + b, source.promise)
    source.promise.then().cancel()
    scheduler.flush()
    inputs.resolve([1, 2])
    source.resolve(10)
    scheduler.flush()
    assert (0, 13) == (source.cancelled, promise.value())


@pytest.mark.parametrize("first", ["input", "initial"])
def test_the_initial_value_and_the_input_in_either_order(scheduler, first):
    """The reducer is called when both are there."""
    source, inputs = Source(), Source()
    promise = Promise.reduce(inputs.promise, lambda a, b: a + b, source.promise)
    steps = [lambda: inputs.resolve([1, 2]), lambda: source.resolve(10)]
    for step in steps if first == "input" else reversed(steps):
        assert promise.is_pending()
        step()
        scheduler.flush()
    assert 13 == promise.value()


@pytest.mark.parametrize("collection", [5, Promise.reject], ids=["number", "rejected"])
def test_an_initial_value_without_input_is_adopted_all_the_same(scheduler, collection):
    """A coroutine is run, and a rejection counts as handled."""
    if collection is Promise.reject:
        collection = Promise.reject(ValueError("input"))
    promise = quiet(Promise.reduce(collection, pytest.fail, fails()))
    scheduler.flush()
    assert promise.is_rejected()


def test_cancelling_the_result_cancels_the_initial_value(scheduler):
    """Unless it has another consumer."""
    cancelled = []
    for collection, other in [
        (Source().promise, False),
        ([1, 2], False),
        (Source().promise, True),
    ]:
        source = Source()
        if other:
            source.promise.then()
        promise = Promise.reduce(collection, pytest.fail, source.promise)
        scheduler.flush()
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        cancelled.append(source.cancelled)
    assert [1, 1, 0] == cancelled


# --- when it goes wrong


@each_method
@pytest.mark.parametrize(
    "function",
    [
        raises,
        lambda _: Promise.reject(ValueError("x")),
        lambda _: Promise.delay(1).then(raises),
        fails,
    ],
    ids=["raises", "rejected", "later", "async"],
)
@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_failing_function_rejects_the_result(scheduler, method, function, index):
    """The function is not called for the items behind."""
    started = []

    def fails_at(item):
        started.append(item)
        return function(item) if item == index else None

    promise = quiet(method([0, 1, 2], fails_at))
    scheduler.advance(1)
    assert ("x", list(range(index + 1))) == (str(promise.reason()), started)


@each_method
@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("when", ["before", "while it runs", "at its turn"])
def test_a_rejected_item_rejects_the_result_when_it_is_reached(scheduler, method, index, when):
    """And not before; until then its rejection counts as handled."""
    source = Source()
    started = []
    if when == "before":
        source.reject(ValueError("x"))
    items = [0, 1, 2]
    items[index] = source.promise
    promise = quiet(method(items, lambda item: started.append(item) or Promise.delay(1)))
    scheduler.flush()
    if when == "while it runs":
        source.reject(ValueError("x"))
    scheduler.flush()
    advance(scheduler, index)
    source.reject(ValueError("x"))
    scheduler.flush()
    assert ("x", list(range(index))) == (str(promise.reason()), started)


@each_method
def test_later_rejections_are_not_reported(scheduler, method):
    """Of items that are never reached: Deferreds and coroutines, too."""
    source, deferred = Source(), Deferred()
    items = [Promise.reject(ValueError("x")), source.promise, deferred, fails()]
    promise = quiet(method(items, pytest.fail))
    scheduler.flush()
    source.reject(ValueError("y"))
    deferred.errback(ValueError("z"))
    scheduler.flush()
    assert "x" == str(promise.reason())


@each_method
def test_other_consumers_of_an_item_are_unaffected(scheduler, method):
    """They get its outcome, whatever the result is."""
    made, items = sources(3)
    seen = []
    promise = method(items, lambda _: None)
    for item in items:
        item.then(seen.append, seen.append)
    promise.cancel()
    scheduler.flush()
    for index, source in enumerate(made):
        (source.reject if index == 1 else source.resolve)(index)
        scheduler.flush()
    assert [0, 1, 2] == seen


# --- what the function is called with


CALLED = {
    "one": (lambda item: (item,), ("a",)),
    "two": (lambda item, index: (item, index), ("a", 0)),
    "three": (lambda item, index, length: (item, index, length), ("a", 0, 1)),
    "defaults": (lambda item, index=5, length=6: (item, index, length), ("a", 5, 6)),
    "star": (lambda *arguments: arguments, ("a",)),
}


@pytest.mark.parametrize(("function", "expected"), CALLED.values(), ids=list(CALLED))
def test_the_function_gets_what_it_declares(scheduler, function, expected):
    """The item; its index and the number of items, if there are parameters for them."""
    mapped = Promise.map_series(["a"], function)
    scheduler.flush()
    assert [expected] == mapped.value()


BOUND = {
    "two": (lambda this, item: (this, item), ("this", "a")),
    "three": (lambda this, item, index: (this, item, index), ("this", "a", 0)),
    "four": (lambda this, item, index, length: (this, item, index, length), ("this", "a", 0, 1)),
    "star": (lambda *arguments: arguments, ("this", "a")),
}


@pytest.mark.parametrize(("function", "expected"), BOUND.values(), ids=list(BOUND))
def test_the_bound_value_comes_first(scheduler, function, expected):
    """It counts as one of the parameters."""
    promise = Promise.bind("this", ["a"]).map_series(function)
    scheduler.flush()
    assert [expected] == promise.value()


@pytest.mark.parametrize("bound", [False, True], ids=["plain", "bound"])
def test_each_gives_the_index_too(scheduler, bound):
    """As `map_series` does."""
    got = []
    promise = Promise.bind("this", ["a"]) if bound else Promise.resolve(["a"])
    if bound:
        promise.each(lambda this, item, index: got.append((this, item, index)))
    else:
        promise.each(lambda item, index, length: got.append((item, index, length)))
    scheduler.flush()
    assert [("this", "a", 0) if bound else ("a", 0, 1)] == got


REDUCERS = {
    "two": (lambda a, b: (a, b), ("x", "a")),
    "three": (lambda a, b, index: (a, b, index), ("x", "a", 0)),
    "four": (lambda a, b, index, length: (a, b, index, length), ("x", "a", 0, 1)),
    "default": (lambda a, b, index=5: (a, b, index), ("x", "a", 5)),
    "star": (lambda *arguments: arguments, ("x", "a")),
    "operator": (str.__add__, "xa"),
    "max": (max, "x"),
}


@pytest.mark.parametrize(("function", "expected"), REDUCERS.values(), ids=list(REDUCERS))
def test_the_reducer_gets_what_it_declares(scheduler, function, expected):
    """Accumulator and item; index and number of items, if there are parameters for them."""
    promise = Promise.reduce(["a"], function, "x")
    scheduler.flush()
    assert expected == promise.value()


def test_a_bound_reducer(scheduler):
    """The bound value comes first."""
    promise = Promise.bind("this", ["a"]).reduce(lambda this, a, b, i: (this, a, b, i), "x")
    scheduler.flush()
    assert ("this", "x", "a", 0) == promise.value()


# --- cancellation


@each_method
def test_cancelling_cancels_the_current_item_and_all_behind(scheduler, method):
    """The item whose turn it is and those to come, each once, in their order.

    Hooks run in the next turn; a Deferred is cancelled at once.
    """
    order = []

    def item(number):
        return Promise(lambda resolve, reject, hook: hook(lambda: order.append(number)))

    items = [item(number) for number in range(4)]
    other = items[2].then()
    deferred = Deferred(lambda _: order.append("Deferred"))
    promise = method([1, *items, items[0], deferred], lambda _: None)
    scheduler.flush()
    promise.cancel()
    assert promise.is_cancelled()
    scheduler.flush()
    assert (["Deferred", 0, 1, 3], True) == (order, other.is_pending())


@each_method
def test_cancelling_cancels_the_result_in_flight(scheduler, method):
    """And the items that have not been reached."""
    made, items = sources(1)
    result = Source()
    promise = method([1, *items], lambda _: result.promise)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (1, 1) == (result.cancelled, made[0].cancelled)


@each_method
@pytest.mark.parametrize("which", ["item", "result"])
@pytest.mark.parametrize("late", [False, True])
def test_cancelling_the_current_item_cancels_the_result(scheduler, method, which, late):
    """An item that was cancelled before it was reached rejects: the series observes it late."""
    source = Source()
    if late:
        source.promise.cancel()
        scheduler.flush()
    promise = quiet(method([source.promise if which == "item" else 1], lambda _: source.promise))
    scheduler.flush()
    source.promise.cancel()
    scheduler.flush()
    if late:
        assert CancellationError is type(promise.reason())
    else:
        assert promise.is_cancelled()


@each_method
def test_an_item_that_cancels_the_result(scheduler, method):
    """A coroutine among the items, in its first step."""
    trigger = Source()

    async def run():
        promise.cancel()

    promise = method(trigger.promise, pytest.fail)
    trigger.resolve([1, run(), 2])
    scheduler.flush()
    assert promise.is_cancelled()


# --- many


ORDERS = ["settled", "in order", "in random order", "never"]


def run(scheduler, method, count, order):
    """Pass so many items; `never` is cancelled instead."""
    made, items = sources(0 if order == "settled" else count)
    if order == "settled":
        items = [Promise.resolve(index) if index % 2 else index for index in range(count)]
    promise = method(items, lambda item: Promise.resolve(item))
    scheduler.flush()
    if order == "never":
        promise.cancel()
    elif order == "in random order":
        made = random.Random(1).sample(made, len(made))
    for number, source in enumerate(made if order != "never" else ()):
        source.resolve(number)
        if not number % 1000:
            scheduler.flush()
    scheduler.flush()
    assert not promise.is_pending()


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.usefixtures("low_recursion_limit")
@each_method
@pytest.mark.parametrize("order", ORDERS)
def test_100_000_items(scheduler, method, order):
    """All settled, all pending, or settling in any order: nothing recurses."""
    run(scheduler, method, 100_000, order)


@pytest.mark.exhaustive
@pytest.mark.no_cover
@each_method
@pytest.mark.parametrize("order", ORDERS)
def test_twice_the_items_take_twice_the_calls(scheduler, method, order):
    """The work is in proportion to the number of items."""
    first, second = (
        calls_of(lambda count=count: run(scheduler, method, count, order)) for count in (1000, 2000)
    )
    assert second <= 2.1 * first


# --- memory


@pytest.mark.usefixtures("no_collector")
@each_method
@pytest.mark.parametrize("where", ["item", "result"])
def test_pending_promises_keep_nothing_of_a_cancelled_series(scheduler, method, where):
    """Other consumers hold them: neither items nor results nor the function stay alive."""
    lasting = Source()
    inherited = Value()
    results = [Value(), lasting.promise]
    references = [weakref.ref(results[0])]

    def function(_):
        return results.pop(0)

    items = [Value(), lasting.promise if where == "item" else Value(), Value()]
    promise = within(variable, inherited, method, list(items), function)
    references += [
        weakref.ref(thing) for thing in (promise, function, items[0], items[2], inherited)
    ]
    scheduler.flush()
    assert ["item" == where, True] == [bool(results), promise.is_pending()]
    other = lasting.promise.then()
    promise.cancel()
    scheduler.flush()
    del promise, function, items, inherited
    assert [None] * 6 == [reference() for reference in references]
    assert other.is_pending()


@pytest.mark.usefixtures("no_collector")
def test_a_pending_item_keeps_no_initial_value(scheduler):
    """Nor does the initial value, if it pends, keep the items."""
    lasting = Source()
    things = [Value() for _ in range(3)]
    references = [weakref.ref(thing) for thing in things]
    for promise in (
        Promise.reduce([lasting.promise, things[0]], print, things[1]),
        Promise.reduce([things[2]], print, lasting.promise),
    ):
        scheduler.flush()
        other = lasting.promise.then()
        promise.cancel()
    scheduler.flush()
    del promise, things
    assert [None] * 3 == [reference() for reference in references]
    assert other.is_pending()
