"""Diagnostics: what can be switched on, and costs nothing while it is off."""

from __future__ import annotations

import gc
import inspect
from _thread import get_ident
from collections.abc import Callable
from contextvars import Context
from functools import partial
from types import FrameType, FunctionType, MethodType, TracebackType
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakSet

from .._callbacks.node_callback import NodeCallback
from .._core import hooks
from .._core.draining import _run_jobs
from .._core.extra import Extra
from .._core.following import Cell
from .._core.hooks import observe
from .._core.reactions import Node
from .._core.resolving import DECLINED
from .._core.states import CANCELLED, CANCELLING, FULFILLED, HANDLED, REJECTED, SETTLED, CorePromise
from .._core.subscribers import Subscribers
from .._coroutines.runner import Runner
from .._util.checks import shown
from .events import emit
from .library import Library, show, warn
from .traces import STOPS, Trace, annotate, capture

__all__ = ["add", "background", "switch"]

P = ParamSpec("P")
T = TypeVar("T")

_libraries: WeakSet[Library] = WeakSet()


class Background(Generic[P, T]):
    """A handler whose promises are left to themselves on purpose; see `background`."""

    # Python's name for what a wrapper is about: so it declares the handler's parameters.
    __slots__ = ("__wrapped__",)

    def __init__(self, handler: Callable[P, T]) -> None:
        self.__wrapped__ = handler

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the handler."""
        return self.__wrapped__(*args, **kwargs)

    def __get__(self, instance: object, owner: Any = None) -> Background[..., T]:
        """The handler as a method, if it is one."""
        bind = getattr(type(self.__wrapped__), "__get__", None)
        return self if bind is None else Background(bind(self.__wrapped__, instance, owner))


def background(handler: Callable[P, T]) -> Background[P, T]:
    """A handler about which the forgotten-return warning is silent.

    Args:
        handler: Starts something that it does not wait for, on purpose.

    Raises:
        TypeError: *handler* is not callable.

    Bluebird: ``return null`` from the handler.
    """
    if not callable(handler):
        raise TypeError(f"handler must be callable, not {shown(handler)}")
    return Background(handler)


class _Made(Trace):
    """What is known of one promise: where it was made, and whether anybody wants it."""

    __slots__ = ("consumed", "token")

    consumed: bool
    #: Of the `_Watch` that would know of it.
    token: object


def _made(promise: CorePromise) -> _Made | None:
    extra = promise._extra
    return extra.trace if type(extra) is Extra else None


class _Running:
    """A handler that is running."""

    __slots__ = ("context", "handler", "outer", "promises", "trace")

    def __init__(
        self,
        handler: Any,
        trace: Trace | None,
        outer: _Running | None,
        context: Context | None = None,
    ) -> None:
        self.handler = handler
        self.trace = trace
        self.outer = outer
        #: The handler runs in it; None: in the one that its caller is in.
        self.context = context
        self.promises: list[CorePromise] = []


class _Watch:
    """Watches promises while some library copy has diagnostics switched on."""

    def __init__(self) -> None:
        # The innermost handler that is running.
        self._running: _Running | None = None
        #: What is remembered of who watched: not this, which knows handlers and promises.
        self.token = object()
        #: A listener is being told of an event: what it does itself is not told.
        self.telling = False
        # Those that count as settled already, and may be settled in fact.
        self._handed_on: WeakSet[CorePromise] = WeakSet()

    # --- what the core tells

    def created(self, promise: CorePromise, owner: CorePromise | None = None) -> None:
        """A promise was made."""
        library: Any = promise._library
        self._remember(library, promise, owner)
        if library.monitoring:
            library.counts.created += 1
            self._tell("promise_created", promise)

    def chained(self, parent: CorePromise, child: CorePromise) -> None:
        """A promise was derived from another."""
        self.consumed(parent)
        library: Any = child._library
        self._remember(library, child)
        if library.monitoring:
            library.counts.created += 1
            self._tell("promise_chained", parent, child)

    def settled(self, promise: CorePromise) -> None:
        """A promise was fulfilled, rejected or cancelled."""
        library: Any = promise._library
        state = promise._state
        if state & REJECTED and library.long_stack_traces:
            trace = _made(promise)
            if trace is not None:
                annotate(promise._value, trace)
        if library.monitoring:
            if promise in self._handed_on:
                self._handed_on.discard(promise)
            else:
                library.counts.settled += 1
            if state & FULFILLED:
                self._tell("promise_fulfilled", promise)
            elif state & REJECTED:
                self._tell("promise_rejected", promise)
            else:
                self._tell("promise_cancelled", promise)

    def resolved(self, promise: CorePromise) -> None:
        """A promise took on another's fate."""
        library: Any = promise._library
        if library.monitoring:
            self._tell("promise_resolved", promise)

    def bypassed(self, promise: CorePromise) -> None:
        """Whoever followed a promise follows another now: it may never be settled."""
        library: Any = promise._library
        if library.monitoring and promise not in self._handed_on:
            library.counts.settled += 1
            self._handed_on.add(promise)

    def consumed(self, promise: CorePromise) -> None:
        """Somebody has asked for the outcome of a promise."""
        trace = _made(promise)
        if trace is not None:
            trace.consumed = True

    def before(self, child: CorePromise, handler: Any) -> _Running:
        """A handler is about to run."""
        extra = child._extra
        context = extra.context if type(extra) is Extra else extra
        return self._begun(_made(child), handler, context)

    def _begun(self, trace: Trace | None, handler: Any, context: Context | None = None) -> _Running:
        running = _Running(handler, trace, self._running, context)
        self._running = running
        return running

    def after(self, token: Any, result: Any) -> None:
        """The handler has returned."""
        # Where handlers switch diagnostics on and off, the token may be none, or an older one.
        running = self._running
        if running is not None and token is running:
            self._running = running.outer
            if result is None and running.promises:
                try:
                    if running.context is None:
                        self._check_return(running)
                    else:
                        # It may hold filters of warnings (`-X context_aware_warnings`).
                        running.context.run(self._check_return, running)
                except Exception as error:
                    # Warnings are errors, say; but the handler itself has made none.
                    hooks.host.escaped(error)
        if token is not None:
            # Frames of what the handler called refer to the caller's, and that to the token.
            token.promises.clear()

    def watched(
        self, promise: CorePromise, function: Callable[..., Any], awaited: bool
    ) -> Callable[..., Any]:
        """A callback of a node, watched like a handler; nothing is forgotten if none waits."""
        # Not the promise: what the function raises refers to all that is passed on here.
        return partial(self._run_watched, _made(promise), function, awaited)

    def trimmed(self, traceback: TracebackType) -> TracebackType | None:
        """A traceback without the frame of `_run_watched`."""
        watched = traceback.tb_frame.f_code is _Watch._run_watched.__code__
        return traceback.tb_next if watched else traceback

    def _run_watched(
        self,
        trace: Trace | None,
        function: Callable[..., Any],
        awaited: bool,
        /,
        *arguments: Any,
    ) -> Any:
        token = self._begun(trace, function)
        result: Any = DECLINED
        try:
            result = function(*arguments)
            return result
        finally:
            self.after(token, result if awaited else DECLINED)
            # The traceback of an error that is thrown into a generator leads to this frame.
            del function, arguments

    # --- what is made of it

    def _tell(self, name: str, *promises: CorePromise) -> None:
        if not self.telling:
            self.telling = True
            try:
                emit(name, *promises)
            finally:
                self.telling = False

    def _remember(
        self, library: Library, promise: CorePromise, owner: CorePromise | None = None
    ) -> None:
        """Remember where a promise was made."""
        if library.warnings:
            home = promise._queue.thread
            if home is not None and home != get_ident():
                warn("a promise was used in a thread that is not the reactor's")
        elif not library.long_stack_traces:
            return
        running = self._running
        if running is not None:
            captured = capture(running.trace)
        else:
            captured = capture(None if owner is None else _made(owner))
        trace = _Made.__new__(_Made)
        trace.sections = captured.sections
        trace.consumed = False
        trace.token = self.token
        extra = promise._extra
        if type(extra) is Extra:
            promise._extra = Extra(extra.binding, extra.context, trace)
        else:
            promise._extra = Extra(None, extra, trace)
        if running is not None and library.warnings and library.w_forgotten_return:
            running.promises.append(promise)

    def _check_return(self, running: _Running) -> None:
        """Warn if a handler has left a promise behind that nobody waits for."""
        promises, running.promises = running.promises, []
        handler, on_purpose = _unwrapped(running.handler)
        if on_purpose:
            return
        while promises:
            promise = promises.pop()
            trace = _made(promise)
            if trace is None or trace.consumed or promise._state & (FULFILLED | CANCELLED):
                continue
            if promise._state & (HANDLED | CANCELLING) or _is_kept(promise, promises):
                continue
            code = _code_of(handler)
            filename, line, name = (
                trace.place
                if code is None
                else (code.co_filename, code.co_firstlineno, code.co_qualname)
            )
            made_in, made_on, _ = trace.place
            where = f"on line {made_on}" if made_in == filename else f"at {made_in}:{made_on}"
            show(
                f"a promise was created in handler {name} at {filename}:{line}, {where}, but was "
                "not returned from it",
                filename,
                line,
            )
            return


