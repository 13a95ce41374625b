"""Settled, and ended: a promise has ended when the work behind it has.

A promise that is cancelled or timed out is *settled* at once.  It has *ended* when nothing that it
has abandoned is still under way: a ``finally_`` handler, the ``finally`` block of a coroutine,
a release, a thread that cannot be stopped.  The abandoned work is in the `_source` of the settled
promise; see `give_up`.

To wait for the end of a promise means to wait, too, for all work that the promises before it have
abandoned: a handler, or a coroutine, may have gone on without that.  This is recorded when work is
abandoned, in all promises that wait for it, so that other promises pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .following import rejoin, root_of
from .jobs import call_soon
from .settling import finish_cancel
from .states import BYPASSED, CANCELLING, OBSERVER, SETTLED, CorePromise, is_promise
from .subscribers import add_subscriber, all_behind, subscribers_of


def has_ended(promise: CorePromise) -> bool:
    """Whether a promise has settled, and all work that it has abandoned has ended."""
    if promise._state & SETTLED and promise._source is None:
        # As most: this saves a sixth of the call of a limiter.
        return True
    return under_way(promise) is None


def when_ended(promise: CorePromise, function: Callable[[], object]) -> None:
    """Call *function* from the queue, once a promise has ended.

    It is not a consumer, and handles no rejection.
    """
    left = under_way(promise)
    if left is None:
        call_soon(type(promise), function)
    elif is_promise(left):
        if left._state & BYPASSED:
            rejoin(left)
        add_subscriber(left, Ending(promise, function))
    else:
        left.when_done(lambda: when_ended(promise, function))


def when_work_ended(work: Any, function: Callable[[], object]) -> None:
    """The same for abandoned work: a promise, or a source that cannot be stopped."""
    if is_promise(work):
        when_ended(work, function)
    else:
        work.when_done(function)


def give_up(promise: CorePromise, given_up: Iterable[Any]) -> None:
    """A promise goes on, or has settled, without others, which may not have ended.

    Args:
        promise: If it has settled, it remembers them.
        given_up: Promises, and sources that cannot be stopped.
    """
    left = [
        one
        for one in given_up
        if (one._source or not one._state & SETTLED if is_promise(one) else one.running())
    ]
    if not left:
        return
    waiting: list[Any] = []
    if promise._state & SETTLED:
        promise._source = [*(promise._source or ()), *left]
    elif promise._state & CANCELLING:
        # It settles later; its source remembers them until then.
        waiting.append(promise._source)
    # A promise that is cancelling settles later, and then remembers what has not ended by then.
    for behind in (promise, *all_behind(promise, CANCELLING)):
        waiting += subscribers_of(behind)
    for one in waiting:
        # An `Ending`, or a node that has to know.
        wait_for_ends = getattr(one, "wait_for_ends", None)
        if wait_for_ends is not None:
            wait_for_ends(left)


def finish_without(promise: CorePromise, given_up: Iterable[Any]) -> None:
    """Settle a promise as cancelled; it ends when what was cancelled with it has ended."""
    finish_cancel(promise)
    give_up(promise, given_up)


def under_way(promise: CorePromise) -> Any:
    """The abandoned work of a promise, or the promise itself, that has not ended; or None.

    It is a promise that is pending or still being cancelled, or a source that cannot be stopped.
    """
    stack: list[Any] = [promise]
    seen: set[int] = set()
    while stack:
        left = stack.pop()
        if id(left) in seen:
            continue
        seen.add(id(left))
        if not is_promise(left):
            if left.running():
                return left
            continue
        root = root_of(left)
        if root._state & CANCELLING or not root._state & SETTLED:
            # Not the root: a follower may be cancelled without it.
            return left
        if root._source is not None:
            stack += root._source
    return None


class Ending:
    """Waits for a promise that has not ended, and for its abandoned work; then looks again."""

    __slots__ = ("_count", "_function", "_promise")

    _state = OBSERVER

    def __init__(self, promise: CorePromise, function: Callable[[], object]) -> None:
        self._promise = promise
        self._function = function
        # How many it waits for.
        self._count = 1

    def wait_for_ends(self, left: list[Any]) -> None:
        """Wait for more abandoned work."""
        self._count += len(left)
        for one in left:
            when_work_ended(one, self._notify)

    def _notify(self, parent: CorePromise | None = None) -> None:
        self._count -= 1
        if not self._count:
            when_ended(self._promise, self._function)
