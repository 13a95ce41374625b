"""`map` and `filter`: a function for each item, as many at once as one likes."""

from __future__ import annotations

import concurrent.futures
import inspect
import random
import weakref
from contextvars import Context
from functools import partial

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from tests.support.collections import calls_of, later, seen, sources, variable
from tests.support.promises import Boom, Source, pending, quiet
from tests.support.things import Value, within
from twpromise import CancellationError, Promise

pytestmark = pytest.mark.usefixtures("scheduler")


class Mapper:
    """Gives a pending promise for each item, and keeps count of those that pend."""

    def __init__(self):
        self.started = []
        self.sources = {}
        self.most = 0

    def __call__(self, item):
        self.started.append(item)
        source = self.sources[item] = Source()
        self.most = max(self.most, len(self.sources))
        return source.promise

    def finish(self, item, result=None):
        self.sources.pop(item).resolve(item if result is None else result)


#: Each access makes a new one: kept here for the ids of tests.
MAP, FILTER = Promise.map, Promise.filter

both_methods = pytest.mark.parametrize("method", [MAP, FILTER], ids=["map", "filter"])


# --- the first failure


async def _fails(item):
    raise Boom(item)


async def _fails_later(item):
    await Promise.delay(1)
    raise Boom(item)


def _failed_future(item):
    future = concurrent.futures.Future()
    future.set_exception(Boom(item))
    return future


def _following(item):
    source, (promise, resolve, _) = Source(), pending()
    resolve(source.promise)
    source.reject(Boom(item))
    return promise


FAILS = {
    "raises": lambda item: fail_with(Boom(item)),
    "rejected": lambda item: Promise.reject(Boom(item)),
    "of another copy": lambda item: Promise.get_new_library_copy().reject(Boom(item)),
    "follower": _following,
    "async def": _fails,
    "Deferred": lambda item: fail(Boom(item)),
    "Failure": lambda item: Failure(Boom(item)),
    "future": _failed_future,
    "method": Promise.method(lambda item: fail_with(Boom(item))),
}


def fail_with(error):
    raise error


@both_methods
@pytest.mark.parametrize("limit", [None, 1, 3, 10])
@pytest.mark.parametrize("way", FAILS)
@pytest.mark.parametrize("make", [list, iter], ids=["list", "iterator"])
def test_no_item_is_started_behind_one_that_has_failed(scheduler, method, limit, way, make):
    """It does not matter how the function says so; nor are other failures reported."""
    called = []

    def function(item):
        called.append(item)
        return FAILS[way](item) if item in (2, 4) else item

    promise = quiet(method(make([0, 1, 2, 3, 4]), function, limit))
    scheduler.flush()
    assert [0, 1, 2] == called
    assert "2" == str(promise.reason())


@both_methods
def test_what_fails_later_stops_what_was_not_started(scheduler, method):
    """Those that were started are left to themselves, and count as handled."""
    called = []

    def function(item):
        called.append(item)
        return _fails_later(item)

    promise = quiet(method([0, 1, 2, 3], function, 2))
    scheduler.advance(1)
    assert ([0, 1], "0") == (called, str(promise.reason()))


@both_methods
def test_a_result_that_was_cancelled_before(scheduler, method):
    """It is observed late, which rejects; no other item is started."""
    gone, called = Source(), []
    gone.promise.cancel()

    def function(item):
        called.append(item)
        return gone.promise

    promise = quiet(method([0, 1], function))
    scheduler.flush()
    assert [0] == called
    assert CancellationError is type(promise.reason())


@both_methods
@pytest.mark.parametrize("result", ["rejected", "async def"])
def test_a_function_that_cancels_the_result_and_fails(scheduler, method, result):
    """The result stays cancelled, and nothing is reported."""

    def function(item):
        promise.cancel()
        return FAILS[result](item)

    promise = method([0, 1], function)
    scheduler.flush()
    assert promise.is_cancelled()


# --- results


