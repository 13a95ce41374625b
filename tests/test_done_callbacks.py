"""`add_done_callback`: called when a promise has ended, and no consumer."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import Future
from contextvars import ContextVar, copy_context

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, inlineCallbacks, succeed

from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, quiet
from tests.support.threads import in_thread
from twpromise import Promise

variable: ContextVar[str] = ContextVar("variable", default="unset")


def watched(promise):
    """A list that gets the promise when its callback is called."""
    calls = []
    promise.add_done_callback(calls.append)
    return calls


SETTLE = {
    "fulfilled": lambda source: source.resolve(1),
    "rejected": lambda source: source.reject(Boom()),
    "cancelled": lambda source: source.promise.cancel(),
}


@pytest.mark.parametrize("state", SETTLE)
def test_called_once_with_the_promise(scheduler, state):
    """However it settles; from the queue, not within the call that settles."""
    source = Source()
    quiet(source.promise)
    calls = watched(source.promise)
    scheduler.flush()
    assert [] == calls
    SETTLE[state](source)
    assert [] == calls
    scheduler.flush()
    scheduler.flush()
    assert [source.promise] == calls
    assert state == outcome(source.promise)[0]


@pytest.mark.parametrize("notified", [False, True], ids=["in that turn", "later"])
@pytest.mark.parametrize("state", SETTLE)
def test_added_to_a_settled_promise(scheduler, state, notified):
    """It is called from the queue; also if it is added before subscribers are notified."""
    source = Source()
    quiet(source.promise)
    SETTLE[state](source)
    if notified:
        scheduler.flush()
    calls = watched(source.promise)
    assert [] == calls
    scheduler.flush()
    assert [source.promise] == calls


def test_in_the_order_in_which_they_were_added(scheduler):
    """Also those that are added by one of them, which come last."""
    source, calls = Source(), []
    source.promise.add_done_callback(
        lambda promise: promise.add_done_callback(lambda _: calls.append("third"))
    )
    source.promise.add_done_callback(lambda _: calls.append("first"))
    source.promise.add_done_callback(lambda _: calls.append("second"))
    source.resolve()
    scheduler.flush()
    assert ["first", "second", "third"] == calls


def test_no_consumer(scheduler):
    """The promise is cancelled when its last consumer leaves."""
    source = Source()
    calls = watched(source.promise)
    source.promise.then().cancel()
    scheduler.flush()
    assert 1 == source.cancelled
    assert [source.promise] == calls


def test_what_consumes_it_is_not_disturbed(consumer):
    """Values, errors and cancellations go to consumers as without it, and the other way."""
    for settle in (*SETTLE.values(), None):
        with_callback, without = Source(), Source()
        calls = watched(with_callback.promise)
        started = [consumer.run(with_callback.promise), consumer.run(without.promise)]
        consumer.flush()
        for source, one in zip((with_callback, without), started, strict=True):
            if settle is None:
                one.cancel()
            else:
                settle(source)
        consumer.flush()
        assert consumer.outcome(started[1]) == consumer.outcome(started[0])
        assert without.cancelled == with_callback.cancelled
        assert [with_callback.promise] == calls


def test_handles_nothing(scheduler, reports):
    """A rejection without a handler is reported."""
    source = Source()
    calls = watched(source.promise)
    source.reject(Boom("without a handler"))
    scheduler.flush()
    assert ["without a handler"] == [str(reason) for reason in reasons(reports)]
    assert [source.promise] == calls


def test_waits_for_the_end_of_a_clean_up(scheduler):
    """A promise that is being cancelled has not ended; one added meanwhile waits, too."""
    gate = Promise.defer()
    promise = Promise.defer().promise.finally_(lambda: gate.promise)
    calls = watched(promise)
    promise.cancel()
    later = watched(promise)
    scheduler.flush()
    last = watched(promise)
    scheduler.flush()
    assert promise.is_cancelled()
    assert ([], [], []) == (calls, later, last)
    gate.resolve()
    scheduler.flush()
    assert ([promise], [promise], [promise]) == (calls, later, last)


class Executor:
    """Gives back one future, which runs already."""

    def __init__(self):
        self.future = Future()

    def submit(self, function, *arguments):
        return self.future


@pytest.mark.parametrize("leave", ["cancel", "timeout"])
def test_waits_for_work_that_cannot_be_stopped(scheduler, leave):
    """A function in a thread runs on after its promise was cancelled, or timed out."""
    executor = Executor()
    promise = Promise.run_in(executor, print)
    executor.future.set_running_or_notify_cancel()
    if leave == "timeout":
        promise = quiet(promise.timeout(1))
    calls = watched(promise)
    if leave == "cancel":
        promise.cancel()
    scheduler.advance(1)
    assert not promise.is_pending()
    assert [] == calls
    executor.future.set_result("late")
    scheduler.flush()
    assert [promise] == calls


async def clean_up(gate):
    """A coroutine that awaits a Deferred in its `finally` block."""
    try:
        await Deferred()
    finally:
        await gate


@inlineCallbacks
def clean_up_by_generator(gate):
    """As `clean_up`."""
    try:
        yield Deferred()
    finally:
        yield gate


def behind_a_callback(gate):
    """The coroutine is what a callback of the Deferred has returned."""
    return succeed(None).addCallback(lambda _: ensureDeferred(clean_up(gate)))


#: Functions that give a Deferred, which cleans up until another one fires.
CLEANING = [
    lambda gate: ensureDeferred(clean_up(gate)),
    clean_up_by_generator,
    behind_a_callback,
]
cleaning = pytest.mark.parametrize("make", CLEANING, ids=["coroutine", "generator", "callback"])


@cleaning
@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("leave", ["cancel", "timeout"])
def test_waits_for_the_clean_up_of_a_deferred(scheduler, reports, make, failing, leave):
    """A coroutine of Twisted's goes on after the Deferred that was made of it was cancelled."""
    gate = Deferred()
    deferred = make(gate)
    promise = Promise.from_deferred(deferred)
    if leave == "timeout":
        promise = quiet(promise.timeout(1))
    calls = watched(promise)
    if leave == "cancel":
        promise.cancel()
    scheduler.advance(1)
    later = watched(promise)
    scheduler.flush()
    assert not promise.is_pending()
    assert ([], []) == (calls, later)
    if failing:
        gate.errback(Boom())
    else:
        gate.callback(None)
    scheduler.flush()
    last = watched(promise)
    scheduler.flush()
    assert ([promise], [promise], [promise]) == (calls, later, last)
    assert [Boom] * failing == [event["log_failure"].type for event in reports]


