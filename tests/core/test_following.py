"""Promises that follow other promises.

A promise that was resolved with a pending promise, the followee, follows it: it settles with the
outcome of the followee.  A follower whose only subscriber is another follower is *bypassed*: that
one subscribes further up, so that endless loops take constant memory.  A bypassed promise still
works like any other.
"""

from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
from twisted.internet.defer import Deferred

from benchmarks.by_hand import instructions_in
from tests.support.promises import Boom
from twpromise import CancellationError, Promise
from twpromise.testing import ManualScheduler


class Impatient(ManualScheduler):
    """A scheduler whose time slice is used up at every look at the clock."""

    def __init__(self):
        super().__init__()
        self.looks = 0

    def timer(self):
        self.looks += 1
        return float(self.looks)


def chained(size, order="inwards"):
    """Promises of which each follows the one before, and the resolver of the first.

    *inwards*: the last promise is resolved first; *outwards*: the first.
    """
    resolvers = [Promise.defer() for _ in range(size + 1)]
    links = list(pairwise(resolvers))
    for followee, follower in links if order == "outwards" else reversed(links):
        follower.resolve(followee.promise)
    return [resolver.promise for resolver in resolvers], resolvers[0]


ORDERS = pytest.mark.parametrize("order", ["inwards", "outwards"])


# --- one outcome


async def _awaits(promise, got):
    got.append(await promise)


#: Ways to consume the value of a promise.
VALUE_BY = {
    "value": lambda promise, got: got.append(promise.value()),
    "then": lambda promise, got: promise.then(got.append),
    "follow": lambda promise, got: Promise(lambda resolve, _: resolve(promise)).then(got.append),
    "reflect": lambda promise, got: promise.reflect().then(lambda it: got.append(it.value())),
    "all": lambda promise, got: Promise.all([promise]).then(lambda it: got.append(*it)),
    "to_deferred": lambda promise, got: promise.to_deferred().addCallback(got.append),
    "await": lambda promise, got: Promise.resolve(_awaits(promise, got)),
    "using": lambda promise, got: Promise.using(promise.disposer(lambda _: None), got.append),
}


@pytest.mark.parametrize("turn", ["same turn", "next turn"])
@pytest.mark.parametrize("way", VALUE_BY)
def test_a_follower_has_the_value_as_soon_as_the_followee(scheduler, way, turn):
    """Also before the drain in which followers are notified; both the bypassed and the last one."""
    promises, root = chained(2)
    root.resolve("value")
    if turn == "next turn":
        scheduler.flush()
    got = []
    for promise in promises:
        VALUE_BY[way](promise, got)
    scheduler.flush()
    assert ["value"] * 3 == got


@pytest.mark.parametrize("member", [0, 1, 2], ids=["root", "bypassed", "last"])
@pytest.mark.parametrize("subscribed", ["while pending", "after settling"])
def test_handling_a_follower_handles_that_follower_alone(scheduler, reports, subscribed, member):
    """The rejection of the last follower is reported unless that one has a handler."""
    promises, root = chained(2)
    seen, reason = [], Boom()
    if subscribed == "while pending":
        promises[member].catch(seen.append)
    root.reject(reason)
    if subscribed == "after settling":
        promises[member].catch(seen.append)
    scheduler.flush()
    assert [reason] == seen
    assert (0 if member == 2 else 1) == len(reports)


@ORDERS
def test_bypassed_promises_take_subscribers_later(scheduler, order):
    """While the chain pends, in any order, and each handler is called once."""
    promises, root = chained(5, order)
    called = []
    for place in (3, 1, 5, 2, 4, 0):
        promises[place].then(lambda value, place=place: called.append((place, value)))
    root.resolve("value")
    scheduler.flush()
    assert [(place, "value") for place in range(6)] == sorted(called)


