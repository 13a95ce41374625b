"""The states and slots of a promise, and the transitions between states.

A promise is **pending**, and changes once, into **fulfilled**, **rejected** or **cancelled**.  On
the way it may be

* *locked*: a Deferred, a coroutine or a future will settle it, and other calls of ``resolve`` or
  ``reject`` have no effect;
* *following* another promise, whose outcome it will share; *bypassed* if its only follower
  subscribes further up in its place (see `following`);
* *cancelling*: users see it as cancelled, while the clean-up before it in its chain (a ``finally_``
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
# States of objects other than promises in the queue, and among subscribers.
JOB: Final = 512
NODE: Final = 1024
SEVERAL: Final = 2048
#: A node that is notified by `_at_once`, within the call that settles, since no user code runs in
#: that; see `settling.fulfill_by_callback`.
AT_ONCE: Final = NODE | 4096

#: In the queue, the subscribers of a promise that are still to be notified.
REST: Final = JOB | 16384

#: A node that does not handle a rejection just by being a subscriber.
UNHANDLING: Final = 8192
#: A node that is notified, but neither consumes nor handles.
OBSERVER: Final = NODE | CANCELLING | UNHANDLING
#: A node that consumes, and handles a rejection when it is notified, not before.
LATE_HANDLER: Final = NODE | UNHANDLING

#: In `_aux` of a pending promise that only a callback fulfils.
BY_CALLBACK: Final = "by callback"

#: The same for an internal promise, made on behalf of another.
INNER: Final = "inner"

#: The owner of a promise for the input of a static function: see `new_input`.
INPUT: Final[Any] = "input"

#: Calls of `resolve` or `reject` have no effect any more.
DECIDED: Final = SETTLED | FOLLOWING | LOCKED | CANCELLING
#: Users see these as settled.  A subscriber in such a state is no longer a consumer.
DEAD: Final = SETTLED | CANCELLING
#: A subscriber cannot just be put into an empty slot.
CLOSED: Final = DEAD | FOLLOWING

#: A coroutine looks at such a promise before it waits: it may have settled, or wait for the
#: coroutine.
LOOKED_AT: Final = CLOSED | LOCKED

LATE_OBSERVER: Final = "the promise was cancelled (late cancellation observer)"
CIRCULAR: Final = "a promise waits for itself (circular promise resolution chain)"


class Event(Enum):
    """What happens to a promise; the value says what causes it."""

    FULFIL = "resolve(value), or what a handler returned"
    REJECT = "reject(reason), or what a handler raised"
    LOCK = "resolve(a Deferred, a coroutine, a future)"
    FOLLOW = "resolve(a promise that is pending)"
    BYPASS = "its only subscriber is a follower, too"
    REJOIN = "another subscriber comes"
    CANCEL = "cancel(), or the last consumer left"
    SOURCE_CANCELLED = "what would settle it was cancelled"
    CLEANED_UP = "nothing before it is still cleaning up"
    CLEAN_UP_FAILED = "a clean-up raised, which is reported"


#: (phase, event) to phase: every way in which a promise can change.  The picture in
#: docs/architecture.md is made from this table, and tests walk through every row.
TRANSITIONS: Final[dict[tuple[str, Event], str]] = {
    ("pending", Event.FULFIL): "fulfilled",
    ("pending", Event.REJECT): "rejected",
    ("pending", Event.LOCK): "locked",
    ("pending", Event.FOLLOW): "following",
    ("pending", Event.CANCEL): "cancelling",
    ("pending", Event.SOURCE_CANCELLED): "cancelled",
    ("locked", Event.FULFIL): "fulfilled",
    ("locked", Event.REJECT): "rejected",
    ("locked", Event.FOLLOW): "following",
    ("locked", Event.CANCEL): "cancelling",
    ("locked", Event.SOURCE_CANCELLED): "cancelled",
    ("following", Event.FULFIL): "fulfilled",
    ("following", Event.REJECT): "rejected",
    ("following", Event.BYPASS): "bypassed",
    ("following", Event.CANCEL): "cancelling",
    ("following", Event.SOURCE_CANCELLED): "cancelled",
    ("bypassed", Event.REJOIN): "following",
    ("cancelling", Event.CLEANED_UP): "cancelled",
    ("cancelling", Event.CLEAN_UP_FAILED): "cancelled",
}


class CorePromise:
    """State, handlers and subscribers of one promise.

    The contents of each slot depend on the state:

    * `_value`: the value or reason of a settled promise; ``on_fulfilled`` of a derived promise
      that waits for its parent; the `Cell` of a follower that stands in for others.
    * `_aux`: of a rejection, the traceback of the reason, or its Failure; ``on_rejected`` of
      a derived promise that waits; of a follower, a promise further on; `BY_CALLBACK`, `INNER`.
    * `_subscribers`: the subscribers (see `subscribers`); of a bypassed promise, its `Cell`.
    * `_source`: the parent of a derived promise; the followee of a follower; else the object that
      will settle the promise, if it can be cancelled; of a settled promise None, or the work that
      it has abandoned (see `ending`).
    * `_extra`: None, a `Context` or an `Extra`.

    Once a promise is made only `settling`, and the drain, assign `_state`, `_value` and `_aux`.
    """

    __slots__ = ("__weakref__", "_aux", "_extra", "_source", "_state", "_subscribers", "_value")

    _queue: ClassVar[JobQueue]
    #: Settings of the library copy: `async_hooks`, `cancellation`; where warnings go.
    _library: ClassVar[Any]
    #: The same class without `__init__`: calling it is twice as fast as `object.__new__`.
    _new: ClassVar[type[Any]]
    #: The same, with slots for what tracking notes; see `_diagnostics.tracking`.
    _tracked: ClassVar[type[Any]]

    _aux: Any
    _extra: Context | Extra | None
    _source: Any
    _state: int
    _subscribers: Any
    _value: Any


def is_promise(value: object) -> TypeGuard[CorePromise]:
    """Whether a value is a promise: by its type.

    `isinstance` asks the value for its ``__class__``, too, which a mock may fake.
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
    """A pending promise of a library copy, for the caller to settle.

    Args:
        cls: The class of that copy.
        source: What will settle it, if it can be cancelled.
        parent: The promise that it is derived from, if any.
        owner: The promise on whose behalf it is made, if users will not see it; or `INPUT`.
    """
    promise: CorePromise = cls._new()
    promise._state = PENDING
    promise._value = promise._aux = promise._subscribers = promise._extra = None
    promise._source = source
    if owner is not None:
        promise._aux = INNER
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


def new_fulfilled(cls: type[CorePromise], value: Any, owner: CorePromise | None = None) -> Any:
    """A promise that is fulfilled with a plain value; see `new_pending` for *owner*."""
    promise: CorePromise = cls._new()
    promise._state = FULFILLED
    promise._value = value
    promise._aux = promise._subscribers = promise._source = promise._extra = None
    if hooks.observer is not None:
        hooks.observer.created(promise, owner)
        hooks.observer.settled(promise)
    return promise


def new_settled(cls: type[CorePromise], state: int, value: Any, aux: Any) -> Any:
    """A promise with the outcome of another one, which is gone."""
    promise: CorePromise = new_pending(cls)
    promise._state, promise._value, promise._aux = state, value, aux
    return promise
