"""Following: one promise shares the outcome of another.

A follower is among the subscribers of its *followee*; the promise at the end of such a chain is the
*root*.  A follower has settled as soon as its root has, though it is notified later: inspected
before that, it shows the state of the root.

A follower whose only subscriber is a follower itself is *bypassed*: that one subscribes further
up, so that an endless loop, in which each promise is the result of the one before, runs in
constant memory.  A `Cell`, shared by all that were bypassed, knows which follower stands in for
them.  A bypassed promise that gets a subscriber becomes an ordinary follower again.
"""

from __future__ import annotations

from typing import Any

from . import hooks
from .extra import context_of, drop_context, hooks_of
from .settling import (
    bypass,
    finish_cancel,
    fulfill,
    mark_handled,
    pass_on,
    point_to_root,
    reject,
    reject_as_is,
    stand_in,
    start_following,
)
from .states import (
    BYPASSED,
    CIRCULAR,
    DEAD,
    FOLLOWING,
    FULFILLED,
    HANDLED,
    LOCKED,
    REJECTED,
    SETTLED,
    SEVERAL,
    CorePromise,
    is_promise,
)
from .subscribers import add_subscriber, replace_subscriber


class Cell:
    """Knows which follower stands in for the bypassed ones."""

    __slots__ = ("follower", "moved")

    def __init__(self, follower: CorePromise) -> None:
        self.follower = follower
        #: The cell that this one has become a part of.
        self.moved: Cell | None = None

    def now(self) -> Cell:
        """This cell, or the one that it was merged into; shortens the way."""
        cell = self
        while cell.moved is not None:
            cell = cell.moved
        while self is not cell:
            moved = self.moved
            assert moved is not None
            self.moved, self = cell, moved
        return cell


def root_of(promise: CorePromise) -> CorePromise:
    """The promise at the end of a chain of followers; shortens the chain.

    For a bypassed promise whose stand-in has settled, this is the stand-in: its outcome is the
    same, or it was cancelled, as the bypassed one would be without another consumer.
    """
    root = promise
    while root._state & FOLLOWING:
        root = _stand_in_of(root) if root._state & BYPASSED else root._aux
    while promise is not root:
        if promise._state & BYPASSED:
            promise = _stand_in_of(promise)
        else:
            ahead = promise._aux
            point_to_root(promise, root)
            promise = ahead
    return root


def end_of(promise: CorePromise) -> CorePromise:
    """Like `root_of`, but also through nodes that will settle their promise as another settles."""
    passed: list[Any] = []
    end = root_of(promise)
    while (ahead := getattr(end._source, "_ahead", None)) is not None:
        passed.append(end._source)
        end = root_of(ahead)
    for node in passed:
        node._ahead = end
    return end


def may_come(promise: CorePromise) -> bool:
    """Whether something that is queued may settle a promise, directly or through handlers."""
    seen = set()
    while promise not in seen:
        seen.add(promise)
        promise = root_of(promise)
        if promise._state & SETTLED:
            return True
        source = promise._source
        if source is None:
            return True
        if not is_promise(source):
            ahead = source.awaited()
            if ahead is None:
                return not source.from_outside()
            source = ahead
        promise = source
    # It waits for itself.
    return False


def decided_by(follower: CorePromise) -> CorePromise:
    """The root of a follower, if it is settled or cancelling; else the follower."""
    root = root_of(follower)
    return root if root._state & DEAD else follower


def outcome_of(promise: CorePromise) -> CorePromise:
    """The promise that holds the outcome of *promise*: itself, or its root if that has settled.

    For consumers: diagnostics count the outcome as consumed.
    """
    if hooks.observer is not None:
        hooks.observer.consumed(promise)
    return decided_by(promise) if promise._state & FOLLOWING else promise


def has_settled(promise: CorePromise) -> bool:
    """Whether a promise, or its root, is fulfilled, rejected or completely cancelled."""
    root = root_of(promise) if promise._state & FOLLOWING else promise
    return bool(root._state & SETTLED)


