"""Cancelling: a promise that has no consumer left, and the promises it waits for.

Requests run upwards at once, from each promise to its source, as long as that has no other
consumer.  The cancellation itself runs downwards, through the queue, from the first promise without
consumers, so that clean-up on the way is finished in order.  Nothing recurses: promises to cancel
are put on a stack.

Promises may wait for each other in a circle.  There the cancellation comes back to one that is
cancelling already, and the one before it is finished without it (see `leave`).
"""

from __future__ import annotations

from _thread import get_ident
from typing import Any, Final

from . import hooks
from .ending import give_up
from .extra import hooks_of
from .following import has_settled, outcome_of, rejoin
from .jobs import call_soon
from .resolving import DECLINED, is_followed, new_resolved
from .settling import finish_cancel, mark_handled, start_cancelling
from .states import BYPASSED, CANCELLING, DEAD, FOLLOWING, SETTLED, CorePromise, is_promise
from .subscribers import all_behind, followers_of, has_consumers

#: How many calls of `cancel_all` may run, each within a canceller that another has called.
_DEEPEST: Final = 10
#: By thread: the stacks of the calls that run now, the innermost last.
_under_way: Final[dict[int, list[list[CorePromise]]]] = {}


def cancel(promise: CorePromise) -> None:
    """Cancel a promise, and every promise before it that has no other consumer."""
    if hooks.observer is not None and hooks.observer.notifying:
        # A listener may be notified of a promise in the midst of its making.
        call_soon(type(promise), cancel, promise)
        return
    if outcome_of(promise)._state & SETTLED or promise._state & DEAD:
        return
    if not promise._library.cancellation:
        promise._library.cancel_disabled()
        return
    cancel_all([promise])


def cancel_all(stack: list[CorePromise]) -> None:
    """Cancel each promise of *stack*, and the promises that only they waited for.

    Without recursion.  Cancellers of Deferreds, and the coroutines that they resume, may cancel
    promises themselves.  If that goes too deep, the innermost call so far does the rest.
    """
    if not stack:
        return
    for promise in stack:
        promise._library.cancellations += 1
    here = get_ident()
    under_way = _under_way.setdefault(here, [])
    if len(under_way) == _DEEPEST:
        under_way[-1] += stack
        return
    under_way.append(stack)
    try:
        _cancel_all(stack)
    finally:
        under_way.pop()
        if not under_way:
            del _under_way[here]


def _cancel_all(stack: list[CorePromise]) -> None:
    gave_up: list[CorePromise] = []
    while stack:
        promise = stack.pop()
        # Cancellers may have settled it, or made it follow another, since it was put on the stack.
        if promise._state & DEAD or has_settled(promise):
            continue
        if promise._state & BYPASSED:
            rejoin(promise)
        following = promise._state & FOLLOWING
        start_cancelling(promise)
        if promise._extra is not None:
            for hook in hooks_of(promise):
                # A job for each: what one raises is logged, and does not stop the others.
                call_soon(type(promise), hook)
        source = promise._source
        given_up: list[Any] = []
        if source is None:
            waits = False
        elif is_promise(source):
            # The source will be cancelled, and notify *promise* when it has been.
            waits = leave(source, stack, promise)
        else:
            depth = len(stack)
            waits = source._abandon(stack)
            given_up += stack[depth:]
            if not source._can_stop():
                given_up.append(source)
        if not waits:
            finish_cancel(promise)
            if given_up:
                promise._source = given_up
                gave_up.append(promise)
            if following:
                _cancel_followers(promise)
    # Work that has ended by now is not remembered; work that others have abandoned follows later.
    for promise in reversed(gave_up):
        given_up, promise._source = promise._source, None
        give_up(promise, given_up)


def _cancel_followers(promise: CorePromise) -> None:
    """Cancel all followers of a cancelled follower, though not its followee.

    At once, since an inspected follower shows the state of its root, which is this promise now.
    """
    followers = followers_of(promise)
    while followers:
        follower = followers.pop()
        finish_cancel(follower)
        followers += followers_of(follower)


def leave(
    promise: CorePromise, stack: list[CorePromise], waiting: CorePromise | None = None
) -> bool:
    """A subscriber of *promise* is dead: cancel *promise* too, if it was the last consumer.

    Args:
        promise: The promise that the subscriber waited for.
        stack: Gets the promises to cancel; see `cancel_all`.
        waiting: The promise that is not finished until the subscriber has been notified, if the
            subscriber waits for that.

    Returns:
        Whether *promise* will notify the subscriber of the cancellation.
    """
    state = promise._state
    # No subscriber of a bypassed promise can leave it: the follower that stands in for it decides.
    if state & BYPASSED or has_settled(promise):
        return False
    if state & CANCELLING:
        # If it waits for *waiting* itself, one of the two has to be finished first.
        return waiting is None or not is_behind(promise, waiting)
    if has_consumers(promise) or not promise._library.cancellation:
        return False
    stack.append(promise)
    return True


def is_behind(promise: CorePromise, first: CorePromise) -> bool:
    """Whether *promise* waits for *first*, directly or through others.

    A promise that is behind itself waits in a circle.
    """
    return any(behind is promise for behind in all_behind(first))


def drop(promise: CorePromise, *consumers: CorePromise) -> None:
    """Cancel a promise, unless it has a consumer.

    Args:
        promise: The promise to cancel.
        *consumers: The promises that go on, or have just settled, without it; see `ending`.
    """
    drop_all([promise], *consumers)


def drop_all(promises: list[CorePromise], *consumers: CorePromise) -> None:
    """Like `drop`, for several, the first one first."""
    if not promises:
        return
    if hooks.observer is not None and hooks.observer.notifying:
        # As in `cancel`.
        call_soon(type(promises[0]), drop_all, promises, *consumers)
        return
    stack: list[CorePromise] = []
    for promise in reversed(promises):
        leave(promise, stack)
    cancel_for(stack, *consumers)


def cancel_for(stack: list[CorePromise], *consumers: CorePromise) -> None:
    """Like `cancel_all`, for promises that go on, or have just settled, without the others."""
    given_up = stack.copy()
    cancel_all(stack)
    for consumer in consumers:
        give_up(consumer, given_up)


def discard(child: CorePromise, result: Any) -> None:
    """A handler has cancelled its own promise: its result has no consumer either."""
    if result is DECLINED or not is_followed(result):
        return
    promise = result if is_promise(result) else new_resolved(type(child), result, child)
    mark_handled(promise)
    # *child* has settled, and ends when *promise* has.
    drop(promise, child)
