"""Coroutines that are cancelled, by themselves or through what they wait for."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Coroutine
from contextlib import asynccontextmanager, suppress
from traceback import walk_tb

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.logger import globalLogPublisher

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


@pytest.mark.parametrize(
    "start", [Promise.coroutine, lambda function: lambda: Promise.resolve(function())]
)
def test_what_a_deferred_says_to_its_cancellation_is_no_error_of_the_clean_up(
    scheduler, reports, start
):
    """An HTTP client answers with an error of its own: nothing is reported if that passes."""
    log = []

    async def function():
        try:
            await Deferred(lambda deferred: deferred.errback(Boom("no response")))
        except Boom as error:
            log.append(str(error))
            raise

    promise = start(function)()
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (["no response"], []) == (log, reasons(reports))
    assert promise.is_cancelled()


def test_another_error_than_the_deferred_says_is_reported(scheduler, reports):
    """Also if it is raised while that one is handled."""
    error = Boom("in the clean-up")

    @Promise.coroutine
    async def function():
        try:
            await Deferred(lambda deferred: deferred.errback(Boom("no response")))
        except Boom:
            raise error from None

    promise = function()
    promise.cancel()
    scheduler.flush()
    assert [error] == reasons(reports)
    assert promise.is_cancelled()


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
    assert (("cancelled", None), [error]) == (outcome(promise), reasons(reports))
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


# --- a cancellation that is swallowed


def swallowed(events):
    """The lines that the log names: that swallowed it, and where it waits."""
    return [
        tuple(int(event[key].split("line ")[1].split(",")[0]) for key in ("swallowed", "waits"))
        for event in events
        if "swallowed" in event
    ]


@pytest.fixture
def log():
    """Every event that promises log at error level or above."""
    events = []

    def observe(event):
        if event.get("log_namespace") == "twpromise":
            events.append(event)

    globalLogPublisher.addObserver(observe)
    yield events
    globalLogPublisher.removeObserver(observe)


def line_of(function, text):
    """The line of a function that contains *text*."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


@kinds
def test_a_retry_loop_ends_soon_after_it_was_cancelled(scheduler, log, start):
    """It may clean up, and wait once more, which is logged; then each await is cancelled."""
    attempts, ended = [], []

    async def fetch():
        attempts.append(Promise.delay(10))
        await attempts[-1]  # in fetch

    async def poll():
        try:
            while True:
                try:
                    await fetch()  # the line
                except Exception:
                    await Promise.delay(1)
        finally:
            ended.append(True)

    promise = start(poll)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    for _ in range(30):
        scheduler.advance(1)
    assert 3 == len(attempts)
    assert [False, True] == [each.is_cancelled() for each in attempts[1:]]
    assert ([True], []) == (ended, scheduler.clock.getDelayedCalls())
    assert [(line_of(poll, "the line"), line_of(fetch, "in fetch"))] == swallowed(log)
    assert ["error"] == [event["log_level"].name for event in log]


@pytest.mark.parametrize("catches", [Exception, BaseException])
@pytest.mark.parametrize("kind", ["generator", "coroutine"])
def test_a_loop_that_swallows_everything_is_closed(scheduler, reports, log, catches, kind):
    """It does not keep the queue busy without end; and what it waited for is cancelled."""
    attempts = []

    def attempt():
        attempts.append(Promise.delay(10))
        return attempts[-1]

    @Promise.coroutine
    def generator():
        while len(attempts) < 5:
            try:
                yield attempt()
            except (catches, GeneratorExit):
                pass

    @Promise.coroutine
    async def coroutine():
        while len(attempts) < 5:
            try:
                await attempt()
            except catches:
                pass

    promise = (generator if kind == "generator" else coroutine)()
    promise.cancel()
    for _ in range(30):
        scheduler.advance(1)
    ignores = kind == "generator" or catches is BaseException
    # One that was cancelled, one that was let through, one that was cancelled, one at which it was
    # closed, and one more if it has ignored that.
    assert 4 + ignores == len(attempts)
    assert [True, False, True, True] == [each.is_cancelled() for each in attempts[:4]]
    assert promise.is_cancelled()
    assert 1 == len(swallowed(log))
    words = [str(event["log_failure"].value) for event in log if "log_failure" in event]
    assert [f"{kind} ignored GeneratorExit"] * ignores == words
    reports.clear()


