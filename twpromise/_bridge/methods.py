"""The methods that connect promises with Deferreds."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from twisted.internet.defer import Deferred

from .._callbacks.promisify import DEFERREDS
from .._callbacks.promisify_all import add_all
from .._core.jobs import check_home
from .._core.resolving import call_into
from .._core.settling import mark_handled
from .._core.states import DEAD, CorePromise, is_promise, new_pending
from .._coroutines.awaiting import await_promise
from .._util.checks import check_seconds, not_a_function, shown
from .._util.types import Class, Gives, Later, Mixed, N
from .deferreds import adopt_deferred
from .to_deferred import make_deferred
from .unclaimed import adopt_for_certain

if TYPE_CHECKING:
    from collections.abc import Generator

    from .._promise import Promise

__all__ = ["Bridge"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
P = ParamSpec("P")


class Deferify(Protocol):
    """The type of what ``deferify(timeout=...)`` returns: a decorator."""

    @overload
    def __call__(self, function: Later[P, U], /) -> Callable[P, Deferred[U]]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, function: Gives[P, U], /) -> Callable[P, Deferred[U]]: ...
    @overload
    def __call__(self, function: Mixed[P, U, N], /) -> Callable[P, Deferred[U | N]]: ...


class Bridge(CorePromise, Generic[T_co]):
    """Promises beside Deferreds and coroutines."""

    __slots__ = ()

    @classmethod
    def from_deferred(
        cls: Class, deferred: Deferred[U], *, unclaimed: Callable[[U], object] | None = None
    ) -> Promise[U]:
        """A promise that settles as a Deferred does, and owns the Deferred from now on.

        Args:
            deferred: Callbacks that you add to it later get None, also if it fails.  It may be
                adopted more than once: each promise gets the same outcome.
            unclaimed: Called once with a value that reaches no consumer, so that you can give it
                back (a lock, an item of a queue, a connection): the last consumer was cancelled,
                but the Deferred fired all the same.  It may be ``async def``; what it raises is
                logged.

        If the Deferred has fired, the promise has settled; with *unclaimed*, it settles in the next
        turn.  When the last consumer of the last promise is cancelled, the Deferred is cancelled;
        with *unclaimed* its canceller is called, and it may still fire.

        Raises:
            TypeError: *deferred* is not a Deferred, or *unclaimed* is not callable.
        """
        # With `install`, a promise counts as a Deferred.
        if type(deferred) is not Deferred and (
            is_promise(deferred) or not isinstance(deferred, Deferred)
        ):
            raise TypeError(f"deferred must be a Deferred, not {shown(deferred)}")
        if unclaimed is not None and not callable(unclaimed):
            raise not_a_function("unclaimed", unclaimed)
        check_home(cls)
        promise = new_pending(cls)
        if unclaimed is None:
            adopt_deferred(promise, deferred)
        else:
            adopt_for_certain(promise, deferred, unclaimed)
        return cast("Promise[U]", promise)

    fromDeferred = from_deferred

    def to_deferred(self) -> Deferred[T_co]:
        """A new Deferred for the outcome, which is a consumer of this promise.

        It has fired if the promise has settled; otherwise it fires from the scheduler.  A rejection
        counts as handled, since the Deferred reports it if it has no errback.  Cancelling the
        Deferred withdraws this consumer only.  If the promise is cancelled by others, the Deferred
        fails with `CancellationError`.
        """
        return make_deferred(self)

    toDeferred = to_deferred

    @overload
    @classmethod
    def deferify(cls, function: Later[P, U], /) -> Callable[P, Deferred[U]]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    @classmethod
    def deferify(cls, function: Gives[P, U], /) -> Callable[P, Deferred[U]]: ...
    @overload
    @classmethod
    def deferify(cls, function: Mixed[P, U, N], /) -> Callable[P, Deferred[U | N]]: ...
    @overload
    @classmethod
    def deferify(cls, /, *, timeout: float) -> Deferify: ...
    @classmethod
    def deferify(cls, function: Any = None, /, *, timeout: float | None = None) -> Any:
        """A function that returns a Deferred for the result of *function*.

        Use it where Twisted wants a Deferred (a trial test, a klein route, an AMP responder, a
        `LoopingCall`): Twisted checks for the exact type, and takes a promise for a plain value.

        Args:
            function: A function or method that returns a promise, anything else that is followed,
                or a plain value; or an ``async def`` function.  Without it, a decorator is
                returned.  What the function raises becomes a failure of the Deferred.
            timeout: Seconds after which the Deferred fails with `TimeoutError`, and the result of
                the function is cancelled; see `timeout`.

        Raises:
            TypeError: *function* is not callable, or *timeout* is not a number.
            ValueError: *timeout* is negative or NaN.

        Twisted: ``maybeDeferred``, ``Deferred.addTimeout``.
        """
        if timeout is not None:
            timeout = check_seconds("timeout", timeout)
            if function is None:
                return lambda function: cls._deferified(function, timeout)
        return cls._deferified(function, timeout)

    @classmethod
    def _deferified(cls, function: Any, timeout: float | None) -> Any:
        if not callable(function):
            raise TypeError(f"function must be callable, not {shown(function)}")

        def deferified(*args: Any, **kwargs: Any) -> Deferred[Any]:
            check_home(cls)
            promise: Any = new_pending(cls)
            mark_handled(promise)
            call_into(promise, function, args, kwargs)
            if timeout is None or promise._state & DEAD:
                return make_deferred(promise)
            return make_deferred(promise.timeout(timeout))

        return update_wrapper(deferified, function)

    @classmethod
    def deferify_all(
        cls: Class,
        target: Any,
        *,
        suffix: str = "Deferred",
        filter: Callable[..., Any] | None = None,
    ) -> Any:
        """Add a Deferred-returning version of each function of *target*, and return *target*.

        Args:
            target: An object, a class, a module, or a list of classes; see `promisify_all`.
            suffix: Appended to the name of a function to name its new version.
            filter: Chooses the functions; see `promisify_all`.

        Raises:
            TypeError: As `promisify_all`.
            ValueError: As `promisify_all`.
        """
        add_all(target, cls.deferify, DEFERREDS, suffix, filter)
        return target

    deferifyAll = deferify_all

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Any, Any, T_co]: ...

    else:
        # The generator function itself: that saves a call.
        __await__ = await_promise
