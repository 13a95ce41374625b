"""Acquiring a resource that may be cancelled before it is there."""

from __future__ import annotations

from typing import Any

from .._core.cancelling import drop
from .._core.following import root_of
from .._core.reactions import Node
from .._core.settling import mark_handled
from .._core.states import FOLLOWING, FULFILLED, SETTLED, CorePromise, is_promise, new_pending
from .._core.subscribers import has_consumers

__all__ = ["can_be_stopped", "enter", "give_back"]


def can_be_stopped(promise: CorePromise) -> bool:
    """Whether cancelling a pending promise stops what settles it.

    If not, a resource may still arrive, and has to be released.  For work of an executor, this
    call stops it if it has not begun and has no consumer.
    """
    if promise._state & SETTLED:
        return True
    source = promise._source
    if _is_work(source):
        return not has_consumers(promise) and bool(source.stop())
    met: object = promise
    steps, limit = 0, 1
    while is_promise(source):
        if source._state & FOLLOWING:
            # The way to the root is shortened: not one step for each follower.
            source = root_of(source)
        if source._state & SETTLED:
            # All that is left to do is to run a handler.
            return False
        if source is met:
            # What a handler returned waits for the handler's own promise, which never settles.
            return True
        steps += 1
        if steps == limit:
            met, limit = source, 2 * limit
        source = source._source
    return source is None or bool(source._can_stop())


def _is_work(source: Any) -> bool:
    """Whether a source is the work of an executor, which a thread may begin at any moment."""
    return source is not None and not is_promise(source) and not source._can_stop()


class _Entering(Node):
    """Waits for a resource; when cancelled, it cancels only an acquisition that can be stopped.

    One that cannot be stopped brings a resource, which `give_back` releases.
    """

    __slots__ = ()

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self.stop_consuming()
        if can_be_stopped(self._source):
            return super()._abandon(stack)
        self.finish()
        return False


def enter(acquired: CorePromise) -> Any:
    """A promise for a resource that is being acquired; see `_Entering`."""
    node = _Entering()
    promise = node._promise = new_pending(type(acquired), node, owner=acquired)
    node.wait_for_source(acquired)
    return promise


class _GiveBack(Node):
    """Waits for a resource that is no longer needed, and releases it if it arrives."""

    __slots__ = ("_disposer",)

    def __init__(self, disposer: Any) -> None:
        super().__init__()
        self._disposer = disposer

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & FULFILLED:
            self._disposer._dispose(parent)


def give_back(disposer: Any, promise: CorePromise) -> None:
    """Release the resource of *promise*, or stop acquiring it if that is possible."""
    node = _GiveBack(disposer)
    # It does not count as a consumer.
    node.stop_consuming()
    mark_handled(promise)
    node.wait_for(promise)
    if can_be_stopped(promise):
        drop(promise)
