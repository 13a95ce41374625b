"""``await promise``, in every coroutine.

A coroutine that awaits a promise may be driven by Twisted, which expects a Deferred; by an asyncio
task, which expects a future; or by this library.  It cannot be found out beforehand which one
drives it (a Twisted coroutine may be started from within an asyncio task), so the coroutine yields
an `Awaiter`, which is all of them.  Within a drain, outside of asyncio tasks, it yields the
promise itself first, which is cheaper: a driver other than these three must not run coroutines
there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from types import CoroutineType, TracebackType
from typing import Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, _CancellationStatus

from .._bridge.outcomes import raised_by
from .._bridge.to_deferred import promises_behind
from .._bridge.whereabouts import runs_at_home
from .._core import contexts, hooks
from .._core.cancelling import drop
from .._core.following import outcome_of
from .._core.jobs import call_at_home
from .._core.reactions import Node
from .._core.settling import mark_handled
from .._core.states import (
    CLOSED,
    DEAD,
    FULFILLED,
    NODE,
    REJECTED,
    SETTLED,
    CorePromise,
)
from .._util.errors import CancellationError, of_awaited
from .._util.exceptions import set_traceback
from .frames import AWAITS
from .insisting import Insistence

__all__ = ["AWAIT", "Awaiter", "await_promise"]

#: The task that a `TaskRunner` has entered last; what it calls may be other tasks.
driven: Any = None


#: Coroutines that Twisted runs, and that were cancelled while they awaited a promise.
_cancelled: WeakKeyDictionary[Any, Insistence] = WeakKeyDictionary()


def await_promise(promise: CorePromise) -> Generator[Any, Any, Any]:
    """Wait for the value, in a coroutine of Twisted, of an asyncio task, or of a promise.

    A rejection raises its reason, and a cancellation `CancellationError`.
    """
    dead = 0
    if promise._state & CLOSED or hooks.observer is not None:
        promise = _decided_by(promise)
        dead = promise._state & DEAD
    if not dead:
        ours = False
        if contexts.driving and (
            asyncio._get_running_loop() is None
            # Of this thread's loop: a task of another one's may be driven at the moment.
            or (driven is not None and driven is asyncio.current_task())
        ):
            # The driver is not an asyncio task, or it is one of ours.  `CoroutineRunner` waits for
            # the promise itself, and Twisted's driver sends it back at once, since it is not a
            # Deferred.
            try:
                ours = (yield promise) is not promise
            except BaseException:
                # The traceback of what is thrown in, the promise's reason maybe, refers to this
                # frame.
                del promise
                raise
        if not ours:
            awaiter = Awaiter()
            awaiter._promise = promise
            try:
                yield awaiter
            except BaseException:
                awaiter._lose()
                raise
            if awaiter._given_up:
                raise CancellationError("the await was cancelled")
        if not promise._state & SETTLED:
            raise RuntimeError("await resumed before the promise has settled")
    if promise._state & FULFILLED:
        return promise._value
    if dead and not dead & REJECTED:
        raise of_awaited(hooks.host.late_cancellation())
    error, traceback = raised_by(promise)
    set_traceback(error, traceback)
    if hooks.observer is not None:
        hooks.observer.handed(error)
    try:
        raise error
    finally:
        # The traceback refers to this frame.
        del promise, error, traceback


_frame: Any = await_promise(None).gi_frame  # type: ignore[arg-type,attr-defined]
#: The end of the traceback of an error that was never raised, and is thrown in at a `yield`: as if
#: `await_promise` had raised it.  So one error for many promises does not grow.
AWAIT: Final = TracebackType(None, _frame, _frame.f_lasti, _frame.f_lineno)
hooks.awaiting = await_promise.__code__
AWAITS.add(await_promise.__code__)


def _decided_by(promise: CorePromise) -> CorePromise:
    """The promise that holds the outcome; a rejection of either is handled."""
    decided = outcome_of(promise)
    if decided._state & REJECTED:
        mark_handled(promise)
    return decided


class _Woken:
    """Wakes an asyncio task, which reads the result: None, or an error to raise."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException | None) -> None:
        self._error = error

    def result(self) -> None:
        if self._error is not None:
            try:
                raise self._error
            finally:
                # The traceback refers to this frame.
                del self


def _woken(cancelled: tuple[object, ...] | None) -> _Woken:
    return _Woken(None if cancelled is None else asyncio.CancelledError(*cancelled))


