"""What has settled is freed by reference counting alone.

With the garbage collector switched off, each test builds something of a promise, settles or cancels
that, and drops all that it holds.  No value, handler, error or variable of a frame may stay alive.

Coroutines here take what they await out of a list: a function that keeps in a variable of its own
the promise that its error ends in makes a cycle, as with any exception in Python.
"""

from __future__ import annotations

import asyncio
import gc

import pytest
from twisted.internet.defer import Deferred

import twpromise
from tests.support.collections import variable
from tests.support.promises import Boom
from tests.support.things import AtOnce, Eventual, Things, within
from twpromise import Disposer, Promise, background, promisifiers


def both(build):
    """Build the same with a handler that returns, and with one that raises."""
    return lambda p, t: [build(p, t.handler()), build(p, t.failing())]


def _items(p, t):
    yield t.value()
    yield p
    yield t.value()


async def _items_later(held, t):
    yield t.value()
    # From Python 3.12 on, the frame of a coroutine that fails at once refers to its caller's.
    await Promise.delay(1)
    yield await held.pop()


def _bound(p, t):
    return [p.bind(t.value()).then(t.handler(), t.failing()), Promise.bind(p).tap(t.handler())]


def _collections(p, t):
    items = [p, t.value(), Promise.resolve(t.value()).then(t.handler())]
    return [
        *(getattr(Promise, name)(items) for name in ("all", "all_settled", "any", "race")),
        Promise.some(items, 2),
        Promise.props({"one": p, "other": t.value()}),
        Promise.join(p, t.value(), t.handler()),
    ]


def _iterated(p, t):
    return [
        getattr(Promise, name)(items(), function)
        for name in ("map", "filter", "reduce", "each", "map_series")
        for items in (lambda: [p, t.value()], lambda: _items(p, t), lambda: _items_later([p], t))
        for function in (t.handler(), t.failing())
    ]


def _mapped(p, t):
    return [
        getattr(Promise, name)([t.value()] * 2, function)
        for name in ("map", "filter", "reduce", "each", "map_series")
        for function in (t.handler(lambda *_: p), t.failing())
    ]


def _timed(p, t):
    return [
        p.delay(1),
        Promise.delay(2, t.value()),
        p.timeout(1),
        p.delay(5).timeout(1, t.keep(Boom(t.value()))),
    ]


def _cancelled(p, t):
    child = p.then(t.handler())
    child.cancel()
    return [child, p.finally_(t.handler(lambda: Promise.delay(1)))]


def _used(p, t):
    return [
        Promise.using(p.disposer(t.handler()), p.then().disposer(t.handler()), t.handler()),
        Promise.using(p.disposer(t.handler()), t.failing()),
        Promise.using(p, t.value(), t.handler(lambda *_: p)),
    ]


class Manager:
    """An asynchronous context manager that takes its time."""

    async def __aenter__(self):
        await Promise.delay(1)

    async def __aexit__(self, *_):
        await Promise.delay(1)


async def _entered(held, handler):
    async with held.pop() as resource:
        return handler(resource)


def _managed(p, t):
    return [
        Promise.using(t.keep(Disposer.of(t.keep(Manager()))), t.handler(lambda _: p)),
        Promise.resolve(_entered([p.disposer(t.handler())], t.handler())),
        Promise.resolve(_entered([t.keep(Disposer.of(Manager()))], t.handler())),
    ]


async def _awaits(held, t):
    local = t.value()
    return await held.pop(), local


async def _catches(held, t):
    try:
        return await held.pop()
    except BaseException:
        return t.value()


async def _fails(held, t):
    local = t.value()
    await Promise.delay(1)
    raise t.keep(Boom(local))


@Promise.coroutine
def _yields(held, t):
    local = t.value()
    try:
        yield held.pop()
    finally:
        yield Promise.resolve(local).then(t.handler())


def _coroutines(p, t):
    return [Promise.resolve(each([p], t)) for each in (_awaits, _catches, _fails, _yields)]


