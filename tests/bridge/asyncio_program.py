"""What has to be shown on asyncio's reactor, in a process of its own.

Run by `test_asyncio_reactor`: it installs the reactor, runs each scenario as an asyncio task,
and prints what came of each as JSON.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import json
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet import asyncioreactor
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    ensureDeferred,
    inlineCallbacks,
    succeed,
)
from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from tests.support.outcomes import frames, result_of
from tests.support.promises import Boom, Source
from twpromise import CancellationError, Promise

SCENARIOS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}


def scenario(function: Callable[[], Coroutine[Any, Any, None]]) -> Any:
    """Something to be run as a task."""
    SCENARIOS[function.__name__] = function
    return function


async def awaiting(awaitable: Any) -> Any:
    """Awaits something."""
    return await awaitable


def later(function: Callable[..., object], *arguments: Any) -> None:
    """Have a function called by the reactor, in one of its next turns."""
    from twisted.internet import reactor

    reactor.callLater(0.001, function, *arguments)  # type: ignore[attr-defined]


@scenario
async def task_awaits_a_promise() -> None:
    """A task awaits promises: pending, settled, rejected, from a Deferred."""
    source, failing = Source(), Source()
    deferred: Deferred[str] = Deferred()
    later(source.resolve, 1)
    later(deferred.callback, "Deferred")
    assert 1 == await source.promise
    assert 2 == await Promise.resolve(2)
    assert 3 == await Promise.resolve(3).then()
    assert "Deferred" == await Promise.from_deferred(deferred)
    later(failing.reject, Boom())
    names: list[str] = []
    try:
        await failing.promise
    except Boom as error:
        names = frames(error.__traceback__)
    assert ["task_awaits_a_promise", "await_promise"] == names


@scenario
async def promises_to_futures() -> None:
    """`to_future` gives futures of the reactor's loop, for whatever asyncio does with them."""
    source, failing, doomed, other = Source(), Source(), Source(), Source()
    later(source.resolve, 1)
    later(failing.reject, Boom())
    later(other.promise.cancel)
    futures = [failing.promise.to_future(), other.promise.to_future()]
    assert 1 == await source.promise.to_future()
    assert 2 == await Promise.resolve(2).to_future()
    try:
        await futures[0]
    except Boom:
        pass
    else:
        raise AssertionError
    try:
        await asyncio.wait_for(doomed.promise.to_future(), 0.001)
    except TimeoutError:
        pass
    else:
        raise AssertionError
    # The news of the cancellation go by way of the reactor.
    while not doomed.cancelled:
        await asyncio.sleep(0.001)
    assert 1 == doomed.cancelled
    await asyncio.wait(futures)
    assert futures[1].cancelled()


@scenario
async def settled_is_no_trip() -> None:
    """A settled promise is returned before anything else on the loop is run."""
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "loop")
    for _ in range(100):
        await Promise.resolve()
    assert [] == ran


@scenario
async def wait_for() -> None:
    """`wait_for` gives the value, or cancels the promise when the time is up."""
    assert 1 == await asyncio.wait_for(Promise.resolve(1).then(), 60)
    source = Source()
    try:
        await asyncio.wait_for(source.promise, 0.001)
    except TimeoutError:
        pass
    else:
        raise AssertionError
    await Promise.resolve().then()
    assert 1 == source.cancelled


@scenario
async def gather() -> None:
    """`gather` takes promises; cancelling it cancels those that are pending."""
    source = Source()
    later(source.resolve, 2)
    assert [1, 2] == await asyncio.gather(Promise.resolve(1), source.promise)
    doomed = Source()
    gathered = asyncio.gather(Promise.resolve(1), doomed.promise)
    later(gathered.cancel)
    try:
        await gathered
    except asyncio.CancelledError:
        pass
    await Promise.resolve().then()
    assert 1 == doomed.cancelled


