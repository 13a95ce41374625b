"""`batch`: calls for one item each that become one call for many."""

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import Future
from contextvars import ContextVar
from functools import wraps
from itertools import count

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.support.collections import calls_of
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, fail, quiet
from tests.support.threads import in_thread
from twpromise import Batch, Promise, batch
from twpromise.loops import use_running_loop

variable = ContextVar("variable", default=None)


class Runs:
    """A batch function: each run ends when the test says so, and gives what the test says."""

    def __init__(self):
        self.items = []
        self.gates = []

    def __call__(self, items):
        self.items.append(items)
        gate = Promise.defer()
        self.gates.append(gate)
        return gate.promise

    def end(self, results=None):
        """End the run that began first: with the double of each item by default."""
        gate = self.gates.pop(0)
        index = len(self.items) - len(self.gates) - 1
        gate.resolve([2 * item for item in self.items[index]] if results is None else results)


@pytest.fixture
def runs(scheduler):
    """A batch function whose runs the test ends."""
    return Runs()


async def give(value):
    return value


def doubled(items):
    """A batch function that ends at once."""
    return [2 * item for item in items]


# --- collecting


def test_calls_are_collected_until_there_are_enough(scheduler, runs):
    """No run waits for its time if it is full."""
    double = batch(runs, size=2, wait=60)
    promises = [double(number) for number in range(3)]
    assert [] == runs.items
    scheduler.flush()
    assert [[0, 1]] == runs.items
    runs.end()
    scheduler.flush()
    assert [0, 2] == [promise.value() for promise in promises[:2]]
    assert promises[2].is_pending()


def test_the_first_call_waits_for_others_only_so_long(scheduler, runs):
    """From the first call on, however many come meanwhile."""
    double = batch(runs, wait=1)
    double(1)
    scheduler.advance(0.75)
    double(2)
    assert [] == runs.items
    scheduler.advance(0.25)
    assert [[1, 2]] == runs.items
    assert [] == scheduler.clock.getDelayedCalls()


def test_the_time_begins_anew_when_all_are_run(scheduler, runs):
    """A call behind a full run waits as long as any first call does."""
    double = batch(runs, size=2, wait=1, in_flight=9)
    double(1)
    scheduler.advance(0.75)
    double(2)
    double(3)
    scheduler.advance(0.75)
    assert [[1, 2]] == runs.items
    scheduler.advance(0.25)
    assert [[1, 2], [3]] == runs.items


def test_a_batch_fills_while_a_run_is_under_way(scheduler, runs):
    """So it grows under load; those beyond the size wait in order."""
    double = batch(runs, size=3, wait=1)
    promises = [double(1)]
    scheduler.advance(1)
    promises += [double(number) for number in range(2, 8)]
    scheduler.advance(9)
    promises.append(double(8))
    assert [] == scheduler.clock.getDelayedCalls()
    assert [[1]] == runs.items
    for _ in range(4):
        assert 1 == len(runs.gates)
        runs.end()
        scheduler.flush()
    # The last two have waited long enough, too.
    assert [[1], [2, 3, 4], [5, 6, 7], [8]] == runs.items
    assert [2 * number for number in range(1, 9)] == [promise.value() for promise in promises]


def test_several_runs_may_be_under_way(scheduler, runs):
    """As many as were asked for; one that ends makes room for the next."""
    double = batch(runs, size=1, in_flight=2)
    promises = [double(number) for number in range(3)]
    scheduler.flush()
    assert [[0], [1]] == runs.items
    runs.end()
    scheduler.flush()
    assert [[0], [1], [2]] == runs.items
    assert promises[0].is_fulfilled()


def test_no_time_to_wait(scheduler, runs):
    """What is called in one turn is one run."""
    double = batch(runs, wait=0)
    for number in range(3):
        double(number)
    scheduler.flush()
    assert [[0, 1, 2]] == runs.items


def test_the_function_is_never_called_within_a_call(scheduler):
    """Also if it ends at once, and calls come from within it."""
    log = []

    def run(items):
        log.append(f"begins {items}")
        if items == [1]:
            double(2)
        log.append("ends")
        return items

    double = batch(run, size=1)
    double(1)
    assert [] == log
    scheduler.flush()
    assert ["begins [1]", "ends", "begins [2]", "ends"] == log


