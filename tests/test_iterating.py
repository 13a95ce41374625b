"""Collections that are read item by item, by every method that calls a function for each."""

from __future__ import annotations

import asyncio
import itertools
from contextvars import Context, ContextVar

import pytest
from twisted.internet.defer import succeed

from tests.support.promises import Source, quiet
from twpromise import CancellationError, Promise

pytestmark = pytest.mark.usefixtures("scheduler")

variable: ContextVar[str] = ContextVar("variable", default="unset")


#: Every method that calls a function for each item, with the item last of its arguments.
METHODS = {
    "map": lambda xs, f: Promise.map(xs, f, 1),
    "filter": lambda xs, f: Promise.filter(xs, f, 1),
    "unlimited": lambda xs, f: Promise.map(xs, f),
    "each": lambda xs, f: Promise.each(xs, f),
    "map_series": lambda xs, f: Promise.map_series(xs, f),
    "reduce": lambda xs, f: Promise.reduce(xs, lambda _, item: f(item), None),
}
LAZY = [name for name in METHODS if name != "unlimited"]

each_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
#: Those that do not read on while a result pends.
each_lazy = pytest.mark.parametrize("method", [METHODS[name] for name in LAZY], ids=LAZY)


class Input:
    """Makes generators, sync or async, and records how far they were read and closed."""

    def __init__(self, is_async):
        self.is_async = is_async
        self.read = []
        self.closed = 0

    def generate(self, items, wait=lambda: None):
        """A generator of *items*; calls *wait*, and awaits what it gives, when it is closed."""
        self.generator = (self._async if self.is_async else self._sync)(items, wait)
        return self.generator

    def _sync(self, items, wait):
        try:
            for item in items:
                self.read.append(item)
                yield item
        finally:
            self.closed += 1

    async def _async(self, items, wait):
        try:
            for item in items:
                self.read.append(item)
                yield item
        finally:
            waited_for = wait()
            if waited_for is not None:
                await waited_for
            self.closed += 1


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def reading(request):
    """An input whose reading is watched."""
    return Input(request.param)


class Iterator:
    """An iterator that is no generator."""

    def __init__(self, items):
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)


class AsyncIterator:
    """An async iterator that is no generator."""

    def __init__(self, items):
        self.items = iter(items)

    def __aiter__(self):
        return self

    async def __anext__(self):
        await Promise.resolve()
        for item in self.items:
            return item
        raise StopAsyncIteration


RESULTS = [
    (Promise.map, lambda x: x * 10, [10, 20, 30]),
    (Promise.filter, lambda x: x != 2, [1, 3]),
    (Promise.each, lambda x: x * 10, [1, 2, 3]),
    (Promise.map_series, lambda x: x * 10, [10, 20, 30]),
    (Promise.reduce, lambda a, x: a + x, 6),
]


@pytest.mark.parametrize(
    ("method", "function", "expected"),
    RESULTS,
    ids=["map", "filter", "each", "map_series", "reduce"],
)
@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        iter,
        Iterator,
        AsyncIterator,
        Input(False).generate,
        Input(True).generate,
        lambda xs: dict.fromkeys(xs).keys(),
        lambda xs: dict(enumerate(xs)).values(),
    ],
    ids=[
        "list",
        "tuple",
        "iter",
        "Iterator",
        "AsyncIterator",
        "generator",
        "async-generator",
        "keys",
        "values",
    ],
)
def test_any_iterable_will_do(scheduler, method, function, expected, make):
    """Collections, iterators, generators, and the async ones, of values, promises, Deferreds."""
    promise = method(make([Promise.delay(1, 1), succeed(2), 3]), function)
    scheduler.advance(1)
    scheduler.flush()
    assert expected == promise.value()


@each_method
@pytest.mark.parametrize(
    "items", [[], (), iter(()), Promise.resolve([])], ids=["list", "tuple", "iterator", "promise"]
)
def test_nothing(scheduler, method, items):
    """Gives a new empty list, or the initial value; and the function is not called."""
    promise = method(items, pytest.fail)
    scheduler.flush()
    assert (None if method is METHODS["reduce"] else []) == promise.value()
    assert items is not promise.value()


