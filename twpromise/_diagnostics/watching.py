"""The observer: watches promises for warnings, long stack traces and monitoring.

It is installed only while a library copy has one of those switched on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import CoroutineType, GeneratorType
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from .._core import hooks
from .._core.draining import _run_jobs
from .._core.extra import Extra
from .._core.resolving import DECLINED
from .._core.states import (
    FULFILLED,
    INPUT,
    REJECTED,
    CorePromise,
)
from .._coroutines.runner import Runner
from .._util.arity import takes_nothing
from .._util.exceptions import is_exception
from . import handed_over, tracking
from .events import emit
from .library import Library
from .traces import STOPS, Trace, annotate, capture
from .unconsumed import Made, Running, check_return, made_of, never_consumed
from .warning import TWISTED, warn

__all__ = ["switch", "watch"]

_libraries: WeakSet[Library] = WeakSet()

_ELSEWHERE: Final = (
    "a promise was used in a thread that is not the reactor's: "
    "use Promise.call_from_thread(function, *args) there"
)


class _Watch:
    """Watches promises while some library copy has diagnostics switched on."""

    def __init__(self) -> None:
        # The innermost handler that is running.
        self._running: Running | None = None
        #: Identifies this object in traces, without references to handlers and promises.
        self.token = object()
        #: A listener is being called: what it does itself sends no events.
        self.notifying = False
        #: See `hooks.Observer`.
        self.watching = _Watch._run_watched.__code__
        # The reasons passed to waiting coroutines, for their next steps.
        self._handed: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        # The `id` of a reason that a handler has raised again.
        self._raised_again = 0
        # Bypassed promises: they were counted as settled, and may settle all the same.
        self._counted: WeakSet[CorePromise] = WeakSet()
        # Internal promises, made on behalf of another.
        self._inner: WeakSet[CorePromise] = WeakSet()

    # --- notifications from the core

    def created(self, promise: CorePromise, owner: CorePromise | None = None) -> None:
        """A promise was made."""
        library: Any = promise._library
        if owner is not None:
            # It has a trace, but no events.
            self._inner.add(promise)
            given = owner is INPUT
            self._remember(library, promise, None if given else owner, idle=given)
            return
        self._remember(library, promise, idle=bool(promise._state & FULFILLED))
        if library.monitoring:
            library.created += 1
            self._emit("promise_created", promise)

    def chained(self, parent: CorePromise, child: CorePromise) -> None:
        """A promise was derived from another."""
        self.consumed(parent)
        library: Any = child._library
        self._remember(library, child, idle=True)
        if library.monitoring:
            library.created += 1
            if parent in self._inner:
                self._emit("promise_created", child)
            else:
                self._emit("promise_chained", parent, child)

    def settled(self, promise: CorePromise) -> None:
        """A promise was fulfilled, rejected or cancelled."""
        if promise in self._inner:
            return
        library: Any = promise._library
        state = promise._state
        if library.monitoring:
            if promise in self._counted:
                self._counted.discard(promise)
            else:
                library.settled += 1
            if state & FULFILLED:
                self._emit("promise_fulfilled", promise)
            elif state & REJECTED:
                self._emit("promise_rejected", promise)
            else:
                self._emit("promise_cancelled", promise)

    def failed(self, promise: CorePromise, reason: object, aux: Any = None) -> None:
        """A promise is being rejected with an error that was raised or given."""
        library: Any = promise._library
        trace = made_of(promise)
        if trace is not None and library.long_stack_traces:
            handed = (self._raised_again, self._running.handed if self._running else 0)
            # A reason that a chain or another driver of coroutines passes on keeps its trace.
            again = id(reason) not in handed and not _was_handed(aux)
            trace.note = annotate(reason, str(trace), again)
        self._raised_again = 0

    def passed(self, child: CorePromise, parent: CorePromise) -> None:
        """A promise is being rejected with the outcome of another one."""
        library: Any = child._library
        trace, before = made_of(child), made_of(parent)
        if trace is not None and library.long_stack_traces:
            trace.note = before.note if before is not None else ""
            if not trace.note:
                trace.note = annotate(parent._value, str(trace), False)

    def shown(self, promise: CorePromise) -> None:
        """The reason of a promise is about to be reported, or passed to a handler."""
        trace = made_of(promise)
        if trace is not None and trace.note:
            annotate(promise._value, trace.note)

    def handed(self, reason: object) -> None:
        """A running coroutine is about to get a reason raised at an await."""
        running = self._running
        if running is not None:
            running.handed = id(reason)

    def resolved(self, promise: CorePromise) -> None:
        """A promise has begun to follow another."""
        library: Any = promise._library
        if library.monitoring and promise not in self._inner:
            self._emit("promise_resolved", promise)

    def bypassed(self, promise: CorePromise) -> None:
        """A follower was bypassed: it may never be settled."""
        library: Any = promise._library
        if library.monitoring and promise not in self._counted and promise not in self._inner:
            library.settled += 1
            self._counted.add(promise)

    def consumed(self, promise: CorePromise) -> None:
        """A promise has got a consumer."""
        trace = made_of(promise)
        if trace is not None:
            trace.consumed = True

    def watched(
        self, promise: CorePromise, function: Callable[..., Any], awaited: bool, bare: bool = False
    ) -> Callable[..., Any]:
        """A handler or another callback, watched while it runs; see `hooks.Observer`."""
        # Not the promise: the traceback of an error refers to all arguments of `_run_watched`.
        return partial(self._run_watched, made_of(promise), function, awaited, bare)

    def _run_watched(
        self,
        trace: Trace | None,
        function: Callable[..., Any],
        awaited: bool,
        bare: bool,
        /,
        *arguments: Any,
    ) -> Any:
        # A generator, or a coroutine, of which this is one step.
        generator: Any = getattr(function, "__self__", None)
        if type(generator) not in (GeneratorType, CoroutineType):
            generator = None
        handed = id(arguments[-1]) if arguments and is_exception(arguments[-1]) else 0
        if generator is not None:
            handed = handed or self._handed.get(generator, 0)
        running = self._running = Running(function, handed, trace, self._running)
        result: Any = DECLINED
        try:
            try:
                result = function(*arguments)
                return result
            except TypeError as error:
                if not bare or not takes_nothing(function, error):
                    raise
            result = function()
            return result
        except BaseException as error:
            if id(error) == running.handed:
                self._raised_again = running.handed
            raise
        finally:
            self._running = running.outer
            if generator is not None and running.handed:
                self._handed[generator] = running.handed
            if awaited and result is not DECLINED and running.promises:
                try:
                    check_return(running, result)
                except Exception as error:
                    # Warnings are errors, say; but the handler itself has not failed.
                    hooks.host.escaped(error)
            # The frames of what the handler called, or of a generator that it threw an error into,
            # lead to this frame.
            del function, arguments, generator, running

    # --- traces, events and warnings

    def _emit(self, name: str, *promises: CorePromise) -> None:
        if not self.notifying:
            self.notifying = True
            try:
                emit(name, *promises)
            finally:
                self.notifying = False

    def _remember(
        self,
        library: Library,
        promise: CorePromise,
        owner: CorePromise | None = None,
        *,
        idle: bool,
    ) -> None:
        """Remember where a promise was made, and which handler made it."""
        if library.warnings:
            if not promise._queue.is_home():
                warn(_ELSEWHERE)
        elif not library.long_stack_traces:
            return
        running = self._running
        if running is not None:
            captured = capture(running.trace)
        else:
            captured = capture(None if owner is None else made_of(owner))
        trace = Made.__new__(Made)
        trace.sections = captured.sections
        trace.consumed = False
        trace.idle = idle
        trace.note = ""
        trace.token = self.token
        extra = promise._extra
        if type(extra) is Extra:
            promise._extra = Extra(extra.binding, extra.context, trace)
        else:
            promise._extra = Extra(None, extra, trace)
        if running is not None and library.warnings:
            running.promises.append(promise)


def _was_handed(aux: Any) -> bool:
    """Whether a reason came from a promise, through a Deferred or a future."""
    traceback: Any = aux
    if issubclass(type(aux), hooks.host.failure):
        if type(aux) is not hooks.host.failure:
            # A Deferred that was made of a promise.
            return True
        # Not the traceback: Twisted 24.7 drops it from a Failure.
        places = [(name, filename) for name, filename, *_ in traceback.frames]
        code: Any = hooks.awaiting
        # If the first is not Twisted's, it was given to a Deferred, and not raised by a coroutine.
        by_twisted = bool(places) and places[0][1].startswith(TWISTED)
        return by_twisted and (code.co_name, code.co_filename) in places
    while traceback is not None:
        if traceback.tb_frame.f_code is hooks.awaiting:
            return True
        traceback = traceback.tb_next
    return False


STOPS.update(
    id(function.__code__) for function in (_run_jobs, Runner._advance, _Watch._run_watched)
)


def watch(library: Library) -> None:
    """Watch the promises of one more library copy, if its settings ask for it."""
    _libraries.add(library)
    switch()


def switch() -> None:
    """Switch diagnostics on or off, after settings have changed."""
    wanted = warns = False
    for library in _libraries:
        warns = warns or library.warnings
        wanted = wanted or library.warnings or library.long_stack_traces or library.monitoring
        # The finalizer costs each promise something, so the class has it while warnings are on.
        has = "__del__" in vars(library.promise_class)
        if library.warnings and not has:
            library.promise_class.__del__ = never_consumed
        elif has and not library.warnings:
            del library.promise_class.__del__
        tracking.switch(library.promise_class, on=library.tracking)
    handed_over.switch(on=warns)
    if not wanted:
        hooks.observe(None)
    elif not isinstance(hooks.observer, _Watch):
        hooks.observe(_Watch())