@pytest.mark.usefixtures("low_recursion_limit")
def test_many_runs_that_end_at_once_do_not_recurse(scheduler):
    """Each is a job of its own."""
    double = batch(doubled, size=1)
    promises = [double(number) for number in range(1000)]
    scheduler.flush()
    assert list(range(0, 2000, 2)) == [promise.value() for promise in promises]


# --- results


async def later(items):
    await Promise.delay(1)
    return [2 * item for item in items]


def in_turn(items):
    for item in items:
        yield 2 * item


def by_deferred(items):
    deferred = Deferred()
    deferred.callback(doubled(items))
    return deferred


@pytest.mark.parametrize("run", [doubled, later, in_turn, by_deferred])
def test_results_are_handed_over_in_the_order_of_the_items(scheduler, run):
    """A list or another iterable, at once or later."""
    promises = [*map(batch(run, size=2), (1, 2))]
    scheduler.advance(1)
    assert [2, 4] == [promise.value() for promise in promises]


def test_a_result_may_be_an_error_or_a_promise(scheduler):
    """Each reaches the call that it belongs to, and no other."""
    error = Boom("of one")
    results = [1, error, Failure(error), Promise.delay(1, 4), Promise.reject(error), None]
    promises = [quiet(each) for each in map(batch(lambda _: results, wait=0), range(6))]
    scheduler.advance(1)
    assert [
        ("fulfilled", 1),
        ("rejected", error),
        ("rejected", error),
        ("fulfilled", 4),
        ("rejected", error),
        ("fulfilled", None),
    ] == [outcome(promise) for promise in promises]


def refuse(items):
    raise Boom("of all")


def give_no_items(items):
    yield from items
    raise Boom("while it is read")


def named(items):
    return None


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (refuse, Boom, "of all"),
        (lambda _: Promise.reject(Boom("later")), Boom, "later"),
        (give_no_items, Boom, "while it is read"),
        (
            named,
            TypeError,
            "the batch function named must return a list with a result for each item, not None",
        ),
        (lambda _: 5, TypeError, "not 5"),
        (lambda _: "ab", TypeError, "not 'ab'"),
        (lambda _: {1: 1, 2: 2}, TypeError, "not {1: 1, 2: 2}"),
        (lambda _: {1, 2}, TypeError, "not {1, 2}"),
        (lambda items: items[1:], ValueError, "for each item: 2 items, 1 results"),
        (lambda items: [*items, 3], ValueError, "for each item: 2 items, more than 2 results"),
        (lambda _: count(), ValueError, "for each item: 2 items, more than 2 results"),
    ],
    ids=[
        *("raises", "rejects", "raises later", "none", "number", "text", "dict", "set"),
        *("too few", "too many", "no end"),
    ],
)
def test_mistakes_reach_all_callers_of_the_run(scheduler, run, error, message):
    """And no others: the next run begins."""
    calls = [run, doubled]

    @wraps(run)
    def both(items):
        return calls.pop(0)(items)

    double = batch(both, size=2)
    promises = [quiet(double(number)) for number in (1, 2)]
    scheduler.flush()
    for promise in promises:
        assert error is type(promise.reason())
        assert str(promise.reason()).endswith(message)
    promises = [double(number) for number in (9, 10)]
    scheduler.flush()
    assert [18, 20] == [promise.value() for promise in promises]


def test_an_error_that_has_no_handler_is_reported_for_each_call(scheduler, reports):
    """Each of the promises is reported by itself."""
    double = batch(refuse, size=2)
    double(1)
    double(2)
    scheduler.flush()
    assert [Boom, Boom] == [type(reason) for reason in reasons(reports)]


# --- cancelling


def test_cancelled_in_the_queue_an_item_is_taken_out(scheduler, runs):
    """The others are run without it."""
    double = batch(runs, wait=1)
    promises = [double(number) for number in range(3)]
    promises[1].cancel()
    scheduler.advance(1)
    assert [[0, 2]] == runs.items
    runs.end()
    scheduler.flush()
    assert [("fulfilled", 0), ("cancelled", None), ("fulfilled", 4)] == [
        outcome(promise) for promise in promises
    ]