@each_method
def test_a_generator_of_nothing(scheduler, method, reading):
    """It is read to its end."""
    promise = method(reading.generate([]), pytest.fail)
    scheduler.flush()
    assert (True, 1) == (promise.is_fulfilled(), reading.closed)


def test_an_async_generator_of_none(scheduler, reading):
    """None is an item like others."""
    promise = Promise.map(reading.generate([None, Promise.resolve(), ()]), lambda item: (item,))
    scheduler.flush()
    assert [(None,), (None,), ((),)] == promise.value()


@each_method
def test_inputs_are_not_modified(scheduler, method):
    """The list that was given holds what it held, and may be changed meanwhile."""
    source = Source()
    items = [succeed(0), source.promise, None]
    before = list(items)
    started = []
    promise = method(items, started.append)
    scheduler.flush()
    assert before == items
    items.clear()
    source.resolve(1)
    scheduler.flush()
    assert ({0, 1, None}, True) == (set(started), promise.is_fulfilled())


@each_method
def test_the_function_is_never_called_at_once(scheduler, method):
    """Not from within the method, whatever has settled."""
    called = []
    method([1, 2], called.append)
    assert [] == called
    scheduler.flush()
    assert [1, 2] == called


# --- no further than needed


@each_lazy
def test_an_endless_input_is_read_no_further_than_needed(scheduler, method, reading):
    """An item is read when the limit allows it to start."""
    made = {}

    def function(item):
        made[item] = Source()
        return made[item].promise

    promise = method(reading.generate(itertools.count()), function)
    for number in range(5):
        scheduler.flush()
        assert list(range(number + 1)) == reading.read
        made[number].resolve(True)
    promise.cancel()
    scheduler.flush()
    assert (5, 1) == (len(reading.read), reading.closed)


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("method", [Promise.map, Promise.filter], ids=["map", "filter"])
def test_no_more_items_are_read_than_the_limit(scheduler, method, limit, reading):
    """Pending items count, since they will give results."""
    pending = []

    def items():
        while True:
            pending.append(Source())
            yield pending[-1].promise

    source = Source()
    promise = method(reading.generate(items()), lambda _: source.promise, limit)
    scheduler.flush()
    assert limit == len(pending)
    pending[0].resolve()
    scheduler.flush()
    assert limit == len(pending)
    source.resolve()
    scheduler.flush()
    assert limit + 1 == len(pending)
    promise.cancel()
    scheduler.flush()
    assert 1 == reading.closed


def test_items_of_an_async_generator_may_pend_side_by_side(scheduler):
    """The next one is read while the last one pends, if the limit allows."""
    made = [Source() for _ in range(3)]
    started = []
    reading = Input(True)
    promise = Promise.map(
        reading.generate([source.promise for source in made]), lambda x: started.append(x) or x, 2
    )
    scheduler.flush()
    assert 2 == len(reading.read)
    made[1].resolve(1)
    scheduler.flush()
    assert ([1], 3) == (started, len(reading.read))
    made[2].resolve(2)
    made[0].resolve(0)
    scheduler.flush()
    assert [0, 1, 2] == promise.value()


@each_method
def test_an_async_generator_is_asked_for_one_item_at_a_time(scheduler, method):
    """Python does not allow two calls of `__anext__` at once."""
    asked = []

    async def items():
        for number in range(4):
            asked.append(number)
            await Promise.delay(1)
            yield number

    promise = method(items(), lambda _: None)
    for number in range(4):
        scheduler.flush()
        assert list(range(number + 1)) == asked
        scheduler.advance(1)
    assert promise.is_fulfilled()


@each_method
def test_nothing_is_read_after_the_function_has_failed(scheduler, method, reading):
    """The generator's `finally` blocks run."""

    def function(item):
        if item == 2:
            raise ValueError("x")

    promise = quiet(method(reading.generate(itertools.count()), function))
    scheduler.flush()
    assert ("x", [0, 1, 2], 1) == (str(promise.reason()), reading.read, reading.closed)


# --- closing


