"""What a promise waits for, and what it is called: one program for each kind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import threading
from functools import partial

import pytest
from twisted.internet import defer, task
from twisted.internet.defer import (
    Deferred,
    DeferredList,
    DeferredLock,
    DeferredQueue,
    DeferredSemaphore,
    ensureDeferred,
    inlineCallbacks,
)

from twpromise import Deadline, Promise, PromiseGroup, batch
from twpromise._core.settling import finish_cancel, start_cancelling
from twpromise._debugging.things import look_at
from twpromise.debugging import pending
from twpromise.loops import use_running_loop

NEVER = "resolve() or reject(), which have not been called"


def never(cls):
    """A promise that nothing settles."""
    return cls.defer().promise


async def waiting(promise):
    await promise


def follower(cls):
    resolver = cls.defer()
    resolver.resolve(never(cls))
    return resolver.promise


def twisted_coroutine(cls):
    async def fetch():
        await Deferred()

    return cls.from_deferred(ensureDeferred(fetch()))


def twisted_generator(cls):
    @inlineCallbacks
    def fetch():
        yield Deferred()

    return cls.from_deferred(fetch())


def twisted_coroutine_of_a_promise(cls):
    return cls.from_deferred(ensureDeferred(waiting(never(cls))))


def deferred_list(cls):
    done = defer.succeed(1)
    return cls.from_deferred(DeferredList([done, Deferred()]))


def taken_lock(cls):
    lock = DeferredLock()
    lock.acquire()
    return cls.from_deferred(lock.acquire())


def taken_semaphore(cls):
    semaphore = DeferredSemaphore(1)
    semaphore.acquire()
    return cls.from_deferred(semaphore.acquire())


def of_a_generator(cls):
    def generator():
        yield never(cls)

    return cls.coroutine(generator)()


async def cleaning(cls):
    try:
        await never(cls)
    finally:
        await Deferred()


def cancelled(cls):
    """A coroutine that cleans up."""
    promise = cls.resolve(cleaning(cls))
    promise.cancel()
    return promise


class Thenable:
    """It calls nothing back."""

    def then(self, resolve, reject):
        """Nothing."""


def using(cls, step):
    """`using`, up to one of its steps."""
    acquired = never(cls) if step == "acquire" else cls.resolve(1)
    release = (lambda _: never(cls)) if step == "release" else (lambda _: None)
    return cls.using(acquired.disposer(release), lambda _: never(cls) if step == "use" else None)


def running_thread(cls):
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    return cls.resolve(future)


def used_on(cls, work):
    """`using`, whose handler has given up some work that goes on, and which is cancelled."""
    disposer = cls.resolve(1).disposer(print)
    promise = cls.using(disposer, lambda _: work.timeout(0).catch(lambda _: never(cls)))
    cls._queue.scheduler.advance(0)
    promise.cancel()
    return promise


def bound(cls):
    return cls.resolve(1).bind(never(cls))


def opened_group(cls):
    group = PromiseGroup(library=cls)
    group.start_soon(never, cls)
    cls.group = group


async def left_group(cls):
    async with PromiseGroup(library=cls) as group:
        group.start_soon(never, cls)


def batched(cls, size):
    load = batch(lambda items: never(cls), size=size, library=cls, wait=3)
    return load(1)


async def completing(cls):
    async for _ in cls.as_completed([never(cls), 1]):
        pass


async def items(cls):
    yield 1
    await never(cls)


PLACE = r'File ".*", line \d+, in '

#: What is made; what it waits for, as patterns.
KINDS = {
    "a resolver": (never, [re.escape(NEVER)]),
    "a callback": (
        lambda cls: cls.promisify(lambda callback: None)(),
        ["a callback, which has not been called"],
    ),
    "an executor": (lambda cls: cls(lambda resolve, reject: None), [re.escape(NEVER)]),
    "a handler": (lambda cls: never(cls).then(print, list), ["promise"]),
    "a handler that runs": (
        lambda cls: cls.resolve(1).then(print),
        ["what has settled: a handler is queued, or runs"],
    ),
    "following": (follower, [r"it follows: promise"]),
    "a thenable": (
        lambda cls: cls.resolve(Thenable()),
        ["an object with a `then` method, which has not called back"],
    ),
    "a Deferred": (
        lambda cls: cls.from_deferred(Deferred()),
        ["a Deferred without a canceller, which has not fired"],
    ),
    "a Deferred with a canceller": (
        lambda cls: cls.from_deferred(Deferred(lambda d: None)),
        [r"a Deferred, which .*<lambda> \(.*test_waiting.py:\d+\) cancels"],
    ),
    "a Deferred with a canceller in C": (
        lambda cls: cls.from_deferred(Deferred([].append)),
        ["a Deferred, which list.append cancels"],
    ),
    "a Deferred with a timer": (
        lambda cls: cls.from_deferred(task.deferLater(cls.clock, 7)),
        ["a Deferred, which a timer, due in 7 s fires"],
    ),
    "a Deferred of a promise": (
        lambda cls: cls.from_deferred(never(cls).to_deferred()),
        ["a Deferred: promise"],
    ),
    "a coroutine of Twisted's": (
        twisted_coroutine,
        [f".*fetch, a coroutine that Twisted runs, at {PLACE}fetch: a Deferred without .*"],
    ),
    "a generator of Twisted's": (
        twisted_generator,
        [f".*fetch, a coroutine that Twisted runs, at {PLACE}fetch: a Deferred without .*"],
    ),
    "a coroutine of Twisted's that awaits a promise": (
        twisted_coroutine_of_a_promise,
        [f"waiting, a coroutine that Twisted runs, at {PLACE}waiting: promise"],
    ),
    "a DeferredList": (
        deferred_list,
        [
            "a DeferredList: 1 of 2 items",
            "a DeferredList: item 1: a Deferred without a canceller.*",
        ],
    ),
    "a DeferredLock": (taken_lock, ["a DeferredLock, with 1 waiting"]),
    "a DeferredSemaphore": (taken_semaphore, ["a DeferredSemaphore, with 1 waiting"]),
    "a DeferredQueue": (
        lambda cls: cls.from_deferred(DeferredQueue().get()),
        ["an item of a DeferredQueue, with 1 waiting"],
    ),
    "a timer": (lambda cls: cls.delay(5), ["a timer, due in 5 s"]),
    "a timer of an hour": (lambda cls: cls.delay(3600), ["a timer, due in 3600 s"]),
    "a delay of what is pending": (lambda cls: cls.delay(5, never(cls)), ["promise"]),
    "a timeout": (lambda cls: never(cls).timeout(5), ["promise", "a timer, due in 5 s"]),
    "a deadline": (
        lambda cls: never(cls).timeout(Deadline(9, library=cls)),
        ["promise", "a timer, due in 9 s"],
    ),
    "a coroutine": (lambda cls: cls.resolve(waiting(never(cls))), ["promise"]),
    "a coroutine of a Deferred": (
        lambda cls: cls.resolve(waiting(Deferred())),
        ["a Deferred without a canceller, which has not fired"],
    ),
    "a generator": (of_a_generator, ["promise"]),
    "a coroutine that cleans up": (
        cancelled,
        ["a Deferred without a canceller, which has not fired"],
    ),
    "an executor's future": (
        lambda cls: cls.resolve(concurrent.futures.Future()),
        ["work of a thread, or of an executor, which has not begun"],
    ),
    "all": (
        lambda cls: cls.all([never(cls), cls.resolve(1), 2, Deferred()]),
        ["2 of 4 items", "item 0: promise", "item 3: a Deferred without .*"],
    ),
    "all of what is pending": (lambda cls: cls.all(never(cls)), ["promise"]),
    "props": (
        lambda cls: cls.props({"name": never(cls)}),
        ["1 of 1 items", "item 'name': promise"],
    ),
    "race": (
        lambda cls: cls.race([never(cls), never(cls)]),
        ["item 0: promise", "item 1: promise"],
    ),
    "map": (
        lambda cls: cls.map([1, 2, 3], lambda _: never(cls), concurrency=2),
        [
            "2 results, at most 2 at once; 1 items are ready",
            "what was called for item 0: promise",
            "what was called for item 1: promise",
        ],
    ),
    "map of items that are pending": (
        lambda cls: cls.map([never(cls)], print),
        ["0 results; 0 items are ready", "item 0: promise"],
    ),
    "map of what is pending": (
        lambda cls: cls.map(never(cls), print),
        ["the collection: promise"],
    ),
    "map of an async iterator": (
        lambda cls: cls.map(items(cls), lambda _: 1),
        ["0 results; 0 items are ready", "the next item: coroutine .*"],
    ),
    "as_completed": (lambda cls: cls.resolve(completing(cls)), ["as_completed"]),
    "using, acquiring": (
        lambda cls: using(cls, "acquire"),
        ["resource 0: promise"],
    ),
    "using, in use": (
        lambda cls: using(cls, "use"),
        ["what is done with the resources: promise"],
    ),
    "using, in use by a thread": (
        lambda cls: used_on(cls, running_thread(cls)),
        ["a thread, or an executor, which runs it"],
    ),
    "using, in use by a clean-up": (
        lambda cls: used_on(cls, cls.resolve(cleaning(cls))),
        ["what still uses the resources: coroutine cleaning"],
    ),
    "using, releasing": (
        lambda cls: using(cls, "release"),
        ["the release of a resource: promise"],
    ),
    "finally_": (
        lambda cls: cls.resolve(1).finally_(lambda: never(cls)),
        ["its handler: promise"],
    ),
    "finally_ of what is pending": (lambda cls: never(cls).finally_(print), ["promise"]),
    "bind to a value that is there": (
        lambda cls: never(cls).bind(cls.resolve(1).then()),
        ["promise"],
    ),
    "bind": (bound, ["the value that is to be bound: promise"]),
    "a group": (opened_group, ["1 members, and is open", "promise"]),
    "a group that is left": (
        lambda cls: cls.resolve(left_group(cls)),
        ["the end of all: PromiseGroup"],
    ),
    "a batch that is collected": (
        lambda cls: batched(cls, 2),
        ["<batch of <lambda>: 1 queued, 0 running>"],
    ),
    "a batch that runs": (
        lambda cls: batched(cls, 1),
        ["a run of <lambda> with 1 items: promise"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_waits_for(copy, scheduler, waits, kind):
    """It is named, by what the promise itself knows."""
    make, expected = KINDS[kind]
    copy.clock = scheduler.clock
    kept = make(copy)
    if "handler that runs" not in kind:
        scheduler.flush()
    found = waits()
    assert len(expected) == len(found), found
    for pattern, text in zip(expected, found, strict=True):
        assert re.fullmatch(pattern, text), text
    del kept


def test_futures_of_asyncio(copy, scheduler, waits, loop):
    """A plain one by its type: its repr shows values; one that was made of a promise by that."""
    future = loop.create_future()
    kept = copy.resolve(future)
    (text,) = waits()
    assert "a Future" == text
    future.cancel()
    loop.run_until_complete(asyncio.sleep(0.001))
    scheduler.flush()
    assert kept.is_cancelled()
    of_promise = never(copy).to_future(loop)
    kept = copy.resolve(of_promise)
    assert ["a future: promise"] == waits()
    of_promise.cancel()
    loop.run_until_complete(asyncio.sleep(0.001))


def test_tasks_of_asyncio(copy, scheduler, waits, loop):
    """By their names, and the lines where they are; then what they wait for."""

    async def waiting_for_future():
        await asyncio.sleep(60)

    task_ = loop.create_task(waiting_for_future(), name="reader")
    kept = copy.resolve(task_)
    assert ["the task reader at"] == [re.sub(" at.*", " at", text) for text in waits()]
    loop.call_soon(loop.stop)
    loop.run_forever()
    (text,) = waits()
    assert re.fullmatch(f"the task reader at {PLACE}sleep: a Future", text), text
    task_.cancel()
    loop.run_until_complete(asyncio.gather(task_, return_exceptions=True))
    scheduler.flush()
    assert kept.is_cancelled()


def test_coroutines_that_are_tasks(scheduler):
    """On asyncio's loop: a future, the loop's next turn, another coroutine's task."""
    seen = []

    async def main():
        async with use_running_loop():
            copy = Promise.get_new_library_copy()

            async def inner():
                await future

            async def turning():
                await asyncio.sleep(0)

            async def outer():
                await task_

            future = asyncio.get_running_loop().create_future()
            one = copy.resolve(inner())
            task_ = next(each for each in asyncio.all_tasks() if "inner" in repr(each))
            kept = [one, copy.resolve(turning()), copy.resolve(outer()), copy.delay(9)]
            kept.append(copy.resolve(running()))
            for each in pending(library=copy).promises:
                seen.extend((each.name.split(".")[-1], wait.text) for wait in each.waits_for)
            future.set_result(None)
            await kept[0]
            await kept[2]

    async def running():
        for each in pending().promises:
            seen.extend(
                ("running", wait.text) for wait in each.waits_for if "which runs" in wait.text
            )

    asyncio.run(main())
    found = dict(seen)
    assert "the coroutine, which runs" == found["running"]
    assert "a Future" == found["inner"]
    assert "the next turn of the loop" == found["turning"]
    assert "coroutine" == found["outer"].split()[0]
    assert re.fullmatch(r"a timer, due in [\d.]+ s", found["delay"])


