"""`shield`: the same outcome, and a cancellation that stops here."""

from __future__ import annotations

import pytest

from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, quiet
from twpromise import CancellationError, Promise, TimeoutError


@pytest.mark.parametrize("when", ["before", "in the turn of settling", "after"])
def test_the_same_outcome(consumer, reports, when):
    """Whenever it is asked for; a rejection is not reported, since the shield handles it."""
    for settle, expected in [
        (lambda source: source.resolve(1), 1),
        (lambda source: source.reject(Boom()), Boom),
    ]:
        source = Source()
        if when != "before":
            settle(source)
        if when == "after":
            quiet(source.promise)
            consumer.flush()
        started = consumer.run(source.promise.shield())
        consumer.flush()
        settle(source)
        consumer.flush()
        assert expected == consumer.outcome(started)
    assert [] == reports


def test_cancelling_the_source_cancels_the_shield(scheduler):
    """As whatever else waits for it."""
    source = Source()
    shield = source.promise.shield()
    source.promise.cancel()
    scheduler.flush()
    assert (True, 1) == (shield.is_cancelled(), source.cancelled)


def test_of_a_promise_that_was_cancelled_before(scheduler):
    """It is a late observer."""
    source = Source()
    source.promise.cancel()
    shield = source.promise.shield()
    assert CancellationError is type(shield.reason())


def test_cancelling_leaves_the_source_running(consumer):
    """However its consumer leaves, and twice: the source settles."""
    source = Source()
    started = consumer.run(source.promise.shield())
    consumer.flush()
    started.cancel()
    started.cancel()
    consumer.flush()
    assert (True, 0) == (source.promise.is_pending(), source.cancelled)
    late = consumer.run(source.promise)
    source.resolve(1)
    consumer.flush()
    assert 1 == consumer.outcome(late)


def test_the_shield_is_cancelled_at_once(scheduler):
    """What waits for it does not wait for the source."""
    source = Source()
    shield = source.promise.shield()
    derived = shield.then()
    done = []
    shield.add_done_callback(done.append)
    derived.cancel()
    scheduler.flush()
    assert ["cancelled"] * 2 == [outcome(promise)[0] for promise in (shield, derived)]
    assert [shield] == done


def test_a_timeout_leaves_the_source_running(scheduler):
    """Nor does a timeout behind a shield reach the source."""
    source = Source()
    timed = source.promise.shield().timeout(1)
    caught = timed.catch(TimeoutError, lambda error: "too late")
    scheduler.advance(1)
    assert "too late" == caught.value()
    assert (True, 0) == (source.promise.is_pending(), source.cancelled)


def test_a_shield_is_a_consumer(scheduler):
    """The source goes on when the others leave."""
    source = Source()
    shield = source.promise.shield()
    source.promise.then().cancel()
    scheduler.flush()
    assert 0 == source.cancelled
    source.resolve(1)
    scheduler.flush()
    assert 1 == shield.value()


def test_a_shield_that_was_cancelled_is_no_consumer(scheduler):
    """The source is cancelled when the last of the others leaves, later."""
    source = Source()
    shield, other = source.promise.shield(), source.promise.then()
    shield.cancel()
    other.cancel()
    scheduler.flush()
    assert 1 == source.cancelled


def reject_now(source, shield):
    """The shield is cancelled before the source is rejected."""
    shield.cancel()
    source.reject(Boom("of the source"))


def reject_before(source, shield):
    """The source has been rejected and is queued."""
    source.reject(Boom("of the source"))
    shield.cancel()


@pytest.mark.parametrize("end", [reject_now, reject_before], ids=["before", "in the turn"])
@pytest.mark.parametrize("follows", [False, True], ids=["promise", "follower"])
def test_a_rejection_of_the_source_is_not_lost(scheduler, reports, end, follows):
    """It reports its own when the shield has left: also in the turn in which it is rejected."""
    source = Source()
    promise = source.promise
    if follows:
        promise = Promise(lambda resolve, _: resolve(source.promise))
    shield = promise.shield()
    scheduler.flush()
    end(source, shield)
    scheduler.flush()
    assert shield.is_cancelled()
    assert ["of the source"] == [str(reason) for reason in reasons(reports)]


def test_cancelled_by_a_handler_that_is_queued_before(scheduler, reports):
    """The source was rejected before that handler runs, and notifies its subscribers after it."""
    source, earlier = Source(), Source()
    shield = source.promise.shield()
    earlier.promise.then(lambda _: shield.cancel())
    earlier.resolve()
    source.reject(Boom("of the source"))
    scheduler.flush()
    assert shield.is_cancelled()
    assert ["of the source"] == [str(reason) for reason in reasons(reports)]


@pytest.mark.parametrize("end", [reject_now, reject_before], ids=["before", "in the turn"])
def test_a_rejection_that_others_handle_is_not_reported(scheduler, end):
    """By a handler, or because its report is suppressed."""
    for handle in (
        lambda promise: promise.catch(lambda error: None),
        lambda promise: promise.suppress_unhandled_rejections(),
    ):
        source = Source()
        shield = source.promise.shield()
        handle(source.promise)
        end(source, shield)
        scheduler.flush()
        assert shield.is_cancelled()


def test_among_other_subscribers(scheduler, reports):
    """Several shields of one promise, of which some leave."""
    source = Source()
    shields = [source.promise.shield() for _ in range(3)]
    quiet(shields[1])
    shields[0].cancel()
    source.reject(Boom())
    shields[2].cancel()
    scheduler.flush()
    assert ["cancelled", "rejected", "cancelled"] == [outcome(each)[0] for each in shields]
    assert [] == reports


def test_a_shield_without_a_handler_reports(scheduler, reports):
    """Once, for the shield."""
    source = Source()
    shield = source.promise.shield()
    source.reject(Boom())
    scheduler.flush()
    assert shield.is_rejected()
    assert 1 == len(reports)


def test_bound_as_the_source(scheduler):
    """As whatever is derived from a bound promise."""
    bound = Promise.resolve(1).bind("this").shield().then(lambda this, value: (this, value))
    scheduler.flush()
    assert ("this", 1) == bound.value()


def test_a_cancelled_shield_leaves_nothing(scheduler):
    """The source does not refer to it."""
    source = Source()
    for _ in range(3):
        source.promise.shield().cancel()
    assert source.promise._subscribers is None
    for shield in [source.promise.shield() for _ in range(3)]:
        shield.cancel()
    assert source.promise._subscribers is None


def test_several_shields_that_leave_in_the_turn(scheduler, reports):
    """None of them has handled the rejection, which is reported once."""
    source = Source()
    shields = [source.promise.shield() for _ in range(2)]
    source.reject(Boom())
    for shield in shields:
        shield.cancel()
    scheduler.flush()
    assert 1 == len(reports)
