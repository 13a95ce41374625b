"""What a promise holds: its states, its slots, and how one state leads to another.

A promise is **pending**, and changes once, into **fulfilled**, **rejected** or **cancelled**.  On
the way it may be

* *locked*: something that is no promise (a Deferred, a coroutine, an operation such as `all`) will
  settle it, and no other call of ``resolve`` or ``reject`` counts any more;
* *following* another promise, whose outcome it will share; *bypassed* if its only follower
  subscribes further up in its place (see `following`);
* *cancelling*: users see it as cancelled, while what stands before it in its chain (a ``finally_``
  handler, a generator's ``finally`` block) is still being finished.

The derived promise is itself the reaction record: until its parent settles, its two handlers live
in the slots that hold its outcome later.  So ``then`` makes one object.
"""

from __future__ import annotations

from contextvars import Context
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeGuard

from . import hooks

if TYPE_CHECKING:
    from .._scheduling.queue import JobQueue
    from .extra import Extra

# Bits of `CorePromise._state`.  The common combinations stay below 257, where CPython keeps the
# integers and none is allocated.
PENDING: Final = 0
FULFILLED: Final = 1
REJECTED: Final = 2
CANCELLED: Final = 4
SETTLED: Final = FULFILLED | REJECTED | CANCELLED
FOLLOWING: Final = 8
LOCKED: Final = 16
CANCELLING: Final = 32
BYPASSED: Final = 64
#: A rejection of this promise has a consumer.
HANDLED: Final = 128
#: The rejection was reported as unhandled.
REPORTED: Final = 256
# States of what stands in the queue, and among subscribers, and is no promise.
JOB: Final = 512
NODE: Final = 1024
SEVERAL: Final = 2048
#: A node that is notified by `_at_once`, within the call that settles, since no user code runs in
#: that; see `settling.fulfill_by_callback`.
AT_ONCE: Final = NODE | 4096

#: In `_aux` of a pending promise that only a callback fulfils.
BY_CALLBACK: Final = "by callback"

#: No call of `resolve` or `reject` counts any more.
DECIDED: Final = SETTLED | FOLLOWING | LOCKED | CANCELLING
#: What users see as settled.  A subscriber in such a state is no consumer any more.
DEAD: Final = SETTLED | CANCELLING
#: A subscriber cannot just be put into an empty slot.
CLOSED: Final = DEAD | FOLLOWING

LATE_OBSERVER: Final = "late cancellation observer"
CIRCULAR: Final = "circular promise resolution chain"


class Event(Enum):
    """What happens to a promise, and the function of the core that makes it so."""

    FULFIL = "settling.fulfill"
    REJECT = "settling.reject"
    LOCK = "settling.lock"
    FOLLOW = "following.follow"
    BYPASS = "following.follow, of its only follower"
    REJOIN = "following.rejoin, when a subscriber comes"
    CANCEL = "cancelling.cancel, or the last consumer left"
    CLEANED_UP = "settling.finish_cancel"
    CLEAN_UP_FAILED = "the promise before it was rejected instead"


#: (state, event) to state: every way in which a promise can change.  The drawing in
#: docs/architecture.md is made from this table, and a test walks through every row.
TRANSITIONS: Final[dict[tuple[int, Event], int]] = {
    (PENDING, Event.FULFIL): FULFILLED,
    (PENDING, Event.REJECT): REJECTED,
    (PENDING, Event.LOCK): LOCKED,
    (PENDING, Event.FOLLOW): FOLLOWING,
    (PENDING, Event.CANCEL): CANCELLING,
    (LOCKED, Event.FULFIL): FULFILLED,
    (LOCKED, Event.REJECT): REJECTED,
    (LOCKED, Event.FOLLOW): FOLLOWING,
    (LOCKED, Event.CANCEL): CANCELLING,
    (FOLLOWING, Event.FULFIL): FULFILLED,
    (FOLLOWING, Event.REJECT): REJECTED,
    (FOLLOWING, Event.BYPASS): BYPASSED,
    (FOLLOWING, Event.CANCEL): CANCELLING,
    (BYPASSED, Event.REJOIN): FOLLOWING,
    (BYPASSED, Event.CANCEL): CANCELLING,
    (CANCELLING, Event.CLEANED_UP): CANCELLED,
    (CANCELLING, Event.CLEAN_UP_FAILED): REJECTED,
}


