"""`pending` and `snapshot`: a service with one of each, deadlocks, samples."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from functools import partial
from itertools import pairwise

import pytest
from twisted.internet import task
from twisted.internet.defer import (
    Deferred,
    DeferredLock,
    DeferredSemaphore,
    _CancellationStatus,
    ensureDeferred,
    inlineCallbacks,
)

from twpromise import Limiter, Promise, PromiseGroup
from twpromise._core.states import PENDING
from twpromise._debugging import finding, holders, records
from twpromise._debugging.cycles import find_cycles
from twpromise._debugging.records import number_of
from twpromise.debugging import pending, snapshot, tree
from twpromise.loops import use_running_loop


async def locking(cls, first, second):
    """Takes two locks, the second later than the first."""
    async with first:
        await cls.delay(1)
        async with second:
            pass


async def acquiring(cls, first, second):
    """The same, by hand."""
    await first.acquire()
    try:
        await cls.delay(1)
        await second.acquire()
        second.release()
    finally:
        first.release()


async def by_promises(cls, first, second):
    """The same, by promises."""
    await cls.from_deferred(first.acquire())
    try:
        await cls.delay(1)
        await cls.from_deferred(second.acquire())
        second.release()
    finally:
        first.release()


async def async_locking(first, second, mine, other):
    """The same with locks of asyncio; the second when both have the first."""
    async with first:
        mine.set()
        await other.wait()
        async with second:
            pass


async def async_acquiring(first, second, mine, other):
    """The same, by hand."""
    await first.acquire()
    try:
        mine.set()
        await other.wait()
        await second.acquire()
    finally:
        first.release()


def by_name(now):
    """The records, by their names."""
    named = {}
    for one in now.promises:
        named.setdefault(one.name, []).append(one)
    return named


class Service:
    """One of each that a service may hang on."""

    def __init__(self, cls, scheduler):
        locks = DeferredLock(), DeferredLock()
        self.group = PromiseGroup(library=cls)
        self.limiter = Limiter(1, library=cls)
        self.stop = threading.Event()
        self.kept = [
            cls.from_deferred(Deferred()),
            cls.resolve(locking(cls, *locks)),
            cls.resolve(locking(cls, *reversed(locks))),
            cls.map(range(10), lambda _: cls.defer().promise, concurrency=2),
            cls.defer(),
            cls.in_thread(self.busy),
            cls.resolve(self.outer(cls, scheduler.clock)),
            cls.delay(5),
            self.limiter.run(self.work),
            self.limiter.run(print),
            self.group.start_soon(Deferred),
        ]
        scheduler.advance(1)

    def busy(self):
        self.stop.wait(60)

    def work(self):
        return Deferred()

    async def outer(self, cls, clock):
        await self.middle(cls, clock)

    async def middle(self, cls, clock):
        await self.inner(cls, clock)

    async def inner(self, cls, clock):
        await cls.from_deferred(task.deferLater(clock, 7))


@pytest.mark.parametrize("tracking", [False, True])
def test_one_of_each(copy, scheduler, tracking):
    """Each is named with what it waits for; its place and age, if tracking is on."""
    copy.config(tracking=tracking)
    service = Service(copy, scheduler)
    now = pending(library=copy)
    service.stop.set()
    named = by_name(now)
    texts = {name: [w.text for one in ones for w in one.waits_for] for name, ones in named.items()}
    assert "a Deferred without a canceller, which has not fired" in texts["promise for a Deferred"]
    assert "a Deferred, which a timer, due in 6 s fires" in texts["promise for a Deferred"]
    assert texts["map"][0] == "2 results, at most 2 at once; 8 items are ready"
    assert texts["promise"].count("resolve() or reject(), which have not been called") == 3
    (thread,) = (one for name, one in texts.items() if name.endswith("Service.busy"))
    assert thread[0].startswith("Service.busy: ")
    (outer,) = named["coroutine Service.outer"]
    assert ["outer", "middle", "inner"] == [line.split()[-1] for line in outer.coroutine]
    assert ["a timer, due in 4 s"] == texts["delay"]
    assert texts["call of a Limiter"][0].startswith(
        "<Limiter: 1 of 1 running, 1 waiting>; promise for a Deferred #"
    )
    assert texts["PromiseGroup"][0] == "1 members, and is open"
    deadlocked = {one.id for one in named["coroutine locking"]}
    assert [deadlocked] == [set(cycle) for cycle in now.cycles]
    assert (len(now.promises), False) == (now.total, now.sampled)
    if tracking:
        assert all("test_pending.py" in one.place for one in now.promises)
        assert all(0 <= one.age < 60 for one in now.promises)
    else:
        assert {(None, None)} == {(one.place, one.age) for one in now.promises}
    assert {"<Promise pending>"} == {one.repr for one in now.promises}


def test_a_snapshot(copy, scheduler):
    """The same as a `dict` that can be written as JSON."""
    outer = copy.defer()
    inner = outer.promise.then(print)
    now = snapshot(library=copy)
    first, second = number_of(outer.promise), number_of(inner)
    assert now == json.loads(json.dumps(now))
    assert {"time", "total", "shown", "sampled", "promises", "cycles"} == now.keys()
    assert (2, 2, False, []) == (now["total"], now["shown"], now["sampled"], now["cycles"])
    record = {"repr": "<Promise pending>", "state": "pending", "place": None, "age": None}
    text = "resolve() or reject(), which have not been called"
    assert [
        record
        | {"id": first, "name": "promise", "coroutine": [], "waited_for_by": [second]}
        | {"waits_for": [{"text": text, "id": None}]},
        record
        | {"id": second, "name": "then(print)", "coroutine": [], "waited_for_by": []}
        | {"waits_for": [{"text": "promise", "id": first}]},
    ] == now["promises"]


def test_a_number_is_kept(copy, scheduler):
    """The same promise has the same number each time."""
    kept = [copy.defer() for _ in range(3)]
    numbers = [one.id for one in pending(library=copy).promises]
    assert numbers == [one.id for one in pending(library=copy).promises]
    assert numbers == [number_of(resolver.promise) for resolver in kept]


@pytest.mark.parametrize(
    ("take", "certain"), [(locking, True), (acquiring, False), (by_promises, False)]
)
@pytest.mark.parametrize("kind", [DeferredLock, lambda: DeferredSemaphore(1)])
def test_a_deadlock(copy, scheduler, take, certain, kind):
    """Two locks, taken in opposite order; without `async with` the holder is a guess."""
    first, second = kind(), kind()
    kept = [
        copy.resolve(take(copy, first, second)),
        copy.resolve(take(copy, second, first)),
        copy.resolve(take(copy, first, second)),
    ]
    scheduler.advance(1)
    now = pending(library=copy)
    coroutines = {one.id for one in now.promises if one.coroutine}
    (cycle,) = now.cycles
    assert {number_of(promise) for promise in kept[:2]} == coroutines.intersection(cycle)
    texts = [wait.text for one in now.promises for wait in one.waits_for if "Lock" in wait.text]
    texts += [wait.text for one in now.promises for wait in one.waits_for if "Sem" in wait.text]
    assert {certain} == {not text.endswith("holds it, it seems") for text in texts}
    assert certain is tree(kept[0]).startswith("They wait for each other: #")


class Account:
    def __init__(self, lock):
        self.lock = lock

    def leave(self):
        self.lock.release()


def in_attributes(lock):
    account = Account(lock)
    return lambda: account.lock.release()


RELEASES = {
    "a method": lambda lock: lock.release,
    "a function": lambda lock: lambda: lock.release(),
    "a default": lambda lock: lambda lock=lock: lock.release(),
    "a partial": lambda lock: partial(lock.release),
    "an attribute": in_attributes,
    "a method of an object": lambda lock: Account(lock).leave,
}


@pytest.mark.parametrize("diagnostics", [False, True])
@pytest.mark.parametrize("way", RELEASES)
def test_a_deadlock_of_chains(copy, scheduler, way, diagnostics):
    """The handler that will release a lock is looked at, whether `finally_` or `then` has it."""
    copy.config(long_stack_traces=diagnostics)
    first, second = DeferredLock(), DeferredLock()

    def move(one, other):
        return (
            copy.from_deferred(one.acquire())
            .then(lambda _: copy.delay(1))
            .then(lambda _: copy.from_deferred(other.acquire()).finally_(RELEASES[way](other)))
        )

    def by_then(one, other):
        release = RELEASES[way](one)
        return move(one, other).then(lambda _: release())

    kept = [move(first, second).finally_(RELEASES[way](first)), by_then(second, first)]
    scheduler.advance(1)
    (cycle,) = pending(library=copy).cycles
    assert set(map(number_of, kept)) <= set(cycle)
    assert tree(kept[0]).startswith("They wait for each other, it seems: #")


def test_a_chain_that_only_uses_a_lock(copy, scheduler):
    """It holds nothing: its handler takes the lock itself, or it waits for it."""
    lock = DeferredLock()

    def use(_):
        lock.acquire()
        lock.release()

    lock.acquire()
    kept = [
        copy.defer().promise.then(use),
        copy.from_deferred(lock.acquire()).finally_(lock.release),
    ]
    texts = [wait.text for one in pending(library=copy).promises for wait in one.waits_for]
    assert "a DeferredLock, with 1 waiting" in texts
    del kept


def test_a_resource_of_using(copy, scheduler):
    """What the release of a disposer refers to is held."""
    lock = DeferredLock()
    disposer = copy.from_deferred(lock.acquire()).disposer(lambda _: lock.release())
    kept = [
        copy.using(disposer, lambda _: copy.defer().promise),
        copy.from_deferred(lock.acquire()),
    ]
    scheduler.flush()
    texts = [wait.text for one in pending(library=copy).promises for wait in one.waits_for]
    number = number_of(kept[0])
    assert f"a DeferredLock, with 1 waiting; using #{number} holds it, it seems" in texts


def test_a_lock_that_is_entered_twice(copy, scheduler):
    """A coroutine that waits for what it holds itself: a circle of one."""
    lock = DeferredLock()

    async def twice():
        async with lock, lock:
            pass

    kept = copy.resolve(twice())
    assert ((number_of(kept),),) == pending(library=copy).cycles


def test_a_lock_in_attributes_of_an_object(copy, scheduler):
    """They are found there, too."""

    class Account:
        def __init__(self):
            self.lock = DeferredLock()

        async def move(self, to):
            await self.lock.acquire()
            try:
                await copy.delay(1)
                await to.take()
            finally:
                self.lock.release()

        async def take(self):
            await self.lock.acquire()
            self.lock.release()

    one, other = Account(), Account()
    kept = copy.resolve(one.move(other)), copy.resolve(other.move(one))
    scheduler.advance(1)
    assert [set(map(number_of, kept))] == list(map(set, pending(library=copy).cycles))


def test_a_lock_in_a_closure_and_a_global(copy, scheduler):
    """They are found there, too; and a variable that is not set does not matter."""
    lock = DeferredLock()

    async def closed_over():
        await lock.acquire()
        try:
            await copy.defer().promise
        finally:
            lock.release()
            if lock.locked is None:
                print(unset)

    async def of_module():
        await LOCK.acquire()
        try:
            await copy.defer().promise
        finally:
            LOCK.release()

    kept = [copy.resolve(closed_over()), copy.resolve(of_module())]
    waiting = [copy.from_deferred(lock.acquire()), copy.from_deferred(LOCK.acquire())]
    now = pending(library=copy)
    ids = {number_of(promise): one for promise, one in zip(waiting, kept, strict=True)}
    for one in now.promises:
        if one.id in ids:
            assert number_of(ids[one.id]) == one.waits_for[0].id
    if not kept:
        unset = 1
    LOCK.release()


LOCK = DeferredLock()


def test_a_function_on_the_stack(copy, scheduler):
    """From Python 3.14 on, what leaves a context manager is there beside the lock."""
    lock = DeferredLock()

    async def inside():
        exit_, entered = DeferredLock.__aexit__, lock
        await copy.defer().promise
        del exit_, entered

    lock.acquire()
    kept = copy.resolve(inside())
    waiting = copy.from_deferred(lock.acquire())
    texts = [wait.text for one in pending(library=copy).promises for wait in one.waits_for]
    number = number_of(kept)
    holds = f"coroutine {inside.__qualname__} #{number} holds it"
    assert f"a DeferredLock, with 1 waiting; {holds}" in texts
    del waiting


def test_many_locks_in_a_row(copy, scheduler):
    """The way to who holds what is followed for some rounds."""
    locks = [DeferredLock() for _ in range(12)]
    locks[-1].acquire()
    kept = [copy.resolve(locking(copy, *two)) for two in pairwise(locks)]
    scheduler.advance(1)
    assert 11 == pending(library=copy).total
    lines = tree(kept[0]).splitlines()
    assert 6 == len([line for line in lines if "DeferredLock" in line])


def test_few_are_looked_at(copy, scheduler, monkeypatch):
    """To find who holds a lock among very many takes too long."""
    monkeypatch.setattr(holders, "_MANY", 0)
    lock = DeferredLock()
    kept = [copy.resolve(locking(copy, lock, lock)) for _ in range(2)]
    scheduler.advance(1)
    texts = [wait.text for one in pending(library=copy).promises for wait in one.waits_for]
    assert ["a DeferredLock, with 2 waiting"] * 2 == texts
    del kept


def test_holders_that_are_changing(copy, scheduler, monkeypatch):
    """Who holds a lock is not known then."""

    def fail(*_):
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(records, "find_holders", fail)
    lock = DeferredLock()
    lock.acquire()
    kept = copy.from_deferred(lock.acquire())
    (record,) = pending(library=copy).promises
    assert ("a DeferredLock, with 1 waiting",) == tuple(one.text for one in record.waits_for)
    del kept


def test_without_the_collector(copy, scheduler):
    """It stays switched off, and promises are found all the same."""
    kept = copy.defer()
    assert 1 == pending(library=copy).total
    assert not gc.isenabled()
    del kept


def test_a_limiter_within_itself(copy, scheduler):
    """Work that waits for a slot of the limiter that it is in: a deadlock, too."""
    limiter = Limiter(1, library=copy)

    async def outer():
        await limiter.run(print)

    kept = limiter.run(outer)
    scheduler.flush()
    now = pending(library=copy)
    assert 1 == len(now.cycles), now
    del kept


def test_inside_a_limiter(copy, scheduler):
    """A coroutine that has entered a limiter holds a slot."""
    limiter = Limiter(1, library=copy)

    async def inside():
        async with limiter:
            await copy.defer().promise

    kept = [copy.resolve(inside()), limiter.run(print)]
    scheduler.flush()
    (waits,) = next(
        one for one in pending(library=copy).promises if "Limiter" in one.name
    ).waits_for
    assert number_of(kept[0]) == waits.id


def test_a_promise_that_waits_for_itself(copy, scheduler):
    """It is a circle of one."""
    made = []

    async def waiting():
        await copy.delay(1)
        await made[0].then()

    made.append(copy.resolve(waiting()))
    scheduler.advance(1)
    now = pending(library=copy)
    assert [2] == [len(cycle) for cycle in now.cycles]


def test_others_are_waited_for(copy, scheduler):
    """Promises behind Deferreds, futures and coroutines that a promise waits for."""
    inner = copy.defer()
    outer = copy.from_deferred(inner.promise.to_deferred())
    now = pending(library=copy)
    first, second = now.promises
    assert (second.id,) == first.waited_for_by
    assert first.id == second.waits_for[0].id
    del outer


@pytest.mark.parametrize("limit", [1, 5, 10, None])
def test_a_limit(copy, scheduler, limit):
    """So many are shown, evenly from all, each with what it waits for; and it is said."""
    kept = [copy.defer() for _ in range(10)]
    handled = [one.promise.then(print) for one in kept]
    now = pending(limit=limit, library=copy)
    assert (20, limit or 20, limit is not None) == (now.total, len(now.promises), now.sampled)
    del handled


def test_very_many(copy, scheduler, monkeypatch):
    """Of very many not each is looked at, and the total is about right; unless all are wanted."""
    monkeypatch.setattr(finding, "ENOUGH", 100)
    kept = [copy.defer() for _ in range(2000)]
    now = pending(library=copy)
    assert (True, 200) == (now.sampled, len(now.promises))
    assert 1000 < now.total < 4000
    everything = pending(limit=None, library=copy)
    assert (2000, 2000, False) == (everything.total, len(everything.promises), everything.sampled)
    del kept


def test_few_among_many_that_have_settled(copy, scheduler, monkeypatch):
    """These do not count when it comes to what is too many: no sample is taken."""
    monkeypatch.setattr(finding, "ENOUGH", 2)
    settled = [copy.resolve(number) for number in range(50)]
    kept = copy.defer().promise, copy.defer().promise
    assert list(kept) == finding.find_pending(copy).promises
    del settled


def test_the_oldest_come_first(copy, scheduler):
    """Whatever generation of the collector they are in."""
    made = []
    for generation in (1, 0, None):
        made += [copy.defer().promise, copy.defer().promise]
        if generation is not None:
            gc.collect(generation)
    assert made == finding.find_pending(copy).promises


def test_many_items(copy, scheduler):
    """Of what one promise waits for, and of what waits for it, the first are shown."""
    resolver = copy.defer()
    kept = [resolver.promise.then(print) for _ in range(50)]
    whole = copy.all(kept)
    now = pending(library=copy)
    record = now.promises[-1]
    assert "all" == record.name
    assert (21, "and others") == (len(record.waits_for), record.waits_for[-1].text)
    # Those that are shown are known by what they wait for.
    assert 50 == len(now.promises[0].waited_for_by)
    del whole


def test_the_library_of_others(copy, scheduler):
    """By default promises of all copies are found."""
    kept = copy.defer().promise, Promise.defer().promise
    shown = {one.id for one in pending(limit=None).promises}
    assert {number_of(promise) for promise in kept} <= shown
    assert [number_of(kept[0])] == [one.id for one in pending(library=copy).promises]


def test_what_has_settled_is_not_shown(copy, scheduler):
    """Nor what follows that; nor what the library makes for itself."""
    settled = copy.resolve(1), copy.reject(ValueError()).suppress_unhandled_rejections()
    resolver, follower = copy.defer(), copy.defer()
    follower.resolve(resolver.promise)
    resolver.resolve(1)
    assert () == pending(library=copy).promises
    del settled


def test_bypassed_promises(copy, scheduler):
    """A loop without end: those that were bypassed wait for what the last follows."""
    last = copy.defer()
    chain = [copy.defer() for _ in range(3)]
    for before, after in pairwise(chain):
        before.resolve(after.promise)
    chain[-1].resolve(last.promise)
    now = pending(library=copy)
    follows = [one.waits_for[0] for one in now.promises if one.state == "following"]
    assert [("it follows: promise", number_of(last.promise))] * 3 == [
        (one.text, one.id) for one in follows
    ]


def test_what_is_being_cancelled(copy, scheduler):
    """It says so, until its clean-up has ended."""

    async def cleaning():
        try:
            await copy.defer().promise
        finally:
            await copy.delay(3)

    kept = copy.resolve(cleaning())
    kept.cancel()
    scheduler.flush()
    first = next(one for one in pending(library=copy).promises if one.coroutine)
    assert ("cancelling", "<Promise cancelled>") == (first.state, first.repr)
    scheduler.advance(3)
    assert () == pending(library=copy).promises


@pytest.mark.parametrize("slots", [{}, {"_state": PENDING}, {"_state": PENDING, "_aux": None}])
def test_a_promise_that_is_being_made(copy, scheduler, slots):
    """A signal may come then: it is left out."""
    half = copy._new()
    for slot, value in slots.items():
        setattr(half, slot, value)
    kept = copy.defer()
    assert [number_of(kept.promise)] == [one.id for one in pending(library=copy).promises]
    del half


def test_a_promise_that_is_changing(copy, scheduler, monkeypatch):
    """What cannot be said at the moment is left out."""

    def fail(*_):
        raise RuntimeError("dictionary changed size during iteration")

    for name in ("waits_of", "waiters_of", "coroutine_of", "name"):
        monkeypatch.setattr(records, name, fail)
    kept = copy.defer()
    (record,) = pending(library=copy).promises
    assert ("promise", ("it is changing just now",)) == (
        record.name,
        tuple(wait.text for wait in record.waits_for),
    )
    del kept


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), ("all", TypeError)])
def test_no_limit(limit, error):
    """A limit is 1 or more."""
    with pytest.raises(error, match="limit must be"):
        pending(limit=limit)


def test_no_promise_is_kept(copy, scheduler):
    """Nor consumed: what is looked at is collected as ever."""
    kept = copy.defer()
    assert 1 == pending(library=copy).total
    del kept
    gc.collect()
    assert 0 == pending(library=copy).total


class Local:
    """What a function that looks refers to."""


def test_what_its_callers_refer_to_is_not_kept(copy, scheduler):
    """No frame refers to itself: else all that is on the stack would wait for the collector."""

    def look():
        local = Local()
        pending(library=copy)
        return weakref.ref(local)

    assert look()() is None


def test_what_a_thread_refers_to_is_not_kept(copy, scheduler):
    """The same, in a thread that looks at what it does itself."""
    seen = []

    def work():
        local = Local()
        seen.extend((weakref.ref(local), pending(library=copy)))

    calls = []
    scheduler.call_in_thread = calls.append
    kept = copy.in_thread(work)
    scheduler.flush()
    calls.pop()()
    scheduler.flush()
    assert kept.is_fulfilled()
    found, now = seen
    assert found() is None
    texts = [wait.text for one in now.promises for wait in one.waits_for]
    assert any(text.endswith("a thread, or an executor, which runs it") for text in texts), texts


class Node(int):
    """A node that counts how often it is compared with another."""

    compared = 0
    __hash__ = int.__hash__

    def __eq__(self, other):
        Node.compared += 1
        return int(self) == int(other)


def test_cycles_are_found_in_long_chains():
    """It takes a time in proportion to the length, not to its square."""
    nodes = [Node(number) for number in range(300)]
    edges = {node: nodes[node + 1 : node + 2] for node in nodes}
    edges[nodes[-1]] = [nodes[-2]]
    Node.compared = 0
    assert [[298, 299]] == find_cycles(edges)
    assert 600 > Node.compared


@pytest.mark.parametrize("work", ["before", "after"])
def test_what_a_cancellation_waits_for(copy, scheduler, work):
    """The clean-up that a handler of `lastly` has returned, also when it was begun by that."""
    cleaned = Deferred()
    first = copy.delay(1) if work == "before" else copy.resolve()
    kept = first.lastly(lambda: cleaned)
    if work == "after":
        scheduler.flush()
    kept.cancel()
    scheduler.flush()
    (record,) = pending(library=copy).promises
    assert ("finally_ or tap", "cancelling") == (record.name, record.state)
    text = "its handler: a Deferred without a canceller, which has not fired"
    assert [text] == [wait.text for wait in record.waits_for]
    cleaned.callback(None)
    scheduler.flush()
    assert () == pending(library=copy).promises


async def twisted_locking(cls, first, second):
    """As `locking`, with what Twisted can wait for."""
    async with first:
        await cls.delay(1).to_deferred()
        async with second:
            pass


@inlineCallbacks
def twisted_generator(cls, first, second):
    """As `acquiring`, with what Twisted can wait for."""
    yield first.acquire()
    try:
        yield cls.delay(1).to_deferred()
        yield second.acquire()
    finally:
        first.release()


@inlineCallbacks
def nested(cls, first, second):
    """Another coroutine waits for that."""
    yield twisted_generator(cls, first, second)


@pytest.mark.parametrize(
    ("take", "certain"),
    [
        (lambda *given: ensureDeferred(twisted_locking(*given)), True),
        (twisted_generator, False),
        (nested, False),
    ],
)
def test_a_deadlock_of_coroutines_that_twisted_runs(copy, scheduler, take, certain):
    """Two locks, taken in opposite order by what promises were made of."""
    first, second = DeferredLock(), DeferredLock()
    kept = [copy.resolve(take(copy, first, second)), copy.resolve(take(copy, second, first))]
    scheduler.advance(1)
    now = pending(library=copy)
    assert ((number_of(kept[0]), number_of(kept[1])),) == now.cycles
    texts = [wait.text for one in now.promises for wait in one.waits_for]
    assert {certain} == {text.endswith("holds it") for text in texts}, texts


@pytest.mark.parametrize("kind", [asyncio.Lock, asyncio.Semaphore])
@pytest.mark.parametrize("task", [False, True])
@pytest.mark.parametrize(("take", "certain"), [(async_locking, True), (async_acquiring, False)])
def test_a_deadlock_of_locks_of_asyncio(kind, task, take, certain):
    """Two of them, taken in opposite order by coroutines, or by tasks that promises wait for."""

    async def main():
        copy = Promise.get_new_library_copy()
        async with use_running_loop(copy):
            first, second = kind(), kind()
            locked = [asyncio.Event(), asyncio.Event()]
            works = [take(first, second, *locked), take(second, first, *reversed(locked))]
            tasks = list(map(asyncio.create_task, works)) if task else works
            kept = [copy.resolve(work) for work in tasks]
            # The second one has the first go on, in the next turns.
            for _ in range(9):
                await asyncio.sleep(0)
            now = pending(library=copy)
            for promise in kept:
                promise.cancel()
        return [number_of(promise) for promise in kept], now

    numbers, now = asyncio.run(main())
    assert (tuple(numbers),) == now.cycles
    texts = [wait.text for one in now.promises for wait in one.waits_for]
    assert {certain} == {text.endswith("holds it") for text in texts}, texts


@pytest.mark.parametrize("library", [5, int, object()])
def test_no_library_copy(library):
    """The error names it, also from `snapshot`."""
    for look in (pending, snapshot):
        with pytest.raises(TypeError, match="library must be a library copy or None, not "):
            look(library=library)


class Long:
    """Has a long repr, and is called after it."""

    def __repr__(self):
        return "x" * 10**6


def test_long_texts(copy, scheduler):
    """They are cut: names, reprs of promises, keys of `props`; and a name stays on its line."""

    def handler(value):
        raise AssertionError(value)

    handler.__qualname__ = "\n" * 10**6
    kept = [copy.props({Long(): Deferred()}), copy.defer().promise.then(handler)]
    for one in pending(library=copy).promises:
        texts = [one.name, one.repr, *(wait.text for wait in one.waits_for)]
        assert 600 > max(map(len, texts))
        assert one.name.isprintable()
    assert 2 == len(kept)


class Slotted:
    """Has no attributes, and says so by an error of its own."""

    __slots__ = ()

    def __getattr__(self, name):
        raise RuntimeError("working outside of a request")


class Proxy:
    """As the local proxies of web frameworks outside of a request; or it would make a query."""

    @property
    def __dict__(self):
        raise RuntimeError("working outside of a request")


@pytest.mark.parametrize("make", [Slotted, Proxy])
def test_objects_are_asked_nothing(copy, scheduler, make):
    """A deadlock is found, and a Deferred's canceller, whatever these refer to."""
    hostile = make()

    async def take(first, second, other):
        async with first:
            await copy.delay(1)
            async with second:
                raise AssertionError(other)

    first, second = DeferredLock(), DeferredLock()
    works = [take(first, second, hostile), take(second, first, hostile)]
    kept = [*map(copy.resolve, works), copy.resolve(Deferred(lambda _: hostile))]
    scheduler.advance(1)
    now = pending(library=copy)
    one, other, cancellable = map(number_of, kept)
    assert ((one, other),) == now.cycles
    (record,) = [each for each in now.promises if each.id == cancellable]
    assert "<lambda>" in record.waits_for[0].text