@cleaning
def test_does_not_wait_for_a_deferred_that_others_keep(scheduler, make):
    """One that leaves it has ended; the last one cancels it, and waits for the clean-up."""
    gate = Deferred()
    deferred = make(gate)
    first, last = (Promise.from_deferred(deferred) for _ in range(2))
    calls = [watched(first), watched(last)]
    first.cancel()
    scheduler.flush()
    assert [[first], []] == calls
    last.cancel()
    scheduler.flush()
    assert [[first], []] == calls
    gate.callback(None)
    scheduler.flush()
    assert [[first], [last]] == calls


CANCELLERS = [None, lambda _: None, lambda deferred: deferred.errback(Boom())]


@pytest.mark.parametrize("canceller", CANCELLERS, ids=["none", "quiet", "fires it"])
@pytest.mark.parametrize("unclaimed", [None, print])
def test_does_not_wait_for_a_deferred_that_may_never_fire(scheduler, canceller, unclaimed):
    """Its canceller has been called, if it has one; nothing says that anything goes on."""
    promise = Promise.from_deferred(Deferred(canceller), unclaimed=unclaimed)
    calls = watched(promise)
    promise.cancel()
    scheduler.flush()
    assert [promise] == calls


@pytest.mark.parametrize("end", ["fulfilled", "rejected", "cancelled"])
def test_a_follower_ends_with_what_it_follows(scheduler, end):
    """Also where that has settled, and something that it has given up cleans up."""
    gate = Promise.defer()
    slow = Promise.defer().promise.finally_(lambda: gate.promise)
    if end == "fulfilled":
        followed = Promise.race([slow, Promise.delay(1)], cancel_rest=True)
    else:
        followed = Promise.all([slow]) if end == "cancelled" else slow.timeout(1)
    follower = quiet(Promise(lambda resolve, _: resolve(followed)))
    calls = watched(follower)
    scheduler.flush()
    if end == "cancelled":
        followed.cancel()
    scheduler.advance(1)
    assert (end, []) == (outcome(follower)[0], calls)
    gate.resolve()
    scheduler.flush()
    assert [follower] == calls


