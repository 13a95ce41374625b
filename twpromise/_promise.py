"""`Promise`: the list of its themes, and how a library copy is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, cast, overload
from weakref import WeakValueDictionary

from zope.interface import implementer

from ._bridge import host as _host  # noqa: F401 - what the core asks of Twisted
from ._bridge.adapters import install as _install_adapters
from ._bridge.executors import Executors
from ._bridge.methods import Bridge
from ._callbacks.promisify import Promisification
from ._collections.all import Combining
from ._collections.joining import Joining
from ._collections.mapping import Mapped
from ._collections.series import InSeries
from ._collections.some import Racing
from ._core.contexts import keep_context
from ._core.draining import drain
from ._core.resolving import new_rejected as _new_rejected
from ._core.resolving import new_resolved as _new_resolved
from ._core.states import is_promise, make_pending
from ._coroutines.generators import Coroutines
from ._diagnostics import events as _events
from ._diagnostics import watching as _diagnostics
from ._diagnostics.library import Library, check_settings
from ._diagnostics.policies import POLICIES
from ._methods.cancellation import Cancellation
from ._methods.construction import Construction
from ._methods.disposer import Disposer
from ._methods.inspection import Inspection
from ._methods.reflection import PromiseInspection, Reflection
from ._methods.resolvers import execute
from ._methods.timers import Timers
from ._methods.using import Resources
from ._methods.values import Values
from ._scheduling.queue import JobQueue
from ._scheduling.schedulers import FunctionScheduler, ReactorScheduler
from ._util import errors as _errors
from ._util.checks import shown
from ._util.types import Class, Followed, Resolve
from .interfaces import IPromise, IScheduler

__all__ = ["Promise"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


@implementer(IPromise)
class _Themes(
    Bridge[T_co],
    Cancellation,
    Combining[T_co],
    Construction[T_co],
    Coroutines[T_co],
    Executors[T_co],
    InSeries[T_co],
    Inspection[T_co],
    Joining[T_co],
    Mapped[T_co],
    Promisification[T_co],
    Racing[T_co],
    Reflection[T_co],
    Resources[T_co],
    Timers[T_co],
    Values[T_co],
    Generic[T_co],
):
    """What a promise can do, theme by theme; every library copy derives from this."""

    __slots__ = ()

    AggregateError = _errors.AggregateError
    CancellationError = _errors.CancellationError
    Disposer = Disposer
    OperationalError = _errors.OperationalError
    PromiseError = _errors.PromiseError
    PromiseInspection = PromiseInspection
    RejectionError = _errors.RejectionError
    TimeoutError = _errors.TimeoutError

    def __init_subclass__(cls, *, library_copy: bool = False, **kwargs: Any) -> None:
        """Promises are extended by copying the library, not by subclassing.

        Raises:
            TypeError: Somebody tries.
        """
        super().__init_subclass__(**kwargs)
        if not library_copy:
            raise TypeError(
                "the promise constructor cannot be invoked directly: Promise cannot be "
                "subclassed, use Promise.get_new_library_copy()"
            )

    _library: ClassVar[Library]  # pyright: ignore[reportIncompatibleVariableOverride]

    # What the third argument is, checkers are not told: users may declare it with or without the
    # None that it is while cancellation is off.
    @overload
    def __init__(
        self, executor: Callable[[Resolve[T_co], Callable[..., None]], object]
    ) -> None: ...
    @overload
    def __init__(
        self, executor: Callable[[Resolve[T_co], Callable[..., None], Any], object]
    ) -> None: ...
    def __init__(self, executor: Any = None) -> None:
        if not callable(executor):
            raise TypeError(
                "the promise constructor requires a resolver function: "
                f"executor must be callable, not {shown(executor)}"
            )
        make_pending(self)
        execute(self, executor)

    @overload
    @classmethod
    def resolve(cls) -> Promise[None]: ...
    @overload
    @classmethod
    def resolve(cls, value: Followed[U]) -> Promise[U]: ...
    @overload
    @classmethod
    def resolve(cls, value: U | Followed[U]) -> Promise[U]: ...
    @classmethod
    def resolve(cls, value: Any = None) -> Any:
        """A promise that is resolved with *value*.

        Args:
            value: A promise of this library copy is returned as it is; whatever else is
                followed is adopted; any other value fulfils.

        Bluebird: ``Promise.resolve``; Twisted: ``defer.succeed``.
        """
        if is_promise(value) and value._library is cls._library:
            return value
        return _new_resolved(cls, value)

    @classmethod
    def reject(cls, reason: Any = None) -> Promise[NoReturn]:
        """A promise that is rejected.

        Args:
            reason: An exception, or a class of them, or a Failure; other objects are allowed,
                and warned about.

        Bluebird: ``Promise.reject``; Twisted: ``defer.fail``.
        """
        return cast("Promise[NoReturn]", _new_rejected(cls, reason))

    @classmethod
    def get_new_library_copy(cls: Class) -> type[Promise[Any]]:
        """A copy of the library, with settings, hooks, yield handlers and scheduler of its own.

        Everything is as at the start, but for the scheduler, which is the one that this copy
        has now.  Promises of all copies follow and cancel one another.

        Bluebird: ``Promise.getNewLibraryCopy``.
        """
        namespace = {
            "__slots__": (),
            "__module__": Promise.__module__,
            "__qualname__": Promise.__qualname__,
            "__doc__": Promise.__doc__,
        }
        make: Any = type(Promise)
        copy = make("Promise", (_Themes,), namespace, library_copy=True)
        _make_copy(copy, cls._library.scheduler)
        return cast("type[Promise[Any]]", copy)

    getNewLibraryCopy = get_new_library_copy

    @classmethod
    def config(cls, **settings: Any) -> dict[str, Any]:
        """The settings of this library copy, after those given have been changed.

        Args:
            **settings: Each True or False: ``cancellation`` and ``async_hooks`` (both on by
                default); ``warnings``, ``long_stack_traces`` and ``monitoring`` (off, unless
                the environment says otherwise); and ``w_forgotten_return``, one of the
                warnings.  ``warnings`` may be a mapping too, with ``w_forgotten_return``: all
                warnings are switched on then, but for that one if it is False.

        Raises:
            TypeError: There is no such setting, or the value is of the wrong type; then none
                of the settings is changed.

        Bluebird: ``Promise.config``.
        """
        library: Library = cls._library
        library.change(check_settings(settings))
        _diagnostics.switch()
        return library.settings()

    @classmethod
    def long_stack_traces(cls: Class) -> None:
        """Switch long stack traces on: ``config(long_stack_traces=True)``.

        Other than in bluebird this can be done, and undone, at any time.

        Bluebird: ``Promise.longStackTraces``.
        """
        cls.config(long_stack_traces=True)

    longStackTraces = long_stack_traces

    @classmethod
    def statistics(cls) -> dict[str, Any]:
        """Figures for a metrics exporter.

        Returns:
            ``created``, ``settled`` and ``pending`` (how many promises of this library copy
            there were while ``monitoring`` was on; None while it is off); ``unhandled`` (how
            many rejections have not been handled since they were reported); ``queue_length``, and
            ``longest_drain`` in seconds, of the queue.
        """
        library: Library = cls._library
        queue = cls._queue
        created = library.counts.created if library.monitoring else None
        settled = library.counts.settled if library.monitoring else None
        return {
            "created": created,
            "settled": settled,
            # What was made before monitoring was switched on is settled, but was not counted.
            "pending": None if created is None or settled is None else max(0, created - settled),
            "unhandled": library.unhandled,
            "queue_length": len(queue),
            "longest_drain": queue.longest,
        }

    @classmethod
    def on_possibly_unhandled_rejection(
        cls: Class, handler: Callable[[Any, Promise[Any]], object] | None = None
    ) -> None:
        """Say what happens when a rejection stays unhandled to the end of a drain.

        Args:
            handler: Called with the reason and the promise, instead of the report in the log.
                Without one, or with something that is not callable, nothing happens.

        Only for this library copy; see `on` for all.

        Bluebird: ``Promise.onPossiblyUnhandledRejection``.
        """
        cls._library.on_unhandled = keep_context(cls, handler) if callable(handler) else False

    onPossiblyUnhandledRejection = on_possibly_unhandled_rejection

    @classmethod
    def on_unhandled_rejection_handled(
        cls: Class, handler: Callable[[Promise[Any]], object] | None = None
    ) -> None:
        """Say what happens when a rejection that was reported has been handled after all.

        Args:
            handler: Called with the promise.  Without one, or with something that is not
                callable, nothing happens.

        Only for this library copy; see `on` for all.

        Bluebird: ``Promise.onUnhandledRejectionHandled``.
        """
        kept = keep_context(cls, handler) if callable(handler) else None
        cls._library.on_unhandled_handled = kept

    onUnhandledRejectionHandled = on_unhandled_rejection_handled

    @classmethod
    def set_rejection_policy(cls: Class, name: str = "report") -> Any:
        """Say when unhandled rejections of this library copy are reported, and forget the hook.

        Args:
            name: ``"report"``: at the end of the drain in which they stayed unhandled;
                ``"report_when_collected"``: when the promise is collected, and nobody can
                handle it any more; ``"live_list"``: not at all, but what comes back has
                ``promises``, the list of those that are unhandled at the moment;
                ``"done_only"``: not at all, only what ends with `done`.

        Returns:
            The policy.

        Raises:
            TypeError: *name* is no `str`.
            ValueError: There is no such policy.

        Bluebird: the page on error management configuration.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be the name of a policy, not {shown(name)}")
        if name not in POLICIES:
            raise ValueError(f"name must be one of {', '.join(POLICIES)}, not {name!r}")
        library: Library = cls._library
        library.policy = POLICIES[name]()
        library.on_unhandled = None
        return library.policy

    setRejectionPolicy = set_rejection_policy

    @classmethod
    def on(cls, name: str, handler: Callable[..., object]) -> None:
        """Have *handler* told of an event in any library copy.

        Args:
            name: ``unhandled_rejection`` (the handler gets the reason and the promise; the
                report in the log is left out) or ``rejection_handled`` (the promise); for
                copies with ``monitoring`` on, ``promise_created``, ``promise_fulfilled``,
                ``promise_rejected``, ``promise_resolved`` and ``promise_cancelled`` (the
                promise), and ``promise_chained`` (the promise, and the one derived from it).
            handler: What it raises is logged.  Of what it does itself, no life-cycle events
                are sent.

        Raises:
            TypeError: *name* is no `str`, or *handler* is not callable.
            ValueError: There is no such event.

        Bluebird: ``process.on``.
        """
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {shown(handler)}")
        _events.on(_events.event_name(name), handler, keep_context(cls, handler))

    @staticmethod
    def off(name: str, handler: Callable[..., object]) -> bool:
        """Do not tell *handler* of an event any more.

        Args:
            name: As for `on`.
            handler: As given to `on`; one `off` for each `on`.

        Returns:
            Whether it had been told.

        Raises:
            TypeError: *name* is no `str`.
            ValueError: There is no such event.

        Bluebird: ``process.removeListener``.
        """
        return _events.off(_events.event_name(name), handler)

    @classmethod
    def on_fatal(cls: Class, handler: Callable[[Any], object] | None = None) -> None:
        """Say what happens when something fails where nothing may: in `done`, or a disposer.

        Args:
            handler: Called with the reason.  None restores the default: log it at critical
                level, stop the reactor in order, and make the process exit with status 2.

        Raises:
            TypeError: *handler* is neither callable nor None.
        """
        if handler is not None and not callable(handler):
            raise TypeError(f"handler must be callable or None, not {shown(handler)}")
        cls._library.on_fatal = None if handler is None else keep_context(cls, handler)

    onFatal = on_fatal

    @classmethod
    def set_scheduler(cls: Class, scheduler: Any) -> Any:
        """Say where promises of this library copy get their turns from.

        Args:
            scheduler: An `IScheduler`; or a function that takes a function without arguments
                and has it called soon, but not from within the call.  Timers and threads stay
                with the reactor then.

        Returns:
            The scheduler that was set before.

        Raises:
            TypeError: *scheduler* is neither.

        What is queued already runs where it was queued.  Bluebird: ``Promise.setScheduler``.
        """
        previous = cls._library.scheduler
        if previous is not scheduler:
            cls._set_queue(scheduler)
        return previous

    setScheduler = set_scheduler

    @classmethod
    def _set_queue(cls, scheduler: Any) -> None:
        if IScheduler.providedBy(scheduler):
            at = scheduler
        elif callable(scheduler):
            at = FunctionScheduler(scheduler, _reactor_scheduler)
        else:
            raise TypeError(
                "scheduler must be an IScheduler or a function that takes a function, "
                f"not {shown(scheduler)}"
            )
        queue = _queues.get(scheduler)
        if queue is None:
            queue = _queues[scheduler] = JobQueue(at, drain, at.time_slice, at.timer)
        library: Library = cls._library
        library.scheduler = scheduler
        library.promise_class._queue = queue
        library.derived_class._queue = queue


