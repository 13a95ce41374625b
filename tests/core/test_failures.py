"""Errors in handlers, and in whatever a promise follows: nothing else is disturbed."""

from __future__ import annotations

from contextvars import Context, ContextVar

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.support.outcomes import reasons
from tests.support.promises import pending
from tests.support.threads import in_thread
from twpromise import Promise, PromiseWarning
from twpromise._core.reactions import Node, subscribe

pytestmark = pytest.mark.usefixtures("scheduler")


def fail(error):
    raise error


def test_an_error_in_one_handler_stops_no_other(scheduler):
    """A drain goes on after a handler that raises, even KeyboardInterrupt or SystemExit."""
    called = []
    for error in (ValueError("x"), KeyboardInterrupt(), SystemExit()):
        Promise.resolve(error).then(fail).catch(called.append)
    Promise.resolve("the last").then(called.append)
    scheduler.flush()
    assert ["the last", ValueError, KeyboardInterrupt, SystemExit] == [
        error if isinstance(error, str) else type(error) for error in called
    ]


def test_the_traceback_starts_at_the_handler(scheduler):
    """Tracebacks of handlers and executors contain no frame of this library."""
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


@pytest.mark.parametrize("in_context", [False, True])
@pytest.mark.parametrize("gives", ["value", "promise", "error"])
def test_a_handler_that_cancels_its_own_promise(scheduler, reports, gives, in_context):
    """The promise stays cancelled, and follows nothing; so an error is logged."""
    children = []
    error = ValueError("lost")
    other, settle, _ = pending()

    def handler(_):
        children[0].cancel()
        if gives == "error":
            raise error
        return other if gives == "promise" else "value"

    def main():
        if in_context:
            ContextVar("variable").set(1)
        children.append(Promise.resolve().then(handler))

    Context().run(main)
    settle(1)
    scheduler.flush()
    assert [error] * (gives == "error") == reasons(reports)
    assert children[0].is_cancelled()


@pytest.mark.parametrize("how", ["reject", "executor", "thenable", "thread"])
def test_a_warning_that_is_an_error_rejects_the_promise(config, scheduler, how):
    """With `-W error` the promise is rejected with the warning, and does not stay pending."""

    class Thenable:
        def then(self, resolve, reject):
            reject("text")

    def in_a_thread(resolve, reject):
        in_thread(reject, "text")

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


def test_an_error_in_a_node_is_logged_and_stops_nothing(scheduler, reports):
    """A bug in a node of this package does not keep other subscribers from being notified."""

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
def test_a_deferred_that_raises_while_it_is_adopted(scheduler, reports, fired, how):
    """The error rejects; after the promise has settled, it is logged; no drain is stopped."""

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
            ContextVar("variable").set("main")
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


@pytest.mark.parametrize("error", [CancelledError, GeneratorExit])
def test_a_cancelled_generator_may_end_with_either_cancellation_error(scheduler, reports, error):
    """Its promise is cancelled, and nothing is reported."""

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
