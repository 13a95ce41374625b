"""Millions of promises come and go, and the memory is what it was before them.

Waves of promises go through chains, collections, Deferreds, coroutines, callbacks, timeouts,
resources, rejections and cancellations on a running reactor.  After a warm-up, in which caches
fill and the allocator gets its arenas, what is alive and what the process takes are counted; and
again at the end, when it must be the same.
"""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from twpromise import Promise

from .harness import Soak

#: Objects that the collector knows, and blocks of Python's allocator, that may be more at the end:
#: Twisted's reactors keep some fifty cancelled timers until there are more, and the measuring
#: itself keeps a little (a list that has grown, a figure that was printed).
OBJECTS = 200
BLOCKS = 1000

#: Bytes that the process may take more at the end: what the allocators of Python and of C leave
#: between arenas that are in use.  A leak of one bit a promise is more, in the long soak.
RESIDENT = 1 << 20

#: Bytes that are traced as kept, in the quick soak: less than one a promise.
TRACED = 100_000

#: How many promises are in one wave, roughly.
WAVE = 2000


class Oops(Exception):
    """What some of them are rejected with."""


# --- what promises go through: each gives a promise that settles when all of it has ended


def chain(number: int) -> Promise[Any]:
    """`then`, `catch`, `finally_` and `tap`, fulfilled and rejected."""

    def fail(_: object) -> None:
        raise Oops(number)

    return (
        Promise.resolve(number)
        .then(lambda value: Promise.resolve(value).then(lambda value: value + 1))
        .tap(lambda _: None)
        .then(fail)
        .catch(TypeError, lambda _: None)
        .finally_(lambda: None)
        .catch(Oops, lambda error: error.args[0])
    )


def collection(number: int) -> Promise[Any]:
    """`all`, `map`, `filter`, `each`, `reduce`, `some`, `props`, `race`, `all_settled`."""
    promises = [Promise.resolve(number).then(lambda value: value) for _ in range(4)]
    return Promise.all(
        [
            Promise.all(promises),
            Promise.map(promises, lambda value: Promise.resolve(value).then(), concurrency=2),
            Promise.filter(range(4), lambda value: value % 2),
            Promise.each(promises, lambda value: None),
            Promise.reduce(promises, lambda a, b: a + b, 0),
            Promise.some(promises, 2),
            Promise.race(promises),
            Promise.props({"a": promises[0], "b": promises[1]}),
            Promise.all_settled([*promises, Promise.reject(Oops())]),
            Promise.any([Promise.reject(Oops()), promises[0]]),
        ]
    )


def deferreds(number: int) -> Promise[Any]:
    """Deferreds adopted, fired and failed, and made of promises."""
    fired: Deferred[int] = Deferred()
    failed: Deferred[int] = Deferred()
    adopted = Promise.from_deferred(fired).then(lambda value: value)
    rejected = Promise.from_deferred(failed).catch(Oops, lambda _: None)
    back = Promise.from_deferred(adopted.to_deferred())
    fired.callback(number)
    failed.errback(Oops())
    return Promise.all([back, rejected])


def coroutines(number: int) -> Promise[Any]:
    """Generators and coroutines that wait, fail and catch."""

    async def run() -> int:
        try:
            await Promise.resolve(number).then().throw(Oops())
        except Oops:
            pass
        return await Promise.resolve(number).then()

    @Promise.coroutine
    def generator() -> Any:
        value = yield Promise.resolve(number).then()
        return value

    return Promise.join(run(), generator(), lambda a, b: a + b)


async def fails_at_once() -> None:
    """A coroutine whose first step raises."""
    raise Oops


