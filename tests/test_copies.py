"""Library copies: what each has for itself, and how their promises mix.

Bluebird's page: Promise.getNewLibraryCopy.
"""

from __future__ import annotations

import gc
import weakref

import pytest
from twisted.internet.task import Clock

import twpromise
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, pending
from twpromise import IPromise, Promise, PromiseWarning, ReactorScheduler
from twpromise.testing import ManualScheduler

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")


@pytest.fixture
def elsewhere():
    """A copy with a scheduler of its own, and that scheduler."""
    scheduler = ManualScheduler()
    copy = Promise.get_new_library_copy()
    copy.set_scheduler(scheduler)
    return copy, scheduler


# --- two libraries


def test_the_pages_example(copy):
    """Settings of one copy do not change the other."""
    copy.x = 123
    assert copy != Promise
    assert 123 == copy.x
    assert not hasattr(Promise, "x")


def test_a_copy_of_a_copy_is_a_copy(copy):
    """All are equal."""
    other = copy.get_new_library_copy()
    assert 3 == len({Promise, copy, other})
    assert copy._library is not other._library


def test_a_copy_looks_like_the_original(copy):
    """Its name, its module, its docstring; and it cannot be subclassed either."""
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(Promise, name) == getattr(copy, name)
    with pytest.raises(TypeError, match="cannot be subclassed"):
        type("Mine", (copy,), {})


def test_promises_of_a_copy_are_of_that_copy(copy):
    """However they come about; they are promises to everybody, and not those of the other."""
    promises = [
        copy(lambda resolve, reject: None),
        copy.resolve(1),
        copy.resolve(Promise.resolve(1)),
        copy.try_(lambda: Promise.resolve(1)),
        copy.delay(1),
        copy.all([Promise.resolve(1)]),
        copy.coroutine(lambda: None)(),
        copy.bind(1),
        copy.defer().promise,
        copy.resolve(1).then(str),
        copy.resolve(1).finally_(list),
        copy.resolve(1).reflect(),
        copy.resolve(1).timeout(1),
    ]
    for promise in promises:
        assert isinstance(promise, copy)
        assert not isinstance(promise, Promise)
        assert Promise.is_(promise)
        assert copy.is_(promise)
        assert IPromise.providedBy(promise)


@pytest.mark.parametrize(
    "name",
    [
        "AggregateError",
        "CancellationError",
        "OperationalError",
        "PromiseError",
        "PromiseInspection",
        "RejectionError",
        "TimeoutError",
    ],
)
def test_error_types_are_the_same_objects(copy, name):
    """So that `catch` knows the errors of every copy."""
    assert getattr(twpromise, name) is getattr(Promise, name) is getattr(copy, name)


def test_errors_of_one_copy_are_caught_in_the_other(scheduler, copy):
    """By filters of either."""
    seen = []
    copy.delay(5).timeout(1).catch(Promise.TimeoutError, seen.append)
    Promise.delay(5).timeout(1).catch(copy.TimeoutError, seen.append)
    scheduler.advance(1)
    assert ["operation timed out"] * 2 == [str(error) for error in seen]


def test_resolve_of_another_copys_promise_is_a_new_one(scheduler, copy):
    """Only its own are trusted, and returned as they are."""
    own, other = copy.resolve(1), Promise.resolve(1)
    assert own is copy.resolve(own)
    assert other is not copy.resolve(other)
    assert 1 == copy.resolve(other).value()


def test_a_copy_is_freed():
    """The library holds no reference to it."""
    copy = Promise.get_new_library_copy()
    reference = weakref.ref(copy)
    del copy
    gc.collect()
    assert None is reference()


# --- settings, yield handlers


def test_settings_are_those_of_the_start(config, copy):
    """Whatever the original has been set to; and are changed for one copy alone."""
    config(warnings=True, cancellation=False, async_hooks=False)
    other = Promise.get_new_library_copy()
    assert copy.config() == other.config()
    assert other.config() == {**other.config(), "warnings": False, "cancellation": True}
    other.config(async_hooks=False)
    assert (False, True) == (other.config()["async_hooks"], copy.config()["async_hooks"])


def test_warnings_of_one_copy(scheduler, copy):
    """The other copy warns of nothing."""
    copy.config(warnings=True)
    Promise.resolve().then(5)
    with pytest.warns(PromiseWarning):
        copy.resolve().then(5)


def test_yield_handlers_of_one_copy(scheduler, copy):
    """The page's practice: coroutines of the other are not affected."""
    copy.coroutine.add_yield_handler(lambda value: copy.all(value))

    def coroutine():
        return (yield [1, 2])

    promises = [copy.coroutine(coroutine)(), Promise.coroutine(coroutine)()]
    promises.append(copy.get_new_library_copy().coroutine(coroutine)())
    scheduler.flush()
    assert ("fulfilled", [1, 2]) == outcome(promises[0])
    assert [TypeError, TypeError] == [type(promise.reason()) for promise in promises[1:]]