def test_a_resource_that_others_cancel(scheduler):
    """What uses it has ended when what cleans up has."""
    gate = Promise.defer()
    acquired = Promise.all([Promise.defer().promise.finally_(lambda: gate.promise)])
    used = Promise.using(acquired, print)
    calls = watched(used)
    acquired.cancel()
    scheduler.flush()
    assert (True, []) == (used.is_cancelled(), calls)
    gate.resolve()
    scheduler.flush()
    assert [used] == calls


def test_a_handler_that_cancels_its_own_promise(scheduler):
    """The promise has ended when what the handler has begun has."""
    future = Future()
    future.set_running_or_notify_cancel()
    promises = []
    promises.append(Promise.resolve().then(lambda _: (promises[0].cancel(), future)[1]))
    calls = watched(promises[0])
    scheduler.flush()
    assert (True, []) == (promises[0].is_cancelled(), calls)
    future.set_result(None)
    scheduler.flush()
    assert promises == calls


def test_a_follower_that_is_cancelled_without_what_it_follows(scheduler):
    """It has ended, though the followed promise goes on for others."""
    source = Source()
    other = source.promise.then()
    follower = Promise(lambda resolve, _: resolve(source.promise))
    calls = watched(follower)
    follower.cancel()
    scheduler.flush()
    assert [follower] == calls
    assert (True, 0) == (other.is_pending(), source.cancelled)


@pytest.mark.parametrize("member", [0, 1, 2], ids=["root", "bypassed", "last"])
@pytest.mark.parametrize("state", SETTLE)
def test_promises_that_follow_each_other(scheduler, member, state):
    """Each is watched itself, those that are bypassed, too."""
    source = Source()
    outer, inner = Promise.defer(), Promise.defer()
    inner.resolve(source.promise)
    outer.resolve(inner.promise)
    promises = [source.promise, inner.promise, outer.promise]
    quiet(outer.promise)
    calls = watched(promises[member])
    scheduler.flush()
    assert [] == calls
    if state == "cancelled":
        outer.promise.cancel()
    else:
        SETTLE[state](source)
    scheduler.flush()
    assert [promises[member]] == calls
    assert [state] * 3 == [outcome(promise)[0] for promise in promises]


def test_a_follower_whose_root_has_settled(scheduler):
    """It shows the outcome before it is notified, and is called once."""
    source = Source()
    follower = Promise(lambda resolve, _: resolve(source.promise))
    source.resolve(1)
    calls = watched(follower)
    scheduler.flush()
    assert [follower] == calls


def test_what_it_raises_is_logged(scheduler, reports):
    """And stops neither the other callbacks nor anything else; so of an ``async def``."""

    async def later(promise):
        await Promise.delay(1)
        raise Boom("later")

    def now(promise):
        raise Boom("now")

    source = Source()
    for callback in (now, later):
        source.promise.add_done_callback(callback)
    calls = watched(source.promise)
    source.resolve()
    scheduler.flush()
    scheduler.advance(1)
    assert [source.promise] == calls
    assert ["now", "later"] == [str(reason) for reason in reasons(reports)]


def test_in_the_context_in_which_it_was_added(scheduler):
    """Each in its own; what one sets no other sees."""
    seen = []

    def callback(promise):
        seen.append(variable.get())
        variable.set("of a callback")

    source = Source()
    for value in ("one", "two"):
        variable.set(value)
        source.promise.add_done_callback(callback)
    variable.set("of the caller")
    source.resolve()
    scheduler.flush()
    assert ["one", "two"] == seen
    assert "of the caller" == variable.get()


@pytest.mark.parametrize("is_async", [False, True])
def test_in_a_context_that_is_given(scheduler, is_async):
    """As with asyncio; what the callback sets there is its own."""
    seen = []
    context = copy_context()
    context.run(variable.set, "given")

    def callback(promise):
        seen.append(variable.get())
        variable.set("of a callback")

    async def later(promise):
        await Promise.resolve()
        callback(promise)

    promise = Promise.resolve()
    for _ in range(2):
        promise.add_done_callback(later if is_async else callback, context=context)
    scheduler.flush()
    assert ["given"] * 2 == seen
    assert "given" == context[variable]


def test_not_bound(scheduler):
    """A callback of a bound promise gets the promise alone."""
    promise = Promise.resolve(1).bind("this")
    calls = watched(promise)
    scheduler.flush()
    assert [promise] == calls