def test_cancelled_in_the_turn_that_fills_the_batch_an_item_is_taken_out(scheduler, runs):
    """The run has been put together, and has not begun."""
    double = batch(runs, size=3)
    promises = [double(number) for number in range(3)]
    promises[1].cancel()
    scheduler.flush()
    assert [[0, 2]] == runs.items
    runs.end()
    scheduler.flush()
    assert [0, 4] == [promises[0].value(), promises[2].value()]


def test_all_cancelled_in_the_queue_leave_nothing(scheduler, runs):
    """No timer; and the next call waits its time."""
    double = batch(runs, wait=1)
    for promise in [double(1), double(2)]:
        promise.cancel()
    assert [] == scheduler.clock.getDelayedCalls()
    scheduler.advance(0.5)
    double(3)
    scheduler.advance(0.75)
    assert [] == runs.items
    scheduler.advance(0.25)
    assert [[3]] == runs.items


def test_all_cancelled_in_the_turn_that_fills_the_batch(scheduler, runs):
    """The function is not called, and the next run may begin."""
    double = batch(runs, size=2)
    for promise in [double(1), double(2)]:
        promise.cancel()
    scheduler.flush()
    assert [] == runs.items
    assert "<batch of" in repr(double)
    assert "0 queued, 0 running>" in repr(double)
    for number in (3, 4):
        double(number)
    scheduler.flush()
    assert [[3, 4]] == runs.items


def test_cancelled_after_the_timer_struck(scheduler, runs):
    """What comes when the queue has become empty is a first call again."""
    double = batch(runs, wait=1)
    double(1)
    scheduler.advance(1)
    late = double(2)
    scheduler.advance(1)
    late.cancel()
    double(3)
    runs.end()
    scheduler.flush()
    assert [[1]] == runs.items
    scheduler.advance(1)
    assert [[1], [3]] == runs.items


def test_cancelled_while_it_runs_a_call_leaves_the_others(scheduler, runs):
    """The run goes on as long as one of its calls is left."""
    double = batch(runs, size=2)
    promises = [double(number) for number in (1, 2)]
    scheduler.flush()
    promises[0].cancel()
    scheduler.flush()
    assert runs.gates[0].promise.is_pending()
    runs.end()
    scheduler.flush()
    assert [("cancelled", None), ("fulfilled", 4)] == [outcome(promise) for promise in promises]


def test_results_of_calls_that_have_left(scheduler, runs, reports):
    """What is under way is cancelled, a rejection handled: no other code can."""
    double = batch(runs, size=4)
    promises = [double(number) for number in range(4)]
    scheduler.flush()
    for promise in promises[1:]:
        promise.cancel()
    results = [0, Promise.delay(9), Promise.reject(Boom()), give(1)]
    runs.end(results)
    scheduler.flush()
    assert (0, True) == (promises[0].value(), results[1].is_cancelled())
    assert [] == reports
    assert [] == scheduler.clock.getDelayedCalls()


def test_a_run_is_cancelled_when_all_its_calls_have_left(scheduler, runs):
    """By a timeout, say; and the next run begins."""
    double = batch(runs, size=2)
    promises = [quiet(double(number).timeout(1)) for number in range(4)]
    scheduler.flush()
    assert [[0, 1]] == runs.items
    first = runs.gates[0].promise
    promises[0].cancel()
    promises[1].cancel()
    scheduler.flush()
    assert first.is_cancelled()
    assert [[0, 1], [2, 3]] == runs.items


def test_a_run_that_never_ends_keeps_those_behind_it_waiting(scheduler, runs):
    """Until its callers give it up; those that wait may time out, and are taken out."""
    double = batch(runs, size=1)
    promises = [quiet(double(number).timeout(5 - number)) for number in range(2)]
    kept = double(2)
    scheduler.advance(4)
    assert (True, False) == (promises[1].is_rejected(), promises[0].is_rejected())
    scheduler.advance(1)
    assert promises[0].is_rejected()
    assert [[0], [2]] == runs.items
    runs.end()
    runs.end()
    scheduler.flush()
    assert 4 == kept.value()


