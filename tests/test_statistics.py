"""`Promise.statistics`: figures that cost nothing until they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from tests.support.promises import Boom
from twpromise import Deadline, Promise, ReactorScheduler
from twpromise._scheduling.drains import BUCKETS


def figures(copy, *names):
    """Some of the figures, in order."""
    statistics = copy.statistics()
    return [statistics[name] for name in names]


def test_pending_without_monitoring(scheduler, copy):
    """Those of this copy that users have and that are pending, found when they are asked for."""
    kept = [copy.defer(), copy.delay(1), copy.resolve(1).then(str), Promise.defer()]
    assert [None, None, 3] == figures(copy, "created", "settled", "pending")
    scheduler.advance(1)
    assert [1] == figures(copy, "pending")
    del kept
    assert [0] == figures(copy, "pending")


def test_pending_with_monitoring(scheduler, copy):
    """It is what was made and has not settled, since monitoring was switched on."""
    kept = [copy.defer()]
    copy.config(monitoring=True)
    kept.append(copy.defer())
    assert [1, 0, 1] == figures(copy, "created", "settled", "pending")


@pytest.mark.parametrize("monitoring", [False, True])
def test_oldest_age(scheduler, copy, monkeypatch, monitoring):
    """The age of the oldest that is pending and was tracked; None while nothing is."""
    monkeypatch.setattr("twpromise._diagnostics.tracking.monotonic", lambda: now)
    now = 100
    kept = [copy.defer()]
    assert [None] == figures(copy, "oldest_age")
    copy.config(tracking=True, monitoring=monitoring)
    assert [None] == figures(copy, "oldest_age")
    now = 110
    kept.append(copy.defer())
    now = 115
    kept.append(copy(lambda resolve, reject: None))
    now = 120
    kept.append(copy.defer())
    now = 125
    assert [15] == figures(copy, "oldest_age")
    kept[1].resolve(1)
    assert [10] == figures(copy, "oldest_age")
    del kept[2]
    assert [5] == figures(copy, "oldest_age")


def test_in_another_thread(scheduler, copy):
    """What it would have to look for is left out: finalizers would run in that thread."""
    kept = [copy.defer()]
    copy.config(tracking=True)
    with ThreadPoolExecutor(1) as pool:
        assert [None, None, 0] == pool.submit(
            figures, copy, "pending", "oldest_age", "timeouts"
        ).result()
        copy.config(tracking=False, monitoring=True)
        kept.append(copy.defer())
        assert [1] == pool.submit(figures, copy, "pending").result()


@pytest.mark.parametrize("seconds", [1, None], ids=["seconds", "deadline"])
def test_timeouts(scheduler, copy, seconds):
    """Those that have rejected, not those that were in time."""
    late = copy.defer().promise.timeout(seconds or Deadline(1, library=copy))
    copy.delay(0.5).timeout(seconds or Deadline(1, library=copy))
    late.catch(lambda error: None)
    assert [0] == figures(copy, "timeouts")
    scheduler.advance(1)
    assert [1] == figures(copy, "timeouts")
    assert 0 == Promise.get_new_library_copy().statistics()["timeouts"]


def _cancel_a_chain(copy):
    copy.delay(1).then(str).then(str).cancel()


def _drop_the_last_consumer(copy):
    copy.delay(1).to_deferred().addErrback(lambda failure: None).cancel()


def _be_too_late(copy):
    copy.delay(5).timeout(0).catch(lambda error: None)


def _cancel_a_coroutine(copy):
    @copy.coroutine
    async def work():
        await copy.delay(5)

    work().cancel()


@pytest.mark.parametrize(
    "cancel", [_cancel_a_chain, _drop_the_last_consumer, _be_too_late, _cancel_a_coroutine]
)
def test_cancellations(scheduler, copy, cancel):
    """Each counts once, with all that is cancelled by it."""
    cancel(copy)
    scheduler.advance(0)
    assert [1] == figures(copy, "cancellations")


def test_cancelled_in_vain(scheduler, copy):
    """What has settled is not cancelled, nor what is cancelled already."""
    copy.resolve(1).cancel()
    promise = copy.defer().promise
    promise.cancel()
    promise.cancel()
    assert [1] == figures(copy, "cancellations")


def test_unhandled_total(scheduler, copy, reports):
    """It never falls, unlike `unhandled`."""
    promise = copy.reject(Boom())
    scheduler.flush()
    promise.catch(lambda error: None)
    assert [0, 1] == figures(copy, "unhandled", "unhandled_total")


def test_drains():
    """Each drain counts once, whatever it runs: in the first bucket that is not too small."""
    now = [0.0]
    clock = Clock()
    copy = Promise.get_new_library_copy()
    copy.set_scheduler(ReactorScheduler(clock, timer=lambda: now[0]))
    for seconds in (0.01, 0.011, 100):
        copy.resolve(now[0] + seconds).then(lambda then: now.__setitem__(0, then)).then(str)
        clock.advance(0)
    statistics = copy.statistics()
    drains = statistics["drains"]
    assert 3 == drains["count"]
    assert pytest.approx(100.021) == drains["seconds"]
    assert pytest.approx(100) == statistics["longest_drain"]
    assert list(BUCKETS) == list(drains["buckets"])
    assert {most: (most >= 0.01) + (most > 0.011) for most in BUCKETS} == drains["buckets"]


def test_reset(scheduler, copy):
    """What is returned is what was there before; the drains begin anew, and nothing else does."""
    copy.delay(1).timeout(0).catch(lambda error: None)
    scheduler.advance(0)
    before = copy.statistics(reset=True)
    assert before["drains"]["count"]
    after = copy.statistics()
    assert 0 == after["drains"]["count"] == after["longest_drain"] == after["drains"]["seconds"]
    assert 1 == after["timeouts"]


def test_reset_must_be_true_or_false(copy):
    """A number, say, is a mistake."""
    with pytest.raises(TypeError, match=r"^reset must be True or False, not 1$"):
        copy.statistics(reset=1)


async def _coroutine():
    return 1


#: Methods and functions that call a function of the user's, and how many promises users get.
CALLS = {
    "finally_": (2, lambda copy, give: copy.resolve(1).finally_(lambda: give(1))),
    "tap": (2, lambda copy, give: copy.resolve(1).tap(give)),
    "tap_catch": (3, lambda copy, give: copy.reject(1).tap_catch(give).catch_return(2)),
    "throw": (2, lambda copy, give: copy.resolve(1).throw(Boom())),
    "catch_throw": (2, lambda copy, give: copy.reject(Boom()).catch_throw(Boom())),
    "all": (1, lambda copy, give: copy.all([give(1), give(2)])),
    "any": (1, lambda copy, give: copy.any([give(1), give(2)])),
    "race": (1, lambda copy, give: copy.race([give(1), give(2)])),
    "props": (1, lambda copy, give: copy.props({"a": give(1)})),
    "join": (1, lambda copy, give: copy.join(give(1), give(2), lambda a, b: give(a))),
    "spread": (2, lambda copy, give: copy.resolve([1, give(2)]).spread(lambda a, b: give(a))),
    "map": (1, lambda copy, give: copy.map([1, 2], give)),
    "map, concurrency": (1, lambda copy, give: copy.map([1, 2], give, concurrency=1)),
    "filter": (1, lambda copy, give: copy.filter([1, 2], give)),
    "each": (1, lambda copy, give: copy.each([1, 2], give)),
    "map_series": (1, lambda copy, give: copy.map_series([1, 2], give)),
    "reduce": (1, lambda copy, give: copy.reduce([1, 2], lambda a, b: give(a))),
    "using": (1, lambda copy, give: copy.using(give(1), give)),
    "using, a value": (1, lambda copy, give: copy.using(1, give)),
    "using, raises": (1, lambda copy, give: copy.using(give(1), lambda _: 1 / 0)),
    "method": (1, lambda copy, give: copy.method(give)(1)),
    "try_": (1, lambda copy, give: copy.try_(lambda: give(1))),
    "delay": (1, lambda copy, give: copy.delay(0, give(1))),
    "resolve": (1, lambda copy, give: copy.resolve(give(1))),
}


@pytest.mark.parametrize("give", [succeed, lambda value: _coroutine()], ids=["Deferred", "async"])
@pytest.mark.parametrize("way", CALLS)
def test_one_promise_counts_once(scheduler, copy, way, give):
    """Promises that users do not see, for Deferreds and coroutines, are not counted."""
    made, call = CALLS[way]
    copy.config(monitoring=True)
    promise = call(copy, give)
    promise.suppress_unhandled_rejections()
    scheduler.advance(0)
    assert [made, made, 0] == figures(copy, "created", "settled", "pending")


@pytest.mark.parametrize(
    "call",
    [
        lambda copy: copy.map([1, 2], lambda _: Deferred()),
        lambda copy: copy.all(Deferred()),
        lambda copy: copy.all([Deferred(), Deferred()]),
        lambda copy: copy.delay(1, Deferred()),
        lambda copy: copy.using(Deferred(), str),
        lambda copy: copy.bind(1, Deferred()),
    ],
    ids=["map", "all", "all of two", "delay", "using", "bind"],
)
def test_pending_counts_none_that_users_do_not_see(scheduler, copy, call):
    """Without monitoring, too."""
    promise = call(copy)
    scheduler.flush()
    assert [1] == figures(copy, "pending")
    assert promise.is_pending()
