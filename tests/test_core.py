"""The core: making, handling, following, freeing; by what can be seen from outside."""

from __future__ import annotations

import gc
import sys
import weakref
from contextvars import Context, ContextVar
from itertools import pairwise
from threading import Thread

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.support.promises import Boom, pending
from tests.support.things import Things, Value
from twpromise import Promise, PromiseWarning
from twpromise._core.contexts import prepare
from twpromise._core.reactions import Node, subscribe
from twpromise._core.resolving import adopters
from twpromise._core.settling import fulfill, reject_raised
from twpromise._core.states import CANCELLING, CorePromise

pytestmark = pytest.mark.usefixtures("scheduler")


variable: ContextVar[str] = ContextVar("variable", default="unset")


def fail(error):
    raise error


# --- the constructor


@pytest.mark.parametrize("arguments", [(), (None,), (5,), ("executor",)], ids=str)
def test_an_executor_is_needed(arguments):
    """No executor, or one that is not callable, is a TypeError at once."""
    with pytest.raises(TypeError):
        Promise(*arguments)


def test_the_executor_runs_at_once():
    """The constructor calls the executor, before it returns."""
    called = []
    Promise(lambda resolve, reject: called.append((callable(resolve), callable(reject))))
    assert [(True, True)] == called


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (lambda resolve, reject: resolve(2), 2),
        (lambda resolve, reject, on_cancel: resolve(3), 3),
        (lambda resolve, reject, on_cancel=None: resolve(on_cancel), None),
        (lambda *arguments: arguments[0](len(arguments)), 2),
        (lambda resolve, reject, *rest: resolve(rest), ()),
        (lambda resolve, reject=None: resolve(reject is None), False),
    ],
    ids=["two", "three", "three-with-default", "star", "two-and-star", "one-with-default"],
)
def test_executors_get_what_they_declare(executor, expected):
    """Three arguments for three parameters without a default, two for all others."""
    assert expected == Promise(executor).value()


def test_executors_may_be_methods_and_objects():
    """The arity of bound methods and of objects with `__call__` is found out too."""

    class Executor:
        def method(self, resolve, reject, on_cancel):
            resolve(callable(on_cancel))

        def __call__(self, resolve, reject):
            resolve("called")

    assert (True, "called") == (Promise(Executor().method).value(), Promise(Executor()).value())


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit()], ids=repr)
@pytest.mark.parametrize("three", [False, True])
def test_what_an_executor_raises_rejects(error, three):
    """Whatever it is; and nothing is raised to who makes the promise."""

    def two(resolve, reject):
        raise error

    def with_hooks(resolve, reject, on_cancel):
        on_cancel(print)
        raise error

    promise = Promise(with_hooks if three else two)
    assert error is promise.reason()


def test_an_executor_with_too_few_parameters_rejects():
    """A function that cannot be called with two arguments rejects with Python's TypeError."""
    promise = Promise(lambda resolve: resolve(1))
    assert TypeError is type(promise.reason())


def test_what_an_executor_raises_after_it_has_settled_is_ignored():
    """The first to decide wins, also against an exception."""

    def executor(resolve, reject):
        resolve("value")
        raise ValueError("too late")

    assert "value" == Promise(executor).value()


def test_what_an_executor_raises_after_it_has_locked_is_ignored():
    """The same if it has resolved with something that is still pending."""
    other, settle, _ = pending()

    def executor(resolve, reject):
        resolve(other)
        raise ValueError("too late")

    promise = Promise(executor)
    assert promise.is_pending()
    settle("value")
    assert "value" == promise.value()


def test_no_argument_means_none():
    """`resolve()`, `reject()`, `Promise.resolve()` and `Promise.reject()` mean None."""
    fulfilled = [Promise(lambda resolve, reject: resolve()), Promise.resolve()]
    rejected = [Promise(lambda resolve, reject: reject()), Promise.reject()]
    assert [None, None] == [promise.value() for promise in fulfilled]
    assert [None, None] == [promise.reason() for promise in rejected]


def test_resolve_returns_a_promise_as_it_is():
    """`Promise.resolve` of one of our own promises is that promise."""
    promise = Promise.resolve(1)
    assert promise is Promise.resolve(promise)


