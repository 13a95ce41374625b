"""Resources: `twpromise._resources`."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager

import pytest
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredLock,
    DeferredQueue,
    ensureDeferred,
    succeed,
)

from tests.support.outcomes import frames, reasons
from tests.support.processes import run_python
from tests.support.promises import Boom, quiet
from tests.support.threads import in_thread
from twpromise import CancellationError, Disposer, Promise, RejectionError
from twpromise._core.ending import has_ended
from twpromise._methods.releasing import _name_held
from twpromise.testing import ManualScheduler


def using(*arguments):
    """`Promise.using`, with an outcome that the test looks at later."""
    return quiet(Promise.using(*arguments))


@pytest.fixture
def fatal():
    """The reasons that the fatal hook was called with."""
    reported = []
    Promise.on_fatal(reported.append)
    yield reported
    Promise.on_fatal(None)


class Connection:
    """What the pages' examples use."""

    def __init__(self, log, name="connection"):
        self.log = log
        self.name = name

    def query(self, text):
        """Take a second for it."""
        self.log.append(f"{self.name}: {text}")
        return Promise.delay(1).then(lambda _: f"result of {text}")

    def close(self):
        """Close it."""
        self.log.append(f"{self.name} closed")


def connect(log, name="connection", seconds=1):
    """A disposer for a connection that takes a while to open."""
    return Promise.delay(seconds).then(lambda _: Connection(log, name)).disposer(Connection.close)


# --- the pages


def test_resource_management_page(scheduler):
    """The connection is closed after the query, and in any case; the file is read meanwhile."""
    log = []
    read_file = Promise.delay(2, "select")
    promise = using(connect(log), read_file, lambda connection, text: connection.query(text))
    scheduler.advance(2)
    assert ["connection: select"] == log
    scheduler.advance(1)
    assert ["connection: select", "connection closed"] == log
    assert "result of select" == promise.value()


def test_an_acquired_resource_is_released_if_another_one_fails(scheduler):
    """The connection is closed if the file cannot be read."""
    log = []
    file = Promise.delay(2).throw(Boom("no file"))
    promise = using(connect(log), file, lambda *_: log.append("used"))
    scheduler.advance(1)
    assert [] == log
    scheduler.advance(1)
    assert "no file" == str(promise.reason())
    assert ["connection closed"] == log


def test_a_disposer_is_no_promise(scheduler):
    """There is no way to the resource but `using`, so it is hard to leak."""
    disposer = Promise.resolve("resource").disposer(print)
    assert isinstance(disposer, Disposer)
    assert isinstance(disposer, Promise.Disposer)
    assert not hasattr(disposer, "then")
    using(disposer, lambda _: None).cancel()


def test_resources_are_released_when_the_use_has_settled(scheduler):
    """Not while the handler's promise is pending, and before the result settles."""
    log = []
    using(connect(log), lambda c: c.query("x")).then(log.append)
    scheduler.advance(1)
    scheduler.advance(0.5)
    assert ["connection: x"] == log
    scheduler.advance(0.5)
    assert ["connection: x", "connection closed", "result of x"] == log


def test_mixed_with_promises_in_their_order(scheduler):
    """Acquired side by side, handed over in the order given; values are taken as they are."""
    log = []
    promise = using(
        Promise.delay(3, "one"),
        succeed("two"),
        connect(log, seconds=2),
        4,
        lambda *resources: resources,
    )
    scheduler.advance(2.5)
    assert [] == log
    scheduler.advance(0.5)
    one, two, connection, four = promise.value()
    assert ("one", "two", "connection", 4) == (one, two, connection.name, four)
    assert ["connection closed"] == log


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list(scheduler, kind):
    """The resources may come as one list: the handler gets one list."""
    log = []
    resources = kind([connect(log, "a"), connect(log, "b"), "c"])
    promise = using(resources, lambda acquired: (type(acquired), [str(each) for each in acquired]))
    scheduler.advance(1)
    given, texts = promise.value()
    assert (list, 3, "c") == (given, len(texts), texts[2])
    assert ["a closed", "b closed"] == log


def test_an_empty_list(scheduler):
    """Nothing is acquired, and the handler gets an empty list."""
    promise = using([], lambda acquired: acquired)
    scheduler.flush()
    assert [] == promise.value()


def test_two_lists_are_two_values(scheduler):
    """Only a list that is the one argument is a list of resources."""
    promise = using([1], [2], lambda one, two: one + two)
    scheduler.flush()
    assert [1, 2] == promise.value()


def test_the_callers_list_is_left_alone(scheduler):
    """Neither `using` nor the handler's changes to its list change it."""
    resources = [1, 2]
    using(resources, list.clear)
    scheduler.flush()
    assert [1, 2] == resources


def test_an_error_wrapped_by_promise_method_is_a_failed_acquisition(scheduler):
    """What raises at once, wrapped in `Promise.method`, is a resource that is not to be had."""
    log = []

    @Promise.method
    def broken():
        raise Boom

    connection = Promise.resolve("connection").disposer(log.append)
    promise = using(connection, broken(), print)
    scheduler.flush()
    assert isinstance(promise.reason(), Boom)
    assert ["connection"] == log


def test_pg(scheduler):
    """The page's first real example: what releases comes with the resource."""
    log = []

    class Pg:
        def connect(self, address, callback):
            callback(None, f"client at {address}", lambda: log.append("done"))

    Promise.promisify_all(Pg, multi_args=True)
    pg = Pg()

    def get_sql_connection(address):
        close = []

        def keep(client, done):
            close.append(done)
            return client

        def release():
            close[0]()

        return pg.connectAsync(address).spread(keep).disposer(release)

    promise = using(get_sql_connection("here"), str.upper)
    scheduler.flush()
    assert ("CLIENT AT HERE", ["done"]) == (promise.value(), log)


def test_with_transaction(scheduler):
    """The page's pattern: committed if all went well, else rolled back and rejected."""
    log = []

    class Transactional(Connection):
        def commit(self):
            self.log.append("commit")
            return Promise.resolve()

        def rollback(self):
            self.log.append("rollback")
            return Promise.reject(Boom("rollback failed, too"))

    def with_transaction(function):
        def use(connection):
            return Promise.try_(lambda: function(connection)).then(
                lambda result: connection.commit().then_return(result),
                lambda error: connection.rollback().catch(lambda _: None).then_throw(error),
            )

        resource = Promise.resolve(Transactional(log)).disposer(Connection.close)
        return using(resource, use)

    good = with_transaction(lambda tx: tx.query("a").then(lambda _: tx.query("b")))
    scheduler.advance(1)
    scheduler.advance(1)
    assert "result of b" == good.value()
    assert ["connection: a", "connection: b", "commit", "connection closed"] == log
    log.clear()
    bad = with_transaction(lambda tx: 1 / 0)
    scheduler.flush()
    assert isinstance(bad.reason(), ZeroDivisionError)
    assert ["rollback", "connection closed"] == log


# --- releases


@pytest.mark.parametrize(
    ("release", "arguments"),
    [
        (lambda log: lambda: log.append(()), 0),
        (lambda log: lambda resource: log.append((resource,)), 1),
        (lambda log: lambda resource, outcome: log.append((resource, outcome)), 2),
        (lambda log: lambda resource, other=None: log.append((resource, other)[:1]), 1),
        (lambda log: lambda *arguments: log.append(arguments), 0),
        (lambda log: lambda resource, *more: log.append((resource, *more)), 1),
    ],
    ids=["none", "one", "two", "default", "star", "one and star"],
)
def test_arity(scheduler, release, arguments):
    """A release gets what it declares without a default: nothing, the resource, the outcome."""
    log = []
    promise = using(Promise.resolve("r").disposer(release(log)), lambda _: "value")
    scheduler.flush()
    assert "value" == promise.value()
    (got,) = log
    if arguments:
        assert "r" == got[0]
    assert max(arguments, len(got)) == len(got)
    if arguments == 2:
        assert "value" == got[1].value()