def test_contexts_of_one_copy(scheduler, copy):
    """Each copy keeps contexts, or does not."""
    copy.config(async_hooks=False)
    assert (False, True) == (copy._library.async_hooks, Promise._library.async_hooks)


# --- mixing


@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "pending"])
def test_promises_follow_those_of_other_copies(scheduler, copy, well, settled):
    """In every way in which one may follow another, both ways."""
    error = Boom()
    for here, there in ((Promise, copy), (copy, Promise)):
        resolver = there.defer()
        settle = (lambda r: r.resolve("value")) if well else (lambda r: r.reject(error))
        if settled:
            settle(resolver)
        source = resolver.promise

        @here.coroutine
        def coroutine(source=source):
            return (yield source)

        async def async_def(source=source):
            return await source

        promises = [
            here.resolve(source),
            here(lambda resolve, _, source=source: resolve(source)),
            here.resolve().then(lambda _, source=source: source),
            here.try_(lambda source=source: source),
            here.delay(0, source),
            here.all([source]).get(0),
            here.race([source]),
            here.bind("this", source),
            here.bind(source, "value").then(lambda this, value: this),
            coroutine(),
            here.try_(async_def),
        ]
        scheduler.flush()
        if not settled:
            assert {"pending"} == {outcome(promise)[0] for promise in promises}
            settle(resolver)
            scheduler.flush()
        expected = ("fulfilled", "value") if well else ("rejected", error)
        assert [expected] * len(promises) == [outcome(promise) for promise in promises]


def test_chains_across_schedulers(scheduler, elsewhere):
    """Each copy's handlers run where that copy's scheduler says."""
    copy, other = elsewhere
    log = []
    source, resolve, _ = pending()
    source.then(lambda value: log.append(("here", value)))
    followed = copy.resolve(source)
    followed.then(lambda value: log.append(("there", value)))
    back = Promise.resolve(followed)
    back.then(lambda value: log.append(("back", value)))
    resolve("value")
    other.flush()
    assert [] == log
    scheduler.flush()
    assert [("here", "value")] == [entry for entry in log if entry[0] != "back"]
    other.flush()
    assert ("there", "value") in log
    scheduler.flush()
    assert {("here", "value"), ("there", "value"), ("back", "value")} == set(log)
    assert 3 == len(log)


def test_a_handler_that_returns_another_copys_promise(scheduler, elsewhere):
    """The chain goes on when the other scheduler has had its turn."""
    copy, other = elsewhere
    promise = Promise.resolve().then(lambda _: copy.delay(1, "value").then(str.upper))
    scheduler.flush()
    other.advance(1)
    scheduler.flush()
    assert "VALUE" == promise.value()


def test_unhandled_rejections_across_copies(scheduler, copy, reports):
    """Reported once, by the last in the chain."""
    error = Boom()
    Promise.resolve(copy.reject(error))
    scheduler.flush()
    assert [error] == reasons(reports)


# --- cancelling across copies


@pytest.mark.parametrize("here", ["original", "copy"])
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_cancelling_across_copies(scheduler, copy, here, others):
    """It goes up to the work, through both copies, unless there is another consumer."""
    mine, theirs = (Promise, copy) if here == "original" else (copy, Promise)
    source = Source(theirs)
    promise = mine.resolve(source.promise.then(str)).then(str)
    called = []
    promise.finally_(lambda: called.append("finally"))
    if others:
        theirs.resolve(source.promise).then(str)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), ["finally"]) == (outcome(promise), called)
    assert int(not others) == source.cancelled


@pytest.mark.parametrize("here", ["original", "copy"])
def test_cancelling_a_followee_cancels_followers_of_another_copy(scheduler, copy, here):
    """Its followers go with it."""
    mine, theirs = (Promise, copy) if here == "original" else (copy, Promise)
    source = Source(theirs)
    promise = mine.resolve(source.promise)
    scheduler.flush()
    source.promise.cancel()
    scheduler.flush()
    assert ("cancelled", None) == outcome(promise)


def test_cancelling_across_schedulers(scheduler, elsewhere):
    """Cleanup of either is done where it belongs, and in order."""
    copy, other = elsewhere
    source = Source(copy)
    log = []
    inner = source.promise.finally_(lambda: log.append("inner"))
    promise = Promise.resolve(inner).finally_(lambda: log.append("outer"))
    scheduler.flush()
    promise.cancel()
    assert promise.is_cancelled()
    scheduler.flush()
    assert [] == log
    other.flush()
    assert (["inner"], 1) == (log, source.cancelled)
    scheduler.flush()
    assert (["inner", "outer"], ("cancelled", None)) == (log, outcome(promise))