def _callbacks(p, t):
    ask = Promise.promisify(lambda value, callback: callback(None, value))
    refuse = Promise.promisify(lambda value, callback: Promise.delay(1).as_callback(callback))
    p.as_callback(t.handler())
    return [
        ask(t.value()),
        refuse(t.value()),
        Promise.from_callback(t.handler(lambda callback: callback(None, p))),
        promisifiers.callback_pair(lambda resolve, _: resolve(p))(),
    ]


def _deferreds(p, t):
    pending, fired = t.keep(Deferred()), t.keep(Deferred())
    fired.callback(t.value())
    Promise.delay(1).then(pending.callback)
    pending.addCallback(t.failing())
    return [
        p.to_deferred(),
        Promise.from_deferred(t.keep(p.to_deferred())),
        Promise.from_deferred(fired),
        Promise.from_deferred(pending),
        Promise.deferify(t.handler(lambda: p), timeout=1)(),
    ]


def _future(p, t):
    loop = asyncio.new_event_loop()
    future = t.keep(p.to_future(loop))

    async def turns():
        for _ in range(3):
            await asyncio.sleep(0)

    def end(future=future):
        loop.run_until_complete(turns())
        future.cancel()
        if not future.cancelled():
            future.exception()
        loop.run_until_complete(turns())
        loop.close()

    t.at_end.append(end)
    return []


def _foreign(p, t):
    thenable = t.keep(Eventual(p))
    return [twpromise.IPromise(thenable), twpromise.IDeferred(thenable)]


BUILDERS = {
    "then": both(lambda p, handler: p.then(handler)),
    "catch": both(lambda p, handler: p.catch(Boom, handler)),
    "finally_": both(lambda p, handler: p.finally_(handler)),
    "tap": both(lambda p, handler: p.tap(handler).tap_catch(handler)),
    "spread": both(lambda p, handler: p.then(lambda value: [value]).spread(handler)),
    "return_, throw": lambda p, t: [p.return_(t.value()), p.throw(t.keep(Boom(t.value())))],
    "get, call": lambda p, t: [p.get("attribute"), p.get("missing"), p.call("method", t.value())],
    "bind": _bound,
    "reflect": lambda p, t: [p.reflect().then(t.keep)],
    "done": lambda p, t: [p.done(t.handler(), t.handler())],
    "follow": lambda p, t: [Promise.resolve().then(t.handler(lambda _: p))],
    "collections": _collections,
    "read collections": _iterated,
    "mapped collections": _mapped,
    "delay, timeout": _timed,
    "cancel": _cancelled,
    "using": _used,
    "context managers": _managed,
    "coroutines": _coroutines,
    "callbacks": _callbacks,
    "Deferreds": _deferreds,
    "future": _future,
    "thenable": _foreign,
    "executor": lambda p, t: [Promise.run_in(AtOnce(), t.handler(), t.value())],
    "background": lambda p, t: [p.then(background(t.handler(lambda _: Promise.delay(1) and None)))],
}


# --- how the promise ends

WAYS = {
    "fulfilled before": lambda t, resolver: None,
    "fulfils": lambda t, resolver: resolver.resolve(Promise.resolve(t.value()).then(t.handler())),
    "rejects": lambda t, resolver: resolver.reject(t.keep(Boom(t.value()))),
    "is cancelled": lambda t, resolver: resolver.promise.cancel(),
    # What was built is cancelled; the promise stays pending, for others that wait for it.
    "is left": lambda t, resolver: t.kept.append(resolver),
}
#: What these build cannot be cancelled, or waits on for what it has to release.
NOT_LEFT = {"done", "callbacks", "thenable", "bind", "using", "context managers"}


@pytest.fixture
def _no_collector():
    """Reference counting alone.  Releases that fail are not logged: the log would keep them."""
    Promise.on_fatal(lambda *_: None)
    gc.collect(1)
    gc.disable()
    yield
    gc.enable()
    Promise.on_fatal(None)


