"""Time: `delay` and `timeout`; on a clock that the test owns.

Bluebird's pages: Promise.delay, .delay, .timeout, TimeoutError.
"""

from __future__ import annotations

import builtins
import weakref
from concurrent.futures import Future
from decimal import Decimal
from fractions import Fraction

import pytest
from twisted.internet.defer import (
    Deferred,
    DeferredLock,
    ensureDeferred,
    gatherResults,
    inlineCallbacks,
    succeed,
)
from twisted.internet.defer import TimeoutError as TwistedTimeoutError
from twisted.internet.task import Clock

from tests.support.followed import KINDS, later
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, pending
from tests.support.threads import in_thread
from twpromise import CancellationError, Promise, ReactorScheduler, TimeoutError

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")


def timers(scheduler):
    """When the timers that are set go off, seconds from now."""
    scheduler.flush()
    now = scheduler.clock.seconds()
    return sorted(call.getTime() - now for call in scheduler.clock.getDelayedCalls())


# --- delay

DELAYS = {
    "static": Promise.delay,
    "method": lambda seconds, value=None: Promise.resolve(value).delay(seconds),
}


@pytest.mark.parametrize("how", DELAYS)
def test_delay(scheduler, how):
    """The value, after that many seconds and not before."""
    promise = DELAYS[how](2.5, "value")
    assert [2.5] == timers(scheduler)
    scheduler.advance(2.4)
    assert promise.is_pending()
    scheduler.advance(0.2)
    assert (("fulfilled", "value"), []) == (outcome(promise), timers(scheduler))


@pytest.mark.parametrize("how", DELAYS)
def test_a_delay_counts_from_the_call(scheduler, how):
    """If the value is there: no turn has to pass before the clock is set."""
    promise = DELAYS[how](1, "value")
    assert 1 == len(scheduler.clock.getDelayedCalls())
    scheduler.clock.advance(1)
    assert ("fulfilled", "value") == outcome(promise)


def test_delay_without_a_value_is_none(scheduler):
    """The value may be left out."""
    promise = Promise.delay(1)
    scheduler.advance(1)
    assert ("fulfilled", None) == outcome(promise)


def test_the_pages_example(scheduler):
    """Two delays in a row, of which the second passes the value on."""
    seen = []
    (
        Promise.delay(0.5)
        .then(lambda _: seen.append("500 ms passed") or "Hello world")
        .delay(0.5)
        .then(seen.append)
    )
    scheduler.advance(0.5)
    assert ["500 ms passed"] == seen
    scheduler.advance(0.5)
    assert ["500 ms passed", "Hello world"] == seen


@pytest.mark.parametrize("seconds", [0, 0.0, 1, 0.001, 1e9], ids=repr)
def test_any_number_from_0_on(scheduler, seconds):
    """Integers and floats."""
    promise = Promise.delay(seconds, "value")
    assert promise.is_pending()
    scheduler.advance(seconds)
    assert ("fulfilled", "value") == outcome(promise)


def test_a_delay_without_end(scheduler):
    """An infinite delay never ends, and can be cancelled like others."""
    promise = Promise.delay(float("inf"))
    scheduler.advance(1e12)
    assert promise.is_pending()
    promise.cancel()
    assert [] == timers(scheduler)


def test_a_delay_of_zero_settles_from_the_scheduler(scheduler):
    """It is never over at once."""
    order = []
    Promise.delay(0).then(lambda _: order.append("delayed"))
    Promise.resolve().then(lambda _: order.append("handler"))
    order.append("code")
    scheduler.flush()
    assert "code" == order[0]
    assert {"code", "delayed", "handler"} == set(order)


@pytest.mark.parametrize("kind", KINDS)
def test_the_delay_counts_from_the_fulfilment_of_the_value(scheduler, kind):
    """Whatever is given for it; and what it is fulfilled with comes out."""
    thing, resolve, _ = later(kind)
    promise = Promise.delay(1, thing)
    scheduler.advance(10)
    assert (True, []) == (promise.is_pending(), timers(scheduler))
    resolve("value")
    assert [1.0] == timers(scheduler)
    scheduler.advance(1)
    assert ("fulfilled", "value") == outcome(promise)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rejection_is_not_delayed(scheduler, kind):
    """It passes at once, and no timer is set."""
    thing, _, reject = later(kind)
    promise = Promise.delay(1, thing)
    scheduler.flush()
    error = Boom()
    reject(error)
    scheduler.flush()
    assert (("rejected", error), []) == (outcome(promise), timers(scheduler))


