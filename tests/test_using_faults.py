"""The fault matrix of `using`: whatever fails, and whenever, each resource is released once.

Time is the test's own: resource number n takes n + 1 seconds to come, the handler takes two
seconds, each release takes one.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from concurrent.futures import Future

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater

from tests.support.promises import Boom
from twpromise import Disposer, Promise, TimeoutError

HANDLING = 2.0


class Yard:
    """Resources that take time to come and to go, and a log of what happened to them."""

    def __init__(self, scheduler, how):
        self.scheduler = scheduler
        self.clock = scheduler.clock
        self.how = how
        self.log = []
        #: What is called when a resource comes, by its number.
        self.coming = defaultdict(lambda: lambda: None)

    def later(self, seconds, function):
        """What comes of *function*, after a while: a promise, a Deferred or a coroutine."""
        return getattr(self, f"_later_as_{self.how}")(seconds, function)

    def _later_as_promise(self, seconds, function):
        return Promise.delay(seconds).then(lambda _: function())

    def _later_as_deferred(self, seconds, function):
        return deferLater(self.clock, seconds, function)

    async def _later_as_coroutine(self, seconds, function):
        await Promise.delay(seconds)
        return function()

    _later_as_future = _later_as_promise

    def _running(self, seconds, function):
        """A future of something that runs already, which cannot be stopped."""
        future = Future()
        future.set_running_or_notify_cancel()

        def end():
            try:
                future.set_result(function())
            except Boom as error:
                future.set_exception(error)

        self.clock.callLater(seconds, end)
        return future

    @property
    def stoppable(self):
        """Whether a resource without consumers is not acquired."""
        return self.how != "future"

    def acquire(self, number, refused=False):
        """A promise for a resource."""

        def come():
            if refused:
                raise Boom(f"no {number}")
            self.log.append(f"acquired {number}")
            self.coming[number]()
            return number

        later = self.later if self.stoppable else self._running
        return Promise.resolve(later(number + 1, come))

    def release(self, number):
        """Take a second to release a resource."""
        self.log.append(f"releasing {number}")
        return self.later(1, lambda: self.log.append(f"released {number}"))

    def resource(self, number, refused=False, shared=None):
        """A disposer for a resource; with *shared*, it has another consumer."""
        promise = self.acquire(number, refused)
        if shared is not None:
            shared.append(promise.then())
        return promise.disposer(self.release)

    def handle(self, *numbers):
        """Use the resources."""
        self.log.append("handling")
        return self.later(HANDLING, lambda: self.log.append("handled") or sum(numbers))

    def acquired(self):
        """The numbers of what was acquired, smallest first."""
        return sorted(int(entry[-1]) for entry in self.log if entry.startswith("acquired "))

    def advance(self, seconds):
        """Let time pass in small steps: what ends one wait begins another."""
        for _ in range(round(seconds * 4)):
            self.scheduler.advance(0.25)
        self.scheduler.flush()

    def watch(self, promise):
        """A promise that settles as *promise* does, when it has written so to the log."""
        watched = promise.finally_(lambda: self.log.append("after"))
        watched.suppress_unhandled_rejections()
        return watched

    def releases(self, numbers):
        """What the log says of the release of some, and of the end."""
        names = {f"{what} {number}" for what in ("releasing", "released") for number in numbers}
        return [entry for entry in self.log if entry in {*names, "after"}]

    def check(self, promise, lost=()):
        """Each resource was released exactly once, one after the other, each waited for."""
        self.advance(20)
        expected = []
        for number in self.acquired():
            if number not in lost:
                expected += [f"releasing {number}", f"released {number}"]
        assert [*expected, "after"] == self.releases(self.acquired())
        assert [] == self.clock.getDelayedCalls()
        assert not promise.is_pending()


@pytest.fixture(params=["promise", "deferred", "coroutine", "future"])
def yard(request, scheduler):
    """Acquired, used and released by promises, Deferreds and coroutines.

    Or acquired by the future of a thread, and used and released by promises.
    """
    return Yard(scheduler, request.param)


@pytest.fixture(params=[1, 3], ids=["one resource", "three resources"])
def count(request):
    """How many resources."""
    return request.param


def end_of(count):
    """When all is over, if nothing goes wrong."""
    return count + HANDLING + count


def given_back(numbers):
    """All that the log says of resources acquired after the cancellation, sorted."""
    return sorted(
        entry
        for number in numbers
        for entry in (f"acquired {number}", f"releasing {number}", f"released {number}")
    )


def test_without_faults_every_resource_is_acquired_used_and_released(yard, count):
    """All come, all are handled, all are released, and the handler's value comes out."""
    promise = Promise.using(*map(yard.resource, range(count)), yard.handle)
    watched = yard.watch(promise)
    yard.check(watched)
    assert sum(range(count)) == watched.value()
    assert list(range(count)) == yard.acquired()
    assert "handled" in yard.log


