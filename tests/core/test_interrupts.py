"""A signal's handler raises in the midst of a drain: at each call that is made there.

CPython runs such handlers where a function begins, and after one in C has returned.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

import twpromise
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, fail
from twpromise import Promise
from twpromise._core import draining
from twpromise._core.draining import _put_back
from twpromise._core.jobs import Job
from twpromise._core.settling import mark_handled

PACKAGE = str(Path(twpromise.__file__).parent)


class Alarm(BaseException):
    """What the handler raises."""


class Interrupts:
    """Raises at the n-th moment at which a signal's handler could."""

    def __init__(self, moment):
        self.left = moment

    def __call__(self, frame, event, function):
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(PACKAGE):
            return
        if (code.co_name, event) == ("_run", "call") and code.co_filename.endswith("queue.py"):
            # The scheduler's own call.
            return
        self.left -= 1
        if not self.left:
            raise Alarm

    def flush(self, scheduler):
        """Run what is queued, then and after it."""
        while scheduler._calls:
            call = scheduler._calls.popleft()
            sys.setprofile(self)
            try:
                call()
            except Alarm:
                pass
            finally:
                sys.setprofile(None)


class Program:
    """Promises of all kinds; each handler may be called once."""

    def __init__(self):
        self.called = []
        self.promises = []
        deferred = Deferred()
        start = self.keep(Promise.from_deferred(deferred))
        for name in "abc":
            self.keep(start.then(self.handler(name)))
        follower = self.keep(Promise(lambda resolve, _: resolve(start)))
        self.keep(follower.then(self.handler("of a follower")))
        self.keep(Promise(lambda resolve, _: resolve(follower)).then(self.handler("of another")))
        self.keep(start.then(lambda _: Promise.resolve().then(self.handler("inner"))).then())
        self.keep(start.then(fail).catch(Boom, self.handler("of a rejection")))
        self.keep(start.then(fail))
        self.keep(Promise.reject(Boom()).then(self.handler("never")))
        self.keep(Promise.all([start, start.then()]).then(self.handler("of all")))
        deferred.callback("value")

    def keep(self, promise):
        self.promises.append(promise)
        return promise

    def handler(self, name):
        def handler(value):
            self.called.append(name)
            return value

        return handler


@pytest.mark.skipif(sys.getprofile() is not None, reason="something else is profiling")
def test_nothing_is_lost(scheduler, reports):
    """What was under way is put back or reported, the rest is run, and the queue is not asleep."""
    moment = 0
    while True:
        moment += 1
        program, interrupts = Program(), Interrupts(moment)
        interrupts.flush(scheduler)
        later = Promise.resolve("later").then()
        scheduler.flush()
        assert ("fulfilled", "later") == outcome(later)
        assert len(set(program.called)) == len(program.called)
        in_order = [name for name in program.called if name in "abc"]
        assert sorted(in_order) == in_order
        pending = [each for each in program.promises if each.is_pending()]
        reported = [type(error) for error in reasons(reports)]
        assert not pending or Alarm in reported
        if interrupts.left > 0:
            break
        assert {Boom, Alarm} >= set(reported)
        assert Alarm in reported or [Boom, Boom] == reported
        reports.clear()
    assert 50 < moment
    assert [Boom, Boom] == reported
    reports.clear()


@pytest.fixture
def queue(scheduler):
    """The queue, in which nothing is."""
    return Promise._queue


def interrupt(queue, child, parent=None, alone=True):
    """A drain is interrupted, which had taken *child*, then the next one runs."""
    queue.awake = True
    _put_back(queue, child, parent, alone, Alarm())
    queue.awake = False
    queue.wake()
    queue.scheduler.flush()


def test_between_two_items(queue):
    """Nothing was taken."""
    interrupt(queue, None)
    assert not queue


def test_a_job_and_a_node_that_were_taken(queue):
    """They are run."""
    called = []
    interrupt(queue, Job(called.append, "job"))
    assert ["job"] == called
    source = Source()
    whole = Promise.all([source.promise])
    node = source.promise._subscribers
    source.promise._subscribers = None
    source.resolve("value")
    interrupt(queue, node, source.promise)
    assert ("fulfilled", ["value"]) == outcome(whole)


@pytest.mark.parametrize("alone", [True, False])
def test_several_subscribers(queue, alone):
    """They are notified, unless they are already among those that are."""
    source = Source()
    promises = [source.promise.then(str) for _ in range(2)]
    subscribers = source.promise._subscribers
    source.promise._subscribers = None
    source.resolve(5)
    interrupt(queue, subscribers, source.promise, alone)
    expected = ("fulfilled", "5") if alone else ("pending", None)
    assert [expected] * 2 == [outcome(each) for each in promises]


@pytest.mark.parametrize("state", ["fulfilled", "rejected", "handled"])
def test_a_promise_that_had_been_settled(queue, reports, state):
    """Its subscribers are notified, and a rejection is reported."""
    source = Source()
    if state == "fulfilled":
        source.resolve("value")
    else:
        source.reject(Boom())
        queue.rejections.clear()
    if state == "handled":
        mark_handled(source.promise)
    interrupt(queue, source.promise)
    assert (["rejected"] if state == "rejected" else []) == ["rejected" for _ in reports]
    reports.clear()


def test_a_promise_that_a_handler_had_just_settled(queue):
    """Its subscribers are notified behind what is queued, as they would have been."""
    called = []
    Promise.resolve().then(lambda _: called.append("queued before"))
    source = Source()
    source.promise.then(called.append)
    source.resolve("settled")
    # It is in the queue, or would have come there next.
    queue.remove(source.promise)
    interrupt(queue, source.promise)
    assert ["queued before", "settled"] == called


@pytest.mark.parametrize("settled", [True, False])
def test_a_follower(queue, settled):
    """It is settled as what it follows is, if that is."""
    source = Source()
    follower = Promise(lambda resolve, _: resolve(source.promise))
    if settled:
        source.promise._subscribers = None
        source.resolve("value")
    interrupt(queue, follower)
    assert (("fulfilled", "value") if settled else ("pending", None)) == outcome(follower)
    assert settled != bool(follower._state & draining.FOLLOWING)


@pytest.mark.parametrize("called", [False, True])
def test_a_handler(queue, reports, called):
    """It is called, or its promise rejected if that had been done."""
    source = Source()
    child = source.promise.then(str)
    source.promise._subscribers = None
    source.resolve(5)
    if called:
        child._source = None
    interrupt(queue, child, source.promise)
    expected = ("rejected", Alarm) if called else ("fulfilled", str)
    name, value = outcome(child)
    assert expected == (name, type(value))
    assert called == bool(reports)
    reports.clear()


def test_a_promise_that_is_being_cancelled(queue):
    """It is cancelled."""
    gate = Source()
    child = Source().promise.finally_(lambda: gate.promise).then(str)
    child.cancel()
    # By its own handler, which has been called.
    child._source = None
    interrupt(queue, child, Promise.resolve())
    assert ("cancelled", None) == outcome(child)
    assert not child._state & draining.CANCELLING


def test_a_promise_that_waits_for_something_else(queue):
    """It is left alone."""
    promise = Promise.from_deferred(Deferred())
    interrupt(queue, promise)
    assert promise.is_pending()