def test_a_run_may_time_out(scheduler, runs):
    """Its callers get the error, and the next run begins."""
    double = batch(lambda items: runs(items).timeout(1), size=2)
    promises = [quiet(double(number)) for number in range(4)]
    scheduler.advance(1)
    assert [True, True] == [isinstance(each.reason(), TimeoutError) for each in promises[:2]]
    assert [[0, 1], [2, 3]] == runs.items
    assert promises[2].is_pending()


def test_a_thread_that_cannot_be_stopped_counts_as_a_run(scheduler):
    """The next run begins when it has ended."""
    futures = []

    def run(items):
        futures.append(Future())
        futures[-1].set_running_or_notify_cancel()
        return Promise.resolve(futures[-1])

    double = batch(run, size=1)
    promise = double(1)
    double(2)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert 1 == len(futures)
    futures[0].set_result([1])
    scheduler.flush()
    assert 2 == len(futures)


def test_a_run_that_is_cancelled_from_elsewhere_cancels_its_calls(scheduler, runs):
    """What the function returned has another consumer, too."""
    double = batch(runs, size=2)
    promises = [double(1), double(2)]
    scheduler.flush()
    runs.gates[0].promise.cancel()
    scheduler.flush()
    assert [True, True] == [promise.is_cancelled() for promise in promises]
    assert "0 running" in repr(double)


def test_a_function_that_cancels_all_its_calls(scheduler):
    """What it returns is cancelled."""
    work = Promise.delay(9)

    def run(items):
        for promise in promises:
            promise.cancel()
        return work

    double = batch(run, size=2)
    promises = [double(1), double(2)]
    scheduler.flush()
    assert work.is_cancelled()
    assert "0 running" in repr(double)


# --- contexts, copies, threads, memory


def test_runs_see_the_context_in_which_the_batch_was_made(scheduler):
    """None of the callers', of which there are several; and not what an earlier run has set."""
    seen = []

    async def later(items):
        await Promise.resolve()
        return [variable.get(), *items][:1]

    def run(items):
        seen.append(variable.get())
        variable.set("run")
        return later(items)

    variable.set("maker")
    double = batch(run, size=1)
    variable.set("caller")
    promises = [double(1), double(2)]
    scheduler.flush()
    assert ["maker", "maker"] == seen
    assert ["run", "run"] == [promise.value() for promise in promises]


def test_the_promises_are_of_the_given_library_copy(scheduler, runs):
    """With its scheduler and its settings."""
    Copy = Promise.get_new_library_copy()
    Copy.set_scheduler(scheduler)
    Copy.config(async_hooks=False)
    seen = []
    variable.set("maker")
    double = batch(lambda items: seen.append(variable.get()) or runs(items), size=1, library=Copy)
    promise = double(1)
    assert isinstance(promise, Copy)
    scheduler.flush()
    runs.end()
    scheduler.flush()
    assert (2, [None]) == (promise.value(), seen)


def test_another_thread_is_refused(scheduler, runs):
    """Before the item is queued."""
    double = batch(runs)
    scheduler.flush()
    with pytest.raises(RuntimeError, match="call_from_thread"):
        in_thread(double, 1)
    assert "0 queued" in repr(double)


def call_on_a_loop(function):
    """Call a function on a loop of asyncio's that promises leave at once, which clears timers."""

    async def main():
        async with use_running_loop():
            return function()

    with asyncio.Runner() as runner:
        return runner.run(main())


def test_a_batch_outlives_a_loop(scheduler, runs):
    """A loop that is left clears its timers: the next call sets one."""
    double = batch(runs, wait=1)
    call_on_a_loop(lambda: double(1))
    double(2)
    scheduler.advance(1)
    assert [[1, 2]] == runs.items