def test_released_before_it_settles(yard, count):
    """The promise is pending until the last release has ended, and no longer."""
    promise = Promise.using(*map(yard.resource, range(count)), yard.handle)
    yard.advance(end_of(count) - 0.25)
    assert promise.is_pending()
    yard.advance(0.25)
    assert promise.is_fulfilled()


def test_an_argument_that_raises_leaks_no_resource(yard, count):
    """Disposers made for earlier arguments release theirs, though `using` is never called."""

    def broken():
        raise Boom("before it began")

    with pytest.raises(Boom):
        Promise.using(*[yard.resource(number) for number in range(count)], broken())
    gc.collect()
    yard.advance(20)
    # They have no consumer any more: they are cancelled, unless they cannot be.
    assert ([] if yard.stoppable else given_back(range(count))) == sorted(yard.log)
    assert [] == yard.clock.getDelayedCalls()


def test_an_argument_that_raises_leaks_no_acquired_resource(yard, count):
    """Resources that are acquired, or shared with another consumer, are released."""
    shared = []

    def broken():
        yard.advance(1)
        raise Boom("before it began")

    with pytest.raises(Boom):
        Promise.using(*[yard.resource(number, shared=shared) for number in range(count)], broken())
    gc.collect()
    yard.advance(20)
    assert given_back(range(count)) == sorted(yard.log)


@pytest.mark.parametrize(("count", "refused"), [(1, 0), (3, 0), (3, 1), (3, 2)])
@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_a_failed_acquisition_releases_the_others(yard, count, refused, shared):
    """Whichever it is, those acquired are released, and it rejects with the reason, at once.

    What is pending is cancelled; if it comes all the same, it is released when it comes.
    """
    others = [] if shared else None
    resources = [
        yard.resource(number, refused=number == refused, shared=others) for number in range(count)
    ]
    for other in others or ():
        other.suppress_unhandled_rejections()
    watched = yard.watch(Promise.using(*resources, yard.handle))
    yard.advance(refused + 1 + refused)
    expected = []
    for number in range(refused):
        expected += [f"releasing {number}", f"released {number}"]
    if not refused or (yard.stoppable and not shared):
        # Else a release of what has come later has begun.
        assert [*expected, "after"] == yard.releases(range(count))
    yard.advance(20)
    assert f"no {refused}" == str(watched.reason())
    assert "handling" not in yard.log
    come = range(count) if shared or not yard.stoppable else range(refused)
    assert [number for number in come if number != refused] == yard.acquired()
    assert sorted([*given_back(yard.acquired()), "after"]) == sorted(yard.log)
    assert [] == yard.clock.getDelayedCalls()


