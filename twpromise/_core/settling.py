"""Settling: the only place that changes the state of a promise once it is made.

What a promise may change into, and by what, is in `states.TRANSITIONS`.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TypeGuard

from . import hooks
from .extra import drop_context
from .hooks import Adopter
from .states import (
    AT_ONCE,
    BYPASSED,
    CANCELLED,
    CANCELLING,
    DEAD,
    FOLLOWING,
    FULFILLED,
    HANDLED,
    LOCKED,
    REJECTED,
    REPORTED,
    CorePromise,
    new_fulfilled,
    new_pending,
)

# --- settling -----------------------------------------------------------------------------


def fulfill(promise: CorePromise, value: Any) -> None:
    """Fulfil a pending promise with a plain value."""
    promise._state = FULFILLED
    promise._value = value
    promise._aux = promise._source = None
    if promise._extra is not None:
        drop_context(promise)
    if promise._subscribers is not None:
        queue = promise._queue
        queue.append(promise)
        if not queue.awake:
            queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)


def fulfill_by_callback(promise: CorePromise, value: Any) -> bool:
    """Fulfil a promise from a callback, if nothing stands against it: see `NodeCallback`.

    Written out, as it is called for every promisified call: a call less, and a look less at what
    such a promise cannot have.

    Returns:
        Whether it was fulfilled; else the callback comes from another thread, or the value is to
        be followed, or the promise was cancelled.
    """
    queue = promise._queue
    if get_ident() != queue.thread or promise._state or adopters[type(value)] is not None:
        return False
    promise._state = FULFILLED
    promise._value = value
    promise._aux = None
    subscribers = promise._subscribers
    if subscribers is not None:
        if subscribers._state == AT_ONCE:
            promise._subscribers = None
            subscribers._at_once()
        else:
            queue.append(promise)
            if not queue.awake:
                queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)
    return True


def reject(promise: CorePromise, reason: Any, aux: Any = None) -> None:
    """Reject a pending promise.

    Args:
        promise: Not settled; a promise that is cancelling is rejected all the same.
        reason: An exception, or a class of them that is called, as by ``raise``; other objects
            are allowed, and warned about.
        aux: The traceback of the reason, or the Failure in which it came.
    """
    if isinstance(reason, hooks.host.failure):
        reason, aux = hooks.host.unwrap(reason)
    if aux is None:
        if is_exception(reason):
            aux = get_traceback(reason)
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
    reject_as_is(promise, reason, aux)


def reject_raised(promise: CorePromise, error: BaseException) -> None:
    """Reject a promise with what a call raised to the caller of this function.

    The caller's own frame is taken out of the traceback: it is of no interest, and its local
    variables would keep the promise alive.
    """
    if isinstance(error, hooks.host.failure):
        reject_as_is(promise, *hooks.host.unwrap(error))
        return
    traceback = get_traceback(error)
    if traceback is not None:
        traceback = traceback.tb_next
        set_traceback(error, traceback)
    reject_as_is(promise, error, traceback)


def reject_as_is(promise: CorePromise, reason: Any, aux: Any) -> None:
    """Reject a pending promise with a reason and its `aux` as another promise has them."""
    handled = promise._subscribers is not None or promise._state & HANDLED
    promise._state = REJECTED | HANDLED if handled else REJECTED
    promise._value = reason
    promise._aux = aux
    promise._source = None
    if promise._extra is not None:
        drop_context(promise)
    queue = promise._queue
    if promise._subscribers is not None:
        queue.append(promise)
        if not queue.awake:
            queue.wake()
    elif not handled:
        queue.rejections.append(promise)
        if not queue.awake:
            queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)


def finish_cancel(promise: CorePromise) -> None:
    """Settle a promise as cancelled; its subscribers are notified from the queue."""
    promise._state = CANCELLED
    promise._value = promise._aux = promise._source = None
    if promise._extra is not None:
        drop_context(promise)
    if promise._subscribers is not None:
        queue = promise._queue
        queue.append(promise)
        if not queue.awake:
            queue.wake()
    if hooks.observer is not None:
        hooks.observer.settled(promise)


def pass_on(child: CorePromise, parent: CorePromise) -> None:
    """Settle *child* just as *parent*, which is settled, has been."""
    state = parent._state
    if state & FULFILLED:
        fulfill(child, parent._value)
    elif state & REJECTED:
        reject_as_is(child, parent._value, parent._aux)
    else:
        finish_cancel(child)


def mark_handled(promise: CorePromise) -> None:
    """A rejection of this promise, present or future, has a consumer from now on."""
    if hooks.observer is not None:
        hooks.observer.consumed(promise)
    state = promise._state
    promise._state = state | HANDLED
    if state & REPORTED and not state & HANDLED:
        hooks.host.handled(promise)


def report_unhandled(promise: CorePromise) -> None:
    """Report a rejection, if it is still unhandled."""
    if not promise._state & HANDLED:
        promise._state |= REPORTED
        try:
            hooks.host.unhandled(promise)
        except BaseException as error:
            hooks.host.escaped(error)


# --- on the way ---------------------------------------------------------------------------


def lock(promise: CorePromise, source: Any = None) -> None:
    """Hand a pending promise to *source*, which will settle it; no other call counts any more."""
    promise._state |= LOCKED
    promise._source = source


def start_following(promise: CorePromise, followee: CorePromise, root: CorePromise) -> None:
    """A pending promise, or a follower, follows another, and in the end *root*."""
    promise._state = promise._state & HANDLED | FOLLOWING
    promise._aux = root
    promise._source = followee


def point_to_root(follower: CorePromise, root: CorePromise) -> None:
    """Shorten the way from a follower to the promise that it follows in the end."""
    follower._aux = root


def stand_in(follower: CorePromise, cell: Any) -> None:
    """A follower subscribes in the place of those that share *cell*, which are bypassed."""
    follower._value = cell


def bypass(promise: CorePromise, cell: Any) -> None:
    """A follower is bypassed; *cell* says which follower stands in for it."""
    promise._state |= BYPASSED
    promise._subscribers = cell
    promise._value = promise._aux = promise._source = None


def start_cancelling(promise: CorePromise) -> None:
    """A promise counts as cancelled from now on, and is finished by `finish_cancel`."""
    promise._state |= CANCELLING


def resume_after_cancelling(child: CorePromise) -> None:
    """The clean-up before a derived promise has failed: its handlers run after all."""
    child._state &= ~CANCELLING


# --- resolving ----------------------------------------------------------------------------


class _Declined:
    __slots__ = ()


#: What a handler returns that does not want the outcome: it is passed on as if the handler had
#: not been there (a `catch` whose filters do not match).
DECLINED: Final = _Declined()


class Adopters(dict[type, "Adopter | None"]):
    """What to do with a result, by its type: None for a plain value, else what follows it.

    A type that is not there is looked up by the host, once.
    """

    def __missing__(self, kind: type) -> Adopter | None:
        """How values of that type are followed."""
        if kind is _Declined:
            # It is no value: who runs a handler looks for it before a promise is resolved.
            return reject
        adopter = hooks.host.adopter_for(kind)
        self[kind] = adopter
        return adopter


adopters: Final = Adopters()


def is_followed(value: object) -> bool:
    """Whether a promise that is resolved with *value* follows it, or waits for it."""
    return adopters[type(value)] is not None


def resolve(promise: CorePromise, value: Any) -> None:
    """Settle a pending promise with a value, or have it follow what is followed.

    The promise must not be settled, and only the caller may settle it.
    """
    adopter = adopters[type(value)]
    if adopter is None:
        fulfill(promise, value)
        return
    try:
        adopter(promise, value)
    except BaseException as error:
        # An adopter never raises for what it is given; this is for what it calls.
        reject_or_report(promise, error)


def reject_or_report(promise: CorePromise, error: BaseException) -> None:
    """Reject a promise with what was raised, or log that if the promise was cancelled meanwhile."""
    if promise._state & DEAD:
        hooks.host.escaped(error)
    else:
        reject_raised(promise, error)


def new_resolved(cls: type[CorePromise], value: Any, owner: CorePromise | None = None) -> Any:
    """A promise that is resolved with anything; see `new_pending` for *owner*."""
    if adopters[type(value)] is None:
        return new_fulfilled(cls, value)
    promise = new_pending(cls, owner=owner)
    resolve(promise, value)
    return promise


def new_rejected(cls: type[CorePromise], reason: Any, aux: Any = None) -> Any:
    """A promise that is rejected; see `reject` for *aux*."""
    promise = new_pending(cls)
    reject(promise, reason, aux)
    return promise


def call_into(
    promise: CorePromise,
    function: Callable[..., Any],
    arguments: tuple[Any, ...] = (),
    keywords: dict[str, Any] | None = None,
) -> None:
    """Call a function at once, and settle a pending promise with what it returns or raises."""
    try:
        result = function(*arguments, **(keywords or {}))
    except BaseException as error:
        reject_raised(promise, error)
    else:
        resolve(promise, result)


# --- exceptions ---------------------------------------------------------------------------


def is_exception(value: object) -> TypeGuard[BaseException]:
    """Whether a value is an exception: by its type, as `is_promise`."""
    return issubclass(type(value), BaseException)


#: As the attribute, for exceptions that have overridden how attributes are read or set.
get_traceback: Callable[[BaseException], TracebackType | None]
get_traceback = BaseException.__dict__["__traceback__"].__get__
set_traceback: Callable[[BaseException, TracebackType | None], None]
set_traceback = BaseException.__dict__["__traceback__"].__set__


def restore_traceback(promise: CorePromise) -> None:
    """Give a reason the traceback that it was rejected with, before it is handed out.

    Handlers that raise it again would lengthen it for each other.
    """
    reason, aux = promise._value, promise._aux
    if is_exception(reason):
        # A Failure has its traceback in `tb`.
        traceback = aux if isinstance(aux, TracebackType) else getattr(aux, "tb", None)
        if get_traceback(reason) is not traceback:
            set_traceback(reason, traceback)


def stand_in_for(cls: type[CorePromise], state: int, value: Any, aux: Any) -> CorePromise:
    """A promise that settled as another did which is gone."""
    promise: CorePromise = new_pending(cls)
    promise._state, promise._value, promise._aux = state, value, aux
    return promise