@pytest.mark.parametrize("how", DELAYS)
def test_delaying_a_rejected_promise_rejects_at_once(scheduler, how):
    """Its rejection counts as handled."""
    error = Boom()
    promise = DELAYS[how](1, Promise.reject(error))
    scheduler.flush()
    assert (("rejected", error), []) == (outcome(promise), timers(scheduler))


def test_a_delayed_rejection_is_reported_once(scheduler, reports):
    """By the delayed promise."""
    error = Boom()
    Promise.reject(error).delay(1)
    scheduler.advance(2)
    assert [error] == reasons(reports)


def test_a_cancelled_promise_is_not_delayed(scheduler):
    """The cancellation passes at once; late observers see a rejection."""
    source = Source()
    promise = source.promise.delay(1)
    source.promise.cancel()
    late = source.promise.delay(1)
    scheduler.flush()
    assert [] == timers(scheduler)
    assert ("cancelled", None) == outcome(promise)
    assert CancellationError is type(late.reason())


def test_delays_of_one_promise_are_independent(scheduler):
    """Each has a timer of its own."""
    source = Promise.resolve("value")
    promises = [source.delay(seconds) for seconds in (3, 1, 2)]
    assert [1.0, 2.0, 3.0] == timers(scheduler)
    promises[0].cancel()
    scheduler.advance(1.5)
    assert ["cancelled", "fulfilled", "pending"] == [outcome(each)[0] for each in promises]


@pytest.mark.parametrize("how", DELAYS)
def test_cancelling_a_delay_clears_the_timer(scheduler, how):
    """While it runs."""
    promise = DELAYS[how](1, "value")
    scheduler.advance(0.5)
    promise.cancel()
    assert (("cancelled", None), []) == (outcome(promise), timers(scheduler))


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_cancelling_a_delay_whose_value_is_pending(scheduler, others):
    """The source is cancelled unless it has another consumer; promises behind are cancelled."""
    source = Source()
    if others:
        source.promise.then(str)
    called = []
    last = source.promise.delay(1).finally_(lambda: called.append("finally"))
    last.cancel()
    scheduler.flush()
    assert (["finally"], int(not others)) == (called, source.cancelled)
    source.resolve("value")
    assert [] == timers(scheduler)


def test_cancelling_a_delay_just_after_its_value_has_settled(scheduler):
    """No timer is set any more."""
    source = Source()
    promise = source.promise.delay(1)
    source.resolve("value")
    promise.cancel()
    assert (("cancelled", None), []) == (outcome(promise), timers(scheduler))


def test_a_delayed_deferred_is_cancelled(scheduler):
    """The page's `delay` of a Deferred: its canceller is called."""
    cancelled = []
    promise = Promise.delay(1, Deferred(cancelled.append))
    promise.cancel()
    scheduler.flush()
    assert 1 == len(cancelled)


# --- timeout


def test_timeout_rejects_on_time(scheduler):
    """With a TimeoutError that names the seconds, and not before."""
    promise = Source().promise.timeout(0.1)
    assert [0.1] == timers(scheduler)
    scheduler.advance(0.05)
    assert promise.is_pending()
    scheduler.advance(0.06)
    reason = promise.reason()
    assert (TimeoutError, "operation timed out") == (type(reason), str(reason))
    assert "operation timed out" == reason.message
    assert [] == timers(scheduler)


@pytest.mark.parametrize(
    "error",
    [Promise.TimeoutError, TwistedTimeoutError, builtins.TimeoutError, OSError],
    ids=["ours", "Twisted's", "Python's", "OSError"],
)
def test_timeouts_are_caught_by_all_their_names(scheduler, error):
    """Bluebird's, Twisted's and Python's."""
    seen = []
    Source().promise.timeout(1).catch(error, lambda _: seen.append("caught"))
    scheduler.advance(1)
    assert ["caught"] == seen