@pytest.mark.parametrize("how", ["cancelled", "timed out", "failed"])
@pytest.mark.parametrize("first", [True, False], ids=["listed first", "listed last"])
@pytest.mark.parametrize(
    ("count", "moment"), [(1, 0.5), (1, 1.5), (3, 0), (3, 0.5), (3, 1), (3, 2.5), (3, 10)]
)
def test_an_argument_that_others_wait_for_and_never_comes(yard, count, moment, first, how):
    """It keeps no resource, and does not delay the end."""
    never, failing = Promise.defer().promise, Promise.defer()
    kept = never.then()
    pending = [never, failing.promise]
    resources = [yard.resource(number) for number in range(count)]
    arguments = pending + resources if first else resources + pending
    promise = Promise.using(*arguments, yard.handle)
    watched = yard.watch(promise)
    if how == "timed out":
        watched.timeout(moment).suppress_unhandled_rejections()
    yard.advance(moment)
    acquired = yard.acquired()
    if how == "cancelled":
        watched.cancel()
    elif how == "failed":
        failing.reject(Boom("refused"))
    yard.advance(len(acquired))
    expected = []
    for number in acquired:
        expected += [f"releasing {number}", f"released {number}"]
    if yard.stoppable or len(acquired) == count:
        assert [*expected, "after"] == yard.releases(range(count))
    yard.advance(20)
    assert sorted([*given_back(yard.acquired()), "after"]) == sorted(yard.log)
    assert (acquired if yard.stoppable else list(range(count))) == yard.acquired()
    assert (how == "failed", kept.is_pending()) == (promise.is_rejected(), True)
    assert [] == yard.clock.getDelayedCalls()


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_use_that_others_wait_for_and_never_ends(yard, count, how):
    """The resources are released at once, though what the handler returned goes on."""
    never = Promise.defer().promise
    kept = never.then()
    watched = yard.watch(Promise.using(*map(yard.resource, range(count)), lambda *_: never))
    if how == "timed out":
        watched.timeout(count + 1).suppress_unhandled_rejections()
    yard.advance(count + 1)
    if how == "cancelled":
        watched.cancel()
    yard.check(watched)
    assert list(range(count)) == yard.acquired()
    assert kept.is_pending()


def test_failed_acquisitions_reject_with_the_first_reason(yard, count):
    """It rejects with the reason of the first, and there is nothing to release."""
    resources = [yard.resource(number, refused=True) for number in range(count)]
    watched = yard.watch(Promise.using(*resources, yard.handle))
    yard.check(watched)
    assert ("no 0", ["after"]) == (str(watched.reason()), yard.log)


def test_handler_raises(yard, count):
    """It rejects with what the handler raised, when all have been released."""
    error = Boom("handler")

    def handle(*_):
        raise error

    watched = yard.watch(Promise.using(*map(yard.resource, range(count)), handle))
    yard.check(watched)
    assert error is watched.reason()
    assert list(range(count)) == yard.acquired()


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_handler_rejects(yard, count, later):
    """It rejects with the reason of what the handler returned, when all have been released."""
    error = Boom("handler")

    def broken():
        raise error

    def handle(*_):
        return yard.later(HANDLING, broken) if later else rejected[yard.how]()

    async def coroutine():
        raise error

    rejected = {
        "promise": lambda: Promise.reject(error),
        "deferred": lambda: fail(error),
        "coroutine": coroutine,
        "future": lambda: Promise.reject(error),
    }
    watched = yard.watch(Promise.using(*map(yard.resource, range(count)), handle))
    yard.check(watched)
    assert error is watched.reason()
    assert list(range(count)) == yard.acquired()


#: How many resources, and when it is cancelled: in each phase, and just where one ends.
MOMENTS = pytest.mark.parametrize(
    ("count", "moment"),
    [
        *((1, moment) for moment in (0, 0.5, 1, 2, 3.5, 4.5)),
        *((3, moment) for moment in (0, 0.5, 1, 1.5, 2.5, 3, 4, 5, 5.5, 6.5, 7.5, 8.5)),
    ],
)
#: Where it makes no difference by what they are acquired but that it can be stopped or not.
TWO_KINDS = pytest.mark.parametrize("yard", ["promise", "future"], indirect=True)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@MOMENTS
def test_cancelled(yard, count, moment, shared):
    """At any moment: what is there by then is released, what comes later too.

    Acquiring takes as many seconds as there are resources, handling takes two, and releasing as
    many again.
    """
    others = [] if shared else None
    resources = [yard.resource(number, shared=others) for number in range(count)]
    promise = Promise.using(*resources, yard.handle)
    watched = yard.watch(promise)
    yard.advance(moment)
    acquired = yard.acquired()
    over = not watched.is_pending()
    watched.cancel()
    yard.check(watched)
    assert moment >= end_of(count) or not over
    assert over != promise.is_cancelled()
    handled = moment >= count + HANDLING
    assert handled == ("handled" in yard.log)
    assert (moment >= count) == ("handling" in yard.log)
    # Those that were not acquired yet had no other consumer, unless they were shared.
    come = shared or not yard.stoppable
    assert (list(range(count)) if come else acquired) == yard.acquired()