def test_locks_of_others(copy, scheduler):
    """Of what has an `acquire` of its own nothing is known but what that waits for."""

    class Own:
        async def acquire(self):
            await Deferred()

        def release(self):
            """Never called."""

    lock = DeferredLock()
    lock.acquire()
    kept = [
        copy.resolve(Own().acquire()),
        copy.resolve(lock.acquire()),
        copy.resolve(ensureDeferred(nothing(copy.defer().promise))),
    ]
    records = {one.id: one for one in pending(library=copy).promises}
    texts = [records[number_of(promise)].waits_for[0].text for promise in kept]
    assert "a Deferred without a canceller, which has not fired" == texts[0]
    assert "a DeferredLock, with 1 waiting" == texts[1]
    assert texts[2].endswith("in nothing: promise")


async def nothing(promise):
    """Waits for a promise; Twisted runs it."""
    await promise


def test_coroutines_of_twisteds_in_a_circle(copy, scheduler):
    """It ends, also if they cannot be seen into."""
    statuses = [_CancellationStatus(Deferred()) for _ in range(2)]
    made = list(map(_cancelled_by, statuses))
    statuses[0].waitingOn, statuses[1].waitingOn = made[1], made[0]
    lock = DeferredLock()
    lock.acquire()
    kept = [copy.resolve(made[0]), copy.resolve(lock.acquire())]
    assert 2 == len(pending(library=copy).promises) == len(kept)


def _cancelled_by(status):
    """What Twisted returns for a coroutine."""
    return Deferred(lambda _: status)
