"""`Deadline`: one budget of time for many promises; on a clock that the test owns."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.support.outcomes import outcome
from tests.support.promises import Boom, Source, quiet
from twpromise import Deadline, Promise, ReactorScheduler, TimeoutError
from twpromise._methods.deadline import TURNS
from twpromise._scheduling.schedulers import FunctionScheduler
from twpromise.testing import ManualScheduler


def timers(scheduler):
    """When the timers that are set go off, seconds from now."""
    now = scheduler.clock.seconds()
    return sorted(call.getTime() - now for call in scheduler.clock.getDelayedCalls())


# --- one budget


def test_what_is_left_is_left_for_the_next_step(scheduler):
    """The time counts from the moment the deadline is made, whatever was done until then."""
    deadline = Deadline(5)
    first = Promise.delay(3, "first").timeout(deadline)
    scheduler.advance(3)
    second = quiet(Source().promise.timeout(deadline))
    assert (("fulfilled", "first"), [2.0]) == (outcome(first), timers(scheduler))
    scheduler.advance(1.5)
    assert second.is_pending()
    scheduler.advance(0.5)
    assert (TimeoutError, []) == (type(second.reason()), timers(scheduler))


def test_remaining_counts_down_to_zero(scheduler):
    """Seconds, and 0 when the deadline has passed."""
    deadline = Deadline(5)
    left = [deadline.remaining]
    for _ in range(3):
        scheduler.advance(2)
        left.append(deadline.remaining)
    assert [5.0, 3.0, 1.0, 0.0] == left
    assert [float] * 4 == [type(each) for each in left]


def test_repr_says_how_much_is_left_and_how_many_wait(scheduler):
    """While it runs, and when it has passed."""
    deadline = Deadline(5)
    quiet(Source().promise.timeout(deadline))
    scheduler.advance(1.5)
    assert "<Deadline: 3.5 of 5 seconds left, 1 waiting>" == repr(deadline)
    scheduler.advance(4)
    assert "<Deadline: passed, 0 waiting>" == repr(deadline)


def test_one_timer_for_all_that_wait(scheduler):
    """And none as soon as none waits, nor before one does."""
    deadline = Deadline(5)
    assert [] == timers(scheduler)
    sources = [Source() for _ in range(100)]
    promises = [source.promise.timeout(deadline) for source in sources]
    assert [5.0] == timers(scheduler)
    for promise in promises[1:]:
        promise.cancel()
    assert [5.0] == timers(scheduler)
    sources[0].resolve("value")
    scheduler.flush()
    assert (("fulfilled", "value"), []) == (outcome(promises[0]), timers(scheduler))


def test_all_that_wait_are_rejected_in_their_order(scheduler):
    """And what each has waited for is cancelled, unless another consumer waits for it."""
    deadline = Deadline(5)
    sources = [Source() for _ in range(3)]
    kept = sources[1].promise.then()
    order = []
    for number, source in enumerate(sources):
        source.promise.timeout(deadline).catch(TimeoutError, lambda _, n=number: order.append(n))
    scheduler.advance(5)
    assert ([0, 1, 2], [1, 0, 1]) == (order, [source.cancelled for source in sources])
    assert kept.is_pending()


def test_a_library_copy_has_deadlines_on_its_own_clock():
    """Whatever the clock of `Promise` is."""
    copy, manual = Promise.get_new_library_copy(), ManualScheduler()
    copy.set_scheduler(manual)
    deadline = Deadline(5, library=copy)
    promise = quiet(Source(copy).promise.timeout(deadline))
    manual.advance(4)
    assert (1.0, True) == (deadline.remaining, promise.is_pending())
    manual.advance(1)
    assert TimeoutError is type(promise.reason())


def test_a_promise_on_another_scheduler(scheduler):
    """It is rejected, and waits for nothing: a deadline that may never pass would go unnoticed."""
    copy = Promise.get_new_library_copy()
    copy.set_scheduler(ManualScheduler())
    for cls, deadline in (copy, Deadline(5)), (Promise, Deadline(5, library=copy)):
        source = Source(cls)
        promise = quiet(source.promise.timeout(deadline))
        with pytest.raises(RuntimeError, match="the deadline is on another scheduler"):
            raise promise.reason()
        assert "0 waiting>" in repr(deadline)
        assert source.promise.is_pending()


@pytest.mark.parametrize("by_function", [False, True], ids=["ReactorScheduler", "a function"])
def test_deadlines_on_a_reactor(by_function):
    """The clock is the reactor's; also where a function runs the queue."""
    copy, clock = Promise.get_new_library_copy(), Clock()
    on_clock = ReactorScheduler(clock)
    on_function = FunctionScheduler(on_clock.call_soon, on_clock)
    copy.set_scheduler(on_function if by_function else on_clock)
    deadline = Deadline(5, library=copy)
    promise = quiet(Source(copy).promise.timeout(deadline))
    clock.advance(4)
    assert (1.0, True) == (deadline.remaining, promise.is_pending())
    clock.advance(1)
    clock.advance(0)
    assert TimeoutError is type(promise.reason())