@TWO_KINDS
@MOMENTS
def test_a_second_cancellation_changes_nothing(yard, count, moment):
    """In whatever phase."""
    promise = Promise.using(*map(yard.resource, range(count)), yard.handle)
    watched = yard.watch(promise)
    yard.advance(moment)
    watched.cancel()
    yard.advance(0.5)
    watched.cancel()
    promise.cancel()
    yard.check(watched)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize(
    ("count", "moment"),
    [(1, 0.25), (1, 1.25), (1, 3.25), (3, 0.25), (3, 2.25), (3, 4.25), (3, 7.25), (3, 8.25)],
)
def test_a_timeout_rejects_on_time_and_releases(yard, count, moment, shared):
    """It rejects on time, and the releases go on to their end."""
    others = [] if shared else None
    resources = [yard.resource(number, shared=others) for number in range(count)]
    watched = yard.watch(Promise.using(*resources, yard.handle))
    timed = watched.timeout(moment)
    timed.suppress_unhandled_rejections()
    yard.advance(moment)
    acquired = yard.acquired()
    assert not timed.is_pending()
    if moment > end_of(count):
        assert sum(range(count)) == timed.value()
    else:
        assert isinstance(timed.reason(), TimeoutError)
    yard.check(watched)
    come = shared or not yard.stoppable
    assert (list(range(count)) if come else acquired) == yard.acquired()


@pytest.mark.parametrize("moment", [number + 0.25 for number in range(3)])
def test_each_with_a_timeout(yard, count, moment):
    """A timeout of one acquisition is a resource that is not to be had.

    If it cannot be stopped, it is acquired when it is not known any more to be a resource.
    """
    resources = [
        yard.acquire(number).timeout(moment).disposer(yard.release) for number in range(count)
    ]
    watched = yard.watch(Promise.using(*resources, yard.handle))
    late = [number for number in range(count) if number + 1 >= moment]
    yard.check(watched, lost=late)
    if moment > count:
        assert sum(range(count)) == watched.value()
    else:
        assert isinstance(watched.reason(), TimeoutError)
    assert yard.acquired() == [
        number for number in range(count) if not yard.stoppable or number not in late
    ]


def test_handler_with_a_timeout(yard, count):
    """A timeout within the handler is the handler's rejection."""
    promise = Promise.using(
        *map(yard.resource, range(count)),
        lambda *numbers: Promise.resolve(yard.handle(*numbers)).timeout(1),
    )
    watched = yard.watch(promise)
    yard.check(watched)
    assert isinstance(watched.reason(), TimeoutError)
    assert list(range(count)) == yard.acquired()


def test_release_with_a_timeout(yard, count):
    """A release that takes too long is one that failed, and the others are released."""
    fatal = []
    Promise.on_fatal(fatal.append)
    try:
        resources = [
            yard.acquire(number).disposer(
                lambda resource: Promise.resolve(yard.release(resource)).timeout(0.5)
            )
            for number in range(count)
        ]
        watched = yard.watch(Promise.using(*resources, yard.handle))
        yard.advance(20)
    finally:
        Promise.on_fatal(None)
    assert [TimeoutError] * count == [type(error) for error in fatal]
    assert sum(range(count)) == watched.value()
    assert [f"releasing {number}" for number in range(count)] == [
        entry for entry in yard.log if entry.startswith("releas")
    ]


