"""Promises that follow promises: whoever looks on, however many they are, and when one comes."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise, permutations
from random import Random

import pytest
from twisted.internet.defer import Deferred

from benchmarks.by_hand import instructions_in
from tests.followed import pending
from twpromise import Promise, _chains, _core
from twpromise.testing import ManualScheduler


@pytest.fixture(params=[2, 512])
def load(request, monkeypatch):
    """Chains are kept in blocks; there are many if there are few in each."""
    monkeypatch.setattr(_chains, "_LOAD", request.param)


class Boom(Exception):
    pass


class Impatient(ManualScheduler):
    """Time is up whenever somebody looks at the clock."""

    def __init__(self):
        super().__init__()
        self.looks = 0

    def timer(self):
        self.looks += 1
        return float(self.looks)


def look(promise):
    """All that looks at a promise and does not wait for it."""
    promise.is_pending()
    promise.is_cancelled()
    if promise.is_fulfilled():
        promise.value()
    if promise.is_rejected():
        assert isinstance(promise.reason(), Exception)


#: What somebody may do who wants nothing of the outcome.
ONLOOKERS = [
    look,
    lambda promise: promise.then(None, lambda error: None),
    lambda promise: promise.reflect(),
    lambda promise: [promise.then(None, lambda error: None) for _ in range(2)][1].cancel(),
    lambda promise: promise.to_deferred().addErrback(lambda failure: None),
    lambda promise: promise.cancel() if not promise.is_pending() else None,
]


def _drawn(seed):
    """Who follows whom, who looks on meanwhile, whose handlers come when, and who settles."""
    random = Random(seed)
    size = random.randint(3, 9)
    steps, resolved = [], set()
    for _ in range(random.randint(3, 24)):
        kind, promise = random.random(), random.randrange(size)
        if kind < 0.5:
            if promise not in resolved:
                resolved.add(promise)
                steps.append(("follow", promise, random.randrange(size)))
        elif kind < 0.85:
            steps.append(("look", promise, random.randrange(len(ONLOOKERS))))
        else:
            steps.append(("attach", promise, 0))
    roots = [promise for promise in range(size) if promise not in resolved]
    random.shuffle(roots)
    for root in roots:
        steps.append(("settle", root, random.randrange(4)))
        for _ in range(random.randrange(4)):
            promise = random.randrange(size)
            steps.append(("look", promise, random.randrange(len(ONLOOKERS))))
            steps.append(("attach", random.randrange(size), 0))
        if random.random() < 0.5:
            steps.append(("turn", 0, 0))
    return size, steps


def _run(size, steps, watched, scheduler):
    """Which handlers were called, in order, with what; and what all promises have become."""
    both = [pending() for _ in range(size)]
    called = []

    def attach(number):
        def tell(outcome):
            called.append((number, outcome if isinstance(outcome, int) else type(outcome)))

        both[number][0].then(tell, tell)

    for kind, number, what in steps:
        promise, resolve, reject = both[number]
        if kind == "follow":
            resolve(both[what][0])
        elif kind == "attach":
            attach(number)
        elif kind == "settle":
            (resolve if what else reject)(number if what else Boom())
        elif kind == "turn":
            scheduler.flush()
        elif watched:
            ONLOOKERS[what](promise)
    for number in range(size):
        attach(number)
    scheduler.flush()
    states = [(each.is_fulfilled(), each.is_rejected(), each.is_pending()) for each, *_ in both]
    for each, *_ in both:
        each.suppress_unhandled_rejections()
    return called, states


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", [ManualScheduler, Impatient])
@pytest.mark.usefixtures("load")
def test_onlookers_change_nothing(kind, reports):
    """Random followers: the same is called in the same order, whoever looks, asks or waits."""
    scheduler = kind()
    previous = Promise.set_scheduler(scheduler)
    try:
        for seed in range(1000):
            drawn = _drawn(seed)
            assert _run(*drawn, False, scheduler) == _run(*drawn, True, scheduler), (seed, *drawn)
    finally:
        Promise.set_scheduler(previous)
    reports.clear()


@pytest.mark.parametrize("asked", ["then", "look, then", "then, look"])
@pytest.mark.parametrize("others", [0, 1, 3])
def test_who_comes_while_the_followers_are_being_told(scheduler, asked, others):
    """It has its place, though it had been passed over, and those before it are told just now."""
    root, between, last = (Promise.defer() for _ in range(3))
    called = []

    def comes(_):
        called.append("first")
        for step in asked.split(", "):
            if step == "then":
                between.promise.then(lambda _: called.append("between"))
            else:
                look(between.promise)
        assert between.promise.is_fulfilled()

    root.promise.then(comes)
    for number in range(others):
        other = Promise.resolve().then(lambda _: root.promise)
        other.then(lambda _, number=number: called.append(number))
    scheduler.flush()
    last.resolve(between.promise)
    between.resolve(root.promise)
    last.promise.then(lambda _: called.append("last"))
    root.promise.then(lambda _: called.append("root"))
    root.resolve("value")
    scheduler.flush()
    assert ["first", "root", *range(others), "between", "last"] == called


def test_several_come_while_the_followers_are_being_told(scheduler):
    """Each of those that were passed over has its place among the others."""
    root, *links = (Promise.defer() for _ in range(6))
    called = []

    def come(_):
        for place in (2, 0, 3, 1):
            links[place].promise.then(lambda _, place=place: called.append(place))

    root.promise.then(come)
    for inner, outer in zip([root, *links], links, strict=False):
        outer.resolve(inner.promise)
    links[-1].promise.then(lambda _: called.append("last"))
    other = Promise.defer()
    other.resolve(root.promise)
    other.promise.then(lambda _: called.append("other"))
    root.resolve("value")
    scheduler.flush()
    assert [0, 1, 2, 3, "last", "other"] == called


def test_asking_does_not_have_anybody_told_earlier(scheduler):
    """Who follows, directly or by way of others, is told in the turn of what it follows."""
    root, above, asked = (Promise.defer() for _ in range(3))
    followers = [Promise.defer() for _ in range(3)]
    called = []
    above.promise.then(lambda _: called.append("above"))
    for follower in followers:
        follower.resolve(asked.promise)
        follower.promise.then(lambda _: called.append("follower"))
    asked.resolve(above.promise)
    above.resolve(root.promise)
    root.resolve(1)
    assert 1 == asked.promise.value()
    asked.promise.then(lambda _: called.append("asked"))
    scheduler.flush()
    assert ["above", "asked", *["follower"] * 3] == called


async def _awaits(promise, got):
    got.append(await promise)


#: Ways in which a value is come by.
WAYS = {
    "value": lambda promise, got: got.append(promise.value()),
    "then": lambda promise, got: promise.then(got.append),
    "given back": lambda promise, got: Promise.resolve().then(lambda _: promise).then(got.append),
    "resolver": lambda promise, got: Promise(lambda r, _: r(promise)).then(got.append),
    "reflect": lambda promise, got: promise.reflect().then(lambda it: got.append(it.value())),
    "all": lambda promise, got: Promise.all([promise]).then(lambda it: got.append(*it)),
    "all of a promised list": lambda promise, got: (
        promise.return_([promise]).all().then(lambda it: got.append(*it))
    ),
    "all_settled": lambda promise, got: Promise.all_settled([promise]).then(
        lambda it: got.append(it[0].value())
    ),
    "any": lambda promise, got: Promise.any([promise]).then(got.append),
    "map": lambda promise, got: Promise.map([promise], got.append),
    "each": lambda promise, got: Promise.each([promise], got.append),
    "delay": lambda promise, got: promise.delay(0).then(got.append),
    "timeout": lambda promise, got: promise.timeout(1).then(got.append),
    "tap": lambda promise, got: promise.tap(got.append),
    "bind": lambda promise, got: promise.bind(1).then(lambda _, it: got.append(it)),
    "to_deferred": lambda promise, got: promise.to_deferred().addCallback(got.append),
    "await": lambda promise, got: Promise.resolve(_awaits(promise, got)),
    "using": lambda promise, got: Promise.using(promise, got.append),
    "disposer": lambda promise, got: Promise.using(promise.disposer(lambda _: None), got.append),
    "done": lambda promise, got: promise.done(got.append),
}
#: Ways in which a reason is.
FAILING_WAYS = {
    "catch": lambda promise, got: promise.catch(got.append),
    "given back": lambda promise, got: Promise.resolve().then(lambda _: promise).catch(got.append),
    "resolver": lambda promise, got: Promise(lambda r, _: r(promise)).catch(got.append),
    "reflect": lambda promise, got: promise.reflect().then(lambda it: got.append(it.reason())),
    "all": lambda promise, got: Promise.all([1, promise]).catch(got.append),
    "all_settled": lambda promise, got: Promise.all_settled([promise]).then(
        lambda it: got.append(it[0].reason())
    ),
    "to_deferred": lambda promise, got: promise.to_deferred().addErrback(
        lambda failure: got.append(failure.value)
    ),
    "await": lambda promise, got: Promise.resolve(_awaits(promise, got)).catch(got.append),
    "using": lambda promise, got: Promise.using(promise, print).catch(got.append),
    "disposer": lambda promise, got: Promise.using(promise.disposer(print), print).catch(
        got.append
    ),
}


@pytest.mark.parametrize("passed_over", [False, True], ids=["follows", "passed over"])
@pytest.mark.parametrize("told", [False, True], ids=["not told", "told"])
@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_nobody_has_told_it_yet(scheduler, way, told, passed_over):
    """A follower has the value as soon as what it follows has, for whoever asks in whatever way."""
    root, between, last = (Promise.defer() for _ in range(3))
    if passed_over:
        last.resolve(between.promise)
    between.resolve(root.promise)
    root.resolve("value")
    if told:
        scheduler.flush()
    got = []
    WAYS[way](between.promise, got)
    scheduler.advance(0)
    assert ["value"] == got


@pytest.mark.parametrize("passed_over", [False, True], ids=["follows", "passed over"])
@pytest.mark.parametrize("told", [False, True], ids=["not told", "told"])
@pytest.mark.parametrize("way", FAILING_WAYS)
def test_a_reason_that_nobody_has_told_it_yet(scheduler, reports, way, told, passed_over):
    """The rejection is handled by whoever takes it, however early, and by nobody else."""
    root, between, last = (Promise.defer() for _ in range(3))
    if passed_over:
        last.resolve(between.promise)
        last.promise.suppress_unhandled_rejections()
    between.resolve(root.promise)
    boom = Boom()
    root.reject(boom)
    if told:
        between.promise.suppress_unhandled_rejections()
        scheduler.flush()
    got = []
    FAILING_WAYS[way](between.promise, got)
    scheduler.flush()
    assert [boom] == got
    assert [] == reports


def _watched_followers(scheduler):
    """Three of which the one between was passed over; and what is unhandled, and handled late."""
    copy = Promise.get_new_library_copy()
    copy.set_scheduler(scheduler)
    unhandled, handled = [], []
    copy.on_possibly_unhandled_rejection(lambda reason, promise: unhandled.append(promise))
    copy.on_unhandled_rejection_handled(handled.append)
    root, between, last = (copy.defer() for _ in range(3))
    last.resolve(between.promise)
    between.resolve(root.promise)
    return root, between, last, unhandled, handled


def test_whoever_handles_what_was_passed_over_handles_that_alone(scheduler):
    """Its follower has been rejected, too, and nobody has handled that."""
    root, between, last, unhandled, handled = _watched_followers(scheduler)
    root.reject(Boom())
    scheduler.flush()
    assert [last.promise] == unhandled
    between.promise.catch(lambda _: None)
    scheduler.flush()
    assert [] == handled
    last.promise.catch(lambda _: None)
    scheduler.flush()
    assert [last.promise] == handled
    assert [last.promise] == unhandled


@pytest.mark.exhaustive
@pytest.mark.usefixtures("load")
def test_chains_are_built_in_any_order(scheduler):
    """From whichever ends, and of whatever pieces: each has its place for whoever comes later."""
    for seed in range(1000):
        random = Random(seed)
        resolvers = [Promise.defer() for _ in range(random.randint(3, 12))]
        called = []

        def come(place, resolvers=resolvers, called=called):
            resolvers[place].promise.then(lambda _: called.append(place))

        places = range(len(resolvers))
        for place in random.sample(places[1:], len(places) - 1):
            resolvers[place].resolve(resolvers[place - 1].promise)
            if random.random() < 0.2:
                # Some are asked for before all is built; what they do is put off.
                resolvers[random.choice(places)].promise.then()
        for place in random.sample(places, len(places)):
            come(place)
        resolvers[0].resolve("value")
        scheduler.flush()
        assert list(places) == called, seed


@pytest.mark.parametrize("told", [False, True], ids=["not told", "told"])
@pytest.mark.parametrize("way", [*FAILING_WAYS, "reason"])
def test_whoever_takes_a_reason_early_handles_that_alone(scheduler, way, told):
    """Nobody handles the follower of what was passed over: that is reported, once."""
    root, between, last, unhandled, handled = _watched_followers(scheduler)
    boom, got = Boom(), []
    root.reject(boom)
    if told:
        scheduler.flush()
    if way == "reason":
        got.append(between.promise.reason())
    else:
        FAILING_WAYS[way](between.promise, got)
    scheduler.flush()
    assert [boom] == got
    assert [last.promise] == unhandled
    assert [] == handled


def test_a_canceller_passes_over_what_is_to_be_cancelled_next(scheduler):
    """It is put back, and cancelled with what follows it by now."""
    follower, inner, root = (Promise.defer() for _ in range(3))
    adopted = Deferred(lambda _: follower.resolve(inner.promise))
    inner.resolve(root.promise)
    whole = Promise.all([Promise.resolve(adopted), inner.promise])
    scheduler.flush()
    whole.cancel()
    scheduler.flush()
    assert whole.is_cancelled()
    assert inner.promise.is_cancelled()
    assert not follower.promise.is_pending()


@pytest.mark.parametrize("before", range(12))
def test_who_comes_between_two_time_slices(before):
    """It has its place also if those before it have been told, and those behind it have not."""
    scheduler = Impatient()
    previous = Promise.set_scheduler(scheduler)
    try:
        root, above, between, last = (Promise.defer() for _ in range(4))
        called = []
        above.resolve(root.promise)
        root.promise.then()
        last.resolve(between.promise)
        between.resolve(above.promise)
        last.promise.then(lambda _: called.append("last"))
        for _ in range(before):
            Promise.resolve().then()
        root.resolve("value")
        scheduler._calls.popleft()()
        late = not last.promise._state & _core.SETTLED
        between.promise.then(lambda _: called.append("between"))
        scheduler.flush()
        assert (["between", "last"] if late else ["last", "between"]) == called
    finally:
        Promise.set_scheduler(previous)


# --- cost


def _chained(size, way):
    """A chain of followers: who is followed by all comes first."""
    resolvers = [Promise.defer() for _ in range(size + 1)]
    links = list(pairwise(resolvers))
    if "pairs" in way:
        links = links[::2] + links[1::2]
        half = (size + 1) // 2
        if "inwards" in way:
            links[half:] = links[half:][::-1]
    elif way == "inwards":
        links.reverse()
    for inner, outer in links:
        outer.resolve(inner.promise)
    return [resolver.promise for resolver in resolvers], resolvers[0].resolve


ASKING = {
    "is_pending": lambda promise: promise.is_pending(),
    "then": lambda promise: promise.then(),
    "reflect": lambda promise: promise.reflect(),
    "follow": lambda promise: Promise(lambda resolve, _: resolve(promise)),
    "leave": lambda promise: promise.then().cancel(),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", ["inwards", "outwards", "pairs, inwards", "pairs, outwards"])
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("ask", ASKING)
def test_each_of_a_long_chain_is_asked_at_the_cost_of_a_short_one(scheduler, ask, order, way):
    """Whoever was passed over finds its place without a walk."""

    def cost(size):
        promises, _ = _chained(size, way)
        kept = promises[-1].then()

        def all_asked():
            for promise in promises[::order]:
                ASKING[ask](promise)

        executed = instructions_in(all_asked).total() / size
        assert kept.is_pending()
        return executed

    few, many = cost(20), cost(400)
    assert 0 < many < 1.5 * few


@pytest.mark.parametrize("ask", [None, *ASKING])
@pytest.mark.parametrize("kind", ["deep", "wide"])
def test_followers_are_told_within_the_time_slice(kind, ask):
    """However many follow, a drain looks at the clock after a few; and asking takes no time."""
    scheduler = Impatient()
    previous = Promise.set_scheduler(scheduler)
    try:
        if kind == "deep":
            promises, resolve = _chained(400, "outwards")
            children = [promise.then() for promise in promises]
        else:
            promises, resolve = _chained(2, "outwards")
            for _ in range(400):
                promises.append(Promise(lambda resolve, _: resolve(promises[1])))
            children = [promise.then() for promise in promises]
        resolve("value")
        if ask is not None:
            ASKING[ask](promises[1])
        # Looked through: nobody has been told yet.
        assert all(promise.is_fulfilled() for promise in promises)
        assert all(child.is_pending() for child in children)
        scheduler.looks = 0
        scheduler.flush()
        assert all("value" == child.value() for child in children)
        assert scheduler.looks >= 100
    finally:
        Promise.set_scheduler(previous)


# --- memory


@pytest.mark.parametrize("held", [[], [0], [1], [7], [1, 2, 7, 8]])
@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_an_endless_chain_is_freed_as_it_goes_whatever_is_held(scheduler, held, ahead):
    """One of the promises that a loop has passed over keeps none of those that came after it."""
    gc.disable()
    try:
        outer = Promise.defer()
        kept = [outer.promise]
        alive = weakref.WeakSet()
        last = outer
        for number in range(300):
            following = Promise.defer()
            alive.add(following.promise)
            given = following
            for _ in range(ahead):
                # What is given follows already.
                inner = Promise.defer()
                alive.add(inner.promise)
                given.resolve(inner.promise)
                given = inner
            if number in held:
                kept.append(following.promise)
            last.resolve(following.promise)
            last = given
            del following, given
            inner = None
        assert len(alive) <= 2 + (1 + ahead) * (len(held) + 1)
        assert all(promise.is_pending() for promise in kept)
        called = []
        for place, promise in reversed(list(enumerate(kept))):
            promise.then(lambda _, place=place: called.append(place))
        last.resolve("value")
        scheduler.flush()
        assert list(range(len(kept)))[::-1] == called
    finally:
        gc.enable()


def _sixty(way):
    """A chain of sixty followers, built from either end, or of pieces."""
    resolvers = [Promise.defer() for _ in range(60)]
    places = list(range(1, 60))
    if way == "pieces":
        Random(1).shuffle(places)
    for place in places if way == "outwards" else places[::-1]:
        resolvers[place].resolve(resolvers[place - 1].promise)
    return resolvers


@pytest.mark.parametrize("ends", ["fulfilled", "rejected", "cancelled", "cancelled at an end"])
@pytest.mark.parametrize("way", ["inwards", "outwards", "pieces"])
def test_whoever_keeps_one_of_a_chain_keeps_no_others(scheduler, way, ends):
    """When all has settled, though somebody had come to each of the others."""
    gc.disable()
    try:
        resolvers = _sixty(way)
        kept = resolvers[30].promise
        for place in range(59, 0, -1):
            if place != 30:
                resolvers[place].promise.then().suppress_unhandled_rejections()
        alive = weakref.WeakSet(resolver.promise for resolver in resolvers[1:])
        stays = resolvers[0].promise.then()
        stays.suppress_unhandled_rejections()
        if ends == "fulfilled":
            resolvers[0].resolve("value")
        elif ends == "rejected":
            resolvers[0].reject(Boom())
        elif ends == "cancelled":
            stays.cancel()
            resolvers[0].promise.cancel()
        else:
            resolvers[1].promise.cancel()
        scheduler.flush()
        del resolvers, stays
        # Itself, and one that has told it of its outcome.
        assert len(alive) <= 2
        assert (kept.is_fulfilled(), kept.is_rejected(), kept.is_cancelled()) == (
            ends == "fulfilled",
            ends == "rejected",
            ends.startswith("cancelled"),
        )
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["inwards", "outwards", "pieces"])
def test_a_chain_lets_go_of_those_that_are_cancelled(scheduler, way):
    """Those inside of them pend on, and know nothing of them."""
    gc.disable()
    try:
        resolvers = _sixty(way)
        for place in range(59, 0, -1):
            if place not in (8, 30, 45):
                resolvers[place].promise.then()
        inside, first, cancelled, outside = (resolvers[place].promise for place in (8, 9, 30, 45))
        alive = weakref.WeakSet(resolver.promise for resolver in resolvers[20:])
        alive_inside = weakref.WeakSet(resolver.promise for resolver in resolvers[1:20])
        resolvers[20].promise.cancel()
        scheduler.flush()
        resolve = resolvers[0].resolve
        del resolvers
        # The three that are kept, and one more.
        assert len(alive) <= 3
        assert cancelled.is_cancelled()
        assert outside.is_cancelled()
        assert inside.is_pending()
        later = Promise(lambda resolve, _, first=first: resolve(first))
        resolve("value")
        scheduler.flush()
        assert "value" == inside.value() == later.value()
        assert cancelled.is_cancelled()
        del first, later
        assert len(alive_inside) <= 2
    finally:
        gc.enable()


def _keep_one(random, scheduler):
    """Link twelve in any order, come to some, cancel some, settle all: how many does one keep?"""
    resolvers = [Promise.defer() for _ in range(12)]
    alive = weakref.WeakSet(resolver.promise for resolver in resolvers[1:])
    place = random.randrange(1, 12)
    kept = resolvers[place].promise
    others = [other for other in range(1, 12) if other != place]
    steps = [("link", other) for other in range(1, 12)]
    steps += [("ask", random.choice(others)) for _ in range(random.choice([0, 3, 12]))]
    random.shuffle(steps)
    for step, other in steps:
        if step == "link":
            resolvers[other].resolve(resolvers[other - 1].promise)
        else:
            resolvers[other].promise.then()
    cancelled = random.randrange(20)
    if cancelled < 12:
        # Somebody else waits for what is inside of it.
        resolvers[random.randrange(cancelled + 1)].promise.then()
        resolvers[cancelled].promise.cancel()
    resolvers[0].resolve("value")
    scheduler.flush()
    del resolvers
    # Looking at it may let go of some.
    left = len(alive)
    assert not kept.is_pending()
    return cancelled < 12, left


@pytest.mark.exhaustive
@pytest.mark.usefixtures("load")
def test_whoever_keeps_one_of_any_chain_keeps_no_others(scheduler):
    """In whatever order it was built, and whoever came to it and was cancelled."""
    gc.disable()
    try:
        # One more, that has told it of its outcome, and one more where a chain was cancelled.
        numbers = {_keep_one(Random(seed), scheduler) for seed in range(1000)}
        assert numbers == {(False, 1), (False, 2), (True, 1), (True, 2), (True, 3)}
    finally:
        gc.enable()


def test_what_was_passed_over_is_cancelled_with_its_follower(scheduler):
    """Nobody else has waited for it; so it is for whoever comes later, in whatever way."""
    cancelled = []
    root = Promise(lambda resolve, reject, on_cancel: on_cancel(lambda: cancelled.append("root")))
    between, last = Promise.defer(), Promise.defer()
    last.resolve(between.promise)
    between.resolve(root)
    stays = root.then()
    last.promise.cancel()
    assert between.promise.is_cancelled()
    assert [] == cancelled
    between.promise.cancel()
    assert [] == cancelled
    fired = []
    between.promise.to_deferred().addErrback(fired.append)
    seen = []
    between.promise.catch(seen.append)
    scheduler.flush()
    assert 1 == len(fired) == len(seen)
    assert stays.is_pending()


def test_cancelling_what_was_passed_over(scheduler):
    """It is cancelled, with what follows it, and what it follows unless others wait for that."""
    adopted = Deferred(lambda _: log.append("stopped"))
    log = []
    root = Promise.resolve(adopted)
    inner, between, last = (Promise.defer() for _ in range(3))
    last.resolve(between.promise)
    between.resolve(inner.promise)
    inner.resolve(root)
    stays = inner.promise.then()
    between.promise.cancel()
    assert [False, True, True] == [each.promise.is_cancelled() for each in (inner, between, last)]
    assert [] == log
    stays.cancel()
    assert ["stopped"] == log


@pytest.mark.parametrize("order", [*permutations(range(1, 5))])
def test_a_cancellation_stops_at_a_library_without(scheduler, order):
    """Also where followers of both kinds follow each other, and nobody has waited for them."""
    without = Promise.get_new_library_copy()
    without.set_scheduler(scheduler)
    without.config(cancellation=False)
    chain = [
        (Promise if cancels else without).defer() for cancels in (True, False, True, True, False)
    ]
    for place in order:
        chain[place].resolve(chain[place - 1].promise)
    chain[2].promise.cancel()
    assert [False, False, True, True, True] == [each.promise.is_cancelled() for each in chain]


def test_followers_are_cancelled_in_the_order_in_which_they_came(scheduler):
    """Their `finally_` handlers say so."""
    first, followed = Promise.defer(), Promise.defer()
    first.promise.then()
    followed.resolve(first.promise)
    called = []
    for number in range(3):
        follower = Promise(lambda resolve, _: resolve(followed.promise))
        follower.finally_(lambda number=number: called.append(number))
    followed.promise.cancel()
    scheduler.flush()
    assert [0, 1, 2] == called


def test_what_was_passed_over_is_thrown_away(scheduler):
    """Whoever did not wait for it takes nothing away from the one that stands in its place."""
    root, between, last = (Promise.defer() for _ in range(3))
    last.resolve(between.promise)
    between.resolve(root.promise)

    def gives_it_to_nobody(_):
        child.cancel()
        return between.promise

    child = Promise.resolve().then(gives_it_to_nobody)
    scheduler.flush()
    assert child.is_cancelled()
    assert not between.promise.is_cancelled()
    root.resolve("value")
    scheduler.flush()
    assert "value" == last.promise.value() == between.promise.value()


# --- against promises that are never passed over


class _Programs:
    """Runs random programs of followers and cancellations, and keeps what can be seen."""

    def __init__(self, scheduler, random):
        self.random = random
        self.scheduler = scheduler
        self.seen = []
        self.names = {}
        self.copies = []
        for cancellation in (True, False):
            copy = Promise.get_new_library_copy()
            copy.set_scheduler(scheduler)
            copy.config(cancellation=cancellation)
            copy.on_possibly_unhandled_rejection(
                lambda reason, promise: self.report("unhandled", promise)
            )
            copy.on_unhandled_rejection_handled(lambda promise: self.report("handled", promise))
            self.copies.append(copy)
        self.promises, self.resolvers, self.children = [], [], []
        self.fates = {}
        for number in range(random.randint(3, 10)):
            resolver = self.copies[random.random() < 0.15].defer()
            self.resolvers.append(resolver)
            self.promises.append(self.named(resolver.promise, number))

    def report(self, what, promise):
        # In which turn something is reported depends on where turns end.
        if not isinstance(self.scheduler, Impatient):
            self.seen.append((what, self.names.get(id(promise))))

    def named(self, promise, name):
        self.names[id(promise)] = name
        return promise

    def note(self, *what):
        return lambda *outcome: self.seen.append((*what, *map(str, outcome)))

    def derive(self, promise, number, which):
        """A promise of it, by one of many ways."""
        other = self.promises[number % len(self.promises)]
        return [
            lambda: promise.then(self.note(number)),
            lambda: promise.then(self.note(number), self.note(number, "failed")),
            lambda: promise.finally_(self.note(number, "finally")),
            lambda: promise.then(lambda _: other),
            lambda: promise.finally_(lambda: other),
            lambda: promise.then(lambda _: other.then(self.note(number, "behind"))),
            lambda: promise.then(lambda _: other.cancel()),
            lambda: promise.reflect().then(
                lambda it: self.note(number, it.is_fulfilled(), it.is_cancelled())()
            ),
            lambda: type(promise).all([promise, other]).then(None, self.note(number, "all")),
        ][which]()

    def step(self, number):
        random = self.random
        at = random.randrange(len(self.promises))
        promise, other = self.promises[at], random.choice(self.promises)
        kind, which = random.random(), random.randrange(9)
        if kind < 0.4:
            self.resolvers[at].resolve(other)
        elif kind < 0.5:
            promise.cancel()
        elif kind < 0.55:
            if which:
                self.resolvers[at].resolve(at)
            else:
                self.resolvers[at].reject(Boom(at))
        elif kind < 0.6:
            self.scheduler.flush()
        elif kind < 0.65 and self.children:
            random.choice(self.children).cancel()
        elif kind < 0.67 and which < 5:
            # Whatever is done in the midst of a cancellation.
            stopped = type(promise).resolve(Deferred(lambda _: self.step(number)))
            self.children.append(self.named(type(promise).all([stopped, promise]), (number, "all")))
            self.children.append(self.named(stopped, (number, "stopped")))
        elif kind < 0.7:
            deferred = promise.to_deferred()
            deferred.addErrback(lambda failure: failure.getErrorMessage())
            deferred.addCallback(self.note(number, "Deferred"))
            if which > 6:
                deferred.cancel()
        elif kind < 0.8:
            look(promise)
        else:
            child = self.derive(promise, number, which)
            self.children.append(self.named(child, (number, which)))
        self.states(self.promises)

    def states(self, promises):
        fates = [(each.is_pending(), each.is_fulfilled(), each.is_cancelled()) for each in promises]
        for each, fate in zip(promises, fates, strict=True):
            # Once.
            assert self.fates.get(each, fate) == fate
            if not fate[0]:
                self.fates[each] = fate
        self.seen.append(fates)

    def run(self):
        for number in range(self.random.randint(4, 40)):
            self.step(number)
        self.scheduler.flush()
        for number, promise in enumerate(self.promises):
            promise.then(self.note("end", number), self.note("failed", number))
        self.scheduler.flush()
        for resolver in self.resolvers:
            resolver.resolve("the end")
        self.scheduler.flush()
        self.states(self.promises + self.children)
        return self.seen


@pytest.mark.filterwarnings("ignore::twpromise.PromiseWarning")
@pytest.mark.parametrize(
    "seeds", [50, pytest.param(700, marks=pytest.mark.exhaustive)], ids="{} programs".format
)
@pytest.mark.parametrize("kind", [ManualScheduler, Impatient])
@pytest.mark.usefixtures("load")
def test_that_one_is_passed_over_cannot_be_seen(kind, seeds, monkeypatch, reports):
    """Random programs do just what they do where every follower stands in its place."""
    for seed in range(seeds):
        with monkeypatch.context() as patched:
            patched.setattr(_core, "_are_cancelled_alike", lambda *_: False)
            expected = _Programs(kind(), Random(seed)).run()
        assert expected == _Programs(kind(), Random(seed)).run(), seed
    reports.clear()
