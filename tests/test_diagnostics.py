"""Diagnostics: unhandled rejections, and warnings about threads."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from tests.support.outcomes import reasons
from tests.support.promises import Boom, fail, pending
from tests.support.threads import in_thread
from twpromise import Promise, PromiseWarning, ReactorScheduler

# --- unhandled rejections


def test_an_unhandled_rejection_is_reported_once(scheduler, reports):
    """Through twisted.logger, at critical level, with the failure, at the end of the drain."""
    error = Boom("reason")
    promise = Promise.reject(error)
    assert [] == reports
    scheduler.flush()
    [event] = reports
    assert LogLevel.critical is event["log_level"]
    assert "Unhandled rejection in Promise" == event["log_format"]
    assert "twpromise" == event["log_namespace"]
    assert error is event["log_failure"].value
    Promise.resolve().then(str)
    scheduler.flush()
    assert 1 == len(reports)
    assert promise.is_rejected()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Promise.reject(Boom()),
        lambda: Promise(lambda resolve, reject: reject(Boom())),
        lambda: Promise(fail),
        lambda: Promise.resolve().then(fail),
        lambda: Promise.resolve().then(fail).then(str).then(str),
        lambda: Promise.reject(ValueError()).catch(fail),
        lambda: Promise.reject(Boom()).finally_(int),
        lambda: Promise.resolve().finally_(fail),
        lambda: Promise.resolve().then(lambda _: Promise.reject(Boom())),
        lambda: Promise.resolve(Promise.reject(Boom()).then(str)),
    ],
    ids=[
        "reject",
        "executor-rejects",
        "executor-raises",
        "handler-raises",
        "passed-on",
        "catch-raises",
        "finally",
        "finally-raises",
        "nested",
        "resolved",
    ],
)
def test_one_rejection_one_report(scheduler, reports, make):
    """Only the last promise of a chain reports, however the rejection came there."""
    kept = make()
    scheduler.flush()
    assert [Boom] == [type(error) for error in reasons(reports)]
    del kept


def test_one_report_for_each_branch(scheduler, reports):
    """Each branch that does not handle the rejection reports it."""
    promise = Promise.reject(Boom())
    promise.then(str)
    promise.then(str)
    promise.catch(str)
    scheduler.flush()
    assert 2 == len(reports)


def test_a_promise_without_references_is_reported(scheduler, reports):
    """The report does not wait for garbage collection, nor is it lost by it."""
    Promise.resolve().then(fail)
    scheduler.flush()
    assert 1 == len(reports)


HANDLED = {
    "catch": lambda promise: promise.catch(str),
    "then": lambda promise: promise.then(None, str),
    "down the chain": lambda promise: promise.then(str).finally_(int).catch(str),
    "reason()": lambda promise: promise.reason(),
    "to_deferred": lambda promise: promise.to_deferred().addErrback(str),
    "resolved with": lambda promise: Promise(lambda resolve, reject: resolve(promise)).catch(str),
    "returned": lambda promise: Promise.resolve().then(lambda _: promise).catch(str),
}


@pytest.mark.parametrize("how", HANDLED)
def test_a_handled_rejection_is_not_reported(scheduler, reports, how):
    """By any method that consumes it."""
    HANDLED[how](Promise.reject(Boom()))
    scheduler.flush()
    assert [] == reports


@pytest.mark.parametrize("how", [name for name in HANDLED if name != "reason()"])
def test_a_rejection_handled_in_advance_is_not_reported(scheduler, reports, how):
    """The handler was attached while the promise was pending."""
    promise, _, reject = pending()
    HANDLED[how](promise)
    scheduler.flush()
    reject(Boom())
    scheduler.flush()
    assert [] == reports


def test_an_awaited_rejection_is_not_reported(scheduler, reports):
    """A coroutine that awaits takes the rejection on."""

    async def main():
        try:
            await Promise.reject(Boom())
        except Boom:
            return "handled"

    promise = Promise.resolve(main())
    scheduler.flush()
    assert "handled" == promise.value()
    assert [] == reports


def test_handled_later_in_the_same_drain_is_not_reported(scheduler, reports):
    """The report waits for the end of the drain: a handler may still come."""
    promise = Promise.reject(Boom())
    steps = Promise.resolve()
    for _ in range(20):
        steps = steps.then(str)
    steps.then(lambda _: promise.catch(str))
    scheduler.flush()
    assert [] == reports


def test_handled_after_the_drain_was_reported(scheduler, reports):
    """A handler that comes after the report is called all the same; no second report."""
    error = Boom()
    promise = Promise.reject(error)
    scheduler.flush()
    seen = []
    promise.catch(seen.append)
    scheduler.flush()
    assert ([error], [error]) == (seen, reasons(reports))


def test_reason_after_the_report(scheduler, reports):
    """Asking for the reason of what was reported is no second concern."""
    promise = Promise.reject(Boom())
    scheduler.flush()
    promise.reason()
    promise.catch(str)
    scheduler.flush()
    assert 1 == len(reports)


def test_cancelled_promises_report_nothing(scheduler, reports):
    """A cancellation is not an error."""
    promise, _, reject = pending()
    child = promise.then(str)
    child.cancel()
    reject(Boom())
    scheduler.flush()
    assert [] == reports


def test_a_reason_that_is_no_exception_is_reported_too(scheduler, reports):
    """In an exception that says so, and carries it."""
    Promise.reject("text")
    scheduler.flush()
    [error] = reasons(reports)
    assert ("text", "rejected with 'text'") == (error.cause, str(error))


def test_the_report_has_the_traceback(scheduler, reports):
    """It starts in the handler that raised."""
    Promise.resolve().then(fail).then(str)
    scheduler.flush()
    [event] = reports
    assert "fail" == event["log_failure"].getTracebackObject().tb_frame.f_code.co_name


def test_a_failure_is_reported_as_it_came(scheduler, reports):
    """The Failure in which a reason came is the one in the report."""
    failure = Failure(Boom())
    Promise.reject(failure)
    scheduler.flush()
    [event] = reports
    assert failure is event["log_failure"]


def test_reports_in_the_order_of_the_rejections(scheduler, reports):
    """First rejected, first reported."""
    errors = [Boom(number) for number in range(5)]
    for error in errors:
        Promise.reject(error)
    scheduler.flush()
    assert errors == reasons(reports)


def test_an_endless_chain_hides_no_report(reports):
    """Where a drain runs out of time, what was unhandled when it began to is reported soon."""
    now = 0.0

    def timer():
        nonlocal now
        now += 0.01
        return now

    clock = Clock()
    previous = Promise.set_scheduler(ReactorScheduler(clock, timer=timer))
    going = True
    try:

        def step(_):
            return Promise.resolve().then(step) if going else None

        Promise.resolve().then(step)
        Promise.reject(Boom())
        handled = Promise.reject(ValueError("handled in the next turn"))
        for _ in range(3):
            [call], clock.calls = clock.calls, []
            call.func()
            handled.catch(str)
        assert [Boom] == [type(error) for error in reasons(reports)]
    finally:
        going = False
        clock.advance(0)
        Promise.set_scheduler(previous)


def test_a_log_observer_that_attaches_handlers_disturbs_nothing(scheduler, reports):
    """A log observer may use promises: its handlers run in the same flush."""
    from twisted.logger import globalLogPublisher

    called = []

    def observer(event):
        if event.get("log_namespace") == "twpromise":
            Promise.resolve("after").then(called.append)

    globalLogPublisher.addObserver(observer)
    try:
        Promise.reject(Boom())
        scheduler.flush()
    finally:
        globalLogPublisher.removeObserver(observer)
    assert (["after"], 1) == (called, len(reports))


def test_a_report_that_fails_stops_nothing(scheduler, reports, monkeypatch):
    """Neither the other reports nor the drain."""
    from twpromise._core import hooks

    escaped = []
    monkeypatch.setattr(hooks.host, "unhandled", fail)
    monkeypatch.setattr(hooks.host, "escaped", lambda error: escaped.append(type(error)))
    Promise.reject(ValueError())
    Promise.reject(ValueError())
    scheduler.flush()
    assert [Boom, Boom] == escaped


# --- threads


WORDS = (
    "a promise was used in a thread that is not the reactor's: "
    "use Promise.call_from_thread(function, *args) there"
)


@pytest.mark.parametrize("use", ["then", "catch", "resolve"])
def test_another_thread_is_warned_about(scheduler, config, use):
    """With warnings on, what raises nothing in a thread that is not the reactor's warns."""
    promise, _, _ = pending()
    config(warnings=True)
    function = {
        "then": lambda: promise.then(str),
        "catch": lambda: promise.catch(str),
        "resolve": lambda: Promise.resolve(1),
    }[use]
    with pytest.raises(PromiseWarning) as raised:
        in_thread(function)
    assert WORDS == str(raised.value)