def test_promises_have_no_dict():
    """There are many promises; they have slots only, but weak references are possible."""
    promise = Promise.resolve(1).then()
    assert not hasattr(promise, "__dict__")
    assert promise is weakref.ref(promise)()


# --- order


def test_one_queue_in_order(scheduler):
    """Handlers of several promises run in the order in which they became ready."""
    called = []
    first, settle_first, _ = pending()
    second, settle_second, _ = pending()
    first.then(lambda _: called.append("first 1"))
    second.then(lambda _: called.append("second 1"))
    first.then(lambda _: called.append("first 2"))
    settle_second(None)
    first.then(lambda _: called.append("first 3"))
    settle_first(None)
    second.then(lambda _: called.append("second 2"))
    scheduler.flush()
    assert ["second 1", "first 1", "first 2", "first 3", "second 2"] == called


def test_chains_take_turns(scheduler):
    """Two chains advance by one step each, in turn."""
    called = []

    def chain(name):
        promise = Promise.resolve()
        for step in range(3):
            promise = promise.then(lambda _, step=step: called.append(f"{name}{step}"))

    chain("a")
    chain("b")
    scheduler.flush()
    assert ["a0", "b0", "a1", "b1", "a2", "b2"] == called


@pytest.mark.parametrize("waiters", [1, 2, 5, 100])
@pytest.mark.parametrize("late", [0, 1, 3])
def test_handlers_attached_before_and_after_settling_are_in_order(scheduler, waiters, late):
    """Attached while pending, then after it has settled: called in the order of attachment."""
    called = []
    promise, resolve, _ = pending()
    for number in range(waiters):
        promise.then(lambda _, number=number: called.append(number))
    resolve(None)
    for number in range(late):
        promise.then(lambda _, number=number: called.append(waiters + number))
    scheduler.flush()
    assert list(range(waiters + late)) == called


def test_handlers_of_a_follower_are_in_order(scheduler):
    """Also where a promise follows another, and they are attached before and after."""
    called = []
    root, settle, _ = pending()
    follower, resolve, _ = pending()
    follower.then(lambda _: called.append(1))
    resolve(root)
    follower.then(lambda _: called.append(2))
    settle(None)
    follower.then(lambda _: called.append(3))
    scheduler.flush()
    follower.then(lambda _: called.append(4))
    scheduler.flush()
    assert [1, 2, 3, 4] == called


# --- following


def test_a_follower_is_as_settled_as_what_it_follows():
    """Inspection tells of the outcome at once, before anybody has been told."""
    root, settle, _ = pending()
    follower, resolve, _ = pending()
    resolve(root)
    assert follower.is_pending()
    settle("value")
    assert (True, "value") == (follower.is_fulfilled(), follower.value())


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_attaching_to_a_follower_whose_root_has_settled(scheduler, how):
    """What is attached between the root's settling and the next turn gets its outcome, once."""
    called = []
    root, settle, fail = pending()
    follower, resolve, _ = pending()
    resolve(root)
    follower.then(called.append, called.append)
    (settle if how == "fulfilled" else fail)("outcome")
    follower.then(called.append, called.append)
    scheduler.flush()
    assert ["outcome"] * 2 == called


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_resolving_twice_by_following(scheduler, how):
    """Who follows a pending promise is decided: later calls do nothing."""
    root, settle, fail = pending()
    promise, resolve, reject = pending()
    resolve(root)
    resolve("other")
    reject(ValueError("other"))
    (settle if how == "fulfilled" else fail)("outcome")
    assert "outcome" == (promise.value() if how == "fulfilled" else promise.reason())


def test_a_bypassed_promise_notifies_its_own_subscribers(scheduler):
    """A promise in the middle of a chain of followers calls the handlers attached to it later."""
    called = []
    last, resolve_last, _ = pending()
    middle, resolve_middle, _ = pending()
    root, settle, _ = pending()
    resolve_last(middle)
    resolve_middle(root)
    middle.then(lambda value: called.append(("middle", value)))
    middle.then(lambda value: called.append(("middle again", value)))
    last.then(lambda value: called.append(("last", value)))
    settle("value")
    scheduler.flush()
    assert {("middle", "value"), ("middle again", "value"), ("last", "value")} == set(called)
    assert 3 == len(called)


# --- chains without end: work and memory


