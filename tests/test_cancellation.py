"""Cancelling: which promises are cancelled, which subscribers are notified, and when."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from itertools import pairwise
from random import Random

import pytest
from twisted.internet.defer import Deferred, fail

from benchmarks.by_hand import instructions_in
from tests.support.followed import NEED_NO_LOOP, later
from tests.support.outcomes import reasons
from tests.support.promises import Boom, pending
from twpromise import CancellationError, Promise, PromiseWarning
from twpromise._core.states import BYPASSED

pytestmark = pytest.mark.usefixtures("scheduler")


def hooked(called, name="hook"):
    """A promise with a cancel hook, and what settles it."""
    functions = []

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: called.append(name))
        functions.extend((resolve, reject))

    return Promise(executor), *functions


# --- signals upwards


def test_cancel_is_synchronous_and_hooks_run_in_the_next_turn(scheduler):
    """The state changes at once; cancel hooks are called from the scheduler."""
    called = []
    promise, _, _ = hooked(called)
    promise.cancel()
    assert ([], True, False) == (called, promise.is_cancelled(), promise.is_pending())
    scheduler.flush()
    assert ["hook"] == called


def test_cancelling_the_last_promise_cancels_the_whole_chain(scheduler):
    """All the way up to the executor, since no promise of the chain has another consumer."""
    called = []
    promise, _, _ = hooked(called)
    chain = [promise]
    for _ in range(5):
        chain.append(chain[-1].then(called.append, called.append))
    chain[-1].cancel()
    assert [True] * 6 == [link.is_cancelled() for link in chain]
    scheduler.flush()
    assert ["hook"] == called


def test_a_promise_with_another_consumer_is_not_cancelled(scheduler):
    """Only cancelling the last of several branches cancels the promise that they share."""
    called = []
    promise, resolve, _ = hooked(called)
    first, second, third = (promise.then(str) for _ in range(3))
    first.cancel()
    third.cancel()
    scheduler.flush()
    assert ([], False) == (called, promise.is_cancelled())
    second.cancel()
    scheduler.flush()
    assert (["hook"], True) == (called, promise.is_cancelled())
    resolve("too late")
    assert promise.is_cancelled()


def test_remaining_branches_get_the_value(scheduler):
    """The cancelled branches call no handler."""
    called = []
    promise, resolve, _ = pending()
    left = promise.then(lambda _: called.append("left"))
    stays = promise.then(lambda value: called.append(value))
    left.cancel()
    resolve("value")
    scheduler.flush()
    assert ["value"] == called
    assert stays.is_fulfilled()


def test_cancelling_a_settled_promise_does_nothing(scheduler):
    """It keeps its outcome."""
    called = []
    promise, resolve, _ = hooked(called)
    resolve("value")
    promise.cancel()
    scheduler.flush()
    assert (False, "value", []) == (promise.is_cancelled(), promise.value(), called)


def test_cancelling_twice_is_cancelling_once(scheduler):
    """Its hooks run once."""
    called = []
    promise, _, _ = hooked(called)
    promise.cancel()
    promise.cancel()
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert ["hook"] == called


def test_cancelling_in_the_middle_of_a_chain_cancels_all_behind(scheduler):
    """Of the handlers behind, only those of `finally_` are called."""
    called = []
    first, _, _ = hooked(called)
    middle = first.then(called.append)
    last = middle.then(called.append, called.append).finally_(lambda: called.append("finally"))
    middle.cancel()
    scheduler.flush()
    assert (["hook", "finally"], True, True) == (
        called,
        first.is_cancelled(),
        last.is_cancelled(),
    )


def test_settling_after_cancelling_is_ignored(scheduler):
    """`resolve` and `reject` of a cancelled promise do nothing, and nothing is reported."""
    promise, resolve, reject = pending()
    promise.then(str).cancel()
    resolve("value")
    reject(Boom())
    scheduler.flush()
    assert promise.is_cancelled()


def test_cancelling_after_the_parent_has_settled_calls_no_handler(scheduler):
    """The promise was cancelled before the scheduler called its handler."""
    called = []
    promise, resolve, _ = pending()
    child = promise.then(called.append)
    last = child.then(called.append)
    resolve("value")
    last.cancel()
    scheduler.flush()
    assert ([], True, True) == (called, child.is_cancelled(), last.is_cancelled())
    assert "value" == promise.value()


def test_cancelling_a_child_of_a_settled_promise_calls_no_handler(scheduler):
    """The same for a handler attached after the promise had settled."""
    called = []
    child = Promise.resolve("value").then(called.append)
    last = child.finally_(lambda: called.append("finally"))
    child.cancel()
    scheduler.flush()
    assert (["finally"], True) == (called, last.is_cancelled())


@pytest.mark.exhaustive
def test_a_long_chain_is_cancelled_without_recursion(scheduler):
    """100,000 promises, up and down."""
    called = []
    promise, _, _ = hooked(called)
    last = promise
    for _ in range(100_000):
        last = last.then(str)
    last.cancel()
    scheduler.flush()
    assert (["hook"], True) == (called, promise.is_cancelled())


# --- which subscribers are notified


async def awaits(promise):
    """A coroutine that returns the name of the error that it catches."""
    try:
        await promise
    except CancellationError:
        return "CancellationError"


@Promise.coroutine
def yields(promise):
    """A generator function that returns the name of the error that it catches."""
    try:
        yield promise
    except CancellationError:
        return "CancellationError"


def other():
    """A promise that pends."""
    return pending()[0]


#: What waits for a promise, and is cancelled with it.
CANCELLED_WITH = {
    "then": lambda promise, called: promise.then(called, called),
    "catch": lambda promise, called: promise.catch(called),
    "error": lambda promise, called: promise.error(called),
    "tap": lambda promise, called: promise.tap(called),
    "tap_catch": lambda promise, called: promise.tap_catch(called),
    "finally_": lambda promise, called: promise.finally_(lambda: None),
    "spread": lambda promise, called: promise.spread(called),
    "return_": lambda promise, called: promise.return_(1),
    "throw": lambda promise, called: promise.throw(Boom()),
    "catch_return": lambda promise, called: promise.catch_return(1),
    "bind": lambda promise, called: promise.bind(1),
    "delay": lambda promise, called: promise.delay(1),
    "timeout": lambda promise, called: promise.timeout(1),
    "resolved with it": lambda promise, called: Promise(lambda resolve, _: resolve(promise)),
    "returned by a handler": lambda promise, called: Promise.resolve().then(lambda _: promise),
    "all": lambda promise, called: Promise.all([other(), promise]),
    "props": lambda promise, called: Promise.props({1: other(), 2: promise}),
    "any": lambda promise, called: Promise.any([promise, promise]),
    "some": lambda promise, called: Promise.some([other(), promise], 2),
    "race": lambda promise, called: Promise.race([other(), promise]),
    "map": lambda promise, called: Promise.map([other(), promise], called),
    "filter": lambda promise, called: Promise.filter([other(), promise], called),
    "each": lambda promise, called: Promise.each([promise, 1], called),
    "reduce": lambda promise, called: Promise.reduce([promise, 1], called, 0),
    "result of map": lambda promise, called: Promise.map([1], lambda _: promise),
    "resource": lambda promise, called: Promise.using(promise.disposer(called), called),
    "user": lambda promise, called: Promise.using(1, lambda _: promise),
}


@pytest.mark.parametrize("build", CANCELLED_WITH.values(), ids=list(CANCELLED_WITH))
def test_cancelling_a_promise_cancels_its_subscribers(scheduler, build):
    """None of them stays pending, and no handler is called, then or later."""
    calls = []
    promise, resolve, reject = pending()
    waiting = build(promise, lambda *arguments: calls.append(arguments))
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    resolve(1)
    reject(Boom())
    scheduler.advance(10)
    assert (True, []) == (waiting.is_cancelled(), calls)


#: Subscribers that see a cancellation as an outcome, and what they see.
SEEING = {
    "reflect": (lambda promise: promise.reflect(), "cancelled"),
    "all_settled": (lambda promise: Promise.all_settled([promise]).get(0), "cancelled"),
    "Deferred": (lambda promise: promise.to_deferred(), "CancellationError"),
    "deferify": (lambda promise: Promise.deferify(lambda: promise)(), "CancellationError"),
    "await": (awaits, "CancellationError"),
    "await in Twisted": (
        lambda promise: Deferred.fromCoroutine(awaits(promise)),
        "CancellationError",
    ),
    "yield": (yields, "CancellationError"),
}


@pytest.mark.parametrize(("wait", "expected"), SEEING.values(), ids=list(SEEING))
def test_some_subscribers_see_a_cancellation_as_an_outcome(scheduler, wait, expected):
    """As an inspection, or as an exception."""
    promise, _, _ = pending()
    waiting = Promise.resolve(wait(promise)).catch(lambda error: type(error).__name__)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    notified = waiting.value()
    assert expected == (
        notified if isinstance(notified, str) else "cancelled" * notified.is_cancelled()
    )


@pytest.mark.parametrize("name", ["then", "done", "as_callback", "nodeify"])
def test_callbacks_of_a_cancelled_promise_are_never_called(scheduler, name):
    """So a Deferred that a handler would have fired pends on."""
    deferred = Deferred()
    ends = {
        "then": (deferred.callback, deferred.errback),
        "done": (deferred.callback, deferred.errback),
        "as_callback": (lambda error, value=None: deferred.callback(value),),
        "nodeify": (lambda error, value=None: deferred.callback(value),),
    }
    promise, resolve, reject = pending()
    getattr(promise, name)(*ends[name])
    promise.cancel()
    scheduler.flush()
    resolve(1)
    reject(Boom())
    scheduler.advance(10)
    assert not deferred.called
    # While an inspection is given.
    fired = promise.reflect().to_deferred()
    scheduler.flush()
    assert fired.result.is_cancelled()


# --- late observers


@pytest.mark.parametrize("how", ["then", "catch", "returned", "resolved", "await"])
def test_consuming_a_cancelled_promise_rejects(scheduler, how):
    """With the page's words: "late cancellation observer"."""
    promise, _, _ = pending()
    promise.cancel()

    async def wait():
        await promise

    consumer = {
        "then": lambda: promise.then(str),
        "catch": lambda: promise.then(str).then(str),
        "returned": lambda: Promise.resolve().then(lambda _: promise),
        "resolved": lambda: Promise(lambda resolve, reject: resolve(promise)),
        "await": lambda: Promise.resolve(wait()),
    }[how]()
    seen = []
    consumer.catch(seen.append)
    scheduler.flush()
    [error] = seen
    assert CancellationError is type(error)
    assert "the promise was cancelled (late cancellation observer)" == str(error)


