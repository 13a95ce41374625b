"""Resources, and their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.model.reference.handlers import Done, Then, adopt
from tests.model.reference.promise import Following, Reference, cancel_all
from tests.model.reference.world import (
    CANCELLED,
    FULFILLED,
    PENDING,
    REJECTED,
    Consumer,
    Inspection,
)


class Disposer:
    """A resource, and what gives it back.  It has no consumer before it is used."""

    def __init__(self, promise: Reference, release: Callable[[Any, Inspection], Any]) -> None:
        self.promise, self.release = promise, release
        self.used = False

    def take(self) -> Reference:
        if self.used:
            promise = Reference(self.promise.world)
            promise.handled = True
            promise.reject(
                RuntimeError("the disposer has been used already: one resource, one use")
            )
            return promise
        self.used = True
        return self.promise


class Want(Consumer):
    """One of the resources of a `using`: waited for, and given back if it is a disposer's."""

    settled: Reference | None = None
    release: Callable[[Any, Inspection], Any] | None = None

    def __init__(self, whole: Using, resource: Any) -> None:
        self.whole = whole
        self.take(resource)

    def take(self, resource: Any) -> None:
        world = self.whole.world
        if isinstance(resource, Disposer):
            if not resource.used:
                self.release = resource.release
            resource = resource.take()
        resource = adopt(world, resource)
        if not isinstance(resource, Reference):
            self.settled = Reference(world)
            self.settled.fulfill(resource)
        elif resource.inspect()[0] == PENDING:
            self.settled = None
            self.alive, self.gone = True, False
            resource.attach(self)
        elif resource.inspect()[0] == CANCELLED:
            self.settled = resource.late_observer()
        else:
            self.settled = resource.end()
            if self.settled.state == REJECTED:
                resource.mark_handled()

    def take_what_came(self) -> None:
        """A promise may be one for a disposer: its resource is what is wanted."""
        settled = self.settled
        if self.release is not None or settled is None or settled.state != FULFILLED:
            return
        if isinstance(settled.value, Disposer):
            self.take(settled.value)

    def look(self) -> None:
        """It may have settled, though this has not been notified yet."""
        if self.settled is None and self.awaited.state != PENDING:
            self.settled = self.awaited

    def failed(self) -> bool:
        return self.settled is not None and self.settled.state != FULFILLED

    def notify(self, parent: Reference) -> None:
        # Or it brought a disposer, which was taken before this was notified.
        if self.settled is None and parent is self.awaited:
            self.end()
            self.settled = parent
        self.whole.go_on()

    def leave(self, stack: list[Reference]) -> None:
        """It is not used any more; a resource that is acquired all the same is released."""
        if self.settled is None:
            self.alive = False
            if self.release is None or not bound_to_come(self.awaited):
                self.awaited.leave(stack)

    def has_to_end(self, in_circle: bool) -> bool:
        """It was left: whether it will be released, or is cleaned up, and that is waited for."""
        if in_circle and self.awaited.cancelling:
            # It may wait for this in its turn.
            return False
        if self.release is not None or self.awaited.dead:
            return True
        self.awaited.attach(Unused())
        return False

    def give_back(self, outcome: Inspection) -> Any:
        if self.release is None:
            return None
        return self.release(self.settled.value, outcome)


class Unused(Consumer):
    """Gives back the resource of a disposer that comes later.  It is no consumer."""

    alive = handles = False

    def notify(self, parent: Reference) -> None:
        disposer = parent.value
        if parent.state == FULFILLED and isinstance(disposer, Disposer) and not disposer.used:
            disposer.used = True
            promise = disposer.promise
            promise.mark_handled()
            promise.attach(GivingBack(disposer))
            if not bound_to_come(promise):
                promise.drop()


class GivingBack(Consumer):
    """Releases a resource that is not used, if it comes.  It is no consumer."""

    alive = False

    def __init__(self, disposer: Disposer) -> None:
        self.disposer = disposer

    def notify(self, parent: Reference) -> None:
        if parent.state == FULFILLED:
            released = Reference(parent.world)
            try:
                released.resolve(self.disposer.release(parent.value, Inspection(CANCELLED, None)))
            except BaseException as error:
                released.reject(error)
            released.mark_handled()
            if released.state == REJECTED:
                parent.world.log("fatal", released.value)
            elif released.state == PENDING:
                Done(released)


def bound_to_come(promise: Reference) -> bool:
    """Whether what it is made of is there: all that is left is to call a handler."""
    seen: set[Reference] = set()
    while isinstance(promise.source, Then | Following) and promise not in seen:
        # Where it waits for itself, nothing comes.
        seen.add(promise)
        promise = promise.source.awaited
        if promise.state != PENDING:
            return True
    return False