def test_a_release_of_unknown_arity_gets_the_resource(scheduler):
    """A builtin without a signature."""
    seen = {}
    promise = using(Promise.resolve("r").disposer(seen.__delitem__), seen.setdefault)
    scheduler.flush()
    assert (None, {}) == (promise.value(), seen)


@pytest.mark.parametrize("kind", ["promise", "Deferred", "coroutine"])
def test_a_release_is_waited_for(scheduler, kind):
    """Its promise settles before the next release is called, and before the result settles."""
    log = []
    ends = {name: Deferred() for name in "ab"}

    async def coroutine(name):
        await ends[name]

    def release(name):
        log.append(name)
        if kind == "coroutine":
            return coroutine(name)
        return Promise.from_deferred(ends[name]) if kind == "promise" else ends[name]

    resources = [Promise.resolve(name).disposer(release) for name in "ab"]
    promise = using(resources, lambda names: log.append("used"))
    scheduler.flush()
    assert (["used", "a"], True) == (log, promise.is_pending())
    ends["a"].callback(None)
    scheduler.flush()
    assert (["used", "a", "b"], True) == (log, promise.is_pending())
    ends["b"].callback(None)
    scheduler.flush()
    assert promise.is_fulfilled()


def test_the_result_of_a_release_is_dropped(scheduler):
    """The outcome is the handler's."""
    promise = using(Promise.resolve("r").disposer(lambda _: "released"), lambda _: "handled")
    scheduler.flush()
    assert "handled" == promise.value()


def test_the_error_of_a_release_goes_to_the_fatal_hook(scheduler, fatal):
    """It is no unhandled rejection, and changes no outcome."""
    error = Boom()

    def release(_):
        raise error

    promise = using(Promise.resolve("r").disposer(release), lambda _: "handled")
    scheduler.flush()
    assert ("handled", [error]) == (promise.value(), fatal)


def test_a_release_that_catches_its_own_error_is_not_fatal(scheduler, fatal):
    """A release that takes care of its own errors is fine."""
    release = Promise.method(lambda _: 1 / 0)
    disposer = Promise.resolve("r").disposer(lambda r: release(r).catch(lambda _: None))
    promise = using(disposer, str)
    scheduler.flush()
    assert ("r", []) == (promise.value(), fatal)


def test_a_cancelled_release_is_not_fatal(scheduler, fatal):
    """The next resource is released, and nothing stays pending."""
    released = []
    ends = Promise.delay(10)
    resources = [
        Promise.resolve("a").disposer(lambda _: ends),
        Promise.resolve("b").disposer(released.append),
    ]
    promise = using(resources, len)
    scheduler.flush()
    ends.cancel()
    scheduler.flush()
    assert (["b"], 2, []) == (released, promise.value(), fatal)


@pytest.mark.parametrize("hooks", [True, False])
def test_context_variables(scheduler, config, hooks):
    """Release and handler see the variables of where they were attached, unless switched off."""
    config(async_hooks=hooks)
    variable = contextvars.ContextVar("variable", default="nothing")
    seen = []

    def make():
        variable.set("disposer")
        return Promise.delay(1, "r").disposer(lambda _: seen.append(variable.get()))

    def use(disposer):
        variable.set("using")

        def handler(_):
            seen.append(variable.get())
            variable.set("handler")

        return using(disposer, handler)

    disposer = contextvars.copy_context().run(make)
    promise = contextvars.copy_context().run(use, disposer)
    scheduler.advance(1)
    assert promise.is_fulfilled()
    assert (["using", "disposer"] if hooks else ["nothing", "nothing"]) == seen


def test_a_coroutine_handler_sees_its_context(scheduler):
    """What the handler sets before its first wait is there after it, and nowhere else."""
    variable = contextvars.ContextVar("variable", default="nothing")
    seen = []

    async def handler(_):
        variable.set("handler")
        await Promise.delay(1)
        seen.append(variable.get())

    def release():
        seen.append(variable.get())

    using(Promise.resolve("r").disposer(release), handler)
    scheduler.advance(1)
    assert ["handler", "nothing"] == seen


# --- handlers


def test_a_handler_may_cancel_its_own_using(scheduler):
    """It may cancel the promise of the very `using` that called it."""
    log = []
    promises = []

    def handler(_):
        promises[0].cancel()
        return Promise.delay(10).finally_(lambda: log.append("stopped"))

    promises.append(using(connect(log), handler))
    scheduler.advance(1)
    assert promises[0].is_cancelled()
    assert ["stopped", "connection closed"] == log
    assert [] == scheduler.clock.getDelayedCalls()


def test_a_handler_that_cancels_and_returns_a_value(scheduler):
    """It is cancelled, and the resource is released."""
    log = []
    promises = []
    promises.append(using(connect(log), lambda _: promises[0].cancel()))
    scheduler.advance(1)
    assert (True, ["connection closed"]) == (promises[0].is_cancelled(), log)


def test_an_error_while_the_handlers_promise_is_cancelled_is_reported(scheduler, reports):
    """What goes wrong while the handler's promise is cancelled is not lost."""
    log = []
    error = Boom("while stopping")

    def stop():
        raise error

    promise = using(connect(log), lambda _: Promise.delay(10).finally_(stop))
    scheduler.advance(1)
    promise.cancel()
    scheduler.flush()
    assert (["connection closed"], True) == (log, promise.is_cancelled())
    assert [error] == reasons(reports)


def test_cancelling_the_handlers_promise_cancels_using(scheduler):
    """The resource is released."""
    log = []
    work = Promise.delay(10)
    promise = using(connect(log), lambda _: work)
    scheduler.advance(1)
    work.cancel()
    scheduler.flush()
    assert (["connection closed"], True) == (log, promise.is_cancelled())


def test_a_handler_that_returns_a_cancelled_promise_rejects(scheduler):
    """With the late observer's error; the resource is released."""
    log = []
    work = Promise.delay(10)
    work.cancel()
    promise = using(connect(log), lambda _: work)
    scheduler.advance(1)
    assert ["connection closed"] == log
    assert isinstance(promise.reason(), CancellationError)
    assert "the promise was cancelled (late cancellation observer)" == str(promise.reason())


def test_a_shared_promise_of_the_handler_is_not_cancelled(scheduler):
    """It goes on for the others; the resource is released at once."""
    log = []
    work = Promise.delay(10, "work")
    other = work.then()
    promise = using(connect(log), lambda _: work)
    scheduler.advance(1)
    promise.cancel()
    # Not within `cancel`.
    assert [] == log
    scheduler.flush()
    assert ["connection closed"] == log
    scheduler.advance(10)
    assert ("work", ["connection closed"]) == (other.value(), log)
    assert promise.is_cancelled()


def test_the_handler_runs_in_a_turn_of_its_own(scheduler):
    """Neither handler nor release is called from within `using`."""
    log = []
    resource = Promise.resolve("r").disposer(lambda _: log.append("released"))
    using(resource, lambda _: log.append("handled"))
    assert [] == log
    scheduler.flush()
    assert ["handled", "released"] == log


# --- what pends, and others wait for


PHASES = {
    "a promise": lambda gate, resource: Promise.using(resource, gate, str),
    "a promise, listed first": lambda gate, resource: Promise.using(gate, resource, str),
    "a promise for a disposer": lambda gate, resource: Promise.using(
        resource, gate.then(lambda _: Disposer(Promise, print)), gate, str
    ),
    "another resource": lambda gate, resource: Promise.using(resource, gate.disposer(id), str),
    "what is used": lambda gate, resource: Promise.using(resource, lambda _: gate),
    "a step of what is used": lambda gate, resource: Promise.using(resource, lambda _: gate.then()),
    "what follows": lambda gate, resource: Promise.using(resource, lambda _: Promise.resolve(gate)),
    "a collection in use": lambda gate, resource: Promise.using(
        resource, lambda _: Promise.all([gate])
    ),
    "a nested use": lambda gate, resource: Promise.using(
        resource, lambda _: Promise.using(gate, str)
    ),
    "a nested shared use": lambda gate, resource: Promise.using(
        resource, lambda _: shared(Promise.using(gate, str))
    ),
    "a coroutine": lambda gate, resource: Promise.using(resource, lambda _: waiting(gate)),
    "a block": lambda gate, resource: Promise.resolve(blocked(resource, gate)),
}


