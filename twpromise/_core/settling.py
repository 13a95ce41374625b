"""Settling: the functions that change the state of a promise once it is made.

The transitions, and what causes each, are in `states.TRANSITIONS`.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from types import TracebackType
from typing import Any, Final

from .._util.exceptions import get_traceback, is_exception, set_traceback
from . import hooks
from .extra import context_of, drop_context, keep_for_report, keep_origin, run_at_origin
from .jobs import Job
from .states import (
    AT_ONCE,
    BYPASSED,
    CANCELLED,
    CANCELLING,
    FOLLOWING,
    FULFILLED,
    HANDLED,
    LOCKED,
    REJECTED,
    REPORTED,
    SETTLED,
    CorePromise,
    new_pending,
)
from .subscribers import has_handlers

_NOTHING: Final = Context()
_HANDLED_OR_CANCELLING: Final = HANDLED | CANCELLING

# --- settling -----------------------------------------------------------------------------


def fulfill(promise: CorePromise, value: Any) -> None:
    """Fulfil a pending promise with a plain value."""
    promise._value = value
    promise._aux = promise._source = None
    promise._state = FULFILLED
    if promise._extra is not None:
        drop_context(promise)
    if promise._subscribers is not None:
        queue = promise._queue
        queue.append(promise)
        if not queue.awake:
            queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)


def fulfill_by_callback(promise: CorePromise, value: Any) -> None:
    """Like `fulfill`, for a promise that only a callback fulfils; see `NodeCallback`.

    Such a promise has no source and no extra.  A node that only counts is notified at once.  This
    does not call `fulfill`, which would cost 3 to 5 % of a request through callbacks.
    """
    promise._value = value
    promise._aux = None
    promise._state = FULFILLED
    subscribers = promise._subscribers
    if subscribers is not None:
        if subscribers._state == AT_ONCE:
            promise._subscribers = None
            subscribers._at_once()
        else:
            queue = promise._queue
            queue.append(promise)
            if not queue.awake:
                queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)


def reject(promise: CorePromise, reason: Any, aux: Any = None) -> None:
    """Reject a pending promise.

    Args:
        promise: Not settled; one that is cancelling stays cancelled (see `reject_as_is`).
        reason: An exception, or a class of them that is called, as by ``raise``; other objects
            are allowed, with a warning.
        aux: The traceback of the reason, or its Failure.
    """
    if issubclass(type(reason), hooks.host.failure):
        reason, aux = hooks.host.unwrap(reason)
    if aux is None:
        if is_exception(reason):
            if hooks.observer is not None:
                hooks.observer.failed(promise, reason)
            aux = _raised(reason)
        else:
            try:
                if issubclass(type(reason), type) and issubclass(reason, BaseException):
                    reason = reason()
                else:
                    promise._library.odd_reason(reason, promise)
            except BaseException as error:
                # The class cannot be called without arguments; or warnings are errors, and this
                # one rejects, so that the promise does not stay pending.
                reject_raised(promise, error)
                return
    elif hooks.observer is not None:
        hooks.observer.failed(promise, reason, aux)
    reject_as_is(promise, reason, aux)


def _raised(reason: BaseException) -> Any:
    """The traceback of a reason, without the awaits that have raised it from another promise.

    Otherwise, one error for many promises (``timeout(5, BUSY)``) would grow with each of them.
    """
    own = traceback = get_traceback(reason)
    while traceback is not None:
        if traceback.tb_frame.f_code is hooks.awaiting:
            own = traceback.tb_next
        traceback = traceback.tb_next
    return own


def reject_raised(
    promise: CorePromise, error: BaseException, origin: Context | None = None
) -> None:
    """Reject a promise with an error that the caller of this function has caught.

    The caller's own frame is removed from the traceback: its local variables would keep the promise
    alive.  See `extra.keep_origin` for *origin*.
    """
    if issubclass(type(error), hooks.host.failure):
        reject_as_is(promise, *hooks.host.unwrap(error), origin)
        return
    traceback = get_traceback(error)
    if traceback is not None:
        traceback = traceback.tb_next
        if traceback is not None and traceback.tb_frame.f_code is hooks.watching:
            traceback = traceback.tb_next
        set_traceback(error, traceback)
    if hooks.observer is not None:
        hooks.observer.failed(promise, error)
    reject_as_is(promise, error, traceback, origin)


def reject_as_is(
    promise: CorePromise, reason: Any, aux: Any, origin: Context | None = None
) -> None:
    """Reject a pending promise with a reason, its `aux` and its origin, unchanged.

    A promise that is cancelling stays cancelled, as users have seen it, and its handlers are not
    called: a clean-up has failed, and is reported as a rejection without a handler.
    """
    handled = promise._state & _HANDLED_OR_CANCELLING
    if not handled:
        handled = has_handlers(promise)
    elif handled & CANCELLING:
        failure: CorePromise = new_pending(type(promise), owner=promise)
        failure._state = handled & HANDLED
        context = context_of(promise)
        if context is not None:
            keep_for_report(failure, context)
        reject_as_is(failure, reason, aux, origin)
        finish_cancel(promise)
        return
    promise._value = reason
    promise._aux = aux
    promise._source = None
    promise._state = REJECTED | HANDLED if handled else REJECTED
    keeps = False
    if not handled or promise._subscribers is not None:
        # The origin is passed on to the subscribers.
        if origin is None and promise._extra is None:
            origin = copy_context()
        # Mostly it is empty.
        if origin or promise._extra is not None:
            keeps = keep_origin(promise, origin)
    elif promise._extra is not None:
        drop_context(promise)
    if not handled:
        # The report drops the origin, too.
        promise._queue.rejections.append(promise)
    _notify_soon(promise, not handled)
    if keeps and handled:
        promise._queue.append(Job(drop_context, promise))


def finish_cancel(promise: CorePromise) -> None:
    """Settle a promise as cancelled; its subscribers are notified from the queue."""
    promise._value = promise._aux = promise._source = None
    promise._state = CANCELLED
    if promise._extra is not None:
        drop_context(promise)
    _notify_soon(promise)


def _notify_soon(promise: CorePromise, wakes: bool = False) -> None:
    """Queue the notification of a promise's subscribers; notify diagnostics at once."""
    queue = promise._queue
    if promise._subscribers is not None:
        queue.append(promise)
        wakes = True
    if wakes and not queue.awake:
        queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)