def work(function):
    """How many lines of Python *function* takes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def follow_the_one_before(length):
    """Each promise is resolved with the one made before it; the first settles last."""
    first, settle, _ = pending()
    promise = first
    for _ in range(length):
        following, resolve, _ = pending()
        resolve(promise)
        promise = following
    return settle, promise


def follow_the_one_after(length):
    """Each promise is resolved with the one made after it; the last settles last."""
    first, resolve, _ = pending()
    for _ in range(length):
        promise, resolve_next, _ = pending()
        resolve(promise)
        resolve = resolve_next
    return resolve, first


def follow_the_one_after_with_consumers(length):
    """The same, with somebody waiting for each of them."""
    first, resolve, _ = pending()
    for _ in range(length):
        promise, resolve_next, _ = pending()
        promise.then(str)
        resolve(promise)
        resolve = resolve_next
    return resolve, first


def all_at_once(length):
    """All are there, and are then resolved with their neighbours, from the end."""
    promises = [pending() for _ in range(length + 1)]
    for (promise, *_), (_, resolve, _) in pairwise(promises):
        resolve(promise)
    return promises[0][1], promises[-1][0]


def with_cancel_hooks(length):
    """The first again, by executors that ask for `on_cancel`."""
    first, settle, _ = pending()
    promise = first
    for _ in range(length):
        promise = hooked(promise)
    return settle, promise


def hooked(promise):
    """A promise with a cancel hook that is resolved with another one."""

    def executor(resolve, reject, on_cancel):
        on_cancel(str)
        resolve(promise)

    return Promise(executor)


def chain_of_thens(length):
    """A chain of `then`, all attached before the first settles."""
    first, settle, _ = pending()
    promise = first
    for _ in range(length):
        promise = promise.then(None, str)
    return settle, promise


def nested_handlers(length):
    """Handlers that return the promise of the next one, and so on."""
    first, settle, _ = pending()

    def step(count):
        return count if count == 0 else Promise.resolve(count - 1).then(step)

    return lambda value: settle(length), first.then(step)


CHAINS = [
    follow_the_one_before,
    follow_the_one_after,
    follow_the_one_after_with_consumers,
    all_at_once,
    with_cancel_hooks,
    chain_of_thens,
    nested_handlers,
]


@pytest.fixture
def _untraced():
    """Without the coverage tool, which makes a million rounds slow."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_chain_of_100_000_settles(scheduler, chain):
    """However it is built, it neither recurses nor fails."""
    settle, promise = chain(100_000)
    assert promise.is_pending()
    settle(0)
    scheduler.flush()
    assert 0 == promise.value()


@pytest.mark.exhaustive
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_chain_takes_linear_work(scheduler, chain):
    """Twice the length takes twice the work, to build and to settle; counted, not timed."""

    def run(length):
        settle, promise = chain(length)
        promise.is_pending()
        settle(0)
        scheduler.flush()
        assert 0 == promise.value()

    run(10)
    once, twice = work(lambda: run(1_000)), work(lambda: run(2_000))
    assert 2.1 > twice / once


@pytest.mark.exhaustive
@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_pending_chain_of_100_000_is_forgotten(chain):
    """A chain that never settles is freed without recursion, however it is built."""
    settle, promise = chain(100_000)
    reference = weakref.ref(promise)
    del settle, promise
    gc.collect()
    assert None is reference()


@pytest.mark.exhaustive
def test_asking_a_long_row_of_followers_is_linear():
    """Inspection of each of many followers takes work in proportion to their number."""

    def run(length):
        promises = [pending() for _ in range(length)]
        for (_, resolve, _), (promise, *_) in pairwise(promises):
            promise.then(str)
            resolve(promise)
        assert all(promise.is_pending() for promise, *_ in promises)

    once, twice = work(lambda: run(1_000)), work(lambda: run(2_000))
    assert 2.1 > twice / once


@pytest.mark.exhaustive
@pytest.mark.usefixtures("_untraced", "context")
def test_an_endless_loop_of_handlers_stays_in_constant_memory(scheduler):
    """A handler that returns the promise of its own next round: a million rounds."""
    rounds = 0
    blocks = {}

    def step(_):
        nonlocal rounds
        rounds += 1
        if rounds in (1_000, 1_000_000):
            blocks[rounds] = sys.getallocatedblocks()
        if rounds < 1_000_000:
            return Promise.resolve().then(step)
        return "the end"

    gc.disable()
    try:
        promise = Promise.resolve().then(step)
        scheduler.flush()
    finally:
        gc.enable()
    assert "the end" == promise.value()
    assert 500 > blocks[1_000_000] - blocks[1_000]