def shared(promise):
    """A promise that others wait for, too."""
    quiet(promise.then())
    return promise


async def waiting(promise):
    """A coroutine that waits for a promise."""
    await promise


async def blocked(resource, promise):
    """A block that waits for a promise."""
    async with resource:
        await promise


ENDS = {
    "cancelled": lambda promise, scheduler: promise.cancel(),
    "timed out": lambda promise, scheduler: (quiet(promise.timeout(5)), scheduler.advance(5)),
    "left by a chain": lambda promise, scheduler: promise.then().finally_(print).cancel(),
    "left by a Deferred": lambda promise, scheduler: (
        promise.to_deferred().addErrback(lambda _: None).cancel()
    ),
    "left by a coroutine": lambda promise, scheduler: (
        ensureDeferred(waiting(promise)).addErrback(lambda _: None).cancel()
    ),
    "left by a collection": lambda promise, scheduler: Promise.all([promise, 1]).cancel(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("settles", ["never", "later"])
def test_what_others_wait_for_keeps_no_resource(scheduler, phase, end, settles):
    """A use that has ended gives back at once what it has, whatever phase it was in."""
    log = []
    gate = Promise.defer()
    kept = shared(gate.promise)
    used = quiet(phase(kept, Promise.resolve("connection").disposer(log.append)))
    scheduler.flush()
    assert [] == log
    end(used, scheduler)
    scheduler.flush()
    assert ["connection"] == log
    assert kept.is_pending()
    if settles == "later":
        gate.resolve("late")
        scheduler.flush()
        assert (["connection"], "late") == (log, kept.value())
    assert used.is_cancelled() or used.is_rejected()


def test_many_uses_that_leave_one_promise_do_not_pile_up(scheduler):
    """A promise that stays pending keeps nothing of them."""
    pends = shared(Promise.defer().promise)
    released = []

    def use():
        used = Promise.using(Promise.resolve("r").disposer(released.append), pends, print)
        scheduler.flush()
        used.cancel()
        scheduler.flush()

    for _ in range(20):
        use()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        use()
    gc.collect()
    assert len(gc.get_objects()) - before < 50
    assert 70 == len(released)


def test_a_disposer_that_comes_when_several_have_left_is_given_back_once(scheduler):
    """They waited for one promise; a disposer that was used by then is left alone."""
    released = []
    for uses in (False, True):
        gate = Promise.defer()
        pends = gate.promise.then()
        kept = pends.then()
        for _ in range(3):
            Promise.using(pends, print).cancel()
        scheduler.flush()
        disposer = Promise.resolve(f"used: {uses}").disposer(released.append)
        if uses:
            Promise.using(disposer, lambda _: Promise.defer().promise)
        gate.resolve(disposer)
        scheduler.flush()
        assert disposer is kept.value()
    assert ["used: False"] == released


def test_a_pool_is_full_again_beside_a_service_that_hangs(scheduler):
    """Two connections, four requests in time: each times out, and gives its connection back."""
    idle = DeferredQueue()
    for name in "ab":
        idle.put(name)
    token = shared(Promise.defer().promise)
    errors = []
    for _ in range(4):
        connection = Promise.from_deferred(idle.get()).disposer(idle.put)
        used = Promise.using(connection, token, lambda *_: "answer").timeout(5)
        used.catch(TimeoutError, errors.append)
    scheduler.advance(5)
    scheduler.flush()
    assert (4, ["a", "b"]) == (len(errors), sorted(idle.pending))


def test_a_resource_that_others_acquire_is_released_when_it_comes(scheduler):
    """No other one is kept until then; but the cancellation has ended then only."""
    log = []
    gate = Promise.defer()
    late = shared(gate.promise).disposer(log.append)
    used = Promise.using(late, Promise.resolve("connection").disposer(log.append), print)
    used.finally_(lambda: log.append("behind"))
    scheduler.flush()
    used.cancel()
    scheduler.flush()
    assert ["connection"] == log
    gate.resolve("late")
    scheduler.flush()
    assert ["connection", "late", "behind"] == log


def test_resources_that_come_while_another_is_released_wait_for_that(scheduler):
    """Releases run one after the other, also of what comes when it is not needed any more."""
    log = []
    gates = [Promise.defer() for _ in range(3)]

    def release(name):
        log.append(f"releasing {name}")
        return Promise.delay(1).then(lambda _: log.append(f"released {name}"))

    used = Promise.using(
        Promise.resolve("first").disposer(release),
        *[shared(gate.promise).disposer(release) for gate in gates],
        print,
    )
    scheduler.flush()
    used.cancel()
    scheduler.flush()
    gates[2].resolve("last")
    gates[1].reject(Boom())
    gates[0].resolve("second")
    for _ in range(3):
        scheduler.advance(1)
    names = ("first", "second", "last")
    assert [f"{what} {name}" for name in names for what in ("releasing", "released")] == log
    assert used.is_cancelled()


def test_an_acquisition_that_cleans_up_keeps_no_other_resource(scheduler):
    """It is waited for, as by all that is cancelled, after the release of the others."""
    log = []
    gate = Promise.defer()
    cleaning = Promise.defer().promise.finally_(lambda: gate.promise)
    used = Promise.using(Promise.resolve("connection").disposer(log.append), cleaning, print)
    used.finally_(lambda: log.append("behind"))
    scheduler.flush()
    used.cancel()
    scheduler.flush()
    assert ["connection"] == log
    gate.resolve()
    scheduler.flush()
    assert ["connection", "behind"] == log


# --- one that fails


@pytest.mark.parametrize("kind", ["promise", "disposer", "promise for a disposer"])
@pytest.mark.parametrize("when", ["before", "later"])
@pytest.mark.parametrize("first", [True, False])
def test_a_failed_acquisition_does_not_wait_for_the_others(scheduler, kind, when, first):
    """It rejects with the reason; what is pending is cancelled, as nothing waits for it now."""
    log = []
    failing, slow = Promise.defer(), Promise.from_deferred(Deferred(lambda _: log.append("slow")))
    pending = {
        "promise": lambda: slow,
        "disposer": lambda: slow.disposer(print),
        "promise for a disposer": lambda: Promise.resolve(slow.disposer(print)),
    }[kind]()
    if when == "before":
        failing.reject(Boom("refused"))
    resources = [failing.promise.disposer(print), pending]
    connection = Promise.resolve("connection").disposer(log.append)
    promise = using([*resources[:: 1 if first else -1], connection], print)
    scheduler.flush()
    failing.reject(Boom("refused"))
    scheduler.flush()
    assert "refused" == str(promise.reason())
    assert ["slow", "connection"] == log


def test_a_failure_waits_for_releases_and_not_for_what_comes_later(scheduler):
    """A resource that comes when it has rejected is released, with a cancelled outcome."""
    log = []
    gate = Promise.defer()
    outcomes = []

    def release_late(name, outcome):
        log.append(name)
        outcomes.append(outcome)

    late = shared(gate.promise).disposer(release_late)
    connection = Promise.resolve("connection").disposer(
        lambda _, outcome: Promise.delay(1, outcome).then(outcomes.append)
    )
    used = using(connection, Promise.reject(Boom("refused")), late, print)
    scheduler.flush()
    assert used.is_pending()
    scheduler.advance(1)
    assert "refused" == str(used.reason())
    assert not has_ended(used)
    gate.resolve("late")
    scheduler.flush()
    assert ["late"] == log
    assert has_ended(used)
    assert [used.reason(), True] == [outcomes[0].reason(), outcomes[1].is_cancelled()]


def test_a_failure_is_cancelled_while_it_releases(scheduler):
    """Then it is cancelled, and waits for what comes later, as any cancellation does."""
    log = []
    gate = Promise.defer()
    connection = Promise.resolve("connection").disposer(lambda _: Promise.delay(1))
    late = shared(gate.promise).disposer(log.append)
    used = Promise.using(connection, Promise.reject(Boom()), late, print)
    used.finally_(lambda: log.append("behind"))
    scheduler.flush()
    used.cancel()
    scheduler.advance(1)
    assert [] == log
    gate.resolve("late")
    scheduler.flush()
    assert (["late", "behind"], True) == (log, used.is_cancelled())


def test_what_comes_in_the_midst_of_a_failure_is_released(scheduler):
    """A canceller brings another resource, a disposer, just when both are left."""
    log = []
    disposer = Promise.resolve("late").disposer(
        lambda name: Promise.delay(1).then(lambda _: log.append(name))
    )
    coming = Deferred()
    slow = Promise.from_deferred(Deferred(lambda _: coming.callback(disposer)))
    other = shared(Promise.from_deferred(coming))
    failing = Promise.defer()
    used = using(failing.promise, slow, other, print)
    scheduler.flush()
    failing.reject(Boom())
    scheduler.flush()
    assert (True, False, []) == (used.is_rejected(), has_ended(used), log)
    scheduler.advance(1)
    assert (True, ["late"]) == (has_ended(used), log)


def test_a_failure_cancels_acquisitions_in_their_order(scheduler):
    """As a cancellation does."""
    log = []
    names = ["a", "b", "c"]
    pending = [Promise.resolve(Deferred(lambda _, n=n: log.append(n))) for n in names]
    using([*pending, Promise.reject(Boom())], print)
    scheduler.flush()
    assert names == log


def test_a_manager_that_cancels_when_it_is_entered(scheduler):
    """It is left; the next one, behind a promise like itself, is not entered."""
    log = []

    class Manager:
        def __enter__(self):
            log.append("entered")
            promise.cancel()

        def __exit__(self, *_):
            log.append("left")

    managers = [Promise.resolve(Disposer.of(Manager())) for _ in range(2)]
    promise = Promise.using(managers, print)
    scheduler.flush()
    assert (["entered", "left"], True) == (log, promise.is_cancelled())


def test_later_failures_are_not_reported(scheduler):
    """They count as handled, as in `all`."""
    first, *others = [Promise.defer() for _ in range(3)]
    resources = [each.promise for each in others]
    promise = using(first.promise.disposer(print), resources[0].disposer(print), resources[1], id)
    for each in (first, *others):
        each.reject(Boom())
        scheduler.flush()
    assert isinstance(promise.reason(), Boom)


def test_the_first_of_several_that_fail_at_once(scheduler):
    """In the order of the arguments."""
    gates = [Promise.defer() for _ in range(3)]
    promise = using([gate.promise for gate in gates], print)
    for number in (2, 0, 1):
        gates[number].reject(Boom(f"no {number}"))
    scheduler.flush()
    assert "no 0" == str(promise.reason())


def test_an_acquisition_that_others_cancel_does_not_wait_for_the_others(scheduler):
    """The promise is cancelled; what is acquired is released, what pends is cancelled."""
    log = []
    waiting, slow = Promise.defer().promise, Promise.from_deferred(Deferred(log.append))
    connection = Promise.resolve("connection").disposer(lambda _: log.append("released"))
    promise = Promise.using(connection, slow.disposer(print), waiting, print)
    scheduler.flush()
    waiting.cancel()
    scheduler.flush()
    assert (2, "released", True) == (len(log), log[1], promise.is_cancelled())


def test_a_manager_behind_a_promise_is_not_entered_when_another_resource_has_failed(scheduler):
    """It is not needed."""
    manager = Sync()
    promise = using(Promise.resolve(Disposer.of(manager)), Promise.reject(Boom()), print)
    scheduler.flush()
    assert isinstance(promise.reason(), Boom)
    assert [] == manager.log


# --- resources that do not come, or twice


def test_cancelling_an_acquisition_cancels_using(scheduler):
    """Resources that were acquired are released."""
    log = []
    waiting = Promise.delay(10)
    promise = using(waiting.disposer(print), connect(log), print)
    scheduler.advance(1)
    waiting.cancel()
    scheduler.flush()
    assert (True, ["connection closed"]) == (promise.is_cancelled(), log)


def test_an_acquisition_of_many_steps_is_cancelled(scheduler):
    """What acquires is stopped, however many handlers are to run before the resource exists."""
    stopped = []
    resource = Promise(lambda resolve, reject, on_cancel: on_cancel(lambda: stopped.append("it")))
    for _ in range(5):
        resource = resource.then(lambda value: value)
    used = using(resource.disposer(lambda *_: None), lambda value: value)
    used.cancel()
    scheduler.flush()
    assert (["it"], True, True) == (stopped, resource.is_cancelled(), used.is_cancelled())


def test_an_acquisition_that_was_cancelled_before_rejects(scheduler):
    """With the late observer's error, which the releases of the others get as the outcome."""
    outcomes = []
    waiting = Promise.delay(10)
    waiting.cancel()
    resource = Promise.resolve("r").disposer(lambda _, outcome: outcomes.append(outcome))
    promise = using(waiting, resource, print)
    scheduler.flush()
    assert "the promise was cancelled (late cancellation observer)" == str(promise.reason())
    assert [promise.reason()] == [outcome.reason() for outcome in outcomes]


@pytest.mark.parametrize("shared", [False, True], ids=["by itself", "while others wait"])
def test_the_release_of_a_cancelled_use_gets_a_cancelled_outcome(scheduler, shared):
    """Also if the handler ended well: half-done work must not be committed."""
    cancelled = []
    work = Promise.delay(1, "work")
    kept = work.then()

    def handle(_):
        promise.cancel()
        return work if shared else "value"

    def release(_, outcome):
        cancelled.append(outcome.is_cancelled())

    promise = using(Promise.resolve("r").disposer(release), handle)
    scheduler.advance(1)
    assert ([True], True, "work") == (cancelled, promise.is_cancelled(), kept.value())


def test_cancelling_while_releasing_changes_no_outcome(scheduler):
    """The use had ended before: all releases get its outcome."""
    outcomes = []

    def release(_, outcome):
        outcomes.append(outcome.value())
        return Promise.delay(1)

    resources = [Promise.resolve(name).disposer(release) for name in "ab"]
    promise = using(resources, lambda _: "value")
    scheduler.flush()
    promise.cancel()
    scheduler.advance(1)
    assert (["value"] * 2, True) == (outcomes, promise.is_cancelled())


def test_acquisitions_are_cancelled_in_their_order(scheduler):
    """As `all` does."""
    log = []
    names = ["a", "b", "c"]
    promise = using([Promise.resolve(Deferred(lambda _, n=n: log.append(n))) for n in names], print)
    promise.cancel()
    assert names == log


def test_cancelling_between_the_acquisition_and_the_handler(scheduler):
    """The handler is not called, and all resources are released."""
    log = []
    promise = using(Promise.resolve("r").disposer(log.append), lambda _: log.append("used"))
    promise.cancel()
    scheduler.flush()
    assert (["r"], True) == (log, promise.is_cancelled())


def test_a_disposer_used_twice_at_once(scheduler):
    """The second use rejects; the resource is released once."""
    log = []
    disposer = Promise.resolve("connection").disposer(log.append)
    promise = using(disposer, disposer, lambda *_: log.append("used"))
    scheduler.flush()
    assert ["connection"] == log
    assert isinstance(promise.reason(), RuntimeError)
    assert "used already" in str(promise.reason())


def test_a_second_use_of_a_disposer_rejects(scheduler):
    """Whatever the outcome of the first."""
    log = []
    disposer = connect(log)
    first = using(disposer, lambda connection: connection.name)
    second = using(disposer, Promise.resolve("other").disposer(log.append), print)
    scheduler.advance(1)
    assert "connection" == first.value()
    assert isinstance(second.reason(), RuntimeError)
    assert ["other", "connection closed"] == log


def test_a_promise_for_a_disposer(scheduler):
    """It is waited for, and then for its resource, which is released."""
    log = []
    promise = using(Promise.delay(1).then(lambda _: connect(log)), lambda c: c.query("x"))
    for _ in range(3):
        scheduler.advance(1)
    assert ("result of x", ["connection: x", "connection closed"]) == (promise.value(), log)


def test_a_promise_for_a_disposer_that_was_used(scheduler):
    """Rejected, as if the disposer itself had been given."""
    log = []
    disposer = connect(log)
    using(disposer, lambda _: None)
    promise = using(Promise.resolve(disposer), connect(log, "other"), print)
    scheduler.advance(1)
    assert isinstance(promise.reason(), RuntimeError)
    assert ["connection closed", "other closed"] == sorted(log)


def test_a_promise_for_a_disposer_that_is_not_needed(scheduler):
    """A context manager behind a promise is not entered when another resource is missing."""
    log = []

    @contextmanager
    def manager():
        log.append("entered")
        yield
        log.append("left")

    promise = using(Promise.delay(1, Disposer.of(manager())), Promise.delay(2, "x"), print)
    scheduler.advance(1)
    promise.cancel()
    scheduler.flush()
    assert ([], True) == (log, promise.is_cancelled())


def test_a_promise_for_a_disposer_that_is_being_acquired(scheduler):
    """What it acquires is released when the whole was cancelled before."""
    log = []
    shared = Promise.delay(3, "r")
    other = shared.then()
    promise = using(Promise.delay(1).then(lambda _: shared.disposer(log.append)), print)
    keep = Promise.delay(1)
    scheduler.advance(1)
    promise.cancel()
    scheduler.advance(2)
    assert (["r"], True, "r", True) == (
        log,
        promise.is_cancelled(),
        other.value(),
        keep.is_fulfilled(),
    )


def test_a_promise_for_a_disposer_that_settles_after_the_cancellation(scheduler):
    """Its acquisition is cancelled like any other."""
    log = []
    shared = Promise.delay(1).then(lambda _: connect(log))
    kept = shared.then()
    promise = using(shared, print)
    promise.cancel()
    scheduler.advance(1)
    assert (True, True, []) == (promise.is_cancelled(), kept.is_fulfilled(), log)
    assert [] == scheduler.clock.getDelayedCalls()


def test_a_disposer_is_a_resource(scheduler):
    """Then it is the value of another disposer: that one is released, this one is the user's."""
    log = []
    inner = Promise.resolve("inner").disposer(log.append)
    promise = using(Promise.resolve(inner).disposer(lambda _: log.append("outer")), lambda d: d)
    scheduler.flush()
    assert (inner, ["outer"]) == (promise.value(), log)


@pytest.mark.parametrize("how", ["using", "thrown away"])
def test_a_handler_that_returns_a_promise_waiting_for_its_own(scheduler, how):
    """The end of the chain is not searched for."""
    waits = Promise.delay(1).then(lambda _: behind)
    behind = waits.then(str)
    scheduler.advance(1)
    disposer = behind.then(str).disposer(print_nothing)
    if how == "using":
        promise = using(disposer, print)
        promise.cancel()
        assert promise.is_cancelled()
    del disposer
    scheduler.flush()
    assert behind.is_pending()


# --- bad input


@pytest.mark.parametrize("arguments", [0, 1])
def test_too_few_arguments(scheduler, arguments):
    """Rejected with the page's words; a disposer that was given is not left unreleased."""
    log = []
    shared = Promise.resolve("r")
    promise = using(*[shared.disposer(log.append) for _ in range(arguments)])
    scheduler.flush()
    assert isinstance(promise.reason(), TypeError)
    assert "you must pass at least 2 arguments to Promise.using" == str(promise.reason())
    gc.collect()
    scheduler.flush()
    assert ["r"] * arguments == log


@pytest.mark.parametrize("listed", [False, True], ids=["arguments", "list"])
def test_the_handler_is_not_callable(scheduler, listed):
    """Rejected, and everything is released: acquired or not, it was meant for this call."""
    log = []
    resources = [connect(log, "a"), connect(log, "b")]
    promise = using(resources, "handler") if listed else using(*resources, "handler")
    del resources
    gc.collect()
    scheduler.advance(1)
    assert isinstance(promise.reason(), TypeError)
    assert "handler must be callable, not 'handler'" in str(promise.reason())
    assert ["a closed", "b closed"] == log
    assert [] == scheduler.clock.getDelayedCalls()


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "what follows it"])
def test_the_handler_returns_the_promise_itself(scheduler, wrapped):
    """Rejected, instead of waiting for itself with the resource in hand."""
    log = []

    def handle(_):
        return quiet(Promise(lambda resolve, reject: resolve(promise))) if wrapped else promise

    promise = using(Promise.resolve("resource").disposer(log.append), handle)
    scheduler.flush()
    assert isinstance(promise.reason(), TypeError)
    assert "a promise waits for itself (circular promise resolution chain)" == str(promise.reason())
    assert ["resource"] == log


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "what follows it"])
def test_a_circle_is_reported(scheduler, wrapped):
    """Returning the promise from the handler does not handle its rejection."""
    reported = []
    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection(lambda reason, _: reported.append(str(reason)))

    def handle(_):
        return copy(lambda resolve, reject: resolve(promise)) if wrapped else promise

    promise = copy.using(copy.resolve("resource").disposer(print_nothing), handle)
    scheduler.flush()
    assert ["a promise waits for itself (circular promise resolution chain)"] == reported


