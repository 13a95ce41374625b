"""One resource of `Promise.using`, from its acquisition to its release."""

from __future__ import annotations

from typing import Any, Final

from .._core.cancelling import leave
from .._core.following import has_settled, outcome_of
from .._core.reactions import Node, observed
from .._core.resolving import new_rejected, new_resolved
from .._core.settling import mark_handled
from .._core.states import (
    CANCELLED,
    CANCELLING,
    DEAD,
    FULFILLED,
    REJECTED,
    CorePromise,
    is_promise,
)
from .._util.checks import type_name
from .acquiring import can_be_stopped
from .disposer import Disposer, manager_methods
from .reflection import PromiseInspection

__all__ = ["Lease", "wait"]


def promise_for(owner: CorePromise, value: Any) -> CorePromise:
    """A value that is a promise; else a promise that is resolved with it, on behalf of *owner*."""
    return value if is_promise(value) else new_resolved(type(owner), value, owner)


def wait(node: Node, promise: CorePromise) -> CorePromise:
    """Have *node* wait for a promise, unless it is fulfilled or rejected.

    Returns:
        The promise that has the outcome, or will have it.
    """
    outcome = outcome_of(promise)
    if not outcome._state & (FULFILLED | REJECTED):
        node.wait_for(promise)
    elif outcome._state & REJECTED:
        mark_handled(promise)
    return outcome


class Lease:
    """The promise for a resource, and how the resource is released.

    Args:
        owner: The promise of `using`.
        resource: A disposer, something that is followed, or a value.
    """

    __slots__ = ("_disposer", "promise", "released")

    def __init__(self, owner: CorePromise, resource: Any) -> None:
        self._disposer: Disposer[Any] | None = None
        #: For the end of the release.
        self.released: CorePromise | None = None
        self.promise: CorePromise
        if issubclass(type(resource), Disposer):
            self._take(owner, resource)
        elif manager_methods(resource) is not None:
            self.promise = new_rejected(
                type(owner),
                TypeError(
                    "a resource must not be a bare context manager, like this "
                    f"{type_name(resource)}: pass Disposer.of(manager)"
                ),
                owner=owner,
            )
        else:
            self.promise = promise_for(owner, resource)

    def _take(self, owner: CorePromise, disposer: Disposer[Any]) -> None:
        try:
            self.promise = disposer._take()
            self._disposer = disposer
        except RuntimeError as error:
            self.promise = new_rejected(type(owner), error.with_traceback(None), owner=owner)

    def wait(self, node: Node) -> bool:
        """Have *node* wait for the resource; False if its promise has settled."""
        self.promise = wait(node, observed(self.promise))
        return not self.promise._state & DEAD

    def open(self, owner: CorePromise, node: Node, wanted: bool) -> bool:
        """If the promise has brought a disposer, use it.  Whether *node* has to wait once more.

        Args:
            owner: The promise of `using`.
            node: Waits for the resource.
            wanted: Whether to begin an acquisition that has not begun.
        """
        disposer = self.promise._value
        if self._disposer is not None or not self.is_acquired():
            return False
        if not issubclass(type(disposer), Disposer):
            return False
        if not wanted and disposer._promise is None:
            disposer._used = True
            return False
        self._take(owner, disposer)
        return self.wait(node)

    def is_acquired(self) -> bool:
        """Whether the resource has been acquired."""
        return bool(self.promise._state & FULFILLED)

    def has_failed(self) -> bool:
        """Whether the resource could not be acquired."""
        return bool(self.promise._state & (REJECTED | CANCELLED))

    def leave(self, stack: list[CorePromise]) -> None:
        """Stop waiting for the resource, unless it has to be released when it arrives."""
        if self._disposer is None or can_be_stopped(self.promise):
            leave(self.promise, stack)

    def has_to_end(self, in_circle: bool) -> bool:
        """Whether to wait for a resource that was left, until it is released or has cleaned up.

        Not for a promise that has other consumers: it goes on.  Nor for one that is being cancelled
        and may wait for this one (*in_circle*): it ends later.
        """
        if in_circle and self.promise._state & CANCELLING:
            return False
        if self._disposer is not None or self.promise._state & DEAD:
            return True
        _UNUSED.watch(self.promise)
        return False

    def release(self, outcome: PromiseInspection[Any], node: Node) -> bool:
        """Release the resource, if it has a disposer.

        Returns:
            Whether the release has ended; if not, *node* is notified of its end.
        """
        if self._disposer is not None:
            self.released = self._disposer._dispose(self.promise, outcome)
            if not outcome_of(self.released)._state & DEAD:
                node.wait_for(self.released)
                return False
        return True

    def is_held(self) -> bool:
        """Whether the resource has been acquired, and its release has not ended."""
        released = self.released is not None and has_settled(self.released)
        return self._disposer is not None and self.is_acquired() and not released


class _Unused(Node):
    """Gives back the resource of a disposer that arrives when no `using` waits for it."""

    __slots__ = ()

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & FULFILLED and issubclass(type(parent._value), Disposer):
            parent._value._give_back()


#: One for all promises, since those that leave a promise which stays pending must not pile up.
_UNUSED: Final = _Unused()