@pytest.mark.exhaustive
@pytest.mark.usefixtures("context")
def test_an_endless_loop_of_functions_that_give_promises_stays_in_constant_memory(scheduler):
    """The same where each round is resolved with a promise that follows another already."""
    rounds = 0
    blocks = {}

    @Promise.method
    def step():
        nonlocal rounds
        rounds += 1
        if rounds in (1_000, 20_000):
            blocks[rounds] = sys.getallocatedblocks()
        if rounds < 20_000:
            return Promise.resolve().then(lambda _: step())
        return "the end"

    gc.disable()
    try:
        promise = step()
        scheduler.flush()
    finally:
        gc.enable()
    assert "the end" == promise.value()
    assert 500 > blocks[20_000] - blocks[1_000]


@pytest.mark.exhaustive
@pytest.mark.usefixtures("context")
def test_an_endless_loop_with_consumers_stays_in_constant_memory(scheduler):
    """The same where somebody waits for the whole, and each round takes some more steps."""
    rounds = 0
    blocks = {}

    def step(_):
        nonlocal rounds
        rounds += 1
        if rounds in (1_000, 20_000):
            blocks[rounds] = sys.getallocatedblocks()
        if rounds < 20_000:
            return Promise.resolve().then(fail_once).finally_(int).then(None, step)
        return "the end"

    def fail_once(_):
        raise ValueError("again")

    gc.disable()
    try:
        whole = Promise.resolve().then(step)
        seen = []
        whole.then(seen.append)
        whole.then(seen.append)
        scheduler.flush()
    finally:
        gc.enable()
    assert ["the end"] * 2 == seen
    assert 500 > blocks[20_000] - blocks[1_000]


@pytest.mark.exhaustive
def test_consumers_that_leave_do_not_pile_up(scheduler):
    """A promise that lives for ever forgets those that were cancelled."""
    promise, _, _ = pending()
    promise.then(str)
    for number in range(20_000):
        if number == 1_000:
            blocks = sys.getallocatedblocks()
        promise.then(str).cancel()
    scheduler.flush()
    assert 500 > sys.getallocatedblocks() - blocks


# --- freed by reference counting alone


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


def _cancelled(things):
    promise = Promise(lambda resolve, reject, on_cancel: on_cancel(things.handler()))
    child = promise.then(things.handler()).finally_(things.handler())
    child.cancel()
    return child


def _late_observer(things):
    promise = _cancelled(things)
    return promise.then(things.handler(), things.handler())


def _coroutine(things):
    async def main():
        local = things.value()
        await Promise.resolve(local).then(things.handler())
        try:
            await Promise.resolve().then(things.failing())
        except Boom:
            return things.value()

    return Promise.resolve(main()).then(things.handler())


def _failing_coroutine(things):
    async def main():
        local = things.value()  # noqa: F841 - it is there to be seen in a frame
        await Promise.resolve().then(things.failing())

    return Promise.resolve(main()).catch(things.handler())


def _waiting_coroutine(things):
    async def main():
        local = things.value()
        promise, resolve, _ = pending()
        Promise.resolve(local).then(things.handler(resolve))
        return await promise

    return Promise.resolve(main()).then(things.handler())


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
    _nested,
    _nested_failure,
    _fan_out,
    _thenable,
    _failing_thenable,
    _finally,
    _failing_finally,
    _cancelled,
    _late_observer,
    _coroutine,
    _failing_coroutine,
    _waiting_coroutine,
    _in_a_context,
    _ring,
]


@pytest.mark.usefixtures("no_collector", "context")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__[1:])
def test_a_settled_chain_is_freed_by_reference_counting(scheduler, scenario):
    """Values, handlers, errors and the variables of frames go as soon as nobody has them."""
    things = Things()
    kept = scenario(things)
    scheduler.flush()
    del kept
    assert [] == things.alive()
    assert [] != things.references