@scenario
async def task_group() -> None:
    """A group whose one task fails cancels the promises that the others wait for."""
    source, failing, left = Source(), Source(), Source()
    left.promise.then(lambda value: kept.append(value))
    kept: list[Any] = []
    later(failing.reject, Boom())
    try:
        async with asyncio.TaskGroup() as group:
            for promise in source.promise, failing.promise, left.promise:
                group.create_task(awaiting(promise))
    except* Boom:
        pass
    else:
        raise AssertionError
    await Promise.resolve().then()
    assert 1 == source.cancelled
    # That one has another consumer.
    assert 0 == left.cancelled
    left.resolve("kept")
    await Promise.resolve().then()
    assert ["kept"] == kept


@scenario
async def cancelling_a_task() -> None:
    """A task that is cancelled sees asyncio's CancelledError, and cleans up with promises."""
    source, cleanup = Source(), Source()
    seen: list[Any] = []

    async def coroutine() -> None:
        try:
            await source.promise
        except asyncio.CancelledError as error:
            seen.append(error.args)
            seen.append(await cleanup.promise)
            raise

    task = asyncio.create_task(coroutine())
    await asyncio.sleep(0)
    task.cancel("enough")
    later(cleanup.resolve, "cleaned up")
    await asyncio.wait([task])
    assert task.cancelled()
    assert [("enough",), "cleaned up"] == seen
    assert 1 == source.cancelled


@scenario
async def twisted_coroutine_within_a_task() -> None:
    """A coroutine that Twisted drives, started from within a task, awaits promises too."""
    source, doomed = Source(), Source()
    assert None is not asyncio.current_task()
    deferred = ensureDeferred(awaiting(source.promise))

    @inlineCallbacks
    def inline() -> Any:
        return (yield awaiting(source.promise))

    futures = [
        pending_deferred.asFuture(asyncio.get_running_loop())
        for pending_deferred in (deferred, inline())
    ]
    doomed_deferred = ensureDeferred(awaiting(doomed.promise))
    results = result_of(doomed_deferred)
    doomed_deferred.cancel()
    assert [CancellationError] == [failure.type for failure in results]
    later(source.resolve, "value")
    assert ["value", "value"] == await asyncio.gather(*futures)
    assert 1 == doomed.cancelled


@scenario
async def promises_coroutine_within_a_task() -> None:
    """A coroutine that a promise drives awaits promises, Deferreds, futures and tasks."""
    loop = asyncio.get_running_loop()
    source = Source()
    deferred: Deferred[str] = Deferred()
    future = loop.create_future()

    async def coroutine() -> list[Any]:
        seen = [await source.promise, await deferred, await succeed("fired"), await future]
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        return [*seen, await loop.create_task(awaiting(source.promise))]

    later(future.set_result, "future")
    later(deferred.callback, "Deferred")
    later(source.resolve, "promise")
    assert ["promise", "Deferred", "fired", "future", "promise"] == await Promise.resolve(
        coroutine()
    )


@scenario
async def cancelling_a_promises_coroutine() -> None:
    """Cancelling a promise cancels the future that its coroutine awaits."""
    future = asyncio.get_running_loop().create_future()
    seen: list[Any] = []

    async def coroutine() -> None:
        try:
            await future
        except (CancelledError, asyncio.CancelledError) as error:
            seen.append(error)
            raise

    promise = Promise.resolve(coroutine())
    promise.cancel()
    await Promise.resolve().then()
    await asyncio.sleep(0)
    await Promise.resolve().then()
    assert future.cancelled()
    assert promise.is_cancelled()
    assert 1 == len(seen)


async def timed_out() -> str:
    """Gives the name of its task, after a timeout of asyncio's."""
    await Promise.delay(0)
    try:
        async with asyncio.timeout(0.001):
            await Promise.delay(3600)
    except TimeoutError:
        pass
    task: Any = asyncio.current_task()
    return str(task.get_name())


#: What was started before the reactor was.
STARTED_BEFORE: list[Promise[str]] = []


