"""`Promise`: the list of its mixins, the constructor, and how a library copy is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NoReturn, SupportsIndex, TypeVar, overload

from zope.interface import implementer

from ._bridge import host as _host  # noqa: F401 - installs itself in the core
from ._bridge.adapters import install as _install_adapters
from ._bridge.doors import add_classes
from ._bridge.executors import Executors
from ._bridge.in_place import InPlace
from ._bridge.methods import Bridge
from ._bridge.threads import Threads
from ._callbacks.callbacks import Callbacks
from ._callbacks.promisify import Promisification
from ._callbacks.promisify_all import PromisifyAll
from ._collections.all import Combining
from ._collections.completing import Completing
from ._collections.joining import Joining
from ._collections.mapping import Mapped
from ._collections.props import Props
from ._collections.series import InSeries
from ._collections.some import Racing
from ._core.jobs import check_home
from ._core.states import make_pending
from ._coroutines.generators import Coroutines
from ._diagnostics.configuration import Configuration
from ._diagnostics.library import Library
from ._diagnostics.reporting import Reporting
from ._diagnostics.tracking import TRACKED
from ._diagnostics.watching import watch
from ._methods.cancellation import Cancellation
from ._methods.construction import Construction
from ._methods.deadline import Deadline
from ._methods.disposer import Disposer
from ._methods.done_callbacks import DoneCallbacks
from ._methods.executor import execute
from ._methods.inspection import Inspection
from ._methods.reflection import PromiseInspection, Reflection
from ._methods.shielding import Shielding
from ._methods.timers import Timers
from ._methods.using import Resources
from ._methods.values import Values
from ._scheduling.scheduling import Scheduling, reactor_scheduler
from ._util import errors as _errors
from ._util.both import name_publicly
from ._util.checks import shown
from ._util.types import Class, Resolve
from .interfaces import IPromise

__all__ = ["Promise"]

T_co = TypeVar("T_co", covariant=True)


@implementer(IPromise)
class _Promise(
    Bridge[T_co],
    Callbacks[T_co],
    Cancellation,
    Combining[T_co],
    Completing[T_co],
    Configuration,
    Construction[T_co],
    Coroutines[T_co],
    DoneCallbacks[T_co],
    Executors[T_co],
    InPlace,
    InSeries[T_co],
    Inspection[T_co],
    Joining[T_co],
    Mapped[T_co],
    Promisification,
    PromisifyAll,
    Props[T_co],
    Racing[T_co],
    Reflection[T_co],
    Reporting,
    Resources[T_co],
    Scheduling,
    Shielding[T_co],
    Threads,
    Timers[T_co],
    Values[T_co],
    Generic[T_co],
):
    """The base of the `Promise` of each library copy: all methods, mixin by mixin."""

    __slots__ = ()

    AggregateError = _errors.AggregateError
    CancellationError = _errors.CancellationError
    Disposer = Disposer
    OperationalError = _errors.OperationalError
    PromiseError = _errors.PromiseError
    PromiseInspection = PromiseInspection
    RejectionError = _errors.RejectionError
    TimeoutError = _errors.TimeoutError

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Refuse `copy` and `pickle`: nothing would settle a copy.

        Raises:
            TypeError: Always.
        """
        raise TypeError("cannot copy or pickle a promise: pass on the promise itself, or its value")

    def __init_subclass__(cls, *, library_copy: bool = False, **kwargs: Any) -> None:
        """Refuse subclasses: extend promises in a library copy.

        Raises:
            TypeError: This is not a library copy.
        """
        super().__init_subclass__(**kwargs)
        if not library_copy:
            raise TypeError(
                "Promise cannot be subclassed: use Promise.get_new_library_copy() "
                "(the promise constructor cannot be invoked directly)"
            )

    # The type of the third argument is Any for checkers: users may declare it with or without the
    # None that it is while cancellation is off.
    @overload
    def __init__(
        self, executor: Callable[[Resolve[T_co], Callable[..., None]], object]
    ) -> None: ...
    @overload
    def __init__(
        self, executor: Callable[[Resolve[T_co], Callable[..., None], Any], object]
    ) -> None: ...
    @overload
    def __init__(self, executor: Callable[[Resolve[T_co]], object]) -> None: ...
    @overload
    def __init__(self, executor: Callable[[], object]) -> None: ...
    def __init__(self, executor: Any = None) -> None:
        if not callable(executor):
            raise TypeError(
                f"executor must be callable, not {shown(executor)}; for a value, use "
                "Promise.resolve() (the promise constructor requires a resolver function)"
            )
        check_home(type(self))
        make_pending(self)
        execute(self, executor)

    @classmethod
    def get_new_library_copy(cls: Class) -> type[Promise[Any]]:
        """A copy of the library, with its own settings, hooks, yield handlers and scheduler.

        They have their defaults, except for the scheduler, which is the one of this library copy.
        Promises of all copies follow and cancel one another.

        Bluebird: ``Promise.getNewLibraryCopy``.
        """
        copy: type[Promise[Any]] = _new_class(_Promise)
        _make_library(copy, cls._library.scheduler)
        return copy

    getNewLibraryCopy = get_new_library_copy


def _new_class(base: type[_Promise[Any]], **namespace: Any) -> Any:
    """A class that looks like `Promise`."""
    alike = {
        "__slots__": (),
        "__module__": Promise.__module__,
        "__qualname__": Promise.__qualname__,
        "__doc__": Promise.__doc__,
    }
    make: Any = type(Promise)
    return make(Promise.__name__, (base,), alike | namespace, library_copy=True)


def _make_library(promise_class: type[_Promise[Any]], scheduler: Any) -> None:
    """Make a class derived from `_Promise` the `Promise` of a library copy of its own."""
    promise_class._library = Library(promise_class)
    # The promises that methods return are instances of this class: without an `__init__` of its
    # own, making one takes half the time.
    promise_class._new = _new_class(promise_class, __init__=object.__init__)
    # While tracking is on, they are of this class, which is larger.
    promise_class._tracked = _new_class(promise_class, __init__=object.__init__, __slots__=TRACKED)
    promise_class._set_queue(scheduler)
    add_classes(promise_class, promise_class._new, promise_class._tracked)
    watch(promise_class._library)


class Promise(_Promise[T_co], library_copy=True):
    """A value that will be available later, or the reason why it will not.

    Args:
        executor: Called at once with the functions ``resolve(value)`` and ``reject(reason)``; and
            with ``on_cancel(hook)``, if it has three positional parameters without a default.  The
            first call of ``resolve`` or ``reject`` counts; both may be called from any thread.
            What the executor raises rejects.  It may take fewer parameters, and be ``async def``.

    Raises:
        TypeError: *executor* is missing, or not callable.

    Bluebird: ``new Promise``; Twisted: ``Deferred()``.
    """

    __slots__ = ()


_make_library(Promise, reactor_scheduler)
name_publicly(Promise, "Promise", __name__)
name_publicly(type(Promise.coroutine), "Promise.coroutine", __name__)
Deadline._default_class = Promise
Disposer._default_class = Promise
_install_adapters(Promise)