def pass_on(child: CorePromise, parent: CorePromise) -> None:
    """Settle *child* like *parent*, which is settled."""
    state = parent._state
    if state & FULFILLED:
        fulfill(child, parent._value)
    elif state & REJECTED:
        # This saves a look at the caller's context, that of a drain, which is empty.
        if hooks.observer is not None:
            hooks.observer.passed(child, parent)
        origin = _NOTHING if parent._extra is None else context_of(parent)
        reject_as_is(child, parent._value, parent._aux, origin)
    else:
        finish_cancel(child)
        # It ends when the work that *parent* has abandoned has ended; see `ending`.  A promise in a
        # circle may notify its subscribers before it has settled itself.
        child._source = parent._source if parent._state & SETTLED else [parent]


def mark_handled(promise: CorePromise) -> None:
    """Mark a rejection of this promise, present or future, as handled."""
    if hooks.observer is not None:
        hooks.observer.consumed(promise)
    state = promise._state
    promise._state = state | HANDLED
    if state & REPORTED and not state & HANDLED:
        hooks.host.handled(promise)


def report_unhandled(promise: CorePromise) -> None:
    """Report a rejection, in its own context, if it is still unhandled; and drop the context."""
    origin = context_of(promise)
    if origin is not None:
        drop_context(promise)
    if not promise._state & HANDLED:
        promise._state |= REPORTED
        if hooks.observer is not None:
            hooks.observer.shown(promise)
        try:
            run_at_origin(origin, hooks.host.unhandled, promise)
        except BaseException as error:
            hooks.host.escaped(error)


def report_fatal(promise: CorePromise) -> None:
    """Pass a rejection without a consumer to the fatal hook, in the context of the rejection."""
    if hooks.observer is not None:
        hooks.observer.shown(promise)
    report = hooks.host.fatal, promise._library, promise._value, promise._aux
    run_at_origin(context_of(promise), *report)


def restore_traceback(promise: CorePromise) -> None:
    """Give a reason the traceback of its rejection, before a handler gets it.

    Handlers that raise it again would lengthen it for each other.
    """
    reason, aux = promise._value, promise._aux
    if hooks.observer is not None:
        hooks.observer.shown(promise)
    if is_exception(reason):
        # A Failure has its traceback in `tb`.
        traceback = aux if isinstance(aux, TracebackType) else getattr(aux, "tb", None)
        if get_traceback(reason) is not traceback:
            set_traceback(reason, traceback)


# --- on the way ---------------------------------------------------------------------------


def lock(promise: CorePromise, source: Any = None) -> None:
    """Let *source* alone settle a pending promise; other calls have no effect from now on."""
    promise._state |= LOCKED
    promise._source = source


def hand_over(promise: CorePromise, source: Any = None) -> None:
    """Like `lock`; the promise keeps the context of the caller, in case it is rejected."""
    promise._state |= LOCKED
    promise._source = source
    context = copy_context()
    if context:
        keep_for_report(promise, context)


def start_following(promise: CorePromise, followee: CorePromise, root: CorePromise) -> None:
    """A pending promise, or a follower, follows another, whose root is *root*."""
    promise._state = promise._state & HANDLED | FOLLOWING
    promise._aux = root
    promise._source = followee


def point_to_root(follower: CorePromise, root: CorePromise) -> None:
    """Shorten the way from a follower to its root."""
    follower._aux = root


def stand_in(follower: CorePromise, cell: Any) -> None:
    """A follower subscribes in the place of those that share *cell*, which are bypassed."""
    follower._value = cell


def bypass(promise: CorePromise, cell: Any) -> None:
    """A follower is bypassed; *cell* knows which follower stands in for it."""
    promise._state |= BYPASSED
    promise._subscribers = cell
    promise._value = promise._aux = promise._source = None


def start_cancelling(promise: CorePromise) -> None:
    """A promise counts as cancelled from now on, and is finished by `finish_cancel`."""
    promise._state |= CANCELLING
