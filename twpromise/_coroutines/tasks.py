"""Coroutines as asyncio tasks: how they are driven if promises run on an asyncio loop.

`asyncio.timeout`, `TaskGroup` and the libraries that build on asyncio look up the task that runs,
and cancel it.  So the runner of a coroutine takes part as a third-party task, by the functions
that asyncio documents for that, and has the methods that are called on a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextvars import Context
from typing import Any, Final

from .._core.cancelling import cancel_for
from .._core.settling import start_cancelling
from .._core.states import CANCELLED, CorePromise
from .._util.errors import CANCELLATIONS
from . import awaiting
from .asyncio_task import CoroutineTask
from .coroutines import CoroutineRunner
from .runner import Runner
from .suspension import RUNNING

__all__ = ["TaskRunner", "adopt_coroutine"]

#: The value of `_waiting` once the loop has been asked to resume the coroutine.
WOKEN: Final = object()

_cancel = asyncio.Future.cancel
_set_result = asyncio.Future.set_result
_set_exception = asyncio.Future.set_exception


def _ignore(future: Any, waiter: Any) -> None:
    """Python records which task awaits a future since 3.14."""


# For `asyncio.print_call_graph`.
_add_awaited_by: Any = getattr(asyncio, "future_add_to_awaited_by", _ignore)
_discard_awaited_by: Any = getattr(asyncio, "future_discard_from_awaited_by", _ignore)


class TaskRunner(CoroutineRunner):
    """Runs a coroutine as a task of an asyncio loop.

    Beside the states of a `Runner`, a suspended coroutine may wait for a future of that loop
    (`_future`), or for the next turn of the loop (`_waiting` is `WOKEN`).  The loop resumes it then
    by `_wake`, and the cancellation that comes meanwhile is thrown in there.

    Args:
        promise: What to resolve.
        coroutine: What to run.
        loop: The loop that promises run on; it need not be running yet.
    """

    __slots__ = ("_due", "_future", "_task")

    _loop: Any

    def __init__(
        self,
        promise: CorePromise,
        coroutine: Coroutine[Any, Any, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        CoroutineRunner.__init__(self, promise, coroutine)
        self._loop = loop
        self._future: Any = None
        # A cancellation is still to be thrown in by `_interrupt`, which the loop, the queue or
        # both have been asked to call.
        self._due = False
        task: Any = CoroutineTask(loop=loop)
        self._task: Any = task
        task._coro = coroutine
        task._runner = self

    # --- steps

    def begin(self) -> Any:
        """See `Runner`; the first step is part of the task, once its loop runs."""
        outer = CoroutineRunner.begin(self)
        loop, task, driven = self._loop, self._task, awaiting.driven
        runs = loop.is_running()
        asyncio._register_task(task)
        if runs:
            asyncio._enter_task(loop, task)
            awaiting.driven = task
        return loop, task if runs else None, driven, outer

    def began(self, outer: Any) -> None:
        """Restore what `begin` has changed, with its result."""
        loop, task, driven, outer = outer
        if task is not None:
            awaiting.driven = driven
            asyncio._leave_task(loop, task)
        if outer is not None:
            CoroutineRunner.began(self, outer)

    def _notify(self, parent: CorePromise) -> None:
        # Most steps: as `_advance`, which this may call.
        loop, task = self._loop, self._task
        if loop.is_running():
            asyncio._enter_task(loop, task)
            outer, awaiting.driven = awaiting.driven, task
            try:
                CoroutineRunner._notify(self, parent)
            finally:
                awaiting.driven = outer
                asyncio._leave_task(loop, task)
                # Tracebacks refer to this frame: of the parent's reason, of the task's exception.
                del parent, task
        else:
            CoroutineRunner._notify(self, parent)

    def _advance(self) -> None:
        if awaiting.driven is self._task or not self._loop.is_running():
            # It has been entered; or its loop does not run yet, and has no current task.
            CoroutineRunner._advance(self)
            return
        loop, task = self._loop, self._task
        asyncio._enter_task(loop, task)
        outer, awaiting.driven = awaiting.driven, task
        try:
            CoroutineRunner._advance(self)
        finally:
            awaiting.driven = outer
            asyncio._leave_task(loop, task)
            # The traceback of the task's exception refers to this frame.
            del task

    def _wait_for_other(self, yielded: Any) -> None:
        if yielded is None:
            # ``asyncio.sleep(0)``: callbacks of the loop run before the coroutine goes on.
            self._wake_soon()
        elif asyncio.isfuture(yielded) and yielded.get_loop() is self._loop:
            if yielded is self._task:
                raise RuntimeError(f"a coroutine cannot await its own task: {yielded!r}")
            yielded._asyncio_future_blocking = False
            _add_awaited_by(yielded, self._task)
            yielded.add_done_callback(self._wake, context=Context())
            self._future = yielded
        else:
            CoroutineRunner._wait_for_other(self, yielded)

    def _wake_soon(self) -> None:
        self._waiting = WOKEN
        self._loop.call_soon(self._wake, context=Context())

    def _wake(self, future: Any = None) -> None:
        """The loop resumes the coroutine, which reads the result of the future in `__await__`."""
        if future is not None:
            _discard_awaited_by(future, self._task)
        # The traceback of its exception refers to this frame.
        del future
        self._future = None
        if self._cancelled_itself:
            self._cancelled_itself = False
            self._ready = None, self._cancellation()
        elif self._ready is None:
            self._ready = None, None
        self._advance()

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        if self._future is not None:
            return (("", self._future),)
        if self._waiting is WOKEN:
            return (("the next turn of the loop", None),)
        return CoroutineRunner.waits(self)

    # --- being cancelled

    def cancel_task(self) -> None:
        """Throw asyncio's CancelledError into the coroutine, which may catch it.

        As in asyncio, the coroutine does not wait until what it waited for has cleaned up; and the
        loop, which may be about to end, resumes it, not the queue.
        """
        if self._halt():
            return
        waiting: Any = self._waiting or self._special
        if waiting is None:
            # A Deferred may resume the coroutine at once.
            self._due = True
            self._loop.call_soon(self._interrupt, context=Context())
            return
        stack: list[CorePromise] = []
        self._leave(stack)
        self._interrupted = False
        self._special, self._left = None, waiting
        self._ready = None, self._cancellation()
        self._wake_soon()
        Context().run(cancel_for, stack, self._promise)

    def _halt(self) -> bool:
        """Cancel the coroutine where it runs, or where the loop will resume it.

        Returns:
            False if it waits for a promise or a Deferred.
        """
        if self._future is not None:
            if not self._future.cancel(msg=self._task._cancel_message):
                self._cancelled_itself = True
        elif self._waiting is RUNNING or self._waiting is WOKEN:
            self._cancelled_itself = True
        else:
            return False
        return True

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self._task._requests += 1
        self._task._cancel_message = None
        return CoroutineRunner._abandon(self, stack)

    def _stop(self, stack: list[CorePromise]) -> None:
        if not self._halt():
            self._due = True
            CoroutineRunner._stop(self, stack)

    def _interrupt(self) -> None:
        if not self._due:
            # As in asyncio: requests that come together throw in one CancelledError.
            return
        self._due = False
        if not self._halt():
            CoroutineRunner._interrupt(self)

    def _insist(self) -> None:
        """Do nothing: as in asyncio, a coroutine that catches the cancellation goes on."""

    def _receive(self, parent: CorePromise) -> bool:
        interrupted = self._interrupted
        if not CoroutineRunner._receive(self, parent):
            return False
        if interrupted and parent._state & CANCELLED:
            self._ready = None, self._cancellation()
        return True

    def _answered(
        self, value: Any, error: BaseException | None
    ) -> tuple[Any, BaseException | None]:
        # What a Deferred says that was cancelled.
        return value, self._cancellation() if isinstance(error, CANCELLATIONS) else error

    def _cancellation(self) -> BaseException:
        message = self._task._cancel_message
        return asyncio.CancelledError() if message is None else asyncio.CancelledError(message)

    # --- the end

    def _return(self, result: Any) -> None:
        promise, task = self._promise, self._task
        task._runner = None
        if self._cancelled_itself:
            # As in asyncio: it has ended before the cancellation could be thrown in.
            start_cancelling(promise)
        try:
            CoroutineRunner._return(self, result)
        finally:
            # Also if Python's stack is used up: the loop waits for its tasks.
            if promise._state & CANCELLED:
                _cancel(task, task._cancel_message)
            else:
                _set_result(task, result)

    def _fail(self, error: BaseException) -> None:
        promise, task = self._promise, self._task
        # The traceback leads to frames that refer to this runner.
        task._runner = self._task = None
        if isinstance(error, asyncio.CancelledError):
            start_cancelling(promise)
        try:
            CoroutineRunner._fail(self, error)
        finally:
            # As above.
            if promise._state & CANCELLED:
                _cancel(task, task._cancel_message)
            else:
                _set_exception(task, error)
                # The promise reports it, if need be.
                task.exception()


def adopt_coroutine(promise: CorePromise, coroutine: Coroutine[Any, Any, Any]) -> None:
    """Start a coroutine object, and resolve a pending promise with its result."""
    loop = promise._queue.scheduler.event_loop()
    if loop is None:
        runner = CoroutineRunner(promise, coroutine)
    else:
        runner = TaskRunner(promise, coroutine, loop)
    # As `start`, without its frame.
    outer = runner.begin()
    try:
        Runner._advance(runner)
    finally:
        if outer is not None:
            runner.began(outer)
