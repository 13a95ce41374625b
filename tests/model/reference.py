"""A small promise, written from the Promises/A+ text, bluebird's pages and the design alone.

It is meant to be read, not to be fast: one queue of functions; consumers in a list; a consumer
is an object with `notify`, and the source of a promise one with `abandon`.  What it says is
what `Promise` must do, turn by turn.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

PENDING, FULFILLED, REJECTED, CANCELLED = "pending", "fulfilled", "rejected", "cancelled"


class CancellationError(Exception):
    """What late observers see."""

    #: What a coroutine sees that waits for a promise that is cancelled by others.
    of_awaited = False

    @classmethod
    def awaited(cls, message: str) -> CancellationError:
        error = cls(message)
        error.of_awaited = True
        return error


class TimeoutError(Exception):
    """What a timeout rejects with."""


class AggregateError(Exception):
    """What `any` and `some` reject with."""

    def __init__(self, reasons: list[Any]) -> None:
        super().__init__()
        self.reasons = reasons


class World:
    """The queue, the clock, and what was reported."""

    def __init__(self, log: Callable[..., None]) -> None:
        self.queue: deque[Callable[[], None]] = deque()
        # What is looked at when nothing is queued: rejections, and timeouts whose time is up.
        self.rejections: list[Reference | Timeout] = []
        self.log = log
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def drain(self) -> None:
        """Run all jobs; then report unhandled rejections."""
        while self.queue or self.rejections:
            while self.queue:
                self.queue.popleft()()
            rejections, self.rejections = self.rejections, []
            for promise in rejections:
                if isinstance(promise, Timeout):
                    promise.look()
                elif not promise.handled:
                    promise.reported = True
                    self.log("unhandled", promise.value)

    def fire(self) -> None:
        """Call the timers that are due, in the order of their times."""
        while True:
            due = sorted((each for each in self.timers if each[0] <= self.now), key=lambda x: x[0])
            if not due:
                return
            self.timers.remove(due[0])
            due[0][1]()

    def flush(self) -> None:
        """Run everything that can be run now."""
        self.fire()
        while self.queue or self.rejections:
            self.drain()
            self.fire()

    def advance(self, seconds: float) -> None:
        """Run what is queued, let time pass, and run what is queued then."""
        self.flush()
        self.now += seconds
        self.fire()
        self.flush()


class Consumer:
    """A consumer of promises.  It counts, and is notified, as long as it is alive."""

    alive = True
    gone = False
    #: What it was attached to; another promise, if that had been cancelled before.
    awaited: Reference

    def notify(self, parent: Reference) -> None:
        """*parent* has settled."""
        raise NotImplementedError

    def end(self) -> None:
        """Wait for nothing more."""
        self.alive = False
        self.gone = True

    def ahead(self) -> Reference | None:
        """The promise that it waits for, if it is one."""
        return None

    def from_outside(self) -> bool:
        """Whether nothing that is queued can bring what it waits for instead."""
        return False


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
        elif isinstance(consumer, Then):
            # It was cancelled while it stood in the queue: what was its turn is its consumers'.
            consumer.child.tell_all()

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
            # A shield that is alive handles it when it is notified.
            silent = Unused, Ending, Shield
            if any(not isinstance(consumer, silent) for consumer in self.consumers):
                self.handled = True
            elif not self.handled:
                self.world.rejections.append(self)
        if self.consumers:
            self.world.queue.append(self.tell_all)
        if followed is not None:
            # Those that follow a follower are settled with it.
            for consumer in self.consumers:
                if isinstance(consumer, Following) and not consumer.gone:
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
            self.reject(TypeError("circular promise resolution chain"))
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
        while isinstance(promise.source, Using | Aside) and promise.source.followed is not None:
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
        """Share the fate of *end*, which has one."""
        if end.state == FULFILLED:
            self.fulfill(end.value)
        elif end.state == REJECTED:
            end.mark_handled()
            self.reject(end.value)
        elif self.following is None:
            self.reject(CancellationError("late cancellation observer"))
        elif end.state == CANCELLED:
            self.finish_cancel()
            self.given_up = end.given_up

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

    def watch(self, callback: Callable[[Reference], None]) -> None:
        """Have it called once this has ended."""
        if not self.watchers:
            Ending(self, self.notify_watchers).look()
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
            raise CancellationError.awaited("late cancellation observer")
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
        late.reject(CancellationError("late cancellation observer"))
        return late

    def fails_as(self, other: Reference) -> None:
        """Be rejected at once as *other* was; a promise that was cancelled is observed late."""
        state, value = other.inspect()
        if state == CANCELLED:
            value = CancellationError("late cancellation observer")
        other.mark_handled()
        self.reject(value)

    def then(self, on_fulfilled: Any = None, on_rejected: Any = None) -> Reference:
        child = Reference(self.world)
        child.source = Then(self, child, on_fulfilled, on_rejected)
        return child

    def catch(self, passes: Callable[[Any], bool], handler: Any) -> Reference:
        child = self.then(None, handler)
        child.source.passes = passes
        return child

    def constant(self, value: Any, fails: bool) -> Reference:
        """`return_` and `catch_return`: what is given may be rejected, when it is its turn."""
        if isinstance(value, Reference):
            value.mark_handled()
        give = lambda _: value  # noqa: E731
        return self.then(None, give) if fails else self.then(give)

    def aside(self, handler: Any, wants: set[str]) -> Reference:
        child = Reference(self.world)
        child.source = Aside(self, child, handler, wants)
        return child

    def reflect(self) -> Reference:
        state, value = self.inspect()
        child = Reference(self.world)
        if state == PENDING or self.cleaning() is not None:
            child.source = Reflecting(self, child)
        else:
            if state == REJECTED:
                self.mark_handled()
            child.fulfill(Inspection(state, value))
        return child

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
        found, seen = [other], [other]
        while found:
            for consumer in found.pop().consumers:
                settled = getattr(getattr(consumer, "whole", consumer), "child", None)
                if settled is self and not consumer.gone:
                    return True
                if settled is not None and settled not in seen and not consumer.gone:
                    seen.append(settled)
                    found.append(settled)
        return False

    def drop(self) -> None:
        stack: list[Reference] = []
        self.leave(stack)
        cancel_all(stack)


def cancel_all(stack: list[Reference]) -> None:
    """Signals run upwards at once."""
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


def drop_rest(child: Reference, items: list[Any]) -> None:
    """A promise has settled: cancel what is left, the first item first."""
    stack: list[Reference] = []
    for item in reversed(items):
        if isinstance(item, Reference):
            item.leave(stack)
    child.given_up = stack.copy()
    cancel_all(stack)


class Inspection:
    def __init__(self, state: str, value: Any) -> None:
        self.state, self.value = state, value


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
    def notify(self, parent: Reference) -> None:
        self.child.take(parent)


class Then(Of):
    #: Which reasons the handler is for.
    passes: Callable[[Any], bool] | None = None

    def __init__(
        self, parent: Reference, child: Reference, on_fulfilled: Any, on_rejected: Any
    ) -> None:
        super().__init__(child)
        self.handlers = {FULFILLED: on_fulfilled, REJECTED: on_rejected}
        parent.attach(self)

    def notify(self, parent: Reference) -> None:
        child = self.child
        handler = self.handlers.get(parent.state)
        if handler is None or (
            parent.state == REJECTED and self.passes is not None and not self.passes(parent.value)
        ):
            child.pass_on(parent)
            return
        child.source = None
        call_for(child, lambda: handler(parent.value))


def call_for(child: Reference, call: Callable[[], Any]) -> None:
    """Resolve a promise with what a call returns; the call itself may cancel the promise."""
    try:
        result = call()
    except BaseException as error:
        if child.dead:
            child.world.log("escaped", error)
        else:
            child.reject(error)
    else:
        if child.dead:
            discard(child, result)
        else:
            child.resolve(result)


def adopt(world: World, value: Any) -> Any:
    """A promise for a Deferred; anything else as it is."""
    if not isinstance(value, Deferred):
        return value
    promise = Reference(world)
    promise.resolve(value)
    return promise


def has_failed(item: Any) -> bool:
    """Whether it is a promise that was rejected or cancelled."""
    return isinstance(item, Reference) and item.inspect()[0] in (REJECTED, CANCELLED)


def later(world: World, item: Any) -> Any:
    """A rejection counts as handled until it is reached."""
    item = adopt(world, item)
    if isinstance(item, Reference):
        item.mark_handled()
    return item


def discard(child: Reference, result: Any) -> None:
    """The result of a handler that has cancelled its own promise has no consumer."""
    result = adopt(child.world, result)
    if isinstance(result, Reference):
        result.mark_handled()
        drop_rest(child, [result])


class Aside(Consumer):
    """A handler beside the outcome: `finally_` and `tap`."""

    def __init__(self, parent: Reference, child: Reference, handler: Any, wants: set[str]) -> None:
        self.child, self.handler, self.wants = child, handler, wants
        self.outcome: Reference | None = None
        self.handling = False
        self.followed: Reference | None = None
        parent.attach(self)

    def ahead(self) -> Reference | None:
        return None if self.handling else self.awaited

    def notify(self, parent: Reference) -> None:
        if parent is not self.awaited:
            # It was left, in a cancellation, and something else is waited for.
            return
        if self.outcome is None:
            self.outcome = parent
            self.run()
        else:
            if parent.state != FULFILLED:
                self.outcome = parent
            self.finish()

    def run(self) -> None:
        assert self.outcome is not None
        if self in self.awaited.consumers:
            self.awaited.consumers.remove(self)
        self.alive, self.gone = True, False
        state = CANCELLED if self.outcome is self.child else self.outcome.state
        try:
            result = None
            if state in self.wants:
                result = self.handler(self.outcome.value)
            if not isinstance(result, Reference | Deferred):
                self.finish()
                return
        except BaseException as error:
            self.end()
            self.child.reject(error)
            return
        # One more promise, which follows the result.
        self.handling = True
        waiting = Reference(self.child.world)
        if not self.child.dead:
            self.followed = waiting
        waiting.resolve(result)
        waiting.attach(self)
        cancelled = self.outcome is self.child or self.outcome.state == CANCELLED
        if cancelled and self.child.is_behind(self.child):
            self.finish()

    def finish(self) -> None:
        self.end()
        if self.outcome is self.child:
            self.child.finish_cancel()
        else:
            assert self.outcome is not None
            self.child.pass_on(self.outcome)

    def abandon(self, stack: list[Reference]) -> bool:
        self.followed = None
        if self.outcome is None:
            self.alive = False
            if self.awaited.leave(stack, self.child):
                return True
            # It has another consumer; or it has settled, and has not notified its consumers yet.
            self.end()
            self.child.world.queue.append(self.run)
        elif self.child.is_behind(self.child):
            # It would never end.
            self.end()
            return False
        # What runs already to clean up is seen through.
        self.outcome = self.child
        return True


class Reflecting(Consumer):
    def __init__(self, parent: Reference, child: Reference) -> None:
        self.child = child
        parent.attach_for_end(self)

    def ahead(self) -> Reference | None:
        return self.awaited

    def notify(self, parent: Reference) -> None:
        self.end()
        if self.child.cancelling:
            self.child.pass_on(parent)
        else:
            self.child.fulfill(Inspection(parent.state, parent.value))

    def abandon(self, stack: list[Reference]) -> bool:
        self.alive = False
        if self.awaited.leave(stack, self.child):
            return True
        self.end()
        return False


class Shield(Of):
    """Leaves without cancelling."""

    def __init__(self, parent: Reference, child: Reference) -> None:
        super().__init__(child)
        if parent.inspect()[0] in (REJECTED, CANCELLED):
            child.fails_as(parent)
        else:
            child.source = self
            parent.attach(self)

    def notify(self, parent: Reference) -> None:
        if parent.state == REJECTED:
            parent.mark_handled()
        self.child.pass_on(parent)

    def abandon(self, stack: list[Reference]) -> bool:
        if self in self.awaited.consumers:
            self.awaited.consumers.remove(self)
        return False


class Ending(Consumer):
    """Waits for the end of a promise, and is no consumer; what it calls then has its own turn."""

    alive = False

    def __init__(self, promise: Reference, call: Callable[[], None]) -> None:
        self.promise, self.call = promise, call

    def look(self) -> None:
        left = self.promise.under_way()
        if left is None:
            self.promise.world.queue.append(self.call)
        else:
            left.consumers.append(self)

    def notify(self, parent: Reference) -> None:
        self.look()


class Done(Consumer):
    """The end of a chain: what is not handled there is fatal."""

    def __init__(self, parent: Reference) -> None:
        self.world = parent.world
        parent.attach(self)

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == REJECTED:
            self.world.log("fatal", parent.value)


class Callback(Consumer):
    """The call of `as_callback`; none, if the promise is cancelled."""

    def __init__(self, parent: Reference, callback: Any) -> None:
        self.world, self.callback = parent.world, callback
        parent.attach(self)

    def notify(self, parent: Reference) -> None:
        self.end()
        try:
            if parent.state == FULFILLED:
                self.callback(None, parent.value)
            elif parent.state == REJECTED:
                self.callback(parent.value, None)
        except BaseException as error:
            # Its error is raised later, where no handler catches it.
            self.world.queue.append(lambda error=error: self.world.log("escaped", error))


class Running(Consumer):
    """A generator, or a coroutine, whose steps wait for what the step before has yielded."""

    def __init__(
        self,
        child: Reference,
        generator: Any,
        cancellation: type[BaseException],
        handled: list[BaseException],
    ) -> None:
        self.child, self.generator, self.cancellation = child, generator, cancellation
        # What the generator handles at the moment, if anything; and how often it has waited since
        # it swallowed a cancellation, once it has been cancelled.
        self.handled = handled
        self.went_on: int | None = None
        self.waiting = False
        self.foreign: Deferred[Any] | None = None
        self.running = self.interrupted = self.cancelled_itself = self.ended = False
        self.ready: tuple[Any, BaseException | None] | None = None
        child.locked = True
        child.source = self
        self.advance(None, None)

    def advance(self, value: Any, error: BaseException | None) -> None:
        """Steps, until one waits for what is not there."""
        self.running = True
        while True:
            try:
                if error is None:
                    yielded = self.generator.send(value)
                else:
                    yielded = self.generator.throw(error)
            except StopIteration as stop:
                self.finish(stop.value)
                return
            except BaseException as raised:
                self.fail(raised)
                return
            self.wait_for(yielded)
            if self.ready is None:
                break
            (value, error), self.ready = self.ready, None
        self.running = False
        if not self.may_wait():
            self.close()
            return
        if self.cancelled_itself:
            self.cancelled_itself = False
            stack: list[Reference] = []
            self.abandon(stack)
            cancel_all(stack)

    def finish(self, result: Any) -> None:
        self.end()
        self.ended = True
        if self.child.cancelling:
            self.child.finish_cancel()
            discard(self.child, result)
        else:
            self.child.resolve(result)

    def fail(self, error: BaseException) -> None:
        self.end()
        self.ended = True
        ends = (self.cancellation, CancellationError, CancelledError)
        passes = isinstance(error, CancellationError) and error.of_awaited
        if passes or (self.child.cancelling and isinstance(error, ends)):
            self.child.finish_cancel()
        else:
            self.child.reject(error)

    def may_wait(self) -> bool:
        """Whether it goes on; once it has swallowed a cancellation, it may only clean up."""
        if self.went_on is None or self.cancelled_itself:
            return True
        if self.handled and self.went_on != 1:
            self.cancelled_itself = self.went_on > 1
            return True
        self.went_on += 1
        if self.went_on == 1:
            self.child.world.log("swallowed", None)
        self.cancelled_itself = self.went_on == 2
        return self.went_on < 3

    def close(self) -> None:
        stack: list[Reference] = []
        self.leave(stack)
        self.waiting = False
        foreign, self.foreign = self.foreign, None
        self.end()
        self.ended = True
        self.child.finish_cancel()
        cancel_all(stack)
        if foreign is not None:
            leave_deferred(foreign, self)
        try:
            self.generator.close()
        except BaseException as error:
            self.child.world.log("escaped", error)

    # --- waiting

    def ahead(self) -> Reference | None:
        return self.awaited if self.waiting else None

    def from_outside(self) -> bool:
        return self.foreign is not None and fires_from_outside(self.foreign)

    def wait_for(self, yielded: Any) -> None:
        if isinstance(yielded, Deferred):
            self.foreign = yielded
            wait_for_deferred(yielded, self)
            return
        if not self.alive and self in self.awaited.consumers:
            # What was left, in a cancellation.
            self.awaited.consumers.remove(self)
        self.alive, self.gone = True, False
        if yielded.end().leads_to() is self.child and not self.child.dead:
            self.ready = None, TypeError("circular promise resolution chain")
            return
        self.waiting = True
        yielded.attach(self)
        if self.awaited is not yielded:
            # It was cancelled before.
            self.awaited.value.of_awaited = True

    def notify(self, parent: Reference) -> None:
        if not self.waiting or parent is not self.awaited:
            # It was left, in a cancellation.
            return
        self.waiting = False
        if parent.state == FULFILLED:
            self.go_on(parent.value, None)
        elif parent.state == REJECTED:
            self.go_on(None, parent.value)
        else:
            self.go_on(None, CancellationError.awaited("the promise was cancelled"))

    def waits(self, deferred: Deferred[Any]) -> bool:
        return self.foreign is deferred

    def fired(self, result: Any, deferred: Deferred[Any]) -> None:
        if self.foreign is not deferred:
            return
        self.foreign = None
        outcome = (None, result.value) if isinstance(result, Failure) else (result, None)
        if self.running:
            self.ready = outcome
        else:
            # At once: a Deferred knows no turns.
            self.go_on(*outcome)

    def go_on(self, value: Any, error: BaseException | None) -> None:
        if self.interrupted:
            self.interrupted = False
            self.alive = True
            self.went_on = self.went_on or 0
            if self.cancellation is GeneratorExit and (
                error is None or isinstance(error, CancellationError | CancelledError)
            ):
                value, error = None, GeneratorExit()
        self.advance(value, error)

    # --- cancelling

    def abandon(self, stack: list[Reference]) -> bool:
        if self.running:
            self.cancelled_itself = True
        elif not self.leave(stack):
            self.child.world.queue.append(self.interrupt)
        return True

    def leave(self, stack: list[Reference]) -> bool:
        if not self.waiting:
            return False
        self.alive = False
        self.interrupted = self.awaited.leave(stack, self.child)
        if not self.interrupted:
            self.waiting = False
            self.gone = True
        return self.interrupted

    def interrupt(self) -> None:
        """A job in which the cancellation is raised in it."""
        if self.ended:
            return
        stack: list[Reference] = []
        waits = self.leave(stack)
        cancel_all(stack)
        if waits:
            return
        if self.foreign is not None:
            # That answers.
            self.interrupted = True
            if leave_deferred(self.foreign, self):
                return
            self.interrupted = False
            self.foreign = None
        self.went_on = self.went_on or 0
        if self.cancellation is GeneratorExit:
            self.advance(None, GeneratorExit())
        else:
            self.advance(None, CancellationError("the coroutine was cancelled"))


def wait_for_deferred(deferred: Any, consumer: Any) -> None:
    """Several may wait for a Deferred: the first takes its result, and keeps it for the others."""
    waiting = deferred.__dict__.setdefault("waiting", [])

    def fired(result: Any) -> None:
        if result is None:
            result = getattr(deferred, "taken", None)
        deferred.taken = result
        waiting.remove(consumer)
        consumer.fired(result, deferred)

    waiting.append(consumer)
    deferred.addBoth(fired)


def leave_deferred(deferred: Any, consumer: Any) -> bool:
    """Cancel a Deferred, unless another waits for it; whether it was cancelled."""
    if any(other is not consumer and other.waits(deferred) for other in deferred.waiting):
        return False
    deferred.cancel()
    return True


def fires_from_outside(deferred: Deferred[Any]) -> bool:
    """Not if it was made of a promise."""
    canceller: Any = deferred._canceller
    return not isinstance(getattr(canceller, "__self__", None), Sink)


class Adopted:
    """A promise owns the Deferred that it was resolved with."""

    def __init__(self, promise: Reference, deferred: Deferred[Any]) -> None:
        self.promise: Reference | None = promise
        self.deferred = deferred
        promise.source = self
        wait_for_deferred(deferred, self)

    def waits(self, deferred: Deferred[Any]) -> bool:
        return self.promise is not None

    def ahead(self) -> None:
        """No promise."""

    def from_outside(self) -> bool:
        return fires_from_outside(self.deferred)

    def fired(self, result: Any, deferred: Deferred[Any]) -> None:
        promise, self.promise = self.promise, None
        if promise is not None:
            if isinstance(result, Failure):
                promise.reject(result.value)
            else:
                promise.resolve(result)

    def abandon(self, stack: list[Reference]) -> bool:
        self.promise = None
        leave_deferred(self.deferred, self)
        return False


class Sink(Consumer):
    """A Deferred made of a promise."""

    def __init__(self, promise: Reference) -> None:
        self.promise = promise
        self.deferred: Deferred[Any] = Deferred(self.cancelled)

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == FULFILLED:
            self.deferred.callback(parent.value)
        elif parent.state == REJECTED:
            self.deferred.errback(parent.value)
        else:
            self.deferred.errback(CancellationError("the promise was cancelled"))

    def cancelled(self, deferred: Deferred[Any]) -> None:
        self.end()
        self.promise.drop()


def to_deferred(promise: Reference) -> Deferred[Any]:
    state, value = promise.inspect()
    sink = Sink(promise)
    if state == FULFILLED:
        sink.deferred.callback(value)
    elif state == REJECTED:
        promise.mark_handled()
        sink.deferred.errback(value)
    elif state == CANCELLED:
        sink.deferred.errback(CancellationError("late cancellation observer"))
    else:
        promise.attach(sink)
    return sink.deferred


class FutureSink(Consumer):
    """A future made of a promise; its loop sets it, and hears when it is cancelled."""

    def __init__(self, promise: Reference, loop: AbstractEventLoop) -> None:
        self.promise, self.loop = promise, loop
        self.future: Future[Any] = loop.create_future()
        self.future.add_done_callback(self.done)
        promise.attach(self)

    def notify(self, parent: Reference) -> None:
        self.end()
        self.loop.call_soon_threadsafe(self.set, parent)

    def set(self, parent: Reference) -> None:
        if self.future.done():
            return
        if parent.state == FULFILLED:
            self.future.set_result(parent.value)
        elif parent.state == REJECTED:
            self.future.set_exception(parent.value)
        else:
            self.future.cancel()

    def done(self, future: Future[Any]) -> None:
        if future.cancelled() and not self.gone:
            self.end()
            self.promise.drop()


# --- time


class Timed(Consumer):
    def __init__(self, parent: Reference, child: Reference, seconds: float) -> None:
        self.child, self.seconds = child, seconds
        self.awaited = parent
        self.timer: Any = None

    def ahead(self) -> Reference | None:
        return self.awaited

    def start_timer(self) -> None:
        world = self.child.world
        self.timer = (world.now + self.seconds, self.fire)
        world.timers.append(self.timer)

    def stop_timer(self) -> None:
        if self.timer in self.child.world.timers:
            self.child.world.timers.remove(self.timer)

    def fire(self) -> None:
        raise NotImplementedError

    def abandon(self, stack: list[Reference]) -> bool:
        self.stop_timer()
        self.alive = False
        if self.awaited.leave(stack, self.child):
            return True
        self.end()
        return False


class Delay(Timed):
    def __init__(self, parent: Reference, child: Reference, seconds: float) -> None:
        super().__init__(parent, child, seconds)
        if parent.inspect()[0] == FULFILLED:
            self.settled = parent.end()
            self.start_timer()
        else:
            parent.attach(self)

    def ahead(self) -> Reference | None:
        return None if self.timer else self.awaited

    def from_outside(self) -> bool:
        return self.timer is not None

    def notify(self, parent: Reference) -> None:
        if parent.state == FULFILLED:
            self.settled = parent
            self.start_timer()
        else:
            self.end()
            self.child.pass_on(parent)

    def fire(self) -> None:
        self.end()
        self.child.fulfill(self.settled.value)


class Timeout(Timed):
    def __init__(self, parent: Reference, child: Reference, seconds: float) -> None:
        super().__init__(parent, child, seconds)
        if parent.inspect()[0] == PENDING:
            self.start_timer()
        parent.attach(self)

    def notify(self, parent: Reference) -> None:
        self.stop_timer()
        self.end()
        self.child.pass_on(parent)

    def fire(self) -> None:
        world = self.child.world
        if (world.queue or world.rejections) and self.awaited.may_come():
            # All that was there first has its turn.
            world.rejections.append(self)
        else:
            self.strike()

    def look(self) -> None:
        if self.gone or not self.alive:
            return
        if self.child.world.queue:
            self.child.world.rejections.append(self)
        else:
            self.strike()

    def strike(self) -> None:
        self.end()
        self.child.reject(TimeoutError("operation timed out"))
        drop_rest(self.child, [self.awaited])


# --- collections


class Listed(Consumer):
    """A collection whose items are what a promise is fulfilled with.

    *also* is what is wanted besides.
    """

    #: Whether all of its items are wanted, or one after the other.
    at_once = True

    def ahead(self) -> Reference | None:
        return self.awaited if self.at_once else None

    def __init__(
        self, parent: Reference, child: Reference, begin: Callable[..., object], *also: Any
    ) -> None:
        self.child, self.begin = child, begin
        self.also = [later(child.world, item) for item in also]
        self.watching: list[Also] = []
        child.source = self
        parent.attach(self)
        for item in self.also:
            if isinstance(item, Reference) and self.awaits_input(parent):
                if item.inspect()[0] == CANCELLED:
                    self.end()
                    child.reject(CancellationError("late cancellation observer"))
                else:
                    self.watching.append(Also(self))
                    item.attach(self.watching[-1])

    def end(self) -> None:
        super().end()
        for each in self.watching:
            each.end()

    def awaits_input(self, parent: Reference) -> bool:
        return not self.gone and parent.inspect()[0] != FULFILLED

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == FULFILLED:
            self.begin(parent.value, *self.also)
        else:
            self.child.pass_on(parent)

    def abandon(self, stack: list[Reference]) -> bool:
        self.end()
        for item in reversed([self.awaited, *self.also]):
            if isinstance(item, Reference):
                item.leave(stack)
        return False


class Also(Consumer):
    """The initial value of `reduce`, while the list is not there: a cancellation counts."""

    def __init__(self, whole: Listed) -> None:
        self.whole = whole

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == CANCELLED and not self.whole.gone:
            self.whole.end()
            self.whole.child.pass_on(parent)


class Several(Consumer):
    """Waits for the items of a list."""

    sees_cancellations = False
    #: Whether its promise was cancelled.
    left = False
    #: Whether what is left is cancelled.
    cancel_rest = False

    def __init__(self, child: Reference, items: list[Any], cancel_rest: bool = False) -> None:
        self.child = child
        child.source = self
        self.items = list(items)
        self.pending = len(items)
        self.begin()
        for index, item in enumerate(self.items):
            item = adopt(child.world, item)
            if not isinstance(item, Reference):
                self.fulfilled(index, item)
                continue
            self.items[index] = item
            state, value = item.inspect()
            if state == FULFILLED:
                self.items[index] = value
                self.fulfilled(index, value)
            elif self.gone:
                # It has settled; rejections of the other items count as handled.
                item.mark_handled()
            else:
                if state == PENDING:
                    item.attach(self)
                elif self.sees_cancellations and item.cleaning() is not None:
                    self.items[index] = item.cleaning()
                    item.attach_for_end(self)
                else:
                    item.mark_handled()
                    if state == REJECTED:
                        self.failed(item.end())
                    else:
                        self.was_cancelled(item)
        if not self.gone and not self.pending:
            self.complete()
        self.cancel_rest = cancel_rest
        if not self.left:
            self.drop_rest()

    def begin(self) -> None:
        pass

    def notify(self, parent: Reference) -> None:
        if parent.state == FULFILLED:
            index = next(index for index, item in enumerate(self.items) if item is parent)
            self.fulfilled(index, parent.value)
        else:
            self.failed(parent)
        if not self.gone and not self.pending:
            self.complete()
        self.drop_rest()

    def drop_rest(self) -> None:
        if self.cancel_rest and self.gone:
            drop_rest(self.child, self.items)

    def fulfilled(self, index: int, value: Any) -> None:
        self.pending -= 1

    def failed(self, parent: Reference) -> None:
        self.end()
        self.child.pass_on(parent)

    def was_cancelled(self, item: Reference) -> None:
        self.failed(item.late_observer())

    def complete(self) -> None:
        self.end()
        self.child.fulfill(
            [item.value if isinstance(item, Reference) else item for item in self.items]
        )

    def abandon(self, stack: list[Reference]) -> bool:
        self.left = True
        self.end()
        for item in reversed(self.items):
            if isinstance(item, Reference):
                item.leave(stack)
        return False


class All(Several):
    pass


class Props(Several):
    """`props`: the values of a mapping."""

    def __init__(self, child: Reference, items: dict[Any, Any], cancel_rest: bool = False) -> None:
        self.keys = list(items)
        super().__init__(child, list(items.values()), cancel_rest)

    def complete(self) -> None:
        self.end()
        values = [item.value if isinstance(item, Reference) else item for item in self.items]
        self.child.fulfill(dict(zip(self.keys, values, strict=True)))


class AllSettled(Several):
    sees_cancellations = True

    def failed(self, parent: Reference) -> None:
        self.pending -= 1

    def complete(self) -> None:
        self.end()
        self.child.fulfill(
            [
                Inspection(*item.inspect())
                if isinstance(item, Reference)
                else Inspection(FULFILLED, item)
                for item in self.items
            ]
        )


class Race(Several):
    def fulfilled(self, index: int, value: Any) -> None:
        if not self.gone:
            self.end()
            self.child.fulfill(value)

    def complete(self) -> None:
        """A race of nothing stays pending."""


class Some(Several):
    def __init__(
        self,
        child: Reference,
        items: list[Any],
        count: int,
        unwrap: bool,
        cancel_rest: bool = False,
    ) -> None:
        self.count, self.unwrap = count, unwrap
        self.values: list[Any] = []
        self.reasons: list[Any] = []
        self.can = len(items)
        super().__init__(child, items, cancel_rest)

    def begin(self) -> None:
        if not self.count:
            self.decide()
        elif self.can < self.count:
            self.end()
            self.child.reject(
                ValueError(
                    f"the input must contain at least {self.count} items "
                    f"but contains only {self.can} items"
                )
            )

    def fulfilled(self, index: int, value: Any) -> None:
        self.pending -= 1
        if not self.gone:
            self.values.append(value)
            self.decide()

    def failed(self, parent: Reference) -> None:
        self.pending -= 1
        self.can -= 1
        if parent.state == REJECTED:
            self.reasons.append(parent.value)
        self.decide()

    def was_cancelled(self, item: Reference) -> None:
        self.failed(item)

    def decide(self) -> None:
        if len(self.values) == self.count:
            self.end()
            self.child.fulfill(self.values[0] if self.unwrap else self.values)
        elif self.can < self.count:
            self.end()
            if self.reasons:
                self.child.reject(AggregateError(self.reasons))
            else:
                self.child.finish_cancel()


class Mapping(Consumer):
    """`map`: calls a function for each item that is there, first in, first out."""

    def __init__(
        self,
        child: Reference,
        items: list[Any],
        mapper: Any,
        limit: int | None,
        cancel_rest: bool = False,
    ) -> None:
        self.child, self.mapper, self.limit = child, mapper, limit
        self.cancel_rest = cancel_rest
        child.source = self
        self.results: list[Any] = [None] * len(items)
        self.values: dict[int, Any] = {}
        self.remaining = len(items)
        self.ready: deque[tuple[int, Any]] = deque()
        self.waiting: list[Waiting] = []
        self.active = 0
        # Nothing is called before the next turn.
        self.pumping = True
        for index, item in enumerate(items):
            self.wait(item, index, self.arrived)
        child.world.queue.append(self.pump)

    def wait(self, item: Any, index: int, then: Any) -> None:
        item = adopt(self.child.world, item)
        if not isinstance(item, Reference):
            then(index, item)
            return
        if self.gone:
            item.drop()
            return
        state, value = item.inspect()
        if state == FULFILLED:
            then(index, value)
        else:
            waiting = Waiting(self, item, index, then)
            self.waiting.append(waiting)
            item.attach(waiting)

    def arrived(self, index: int, value: Any) -> None:
        self.values[index] = value
        self.ready.append((index, value))

    def pump(self) -> None:
        if self.gone:
            return
        self.pumping = True
        while self.ready and (self.limit is None or self.active < self.limit):
            index, value = self.ready.popleft()
            try:
                result = self.mapper(value)
            except BaseException as error:
                if self.gone:
                    self.child.world.log("escaped", error)
                else:
                    self.fail(lambda error=error: self.child.reject(error))
                return
            if isinstance(result, Reference | Deferred):
                self.active += 1
                result = adopt(self.child.world, result)
                if self.gone and isinstance(result, Reference):
                    result.mark_handled()
                if not self.gone and has_failed(result):
                    self.fail(lambda result=result: self.child.fails_as(result))
                else:
                    self.wait(result, index, self.result_arrived)
            elif not self.gone:
                self.result(index, result)
            if self.gone:
                return
        self.pumping = False
        if not self.remaining:
            self.end()
            self.child.fulfill(self.collect())

    def collect(self) -> list[Any]:
        return self.results

    def result_arrived(self, index: int, result: Any) -> None:
        self.active -= 1
        self.result(index, result)

    def result(self, index: int, result: Any) -> None:
        self.results[index] = result
        self.remaining -= 1

    def fail(self, settle: Any) -> None:
        self.end()
        for waiting in self.waiting:
            waiting.end()
        settle()
        if self.cancel_rest:
            drop_rest(self.child, [waiting.promise for waiting in self.waiting])

    def abandon(self, stack: list[Reference]) -> bool:
        self.end()
        for waiting in self.waiting:
            waiting.end()
        for waiting in reversed(self.waiting):
            waiting.promise.leave(stack)
        return False


class Waiting(Consumer):
    """One thing that a `map` waits for."""

    def __init__(self, whole: Mapping, promise: Reference, index: int, then: Any) -> None:
        self.whole, self.promise, self.index, self.then = whole, promise, index, then

    def notify(self, parent: Reference) -> None:
        self.end()
        whole = self.whole
        whole.waiting.remove(self)
        if parent.state != FULFILLED:
            whole.fail(lambda: whole.child.pass_on(parent))
            return
        self.then(self.index, parent.value)
        if not whole.pumping:
            whole.pump()


class Filter(Mapping):
    """`filter`: keeps the items for which the function gives something true."""

    def collect(self) -> list[Any]:
        return [self.values[index] for index, result in enumerate(self.results) if result]


class Series(Consumer):
    """`each`, `map_series` and `reduce`: one item after the other.

    From the next turn on; or, if a promise gives the items, in the turn in which it does.
    """

    def __init__(
        self,
        child: Reference,
        kind: str,
        items: list[Any],
        start: Any,
        function: Any,
        *initial: Any,
    ) -> None:
        self.child, self.kind, self.function = child, kind, function
        child.source = self
        self.initial = [later(child.world, item) for item in initial]
        self.items = [later(child.world, item) for item in items]
        self.left = iter(self.items)
        # For `each` the items, for `map_series` what the function gave; for `reduce` the last.
        self.results: list[Any] = []
        self.step: Callable[[Any], bool]
        if all(self.wait(item, self.called) for item in self.initial):
            start(self.run)

    def wait(self, item: Any, step: Callable[[Any], bool]) -> bool:
        """Take a step with a value: whether it is there, and all goes on."""
        item = adopt(self.child.world, item)
        if not isinstance(item, Reference):
            return step(item)
        if self.gone:
            item.drop()
            return False
        state, value = item.inspect()
        if state == FULFILLED:
            return step(value)
        self.step = step
        item.attach(self)
        return False

    def notify(self, parent: Reference) -> None:
        if parent.state != FULFILLED:
            self.end()
            self.child.pass_on(parent)
        elif self.step(parent.value):
            self.run()

    def run(self) -> None:
        while not self.gone:
            try:
                item = next(self.left)
            except StopIteration:
                self.end()
                if self.kind == "reduce":
                    self.child.fulfill(self.results[-1] if self.results else None)
                else:
                    self.child.fulfill(self.results)
                return
            if not self.wait(item, self.call):
                return

    def call(self, value: Any) -> bool:
        arguments = [value]
        if self.kind == "reduce":
            if not self.results:
                return self.called(value)
            arguments.insert(0, self.results.pop())
        elif self.kind == "each":
            self.results.append(value)
        try:
            result = self.function(*arguments)
        except BaseException as error:
            if self.gone:
                self.child.world.log("escaped", error)
            else:
                self.end()
                self.child.reject(error)
            return False
        result = later(self.child.world, result)
        if not self.gone and has_failed(result):
            self.end()
            self.child.fails_as(result)
            return False
        # It may have cancelled all this.
        return self.wait(result, self.called) and not self.gone

    def called(self, result: Any) -> bool:
        if self.kind != "each":
            self.results.append(result)
        return True

    def abandon(self, stack: list[Reference]) -> bool:
        self.end()
        waiting = getattr(self, "awaited", None)
        for item in reversed([waiting, *self.items, *self.initial]):
            if isinstance(item, Reference):
                item.leave(stack)
        return False


# --- resources


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

    alive = False

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
        #: What the handler returned, which the child waits for.
        self.followed: Reference | None = None
        self.in_use: Reference | None = None
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
                raise TypeError("circular promise resolution chain")
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

    def used(self, outcome: Reference) -> None:
        if self.child.cancelling:
            outcome = self.child
        self.release_all(outcome)

    # --- releasing

    def release_all(self, outcome: Reference) -> None:
        self.step = self.release_next
        self.in_use = None
        self.outcome = outcome
        state = CANCELLED if outcome is self.child else outcome.state
        self.inspection = Inspection(state, outcome.value)
        self.left: deque[Want] = deque()
        #: What has still to come.
        self.late = self.wants
        self.under_way: Reference | None = None
        self.release_next()

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