@pytest.mark.usefixtures("no_collector", "context")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__[1:])
def test_handlers_are_freed_before_the_promise_is(scheduler, scenario):
    """While the last promise is still held, no handler that was called or skipped is."""
    things = Things()
    kept = scenario(things)
    scheduler.flush()
    assert [] == [thing for thing in things.alive() if callable(thing)]
    del kept


# --- handlers that misbehave


def test_an_error_in_one_handler_stops_no_other(scheduler):
    """A drain goes on after a handler that raises, whatever it raises."""
    called = []
    for error in (ValueError("x"), KeyboardInterrupt(), SystemExit()):
        Promise.resolve(error).then(fail).catch(called.append)
    Promise.resolve("the last").then(called.append)
    scheduler.flush()
    assert ["the last", ValueError, KeyboardInterrupt, SystemExit] == [
        error if isinstance(error, str) else type(error) for error in called
    ]


def test_the_traceback_starts_at_the_handler(scheduler):
    """The frames of this library are not part of what a handler or an executor raised."""
    errors = []

    def handler(_):
        raise ValueError("reason")

    def executor(resolve, reject):
        raise ValueError("reason")

    Promise.resolve().then(handler).catch(errors.append)
    Promise(executor).catch(errors.append)
    scheduler.flush()
    assert ["executor", "handler"] == sorted(
        error.__traceback__.tb_frame.f_code.co_name for error in errors
    )


def test_a_handler_may_cancel_its_own_promise(scheduler):
    """What it returns is of no interest then."""
    children = []

    def handler(_):
        children[0].cancel()
        return "value"

    children.append(Promise.resolve().then(handler))
    scheduler.flush()
    assert children[0].is_cancelled()


@pytest.mark.parametrize("in_context", [False, True])
def test_a_handler_that_cancels_its_own_promise_and_fails(scheduler, reports, in_context):
    """Nobody can be told by the promise: what it raised is logged."""
    children = []
    error = ValueError("lost")

    def handler(_):
        children[0].cancel()
        raise error

    def main():
        if in_context:
            ContextVar("variable").set(1)
        children.append(Promise.resolve().then(handler))

    Context().run(main)
    scheduler.flush()
    assert [error] == [event["log_failure"].value for event in reports]
    assert children[0].is_cancelled()


@pytest.mark.parametrize("in_context", [False, True])
def test_a_handler_that_cancels_its_own_promise_and_returns_a_promise(scheduler, in_context):
    """What it returns is not followed."""
    children = []
    other, settle, _ = pending()

    def handler(_):
        children[0].cancel()
        return other

    def main():
        if in_context:
            ContextVar("variable").set(1)
        children.append(Promise.resolve().then(handler))

    Context().run(main)
    settle(1)
    scheduler.flush()
    assert children[0].is_cancelled()


# --- what is not callable, and odd reasons


def test_a_handler_that_is_not_callable_warns_if_told_to(config, scheduler):
    """Bluebird's words, at the caller's line; and it is ignored all the same."""
    config(warnings=True)
    with pytest.warns(PromiseWarning) as caught:
        promise = Promise.resolve("value").then(5, "text")
    scheduler.flush()
    assert [
        ".then() only accepts functions but was passed: int",
        ".then() only accepts functions but was passed: str",
    ] == [str(warning.message) for warning in caught]
    assert {__file__} == {warning.filename for warning in caught}
    assert "value" == promise.value()


@pytest.mark.parametrize("how", ["reject", "executor", "thenable"])
def test_a_reason_that_is_no_exception_warns_if_told_to(config, scheduler, how):
    """It is handed on as it is."""

    class Thenable:
        def then(self, resolve, reject):
            reject("text")

    config(warnings=True)
    seen = []
    make = {
        "reject": lambda: Promise.reject("text"),
        "executor": lambda: Promise(lambda resolve, reject: reject("text")),
        "thenable": lambda: Promise.resolve(Thenable()),
    }[how]

    def use():
        make().catch(seen.append)
        scheduler.flush()

    with pytest.warns(PromiseWarning, match="a promise was rejected with a non-error: str"):
        use()
    assert ["text"] == seen