STOPS.update(
    id(function.__code__) for function in (_run_jobs, Runner._advance, _Watch._run_watched)
)


def _unwrapped(handler: Any) -> tuple[Any, bool]:
    """The user's own handler behind what wraps it, and whether `background` is among that."""
    on_purpose = False
    # A wrapper that wraps itself, by way of others, is nothing to get lost in.
    for _ in range(100):
        on_purpose = on_purpose or isinstance(handler, Background)
        if isinstance(handler, partial):
            handler = handler.func
        elif isinstance(handler, MethodType):
            handler = handler.__func__
        else:
            wrapped = _wrapped_by(handler)
            if wrapped is None:
                break
            handler = wrapped
    return handler, on_purpose


def _wrapped_by(handler: Any) -> Any:
    # Not `getattr` alone: a `Mock` has every attribute.
    if inspect.getattr_static(handler, "__wrapped__", None) is None:
        return None
    try:
        return handler.__wrapped__
    except Exception:
        # A property that raises.
        return None


def _code_of(handler: Any) -> Any:
    if not isinstance(handler, FunctionType):
        # An object that can be called: what is called then.
        handler = inspect.getattr_static(type(handler), "__call__", None)
    return handler.__code__ if isinstance(handler, FunctionType) else None


def _is_kept(promise: CorePromise, made: list[CorePromise]) -> bool:
    """Whether something that is not ours refers to a promise: then it is waited for elsewhere.

    This takes its time, and is asked only about a promise that one is about to warn of.
    """
    for other in gc.get_referrers(promise):
        if other is made or other is promise._queue or other is promise._queue.rejections:
            continue
        if isinstance(other, CorePromise | Node | Cell | Subscribers | NodeCallback | FrameType):
            continue
        if isinstance(other, MethodType) and isinstance(other.__self__, CorePromise):
            continue
        return True
    return False