def test_joined_chains_of_bypassed_promises_take_subscribers_later(scheduler):
    """The end of one chain is resolved with the start of the other: one follower stands in."""
    chains = [[Promise.defer() for _ in range(4)] for _ in range(3)]
    for chain in chains:
        for followee, follower in reversed(list(pairwise(chain))):
            follower.resolve(followee.promise)
    for front, behind in reversed(list(pairwise(chains))):
        behind[0].resolve(front[-1].promise)
    called = []
    for chain in chains:
        for resolver in chain:
            resolver.promise.then(called.append)
    chains[0][0].resolve("value")
    scheduler.flush()
    assert ["value"] * 12 == called


def test_a_bypassed_promise_takes_a_subscriber_after_another_has_left(scheduler):
    """The followee, which stays pending, has no other subscriber by then."""
    promises, root = chained(2)
    promises[0].then().cancel()
    called = []
    promises[1].then(called.append)
    assert promises[0].is_pending()
    root.resolve("value")
    scheduler.flush()
    assert ["value"] == called


def test_following_a_follower_handles_its_rejection(scheduler, reports):
    """Also where the root has been rejected, and has not notified the follower yet."""
    promises, root = chained(1)
    last, seen, reason = Promise.defer(), [], Boom()
    root.reject(reason)
    last.resolve(promises[1])
    last.promise.catch(seen.append)
    scheduler.flush()
    assert ([reason], []) == (seen, reports)


# --- cancellation


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 4, 1, 3)], ids=str)
def test_a_cancellation_stops_at_a_library_copy_without_cancellation(scheduler, order):
    """Whichever way the chain was built; followers of the cancelled promise are cancelled."""
    without = Promise.get_new_library_copy()
    without.set_scheduler(scheduler)
    without.config(cancellation=False)
    copies = [Promise if cancels else without for cancels in (True, False, True, True, False)]
    chain = [copy.defer() for copy in copies]
    for place in order:
        chain[place].resolve(chain[place - 1].promise)
    chain[2].promise.cancel()
    assert [False, False, True, True, True] == [each.promise.is_cancelled() for each in chain]


def test_cancelling_the_last_follower_cancels_the_bypassed_promise(scheduler):
    """Nothing else waited for it.  The root, which has another subscriber, stays pending."""
    promises, _ = chained(2)
    root, bypassed, last = promises
    stays = root.then()
    last.cancel()
    assert [False, True, True] == [each.is_cancelled() for each in promises]
    late = []
    bypassed.to_deferred().addErrback(lambda failure: late.append(failure.type))
    bypassed.catch(lambda error: late.append(type(error)))
    scheduler.flush()
    assert [CancellationError, CancellationError] == late
    assert stays.is_pending()


def test_cancelling_a_bypassed_promise_cancels_followers_but_no_shared_followee(
    scheduler,
):
    """The followee is cancelled when its other consumer leaves, too."""
    log = []
    root = Promise.resolve(Deferred(lambda _: log.append("stopped")))
    inner, bypassed, last = (Promise.defer() for _ in range(3))
    last.resolve(bypassed.promise)
    bypassed.resolve(inner.promise)
    inner.resolve(root)
    stays = inner.promise.then()
    bypassed.promise.cancel()
    assert [False, True, True] == [each.promise.is_cancelled() for each in (inner, bypassed, last)]
    assert [] == log
    stays.cancel()
    assert ["stopped"] == log


def test_followers_are_cancelled_in_the_order_in_which_they_followed(scheduler):
    """Their `finally_` handlers run in that order."""
    root, followee = Promise.defer(), Promise.defer()
    root.promise.then()
    followee.resolve(root.promise)
    called = []
    for number in range(3):
        follower = Promise(lambda resolve, _: resolve(followee.promise))
        follower.finally_(lambda number=number: called.append(number))
    followee.promise.cancel()
    scheduler.flush()
    assert [0, 1, 2] == called


