"""Single operations, and bytes: `python -m benchmarks.micro NAME`; prints JSON.

Each program is made for so many promises, and returns what is to be timed; making it is not.
Ours run on a scheduler by hand, asyncio's futures on a loop that stops when nothing is left to
do, so that no reactor and no waiting is timed; Deferreds need neither.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
import tracemalloc
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults, succeed

from twpromise import Promise
from twpromise.testing import ManualScheduler

#: How many mappers may be under way.
LIMIT = 100

#: Those whose latency is measured: the rest has no loop of its own.
WITH_LATENCY = ("promises", "deferreds", "asyncio")

Program = Callable[[int], Callable[[], None]]
#: Name of an operation, then name of a library: what makes the program.
PROGRAMS: dict[str, dict[str, Program]] = {}
#: What the operations are called in tables, and how many promises the usual program has.
OPERATIONS = {
    "create": ("create one that is pending", 10_000),
    "resolve": ("create one that has its value", 10_000),
    "then": ("one hop of a chain", 10_000),
    "fanout": ("one of many handlers of one promise", 10_000),
    "all": ("one item of `all` of 100,000", 100_000),
    "map": (f"one item of `map`, {LIMIT} at once", 10_000),
    "adopt": ("one Deferred adopted and handed back", 10_000),
    "latency": ("from settling to the handler, in an idle loop", 2_000),
}
LIBRARIES = {
    "promises": "promises",
    "deferreds": "Deferreds",
    "asyncio": "asyncio",
    "pypi": "PyPI's `promise`",
}


def program(operation: str, library: str) -> Callable[[Program], Program]:
    """Enter a program for an operation."""

    def enter(make: Program) -> Program:
        PROGRAMS.setdefault(operation, {})[library] = make
        return make

    return enter


def by_hand() -> ManualScheduler:
    """A scheduler that promises run on from now on."""
    scheduler = ManualScheduler()
    Promise.set_scheduler(scheduler)
    return scheduler


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The loop that futures run on here."""
    return asyncio.new_event_loop()


def step(value: int) -> int:
    """A handler."""
    return value + 1


def pend(resolve: object, reject: object) -> None:
    """An executor that keeps nothing."""


# --- create, resolve --------------------------------------------------------------------


@program("create", "promises")
def _(number):
    return lambda: _keep(number, lambda: Promise(pend))


@program("create", "deferreds")
def _(number):
    return lambda: _keep(number, Deferred)


@program("create", "asyncio")
def _(number):
    return lambda: _keep(number, loop().create_future)


@program("create", "pypi")
def _(number):
    from promise import Promise as Other

    return lambda: _keep(number, lambda: Other(pend))


@program("resolve", "promises")
def _(number):
    return lambda: _keep(number, lambda: Promise.resolve(1))


@program("resolve", "deferreds")
def _(number):
    return lambda: _keep(number, lambda: succeed(1))


@program("resolve", "asyncio")
def _(number):
    return lambda: _keep(number, _finished)


@program("resolve", "pypi")
def _(number):
    from promise import Promise as Other

    return lambda: _keep(number, lambda: Other.resolve(1))


def _keep(number, make):
    kept = [None] * number
    for index in range(number):
        kept[index] = make()


def _then(future, function):
    """What `then` is to a promise."""
    following = loop().create_future()
    future.add_done_callback(lambda done: following.set_result(function(done.result())))
    return following


def _finished():
    future = loop().create_future()
    future.set_result(1)
    return future


# --- chains, fan-out --------------------------------------------------------------------


@program("then", "promises")
def _(number):
    scheduler = by_hand()

    def run():
        resolvers = []
        promise = Promise(lambda resolve, _: resolvers.append(resolve))
        for _ in range(number):
            promise = promise.then(step)
        resolvers[0](0)
        scheduler.flush()
        assert number == promise.value()

    return run


@program("then", "deferreds")
def _(number):
    def run():
        deferred = Deferred()
        for _ in range(number):
            deferred.addCallback(step)
        deferred.callback(0)
        assert number == deferred.result

    return run


@program("then", "asyncio")
def _(number):
    running = loop()

    def run():
        first = last = running.create_future()
        for _ in range(number):
            last = _then(last, step)
        first.set_result(0)
        assert number == running.run_until_complete(last)

    return run


@program("then", "pypi")
def _(number):
    from promise import Promise as Other

    def run():
        resolvers = []
        promise = Other(lambda resolve, _: resolvers.append(resolve))
        for _ in range(number):
            promise = promise.then(step)
        resolvers[0](0)
        assert number == promise.get()

    return run


@program("fanout", "promises")
def _(number):
    scheduler = by_hand()

    def run():
        resolvers = []
        promise = Promise(lambda resolve, _: resolvers.append(resolve))
        for _ in range(number):
            promise.then(step)
        resolvers[0](0)
        scheduler.flush()

    return run