def follow(promise: CorePromise, other: CorePromise) -> None:
    """Make a pending promise share the outcome of *other*."""
    own = promise._subscribers
    if (
        not other._state
        and other is not promise
        and promise._extra is None
        and (own is None or not own._state & FOLLOWING)
        and hooks.observer is None
    ):
        # The common case of what follows, inlined: that halves the cost of following.
        start_following(promise, other, other)
        if other._subscribers is None:
            other._subscribers = promise
        else:
            add_subscriber(other, promise)
        return
    if hooks.observer is not None:
        hooks.observer.consumed(other)
    root = root_of(other) if other._state & FOLLOWING else other
    state = root._state
    # It would follow itself, directly or through what its root is locked to.
    if root is promise or (state & LOCKED and end_of(root) is promise):
        reject(promise, TypeError(CIRCULAR))
        return
    if other._state & BYPASSED:
        rejoin(other)
    # The outcome is known, or known to be a cancellation.
    if (state | other._state) & DEAD:
        if root is not other and state & REJECTED:
            # *other* has not been notified yet, and has a consumer.
            mark_handled(other)
        take(promise, other if other._state & SETTLED else root)
        return
    if promise._extra is not None:
        drop_context(promise, hooks_of(promise))
    start_following(promise, other, root)
    follower = promise
    if (
        own is not None
        and own._state & (FOLLOWING | DEAD | SEVERAL) == FOLLOWING
        and _can_be_bypassed(promise, own)
    ):
        # Its only subscriber follows it, and can follow *other* directly.
        follower = own
        _bypass(promise, follower)
    source = other._source
    if (
        root is not other
        and other._subscribers is None
        and source._subscribers is other
        and _can_be_bypassed(other, follower)
    ):
        # The other way to make a loop: *other* is a follower that had no subscriber yet.
        start_following(follower, source, root)
        source._subscribers = follower
        _bypass(other, follower)
    else:
        start_following(follower, other, root)
        add_subscriber(other, follower)
    if hooks.observer is not None:
        hooks.observer.resolved(promise)


def _can_be_bypassed(promise: CorePromise, follower: CorePromise) -> bool:
    """Whether *follower* can stand in for *promise* when either is cancelled.

    A cancellation must go through both or neither (library copies may switch it off), and *promise*
    must have no hook to call on the way.
    """
    if promise._extra is not None and hooks_of(promise):
        return False
    return follower._library.cancellation is promise._library.cancellation


def _bypass(promise: CorePromise, follower: CorePromise) -> None:
    """Let a follower stand in for *promise*, its followee, and for others bypassed before."""
    cell: Cell | None = promise._value
    outer: Cell | None = follower._value
    if outer is not None:
        outer = outer.now()
        if cell is not None:
            cell.now().moved = outer
        cell = outer
    elif cell is None:
        cell = Cell(follower)
    else:
        cell = cell.now()
        cell.follower = follower
    stand_in(follower, cell)
    bypass(promise, cell)
    if hooks.observer is not None:
        hooks.observer.bypassed(promise)


def _stand_in_of(promise: CorePromise) -> CorePromise:
    cell: Cell = promise._subscribers.now()
    promise._subscribers = cell
    return cell.follower


def rejoin(promise: CorePromise) -> None:
    """A bypassed promise gets a subscriber: it is an ordinary follower again."""
    follower = _stand_in_of(promise)
    promise._subscribers = None
    source = follower._source
    if follower._state & SETTLED:
        pass_on(promise, follower)
    elif source._state & SETTLED:
        # The follower is about to be notified.
        take(promise, source)
    else:
        start_following(promise, source, follower._aux)
        replace_subscriber(source, follower, promise)
        promise._subscribers = follower
        follower._source = promise


def take(promise: CorePromise, root: CorePromise) -> None:
    """Give *promise* the outcome of *root*, which is settled (or cancelling, if this is late)."""
    state = root._state
    if state & FULFILLED:
        fulfill(promise, root._value)
    elif state & REJECTED:
        if not state & HANDLED:
            mark_handled(root)
        if hooks.observer is not None:
            hooks.observer.passed(promise, root)
        origin = None if root._extra is None else context_of(root)
        reject_as_is(promise, root._value, root._aux, origin)
    elif promise._state & FOLLOWING:
        finish_cancel(promise)
    else:
        reject(promise, hooks.host.late_cancellation())
        return
    if root._source is not None:
        # It ends when the work that *root* has abandoned has ended; see `ending`.
        promise._source = root._source