def _serve(promise, *message):
    return promise.timeout(5, *message)


@pytest.mark.parametrize("message", [[], ["too slow"]], ids=repr)
def test_an_unhandled_timeout_is_reported_with_its_place(scheduler, reports, message):
    """The report names the seconds, and the line that called `timeout`."""
    _serve(Source().promise, *message)
    scheduler.advance(5)
    [report] = reports
    text = report["log_failure"].getTraceback()
    line = _serve.__code__.co_firstlineno + 1
    assert f"{''.join(message) or 'operation timed out'}\n" in text
    assert f'After 5 seconds; timeout() was called here:\n  File "{__file__}", line {line}' in text
    assert "in _serve\n" in text


def test_an_error_of_the_user_gets_no_note(scheduler):
    """It may be used again."""
    error = Boom("too slow")
    Source().promise.timeout(5, error).catch(Boom, lambda _: None)
    scheduler.advance(5)
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("message", ["too slow", ""], ids=repr)
def test_timeout_with_a_message(scheduler, message):
    """The error has it."""
    promise = Source().promise.timeout(1, message)
    scheduler.advance(1)
    assert (TimeoutError, message) == (type(promise.reason()), str(promise.reason()))


def test_timeout_with_an_error(scheduler):
    """It is the reason, itself."""
    error = Boom("too slow")
    promise = Source().promise.timeout(1, error)
    scheduler.advance(1)
    assert ("rejected", error) == outcome(promise)


@pytest.mark.parametrize("message", [5, b"bytes", Boom, ["x"]], ids=repr)
def test_an_invalid_timeout_message_rejects(scheduler, message):
    """With a TypeError at once, and sets no timer."""
    promise = Source().promise.timeout(1, message)
    assert TypeError is type(promise.reason())
    assert repr(message) in str(promise.reason())
    assert [] == timers(scheduler)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_an_outcome_in_time_is_passed_on(scheduler, kind, well):
    """Value or reason; the timer is cancelled."""
    thing, resolve, reject = later(kind)
    promise = Promise.resolve(thing).timeout(1)
    scheduler.advance(0.9)
    error = Boom()
    if well:
        resolve("value")
    else:
        reject(error)
    scheduler.flush()
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)
    assert [] == timers(scheduler)
    scheduler.advance(10)
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)


@pytest.mark.parametrize("make", [Promise.resolve, Promise.reject], ids=["value", "reason"])
@pytest.mark.parametrize("follows", [False, True], ids=["itself", "followed"])
def test_the_timeout_of_a_settled_promise_sets_no_timer(scheduler, make, follows):
    """Not even for a moment."""
    source, expected = make(5), None
    expected = outcome(source)
    if follows:
        root, resolve, _ = pending()
        follower = Promise(lambda resolve_it, _: resolve_it(root))
        resolve(source)
        source = follower
    promise = source.timeout(1)
    assert [] == scheduler.clock.getDelayedCalls()
    scheduler.flush()
    assert (expected, []) == (outcome(promise), timers(scheduler))


def test_a_cancelled_source_is_observed_late(scheduler):
    """As by any other consumer, without a timer."""
    source = Source()
    source.promise.cancel()
    promise = source.promise.timeout(1)
    assert [] == scheduler.clock.getDelayedCalls()
    scheduler.flush()
    assert CancellationError is type(promise.reason())


def test_cancelling_the_source_cancels_its_timeout(scheduler):
    """And the timer."""
    source = Source()
    promise = source.promise.timeout(1)
    source.promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), []) == (outcome(promise), timers(scheduler))


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_a_timeout_cancels_a_source_without_other_consumers(scheduler, others):
    """And no other source."""
    source = Source()
    seen = []
    if others:
        source.promise.then(seen.append)
    promise = source.promise.timeout(1)
    scheduler.advance(1)
    assert (TimeoutError, int(not others)) == (type(promise.reason()), source.cancelled)
    source.resolve("value")
    scheduler.flush()
    assert (["value"] if others else []) == seen
    assert others == source.promise.is_fulfilled()