@pytest.mark.parametrize("how", ["reject", "executor", "thenable", "thread"])
def test_a_warning_that_is_an_error_leaves_no_promise_hanging(config, scheduler, how):
    """Where warnings are errors, the warning is what it is rejected with."""

    class Thenable:
        def then(self, resolve, reject):
            reject("text")

    def in_a_thread(resolve, reject):
        thread = Thread(target=reject, args=("text",))
        thread.start()
        thread.join()

    config(warnings=True)
    seen = []
    promise = {
        "reject": lambda: Promise.reject("text"),
        "executor": lambda: Promise(lambda resolve, reject: reject("text")),
        "thenable": lambda: Promise.resolve(Thenable()),
        "thread": lambda: Promise(in_a_thread),
    }[how]()
    promise.catch(seen.append)
    scheduler.flush()
    assert [PromiseWarning] == [type(reason) for reason in seen]


def test_without_warnings_nothing_warns():
    """The switch is off by default; where warnings are errors, nothing is raised."""
    Promise.resolve().then(5)
    promise = Promise.reject("text")
    assert "text" == promise.reason()


# --- context variables


def seen_by(results):
    """A handler that tells what it sees, and sets something else."""

    def handler(_):
        results.append(variable.get())
        variable.set("set by a handler")

    return handler


def test_handlers_run_in_the_context_in_which_they_were_attached(scheduler):
    """Each sees what was set where it was attached, wherever the promise came from."""
    results = []
    promise, resolve, _ = pending()

    def attach(name):
        variable.set(name)
        promise.then(lambda _: results.append((name, variable.get())))
        promise.finally_(lambda: results.append((name, variable.get())))

    for name in ("a", "b", "c"):
        Context().run(attach, name)
    Context().run(lambda: (variable.set("who resolves"), resolve(None)))
    scheduler.flush()
    assert [(name, name) for name in "aabbcc"] == results


def test_rejections_and_passing_on_keep_to_the_rule(scheduler):
    """A handler far down the chain runs in its own context, past others that were skipped."""
    results = []

    def main():
        variable.set("main")
        promise = Promise.reject(ValueError("x")).then(str).then(str)
        return promise.then(None, lambda _: results.append(variable.get()))

    Context().run(main)
    scheduler.flush()
    assert ["main"] == results


@pytest.mark.parametrize("attached_in", ["an empty context", "a context"])
def test_what_one_handler_sets_no_other_sees(scheduler, attached_in):
    """In one drain, in chains and side by side, and not in the scheduler's own context."""
    results = []
    expected = "unset"

    def main():
        nonlocal expected
        if attached_in == "a context":
            variable.set("main")
            expected = "main"
        promise, resolve, _ = pending()
        for _ in range(3):
            promise.then(seen_by(results)).then(seen_by(results))
            promise.finally_(lambda: seen_by(results)(None))
        Promise.resolve().then(seen_by(results))
        Promise.reject(ValueError("x")).catch(seen_by(results))
        resolve(None)

    Context().run(main)
    scheduler.flush()
    assert [expected] * 11 == results
    assert "unset" == variable.get()


def test_what_a_failing_handler_sets_no_other_sees(scheduler):
    """The same for one that raises."""
    results = []

    def failing(_):
        variable.set("set by a handler")
        raise ValueError("x")

    def main():
        promise = Promise.resolve()
        promise.then(failing).catch(lambda _: results.append(variable.get()))
        promise.then(lambda _: results.append(variable.get()))

    Context().run(main)
    scheduler.flush()
    assert ["unset", "unset"] == results


def test_what_a_handler_sets_its_own_promises_see(scheduler):
    """A handler that sets a variable and attaches handlers then: those see it."""
    results = []

    def handler(_):
        variable.set("inside")
        return Promise.resolve().then(lambda _: results.append(variable.get()))

    Context().run(lambda: Promise.resolve().then(handler))
    scheduler.flush()
    assert ["inside"] == results


def test_coroutines_have_a_context_of_their_own(scheduler):
    """What a coroutine sets stays with it, over all its steps, and nobody else sees it."""
    results = {"a": [], "b": []}
    others = []

    async def main(name):
        results[name].append(variable.get())
        variable.set(name)
        await Promise.resolve()
        results[name].append(variable.get())
        await Promise.resolve().then(seen_by(results[name]))
        results[name].append(variable.get())

    def start():
        Promise.resolve(main("a"))
        Promise.resolve().then(seen_by(others))
        Promise.resolve().then(lambda _: main("b"))
        Promise.resolve().then(seen_by(others))

    Context().run(start)
    scheduler.flush()
    assert {"a": ["unset", "a", "a", "a"], "b": ["unset", "b", "b", "b"]} == results
    assert ["unset"] * 2 == others
    assert "unset" == variable.get()