def test_a_canceller_that_adds_a_follower_to_the_promise_cancelled_next(scheduler):
    """The new follower is cancelled with its followee."""
    follower, followee, root = (Promise.defer() for _ in range(3))
    adopted = Deferred(lambda _: follower.resolve(followee.promise))
    followee.resolve(root.promise)
    whole = Promise.all([Promise.resolve(adopted), followee.promise])
    scheduler.flush()
    whole.cancel()
    scheduler.flush()
    assert whole.is_cancelled()
    assert followee.promise.is_cancelled()
    assert not follower.promise.is_pending()


# --- time and memory


@pytest.mark.exhaustive
@ORDERS
@pytest.mark.parametrize("use", [Promise.is_pending, Promise.then])
def test_using_a_promise_costs_the_same_in_a_long_chain_of_followers(scheduler, use, order):
    """A bypassed promise finds its followee without a walk along the chain."""

    def cost(size):
        promises, _ = chained(size, order)
        kept = promises[-1].then()

        def use_all():
            for promise in promises:
                use(promise)

        executed = instructions_in(use_all).total() / size
        assert kept.is_pending()
        return executed

    few, many = cost(20), cost(400)
    assert 0 < many < 1.5 * few


@pytest.mark.parametrize("kind", ["deep", "wide"])
def test_followers_are_notified_within_the_time_slice(kind):
    """However many follow, a drain looks at the clock after a few."""
    with Impatient() as scheduler:
        promises, root = chained(400 if kind == "deep" else 2, "outwards")
        if kind == "wide":
            promises += [Promise(lambda resolve, _: resolve(promises[1])) for _ in range(400)]
        children = [promise.then() for promise in promises]
        root.resolve("value")
        assert all(promise.is_fulfilled() for promise in promises)
        assert all(child.is_pending() for child in children)
        scheduler.looks = 0
        scheduler.flush()
        assert all("value" == child.value() for child in children)
        assert scheduler.looks >= 100


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("held", [[], [0], [1, 2, 7, 8]], ids=str)
@pytest.mark.parametrize("ahead", [0, 2])
def test_an_endless_chain_takes_constant_memory(scheduler, held, ahead):
    """Holding some of the bypassed promises keeps none of those that came after them."""
    last = Promise.defer()
    kept = [last.promise]
    alive = weakref.WeakSet()
    for number in range(300):
        following = given = Promise.defer()
        alive.add(following.promise)
        for _ in range(ahead):
            # The promise that the last one is resolved with follows another one already.
            inner = Promise.defer()
            alive.add(inner.promise)
            given.resolve(inner.promise)
            given, inner = inner, None
        if number in held:
            kept.append(following.promise)
        last.resolve(following.promise)
        last = given
        del following, given
    assert len(alive) <= 2 + (1 + ahead) * (len(held) + 1)
    assert all(promise.is_pending() for promise in kept)
    last.resolve("value")
    scheduler.flush()
    assert ["value"] * len(kept) == [promise.value() for promise in kept]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("ends", ["fulfilled", "rejected", "cancelled"])
@ORDERS
def test_a_settled_member_of_a_chain_keeps_no_others(scheduler, order, ends):
    """Also where handlers had been attached to each of them."""
    promises, root = chained(60, order)
    for promise in promises[1:30] + promises[31:]:
        promise.then().suppress_unhandled_rejections()
    kept = promises[30]
    alive = weakref.WeakSet(promises[1:])
    if ends == "cancelled":
        promises[1].cancel()
    else:
        root.promise.suppress_unhandled_rejections()
        (root.resolve if ends == "fulfilled" else root.reject)(Boom())
    del promises, promise
    scheduler.flush()
    # Itself, and the one that has notified it.
    assert len(alive) <= 2
    assert [ends == "fulfilled", ends == "rejected", ends == "cancelled"] == [
        kept.is_fulfilled(),
        kept.is_rejected(),
        kept.is_cancelled(),
    ]
