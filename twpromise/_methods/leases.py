"""One resource of `Promise.using`, from the promise that brings it to its release."""

from __future__ import annotations

from typing import Any

from .._core.cancelling import leave
from .._core.following import outcome_of
from .._core.reactions import Node, observed
from .._core.resolving import new_rejected, new_resolved
from .._core.settling import mark_handled
from .._core.states import DEAD, FULFILLED, REJECTED, CorePromise, is_promise
from .._util.checks import type_name
from .acquiring import can_be_stopped
from .disposer import CANCELLED_USE, Disposer, manager_methods
from .handlers import Finishing
from .reflection import PromiseInspection

__all__ = ["Lease", "Releasing", "promise_for", "wait"]


def promise_for(owner: CorePromise, value: Any) -> CorePromise:
    """A value that is a promise; else a promise that is resolved with it, on behalf of *owner*."""
    return value if is_promise(value) else new_resolved(type(owner), value, owner)


def wait(node: Node, promise: CorePromise) -> CorePromise:
    """Have *node* wait for a promise, unless that is fulfilled or rejected.

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
    """The promise that brings a resource, and how the resource is released, if it is.

    Args:
        owner: The promise of `using`.
        resource: A disposer, something that is followed, or a value.
    """

    __slots__ = ("_disposer", "promise")

    def __init__(self, owner: CorePromise, resource: Any) -> None:
        self._disposer: Disposer[Any] | None = None
        self.promise: CorePromise
        if issubclass(type(resource), Disposer):
            self._take(owner, resource)
        elif manager_methods(resource) is not None:
            self.promise = new_rejected(
                type(owner),
                TypeError(
                    "a resource must not be a bare context manager: "
                    f"wrap it with Disposer.of({type_name(resource)})"
                ),
            )
        else:
            self.promise = promise_for(owner, resource)

    def _take(self, owner: CorePromise, disposer: Disposer[Any]) -> None:
        try:
            self.promise = disposer._take()
            self._disposer = disposer
        except RuntimeError as error:
            self.promise = new_rejected(type(owner), error.with_traceback(None))

    def wait(self, node: Node) -> bool:
        """Have *node* wait for the resource; False if its promise has settled."""
        self.promise = wait(node, observed(self.promise))
        return not self.promise._state & DEAD

    def open(self, owner: CorePromise, node: Node, wanted: bool) -> bool:
        """If the promise has brought a disposer, use it; whether *node* has to wait once more.

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

    def leave(self, stack: list[CorePromise]) -> None:
        """Do not wait for the resource, unless it has to be released when it comes."""
        if self._disposer is None or can_be_stopped(self.promise):
            leave(self.promise, stack)

    def release(self, outcome: PromiseInspection[Any]) -> CorePromise | None:
        """Release the resource, if it is one; a promise for the end of that, if it is pending."""
        if self._disposer is None or not self.is_acquired():
            return None
        released = self._disposer._dispose(self.promise, outcome)
        return None if outcome_of(released)._state & DEAD else released


class Releasing(Finishing):
    """Releases resources, one after the other, and passes an outcome on.

    Args:
        promise: As for `Finishing`.
        outcome: As for `Finishing`.
        leases: The resources.
    """

    __slots__ = ("_inspection", "_leases")

    def __init__(self, promise: CorePromise, outcome: CorePromise, leases: list[Lease]) -> None:
        super().__init__(promise, outcome)
        used = outcome._state & (FULFILLED | REJECTED)
        self._inspection: Any = PromiseInspection._of(outcome) if used else CANCELLED_USE
        self._leases: Any = iter(leases)
        self._release_next()

    def _release_next(self) -> None:
        for lease in self._leases:
            released = lease.release(self._inspection)
            if released is not None:
                self.wait_for(released)
                return
        self._pass_outcome()

    def _notify(self, parent: CorePromise) -> None:
        self._release_next()

    def _release(self) -> None:
        self._inspection = self._leases = self._outcome = None
