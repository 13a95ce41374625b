"""`as_completed`: the promises of a collection, in the order in which they settle."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import Future

import pytest
from twisted.internet.defer import Deferred, succeed

from tests.support.collections import sources
from tests.support.promises import Boom, Source, quiet
from twpromise import CancellationError, Promise


async def note(iterator, log, end="end"):
    """Note what an iterator gives."""
    async for promise in iterator:
        log.append(promise)
    log.append(end)


def given(promises, log):
    """What was noted: the indices of promises, and anything else as it is."""
    return [promises.index(entry) if entry in promises else entry for entry in log]


def test_in_the_order_in_which_they_settle(consumer):
    """The promises themselves, each when it has settled, however."""
    made, promises = sources()
    log = []
    consumer.start(note(Promise.as_completed(promises), log))
    consumer.flush()
    assert [] == log
    made[2].resolve("c")
    consumer.flush()
    assert [2] == given(promises, log)
    promises[0].cancel()
    made[1].reject(Boom())
    consumer.flush()
    assert [2, 0, 1, "end"] == given(promises, log)


def test_settled_before_in_the_order_of_the_input(consumer):
    """And before those that are pending; a rejection counts as handled."""
    made, promises = sources(4)
    made[2].reject(Boom())
    made[1].resolve()
    promises[3].cancel()
    log = []
    consumer.start(note(Promise.as_completed(promises), log))
    consumer.flush()
    assert [1, 2, 3] == given(promises, log)
    made[0].resolve()
    consumer.flush()
    assert [1, 2, 3, 0, "end"] == given(promises, log)


def test_those_that_settle_while_the_loop_is_busy(consumer):
    """They are kept, in order."""
    made, promises = sources()
    log, gate = [], Promise.defer()

    async def main():
        async for promise in Promise.as_completed(promises):
            log.append(promises.index(promise))
            await gate.promise

    consumer.start(main())
    consumer.flush()
    for index in (1, 0, 2):
        made[index].resolve()
    consumer.flush()
    assert [1] == log
    gate.resolve()
    consumer.flush()
    assert [1, 0, 2] == log


def test_awaiting_what_is_given(consumer):
    """It gives the value, or raises the reason."""
    made, promises = sources(2)

    async def main():
        results = []
        async for promise in Promise.as_completed(promises):
            try:
                results.append(await promise)
            except Boom:
                results.append("boom")
        return results

    started = consumer.start(main())
    consumer.flush()
    made[1].reject(Boom())
    made[0].resolve(1)
    consumer.flush()
    assert ["boom", 1] == consumer.outcome(started)


def test_whatever_the_items_are(consumer):
    """Anything that is followed, and values, become promises."""
    future, deferred = Future(), Deferred()

    async def coroutine():
        return "coroutine"

    items = iter(["value", future, deferred, coroutine(), succeed("fired")])

    async def main():
        return [await promise async for promise in Promise.as_completed(items)]

    started = consumer.start(main())
    consumer.flush()
    deferred.callback("Deferred")
    consumer.flush()
    future.set_result("future")
    consumer.flush()
    results = consumer.outcome(started)
    assert ["Deferred", "future"] == results[3:]
    assert ["coroutine", "fired", "value"] == sorted(results[:3])


def test_a_promise_for_the_items(consumer):
    """As for other collections; it is a method, too."""
    inputs = Source()
    log = []
    consumer.start(note(inputs.promise.as_completed(), log))
    consumer.flush()
    item = Promise.resolve(1)
    inputs.resolve([item])
    consumer.flush()
    assert [item, "end"] == log


def test_nothing_in_it(consumer):
    """The loop ends at once."""
    log = []
    consumer.start(note(Promise.as_completed([]), log))
    consumer.flush()
    assert ["end"] == log


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [(5, TypeError), ("text", TypeError), ({}, TypeError), (None, TypeError)],
)
def test_what_is_no_input(consumer, wrong, expected):
    """It is raised in the loop."""
    started = consumer.start(note(Promise.as_completed(wrong), []))
    consumer.flush()
    assert expected == consumer.outcome(started)


def test_a_call_without_an_input():
    """It says what is missing."""
    with pytest.raises(TypeError, match=r"^Promise\.as_completed\(\) takes one iterable: "):
        Promise.as_completed()


def test_an_input_that_fails(consumer):
    """A promise for the items that is rejected, and an iterator that raises: in the loop."""

    def broken():
        yield quiet(Promise.reject(Boom("handled")))
        yield Promise.reject(Boom("handled, too"))
        raise Boom

    for make in (lambda: Promise.reject(Boom()), broken):
        started = consumer.start(note(Promise.as_completed(make()), []))
        consumer.flush()
        assert Boom == consumer.outcome(started)


def test_an_item_twice(consumer):
    """It is given twice."""
    source = Source()
    log = []
    consumer.start(note(Promise.as_completed([source.promise, source.promise]), log))
    consumer.flush()
    source.resolve()
    consumer.flush()
    assert [source.promise, source.promise, "end"] == log


def test_followers(consumer):
    """An item that follows another promise is given itself."""
    source = Source()
    follower = Promise(lambda resolve, _: resolve(source.promise))
    log = []
    consumer.start(note(Promise.as_completed([follower]), log))
    consumer.flush()
    source.resolve(1)
    consumer.flush()
    assert [follower, "end"] == log


# --- as an input


@pytest.mark.parametrize("method", ["each", "map", "map_series", "filter", "reduce"])
def test_as_the_input_of_other_methods(scheduler, method):
    """Functions are called with the values, in the order in which they have come."""
    made, promises = sources()
    seen = []
    call = {
        "each": lambda items: Promise.each(items, seen.append),
        "map": lambda items: Promise.map(items, seen.append),
        "map_series": lambda items: Promise.map_series(items, seen.append),
        "filter": lambda items: Promise.filter(items, seen.append),
        "reduce": lambda items: Promise.reduce(items, lambda _, item: seen.append(item), 0),
    }[method]
    result = call(Promise.as_completed(promises))
    scheduler.flush()
    for index in (1, 2, 0):
        made[index].resolve(index)
        scheduler.flush()
        assert index == seen[-1]
    assert [1, 2, 0] == seen
    assert result.is_fulfilled()


def test_a_rejection_ends_each(scheduler):
    """As an item of a list that is rejected; the others go on."""
    made, promises = sources()
    result = quiet(Promise.each(Promise.as_completed(promises), print))
    scheduler.flush()
    made[1].reject(Boom())
    scheduler.flush()
    assert Boom is type(result.reason())
    assert [0, 0, 0] == [source.cancelled for source in made]
    promises[0].then().cancel()
    scheduler.flush()
    assert 1 == made[0].cancelled


def test_cancelling_each(scheduler):
    """While it waits for the next one: the items are cancelled."""
    made, promises = sources()
    result = Promise.each(Promise.as_completed(promises), print)
    scheduler.flush()
    result.cancel()
    scheduler.flush()
    assert [1, 1, 1] == [source.cancelled for source in made]


# --- cancelling, and leaving


def test_cancelled_while_it_waits(consumer):
    """What is left loses a consumer, and is cancelled unless it has another; twice is once."""
    made, promises = sources()
    other = promises[1].then()
    log = []
    started = consumer.start(note(Promise.as_completed(promises), log))
    consumer.flush()
    made[0].resolve()
    consumer.flush()
    started.cancel()
    started.cancel()
    consumer.flush()
    assert [0] == given(promises, log)
    assert [0, 0, 1] == [source.cancelled for source in made]
    made[1].resolve("for the other")
    consumer.flush()
    assert "for the other" == other.value()


def test_cancelled_before_the_input_has_come(consumer):
    """Then that is cancelled."""
    inputs = Source()
    started = consumer.start(note(Promise.as_completed(inputs.promise), []))
    consumer.flush()
    started.cancel()
    consumer.flush()
    assert 1 == inputs.cancelled


@pytest.mark.parametrize("settle", ["resolve", "reject"])
def test_cancelled_in_the_turn_of_settling(consumer, settle):
    """The item keeps its outcome, and the others are cancelled."""
    made, promises = sources(2)
    started = consumer.start(note(Promise.as_completed(promises), []))
    consumer.flush()
    getattr(made[0], settle)(Boom())
    started.cancel()
    consumer.flush()
    assert not promises[0].is_cancelled()
    assert [0, 1] == [source.cancelled for source in made]


def test_a_timeout(consumer):
    """A wait that takes too long raises in the loop, and leaves what is left."""
    made, promises = sources(2)

    async def main():
        iterator = Promise.as_completed(promises)
        try:
            await Promise.resolve(anext(iterator)).timeout(1)
        except TimeoutError:
            return "too late"

    started = consumer.start(main())
    consumer.flush()
    consumer.flush(1)
    assert "too late" == consumer.outcome(started)
    assert [1, 1] == [source.cancelled for source in made]


def test_it_is_a_consumer(consumer):
    """Of all that are left, also while the loop is busy."""
    made, promises = sources(2)
    gate = Promise.defer()

    async def main():
        async for _ in Promise.as_completed(promises):
            await gate.promise

    consumer.start(main())
    consumer.flush()
    made[0].resolve()
    consumer.flush()
    promises[1].then().cancel()
    consumer.flush()
    assert 0 == made[1].cancelled
    made[1].resolve()
    gate.resolve()
    consumer.flush()


def test_a_loop_that_is_left(consumer):
    """What is left goes on, its rejection counts as handled, and it has one consumer less."""
    made, promises = sources()

    async def main():
        iterator = Promise.as_completed(promises)
        async for _ in iterator:
            break
        await iterator.aclose()

    consumer.start(main())
    consumer.flush()
    made[0].resolve()
    consumer.flush()
    assert [0, 0, 0] == [source.cancelled for source in made]
    made[1].reject(Boom())
    promises[2].then().cancel()
    consumer.flush()
    assert [0, 0, 1] == [source.cancelled for source in made]


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_an_iterator_that_is_not_begun(consumer, how):
    """It is a consumer until it is closed or dropped, as one that is left."""
    source = Source()

    async def main():
        iterator = Promise.as_completed([source.promise])
        source.promise.then().cancel()
        await Promise.resolve()
        assert 0 == source.cancelled
        if how == "closed":
            await iterator.aclose()

    consumer.start(main())
    # A loop of asyncio's closes what is dropped in a task.
    consumer.flush()
    source.promise.then().cancel()
    consumer.flush()
    assert 1 == source.cancelled


def test_an_item_that_was_given_is_not_kept(consumer):
    """The next wait refers to what is left only."""
    made, promises = sources(2)
    left = weakref.ref(promises[0])
    log = []

    async def main(iterator):
        async for promise in iterator:
            log.append(promise.value())
            del promise

    consumer.start(main(Promise.as_completed(promises)))
    del promises
    consumer.flush()
    made[0].resolve("a")
    consumer.flush()
    first = made.pop(0)
    del first
    gc.collect()
    assert ["a"] == log
    assert left() is None
    made[0].resolve("b")
    consumer.flush()
    assert ["a", "b"] == log


def test_a_loop_that_was_left_keeps_nothing(consumer):
    """What had settled by then is not kept by what is left."""
    made, promises = sources(3)
    left = weakref.ref(promises[1])

    async def main(iterator):
        await anext(iterator)
        await iterator.aclose()

    consumer.start(main(Promise.as_completed(promises)))
    del promises
    for source in made[:2]:
        source.resolve()
    del made[:2], source
    consumer.flush()
    gc.collect()
    assert left() is None
    assert made[0].promise.is_pending()


def test_a_cancelled_item_raises_when_it_is_awaited(consumer):
    """As each late observer sees it."""
    source = Source()
    source.promise.cancel()

    async def main():
        promise = await anext(Promise.as_completed([source.promise]))
        try:
            return await promise
        except CancellationError as error:
            return str(error)

    started = consumer.start(main())
    consumer.flush()
    assert "the promise was cancelled (late cancellation observer)" == consumer.outcome(started)


def test_its_name(scheduler):
    """A repr says where it comes from."""
    assert "as_completed" in repr(Promise.as_completed([]))
