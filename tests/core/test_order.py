"""In which order handlers run, and nodes are notified."""

from __future__ import annotations

import pytest

from tests.support.promises import pending
from twpromise import Promise
from twpromise._core.reactions import Node, subscribe


def test_handlers_of_several_promises_run_in_the_order_in_which_they_became_ready(scheduler):
    """All promises share one queue."""
    called = []
    first, settle_first, _ = pending()
    second, settle_second, _ = pending()
    first.then(lambda _: called.append("first 1"))
    second.then(lambda _: called.append("second 1"))
    first.then(lambda _: called.append("first 2"))
    settle_second(None)
    first.then(lambda _: called.append("first 3"))
    settle_first(None)
    second.then(lambda _: called.append("second 2"))
    scheduler.flush()
    assert ["second 1", "first 1", "first 2", "first 3", "second 2"] == called


def test_two_chains_advance_by_one_step_each(scheduler):
    """A long chain does not delay the handlers of another one."""
    called = []

    def chain(name):
        promise = Promise.resolve()
        for step in range(3):
            promise = promise.then(lambda _, step=step: called.append(f"{name}{step}"))

    chain("a")
    chain("b")
    scheduler.flush()
    assert ["a0", "b0", "a1", "b1", "a2", "b2"] == called


@pytest.mark.parametrize("early", [1, 2, 5, 100])
@pytest.mark.parametrize("late", [0, 1, 3])
def test_handlers_attached_before_and_after_settling_are_in_order(scheduler, early, late):
    """Handlers run in the order in which they were attached, also across the settling."""
    called = []
    promise, resolve, _ = pending()
    for number in range(early):
        promise.then(lambda _, number=number: called.append(number))
    resolve(None)
    for number in range(late):
        promise.then(lambda _, number=number: called.append(early + number))
    scheduler.flush()
    assert list(range(early + late)) == called


def test_handlers_of_a_follower_run_in_the_order_in_which_they_were_attached(scheduler):
    """Attached before it followed, while it follows, and after its followee has settled."""
    called = []
    root, settle, _ = pending()
    follower, resolve, _ = pending()
    follower.then(lambda _: called.append(1))
    resolve(root)
    follower.then(lambda _: called.append(2))
    settle(None)
    follower.then(lambda _: called.append(3))
    scheduler.flush()
    follower.then(lambda _: called.append(4))
    scheduler.flush()
    assert [1, 2, 3, 4] == called


def _attacher(called):
    """A function that attaches a handler which appends a name to *called*."""

    def attach(promise, name):
        return promise.then(lambda _: called.append(name))

    return attach


def test_handlers_of_a_followee_and_of_its_followers_run_in_the_order_of_attachment(scheduler):
    """Handlers that wait for the same outcome, attached to the followee and to its followers."""
    root, called = Promise.defer(), []
    attach = _attacher(called)
    for number in range(0, 9, 3):
        follower = Promise.defer()
        attach(follower.promise, number)
        follower.resolve(root.promise)
        attach(follower.promise, number + 1)
        attach(follower.promise, number + 2)
    root.resolve("value")
    scheduler.flush()
    assert list(range(9)) == called


def test_handlers_of_two_followers_run_in_the_order_in_which_these_followed(scheduler):
    """A follower notifies all its handlers when its followee notifies it."""
    root, first, second, called = Promise.defer(), Promise.defer(), Promise.defer(), []
    attach = _attacher(called)
    first.resolve(root.promise)
    second.resolve(root.promise)
    attach(second.promise, "of the second")
    attach(first.promise, "of the first")
    attach(root.promise, "of the followee")
    root.resolve("value")
    scheduler.flush()
    assert ["of the followee", "of the first", "of the second"] == called


@pytest.mark.parametrize("inwards", [True, False], ids=["inwards", "outwards"])
def test_a_bypassed_promise_that_gets_a_subscriber_again_comes_last(scheduler, inwards):
    """Behind the handlers that were attached to its followee while it was bypassed."""
    root, bypassed, last, called = Promise.defer(), Promise.defer(), Promise.defer(), []
    attach = _attacher(called)
    if inwards:
        last.resolve(bypassed.promise)
    bypassed.resolve(root.promise)
    if not inwards:
        last.resolve(bypassed.promise)
    attach(last.promise, "of the last follower")
    attach(root.promise, "of the followee")
    attach(bypassed.promise, "of the bypassed promise")
    attach(root.promise, "of the followee again")
    root.resolve("value")
    scheduler.flush()
    assert [
        "of the followee",
        "of the followee again",
        "of the bypassed promise",
        "of the last follower",
    ] == called


def test_a_node_that_subscribes_twice_is_notified_twice(scheduler):
    """As `Promise.all([p, p])` does."""

    class Counting(Node):
        def _notify(self, parent):
            called.append("node")

    promise, resolve, _ = pending()
    called, node = [], Counting()
    subscribe(promise, node)
    subscribe(promise, node)
    promise.then(lambda _: called.append("handler"))
    resolve("value")
    scheduler.flush()
    assert ["node", "node", "handler"] == called


class Watching(Node):
    """Counts how often it is notified."""

    notified = 0

    def _notify(self, parent):
        self.notified += 1


@pytest.mark.parametrize("others", [0, 1, 2])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_node_that_watches_is_notified_once(scheduler, others, leaves):
    """However often it begins to, also if others have left in between."""
    node = Watching()
    promise, resolve, _ = pending()
    children = [promise.then() for _ in range(others)]
    node.watch(promise)
    node.watch(promise)
    left = promise.then()
    node.watch(promise)
    if leaves and others:
        left.cancel()
        children[0].cancel()
    node.watch(promise)
    resolve()
    scheduler.flush()
    assert 1 == node.notified


def test_a_node_that_watches_neither_consumes_nor_handles(scheduler, reports):
    """A promise is cancelled with its last consumer, and a rejection is reported."""
    node = Watching()
    promise, *_ = pending()
    node.watch(promise)
    promise.then().cancel()
    failing = Promise.defer()
    node.watch(failing.promise)
    failing.reject(ValueError())
    scheduler.flush()
    assert (True, 2) == (promise.is_cancelled(), node.notified)
    assert [ValueError] == [event["log_failure"].type for event in reports]