def _never_consumed(promise: Any) -> None:
    """What warns, once a promise is collected, that nobody ever wanted it."""
    try:
        trace = _made(promise)
        state = promise._state
        value = promise._value
    except AttributeError:
        # It was never made to its end.
        return
    if trace is None or trace.consumed or state & (REJECTED | CANCELLED | CANCELLING):
        return
    if trace.token is not getattr(hooks.observer, "token", None):
        # Nobody has watched meanwhile.
        return
    if state & SETTLED and value is None:
        # It was called for what it does.
        return
    filename, line, _ = trace.place
    show(f"a promise was never consumed: it was made at {filename}:{line}", filename, line)


def add(library: Library) -> None:
    """There is one more library copy."""
    _libraries.add(library)
    switch()


def switch() -> None:
    """Watch promises, or do not, after the settings have changed."""
    wanted = False
    for library in _libraries:
        watched = library.warnings or library.long_stack_traces or library.monitoring
        wanted = wanted or watched
        # A finalizer would cost each promise something, so it is there only when it is needed.
        has = "__del__" in vars(library.promise_class)
        if library.warnings and not has:
            library.promise_class.__del__ = _never_consumed
        elif has and not library.warnings:
            del library.promise_class.__del__
    if not wanted:
        observe(None)
    elif not isinstance(hooks.observer, _Watch):
        observe(_Watch())
