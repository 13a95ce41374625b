"""Handlers: what `then` and its like derive from a promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.model.reference.promise import Of, Reference, drop_rest
from tests.model.reference.world import (
    CANCELLED,
    FULFILLED,
    PENDING,
    REJECTED,
    Consumer,
    Inspection,
    World,
)


def then(parent: Reference, on_fulfilled: Any = None, on_rejected: Any = None) -> Reference:
    child = Reference(parent.world)
    child.source = Then(parent, child, on_fulfilled, on_rejected)
    return child


def catch(parent: Reference, passes: Callable[[Any], bool], handler: Any) -> Reference:
    child = then(parent, None, handler)
    child.source.passes = passes
    return child


def constant(parent: Reference, value: Any, fails: bool) -> Reference:
    """`return_` and `catch_return`: what is given may be rejected, when it is its turn."""
    if isinstance(value, Reference):
        value.mark_handled()
    give = lambda _: value  # noqa: E731
    return then(parent, None, give) if fails else then(parent, give)


def aside(parent: Reference, handler: Any, wants: set[str]) -> Reference:
    child = Reference(parent.world)
    child.source = Aside(parent, child, handler, wants)
    return child


def reflect(parent: Reference) -> Reference:
    state, value = parent.inspect()
    child = Reference(parent.world)
    if state == PENDING or parent.cleaning() is not None:
        child.source = Reflecting(parent, child)
    else:
        if state == REJECTED:
            parent.mark_handled()
        child.fulfill(Inspection(state, value))
    return child


class Then(Of):
    #: Which reasons the handler is for.
    passes: Callable[[Any], bool] | None = None

    def __init__(
        self, parent: Reference, child: Reference, on_fulfilled: Any, on_rejected: Any
    ) -> None:
        super().__init__(child)
        self.handlers = {FULFILLED: on_fulfilled, REJECTED: on_rejected}
        parent.attach(self)

    def too_late(self) -> None:
        """It was cancelled: what was its turn is its consumers'."""
        self.child.tell_all()

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
    """Leaves without cancelling; it handles a rejection when it is notified."""

    handles = False

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
