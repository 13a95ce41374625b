"""What has settled is freed by reference counting alone, on both sides of the bridge."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import weakref
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar
from functools import partial
from threading import Thread
from traceback import walk_tb
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, inlineCallbacks

from tests.support.outcomes import result_of
from tests.support.promises import Boom
from twpromise import Promise
from twpromise.testing import ManualScheduler


class Thing:
    """A value that can be referred to weakly."""


@pytest.fixture(autouse=True)
def _reference_counting_alone() -> Iterator[None]:
    gc.collect(1)
    gc.disable()
    yield
    gc.enable()


class Watch:
    """Weak references, and the names of those that are still alive."""

    def __init__(self) -> None:
        self._references: list[tuple[str, weakref.ref[Any]]] = []

    def __call__(self, name: str, thing: Any) -> Any:
        self._references.append((name, weakref.ref(thing)))
        return thing

    def alive(self) -> list[str]:
        """What has not been freed."""
        return [name for name, reference in self._references if reference() is not None]


# A traceback refers to its frames, and they to those that had called them, local variables and
# all.  So what happens must not happen below a frame that has in its variables what is to be
# freed: scenarios are generators, which yield whenever there is something to be called, or only
# to be flushed.
Scenario = Callable[[Watch], Iterator[Callable[[], object] | None]]

SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Something that happens, and leaves nothing behind."""
    SCENARIOS[function.__name__] = function
    return function


def _raises(watch: Watch) -> None:
    raise watch("error", Boom())


async def _coroutine(make: Callable[[], Any], caught: bool = False) -> None:
    if caught:
        try:
            await make()
        except Boom:
            pass
    else:
        await make()


@scenario
def adopted(watch: Watch) -> Any:
    """A Deferred that fires."""
    deferred = watch("deferred", Deferred())
    promise = watch("promise", Promise.from_deferred(deferred))
    child = watch("child", promise.then(lambda value: value))
    deferred.callback(watch("value", Thing()))
    yield
    assert child.is_fulfilled()


@scenario
def adopted_and_failed(watch: Watch) -> Any:
    """A Deferred that fails, its failure handled."""
    deferred = watch("deferred", Deferred())
    deferred.addCallback(lambda _: _raises(watch))
    promise = watch("promise", Promise.from_deferred(deferred))
    child = watch("child", promise.catch(lambda reason: None))
    yield partial(deferred.callback, None)
    assert child.is_fulfilled()


@scenario
def adopted_and_cancelled(watch: Watch) -> Any:
    """A Deferred that is cancelled by its promise."""
    deferred = watch("deferred", Deferred())
    promise = watch("promise", Promise.from_deferred(deferred))
    promise.cancel()
    yield
    assert promise.is_cancelled()


@scenario
def to_deferred(watch: Watch) -> Any:
    """A promise that is fulfilled, and a Deferred for it."""
    promise = watch("promise", Promise.resolve(watch("value", Thing())).then())
    results = result_of(watch("deferred", promise.to_deferred()))
    yield
    assert 1 == len(results)


@scenario
def to_deferred_rejected(watch: Watch) -> Any:
    """A promise that is rejected by its handler, and Deferreds for it, before and after."""
    promise = watch("promise", Promise.resolve().then(lambda _: _raises(watch)))
    results = result_of(watch("deferred", promise.to_deferred()))
    yield
    later = result_of(watch("later", promise.to_deferred()))
    watch("failure", results[0])
    assert 2 == len(results + later)


@scenario
def to_deferred_cancelled(watch: Watch) -> Any:
    """A Deferred that is cancelled."""
    promise = watch("promise", Promise(lambda resolve, reject: None))
    deferred = watch("deferred", promise.to_deferred())
    results = result_of(deferred)
    yield deferred.cancel
    assert 1 == len(results)


@scenario
def there_and_back(watch: Watch) -> Any:
    """A failure that goes over the bridge many times."""
    deferred: Deferred[Any] = watch("first", Deferred())
    deferred.addCallback(lambda _: _raises(watch))
    promise: Promise[Any] = Promise.from_deferred(deferred)
    for _ in range(5):
        promise = Promise.from_deferred(promise.to_deferred())
    watch("promise", promise)
    results = result_of(watch("last", promise.to_deferred()))
    yield partial(deferred.callback, None)
    assert 1 == len(results)