@each_method
@pytest.mark.parametrize(
    "function",
    [
        lambda _: 1 / 0,
        lambda _: Promise.reject(ZeroDivisionError()),
        lambda _: Promise.delay(1).then(lambda _: 1 / 0),
    ],
    ids=["raises", "rejected", "later"],
)
def test_the_generator_is_closed_when_the_function_fails(scheduler, method, function, reading):
    """At once, by whatever it fails."""
    promise = quiet(method(reading.generate([0, Source().promise]), function))
    scheduler.advance(1)
    assert ZeroDivisionError is type(promise.reason())
    assert 1 == reading.closed


@each_method
@pytest.mark.parametrize("when", ["before", "later"])
def test_the_generator_is_closed_when_an_item_is_rejected(scheduler, method, when, reading):
    """An item that is read, and turns out to be a rejection."""
    source = Source()
    if when == "before":
        source.reject(ValueError("x"))
    promise = quiet(method(reading.generate([source.promise, 1]), lambda _: None))
    scheduler.flush()
    source.reject(ValueError("x"))
    scheduler.flush()
    assert ("x", 1) == (str(promise.reason()), reading.closed)


@each_method
@pytest.mark.parametrize("pends", ["item", "result"])
def test_the_generator_is_closed_when_the_result_is_cancelled(scheduler, method, pends, reading):
    """While it waits for an item or for a result, which is cancelled too."""
    source = Source()
    items = [source.promise, 1] if pends == "item" else [1, 2]
    promise = method(reading.generate(items), lambda _: source.promise)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (True, 1, 1) == (promise.is_cancelled(), reading.closed, source.cancelled)


@each_method
def test_cancelling_before_the_first_item_is_read(scheduler, method, reading):
    """The generator has not begun, and has nothing to finish."""
    promise = method(reading.generate([1]), pytest.fail)
    promise.cancel()
    scheduler.flush()
    assert ([], 0, True) == (reading.read, reading.closed, promise.is_cancelled())


@each_method
@pytest.mark.parametrize("how", ["cancelled", "rejected"])
def test_a_waiting_async_generator_is_cancelled_at_its_await(scheduler, method, how):
    """Where it can still finish its work."""
    seen = []
    source = Source()

    async def items():
        try:
            yield 1
            await source.promise
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            await Promise.delay(1)
            seen.append("finally")

    failing = Source()
    unlimited = method is METHODS["unlimited"]
    promise = quiet(method(items(), lambda _: failing.promise if unlimited else None))
    scheduler.flush()
    if how == "cancelled":
        promise.cancel()
    elif unlimited:
        failing.reject(ValueError("x"))
    else:
        source.reject(ValueError("x"))
    scheduler.flush()
    if how == "cancelled":
        assert promise.is_cancelled()
    scheduler.advance(1)
    assert ["finally"] == seen[1:]
    stopped = how == "cancelled" or unlimited
    assert (CancellationError if stopped else ValueError) is seen[0]
    assert int(stopped) == source.cancelled


@each_method
def test_an_async_generator_that_swallows_its_cancellation(scheduler, method):
    """It is closed where it yields next."""
    seen = []

    async def items():
        try:
            try:
                await Source().promise
            except CancellationError:
                seen.append("swallowed")
            yield 1
            seen.append("went on")
        finally:
            seen.append("closed")

    generator = items()
    promise = method(generator, pytest.fail)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert ["swallowed", "closed"] == seen


@each_lazy
def test_finally_blocks_of_async_generators_are_waited_for(scheduler, method):
    """They may await; the result is cancelled at once."""
    reading = Input(True)
    promise = method(reading.generate([1], lambda: Promise.delay(1)), lambda _: Source().promise)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (True, 0) == (promise.is_cancelled(), reading.closed)
    scheduler.advance(1)
    assert 1 == reading.closed


@each_lazy
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_error_of_a_finally_block_is_logged(scheduler, method, is_async, reports):
    """The result has settled already."""

    def sync():
        try:
            yield 1
        finally:
            raise KeyError("finally")

    async def other():
        try:
            yield 1
        finally:
            raise KeyError("finally")

    promise = method(other() if is_async else sync(), lambda _: Source().promise)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [KeyError] == [event["log_failure"].type for event in reports]


@each_lazy
@pytest.mark.parametrize("make", [Iterator, AsyncIterator])
def test_iterators_that_are_no_generators(scheduler, method, make):
    """There is nothing to close."""
    promise = method(make(itertools.count()), lambda _: Source().promise)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()