@pytest.mark.parametrize(
    ("message", "expected"), [([], "operation timed out"), (["too slow"], "too slow")], ids=repr
)
def test_the_error_names_the_deadline(scheduler, message, expected):
    """It is that of a timeout; a note says where `timeout` was called."""
    promise = quiet(Source().promise.timeout(Deadline(5), *message))
    scheduler.advance(5)
    error = promise.reason()
    assert (TimeoutError, expected) == (type(error), str(error))
    (note,) = error.__notes__
    assert note.startswith("The deadline of 5 seconds has passed; timeout() was called here:\n")
    assert f'File "{__file__}"' in note


def test_an_error_of_the_user(scheduler):
    """It is the reason, itself."""
    error = Boom("too slow")
    promise = quiet(Source().promise.timeout(Deadline(5), error))
    scheduler.advance(5)
    assert ("rejected", error) == outcome(promise)


# --- a deadline that has passed


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_passed_deadline_rejects_what_is_pending(scheduler, seconds):
    """In the next turn, all with one timer; what they waited for is cancelled."""
    deadline = Deadline(seconds)
    scheduler.advance(6)
    sources = [Source() for _ in range(3)]
    promises = [quiet(source.promise.timeout(deadline)) for source in sources]
    assert [0.0] == timers(scheduler)
    scheduler.flush()
    assert [(TimeoutError, 1)] * 3 == [
        (type(promise.reason()), source.cancelled)
        for promise, source in zip(promises, sources, strict=True)
    ]


def test_a_passed_deadline_lets_a_value_through_that_is_there_or_queued(scheduler):
    """By the same rule as `timeout`: what came first counts."""
    deadline = Deadline(1)
    scheduler.advance(2)
    deferred = Deferred()
    behind = Promise.from_deferred(deferred).then(str).then(str)
    deferred.callback("queued")
    promises = [Promise.resolve("there").timeout(deadline), behind.timeout(deadline)]
    scheduler.clock.advance(0)
    scheduler.flush()
    assert ["there", "queued"] == [promise.value() for promise in promises]
    assert [] == timers(scheduler)


# --- reset


def test_a_reset_moves_those_that_wait(scheduler):
    """They have all the seconds again, from the reset on."""
    deadline = Deadline(5)
    promise = quiet(Source().promise.timeout(deadline))
    scheduler.advance(4)
    deadline.reset()
    assert 5.0 == deadline.remaining
    scheduler.advance(4.5)
    assert promise.is_pending()
    scheduler.advance(0.5)
    assert (TimeoutError, []) == (type(promise.reason()), timers(scheduler))


def timers_set(scheduler):
    """A list that gets the seconds of each timer that is set from now on."""
    seconds = []
    call_later = scheduler.call_later
    scheduler.call_later = lambda *arguments: seconds.append(arguments[0]) or call_later(*arguments)
    return seconds