def test_the_handler_awaits_the_promise_itself(scheduler):
    """At once, in a coroutine that begins when it is returned."""
    log = []

    async def handle(_):
        with pytest.raises(TypeError, match="circular promise resolution chain"):
            await promise
        return "handled"

    promise = using(Promise.resolve("resource").disposer(log.append), handle)
    scheduler.flush()
    assert ("handled", ["resource"]) == (promise.value(), log)


def test_a_circle_that_is_closed_later(scheduler):
    """The handler's promise is resolved with one that waits for the handler: that rejects."""
    log = []
    waits = Promise.defer()
    promise = using(Promise.resolve("resource").disposer(log.append), lambda _: waits.promise)
    scheduler.flush()
    waits.resolve(promise)
    scheduler.flush()
    assert "a promise waits for itself (circular promise resolution chain)" == str(promise.reason())
    assert ["resource"] == log


@pytest.mark.parametrize("release", [None, "close", 5])
def test_the_release_is_not_callable(scheduler, release):
    """Refused at once."""
    with pytest.raises(TypeError, match=f"release must be callable, not {release!r}"):
        Promise.resolve("r").disposer(release)


class Both:
    """A context manager that can be entered both ways."""

    def __init__(self):
        self.log = []

    def __enter__(self):
        self.log.append("entered")
        return "sync"

    def __exit__(self, *error):
        self.log.append(("left", *error[:2]))
        return True

    async def __aenter__(self):
        await Promise.delay(1)
        self.log.append("entered async")
        return "async"

    async def __aexit__(self, *error):
        await Promise.delay(1)
        self.log.append(("left async", *error[:2]))
        return True


