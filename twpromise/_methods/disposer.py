"""`Disposer`: a resource and how to release it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, NoReturn, SupportsIndex, TypeVar

from .._core import hooks
from .._core.contexts import keep_context, kept_by, run_in_context
from .._core.extra import run_at_origin
from .._core.following import outcome_of
from .._core.jobs import call_at_home
from .._core.resolving import call_into
from .._core.settling import mark_handled
from .._core.states import CANCELLED, DEAD, FULFILLED, REJECTED, CorePromise, new_pending
from .._util.arity import required_positionals
from .._util.checks import shown
from .._util.errors import CANCELLATIONS, CancellationError, as_exception
from .._util.exceptions import get_traceback
from .acquiring import enter, give_back
from .handlers import Done
from .reflection import PromiseInspection

__all__ = ["CANCELLED_USE", "Disposer", "manager_methods"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

CANCELLED_USE: Final[PromiseInspection[Any]] = PromiseInspection(CANCELLED, None)


class Disposer(Generic[T_co]):
    """A resource and how to release it; for `Promise.using` or ``async with``.

    Made by `Promise.disposer`, or from a context manager by `Disposer.of`.  Use it once.  If it is
    garbage-collected unused, its resource is released.

    Bluebird: ``Disposer``.
    """

    __slots__ = ("__weakref__", "_acquire", "_cls", "_promise", "_release", "_used")

    #: The class whose promises `of` makes: `Promise` sets itself here.
    _default_class: ClassVar[type[CorePromise]]

    def __init__(
        self,
        cls: type[CorePromise],
        release: Callable[[Any, PromiseInspection[Any]], Any],
        *,
        promise: CorePromise | None = None,
        acquire: Callable[[], Any] | None = None,
    ) -> None:
        self._cls = cls
        self._release = release
        # The promise for the resource, if it is being acquired already; else a function that
        # begins.  Using the disposer clears both, since frames of a failed acquisition refer to the
        # disposer.
        self._promise = promise
        self._acquire = acquire
        self._used = False

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        """Refuse `copy` and `pickle`: a copy would release the resource once more.

        Raises:
            TypeError: Always.
        """
        raise TypeError("cannot copy or pickle a disposer: its resource is released once")

    @staticmethod
    def of(
        manager: AbstractContextManager[U] | AbstractAsyncContextManager[U],
    ) -> Disposer[U]:
        """A disposer for the resource of a context manager.

        Args:
            manager: A sync or async context manager; if it is both, it is used as an async one.
                It is entered when the disposer is used, and left when the resource is released.
                It gets the exception if the use failed, or a `CancellationError` if the use was
                cancelled, and cannot suppress either.

        Raises:
            TypeError: *manager* is not a context manager.
        """
        methods = manager_methods(manager)
        if methods is None:
            raise TypeError(f"manager must be a context manager, not {shown(manager)}")
        enter_, exit_ = methods

        def release(_: Any, outcome: PromiseInspection[Any]) -> Any:
            if outcome.is_fulfilled():
                return exit_(manager, None, None, None)
            # Also when it was cancelled: a transaction that is half done must not be committed.
            if outcome.is_rejected():
                error = as_exception(outcome.reason())
            else:
                error = CancellationError("the use of the resource was cancelled")
            return exit_(manager, type(error), error, get_traceback(error))

        cls = Disposer._default_class
        return Disposer(cls, keep_context(cls, release), acquire=lambda: enter_(manager))

    @staticmethod
    def _of_promise(promise: CorePromise, release: Callable[..., Any]) -> Disposer[Any]:
        """See `Promise.disposer`."""
        cls = type(promise)
        if not callable(release):
            raise TypeError(f"release must be callable, not {shown(release)}")
        declared = required_positionals(release)
        passed = 1 if declared is None else min(declared, 2)
        kept = keep_context(cls, lambda *given: release(*given[:passed]))
        return Disposer(cls, kept, promise=promise)

    def _take(self) -> CorePromise:
        """Use the disposer: a promise for the resource.

        Raises:
            RuntimeError: It has been used.
        """
        if self._used:
            raise RuntimeError("the disposer has been used already: one resource, one use")
        self._used = True
        promise, self._promise = self._promise, None
        if promise is None:
            promise = new_pending(self._cls)
            acquire, self._acquire = self._acquire, None
            call_into(promise, acquire)  # type: ignore[arg-type]
        return promise

    def _dispose(
        self, promise: CorePromise, outcome: PromiseInspection[Any] = CANCELLED_USE
    ) -> CorePromise:
        """Release the resource of *promise*; a failure goes to the fatal hook.

        Returns:
            A promise for the end of the release; its rejection counts as handled.
        """
        released: CorePromise = new_pending(self._cls, owner=promise)
        mark_handled(released)
        call_into(released, run_in_context, (self._release, promise._value, outcome))
        ended = outcome_of(released)
        if ended._state & REJECTED:
            # The resource has leaked.
            report = hooks.host.fatal, self._cls._library, ended._value, ended._aux
            run_at_origin(kept_by(self._release), *report)
        elif not ended._state & DEAD:
            Done().wait_for(released)
        return released

    def _give_back(self) -> None:
        """Release the resource, or stop acquiring it, unless the disposer was used."""
        promise, self._promise = self._promise, None
        self._used = True
        if promise is not None:
            give_back(self, promise)

    def __del__(self) -> None:
        """Release the resource of a disposer that was not used."""
        promise = self._promise
        if self._used or promise is None:
            return
        disposer: Disposer[Any] = Disposer(self._cls, self._release)
        # The collector may run in any thread.
        call_at_home(promise._queue, give_back, disposer, promise)

    async def __aenter__(self) -> T_co:
        """Wait for the resource."""
        promise: Any = self._take()
        settled = outcome_of(promise)._state & DEAD
        try:
            resource = await (promise if settled else enter(promise))
        except BaseException:
            if not outcome_of(promise)._state & REJECTED:
                # The coroutine was cancelled, but the resource may still arrive.
                give_back(self, promise)
            # The traceback of its reason refers to this frame.
            del promise
            raise
        self._promise = outcome_of(promise)
        return resource  # type: ignore[no-any-return]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the resource, and wait for that; a failure goes to the fatal hook."""
        assert self._promise is not None
        if error is None:
            outcome = PromiseInspection[Any](FULFILLED, None)
        elif issubclass(type(error), CANCELLATIONS):
            outcome = CANCELLED_USE
        else:
            outcome = PromiseInspection[Any](REJECTED, error)
        # Not in the context of the block: it must not see what the release sets.
        released: Any = Context().run(self._dispose, self._promise, outcome)
        # A coroutine that is being closed cannot wait.
        if not isinstance(error, GeneratorExit):
            await _to_the_end(released)


async def _to_the_end(released: Any) -> None:
    """Wait for a release, also when that is cancelled: later steps rely on its end."""
    try:
        await released.reflect()
    except GeneratorExit:
        raise
    except CANCELLATIONS:
        await _to_the_end(released)
        raise


def manager_methods(manager: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """The methods that enter and leave a context manager; None for another object."""
    kind: Any = type(manager)
    for names in (("__aenter__", "__aexit__"), ("__enter__", "__exit__")):
        enter, exit_ = (getattr(kind, name, None) for name in names)
        if enter is not None and exit_ is not None:
            return enter, exit_
    return None
