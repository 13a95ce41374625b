"""Eight threads settle the promises of a running reactor, and cancellations race them.

Each promise settles once, with what one of those said who raced for it; none is lost; all
handlers run on the reactor's thread; and the reactor goes on having its turns, however fast
the threads are.

Promises are made ahead, some thousands at a time, and then the threads are let loose on them
all at once: that is the worst that they can do.

There, timers and cancellations wake the queue, too.  So there are lulls besides: the reactor
sleeps, only threads settle, and the handlers of whatever they settle run, or a wake-up was lost.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from twpromise import Promise, ReactorScheduler

from .harness import Soak, Turns

THREADS = 8

#: How many promises are made, or cancelled, in one turn of the reactor.
BATCH = 100

#: Milliseconds on the processor that a turn may take, without the collector: a drain's time
#: slice of 10 and what it may overstay, the timers that are due between two drains, and what it
#: costs to compete with eight threads for the interpreter; 24 to 69 have been measured.
BOUND = 100

#: Milliseconds that the reactor's thread may be blocked in a turn: by the interpreter lock, for
#: which it competes with eight others, and by nothing else.
BLOCKED = 500

#: Seconds after which a handler that was not called in a lull has been forgotten.
PATIENCE = 20

Operation = Callable[[], object]


class Oops(Exception):
    """What threads reject with."""


class Racers:
    """The threads."""

    def __init__(self) -> None:
        self.work: list[list[Operation]] = [[] for _ in range(THREADS)]
        self.errors: list[BaseException] = []

    def release(self) -> list[threading.Thread]:
        """Let each of them do its work, all at the same time."""
        barrier = threading.Barrier(THREADS)
        threads = [
            threading.Thread(target=self._run, args=(barrier, work), daemon=True)
            for work in self.work
        ]
        for thread in threads:
            thread.start()
        self.work = [[] for _ in range(THREADS)]
        return threads

    def _run(self, barrier: threading.Barrier, work: list[Operation]) -> None:
        barrier.wait()
        for operation in work:
            try:
                operation()
            except BaseException as error:
                self.errors.append(error)


class Scheduler(ReactorScheduler):
    """Counts how often threads wake the reactor."""

    calls = 0

    def call_from_thread(self, function: Callable[[], None], /) -> None:
        """One more."""
        self.calls += 1
        super().call_from_thread(function)


class Lulls:
    """Waves in which only threads settle, while the reactor sleeps and nothing else wakes it.

    Between the first call of a thread and the last handler nothing at home touches the queue,
    nor does the watchdog, which is the only timer that there is.

    Args:
        soak: Whose reactor and threads these are.
        waves: How many there are.
        then: What is called when they are over.
    """

    def __init__(self, soak: Threads, waves: int, then: Callable[[], None]) -> None:
        self._soak = soak
        self._waves = waves
        self._then = then
        self._random = random.Random(6)
        self._watchdog: Any = None
        self._pending = 0
        self._wakeups = soak.scheduler.calls
        self.waves = self.promises = self.lost = self.wakeups = 0
        #: Seconds between the call of a thread and the handler, at most.
        self.longest = 0.0

    def begin(self) -> None:
        """Let threads settle some promises, when the queue has fallen asleep."""
        if Promise.statistics()["queue_length"]:
            self._soak.reactor.callLater(0, self.begin)
            return
        if self.waves == self._waves:
            self._end()
            return
        self.waves += 1
        # A single thread that waits for each handler has no other one that might wake the queue.
        works = self._soak.racers.work[: self._random.choice([1, 1, 2, THREADS])]
        waits = self._random.random() < 0.5
        for work in works:
            for _ in range(self._random.randrange(1, 5)):
                self._make_one(work, waits)
        self._watchdog = self._soak.reactor.callLater(PATIENCE, self._give_up)
        self._soak.racers.release()

    def _make_one(self, work: list[Operation], waits: bool) -> None:
        told = threading.Event()
        began = 0.0
        promise, settle = self._promise()

        def operation() -> None:
            nonlocal began
            began = time.perf_counter()
            settle()
            if waits:
                told.wait(PATIENCE)

        def hear(_: object) -> None:
            self.longest = max(self.longest, time.perf_counter() - began)
            told.set()
            self._pending -= 1
            if not self._pending:
                self._watchdog.cancel()
                self._soak.reactor.callLater(0, self.begin)

        promise.then(hear, hear)
        work.append(operation)
        self.promises += 1
        self._pending += 1

    def _promise(self) -> tuple[Promise[Any], Operation]:
        """A promise, and what settles it in a thread."""
        kind = self._random.choice(["resolve", "reject", "future", "callback"])
        if kind == "future":
            future: Future[None] = Future()
            return Promise.resolve(future), lambda: future.set_result(None)
        if kind == "callback":
            callbacks: list[Callable[..., None]] = []
            promise: Promise[Any] = Promise.from_callback(callbacks.append)
            return promise, lambda: callbacks[0](None, None)
        promise, resolve, reject = self._soak.deferred()
        return promise, resolve if kind == "resolve" else lambda: reject(Oops())

    def _give_up(self) -> None:
        self.lost = self._pending
        self._end()

    def _end(self) -> None:
        self.wakeups = self._soak.scheduler.calls - self._wakeups
        self._then()

    def tell(self, soak: Soak) -> None:
        """Print what came of it."""
        soak.tell("lulls in which only threads settle", self.waves)
        soak.tell("promises of the lulls", self.promises)
        soak.tell("wake-ups of the lulls", self.wakeups)
        soak.tell("longest wait for a handler in a lull, ms", round(1000 * self.longest, 1))
        soak.tell("promises of which no handler was woken", self.lost)
        soak.check("no wake-up was lost", not self.lost)
        soak.check("each lull slept until threads woke it", self.wakeups >= self.waves)


class Threads(Soak):
    """The soak."""

    def __init__(self) -> None:
        super().__init__("threads", __doc__)
        self.random = random.Random(6)
        self.racers = Racers()
        self.promises: list[Promise[Any]] = []
        #: What each promise of the wave said, and how often.
        self.said: list[list[str]] = []
        #: What each of them may say.
        self.allowed: list[set[str]] = []
        self.victims: list[Promise[Any]] = []
        self.outcomes: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.settled = self.calls = 0

    def main(self) -> None:
        """Begin with the first wave."""
        self.home = threading.get_ident()
        self.total = 20_000 if self.quick else 1_000_000
        self.wave = self.total // (2 if self.quick else 20)
        self.turns = Turns(self.reactor)
        self.scheduler = Scheduler(self.reactor)
        Promise.set_scheduler(self.scheduler)
        self.make()

    # --- a wave

    def make(self) -> None:
        """Make some promises; when there are enough, let the threads loose."""
        for _ in range(BATCH):
            self.make_one(len(self.promises))
        if len(self.promises) < self.wave:
            self.reactor.callLater(0, self.make)
            return
        self.calls += sum(map(len, self.racers.work))
        self.victims = [promise for promise in self.promises if self.random.random() < 0.2]
        self.random.shuffle(self.victims)
        # A whole wave is alive, which no service would keep: its collection is not measured.
        gc.collect()
        gc.freeze()
        self.turns.start()
        self.running = self.racers.release()
        self.race()

    def make_one(self, number: int) -> None:
        """A promise, and who is going to settle it."""
        kind = self.random.choice(
            ["one thread", "two threads", "thread and home", "future", "follower", "in chain"]
        )
        allowed = {f"value {number}", "cancelled"}
        if kind == "future":
            future: Future[str] = Future()
            promise: Promise[Any] = Promise.resolve(future)
            # A cancellation may have been faster.
            self.give(lambda: future.set_running_or_notify_cancel() and future.set_result(value))
        else:
            promise, resolve, reject = self.deferred()
            if kind == "follower":
                other, settle, _ = self.deferred()
                self.give(lambda: resolve(other), lambda: settle(value))
            elif kind == "in chain":
                self.give(lambda: resolve(value))
                promise = promise.then(lambda value: value).then(lambda value: value)
            else:
                self.give(lambda: resolve(value))
            if kind in {"two threads", "thread and home"}:
                allowed.add(f"reason {number}")
                reason = Oops(f"reason {number}")
                if kind == "two threads":
                    self.give(lambda: reject(reason))
                else:
                    self.reactor.callLater(0, self.later, reject, reason)
        value = f"value {number}"
        said: list[str] = []
        promise.reflect().then(lambda outcome: self.hear(said, outcome))
        self.promises.append(promise)
        self.said.append(said)
        self.allowed.append(allowed)

    def deferred(self) -> tuple[Promise[Any], Callable[..., None], Callable[..., None]]:
        """A promise, and what settles it in any thread."""
        functions: list[Callable[..., None]] = []
        promise: Promise[Any] = Promise(lambda resolve, reject: functions.extend((resolve, reject)))
        return promise, functions[0], functions[1]

    def give(self, *operations: Operation) -> None:
        """Have each operation done by one of the threads."""
        for operation in operations:
            self.random.choice(self.racers.work).append(operation)

    def later(self, reject: Callable[..., None], reason: Oops) -> None:
        """Reject at home, sometimes at once, mostly while the threads are at it."""
        if self.random.random() < 0.1 or self.wave == len(self.promises):
            reject(reason)
        else:
            self.reactor.callLater(0.05, self.later, reject, reason)

    def hear(self, said: list[str], outcome: Any) -> None:
        """A handler: what came of a promise."""
        if threading.get_ident() != self.home:
            self.wrong["handlers in another thread"] += 1
        said.append(self.state(outcome))
        self.settled += 1

    def state(self, outcome: Any) -> str:
        """What a promise, or an inspection of it, says."""
        if outcome.is_cancelled():
            return "cancelled"
        return str(outcome.value() if outcome.is_fulfilled() else outcome.reason())

    def race(self) -> None:
        """Cancel some while the threads are at it, until everything has settled."""
        for promise in self.victims[-BATCH:]:
            promise.cancel()
        del self.victims[-BATCH:]
        if self.victims or any(thread.is_alive() for thread in self.running):
            self.reactor.callLater(0, self.race)
        elif all(self.said):
            self.examine()
        else:
            # Those that are on their way are there when a thread's last call is: unless lost.
            self.racers.work[0].append(lambda: self.reactor.callFromThread(self.give_up, 100))
            self.running = self.racers.release()

    def give_up(self, turns: int) -> None:
        """What is not there after so many turns is lost."""
        if turns and not all(self.said):
            self.reactor.callLater(0.01, self.give_up, turns - 1)
        else:
            self.examine()

    def examine(self) -> None:
        """Compare what was said with what is, and go on with the next wave."""
        self.turns.stop()
        gc.unfreeze()
        for promise, said, allowed in zip(self.promises, self.said, self.allowed, strict=True):
            if not said:
                self.wrong["lost"] += 1
                continue
            if len(said) > 1:
                self.wrong["settled more than once"] += 1
            if not set(said) <= allowed:
                self.wrong["settled by somebody else"] += 1
            self.outcomes[said[0].split()[0]] += 1
            if promise.is_cancelled() != (said[0] == "cancelled") or (
                promise.is_fulfilled() and promise.value() != said[0]
            ):
                self.wrong["changed its mind"] += 1
        self.promises, self.said, self.allowed = [], [], []
        if sum(self.outcomes.values()) + self.wrong["lost"] < self.total:
            self.reactor.callLater(0, self.make)
        else:
            self.lulls = Lulls(self, 300 if self.quick else 20_000, self.finish)
            self.lulls.begin()

    def finish(self) -> None:
        """Tell what came of it."""
        self.tell("promises", self.total)
        self.tell("threads", THREADS)
        self.tell("calls from threads", self.calls)
        for outcome in ("value", "reason", "cancelled"):
            self.tell(f"outcomes: {outcome}", self.outcomes[outcome])
        for wrong in (
            "lost",
            "settled more than once",
            "settled by somebody else",
            "changed its mind",
            "handlers in another thread",
        ):
            self.tell(wrong, self.wrong[wrong])
        self.turns.tell(self)
        self.lulls.tell(self)
        self.check("each settled once, none was lost", not +self.wrong)
        self.check("every outcome was heard once", self.settled == self.total)
        self.check("no call from a thread failed", not self.racers.errors)
        self.check("nothing is left in the reactor", self.reactor.getDelayedCalls() == [])
        self.check_turn("worst turn on the processor, ms", BOUND)
        self.check_turn("longest time blocked, ms", BLOCKED)
        self.end()


if __name__ == "__main__":
    soak = Threads()
    soak.run(soak.main)