def callbacks(number: int) -> Promise[Any]:
    """Promisified functions, futures, and coroutines that fail at once."""
    called: list[Any] = []
    later: Callable[[int], Promise[Any]] = Promise.promisify(
        lambda value, callback: called.append(callback)
    )
    waiting = Promise.all([later(number), later(number), Deferred().addCallback(len)])
    cancelled = waiting.reflect()
    asked = Promise.all([later(number), later(number)])
    failing = later(number)
    future: Future[int] = Future()
    adopted = Promise.resolve(future)
    for callback in called[:4]:
        callback(None, number)
    called[4](Oops())
    future.set_result(number)
    waiting.cancel()
    return Promise.all(
        [
            asked,
            adopted,
            cancelled,
            failing.catch(Oops, lambda _: None),
            Promise.resolve(fails_at_once()).catch(Oops, lambda _: None),
            Promise.all([Promise.delay(0), fails_at_once()]).catch(Oops, lambda _: None),
        ]
    )


def timeouts(number: int) -> Promise[Any]:
    """Deadlines that are kept, and some that are not; delays."""
    never: Promise[Any] = Promise.from_deferred(Deferred())
    return Promise.all(
        [
            Promise.resolve(number).then().timeout(60),
            Promise.delay(0, number).timeout(60),
            never.timeout(0).catch(Promise.TimeoutError, lambda _: None),
        ]
    )


def cancellations(number: int) -> Promise[Any]:
    """Chains, collections, delays, Deferreds and coroutines, cancelled before they end."""

    async def run() -> None:
        await Promise.delay(60)

    def executor(resolve: object, reject: object, on_cancel: Callable[..., object]) -> None:
        on_cancel(lambda: None)

    doomed: list[Promise[Any]] = [
        Promise(executor).then(lambda _: None).finally_(lambda: None),
        Promise.map([Promise.delay(60), Promise.delay(60)], lambda value: value),
        Promise.from_deferred(Deferred()).then(),
        Promise.resolve(run()),
        Promise.delay(60).timeout(60),
    ]
    told = [promise.reflect() for promise in doomed]
    for promise in doomed:
        promise.cancel()
    return Promise.all(told)


def given_up(number: int) -> Promise[Any]:
    """Collections of Deferreds that are cancelled, meet a deadline, or fail.

    The reactor has what the Deferreds wait for until they are cancelled.
    """
    from twisted.internet import reactor

    def later() -> Deferred[None]:
        return deferLater(reactor, 60)  # type: ignore[arg-type]

    doomed: list[Promise[Any]] = [
        Promise.all([later(), later()]),
        Promise.props({"a": later(), "b": later()}),
        Promise.join(later(), later()),
        Promise.all_settled([later(), later()]),
        Promise.any([later(), later()]),
        Promise.some([later(), later(), later()], 2),
        Promise.race([later(), later()]),
        Promise.map([later(), later()], lambda _: None),
        Promise.each([later(), later()], lambda _: None),
        Promise.reduce([later()], lambda a, b: None, later()),
    ]
    told = [promise.reflect() for promise in doomed]
    for promise in doomed:
        promise.cancel()
    late = Promise.all([later(), later()]).timeout(0)
    fired: Deferred[int] = Deferred()
    cancelled = later().addErrback(lambda _: None)
    failed = Promise.all([fired, cancelled, Promise.reject(Oops())])

    def end(_: object) -> None:
        # The items beside the one that failed go on, for other consumers.
        fired.callback(number)
        cancelled.cancel()

    return Promise.all(
        [
            *told,
            late.catch(Promise.TimeoutError, lambda _: None),
            failed.catch(Oops, end),
        ]
    )


def resources(number: int) -> Promise[Any]:
    """`using`, which ends well, fails, and is cancelled."""

    def resource() -> Any:
        return Promise.resolve(number).then().disposer(lambda _: Promise.resolve().then())

    def fail(_: object) -> None:
        raise Oops

    cancelled = Promise.using(resource(), lambda _: Promise.delay(60))
    told = cancelled.reflect()
    Promise.delay(0).then(lambda _: cancelled.cancel())
    return Promise.all(
        [
            Promise.using(resource(), resource(), lambda a, b: a + b),
            Promise.using(resource(), fail).catch(Oops, lambda _: None),
            told,
        ]
    )


