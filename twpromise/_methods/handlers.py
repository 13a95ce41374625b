"""Handling outcomes: `then`, `catch` and `finally_`, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast, overload

from .._core import hooks
from .._core.cancelling import leave
from .._core.contexts import prepare, run_in_context
from .._core.reactions import Node, observed, subscribe
from .._core.reactions import then as _then
from .._core.resolving import DECLINED, is_followed, new_rejected, new_resolved
from .._core.settling import finish_cancel, pass_on, reject_raised
from .._core.states import CANCELLED, CANCELLING, FULFILLED, NODE, REJECTED, CorePromise
from .._core.subscribers import remove_subscriber
from .._scheduling.queue import call_soon
from .._util.checks import shown
from .._util.exceptions import is_exception
from .._util.types import Gives, Later, Mixed, N

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Filter", "Handlers", "check_filters", "passes"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
V = TypeVar("V")
M = TypeVar("M", bound=int | float | str | bytes | None)
A = TypeVar("A", bound=BaseException)
B = TypeVar("B", bound=BaseException)
C = TypeVar("C", bound=BaseException)
D = TypeVar("D", bound=BaseException)

#: What `catch` takes before its handler.  That a predicate returns a `bool` is asked for so that
#: checkers do not take an exception class for one.
Kind: TypeAlias = type[A] | tuple[type[A], ...]
Test: TypeAlias = Callable[[Any], bool] | Mapping[str, Any]
Filter: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Test


# --- filters ------------------------------------------------------------------------------


def check_filters(filters: tuple[Any, ...]) -> TypeError | None:
    """The error for something that is no filter, or None.

    A filter is an exception class or a tuple of them, a predicate, or a mapping of attribute
    names to values.
    """
    for one in filters:
        if isinstance(one, type):
            if _is_exception_class(one):
                continue
        elif isinstance(one, tuple):
            if all(map(_is_exception_class, one)):
                continue
        elif isinstance(one, Mapping):
            if all(isinstance(name, str) for name in one):
                continue
        elif callable(one):
            continue
        return TypeError(
            "Catch filter must inherit from Error or be a simple predicate function: a filter "
            "must be an exception class, a tuple of them, a function of the reason, or "
            f"a mapping of attribute names to values, not {shown(one)}"
        )
    return None


def _is_exception_class(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, BaseException)


def passes(filters: tuple[Any, ...], arguments: tuple[Any, ...]) -> bool:
    """Whether any of *filters* lets a reason pass; all do, if there are none.

    Args:
        filters: What `check_filters` finds nothing wrong with.
        arguments: What a predicate is called with: the reason, behind the bound value if there
            is one.
    """
    if not filters:
        return True
    try:
        return _any_passes(filters, arguments)
    except BaseException as error:
        _set_context(error, arguments[-1])
        raise


def _any_passes(filters: tuple[Any, ...], arguments: tuple[Any, ...]) -> bool:
    reason = arguments[-1]
    for one in filters:
        if isinstance(one, (type, tuple)):
            if isinstance(reason, one):
                return True
        elif isinstance(one, Mapping):
            if all(
                hasattr(reason, name) and getattr(reason, name) == value
                for name, value in one.items()
            ):
                return True
        elif one is _is_operational:
            if one(*arguments):
                return True
        # What a predicate sets is neither for the handler nor for the next predicate.
        elif _answer(copy_context().run(one, *arguments)):
            return True
    return False


#: As the attribute, for exceptions that have overridden how attributes are read or set.
_context_of = BaseException.__dict__["__context__"]


def _set_context(error: BaseException, reason: object) -> None:
    """Have *error* tell that it was raised while *reason* was handled, as Python would."""
    if not is_exception(reason) or _context_of.__get__(error) is not None:
        return
    link = reason
    # Where *error* is behind *reason* already, it must not lead back to itself; and where others
    # have made a circle, one must not walk in it for ever.
    for _ in range(100):
        if link is error:
            return
        behind = _context_of.__get__(link)
        if behind is None:
            _context_of.__set__(error, reason)
            return
        link = behind


def _answer(result: Any) -> bool:
    """What a predicate says.

    Raises:
        TypeError: It is not known yet: an unstarted coroutine, or a pending promise, is true.
    """
    if not is_followed(result):
        return bool(result)
    close = getattr(result, "close", None)
    if close is not None:
        # A coroutine that nobody is going to wait for.
        close()
    raise TypeError(
        "Catch filter must inherit from Error or be a simple predicate function: a predicate "
        "must say at once whether it is true, and not by a coroutine, a promise or the like"
    )


class _Catch:
    """A handler that is only for some reasons."""

    # Python's name for what a wrapper is about: so a warning can name the handler.
    __slots__ = ("__wrapped__", "_filters")

    def __init__(self, filters: tuple[Any, ...], handler: Callable[..., Any]) -> None:
        self._filters = filters
        self.__wrapped__ = handler

    def __call__(self, *arguments: Any) -> Any:
        if passes(self._filters, arguments):
            return self.__wrapped__(*arguments)
        return DECLINED


def _is_operational(*arguments: Any) -> bool:
    return getattr(arguments[-1], "is_operational", False) is True


# --- handlers beside the outcome ------------------------------------------------------------


class _Aside(Node):
    """Runs a handler beside an outcome: it is waited for, and changes nothing save by failing.

    Args:
        parent: Whose outcome is passed on.
        handler: Called once at most; `_call` says when, and with what.
    """

    __slots__ = ("_handler", "_left", "_outcome", "_parent")

    def _start(self, parent: CorePromise, handler: Callable[..., Any]) -> None:
        parent = observed(parent)
        self._handler: Callable[..., Any] = handler
        self._parent: CorePromise | None = parent
        # What will be passed on: the parent, or the promise itself if that was cancelled.
        self._outcome: Any = None
        # The parent that was left in a cancellation, though it may still tell its outcome.
        self._left: CorePromise | None = None
        subscribe(parent, self)

    def _call(self) -> Any:
        """Call the handler, if it is meant for this outcome."""
        raise NotImplementedError(type(self))

    def _notify(self, parent: CorePromise) -> None:
        if self._outcome is None:
            self._outcome = parent
            self._run()
            return
        if not parent._state & FULFILLED:
            # What the handler returned has failed.
            self._outcome = parent
        self._finish()

    def _run(self) -> None:
        if self._left is not None:
            # It is going to wait again, for what the handler returns.
            remove_subscriber(self._left, self)
        self._state = NODE
        try:
            result = self._call()
            if is_followed(result):
                subscribe(new_resolved(type(self._promise), result, self._promise), self)
            else:
                self._finish()
        except BaseException as error:
            reject_raised(self._end(), error)

    def _finish(self) -> None:
        outcome = self._outcome
        promise = self._end()
        if outcome is None or outcome is promise:
            finish_cancel(promise)
        else:
            pass_on(promise, outcome)

    def _end(self) -> CorePromise:
        promise: CorePromise = self._promise
        self._state = NODE | CANCELLED
        self._promise = self._parent = self._left = self._outcome = None
        return promise

    def _abandon(self, stack: list[CorePromise]) -> bool:
        if self._outcome is None:
            # To the others who look at the parent's waiters, this one is dead.
            self._state = NODE | CANCELLING
            parent = self._parent
            assert parent is not None
            if leave(parent, stack):
                # The parent will be cancelled, and say so.
                return True
            # Somebody else waits for it, or it has settled and has yet to say so.
            self._state = NODE | CANCELLED
            self._left = parent
            call_soon(type(self._promise), self._run)
        # A handler that runs already is seen through: it may be giving something back.
        self._outcome = self._promise
        return True


class _Finally(_Aside):
    """Whatever the outcome is, cancellation included."""

    __slots__ = ()

    def _call(self) -> Any:
        return run_in_context(self._handler)


class _Tap(_Aside):
    """If there is a value."""

    __slots__ = ()

    def _call(self) -> Any:
        if self._outcome._state & FULFILLED:
            return run_in_context(self._handler, self._outcome._value)
        return None


class _TapCatch(_Aside):
    """If there is a reason that the filters let pass."""

    __slots__ = ("_filters",)

    def _start(  # type: ignore[override]
        self, parent: CorePromise, handler: Callable[..., Any], filters: tuple[Any, ...]
    ) -> None:
        self._filters = filters
        super()._start(parent, handler)

    def _call(self) -> Any:
        if self._outcome._state & REJECTED and passes(self._filters, (self._outcome._value,)):
            return run_in_context(self._handler, self._outcome._value)
        return None


class _Done(Node):
    """The end of a chain, where a rejection is fatal."""

    __slots__ = ()

    def __init__(self, parent: CorePromise) -> None:
        super().__init__(None)
        subscribe(parent, self)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & REJECTED:
            hooks.host.fatal(parent._library, parent._value, parent._aux)


class Handlers(CorePromise, Generic[T_co]):
    """The methods that attach handlers."""

    __slots__ = ()

    if TYPE_CHECKING:
        # `CorePromise.then` as its users see it.  For why there are so many, see `Followed`.

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
        """A promise for the value, or for what a handler makes of the reason.

        Args:
            *filters_and_handler: Any number of filters, then the handler, which is called with
                the reason if there are no filters, or if one of them lets the reason pass.
                A filter is an exception class or a tuple of them; a predicate, called with
                the reason; or a mapping of names of attributes of the reason to their values.
                Something else rejects with a `TypeError`, as does a predicate that is
                ``async def`` or returns a promise; one that raises, with what it raised.

        Bluebird: ``.catch``; Twisted: ``Deferred.addErrback``, ``Failure.check``.
        """
        if not filters_and_handler:
            return self.then()
        *filters, handler = filters_and_handler
        return self._catch(tuple(filters), handler)

    caught = catch

    def _catch(self, filters: tuple[Any, ...], handler: Any) -> Any:
        if not filters or not callable(handler):
            return self.then(None, handler)
        error = check_filters(filters)
        if error is not None:
            return new_rejected(type(self), error)
        return self.then(None, _Catch(filters, handler))

    @overload
    def error(self, handler: Mixed[[Any], V, N]) -> Promise[T_co | V | N]: ...
    @overload
    def error(self, handler: Gives[[Any], V]) -> Promise[T_co | V]: ...
    def error(self, handler: Any) -> Any:
        """Like `catch`, for operational errors only.

        Args:
            handler: Called with the reason if that is an `OperationalError`, or is marked as
                operational, as what comes through promisified callbacks is.

        Bluebird: ``.error``.
        """
        return self._catch((_is_operational,), handler)

    def finally_(self, handler: Callable[[], object]) -> Promise[T_co]:
        """A promise for the same outcome, once *handler* has run.

        Args:
            handler: Called without arguments whatever the outcome is, also when the promise
                is cancelled.  What it returns is waited for; only by failing does it change
                the outcome.  Something that is not callable is ignored, as by `then`.

        Bluebird: ``.finally``; Twisted: ``Deferred.addBoth``.
        """
        if not callable(handler):
            return cast("Promise[T_co]", self.then(handler))
        return cast("Promise[T_co]", _Finally.derive(self, prepare(self, handler)))

    lastly = finally_

    def tap(self, handler: Callable[[T_co], object]) -> Promise[T_co]:
        """A promise for the same outcome, once *handler* has seen the value.

        Args:
            handler: Called with the value, if there is one; like that of `finally_` otherwise.

        Bluebird: ``.tap``.
        """
        if not callable(handler):
            return cast("Promise[T_co]", self.then(handler))
        return cast("Promise[T_co]", _Tap.derive(self, prepare(self, handler)))

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
        """A promise for the same outcome, once a handler has seen the reason.

        Args:
            *filters_and_handler: As for `catch`; the handler is like that of `finally_`
                otherwise.

        Bluebird: ``.tapCatch``.
        """
        if not filters_and_handler:
            return self.then()
        *filters, handler = filters_and_handler
        if not callable(handler):
            return self.then(None, handler)
        error = check_filters(tuple(filters))
        if error is not None:
            return new_rejected(type(self), error)
        prepared = tuple(
            one if isinstance(one, (type, tuple, Mapping)) else prepare(self, one, awaited=False)
            for one in filters
        )
        return _TapCatch.derive(self, prepare(self, handler), prepared)

    tapCatch = tap_catch

    def done(self, on_fulfilled: Any = None, on_rejected: Any = None) -> None:
        """Like `then`, at the end of a chain: what is not handled here is fatal.

        It goes to the fatal hook, which by default logs it, stops the reactor, and makes the
        process exit with status 2.

        Bluebird: ``.done``.
        """
        _Done(self.then(on_fulfilled, on_rejected))