def test_a_copy_without_cancellation(scheduler, copy):
    """Its promises stay pending without consumers; those of other copies are cancelled."""
    copy.config(cancellation=False)
    source = Source(copy)
    promise = Promise.resolve(source.promise)
    promise.cancel()
    source.promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), 0) == (outcome(promise), source.cancelled)
    source.resolve("value")
    scheduler.flush()
    assert ("fulfilled", "value") == outcome(source.promise)


def test_a_copy_without_cancellation_in_between(scheduler, copy):
    """The signal goes no further than to it."""
    copy.config(cancellation=False)
    source = Source()
    between = copy.resolve(source.promise)
    promise = Promise.resolve(between)
    promise.cancel()
    scheduler.flush()
    assert (True, 0) == (promise.is_cancelled(), source.cancelled)
    source.resolve("value")
    scheduler.flush()
    assert ("fulfilled", "value") == outcome(between)


def test_a_copy_without_cancellation_that_comes_in_between(scheduler, copy):
    """The same where it was followed before it follows."""
    copy.config(cancellation=False)
    source, between = Source(), copy.defer()
    promise = Promise.resolve(between.promise)
    between.resolve(source.promise)
    promise.cancel()
    scheduler.flush()
    assert (True, 0) == (promise.is_cancelled(), source.cancelled)
    source.resolve("value")
    scheduler.flush()
    assert ("fulfilled", "value") == outcome(between.promise)


def test_timeouts_across_copies(scheduler, copy):
    """The work of another copy is cancelled when time is up."""
    source = Source(copy)
    promise = Promise.resolve(source.promise).timeout(1)
    scheduler.advance(1)
    assert (True, 1) == (promise.is_rejected(), source.cancelled)


def test_coroutines_across_copies(scheduler, copy):
    """Cancelled while they wait for one another."""
    log = []

    @copy.coroutine
    def inner():
        try:
            yield Promise.delay(5)
        finally:
            yield Promise.delay(1)
            log.append("inner")

    @Promise.coroutine
    def outer():
        try:
            yield inner()
        finally:
            log.append("outer")

    promise = outer()
    scheduler.flush()
    promise.cancel()
    scheduler.advance(1)
    assert (["inner", "outer"], ("cancelled", None)) == (log, outcome(promise))
    assert [] == scheduler.clock.getDelayedCalls()


# --- schedulers


def test_a_copy_starts_with_the_scheduler_of_its_original(scheduler):
    """The one that it has at that moment."""
    copy = Promise.get_new_library_copy()
    assert scheduler is copy._library.scheduler
    assert scheduler is copy.set_scheduler(ManualScheduler())
    assert scheduler is Promise._library.scheduler


def test_a_scheduler_for_one_copy(scheduler, elsewhere):
    """Turns and timers of each are its own."""
    copy, other = elsewhere
    seen = []
    copy.delay(1, "copy").then(seen.append)
    Promise.delay(1, "original").then(seen.append)
    scheduler.advance(1)
    assert ["original"] == seen
    other.advance(1)
    assert ["original", "copy"] == seen


def test_copies_on_one_scheduler_share_a_queue(scheduler, copy):
    """Handlers of both run in the order in which they were queued."""
    order = []
    for number in range(4):
        (copy if number % 2 else Promise).resolve(number).then(order.append)
    scheduler.flush()
    assert [0, 1, 2, 3] == order


def test_copies_on_clocks():
    """Each on a reactor of its own, for as long as one likes."""
    clocks = [Clock(), Clock()]
    copies = []
    for clock in clocks:
        copy = Promise.get_new_library_copy()
        copy.set_scheduler(ReactorScheduler(clock))
        copies.append(copy)
    promises = [copy.delay(1, "value") for copy in copies]
    clocks[0].pump([0, 1, 0])
    assert [("fulfilled", "value"), ("pending", None)] == [outcome(each) for each in promises]
    assert [] == clocks[0].getDelayedCalls()
    clocks[1].pump([0, 1, 0])
    assert ("fulfilled", "value") == outcome(promises[1])


def test_a_rejection_that_a_timeout_has_left_is_reported(scheduler, reports):
    """Also in a copy without cancellation: the timeout does not count as handling it."""
    copy = Promise.get_new_library_copy()
    copy.config(cancellation=False)
    copy.set_scheduler(scheduler)
    source = copy.defer()
    source.promise.timeout(1).catch(lambda _: None)
    scheduler.advance(2)
    source.reject(ValueError("late"))
    scheduler.flush()
    assert ["late"] == [str(event["log_failure"].value) for event in reports]