def test_deferreds_that_a_loop_awaits_without_end(scheduler, log):
    """A canceller that gives a value lets the coroutine go on, but not without end."""
    deferreds, cancelled = [], []

    def canceller(deferred):
        cancelled.append(deferred)
        deferred.callback(None)

    @Promise.coroutine
    async def function():
        while True:
            deferreds.append(Deferred(canceller))
            await deferreds[-1]

    promise = function()
    promise.cancel()
    scheduler.flush()
    assert (2, 1) == (len(deferreds), len(swallowed(log)))
    deferreds[1].callback(None)
    scheduler.flush()
    assert [deferreds[0], *deferreds[2:]] == cancelled
    assert (4, True) == (len(deferreds), promise.is_cancelled())


def test_what_has_fired_already_cannot_be_cancelled(scheduler, log):
    """The await after it is."""
    waits = Deferred()
    seen = []

    @Promise.coroutine
    async def function():
        with suppress(CancellationError):
            await Promise.delay(60)
        await waits
        await succeed(1)
        with suppress(CancelledError):
            await Deferred()
        seen.append("cancelled")

    promise = function()
    promise.cancel()
    scheduler.flush()
    waits.callback(None)
    scheduler.flush()
    assert (["cancelled"], 1) == (seen, len(swallowed(log)))
    assert promise.is_cancelled()


class Resource:
    """An asynchronous context manager that takes two steps to leave."""

    def __init__(self, log):
        self.log = log

    async def __aenter__(self):
        await Promise.delay(0)

    async def __aexit__(self, *error):
        await Promise.delay(1)
        await Promise.delay(1)
        self.log.append("left")


async def in_finally(log):
    try:
        await Promise.delay(60)
    finally:
        await Promise.delay(1)
        await Promise.delay(1)
        log.append("left")


async def in_except(log):
    try:
        await Promise.delay(60)
    except CancellationError as error:
        await Promise.delay(1)
        try:
            raise KeyError from error
        except KeyError:
            await Promise.delay(1)
        await Promise.delay(0)
        log.append("left")


async def in_another_coroutine(log):
    async def leave():
        await Promise.delay(1)
        await Promise.delay(1)

    try:
        await Promise.delay(60)
    finally:
        await leave()
        log.append("left")


async def in_an_object(log):
    class Leaving:
        def __await__(self):
            return in_another_coroutine(log).__await__()

    await Leaving()


async def in_a_context_manager(log):
    async with Resource(log):
        await Promise.delay(60)


async def in_a_manager_made_of_a_generator(log):
    @asynccontextmanager
    async def resource():
        async with Resource(log):
            yield

    async with resource():
        await Promise.delay(60)


async def in_an_asynchronous_generator(log):
    async def items():
        async with Resource(log):
            await Promise.delay(60)
        yield

    async for _ in items():
        pass


@pytest.mark.parametrize(
    "cleans_up",
    [
        in_finally,
        in_except,
        in_another_coroutine,
        in_an_object,
        in_a_context_manager,
        in_a_manager_made_of_a_generator,
        in_an_asynchronous_generator,
    ],
)
def test_a_clean_up_may_await_as_often_as_it_wants(scheduler, log, cleans_up):
    """In whatever it stands; and nothing is logged."""
    steps = []
    promise = Promise.resolve(cleans_up(steps))
    scheduler.flush()
    promise.cancel()
    for _ in range(3):
        scheduler.advance(1)
    assert ((["left"], []), ("cancelled", None)) == ((steps, log), outcome(promise))


