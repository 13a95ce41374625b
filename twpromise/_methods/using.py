"""`Promise.using`, and `disposer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from .._core.cancelling import cancel_all, leave
from .._core.contexts import prepare, run_in_context
from .._core.following import end_of
from .._core.jobs import call_soon
from .._core.settling import lock, reject_raised
from .._core.states import (
    CANCELLING,
    CIRCULAR,
    FULFILLED,
    REJECTED,
    CorePromise,
    is_promise,
    new_pending,
)
from .._util.arity import taking
from .._util.both import Static
from .._util.checks import shown
from .._util.types import Either, Followed, Gives, Later
from .disposer import Disposer
from .leases import Lease, wait
from .reflection import PromiseInspection
from .releasing import Releasing

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Resources"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class _Using(Releasing):
    """Acquires resources, calls a function with them, and has them released.

    When its promise is cancelled, it cancels the work under way and waits for its end, unless the
    work has other consumers and goes on.
    """

    __slots__ = ("_function", "_pending")

    def __init__(
        self, cls: type[CorePromise], resources: list[Any], function: Callable[..., Any]
    ) -> None:
        super().__init__()
        promise = self._make_promise(cls)
        # None once it was called, or must not be called any more.
        self._function: Callable[..., Any] | None = prepare(promise, function)
        # How many resources to wait for; 0 once that has ended.
        self._pending = 0
        for resource in resources:
            lease = Lease(promise, resource)
            self._leases.append(lease)
            self._pending += lease.wait(self)
        if not self._pending or self._failure() is not None:
            self._look_soon()

    def _notify(self, parent: CorePromise) -> None:
        if self._function is not None:
            if self._pending:
                self._pending -= 1
                if not self._pending or not parent._state & FULFILLED:
                    self._look_soon()
        elif self._source is not None:
            self._release_all(parent)
        elif self._inspection is not None:
            self._release_next()

    def _look_soon(self) -> None:
        self._pending = 0
        # In a job of its own: neither the function nor a release is called within `using`.
        call_soon(type(self._promise), self._look)

    def _look(self) -> None:
        """Call the function if all resources are acquired; release them if one has failed."""
        failure = self._failure()
        if failure is None:
            for lease in self._leases:
                # A context manager that is entered here may cancel the promise.
                wanted = self._function is not None
                self._pending += lease.open(self._promise, self, wanted)
                # The traceback of what the function raises leads here.
                del lease
            failure = self._failure()
        function = self._function
        if function is None or (self._pending and failure is None):
            return
        self._function = None
        if failure is None:
            self._use(function)
        else:
            self._begin_release(failure)

    def _failure(self) -> CorePromise | None:
        """The promise of a resource that could not be acquired, or None."""
        for lease in self._leases:
            if lease.has_failed():
                return lease.promise
        return None

    def _use(self, function: Any) -> None:
        # The traceback of what the function raises leads here: no promise in a local variable.
        try:
            result = run_in_context(function, *[lease.promise._value for lease in self._leases])
        except BaseException as error:
            self._wait_for_failed(error)
        else:
            self._wait_for_use(result if is_promise(result) else self._follow(result))

    def _wait_for_failed(self, error: BaseException) -> None:
        failed: CorePromise = new_pending(type(self._promise), owner=self._promise)
        reject_raised(failed, error)
        self._wait_for_use(failed)

    def _wait_for_use(self, promise: CorePromise) -> None:
        if end_of(promise) is self._promise:
            # It would wait for itself, and the resources with it.
            self._wait_for_failed(TypeError(CIRCULAR))
            return
        outcome = wait(self, promise)
        if outcome._state & (FULFILLED | REJECTED):
            self._release_all(outcome)
            return
        self._source = outcome
        if self._state & CANCELLING:
            # By the function.
            self._abandon_now()
        else:
            # So that the outcome cannot be resolved with this promise, and wait for itself.
            self._ahead = outcome
            lock(self._promise, self)

    def _release_all(self, used: CorePromise) -> None:
        self._source = self._ahead = None
        self._end_use(used)

    def _release(self) -> None:
        super()._release()
        self._ahead = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        # It is still notified: a resource that arrives nevertheless has to be released.
        self.stop_consuming()
        waits = True
        if self._function is not None:
            self._function = None
            # Cancel the first one first, as `all` does: the stack is popped from its end.
            for lease in reversed(self._leases):
                lease.leave(stack)
            waits = False
        elif self._source is not None:
            waits = leave(self._source, stack, self._promise)
        if not waits:
            self._source = None
            call_soon(type(self._promise), self._begin_release, self._promise)
        return super()._abandon(stack)

    def _abandon_now(self) -> None:
        """The promise was cancelled before it had something to wait for."""
        stack: list[CorePromise] = []
        self._abandon(stack)
        cancel_all(stack)


def _with_list(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *resources: function(list(resources))


def _not_callable(function: object) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise TypeError(f"handler must be callable, not {shown(function)} (expecting a function)")

    return refuse


if TYPE_CHECKING:
    # Checkers infer the type of a resource in `Lent` and `Coming`; in `Anything`, if the handler
    # declares its parameter.
    Lent: TypeAlias = Disposer[U] | Followed[U]
    Coming: TypeAlias = Followed[Disposer[U]]
    Anything: TypeAlias = Either[U] | Disposer[U] | Followed[Disposer[U]]

    class _UsingMethod(Static):
        @overload
        def __call__(self, a: Coming[A], fn: Later[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Coming[A], fn: Gives[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Lent[A], fn: Later[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Lent[A], fn: Gives[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Lent[A], b: Lent[B], fn: Later[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Lent[A], b: Lent[B], fn: Gives[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Anything[A], b: Anything[B], fn: Later[[A, B], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Anything[A], b: Anything[B], fn: Gives[[A, B], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Lent[A], b: Lent[B], c: Lent[C], fn: Later[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Lent[A], b: Lent[B], c: Lent[C], fn: Gives[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Lent[A], b: Lent[B], c: Lent[C], d: Lent[D], fn: Later[[A, B, C, D], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Lent[A], b: Lent[B], c: Lent[C], d: Lent[D], fn: Gives[[A, B, C, D], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, resources: Sequence[Lent[A]], fn: Callable[[list[A]], Followed[U]], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, resources: Sequence[Lent[A]], fn: Callable[[list[A]], Either[U]], /
        ) -> Promise[U]: ...
        def __call__(self, *values: Any) -> Any: ...

else:
    _UsingMethod = Static


class Resources(CorePromise, Generic[T_co]):
    """Resources that are released after use."""

    __slots__ = ()

    @overload
    def disposer(self, release: Callable[[T_co], object]) -> Disposer[T_co]: ...
    @overload
    def disposer(
        self, release: Callable[[T_co, PromiseInspection[Any]], object]
    ) -> Disposer[T_co]: ...
    @overload
    def disposer(self, release: Callable[[], object]) -> Disposer[T_co]: ...
    def disposer(self, release: Callable[..., Any]) -> Disposer[T_co]:
        """A `Disposer` for this promise's value, to be used with `using`.

        Args:
            release: Called with the resource, and with a `PromiseInspection` of the outcome of
                its use if it has a second positional parameter without a default.  If it
                returns a promise or the like, that is waited for.  If it fails, the error goes
                to the fatal hook, since the resource has leaked.

        Raises:
            TypeError: *release* is not callable.

        Bluebird: ``.disposer``.
        """
        return Disposer._of_promise(self, release)

    @_UsingMethod
    def using(cls: Any, *resources_and_handler: Any) -> Any:
        """A promise for the handler's result; the resources are released before it settles.

        Args:
            *resources_and_handler: Disposers, promises, Deferreds or values, or one list of these;
                then the handler.  It is called with the resources (or with the list of them)
                once all are acquired.

        Each acquired resource is released exactly once, one after the other, when the handler has
        failed or its result has settled, when another resource could not be acquired, or when the
        promise is cancelled.  Resources that are still pending by then are cancelled, unless they
        have other consumers; one that arrives later is released, too.

        Rejects with `RuntimeError` if a disposer was used before, and with `TypeError` for
        a context manager (use `Disposer.of`) and for a handler that is not callable.

        Bluebird: ``Promise.using``; Python: ``async with``.
        """
        cls._queue.check_thread()
        if len(resources_and_handler) < 2:
            return cls.reject(TypeError("you must pass at least 2 arguments to Promise.using"))
        *resources, handler = resources_and_handler
        handler = taking(handler) if callable(handler) else _not_callable(handler)
        if len(resources) == 1 and issubclass(type(resources[0]), list | tuple):
            # Also without a handler: the disposers in the list have to be released.
            resources = list(resources[0])
            handler = _with_list(handler)
        return _Using(cls, resources, handler)._promise