@pytest.mark.parametrize("steps", [[0.1, 0.2, 0.3], [0.3, 0.3, 0.3], [1 / 3, 1e9, 1e-9]], ids=repr)
def test_seconds_that_are_no_exact_numbers(scheduler, steps):
    """The timer may go off a rounding error before the deadline: it passes all the same."""
    scheduler.advance(steps[0])
    deadline = Deadline(steps[2])
    scheduler.clock.advance(steps[1] / 1e10)
    promise = quiet(Source().promise.timeout(deadline))
    (timer,) = scheduler.clock.getDelayedCalls()
    # As a loop of asyncio may call it, whose clock is not finer than that.
    timer.reset(0)
    scheduler.advance(0)
    assert (TimeoutError, []) == (type(promise.reason()), timers(scheduler))


def test_a_reset_sets_no_timer(scheduler):
    """However often it is called, there is one timer for the seconds between two looks."""
    set_at = timers_set(scheduler)
    deadline = Deadline(5)
    promise = quiet(Source().promise.timeout(deadline))
    for _ in range(10_000):
        scheduler.clock.advance(0.001)
        deadline.reset()
    assert 3 >= len(set_at)
    scheduler.advance(4.9)
    assert promise.is_pending()
    scheduler.advance(0.2)
    assert TimeoutError is type(promise.reason())


def test_a_deadline_that_has_passed_can_be_reset(scheduler):
    """What it has rejected stays so; what comes has all its time."""
    deadline = Deadline(5)
    early = quiet(Source().promise.timeout(deadline))
    scheduler.advance(6)
    deadline.reset()
    late = quiet(Source().promise.timeout(deadline))
    assert [5.0] == timers(scheduler)
    scheduler.advance(4)
    assert ["rejected", "pending"] == [outcome(each)[0] for each in (early, late)]
    scheduler.advance(1)
    assert late.is_rejected()


def test_a_reset_in_the_turn_of_the_deadline_but_before_it(scheduler):
    """What comes first counts: data, and then the timer."""
    deadline = Deadline(5)
    scheduler.clock.callLater(5, deadline.reset)
    promise = quiet(Source().promise.timeout(deadline))
    scheduler.advance(5)
    assert promise.is_pending()
    scheduler.advance(5)
    assert TimeoutError is type(promise.reason())


def test_data_that_came_in_time_resets_by_a_queue_that_lags(scheduler):
    """Its handler is queued when time is up: those that wait are moved, and not rejected."""
    deadline = Deadline(5)
    data = Source()
    data.promise.then(str).then(lambda _: deadline.reset())
    promise = quiet(Source().promise.timeout(deadline))
    scheduler.clock.advance(4)
    data.resolve("data")
    scheduler.clock.advance(1.5)
    scheduler.flush()
    assert (True, [5.0]) == (promise.is_pending(), timers(scheduler))
    scheduler.advance(5)
    assert (TimeoutError, []) == (type(promise.reason()), timers(scheduler))


def test_data_whose_handlers_take_several_turns_resets(scheduler, slices):
    """The queue has some turns, in each of which a slice of it is run."""
    deadline = Deadline(5)
    data = Source()
    behind = data.promise
    for _ in range(20):
        behind = behind.then(str)
    behind.then(lambda _: deadline.reset())
    promise = quiet(Source().promise.timeout(deadline))
    data.resolve("data")
    scheduler.clock.advance(5.5)
    slices.flush()
    assert (True, 5.0) == (promise.is_pending(), deadline.remaining)


def lagging(scheduler):
    """Have the deadline pass while something is queued, and nothing run yet."""
    Promise.resolve().then(str)
    scheduler.clock.advance(5)