def test_several_timeouts_of_one_promise(scheduler):
    """The last of them cancels it."""
    source = Source()
    promises = [source.promise.timeout(seconds) for seconds in (1, 2, 3)]
    counts = []
    for _ in range(3):
        scheduler.advance(1)
        counts.append((source.cancelled, [outcome(each)[0] for each in promises]))
    assert [
        (0, ["rejected", "pending", "pending"]),
        (0, ["rejected", "rejected", "pending"]),
        (1, ["rejected", "rejected", "rejected"]),
    ] == counts


def test_a_timeout_cancels_the_deferred_behind_the_source(scheduler):
    """Unless the source has another consumer."""
    cancelled = []
    promise = Promise.resolve(Deferred(cancelled.append)).timeout(1)
    scheduler.advance(1)
    assert (TimeoutError, 1) == (type(promise.reason()), len(cancelled))


@pytest.mark.parametrize("raises", [False, True], ids=["never answers", "raises"])
def test_a_canceller_that_raises_does_not_delay_a_timeout(scheduler, reports, raises):
    """A canceller that raises is logged, and holds nothing up."""

    def canceller(deferred):
        if raises:
            raise Boom("from the canceller")

    deferred = Deferred(canceller)
    seen = []
    Promise.resolve(deferred).timeout(1).catch(TimeoutError, seen.append)
    scheduler.advance(1)
    assert [TimeoutError] == [type(error) for error in seen]
    assert [] == timers(scheduler)
    if raises:
        assert [Boom] == [type(error) for error in reasons(reports)]
        reports.clear()
    else:
        deferred.callback("late, and of no interest")


def test_a_cancel_hook_that_raises_does_not_delay_a_timeout(scheduler, reports):
    """The same for the hook of an executor."""

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: [].pop())

    promise = Promise(executor).timeout(1)
    scheduler.advance(1)
    assert TimeoutError is type(promise.reason())
    assert IndexError in [type(error) for error in reasons(reports)]
    reports.clear()


def test_the_rejection_does_not_wait_for_cleanup(scheduler):
    """A `finally_` of the source may take as long as it likes."""
    gate, open_gate, _ = pending()
    promise = Source().promise.finally_(lambda: gate).timeout(1)
    scheduler.advance(1)
    assert TimeoutError is type(promise.reason())
    open_gate()


@pytest.mark.parametrize("number", [1, 2, 20])
def test_cleanup_that_fails_after_time_was_up_is_reported(scheduler, reports, number):
    """Though no consumer is left; however many there had been."""
    gate, _, reject = pending()
    seen = []
    source = Source().promise.finally_(lambda: gate)
    for _ in range(number):
        source.timeout(1).catch(TimeoutError, seen.append)
    scheduler.advance(1)
    assert (number, []) == (len(seen), reports)
    error = Boom("cleanup failed")
    reject(error)
    scheduler.flush()
    assert [error] == reasons(reports)


def test_a_slow_clean_up_of_the_source_does_not_delay_a_timeout(scheduler):
    """It is no excuse: time is up on time."""
    gate, open_gate, _ = pending()
    source = Source().promise.finally_(lambda: gate)
    promise = source.timeout(1)
    source.cancel()
    scheduler.advance(1)
    assert TimeoutError is type(promise.reason())
    open_gate()


def test_a_source_that_settles_in_the_turn_of_the_timeout(scheduler):
    """The first of the two counts."""
    source = Source()
    seen = []
    source.promise.timeout(1).then(seen.append, seen.append)
    scheduler.clock.callLater(1, source.resolve, "value")
    scheduler.advance(1)
    assert 1 == len(seen)
    assert [] == timers(scheduler)


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_cancelling_a_timeout(scheduler, others):
    """The timer is cancelled, and the source unless it has another consumer."""
    source = Source()
    if others:
        source.promise.then(str)
    called = []
    promise = source.promise.timeout(1)
    last = promise.finally_(lambda: called.append("finally"))
    last.cancel()
    scheduler.flush()
    assert (["finally"], int(not others)) == (called, source.cancelled)
    assert (("cancelled", None), []) == (outcome(promise), timers(scheduler))