class Sync:
    """A sync context manager that suppresses, or tries to."""

    def __init__(self):
        self.log = []

    __enter__ = Both.__enter__
    __exit__ = Both.__exit__


class Awaited(Both):
    """One that can be awaited too, as what acquires a connection often can."""

    def __await__(self):
        self.log.append("awaited")
        yield from Promise.delay(1).__await__()


@pytest.mark.parametrize("make", [Sync, Both, Awaited, threading.Lock])
def test_a_bare_context_manager(scheduler, make):
    """Rejected with the remedy; it is not entered, and what else came is released."""
    log = []
    manager = make()
    promise = using(Promise.resolve("connection").disposer(log.append), manager, print)
    scheduler.advance(1)
    assert isinstance(promise.reason(), TypeError)
    assert "pass Disposer.of(manager)" in str(promise.reason())
    assert ([], ["connection"]) == (getattr(manager, "log", []), log)


def test_a_class_is_a_value(scheduler):
    """A class of context managers is not a context manager."""
    promise = using(Sync, lambda kind: kind)
    scheduler.flush()
    assert Sync is promise.value()


# --- Disposer.of


def test_of_sync(scheduler):
    """Entered when it is used, left afterwards."""
    manager = Sync()
    disposer = Disposer.of(manager)
    assert [] == manager.log
    promise = using(disposer, str.upper)
    scheduler.flush()
    assert "SYNC" == promise.value()
    assert ["entered", ("left", None, None)] == manager.log


