"""`Promise.config(tracking=True)`: where a promise was made, and when."""

from __future__ import annotations

import gc
import sys

import pytest
from twisted.internet.defer import Deferred

from twpromise import Promise
from twpromise._diagnostics import tracking
from twpromise._diagnostics.tracking import origin_of
from twpromise.debugging import pending


@pytest.fixture
def tracked(copy):
    """A library copy with tracking on."""
    copy.config(tracking=True)
    return copy


def here():
    """The line of the caller."""
    return sys._getframe(1).f_lineno


MADE = {
    "a resolver": lambda cls: (cls.defer().promise, here()),
    "an executor": lambda cls: (cls(lambda resolve, reject: None), here()),
    "a handler": lambda cls: (cls.resolve().then(print), here()),
    "another handler": lambda cls: (cls.resolve().catch(print), here()),
    "a timer": lambda cls: (cls.delay(1), here()),
    "a Deferred": lambda cls: (cls.from_deferred(Deferred()), here()),
    "all": lambda cls: (cls.all([Deferred()]), here()),
    "map": lambda cls: (cls.map([1], print), here()),
}


@pytest.mark.parametrize("name", MADE)
def test_the_line(tracked, name):
    """It is the user's that called the library, whatever method that was."""
    promise, line = MADE[name](tracked)
    assert (__file__, line, "<lambda>") == origin_of(promise).place


def test_the_age(tracked, scheduler, monkeypatch):
    """On the clock of the process."""
    times = iter([10, 20, 25])
    monkeypatch.setattr(tracking, "monotonic", lambda: next(times))
    first = tracked.defer().promise
    second = tracked(lambda resolve, reject: None)
    assert 15 == origin_of(first).age
    monkeypatch.setattr(tracking, "monotonic", lambda: 25)
    assert 5 == origin_of(second).age


def test_the_age_within_one_turn(tracked, scheduler, monkeypatch):
    """The clock is looked at once in a turn, and again in the next."""
    now = 1

    def clock():
        return now

    monkeypatch.setattr(tracking, "monotonic", clock)
    tracked.resolve().then(print)
    tracked.defer()
    now = 5
    same = tracked.defer().promise
    scheduler.flush()
    later = tracked.defer().promise
    assert [4, 0] == [origin_of(promise).age for promise in (same, later)]


def test_a_promise_that_the_reactor_has_had_made(tracked, monkeypatch):
    """It has no place: the reactor's line says nothing."""
    monkeypatch.setattr(tracking, "TWISTED", __file__)
    assert origin_of(tracked.defer().promise).place is None


def test_it_can_be_switched(copy):
    """Off, nothing is known, and the class is as before."""
    plain, init = copy._new, copy.__init__
    copy.config(tracking=True)
    copy.config(tracking=True)
    assert {plain._tracked} == {type(copy.defer().promise)}
    copy.config(tracking=False)
    assert (plain, init) == (copy._new, copy.__init__)
    assert (None, None) == origin_of(copy.defer().promise)
    assert (None, None) == origin_of(copy(lambda resolve, reject: None))


def test_copies_are_tracked_by_themselves(tracked, scheduler):
    """Others are not."""
    assert origin_of(Promise.defer().promise).place is None


def test_long_stack_traces_know_the_place(copy):
    """Without tracking, other diagnostics may know it."""
    copy.config(long_stack_traces=True)
    promise, line = copy.defer().promise, here()
    copy.config(long_stack_traces=False)
    name = test_long_stack_traces_know_the_place.__name__
    assert (__file__, line, name) == origin_of(promise).place


def test_nothing_is_kept(tracked, scheduler):
    """A promise made by calling the class is collected as ever."""
    kept = tracked(lambda resolve, reject: None)
    assert 1 == len([one for one in tracking._by_hand if one is kept])
    count = len(tracking._by_hand)
    del kept
    gc.collect()
    assert count - 1 == len(tracking._by_hand)


def test_promises_behave_as_ever(tracked, scheduler):
    """They are awaited, followed, cancelled and taken for Deferreds."""

    async def add():
        return await tracked.resolve(1) + await tracked(lambda resolve, reject: resolve(2))

    promise = tracked.resolve(add()).then(lambda value: Promise.resolve(value + 1))
    scheduler.flush()
    assert 4 == promise.value()
    assert isinstance(promise, tracked)
    assert () == pending(library=tracked).promises


def test_a_line_without_a_number():
    """Code that others have made may have none."""

    class Code:
        co_firstlineno = 7

        def co_lines(self):
            return iter([(0, 2, None)])

    assert 7 == tracking._line(Code(), 0)