@pytest.mark.parametrize(
    "mapper",
    [
        lambda x: x * 10,
        lambda x: Promise.resolve(x * 10),
        lambda x: Promise.delay(1 / x, x * 10),
        lambda x: succeed(x * 10),
    ],
    ids=["value", "promise", "later", "Deferred"],
)
def test_results_are_in_the_order_of_the_items(scheduler, mapper):
    """Whatever the mapper returns is waited for, in whichever order it comes."""
    promise = Promise.map([1, Promise.delay(2, 2), succeed(3), 4], mapper)
    scheduler.advance(2)
    scheduler.advance(2)
    assert [10, 20, 30, 40] == promise.value()


def test_the_mapper_may_be_async(scheduler):
    """An `async def` function, and a coroutine that waits for something."""

    async def mapper(item):
        return await Promise.delay(item, item * 10)

    promise = Promise.map([3, 1, 2], mapper)
    scheduler.advance(3)
    assert [30, 10, 20] == promise.value()


def test_filter_keeps_items_for_which_the_predicate_is_true(scheduler):
    """In the order of the items, whatever the order of the answers."""
    promise = Promise.filter([5, Promise.delay(1, 0), 3, 0, 1], lambda x: Promise.delay(x, x % 5))
    scheduler.advance(9)
    scheduler.advance(9)
    assert [3, 1] == promise.value()


@pytest.mark.parametrize(
    ("answer", "kept"),
    [(True, True), (1, True), ("no", True), (False, False), (0, False), (None, False), ([], False)],
    ids=repr,
)
@pytest.mark.parametrize("wrap", [lambda x: x, Promise.resolve, succeed], ids=["it", "p", "d"])
def test_predicates_are_judged_by_python_truth(scheduler, answer, kept, wrap):
    """The truth of the value that the predicate's promise is fulfilled with."""
    promise = Promise.filter(["item"], lambda _: wrap(answer))
    scheduler.flush()
    assert ["item"] * kept == promise.value()


def test_filter_as_the_page_has_it(scheduler):
    """It is a shortcut for a `map` to pairs, and a list comprehension."""
    items = [1, Promise.resolve(2), 3, None]

    def predicate(item):
        return Promise.delay(1, item and item % 2)

    filtered = Promise.filter(items, predicate)
    mapped = Promise.map(items, lambda item: Promise.all([predicate(item), item])).then(
        lambda pairs: [item for answer, item in pairs if answer]
    )
    scheduler.advance(1)
    assert [1, 3] == mapped.value() == filtered.value()


def test_none_is_an_item_like_others(scheduler):
    """Bluebird's holes."""
    promises = [
        Promise.map([None, Promise.resolve()], lambda x: (x,)),
        Promise.filter([None, 1, succeed(None)], lambda x: x is None),
    ]
    scheduler.flush()
    assert [[(None,), (None,)], [None, None]] == [promise.value() for promise in promises]


# --- when it goes wrong


@both_methods
@pytest.mark.parametrize("limit", [0, -1, 1.0, True, "2", float("inf")], ids=repr)
def test_an_invalid_limit_rejects(method, limit):
    """A TypeError, in the words of the page."""
    promise = quiet(method([1], pytest.fail, concurrency=limit))
    assert TypeError is type(promise.reason())
    assert "(expecting a positive integer)" in str(promise.reason())


@both_methods
@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("before", [False, True], ids=["later", "before"])
def test_a_rejected_item_rejects_the_result(scheduler, method, index, before):
    """At once, whatever is still pending."""
    made, items = sources(3)
    error = ValueError("x")
    if before:
        made[index].reject(error)
    promise = quiet(method(items, pytest.fail))
    made[index].reject(error)
    scheduler.flush()
    assert error is promise.reason()


def raises(error):
    def function(_):
        raise error

    return function


async def fails(item):
    raise ValueError(item)


