"""Long and endless chains of promises: linear work, no recursion, constant memory."""

from __future__ import annotations

import gc
import sys
import weakref
from itertools import pairwise
from random import Random
from time import process_time

import pytest

from benchmarks.by_hand import instructions_in
from tests.support.promises import pending
from twpromise import Promise

pytestmark = [pytest.mark.exhaustive, pytest.mark.usefixtures("scheduler")]


# --- long chains


def follow_the_one_before(length):
    """Each promise is resolved with the one made before it; the first settles last."""
    first, settle, _ = pending()
    promise = first
    for _ in range(length):
        following, resolve, _ = pending()
        resolve(promise)
        promise = following
    return settle, promise


def follow_the_one_after(length):
    """Each promise is resolved with the one made after it; the last settles last."""
    first, resolve, _ = pending()
    for _ in range(length):
        promise, resolve_next, _ = pending()
        resolve(promise)
        resolve = resolve_next
    return resolve, first


def follow_the_one_after_with_consumers(length):
    """The same, with a handler attached to each of them."""
    first, resolve, _ = pending()
    for _ in range(length):
        promise, resolve_next, _ = pending()
        promise.then(str)
        resolve(promise)
        resolve = resolve_next
    return resolve, first


def resolve_from_the_end(length):
    """All promises are made first, and then resolved with their neighbours, from the end."""
    promises = [pending() for _ in range(length + 1)]
    for (promise, *_), (_, resolve, _) in pairwise(promises):
        resolve(promise)
    return promises[0][1], promises[-1][0]


def with_cancel_hooks(length):
    """As `follow_the_one_before`, by executors that take `on_cancel`."""
    first, settle, _ = pending()
    promise = first
    for _ in range(length):
        promise = hooked(promise)
    return settle, promise


def hooked(promise):
    """A promise with a cancel hook that is resolved with another one."""

    def executor(resolve, reject, on_cancel):
        on_cancel(str)
        resolve(promise)

    return Promise(executor)


def chain_of_thens(length):
    """A chain of `then`, all attached before the first settles."""
    first, settle, _ = pending()
    promise = first
    for _ in range(length):
        promise = promise.then(None, str)
    return settle, promise


def nested_handlers(length):
    """Handlers that return the promise of the next handler, which does the same."""
    first, settle, _ = pending()

    def step(count):
        return count if count == 0 else Promise.resolve(count - 1).then(step)

    return lambda value: settle(length), first.then(step)


CHAINS = [
    follow_the_one_before,
    follow_the_one_after,
    follow_the_one_after_with_consumers,
    resolve_from_the_end,
    with_cancel_hooks,
    chain_of_thens,
    nested_handlers,
]


@pytest.fixture
def _untraced():
    """Without the coverage tool, which would make a million rounds slow."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_chain_of_100_000_settles(scheduler, chain):
    """However it is built, it neither recurses nor fails."""
    settle, promise = chain(100_000)
    assert promise.is_pending()
    settle(0)
    scheduler.flush()
    assert 0 == promise.value()


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_chain_takes_linear_work(scheduler, chain):
    """Twice the length executes twice the instructions, to build and to settle."""

    def run(length):
        settle, promise = chain(length)
        promise.is_pending()
        settle(0)
        scheduler.flush()
        assert 0 == promise.value()

    run(10)
    once, twice = (instructions_in(lambda n=n: run(n)).total() for n in (1_000, 2_000))
    assert 2.1 > twice / once


@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_pending_chain_of_100_000_is_freed(chain):
    """A chain that never settles is freed without recursion, however it is built."""
    settle, promise = chain(100_000)
    reference = weakref.ref(promise)
    del settle, promise
    gc.collect()
    assert None is reference()


# --- endless loops


def _blocks_after(scheduler, step, rounds):
    """How many blocks of memory a loop allocates between its round 1,000 and its end.

    *step* gets a function that counts a round, and that returns whether there is another one.
    """
    count, blocks = 0, {}

    def another():
        nonlocal count
        count += 1
        if count in (1_000, rounds):
            blocks[count] = sys.getallocatedblocks()
        return count < rounds

    gc.disable()
    try:
        promise = step(another)
        seen = []
        promise.then(seen.append)
        promise.then(seen.append)
        del promise
        scheduler.flush()
    finally:
        gc.enable()
    assert ["the end"] * 2 == seen
    return blocks[rounds] - blocks[1_000]


def loop_of_handlers(another):
    """Each handler returns a pending promise, which is resolved later with the next round's.

    The promise that a handler made is followed before it follows itself.
    """

    def step(_):
        return Promise.resolve().then(step) if another() else "the end"

    return Promise.resolve().then(step)


def loop_of_functions(another):
    """Each round is resolved with a promise that follows another one already."""

    @Promise.method
    def step():
        return Promise.resolve().then(lambda _: step()) if another() else "the end"

    return step()


def loop_of_failing_steps(another):
    """Each round takes several steps, one of which fails."""

    def step(_):
        if another():
            return Promise.resolve().then(fail_once).finally_(int).then(None, step)
        return "the end"

    def fail_once(_):
        raise ValueError("again")

    return Promise.resolve().then(step)


@pytest.mark.usefixtures("_untraced", "context")
@pytest.mark.parametrize(
    ("loop", "rounds"),
    [(loop_of_handlers, 1_000_000), (loop_of_functions, 20_000), (loop_of_failing_steps, 20_000)],
)
def test_an_endless_loop_stays_in_constant_memory(scheduler, loop, rounds):
    """With consumers that wait for its end, and without the garbage collector."""
    assert 500 > _blocks_after(scheduler, loop, rounds)


# --- many subscribers


def test_consumers_that_leave_do_not_pile_up(scheduler):
    """A promise that stays pending drops subscribers that were cancelled."""
    promise, _, _ = pending()
    promise.then(str)
    for number in range(20_000):
        if number == 1_000:
            blocks = sys.getallocatedblocks()
        promise.then(str).cancel()
    scheduler.flush()
    assert 500 > sys.getallocatedblocks() - blocks


def timeit_once(function):
    """How long a call takes, in seconds of the processor."""
    began = process_time()
    function()
    return process_time() - began


LEAVING_ORDERS = {
    "first come, first gone": lambda children: children,
    "last come, first gone": lambda children: children[::-1],
    "outside in": lambda children: [
        children[-1 - place // 2 if place % 2 else place // 2] for place in range(len(children))
    ],
    "shuffled": lambda children: Random(1).sample(children, len(children)),
}


@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("order", LEAVING_ORDERS)
def test_subscribers_that_leave_one_by_one_take_linear_work(scheduler, order):
    """In instructions, and in time, which also counts the steps within dicts; no recursion.

    The last one cancels the promise.
    """

    def leave(count, measure):
        promise, *_ = pending()
        children = LEAVING_ORDERS[order]([promise.then() for _ in range(count)])

        def cancel_all_but_one():
            for child in children[:-1]:
                child.cancel()

        cost = measure(cancel_all_but_one)
        assert promise.is_pending()
        children[-1].cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        return cost

    few, many = (leave(n, lambda do: instructions_in(do).total()) for n in (500, 5_000))
    assert 10.5 > many / few
    few, many = (leave(n, timeit_once) for n in (10_000, 100_000))
    # A quadratic algorithm takes 100 times as long.
    assert 40 > many / few
