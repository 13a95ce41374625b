"""`Limiter`: a cap on what runs at once, shared by all that use it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .._core.contexts import keep_context, run_in_context
from .._core.ending import when_ended
from .._core.jobs import check_home
from .._core.reactions import Node
from .._core.resolving import call_into, new_rejected, resolve
from .._core.settling import fulfill
from .._core.states import CorePromise, new_pending
from .._methods.disposer import Disposer
from .._promise import Promise
from .._util.checks import check_count, not_a_function
from .._util.errors import LimitExceeded

if TYPE_CHECKING:
    pass

__all__ = ["Limiter"]

P = ParamSpec("P")
U = TypeVar("U")


class _Queued(Node):
    """Waits for a slot, and then makes its call, or hands over the slot if there is no call."""

    __slots__ = ("_call", "_limiter")

    def __init__(self, limiter: Limiter, call: Callable[[], object] | None) -> None:
        super().__init__()
        self._limiter: Limiter | None = limiter
        self._call = call

    def begin(self) -> None:
        """Use a slot that is free."""
        limiter, self._limiter = self._limiter, None
        assert limiter is not None
        call = self._call
        promise: CorePromise = self.finish()
        if call is None:
            fulfill(promise, None)
            return
        work: CorePromise = new_pending(type(promise), owner=promise)
        call_into(work, run_in_context, (call,))
        # The slot is free again when the work has ended, not when its promise is given up.
        when_ended(work, limiter._free_slot)
        resolve(promise, work)

    def _release(self) -> None:
        limiter, self._limiter = self._limiter, None
        self._call = None
        if limiter is not None:
            # It was cancelled in the queue.
            del limiter._queue[self]


class Limiter:
    """At most *size* calls, or uses, at a time; the others wait, first come, first served.

    Args:
        size: How many may run at once, 1 or more.
        waiting: How many may wait; None for any number.
        library: The library copy whose promises this gives.

    Raises:
        TypeError: *size* or *waiting* is no `int`.
        ValueError: *size* is less than 1, or *waiting* less than 0.

    A slot is free again when the work has *ended*: a function in a thread that cannot be stopped
    keeps it after its promise was cancelled, or timed out.  What is cancelled while it waits
    never runs.

    Use it by `run`, as a decorator, by `acquire` in `Promise.using`, or by ``async with``.
    Twisted: ``DeferredSemaphore``; asyncio: ``Semaphore``.

    Example::

        database = Limiter(10, waiting=1000)

        @database
        def rows(query):
            return Promise.in_thread(connection_of_thread().execute, query)
    """

    def __init__(
        self, size: int, *, waiting: int | None = None, library: type[Promise[Any]] = Promise
    ) -> None:
        self._size = check_count("size", size, 1)
        self._limit = None if waiting is None else check_count("waiting", waiting, 0)
        self._library: Any = library
        self._active = 0
        self._queue: OrderedDict[_Queued, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Limiter: {self._active} of {self._size} running, {len(self._queue)} waiting>"

    @property
    def active(self) -> int:
        """How many slots are in use."""
        return self._active

    @property
    def waiting(self) -> int:
        """How many calls wait for a slot."""
        return len(self._queue)

    def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A promise for what a function returns, called as soon as there is a slot for it.

        Args:
            function: Called at once if a slot is free; what it returns is followed.
            *args: What it is called with.
            **kwargs: What it is called with.

        Rejects with `LimitExceeded` if there are too many waiting, and with a `TypeError` if
        *function* is not callable.
        """
        check_home(self._library)
        if not callable(function):
            return new_rejected(self._library, not_a_function("function", function))
        return self._add(keep_context(self._library, partial(function, *args, **kwargs)))

    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """*function* with all its calls under this limiter, each giving a promise."""
        if not callable(function):
            raise not_a_function("function", function)

        @wraps(function)
        def limited(*args: P.args, **kwargs: P.kwargs) -> Any:
            return self.run(function, *args, **kwargs)

        return limited

    def acquire(self) -> Disposer[None]:
        """A slot as a resource, for `Promise.using` or ``async with``."""
        release = lambda _, __: self._free_slot()  # noqa: E731
        return Disposer(self._library, release, acquire=lambda: self._add(None))

    async def __aenter__(self) -> None:
        """Wait for a slot."""
        await self.acquire().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the slot back."""
        self._free_slot()

    def _add(self, call: Callable[[], object] | None) -> Any:
        queue = self._queue
        free = self._active < self._size and not queue
        if not free and self._limit is not None and len(queue) >= self._limit:
            error = LimitExceeded(f"{self._size} are running and {len(queue)} are waiting")
            return new_rejected(self._library, error)
        queued = _Queued(self, call)
        promise = queued._make_promise(self._library)
        if free:
            self._active += 1
            queued.begin()
        else:
            queue[queued] = None
        return promise

    def _free_slot(self) -> None:
        self._active -= 1
        while self._queue and self._active < self._size:
            self._active += 1
            self._queue.popitem(last=False)[0].begin()