def _awaits(drive: Callable[[Any], Any], fails: bool, caught: bool) -> Scenario:
    def scenario(watch: Watch) -> Any:
        def make() -> Any:
            if fails:
                return watch("promise", Promise.resolve().then(lambda _: _raises(watch)))
            return watch("promise", Promise.resolve().then(lambda _: watch("value", Thing())))

        results: list[Any] = []
        driven = watch("driven", drive(watch("coroutine", _coroutine(make, caught))))
        if isinstance(driven, Promise):
            driven.then(results.append, results.append)
        else:
            driven.addBoth(results.append)
        yield
        yield
        assert 1 == len(results)

    return scenario


@inlineCallbacks
def _inline(coroutine: Any) -> Any:
    yield coroutine


for _name, _drive in {
    "ensureDeferred": ensureDeferred,
    "promise": Promise.resolve,
    "inlineCallbacks": _inline,
}.items():
    SCENARIOS[f"await_{_name}"] = _awaits(_drive, False, False)
    SCENARIOS[f"await_rejected_{_name}"] = _awaits(_drive, True, False)
    SCENARIOS[f"await_caught_{_name}"] = _awaits(_drive, True, True)
# Twisted's own frames refer to the failure that they have thrown into a generator.
del SCENARIOS["await_rejected_inlineCallbacks"]


@scenario
def coroutine_and_deferreds(watch: Watch) -> Any:
    """A coroutine that awaits Deferreds, the last of which fails."""
    first, second = watch("first", Deferred()), watch("second", Deferred())

    async def coroutine(deferreds: list[Any]) -> None:
        for deferred in deferreds:
            await deferred

    promise = watch("promise", Promise.resolve(watch("coroutine", coroutine([first, second]))))
    caught = promise.catch(lambda reason: None)
    yield partial(first.callback, watch("value", Thing()))
    yield partial(second.errback, watch("error", Boom()))
    assert caught.is_fulfilled()


def _cancelled(watch: Watch, make: Callable[[], Any]) -> Any:
    promise = watch("promise", Promise.resolve(watch("coroutine", _coroutine(make))))
    yield promise.cancel
    assert promise.is_cancelled()


@scenario
def coroutine_cancelled(watch: Watch) -> Any:
    """A coroutine that is cancelled while it waits for a promise."""
    yield from _cancelled(watch, lambda: watch("awaited", Promise(lambda resolve, reject: None)))


@scenario
def coroutine_cancelled_at_a_deferred(watch: Watch) -> Any:
    """A coroutine that is cancelled while it waits for a Deferred.

    Twisted's own frames refer to the failure that they deliver, and so to the Deferred.
    """
    yield from _cancelled(watch, Deferred)


@scenario
def thenable(watch: Watch) -> Any:
    """A thenable that fails."""

    class Thenable:
        def then(self, resolve: Any, reject: Any) -> None:
            _raises(watch)

    promise = watch("promise", Promise.resolve(watch("thenable", Thenable())))
    caught = promise.catch(lambda reason: None)
    yield
    assert caught.is_fulfilled()


@scenario
def future(watch: Watch) -> Any:
    """Futures of an executor."""
    for fails in False, True:
        future: Any = watch("future", concurrent.futures.Future())
        promise = watch("promise", Promise.resolve(future))
        promise.catch(lambda reason: None)
        if fails:
            yield partial(future.set_exception, watch("error", Boom()))
        else:
            yield partial(future.set_result, watch("value", Thing()))


@scenario
def deferify(watch: Watch) -> Any:
    """A deferified function that fails after it has waited."""

    @Promise.deferify
    async def fails() -> None:
        await Promise.resolve().then()
        _raises(watch)

    yield lambda: watch("deferred", fails()).addErrback(lambda _: None)


def _keeps_its_caller() -> bool:
    """Whether the frame of a coroutine that has failed refers to the frame of its caller.

    In some patch releases of Python it does, and in their successors it does not.
    """

    async def fails() -> None:
        raise Boom

    def caller() -> Any:
        try:
            fails().send(None)
        except Boom as error:
            return [frame for frame, _ in walk_tb(error.__traceback__)][-1]

    return caller().f_back is not None


#: There, the caller is a method of Twisted's `Deferred`, which refers to the failure.
CALLERS_FRAMES = ("coroutine_and_deferreds",) if _keeps_its_caller() else ()

#: The failure with which Twisted cancels a Deferred may lead to Twisted's frames, and these to the
#: Deferred: then the collector has to free them.
TWISTEDS_FRAMES = ("coroutine_cancelled_at_a_deferred",)


variable: ContextVar[Any] = ContextVar("variable")


def _raise(*_: Any) -> None:
    raise Boom