def test_of_both(scheduler):
    """Entered asynchronously, and waited for both ways."""
    manager = Both()
    promise = using(Disposer.of(manager), str.upper)
    scheduler.advance(1)
    assert promise.is_pending()
    scheduler.advance(1)
    assert "ASYNC" == promise.value()
    assert ["entered async", ("left async", None, None)] == manager.log


@pytest.mark.parametrize("make", [Sync, Both])
def test_of_passes_the_exception_to_the_manager(scheduler, make):
    """The manager cannot suppress it."""
    manager = make()
    error = Boom()

    def handler(_):
        raise error

    promise = using(Disposer.of(manager), handler)
    scheduler.advance(1)
    scheduler.advance(1)
    assert error is promise.reason()
    assert (Boom, error) == manager.log[-1][1:]


def test_of_passes_the_traceback_to_the_manager(scheduler):
    """The third argument is the exception's own."""
    reported = []

    class Manager(Sync):
        def __exit__(self, *error):
            reported.append(error)

    def handler(_):
        raise Boom

    promise = using(Disposer.of(Manager()), handler)
    scheduler.flush()
    ((kind, error, traceback),) = reported
    assert (Boom, promise.reason(), error.__traceback__) == (kind, error, traceback)
    assert "handler" == frames(traceback)[-1]


def test_of_wraps_a_reason_that_is_no_exception(scheduler):
    """A reason that is no exception comes inside one."""
    manager = Sync()
    promise = using(Disposer.of(manager), lambda _: Promise.reject("odd"))
    scheduler.flush()
    assert "odd" == promise.reason()
    _, kind, error = manager.log[-1]
    assert (RejectionError, "odd") == (kind, error.cause)


@pytest.mark.parametrize("make", [Sync, Both])
def test_of_passes_a_cancellation_to_the_manager(scheduler, make):
    """So that a transaction is not committed."""
    manager = make()
    promise = using(Disposer.of(manager), lambda _: Promise.delay(10))
    scheduler.advance(1)
    promise.cancel()
    scheduler.advance(1)
    assert promise.is_cancelled()
    _, kind, error = manager.log[-1]
    assert CancellationError is kind
    assert isinstance(error, CancellationError)


def test_of_passes_the_failure_of_another_acquisition(scheduler):
    """The manager is left with the reason why it is not used."""
    manager = Sync()
    error = Boom()
    promise = using(Disposer.of(manager), Promise.reject(error), print)
    scheduler.flush()
    assert (error, ("left", Boom, error)) == (promise.reason(), manager.log[-1])


def test_of_generators(scheduler):
    """What `contextlib` makes of generators, sync and async, in the order given."""
    log = []

    @contextmanager
    def sync():
        log.append("sync in")
        try:
            yield 1
        except Boom:
            log.append("sync failed")
            raise
        finally:
            log.append("sync out")

    @asynccontextmanager
    async def asynchronous():
        log.append("async in")
        try:
            yield 2
        finally:
            await Promise.delay(1)
            log.append("async out")

    def handler(one, two):
        log.append(one + two)
        raise Boom

    promise = using(Disposer.of(sync()), Disposer.of(asynchronous()), handler)
    scheduler.advance(1)
    assert isinstance(promise.reason(), Boom)
    assert ["sync in", "async in", 3, "sync failed", "sync out", "async out"] == log


def test_of_cannot_be_entered(scheduler):
    """Then the resource is not to be had, and there is nothing to leave."""
    error = Boom()

    class Closed(Sync):
        def __enter__(self):
            raise error

    manager = Closed()
    promise = using(Disposer.of(manager), print)
    scheduler.flush()
    assert (error, []) == (promise.reason(), manager.log)


def test_of_a_twisted_lock(scheduler):
    """Deferreds that a manager's methods return are waited for; all take their turn."""
    lock = DeferredLock()
    log = []

    class Locked:
        def __aenter__(self):
            return lock.acquire()

        async def __aexit__(self, *_):
            lock.release()

    def use(name):
        def handler(_):
            log.append(f"{name} in")
            return Promise.delay(1).then(lambda _: log.append(f"{name} out"))

        return using(Disposer.of(Locked()), handler)

    promises = [use(name) for name in "abc"]
    scheduler.advance(0.5)
    promises[1].cancel()
    for _ in range(3):
        scheduler.advance(1)
    assert ["a in", "a out", "c in", "c out"] == log
    assert not lock.locked


def test_of_refuses_anything_but_a_context_manager():
    """A value, and the class of a manager."""
    for value in (5, None, Sync):
        with pytest.raises(TypeError, match="manager must be a context manager, not"):
            Disposer.of(value)


def test_an_unused_manager_is_never_entered(scheduler):
    """One that was never used was never entered."""
    manager = Sync()
    Disposer.of(manager)
    gc.collect()
    scheduler.flush()
    assert [] == manager.log


# --- unused disposers


def test_an_unused_disposer_releases_its_resource_when_collected(scheduler):
    """The outcome says that it was not used."""
    outcomes = []
    Promise.resolve("r").disposer(lambda r, outcome: outcomes.append((r, outcome.is_cancelled())))
    gc.collect()
    scheduler.flush()
    assert [("r", True)] == outcomes


def test_collecting_a_disposer_cancels_its_acquisition(scheduler):
    """The resource has no user any more."""
    log = []
    connect(log)
    gc.collect()
    scheduler.flush()
    assert ([], []) == (log, scheduler.clock.getDelayedCalls())


def test_a_collected_disposer_without_a_resource_reports_nothing(scheduler):
    """Its acquisition was rejected, and no caller could handle that."""
    Promise.delay(1).then(lambda _: 1 / 0).disposer(print)
    Promise.reject(Boom()).disposer(print)
    scheduler.advance(1)


def test_the_failed_release_of_a_collected_disposer_is_fatal(scheduler, fatal):
    """The fatal hook gets the reason."""

    def release(_):
        raise Boom

    Promise.resolve("r").disposer(release)
    gc.collect()
    scheduler.flush()
    assert [Boom] == [type(error) for error in fatal]


def test_a_disposer_collected_in_another_thread(scheduler, monkeypatch):
    """The release is queued for the promises' own thread."""
    log = []
    call_from_thread = scheduler.call_from_thread

    def hand_over(function):
        log.append("handed over")
        call_from_thread(function)

    monkeypatch.setattr(scheduler, "call_from_thread", hand_over)
    Promise.resolve().then(lambda _: None)
    disposers = [Promise.resolve("r").disposer(lambda: log.append("released"))]
    scheduler.flush()
    in_thread(disposers.clear)
    assert ["handed over"] == log
    scheduler.flush()
    assert ["handed over", "released"] == log


def test_a_used_disposer_is_not_released_again_when_collected(scheduler):
    """Throwing it away afterwards releases nothing twice."""
    log = []
    disposer = connect(log)
    using(disposer, lambda _: None)
    scheduler.advance(1)
    del disposer
    gc.collect()
    scheduler.flush()
    assert ["connection closed"] == log


# --- async with


def test_async_with(scheduler):
    """A disposer is an async context manager, in Twisted's coroutines."""
    log = []

    async def main():
        async with connect(log) as connection:
            return await connection.query("x")

    results = []
    ensureDeferred(main()).addBoth(results.append)
    scheduler.advance(1)
    scheduler.advance(1)
    assert ["connection: x", "connection closed"] == log
    assert ["result of x"] == results