class CorePromise:
    """State, handlers and subscribers of one promise.

    What each slot holds depends on the state:

    ============== =================  =================  ==========================
    slot           derived, waiting   settled            otherwise pending
    ============== =================  =================  ==========================
    `_value`       on_fulfilled       value or reason    following: None, or the
                                                         `Cell` of those bypassed
    `_aux`         on_rejected        rejected: the      following: a promise
                                      reason's traceback further on; else None
                                      or Failure         or `BY_CALLBACK`
    `_subscribers` whom to notify     None (or those to  whom to notify
                                      be notified yet)
    `_source`      its parent         None               what will settle it, if it
                                                         can be cancelled
    `_extra`       None, a Context or an Extra
    ============== =================  =================  ==========================

    Only `settling` assigns `_state`, `_value` and `_aux` once a promise is made.
    """

    __slots__ = ("__weakref__", "_aux", "_extra", "_source", "_state", "_subscribers", "_value")

    _queue: ClassVar[JobQueue]
    #: Settings of the library copy: `async_hooks`, `cancellation`; where warnings go.
    _library: ClassVar[Any]
    #: The same class without `__init__`: calling it is twice as fast as `object.__new__`.
    _new: ClassVar[type[Any]]

    _aux: Any
    _extra: Context | Extra | None
    _source: Any
    _state: int
    _subscribers: Any
    _value: Any


def is_promise(value: object) -> TypeGuard[CorePromise]:
    """Whether a value is a promise: by its type.

    `isinstance` asks the value for its ``__class__``, too, and a mock says there what it likes.
    """
    return issubclass(type(value), CorePromise)


# --- making -------------------------------------------------------------------------------


def make_pending(promise: CorePromise) -> None:
    """Give a promise that was made by calling its class its first state."""
    promise._state = PENDING
    promise._value = promise._aux = promise._subscribers = promise._source = promise._extra = None
    if hooks.observer is not None:
        hooks.observer.created(promise)


def new_pending(
    cls: type[CorePromise],
    source: Any = None,
    parent: CorePromise | None = None,
    owner: CorePromise | None = None,
) -> Any:
    """A pending promise of a library copy, to be settled by what calls this.

    Args:
        cls: The class of that copy.
        source: What will settle it, if it can be cancelled.
        parent: The promise that it is derived from, if it is.
        owner: The promise on whose behalf it is made, if no user will see it.
    """
    promise: CorePromise = cls._new()
    promise._state = PENDING
    promise._value = promise._aux = promise._subscribers = promise._extra = None
    promise._source = source
    if hooks.observer is not None:
        if parent is None:
            hooks.observer.created(promise, owner)
        else:
            hooks.observer.chained(parent, promise)
    return promise


def new_by_callback(cls: type[CorePromise]) -> Any:
    """A pending promise that only a callback fulfils; see `settling.fulfill_by_callback`."""
    promise: CorePromise = cls._new()
    promise._state = PENDING
    promise._value = promise._subscribers = promise._source = promise._extra = None
    promise._aux = BY_CALLBACK
    if hooks.observer is not None:
        hooks.observer.created(promise)
    return promise


def new_fulfilled(cls: type[CorePromise], value: Any) -> Any:
    """A promise that is fulfilled with a plain value."""
    promise: CorePromise = cls._new()
    promise._state = FULFILLED
    promise._value = value
    promise._aux = promise._subscribers = promise._source = promise._extra = None
    if hooks.observer is not None:
        hooks.observer.created(promise)
        hooks.observer.settled(promise)
    return promise


def new_settled(cls: type[CorePromise], state: int, value: Any, aux: Any) -> Any:
    """A promise that settled as another one did, which is gone."""
    promise: CorePromise = new_pending(cls)
    promise._state, promise._value, promise._aux = state, value, aux
    return promise