@scenario
async def coroutines_are_tasks() -> None:
    """Coroutines of promises are tasks of the reactor's loop; also those that are older than it."""
    assert "timed_out" == await Promise.resolve(timed_out())
    assert ["timed_out"] * 2 == await Promise.map([1, 2], lambda _: timed_out())
    assert "timed_out" == await STARTED_BEFORE[0]


@scenario
async def adopted_futures() -> None:
    """Futures of asyncio and of executors are adopted, whatever thread they are done in."""
    loop = asyncio.get_running_loop()
    home = threading.get_ident()
    threads: list[int] = []
    future = loop.create_future()
    later(future.set_result, "future")
    assert "future" == await Promise.resolve().then(lambda _: future)
    assert "task" == await Promise.resolve(loop.create_task(awaiting(Promise.resolve("task"))))
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        promise = Promise.resolve(executor.submit(threading.get_ident))
        handled = promise.then(lambda _: threads.append(threading.get_ident()))
        assert home != await promise
        await handled
    assert [home] == threads
    task = loop.create_task(asyncio.sleep(3600))
    doomed = Promise.resolve(task)
    doomed.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    task = loop.create_task(asyncio.sleep(3600))
    doomed = Promise.resolve(task)
    later(task.cancel)
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert doomed.is_cancelled()


@scenario
async def a_thousand_tasks() -> None:
    """One exception that a thousand tasks wait for keeps one traceback length."""
    source = Source()
    lengths: set[int] = set()

    async def coroutine() -> None:
        try:
            await source.promise
        except Boom as error:
            lengths.add(len(frames(error.__traceback__)))
            raise

    tasks = [asyncio.create_task(coroutine()) for _ in range(1000)]
    await asyncio.sleep(0)
    deferreds = [source.promise.to_deferred() for _ in range(1000)]
    for deferred in deferreds:
        deferred.addErrback(lambda failure: failure.raiseException()).addErrback(lambda _: None)
    source.reject(Boom())
    await asyncio.wait(tasks)
    assert all(isinstance(task.exception(), Boom) for task in tasks)
    assert {2} == lengths


@scenario
async def context_variables() -> None:
    """What a task has set stays its own, and is there when it goes on."""
    variable = contextvars.ContextVar("variable", default="unset")
    source = Source()

    async def coroutine(value: str) -> tuple[str, str]:
        variable.set(value)
        from_promise = await source.promise.then(lambda _: variable.get())
        return variable.get(), from_promise

    tasks = [asyncio.create_task(coroutine(value)) for value in "ab"]
    later(source.resolve)
    assert [("a", "a"), ("b", "b")] == await asyncio.gather(*tasks)
    assert "unset" == variable.get()


async def run_all() -> dict[str, str]:
    """Run every scenario; what it says is empty if all was well."""
    outcomes: dict[str, str] = {}
    logged: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] is LogLevel.critical:
            logged.append(str(event.get("log_failure", event)))

    globalLogPublisher.addObserver(observe)
    for name, function in SCENARIOS.items():
        try:
            await asyncio.wait_for(function(), 60)
            await Promise.resolve().then()
            assert not logged, logged
        except BaseException:
            outcomes[name] = traceback.format_exc()
        else:
            outcomes[name] = ""
        logged.clear()
    return outcomes


def main() -> None:
    """Run all of it on asyncio's reactor."""
    warnings.simplefilter("error")
    loop = asyncio.new_event_loop()
    loop.set_debug("debug" in sys.argv)
    asyncioreactor.install(loop)
    from twisted.internet import reactor

    STARTED_BEFORE.append(Promise.resolve(timed_out()))
    tasks: list[asyncio.Task[dict[str, str]]] = []

    def start() -> None:
        tasks.append(loop.create_task(run_all()))
        tasks[0].add_done_callback(lambda _: reactor.stop())  # type: ignore[attr-defined]

    reactor.callWhenRunning(start)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    print(json.dumps(tasks[0].result()))


if __name__ == "__main__":
    main()