def test_cancel_hooks_run_in_their_context(scheduler):
    """A hook is a callback like any other."""
    results = []

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: results.append(variable.get()))

    def main():
        variable.set("main")
        return Promise(executor)

    Context().run(main).cancel()
    scheduler.flush()
    assert ["main"] == results


def test_what_a_hook_sets_no_other_job_sees(scheduler):
    """Hooks attached in an empty context keep none, and still are apart."""
    results = []

    def executor(resolve, reject, on_cancel):
        for _ in range(3):
            on_cancel(lambda: seen_by(results)(None))

    Promise(executor).cancel()
    Promise.resolve().then(seen_by(results))
    scheduler.flush()
    assert ["unset"] * 4 == results


def test_contexts_can_be_switched_off(config, scheduler):
    """With `async_hooks=False` handlers see nothing of where they were attached."""
    config(async_hooks=False)
    results = []

    def main():
        variable.set("main")
        Promise.resolve().then(lambda _: results.append(variable.get()))
        Promise.resolve().finally_(lambda: results.append(variable.get()))

    Context().run(main)
    scheduler.flush()
    assert ["unset", "unset"] == results


@pytest.mark.usefixtures("no_collector")
def test_a_settled_promise_keeps_no_context(scheduler):
    """What was set where a handler was attached is freed with it, though the promise lives on."""
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


# --- the core's own small print


def test_a_node_that_fails_is_logged_and_stops_nothing(scheduler, reports):
    """A mistake in a waiter does not keep the others from being told."""

    class Failing(Node):
        def _notify(self, parent):
            raise ValueError("a mistake")

    called = []
    promise, resolve, _ = pending()
    subscribe(promise, Failing())
    promise.then(called.append)
    resolve("value")
    scheduler.flush()
    assert ["value"] == called
    assert ["a mistake"] == [str(event["log_failure"].value) for event in reports]


@pytest.mark.parametrize("fired", [False, True])
@pytest.mark.parametrize("how", ["executor", "handler", "handler in a context"])
def test_what_is_followed_may_fail_while_it_is_adopted(scheduler, reports, fired, how):
    """It rejects; after it has settled, what it raises is logged; no drain is stopped."""

    class Failing(Deferred):
        def addBoth(self, *args, **kwargs):
            super().addBoth(*args, **kwargs)
            raise ValueError("a mistake")

    deferred = Failing()
    if fired:
        deferred.callback("value")

    def make():
        if how == "executor":
            return Promise(lambda resolve, reject: resolve(deferred))
        if how == "handler in a context":
            variable.set("main")
        return Promise.resolve().then(lambda _: deferred)

    promise = make()
    others = []
    seen = []
    Promise.resolve("other").then(others.append)
    promise.then(seen.append, lambda error: seen.append(str(error)))
    scheduler.flush()
    assert ["other"] == others
    assert ["value" if fired else "a mistake"] == seen
    assert (["a mistake"] if fired else []) == [
        str(event["log_failure"].value) for event in reports
    ]


def test_prepare_gives_plain_functions_back():
    """Without a context or a binding a callback costs nothing."""
    promise = Promise.resolve()
    assert str is Context().run(prepare, promise, str)
    assert isinstance(promise, CorePromise)


class Adopted:
    """Something that is followed."""


@pytest.mark.parametrize("settles", [False, True], ids=["before", "after it has settled"])
def test_an_adopter_that_raises(scheduler, reports, monkeypatch, settles):
    """What it raises rejects; or is logged, if the promise has settled."""

    def adopt(promise, value):
        if settles:
            fulfill(promise, "value")
        raise Boom

    monkeypatch.setitem(adopters, Adopted, adopt)
    seen = []
    Promise.resolve().then(lambda _: Adopted()).then(seen.append, lambda error: seen.append(error))
    scheduler.flush()
    if settles:
        assert ["value"] == seen
        assert [Boom] == [event["log_failure"].type for event in reports]
    else:
        assert [Boom] == list(map(type, seen))
        assert [] == reports