def test_work_in_threads(copy, scheduler, waits):
    """Before a thread has begun, and while it runs: with the line that it is at."""
    begun, end = threading.Event(), threading.Event()

    def work():
        begun.set()
        while not end.is_set():
            pass

    calls = []
    scheduler.call_in_thread = calls.append
    kept = copy.in_thread(work)
    (text,) = waits()
    assert text.endswith("work: work of a thread, or of an executor, which has not begun")
    thread = threading.Thread(target=calls[0])
    thread.start()
    begun.wait(10)
    (text,) = waits()
    end.set()
    thread.join()
    scheduler.flush()
    assert re.fullmatch(f".*work: a thread, which is at {PLACE}work|.*{PLACE}is_set", text), text
    assert kept.is_fulfilled()


def test_work_of_executors(copy, scheduler, waits):
    """Where it runs is not known."""
    future = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    kept = copy.resolve(future)
    assert ["a thread, or an executor, which runs it"] == waits()
    future.set_result(1)
    scheduler.flush()
    assert 1 == kept.value()


def test_a_queued_call(copy, scheduler):
    """What a group is to call is queued."""
    group = PromiseGroup(library=copy)
    kept = group.start_soon(print)
    texts = [wait.text for one in pending(library=copy).promises for wait in one.waits_for]
    assert ["1 members, and is open", "promise", "a call that is queued"] == texts
    scheduler.flush()
    assert kept.is_fulfilled()


