"""Settled, and ended: a promise has ended when the work behind it has.

A promise that is cancelled, or that timed out, is *settled* at once.  It has *ended* when nothing
that this has given up is still under way: a ``finally_`` handler, the ``finally`` block of
a coroutine, a release, a thread that cannot be stopped.  What was given up stands in the `_source`
of the settled promise; see `cancelling.cancel_all`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .following import rejoin, root_of
from .jobs import call_soon
from .states import BYPASSED, CANCELLING, OBSERVER, SETTLED, CorePromise, is_promise
from .subscribers import add_subscriber


def has_ended(promise: CorePromise) -> bool:
    """Whether a promise has settled, and all that this has given up has ended."""
    return _under_way(promise) is None


def when_ended(promise: CorePromise, function: Callable[[], object]) -> None:
    """Call *function* from the queue, once a promise has ended.

    It is no consumer, and handles nothing.
    """
    left = _under_way(promise)
    if left is None:
        call_soon(type(promise), function)
    elif is_promise(left):
        if left._state & BYPASSED:
            rejoin(left)
        add_subscriber(left, Ending(promise, function))
    else:
        left.when_done(lambda: when_ended(promise, function))


def _under_way(promise: CorePromise) -> Any:
    """What has not ended, of a promise and of what its end has given up: None if all has.

    Either a promise that is pending or still being cancelled, or a source that cannot be stopped.
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
    """Waits for a promise that has not ended, and looks again."""

    __slots__ = ("_function", "_promise")

    _state = OBSERVER

    def __init__(self, promise: CorePromise, function: Callable[[], object]) -> None:
        self._promise = promise
        self._function = function

    def _notify(self, parent: CorePromise) -> None:
        when_ended(self._promise, self._function)