def test_settling_from_another_thread_is_not_warned_about(scheduler, config):
    """That is allowed."""
    promise, resolve, _ = pending()
    promise.then(str)
    scheduler.flush()
    config(warnings=True)
    in_thread(resolve, "value")
    scheduler.flush()
    assert "value" == promise.value()


def test_without_warnings_another_thread_is_not_warned_about(scheduler):
    """The check costs nothing, and says nothing, unless it was switched on."""
    promise, _, _ = pending()
    Promise.resolve().then(str)
    scheduler.flush()
    in_thread(promise.then, str)


def test_the_reactors_thread_is_not_warned_about(scheduler, config):
    """Everything promises do in their own thread is silent, with warnings on."""
    config(warnings=True)
    promise = Promise.resolve(1).then(lambda value: Promise.resolve(value + 1)).finally_(int)
    caught = promise.then(fail).catch(lambda error: "caught")
    other, resolve, _ = pending()
    following = Promise(lambda resolve, reject: resolve(other))
    in_context = promise.then(lambda value: value + 1)
    resolve("value")
    cancelled = pending()[0].then(str)
    cancelled.cancel()
    scheduler.flush()
    assert (2, "caught", "value", 3) == (
        promise.value(),
        caught.value(),
        following.value(),
        in_context.value(),
    )
    assert cancelled.is_cancelled()