def test_a_clean_up_after_what_it_waited_for_has_failed(scheduler, log):
    """It handles an error then that is no cancellation; it is not broken off either."""
    steps = []

    @Promise.coroutine
    async def function():
        try:
            await Deferred(lambda deferred: deferred.errback(Boom("answer")))
        finally:
            await Promise.delay(1)
            await Promise.delay(1)
            steps.append("cleaned up")

    promise = function()
    promise.cancel()
    promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    scheduler.advance(1)
    assert (["cleaned up"], []) == (steps, log)


def test_what_cannot_be_looked_into_is_let_through(scheduler, log):
    """A coroutine that is compiled, say: it may be cleaning up."""
    steps = []

    class Compiled(Coroutine):
        """An object that does what a coroutine does."""

        def __init__(self, coroutine):
            self.coroutine = coroutine

        def __await__(self):
            return self

        __iter__ = __await__

        def __next__(self):
            return self.send(None)

        def send(self, value):
            return self.coroutine.send(value)

        def throw(self, *error):
            return self.coroutine.throw(*error)

        def close(self):
            self.coroutine.close()

    @Promise.coroutine
    async def function():
        await Compiled(in_finally(steps))

    promise = function()
    promise.cancel()
    scheduler.advance(1)
    scheduler.advance(1)
    assert ((["left"], []), ("cancelled", None)) == ((steps, log), outcome(promise))
    direct = Promise.resolve(Compiled(in_finally(steps)))
    direct.cancel()
    scheduler.advance(1)
    scheduler.advance(1)
    assert (["left", "left"], []) == (steps, log)


def test_a_clean_up_that_comes_after_the_swallowing_is_cancelled(scheduler, log):
    """At each of its awaits; its `finally` blocks are run all the same."""
    steps = []

    @Promise.coroutine
    async def function():
        try:
            with suppress(CancellationError):
                await Promise.delay(60)
            steps.append(await Promise.delay(1, "let through"))
            await Promise.delay(1)
        finally:
            steps.append("finally")
            try:
                await Promise.delay(1)
            finally:
                steps.append("again")

    promise = function()
    promise.cancel()
    scheduler.advance(1)
    assert ["let through", "finally", "again"] == steps
    assert (("cancelled", None), 1) == (outcome(promise), len(swallowed(log)))
    assert [] == scheduler.clock.getDelayedCalls()


def test_a_coroutine_that_returns_after_its_cancellation(scheduler, log):
    """It has swallowed it, and waits for nothing more: nothing is logged."""

    @Promise.coroutine
    async def function():
        with suppress(CancellationError):
            await Promise.delay(60)

    promise = function()
    promise.cancel()
    scheduler.flush()
    assert ([], ("cancelled", None)) == (log, outcome(promise))


def test_a_coroutine_of_twisteds_that_swallows_its_cancellation(scheduler, log):
    """That is logged, once; it goes on, since its Deferred takes what it returns."""
    steps, results = [], []

    async def function():
        for step in range(4):
            try:
                await Promise.delay(1)
                steps.append(step)
            except Exception:  # the cancellation
                await Promise.delay(1)
        return "value"

    deferred = ensureDeferred(function()).addCallback(results.append)
    deferred.cancel()
    for _ in range(5):
        scheduler.advance(1)
    assert ([1, 2, 3], ["value"]) == (steps, results)
    line = line_of(function, "await Promise")
    assert [(line, line)] == swallowed(log)


def test_a_coroutine_of_twisteds_that_cleans_up(scheduler, log):
    """It is not logged; nor is one that does not await a promise again."""
    steps = []
    cleans_up = ensureDeferred(in_finally(steps))
    catches = ensureDeferred(asleep())
    for deferred in cleans_up, catches:
        deferred.addErrback(lambda failure: steps.append(failure.type))
        deferred.cancel()
    scheduler.advance(1)
    scheduler.advance(1)
    assert (["left", CancellationError], []) == (steps, log)


async def asleep():
    with suppress(CancellationError):
        await Promise.delay(60)