@both_methods
@pytest.mark.parametrize(
    "function",
    [
        raises(ValueError("item")),
        lambda x: Promise.reject(ValueError(x)),
        lambda x: Promise.resolve().then(raises(ValueError(x))),
        fails,
    ],
    ids=["raises", "rejected", "later", "async"],
)
def test_a_failing_function_rejects_the_result(scheduler, method, function):
    """By raising, or by a rejected promise; no other item is started."""
    started = []

    def first_fails(item):
        started.append(item)
        return function(item) if item == "item" else None

    promise = quiet(method(["item", Source().promise], first_fails))
    scheduler.flush()
    assert ("item", ["item"]) == (str(promise.reason()), started)


@both_methods
def test_nothing_is_started_once_it_has_failed(scheduler, method):
    """Items that come after are not mapped."""
    started = []
    made, items = sources(3)
    promise = quiet(method(items, started.append, 1))
    made[1].reject(ValueError("x"))
    scheduler.flush()
    made[0].resolve(0)
    made[2].resolve(2)
    scheduler.flush()
    assert [] == started
    assert promise.is_rejected()


@both_methods
def test_later_rejections_are_not_reported(scheduler, method):
    """After the first one, rejections of items and of results count as handled."""
    made, items = sources(2)
    given, results = sources(3)
    promise = quiet(method([0, 1, 2, *items], lambda item: results[item]))
    scheduler.flush()
    for source in (*given, *made):
        source.reject(ValueError("x"))
        scheduler.flush()
    assert promise.is_rejected()


# --- order


@both_methods
def test_items_are_started_as_they_are_fulfilled(scheduler, method):
    """Whatever stands before them in the input."""
    mapper = Mapper()
    made, items = sources(3)
    promise = method([*items, "plain"], mapper)
    for index in (2, 0, 1):
        made[index].resolve(index)
        scheduler.flush()
    assert ["plain", 2, 0, 1] == mapper.started
    for item in (0, "plain", 1, 2):
        assert promise.is_pending()
        mapper.finish(item, "yes")
        scheduler.flush()
    assert promise.is_fulfilled()


@both_methods
@pytest.mark.parametrize("limit", [None, 1, 3, 100])
def test_settled_items_are_started_in_the_order_of_the_input(scheduler, method, limit):
    """Items that are there when it starts are started in the order of the input."""
    started = []
    items = [i if i % 2 else Promise.resolve(i) for i in range(100)]
    method(items, started.append, limit)
    scheduler.flush()
    assert list(range(100)) == started


@both_methods
def test_items_over_the_limit_are_started_in_the_order_of_fulfilment(scheduler, method):
    """And not in that of the input."""
    mapper = Mapper()
    made, items = sources(4)
    method(["first", *items], mapper, concurrency=1)
    scheduler.flush()
    for index in (3, 0, 2, 1):
        made[index].resolve(index)
        scheduler.flush()
    assert ["first"] == mapper.started
    for item in ("first", 3, 0, 2, 1):
        mapper.finish(item)
        scheduler.flush()
    assert ["first", 3, 0, 2, 1] == mapper.started


# --- concurrency


def kinds(count):
    """Functions that make an input of so many items, of several kinds."""

    async def generate():
        for number in range(count):
            yield number

    return {
        "list": lambda: list(range(count)),
        "promises": lambda: [Promise.delay(0, number) for number in range(count)],
        "generator": lambda: (number for number in range(count)),
        "generator of promises": lambda: (Promise.delay(0, number) for number in range(count)),
        "async": generate,
    }


@both_methods
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("kind", kinds(0))
@pytest.mark.parametrize("seed", [1, 2])
def test_never_more_than_the_limit_pend(scheduler, method, limit, kind, seed):
    """And never fewer, as long as there are items, in whichever order results settle."""
    choose = random.Random(seed)
    mapper = Mapper()
    promise = method(kinds(40)[kind](), mapper, limit)
    scheduler.flush()
    done = 0
    while promise.is_pending():
        assert min(limit, 40 - done) == len(mapper.sources)
        mapper.finish(choose.choice(list(mapper.sources)), "result")
        scheduler.flush()
        done += 1
    assert (40, min(limit, 40)) == (done, mapper.most)
    assert (["result"] * 40 if method is MAP else list(range(40))) == promise.value()