def test_cancelling_a_timeout_just_after_its_source_has_settled(scheduler):
    """It is cancelled all the same."""
    source = Source()
    promise = source.promise.timeout(1)
    source.resolve("value")
    promise.cancel()
    assert (("cancelled", None), []) == (outcome(promise), timers(scheduler))


def test_timeouts_without_cancellation(config, scheduler):
    """Where cancellation is off, the source stays pending, and nothing is reported."""
    config(cancellation=False)
    source = Source()
    promise = source.promise.timeout(1)
    scheduler.advance(1)
    assert TimeoutError is type(promise.reason())
    source.resolve("value")
    scheduler.flush()
    assert ("fulfilled", "value") == outcome(source.promise)


def test_a_timeout_of_a_timeout(scheduler):
    """The shorter one wins, and both timers go."""
    source = Source()
    promise = source.promise.timeout(5, "long").timeout(1, "short")
    scheduler.advance(1)
    assert ("short", 1) == (str(promise.reason()), source.cancelled)
    assert [] == timers(scheduler)


def test_a_timeout_of_a_delay(scheduler):
    """The delay's timer goes with it."""
    promise = Promise.delay(10).timeout(1)
    assert [1.0, 10.0] == timers(scheduler)
    scheduler.advance(1)
    assert (TimeoutError, []) == (type(promise.reason()), timers(scheduler))


# --- what had come in time


def same(value):
    return value


def again(value):
    """A handler whose result takes some turns."""
    return Promise.resolve(value).then(same)


async def awaits(promise):
    value = await promise
    return await again(value)


@inlineCallbacks
def yields(promise):
    value = yield awaits(promise)
    return value


def chained(promise):
    return succeed(None).addCallback(lambda _: promise.then(again).to_deferred())


def gathered(promise):
    return gatherResults([promise.to_deferred()]).addCallback(lambda values: values[0])


def through(count, handler):
    """A chain of so many handlers."""

    def behind(promise):
        for _ in range(count):
            promise = promise.then(handler)
        return promise

    return behind


def into(promise):
    """By hand, out of handlers."""
    return Promise(lambda resolve, reject: promise.then(resolve, reject))


def into_stoppable(promise):
    """The same, by an executor with a hook, and with a promise."""

    def execute(resolve, reject, on_cancel):
        on_cancel(list)
        resolve(promise.then(again))

    return Promise(execute)


def resource(value):
    return Promise.resolve(value).disposer(lambda _: again(None))


BEHIND = {
    "itself": same,
    "a handler": through(1, same),
    "many handlers": through(100, same),
    "handlers that give promises": through(20, again),
    "coroutines": through(5, lambda value: awaits(Promise.resolve(value))),
    "a coroutine": lambda promise: Promise.resolve(awaits(promise)),
    "a generator": Promise.coroutine(lambda promise: (yield promise.then(again))),
    "Twisted's coroutine": lambda promise: Promise.resolve(ensureDeferred(awaits(promise))),
    "inlineCallbacks": lambda promise: Promise.resolve(yields(promise)),
    "a Deferred between": lambda promise: Promise.resolve(promise.then(again).to_deferred()),
    "a chain of Deferreds": lambda promise: Promise.resolve(chained(promise)),
    "a list of Deferreds": lambda promise: Promise.resolve(gathered(promise)),
    "a coroutine at a Deferred": lambda promise: Promise.resolve(awaits(promise.to_deferred())),
    "a coroutine at a chain of them": lambda promise: Promise.resolve(awaits(chained(promise))),
    "a coroutine at a list of them": lambda promise: Promise.resolve(awaits(gathered(promise))),
    "a follower": lambda promise: Promise.resolve().then(lambda _: promise.then(again)),
    "all": lambda promise: Promise.all([promise, promise.then(again)]).get(1),
    "any": lambda promise: Promise.any([promise.then(again)]),
    "map": lambda promise: Promise.map([promise, promise], again).get(0),
    "each": lambda promise: Promise.each([promise, promise], again).get(0),
    "finally": lambda promise: promise.finally_(lambda: again(None)),
    "using": lambda promise: Promise.using(promise.then(resource), again),
    "bind": lambda promise: promise.bind(again(None)).then(lambda this, value: value),
    "an executor": into,
    "an executor with a hook": into_stoppable,
    "another timeout": lambda promise: promise.then(again).timeout(4).then(again),
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_what_came_in_time_is_passed_on_by_a_queue_that_lags(scheduler, behind):
    """However many turns it takes behind the value, and whatever stands there."""
    deferred = Deferred()
    promise = behind(Promise.from_deferred(deferred)).timeout(5)
    scheduler.flush()
    scheduler.clock.advance(1)
    deferred.callback("value")
    # No turn has come since.
    scheduler.clock.advance(4.5)
    assert promise.is_pending()
    scheduler.flush()
    assert (("fulfilled", "value"), []) == (outcome(promise), timers(scheduler))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_whatever_brings_it_in_time_counts(scheduler, kind, well):
    """Values and reasons, of all that is followed."""
    thing, resolve, reject = later(kind)
    promise = Promise.resolve(thing).then(same).timeout(5)
    scheduler.flush()
    scheduler.clock.advance(1)
    error = Boom()
    if well:
        resolve("value")
    else:
        reject(error)
    scheduler.clock.advance(4.5)
    scheduler.flush()
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)