class _Abroad(Node):
    """Waits for a promise of another thread, on behalf of a task whose loop runs in this one.

    It subscribes, and leaves, in the promise's thread, and wakes the task in the task's own.
    """

    __slots__ = ("_loop", "_queue", "_wake")

    def __init__(
        self,
        promise: CorePromise,
        loop: asyncio.AbstractEventLoop,
        wake: Callable[[tuple[object, ...] | None], object],
    ) -> None:
        super().__init__(promise)
        self._loop = loop
        self._queue = promise._queue
        # Looked at on the loop only, so that the task is woken once.
        self._wake: Callable[[tuple[object, ...] | None], object] | None = wake
        call_at_home(self._queue, self._begin)

    def _begin(self) -> None:
        self.wait_for(self._promise)

    def _notify(self, parent: CorePromise) -> None:
        self.finish()
        # The traceback of its reason leads to this frame.
        del parent
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resume, None)

    def _resume(self, cancelled: tuple[object, ...] | None) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake(cancelled)

    def cancel(self, cancelled: tuple[object, ...]) -> bool:
        """Wake the task, if it has not been woken, and leave the promise."""
        if self._wake is None:
            return False
        self._resume(cancelled)
        call_at_home(self._queue, self._leave)
        return True

    def _leave(self) -> None:
        if not self._state & DEAD:
            drop(self.finish())


class Awaiter(Node, Deferred[Any]):
    """Yielded, once, by a coroutine that waits for a promise; one of its consumers.

    To Twisted it is a Deferred of which only ``addBoth`` and ``cancel`` are used, to asyncio
    something to wait for like a future.  `CoroutineRunner` only reads the promise from it, so it is
    cheap until one of the others uses it.
    """

    __slots__ = ()

    # Nothing that `Node.__init__` and `Deferred.__init__` make is used.
    __init__ = object.__init__  # pyright: ignore[reportAssignmentType]

    _state = NODE
    _given_up = False
    #: Called with None, or with what asyncio's CancelledError is to be made with.
    _wake: Callable[[tuple[object, ...] | None], object] | None = None

    #: The coroutine, if it is one of Twisted's.
    _awaits: Any = None
    #: The Deferred that Twisted fires when that has ended.
    _fires: Any = None

    #: Waits in place of this for a promise of another thread.
    _abroad: _Abroad | None = None

    #: Whether the coroutine is resumed in a later turn than that in which this is notified.
    _resumes_later = False

    #: Called if the coroutine is not resumed with the value; see `Node.claims`.
    _lost: Callable[[], object] | None = None

    #: asyncio's sign that this is to be waited for like a future; the task sets it to False.
    _asyncio_future_blocking = True

    def __repr__(self) -> str:
        """What asyncio's and Twisted's tools show: which promise is awaited."""
        return f"<await of {self._promise!r}>"

    def _notify(self, parent: CorePromise) -> None:
        self.finish()
        # The traceback of its reason leads to this frame.
        del parent
        self._resume(None)

    def _resume(self, cancelled: tuple[object, ...] | None) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake(cancelled)

    def claims(self, hold: Callable[[], Callable[[], object]]) -> bool:
        """See the base: a task may be cancelled between the two turns."""
        if self._resumes_later:
            self._lost = hold()
        return not self._resumes_later

    def _lose(self) -> None:
        """Something else was thrown into the coroutine in place of the value."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost()

    # --- as Twisted's coroutine driver sees it

    def addBoth(self, callback: Any, *args: Any, **kwargs: Any) -> Any:
        """Remember how to resume, and start to wait."""
        # The result is read from the promise, in `await_promise`: so the exception is raised
        # there, with its own traceback, and not thrown in by the driver.
        self._wake = lambda cancelled: callback(None, *args, **kwargs)
        self.wait_for(self._promise)
        for one in args:
            if type(one) is CoroutineType:
                self._awaits = one
            elif type(one) is _CancellationStatus:
                self._fires = one.deferred
        awaits = self._awaits
        if _cancelled and awaits in _cancelled and _cancelled[awaits].was_swallowed(awaits):
            # Once is enough.  The coroutine's result is still needed, so it may go on.
            del _cancelled[awaits]
        return self

    def cancel(self, msg: object = None) -> bool:  # type: ignore[override]
        """Stop waiting: the coroutine sees `CancellationError` (asyncio's, in a task)."""
        cancelled = () if msg is None else (msg,)
        if self._abroad is not None:
            return self._abroad.cancel(cancelled)
        if self._state & DEAD:
            return False
        self._given_up = True
        awaits = self._awaits
        if awaits is not None and awaits not in _cancelled:
            _cancelled[awaits] = Insistence(awaits)
        behind = self._settles(self._promise)
        drop(self.finish(), *behind)
        self._resume(cancelled)
        return True

    def _settles(self, awaited: CorePromise) -> list[CorePromise]:
        return [] if self._fires is None else promises_behind(self._fires)

    def _release(self) -> None:
        # That Deferred keeps this.
        self._fires = None

    # --- as an asyncio task sees it

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task, which is the one that is running."""
        return asyncio.get_running_loop()

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Remember how to wake the task, and start to wait."""
        loop = asyncio.get_running_loop()
        promise = self._promise

        def wake(cancelled: tuple[object, ...] | None) -> None:
            loop.call_soon(callback, _woken(cancelled), context=context)

        try:
            if runs_at_home(promise._queue, loop):
                self._wake = wake
                self._resumes_later = True
                self.wait_for(promise)
            else:
                self._abroad = _Abroad(promise, loop, wake)
        except RuntimeError as error:
            # Raised at the await.
            loop.call_soon(callback, _Woken(error), context=context)
