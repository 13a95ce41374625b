"""A suspended generator: what it waits for, how it is resumed, and how it is interrupted."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._bridge.deferreds import cancel_deferred
from .._bridge.outcomes import traceback_of
from .._core import hooks
from .._core.cancelling import cancel_all, leave
from .._core.jobs import call_soon
from .._core.reactions import Node, subscribe
from .._core.settling import lock
from .._core.states import CANCELLED, FULFILLED, LOOKED_AT, CorePromise, is_promise
from .._core.subscribers import remove_subscriber
from .._util.errors import as_exception
from .._util.exceptions import set_traceback
from .._util.running import outside_tasks
from .awaiting import Awaiter

__all__ = ["RUNNING", "Suspension"]

#: What a runner "waits for" while its generator runs.
RUNNING: Final = object()


class Suspension(Node):
    """The half of a `Runner` that waits; the states of both are described there."""

    __slots__ = (
        "_cancelled_itself",
        "_class",
        "_context",
        "_deferred",
        "_generator",
        "_interrupted",
        "_left",
        "_loop",
        "_ready",
        "_sends",
        "_special",
        "_waiting",
    )

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
        # The generator has cancelled its own promise: it is interrupted where it waits next.
        self._cancelled_itself = False
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
        """The same, where a task of asyncio's may make the call."""
        outside_tasks(self._advance)

    # --- waiting

    def _take(self, yielded: Any) -> bool:
        """Wait for what was yielded; returns whether the generator goes on at once."""
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
            self._cancelled_itself = False
            stack: list[CorePromise] = []
            # Cancellers are no part of the generator, whose context this may be.
            Context().run(self._stop, stack)
            Context().run(cancel_all, stack)
        return False

    def _wait_for(self, promise: CorePromise, sends: bool = True) -> None:
        if promise._state & LOOKED_AT:
            # If it was cancelled before, another promise notifies this runner.
            promise = self.observe(promise)
        if sends and self._context is None:
            self._waiting = promise
        else:
            self._waiting = None
            self._special = promise
            self._sends = sends
        subscribe(promise, self)

    def _wait_for_other(self, yielded: Any) -> None:
        """Wait for a value that is no promise and no Deferred, or raise `TypeError`."""
        # Abstract: generators and coroutines each take other values.
        raise NotImplementedError(type(self))

    def _receive(self, parent: CorePromise) -> bool:
        """A promise has settled; returns whether the generator goes on with its outcome."""
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
        self._ready = value, error
        self._answer()
        return True

    def _looks_itself(self) -> bool:
        """Whether the generator takes the reason of a rejection from the promise itself."""
        return False

    def __call__(self, result: Any, deferred: Deferred[Any]) -> None:
        """The callback of a Deferred, whose result is None from now on.

        `Deferred.__await__` reads the result from the Deferred all the same, within this callback.
        """
        if self._deferred is not deferred:
            # A cancellation has left it.
            return
        self._deferred = None
        error = None
        if issubclass(type(result), Failure):
            error = as_exception(result.value)
            set_traceback(error, traceback_of(result))
            result = None
        self._ready = result, error
        # If the Deferred had fired before, the loop in `_advance` goes on with the result.
        if self._waiting is not RUNNING:
            self._answer()
            # The error's traceback refers to this frame.
            del result, error
            if self._loop is None:
                self._advance()
            else:
                self._advance_outside()

    def _answer(self) -> None:
        """What is waited for has finished: if it was cancelled by this runner, interrupt."""
        if self._interrupted:
            self._interrupted = False
            self.consume()
            assert self._ready is not None
            self._ready = self._answered(*self._ready)

    def awaited(self) -> CorePromise | None:
        """The promise at which the generator waits, if it is one."""
        waiting = self._waiting or self._special
        return waiting if is_promise(waiting) else None

    # --- being interrupted

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
            True if that is cancelled with this runner, and will notify it: what it still has to
            finish comes first.
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
        self._interrupted = leave(waiting, stack)
        if not self._interrupted:
            self._special, self._left = None, waiting
        return self._interrupted

    def _interrupt(self) -> None:
        """Throw the cancellation into the generator, in a job of its own."""
        if self._state & CANCELLED:
            return
        if self._waiting is RUNNING:
            # The generator itself is running the queue.
            self._cancelled_itself = True
            return
        stack: list[CorePromise] = []
        waits = self._leave(stack)
        # Cancellers run in what the generator has set, and set nothing there.
        context = Context() if self._context is None else self._context.copy()
        context.run(cancel_all, stack)
        if waits:
            return
        deferred = self._deferred
        if deferred is not None:
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
            self._deferred = None
            self._interrupted = False
        self._ready = None, self._cancellation()
        self._advance()

    def _answered(
        self, value: Any, error: BaseException | None
    ) -> tuple[Any, BaseException | None]:
        """How to go on when what was waited for has finished after its cancellation."""
        return value, error

    def _cancellation(self) -> BaseException:
        """What a cancellation throws in."""
        # Abstract: generators are closed, coroutines get a `CancellationError`.
        raise NotImplementedError(type(self))