def test_a_timer_that_others_have_cancelled(scheduler, runs):
    """As a test may at its end."""
    double = batch(runs, wait=1)
    promise = double(1)
    for timer in scheduler.clock.getDelayedCalls():
        timer.cancel()
    promise.cancel()
    double(2)
    scheduler.advance(1)
    assert [[2]] == runs.items


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", ["fulfilled", "failed", "refused", "raises", "cancelled", "queued"])
def test_what_a_call_refers_to_is_freed(scheduler, end):
    """By reference counting, when it has ended; the batch stays."""

    class Item:
        pass

    def run(items):
        if end == "failed":
            return Promise.reject(Boom())
        if end == "raises":
            return give_no_items([1])
        return Promise.resolve(5 if end == "refused" else [1] * len(items)).delay(1)

    double = batch(run, size=2)
    item = Item()
    reference = weakref.ref(item)
    promise = quiet(double(item))
    del item
    assert reference() is not None
    if end != "queued":
        quiet(double(1))
        scheduler.flush()
    if end in ("cancelled", "queued"):
        promise.cancel()
    scheduler.advance(1)
    scheduler.flush()
    kept = [weakref.ref(promise)]
    if end in ("failed", "raises"):
        kept.append(weakref.ref(promise.reason()))
    del promise
    assert reference() is None
    assert [None] * len(kept) == [each() for each in kept]


# --- bad input, and how it shows itself


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"run": 5}, TypeError, "run must be callable, not 5 (fn must be a function)"),
        ({"size": 0}, ValueError, "size must be 1 or more, not 0"),
        ({"size": 2.0}, TypeError, "size must be an int, 1 or more, not 2.0"),
        ({"in_flight": 0}, ValueError, "in_flight must be 1 or more, not 0"),
        ({"in_flight": None}, TypeError, "in_flight must be an int, 1 or more, not None"),
        ({"wait": -1}, ValueError, "wait must be a number of seconds, 0 or more, not -1"),
        ({"wait": "1"}, TypeError, "wait must be a number of seconds, not '1'"),
        (
            {"library": int},
            TypeError,
            "library must be a library copy, such as Promise, not <class 'int'>",
        ),
    ],
)
def test_wrong_arguments(arguments, error, message):
    """The message names the argument, and what was expected."""
    run = arguments.pop("run", doubled)
    with pytest.raises(error) as caught:
        batch(run, **arguments)
    assert message == str(caught.value)


def test_it_shows_what_it_is_doing(scheduler, runs):
    """Its `repr` names the function, or shows what has no name."""
    double = batch(doubled, size=2)
    assert isinstance(double, Batch)
    double(1)
    assert "<batch of doubled: 1 queued, 0 running>" == repr(double)
    nameless = batch(runs, size=1)
    nameless(1)
    assert f"<batch of {runs!r}: 0 queued, 1 running>" == repr(nameless)


def test_long_stack_traces_lead_to_the_first_call_of_the_run(scheduler, config):
    """Those of what a run makes; and the error of a call says where that call was made."""
    config(long_stack_traces=True)
    made = []

    def run(items):
        made.append(quiet(Promise.delay(1).then(fail)))
        raise Boom("a run")

    double = batch(run, wait=1)

    def caller():
        return quiet(double(1))

    promise = caller()
    scheduler.advance(1)
    scheduler.advance(1)
    for failed in (promise, *made):
        assert "in caller" in "".join(failed.reason().__notes__)


# --- scale


def call_many(scheduler, number, **options):
    """Many concurrent calls; the items of each run."""
    items = []

    def run(batched):
        items.append(batched)
        return Promise.delay(1, batched)

    same = batch(run, **options)
    promises = [same(each) for each in range(number)]
    for promise in promises[::7]:
        promise.cancel()
    while any(promise.is_pending() for promise in promises[-9:]):
        scheduler.advance(1)
    assert all(each % 7 == 0 or promise.value() == each for each, promise in enumerate(promises))
    return items


def test_a_call_costs_the_same_however_many_wait(scheduler):
    """Twice as many take no more than twice the calls of functions."""
    few, many = (
        calls_of(lambda number=number: call_many(scheduler, number)) for number in (640, 1280)
    )
    assert many <= 2 * few


@pytest.mark.exhaustive
@pytest.mark.parametrize(("size", "in_flight"), [(32, 1), (100, 4)])
def test_ten_thousand_concurrent_calls(scheduler, size, in_flight):
    """They take the expected number of runs: each but the last is full."""
    items = call_many(scheduler, 10_000, size=size, in_flight=in_flight)
    left = [each for each in range(10_000) if each % 7]
    assert left == [each for batched in items for each in batched]
    # The first runs had been put together before some of their calls were cancelled.
    rest = len(left) - sum(map(len, items[:in_flight]))
    assert in_flight + -(-rest // size) == len(items)