# --- taking them out


def test_removing_takes_out_all_that_are_equal(scheduler):
    """By ``==``, as bound methods are; it says how many."""
    source, calls = Source(), []
    promise = source.promise
    promise.add_done_callback(calls.append)
    promise.add_done_callback(calls.append)
    others = watched(promise)
    assert 2 == promise.remove_done_callback(calls.append)
    assert 0 == promise.remove_done_callback(calls.append)
    source.resolve()
    scheduler.flush()
    assert [] == calls
    assert [promise] == others


def test_removing_from_a_promise_without_any(scheduler):
    """Nothing is taken out, of whatever promise."""
    promises = [Promise.resolve(1), Promise.resolve(1).bind("this"), Source().promise]
    assert [0, 0, 0] == [promise.remove_done_callback(print) for promise in promises]


def test_removing_in_each_phase(scheduler):
    """While it is cleaning up, too; not when the call has been queued."""
    gate = Promise.defer()
    promise = Promise.defer().promise.finally_(lambda: gate.promise)
    calls = []
    promise.add_done_callback(calls.append)
    promise.cancel()
    scheduler.flush()
    assert 1 == promise.remove_done_callback(calls.append)
    promise.add_done_callback(calls.append)
    gate.resolve()
    scheduler.flush()
    assert [promise] == calls
    assert 0 == promise.remove_done_callback(calls.append)


def test_adding_and_removing_leaves_nothing(scheduler):
    """On a promise that stays pending: a stop signal, say."""

    class Tracker:
        def done(self, promise):
            pass

    promise = Source().promise
    trackers = [Tracker() for _ in range(50)]
    for tracker in trackers:
        promise.add_done_callback(tracker.done)
        promise.remove_done_callback(tracker.done)
    left = weakref.WeakSet(trackers)
    # The loop's variable is the last of them.
    del trackers, tracker
    gc.collect()
    assert 0 == len(left)
    assert "Ending" == type(promise._subscribers).__name__


def test_a_promise_that_ended_keeps_no_callback(scheduler):
    """Nor what the callback refers to."""

    class Request:
        def done(self, promise):
            pass

    request = Request()
    left = weakref.ref(request)
    promise = Promise.resolve(1)
    promise.add_done_callback(request.done)
    scheduler.flush()
    del request
    gc.collect()
    assert left() is None


@pytest.mark.parametrize("settle", ["callback", "Deferred", "timer"])
def test_kept_until_it_settles(scheduler, settle):
    """Callbacks stay with the promise when it gets a context, a binding or a Deferred."""
    source = Source()
    if settle == "callback":
        callbacks = []
        promise = Promise.from_callback(callbacks.append)
        end = lambda: callbacks[0](None, 1)  # noqa: E731
    elif settle == "Deferred":
        deferred = Deferred()
        variable.set("set")
        promise = Promise.from_deferred(deferred)
        end = lambda: deferred.callback(1)  # noqa: E731
    else:
        promise = source.promise
        end = lambda: source.resolve(Promise.delay(1, 1))  # noqa: E731
    calls = watched(promise)
    derived = promise.then()
    end()
    scheduler.advance(1)
    assert [promise] == calls
    assert 1 == derived.value()


@pytest.mark.parametrize("wrong", [None, 5, "f"])
def test_what_is_not_callable(wrong):
    """It is refused, by name."""
    with pytest.raises(TypeError, match="callback must be callable"):
        Promise.resolve(1).add_done_callback(wrong)


@pytest.mark.parametrize("wrong", [{}, "context", variable])
def test_what_is_no_context(wrong):
    """It is refused, by name."""
    with pytest.raises(TypeError, match=r"context must be a contextvars\.Context, not"):
        Promise.resolve(1).add_done_callback(print, context=wrong)


def test_in_another_thread(scheduler):
    """Adding and taking out are refused, as all that is done with a promise."""
    promise = Source().promise
    calls = watched(promise)
    # The scheduler knows its thread when it has run something.
    Promise.resolve().then(print)
    scheduler.flush()
    for method in (promise.add_done_callback, promise.remove_done_callback):
        with pytest.raises(RuntimeError, match="call_from_thread"):
            in_thread(method, calls.append)
    assert 1 == promise.remove_done_callback(calls.append)