def _in_context(watch: Watch, ask: Callable[..., Any], function: Any, *arguments: Any) -> Any:
    """Ask for a call in a context of its own; *watch* knows what that keeps."""

    def call() -> Any:
        variable.set(watch("context", Thing()))
        return ask(function, *arguments, watch("argument", Thing())).catch(Boom, lambda _: None)

    return Context().run(call)


def _threads(watch: Watch, function: Callable[..., object], cancels: bool = False) -> Any:
    """A thread of a pool, which keeps what it has run."""
    pool: list[Callable[[], None]] = []
    scheduler: Any = Promise._queue.scheduler
    scheduler.call_in_thread = pool.append
    promise = _in_context(watch, Promise.in_thread, function)
    yield
    if cancels:
        yield promise.cancel
    else:
        yield lambda: _in_thread(pool[0])
    del promise
    yield
    assert [] == watch.alive()


def _in_thread(function: Callable[[], object]) -> None:
    thread = Thread(target=lambda: function())
    thread.start()
    thread.join()


@scenario
def function_in_a_thread(watch: Watch) -> Any:
    yield from _threads(watch, lambda _: watch("result", Thing()))


@scenario
def function_in_a_thread_that_raises(watch: Watch) -> Any:
    yield from _threads(watch, _raise)


@scenario
def function_in_a_thread_cancelled_before(watch: Watch) -> Any:
    """Though the pool has not come to it."""
    yield from _threads(watch, _raise, cancels=True)


def _ask(function: Any, *arguments: Any) -> Any:
    future: Any = None

    def ask() -> None:
        nonlocal future
        future = Promise.call_from_thread(function, *arguments)

    _in_thread(ask)
    return Promise.resolve(future)


@scenario
def call_from_a_thread_that_raises(watch: Watch) -> Any:
    yield partial(_in_context, watch, _ask, _raise)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.xfail(
                name in CALLERS_FRAMES,
                reason="the frames of callers, which are not ours, are kept",
            ),
        )
        for name in SCENARIOS
    ],
)
def test_freed(scheduler: ManualScheduler, name: str) -> None:
    """Nothing is left of it, though no collector runs."""
    watch = Watch()
    for step in SCENARIOS[name](watch):
        if step is not None:
            step()
            del step
        scheduler.flush()
    if name in TWISTEDS_FRAMES:
        gc.collect()
    assert [] == watch.alive()


def test_freed_under_asyncio(on_asyncio: Any) -> None:
    """Nothing is left of what tasks have awaited either."""
    watch = Watch()

    def make(fails: bool) -> Any:
        if fails:
            return watch("promise", Promise.resolve().then(lambda _: _raises(watch)))
        return watch("promise", Promise.resolve().then(lambda _: watch("value", Thing())))

    async def main() -> None:
        for fails in False, True:
            source = partial(make, fails)
            task = watch("task", asyncio.create_task(_coroutine(source, caught=True)))
            await asyncio.wait([task])
            del task

    on_asyncio(main)
    assert [] == watch.alive()


def test_waiters_that_leave(scheduler: ManualScheduler) -> None:
    """Consumers that come and go do not pile up on a promise that stays."""
    promise: Promise[Any] = Promise(lambda resolve, reject: None)
    kept = promise.then()

    async def awaiting() -> None:
        await promise

    watch = Watch()
    for _ in range(200):
        for deferred in (promise.to_deferred(), ensureDeferred(awaiting())):
            watch("deferred", deferred)
            deferred.addErrback(lambda failure: None)
            deferred.cancel()
            scheduler.flush()
    del deferred
    # Twisted's frames refer to the failure with which a coroutine was cancelled.
    gc.collect()
    assert kept.is_pending()
    assert [] == watch.alive()


async def _waits(promise: Promise[Any]) -> None:
    await promise


@pytest.mark.parametrize("make", ["to_deferred", "to_future", "coroutine"])
def test_a_consumer_that_left_is_freed(scheduler: ManualScheduler, make: str) -> None:
    """Not when the promise settles: while that stays pending, for another consumer."""
    promise: Promise[Any] = Promise(lambda resolve, reject: None)
    watch = Watch()
    loop = asyncio.new_event_loop()
    makers: dict[str, Callable[[], Any]] = {
        "to_deferred": promise.to_deferred,
        "to_future": lambda: promise.to_future(loop),
        "coroutine": lambda: Promise.resolve(watch("coroutine", _waits(promise))),
    }
    made = watch(make, makers[make]())
    kept = promise.then()
    scheduler.flush()
    if isinstance(made, Deferred):
        made.addErrback(lambda failure: None)
    made.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    scheduler.flush()
    del made
    assert [] == watch.alive()
    assert kept.is_pending()
