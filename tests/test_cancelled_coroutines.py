"""Coroutines that are cancelled, by themselves or through what they wait for."""

from __future__ import annotations

import gc
import weakref
from traceback import walk_tb

import pytest
from twisted.internet.defer import ensureDeferred

from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, pending
from twpromise import CancellationError, Promise

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")


KINDS = {
    "Promise.coroutine": lambda function: Promise.coroutine(function)(),
    "Promise.method": lambda function: Promise.method(function)(),
    "Promise.try_": Promise.try_,
    "resolve": lambda function: Promise.resolve(function()),
    "a handler": lambda function: Promise.resolve().then(lambda _: function()),
    "all": lambda function: Promise.all([function()]),
}
kinds = pytest.mark.parametrize("start", KINDS.values(), ids=KINDS)


# --- what it waits for is cancelled by others


@kinds
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_coroutine_whose_awaited_promise_is_cancelled_is_cancelled(
    scheduler, reports, start, when
):
    """It cleans up first, and handlers are not called; it is no rejection that is reported."""
    awaited, log = Promise.delay(60), []
    if when == "before":
        awaited.cancel()

    async def function():
        try:
            await awaited
        finally:
            await Promise.delay(1)
            log.append("cleaned up")

    promise = start(function)
    promise.catch(Exception, log.append).finally_(lambda: log.append("finally"))
    scheduler.flush()
    awaited.cancel()
    scheduler.flush()
    assert promise.is_pending()
    scheduler.advance(1)
    assert promise.is_cancelled()
    assert (["cleaned up", "finally"], []) == (log, reports)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_generator_whose_yielded_promise_is_cancelled_is_cancelled(scheduler, reports, when):
    """As an `async def`; as in bluebird, its `finally` blocks are run and waited for."""
    yielded, log = Promise.delay(60), []
    if when == "before":
        yielded.cancel()

    @Promise.coroutine
    def function():
        try:
            yield yielded
        finally:
            yield Promise.delay(1)
            log.append("cleaned up")

    promise = function()
    scheduler.flush()
    yielded.cancel()
    scheduler.advance(1)
    assert promise.is_cancelled()
    assert (["cleaned up"], []) == (log, reports)


def test_a_cancellation_by_others_passes_through_coroutines(scheduler, reports):
    """Each that lets it pass is cancelled."""
    awaited = Promise.delay(60)

    async def inner():
        return await awaited

    @Promise.coroutine
    def middle():
        return (yield inner())

    @Promise.coroutine
    async def outer():
        return await middle()

    promise = outer()
    awaited.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [] == reports


@kinds
def test_a_rejection_with_a_cancellation_error_is_one(scheduler, start):
    """The promise that was awaited was not cancelled, but consumed too late, say."""
    gone = Promise.delay(60)
    gone.cancel()
    late = gone.then()

    async def function():
        await late

    promise = start(function)
    scheduler.flush()
    assert ("rejected", CancellationError) == (outcome(promise)[0], type(promise.reason()))


@kinds
def test_a_cancellation_error_of_its_own_rejects(scheduler, start):
    """Nothing was cancelled."""
    error = CancellationError("not wanted any more")

    async def function():
        raise error

    promise = start(function)
    scheduler.flush()
    assert ("rejected", error) == outcome(promise)


def test_another_error_of_the_clean_up_rejects(scheduler, reports):
    """It is not lost."""
    awaited, error = Promise.delay(60), Boom("in the clean-up")

    @Promise.coroutine
    async def function():
        try:
            await awaited
        finally:
            raise error

    promise = function()
    awaited.cancel()
    scheduler.flush()
    assert (("rejected", error), [error]) == (outcome(promise), reasons(reports))


def test_a_coroutine_of_twisteds_fails_when_the_awaited_promise_is_cancelled(scheduler):
    """A Deferred knows no third outcome."""
    awaited, failures = Promise.delay(60), []

    async def function():
        await awaited

    ensureDeferred(function()).addErrback(failures.append)
    awaited.cancel()
    scheduler.flush()
    assert [CancellationError] == [failure.type for failure in failures]