KINDS = (
    chain,
    collection,
    deferreds,
    coroutines,
    callbacks,
    timeouts,
    cancellations,
    given_up,
    resources,
)


class Memory(Soak):
    """The soak."""

    def __init__(self) -> None:
        super().__init__("memory", __doc__)
        self.waves = 0
        self.before = (0, 0, 0, 0)
        self.collected = 0

    def main(self) -> None:
        """One wave to count its promises, then the warm-up, then the rest."""
        self.total = 100_000 if self.quick else 10_000_000
        self.scopes = count()
        Promise.config(monitoring=True)
        self.wave(1).then(self.counted).done()

    def counted(self, _: object) -> Any:
        """Find out how many promises one of each kind is."""
        each = Promise.statistics()["created"]
        Promise.config(monitoring=False)
        self.rounds = max(1, WAVE // each)
        self.per_wave = each * self.rounds
        self.waves = -(-self.total // self.per_wave)
        warm_up = max(5, self.waves // 20)
        self.tell("promises in a wave", self.per_wave)
        self.tell("promises of the warm-up", self.per_wave * warm_up)
        return self.run_waves(warm_up).delay(0.01).then(self.measure).then(self.main_part)

    def wave(self, rounds: int) -> Promise[Any]:
        """Some promises of each kind; a promise for their end."""
        made = [kind(number) for number in range(rounds) for kind in KINDS]
        return Promise.all(made).then(lambda _: None)

    def run_waves(self, waves: int) -> Promise[Any]:
        """One wave after the other."""

        @Promise.coroutine
        def run() -> Any:
            for _ in range(waves):
                yield self.wave(self.rounds)

        return run()

    def measure(self, _: object) -> tuple[int, int, int, int]:
        """Objects, blocks, resident bytes and traced bytes, when all garbage is gone."""
        gc.collect()
        with open("/proc/self/statm") as statm:
            resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        traced = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else 0
        return len(gc.get_objects()), sys.getallocatedblocks(), resident, traced

    def main_part(self, before: tuple[int, int, int, int]) -> Promise[Any]:
        """The soak itself."""
        if self.quick:
            # It costs a multiple of the time.
            tracemalloc.start()
            before = self.measure(None)
        self.before = before
        gc.callbacks.append(self.collecting)
        return self.run_waves(self.waves).delay(0.01).then(self.finish)

    def collecting(self, phase: str, info: dict[str, int]) -> None:
        """Count what reference counting did not free."""
        if phase == "stop":
            self.collected += info["collected"]

    def finish(self, _: object) -> None:
        """Measure again, and compare."""
        gc.collect()
        gc.callbacks.remove(self.collecting)
        after = self.measure(None)
        objects, blocks, resident, traced = (
            now - then for now, then in zip(after, self.before, strict=True)
        )
        self.tell("promises", self.per_wave * self.waves)
        self.tell("objects at the beginning", self.before[0])
        self.tell("objects kept", objects)
        self.tell("blocks kept", blocks)
        self.tell("resident bytes at the beginning", self.before[2])
        self.tell("resident bytes kept", resident)
        self.tell("objects that the collector freed", self.collected)
        self.check("the collector had nothing to free", not self.collected)
        self.check(f"no more than {OBJECTS} objects are kept", objects <= OBJECTS)
        self.check(f"no more than {BLOCKS} blocks are kept", blocks <= BLOCKS)
        if self.quick:
            self.tell("traced bytes kept", traced)
            self.check(f"no more than {TRACED:,} traced bytes are kept", traced <= TRACED)
            tracemalloc.stop()
        else:
            self.check(f"no more than {RESIDENT:,} resident bytes", resident <= RESIDENT)
        self.check("nothing is left in the reactor", not self.reactor.getDelayedCalls())
        self.check("nothing is left in the queue", not Promise.statistics()["queue_length"])
        self.end()


if __name__ == "__main__":
    soak = Memory()
    soak.run(soak.main)
