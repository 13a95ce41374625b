"""`Limiter`: a limit on what runs at once, shared by its users."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextvars import Context
from functools import partial, wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from .._core.contexts import context_here
from .._core.jobs import call_at_home, call_soon, check_home
from .._core.reactions import Node
from .._core.resolving import new_rejected
from .._core.settling import fulfill
from .._methods.disposer import Disposer
from .._promise import Promise
from .._util.checks import check_count, not_a_function
from .._util.errors import LimitExceeded
from .._util.types import Gives, Later, Mixed, N
from .work import begin, check_library

__all__ = ["Limiter"]

P = ParamSpec("P")
U = TypeVar("U")


class _Turn(Node):
    """Waits for a slot; then makes its call, or hands over the slot if there is no call."""

    __slots__ = ("_call", "_context", "_limiter")

    title = "call of a Limiter"

    def __init__(self, limiter: Limiter, call: Callable[[], object] | None) -> None:
        super().__init__()
        promise = self._make_promise(limiter._library)
        self._limiter: Limiter | None = limiter
        self._call = call
        self._context: Context | None = None if call is None else context_here(promise)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        return (("", self._limiter),)

    def begin(self) -> None:
        """Use a slot that is taken already."""
        limiter, call, context = self._limiter, self._call, self._context
        # Not in the queue any more; see `_release`.
        self._limiter = None
        assert limiter is not None
        promise = self.finish()
        if call is None or context is None:
            fulfill(promise, None)
        else:
            context.run(begin, promise, call, limiter._free_slot)
        # The traceback of what the call raised leads to this frame.
        del promise, call, context

    def _release(self) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            # It was cancelled while it waited.
            del limiter._queue[self]


class Limiter:
    """Runs at most *size* calls at a time; the others wait, first come, first served.

    Args:
        size: How many may run at once, 1 or more.
        waiting: How many may wait, 0 or more; None for any number.
        library: The library copy whose promises the limiter returns.

    Raises:
        TypeError: *size* or *waiting* is not an `int`, or *library* not a library copy.
        ValueError: *size* is less than 1, or *waiting* less than 0.

    Call functions with `run`, or decorate them with the limiter: their slot is free again when the
    work has *ended*.  So a function in a thread, which cannot be stopped, keeps its slot after its
    promise was cancelled or has timed out.

    Or take a slot with ``async with``, or with `acquire` and `Promise.using`: it is free again
    when you leave the block.  All uses wait in one queue; a call that is cancelled there never
    runs.

    Twisted: ``DeferredSemaphore``; asyncio: ``Semaphore``; trio: ``CapacityLimiter``.

    Example::

        from twpromise import Limiter, Promise

        upstream = Limiter(10, waiting=1000)


        @upstream
        def fetch(path):
            return Promise.delay(1, f"page {path}")


        pages = Promise.all([fetch(path) for path in "abc"])
    """

    def __init__(
        self, size: int, *, waiting: int | None = None, library: type[Promise[Any]] = Promise
    ) -> None:
        self._size = check_count("size", size, 1)
        self._limit = None if waiting is None else check_count("waiting", waiting, 0)
        self._library: Any = check_library(library)
        self._active = 0
        # While it has entries, a job for each free slot is queued: `_start_next`.
        self._queue: OrderedDict[_Turn, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Limiter: {self._active} of {self._size} running, {len(self._queue)} waiting>"

    @property
    def active(self) -> int:
        """How many slots are in use."""
        return self._active

    @property
    def waiting(self) -> int:
        """How many calls and uses wait for a slot."""
        return len(self._queue)

    @overload
    def run(self, function: Later[P, U], /, *args: P.args, **kwargs: P.kwargs) -> Promise[U]: ...
    @overload
    def run(
        self, function: Mixed[P, U, N], /, *args: P.args, **kwargs: P.kwargs
    ) -> Promise[U | N]: ...
    @overload
    def run(self, function: Gives[P, U], /, *args: P.args, **kwargs: P.kwargs) -> Promise[U]: ...
    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """A promise for the result of a function, which is called as soon as a slot is free.

        Args:
            function: Called in a copy of the caller's context; at once if a slot is free.  It may
                return a promise, a Deferred or the like, or be ``async def``.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Rejects with `LimitExceeded`, at once, if too many calls wait, and with `TypeError` if
        *function* is not callable.  If the promise is cancelled while it waits, *function* is never
        called; later, what *function* returned is cancelled.

        The slot is free again when what *function* returned has ended, and with it all work that it
        has abandoned, such as a thread that has timed out.

        Twisted: ``DeferredSemaphore.run``.
        """
        check_home(self._library)
        if not callable(function):
            return new_rejected(self._library, not_a_function("function", function))
        return self._add(partial(function, *args, **kwargs))

    @overload
    def __call__(self, function: Later[P, U], /) -> Callable[P, Promise[U]]: ...
    @overload
    def __call__(self, function: Gives[P, U], /) -> Callable[P, Promise[U]]: ...
    @overload
    def __call__(self, function: Mixed[P, U, N], /) -> Callable[P, Promise[U | N]]: ...
    def __call__(self, function: Callable[..., Any], /) -> Callable[..., Any]:
        """Decorate a function or method, so that all its calls go through `run`.

        Args:
            function: The function or method.

        Raises:
            TypeError: *function* is not callable.
        """
        if not callable(function):
            raise not_a_function("function", function)

        @wraps(function)
        def limited(*args: Any, **kwargs: Any) -> Any:
            return self.run(function, *args, **kwargs)

        return limited

    def acquire(self) -> Disposer[None]:
        """A slot as a `Disposer`, for `Promise.using`, which waits for it.

        The slot is free again when its use has ended, as with `run`.

        Twisted: ``DeferredSemaphore.acquire``.
        """
        check_home(self._library)
        return Disposer(
            self._library, lambda *_: self._free_slot(), acquire=lambda: self._add(None)
        )

    async def __aenter__(self) -> None:
        """Wait for a slot, if none is free."""
        slot = self.acquire()
        if not self._take_free():
            await slot.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the slot back."""
        # The collector may close a coroutine in any thread.
        call_at_home(self._library._queue, self._free_slot)

    def _add(self, call: Callable[[], object] | None) -> Any:
        queue = self._queue
        if self._limit is not None and self._active + len(queue) >= self._size + self._limit:
            error = f"the limiter is full: {self._active} running, {len(queue)} waiting"
            return new_rejected(self._library, LimitExceeded(error))
        turn = _Turn(self, call)
        promise = turn._promise
        if self._take_free():
            turn.begin()
        else:
            queue[turn] = None
        return promise

    def _take_free(self) -> bool:
        """Take a slot, if one is free and no call waits for it."""
        if self._active == self._size or self._queue:
            return False
        self._active += 1
        return True

    def _free_slot(self) -> None:
        self._active -= 1
        if self._queue:
            # A job for each: no function runs within another, and other jobs may run in between.
            call_soon(self._library, self._start_next)

    def _start_next(self) -> None:
        # Those that waited may have been cancelled since.
        if self._queue and self._active < self._size:
            self._active += 1
            self._queue.popitem(last=False)[0].begin()
