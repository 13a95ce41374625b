"""A timeout says where the coroutine behind it was waiting."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.support.promises import quiet
from twpromise import Promise, TimeoutError
from twpromise.testing import ManualScheduler


async def hang() -> None:
    await Deferred()  # in hang


def line(function: Any, text: str) -> str:
    """How a note names the line of a function that contains *text*."""
    lines, first = inspect.getsourcelines(function)
    number = first + next(number for number, code in enumerate(lines) if text in code)
    return f'  File "{__file__}", line {number}, in {function.__name__}'


def note(promise: Promise[Any], scheduler: ManualScheduler) -> list[str]:
    """The lines of the note that the timeout of a promise has, without the first."""
    timed_out = quiet(promise.timeout(5))
    scheduler.advance(1)
    scheduler.advance(4)
    reason: Any = timed_out.reason()
    assert type(reason) is TimeoutError
    notes = [each for each in getattr(reason, "__notes__", ()) if "was waiting" in each]
    assert len(notes) <= 1
    return [each for text in notes for each in text.split("\n")[1:]]


class TestTheNote:
    """Of a `TimeoutError`."""

    @pytest.mark.parametrize("how", ["itself", "then", "finally_", "delay"])
    def test_names_each_coroutine(self, scheduler: ManualScheduler, how: str) -> None:
        """From without to within, whatever was derived of its promise."""

        async def business() -> None:
            await Promise.delay(1)
            await hang()  # in business

        promise: Any = Promise.resolve(business())
        promise = {
            "itself": promise,
            "then": promise.then().then(),
            "finally_": promise.finally_(lambda: None),
            "delay": promise.delay(60),
        }[how]
        expected = [line(business, "# in business"), line(hang, "# in hang")]
        assert expected == note(promise, scheduler)

    def test_goes_on_with_what_is_waited_for(self, scheduler: ManualScheduler) -> None:
        """Through promises, of generators too; up to what is no coroutine."""

        def inner() -> Any:
            yield Promise.delay(60)  # in inner

        @Promise.coroutine
        def generator() -> Any:
            yield from inner()  # in generator

        async def business() -> None:
            await generator().then()  # in business

        expected = [
            line(business, "# in business"),
            line(generator, "# in generator"),
            line(inner, "# in inner"),
        ]
        assert expected == note(Promise.resolve(business()), scheduler)

    def test_of_what_is_no_coroutine(self, scheduler: ManualScheduler) -> None:
        """There is none."""
        assert [] == note(Promise.delay(60), scheduler)
        assert [] == note(Promise.from_deferred(Deferred()), scheduler)

    def test_of_a_circle(self, scheduler: ManualScheduler) -> None:
        """It ends."""

        async def waits(other: int) -> None:
            await Promise.delay(0)
            await promises[other]

        promises = [quiet(Promise.resolve(waits(other))) for other in (1, 0)]
        assert 2 <= len(note(promises[0], scheduler)) <= 100

    def test_is_not_for_errors_that_are_given(self, scheduler: ManualScheduler) -> None:
        """They may be of many promises."""
        error = TimeoutError("given")
        timed_out = quiet(Promise.resolve(hang()).timeout(5, error))
        scheduler.advance(5)
        assert error is timed_out.reason()
        assert not hasattr(error, "__notes__")
