"""A suspended generator: what it waits for, how it is resumed, and how it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import Context
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._bridge.deferreds import cancel_deferred, fires_from_outside
from .._bridge.outcomes import exception_in
from .._bridge.shared import keep_failure, leave_to_others, taken_from
from .._core import hooks
from .._core.cancelling import cancel_all, leave
from .._core.ending import finish_without
from .._core.jobs import call_soon
from .._core.reactions import Node, subscribe
from .._core.settling import lock
from .._core.states import (
    CANCELLED,
    CANCELLING,
    FULFILLED,
    LOOKED_AT,
    CorePromise,
    is_promise,
)
from .._core.subscribers import remove_subscriber
from .._util.errors import of_awaited
from .._util.exceptions import get_traceback, set_traceback
from .._util.running import outside_tasks
from .awaiting import AWAIT, Awaiter
from .insisting import CLOSE, WAIT, Insistence

__all__ = ["RUNNING", "Suspension"]

#: The value of `_waiting` while the generator runs.
RUNNING: Final = object()


class Suspension(Node):
    """The half of a `Runner` that waits; the states of both are described there."""

    __slots__ = (
        "_answer_error",
        "_cancelled_itself",
        "_class",
        "_context",
        "_deferred",
        "_generator",
        "_given_up",
        "_interrupted",
        "_left",
        "_loop",
        "_ready",
        "_sends",
        "_special",
        "_waiting",
    )

    #: Set once the promise is cancelled: the error with which the wait ended after that.  A
    #: Deferred may have another one than Twisted's.
    _answer_error: BaseException | None

    #: Set together with `_special`: whether its outcome is sent in, or thrown in; if not, the
    #: generator reads the outcome from the promise itself.
    _sends: bool

    def __init__(self, promise: CorePromise, generator: Any) -> None:
        Node.__init__(self, promise)
        # The class of the promise, and of most that are yielded.
        self._class = type(promise)
        self._generator: Any = generator
        # The generator's own context, once it has set anything in it.
        self._context: Context | None = None
        # The promise that is waited for, if its value is all that the generator needs, as in most
        # steps; or `RUNNING`.
        self._waiting: Any = None
        # The promise that is waited for in all other cases: the generator has a context, is
        # being cancelled, or reads the outcome itself.
        self._special: CorePromise | None = None
        # The Deferred that is waited for.
        self._deferred: Any = None
        # The promise that was left by a cancellation, and still has this among its subscribers.
        self._left: CorePromise | None = None
        # What is waited for has been cancelled, and still has to finish.
        self._interrupted = False
        # All that was cancelled with the generator, and may not have ended: a thread.
        self._given_up: tuple[CorePromise, ...] = ()
        # The generator has cancelled its own promise: it is interrupted where it waits next.  Or
        # it has been interrupted: this decides where it waits next.
        self._cancelled_itself: bool | Insistence = False
        # What to send or to throw in next.  Not an argument of `_advance`: errors refer, by their
        # tracebacks, to the frames that lead to the generator.
        self._ready: tuple[Any, BaseException | None] | None = (None, None)
        # An asyncio loop that runs where the generator is started.  A task of a loop may resume
        # the generator, which is no part of that task; without a loop none can.
        self._loop: asyncio.AbstractEventLoop | None = None
        lock(promise, self)

    def _advance(self) -> None:
        """Run the generator, first with what is in `_ready`, until it waits for what is pending."""
        # Abstract: `Runner` defines it.
        raise NotImplementedError(type(self))

    def _advance_outside(self) -> None:
        """The same, if the caller may be an asyncio task."""
        outside_tasks(self._advance)

    # --- waiting

    def _take(self, yielded: Any) -> bool:
        """Wait for what was yielded; return whether the generator goes on at once."""
        if self._left is not None:
            remove_subscriber(self._left, self)
            self._left = None
            self.consume()
        kind = type(yielded)
        try:
            if kind is Awaiter:
                # `await_promise` reads the outcome from the promise.
                self._wait_for(yielded._promise, False)
            elif issubclass(kind, CorePromise):
                self._wait_for(yielded)
            elif issubclass(kind, Deferred):
                self._deferred = yielded
                yielded.addBoth(self, yielded)
            else:
                self._wait_for_other(yielded)
        except BaseException as raised:
            self._ready = None, raised
        if self._ready is not None:
            return True
        if self._waiting is RUNNING:
            self._waiting = None
        if self._cancelled_itself:
            self._stop_here()
        return False

    def _stop_here(self) -> None:
        """Interrupt the generator where it has begun to wait, if that is due."""
        if isinstance(self._cancelled_itself, Insistence):
            decision = self._cancelled_itself.decide(self._generator)
            if decision is WAIT:
                return
            if decision is CLOSE:
                self._give_up()
                return
        else:
            self._cancelled_itself = False
        stack: list[CorePromise] = []
        # Cancellers are no part of the generator, whose context this may be.
        Context().run(self._stop, stack)
        Context().run(cancel_all, stack)

    def _wait_for(self, promise: CorePromise, sends: bool = True) -> None:
        if promise._state & LOOKED_AT:
            # If it was cancelled before, another promise notifies this runner.
            late = self.observe(promise)
            if late is not promise:
                of_awaited(late._value)
                promise = late
        if sends and self._context is None:
            self._waiting = promise
        else:
            self._waiting = None
            self._special = promise
            self._sends = sends
        subscribe(promise, self)

    def _wait_for_other(self, yielded: Any) -> None:
        """Wait for something other than a promise or a Deferred, or raise `TypeError`."""
        # Abstract: generators and coroutines each take other values.
        raise NotImplementedError(type(self))

    def _receive(self, parent: CorePromise) -> bool:
        """A promise has settled; return whether the generator goes on with its outcome."""
        if parent is self._waiting:
            self._waiting = None
            sends = True
        elif parent is self._special:
            self._special = None
            sends = self._sends
        else:
            # A cancellation has left it.
            return False
        value = error = None
        if sends:
            if parent._state & FULFILLED:
                value = parent._value
            elif not self._looks_itself():
                error = hooks.host.exception_of(parent)
                if get_traceback(error) is None:
                    set_traceback(error, AWAIT)
        self._ready = value, error
        self._answer()
        return True

    def _looks_itself(self) -> bool:
        """Whether the generator takes the reason of a rejection from the promise itself."""
        return False

    def __call__(self, result: Any, deferred: Any) -> None:
        """The callback of a Deferred, whose result becomes None.

        `Deferred.__await__` reads the result from the Deferred all the same, within this callback.
        """
        if result is None and deferred._taken_by_promise is not None:
            # `Deferred.__await__` reads it there.
            result = deferred.result = taken_from(deferred)
        error = None
        if issubclass(type(result), Failure):
            failure: Any = result
            keep_failure(deferred, failure)
            error = exception_in(failure)
            result = failure = None
        else:
            deferred._taken_by_promise = result
        if self._deferred is not deferred:
            # A cancellation has left it.
            return
        self._deferred = None
        self._ready = result, error
        # If the Deferred had fired before, the loop in `_advance` goes on with the result.
        if self._waiting is not RUNNING:
            if self._interrupted:
                self._answer()
            # The error's traceback refers to this frame.
            del result, error
            if self._loop is None:
                self._advance()
            else:
                self._advance_outside()

    def _waits_for(self, deferred: Deferred[Any]) -> bool:
        """Whether a Deferred that has this among its callbacks is still waited for."""
        return self._deferred is deferred

    def _answer(self) -> None:
        """The wait is over: interrupt, if this runner cancelled what was waited for."""
        if self._interrupted:
            self._interrupted = False
            self.consume()
            self._insist()
            assert self._ready is not None
            self._ready = self._answered(*self._ready)
            if self._promise._state & CANCELLING:
                self._answer_error = self._ready[1]

    def awaited(self) -> CorePromise | None:
        """The promise that the generator waits for, if it is one."""
        waiting = self._waiting or self._special
        return waiting if is_promise(waiting) else None

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        if self._waiting is RUNNING:
            return (("the coroutine, which runs", None),)
        ahead = self.awaited() or self._deferred
        return () if ahead is None else (("", ahead),)

    def from_outside(self) -> bool:
        """Whether the generator waits for a Deferred that nothing that is queued can fire."""
        return self._deferred is not None and fires_from_outside(self._deferred)

    # --- being interrupted

    def _settles(self, awaited: CorePromise) -> list[CorePromise]:
        return [] if awaited is self._left else Node._settles(self, awaited)

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self._stop(stack)
        return True

    def _stop(self, stack: list[CorePromise]) -> None:
        """Interrupt the generator where it waits, or waits next; *stack* as in `_abandon`."""
        if self._waiting is RUNNING:
            self._cancelled_itself = True
        elif not self._leave(stack):
            call_soon(self._class, self._interrupt)

    def _leave(self, stack: list[CorePromise]) -> bool:
        """Leave the promise that is waited for.

        Returns:
            True if that is cancelled with this runner, and will notify it when its clean-up has
            ended.
        """
        waiting: CorePromise | None = self._waiting
        if waiting is not None:
            self._waiting = None
            self._special = waiting
            self._sends = True
        waiting = self._special
        if waiting is None:
            return False
        self.stop_consuming()
        self._interrupted = leave(waiting, stack, self._promise)
        if not self._interrupted:
            self._special, self._left = None, waiting
        elif self._promise._state & CANCELLING:
            # Or a task of asyncio's has a timeout inside.
            self._given_up += (waiting,)
        return self._interrupted

    def _interrupt(self) -> None:
        """Throw the cancellation into the generator, in a job of its own."""
        if self._state & CANCELLED:
            return
        if self._waiting is RUNNING:
            # The generator itself is running the queue.
            self._cancelled_itself = self._cancelled_itself or True
            return
        stack: list[CorePromise] = []
        waits = self._leave(stack)
        # Cancellers run in what the generator has set, and set nothing there.
        context = Context() if self._context is None else self._context.copy()
        context.run(cancel_all, stack)
        if waits:
            return
        deferred = self._deferred
        if deferred is not None and not leave_to_others(deferred, self):
            self._interrupted = True
            try:
                context.run(cancel_deferred, deferred)
            except BaseException as error:
                hooks.host.escaped(error)
            else:
                # The Deferred resumes the generator, at once or later.
                return
            if self._deferred is not deferred:
                return
            self._interrupted = False
        self._deferred = None
        self._insist()
        self._ready = None, self._cancellation()
        self._advance()

    def _insist(self) -> None:
        """Prepare to throw a cancellation in, so that it is not just swallowed."""
        if not self._cancelled_itself:
            self._cancelled_itself = Insistence(self._generator)

    def _give_up(self) -> None:
        """End a generator that waits again, whatever is thrown in."""
        stack: list[CorePromise] = []
        self._leave(stack)
        generator, deferred = self._generator, self._deferred
        self._deferred = None
        context = Context() if self._context is None else self._context.copy()
        finish_without(self.finish(), self._given_up)
        context.run(cancel_all, stack)
        ends = [generator.close]
        if deferred is not None and not leave_to_others(deferred, self):
            ends.insert(0, partial(cancel_deferred, deferred))
        for end in ends:
            try:
                context.run(end)
            except BaseException as error:
                hooks.host.escaped(error)

    def _answered(
        self, value: Any, error: BaseException | None
    ) -> tuple[Any, BaseException | None]:
        """How to go on when what was waited for has finished after its cancellation."""
        return value, error

    def _cancellation(self) -> BaseException:
        """The error that a cancellation throws in."""
        # Abstract: generators are closed, coroutines get a `CancellationError`.
        raise NotImplementedError(type(self))