def test_async_with_in_a_promises_coroutine(scheduler):
    """And in those that promises drive; the release is waited for."""
    log = []

    @Promise.coroutine
    async def main():
        async with Promise.resolve("r").disposer(lambda _: Promise.delay(1)) as resource:
            log.append(resource)
        log.append("released")

    main()
    scheduler.flush()
    assert ["r"] == log
    scheduler.advance(1)
    assert ["r", "released"] == log


@pytest.mark.parametrize("fails", [False, True], ids=["well", "fails"])
def test_async_with_passes_the_outcome_to_the_release(scheduler, fails):
    """An exception is the outcome that the release sees; it is not suppressed."""
    outcomes = []
    error = Boom()

    @Promise.coroutine
    async def main():
        async with Promise.resolve("r").disposer(lambda r, outcome: outcomes.append(outcome)):
            if fails:
                raise error

    promise = quiet(main())
    scheduler.flush()
    (outcome,) = outcomes
    if fails:
        assert (error, error) == (promise.reason(), outcome.reason())
    else:
        assert promise.is_fulfilled()
        assert outcome.value() is None


def test_async_with_a_manager(scheduler):
    """`Disposer.of` in ``async with``: the manager sees the exception."""
    manager = Sync()

    @Promise.coroutine
    async def main():
        async with Disposer.of(manager) as resource:
            raise Boom(resource)

    promise = quiet(main())
    scheduler.flush()
    assert "sync" == str(promise.reason())
    assert (Boom, promise.reason()) == manager.log[-1][1:]


def test_async_with_a_failed_acquisition(scheduler):
    """The reason is raised, the body is not run, and nothing is released."""
    log = []
    error = Boom()

    @Promise.coroutine
    async def main():
        async with Promise.reject(error).disposer(log.append):
            log.append("body")

    promise = quiet(main())
    scheduler.flush()
    assert (error, []) == (promise.reason(), log)


def test_async_with_twice(scheduler):
    """One resource, one use."""
    log = []
    disposer = connect(log)

    @Promise.coroutine
    async def main():
        async with disposer:
            pass
        async with disposer:
            log.append("again")

    promise = quiet(main())
    scheduler.advance(1)
    assert isinstance(promise.reason(), RuntimeError)
    assert ["connection closed"] == log


def test_async_with_a_release_that_fails(scheduler, fatal):
    """The fatal hook is called; the coroutine goes on."""

    def release(_):
        raise Boom

    @Promise.coroutine
    async def main():
        async with Promise.resolve("r").disposer(release):
            pass
        return "on"

    promise = quiet(main())
    scheduler.flush()
    assert ("on", [Boom]) == (promise.value(), [type(error) for error in fatal])


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("driver", ["Twisted", "promise"])
@pytest.mark.parametrize("moment", [0.5, 1.5, 2.5], ids=["acquiring", "body", "releasing"])
def test_async_with_cancelled(scheduler, shared, driver, moment):
    """At whatever moment: an acquired resource is released once, and completely."""
    log = []
    outcomes = []
    acquired = Promise.delay(1, "r")
    other = acquired.then() if shared else None

    def release(resource, outcome):
        outcomes.append(outcome)
        log.append("releasing")
        return Promise.delay(1).then(lambda _: log.append("released"))

    async def main():
        async with acquired.disposer(release):
            log.append("body")
            await Promise.delay(1)

    results = []
    if driver == "Twisted":
        running = ensureDeferred(main())
        running.addBoth(results.append)
    else:
        running = Promise.resolve(main())
    for _ in range(round(moment * 2)):
        scheduler.advance(0.5)
    running.cancel()
    for _ in range(10):
        scheduler.advance(0.5)
    came = moment > 1 or shared
    assert (["releasing", "released"] if came else []) == [e for e in log if e != "body"]
    assert (moment > 1) == ("body" in log)
    if came:
        assert (moment < 2) == outcomes[0].is_cancelled()
    if driver == "Twisted":
        assert isinstance(results[0].value, CancelledError)
    else:
        assert running.is_cancelled()
    assert other is None or "r" == other.value()
    assert [] == scheduler.clock.getDelayedCalls()


def test_async_with_cancelled_while_acquiring_waits_for_the_clean_up(scheduler):
    """The acquisition's own clean-up ends before the block goes on."""
    log = []
    acquired = Promise.delay(60).finally_(
        lambda: Promise.delay(1).then(lambda _: log.append("cleaned up"))
    )

    async def main():
        try:
            async with acquired.disposer(print):
                pass
        finally:
            log.append("left")

    promise = Promise.resolve(main())
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert [] == log
    scheduler.advance(1)
    assert ["cleaned up", "left"] == log
    assert promise.is_cancelled()


def test_async_with_cancelled_while_a_release_fails(scheduler, fatal):
    """The failure is reported, though the coroutine was cancelled."""

    def release(_):
        return Promise.delay(1).then(lambda _: 1 / 0)

    async def main():
        async with Promise.resolve("r").disposer(release):
            pass

    promise = Promise.resolve(main())
    scheduler.flush()
    promise.cancel()
    scheduler.advance(1)
    assert [ZeroDivisionError] == [type(error) for error in fatal]


def test_async_with_closed(scheduler):
    """A coroutine that is closed cannot wait: its resource is released all the same."""
    log = []

    async def main():
        async with connect(log):
            await Promise.delay(10)

    coroutine = main()
    # Its driver resumes the closed coroutine, which raises an error.
    ensureDeferred(coroutine).addErrback(lambda failure: failure.trap(RuntimeError))
    scheduler.advance(1)
    coroutine.close()
    scheduler.flush()
    assert ["connection closed"] == log


def test_async_with_closed_while_releasing(scheduler):
    """The release goes on."""
    log = []

    async def main():
        async with Promise.resolve("r").disposer(
            lambda _: Promise.delay(1).then(lambda _: log.append("released"))
        ):
            pass

    coroutine = main()
    # Its driver resumes the closed coroutine, which raises an error.
    ensureDeferred(coroutine).addErrback(lambda failure: failure.trap(RuntimeError))
    scheduler.flush()
    coroutine.close()
    scheduler.advance(1)
    assert ["released"] == log


def test_async_with_closed_while_acquiring(scheduler):
    """A resource that is acquired later is released."""
    log = []

    async def main():
        async with connect(log):
            log.append("body")

    coroutine = main()
    # Its driver resumes the closed coroutine, which raises an error.
    ensureDeferred(coroutine).addErrback(lambda failure: failure.trap(RuntimeError))
    scheduler.flush()
    coroutine.close()
    scheduler.advance(1)
    assert (["connection closed"], []) == (log, scheduler.clock.getDelayedCalls())


def test_async_with_a_cancelled_acquisition(scheduler):
    """The coroutine sees a cancellation at ``async with``."""
    acquired = Promise.delay(10)

    async def main():
        async with acquired.disposer(print):
            pass

    results = []
    ensureDeferred(main()).addBoth(results.append)
    scheduler.flush()
    acquired.cancel()
    scheduler.flush()
    assert isinstance(results[0].value, CancellationError)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("phase", ["acquiring", "acquired", "body", "releasing"])
def test_async_with_in_a_task(on_asyncio, phase, shared):
    """In an asyncio task, cancelled in each phase: released once, and to its end."""
    log = []

    async def main():
        loop = asyncio.get_running_loop()
        resolves = []
        come, released = loop.create_future(), loop.create_future()
        acquired = Promise(lambda resolve, reject: resolves.append(resolve))
        other = acquired.then() if shared else None

        def release(resource):
            log.append(f"releasing {resource}")
            return Promise.resolve(released).then(lambda _: log.append("released"))

        async def work():
            async with acquired.disposer(release):
                log.append("body")
                if phase == "body":
                    await come

        async def turns():
            for _ in range(20):
                await asyncio.sleep(0)

        task = asyncio.ensure_future(work())
        await turns()
        if phase != "acquiring":
            resolves[0]("r")
            if phase != "acquired":
                await turns()
        task.cancel()
        await turns()
        if phase == "acquiring":
            resolves[0]("r")
            await turns()
        released.set_result(None)
        await turns()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert other is None or "r" == other.value()

    on_asyncio(main)
    came = shared or phase != "acquiring"
    assert (["releasing r", "released"] if came else []) == [each for each in log if each != "body"]
    assert (phase in ("body", "releasing")) == ("body" in log)