def test_a_promise_that_is_cancelling_without_a_source(copy, scheduler):
    """Its clean-up goes on."""
    promise = never(copy)
    start_cancelling(promise)
    (record,) = pending(library=copy).promises
    assert ("its clean-up",) == tuple(wait.text for wait in record.waits_for)
    finish_cancel(promise)


def test_a_deferred_that_is_being_cancelled(copy, scheduler):
    """The canceller looks."""
    seen = []

    def canceller(deferred):
        seen.append(look_at(deferred).text)

    copy.from_deferred(Deferred(canceller)).cancel()
    assert ["canceller"] == re.findall("canceller", "".join(seen))


def test_coroutines_of_twisteds_that_cannot_be_seen_into(copy, scheduler):
    """One that runs; one whose coroutine is not known."""
    seen = []

    async def fetch():
        await first
        seen.append(look_at(outer).text)

    first = Deferred()
    outer = ensureDeferred(fetch())
    first.callback(None)

    status = defer._CancellationStatus(Deferred(), Deferred())
    other = Deferred(lambda deferred: status)
    assert "a coroutine that Twisted runs" == look_at(other).text
    status.waitingOn = None
    assert () == look_at(other).ahead
    assert "a coroutine that Twisted runs" in seen[0]


def test_an_empty_cell(copy, scheduler):
    """A canceller may refer to a variable that is not set yet."""
    deferred = Deferred(lambda deferred: unset)
    assert "cancels" in look_at(deferred).text
    unset = 1