@pytest.mark.parametrize("kind", ["promise", "thenable", "executor's future"])
def test_what_a_thread_brings_in_time_counts(scheduler, kind):
    """Also if its turn at home has not come yet."""
    thing, resolve, _ = later(kind)
    promise = Promise.resolve(thing).then(same).timeout(5)
    scheduler.flush()
    in_thread(resolve, "value")
    scheduler.clock.advance(5.5)
    scheduler.flush()
    assert ("fulfilled", "value") == outcome(promise)


def test_a_lock_that_was_granted_in_time_is_not_lost(scheduler):
    """The timeout does not reject, and so its value has a holder who releases it."""
    lock = DeferredLock()
    lock.acquire()
    promise = Promise.from_deferred(lock.acquire()).then(same).timeout(5)
    scheduler.flush()
    scheduler.clock.advance(1)
    lock.release()
    scheduler.clock.advance(4.5)
    scheduler.flush()
    promise.value().release()
    assert not lock.locked


LATE = {
    "itself": (0, same),
    "handlers": (0, through(2, same)),
    "a coroutine": (0, lambda promise: Promise.resolve(awaits(promise))),
    "a follower": (0, lambda promise: Promise.resolve().then(lambda _: promise)),
    "a delay": (1, lambda promise: promise.delay(5)),
    "a circle of waits": (1, lambda promise: circle()),
}


def circle():
    """A promise that waits for itself, through a handler."""
    resolvers = []
    promise = Promise(lambda resolve, reject: resolvers.append(resolve))
    child = promise.then(same)
    resolvers[0](child)
    return child


@pytest.mark.parametrize("name", LATE)
def test_what_came_too_late_does_not_count(scheduler, name):
    """Though the queue is long: time is up at once, and the work is cancelled."""
    came, behind = LATE[name]
    cancelled = []
    deferred = Deferred(cancelled.append)
    promise = behind(Promise.from_deferred(deferred)).timeout(5)
    if came:
        deferred.callback("value")
    scheduler.flush()
    again("in the queue")
    scheduler.clock.advance(5)
    assert TimeoutError is type(promise.reason())
    scheduler.flush()
    assert (1 - came, []) == (len(cancelled), timers(scheduler))


@pytest.mark.parametrize("how", ["async def", "a generator"])
def test_a_coroutine_that_awaits_a_deferred_is_too_late(scheduler, how):
    """The Deferred is cancelled when time is up, however long the queue is."""
    cancelled = []
    deferred = Deferred(cancelled.append)
    run = awaits if how == "async def" else Promise.coroutine(lambda source: (yield source))
    promise = Promise.resolve(run(deferred)).timeout(5)
    again("in the queue")
    scheduler.clock.advance(5)
    assert TimeoutError is type(promise.reason())
    scheduler.flush()
    assert [deferred] == cancelled


def test_a_future_that_is_not_done_is_too_late(scheduler):
    """It is cancelled when time is up, however long the queue is."""
    future = Future()
    promise = Promise.resolve(future).timeout(5)
    again("in the queue")
    scheduler.clock.advance(5)
    assert (TimeoutError, True) == (type(promise.reason()), future.cancelled())