@both_methods
def test_settled_results_do_not_count_for_the_limit(scheduler, method):
    """The limit is one of results that pend."""
    started = []

    def function(item):
        started.append(item)
        return Source().promise if item == 2 else Promise.resolve(item)

    method(range(5), function, 1)
    scheduler.flush()
    assert [0, 1, 2] == started


@both_methods
def test_the_next_item_starts_when_a_result_has_settled(scheduler, method):
    """The page: three callbacks, and another only after one of the three promises resolves."""
    clock = Clock()
    started = []

    def function(item):
        started.append(item)
        return deferLater(clock, item, lambda: item)

    promise = method([1, 2, 3, 4, 5], function, concurrency=3)
    seen = []
    for _ in range(9):
        scheduler.flush()
        seen.append(len(started))
        clock.advance(1)
    scheduler.flush()
    assert [3, 4, 5, 5, 5] == seen[:5]
    assert [1, 2, 3, 4, 5] == promise.value()


@both_methods
def test_a_long_list_lets_other_handlers_run(scheduler, method):
    """Handlers queued beside a long list of items run between them."""
    order = []
    method(range(1000), order.append)
    Promise.resolve("other").then(order.append)
    Promise.resolve().then(lambda _: None).then(lambda _: order.append("another"))
    scheduler.flush()
    assert order.index("another") < 100


@both_methods
def test_a_long_iterator_of_promises_lets_other_handlers_run(scheduler, method):
    """The same where all items are pending."""
    read = []

    def items():
        for number in range(1000):
            read.append(number)
            yield Promise.delay(1, number)

    method(items(), lambda _: True)
    when = []
    Promise.resolve().then(lambda _: None).then(lambda _: when.append(len(read)))
    scheduler.flush()
    assert when[0] < 100
    assert 1000 == len(read)


@both_methods
def test_results_that_settle_while_items_wait_to_be_started(scheduler, method):
    """They are recorded, and the order of the waiting items is kept."""
    source = Source()
    started = []

    def function(item):
        started.append(item)
        if item == 10:
            source.resolve(1)
        return source.promise if item < 5 else item + 1

    promise = method(range(100), function)
    scheduler.flush()
    assert list(range(100)) == started
    expected = [1] * 5 + list(range(6, 101)) if method is MAP else list(range(100))
    assert expected == promise.value()


# --- what the function is called with


CALLED = {
    "one": (lambda item: (item,), ("a",)),
    "two": (lambda item, index: (item, index), ("a", 0)),
    "three": (lambda item, index, length: (item, index, length), ("a", 0, 1)),
    "default": (lambda item, index="mine": (item, index), ("a", "mine")),
    "star": (lambda *arguments: arguments, ("a",)),
    "two and star": (lambda item, index, *rest: (item, index, rest), ("a", 0, ())),
    "keyword": (lambda item, *, index=5: (item, index), ("a", 5)),
    "partial": (partial(lambda x, item, index: (x, item, index), "x"), ("x", "a", 0)),
    "partial keyword": (partial(lambda item, index: (item, index), index=7), ("a", 7)),
    "method": (type("T", (), {"m": lambda self, item, index: (item, index)})().m, ("a", 0)),
    "callable": (type("T", (), {"__call__": lambda self, item, index: (item, index)})(), ("a", 0)),
    "builtin": (repr, "'a'"),
    "type": (list, ["a"]),
    "class": (type("T", (tuple,), {"__new__": lambda cls, item, i: (item, i)}), ("a", 0)),
}


@pytest.mark.parametrize(("function", "expected"), CALLED.values(), ids=list(CALLED))
def test_the_mapper_gets_what_it_declares(scheduler, function, expected):
    """The item; its index and the number of items, if there are parameters for them."""
    promise = Promise.map(["a"], function)
    scheduler.flush()
    assert [expected] == promise.value()


async def async_two(item, index):
    return item, index