def test_consuming_a_promise_that_is_still_cancelling(scheduler):
    """Consumers that come during the clean-up are late observers, too."""
    other, settle, _ = pending()
    promise = pending()[0].finally_(lambda: other)
    last = promise.then(str)
    last.cancel()
    seen = []
    last.catch(seen.append)
    scheduler.flush()
    assert [CancellationError] == [type(error) for error in seen]
    settle(None)
    scheduler.flush()
    assert last.is_cancelled()


def test_finally_of_a_cancelled_promise_runs(scheduler):
    """Attached late, it still runs; the outcome is the late observer's."""
    called = []
    promise, _, _ = pending()
    promise.cancel()
    promise.finally_(lambda: called.append("finally")).catch(lambda e: called.append(type(e)))
    scheduler.flush()
    assert ["finally", CancellationError] == called


@pytest.mark.parametrize(
    "attach",
    [
        lambda promise: promise.then(str),
        lambda promise: promise.finally_(str),
        lambda promise: promise.tap(str),
        lambda promise: promise.delay(1),
        lambda promise: promise.timeout(1),
        lambda promise: promise.bind(Promise.resolve(1)),
        lambda promise: promise.reflect().then(str),
    ],
    ids=["then", "finally", "tap", "delay", "timeout", "bind", "reflect"],
)
def test_a_late_observer_that_is_cancelled_stays_cancelled(scheduler, attach):
    """Also while the promise that it observes is cancelling; its error is not reported."""
    promise = pending()[0].then(str)
    promise.cancel()
    late = attach(promise)
    late.cancel()
    assert late.is_cancelled()
    scheduler.flush()
    assert late.is_cancelled()