def test_those_that_come_while_the_queue_lags_are_rejected_with_the_others(scheduler):
    """No second timer is set, and none is put off by newcomers."""
    deadline = Deadline(5)
    first = quiet(Source().promise.timeout(deadline))
    lagging(scheduler)
    second = quiet(Source().promise.timeout(deadline))
    assert [] == timers(scheduler)
    scheduler.flush()
    assert ["rejected", "rejected"] == [outcome(each)[0] for each in (first, second)]


def test_none_waits_any_more_when_the_queue_has_had_its_turn(scheduler):
    """The last one was cancelled meanwhile; the deadline works on."""
    deadline = Deadline(5)
    promise = Source().promise.timeout(deadline)
    lagging(scheduler)
    promise.cancel()
    scheduler.flush()
    deadline.reset()
    later = quiet(Source().promise.timeout(deadline))
    assert [5.0] == timers(scheduler)
    scheduler.advance(5)
    assert later.is_rejected()


def test_a_queue_without_end_does_not_put_it_off(scheduler, slices):
    """It has some turns, and no more."""

    def busy(_):
        return Promise.resolve().then(busy)

    promise = quiet(Promise.resolve().then(busy).timeout(Deadline(1)))
    scheduler.clock.advance(1)
    assert promise.is_pending()
    slices.turn(20 * TURNS)
    assert (TimeoutError, []) == (type(promise.reason()), list(slices._calls))


def test_a_canceller_that_cancels_another_one_that_waits(scheduler):
    """That is cancelled then, not rejected; the rest is rejected."""
    deadline = Deadline(5)
    second = Source()
    # So that the cancellation ends at once.
    kept = second.promise.then()
    promises = []
    deferred = Deferred(lambda _: promises[1].cancel())
    promises += [Promise.from_deferred(deferred).timeout(deadline)]
    promises += [source.promise.timeout(deadline) for source in (second, Source())]
    for promise in promises:
        quiet(promise)
    scheduler.advance(5)
    assert ["rejected", "cancelled", "rejected"] == [outcome(each)[0] for each in promises]
    assert (True, []) == (kept.is_pending(), timers(scheduler))


def test_a_canceller_that_begins_to_wait(scheduler):
    """For the deadline that passes just now: it is rejected next."""
    deadline = Deadline(5)
    begun = []
    deferred = Deferred(lambda _: begun.append(quiet(Source().promise.timeout(deadline))))
    quiet(Promise.from_deferred(deferred).timeout(deadline))
    set_at = timers_set(scheduler)
    scheduler.advance(5)
    assert [0.0] == set_at
    assert ([TimeoutError], []) == ([type(each.reason()) for each in begun], timers(scheduler))


def test_a_signal_while_those_that_wait_are_rejected(scheduler):
    """The handler of a signal may raise anywhere: the rest is rejected in the next turn."""
    deadline = Deadline(5)

    def interrupted():
        raise KeyboardInterrupt

    deadline._call(interrupted)
    promise = quiet(Source().promise.timeout(deadline))
    with pytest.raises(KeyboardInterrupt):
        scheduler.clock.advance(5)
    scheduler.flush()
    assert TimeoutError is type(promise.reason())


# --- numbers that are none


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (None, TypeError)],
    ids=repr,
)
def test_no_time(scheduler, seconds, error):
    """It is refused, by its name."""
    with pytest.raises(error, match="seconds must be a number of seconds"):
        Deadline(seconds)


@pytest.mark.parametrize("wrong", [5, object, "Promise"], ids=repr)
def test_what_is_no_library_copy(scheduler, wrong):
    """It is refused, by its name."""
    with pytest.raises(TypeError, match="library must be a library copy, such as Promise, not"):
        Deadline(5, library=wrong)


def test_a_deadline_without_end(scheduler):
    """It never passes, and those that wait can be cancelled."""
    deadline = Deadline(float("inf"))
    promise = Source().promise.timeout(deadline)
    scheduler.advance(1e9)
    assert (True, float("inf")) == (promise.is_pending(), deadline.remaining)
    promise.cancel()
    assert [] == timers(scheduler)