BOUND = {
    "two": (lambda this, item: (this, item), ("this", "a")),
    "three": (lambda this, item, index: (this, item, index), ("this", "a", 0)),
    "four": (lambda this, item, index, length: (this, item, index, length), ("this", "a", 0, 1)),
    "default": (lambda this, item, index="mine": (this, item, index), ("this", "a", "mine")),
    "star": (lambda *arguments: arguments, ("this", "a")),
    "async": (async_two, ("this", "a")),
    "partial": (partial(lambda x, this, item: (x, this, item), 1), (1, "this", "a")),
}


@pytest.mark.parametrize(("function", "expected"), BOUND.values(), ids=list(BOUND))
def test_the_bound_value_comes_first(scheduler, function, expected):
    """It counts as one of the parameters: `f(this, item, index)`."""
    promise = Promise.resolve(["a"]).bind("this").map(function)
    scheduler.flush()
    assert [expected] == promise.value()


@both_methods
def test_the_result_is_bound_too(scheduler, method):
    """As every promise that is derived from a bound one."""
    promise = getattr(Promise.bind("this", [1]), "map" if method is MAP else "filter")(
        lambda this, item: True
    )
    after = promise.then(lambda this, value: this)
    scheduler.flush()
    assert "this" == after.value()


def test_an_async_mapper_gets_what_it_declares(scheduler):
    """The arity of `async def` functions counts as that of others."""
    promise = Promise.map(["ab", "c"], async_two)
    scheduler.flush()
    assert [("ab", 0), ("c", 1)] == promise.value()


def test_a_predicate_gets_what_it_declares(scheduler):
    """As a mapper does."""
    got = []
    Promise.filter(["a", "b"], lambda item, index, length: got.append((item, index, length)))
    scheduler.flush()
    assert [("a", 0, 2), ("b", 1, 2)] == got


def test_the_number_of_items_of_an_iterator_is_not_known(scheduler):
    """It is None then."""
    promise = Promise.map(iter("ab"), lambda item, index, length: (item, index, length))
    scheduler.flush()
    assert [("a", 0, None), ("b", 1, None)] == promise.value()


def test_a_function_that_takes_nothing(scheduler):
    """Python's own TypeError: it is called with the item all the same."""
    promise = quiet(Promise.map([1], lambda: None))
    scheduler.flush()
    assert TypeError is type(promise.reason())


def test_the_arity_is_looked_up_once(scheduler):
    """It costs nothing for each item."""
    asked = []

    class Asked:
        @property
        def __signature__(self):
            asked.append(True)
            return inspect.signature(lambda item, index: None)

        def __call__(self, item, index):
            return index

    promise = Promise.map(["a", "b", "c"], Asked())
    scheduler.flush()
    assert ([True], [0, 1, 2]) == (asked, promise.value())


# --- contexts


def seen_by_coroutine(item):
    """The same by a coroutine, which sees what the call that made it has set."""
    return later(seen(item))


@pytest.mark.parametrize("name", ["map", "map_series"])
@pytest.mark.parametrize("bound", [False, True], ids=["plain", "bound"])
@pytest.mark.parametrize("where", ["empty", "set"])
@pytest.mark.parametrize("coroutine", [False, True], ids=["value", "coroutine"])
def test_each_call_runs_in_the_context_of_the_method(scheduler, name, where, bound, coroutine):
    """What one sets no other sees; and coroutines belong to the call that returned them."""
    function = seen_by_coroutine if coroutine else seen

    def main():
        if where == "set":
            variable.set("outer")
        if bound:
            method = getattr(Promise.bind("this", [1, 2, 3]), name)
            return method(lambda _, item: function(item))
        return getattr(Promise, name)([1, 2, 3], function)

    promise = Context().run(main)
    scheduler.flush()
    outer = "outer" if where == "set" else "unset"
    expected = [outer] * 3 if not coroutine else [(outer, f"set for {i}") for i in (1, 2, 3)]
    assert expected == promise.value()
    assert "unset" == variable.get()