@program("fanout", "deferreds")
def _(number):
    # It has one chain of callbacks: each has to hand the value on.
    def run():
        deferred = Deferred()
        for _ in range(number):
            deferred.addCallback(lambda value: value)
        deferred.callback(0)

    return run


@program("fanout", "asyncio")
def _(number):
    running = loop()

    def run():
        future = running.create_future()
        for _ in range(number):
            future.add_done_callback(lambda done: step(done.result()))
        future.set_result(0)
        running.call_soon(running.stop)
        running.run_forever()

    return run


@program("fanout", "pypi")
def _(number):
    from promise import Promise as Other

    def run():
        resolvers = []
        promise = Other(lambda resolve, _: resolvers.append(resolve))
        for _ in range(number):
            promise.then(step)
        resolvers[0](0)

    return run


# --- collections ------------------------------------------------------------------------


@program("all", "promises")
def _(number):
    scheduler = by_hand()

    def run():
        resolvers = []
        promise = Promise.all(
            [Promise(lambda resolve, _: resolvers.append(resolve)) for _ in range(number)]
        )
        for resolve in resolvers:
            resolve(1)
        scheduler.flush()
        assert [1] * number == promise.value()

    return run


@program("all", "deferreds")
def _(number):
    def run():
        inputs = [Deferred() for _ in range(number)]
        gathered = gatherResults(inputs)
        for each in inputs:
            each.callback(1)
        assert [1] * number == gathered.result

    return run


@program("all", "asyncio")
def _(number):
    running = loop()

    async def gather():
        inputs = [running.create_future() for _ in range(number)]
        gathered = asyncio.gather(*inputs)
        for each in inputs:
            each.set_result(1)
        assert [1] * number == await gathered

    return lambda: running.run_until_complete(gather())


@program("all", "pypi")
def _(number):
    from promise import Promise as Other

    def run():
        resolvers = []
        promise = Other.all(
            [Other(lambda resolve, _: resolvers.append(resolve)) for _ in range(number)]
        )
        for resolve in resolvers:
            resolve(1)
        assert [1] * number == promise.get()

    return run


@program("map", "promises")
def _(number):
    scheduler = by_hand()

    def run():
        waiting = []

        def mapper(item):
            waiting.append(Deferred())
            return waiting[-1]

        promise = Promise.map(range(number), mapper, concurrency=LIMIT)
        scheduler.flush()
        _answer_all(waiting, scheduler.flush)
        assert number == len(promise.value())

    return run


@program("map", "deferreds")
def _(number):
    def run():
        waiting = []

        def mapper(item):
            waiting.append(Deferred())
            return waiting[-1]

        semaphore = DeferredSemaphore(LIMIT)
        gathered = gatherResults([semaphore.run(mapper, item) for item in range(number)])
        _answer_all(waiting, lambda: None)
        assert number == len(gathered.result)

    return run


@program("map", "asyncio")
def _(number):
    running = loop()

    async def main():
        waiting = []
        semaphore = asyncio.Semaphore(LIMIT)

        async def mapper(item):
            async with semaphore:
                waiting.append(running.create_future())
                return await waiting[-1]

        def answer():
            batch = waiting[:]
            waiting.clear()
            for future in batch:
                future.set_result(1)
            if not gathered.done():
                running.call_soon(answer)

        gathered = asyncio.gather(*[mapper(item) for item in range(number)])
        running.call_soon(answer)
        assert number == len(await gathered)

    return lambda: running.run_until_complete(main())


def _answer_all(waiting, flush):
    while waiting:
        batch = waiting[:]
        waiting.clear()
        for deferred in batch:
            deferred.callback(1)
        flush()


# --- Deferreds adopted ------------------------------------------------------------------


@program("adopt", "promises")
def _(number):
    scheduler = by_hand()

    def run():
        inputs = [Deferred() for _ in range(number)]
        back = [Promise.from_deferred(each).to_deferred() for each in inputs]
        for each in inputs:
            each.callback(1)
        scheduler.flush()
        assert back[-1].result == 1

    return run


@program("adopt", "asyncio")
def _(number):
    running = loop()

    def run():
        inputs = [Deferred() for _ in range(number)]
        back = [Deferred.fromFuture(each.asFuture(running)) for each in inputs]
        for each in inputs:
            each.callback(1)
        running.call_soon(running.stop)
        running.run_forever()
        assert back[-1].result == 1

    return run


@program("adopt", "deferreds")
def _(number):
    # Nothing has to be adopted here: one Deferred is handed on to another.
    def run():
        inputs = [Deferred() for _ in range(number)]
        back = [Deferred() for _ in range(number)]
        for each, other in zip(inputs, back, strict=True):
            each.chainDeferred(other)
        for each in inputs:
            each.callback(1)
        assert back[-1].result == 1

    return run


# --- latency ----------------------------------------------------------------------------