# --- followers


def test_cancelling_a_follower_cancels_its_followee(scheduler):
    """Unless the followee has another consumer."""
    called = []
    root, _, _ = hooked(called)
    follower = Promise.resolve().then(lambda _: root)
    last = follower.then(str)
    scheduler.flush()
    last.cancel()
    scheduler.flush()
    assert (["hook"], True, True) == (called, root.is_cancelled(), follower.is_cancelled())


@pytest.mark.parametrize("shared", [False, True], ids=["once", "shared"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_cancelling_goes_up_through_all_followers(scheduler, layers, shared):
    """Up to the first promise that has another consumer."""
    called = []
    root, _, _ = hooked(called)

    def layer(function):
        return Promise.method(lambda: function())

    get = layer(lambda: root)
    for _ in range(layers):
        get = layer(get)
    outer = Promise.resolve().then(lambda _: get())
    other = root.then(str) if shared else None
    scheduler.flush()
    outer.is_pending()
    outer.cancel()
    scheduler.flush()
    assert ([] if shared else ["hook"]) == called
    if other is not None:
        other.cancel()
        scheduler.flush()
        assert ["hook"] == called


@pytest.mark.parametrize("asked", [False, True], ids=["plain", "inspected"])
def test_a_follower_with_another_follower_is_not_cancelled(scheduler, asked):
    """Cancelling one of its children does not cancel the promise that follows it."""
    root, settle, _ = pending()
    middle = Promise(lambda resolve, reject: resolve(root))
    leaves = middle.then(str)
    stays = Promise(lambda resolve, reject: resolve(middle))
    if asked:
        assert stays.is_pending()
    leaves.cancel()
    scheduler.flush()
    settle("value")
    late = middle.then()
    scheduler.flush()
    assert ["value"] * 2 == [stays.value(), late.value()]


@pytest.mark.parametrize("others", [1, 2])
def test_cancelling_a_follower_cancels_its_own_followers(scheduler, others):
    """All of them, and at once; its followee only if that has no other consumer."""
    called = []
    root, settle, _ = pending()
    kept = root.then()
    middle = Promise(lambda resolve, reject: resolve(root))
    for _ in range(others):
        middle.then(called.append, called.append)
    last = Promise(lambda resolve, reject: resolve(middle))
    very_last = Promise(lambda resolve, reject: resolve(last))
    assert very_last.is_pending()
    middle.cancel()
    assert [True] * 3 == [each.is_cancelled() for each in (middle, last, very_last)]
    settle("value")
    assert [True] * 3 == [each.is_cancelled() for each in (middle, last, very_last)]
    scheduler.flush()
    assert [True] * 3 == [each.is_cancelled() for each in (middle, last, very_last)]
    assert ([], "value") == (called, kept.value())


def test_resolving_with_a_follower_that_is_still_cancelling(scheduler):
    """A late observer, though the root of the follower stays pending."""
    root, _, _ = pending()
    root.then()
    middle = Promise(lambda resolve, reject: resolve(root))
    last = Promise(lambda resolve, reject: resolve(middle))
    last.cancel()
    seen = []
    Promise(lambda resolve, reject: resolve(last)).catch(seen.append)
    scheduler.flush()
    assert [CancellationError] == [type(error) for error in seen]


def test_cancelling_one_of_two_followers(scheduler):
    """The other one keeps the followee pending."""
    called = []
    root, resolve, _ = hooked(called)
    first = Promise.resolve().then(lambda _: root)
    second = Promise.resolve().then(lambda _: root)
    scheduler.flush()
    first.cancel()
    scheduler.flush()
    resolve("value")
    scheduler.flush()
    assert ([], "value", True) == (called, second.value(), first.is_cancelled())


def test_cancelling_the_followee_cancels_its_followers(scheduler):
    """They have the same outcome."""
    called = []
    root, _, _ = pending()
    follower = Promise(lambda resolve, reject: resolve(root))
    last = follower.then(called.append, called.append).finally_(lambda: called.append("finally"))
    root.cancel()
    scheduler.flush()
    assert (["finally"], True, True) == (called, follower.is_cancelled(), last.is_cancelled())


def row_of_followers(called, length=3):
    """Promises each of which follows the next; the last has a hook."""
    promises = [pending() for _ in range(length)]
    root = hooked(called)
    for (_, resolve, _), (promise, *_) in zip(promises, [*promises[1:], root], strict=True):
        resolve(promise)
    return [promise for promise, *_ in promises], root


@pytest.mark.parametrize("index", [0, 1, 2])
def test_cancelling_in_the_middle_of_a_chain_of_followers(scheduler, index):
    """The followees are cancelled too, unless another consumer waits for them."""
    called = []
    promises, (root, _, _) = row_of_followers(called)
    promises[index].cancel()
    scheduler.flush()
    assert [True] * (index + 1) == [promise.is_cancelled() for promise in promises[: index + 1]]
    assert promises[0].is_cancelled()
    assert root.is_cancelled() == (["hook"] == called)


def test_cancelling_the_first_follower_cancels_the_root(scheduler):
    """The root has no other consumer."""
    called = []
    promises, (root, _, _) = row_of_followers(called)
    promises[0].cancel()
    scheduler.flush()
    assert (["hook"], True) == (called, root.is_cancelled())


def test_a_follower_in_the_middle_that_has_a_consumer_goes_on(scheduler):
    """It is not cancelled with the follower behind it."""
    called = []
    promises, (_, resolve, _) = row_of_followers(called)
    kept = promises[1].then(str)
    promises[0].cancel()
    scheduler.flush()
    resolve("value")
    scheduler.flush()
    assert ([], "value") == (called, kept.value())
    assert promises[0].is_cancelled()


def test_cancelling_a_follower_whose_root_has_settled_does_nothing(scheduler):
    """It has the outcome of its root, though it has not been notified yet."""
    root, settle, _ = pending()
    follower = Promise(lambda resolve, reject: resolve(root))
    settle("value")
    follower.cancel()
    scheduler.flush()
    assert ("value", False) == (follower.value(), follower.is_cancelled())


def test_cancelling_a_child_of_a_follower_whose_root_has_settled(scheduler):
    """The handler is not called; the follower has its outcome."""
    called = []
    root, settle, _ = pending()
    follower = Promise(lambda resolve, reject: resolve(root))
    child = follower.then(called.append)
    settle("value")
    child.cancel()
    scheduler.flush()
    assert ([], "value", True) == (called, follower.value(), child.is_cancelled())


def test_cancelling_a_child_of_a_promise_that_is_cancelling(scheduler):
    """The child has ended when the clean-up of its parent has."""
    other, settle, _ = pending()
    parent = pending()[0].finally_(lambda: other)
    child = parent.then(str)
    parent.cancel()
    scheduler.flush()
    child.cancel()
    scheduler.flush()
    settle(None)
    scheduler.flush()
    assert (True, True) == (parent.is_cancelled(), child.is_cancelled())


def test_consuming_a_follower_of_a_promise_that_is_cancelling(scheduler):
    """New consumers see a rejection; earlier ones are cancelled when the clean-up has ended."""
    other, settle, _ = pending()
    root = pending()[0].finally_(lambda: other)
    follower = Promise(lambda resolve, reject: resolve(root))
    before = follower.then(str)
    root.cancel()
    seen = []
    follower.catch(lambda error: seen.append(str(error)))
    scheduler.flush()
    assert ["the promise was cancelled (late cancellation observer)"] == seen
    settle(None)
    scheduler.flush()
    assert (True, True) == (follower.is_cancelled(), before.is_cancelled())


def test_cancelling_an_endless_loop_ends_it(scheduler):
    """In whatever round it is."""
    rounds = []
    waiting = []

    def step(_):
        rounds.append(None)
        promise, resolve, _ = pending()
        waiting.append((promise, resolve))
        return promise.then(step)

    whole = Promise.resolve().then(step)
    for _ in range(5):
        scheduler.flush()
        waiting[-1][1](None)
    scheduler.flush()
    whole.cancel()
    scheduler.flush()
    assert (6, True, True) == (len(rounds), whole.is_cancelled(), waiting[-1][0].is_cancelled())


# --- hooks


def test_cancel_hooks_run_in_order(scheduler, reports):
    """The error of one is logged, and the others still run."""
    called = []

    def failing():
        raise Boom

    def executor(resolve, reject, on_cancel):
        on_cancel(lambda: called.append(1))
        on_cancel(failing)
        on_cancel(lambda: called.append(2))

    Promise(executor).cancel()
    scheduler.flush()
    assert [1, 2] == called
    assert [Boom] == [type(event["log_failure"].value) for event in reports]


@pytest.mark.parametrize("within", [True, False], ids=["in a context", "in none"])
def test_an_async_hook_is_run(scheduler, reports, within):
    """What it raises is logged."""
    called = []

    async def hook():
        called.append(variable.get())
        await Promise.delay(1)
        called.append(variable.get())
        raise Boom

    def make():
        if within:
            variable.set("set")
        return Promise(lambda resolve, reject, on_cancel: on_cancel(hook))

    variable = ContextVar("variable", default="unset")
    copy_context().run(make).cancel()
    scheduler.flush()
    scheduler.advance(1)
    assert ["set" if within else "unset"] * 2 == called
    assert [Boom] == [type(event["log_failure"].value) for event in reports]


@pytest.mark.parametrize("hook", [None, 5, "hook"])
def test_a_hook_must_be_callable(hook):
    """A clear error: in an executor it rejects."""

    def executor(resolve, reject, on_cancel):
        on_cancel(hook)

    promise = Promise(executor)
    error = promise.reason()
    assert TypeError is type(error)
    assert "hook must be callable" in str(error)


def test_a_cancel_hook_can_be_registered_later(scheduler):
    """`on_cancel` works as long as the promise is pending."""
    called = []
    functions = []
    promise = Promise(lambda resolve, reject, on_cancel: functions.append(on_cancel))
    scheduler.flush()
    functions[0](lambda: called.append("later"))
    promise.cancel()
    functions[0](lambda: called.append("too late"))
    scheduler.flush()
    functions[0](lambda: called.append("much too late"))
    scheduler.flush()
    assert ["later"] == called


@pytest.mark.parametrize("how", ["fulfilled", "rejected"])
def test_cancel_hooks_do_not_run_for_a_settled_promise(scheduler, how):
    """Cancelling it does nothing."""
    called = []
    promise, resolve, reject = hooked(called)
    (resolve if how == "fulfilled" else reject)("outcome")
    promise.cancel()
    promise.catch(str)
    scheduler.flush()
    assert [] == called


@pytest.mark.parametrize("outcome", ["cancelled", "fulfilled", "rejected"])
def test_cancel_hooks_stay_in_force_while_the_promise_follows_another(scheduler, outcome):
    """They run if the promise is cancelled then, and its followee is cancelled too."""
    called = []
    other, settle, fail = pending()
    promise, resolve, _ = hooked(called)
    seen = []
    resolve(other)
    resolve("ignored")
    last = promise.then(seen.append, seen.append)
    scheduler.flush()
    assert promise.is_pending()
    if outcome == "cancelled":
        last.cancel()
    else:
        (settle if outcome == "fulfilled" else fail)("outcome")
    scheduler.flush()
    assert (["hook"] if outcome == "cancelled" else []) == called
    assert ([] if outcome == "cancelled" else ["outcome"]) == seen
    assert (outcome == "cancelled") == other.is_cancelled()


def test_cancelling_the_followee_runs_no_cancel_hooks(scheduler):
    """The promise is cancelled with its followee; its hooks are for its own cancellation."""
    called = []
    other, _, _ = pending()
    promise, resolve, _ = hooked(called)
    resolve(other)
    other.cancel()
    scheduler.flush()
    assert (True, []) == (promise.is_cancelled(), called)


@pytest.mark.parametrize("turns", [0, 1], ids=["at once", "in a later turn"])
@pytest.mark.parametrize("kind", NEED_NO_LOOP)
def test_a_cancel_hook_registered_after_resolving_with_what_pends_is_called(scheduler, kind, turns):
    """Whatever the promise waits for, and with or without hooks before; that is cancelled, too."""
    called = []

    def executor(resolve, reject, on_cancel):
        functions.append(on_cancel)
        resolve(later(kind)[0])

    def executor_with_a_hook(resolve, reject, on_cancel):
        on_cancel(lambda: called.append("first"))
        executor(resolve, reject, on_cancel)

    for execute, expected in (executor, ["late"]), (executor_with_a_hook, ["first", "late"]):
        functions = []
        promise = Promise(execute)
        if turns:
            scheduler.flush()
        functions[0](lambda: called.append("late"))
        promise.then(str).cancel()
        assert (True, []) == (promise.is_cancelled(), called)
        scheduler.flush()
        assert expected == called
        called.clear()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_cancel_hooks_of_all_that_follow_one_another_are_called(scheduler, late):
    """Each once, also if no other promise than the next one subscribes to it."""
    called = []

    def followed(other, name):
        def executor(resolve, reject, on_cancel):
            if not late:
                on_cancel(lambda: called.append(name))
            if other is not None:
                resolve(other)
            if late:
                on_cancel(lambda: called.append(name))

        return Promise(executor)

    chain = [None]
    for name in range(4):
        chain.append(followed(chain[-1], name))
        # One without hooks, which may be bypassed.
        chain.append(Promise.resolve().then(lambda _: chain[-2]))
        scheduler.flush()
    chain[-1].cancel()
    assert all(promise.is_cancelled() for promise in chain[1:])
    scheduler.flush()
    assert [3, 2, 1, 0] == called


@pytest.mark.parametrize("resolved", ["with another", "by another"])
def test_a_cancel_hook_may_be_registered_when_the_promise_was_bypassed(scheduler, resolved):
    """Its only subscriber waits in its place; the hook is called all the same, in order."""
    called = []
    root, _, _ = hooked(called, "root")
    functions = []
    middle = Promise(lambda resolve, _, on_cancel: functions.extend([resolve, on_cancel]))
    resolve, on_cancel = functions
    if resolved == "with another":
        resolve(root)
        last = Promise(lambda resolve, _: resolve(middle))
    else:
        last = Promise(lambda resolve, _: resolve(middle))
        resolve(root)
    assert middle._state & BYPASSED
    on_cancel(lambda: called.append("middle"))
    last.cancel()
    scheduler.flush()
    assert ["middle", "root"] == called
    assert middle.is_cancelled()


@pytest.mark.parametrize("end", ["fulfilled", "rejected", "cancelled", "cancelling"])
def test_a_late_cancel_hook_is_dropped_when_the_outcome_is_known(scheduler, end):
    """Though those that wait for the promise have not been notified yet."""
    called, functions = [], []
    other, settle, fail = pending()
    if end == "cancelling":
        other = other.finally_(lambda: pending()[0])

    def executor(resolve, reject, on_cancel):
        functions.append(on_cancel)
        resolve(other)

    promise = Promise(executor)
    last = promise.catch(lambda _: None)
    {"fulfilled": settle, "rejected": fail}.get(end, lambda _: other.cancel())("value")
    functions[0](lambda: called.append("hook"))
    last.cancel()
    scheduler.flush()
    functions[0](lambda: called.append("hook"))
    promise.cancel()
    scheduler.flush()
    assert [] == called


@pytest.mark.parametrize("deferred", [False, True], ids=["promise", "Deferred"])
@pytest.mark.parametrize("hooks", [0, 1, 2])
def test_a_promise_with_cancel_hooks_settles_with_what_it_follows(scheduler, hooks, deferred):
    """At once, as any follower: `cancel` comes too late, and hooks are not called."""
    called = []
    other, settle, _ = pending()
    if deferred:
        other = Deferred()
        settle = other.callback

    def executor(resolve, reject, on_cancel):
        for _ in range(hooks):
            on_cancel(lambda: called.append("hook"))
        resolve(other)

    promise = Promise(executor)
    child = promise.then(called.append)
    scheduler.flush()
    settle("value")
    assert "value" == promise.value()
    promise.cancel()
    scheduler.flush()
    assert ["value"] == called
    assert child.is_fulfilled()


def test_a_promise_with_cancel_hooks_is_served_as_soon_as_one_without(scheduler):
    """Hooks make it wait no longer for what it follows."""
    called = []
    other, settle, _ = pending()
    for name, hooks in ("first", 1), ("second", 0), ("third", 1):

        def executor(resolve, reject, on_cancel, hooks=hooks):
            for _ in range(hooks):
                on_cancel(lambda: called.append("hook"))
            resolve(other)

        Promise(executor).then(lambda _, name=name: called.append(name))
    settle("value")
    scheduler.flush()
    assert ["first", "second", "third"] == called


def test_a_cancel_hook_registered_after_resolving_is_dropped(scheduler):
    """The promise keeps its value."""
    called = []

    def executor(resolve, reject, on_cancel):
        resolve("value")
        on_cancel(lambda: called.append("hook"))

    promise = Promise(executor)
    promise.cancel()
    scheduler.flush()
    assert ("value", []) == (promise.value(), called)


# --- cancellation switched off


def test_cancellation_switched_off(config, scheduler):
    """`cancel` does nothing, and executors get None for `on_cancel`."""
    config(cancellation=False)
    got = []

    def executor(resolve, reject, on_cancel):
        got.append((on_cancel, resolve))

    promise = Promise(executor)
    child = promise.then(lambda value: value)
    child.cancel()
    [(on_cancel, resolve)] = got
    resolve("value")
    scheduler.flush()
    assert (None, "value", False) == (on_cancel, child.value(), child.is_cancelled())


def test_cancel_while_cancellation_is_off_warns(config):
    """If warnings are on."""
    config(cancellation=False, warnings=True)
    promise, _, _ = pending()
    with pytest.warns(PromiseWarning, match="cancellation is disabled") as caught:
        promise.cancel()
    assert [__file__] == [warning.filename for warning in caught]


# --- a cancellation that ends in a failure


def _fails():
    raise Boom


async def _fails_in_finally():
    try:
        await pending()[0]
    finally:
        raise Boom


@Promise.coroutine
def _fails_later_in_finally():
    try:
        yield pending()[0]
    finally:
        yield Promise.delay(1)
        raise Boom


#: Work whose clean-up fails when it is cancelled.
FAILING = {
    "raises": lambda: pending()[0].finally_(_fails),
    "gives a rejection": lambda: pending()[0].finally_(lambda: Promise.reject(Boom())),
    "gives a Deferred that failed": lambda: pending()[0].finally_(lambda: fail(Boom())),
    "fails later": lambda: pending()[0].finally_(lambda: Promise.delay(1).throw(Boom())),
    "fails in an async def": lambda: pending()[0].finally_(
        Promise.method(lambda: Promise.delay(1).throw(Boom()))
    ),
    "of tap": lambda: Promise.resolve().tap(lambda _: Promise.delay(1).throw(Boom())),
    "of a coroutine": lambda: Promise.resolve(_fails_in_finally()),
    "of a generator": _fails_later_in_finally,
    "of an executor's promise": lambda: Promise(
        lambda resolve, _, on_cancel: (
            on_cancel(list),
            resolve(pending()[0].finally_(_fails)),
        )
    ),
    "of both parts of bind": lambda: pending()[0].finally_(_fails).bind(pending()[0]),
    "of the use of a resource": lambda: Promise.using(1, lambda _: pending()[0].finally_(_fails)),
}


@pytest.mark.parametrize("work", FAILING.values(), ids=list(FAILING))
def test_what_is_cancelled_stays_cancelled_if_its_clean_up_fails(scheduler, reports, work):
    """The error is reported once, with the promise's rejection hook; no handler is called."""
    called = []
    promise = work()
    scheduler.flush()
    last = (
        promise.then(lambda *_: called.append("then"))
        .catch(lambda *_: called.append("catch"))
        .finally_(lambda *_: called.append("finally"))
    )
    follower = Promise(lambda resolve, _: resolve(last))
    inspection = follower.reflect()
    deferred = follower.to_deferred()
    failures = []
    deferred.addErrback(lambda failure: failures.append(failure.type))
    together = Promise.all([last, pending()[0]])
    last.cancel()
    between = last.then(called.append, lambda *errors: called.append(str(errors[-1])))
    promises = [promise, last, follower]
    assert [True] * 3 == [each.is_cancelled() for each in promises]
    for _ in range(3):
        scheduler.advance(1)
        assert [True] * 3 == [each.is_cancelled() for each in promises]
    assert together.is_cancelled()
    assert between.is_fulfilled()
    assert ["finally", "the promise was cancelled (late cancellation observer)"] == sorted(called)
    assert inspection.value().is_cancelled()
    assert [CancellationError] == failures
    assert [Boom] == [type(error) for error in reasons(reports)]


def test_a_failing_release_leaves_the_promise_cancelled(scheduler):
    """The error goes to the fatal hook."""
    copy = Promise.get_new_library_copy()
    fatal = []
    copy.on_fatal(fatal.append)

    def release(_):
        raise Boom

    promise = copy.using(copy.resolve(1).disposer(release), lambda _: pending()[0])
    last = promise.catch(lambda _: "recovered")
    scheduler.flush()
    last.cancel()
    scheduler.flush()
    assert [True, True] == [promise.is_cancelled(), last.is_cancelled()]
    assert [Boom] == [type(error) for error in fatal]


def test_a_failing_clean_up_is_reported_where_the_handler_was_attached(scheduler):
    """To the hook of the library copy, in the context, with a promise of the error."""
    copy = Promise.get_new_library_copy()
    variable = ContextVar("variable", default="unset")
    seen = []
    copy.on_possibly_unhandled_rejection(
        lambda reason, promise: seen.append((variable.get(), promise.reason() is reason))
    )

    def attach():
        variable.set("attached")
        return copy.resolve(pending()[0]).finally_(_fails)

    promise = copy_context().run(attach)
    promise.cancel()
    scheduler.flush()
    assert [("attached", True)] == seen
    assert promise.is_cancelled()


@pytest.mark.parametrize("suppressed", [False, True], ids=["inspected", "suppressed"])
def test_the_report_of_a_failing_clean_up_can_be_suppressed(scheduler, reports, suppressed):
    """By the promise whose clean-up it is; who inspects that does not handle it."""
    promise = pending()[0].finally_(_fails)
    if suppressed:
        promise.suppress_unhandled_rejections()
    promise.cancel()
    promise.reflect()
    promise.catch(lambda _: None)
    scheduler.flush()
    assert promise.is_cancelled()
    assert [Boom] * (not suppressed) == [type(error) for error in reasons(reports)]


@pytest.mark.parametrize("bound", [False, True], ids=["plain", "bound"])
def test_the_deferred_returned_by_a_handler_that_cancelled_its_promise_is_cancelled(
    scheduler, bound
):
    """It has no consumer; if it fails, nothing is reported."""
    notified = []
    deferred = Deferred(lambda _: notified.append("cancelled"))

    def handler(*_):
        promise.cancel()
        return deferred

    start = Promise.resolve().bind("this") if bound else Promise.resolve()
    promise = start.then(handler)
    scheduler.flush()
    assert promise.is_cancelled()
    assert ["cancelled"] == notified


@pytest.mark.parametrize("kind", ["value", "shared promise"])
def test_the_result_of_a_handler_that_cancelled_its_promise_is_dropped(scheduler, kind):
    """A value is dropped; a promise that has another consumer stays pending."""
    shared = Promise.defer()
    values = []
    shared.promise.then(values.append)

    def handler(_):
        promise.cancel()
        return 1 if kind == "value" else shared.promise

    promise = Promise.resolve().then(handler)
    scheduler.flush()
    assert promise.is_cancelled()
    shared.resolve("value")
    scheduler.flush()
    assert ["value"] == values


# --- thenables


class Thenable:
    """A thenable with a `then` of the test's own."""

    def __init__(self, then):
        self._then = then

    def then(self, resolve, reject):
        return self._then(resolve, reject)


def test_a_thenable_is_not_called_for_a_cancelled_promise(scheduler):
    """Its `then` is called from the scheduler, and the promise was cancelled before."""
    called = []
    promise = Promise.resolve(Thenable(lambda *both: called.append(both)))
    promise.cancel()
    scheduler.flush()
    assert ([], True) == (called, promise.is_cancelled())


@pytest.mark.parametrize("index", [0, 1], ids=["resolve", "reject"])
def test_a_thenable_cannot_settle_a_cancelled_promise(scheduler, index):
    """Its calls of `resolve` and `reject` are ignored, and nothing is reported."""
    functions = []
    promise = Promise.resolve(Thenable(lambda *both: functions.extend(both)))
    scheduler.flush()
    promise.cancel()
    functions[index](Boom())
    scheduler.flush()
    assert promise.is_cancelled()


def test_a_thenable_that_cancels_its_promise_and_fails(scheduler, reports):
    """The error cannot reject the promise, so it is logged."""
    promises = []

    def then(resolve, reject):
        promises[0].cancel()
        raise Boom

    promises.append(Promise.resolve(Thenable(then)))
    scheduler.flush()
    assert promises[0].is_cancelled()
    assert [Boom] == [type(event["log_failure"].value) for event in reports]


def test_a_follower_is_cancelled_with_its_only_follower(scheduler):
    """Though the last one was subscribed to the promise that both follow."""
    end, between, follower = Promise.defer(), Promise.defer(), Promise.defer()
    end.promise.then()
    follower.resolve(between.promise)
    between.resolve(end.promise)
    follower.promise.cancel()
    assert between.promise.is_cancelled()
    scheduler.flush()

    def handler(_):
        child.cancel()
        return between.promise

    child = Promise.resolve().then(handler)
    scheduler.flush()
    end.resolve("value")
    seen = []
    between.promise.catch(seen.append)
    scheduler.flush()
    assert [CancellationError] == [type(error) for error in seen]
    assert (True, "value") == (between.promise.is_cancelled(), end.promise.value())


def test_cancelling_a_bypassed_promise_whose_clean_up_fails(scheduler, reports):
    """All followers stay cancelled, and not only those that have been inspected."""
    end, between, follower = Promise.defer(), Promise.defer(), Promise.defer()
    follower.resolve(between.promise)
    between.resolve(end.promise.finally_(_fails))
    between.promise.cancel()
    for _ in range(2):
        assert [True, True] == [each.promise.is_cancelled() for each in (between, follower)]
        scheduler.flush()
    assert [Boom] == [type(error) for error in reasons(reports)]


# --- many


async def _cleans_up(promise):
    try:
        await promise
    finally:
        await Promise.resolve()


@Promise.coroutine
def _cleans_up_too(promise):
    try:
        yield promise
    finally:
        yield Promise.resolve()


LEAVING = {
    "then": lambda promise: promise.then(),
    "follow": lambda promise: Promise.resolve().then(lambda _: promise),
    "finally_": lambda promise: promise.finally_(lambda: Promise.resolve()),
    "using": lambda promise: Promise.using(promise, lambda value: value),
    "timeout": lambda promise: promise.timeout(1),
    "await": lambda promise: Promise.resolve(_cleans_up(promise)),
    "yield": _cleans_up_too,
}
ORDERS = {
    "first come, first gone": lambda many: many,
    "last come, first gone": lambda many: many[::-1],
    "outside in": lambda many: [
        many[-1 - place // 2 if place % 2 else place // 2] for place in range(len(many))
    ],
}


def _each_costs(scheduler, make, order, do, count):
    """How many instructions each of so many consumers executes as it does something."""
    promise, resolve, _ = pending()
    stays = promise.then()
    many = order([make(promise) for _ in range(count)])
    scheduler.flush()

    def leave():
        for each in many:
            do(each)
            scheduler.flush()

    executed = instructions_in(leave)
    resolve("value")
    scheduler.flush()
    assert "value" == stays.value()
    return executed.total() / count


@pytest.mark.exhaustive
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("way", LEAVING)
def test_a_subscriber_leaves_at_the_same_cost_however_many_there_are(scheduler, way, order):
    """One of 200 executes as many instructions as one of 20."""
    few, many = (
        _each_costs(scheduler, LEAVING[way], ORDERS[order], Promise.cancel, count)
        for count in (20, 200)
    )
    assert many < 1.5 * few


def _ended(way, promise, resolvers):
    """Has a canceller settle what it is about to be followed by, each in its way."""
    resolve, resolve_other, reject_other, other = resolvers
    if way == "settled":
        resolve("value")
        return
    resolve(other)
    if "bypassed" in way:
        # No variable refers to the follower.
        Promise(lambda resolve, _: resolve(promise))
    (reject_other if "rejected" in way else resolve_other)("value")


@pytest.mark.parametrize(
    "way", ["settled", "follows", "follows a rejected promise", "follows, and is bypassed"]
)
def test_a_promise_settled_by_a_canceller_keeps_its_outcome(scheduler, way):
    """Though it would have been cancelled next."""
    promise, resolve, _ = pending()
    other, resolve_other, reject_other = pending()
    other.then(None, lambda _: None)
    called = []

    def canceller(_):
        _ended(way, promise, (resolve, resolve_other, reject_other, other))
        assert promise.is_rejected() == ("rejected" in way)
        assert promise.is_fulfilled() != promise.is_rejected()
        promise.then(called.append, called.append)

    Promise.all([Promise.resolve(Deferred(canceller)), promise]).cancel()
    assert not promise.is_cancelled()
    scheduler.flush()
    assert promise.is_rejected() == ("rejected" in way)
    assert ["value"] == called


@pytest.mark.exhaustive
def test_subscribers_that_are_cancelling_cost_later_ones_nothing(scheduler):
    """Subscribing and leaving costs the same beside 1,000 of them."""

    def cost(count):
        promise, _, _ = pending()
        stays = promise.then()
        for each in [Promise.using(promise, lambda value: value) for _ in range(count)]:
            each.cancel()

        def come_and_go():
            for _ in range(20):
                first, second = promise.then(), promise.then()
                second.cancel()
                first.cancel()

        # They are looked through once.
        come_and_go()
        executed = instructions_in(come_and_go).total()
        assert stays.is_pending()
        return executed

    few, many = cost(10), cost(1000)
    assert 0 < many < 1.2 * few


def test_a_promise_is_cancelled_with_its_last_consumer(scheduler):
    """And no sooner, in whatever order and way consumers subscribe and leave."""
    for seed in range(500):
        random = Random(seed)
        promise, *_ = pending()
        waiting = [promise.then()]
        while waiting:
            if random.random() < (0.45 if len(waiting) < 12 else 0.2):
                waiting.append(
                    LEAVING[random.choice(["then", "finally_", "using", "await"])](promise)
                )
                scheduler.flush()
            else:
                leaves = waiting.pop(random.randrange(-min(len(waiting), 3), 0))
                assert promise.is_pending(), seed
                leaves.cancel()
                if random.random() < 0.5:
                    scheduler.flush()
        assert promise.is_cancelled(), seed
        scheduler.flush()


@pytest.mark.exhaustive
def test_cancelling_using_costs_the_same_in_a_long_chain_of_followers(scheduler):
    """Whether the resource has to be waited for is known without a walk along the chain."""

    def cost(count):
        resolvers = [Promise.defer() for _ in range(count)]
        for inner, outer in pairwise(resolvers):
            outer.resolve(inner.promise)
        uses = [
            Promise.using(each.promise.disposer(lambda *_: None), lambda value: value)
            for each in resolvers
        ]

        def leave():
            for use in uses:
                use.cancel()

        return instructions_in(leave).total() / count

    few, many = cost(20), cost(400)
    assert 0 < many < 1.5 * few


def test_a_consumer_that_subscribes_after_others_have_left_counts(scheduler):
    """The promise is not cancelled when the first one leaves, too."""
    promise, resolve, _ = pending()
    called = []
    first = promise.then()
    for other in [promise.then() for _ in range(4)]:
        other.cancel()
    promise.then(called.append)
    first.cancel()
    assert promise.is_pending()
    resolve("value")
    scheduler.flush()
    assert ["value"] == called


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("way", LEAVING)
def test_remaining_handlers_run_in_order_after_others_have_left(scheduler, way, order):
    """The order in which they were attached, whichever others left meanwhile."""
    promise, resolve, _ = pending()
    called = []

    def come(numbers):
        for number in numbers:
            promise.then(lambda _, number=number: called.append(number))

    leaving = []
    for number in range(0, 60, 3):
        come([number])
        leaving += [LEAVING[way](promise) for _ in range(2)]
    scheduler.flush()
    for place, each in enumerate(ORDERS[order](leaving)):
        each.cancel()
        if place % 5 == 0:
            scheduler.flush()
            come([60 + place])
    resolve("value")
    scheduler.flush()
    assert sorted(called) == called
    assert 28 == len(called)
