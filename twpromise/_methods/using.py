"""`Promise.using`, and `disposer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from .._core.cancelling import cancel_all, leave
from .._core.contexts import prepare, run_in_context
from .._core.following import end_of
from .._core.jobs import call_soon
from .._core.reactions import Node
from .._core.settling import lock, reject_raised
from .._core.states import CANCELLING, CIRCULAR, FULFILLED, REJECTED, CorePromise, new_pending
from .._util.both import Static
from .._util.checks import shown
from .._util.types import Either, Followed, Gives, Later
from .disposer import Disposer
from .leases import Lease, Releasing, promise_for, wait
from .reflection import PromiseInspection

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Resources"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class _Using(Node):
    """Acquires resources, calls a function with them, and has them released.

    Each of the three is waited for to its end: a cancellation is passed on to the one that is
    under way, and its outcome is waited for too.
    """

    __slots__ = ("_ahead", "_failure", "_function", "_leases", "_pending")

    def __init__(
        self, cls: type[CorePromise], resources: list[Any], function: Callable[..., Any]
    ) -> None:
        super().__init__()
        promise = self._make_promise(cls)
        self._ahead: CorePromise | None = None
        # None once it has been called.
        self._function: Callable[..., Any] | None = prepare(promise, function)
        self._leases: list[Lease] = []
        # The promise of a resource that could not be acquired; the node's own promise, if that
        # was cancelled.
        self._failure: CorePromise | None = None
        # How many resources are still to be waited for, and one more while that is being counted.
        self._pending = 1
        for resource in resources:
            lease = Lease(promise, resource)
            self._pending += lease.wait(self)
            self._leases.append(lease)
        self._one_less()

    def _notify(self, parent: CorePromise) -> None:
        if self._function is not None:
            self._one_less()
        else:
            self._release_all(parent)

    def _one_less(self) -> None:
        self._pending -= 1
        if not self._pending:
            # In a job of its own: neither the function nor a release is called within `using`.
            call_soon(type(self._promise), self._all_settled)

    def _all_settled(self) -> None:
        self._pending = 1
        for lease in self._leases:
            self._pending += lease.open(self._promise, self, self._failure is None)
        self._pending -= 1
        if self._pending:
            if self._state & CANCELLING:
                self._abandon_now()
            return
        for lease in self._leases:
            if self._failure is None and not lease.is_acquired():
                rejected = lease.promise._state & REJECTED
                self._failure = lease.promise if rejected else self._promise
        function, self._function = self._function, None
        if self._failure is None:
            self._use(function)
        else:
            self._release_all(self._failure)

    def _use(self, function: Any) -> None:
        # The traceback of what the function raises leads here: no promise in a local variable.
        try:
            result = run_in_context(function, *[lease.promise._value for lease in self._leases])
        except BaseException as error:
            self._wait_for_failed(error)
        else:
            self._wait_for_use(promise_for(self._promise, result))

    def _wait_for_failed(self, error: BaseException) -> None:
        failed: CorePromise = new_pending(type(self._promise))
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

    def _release_all(self, outcome: CorePromise) -> None:
        promise, leases = self._promise, self._leases
        if promise._state & CANCELLING:
            # What is half done must not pass for done.
            outcome = promise
        Releasing(self.finish(), outcome, leases)

    def _release(self) -> None:
        self._leases = []
        self._ahead = self._failure = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        # It is still notified: a resource that comes all the same has to be released.
        self.stop_consuming()
        if self._function is not None:
            self._failure = self._promise
            # The first is cancelled first, as by `all`: a stack goes from its end.
            for lease in reversed(self._leases):
                lease.leave(stack)
        elif self._source is not None:
            self._ahead = None
            waits = leave(self._source, stack, self._promise)
            if not waits and self._source._state & CANCELLING:
                # That waits for this one in its turn.
                call_soon(type(self._promise), self._release_all, self._promise)
        return True

    def _abandon_now(self) -> None:
        """The promise was cancelled before it was known what it would wait for."""
        stack: list[CorePromise] = []
        self._abandon(stack)
        cancel_all(stack)


def _with_list(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *resources: function(list(resources))


def _not_callable(function: object) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise TypeError(f"expecting a function: handler must be callable, not {shown(function)}")

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
    """Resources that are released, whatever happens."""

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
        """This promise's value as a resource, for `using`.

        Args:
            release: Called with the resource and, if it has a second positional parameter
                without a default, with a `PromiseInspection` of the outcome of its use.  What it
                returns is waited for; a failure goes to the fatal hook, since the resource is
                lost then.

        Raises:
            TypeError: *release* is not callable.

        Bluebird: ``.disposer``.
        """
        return Disposer._of_promise(self, release)

    @_UsingMethod
    def using(cls: Any, *resources_and_handler: Any) -> Any:
        """A promise for what a handler makes of resources, which are released afterwards.

        Args:
            *resources_and_handler: Disposers, promises, whatever else is followed, or values;
                or one list of these; then the handler, called with the resources, or with the
                list of them, once all are acquired.

        Each resource that was acquired is released exactly once, one after the other, each
        release waited for: when what the handler returned has settled, when it has raised, when
        another resource could not be acquired, or when the promise was cancelled.  A disposer can
        be used once: one that was used rejects with a `RuntimeError`; something that is no
        resource, with a `TypeError`.

        Bluebird: ``Promise.using``; Python: ``async with``.
        """
        cls._queue.check_thread()
        if len(resources_and_handler) < 2:
            return cls.reject(TypeError("you must pass at least 2 arguments to Promise.using"))
        *resources, handler = resources_and_handler
        if not callable(handler):
            handler = _not_callable(handler)
        if len(resources) == 1 and issubclass(type(resources[0]), list | tuple):
            # Also without a handler: the disposers in the list have to be released.
            resources = list(resources[0])
            handler = _with_list(handler)
        return _Using(cls, resources, handler)._promise
