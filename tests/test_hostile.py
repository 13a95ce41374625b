"""Values and errors whose methods and attributes raise are carried as they are.

Promises compare, print, hash and copy nothing that they carry, and ask it for no attribute.  So the
same object comes out again, whatever its methods raise; nothing stays pending, and nothing but the
one report of an unhandled rejection is logged.
"""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from twisted.internet.defer import Deferred

from tests.support.promises import awaiting
from twpromise import Disposer, Promise, background


class Asked(Exception):
    """Raised by a hostile object when anything is asked of it."""


def ask(*_, **__):
    raise Asked


def ask_unless_special(self, name, *_):
    """Attributes of Python's own (`__class__`, `__traceback__`) can be read; no others."""
    if not name.startswith("__"):
        raise Asked
    return object.__getattribute__(self, name)


class Hostile:
    """A value whose methods and attributes raise."""

    __eq__ = __ne__ = __lt__ = __hash__ = __repr__ = __str__ = __format__ = ask
    __bool__ = __len__ = __contains__ = __iter__ = __call__ = ask
    __int__ = __index__ = __float__ = __reduce_ex__ = ask
    __getattribute__ = ask_unless_special


class HostileError(Exception):
    """An exception that cannot be compared, printed or copied, and takes no attributes."""

    def __init__(self, needed, here):
        pass

    __eq__ = __hash__ = __repr__ = __str__ = __bool__ = __reduce_ex__ = add_note = ask
    __getattribute__ = ask_unless_special

    def __setattr__(self, name, value):
        if not name.startswith("__"):
            raise Asked
        super().__setattr__(name, value)


class Base(BaseException):
    pass


def same(value):
    return value


def first(promise):
    return promise.then(lambda values: values[0])


def inspected(inspection):
    if inspection.is_fulfilled():
        return inspection.value()
    return Promise.reject(inspection.reason())


@Promise.coroutine
def yields(promise):
    return (yield promise)


async def enters(disposer):
    async with disposer as resource:
        return resource


def resolved(promise):
    """A deferred promise, settled by hand."""
    resolver = Promise.defer()
    promise.then(resolver.resolve, resolver.reject)
    return resolver.promise


#: Ways to hand on the outcome of a promise, to a promise with the same outcome.
WAYS = {
    "then": lambda p: p.then(same),
    "then, followed": lambda p: Promise.resolve().then(lambda _: p),
    "catch": lambda p: p.catch(KeyError, same),
    "catch by attributes": lambda p: p.catch({"__doc__": 1}, same),
    "finally_": lambda p: p.finally_(lambda: None),
    "tap": lambda p: p.tap(same).tap_catch(lambda _: None),
    "throw": lambda p: p.catch(lambda reason: Promise.resolve().throw(reason)),
    "resolve, reject": lambda p: p.then(Promise.resolve, Promise.reject),
    "defer": resolved,
    "try_": lambda p: Promise.try_(lambda: p),
    "bind": lambda p: Promise.resolve(1).bind(p).then(lambda this, _: this),
    "all": lambda p: first(Promise.all([p, 1])),
    "all_settled": lambda p: first(Promise.all_settled([p])).then(inspected),
    "race": lambda p: Promise.race([p]),
    "props": lambda p: Promise.props({"key": p}).get("key"),
    "map": lambda p: first(Promise.map([p], same, concurrency=1)),
    "filter": lambda p: first(Promise.filter([p], lambda _: True)),
    "reduce": lambda p: Promise.reduce([1, p], lambda _, value: value),
    "each": lambda p: first(Promise.each([p], lambda _: None)),
    "map_series": lambda p: first(Promise.map_series([p], same)),
    "join": lambda p: Promise.join(p, 1, lambda value, _: value),
    "reflect": lambda p: p.reflect().then(inspected),
    "delay, timeout": lambda p: p.delay(1).timeout(5),
    "using": lambda p: Promise.using(p.disposer(lambda _: None), same),
    "async with": lambda p: Promise.resolve(enters(p.disposer(lambda _: None))),
    "await": lambda p: Promise.resolve(awaiting(p)),
    "yield": yields,
    "as_callback": lambda p: Promise.from_callback(lambda callback: p.as_callback(callback)),
    "to_deferred": lambda p: Promise.from_deferred(p.to_deferred()),
    "deferify": lambda p: Promise.resolve(Promise.deferify(lambda: p)()),
    "library copy": lambda p: Promise.get_new_library_copy().resolve(p).then(same),
}


@pytest.mark.parametrize("settle", ["resolve", "reject"])
@pytest.mark.parametrize("way", WAYS)
def test_the_same_object_comes_out(scheduler, config, way, settle):
    """Whether the promise had settled before or settles later, and with all diagnostics on."""
    outcome = Hostile() if settle == "resolve" else HostileError(1, 2)
    promises = []
    for watched in False, True:
        config(monitoring=watched, long_stack_traces=watched, warnings=watched)
        early, late = Promise.defer(), Promise.defer()
        getattr(early, settle)(outcome)
        promises += [WAYS[way](resolver.promise) for resolver in (early, late)]
        getattr(late, settle)(outcome)
    for promise in promises:
        promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    for promise in promises:
        assert (settle == "resolve") == promise.is_fulfilled()
        assert (promise.value() if settle == "resolve" else promise.reason()) is outcome
        assert repr(promise)