@pytest.mark.parametrize("release", ["raises", "rejects", "rejects later"])
@pytest.mark.parametrize("broken", ["first", "last", "all"])
@pytest.mark.parametrize("cancelled", [False, True], ids=["to its end", "cancelled"])
@pytest.mark.parametrize("count", [3])
@TWO_KINDS
def test_the_error_of_each_release_goes_to_the_fatal_hook(yard, count, release, broken, cancelled):
    """The other releases and the outcome stay."""
    fatal = []
    which = {"first": [0], "last": [count - 1], "all": list(range(count))}[broken]

    def fail_now(number):
        raise Boom(f"release {number}")

    def dispose(number):
        if number not in which:
            return yard.release(number)
        yard.log.append(f"releasing {number}")
        if release == "raises":
            fail_now(number)
        if release == "rejects":
            return Promise.reject(Boom(f"release {number}"))
        return yard.later(1, lambda: fail_now(number))

    Promise.on_fatal(fatal.append)
    try:
        resources = [yard.acquire(number).disposer(dispose) for number in range(count)]
        promise = Promise.using(*resources, yard.handle)
        watched = yard.watch(promise)
        if cancelled:
            yard.advance(count + HANDLING / 2)
            watched.cancel()
        yard.advance(20)
    finally:
        Promise.on_fatal(None)
    expected = []
    for number in range(count):
        expected.append(f"releasing {number}")
        if number not in which:
            expected.append(f"released {number}")
    assert [*expected, "after"] == [
        entry for entry in yard.log if entry.startswith("releas") or entry == "after"
    ]
    assert [f"release {number}" for number in which] == [str(error) for error in fatal]
    if cancelled:
        assert promise.is_cancelled()
    else:
        assert sum(range(count)) == watched.value()


@TWO_KINDS
@MOMENTS
def test_disposers_that_come_later(yard, count, moment):
    """Promises for disposers: each phase may be cut short, and nothing is left unreleased."""
    begun = []

    def lazily(number):
        def begin():
            begun.append(number)
            return yard.resource(number)

        return Promise.delay(1).then(lambda _: begin())

    promise = Promise.using(*[lazily(number) for number in range(count)], yard.handle)
    watched = yard.watch(promise)
    yard.advance(moment)
    watched.cancel()
    yard.check(watched)
    assert (list(range(count)) if moment >= 1 else []) == begun


@TWO_KINDS
@MOMENTS
def test_nested(yard, count, moment):
    """The inner resources are released before the outer ones, at whatever moment it ends."""

    def use(number):
        if number == count:
            return Promise.resolve(yard.handle())
        return Promise.using(yard.resource(number), lambda _: use(number + 1))

    watched = yard.watch(use(0))
    yard.advance(moment)
    watched.cancel()
    yard.advance(20)
    expected = []
    for number in reversed(yard.acquired()):
        expected += [f"releasing {number}", f"released {number}"]
    assert [*expected, "after"] == [
        entry for entry in yard.log if entry.startswith("releas") or entry == "after"
    ]
    assert [] == yard.clock.getDelayedCalls()


@pytest.mark.parametrize("outcome", ["fulfilled", "rejected", "cancelled"])
def test_releases_get_an_inspection_of_the_outcome(yard, count, outcome):
    """The second argument of each release is an inspection of what came of the use."""
    notified = []
    error = Boom("handler")

    def handle(*_):
        if outcome == "rejected":
            raise error
        return yard.later(HANDLING, lambda: "value")

    resources = [
        yard.acquire(number).disposer(lambda resource, outcome: notified.append(outcome))
        for number in range(count)
    ]
    watched = Promise.using(*resources, handle)
    watched.suppress_unhandled_rejections()
    yard.advance(count + HANDLING / 2)
    if outcome == "cancelled":
        watched.cancel()
    yard.advance(20)
    assert count == len(notified)
    for inspection in notified:
        if outcome == "fulfilled":
            assert "value" == inspection.value()
        elif outcome == "rejected":
            assert error is inspection.reason()
        else:
            assert inspection.is_cancelled()


def test_a_resource_of_a_cancelled_deferred_stays_with_its_maker(scheduler, count):
    """A resource that a cancelled Deferred fires with is not released: see `then`.

    The canceller of a Deferred must give up what it acquires; here it stays with its maker.
    """
    cancelled = []
    deferreds = [Deferred(cancelled.append) for _ in range(count)]
    promise = Promise.using(
        *[Promise.from_deferred(deferred).disposer(print) for deferred in deferreds], print
    )
    promise.cancel()
    scheduler.flush()
    assert (set(deferreds), True) == (set(cancelled), promise.is_cancelled())
    for deferred in deferreds:
        deferred.callback("late")
    scheduler.flush()


