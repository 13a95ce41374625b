"""Generators and coroutines."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from tests.model.reference.deferreds import fires_from_outside, leave_deferred, wait_for_deferred
from tests.model.reference.handlers import discard
from tests.model.reference.promise import Reference, cancel_all
from tests.model.reference.world import FULFILLED, REJECTED, CancellationError, Consumer


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
        # The promises that were cancelled with it.
        self.given_up: list[Reference] = []
        self.foreign: Deferred[Any] | None = None
        # The error with which what it waited for has answered its cancellation.
        self.answer: BaseException | None = None
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
            self.finish_cancel()
            discard(self.child, result)
        else:
            self.child.resolve(result)

    def fail(self, error: BaseException) -> None:
        self.end()
        self.ended = True
        ends = (self.cancellation, CancellationError, CancelledError)
        passes = isinstance(error, CancellationError) and error.of_awaited
        if passes or (self.child.cancelling and (isinstance(error, ends) or error is self.answer)):
            self.finish_cancel()
        else:
            self.child.reject(error)

    def finish_cancel(self) -> None:
        self.child.finish_cancel()
        self.child.given_up = self.given_up
        self.child.give_up(self.given_up)

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
        self.finish_cancel()
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
            self.ready = (
                None,
                TypeError("a promise waits for itself (circular promise resolution chain)"),
            )
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
            if self.child.cancelling:
                self.answer = error
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
        if self.interrupted:
            self.given_up.append(self.awaited)
        else:
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
