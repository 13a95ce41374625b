"""What drives generators and coroutines: each step waits for what the step before yielded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, ClassVar

from .._core import contexts, hooks
from .._core.cancelling import discard
from .._core.ending import finish_without
from .._core.jobs import call_soon
from .._core.resolving import adopters, resolve
from .._core.settling import fulfill, lock, reject_raised
from .._core.states import CANCELLING, FULFILLED, LOOKED_AT, CorePromise, new_pending
from .._util.errors import CANCELLATIONS, passes_cancellation
from .suspension import RUNNING, Suspension

__all__ = ["Runner"]


class Runner(Suspension):
    """Runs a generator or coroutine to its end, and resolves a promise with its result.

    It is in one of these states:

    * **running**: the generator runs; `_waiting` is `RUNNING`;
    * **suspended**: the generator waits for a promise (`_waiting`; or `_special`, if there is
      more to do than to send in a value) or for a Deferred (`_deferred`);
    * **interrupted**: the promise was cancelled, and the runner has left what it waited for.  If
      that is cancelled, too (`_interrupted`), the generator goes on when that has finished; else
      (`_left`) in a job of its own, `_interrupt`.  A generator that has cancelled its own promise
      (`_cancelled_itself`) is interrupted where it waits next;
    * **ended**: by `finish`, as any `Node`.

    Interrupted, the generator runs and waits as before, until it ends; see `insisting`.

    Args:
        promise: What to resolve.
        generator: Has ``send``, ``throw`` and ``close``.
    """

    __slots__ = ()

    #: A result that this would follow is a plain value.
    _as_it_is: ClassVar[Any] = None

    def start(self) -> None:
        """Run up to the first thing to wait for."""
        outer = self.begin()
        try:
            self._advance()
        finally:
            if outer is not None:
                self.began(outer)

    def begin(self) -> Any:
        """Prepare the first step, so that it is not part of the asyncio task that makes the call.

        This is a call of its own, not one around that step, so that coroutines that call
        themselves can go deeper.

        Returns:
            The argument for `began` after that step; None if no call is needed.
        """
        context = copy_context()
        if not self._promise._library.async_hooks:
            context = Context()
        self._context = context
        loop = asyncio._get_running_loop()
        if loop is None:
            if contexts.driving:
                return None
            contexts.driving = True
            return None, None, False
        if self._loop is None:
            self._loop = loop
        task = asyncio.current_task(loop)
        if task is not None:
            asyncio._leave_task(loop, task)
        outer, contexts.driving = contexts.driving, True
        return loop, task, outer

    def began(self, outer: Any) -> None:
        """Undo `begin`, with its result."""
        loop, task, contexts.driving = outer
        if task is not None:
            asyncio._enter_task(loop, task)

    # --- steps

    def _notify(self, parent: CorePromise) -> None:
        if (
            parent is not self._waiting
            or not parent._state & FULFILLED
            or hooks.observer is not None
        ):
            if self._receive(parent):
                # The traceback of its reason refers to this frame.
                del parent
                self._advance()
            return
        # Most steps: what `_advance` does with a value, if the generator has nothing in its
        # context.  In one call, which makes a step a fifth cheaper.
        self._waiting = RUNNING
        try:
            yielded = self._generator.send(parent._value)
        except StopIteration as stop:
            result = stop.value
        except BaseException as error:
            self._fail(error)
            return
        else:
            if (
                type(yielded) is self._class
                and yielded._subscribers is None
                and not yielded._state & LOOKED_AT
                and not self._cancelled_itself
                and not contexts.scratch
                and hooks.observer is None
            ):
                # Like `subscribe`, inlined: that saves a tenth of a step.
                self._waiting = yielded
                yielded._subscribers = self
                # Nothing has been raised that could refer to this frame.
                return
            # If it has set something, it keeps the context.
            self._context = contexts.scratch or None
            if self._take(yielded):
                if self._context is None:
                    self._advance()
                else:
                    # The context cannot be entered again before this job ends.
                    call_soon(self._class, self._advance)
            return
        # Not where StopIteration is handled: it would be the context of what follows.
        self._context = contexts.scratch or None
        self._return(result)

    def _advance(self) -> None:
        while True:
            assert self._ready is not None
            value, error = self._ready
            self._ready = None
            self._waiting = RUNNING
            if self._context is None:
                self._context = Context()
            step: Any = self._generator.send if error is None else self._thrower(error)
            if hooks.observer is not None:
                step = hooks.observer.watched(self._promise, step, False)
            try:
                yielded = self._context.run(step, value if error is None else error)
            except StopIteration as stop:
                result = stop.value
                break
            except BaseException as raised:
                self._fail(raised)
                return
            finally:
                # The traceback of the error leads to this frame.
                del value, error, step
            # An empty context need not be kept: most have nothing in them.
            self._context = self._context or None
            if not self._take(yielded):
                return
        # Not where StopIteration is handled: it would be the context of what follows.
        self._context = self._context or None
        self._return(result)
        # It may be an error that was thrown in, whose traceback refers to this frame.
        del result

    def _thrower(self, error: BaseException) -> Callable[[BaseException], Any]:
        """The function that throws an error into the generator."""
        thrower: Callable[[BaseException], Any] = self._generator.throw
        return thrower

    def _wait_for_followed(self, followed: Any, sends: bool = True) -> None:
        """Wait for what is followed; *sends* as in `_sends`."""
        promise = new_pending(self._class, owner=self._promise)
        self._in_context(self._context, resolve, promise, followed)
        self._wait_for(promise, sends)

    @staticmethod
    def _in_context(
        context: Context | None,
        settle: Callable[[CorePromise, Any], None],
        promise: Any,
        value: Any,
    ) -> None:
        """Settle a promise with a generator's result, which may be a coroutine, in *context*.

        A coroutine is part of the generator: it sees what the generator has set, as if it had been
        awaited, and others do not see what it sets; nor does it see the context in which the
        generator happens to be resumed.
        """
        copy = Context() if context is None else context.copy()
        copy.run(settle, promise, value)

    # --- the end

    def _return(self, result: Any) -> None:
        context = self._context
        promise = self.finish()
        adopter = adopters[type(result)]
        if promise._state & CANCELLING:
            self._answer_error = None
            finish_without(promise, self._given_up)
            self._in_context(context, discard, promise, result)
        elif adopter is not None and adopter is not self._as_it_is:
            # This runner cannot stop it any more.
            lock(promise)
            self._in_context(context, resolve, promise, result)
        else:
            fulfill(promise, result)

    def _fail(self, error: BaseException) -> None:
        context = self._context
        promise = self.finish()
        cancelled = passes_cancellation(error)
        if promise._state & CANCELLING:
            # What answers the cancellation is no error of the clean-up.
            answer = getattr(self, "_answer_error", None)
            cancelled = cancelled or issubclass(type(error), CANCELLATIONS) or error is answer
            self._answer_error = None
        if cancelled:
            finish_without(promise, self._given_up)
        else:
            # The first frame of the traceback is that of `_advance`.
            reject_raised(promise, error, context)

    def _release(self) -> None:
        self._generator = self._context = self._deferred = None
        self._waiting = self._special = None