def test_a_careful_node_that_raises(scheduler, reports):
    """What a node raises that is told while it is being cancelled is logged."""

    class Failing(Node):
        __slots__ = ()

        def _notify(self, parent):
            raise Boom

    promise, resolve, _ = pending()
    node = Failing()
    node._state |= CANCELLING
    subscribe(promise, node)
    resolve()
    scheduler.flush()
    assert [Boom] == [event["log_failure"].type for event in reports]


def test_rejected_with_what_was_never_raised(scheduler):
    """An exception without a traceback is taken as it is."""
    promise = Promise.defer().promise
    promise.suppress_unhandled_rejections()
    error = ValueError("reason")
    reject_raised(promise, error)
    assert error is promise.reason()
    assert error.__traceback__ is None


# --- what no other test would have noticed


def test_a_late_follower_of_a_bypassed_promise(scheduler):
    """It settles with the others."""
    top, mid, root, third = (Promise.defer() for _ in range(4))
    seen = []
    top.resolve(mid.promise)
    mid.resolve(root.promise)
    third.resolve(mid.promise)
    third.promise.then(seen.append)
    top.promise.then(seen.append)
    root.resolve(1)
    scheduler.flush()
    assert [1, 1] == seen


class _Late:
    """A thenable that calls back when it is told to."""

    def then(self, resolve, reject):
        self.resolve = resolve


@pytest.mark.parametrize("second", ["resolve", "reject", "callback"])
@pytest.mark.parametrize("first", ["promise", "Deferred", "thenable"])
def test_the_first_call_counts_though_it_gave_something_pending(scheduler, first, second):
    """What a resolver is called with later is ignored, also before the first has settled."""
    given = {"promise": Promise.defer(), "Deferred": Deferred(), "thenable": _Late()}[first]
    resolver = Promise.defer()
    resolver.resolve(given.promise if first == "promise" else given)
    scheduler.flush()
    arguments = {"resolve": ["second"], "reject": [Boom("second")], "callback": [None, "second"]}
    getattr(resolver, second)(*arguments[second])
    scheduler.flush()
    assert resolver.promise.is_pending()
    getattr(given, "callback" if first == "Deferred" else "resolve")("first")
    scheduler.flush()
    assert "first" == resolver.promise.value()


def test_a_clean_up_is_waited_for_though_the_shared_parent_settles(scheduler):
    """A cancelled `finally_` waits for its handler, whatever becomes of what it has left."""
    log = []
    shared = Promise.defer()
    other = shared.promise.then()
    cleaning = shared.promise.finally_(lambda: log.append("begun") or Promise.delay(1))
    behind = cleaning.finally_(lambda: log.append("behind"))
    behind.cancel()
    scheduler.flush()
    shared.resolve(1)
    scheduler.flush()
    assert ["begun"] == log
    scheduler.advance(1)
    assert ["begun", "behind"] == log
    assert 1 == other.value()


def test_a_resource_with_many_other_consumers_is_given_back(scheduler):
    """What a cancelled `using` waits for is released, however many others wait for it, too."""
    log = []
    shared = Promise.defer()
    others = [shared.promise.then()]
    used = Promise.using(shared.promise.disposer(lambda _: log.append("released")), print)
    used.finally_(lambda: log.append("behind"))
    used.cancel()
    others += [shared.promise.then() for _ in range(20)]
    shared.resolve("connection")
    scheduler.flush()
    assert ["released", "behind"] == log
    assert used.is_cancelled()


@pytest.mark.parametrize("error", [CancelledError, GeneratorExit])
def test_a_generator_that_ends_as_it_is_cancelled(scheduler, reports, error):
    """It is cancelled, whichever of the two it ends with, and nothing is reported."""

    @Promise.coroutine
    def waits():
        try:
            yield Promise.delay(1)
        finally:
            raise error

    promise = waits()
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [] == reports


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


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("build", [_refused, _shared])
def test_what_ends_fail_with_is_freed(scheduler, build):
    """An acquisition, and a clean-up of what others wait for leave no cycle."""
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


def test_what_is_seen_of_an_outcome_is_all_of_it(scheduler):
    """Whoever looks on in the midst: a signal's handler, another thread, a tracer."""
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