@pytest.mark.parametrize("attach", ["then", "tap", "finally_"])
def test_a_coroutine_runs_in_the_context_of_the_handler_that_returned_it(scheduler, attach):
    """So with handlers: an `async def` function sees what was set where it was attached."""
    results = []

    async def handler(*_):
        results.append(variable.get())
        await Promise.resolve()
        results.append(variable.get())

    def main():
        variable.set("outer")
        getattr(Promise.resolve(), attach)(handler)

    Context().run(main)
    scheduler.flush()
    assert ["outer"] * 2 == results


# --- cancellation


@both_methods
@pytest.mark.parametrize("as_promise", [False, True], ids=["itself", "promise"])
def test_cancelling_cancels_inputs_and_results_in_flight(scheduler, method, as_promise):
    """All that have no other consumer, each once; nothing more is started."""
    made, items = sources(3)
    given, results = sources(2)
    other = items[2].then()
    other_result = results[1].then()
    started = []

    def function(item):
        started.append(item)
        return results[item]

    collection = [0, *items, items[0], 1]
    promise = method(
        Promise.resolve().then(lambda _: collection) if as_promise else collection, function
    )
    scheduler.flush()
    promise.cancel()
    assert promise.is_cancelled()
    scheduler.flush()
    assert [1, 1, 0] == [source.cancelled for source in made]
    assert [1, 0] == [source.cancelled for source in given]
    assert (True, True) == (other.is_pending(), other_result.is_pending())
    made[2].resolve(0)
    scheduler.flush()
    assert [0, 1] == started


@both_methods
def test_inputs_are_cancelled_in_their_order(scheduler, method):
    """The first of the input first."""
    order = []

    def item(number):
        return Promise(lambda resolve, reject, hook: hook(lambda: order.append(number)))

    promise = method([item(number) for number in range(5)], pytest.fail)
    promise.cancel()
    scheduler.flush()
    assert [0, 1, 2, 3, 4] == order


@both_methods
@pytest.mark.parametrize("which", ["input", "result"])
def test_cancelling_an_input_or_a_result_in_flight_cancels_the_whole(scheduler, method, which):
    """An input, or a result in flight, that is cancelled by others cancels the result."""
    source, result = Source(), Source()
    called = []
    promise = method([source.promise], lambda _: result.promise)
    promise.then(called.append, called.append)
    if which == "result":
        source.resolve(1)
        scheduler.flush()
        result.promise.cancel()
    else:
        source.promise.cancel()
    scheduler.flush()
    assert (True, []) == (promise.is_cancelled(), called)


@both_methods
@pytest.mark.parametrize("which", ["input", "result"])
def test_an_input_that_was_cancelled_before_rejects(scheduler, method, which):
    """With the late observer's CancellationError."""
    late = Source().promise
    late.cancel()
    scheduler.flush()
    promise = quiet(method([late if which == "input" else 1], lambda _: late))
    scheduler.flush()
    assert CancellationError is type(promise.reason())


@both_methods
def test_a_failure_cancels_nothing(scheduler, method):
    """As with `all`, the other items stay pending."""
    made, items = sources(2)
    promise = quiet(method([*items, Promise.reject(ValueError("x"))], pytest.fail))
    scheduler.flush()
    assert promise.is_rejected()
    assert [0, 0] == [source.cancelled for source in made]


@both_methods
@pytest.mark.parametrize("which", ["input", "result"])
def test_a_coroutine_that_cancels_the_result(scheduler, method, which):
    """In its first step, before it has a consumer: it is cancelled as the others are."""
    stopped = []
    trigger = Source()

    async def run(item):
        promise.cancel()
        try:
            await Source().promise
        finally:
            stopped.append(item)

    collection = trigger.promise.then(lambda _: [run(1), run(2)] if which == "input" else [1, 2])
    promise = method(collection, run if which == "result" else pytest.fail)
    trigger.resolve()
    scheduler.flush()
    assert promise.is_cancelled()
    assert ([1, 2] if which == "input" else [1]) == stopped


@both_methods
def test_deferreds_in_flight_are_cancelled(scheduler, method):
    """What the function gave may be a Deferred."""
    cancelled = []
    promise = method([1, 2], lambda item: Deferred(lambda _: cancelled.append(item)))
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert [1, 2] == cancelled