@each_method
def test_the_awaitable_of_an_async_iterator_is_cancelled(scheduler, method):
    """What it waits for is cancelled."""
    source = Source()

    class Waiting(AsyncIterator):
        async def __anext__(self):
            await source.promise

    promise = method(Waiting([]), pytest.fail)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert 1 == source.cancelled


@each_method
def test_an_iterator_that_cancels_the_result_and_gives_a_rejection(scheduler, method):
    """That has no consumer, and counts as handled."""

    def items():
        promise.cancel()
        yield Promise.reject(ValueError("x"))

    promise = method(items(), pytest.fail)
    scheduler.flush()
    assert promise.is_cancelled()


# --- what is wrong, or fails


@each_method
@pytest.mark.parametrize("wrong", [5, None, "text", b"x", {"a": 1}], ids=repr)
def test_an_input_that_is_not_iterable_rejects(scheduler, method, wrong):
    """A TypeError, in the words of the page."""
    promises = [quiet(method(of, pytest.fail)) for of in (wrong, Promise.delay(1, wrong))]
    scheduler.advance(1)
    for promise in promises:
        assert TypeError is type(promise.reason())
        assert "(expecting an array, a promise or a thenable)" in str(promise.reason())


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (Promise.map, "mapper"),
        (Promise.filter, "predicate"),
        (Promise.each, "function"),
        (Promise.map_series, "mapper"),
        (Promise.reduce, "reducer"),
    ],
    ids=["map", "filter", "each", "map_series", "reduce"],
)
@pytest.mark.parametrize("function", [None, 5, "text"], ids=repr)
def test_a_function_that_is_not_callable_rejects(method, name, function):
    """A TypeError, in the words of the page."""
    promise = quiet(method([1], function))
    assert TypeError is type(promise.reason())
    assert f"{name} must be callable, not {function!r} (fn must be a function)" == str(
        promise.reason()
    )


@each_method
@pytest.mark.parametrize("how", ["rejected", "cancelled"])
def test_the_result_settles_as_a_failed_promise_for_the_input(scheduler, method, how):
    """Rejected or cancelled with it."""
    source = Source()
    promise = quiet(method(source.promise, pytest.fail))
    error = ValueError("x")
    source.reject(error) if how == "rejected" else source.promise.cancel()
    scheduler.flush()
    assert (error is promise.reason()) if how == "rejected" else promise.is_cancelled()


def failing(items, is_async):
    """An iterator that raises behind its items."""

    def sync():
        yield from items
        raise LookupError("reading")

    async def other():
        for item in items:
            yield item
        raise LookupError("reading")

    return other() if is_async else sync()


@each_method
@pytest.mark.parametrize("items", [[], [1]], ids=len)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_error_while_reading_rejects(scheduler, method, items, is_async):
    """Once it is reached; items before it are started."""
    started = []
    promise = quiet(method(failing(items, is_async), started.append))
    scheduler.flush()
    assert (LookupError, items) == (type(promise.reason()), started)


@each_method
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_an_error_while_making_the_iterator_rejects(scheduler, method, is_async):
    """`__iter__` and `__aiter__` are user code, too."""

    class Sync:
        def __iter__(self):
            raise LookupError("making")

    class Async:
        def __aiter__(self):
            raise LookupError("making")

    promise = quiet(method(Async() if is_async else Sync(), pytest.fail))
    scheduler.flush()
    assert LookupError is type(promise.reason())


@each_method
def test_an_invalid_async_iterable_rejects(scheduler, method):
    """One whose `__aiter__` gives no async iterator: Python's own TypeError."""

    class Async:
        def __aiter__(self):
            return iter([])

    promise = quiet(method(Async(), pytest.fail))
    scheduler.flush()
    assert TypeError is type(promise.reason())


# --- what cancels the result


@each_method
def test_cancelling_the_result_cancels_a_promise_for_the_input(scheduler, method):
    """While that is pending."""
    source = Source()
    promise = method(source.promise, pytest.fail)
    promise.cancel()
    scheduler.flush()
    assert (True, 1) == (promise.is_cancelled(), source.cancelled)