@pytest.mark.parametrize("cancels", [False, True], ids=["times out", "cancelled before"])
def test_what_the_queue_might_have_settled(scheduler, cancels):
    """Times out when it has not; and can be cancelled meanwhile."""
    source = Source()
    promise = source.promise.timeout(5)
    handled = again("in the queue")
    scheduler.clock.advance(5)
    assert promise.is_pending()
    if cancels:
        handled.then(lambda _: promise.cancel())
    scheduler.flush()
    ends = ["rejected", "cancelled"]
    assert (ends[cancels], 1, []) == (outcome(promise)[0], source.cancelled, timers(scheduler))


def test_a_chain_without_end_times_out(scheduler, slices):
    """Its next turn is always due, and the queue is never empty."""

    def busy(_):
        return Promise.resolve().then(busy)

    promise = Promise.resolve().then(busy).timeout(1)
    scheduler.clock.advance(1)
    slices.turn(100)
    assert (TimeoutError, []) == (type(promise.reason()), list(slices._calls))


# --- numbers that are none


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, ValueError),
        (-0.001, ValueError),
        (float("-inf"), ValueError),
        (float("nan"), ValueError),
        (10**400, ValueError),
        (True, TypeError),
        (False, TypeError),
        (None, TypeError),
        ("1", TypeError),
        (Decimal(1), TypeError),
        (Fraction(1, 2), TypeError),
        (1j, TypeError),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
@pytest.mark.parametrize(
    "name", ["Promise.delay", "delay", "delay of a rejection", "timeout", "timeout of a rejection"]
)
def test_invalid_seconds_reject(scheduler, name, seconds, error):
    """Reject at once with a message that shows them; nothing is raised, no timer is set."""
    promise = {
        "Promise.delay": lambda: Promise.delay(seconds, "value"),
        "delay": lambda: Promise.resolve("value").delay(seconds),
        "delay of a rejection": lambda: Promise.reject(Boom()).delay(seconds),
        "timeout": lambda: pending()[0].timeout(seconds),
        "timeout of a rejection": lambda: Promise.reject(Boom()).timeout(seconds),
    }[name]()
    reason = promise.reason()
    assert error is type(reason)
    assert "seconds must be a number of seconds" in str(reason)
    assert repr(seconds) in str(reason)
    assert [] == timers(scheduler)


# --- clocks


def test_timers_are_on_the_clock_of_the_scheduler():
    """Any reactor or clock will do."""
    clock = Clock()
    copy = Promise.get_new_library_copy()
    copy.set_scheduler(ReactorScheduler(clock))
    promises = [copy.delay(1, "value"), copy.delay(5).timeout(1)]
    clock.pump([0, 0.5, 0.5, 0])
    assert ("fulfilled", "value") == outcome(promises[0])
    assert TimeoutError is type(promises[1].reason())
    assert [] == clock.getDelayedCalls()


def test_a_bound_promise_is_timed_bound(scheduler):
    """Handlers behind get the bound value first, also with the timeout."""
    seen = []
    bound = Promise.bind("this", "value")
    for promise in (bound.delay(1), bound.timeout(1), pending()[0].bind("this").timeout(1)):
        promise.then(
            lambda *arguments: seen.append(arguments[0]),
            lambda *arguments: seen.append(arguments[0]),
        )
    scheduler.advance(1)
    assert ["this"] * 3 == seen


@pytest.mark.parametrize("how", ["struck", "cancelled", "in time"])
def test_a_source_keeps_no_error_of_its_timeout(scheduler, how):
    """Though it stays pending for another consumer: the error may refer to a request, say."""
    error = Boom()
    reference = weakref.ref(error)
    source, resolve, _ = pending()
    timed = source.timeout(1, error)
    timed.suppress_unhandled_rejections()
    other = source.then()
    if how == "struck":
        scheduler.advance(1)
    elif how == "cancelled":
        timed.cancel()
    else:
        resolve()
    scheduler.flush()
    assert not timed.is_pending()
    del timed, error
    assert reference() is None
    assert (how == "in time") != other.is_pending()