def test_fired_deferreds_and_values(scheduler, count):
    """Resources that are there already are handled and released in their order all the same."""
    log = []
    resources = [
        Promise.resolve(succeed(number)).disposer(lambda resource: log.append(resource))
        for number in range(count)
    ]
    promise = Promise.using(resources, lambda numbers: log.append("handle") or sum(numbers))
    assert [] == log
    scheduler.flush()
    assert ["handle", *range(count)] == log
    assert sum(range(count)) == promise.value()


@TWO_KINDS
@MOMENTS
def test_managers(yard, count, moment):
    """Context managers take part: each that was entered is left, whatever the moment."""

    class Manager:
        def __init__(self, number):
            self.number = number

        def __aenter__(self):
            return yard.acquire(self.number)

        def __aexit__(self, *_):
            return yard.release(self.number)

    resources = [Disposer.of(Manager(number)) for number in range(count)]
    watched = yard.watch(Promise.using(*resources, yard.handle))
    yard.advance(moment)
    watched.cancel()
    yard.check(watched)


async def nest(yard, count, make, number=0):
    """Nested ``async with`` blocks, one for each resource, and what is done inside."""
    if number == count:
        await Promise.resolve(yard.handle())
        return
    async with make(number):
        await nest(yard, count, make, number + 1)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@MOMENTS
def test_async_with(yard, count, moment, shared):
    """Nested ``async with`` blocks, cancelled: each is left that was entered, inmost first.

    A pending acquisition goes on if it has another consumer, or cannot be stopped:
    its resource is released, too, though the block was not entered.
    """
    others = [] if shared else None
    resources = lambda number: yard.resource(number, shared=others)  # noqa: E731
    watched = yard.watch(Promise.resolve(nest(yard, count, resources)))
    yard.advance(moment)
    entered = yard.acquired()
    watched.cancel()
    yard.advance(20)
    expected = []
    for number in reversed(entered):
        expected += [f"releasing {number}", f"released {number}"]
    assert [*expected, "after"] == yard.releases(entered)
    late = [len(entered)] if len(entered) < count and (shared or not yard.stoppable) else []
    assert [*entered, *late] == yard.acquired()
    assert sorted(yard.log) == sorted(
        [
            *given_back(yard.acquired()),
            *[e for e in yard.log if e in ("handling", "handled", "after")],
        ]
    )
    assert [] == yard.clock.getDelayedCalls()
    assert not watched.is_pending()


def use(yard, count, make, how):
    """Use resources in one of the two ways, and watch it."""
    if how == "using":
        return yard.watch(Promise.using(*map(make, range(count)), yard.handle))
    return yard.watch(Promise.resolve(nest(yard, count, make)))


@pytest.mark.parametrize(("count", "which"), [(1, 0), (3, 0), (3, 2)])
@pytest.mark.parametrize("how", ["using", "async with"])
def test_cancelled_between_acquisition_and_use(yard, count, which, how):
    """The resource is acquired, but `using` has not been notified: it is released, once.

    The cancellation comes from another consumer of it, which is notified first.
    """

    def make(number):
        promise = yard.acquire(number)
        if number == which:
            promise.then(lambda _: watched.cancel())
        return promise.disposer(yard.release)

    watched = use(yard, count, make, how)
    yard.advance(20)
    assert which in yard.acquired()
    assert sorted([*given_back(yard.acquired()), "after"]) == sorted(yard.log)
    assert watched.is_cancelled()
    assert [] == yard.clock.getDelayedCalls()


@pytest.mark.parametrize(("count", "which"), [(1, 0), (3, 0), (3, 2)])
@pytest.mark.parametrize("how", ["using", "async with"])
def test_cancelled_by_what_acquires(scheduler, count, which, how):
    """The very function in a thread that is about to give it: it is released, once."""
    yard = Yard(scheduler, "future")
    yard.coming[which] = lambda: watched.cancel()
    watched = use(yard, count, yard.resource, how)
    yard.advance(20)
    assert which in yard.acquired()
    assert sorted([*given_back(yard.acquired()), "after"]) == sorted(yard.log)
    assert watched.is_cancelled()
