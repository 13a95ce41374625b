"""Reactions: handlers and nodes that are attached to a promise, and run when it settles.

A derived promise is made by `then`, and settled by one of its two handlers.  A `Node` stands
between promises: it waits for several, or for something other than a promise, and settles one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import copy_context
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._util.checks import is_filter_only, no_handler
from . import hooks
from .cancelling import is_behind, leave
from .ending import give_up
from .extra import bind_promise, binding_of, extra_of, keep_for_report
from .following import decided_by, end_of, outcome_of, rejoin
from .jobs import call_soon
from .resolving import new_rejected
from .settling import mark_handled, pass_on, reject_raised, start_cancelling
from .states import (
    AT_ONCE,
    BYPASSED,
    CANCELLED,
    CANCELLING,
    CIRCULAR,
    CLOSED,
    DEAD,
    FOLLOWING,
    FULFILLED,
    HANDLED,
    INPUT,
    LATE_HANDLER,
    NODE,
    OBSERVER,
    PENDING,
    REJECTED,
    SETTLED,
    CorePromise,
    new_pending,
)
from .subscribers import add_subscriber, has_subscribed

#: The types of most handlers.  `then` asks for the `__class__` of one: that takes an instruction
#: less than `type`, or than `callable`.
_FUNCTIONS: Final = frozenset([FunctionType, MethodType])

# --- attaching ----------------------------------------------------------------------------


def then(  # noqa: D417 - a method
    self: Any, on_fulfilled: Any = None, on_rejected: Any = None
) -> Any:
    """A promise for the result of the handler that is called with this promise's outcome.

    Args:
        on_fulfilled: Called with the value; None passes the value on.
        on_rejected: Called with the reason; None passes the rejection on.

    At most one of the handlers is called, and once.  Handlers run from the scheduler, never within
    `then`, in the order in which they were attached.  A handler may return a value, or anything
    that promises follow: a promise, a Deferred, a coroutine.  What it raises rejects.

    A handler that is not callable is ignored, with a warning if warnings are on; an exception class
    as *on_rejected*, or a tuple of them, rejects with `TypeError`.

    Bluebird: ``.then``; Twisted: ``Deferred.addCallbacks``.
    """
    if on_fulfilled is not None and not callable(on_fulfilled):
        self._library.ignored_handler(on_fulfilled)
        on_fulfilled = None
    if on_rejected is not None and on_rejected.__class__ not in _FUNCTIONS:
        if is_filter_only(on_rejected):
            return new_rejected(type(self), no_handler("then", on_fulfilled, on_rejected))
        if not callable(on_rejected):
            self._library.ignored_handler(on_rejected)
            on_rejected = None
    # As `states.new_pending`, written out for each hop of a chain.
    child: CorePromise = self._new()
    child._state = PENDING
    child._value = on_fulfilled
    child._aux = on_rejected
    child._subscribers = child._extra = None
    child._source = self
    context = copy_context()
    if context or self._extra is not None:
        child._extra = extra_of(self, context)
    state = self._state
    if not state & CLOSED:
        if self._subscribers is None:
            self._subscribers = child
        else:
            add_subscriber(self, child)
    elif state & FULFILLED:
        queue = self._queue
        queue.append(child)
        if not queue.awake:
            try:
                queue.wake()
            except BaseException:
                # A foreign thread is refused, and its handler is not called by the next drain.
                child._state = CANCELLED
                raise
    else:
        _subscribe_late(self, child)
    if hooks.observer is not None:
        hooks.observer.chained(self, child)
    return child


def subscribe(promise: CorePromise, node: Node) -> None:
    """Notify *node* when *promise* has settled: always from the queue."""
    if hooks.observer is not None:
        hooks.observer.consumed(promise)
    if promise._state & CLOSED:
        _subscribe_late(promise, node)
    else:
        add_subscriber(promise, node)


def _subscribe_late(promise: CorePromise, subscriber: Any) -> None:
    """Subscribe to a promise that is settled, cancelling or following."""
    if promise._state & BYPASSED:
        rejoin(promise)
    state = promise._state
    if state & FOLLOWING:
        state = decided_by(promise)._state
        if not state & (CANCELLED | CANCELLING):
            # The follower has not been notified yet, whether or not its root has settled.
            add_subscriber(promise, subscriber)
            return
    if not promise._queue.awake:
        # First of all: a subscriber that is refused handles nothing.
        promise._queue.wake()
    if state & (CANCELLED | CANCELLING):
        promise = late_observer(promise)
    elif state & REJECTED and not state & HANDLED:
        mark_handled(promise)
    if subscriber._state & NODE:
        call_soon(type(promise), _notify_late, subscriber, promise)
    else:
        subscriber._source = promise
        promise._queue.add(subscriber)


def _notify_late(node: Node, promise: CorePromise) -> None:
    if not node._state & SETTLED:
        node._notify(promise)
    # The traceback of what was raised, and caught, in there leads to this frame.
    del promise


def late_observer(promise: CorePromise) -> CorePromise:
    """The promise for a consumer that subscribes after a cancellation: it is rejected."""
    rejected: CorePromise = new_rejected(type(promise), hooks.host.late_cancellation(), owner=INPUT)
    # It is made for a consumer, which handles it.
    mark_handled(rejected)
    return rejected


def observed(promise: CorePromise) -> CorePromise:
    """The promise to subscribe to for the outcome of *promise*.

    For nodes that look later whether it is cancelled with them: a promise that is cancelling
    notifies those that have subscribed before, but not a new subscriber.
    """
    if outcome_of(promise)._state & (CANCELLED | CANCELLING):
        return late_observer(promise)
    return promise


# --- nodes --------------------------------------------------------------------------------


class Node:
    """Stands between promises: waits for some and settles one.

    A node is among the subscribers of each promise that it waits for, and is the `_source` of the
    promise that it will settle.  This class waits for one promise, `_source`, and passes its
    outcome on.
    """

    __slots__ = ("_promise", "_source", "_state")

    _promise: Any
    _source: Any
    _state: int

    #: The name of its promise in an inspector; by default that of the class.
    title: ClassVar[str] = ""

    #: Whether a value is passed on as it is, to a promise that has consumers of its own.
    passes_on: ClassVar[bool] = False

    if TYPE_CHECKING:
        # The rest of `derive`; may settle the promise at once.  Each kind of node that is derived
        # defines it, with arguments of its own.
        def _start(self, source: CorePromise, /, *arguments: Any, **_: Any) -> None: ...

    def __init__(self, promise: CorePromise | None = None) -> None:
        self._state = NODE
        self._promise = promise
        self._source = None

    @classmethod
    def derive(cls, source: CorePromise, *arguments: Any) -> Any:
        """A new promise, bound like *source*, that a new node will settle.

        Args:
            source: The promise that the node waits for first.
            *arguments: More arguments for `_start`.
        """
        node = cls()
        promise = node._make_promise(type(source), source)
        if source._extra is not None:
            bind_promise(promise, binding_of(source))
        node._start(source, *arguments)
        return promise

    def _make_promise(self, cls: type[CorePromise], parent: CorePromise | None = None) -> Any:
        """A promise that this node will settle, for users; it keeps the context of the caller."""
        promise = self._promise = new_pending(cls, self, parent)
        context = copy_context()
        if context:
            keep_for_report(promise, context)
        return promise

    def _make_hidden_promise(
        self, cls: type[CorePromise], parent: CorePromise | None = None
    ) -> Any:
        """An internal promise, from which one for users is derived; it keeps no context."""
        promise = self._promise = new_pending(cls, self, owner=INPUT)
        return promise

    def wait_for(self, promise: CorePromise) -> None:
        """Be notified when a promise has settled: always from the queue."""
        subscribe(promise, self)

    def wait_for_end(self, promise: CorePromise) -> None:
        """Like `wait_for`; if the promise is being cancelled, until its clean-up has ended."""
        outcome = outcome_of(promise)
        if outcome._state & CANCELLING:
            add_subscriber(outcome, self)
        else:
            subscribe(promise, self)

    def observe(self, promise: CorePromise) -> CorePromise:
        """The promise to wait for, to get the outcome of *promise*; see `observed`.

        Raises:
            TypeError: That will settle as this node's own promise does.
        """
        end = end_of(promise)
        if end is self._promise and not end._state & DEAD:
            raise TypeError(CIRCULAR)
        return observed(promise)

    def wait_for_source(self, source: CorePromise) -> None:
        """Wait for the promise that is left when the node's own promise is cancelled."""
        self._source = source
        subscribe(source, self)

    def watch(self, promise: CorePromise) -> None:
        """Be notified, without consuming or handling: once, however often this is called."""
        self._state = OBSERVER
        if not has_subscribed(promise, self):
            subscribe(promise, self)

    def _notify(self, parent: CorePromise) -> None:
        """A promise that this node waits for has settled."""
        pass_on(self.finish(), parent)

    def settle_if_failed(self, promise: CorePromise) -> bool:
        """If a promise was rejected or cancelled before, finish like it; return whether it was."""
        state = outcome_of(promise)._state
        if state & FULFILLED or not state & DEAD:
            return False
        mark_handled(promise)
        self.settle(pass_on, outcome_of(observed(promise)))
        return True

    def claims(self, hold: Callable[[], Callable[[], object]]) -> bool:
        """Whether a value that must not get lost reaches a consumer in `_notify`; see `claims`.

        Args:
            hold: Called by a node whose consumer gets the value later; returns a function to call
                if the consumer does not get it after all.
        """
        return True

    def _settles(self, awaited: CorePromise) -> list[CorePromise]:
        """The promises that may settle when this node has been notified of *awaited*."""
        # A node that settles no promise may have the one that it waits for in that slot.
        return [] if self._promise in (None, awaited) else [self._promise]

    def waits_for_itself(self) -> bool:
        """Whether this node's promise waits for itself, through others."""
        return is_behind(self._promise, self._promise)

    def awaited(self) -> CorePromise | None:
        """The promise that this node waits for, if it is exactly one; else None."""
        return self._source  # type: ignore[no-any-return]

    def waits(self) -> Iterable[tuple[str, Any]]:
        """The things that this node waits for, for an inspector.

        Each has a text for its role in the node, or "".  It is a promise, a Deferred, a future, a
        timer or a resource; None if the text is enough.  May be called at any moment, also from
        the handler of a signal, and changes nothing.
        """
        return () if self._source is None else (("", self._source),)

    def from_outside(self) -> bool:
        """Whether only something outside of the queue, such as a clock, can end the wait."""
        return False

    def _can_stop(self) -> bool:
        """Whether `_abandon` stops the work under way; otherwise its outcome arrives unused."""
        return True

    def _abandon(self, stack: list[CorePromise]) -> bool:
        """The node's promise is being cancelled: leave what it waits for (see `leave`).

        Returns:
            True if the node will finish the cancellation itself, with `finish_cancel` (or
            reject); False if there is nothing to wait for.
        """
        if self._source is not None and self.leave_source(stack):
            return True
        self.finish()
        return False

    def leave_source(self, stack: list[CorePromise]) -> bool:
        """Leave the source; return whether it will be cancelled, and notify the node of that."""
        self.stop_consuming()
        return leave(self._source, stack, self._promise)

    def consume(self) -> None:
        """Be a consumer of what the node waits for, notified from the queue (the default)."""
        self._state = NODE

    def consume_at_once(self) -> None:
        """The same, but notified by `_at_once`, within the call of a callback that fulfils."""
        self._state = AT_ONCE

    def handle_late(self) -> None:
        """Be a consumer that handles a rejection only when it is notified, by `mark_handled`."""
        self._state = LATE_HANDLER

    def stop_consuming(self) -> None:
        """Stop being a consumer, but go on being notified."""
        self._state = NODE | CANCELLING

    def finish(self) -> Any:
        """End: stop being notified, and drop all references of the node.

        Returns:
            The promise that the caller is to settle.
        """
        promise = self._promise
        self._state = NODE | CANCELLED
        self._promise = self._source = None
        self._release()
        return promise

    def settle(self, how: Callable[..., None], *arguments: Any) -> None:
        """Finish, and settle the node's promise: ``settle(fulfill, value)``."""
        how(self.finish(), *arguments)

    def settle_early(self, how: Callable[..., None], *arguments: Any) -> None:
        """Settle the node's promise before the node has ended; the promise ends when the node does.

        The node goes on with a promise of its own, which is being cancelled.
        """
        promise = self._promise
        self._promise = rest = new_pending(type(promise), self, owner=promise)
        start_cancelling(rest)
        how(promise, *arguments)
        give_up(promise, [rest])

    def _release(self) -> None:
        """Drop the references of a subclass, besides its promise and its source."""

    def fail(self, error: BaseException) -> None:
        """Finish with an error that a call has raised; log it if that is too late."""
        if self._state & DEAD:
            # The called function has cancelled the node's promise before.
            hooks.host.escaped(error)
        else:
            self.settle(reject_raised, error)
