"""`Promise.call_from_thread`: other threads call functions in the thread of promises."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from .._core.cancelling import drop
from .._core.following import outcome_of
from .._core.jobs import call_at_home
from .._core.reactions import Node
from .._core.resolving import call_into
from .._core.settling import mark_handled
from .._core.states import CANCELLED, DEAD, FULFILLED, SETTLED, CorePromise, new_pending
from .._util.checks import shown
from .._util.types import Class, Gives, Later, Mixed, N
from .outcomes import exception_for_future

if TYPE_CHECKING:
    from .._scheduling.queue import JobQueue

__all__ = ["Threads"]

U = TypeVar("U")
P = ParamSpec("P")


class _Answer(concurrent.futures.Future[Any]):
    """A future on which the thread that settles it must not wait."""

    def __init__(self, queue: JobQueue) -> None:
        super().__init__()
        self._queue = queue

    def result(self, timeout: float | None = None) -> Any:
        self._check("result")
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._check("exception")
        return super().exception(timeout)

    def _check(self, name: str) -> None:
        if not self.done() and self._queue.is_home():
            raise RuntimeError(
                f"{name}() of what Promise.call_from_thread gave would wait for its own thread, "
                "the one that promises run in: use `await Promise.resolve(future)` or "
                "`Promise.resolve(future).then(handler)` there"
            )


class _AnswerSink(Node):
    """Connects a promise with the future for a caller in another thread, as one consumer."""

    __slots__ = ("_future", "_queue")

    def __init__(self, cls: type[CorePromise], future: _Answer) -> None:
        super().__init__()
        self._future: Any = future
        self._queue = cls._queue
        future.add_done_callback(self._done)

    def call(self, cls: type[CorePromise], run: Callable[..., object], *call: Any) -> None:
        """Make the call in the thread of promises, and wait for its result.

        Args:
            cls: The class of the promise for the result.
            run: Runs *call* in the caller's context.
            *call: Arguments of `call_into`.
        """
        if self._future.cancelled():
            return
        promise = new_pending(cls)
        run(call_into, promise, *call)
        self._go_on(promise)
        # The traceback of what was raised leads to this frame.
        del promise, call

    def _go_on(self, promise: CorePromise) -> None:
        """The call was made; wait for the promise of its result."""
        if self._state & DEAD:
            # The function has cancelled the future.
            mark_handled(promise)
            drop(promise)
            return
        self._promise = promise
        outcome = outcome_of(promise)
        if outcome._state & SETTLED:
            # No trip through the queue.
            mark_handled(promise)
            self._notify(outcome)
        else:
            self.wait_for(promise)

    def _notify(self, parent: CorePromise) -> None:
        future = self._future
        self.finish()
        if parent._state & CANCELLED:
            future.cancel()
        # False if it was cancelled, by the caller or just now; notifies the threads that wait.
        if not future.set_running_or_notify_cancel():
            return
        if parent._state & FULFILLED:
            future.set_result(parent._value)
        else:
            future.set_exception(exception_for_future(parent))
            # The traceback of the error leads to this frame.
            del parent

    def _release(self) -> None:
        self._future = None

    def _done(self, future: concurrent.futures.Future[Any]) -> None:
        if future.cancelled():
            call_at_home(self._queue, self._leave)

    def _leave(self) -> None:
        if self._state & DEAD:
            return
        self._future.set_running_or_notify_cancel()
        promise = self.finish()
        if promise is not None:
            drop(promise)


class Threads(CorePromise):
    """The method that other threads may call."""

    __slots__ = ()

    @overload
    @classmethod
    def call_from_thread(
        cls: Class, function: Later[P, U], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[U]: ...
    @overload
    @classmethod
    def call_from_thread(
        cls: Class, function: Mixed[P, U, N], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[U | N]: ...
    @overload
    @classmethod
    def call_from_thread(
        cls: Class, function: Gives[P, U], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[U]: ...
    @classmethod
    def call_from_thread(
        cls: Class, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        """Call a function in the thread of promises; may be called in any thread.

        Args:
            function: The function to call, in a copy of the caller's context.  It may return
                a promise, a Deferred or a coroutine, or be ``async def``.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            A `concurrent.futures.Future` for the result.  Cancelling it withdraws the call, or
            cancels what the function returned.  In the thread of promises the function is called at
            once; there ``result()`` and ``exception()`` of a pending future raise `RuntimeError`.

        Raises:
            TypeError: *function* is not callable.

        Twisted: ``reactor.callFromThread``, ``blockingCallFromThread``; Python:
        ``asyncio.run_coroutine_threadsafe``.

        Example::

            from twpromise import Promise


            def endpoint():  # in a thread of a web framework
                return Promise.call_from_thread(Promise.delay, 1, "found").result(30)
        """
        if not callable(function):
            raise TypeError(f"function must be callable, not {shown(function)}")
        future = _Answer(cls._queue)
        sink = _AnswerSink(cls, future)
        call_at_home(cls._queue, sink.call, cls, copy_context().run, function, args, kwargs)
        return future

    callFromThread = call_from_thread