def alive_after(scheduler, builder, way):
    """Build, let all settle, and return what is still alive."""
    things = Things()
    resolver = Promise.defer()
    if way == "fulfilled before":
        resolver.resolve(things.value())
    elif way == "is left":
        things.kept = [resolver.promise.then(), resolver.promise.reflect()]
    resolver.promise.suppress_unhandled_rejections()
    built = BUILDERS[builder](resolver.promise, things)
    for made in built:
        if isinstance(made, Deferred):
            made.addBoth(things.handler())
        elif made is not None:
            made.suppress_unhandled_rejections()
            made.then(things.handler(), things.handler()).suppress_unhandled_rejections()
        if way == "is left" and made is not None:
            made.cancel()
        made = None
    WAYS[way](things, resolver)
    del built, resolver
    for _ in range(5):
        scheduler.advance(10)
    while things.at_end:
        things.at_end.pop()()
        scheduler.flush()
    assert [] == scheduler.clock.getDelayedCalls()
    assert [] != things.references
    return things.alive()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.filterwarnings("ignore::twpromise.PromiseWarning")
@pytest.mark.parametrize(
    ("builder", "way"),
    [
        (builder, way)
        for builder in BUILDERS
        for way in WAYS
        if way != "is left" or builder not in NOT_LEFT
    ],
)
def test_nothing_stays_alive(scheduler, config, builder, way):
    """Nor where a context variable is set, nor with all diagnostics on."""
    assert [] == alive_after(scheduler, builder, way)
    assert [] == within(variable, "set", alive_after, scheduler, builder, way)
    config(monitoring=True, long_stack_traces=True, warnings=True)
    assert [] == alive_after(scheduler, builder, way)


def _drops(*arguments):
    """A handler that keeps nothing, and raises."""
    del arguments
    raise Boom


def _raises():
    """One that has no parameter."""
    raise Boom


#: What a handler is attached by, to a promise that is fulfilled, or rejected.
RAISING = {
    "then, no parameter": lambda p: p.then(_raises),
    "tap, no parameter": lambda p: p.tap(_raises),
    "using, no parameter": lambda p: Promise.using(p, _raises),
    "background": lambda p: p.then(background(_drops)),
    "spread": lambda p: Promise.all([p]).spread(_drops),
    "join": lambda p: Promise.join(p, _drops),
    "then": lambda p: p.then(_drops),
    "finally_": lambda p: p.finally_(_drops),
    "tap": lambda p: p.tap(_drops),
    "bind": lambda p: p.bind("this").tap(_drops),
    "using": lambda p: Promise.using(p, _drops),
}
RAISING_AFTER_A_REJECTION = {
    "catch, filtered": lambda p: p.catch(Boom, _drops),
    "tap_catch, no parameter": lambda p: p.tap_catch(_raises),
    "catch": lambda p: p.catch(_drops),
    "finally_ of a rejection": lambda p: p.finally_(_drops),
    "tap_catch": lambda p: p.tap_catch(Exception, _drops),
}
#: Frames of this package's hold the values of items, as long as the rejection lives.
RAISING_IN_COLLECTIONS = {
    name: lambda p, name=name: getattr(Promise, name)([p, p], _drops)
    for name in ("map", "filter", "each", "map_series", "reduce")
}


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("name", [*RAISING, *RAISING_AFTER_A_REJECTION, *RAISING_IN_COLLECTIONS])
@pytest.mark.parametrize("before", [False, True], ids=["pending", "settled before"])
@pytest.mark.parametrize("diagnostics", [False, True], ids=["plain", "diagnostics"])
def test_a_handler_that_raises_keeps_nothing_alive(scheduler, config, name, before, diagnostics):
    """While the rejection lives: not the promise before it, nor its value, or reason."""
    config(long_stack_traces=diagnostics)
    things = Things()

    def settle(resolver):
        if name in RAISING_AFTER_A_REJECTION:
            resolver.promise.suppress_unhandled_rejections()
            resolver.reject(Boom(things.value()))
        else:
            resolver.resolve(things.value())

    resolver = Promise.defer()
    if before:
        settle(resolver)
        scheduler.flush()
    builders = RAISING | RAISING_AFTER_A_REJECTION | RAISING_IN_COLLECTIONS
    failed = builders[name](things.keep(resolver.promise))
    failed.suppress_unhandled_rejections()
    if not before:
        settle(resolver)
    del resolver
    scheduler.flush()
    alive = things.alive()
    if name in RAISING_IN_COLLECTIONS:
        alive = [thing for thing in alive if isinstance(thing, Promise)]
    assert (True, []) == (failed.is_rejected(), alive)