# --- many


ORDERS = ["settled", "in order", "in random order", "never"]


def settle(scheduler, made, order):
    if order == "in random order":
        made = random.Random(1).sample(made, len(made))
    for number, source in enumerate(made):
        source.resolve(number)
        if not number % 1000:
            scheduler.flush()
    scheduler.flush()


def run(scheduler, method, count, order, limit, pending):
    """Map so many items, where inputs or results pend; `never` is cancelled instead."""
    made, items = sources(0 if order == "settled" else count)
    given = iter(items)
    if order == "settled":
        promise = method(range(count), lambda item: Promise.resolve(item), limit)
    elif pending == "inputs":
        promise = method(items, lambda item: item, limit)
    else:
        promise = method(range(count), lambda _: next(given), limit)
    scheduler.flush()
    if order == "never":
        promise.cancel()
        scheduler.flush()
    else:
        settle(scheduler, made, order)
    assert not promise.is_pending()


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.usefixtures("low_recursion_limit")
@both_methods
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("pending", ["inputs", "results"])
def test_100_000_items(scheduler, method, order, pending):
    """All settled, all pending, or settling in any order: nothing recurses."""
    run(scheduler, method, 100_000, order, None, pending)


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.usefixtures("low_recursion_limit")
@both_methods
@pytest.mark.parametrize("limit", [1, 1000])
def test_100_000_items_and_a_limit(scheduler, method, limit):
    """Neither where one comes after the other."""
    run(scheduler, method, 100_000, "in order", limit, "inputs")


@pytest.mark.exhaustive
@pytest.mark.no_cover
@both_methods
@pytest.mark.parametrize(
    ("order", "limit"),
    # Results of items that have not been started cannot come in random order.
    [
        *((order, None) for order in ORDERS),
        *((order, 500) for order in ORDERS if "random" not in order),
    ],
)
@pytest.mark.parametrize("pending", ["inputs", "results"])
def test_twice_the_items_take_twice_the_calls(scheduler, method, order, pending, limit):
    """The work is in proportion to the number of items."""
    first, second = (
        calls_of(lambda count=count: run(scheduler, method, count, order, limit, pending))
        for count in (1000, 2000)
    )
    assert second <= 2.1 * first


# --- memory


@pytest.mark.usefixtures("no_collector")
@both_methods
@pytest.mark.parametrize("how", ["rejected", "cancelled"])
def test_pending_promises_keep_nothing_of_a_settled_map(scheduler, method, how):
    """Other consumers hold them: neither items nor results nor functions stay alive.

    One item has a result, two results pend, and the limit keeps the last one waiting.
    """
    lasting, deciding = Source(), Source()
    result = Value()
    results = [result, lasting.promise, deciding.promise]

    def function(_):
        return results.pop(0)

    items = [Value() for _ in range(4)]
    inherited = Value()
    promise = quiet(within(variable, inherited, method, iter(items), function, 2))
    references = [weakref.ref(thing) for thing in (promise, function, result, inherited, *items)]
    scheduler.flush()
    assert [] == results
    other = lasting.promise.then()
    promise.cancel() if how == "cancelled" else deciding.reject(ValueError("x"))
    scheduler.flush()
    assert not promise.is_pending()
    del promise, function, result, items, inherited
    assert [None] * 8 == [reference() for reference in references]
    assert other.is_pending()


@pytest.mark.usefixtures("no_collector")
@both_methods
def test_a_pending_input_keeps_no_item_over_the_limit(scheduler, method):
    """There are more items than may be started, and one that was read pends."""
    lasting = Source()
    items = [Value() for _ in range(4)]
    promise = method([lasting.promise, *items], lambda _: Promise.delay(1), concurrency=1)
    references = [weakref.ref(thing) for thing in (promise, *items)]
    scheduler.flush()
    other = lasting.promise.then()
    promise.cancel()
    scheduler.flush()
    del promise, items
    assert [None] * 5 == [reference() for reference in references]
    assert other.is_pending()
