"""Warnings about promises that are dropped while they are pending; and what tools show."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from twpromise import Promise
from twpromise._diagnostics import unconsumed
from twpromise.loops import use_running_loop

HANDLERS = "its handlers will never be called"


@pytest.fixture
def warned(copy, scheduler):
    """Calls a function with the copy; what it has warned of, without the line."""

    def call(function):
        copy.config(warnings=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(copy)
            scheduler.flush()
            gc.collect()
        assert all(__file__ == each.filename for each in caught)
        return [str(each.message).rpartition(": it was made at ")[0] for each in caught]

    return call


def with_a_coroutine(cls):
    async def fetch():
        await cls.from_deferred(Deferred())

    cls.resolve(fetch())


def with_a_coroutine_and_a_handler(cls):
    async def fetch():
        await cls.defer().promise

    cls.resolve(fetch()).then(print)


def with_two_handlers(cls):
    promise = cls.defer().promise
    promise.then(print)
    promise.then(print)


DROPPED = {
    "a handler": (lambda cls: cls.defer().promise.then(print) and None, HANDLERS),
    "two handlers": (with_two_handlers, HANDLERS),
    "a chain": (lambda cls: cls.defer().promise.then(print).then(print) and None, HANDLERS),
    "a Deferred": (lambda cls: cls.from_deferred(Deferred()).then(print) and None, HANDLERS),
    "a collection": (lambda cls: cls.all([cls.defer().promise]) and None, HANDLERS),
}


@pytest.mark.parametrize("name", DROPPED)
def test_handlers(warned, name):
    """One warning for all that hangs on a promise that nothing can settle any more."""
    function, lost = DROPPED[name]
    assert f"a promise was dropped while it was pending, and {lost}" in set(warned(function))


@pytest.mark.parametrize("function", [with_a_coroutine, with_a_coroutine_and_a_handler])
def test_a_coroutine(warned, function):
    """It is named; what it waits for says nothing of its own."""
    name = f"{function.__name__}.<locals>.fetch"
    assert [
        f"a promise was dropped while it was pending, and its coroutine {name} will never go on"
    ] == warned(function)


def loser_of_a_race(cls):
    cls.race([cls.resolve(1), cls.defer().promise]).then(print)


def settled(cls):
    resolver = cls.defer()
    resolver.promise.then(print)
    resolver.resolve(1)


@pytest.mark.parametrize("function", [loser_of_a_race, settled])
def test_nothing_is_lost(warned, function):
    """What was to be called has been, or is not wanted any more."""
    assert [] == [text for text in warned(function) if "dropped" in text]


def test_never_consumed(warned):
    """A promise that nothing has waited for has the warning that it has had before."""
    assert ["a promise was never consumed"] == warned(lambda cls: cls.defer() and None)


def test_warnings_are_off(copy, scheduler):
    """Then there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_a_coroutine(copy)
        gc.collect()


@pytest.mark.parametrize("function", [with_a_coroutine_and_a_handler, with_two_handlers])
def test_at_exit(warned, monkeypatch, function):
    """What is pending at the end of the process is dropped, and that is no mistake.

    Nor is it that the promise of a handler, which has not been called, has no consumer.
    """
    monkeypatch.setattr(unconsumed.sys, "is_finalizing", lambda: True)
    assert [] == warned(function)


def test_what_awaits_a_promise_names_it(copy, scheduler):
    """Tools of asyncio's and Twisted's show it."""

    async def waiting(promise):
        await promise

    promise = copy.defer().promise
    kept = ensureDeferred(waiting(promise))
    assert "<await of <Promise pending>>" == repr(promise._subscribers)
    del kept


def test_an_asyncio_task(scheduler):
    """Its `repr` names the promise that it awaits."""

    async def main():
        async with use_running_loop():
            task = asyncio.create_task(waiting(Promise.delay(0.01)))
            await asyncio.sleep(0)
            shown = repr(task)
            await task
            return shown

    async def waiting(promise):
        await promise

    assert "wait_for=<await of <Promise pending>>" in asyncio.run(main())
