"""Trees of chains, collections, Deferreds and timers, cancelled at random."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import AlreadyCalledError, Deferred

from tests.support.promises import Boom
from twpromise import Promise
from twpromise.testing import ManualScheduler, PromiseChecks

#: How many trees grow of each example that hypothesis draws.
TREES = 25


class Forest:
    """Grows trees, and remembers what must be true of them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.scheduler = ManualScheduler()
        # Every promise that was made, and how the leaves are settled.
        self.promises: list[Promise] = []
        self.settle: list = []
        # How often each hook, and each `finally_`, has run.
        self.hooks: Counter = Counter()
        self.cleanups: Counter = Counter()
        self.made = 0

    def keep(self, promise: Promise) -> Promise:
        # Rejections that are read here are not the subject; one that no code could
        # read, inside of a collection, say, would be reported.
        promise.suppress_unhandled_rejections()
        self.promises.append(promise)
        return promise

    def number(self) -> int:
        self.made += 1
        return self.made

    # --- leaves

    def leaf(self) -> Promise:
        return self.keep(self.random.choice(LEAVES)(self))

    def executor(self) -> Promise:
        number = self.number()
        functions = []

        def execute(resolve, reject, on_cancel):
            functions.extend([lambda: resolve(number), lambda: reject(Boom(number))])
            on_cancel(lambda: self.hooks.update([number]))

        promise = Promise(execute)
        self.settle.append(self.random.choice(functions))
        return promise

    def deferred(self) -> Promise:
        number = self.number()
        deferred = Deferred(self.random.choice(CANCELLERS)(self, number))
        fire = self.random.choice([deferred.callback, lambda _: deferred.errback(Boom(number))])

        def settle():
            try:
                fire(number)
            except AlreadyCalledError:
                # It has a canceller, and was cancelled: firing it raises an error of Twisted's.
                assert deferred.called

        self.settle.append(settle)
        return Promise.from_deferred(deferred)

    def value(self) -> Promise:
        return Promise.resolve(self.number())

    def rejection(self) -> Promise:
        return Promise.reject(Boom(self.number()))

    def delay(self) -> Promise:
        return Promise.delay(self.random.random() * 3, self.number())

    # --- branches

    def tree(self, depth: int) -> Promise:
        if not depth or self.random.random() < 0.2:
            return self.leaf()
        return self.keep(self.random.choice(BRANCHES)(self, depth - 1))

    def some(self, depth: int) -> list[Promise]:
        """A few trees, or promises that have other consumers already."""
        return [
            self.random.choice(self.promises)
            if self.promises and self.random.random() < 0.3
            else self.tree(depth)
            for _ in range(self.random.randint(1, 3))
        ]

    def then(self, depth: int) -> Promise:
        return self.tree(depth).then(lambda value: value)

    def catch(self, depth: int) -> Promise:
        return self.tree(depth).catch(Boom, lambda error: 0)

    def nested(self, depth: int) -> Promise:
        return self.tree(depth).then(lambda _: self.tree(0))

    def follow(self, depth: int) -> Promise:
        followed = self.tree(depth)
        return Promise(lambda resolve, reject: resolve(followed))

    def finally_(self, depth: int) -> Promise:
        number = self.number()
        self.cleanups[number] = 0

        def cleanup():
            self.cleanups[number] += 1
            return self.random.choice([None, Promise.delay(0.5)])

        return self.tree(depth).finally_(cleanup)

    def all(self, depth: int) -> Promise:
        return Promise.all(self.some(depth))

    def all_settled(self, depth: int) -> Promise:
        return Promise.all_settled(self.some(depth))

    def any(self, depth: int) -> Promise:
        return Promise.any(self.some(depth))

    def race(self, depth: int) -> Promise:
        return Promise.race(self.some(depth))

    def map(self, depth: int) -> Promise:
        return Promise.map(self.some(depth), lambda _: self.tree(0), concurrency=2)

    def each(self, depth: int) -> Promise:
        return Promise.each(self.some(depth), lambda _: self.tree(0))

    def timeout(self, depth: int) -> Promise:
        return self.tree(depth).timeout(self.random.random() * 3)

    def later(self, depth: int) -> Promise:
        return self.tree(depth).delay(self.random.random())

    def to_deferred(self, depth: int) -> Promise:
        return Promise.from_deferred(self.tree(depth).to_deferred())

    def coroutine(self, depth: int) -> Promise:
        promises = self.some(depth)
        number = self.number()
        self.cleanups[number] = 0

        @Promise.coroutine
        def run():
            try:
                yield from promises
            finally:
                self.cleanups[number] += 1

        return run()

    def using(self, depth: int) -> Promise:
        number = self.number()

        def release(_):
            self.cleanups[number] += 1

        def acquired(value):
            # From now on it has to be released, once.
            self.cleanups[number] = 0
            return value

        resource = self.keep(self.tree(depth).then(acquired))
        return Promise.using(resource.disposer(release), lambda _: self.tree(0))

    # --- life

    def live(self) -> None:
        """A while, in which anything may happen; and in the end everything has."""
        for _ in range(self.random.randint(0, 6)):
            what = self.random.random()
            if what < 0.4:
                self.random.choice(self.promises).cancel()
            elif what < 0.7 and self.settle:
                self.settle.pop(self.random.randrange(len(self.settle)))()
            elif what < 0.85:
                self.scheduler.flush()
            else:
                self.scheduler.advance(self.random.random())
        for promise in reversed(self.promises):
            promise.cancel()
        self.scheduler.advance(1)
        while self.settle or self.scheduler.clock.getDelayedCalls():
            for settle in self.settle[:]:
                self.settle.remove(settle)
                settle()
            for promise in reversed(self.promises):
                promise.cancel()
            self.scheduler.advance(1)


LEAVES = [Forest.executor, Forest.deferred, Forest.value, Forest.rejection, Forest.delay]
BRANCHES = [
    Forest.then,
    Forest.catch,
    Forest.nested,
    Forest.follow,
    Forest.finally_,
    Forest.all,
    Forest.all_settled,
    Forest.any,
    Forest.race,
    Forest.map,
    Forest.each,
    Forest.timeout,
    Forest.later,
    Forest.to_deferred,
    Forest.coroutine,
    Forest.using,
]
CANCELLERS = [
    lambda forest, number: None,
    lambda forest, number: lambda _: forest.hooks.update([number]),
    lambda forest, number: (
        lambda deferred: (
            forest.hooks.update([number]),
            deferred.errback(Boom(number)),
        )
    ),
]


@pytest.mark.parametrize(
    "examples", [8, pytest.param(400, marks=pytest.mark.exhaustive)], ids="{} examples".format
)
def test_randomly_cancelled_trees(examples):
    """Hooks at most once, cleanups exactly once, no timer left, nothing reported, all over."""

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(st.integers(min_value=0))
    def try_all(seed):
        for tree in range(TREES):
            _try_out(seed * TREES + tree)

    try_all()


def _try_out(seed):
    forest = Forest(seed)
    # Looking for what is pending would switch diagnostics on.
    with forest.scheduler, PromiseChecks(allow_pending=True):
        forest.tree(3)
        forest.live()
    assert {} == {hook: times for hook, times in forest.hooks.items() if times > 1}
    assert {} == {cleanup: times for cleanup, times in forest.cleanups.items() if times != 1}
    assert [] == forest.scheduler.clock.getDelayedCalls()
    assert [] == [promise for promise in forest.promises if promise.is_pending()]
