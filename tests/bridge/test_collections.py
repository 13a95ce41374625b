"""Deferreds in collections, where `all` and its like wait for them without a promise for each."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from tests.support.outcomes import frames, reasons, result_of
from tests.support.promises import Source
from twpromise import Promise
from twpromise.testing import ManualScheduler

Collect = Callable[[list[Any]], Promise[Any]]

#: What waits for the values of all; each gives the list of them.
COLLECTS: dict[str, Collect] = {
    "all": Promise.all,
    "method": lambda items: Promise.resolve(items).all(),
    "props": lambda items: Promise.props(dict(enumerate(items))).then(
        lambda values: list(values.values())
    ),
    "join": lambda items: Promise.join(*items, lambda *values: list(values)),
    "spread": lambda items: Promise.resolve(items).spread(lambda *values: list(values)),
}


@pytest.fixture(params=COLLECTS)
def collect(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Collect:
    """Each way to wait for the values of all."""
    return COLLECTS[request.param]


def failing(message: str) -> Failure:
    """A failure with a traceback, of an exception that was raised here."""
    try:
        raise ValueError(message)
    except ValueError:
        return Failure()


def test_values_stand_in_the_order_of_the_items(
    scheduler: ManualScheduler, collect: Collect
) -> None:
    """It does not matter in which order Deferreds fire, or whether they have."""
    deferreds: list[Deferred[Any]] = [Deferred() for _ in range(3)]
    other = Source()
    promise = collect([deferreds[0], "b", deferreds[1], succeed("d"), other.promise, deferreds[2]])
    deferreds[2].callback("f")
    other.resolve("e")
    deferreds[0].callback("a")
    scheduler.flush()
    assert promise.is_pending()
    deferreds[1].callback("c")
    scheduler.flush()
    assert list("abcdef") == promise.value()


def test_later_holders_of_a_deferred_see_none(scheduler: ManualScheduler, collect: Collect) -> None:
    """As of every Deferred that a promise has adopted; it may stand there twice."""
    deferred: Deferred[Any] = Deferred()
    failed: Deferred[Any] = Deferred()
    promise = collect([deferred, failed, deferred])
    promise.suppress_unhandled_rejections()
    deferred.callback("value")
    failed.errback(ValueError())
    assert [None, None] == result_of(deferred) + result_of(failed)


def test_a_deferred_twice(scheduler: ManualScheduler, collect: Collect) -> None:
    """Both places have its value; see `test_shared_deferreds`."""
    deferred: Deferred[Any] = Deferred()
    promise = collect([deferred, deferred])
    deferred.callback("value")
    scheduler.flush()
    assert ["value", "value"] == promise.value()


@pytest.mark.parametrize("fired", [True, False], ids=["before", "after"])
def test_the_first_failure_rejects(
    scheduler: ManualScheduler, collect: Collect, fired: bool
) -> None:
    """At once, with the traceback that it came with; later rejections count as handled."""
    deferreds: list[Deferred[Any]] = [Deferred() for _ in range(3)]
    failure = failing("first")
    if fired:
        deferreds[1].errback(failure)
    promise = collect(deferreds)
    if not fired:
        deferreds[1].errback(failure)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert failure.value is promise.reason()
    out = result_of(promise.to_deferred())[0]
    assert "failing" == frames(out.getTracebackObject())[-1]
    deferreds[0].errback(ValueError("second"))
    deferreds[2].callback("late")
    scheduler.flush()
    del deferreds
    # A Deferred that has kept its failure logs it when it is collected.
    gc.collect()


def test_a_deferred_that_fires_with_a_promise(scheduler: ManualScheduler, collect: Collect) -> None:
    """The promise is followed, whether it has settled or not."""
    later, deferreds = Source(), [Deferred() for _ in range(2)]
    promise = collect(deferreds)
    deferreds[0].callback(Promise.resolve("settled"))
    deferreds[1].callback(later.promise)
    scheduler.flush()
    assert promise.is_pending()
    later.resolve("later")
    scheduler.flush()
    assert ["settled", "later"] == promise.value()


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_the_order_where_a_deferred_fires_with_a_promise(
    scheduler: ManualScheduler, watched: bool, config: Callable[..., None]
) -> None:
    """Handlers are called in the same order, whether or not monitoring is on."""
    config(monitoring=watched)
    log: list[str] = []
    deferred: Deferred[Any] = Deferred()
    source = Source()
    Promise.all([deferred]).then(lambda _: log.append("all"))
    deferred.callback(source.promise)
    source.promise.then().then(lambda _: log.append("then"))
    source.resolve()
    scheduler.flush()
    assert ["then", "all"] == log


def test_a_deferred_that_fires_with_a_rejection(
    scheduler: ManualScheduler, collect: Collect
) -> None:
    """Of two that do, one is the reason, and the other counts as handled."""
    deferreds: list[Deferred[Any]] = [Deferred() for _ in range(2)]
    promise = collect(deferreds)
    promise.suppress_unhandled_rejections()
    first, second = ValueError("first"), ValueError("second")
    deferreds[0].callback(Promise.reject(first))
    deferreds[1].callback(Promise.reject(second))
    scheduler.flush()
    assert first is promise.reason()


def test_cancelling_cancels_all_that_pend(scheduler: ManualScheduler, collect: Collect) -> None:
    """The first item first, Deferreds and promises alike, and none that has fired."""
    cancelled: list[str] = []

    def item(name: str) -> Deferred[Any]:
        return Deferred(lambda deferred: cancelled.append(name))

    done = item("done")
    shared = Source()
    kept = shared.promise.then()
    promise = collect(
        [item("a"), done, Promise.from_deferred(item("b")), item("c"), shared.promise]
    )
    done.callback(None)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert ["a", "b", "c"] == cancelled
    assert kept.is_pending()


def test_a_canceller_that_raises(
    scheduler: ManualScheduler, collect: Collect, reports: list[LogEvent]
) -> None:
    """It is logged; the others are cancelled, and so is the promise."""
    error = ZeroDivisionError()

    def canceller(deferred: Deferred[Any]) -> None:
        raise error

    bad, good = Deferred(canceller), Deferred()
    promise = collect([bad, good])
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert good.called
    assert [error] == reasons(reports)


def test_a_canceller_that_answers_late(scheduler: ManualScheduler, collect: Collect) -> None:
    """No AlreadyCalledError is raised or logged."""
    deferred: Deferred[Any] = Deferred(lambda _: None)
    promise = collect([deferred])
    promise.cancel()
    deferred.callback("late")
    scheduler.flush()
    assert promise.is_cancelled()


def test_a_deferred_that_is_cancelled_outside(scheduler: ManualScheduler, collect: Collect) -> None:
    """It rejects, as any failure does."""
    deferred: Deferred[Any] = Deferred()
    promise = collect([deferred, Deferred()])
    promise.suppress_unhandled_rejections()
    deferred.cancel()
    scheduler.flush()
    assert CancelledError is type(promise.reason())


def test_listeners_see_no_promises_for_deferreds(
    scheduler: ManualScheduler, collect: Collect, config: Callable[..., dict[str, Any]]
) -> None:
    """With monitoring on, those that users do not have are not announced; the values are right."""
    config(monitoring=True)
    settled: list[Any] = []
    Promise.on("promise_fulfilled", watch := lambda promise: settled.append(promise.value()))
    deferreds: list[Deferred[Any]] = [Deferred() for _ in range(2)]
    promise = collect(deferreds)
    for number, deferred in enumerate(deferreds):
        deferred.callback(number)
    scheduler.flush()
    Promise.off("promise_fulfilled", watch)
    assert [0, 1] == promise.value()
    assert [] == [value for value in settled if isinstance(value, int)]


def test_deferreds_that_have_fired_with_promises(
    scheduler: ManualScheduler, collect: Collect
) -> None:
    """Each is waited for in turn, if it has not settled."""
    later = Source()
    promise = collect([succeed(Promise.resolve(1)), succeed(later.promise)])
    scheduler.flush()
    assert promise.is_pending()
    later.resolve(2)
    scheduler.flush()
    assert [1, 2] == promise.value()


def test_cancelled_between_the_last_value_and_the_turn(
    scheduler: ManualScheduler, collect: Collect
) -> None:
    """Nothing comes of it any more."""
    deferred: Deferred[Any] = Deferred()
    promise = collect([deferred])
    scheduler.flush()
    deferred.callback(1)
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()


class New:
    """A type that has not been seen before."""


@pytest.mark.parametrize(
    "make", [lambda: 1, lambda: Promise.resolve(1), New], ids=["plain", "promise", "new type"]
)
def test_fired_by_another_item_when_all_is_decided(
    scheduler: ManualScheduler, make: Callable[[], Any]
) -> None:
    """A Deferred that arrives while the rest is still being looked at is not lost, nor fails."""
    error = KeyError()
    deferred: Deferred[Any] = Deferred()

    async def fires() -> None:
        deferred.callback(make())

    promise = Promise.all([deferred, Promise.reject(error), fires()])
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert error is promise.reason()
    seen: list[Any] = []
    deferred.addBoth(seen.append)
    assert [None] == seen


@pytest.mark.parametrize("diagnostics", [False, True])
@pytest.mark.parametrize("wait", [Promise.all, Promise.race, lambda items: Promise.resolve(*items)])
def test_a_canceller_that_calls_back_with_a_promise(
    scheduler: ManualScheduler, wait: Collect, diagnostics: bool
) -> None:
    """That promise has no consumer then, and is cancelled: also while diagnostics are on."""
    copy = Promise.get_new_library_copy()
    copy.config(long_stack_traces=diagnostics)
    late = Source()
    waiting = wait([Deferred(lambda deferred: deferred.callback(late.promise))])
    scheduler.flush()
    waiting.cancel()
    scheduler.flush()
    copy.config(long_stack_traces=False)
    assert waiting.is_cancelled()
    assert late.promise.is_cancelled()


def test_a_canceller_that_calls_back_with_a_promise_that_others_wait_for(
    scheduler: ManualScheduler,
) -> None:
    """That promise goes on for these."""
    late = Source()
    other = late.promise.then(str)
    waiting = Promise.resolve(Deferred(lambda deferred: deferred.callback(late.promise)))
    waiting.cancel()
    scheduler.flush()
    assert waiting.is_cancelled()
    assert other.is_pending()


def test_a_canceller_that_calls_back_while_the_collection_is_read(
    scheduler: ManualScheduler,
) -> None:
    """It is cancelled, too, with what the canceller has brought."""
    source: Any = Promise.defer()
    collection = source.promise.all()
    late = Source()

    async def cancels() -> None:
        collection.cancel()

    source.resolve([Deferred(lambda deferred: deferred.callback(late.promise)), cancels()])
    scheduler.flush()
    assert collection.is_cancelled()
    assert late.promise.is_cancelled()


def test_a_coroutine_that_a_deferred_brings_and_that_cancels(
    scheduler: ManualScheduler, collect: Collect
) -> None:
    """It is one of those that are cancelled."""
    deferred: Deferred[Any] = Deferred()
    collection = collect([deferred])
    log = []

    async def cancels() -> None:
        collection.cancel()
        try:
            await Promise.delay(1)
        except BaseException:
            log.append("cancelled")
            raise

    scheduler.flush()
    deferred.callback(cancels())
    scheduler.advance(2)
    assert collection.is_cancelled()
    assert ["cancelled"] == log


def type_that_calls(function: Callable[[], object]) -> Any:
    """An instance of a new type that calls a function when it is found out what it is."""

    class Meta(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            # As zope.interface does, when it is asked what a class implements.
            function()
            super().__setattr__(name, value)

    class Instance(metaclass=Meta):
        pass

    return Instance()


def test_fired_while_another_item_is_classified(
    scheduler: ManualScheduler, collect: Collect
) -> None:
    """A Deferred that had not fired when it was looked at is not taken for one that had."""
    deferred: Deferred[Any] = Deferred()

    def fire() -> None:
        if not deferred.called:
            deferred.callback(1)

    item = type_that_calls(fire)
    promise = collect([deferred, item])
    scheduler.flush()
    assert deferred.called
    assert [1, item] == promise.value()


@pytest.mark.parametrize("watched", [False, True], ids=["", "watched"])
def test_settled_while_another_item_is_classified(
    scheduler: ManualScheduler, config: Callable[..., dict[str, Any]], watched: bool
) -> None:
    """Its turn comes as that of the others does."""
    config(monitoring=watched)
    order: list[Any] = []
    callbacks: list[Any] = []
    make = Promise.promisify(callbacks.append)
    items: list[Any] = [make(), make()]
    called = []

    def call() -> None:
        if not called:
            called.append(callbacks[0](None, "a"))

    items.append(type_that_calls(call))
    Promise.all(items).then(lambda values: order.append(values[:2]))
    Promise.resolve(1).then(order.append).then(lambda _: order.append(2))
    callbacks[1](None, "b")
    scheduler.flush()
    assert [None] == called
    assert [1, 2, ["a", "b"]] == order


@pytest.mark.parametrize("watched", [False, True])
def test_left_to_itself_when_another_item_has_failed(
    scheduler: ManualScheduler,
    collect: Collect,
    config: Callable[..., dict[str, Any]],
    watched: bool,
) -> None:
    """A Deferred is not cancelled when another consumer of it leaves later, as no item is."""
    config(monitoring=watched)
    log: list[str] = []
    source = Source()
    deferred: Deferred[int] = Deferred(lambda _: log.append("cancelled"))
    collect([source.promise, deferred]).suppress_unhandled_rejections()
    other = Promise.from_deferred(deferred)
    source.reject(failing("first"))
    scheduler.flush()
    other.cancel()
    scheduler.flush()
    assert [] == log