# --- generators that delegate


def cleaning(name, log, then=None):
    """A generator that waits, and cleans up in two steps; it delegates to another one, or not."""
    try:
        if then is None:
            yield Promise.delay(60)
        else:
            yield from then
    except GeneratorExit:
        log.append(f"{name} is exited")
        raise
    finally:
        yield Promise.delay(1)
        log.append(f"{name} 1")
        yield Promise.delay(1)
        log.append(f"{name} 2")


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_generator_that_delegates_cleans_up(scheduler, reports, depth):
    """Each `finally` block yields as often as it wants, from within to without."""
    log, names = [], ["inner", "middle", "outer"][:depth]

    @Promise.coroutine
    def coroutine():
        generator = None
        for name in names:
            generator = cleaning(name, log, generator)
        yield from generator

    promise = coroutine()
    promise.cancel()
    scheduler.flush()
    assert ["inner is exited"] == log
    for _ in range(2 * depth):
        scheduler.advance(1)
    assert [f"{n} {what}" for n in names for what in ("is exited", "1", "2")] == log
    assert (("cancelled", None), []) == (outcome(promise), reports)


def test_what_a_delegating_generator_sees_of_an_error(scheduler, reports):
    """It is raised at its `yield from`, with the frames of both, and not ours."""
    error = Boom("in the clean-up")

    def inner():
        try:
            yield pending()[0]
        finally:
            raise error

    @Promise.coroutine
    def outer():
        yield from inner()

    promise = outer()
    promise.cancel()
    scheduler.flush()
    assert (("rejected", error), [error]) == (outcome(promise), reasons(reports))
    assert ["outer", "inner"] == [f.f_code.co_name for f, _ in walk_tb(error.__traceback__)]


@pytest.mark.parametrize("how", ["returns", "catches what it delegates to"])
def test_a_delegating_generator_is_exited_when_what_it_delegates_to_has_ended(scheduler, how):
    """Also if that swallows the exit; it may catch it itself."""
    log = []

    def inner():
        try:
            yield pending()[0]
        except GeneratorExit:
            if how != "returns":
                raise

    @Promise.coroutine
    def outer():
        try:
            yield from inner()
            log.append("went on")
        except GeneratorExit:
            log.append("exited")
            if how == "returns":
                raise

    promise = outer()
    promise.cancel()
    scheduler.flush()
    assert (["exited"], ("cancelled", None)) == (log, outcome(promise))


def test_delegating_to_what_is_no_generator(scheduler):
    """It has no clean-up that could wait; the generator around it has."""
    log = []

    @Promise.coroutine
    def outer():
        try:
            yield from [pending()[0]]
        finally:
            yield Promise.delay(1)
            log.append("cleaned up")

    promise = outer()
    promise.cancel()
    scheduler.advance(1)
    assert (["cleaned up"], ("cancelled", None)) == (log, outcome(promise))


def test_a_reason_that_is_a_generator_exit_reaches_the_inner_generator(scheduler):
    """A rejection is raised at the `yield`, whatever its reason is."""
    log = []

    def inner():
        try:
            yield Promise.reject(GeneratorExit("a reason"))
        finally:
            log.append((yield Promise.delay(1, "cleaned up")))

    @Promise.coroutine
    def outer():
        yield from inner()

    promise = outer()
    scheduler.advance(1)
    assert (["cleaned up"], "rejected") == (log, outcome(promise)[0])


def test_a_delegating_generator_is_freed_by_reference_counting(scheduler):
    """Its frames are kept by nothing."""

    class Thing:
        pass

    def inner(thing):
        yield pending()[0]

    @Promise.coroutine
    def outer(thing):
        yield from inner(thing)

    thing = Thing()
    reference = weakref.ref(thing)
    gc.collect()
    gc.disable()
    try:
        promise = outer(thing)
        del thing
        promise.cancel()
        scheduler.flush()
        del promise
        assert reference() is None
    finally:
        gc.enable()
