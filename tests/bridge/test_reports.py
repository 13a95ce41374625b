"""Unhandled rejections and escaped errors in Twisted's log."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure

from tests.support.outcomes import frames, reasons, result_of
from tests.support.promises import Boom, Source
from twpromise import Promise, RejectionError
from twpromise.testing import ManualScheduler


def test_report(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """A rejection that stays unhandled is logged once, at critical level, with its failure."""
    error = Boom()

    def handler(_: Any) -> None:
        raise error

    promise = Promise.resolve().then(handler)
    scheduler.flush()
    scheduler.flush()
    (event,) = reports
    assert LogLevel.critical is event["log_level"]
    assert "twpromise" == event["log_namespace"]
    assert "Unhandled rejection in Promise" == formatEvent(event)
    assert error is event["log_failure"].value
    assert ["handler"] == frames(event["log_failure"].getTracebackObject())
    assert error is promise.reason()


def test_a_hook_that_makes_another_rejection(
    scheduler: ManualScheduler, reports: list[LogEvent]
) -> None:
    """A rejection that a listener makes is reported too, and not only with the next job."""
    errors = [Boom(), Boom(), Boom()]
    notified: list[Any] = []

    def listener(reason: Any, _: Any) -> None:
        notified.append(reason)
        if len(notified) < len(errors):
            Promise.reject(errors[len(notified)])

    Promise.on("unhandled_rejection", listener)
    try:
        Promise.reject(errors[0])
        scheduler.flush()
    finally:
        Promise.off("unhandled_rejection", listener)
    assert errors == notified
    assert [] == reports


@pytest.mark.parametrize("wrap", [lambda error: error, Failure], ids=["itself", "a Failure"])
def test_uncaught(scheduler: ManualScheduler, reports: list[LogEvent], wrap: Any) -> None:
    """What a callback raises is logged with its own failure: also if it raises a Failure."""
    error = Boom()

    def callback(*_: Any) -> None:
        raise wrap(error)

    Promise.resolve().as_callback(callback)
    scheduler.flush()
    assert [error] == reasons(reports)


def test_odd_reason(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """A reason that is no exception is logged inside a RejectionError."""
    Promise.reject("odd")
    scheduler.flush()
    (event,) = reports
    assert isinstance(event["log_failure"].value, RejectionError)
    assert "odd" == event["log_failure"].value.cause


@pytest.mark.parametrize("way", ["to_deferred", "await", "coroutine", "Deferred in a coroutine"])
@pytest.mark.parametrize("when", ["settled", "pending"])
def test_crossing_the_bridge_is_handling(
    scheduler: ManualScheduler, reports: list[LogEvent], way: str, when: str
) -> None:
    """What was turned into a Deferred, or awaited, is not reported here."""
    source = Source()
    if when == "settled":
        source.reject(Boom())

    async def coroutine() -> Any:
        return await (source.promise if way == "coroutine" else source.promise.to_deferred())

    async def awaiting() -> Any:
        return await source.promise

    if way == "to_deferred":
        results = result_of(source.promise.to_deferred())
    elif way == "await":
        results = result_of(ensureDeferred(awaiting()))
    else:
        results = result_of(Promise.resolve(coroutine()).to_deferred())
    source.reject(Boom())
    scheduler.flush()
    assert [] == reports
    assert [Boom] == [failure.type for failure in results]


def test_every_branch_reports(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """An unhandled branch is reported beside one that was turned into a Deferred."""
    source = Source()
    results = result_of(source.promise.to_deferred())
    branch = source.promise.then(str)
    source.reject(Boom())
    scheduler.flush()
    assert 1 == len(reports) == len(results)
    assert branch.is_rejected()


def test_escaped(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """What escapes from foreign code that is called in a turn is logged, and the drain goes on."""

    def canceller(deferred: Deferred[Any]) -> None:
        raise Boom

    promise = Promise.from_deferred(Deferred(canceller))
    promise.cancel()
    after = Promise.resolve(1).then()
    scheduler.flush()
    assert [Boom] == [event["log_failure"].type for event in reports]
    assert ["Unhandled error in a job of a Promise"] == [formatEvent(event) for event in reports]
    assert 1 == after.value()


FORGED = "x\r\n2026-01-01 [-] forged\x1b[2J\u2028\N{RIGHT-TO-LEFT OVERRIDE}"
ESCAPED = r"x\r\n2026-01-01 [-] forged\x1b[2J\u2028\u202e"


class Forging:
    """Its repr has more than one line, and escape characters."""

    def __repr__(self) -> str:
        return FORGED


def _text(event: LogEvent) -> str:
    """What a log shows of an event."""
    return formatEvent(event) + "\n" + event["log_failure"].getTraceback()


def _release(_: object) -> None:
    raise Boom(FORGED)


REPORTED: dict[str, Callable[[], object]] = {
    "rejected": lambda: Promise.reject(Boom(FORGED)),
    "raised": lambda: Promise.resolve().then(_release),
    "in a Failure": lambda: Promise.reject(Failure(Boom(FORGED))),
    "no exception": lambda: Promise.reject(Forging()),
    "given to a callback": lambda: Promise.from_callback(lambda callback: callback(FORGED)),
    "done": lambda: Promise.reject(Boom(FORGED)).done(),
    "a release": lambda: Promise.using(Promise.resolve(1).disposer(_release), str),
    "escaped": lambda: Promise.resolve(1).as_callback(_release_both),
    "a wrong argument": lambda: Promise.delay(Forging()),  # type: ignore[call-overload]
}


def _release_both(*_: object) -> None:
    raise Boom(FORGED)


@pytest.mark.parametrize("name", REPORTED)
def test_no_line_of_the_log_is_forged(
    scheduler: ManualScheduler, reports: list[LogEvent], name: str
) -> None:
    """The text of an error is on one line, without escape characters; the error is unchanged."""
    REPORTED[name]()
    scheduler.flush()
    [event] = reports
    lines = _text(event).split("\n")
    assert all(line.isprintable() for line in lines)
    assert [ESCAPED] == [ESCAPED for line in lines if line.endswith(ESCAPED)]


@pytest.mark.parametrize("detail", ["brief", "default", "verbose"])
def test_a_report_in_each_detail(
    scheduler: ManualScheduler, reports: list[LogEvent], detail: str
) -> None:
    """As Twisted prints it, with the text on one line."""
    Promise.reject(Boom(FORGED))
    scheduler.flush()
    printed = StringIO()
    reports[0]["log_failure"].printTraceback(printed, detail=detail)
    assert f": {ESCAPED}\n" in printed.getvalue()
    assert FORGED == str(reports[0]["log_failure"].value)


def test_notes_keep_their_lines(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """A long stack trace is a note, for instance; escape characters are shown."""
    error = Boom("text")
    error.add_note("one\ntwo\x1b[2J")
    Promise.reject(error)
    scheduler.flush()
    assert _text(reports[0]).endswith("Boom: text\none\ntwo\\x1b[2J\n")


def test_an_error_with_odd_notes(scheduler: ManualScheduler, reports: list[LogEvent]) -> None:
    """It is reported without them."""

    class Hostile(Exception):
        def __getattribute__(self, name: str) -> Any:
            if name == "__notes__":
                raise Boom
            return super().__getattribute__(name)

    Promise.reject(Hostile("text"))
    scheduler.flush()
    assert _text(reports[0]).endswith("Hostile: text\n")


@pytest.mark.parametrize("settle", [Promise.resolve, Promise.reject], ids=["value", "reason"])
def test_repr_is_one_line(scheduler: ManualScheduler, reports: list[LogEvent], settle: Any) -> None:
    """Of a promise, and of a `PromiseInspection`."""
    promise = settle(Forging())
    inspections = promise.reflect()
    scheduler.flush()
    for text in (repr(promise), repr(inspections.value())):
        assert text.isprintable()
        assert text.endswith(f": {ESCAPED}>")
