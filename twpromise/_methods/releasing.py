"""Releasing the resources of `Promise.using`, one after the other."""

from __future__ import annotations

import atexit
import gc
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

from twisted.logger import Logger

from .._core.cancelling import cancel_all, is_behind
from .._core.ending import give_up, under_way, when_work_ended
from .._core.settling import pass_on
from .._core.states import (
    CANCELLING,
    FULFILLED,
    REJECTED,
    SETTLED,
    CorePromise,
    is_promise,
)
from .._util.checks import type_name
from .beside import Finishing
from .disposer import CANCELLED_USE
from .leases import Lease
from .reflection import PromiseInspection

__all__ = ["Releasing"]

_log = Logger(namespace="twpromise")


class Releasing(Finishing):
    """Releases resources, one after the other, then passes an outcome on.

    It has subscribed to the promises of all resources, and also releases one that arrives late.
    """

    __slots__ = ("_acquired", "_given_up", "_inspection", "_leases", "_left", "_under_way")

    def __init__(self) -> None:
        super().__init__()
        #: The resources; once releasing has begun, those that have not arrived.
        self._leases: list[Lease] = []
        #: The argument of the releases; None until releasing has begun.
        self._inspection: PromiseInspection[Any] | None = None
        #: The resource to release next.
        self._acquired: deque[Lease] = deque()
        #: The resource that is being released.
        self._under_way: Lease | None = None
        #: What the use of the resources has gone on without, and may not have ended: a thread.
        self._given_up: list[Any] = []
        #: What still uses the resources after that: a promise, or a source that cannot be stopped.
        self._left: Any = None

    def wait_for_ends(self, left: list[Any]) -> None:
        """See `ending.give_up`."""
        if self._source is not None:
            self._given_up += left

    def _end_use(self, used: CorePromise) -> None:
        """Release all when the use of the resources, which has settled *used*, has ended."""
        promise = self._promise
        # Do not report partial work as done.
        self._set_outcome(promise if promise._state & CANCELLING else used)
        give_up(used, self._given_up)
        self._release_after(used)

    def _release_after(self, used: CorePromise) -> None:
        promise = self._promise
        left = self._left = under_way(used)
        if left is None or left is promise or (is_promise(left) and is_behind(left, promise)):
            self._left = None
            self._release_next()
            return
        # A clean-up, or a thread, still uses them: also one within another `using`.
        while is_promise(left) and isinstance(left._source, Releasing):
            left = left._source._left
        if not (left is None or is_promise(left) or promise._state & CANCELLING):
            # A thread may take long: pass on in time that it has timed out.
            self._settle_early()
        when_work_ended(self._left, partial(self._release_after, used))

    def _begin_release(self, outcome: CorePromise) -> None:
        """Release all, then pass on *outcome*: a settled promise, or the promise of this node."""
        self._set_outcome(outcome)
        self._release_next()

    def _set_outcome(self, outcome: CorePromise) -> None:
        self._outcome = outcome
        used = outcome._state & (FULFILLED | REJECTED)
        self._inspection = PromiseInspection._of(outcome) if used else CANCELLED_USE
        self.stop_consuming()

    def _settle_early(self) -> None:
        # A promise of its own waits for the rest; see `ending`.
        self.settle_early(pass_on, self._outcome)
        self._outcome = self._promise

    def _release_next(self) -> None:
        """Go on after a release, or after the promise of a late resource has settled."""
        if self._leases:
            self._sort()
        if self._under_way is not None and self._under_way.is_held():
            return
        assert self._inspection is not None
        while self._acquired:
            lease = self._acquired.popleft()
            if not lease.release(self._inspection, self):
                self._under_way = lease
                return
        self._end()

    def _sort(self) -> None:
        """Find the acquired resources, and leave the promises that are no longer needed."""
        pending: list[Lease] = []
        stack: list[CorePromise] = []
        for lease in self._leases:
            lease.open(self._promise, self, False)
            if lease.is_acquired():
                self._acquired.append(lease)
            elif not lease.has_failed():
                pending.append(lease)
        # Cancel the first one first, as `all` does: the stack is popped from its end.
        for lease in reversed(pending):
            lease.leave(stack)
        cancel_all(stack)
        in_circle = bool(pending) and self.waits_for_itself()
        self._leases = [lease for lease in pending if lease.has_to_end(in_circle)]

    def _end(self) -> None:
        """Pass the outcome on: all acquired resources are released."""
        promise, outcome = self._promise, self._outcome
        if not self._leases:
            pass_on(self.finish(), outcome)
        elif not promise._state & CANCELLING:
            # A failure does not wait for resources that have not arrived.
            self._settle_early()
            self._inspection = CANCELLED_USE

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        if self._source is not None:
            yield "what is done with the resources", self._source
        left = self._left
        if is_promise(left):
            yield "what still uses the resources", left
        elif left is not None:
            yield from left.waits()
        if self._under_way is not None and self._under_way.released is not None:
            yield "the release of a resource", self._under_way.released
        for index, lease in enumerate(self._leases):
            if not lease.promise._state & SETTLED:
                yield f"resource {index}", lease.promise

    def _release(self) -> None:
        self._leases = []
        self._inspection = self._outcome = self._under_way = self._left = None
        self._given_up = []

    def held(self) -> list[Any]:
        """The resources that have been acquired and not yet released."""
        leases = self._under_way, *self._acquired, *self._leases
        return [lease.promise._value for lease in leases if lease is not None and lease.is_held()]


def _name_held() -> None:
    """At the end of the process, log in one line which resources were not released."""
    held: list[Any] = []
    for found in gc.get_objects():
        if issubclass(type(found), Releasing) and found._promise is not None:
            scheduler: Any = found._promise._queue.scheduler
            # The schedulers of tests have no such method.
            if getattr(scheduler, "is_over", bool)():
                held += found.held()
    if held:
        names = sorted(map(type_name, held))
        _log.critical(
            "The process ends, and Promise.using has not released: {names} ({count} in all). "
            "Have a shutdown trigger cancel what uses them, and wait for its reflect()",
            names=", ".join(names[:5] + ["..."] * (len(names) > 5)),
            count=len(held),
        )


atexit.register(_name_held)
