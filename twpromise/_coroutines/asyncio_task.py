"""The object for a promise's coroutine in asyncio: what it and its libraries know as the task."""

from __future__ import annotations

import asyncio
from asyncio.base_tasks import _task_get_stack, _task_print_stack
from collections.abc import Container, Coroutine
from contextvars import Context
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, cast

from .._core import contexts
from .suspension import RUNNING

if TYPE_CHECKING:
    from .tasks import TaskRunner

__all__ = ["CoroutineTask", "coroutine_tasks"]


class CoroutineTask(asyncio.Future[Any]):
    """The object for a promise's coroutine in `asyncio.current_task()` and `asyncio.all_tasks()`.

    It has the methods of an `asyncio.Task`.  Cancelling it cancels the promise, unless the
    coroutine catches the CancelledError; cancelling the promise cancels it.
    """

    __slots__ = ("_coro", "_runner")

    _coro: Coroutine[Any, Any, Any]
    #: None once the coroutine has ended.
    _runner: TaskRunner | None
    # Most never get others than these.
    _name: str | None = None
    _requests = 0

    def __repr__(self) -> str:
        """As a task of asyncio's."""
        state = "cancelled" if self.cancelled() else "finished" if self.done() else "pending"
        return f"<{type(self).__name__} {state} name={self.get_name()!r} coro={self._coro!r}>"

    # --- as asyncio, and what builds on it, see it

    def cancel(self, msg: Any = None) -> bool:
        """Request the coroutine to end: it sees CancelledError at its await, or at the next one."""
        runner = self._runner
        if runner is None:
            return False
        self._requests += 1
        self._cancel_message = msg
        runner.cancel_task()
        return True

    def cancelling(self) -> int:
        """How many requests to cancel it are pending."""
        return self._requests

    def uncancel(self) -> int:
        """Withdraw a request to cancel it; return how many are left."""
        if self._requests:
            self._requests -= 1
            if not self._requests and self._runner is not None:
                self._runner._cancelled_itself = self._runner._due = False
        return self._requests

    def get_coro(self) -> Coroutine[Any, Any, Any]:
        """The coroutine."""
        return self._coro

    def get_context(self) -> Context:
        """The context that the coroutine runs in."""
        runner = self._runner
        context = None
        if runner is not None:
            context = runner._context
            if context is None and runner._waiting is RUNNING:
                context = contexts.scratch
        return Context() if context is None else context

    def get_name(self) -> str:
        """The name that was set, or else that of the coroutine."""
        if self._name is None:
            return getattr(self._coro, "__qualname__", type(self._coro).__qualname__)
        return self._name

    def set_name(self, value: object, /) -> None:
        """Set the name."""
        self._name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """The frame where the coroutine waits, or those of the traceback that it ended with."""
        task: Any = self
        return _task_get_stack(task, limit)

    def print_stack(self, *, limit: int | None = None, file: TextIO | None = None) -> None:
        """Print the result of `get_stack`."""
        arguments: Any = self, limit, file
        _task_print_stack(*arguments)

    def set_result(self, result: object, /) -> None:
        """Refuse: only the coroutine ends a task."""
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception: object, /) -> None:
        """Refuse: only the coroutine ends a task."""
        raise RuntimeError("Task does not support set_exception operation")

    @property
    def _fut_waiter(self) -> Any:
        return None if self._runner is None else self._runner._future

    @property
    def _must_cancel(self) -> bool:
        return self._runner is not None and self._runner._cancelled_itself is True


def coroutine_tasks(queues: Container[object]) -> list[CoroutineTask]:
    """The tasks of the running loop whose promises have one of these queues."""
    return [
        task
        for task in cast("set[object]", asyncio.all_tasks())
        if isinstance(task, CoroutineTask)
        and task._runner is not None
        and task._runner._class._queue in queues
    ]
