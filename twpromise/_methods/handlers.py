"""Attaching handlers: `then`, `catch`, `error`, `finally_`, `tap`, `tap_catch` and `done`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .._core.contexts import prepare, run_in_context
from .._core.reactions import Node
from .._core.reactions import then as _then
from .._core.resolving import new_rejected
from .._core.settling import report_fatal
from .._core.states import FULFILLED, REJECTED, CorePromise
from .._util.arity import taking
from .._util.checks import is_filter_only, no_handler
from .._util.types import Gives, Later, Mixed, N
from .beside import Beside
from .filters import (
    Filter,
    Filtered,
    Kind,
    NoHandler,
    Test,
    Untyped,
    check_filters,
    is_operational,
    passes,
)

if TYPE_CHECKING:
    from typing_extensions import deprecated

    from .._promise import Promise
else:
    # Only type checkers read it, and they bring that package.
    deprecated = lambda message: lambda function: function  # noqa: E731

__all__ = ["Done", "Handlers"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
V = TypeVar("V")
M = TypeVar("M", bound=int | float | str | bytes | None)
A = TypeVar("A", bound=BaseException)
B = TypeVar("B", bound=BaseException)
C = TypeVar("C", bound=BaseException)
D = TypeVar("D", bound=BaseException)


class Done(Node):
    """Waits for an outcome at the end of a chain: a rejection is fatal."""

    __slots__ = ()

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & REJECTED:
            report_fatal(parent)


def _check(method: str, filters: list[Any], handler: Any) -> TypeError | None:
    """The error for wrong arguments of `catch` or `tap_catch`, or None."""
    error = check_filters(filters) if filters else None
    if error is None and type(handler) is not FunctionType:
        # A lone argument that is neither a handler nor a filter is ignored, as by `then`.
        mapping = isinstance(handler, Mapping) and bool(handler)
        if is_filter_only(handler) or mapping or (filters and not callable(handler)):
            return no_handler(method, *filters, handler)
    return error


class Handlers(CorePromise, Generic[T_co]):
    """The methods that attach handlers."""

    __slots__ = ()

    if TYPE_CHECKING:
        # `reactions.then` as its users see it.  For why there are so many, see `Followed`.

        @overload
        def then(
            self, on_fulfilled: None = None, on_rejected: Mixed[[Any], V, M] | None = None
        ) -> Promise[T_co | V | M]: ...
        @overload
        def then(
            self, on_fulfilled: None = None, on_rejected: Gives[[Any], V] | None = None
        ) -> Promise[T_co | V]: ...
        @overload
        def then(self, on_fulfilled: Later[[T_co], U], on_rejected: None = None) -> Promise[U]: ...
        @overload
        def then(
            self, on_fulfilled: Mixed[[T_co], U, N], on_rejected: None = None
        ) -> Promise[U | N]: ...
        @overload
        def then(self, on_fulfilled: Gives[[T_co], U], on_rejected: None = None) -> Promise[U]: ...
        @overload
        def then(
            self, on_fulfilled: Mixed[[T_co], U, N], on_rejected: Mixed[[Any], V, M]
        ) -> Promise[U | N | V | M]: ...
        @overload
        def then(
            self, on_fulfilled: Gives[[T_co], U], on_rejected: Mixed[[Any], V, M]
        ) -> Promise[U | V | M]: ...
        @overload
        def then(
            self, on_fulfilled: Mixed[[T_co], U, N], on_rejected: Gives[[Any], V]
        ) -> Promise[U | N | V]: ...
        @overload
        def then(
            self, on_fulfilled: Gives[[T_co], U], on_rejected: Gives[[Any], V]
        ) -> Promise[U | V]: ...
        def then(self, on_fulfilled: Any = None, on_rejected: Any = None) -> Any: ...

    else:
        then = _then

    @overload
    def catch(self, handler: Untyped[V], /) -> Promise[T_co | V]: ...
    @overload
    def catch(self, filter: Filter, handler: Untyped[V], /) -> Promise[T_co | V]: ...
    @overload
    @deprecated("catch(KeyError) has no handler, and rejects with a TypeError")
    def catch(self, filter: Kind[A], /) -> Promise[T_co | A]: ...
    @overload
    @deprecated("catch(KeyError, OSError) has no handler, and rejects with a TypeError")
    def catch(self, a: NoHandler, b: Kind[A], /) -> Promise[T_co | A]: ...
    @overload
    def catch(self, handler: Mixed[[Any], V, N], /) -> Promise[T_co | V | N]: ...
    @overload
    def catch(self, handler: Gives[[Any], V], /) -> Promise[T_co | V]: ...
    @overload
    def catch(self, a: Kind[A], handler: Mixed[[A], V, N], /) -> Promise[T_co | V | N]: ...
    @overload
    def catch(self, a: Kind[A], handler: Gives[[A], V], /) -> Promise[T_co | V]: ...
    @overload
    def catch(
        self, a: Kind[A], b: Kind[B], handler: Mixed[[A | B], V, N], /
    ) -> Promise[T_co | V | N]: ...
    @overload
    def catch(self, a: Kind[A], b: Kind[B], handler: Gives[[A | B], V], /) -> Promise[T_co | V]: ...
    @overload
    def catch(
        self, a: Kind[A], b: Kind[B], c: Kind[C], handler: Mixed[[A | B | C], V, N], /
    ) -> Promise[T_co | V | N]: ...
    @overload
    def catch(
        self, a: Kind[A], b: Kind[B], c: Kind[C], handler: Gives[[A | B | C], V], /
    ) -> Promise[T_co | V]: ...
    @overload
    def catch(
        self,
        a: Kind[A],
        b: Kind[B],
        c: Kind[C],
        d: Kind[D],
        handler: Mixed[[A | B | C | D], V, N],
        /,
    ) -> Promise[T_co | V | N]: ...
    @overload
    def catch(
        self, a: Kind[A], b: Kind[B], c: Kind[C], d: Kind[D], handler: Gives[[A | B | C | D], V], /
    ) -> Promise[T_co | V]: ...
    @overload
    def catch(self, filter: Test, handler: Mixed[[Any], V, N], /) -> Promise[T_co | V | N]: ...
    @overload
    def catch(self, filter: Test, handler: Gives[[Any], V], /) -> Promise[T_co | V]: ...
    @overload
    def catch(self, filter: Test, other: Filter, handler: Any, /, *more: Any) -> Promise[Any]: ...
    @overload
    def catch(self, filter: Filter, other: Test, handler: Any, /, *more: Any) -> Promise[Any]: ...
    @overload
    def catch(
        self, a: Filter, b: Filter, third: Test, handler: Any, /, *more: Any
    ) -> Promise[Any]: ...
    @overload
    def catch(
        self, a: Filter, b: Filter, c: Filter, d: Filter, e: Filter, handler: Any, /, *more: Any
    ) -> Promise[Any]: ...
    def catch(self, *filters_and_handler: Any) -> Any:
        """A promise for the value, or for the handler's result if this promise is rejected.

        Args:
            *filters_and_handler: Any number of filters, then the handler.  The handler is called
                with the reason if there are no filters, or if one of them matches.  A filter is
                an exception class or a tuple of them; a predicate, called with the reason; or
                a mapping of attribute names of the reason to values.

        Any other filter, filters without a handler, and a predicate that is ``async def`` or
        returns a promise reject with `TypeError`; a predicate that raises rejects with its error.

        Bluebird: ``.catch``; Twisted: ``Deferred.addErrback``, ``Failure.check``.
        """
        if not filters_and_handler:
            return self.then()
        *filters, handler = filters_and_handler
        error = _check("catch", filters, handler)
        if error is not None:
            return new_rejected(type(self), error)
        return _then(self, None, Filtered(tuple(filters), handler) if filters else handler)

    caught = catch

    @overload
    def error(self, handler: Untyped[V]) -> Promise[T_co | V]: ...
    @overload
    @deprecated("error(KeyError) has no handler, and rejects with a TypeError")
    def error(self, handler: Kind[A]) -> Promise[T_co | A]: ...
    @overload
    def error(self, handler: Mixed[[Any], V, N]) -> Promise[T_co | V | N]: ...
    @overload
    def error(self, handler: Gives[[Any], V]) -> Promise[T_co | V]: ...
    def error(self, handler: Any) -> Any:
        """Like `catch`, for operational errors only.

        Args:
            handler: Called with the reason if it is an `OperationalError`, or marked as
                operational, as errors of promisified callbacks are.  If it is not callable, or
                is an exception class, the promise is rejected with `TypeError`.

        Bluebird: ``.error``.
        """
        if not callable(handler) or is_filter_only(handler):
            return new_rejected(type(self), no_handler("error", handler))
        return self.then(None, Filtered((is_operational,), handler))

    def finally_(self, handler: Callable[[], object]) -> Promise[T_co]:
        """A promise for the same outcome, once *handler* has run.

        Args:
            handler: Called without arguments when this promise is fulfilled, rejected or cancelled.
                If it returns a promise or the like, that is waited for.  Its value is ignored;
                if it fails, its error replaces the outcome.  If it is not callable, it is
                ignored, as by `then`.

        Bluebird: ``.finally``; Twisted: ``Deferred.addBoth``.
        """
        if not callable(handler):
            return cast("Promise[T_co]", self.then(handler))
        # It may be bound.
        prepared = prepare(self, handler if self._extra is None else taking(handler))

        def call(state: int, value: Any) -> Any:
            # What the handler raises does not keep it alive.
            del value
            return run_in_context(prepared)

        return cast("Promise[T_co]", Beside.derive(self, call))

    lastly = finally_

    def tap(self, handler: Callable[[T_co], object]) -> Promise[T_co]:
        """A promise for the same outcome, once *handler* has run with the value.

        Args:
            handler: Called with the value if this promise is fulfilled.  It is waited for as in
                `finally_`.

        Bluebird: ``.tap``.
        """
        if not callable(handler):
            return cast("Promise[T_co]", self.then(handler))
        prepared = prepare(self, taking(handler))

        def call(state: int, value: Any) -> Any:
            try:
                return run_in_context(prepared, value) if state & FULFILLED else None
            finally:
                # The traceback of what the handler raises refers to this frame.
                del value

        return cast("Promise[T_co]", Beside.derive(self, call))

    @overload
    def tap_catch(self, handler: Untyped[V], /) -> Promise[T_co]: ...
    @overload
    def tap_catch(self, filter: Filter, handler: Untyped[V], /) -> Promise[T_co]: ...
    @overload
    @deprecated("tap_catch(KeyError) has no handler, and rejects with a TypeError")
    def tap_catch(self, filter: NoHandler, /) -> Promise[T_co]: ...
    @overload
    @deprecated("tap_catch(KeyError, OSError) has no handler, and rejects with a TypeError")
    def tap_catch(self, a: Kind[A], b: NoHandler, /) -> Promise[T_co]: ...
    @overload
    def tap_catch(self, handler: Callable[[Any], object], /) -> Promise[T_co]: ...
    @overload
    def tap_catch(self, filter: Kind[A], handler: Callable[[A], object], /) -> Promise[T_co]: ...
    @overload
    def tap_catch(self, filter: Test, handler: Callable[[Any], object], /) -> Promise[T_co]: ...
    @overload
    def tap_catch(
        self, filter: Filter, other: Filter, handler: Any, /, *more: Any
    ) -> Promise[T_co]: ...
    def tap_catch(self, *filters_and_handler: Any) -> Any:
        """A promise for the same outcome, once a handler has run with the reason.

        Args:
            *filters_and_handler: As for `catch`.  The handler is waited for as in `finally_`.

        Bluebird: ``.tapCatch``.
        """
        if not filters_and_handler:
            return self.then()
        *filters, handler = filters_and_handler
        error = _check("tap_catch", filters, handler)
        if error is not None:
            return new_rejected(type(self), error)
        if not callable(handler):
            return _then(self, None, handler)
        prepared = prepare(self, taking(handler))
        prepared_filters = tuple(
            one if isinstance(one, (type, tuple, Mapping)) else prepare(self, one, awaited=False)
            for one in filters
        )

        def call(state: int, value: Any) -> Any:
            try:
                if state & REJECTED and passes(prepared_filters, (value,)):
                    return run_in_context(prepared, value)
                return None
            finally:
                # The traceback of what the handler raises refers to this frame.
                del value

        return Beside.derive(self, call)

    tapCatch = tap_catch

    def done(self, on_fulfilled: Any = None, on_rejected: Any = None) -> None:
        """End a chain: like `then`, but a rejection that is not handled here is fatal.

        A fatal rejection goes to the hook of `on_fatal`, by default to the log at critical level.

        Bluebird: ``.done``.
        """
        Done().wait_for(_then(self, on_fulfilled, on_rejected))