# --- the fault matrix: two steps of two seconds each, under one deadline


class Service:
    """Two steps, and what became of each."""

    def __init__(self, seconds, fails=False):
        self.seconds = seconds
        self.fails = fails
        self.log = []
        self.deadline = None

    def step(self, name):
        def end(_):
            self.log.append(f"{name} done")
            if self.fails and name == "second":
                raise Boom(name)
            return name

        self.log.append(name)
        return Promise.delay(2).then(end).timeout(self.deadline)

    def chain(self):
        self.deadline = Deadline(self.seconds)
        return self.step("first").then(lambda _: self.step("second"))

    async def coroutine(self):
        self.deadline = Deadline(self.seconds)
        await self.step("first")
        return await self.step("second")


ALL = ["first", "first done", "second", "second done"]

#: Seconds of the deadline, what happens when, how it ends, and what was done.
FAULTS = {
    "in time": (5, [], "fulfilled", ALL),
    "it fails": (5, [], "failed", ALL),
    "late in the first step": (1, [], "late", ALL[:1]),
    "late in the second step": (3, [], "late", ALL[:3]),
    "cancelled in the first step": (5, [(1, "cancel")], "cancelled", ALL[:1]),
    "cancelled in the second step": (5, [(3, "cancel")], "cancelled", ALL[:3]),
    "cancelled twice": (5, [(1, "cancel"), (1, "cancel")], "cancelled", ALL[:1]),
    "cancelled when it has ended": (5, [(6, "cancel")], "fulfilled", ALL),
    "cancelled when it is late": (1, [(1.5, "cancel")], "late", ALL[:1]),
    "reset in the first step": (3, [(1.5, "reset")], "fulfilled", ALL),
    "reset twice in the second step": (3, [(2.5, "reset"), (2.75, "reset")], "fulfilled", ALL),
    "reset too late": (3, [(3.25, "reset")], "late", ALL[:3]),
    "reset, and cancelled": (3, [(2.5, "reset"), (3.5, "cancel")], "cancelled", ALL[:3]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_two_steps_under_one_deadline(world, name):
    """Whatever happens, and when: it ends once, and leaves no timer and no step under way."""
    seconds, events, ends, log = FAULTS[name]
    service = Service(seconds, name == "it fails")
    acts = {"cancel": world.cancel, "reset": lambda: service.deadline.reset()}
    for time, act in events:
        world.at(time, acts[act])
    state, value = world.drive(
        lambda: world.start(service.chain if world.driver == "chain" else service.coroutine)
    )
    errors = {"late": TimeoutError, "failed": Boom}
    if ends in errors:
        assert ("rejected", errors[ends]) == (state, type(value))
    else:
        assert (ends, "second" if ends == "fulfilled" else None) == (state, value)
    assert log == service.log
    assert "0 waiting>" in repr(service.deadline)


@pytest.mark.parametrize("event", ["value", "cancel"])
@pytest.mark.parametrize("first", ["event", "deadline"])
def test_in_the_turn_of_the_deadline(world, event, first):
    """A value, or a cancellation, comes in the turn in which the deadline passes: one end."""
    deferred = Deferred(lambda _: None)
    deadlines = []
    act = world.cancel if event == "cancel" else lambda: deferred.callback("value")

    def begin():
        deadlines.append(Deadline(3))
        timed = Promise.from_deferred(deferred).timeout(deadlines[0])
        if first == "deadline":
            world.call_later(3, act)
        return timed

    if first == "event":
        world.at(3, act)
    state, value = world.drive(lambda: world.start(begin))
    if first == "event":
        expected = ("fulfilled", "value") if event == "value" else ("cancelled", None)
        assert expected == (state, value)
    elif state == "rejected":
        assert TimeoutError is type(value)
    else:
        # The rejection has not reached what waits for it.
        assert ("cancel", "cancelled") == (event, state)
    assert "<Deadline: passed, 0 waiting>" == repr(deadlines[0])