# --- library copies


def test_library_copies(scheduler):
    """Disposers of one copy work in another, and failing releases go to the disposer's own."""
    copy = Promise.get_new_library_copy()
    reported = []
    copy.on_fatal(reported.append)

    def release(_):
        raise Boom

    promise = using(copy.resolve("r").disposer(release), str)
    other = copy.using(Promise.resolve("r").disposer(print_nothing), str)
    scheduler.flush()
    assert ("r", "r", [Boom]) == (promise.value(), other.value(), [type(e) for e in reported])
    assert isinstance(promise, Promise)
    assert isinstance(other, copy)


def print_nothing(_):
    """A release that does nothing."""


def test_a_lock_that_is_granted_in_the_turn_of_the_cancellation(scheduler):
    """It is released, and not lost between `cancel` and the next turn."""
    lock = DeferredLock()
    lock.acquire()
    waiting = Promise.from_deferred(lock.acquire()).disposer(lambda lock: lock.release())
    promise = Promise.using(waiting, lambda _: None)
    scheduler.flush()
    promise.cancel()
    lock.release()
    scheduler.flush()
    assert not lock.locked
    assert promise.is_cancelled()


def test_a_handler_that_makes_the_resource_runs_despite_a_cancellation(scheduler):
    """Its parent had settled before, so the resource is made, and released."""
    released = []
    making = Promise.resolve("connection").then(str.upper)
    promise = Promise.using(making.disposer(released.append), lambda _: None)
    promise.cancel()
    scheduler.flush()
    assert ["CONNECTION"] == released
    assert promise.is_cancelled()


@pytest.mark.parametrize("how", ["using", "thrown away"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "waiting"])
def test_an_executor_that_cannot_be_stopped(scheduler, how, running):
    """A worker that acquires already is waited for; one that does not yet is cancelled."""
    future = Future()
    if running:
        future.set_running_or_notify_cancel()
    released = []
    disposer = Promise.resolve(future).disposer(released.append)
    if how == "using":
        promise = Promise.using(disposer, lambda _: None)
        scheduler.flush()
        promise.cancel()
        assert promise.is_cancelled()
    del disposer
    scheduler.flush()
    assert running is not future.cancelled()
    if running:
        future.set_result("connection")
        scheduler.flush()
    assert (["connection"] if running else []) == released


def test_a_resource_with_many_other_consumers_is_released(scheduler):
    """The resource that a cancelled `using` waited for, however many consumers it has."""
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


def _running():
    """A promise for work that cannot be stopped any more."""
    future = Future()
    future.set_running_or_notify_cancel()
    return Promise.resolve(future)


class _JustBegun(Future):
    """A future of a pool, whose work a thread begins at the moment in which it is cancelled."""

    def cancel(self):
        if not self.running():
            self.set_running_or_notify_cancel()
        return super().cancel()


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "shared"])
@pytest.mark.parametrize("how", ["using", "async with", "thrown away"])
def test_work_that_a_thread_begins_while_it_is_cancelled(scheduler, how, shared):
    """Its resource comes all the same, and is released."""
    future, released = _JustBegun(), []
    opened = Promise.resolve(future)
    file = opened.disposer(released.append)

    async def enter(file):
        async with file:
            pytest.fail("it was cancelled")

    if how == "using":
        Promise.using(file, pytest.fail).cancel()
    elif how == "async with":
        Promise.resolve(enter(file)).cancel()
    other = opened.then(str) if shared else None
    del file
    scheduler.flush()
    future.set_result("a file")
    scheduler.flush()
    assert ["a file"] == released
    assert other is None or other.value() == "a file"


def _given_up_by_a_cancellation(scheduler):
    promise = Promise.all([_running()])
    promise.cancel()
    scheduler.flush()
    return promise


def _given_up_by_a_timeout(scheduler):
    promise = quiet(Promise.all([_running()]).timeout(1))
    scheduler.advance(1)
    return promise


@pytest.mark.parametrize("give_up", [_given_up_by_a_cancellation, _given_up_by_a_timeout])
@pytest.mark.parametrize("how", ["using", "async with", "thrown away"])
def test_a_resource_whose_work_was_given_up(scheduler, how, give_up):
    """It has settled: cancelling its use, or throwing the disposer away, ends in order."""

    async def enter():
        async with give_up(scheduler).disposer(pytest.fail):
            pytest.fail("there is no resource")

    if how == "using":
        disposer = give_up(scheduler).disposer(pytest.fail)
        promise = quiet(Promise.using(disposer, Promise.defer().promise, pytest.fail))
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled() or promise.is_rejected()
    elif how == "async with":
        promise = quiet(Promise.resolve(enter()))
        scheduler.flush()
        assert promise.is_cancelled() or isinstance(promise.reason(), TimeoutError)
    else:
        give_up(scheduler).disposer(pytest.fail)
        gc.collect(1)
        scheduler.flush()


# --- the end of the process


class Over(ManualScheduler):
    """A scheduler that does not run any more."""

    def is_over(self):
        return True


@pytest.fixture
def ended():
    """A library copy whose scheduler is over, and that scheduler."""
    # Those of other tests.
    gc.collect()
    copy, at = Promise.get_new_library_copy(), Over()
    copy.set_scheduler(at)
    return copy, at


def use_many(copy, at):
    """Uses of resources in each phase: five resources are held."""
    never = copy.defer().promise
    lend = lambda value, release=list: copy.resolve(value).disposer(release)  # noqa: E731
    uses = [
        copy.using(lend({"in use"}), lend(b"as well"), lambda *_: never),
        copy.using(lend(["acquired"]), never, print),
        copy.using(lend(1.5, lambda _: never), lend(2j), lambda *_: None),  # being released
        copy.using(lend("released"), lambda _: 1),
        copy.using(never.disposer(print), "a value", print),
    ]
    at.flush()
    return uses


def test_what_is_held_at_the_end_of_the_process_is_named(ended, reports):
    """In one line."""
    uses = use_many(*ended)
    _name_held()
    (event,) = reports
    assert ("bytes, complex, float, list, set", 5) == (event["names"], event["count"])
    assert uses


def test_of_many_some_are_named(ended, reports):
    """With how many there are."""
    uses = use_many(*ended) + use_many(*ended)
    _name_held()
    (event,) = reports
    assert ("bytes, bytes, complex, complex, float, ...", 10) == (event["names"], event["count"])
    assert uses


def test_what_is_held_on_a_scheduler_of_a_test_is_not_named(scheduler, reports):
    """It is no end of that; nor is anything named where all is released."""
    gc.collect()
    uses = use_many(Promise, scheduler)
    _name_held()
    assert [] == reports
    assert uses


def test_a_process_that_ends_with_a_resource_in_use():
    """It says so as it exits; nothing needs to be switched on."""
    program = (
        "from twpromise import Promise\n"
        "from twpromise.testing import ManualScheduler\n"
        "class Over(ManualScheduler):\n"
        "    def is_over(self): return True\n"
        "at = Over()\n"
        "Promise.set_scheduler(at)\n"
        "never = Promise.defer().promise\n"
        "used = Promise.using(Promise.resolve('connection').disposer(print), lambda _: never)\n"
        "at.flush()\n"
    )
    done = run_python("-c", program)
    assert "Promise.using has not released: str (1 in all)" in done.stderr
    assert (1, 0) == (done.stderr.count("\n"), done.returncode)
