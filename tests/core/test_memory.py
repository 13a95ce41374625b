"""Which objects reference counting frees while a chain is held, and when it is dropped.

`tests/test_freed.py` does the same for every method; these tests cover chains.
"""

from __future__ import annotations

import sys
from contextvars import Context, ContextVar

import pytest

from tests.support.promises import Boom, pending, quiet
from tests.support.things import Things, Value
from twpromise import Promise

pytestmark = pytest.mark.usefixtures("scheduler", "no_collector")


def fail(error):
    raise error


def _fulfilled_chain(things):
    return Promise.resolve(things.value()).then(things.handler()).then(things.handler())


def _rejected_chain(things):
    promise = Promise.resolve(things.value()).then(things.failing()).then(things.handler())
    return promise.then(None, things.handler())


def _failed_again(things):
    promise = Promise.resolve().then(things.failing())
    return promise.then(things.handler(), things.failing()).catch(things.handler())


def _executor(things):
    kept = things.handler()

    def executor(resolve, reject):
        resolve(kept)

    return Promise(things.keep(executor)).then(things.handler())


def _executor_with_hooks(things):
    def executor(resolve, reject, on_cancel):
        on_cancel(things.handler())
        resolve(Promise.resolve(things.value()).then(things.handler()))

    return Promise(things.keep(executor)).then(things.handler())


def _nested(things):
    def inner(_):
        local = things.value()
        return Promise.resolve(local).then(things.handler())

    return Promise.resolve(things.value()).then(things.handler(inner)).then(things.handler())


def _nested_failure(things):
    def inner(_):
        local = things.value()
        return Promise.reject(things.keep(Boom(local))).then(things.handler())

    return Promise.resolve(things.value()).then(things.handler(inner)).catch(things.handler())


def _fan_out(things):
    promise, resolve, _ = pending()
    children = [promise.then(things.handler()) for _ in range(5)]
    children += [promise.then(things.failing()).catch(things.handler()) for _ in range(5)]
    resolve(things.value())
    return children


def _thenable(things):
    class Thenable:
        def then(self, resolve, reject):
            local = things.value()
            resolve(local)

    return Promise.resolve(things.keep(Thenable())).then(things.handler())


def _failing_thenable(things):
    class Thenable:
        def then(self, resolve, reject):
            local = things.value()
            raise things.keep(Boom(local))

    return Promise.resolve(things.keep(Thenable())).catch(things.handler())


def _finally(things):
    promise = Promise.resolve(things.value()).then(things.failing())
    return promise.finally_(things.handler()).catch(things.handler())


def _failing_finally(things):
    promise = Promise.resolve(things.value()).finally_(things.failing())
    return promise.catch(things.handler())


def _hooks_of_a_follower(things):
    other, settle, _ = pending()

    def executor(resolve, reject, on_cancel):
        resolve(other)
        on_cancel(things.handler())

    promise = Promise(things.keep(executor))
    settle(things.value())
    return promise.then(things.handler())


def _hooks_of_a_rejected(things):
    def executor(resolve, reject, on_cancel):
        on_cancel(things.handler())
        reject(things.keep(Boom()))

    return quiet(Promise(things.keep(executor)))


def _cancelled(things):
    promise = Promise(lambda resolve, reject, on_cancel: on_cancel(things.handler()))
    child = promise.then(things.handler()).finally_(things.handler())
    child.cancel()
    return child


def _late_observer(things):
    promise = _cancelled(things)
    return promise.then(things.handler(), things.handler())


def _in_a_context(things):
    variable = ContextVar("variable")

    def main():
        variable.set(things.value())
        promise = Promise.resolve(things.value()).then(things.handler())
        return promise.then(things.failing()).catch(things.handler())

    return Context().run(main)


def _ring(things):
    first, resolve_first, _ = pending()
    second, resolve_second, _ = pending()
    things.keep(first)
    things.keep(second)
    resolve_first(second)
    resolve_second(first)
    return first.catch(things.handler())


SCENARIOS = [
    _fulfilled_chain,
    _rejected_chain,
    _failed_again,
    _executor,
    _executor_with_hooks,
    _hooks_of_a_follower,
    _hooks_of_a_rejected,
    _nested,
    _nested_failure,
    _fan_out,
    _thenable,
    _failing_thenable,
    _finally,
    _failing_finally,
    _cancelled,
    _late_observer,
    _in_a_context,
    _ring,
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__[1:])
def test_a_settled_chain_is_freed_by_reference_counting(scheduler, scenario):
    """Handlers as soon as they have run or were skipped, the rest with the last promise."""
    things = Things()
    kept = scenario(things)
    scheduler.flush()
    assert [] == [thing for thing in things.alive() if callable(thing)]
    del kept
    assert [] == things.alive()
    assert [] != things.references


def test_a_settled_promise_keeps_no_context(scheduler):
    """Context variables of a handler are freed with it, though its promise is still held."""
    things = Things()
    promises = []
    holder: ContextVar[Value] = ContextVar("holder")

    def main():
        holder.set(things.value())
        promise = Promise.resolve(ValueError()).then()
        other, _, _ = pending()
        promises.extend(
            (
                promise,
                promise.then(str),
                promise.then(lambda _: other),
                promise.then(fail).catch(str),
                promise.finally_(int),
                pending()[0].then(str),
            )
        )
        promises[-1].cancel()

    Context().run(main)
    scheduler.flush()
    assert [] == things.alive()


async def _enters(disposers):
    async with disposers.pop():
        pass


def _refused(boom):
    promise = Promise.resolve(_enters([Promise.delay(1).then(boom).disposer(print)]))
    return [promise.catch(lambda _: None)]


def _shared(boom):
    shared = Promise.delay(2)
    child = shared.finally_(boom)
    child.suppress_unhandled_rejections()
    kept = [shared.then(), child]
    child.cancel()
    return kept


@pytest.mark.parametrize("build", [_refused, _shared])
def test_errors_of_clean_ups_are_freed(scheduler, build):
    """Errors of a failed acquisition, and of a clean-up of a shared promise, make no cycle."""
    things = Things()
    Promise.on_fatal(lambda _: None)

    def boom(*_):
        raise things.keep(Boom())

    kept = build(boom)
    scheduler.advance(1)
    scheduler.advance(1)
    Promise.on_fatal()
    del kept
    assert [] == things.alive()


def test_a_settled_promise_always_has_its_outcome(scheduler):
    """A signal handler, thread or tracer that finds it settled finds the value or reason, too."""
    seen = set()

    def trace(frame, *_):
        frame.f_trace_opcodes = True
        if promise.is_fulfilled():
            seen.add(promise.value())
        elif promise.is_rejected():
            seen.add(promise.reason())
        return trace

    reason, previous = Boom(), sys.gettrace()
    for way, outcome in ((1, "value"), (2, reason)):
        promise, *settle = pending()
        promise.then(None, lambda _: None)
        sys.settrace(trace)
        try:
            settle[way - 1](outcome)
            scheduler.flush()
        finally:
            sys.settrace(previous)
    assert {"value", reason} == seen