@each_method
@pytest.mark.parametrize("gives", ["value", "promise", "coroutine", "error"])
def test_a_function_that_cancels_the_result(scheduler, method, gives, reports):
    """It is not called again; what it gives is cancelled too; what it raises is logged."""
    source = Source()
    started = []

    async def coroutine():
        await source.promise

    def function(item):
        started.append(item)
        promise.cancel()
        if gives == "error":
            raise ValueError("x")
        return {"value": lambda: 1, "promise": lambda: source.promise, "coroutine": coroutine}[
            gives
        ]()

    promise = method([1, 2, 3], function)
    scheduler.flush()
    source.resolve(1)
    scheduler.flush()
    assert ([1], True) == (started, promise.is_cancelled())
    assert (gives in ("promise", "coroutine")) == source.cancelled
    assert [ValueError] * (gives == "error") == [event["log_failure"].type for event in reports]


@each_method
@pytest.mark.parametrize("fails", [False, True])
def test_listing_the_input_cancels_the_result(scheduler, method, fails, reports):
    """A collection that does that while it is read."""
    trigger = Source()

    class Collection(list):
        def __iter__(self):
            promise.cancel()
            if fails:
                raise ValueError("x")
            return super().__iter__()

    promise = method(trigger.promise, pytest.fail)
    trigger.resolve(Collection([1, 2]))
    scheduler.flush()
    assert promise.is_cancelled()
    assert [ValueError] * fails == [event["log_failure"].type for event in reports]


@each_method
@pytest.mark.parametrize("then", ["yields", "ends", "raises", "pends"])
def test_an_input_that_cancels_the_result_while_it_is_read(
    scheduler, method, then, reading, reports
):
    """It is closed after that step; no item is started; what it raises is logged."""
    source = Source()

    def items():
        promise.cancel()
        if then == "raises":
            raise ValueError("x")
        if then != "ends":
            yield source.promise if then == "pends" else 1
            yield 2

    promise = method(reading.generate(items()), pytest.fail)
    scheduler.flush()
    assert (True, 1) == (promise.is_cancelled(), reading.closed)
    assert len(reading.read) <= 1
    assert [ValueError] * (then == "raises") == [event["log_failure"].type for event in reports]


@each_method
def test_an_async_generator_that_cancels_the_result_and_waits(scheduler, method):
    """It is cancelled where it waits."""
    source = Source()
    closed = []

    async def items():
        try:
            promise.cancel()
            await source.promise
            yield 1
        finally:
            closed.append(True)

    promise = method(items(), pytest.fail)
    scheduler.flush()
    assert (1, [True]) == (source.cancelled, closed)


# --- contexts


@each_method
@pytest.mark.parametrize("where", ["empty", "set"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_input_is_read_in_the_context_of_the_call(scheduler, method, where, is_async):
    """The generator sees variables set for the call, and not those that functions set."""
    seen = []

    def sync():
        for number in range(3):
            seen.append(variable.get())
            yield number

    async def other():
        for number in range(3):
            seen.append(variable.get())
            await Promise.resolve()
            seen.append(variable.get())
            yield number

    def main():
        if where == "set":
            variable.set("outer")
        return method(other() if is_async else sync(), lambda _: variable.set("set by function"))

    promise = Context().run(main)
    scheduler.flush()
    assert promise.is_fulfilled()
    assert {"outer" if where == "set" else "unset"} == set(seen)


# --- many


@pytest.mark.exhaustive
@pytest.mark.no_cover
@pytest.mark.usefixtures("low_recursion_limit")
@each_method
@pytest.mark.parametrize("pends", [False, True], ids=["settled", "pending"])
def test_100_000_items(scheduler, method, pends, reading):
    """Nothing recurses, whether items are there or not."""
    items = (Promise.resolve().then() if pends else number for number in range(100_000))
    done = []
    promise = method(reading.generate(items), done.append)
    reading.read = _Nothing()
    scheduler.flush()
    assert (True, 100_000) == (promise.is_fulfilled(), len(done))


class _Nothing:
    def append(self, item):
        """Keep nothing."""


def test_under_asyncio(on_asyncio):
    """An async generator that awaits asyncio's own futures is read by a promise all the same."""

    async def items():
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    async def main():
        return await Promise.map(items(), lambda number: asyncio.sleep(0, number * 10))

    assert [0, 10, 20] == on_asyncio(main)
