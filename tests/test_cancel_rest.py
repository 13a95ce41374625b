"""`cancel_rest`: what is not needed any more is cancelled, unless another consumer needs it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.support.collections import sources
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, quiet
from twpromise import AggregateError, Promise
from twpromise._core.ending import has_ended

#: Each method with the option; it gives a promise for items, of which the first settles it.
BY_VALUE = {
    "race": lambda items, **options: Promise.race(items, **options),
    "any": lambda items, **options: Promise.any(items, **options),
    "some": lambda items, **options: Promise.some(items, 1, **options),
}
BY_REJECTION = {
    "all": lambda items, **options: Promise.all(items, **options),
    "props": lambda items, **options: Promise.props(dict(enumerate(items)), **options),
    "join": lambda items, **options: Promise.join(*items, **options),
    "join with a handler": lambda items, **options: Promise.join(*items, print, **options),
    "map": lambda items, **options: Promise.map(items, lambda item: item, **options),
    "map, lazily": lambda items, **options: Promise.map(iter(items), lambda item: item, **options),
    "map, results": lambda items, **options: Promise.map(
        range(len(items)), lambda index: items[index], **options
    ),
    "filter": lambda items, **options: Promise.filter(items, bool, **options),
    "all, of a promise": lambda items, **options: Promise.resolve(items).all(**options),
    "race, of a rejection": BY_VALUE["race"],
}
METHODS = BY_VALUE | BY_REJECTION


def settle(method, source):
    """Settle a first item so that it settles the result."""
    if method in BY_VALUE:
        source.resolve(1)
    else:
        source.reject(Boom())


@pytest.fixture(params=METHODS)
def method(request):
    """The name of a method with the option."""
    return request.param


@pytest.mark.parametrize("late", [0, 2], ids=["the first", "the last"])
def test_what_is_pending_is_cancelled(consumer, method, late):
    """When an item settles the result; what consumes the result sees the same as without it."""
    made, promises = sources()
    started = consumer.run(METHODS[method](promises, cancel_rest=True))
    consumer.flush()
    settle(method, made[late])
    consumer.flush()
    assert (1 if method in BY_VALUE else Boom) == (
        consumer.outcome(started)[0] if method == "some" else consumer.outcome(started)
    )
    assert [int(index != late) for index in range(3)] == [each.cancelled for each in made]


def test_the_default_is_bluebirds(scheduler, method):
    """Nothing is cancelled."""
    made, promises = sources()
    quiet(METHODS[method](promises))
    scheduler.flush()
    settle(method, made[0])
    scheduler.flush()
    assert [0, 0, 0] == [each.cancelled for each in made]


def test_unless_another_consumer_waits(scheduler, method):
    """For an item: that one goes on."""
    made, promises = sources()
    other = promises[1].then()
    quiet(METHODS[method](promises, cancel_rest=True))
    scheduler.flush()
    settle(method, made[0])
    scheduler.flush()
    assert [0, 0, 1] == [each.cancelled for each in made]
    made[1].resolve("for the other")
    scheduler.flush()
    assert "for the other" == other.value()


@pytest.mark.parametrize("second", ["fulfilled", "rejected"])
def test_what_settles_in_the_same_turn(scheduler, method, second):
    """It is not cancelled, and a rejection is not reported."""
    made, promises = sources()
    result = quiet(METHODS[method](promises, cancel_rest=True))
    scheduler.flush()
    settle(method, made[0])
    if second == "fulfilled":
        made[1].resolve(2)
    else:
        made[1].reject(Boom("late"))
    scheduler.flush()
    assert ("fulfilled" if method in BY_VALUE else "rejected") == outcome(result)[0]
    assert second == outcome(promises[1])[0]
    assert [0, 0, 1] == [each.cancelled for each in made]


def test_settled_by_an_item_that_is_settled_already(scheduler, method):
    """Also those behind it, which are looked at later, are cancelled."""
    made, promises = sources()
    settle(method, made[1])
    quiet(promises[1])
    scheduler.flush()
    result = quiet(METHODS[method](promises, cancel_rest=True))
    scheduler.flush()
    assert not result.is_pending()
    # A function that has not been called has made no promise to cancel.
    last = int(method != "map, results")
    assert [1, 0, last] == [each.cancelled for each in made]


def test_cancelled_itself(scheduler, method):
    """Then all are left, with the option or without."""
    made, promises = sources()
    result = METHODS[method](promises, cancel_rest=True)
    scheduler.flush()
    result.cancel()
    result.cancel()
    scheduler.flush()
    assert [1, 1, 1] == [each.cancelled for each in made]


def test_timed_out(scheduler, method):
    """A timeout behind it cancels all, and the result that comes later nothing more."""
    made, promises = sources()
    result = quiet(METHODS[method](promises, cancel_rest=True).timeout(1))
    scheduler.advance(1)
    settle(method, made[0])
    scheduler.flush()
    assert result.is_rejected()
    assert [1, 1, 1] == [each.cancelled for each in made]


async def wait(log):
    """Wait for a minute, and note the cancellation."""
    try:
        await Promise.delay(60)
    finally:
        log.append("coroutine")


@pytest.mark.parametrize("behind", [False, True], ids=["later", "at once"])
def test_whatever_the_items_are(scheduler, method, behind):
    """Deferreds are cancelled, and coroutines, timers and futures."""
    if method == "map, results" and behind:
        pytest.skip("the function is called for the first item only")
    log, future, source = [], Future(), Source()
    deferred = Deferred(lambda _: log.append("Deferred"))
    if behind:
        settle(method, source)
        quiet(source.promise)
    items = [source.promise, deferred, wait(log), future, Promise.delay(60)]
    quiet(METHODS[method](items, cancel_rest=True))
    scheduler.flush()
    settle(method, source)
    scheduler.flush()
    assert ["Deferred", "coroutine"] == log
    assert future.cancelled()
    assert [] == scheduler.clock.getDelayedCalls()


def test_deferreds_that_another_result_waits_for(scheduler):
    """They are not cancelled."""
    deferred, source = Deferred(), Source()
    quiet(Promise.all([source.promise, deferred], cancel_rest=True))
    other = Promise.all([deferred])
    source.reject(Boom())
    scheduler.flush()
    deferred.callback(1)
    scheduler.flush()
    assert [1] == other.value()


def test_a_deferred_that_fails_while_items_are_looked_at(scheduler):
    """By a coroutine behind the item that has failed: it counts as handled."""
    deferred = Deferred()
    # A later consumer of the Deferred finds the failure as long as something refers to it.
    failure = Failure(Boom("second"))

    async def fails():
        deferred.errback(failure)

    items = [deferred, quiet(Promise.reject(Boom("first"))), fails()]
    result = quiet(Promise.all(items, cancel_rest=True))
    scheduler.flush()
    assert "first" == str(result.reason())


def test_another_consumer_handles_or_does_not(scheduler, reports):
    """What goes on for another consumer is reported as ever: here a clean-up of its own."""
    source = Source()

    def cancels_itself(_):
        tapped.cancel()
        raise Boom("of a clean-up")

    tapped = source.promise.tap(cancels_itself)
    Promise.race([Source().promise, tapped])
    assert 1 == Promise.race([tapped, 1], cancel_rest=True).value()
    source.resolve()
    scheduler.flush()
    assert ["of a clean-up"] == [str(reason) for reason in reasons(reports)]


def test_a_deferred_whose_other_consumer_leaves(scheduler):
    """It is cancelled then: the result waits for it no more."""
    log, source = [], Source()
    deferred = Deferred(lambda _: log.append("cancelled"))
    other = Promise.from_deferred(deferred)
    quiet(Promise.all([source.promise, deferred], cancel_rest=True))
    source.reject(Boom())
    scheduler.flush()
    assert [] == log
    other.cancel()
    assert ["cancelled"] == log


def test_deferreds_alone(scheduler):
    """They are waited for without a promise, and one that fails cancels the others."""
    log = []
    deferreds = [Deferred(lambda _, name=name: log.append(name)) for name in "abc"]
    result = quiet(Promise.all(deferreds, cancel_rest=True))
    deferreds[1].errback(Boom())
    scheduler.flush()
    assert result.is_rejected()
    assert ["a", "c"] == log


@pytest.mark.parametrize("at_once", [True, False])
def test_while_cancellation_is_off(scheduler, at_once):
    """Nothing is cancelled, and what fails later counts as handled, as without the option."""
    library = Promise.get_new_library_copy()
    library.config(cancellation=False)
    deferred, source, first = Deferred(), Source(library), Source(library)
    if at_once:
        first.reject(Boom())
    result = quiet(library.all([deferred, source.promise, first.promise], cancel_rest=True))
    scheduler.flush()
    if not at_once:
        first.reject(Boom())
    scheduler.flush()
    deferred.errback(Boom("late"))
    source.reject(Boom("late"))
    scheduler.flush()
    assert result.is_rejected()


def test_all_that_is_left_of_some(scheduler):
    """When there are enough values, and when too few are left."""
    made, promises = sources(4)
    enough = Promise.some(promises, 2, cancel_rest=True)
    scheduler.flush()
    made[3].resolve("d")
    made[1].resolve("b")
    scheduler.flush()
    assert ["d", "b"] == enough.value()
    assert [1, 0, 1, 0] == [each.cancelled for each in made]

    made, promises = sources(3)
    too_few = quiet(Promise.some(promises, 2, cancel_rest=True))
    for source in made[:2]:
        source.reject(Boom())
    scheduler.flush()
    assert isinstance(too_few.reason(), AggregateError)
    assert [0, 0, 1] == [each.cancelled for each in made]


def test_too_few_items(scheduler):
    """Those that there are are cancelled."""
    made, promises = sources(2)
    quiet(Promise.some(promises, 3, cancel_rest=True))
    scheduler.flush()
    assert [1, 1] == [each.cancelled for each in made]


def test_when_all_are_cancelled(scheduler):
    """The result is cancelled, as without the option."""
    promises = sources(2)[1]
    result = Promise.any(promises, cancel_rest=True)
    for promise in promises:
        promise.cancel()
    scheduler.flush()
    assert result.is_cancelled()


def test_when_too_many_are_cancelled(scheduler):
    """What is left is cancelled with the result."""
    made, promises = sources(3)
    result = Promise.some(promises, 2, cancel_rest=True)
    for promise in promises[:2]:
        promise.cancel()
    scheduler.flush()
    assert result.is_cancelled()
    assert [1, 1, 1] == [each.cancelled for each in made]


@pytest.mark.parametrize("name", ["race", "all", "map"])
def test_an_iterator_that_raises(scheduler, name):
    """What it gave before is cancelled."""
    source = Source()

    def broken():
        yield source.promise
        raise Boom

    class Broken(list):
        def __iter__(self):
            return broken()

    methods = {
        "race": lambda: Promise.race(broken(), cancel_rest=True),
        "all": lambda: Promise.all(broken(), cancel_rest=True),
        "map": lambda: Promise.map(Broken([1]), print, cancel_rest=True),
    }
    result = quiet(methods[name]())
    scheduler.flush()
    assert Boom is type(result.reason())
    assert 1 == source.cancelled


def test_map_stops_in_every_way(scheduler):
    """Results and items that are pending are cancelled, and no more are read or begun."""
    made, promises = sources(4)
    log = []

    def items():
        try:
            yield from promises
        finally:
            log.append("closed")

    result = Promise.map(items(), lambda item: log.append(item), 3, cancel_rest=True)
    quiet(result)
    scheduler.flush()
    made[1].reject(Boom())
    scheduler.flush()
    assert result.is_rejected()
    assert ["closed"] == log
    assert [1, 0, 1, 0] == [each.cancelled for each in made]


def test_map_with_a_function_that_raises(scheduler):
    """What it has begun before is cancelled; so for a result that is rejected already."""
    for fail in (Boom, Promise.reject):
        source = Source()

        def function(item, source=source, fail=fail):
            if not item:
                return source.promise
            if fail is Boom:
                raise Boom
            return fail(Boom())

        result = quiet(Promise.map([0, 1], function, cancel_rest=True))
        scheduler.flush()
        assert Boom is type(result.reason())
        assert 1 == source.cancelled


def test_map_over_an_async_iterable(scheduler):
    """The iterator is not left waiting."""
    log = []
    source = Source()

    async def items():
        try:
            yield source.promise
            await Promise.delay(60)
        finally:
            log.append("closed")

    result = quiet(Promise.map(items(), lambda item: item, cancel_rest=True))
    scheduler.flush()
    source.reject(Boom())
    scheduler.flush()
    assert result.is_rejected()
    assert ["closed"] == log
    assert [] == scheduler.clock.getDelayedCalls()


def test_ended_when_what_was_cancelled_has(scheduler, method):
    """The result settles at once, and has ended when the others have cleaned up."""
    gate = Promise.defer()
    log, source, clean = [], Source(), []

    def cleaning():
        promise = Source().promise.finally_(lambda: gate.promise)
        clean.append(promise)
        return promise

    if method == "join with a handler":
        pytest.skip("what is derived from a rejection has ended with it")
    result = METHODS[method]([cleaning(), source.promise, cleaning()], cancel_rest=True)
    quiet(result).add_done_callback(log.append)
    scheduler.flush()
    settle(method, source)
    scheduler.flush()
    assert (False, False, []) == (result.is_pending(), has_ended(result), log)
    gate.resolve()
    scheduler.flush()
    assert (True, [result]) == (has_ended(result), log)


def test_ended_when_cancelled_while_items_are_looked_at(scheduler):
    """By a coroutine among them, which is started then: what cleans up counts."""
    gate = Promise.defer()
    inputs = Promise.defer()
    result = inputs.promise.race(cancel_rest=True)

    async def cancels():
        result.cancel()

    cleaning = Source().promise.finally_(lambda: gate.promise)
    inputs.resolve([cleaning, cancels(), 1])
    scheduler.flush()
    assert (True, False) == (result.is_cancelled(), has_ended(result))
    gate.resolve()
    scheduler.flush()
    assert has_ended(result)


def test_ended_when_settled_at_once(scheduler):
    """Also if the items that clean up are looked at after the one that settles the result."""
    gate = Promise.defer()
    cleaning = [Source().promise.finally_(lambda: gate.promise) for _ in range(2)]
    result = Promise.race([cleaning[0], 1, cleaning[1]], cancel_rest=True)
    assert (True, False) == (result.is_fulfilled(), has_ended(result))
    gate.resolve()
    scheduler.flush()
    assert has_ended(result)


def test_a_canceller_sees_the_result_settled(scheduler, reports):
    """User code that runs then may do anything; what it raises is logged."""
    seen = []

    def canceller(_):
        seen.append(outcome(result)[0])
        result.cancel()
        raise Boom("of a canceller")

    source = Source()
    result = Promise.race([source.promise, Deferred(canceller)], cancel_rest=True)
    source.resolve(1)
    scheduler.flush()
    assert ["fulfilled"] == seen
    assert 1 == result.value()
    assert ["of a canceller"] == [str(reason) for reason in reasons(reports)]


def test_a_clean_up_that_fails(scheduler, method, reports):
    """It is reported, as that of each cancelled promise."""
    if method == "map, results":
        pytest.skip("the function is called for the first item only")

    def clean_up():
        raise Boom("of a clean-up")

    for late in (False, True):
        source = Source()
        cleaning = Source().promise.finally_(clean_up)
        if late:
            settle(method, source)
            quiet(source.promise)
        quiet(METHODS[method]([cleaning, source.promise], cancel_rest=True))
        scheduler.flush()
        settle(method, source)
        scheduler.flush()
    assert ["of a clean-up"] * 2 == [str(reason) for reason in reasons(reports)]


def test_the_first_item_is_cancelled_first(scheduler):
    """In the order of the items."""
    log, source = [], Source()
    deferreds = [Deferred(lambda _, name=name: log.append(name)) for name in "abc"]
    Promise.race([*deferreds, source.promise], cancel_rest=True)
    source.resolve()
    scheduler.flush()
    assert ["a", "b", "c"] == log


def test_an_item_twice(scheduler):
    """It is cancelled once."""
    made, promises = sources(2)
    Promise.race([promises[0], promises[0], promises[1]], cancel_rest=True)
    made[1].resolve()
    scheduler.flush()
    assert [1, 0] == [each.cancelled for each in made]


def test_an_event_that_settles_the_result(scheduler, config):
    """A listener is notified before anything is cancelled."""
    config(monitoring=True)
    made, promises = sources(2)
    seen = []

    def listener(promise):
        if promise is result:
            seen.append(made[1].cancelled)

    Promise.on("promise_fulfilled", listener)
    result = Promise.race(promises, cancel_rest=True)
    made[0].resolve()
    scheduler.flush()
    Promise.off("promise_fulfilled", listener)
    assert [0] == seen
    assert 1 == made[1].cancelled


@pytest.mark.parametrize("wrong", [None, 1, "yes"])
def test_a_value_that_is_no_bool(scheduler, method, wrong):
    """It rejects, by name, and nothing is waited for."""
    made, promises = sources()
    result = quiet(METHODS[method](promises, cancel_rest=wrong))
    scheduler.flush()
    with pytest.raises(TypeError, match="cancel_rest must be True or False, not"):
        raise result.reason()
    settle(method, made[0])
    quiet(made[0].promise)
    scheduler.flush()
    assert [0, 0, 0] == [each.cancelled for each in made]


def test_where_there_is_no_rest(scheduler):
    """`all_settled` waits for all, and does not take it; nor does a function take others."""
    for wrong in (
        lambda: Promise.all_settled([], cancel_rest=True),
        lambda: Promise.all([], cancel_all=True),
        lambda: Promise.race([], True),
    ):
        with pytest.raises(TypeError, match="takes one iterable"):
            wrong()


def test_tasks_of_asyncio(scheduler):
    """A task that is not needed is cancelled."""

    async def main():
        task = asyncio.create_task(asyncio.sleep(60))
        source = Source()
        Promise.race([task, source.promise], cancel_rest=True)
        source.resolve()
        scheduler.flush()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task.cancelled()

    assert asyncio.run(main())