class Using(Consumer):
    """`using`: resources side by side, then the use of them, then one release after the other."""

    def __init__(self, child: Reference, resources: list[Any], handler: Any) -> None:
        self.child, self.world, self.handler = child, child.world, handler
        child.source = self
        #: Where it is: acquiring, using, releasing.
        self.step: Callable[[], None] = self.acquired
        # What the handler returned, which the child waits for.
        self.in_use: Reference | None = None
        # What the use of the resources has gone on without.
        self.given_up: list[Reference] = []
        self.wants: list[Want] = []
        self.wants = [Want(self, resource) for resource in resources]
        self.queued = False
        self.go_on()

    def go_on(self) -> None:
        """When all have come, or one has failed: what is next has a turn of its own."""
        if self.step == self.release_next:
            self.release_next()
        elif self.step == self.acquired and not self.queued:
            wants = self.wants
            if all(want.settled for want in wants) or any(want.failed() for want in wants):
                self.queued = True
                self.world.queue.append(self.acquired)

    def acquired(self) -> None:
        if self.step != self.acquired:
            # Cancelled meanwhile.
            return
        self.queued = False
        for want in self.wants:
            want.look()
        if not any(want.failed() for want in self.wants):
            for want in self.wants:
                want.take_what_came()
        for want in self.wants:
            if want.failed():
                self.release_all(want.settled)
                return
        if all(want.settled for want in self.wants):
            self.use()

    def ahead(self) -> Reference | None:
        return self.in_use

    def use(self) -> None:
        self.step = self.use
        try:
            value = self.handler([want.settled.value for want in self.wants])
            result = adopt(self.world, value)
            if not isinstance(result, Reference):
                result = Reference(self.world)
                result.fulfill(value)
            elif result.end().leads_to() is self.child:
                raise TypeError("a promise waits for itself (circular promise resolution chain)")
        except BaseException as error:
            result = Reference(self.world)
            result.handled = True
            result.reject(error)
        end = result.end()
        if end.state in (FULFILLED, REJECTED):
            result.mark_handled()
            self.used(end)
            return
        self.followed = self.in_use = result
        result.attach(self)
        if self.child.cancelling:
            # By the handler.
            stack: list[Reference] = []
            self.leave_use(stack)
            cancel_all(stack)

    def notify(self, parent: Reference) -> None:
        """What the handler returned has settled."""
        if self.step == self.use:
            self.end()
            self.followed = None
            self.used(parent)
        else:
            # It was left before.
            self.go_on()

    def wait_for_ends(self, left: list[Reference]) -> None:
        if self.step == self.use:
            self.given_up += left

    def used(self, used: Reference) -> None:
        self.begin_release(self.child if self.child.cancelling else used)
        used.given_up = [*used.given_up, *self.given_up]
        used.give_up(self.given_up)
        self.release_after(used)

    def release_after(self, used: Reference) -> None:
        """Not before all that the use has given up has ended, unless that waits for this."""
        left = used.under_way()
        if left is None or left is self.child or left.is_behind(self.child):
            self.release_next()
        else:
            left.when_ended(lambda: self.release_after(used))

    # --- releasing

    def release_all(self, outcome: Reference) -> None:
        self.begin_release(outcome)
        self.release_next()

    def begin_release(self, outcome: Reference) -> None:
        self.step = self.release_next
        self.in_use = None
        self.outcome = outcome
        state = CANCELLED if outcome is self.child else outcome.state
        self.inspection = Inspection(state, outcome.value)
        self.left: deque[Want] = deque()
        #: What has still to come.
        self.late = self.wants
        self.under_way: Reference | None = None

    def sort(self) -> None:
        """What has come is released next; what pends is left."""
        pending = []
        for want in self.late:
            want.look()
            want.take_what_came()
            if want.settled is None:
                pending.append(want)
            elif not want.failed():
                self.left.append(want)
        stack: list[Reference] = []
        for want in reversed(pending):
            want.leave(stack)
        cancel_all(stack)
        in_circle = self.child.is_behind(self.child)
        self.late = [want for want in pending if want.has_to_end(in_circle)]

    def release_next(self) -> None:
        self.sort()
        if self.under_way is not None and self.under_way.end().state == PENDING:
            return
        while self.left:
            try:
                result = self.left.popleft().give_back(self.inspection)
            except BaseException as error:
                self.world.log("fatal", error)
                continue
            if isinstance(result, Reference | Deferred):
                waiting = self.under_way = Reference(self.world)
                waiting.resolve(result)
                if waiting.state == PENDING:
                    waiting.attach(Releasing(self))
                    return
                waiting.mark_handled()
                if waiting.state == REJECTED:
                    self.world.log("fatal", waiting.value)
        self.all_released()

    def all_released(self) -> None:
        """All that have come.  A cancellation waits for what has still to come; a failure not."""
        child, outcome = self.child, self.outcome
        if self.late and child.cancelling:
            return
        if self.late:
            # Nothing waits for the rest of it.
            self.child = self.outcome = Reference(self.world)
            self.child.cancelling = True
            self.inspection = Inspection(CANCELLED, None)
        else:
            self.step = self.all_released
            self.end()
            for want in self.wants:
                want.end()
        if outcome is child:
            child.finish_cancel()
        else:
            child.pass_on(outcome)
        if self.child is not child:
            child.given_up = [self.child]

    # --- cancelling

    def abandon(self, stack: list[Reference]) -> bool:
        if self.step == self.acquired:
            for want in reversed(self.wants):
                want.leave(stack)
            self.stop()
        elif self.followed is not None and self.step == self.use:
            self.leave_use(stack)
        elif self.step == self.release_next:
            # That is seen through.
            self.outcome = self.child
        return True

    def leave_use(self, stack: list[Reference]) -> None:
        """Stop the use of it; it is released when that has ended, or at once if it goes on."""
        assert self.followed is not None
        self.alive = False
        stopped = self.awaited.leave(stack, self.child)
        self.followed = None
        if not stopped:
            self.gone = True
            self.stop()

    def stop(self) -> None:
        """Wait for nothing more, and release in a turn of its own."""
        self.step = self.stop
        self.world.queue.append(lambda: self.release_all(self.child))


class Releasing(Consumer):
    """Waits for one release."""

    def __init__(self, whole: Using) -> None:
        self.whole = whole

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == REJECTED:
            self.whole.world.log("fatal", parent.value)
        self.whole.go_on()