def test_other_timers():
    """Of one that says nothing of when it is due the type is shown; one may be late."""

    class Timer:
        def __repr__(self):
            return "<a value>"

    class Late:
        def getTime(self):
            return 3

        def seconds(self):
            return 5

    assert "a Timer" == look_at(Timer()).text
    assert "a timer, due 2 s ago" == look_at(Late()).text


def test_deep_within(copy, scheduler):
    """What waits for what without end is followed for a while."""
    deferred = Deferred()
    inner = [copy.from_deferred(deferred)]
    for _ in range(50):
        inner.append(copy.resolve(1).finally_(lambda: inner[-1].to_deferred()))
        scheduler.flush()
    assert 50 < pending(library=copy).total


def test_names(copy, scheduler):
    """By the handlers, the coroutine, the function of a thread, or the method."""

    def handler(value):
        pass

    resolver = copy.defer()
    scheduler.call_in_thread = [].append
    kept = [
        resolver.promise.then(handler),
        resolver.promise.then(None, handler),
        resolver.promise.then(partial(handler)),
        resolver.promise.then(),
        resolver.promise.reflect(),
        resolver.promise.delay(1),
        copy.map_series([1], lambda _: Deferred()),
        copy.in_thread(handler),
        copy.resolve(concurrent.futures.Future()),
    ]
    name = handler.__qualname__
    names = [one.name for one in pending(library=copy).promises]
    assert [
        "promise",
        f"then({name})",
        f"then(None, {name})",
        f"then({name})",
        "then()",
    ] == names[:5]
    assert {"delay", "map_series", f"promise for {name}", "promise for a future"} <= set(names)
    del kept