@pytest.mark.parametrize("way", [Promise.any, partial(Promise.some, count=1)])
def test_any_and_some(scheduler, way):
    """They give the value, or an AggregateError that holds the very error."""
    value, error = Hostile(), HostileError(1, 2)
    fulfilled, rejected = way([Promise.reject(error), value]), way([Promise.reject(error)])
    rejected.suppress_unhandled_rejections()
    scheduler.flush()
    found = fulfilled.value()
    assert (found[0] if type(found) is list else found) is value
    assert rejected.reason().errors[0] is error


def test_a_future(scheduler):
    """A future of asyncio has the very error."""
    error = HostileError(1, 2)

    async def main():
        future = Promise.reject(error).to_future()
        scheduler.flush()
        assert future.exception() is error

    asyncio.run(main())


#: Errors that are unlike others, which any user code may raise.
ERRORS = {
    "hostile error": partial(HostileError, 1, 2),
    "BaseException": Base,
    "StopIteration": StopIteration,
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "group": partial(ExceptionGroup, "group", [ValueError()]),
}


async def raising(error):
    raise error


@Promise.coroutine
def yielding(error):
    yield Promise.resolve()
    raise error


class Failing:
    """A thenable, iterable and context manager that raises."""

    def __init__(self, error):
        self.error = error

    def fail(self, *_):
        raise self.error

    then = __iter__ = __enter__ = fail

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize("kind", ERRORS)
def test_what_user_code_raises_rejects(scheduler, kind):
    """Wherever it is raised: handlers, executors, coroutines, mappers, thenables, managers."""
    error = ERRORS[kind]()
    fails = Failing(error).fail
    promises = [
        Promise.resolve().then(fails),
        Promise.reject(Asked()).catch(fails),
        Promise.reject(Asked()).catch(fails, same),
        Promise.resolve().finally_(fails),
        Promise(fails),
        Promise.try_(fails),
        Promise.resolve(raising(error)),
        yielding(error),
        Promise.resolve(Failing(error)),
        Promise.all(Failing(error)),
        Promise.map([1], fails),
        Promise.each([1], fails),
        Promise.from_callback(fails),
        Promise.promisify(fails)(),
        Promise.using(Promise.resolve().disposer(same), fails),
        Promise.using(Disposer.of(Failing(error)), same),
        Promise.resolve().then(background(fails)),
        Promise.delay(9).timeout(1, error),
    ]
    for promise in promises:
        promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    for promise in promises:
        reason = promise.reason()
        # PEP 479: Python replaces a StopIteration that leaves a coroutine.
        assert error is (reason.__cause__ if type(reason) is RuntimeError else reason)


#: Calls whose error no promise can be rejected with.
LOGGED = {
    "as_callback": lambda call: Promise.resolve().as_callback(call),
    "on_cancel": lambda call: Promise(lambda _, __, on_cancel: on_cancel(call)).cancel(),
    "canceller": lambda call: Promise.from_deferred(Deferred(call)).cancel(),
    "unhandled": lambda call: Promise.resolve().then(call),
    "unhandled in all": lambda call: Promise.all([Promise.resolve().then(call)]),
}


@pytest.mark.parametrize("way", LOGGED)
def test_an_error_that_no_promise_takes_is_logged_once(scheduler, reports, way):
    """And the handlers behind it run."""
    error, called = HostileError(1, 2), []
    LOGGED[way](Failing(error).fail)
    Promise.resolve("after").then(called.append)
    scheduler.flush()
    assert ["after"] == called
    [event] = reports
    assert event["log_failure"].value is error


def test_the_fatal_hook_gets_the_very_error(scheduler):
    """Of a handler of `done`, and of a release."""
    error, fatal = HostileError(1, 2), []
    fails = Failing(error).fail
    Promise.on_fatal(fatal.append)
    Promise.resolve().done(fails)
    used = Promise.using(Promise.resolve().disposer(fails), same)
    scheduler.flush()
    Promise.on_fatal(None)
    assert all(each is error for each in fatal)
    assert (2, True) == (len(fatal), used.is_fulfilled())


def test_hooks_get_the_very_error(scheduler):
    """The hook for unhandled rejections is called with the reason and the promise."""
    error, called = HostileError(1, 2), []
    Promise.on_possibly_unhandled_rejection(lambda *arguments: called.append(arguments))
    promise = Promise.reject(error)
    scheduler.flush()
    Promise.set_rejection_policy()
    [(reason, rejected)] = called
    assert reason is error
    assert rejected is promise


#: Arguments that must be of a certain kind, by the name that the error gives them.
BAD_ARGUMENTS = {
    "executor": Promise,
    "function": Promise.promisify,
    "deferred": Promise.from_deferred,
    "scheduler": Promise.set_scheduler,
    "input": Promise.all,
    "mapper": lambda bad: Promise.map([1], bad),
    "count": lambda bad: Promise.some([1], bad),
    "seconds": Promise.delay,
    "loop": lambda bad: Promise.resolve().to_future(bad),
    "filter": lambda bad: Promise.resolve().catch({1: bad}, same),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_a_bad_argument_is_named_though_its_repr_raises(scheduler, name):
    """By the type of the argument, in the TypeError that any bad argument gets."""

    class Unprintable:
        __repr__ = ask

    def call():
        promise = BAD_ARGUMENTS[name](Unprintable())
        promise.suppress_unhandled_rejections()
        scheduler.flush()
        raise promise.reason()

    with pytest.raises(TypeError, match=name):
        call()


def test_a_callback_called_with_an_error_whose_truth_raises(scheduler):
    """What cannot say that it is false counts as an error."""
    error = Hostile()
    promise = Promise.from_callback(lambda callback: callback(error))
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert promise.reason().cause is error