def latencies(library: str, number: int) -> list[float]:
    """Seconds from settling to the handler, each alone in an idle reactor or loop."""
    found: list[float] = []

    def told(began: float) -> None:
        found.append(time.perf_counter() - began)

    if library == "asyncio":

        async def main() -> None:
            running = asyncio.get_running_loop()
            for _ in range(number):
                future = running.create_future()
                future.add_done_callback(lambda done: told(done.result()))
                future.set_result(time.perf_counter())
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        asyncio.run(main())
        return found

    from twisted.internet import reactor

    def settle() -> None:
        if len(found) == number:
            reactor.stop()
            return
        # Only when it has come to this turn's end does the next one begin.
        reactor.callLater(0, reactor.callLater, 0, settle)
        if library == "promises":
            resolvers: list[Callable[[float], None]] = []
            Promise(lambda resolve, _: resolvers.append(resolve)).then(told)
            resolvers[0](time.perf_counter())
        else:
            # A Deferred does not wait for the next turn; this is what it costs to do so.
            reactor.callLater(0, told, time.perf_counter())

    reactor.callWhenRunning(settle)
    reactor.run()
    return found


# --- bytes ------------------------------------------------------------------------------


STATES = ("pending", "with one handler", "settled")


def size(library: str, state: str) -> float:
    """Bytes that one takes which is pending, has one handler, or is settled.

    As they are allocated, with what the garbage collector keeps in front.  With the handler comes
    what tells its outcome; the handler itself is not counted, since all share one.
    """
    attach: Callable[[Any], object]
    if library == "promises":
        by_hand()
        make, settle, attach = lambda: Promise(pend), lambda: Promise.resolve(1), _attach
    elif library == "deferreds":
        make, settle, attach = Deferred, lambda: succeed(1), lambda one: one.addCallback(step)
    elif library == "asyncio":
        make, settle, attach = loop().create_future, _finished, lambda one: _then(one, step)
    else:
        from promise import Promise as Other

        make, settle, attach = lambda: Other(pend), lambda: Other.resolve(1), _attach

    def with_handler() -> Any:
        one = make()
        attach(one)
        return one

    return _bytes_of(dict(zip(STATES, (make, with_handler, settle), strict=True))[state])


def _attach(promise: Any) -> object:
    return promise.then(step)


def _bytes_of(make: Callable[[], Any], number: int = 2_000) -> float:
    # What is made once for all is there after the first.
    make()
    kept: list[Any] = [None] * number
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for index in range(number):
        kept[index] = make()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round((after - before) / number, 1)


# --- running ----------------------------------------------------------------------------


def seconds(
    operation: str, library: str, number: int, repeat: int = 1, collector: bool = True
) -> float:
    """Processor's time for one promise of so many; of that many runs together, after one more."""
    run = PROGRAMS[operation][library](number)
    run()
    gc.collect()
    if not collector:
        gc.disable()
    began = time.process_time()
    for _ in range(repeat):
        run()
    spent = time.process_time() - began
    gc.enable()
    return spent / repeat / number


def drain_seconds(number: int, repeat: int = 1, collector: bool = True) -> float:
    """Processor's time to run one hop of a chain of so many that has been made already."""
    scheduler = by_hand()
    spent = 0.0
    resolvers: list[Callable[[int], None]] = []
    for _ in range(repeat):
        promise = Promise(lambda resolve, _: resolvers.append(resolve))
        for _ in range(number):
            promise = promise.then(step)
        gc.collect()
        if not collector:
            gc.disable()
        began = time.process_time()
        resolvers.pop()(0)
        scheduler.flush()
        spent += time.process_time() - began
        gc.enable()
    return spent / repeat / number


def peak(operation: str, library: str, number: int) -> float:
    """Bytes for one promise of so many, when most are taken."""
    run = PROGRAMS[operation][library](number)
    gc.collect()
    tracemalloc.start()
    run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / number


def main() -> None:
    """Measure one thing and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operation", choices=[*PROGRAMS, "drain", "latency", "bytes"])
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("--number", type=int, default=10_000, help="how many promises")
    parser.add_argument("--repeat", type=int, default=1, help="how many runs together")
    parser.add_argument("--no-collector", action="store_true", help="switch it off")
    parser.add_argument("--state", choices=STATES, help="for bytes")
    parser.add_argument("--peak", action="store_true", help="measure bytes instead of seconds")
    options = parser.parse_args()
    operation, library, number = options.operation, options.library, options.number
    found: Any
    if operation == "bytes":
        found = size(library, options.state)
    elif operation == "latency":
        found = median(latencies(library, number))
    elif operation == "drain":
        found = drain_seconds(number, options.repeat, not options.no_collector)
    elif options.peak:
        found = peak(operation, library, number)
    else:
        found = seconds(operation, library, number, options.repeat, not options.no_collector)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
