"""The table of transitions: every row happens, nothing else does, and the picture shows it."""

from __future__ import annotations

import importlib.util
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from random import Random

import pytest
from twisted.internet.defer import Deferred

from tests.model.steps import STEPS
from tests.model.test_programs import run
from tests.support.promises import Boom
from twpromise import Promise
from twpromise._core.states import (
    BYPASSED,
    CANCELLED,
    CANCELLING,
    FOLLOWING,
    FULFILLED,
    LOCKED,
    REJECTED,
    TRANSITIONS,
    CorePromise,
    Event,
)
from twpromise.testing import ManualScheduler

DOCS = Path(__file__).parents[2] / "docs"

#: The first bit that is set counts.
PHASES = {
    FULFILLED: "fulfilled",
    REJECTED: "rejected",
    CANCELLED: "cancelled",
    CANCELLING: "cancelling",
    BYPASSED: "bypassed",
    FOLLOWING: "following",
    LOCKED: "locked",
}


def phase_of(state):
    """The name of a value of `_state`."""
    return next((name for bit, name in PHASES.items() if state & bit), "pending")


class Situation:
    """A promise, and what makes each event happen to it."""

    def __init__(self, promise, **events):
        self.promise = promise
        self.events = {Event[name]: act for name, act in events.items()}
        self.events.setdefault(Event.CANCEL, promise.cancel)


def pending():
    made = Promise.defer()
    made.promise.suppress_unhandled_rejections()
    return Situation(
        made.promise,
        FULFIL=lambda: made.resolve("value"),
        REJECT=lambda: made.reject(Boom()),
        LOCK=lambda: made.resolve(Deferred()),
        FOLLOW=lambda: made.resolve(Promise.defer().promise),
    )


def derived():
    made = Promise.defer()
    return Situation(made.promise.then(), SOURCE_CANCELLED=made.promise.cancel)


def locked():
    deferred = Deferred()
    promise = Promise.from_deferred(deferred)
    promise.suppress_unhandled_rejections()
    return Situation(
        promise,
        FULFIL=lambda: deferred.callback("value"),
        REJECT=lambda: deferred.errback(Boom()),
        FOLLOW=lambda: deferred.callback(Promise.defer().promise),
    )


def locked_to_a_future():
    future = Future()
    promise = Promise.resolve(future)
    return Situation(promise, SOURCE_CANCELLED=future.cancel)


def following():
    followee, follower, outer = Promise.defer(), Promise.defer(), Promise.defer()
    follower.promise.suppress_unhandled_rejections()
    follower.resolve(followee.promise)
    return Situation(
        follower.promise,
        FULFIL=lambda: followee.resolve("value"),
        REJECT=lambda: followee.reject(Boom()),
        SOURCE_CANCELLED=followee.promise.cancel,
        BYPASS=lambda: outer.resolve(follower.promise),
    )


def bypassed():
    situation = following()
    situation.events[Event.BYPASS]()
    return Situation(situation.promise, REJOIN=situation.promise.then)


def cancelling():
    gate = Promise.defer()
    promise = Promise.defer().promise.finally_(lambda: gate.promise)
    promise.suppress_unhandled_rejections()
    promise.cancel()
    return Situation(promise, CLEANED_UP=gate.resolve, CLEAN_UP_FAILED=lambda: gate.reject(Boom()))


SITUATIONS = {
    "pending": [pending, derived],
    "locked": [locked, locked_to_a_future],
    "following": [following],
    "bypassed": [bypassed],
    "cancelling": [cancelling],
}


class Watched:
    """Stands for the slot `_state`, and remembers in which phases each promise was."""

    def __init__(self, slot):
        self.slot = slot
        self.seen = []

    def __get__(self, promise, owner=None):
        return self if promise is None else self.slot.__get__(promise, owner)

    def __set__(self, promise, state):
        try:
            before = phase_of(self.slot.__get__(promise))
        except AttributeError:
            # It is being made.
            before = None
        after = phase_of(state)
        if before is not None and before != after:
            self.seen.append((promise, before, after))
        self.slot.__set__(promise, state)


@pytest.fixture
def watched(monkeypatch):
    """All changes of phase."""
    watched = Watched(CorePromise.__dict__["_state"])
    monkeypatch.setattr(CorePromise, "_state", watched)
    return watched


@pytest.mark.parametrize(
    ("phase", "event"), list(TRANSITIONS), ids=lambda one: getattr(one, "name", one)
)
def test_each_transition_happens(scheduler, watched, phase, event):
    """A promise in a phase goes over to the one that the table names, when the event happens."""
    for build in SITUATIONS[phase]:
        situation = build()
        scheduler.flush()
        if event in situation.events:
            break
    assert phase == phase_of(situation.promise._state)
    watched.seen.clear()
    situation.events[event]()
    scheduler.flush()
    after = next(after for promise, _, after in watched.seen if promise is situation.promise)
    assert TRANSITIONS[phase, event] == after


def test_nothing_else_happens(watched, reports):
    """In random programs, no promise changes in another way."""
    random = Random(0)
    for _ in range(40):
        program = [(random.choice(list(STEPS)), random.getrandbits(56)) for _ in range(40)]
        run(program, ManualScheduler(), False, Counter())
    changes = {(before, after) for _, before, after in watched.seen}
    assert changes <= {(start, end) for (start, _), end in TRANSITIONS.items()}
    assert 8 < len(changes)


def test_the_picture_shows_the_table():
    """What stands in docs/architecture.md is what `python docs/draw_states.py` prints."""
    spec = importlib.util.spec_from_file_location("draw_states", DOCS / "draw_states.py")
    draw_states = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw_states)
    page = (DOCS / "architecture.md").read_text("utf-8")
    assert draw_states.filled(page) == page
