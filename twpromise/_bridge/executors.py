"""Work in threads, other processes or on a cluster; and asyncio futures for promises."""

from __future__ import annotations

import asyncio
import concurrent.futures
from _thread import get_ident
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from .._core.cancelling import drop
from .._core.jobs import call_at_home, check_home
from .._core.reactions import Node
from .._core.settling import reject_raised
from .._core.states import CANCELLED, DEAD, FULFILLED, CorePromise, new_pending
from .._util.checks import name_of, shown
from .._util.types import Class
from .futures import adopt_future
from .outcomes import exception_for_future
from .whereabouts import runs_at_home

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Executors", "FutureSink"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
P = ParamSpec("P")


class FutureSink(Node):
    """Connects a promise with an asyncio future made of it, as one consumer."""

    __slots__ = ("_future",)

    def __init__(self, promise: CorePromise, future: asyncio.Future[Any]) -> None:
        super().__init__(promise)
        self._future: Any = future
        future.add_done_callback(self._done)
        # In another thread the future may be cancelled before.
        call_at_home(promise._queue, self._begin)

    def _begin(self) -> None:
        self.wait_for(self._promise)

    def _notify(self, parent: CorePromise) -> None:
        future = self._future
        self.finish()
        if parent._state & CANCELLED:
            _on_loop(future, future.cancel)
        elif parent._state & FULFILLED:
            _on_loop(future, _set, future, future.set_result, parent._value)
        else:
            _on_loop(future, _set, future, future.set_exception, exception_for_future(parent))

    def _release(self) -> None:
        # A promise that stays pending may refer to this node for long.
        self._future = None

    def _done(self, future: asyncio.Future[Any]) -> None:
        promise: CorePromise | None = self._promise
        if promise is None or not future.cancelled():
            return
        call_at_home(promise._queue, self._leave)

    def _leave(self) -> None:
        if not self._state & DEAD:
            drop(self.finish())


def _on_loop(future: asyncio.Future[Any], function: Callable[..., object], *arguments: Any) -> None:
    """Call a function on the loop of a future, now or soon; do nothing if the loop is closed."""
    loop = future.get_loop()
    if asyncio._get_running_loop() is loop:
        function(*arguments)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(function, *arguments)


def _set(future: asyncio.Future[Any], setter: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        setter(value)


def _takes_contexts(executor: Executor) -> bool:
    """Whether an executor runs functions in threads of this interpreter, which can use contexts."""
    # A context cannot be pickled.
    interpreters: Any = getattr(concurrent.futures, "InterpreterPoolExecutor", ())
    kind = type(executor)
    return issubclass(kind, ThreadPoolExecutor) and not issubclass(kind, interpreters)


class _FutureOfThread(concurrent.futures.Future[Any]):
    """A future that knows which thread works on it."""

    #: The identifier of the thread, once it has begun.
    thread: int | None = None


class _Work:
    """A call for a thread to make, and the future for its result.

    It drops both when the call begins, or is cancelled: the pool keeps this object for longer, and
    so do the frames of the thread, which are in the traceback of an error.
    """

    __slots__ = ("_call", "_future")

    def __init__(self, future: _FutureOfThread, call: Callable[[], object]) -> None:
        self._future: Any = future
        self._call: Any = call
        future.add_done_callback(self._drop)

    def _drop(self, _: object = None) -> None:
        self._future = self._call = None

    def __call__(self) -> None:
        """In a thread: make the call and settle the future, unless it was cancelled before."""
        future, call = self._future, self._call
        if future is None or not future.set_running_or_notify_cancel():
            return
        self._drop()
        future.thread = get_ident()
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
            # The traceback of the error refers to this frame.
            del future, call
        else:
            future.set_result(result)


class Executors(CorePromise, Generic[T_co]):
    """The methods that run functions elsewhere, and `to_future`."""

    __slots__ = ()

    @classmethod
    def run_in(
        cls: Class,
        executor: Executor,
        function: Callable[P, U],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Promise[U]:
        """A promise for the result of a function that an executor runs.

        Args:
            executor: Any `concurrent.futures.Executor`: threads, processes, a cluster.
            function: The function to run.  In a `ThreadPoolExecutor` it sees the context variables
                of the caller; other processes and interpreters do not get them.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Cancelling the promise cancels the future, if the function does not run yet.  An error of
        the executor itself (it was shut down, say) rejects the promise.

        Raises:
            TypeError: *executor* has no ``submit``, or *function* is not callable.

        Python: ``Executor.submit``.
        """
        submit = getattr(executor, "submit", None)
        if not callable(submit):
            raise TypeError(
                f"executor must be a concurrent.futures.Executor, not {shown(executor)}"
            )
        if not callable(function):
            raise TypeError(f"function must be callable, not {shown(function)}")
        check_home(cls)
        promise = new_pending(cls)
        try:
            if _takes_contexts(executor):
                future: Any = submit(copy_context().run, function, *args, **kwargs)
            else:
                future = submit(function, *args, **kwargs)
        except BaseException as error:
            reject_raised(promise, error)
        else:
            adopt_future(promise, future, name_of(function))
        return cast("Promise[U]", promise)

    runIn = run_in

    @classmethod
    def in_thread(
        cls: Class, function: Callable[P, U], /, *args: P.args, **kwargs: P.kwargs
    ) -> Promise[U]:
        """A promise for the result of a function that runs in the scheduler's thread pool.

        On a reactor that is the reactor's pool.

        Args:
            function: The function to run; it sees the context variables of the caller.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Cancelling the promise withdraws the function, if no thread runs it yet.  A function that
        runs goes on, and its result is dropped.

        Raises:
            TypeError: *function* is not callable.

        Twisted: ``deferToThread``; Python: ``asyncio.to_thread``.
        """
        if not callable(function):
            raise TypeError(f"function must be callable, not {shown(function)}")
        check_home(cls)
        promise = new_pending(cls)
        future = _FutureOfThread()
        work = _Work(future, partial(copy_context().run, function, *args, **kwargs))
        try:
            cls._queue.scheduler.call_in_thread(work)
        except BaseException as error:
            reject_raised(promise, error)
        else:
            adopt_future(promise, future, name_of(function))
        return cast("Promise[U]", promise)

    inThread = in_thread

    def to_future(self, loop: asyncio.AbstractEventLoop | None = None) -> asyncio.Future[T_co]:
        """A new asyncio future for the outcome, which is a consumer of this promise.

        Args:
            loop: The future's loop; by default the running one.

        A rejection counts as handled, since the future reports it if it is not retrieved.
        Cancelling the future withdraws this consumer only.  If the promise is cancelled, so is the
        future.

        Raises:
            RuntimeError: *loop* is left out, and no loop is running; or promises cannot settle
                while the running loop runs.
            TypeError: *loop* is not an event loop.
        """
        if loop is None:
            loop = asyncio.get_running_loop()
        elif not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop must be an asyncio event loop, not {shown(loop)}")
        if loop is asyncio._get_running_loop():
            runs_at_home(self._queue, loop)
        future: asyncio.Future[T_co] = loop.create_future()
        FutureSink(self, future)
        return future

    toFuture = to_future
