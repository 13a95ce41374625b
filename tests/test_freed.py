"""What has settled is freed by reference counting alone: everything that the public API can build.

For each public name, of the package and of what it gives, there is something that is built with
it, out of a promise that settles, or is left, in one way or another; unwatched and watched.  With
the collector switched off, all that was part of it must go: values, handlers and what they refer
to, errors, the variables of frames that failed.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from concurrent.futures import Future
from contextvars import ContextVar
from functools import partial

import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed

import twpromise
from tests.things import AtOnce, Boom, Eventual, Things, Value
from twpromise import Disposer, Promise, PromiseInspection, background, promisifiers
from twpromise._bridge import executors

_variable: ContextVar[object] = ContextVar("variable")


class Sdk:
    """What can be promisified; what is passed to it is all that it has."""

    def ask(self, thing, callback):
        callback(None, thing)

    def refuse(self, thing, callback):
        callback(Boom(thing), None)

    def gives(self, thing):
        return Promise.resolve(thing).then()


# --- what is built
#
# Each gives back promises and Deferreds, which are consumed then, and functions that give one.  A
# traceback refers to its frames, and they to those that had called them, local variables and all.
# So what fails at once must not be called below a frame that has in its variables what is to be
# freed: the test calls it.

BUILT = {}


def builds(*names):
    """The function builds something with these names, of things and of a promise."""

    def add(function):
        for name in names:
            BUILT.setdefault(name, []).append(function)
        return function

    return add


def method(name, *arguments):
    """A method that is called with a handler, behind these arguments."""

    def build(things, promise):
        return things.either(lambda handler: getattr(promise, name)(*arguments, handler))

    build.__name__ = " ".join((name, *(each.__name__ for each in arguments)))
    BUILT.setdefault(name, []).append(build)


for _name in [
    "then",
    "catch",
    "caught",
    "error",
    "finally_",
    "lastly",
    "tap",
    "tap_catch",
    "spread",
]:
    method(_name)
for _name in ["map", "filter", "reduce", "each", "map_series"]:
    method(_name)
for _name in ["catch", "caught", "tap_catch"]:
    method(_name, Boom)


@builds("catch", "tap_catch")
def _filters(things, promise):
    return [
        promise.catch(things.handler(), {"name": things.value()}, things.handler()),
        promise.tap_catch(things.failing(), things.handler()),
    ]


@builds("catch_return", "return_", "then_return")
def _returns(things, promise):
    return [
        promise.return_(things.value()),
        promise.then_return(promise),
        promise.catch_return(things.value()),
        promise.catch_return(Boom, Promise.resolve(things.value()).then(things.handler())),
    ]


@builds("catch_throw", "throw", "then_throw")
def _throws(things, promise):
    return [
        promise.throw(things.keep(Boom(things.value()))),
        promise.then_throw(things.keep(Boom())),
        promise.catch_throw(things.keep(Boom())),
        promise.catch_throw(Boom, things.keep(Boom())),
    ]


@builds("get", "call")
def _parts(things, promise):
    return [
        promise.get("attribute"),
        promise.get("missing"),
        promise.call("method", things.value()),
        promise.call("missing", things.value()),
    ]


@builds("bind")
def _binds(things, promise):
    return [
        promise.bind(things.value()).then(things.handler(), things.failing()),
        promise.bind(Promise.resolve(things.value()).then(things.handler())).tap(things.handler()),
        Promise.bind(promise, things.value()).then(things.handler()),
        promise.bind(things.value()).bind(),
    ]


_STATES = ("is_pending", "is_fulfilled", "is_rejected", "is_cancelled", "value", "reason", "error")


def _looked_at(inspection):
    """An inspection, that has been asked all that it can be asked."""
    if inspection.is_fulfilled():
        inspection.value()
    if inspection.is_rejected():
        inspection.reason()
    assert inspection.is_pending() + inspection.is_cancelled() < 2
    return inspection


@builds(*_STATES[:-1], "reflect", "PromiseInspection", *map("PromiseInspection.{}".format, _STATES))
def _looks(things, promise):
    _looked_at(promise)
    return [
        promise.reflect(),
        promise.reflect().then(things.keep),
        promise.reflect().then(_looked_at),
        Promise.all_settled([promise, promise.then()]),
    ]


@builds("done", "suppress_unhandled_rejections")
def _ends(things, promise):
    promise.done(things.handler(), things.handler())
    promise.suppress_unhandled_rejections()
    return []


@builds("all", "all_settled", "any", "race")
def _lists(things, promise):
    others = [things.value(), Promise.resolve(things.value()).then(things.handler()), Deferred()]
    others[-1].callback(things.value())
    return [
        getattr(Promise, name)(items)
        for name in ("all", "all_settled", "any", "race")
        for items in ([promise], [promise, *others], Promise.resolve([promise]).then())
    ]


@builds("some", "props", "join")
def _other_lists(things, promise):
    return [
        Promise.some([promise, things.value()], 2),
        Promise.some([promise, promise.then(things.handler())], 1),
        Promise.props({"one": promise, "other": things.value()}),
        Promise.join(promise, things.value(), things.handler()),
        Promise.join(promise, promise, things.failing()),
    ]


def _lazily(things, promise):
    yield things.value()
    yield promise
    yield things.value()


async def _lazily_too(things, promise):
    # The reason refers to this frame, which must not refer to what has it.
    held = [promise]
    del promise
    yield things.value()
    yield await held.pop()


@builds("map", "filter", "reduce", "each", "map_series")
def _read(things, promise):
    built = []
    for name in ("map", "filter", "reduce", "each", "map_series"):
        function = getattr(Promise, name)
        inputs = [promise, things.value()], _lazily(things, promise), _lazily_too(things, promise)
        built.extend(function(items, things.handler()) for items in inputs)
        built.append(function([things.value(), promise], things.failing()))
        built.append(function([things.value()] * 2, things.handler(lambda *_: promise)))
    built.append(Promise.map([promise] * 3, things.handler(lambda value: promise), concurrency=1))
    built.append(Promise.reduce([promise], things.handler(), promise))
    return built


@builds("delay", "timeout")
def _takes_time(things, promise):
    return [
        promise.delay(1),
        Promise.delay(2, promise),
        Promise.delay(2, things.value()),
        promise.timeout(1),
        promise.delay(5).timeout(1),
        promise.delay(5).timeout(1, things.keep(Boom(things.value()))),
    ]


def _refuses(things):
    """A class of exceptions that cannot be made."""

    class Refuses(Exception):
        def __init__(self):
            local = things.value()
            raise things.keep(Boom(local))

    return Refuses


@builds("reject", "throw", "defer")
def _cannot_be_made(things, promise):
    refuses = _refuses(things)
    resolver = Promise.defer()
    resolver.promise.suppress_unhandled_rejections()
    held = [resolver.promise]
    return [
        partial(Promise.reject, refuses),
        partial(Promise, lambda resolve, reject: reject(refuses)),
        partial(Promise, lambda resolve, reject, on_cancel: on_cancel(list) or reject(refuses)),
        promise.throw(refuses),
        partial(resolver.reject, refuses),
        partial(held.pop),
    ]


@builds("resolve", "reject")
def _made(things, promise):
    return [
        Promise.resolve(promise).then(things.handler(lambda _: promise)),
        Promise.resolve(things.value()),
        Promise.resolve().then(things.handler(lambda _: promise)),
        Promise.reject(things.keep(Boom(things.value()))),
        Promise(things.handler(lambda resolve, reject: resolve(promise))),
        partial(Promise, things.failing()),
    ]


@builds("try_", "attempt", "method", "defer")
def _called(things, promise):
    resolver = Promise.defer()
    resolver.resolve(promise)
    told = Promise.defer()
    told.callback(things.keep(Boom(things.value())))
    return [
        Promise.try_(things.handler(lambda: promise)),
        partial(Promise.attempt, things.failing()),
        Promise.method(things.handler(lambda value: promise))(things.value()),
        partial(Promise.method(things.failing()), things.value()),
        resolver.promise,
        told.promise,
    ]


@builds("cancel")
def _cancelled(things, promise):
    child = promise.then(things.handler())
    child.cancel()
    return [child, promise.finally_(things.handler(lambda: Promise.delay(1)))]


@builds("disposer", "using", "Disposer")
def _resources(things, promise):
    late = promise.then(things.handler())
    disposers = [promise.disposer(things.handler()), late.disposer(things.handler())]
    unused = promise.disposer(things.handler())
    del unused
    return [
        Promise.using(*disposers, things.handler()),
        Promise.using(
            [Promise.resolve(things.value()).disposer(things.handler())], things.failing()
        ),
        Promise.using(promise, things.value(), things.handler(lambda *_: promise)),
    ]


@builds("disposer", "using")
def _failing_releases(things, promise):
    # What is raised goes to the fatal hook.
    late = promise.then(things.handler())
    return [
        Promise.using(promise.disposer(things.failing()), things.handler()),
        Promise.using(
            late.disposer(things.handler(lambda _: Promise.delay(1).then(things.failing()))),
            promise.then().disposer(things.failing()),
            things.failing(),
        ),
    ]


class Manager:
    """A context manager; what it calls may fail."""

    def __init__(self, enters, leaves):
        self._enters = enters
        self._leaves = leaves

    def __enter__(self):
        return self._enters()

    def __exit__(self, *_):
        return self._leaves()


class AtOnceManager:
    """An asynchronous one, whose coroutines end, or fail, in their first step."""

    def __init__(self, enters, leaves):
        self._enters = enters
        self._leaves = leaves

    async def __aenter__(self):
        return self._enters()

    async def __aexit__(self, *_):
        return self._leaves()


class LateManager(AtOnceManager):
    """An asynchronous one that takes its time."""

    async def __aenter__(self):
        await Promise.delay(1)
        return self._enters()

    async def __aexit__(self, *_):
        await Promise.delay(1)
        return self._leaves()


async def _uses(disposers, functions):
    # The reason refers to this frame, which must not refer to what has it.
    async with disposers.pop() as resource:
        return await Promise.resolve(functions.pop()(resource))


def _managed(things, promise, use):
    """What *use* makes of disposers of managers, and of functions, that fail or do not."""
    return [
        use(things.keep(Disposer.of(kind(enters(), leaves()))), function)
        for kind in (Manager, AtOnceManager, LateManager)
        for enters, leaves, function in [
            (things.handler, things.handler, things.handler(lambda _: promise)),
            (things.handler, things.handler, things.failing()),
            (things.handler, things.failing, things.handler()),
            (things.failing, things.handler, things.handler()),
        ]
    ]


@builds("Disposer", "Disposer.of", "using")
def _managers(things, promise):
    return _managed(
        things, promise, lambda disposer, function: partial(Promise.using, disposer, function)
    )


@builds("Disposer", "Disposer.of")
def _managers_in_coroutines(things, promise):
    def use(disposer, function):
        return partial(Promise.resolve, things.keep(_uses([disposer], [function])))

    return _managed(things, promise, use)


@builds("Disposer")
def _disposers_in_coroutines(things, promise):
    return [
        partial(Promise.resolve, _uses([promise.disposer(release)], [function]))
        for release in (things.handler(), things.failing())
        for function in (
            things.handler(),
            things.failing(),
            things.handler(lambda _: Promise.delay(1)),
        )
    ]


@builds("background")
def _in_the_background(things, promise):
    return [
        promise.then(background(things.handler(lambda _: Promise.delay(1) and None))),
        promise.then(background(things.failing())),
    ]


@builds("coroutine")
def _generators(things, promise):
    # The reason refers to the frame, which must not refer to what has it.
    held = [promise]

    @Promise.coroutine
    def waits(value):
        local = things.value()
        try:
            yield held.pop()
        finally:
            yield Promise.resolve(local).then(things.handler())
        return value

    @Promise.coroutine
    def fails(value):
        local = things.value()
        yield Promise.resolve(local)
        raise things.keep(Boom(local, value))

    return [waits(things.value()), partial(fails, things.value())]


@builds("coroutine", "coroutine.add_yield_handler")
def _yield_handlers(things, promise):
    copy = Promise.get_new_library_copy()
    held = [promise, promise]
    copy.coroutine.add_yield_handler(lambda value: held.pop() if value == "one" else None)

    def generator(value, yields):
        local = things.value()
        return (yield yields), value, local

    del promise
    return [
        partial(copy.coroutine(generator), things.value(), "one"),
        partial(copy.coroutine(generator), things.value(), "of no use"),
        partial(
            Promise.coroutine(generator, yield_handler=things.handler(lambda _: held.pop())),
            things.value(),
            "two",
        ),
        partial(
            Promise.coroutine(generator, yield_handler=things.failing()), things.value(), "three"
        ),
    ]


@builds("coroutine", "resolve")
def _coroutines(things, promise):
    held = [promise, promise]

    @Promise.coroutine
    async def waits(value):
        local = things.value()
        await held.pop()
        return value, local

    @Promise.coroutine
    async def fails(value):
        local = things.value()
        await Promise.resolve(local).then()
        raise things.keep(Boom(local, value))

    async def catches():
        try:
            return await held.pop()
        except BaseException:
            return things.value()

    del promise
    return [
        partial(waits, things.value()),
        partial(fails, things.value()),
        partial(Promise.resolve, catches()),
    ]


@builds("promisify", "promisify_all", "from_callback", "from_node")
def _promisified(things, promise):
    sdk = Promise.promisify_all(Sdk())
    ask = Promise.promisify(sdk.ask)
    refuse = Promise.promisify(sdk.refuse)
    return [
        ask(things.value()),
        partial(refuse, things.value()),
        ask(promise),
        sdk.askAsync(promise),
        Promise.from_callback(things.handler(lambda callback: callback(None, promise))),
        partial(Promise.from_node, things.failing()),
    ]


@builds("as_callback", "nodeify")
def _as_callback(things, promise):
    return [
        promise.as_callback(things.handler()),
        promise.then(lambda value: [value]).nodeify(things.handler(), spread=True),
    ]


@builds("from_deferred", "to_deferred")
def _deferreds(things, promise):
    fired, failed = things.keep(Deferred()), things.keep(Deferred())
    fired.callback(things.value())
    failed.addCallback(things.failing())
    adopted = Promise.from_deferred(failed)
    return [
        Promise.from_deferred(fired),
        adopted,
        partial(failed.callback, None),
        promise.to_deferred(),
        Promise.from_deferred(things.keep(promise.to_deferred())),
    ]


@builds("deferify", "deferify_all")
def _deferified(things, promise):
    sdk = Promise.deferify_all(Sdk())
    return [
        Promise.deferify(things.handler(lambda value: promise))(things.value()),
        partial(Promise.deferify(things.failing()), things.value()),
        Promise.deferify(things.handler(lambda: promise), timeout=1)(),
        sdk.gives(things.value()),
    ]


@builds("to_future")
def _futures(things, promise):
    loop = asyncio.new_event_loop()
    future = things.keep(promise.to_future(loop))

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

    things.at_end.append(end)
    return []


@builds("IPromise", "IDeferred")
def _adapted(things, promise):
    value = things.keep(Eventual(promise))
    deferred = twpromise.IDeferred(value)
    deferred.addBoth(things.handler())
    return [twpromise.IPromise(value), twpromise.IPromise(things.keep(promise.to_deferred()))]


@builds("callback_pair", "returning", "threads")
def _by_promisifiers(things, promise):
    return [
        promisifiers.callback_pair(lambda value, resolve, _: resolve(promise))(things.value()),
        promisifiers.returning(lambda value: promise)(things.value()),
        promisifiers.threads(things.handler())(things.value()),
        promisifiers.threads(things.failing())(things.value()),
    ]


@builds("run_in", "in_thread")
def _elsewhere(things, promise):
    return [
        partial(run, function, things.value())
        for run in (partial(Promise.run_in, AtOnce()), Promise.in_thread)
        for function in (things.handler(), things.failing())
    ]


SPELLINGS = {name for name in dir(Promise) if name[0].islower() and name != name.lower()}
SPELLINGS.add("addYieldHandler")

#: These build nothing that has to be freed.
NOTHING = {
    # Classes of errors and of warnings; and an interface.
    "AggregateError",
    "CancellationError",
    "IScheduler",
    "OperationalError",
    "PromiseError",
    "PromiseWarning",
    "RejectionError",
    "TimeoutError",
    # It keeps no promises.
    "ReactorScheduler",
    # Settings and hooks, which stay.
    "config",
    "get_new_library_copy",
    "is_",
    "long_stack_traces",
    "off",
    "on",
    "on_fatal",
    "on_possibly_unhandled_rejection",
    "on_unhandled_rejection_handled",
    "set_rejection_policy",
    "set_scheduler",
    "statistics",
}


def _public(thing, prefix=""):
    names = (name for name in dir(thing) if not name.startswith("_") and name not in SPELLINGS)
    return {prefix + name for name in names}


def test_all_public_names_are_tried():
    """A new name without a case here is a mistake of these tests."""
    public = (
        set(twpromise.__all__)
        | set(promisifiers.__all__)
        | _public(Promise)
        | _public(Promise.coroutine, "coroutine.")
        | _public(Disposer, "Disposer.")
        | _public(PromiseInspection, "PromiseInspection.")
    )
    assert public - NOTHING - {"Promise"} == set(BUILT)


# --- how the promise that it is built of settles


def _nothing(*_):
    pass


def _pending(things):
    """A promise, and what settles it."""
    functions = []

    def executor(resolve, reject, on_cancel):
        functions.extend((resolve, reject))
        on_cancel(things.handler())

    return Promise(executor), *functions


def _before(made):
    return lambda things: (made(things), None, None)


def _cancels_what_was_built(things, promise, built, resolve, reject):
    for made in built:
        if made is not None:
            made.cancel()
    # Where nothing has been built of it.
    promise.cancel()


def _fulfils(things, promise, built, resolve, reject):
    resolve(things.value())


def _follows(things, promise, built, resolve, reject):
    resolve(Promise.resolve(things.value()).then(things.handler()))


def _rejects(things, promise, built, resolve, reject):
    reject(things.keep(Boom(things.value())))


def _fails(things, promise, built, resolve, reject):
    reason = Promise.resolve().then(things.failing())
    # Nobody has it where the promise has been cancelled.
    reason.suppress_unhandled_rejections()
    resolve(reason)


def _is_cancelled(things, promise, built, resolve, reject):
    promise.cancel()


def _wanted(things):
    """A promise that somebody else waits for, too, for ever."""
    promise, *functions = _pending(Things())
    things.kept = [promise, promise.then(), promise.reflect()]
    return promise, *functions


def _leaves(things, promise, built, resolve, reject):
    """Cancel what was built; the promise goes on."""
    for made in built:
        if made is not None:
            made.cancel()
    things.kept.extend((resolve, reject))


def _fulfils_when_left(things, promise, built, resolve, reject):
    _leaves(things, promise, built, resolve, reject)
    resolve(things.value())
    things.kept.clear()


def _rejects_when_left(things, promise, built, resolve, reject):
    _leaves(things, promise, built, resolve, reject)
    _, child, inspection, *_ = things.kept
    child.suppress_unhandled_rejections()
    del child, inspection
    reject(things.keep(Boom(things.value())))
    things.kept.clear()


WAYS = {
    "fulfilled": (_before(lambda things: Promise.resolve(things.value())), _nothing),
    "rejected": (_before(lambda things: Promise.reject(things.keep(Boom(Value())))), _nothing),
    "failed": (_before(lambda things: Promise.try_(things.failing())), _nothing),
    "fulfils": (_pending, _fulfils),
    "follows": (_pending, _follows),
    "rejects": (_pending, _rejects),
    "fails": (_pending, _fails),
    "is cancelled": (_pending, _is_cancelled),
    "is left": (_pending, _cancels_what_was_built),
    "lives on": (_wanted, _leaves),
    "fulfils when left": (_wanted, _fulfils_when_left),
    "rejects when left": (_wanted, _rejects_when_left),
}

BUILDERS = list({function: None for functions in BUILT.values() for function in functions})

#: These do not leave a promise that lives on, or not at once.
STAY = {
    # Nothing to cancel; it would be the promise itself.
    _ends,
    _as_callback,
    # Nobody can tell a thenable that its outcome is not wanted any more.
    _adapted,
    # The resource will be released if it comes, though nobody wants it any more.
    _resources,
    _failing_releases,
    _disposers_in_coroutines,
    # What is bound goes with the promise that was left: see below.
    _binds,
}


@pytest.fixture
def _no_collector(monkeypatch):
    """Reference counting alone; and threads that are none.

    What cannot be released is not logged: the log would keep it.
    """
    monkeypatch.setattr(executors, "deferToThread", maybeDeferred)
    Promise.on_fatal(lambda *_: None)
    gc.collect(1)
    gc.disable()
    yield
    gc.enable()
    Promise.on_fatal(None)


@pytest.fixture(params=["", "watched"])
def _watched(request, config):
    """Unwatched, and with all diagnostics on; what they warn of is not the point here."""
    if request.param:
        config(monitoring=True, long_stack_traces=True, warnings=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", twpromise.PromiseWarning)
        yield


@pytest.mark.usefixtures("_no_collector", "_watched", "context")
@pytest.mark.parametrize(
    ("builder", "way"),
    [
        pytest.param(builder, way, id=f"{builder.__name__.strip('_')}-{way}")
        for builder in BUILDERS
        for way in WAYS
        if way != "lives on" or builder not in STAY
    ],
)
def test_freed(scheduler, builder, way):
    """Nothing is left of it, though no collector runs, and though the promise may live on."""
    things = Things()
    make, settle = WAYS[way]
    promise, *functions = make(things)
    promise.suppress_unhandled_rejections()
    built = []
    for made in builder(things, promise):
        if isinstance(made, partial):
            made = made()
        if isinstance(made, Deferred):
            made.addBoth(things.handler())
        elif made is not None:
            made.suppress_unhandled_rejections()
            made.then(things.handler(), things.handler()).suppress_unhandled_rejections()
        built.append(made)
        del made
    settle(things, promise, built, *functions)
    del promise, built, functions
    for _ in range(5):
        scheduler.advance(10)
    while things.at_end:
        things.at_end.pop()()
        scheduler.flush()
    assert [] == scheduler.clock.getDelayedCalls()
    assert [] != things.references
    assert [] == things.alive()
    if things.kept:
        assert things.kept[0].is_pending()


@pytest.mark.usefixtures("_no_collector", "_watched")
@pytest.mark.parametrize("bind", ["bind", "bind, then", "bind, bind"])
def test_what_was_bound_is_freed_as_others_come_and_go(scheduler, bind):
    """A promise that was left goes, with what is bound to it, as more are left."""
    things = Things()
    promise, *_ = _pending(Things())
    first = promise.then()
    made = promise.bind(things.value())
    if bind == "bind, then":
        made = made.then(things.handler())
    elif bind == "bind, bind":
        made = made.bind(things.value())
    made.cancel()
    del made
    for _ in range(10):
        promise.then().cancel()
    scheduler.flush()
    assert [] == things.alive()
    assert first.is_pending()


# --- coroutines whose first step raises
#
# From Python 3.12 on the frame of such a coroutine refers to those of its callers for ever: whoever
# may start one must not have in its variables what leads to the reason.


class _Thenable:
    def __init__(self, fails):
        self._fails = fails

    def then(self, fulfilled, _rejected):
        fulfilled(self._fails())


def _told(name, *arguments):
    """A promise, and what calls the coroutine function once nobody has the promise."""
    resolver = Promise.defer()
    fails, functions = arguments[-1], [getattr(resolver, name)]
    return resolver.promise, lambda: functions.pop()(*arguments[:-1], fails())


def _fired(make, fails):
    fires = Deferred()
    return make(fires), lambda: fires.callback(fails())


def _done_future(value):
    future = Future()
    future.set_result(value)
    try:
        return future
    finally:
        del future, value


def _done(fails):
    future, functions = Future(), [fails]
    return Promise.resolve(future), lambda: future.set_result(functions.pop()())


class _Odd:
    """Yields to whoever drives the coroutine that awaits it what is to be waited for."""

    def __init__(self, fails):
        self._fails = fails

    def __await__(self):
        yield self._fails()


async def _awaits_odd(fails):
    await Promise.delay(1)
    await _Odd(fails)


async def _gives(fails):
    yield fails()


def _with_hook(fails):
    def executor(resolve, _reject, on_cancel):
        on_cancel(list)
        resolve(fails())

    return Promise(executor)


@Promise.coroutine
def _yields(fails):
    yield Promise.delay(1)
    try:
        yield fails()
    except Boom:
        yield Promise.delay(1)


@Promise.coroutine
def _returns_it(fails):
    yield Promise.delay(1)
    return fails()


@Promise.coroutine
async def _awaits(fails):
    await Promise.delay(1)
    try:
        await Promise.resolve(fails())
    except Boom:
        await Promise.delay(1)


#: What they are given is the coroutine function, something late, and a handler.
AT_ONCE = {
    "resolve": lambda fails, late, handler: Promise.resolve(fails()),
    "then": lambda fails, late, handler: late.then(lambda _: fails()),
    "tap": lambda fails, late, handler: late.tap(lambda _: fails()),
    "catch": lambda fails, late, handler: late.throw(Boom()).catch(lambda _: fails()),
    "tap_catch": lambda fails, late, handler: late.throw(Boom()).tap_catch(lambda _: fails()),
    "finally_": lambda fails, late, handler: late.finally_(lambda: fails()),
    "return_": lambda fails, late, handler: late.return_(fails()),
    "bind": lambda fails, late, handler: late.bind(fails()),
    "Promise.bind": lambda fails, late, handler: Promise.bind(fails()),
    "delay": lambda fails, late, handler: Promise.delay(1, fails()),
    "timeout": lambda fails, late, handler: Promise.resolve(fails()).timeout(1),
    "all": lambda fails, late, handler: Promise.all([late, fails()]),
    "all, later": lambda fails, late, handler: late.then(lambda _: [fails()]).all(),
    "all_settled": lambda fails, late, handler: Promise.all_settled([fails()]).tap(handler),
    "any": lambda fails, late, handler: Promise.any([fails()]),
    "some": lambda fails, late, handler: Promise.some([late, fails()], 2),
    "race": lambda fails, late, handler: Promise.race([fails()]),
    "props": lambda fails, late, handler: Promise.props({"one": fails()}),
    "join": lambda fails, late, handler: Promise.join(late, fails(), handler),
    "map": lambda fails, late, handler: Promise.map([late, fails()], handler),
    "map, capped": lambda fails, late, handler: Promise.map(
        [late, fails()], handler, concurrency=1
    ),
    "mapper": lambda fails, late, handler: Promise.map([late, 1], lambda _: fails(), concurrency=1),
    "filter": lambda fails, late, handler: Promise.filter([late, fails()], handler),
    "filterer": lambda fails, late, handler: Promise.filter([late], lambda _: fails()),
    "reduce": lambda fails, late, handler: Promise.reduce([late, fails()], handler),
    "reduce, at once": lambda fails, late, handler: Promise.reduce([fails(), 1], handler),
    "reducer": lambda fails, late, handler: Promise.reduce([late, 1], lambda *_: fails()),
    "each": lambda fails, late, handler: Promise.each([late, fails()], handler),
    "each, at once": lambda fails, late, handler: Promise.each([fails()], handler),
    "each's function": lambda fails, late, handler: Promise.each([late], lambda _: fails()),
    "map_series": lambda fails, late, handler: Promise.map_series([late, fails()], handler),
    "executor": lambda fails, late, handler: Promise(lambda resolve, _: resolve(fails())),
    "executor with a hook": lambda fails, late, handler: _with_hook(fails),
    "resolver": lambda fails, late, handler: _told("resolve", fails),
    "callback": lambda fails, late, handler: _told("callback", None, fails),
    "from_callback": lambda fails, late, handler: Promise.from_callback(
        lambda callback: callback(None, fails())
    ),
    "try_": lambda fails, late, handler: Promise.try_(fails),
    "method": lambda fails, late, handler: Promise.method(fails)(),
    "coroutine": lambda fails, late, handler: Promise.coroutine(fails)(),
    "yield": lambda fails, late, handler: _yields(fails),
    "return": lambda fails, late, handler: _returns_it(fails),
    "await": lambda fails, late, handler: _awaits(fails),
    "thenable": lambda fails, late, handler: Promise.resolve(_Thenable(fails)),
    "using": lambda fails, late, handler: Promise.using(late.disposer(handler), lambda _: fails()),
    "disposer": lambda fails, late, handler: Promise.using(
        late.disposer(lambda *_: Promise.resolve(fails()).catch(handler)), handler
    ),
    "Deferred": lambda fails, late, handler: _fired(Promise.resolve, fails),
    "all of Deferreds": lambda fails, late, handler: _fired(
        lambda fires: Promise.all([fires]), fails
    ),
    "promisify": lambda fails, late, handler: Promise.promisify(
        lambda callback: callback(None, fails())
    )(),
    "promisify with context": lambda fails, late, handler: Promise.promisify(
        lambda _, callback: callback(None, fails()), context=1
    )(),
    "future": lambda fails, late, handler: _done(fails),
    "future, at once": lambda fails, late, handler: Promise.resolve(_done_future(fails())),
    "fired Deferred": lambda fails, late, handler: Promise.resolve(succeed(fails())),
    "from_deferred": lambda fails, late, handler: Promise.from_deferred(succeed(fails())),
    "then, fired Deferred": lambda fails, late, handler: late.then(lambda _: succeed(fails())),
    "then, promise": lambda fails, late, handler: late.then(lambda _: Promise.resolve(fails())),
    "tap, promise": lambda fails, late, handler: late.tap(lambda _: Promise.resolve(fails())),
    "tap, all": lambda fails, late, handler: late.tap(lambda _: Promise.all([fails()])),
    "finally_, promise": lambda fails, late, handler: late.finally_(
        lambda: Promise.resolve(fails())
    ),
    "all of a fired Deferred": lambda fails, late, handler: Promise.all([succeed(fails())]),
    "any of a fired Deferred": lambda fails, late, handler: Promise.any([succeed(fails())]),
    "race of a fired Deferred": lambda fails, late, handler: Promise.race([succeed(fails())]),
    "map of a fired Deferred": lambda fails, late, handler: Promise.map(
        [succeed(fails())], handler
    ),
    "each of a fired Deferred": lambda fails, late, handler: Promise.each(
        [succeed(fails())], handler
    ),
    "any, decided": lambda fails, late, handler: Promise.any([fails(), 1]),
    "some, later": lambda fails, late, handler: Promise.some([fails(), late], 1),
    "race, decided": lambda fails, late, handler: Promise.race([1, fails()]),
    "mapper, promise": lambda fails, late, handler: Promise.map(
        [1], lambda _: Promise.resolve(fails())
    ),
    "filterer, promise": lambda fails, late, handler: Promise.filter(
        [1], lambda _: Promise.resolve(fails())
    ),
    "each's function, promise": lambda fails, late, handler: Promise.each(
        [1], lambda _: Promise.resolve(fails())
    ),
    "map_series's function, promise": lambda fails, late, handler: Promise.map_series(
        [1], lambda _: Promise.resolve(fails())
    ),
    "reducer, promise": lambda fails, late, handler: Promise.reduce(
        [1, 2], lambda *_: Promise.resolve(fails())
    ),
    "reduce, initial": lambda fails, late, handler: Promise.reduce([late], handler, fails()),
    "using of it": lambda fails, late, handler: Promise.using(fails(), handler),
    "using of a fired Deferred": lambda fails, late, handler: Promise.using(
        succeed(fails()), handler
    ),
    "using, promise": lambda fails, late, handler: Promise.using(
        late.disposer(handler), lambda _: Promise.resolve(fails())
    ),
    "try_, promise": lambda fails, late, handler: Promise.try_(lambda: Promise.resolve(fails())),
    "method, promise": lambda fails, late, handler: Promise.method(
        lambda: Promise.resolve(fails())
    )(),
    "executor, promise": lambda fails, late, handler: Promise(
        lambda resolve, _: resolve(Promise.resolve(fails()))
    ),
    "yield, promise": lambda fails, late, handler: _yields(lambda: Promise.resolve(fails())),
    "return, promise": lambda fails, late, handler: _returns_it(lambda: Promise.resolve(fails())),
    "awaitable": lambda fails, late, handler: Promise.resolve(_awaits_odd(fails)),
    "as_callback": lambda fails, late, handler: Promise.resolve(fails()).as_callback(handler),
    "to_deferred": lambda fails, late, handler: Promise.resolve(fails()).to_deferred(),
    "IDeferred": lambda fails, late, handler: twpromise.IDeferred(fails()),
    "IPromise": lambda fails, late, handler: twpromise.IPromise(fails()),
    "returning": lambda fails, late, handler: promisifiers.returning(fails)(),
    "callback_pair": lambda fails, late, handler: promisifiers.callback_pair(
        lambda resolve, _: resolve(fails())
    )(),
    "reflect": lambda fails, late, handler: Promise.resolve(fails()).reflect().tap(handler),
    "async iterator": lambda fails, late, handler: Promise.map(_gives(fails), handler),
    "deferify": lambda fails, late, handler: Promise.deferify(fails)(),
    "run_in": lambda fails, late, handler: Promise.run_in(AtOnce(), fails),
}


def _bad_yield():
    yield Promise.delay(1)
    yield 3


def _bad_yield_with_context(things):
    yield Promise.delay(1)
    _variable.set(things.value())
    yield 3


def _has_failed(things):
    yield Promise.delay(1)
    yield fail(things.keep(Boom(things.value())))


def _catches(things):
    yield Promise.delay(1)
    try:
        yield fail(things.keep(Boom(things.value())))
    except Boom:
        yield succeed(1)


def _sets(things):
    yield Promise.delay(1)
    _variable.set(things.value())
    yield succeed(things.value())
    yield Promise.resolve(things.value())
    return things.value()


STEPS = {
    "a bad value": lambda things: _bad_yield(),
    "a bad value, with context": _bad_yield_with_context,
    "what has failed": _has_failed,
    "what has failed, caught": _catches,
    "context": _sets,
}


@pytest.mark.usefixtures("_no_collector", "_watched")
@pytest.mark.parametrize("step", STEPS)
def test_freed_after_a_later_step(scheduler, step):
    """Nothing is left of a generator, whatever it yields behind what was not there at once."""
    things = Things()
    value = things.value()

    def generator(_):
        return (yield from STEPS[step](things))

    made = Promise.coroutine(generator)(value)
    made.catch(things.handler())
    del made, generator, value
    for _ in range(5):
        scheduler.advance(1)
    assert [] != things.references
    assert [] == things.alive()


@pytest.mark.usefixtures("_no_collector", "_watched")
@pytest.mark.parametrize("in_context", [False, True], ids=["", "error in its context"])
@pytest.mark.parametrize("way", AT_ONCE)
def test_freed_when_a_coroutine_fails_at_once(scheduler, way, in_context):
    """Wherever a coroutine can be started: nothing is left of one whose first step raises."""
    things = Things()

    async def fails():
        local = things.value()
        if in_context:
            _variable.set(things.keep(Boom(local)))
            raise _variable.get()
        raise things.keep(Boom(local))

    handler = things.handler()
    made, start = AT_ONCE[way](fails, Promise.delay(1), handler), None
    if isinstance(made, tuple):
        made, start = made
    if isinstance(made, Deferred):
        made.addErrback(handler)
    else:
        made.catch(handler)
    del made, handler
    if start is not None:
        start()
        del start
    for _ in range(5):
        scheduler.advance(1)
    assert len(things.references) > 2
    assert [] == things.alive()