# A scheduler keeps its queue for as long as anything is queued or will be.
_queues: WeakValueDictionary[Any, JobQueue] = WeakValueDictionary()
_reactor_scheduler = ReactorScheduler()


def _make_copy(promise_class: type[_Themes[Any]], scheduler: Any) -> None:
    """Make a class derived from `_Themes` a library copy of its own."""
    library = Library()
    library.policy = POLICIES["report"]()
    namespace = {
        "__slots__": (),
        "__init__": object.__init__,
        "__module__": promise_class.__module__,
        "__qualname__": promise_class.__qualname__,
        "__doc__": promise_class.__doc__,
    }
    # What the library makes itself are instances of this class: without an `__init__` of its
    # own, making one takes half the time.
    make: Any = type(promise_class)
    derived: Any = make(promise_class.__name__, (promise_class,), namespace, library_copy=True)
    library.promise_class = promise_class
    library.derived_class = derived
    promise_class._library = library
    promise_class._new = derived
    _diagnostics.add(library)
    promise_class._set_queue(scheduler)


class Promise(_Themes[T_co], library_copy=True):
    """A value that will be there later, or the reason why it will not.

    Args:
        executor: Called at once with two functions, ``resolve(value)`` and
            ``reject(reason)``; with a third, ``on_cancel(hook)``, if it has three positional
            parameters without a default.  The first call of ``resolve`` or ``reject`` counts;
            both may be called from any thread.  What the executor raises rejects.

    Raises:
        TypeError: There is no executor, or it is not callable.

    Bluebird: ``new Promise``; Twisted: ``Deferred()``.
    """

    __slots__ = ()


_make_copy(Promise, _reactor_scheduler)
Disposer._default_class = Promise
_install_adapters(Promise)
