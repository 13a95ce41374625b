"""The promise: how it settles, follows, is consumed and cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.model.reference.deferreds import Adopted
from tests.model.reference.world import (
    CANCELLED,
    FULFILLED,
    PENDING,
    REJECTED,
    CancellationError,
    Consumer,
    World,
)


class Reference:
    """The promise."""

    def __init__(self, world: World, source: Any = None) -> None:
        self.world = world
        self.state = PENDING
        self.value: Any = None
        # Resolved: no other call counts.
        self.locked = False
        # Cancelled as all can see; something before it is still being cleaned up.
        self.cancelling = False
        self.following: Reference | None = None
        # Another has been resolved with it while it was pending.
        self.followed = False
        self.consumers: list[Any] = []
        # What will settle it.
        self.source: Any = source
        # Called when it is cancelled.
        self.hooks: list[Callable[[], None]] = []
        # What it has given up when it settled, which may still be cleaning up.
        self.given_up: list[Reference] = []
        # Called when it has ended.
        self.watchers: list[Callable[[Reference], None]] = []
        self.handled = False
        self.reported = False

    # --- looking

    def end(self) -> Reference:
        """What it follows in the end."""
        promise = self
        while promise.following is not None:
            promise = promise.following
        return promise

    @property
    def dead(self) -> bool:
        return self.state != PENDING or self.cancelling

    def inspect(self) -> tuple[str, Any]:
        """The state that all can see, and the value or reason."""
        end = self.end()
        if end.state == PENDING and (self.cancelling or end.cancelling):
            return CANCELLED, None
        if self.cancelling and end.state == CANCELLED:
            return CANCELLED, None
        return end.state, end.value

    # --- settling

    def tell_all(self) -> None:
        """A job of this promise: notify its consumers, in the order in which they subscribed."""
        consumers, self.consumers = self.consumers, []
        for consumer in consumers:
            if not consumer.gone:
                consumer.notify(self)

    def tell_late(self, consumer: Any) -> None:
        """A turn of one consumer that was attached when this had settled."""
        if not consumer.gone:
            consumer.notify(self)
        else:
            consumer.too_late()

    def settle(self, state: str, value: Any) -> None:
        assert self.state == PENDING, "it settles once"
        if self.cancelling and state != CANCELLED:
            # It stays cancelled, and the failure is reported.
            failure = Reference(self.world)
            failure.handled = self.handled
            failure.reject(value)
            state, value = CANCELLED, None
        followed, self.state, self.value = self.following, state, value
        self.cancelling = False
        self.following = self.source = None
        if state == REJECTED:
            if any(consumer.handles for consumer in self.consumers):
                self.handled = True
            elif not self.handled:
                self.world.rejections.append(self)
        if self.consumers:
            self.world.queue.append(self.tell_all)
        if followed is not None:
            # Those that follow a follower are settled with it.
            for consumer in self.consumers:
                if consumer.follows and not consumer.gone:
                    consumer.notify(self)

    def fulfill(self, value: Any) -> None:
        self.settle(FULFILLED, value)

    def reject(self, reason: Any) -> None:
        self.settle(REJECTED, reason)

    def finish_cancel(self) -> None:
        self.settle(CANCELLED, None)

    def pass_on(self, parent: Reference) -> None:
        """Settle as *parent* has."""
        self.settle(parent.state, parent.value)
        if parent.state == CANCELLED:
            self.given_up = parent.given_up

    def look(self) -> None:
        """Nothing is queued: report a rejection that is not handled by now."""
        if not self.handled:
            self.reported = True
            self.world.log("unhandled", self.value)

    def mark_handled(self) -> None:
        if self.reported and not self.handled:
            self.world.log("handled after all", self.value)
        self.handled = True

    def resolve(self, value: Any) -> None:
        """The promise resolution procedure."""
        if isinstance(value, Reference):
            self.follow(value)
        elif isinstance(value, Deferred):
            self.locked = True
            Adopted(self, value)
        else:
            self.fulfill(value)

    def follow(self, other: Reference) -> None:
        end = other.end()
        if end is self or end.leads_to() is self:
            self.reject(TypeError("a promise waits for itself (circular promise resolution chain)"))
        elif other.dead or end.dead:
            if end.state == REJECTED:
                other.mark_handled()
            self.take(end)
        else:
            self.locked = True
            self.following = other
            other.followed = True
            self.source = Following(self)
            other.attach(self.source)

    def leads_to(self) -> Reference:
        """The promise whose fate this one will share, or that it waits for before it settles."""
        promise = self
        while isinstance(promise.source, Consumer) and promise.source.followed is not None:
            promise = promise.source.followed.end()
        return promise

    def may_come(self) -> bool:
        """Whether something that is queued may settle it."""
        promise, seen = self.end(), set()
        while promise.state == PENDING and promise.source is not None:
            if promise in seen:
                return False
            seen.add(promise)
            ahead = promise.source.ahead()
            if ahead is None:
                return not promise.source.from_outside()
            promise = ahead.end()
        return True

    def take(self, end: Reference) -> None:
        """Share the fate of *end*, which has one; and end when that does."""
        if end.state in (FULFILLED, REJECTED) or self.following is not None:
            self.given_up = end.given_up
        if end.state == FULFILLED:
            self.fulfill(end.value)
        elif end.state == REJECTED:
            end.mark_handled()
            self.reject(end.value)
        elif self.following is None:
            self.reject(CancellationError("the promise was cancelled (late cancellation observer)"))
        elif end.state == CANCELLED:
            self.finish_cancel()

    def under_way(self) -> Reference | None:
        """What has not settled, of this and of what it has given up."""
        found, seen = [self], []
        while found:
            promise = found.pop()
            end = promise.end()
            if end.state == PENDING:
                return promise
            if end not in seen:
                seen.append(end)
                found += end.given_up
        return None

    def when_ended(self, function: Callable[[], None]) -> None:
        """Call it from the queue once this has ended."""
        left = self.under_way()
        if left is None:
            self.world.queue.append(function)
        else:
            left.consumers.append(Ending(self, function))

    def give_up(self, promises: list[Reference]) -> None:
        """This goes on, or has settled, without others: who waits for its end waits for theirs."""
        left = [each for each in promises if each.under_way() is not None]
        # One that is cancelling settles later, without what has not ended of this.
        for promise in (self, *self.behind(cancelling=False)):
            for consumer in list(promise.consumers):
                consumer.wait_for_ends(left)

    def watch(self, callback: Callable[[Reference], None]) -> None:
        """Have it called once this has ended."""
        if not self.watchers:
            self.when_ended(self.notify_watchers)
        self.watchers.append(callback)

    def notify_watchers(self) -> None:
        """A turn for each."""
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            self.world.queue.append(lambda watcher=watcher: self.notify_one(watcher))

    def notify_one(self, watcher: Callable[[Reference], None]) -> None:
        try:
            watcher(self)
        except BaseException as error:
            self.world.log("escaped", error)

    # --- consuming

    def __await__(self) -> Any:
        state, value = self.inspect()
        if state == PENDING:
            value = yield self
        elif state == REJECTED:
            self.mark_handled()
            raise value
        elif state == CANCELLED:
            raise CancellationError.awaited(
                "the promise was cancelled (late cancellation observer)"
            )
        return value

    def attach(self, consumer: Any) -> None:
        parent = self
        if self.inspect()[0] == CANCELLED:
            parent = self.late_observer()
        elif self.state == PENDING:
            # Or it follows one that has settled, whose turn is still to come.
            self.consumers.append(consumer)
            consumer.awaited = self
            return
        elif self.state == REJECTED:
            self.mark_handled()
        consumer.awaited = parent
        self.world.queue.append(lambda: parent.tell_late(consumer))

    def cleaning(self) -> Reference | None:
        """What is still being cleaned up, if this has been cancelled."""
        end = self.end()
        promise = end if end.dead else self
        return promise if promise.cancelling else None

    def attach_for_end(self, consumer: Any) -> None:
        """As `attach`, for what sees a cancellation as it is, when the clean-up has ended."""
        cleaning = self.cleaning()
        if cleaning is None:
            self.attach(consumer)
        else:
            cleaning.consumers.append(consumer)
            consumer.awaited = cleaning

    def late_observer(self) -> Reference:
        late = Reference(self.world)
        late.handled = True
        late.reject(CancellationError("the promise was cancelled (late cancellation observer)"))
        return late

    def fails_as(self, other: Reference) -> None:
        """Be rejected at once as *other* was; a promise that was cancelled is observed late."""
        state, value = other.inspect()
        if state == CANCELLED:
            value = CancellationError("the promise was cancelled (late cancellation observer)")
        other.mark_handled()
        self.reject(value)

    # --- cancelling

    def cancel(self) -> None:
        if self.end().state == PENDING:
            cancel_all([self])

    def leave(self, stack: list[Reference], waiting: Reference | None = None) -> bool:
        """A consumer has left: whether this will be cancelled, and notify it.

        *waiting* is the promise that is not finished before.
        """
        if self.state != PENDING or self.end().state != PENDING:
            return False
        if self.cancelling:
            return waiting is None or not self.is_behind(waiting)
        if any(consumer.alive for consumer in self.consumers):
            return False
        # Those that are gone for good do not care how the cancellation ends.
        self.consumers = [consumer for consumer in self.consumers if not consumer.gone]
        stack.append(self)
        return True

    def is_behind(self, other: Reference) -> bool:
        """Whether this waits for *other*, itself or by way of others."""
        return self in other.behind()

    def behind(self, cancelling: bool = True) -> list[Reference]:
        """The promises that wait for this one, themselves or by way of others.

        Without *cancelling*, not those that are cancelling, and what waits for them.
        """
        found, behind = [self], list[Reference]()
        while found:
            for consumer in found.pop().consumers:
                for settled in [] if consumer.gone else consumer.settles():
                    if settled not in behind and (cancelling or not settled.cancelling):
                        behind.append(settled)
                        found.append(settled)
        return behind

    def drop(self) -> list[Reference]:
        """Cancel it, unless it has a consumer; and what was given up so."""
        stack: list[Reference] = []
        self.leave(stack)
        given_up = stack.copy()
        cancel_all(stack)
        return given_up


def cancel_all(stack: list[Reference]) -> None:
    """Signals run upwards at once."""
    gave_up: list[Reference] = []
    while stack:
        promise = stack.pop()
        if promise.dead or promise.end().state != PENDING:
            continue
        promise.cancelling = True
        promise.world.queue.extend(promise.hooks)
        depth = len(stack)
        if promise.source is None or not promise.source.abandon(stack):
            given_up = stack[depth:]
            promise.finish_cancel()
            promise.given_up = given_up
            gave_up.append(promise)
    for promise in reversed(gave_up):
        promise.give_up(promise.given_up)


def drop_rest(child: Reference, items: list[Any]) -> None:
    """A promise has settled: cancel what is left, the first item first."""
    stack: list[Reference] = []
    for item in reversed(items):
        if isinstance(item, Reference):
            item.leave(stack)
    child.given_up = stack.copy()
    cancel_all(stack)
    child.give_up(child.given_up)


class Of(Consumer):
    """What one promise is derived from another by: alive and gone as its child is."""

    def __init__(self, child: Reference) -> None:
        self.child = child

    @property
    def alive(self) -> bool:  # type: ignore[override]
        return not self.child.dead

    @property
    def gone(self) -> bool:  # type: ignore[override]
        return self.child.state != PENDING

    def abandon(self, stack: list[Reference]) -> bool:
        return self.awaited.leave(stack, self.child)

    def ahead(self) -> Reference | None:
        return self.awaited


class Following(Of):
    follows = True

    def notify(self, parent: Reference) -> None:
        self.child.take(parent)


class Ending(Consumer):
    """Waits for the end of a promise, and for what that does without; and is no consumer."""

    alive = handles = False

    def __init__(self, promise: Reference, function: Callable[[], None]) -> None:
        self.promise, self.function = promise, function
        self.count = 1

    def wait_for_ends(self, left: list[Reference]) -> None:
        self.count += len(left)
        for promise in left:
            promise.when_ended(self.less)

    def notify(self, parent: Reference) -> None:
        self.less()

    def less(self) -> None:
        self.count -= 1
        if not self.count:
            self.promise.when_ended(self.function)
