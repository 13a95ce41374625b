"""Resources: `disposer` and `using`."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

from .._core import hooks
from .._core.cancelling import can_be_stopped, cancel_all, drop, leave
from .._core.contexts import keep_context, prepare, run_in_context
from .._core.following import end_of, outcome_of
from .._core.reactions import Node, observed, subscribe
from .._core.resolving import call_into, is_followed, new_rejected, new_resolved
from .._core.settling import finish_cancel, lock, mark_handled, pass_on, reject_raised
from .._core.states import (
    CANCELLED,
    CANCELLING,
    CIRCULAR,
    DEAD,
    FULFILLED,
    NODE,
    REJECTED,
    CorePromise,
    is_promise,
    new_pending,
)
from .._scheduling.queue import call_soon
from .._util.arity import required_positionals
from .._util.both import Static
from .._util.checks import shown, type_name
from .._util.errors import CANCELLATIONS, CancellationError, as_exception
from .._util.exceptions import get_traceback
from .._util.types import Either, Followed, Gives, Later
from .reflection import PromiseInspection

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Disposer", "Resources", "set_default_class"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

_CANCELLED: PromiseInspection[Any] = PromiseInspection(CANCELLED, None)


class Disposer(Generic[T_co]):
    """A resource together with how it is released; for `Promise.using`, or ``async with``.

    Made by `Promise.disposer`, or of a context manager by `Disposer.of`.  It is used once.  One
    that is thrown away unused gives its resource back.

    Bluebird: ``Disposer``.
    """

    __slots__ = ("__weakref__", "_acquire", "_cls", "_promise", "_release", "_used")

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
        # The resource, if it is being acquired already; else how to begin.  Whoever uses the
        # disposer has it from then on: frames of what cannot be acquired refer to this.
        self._promise = promise
        self._acquire = acquire
        self._used = False

    @staticmethod
    def of(
        manager: AbstractContextManager[U] | AbstractAsyncContextManager[U],
    ) -> Disposer[U]:
        """A disposer for what a context manager gives.

        Args:
            manager: Entered when the disposer is used, left when the resource is released, with
                the exception if the use of it failed, and with a `CancellationError` if it was
                cancelled; it cannot suppress that.  One that can be entered both ways is entered
                asynchronously.

        Raises:
            TypeError: *manager* is no context manager, neither sync nor async.
        """
        methods = _manager_methods(manager)
        if methods is None:
            raise TypeError(f"manager must be a context manager, not {shown(manager)}")
        enter, leave_ = methods

        def release(_: Any, outcome: PromiseInspection[Any]) -> Any:
            if outcome.is_fulfilled():
                return leave_(manager, None, None, None)
            # Also when it was cancelled: what is half done must not pass for done.
            if outcome.is_rejected():
                error = as_exception(outcome.reason())
            else:
                error = CancellationError("the use of the resource was cancelled")
            return leave_(manager, type(error), error, get_traceback(error))

        cls = default_class()
        return Disposer(cls, keep_context(cls, release), acquire=lambda: enter(manager))

    def _take(self) -> CorePromise:
        """Use it: a promise for the resource.

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
            call_into(promise, acquire, (), {})  # type: ignore[arg-type]
        return promise

    def _dispose(self, promise: CorePromise, outcome: PromiseInspection[Any]) -> CorePromise:
        """Release the resource that *promise* brought.

        Returns:
            A promise for the end of that, handled whatever comes of it.
        """
        released: CorePromise = new_pending(self._cls, owner=promise)
        mark_handled(released)
        call_into(released, run_in_context, (self._release, promise._value, outcome), {})
        try:
            return released
        finally:
            # Frames of what the release raises refer to this one.
            del released

    def _failed(self, released: CorePromise) -> None:
        """A resource could not be released: it is lost, and the process is better ended."""
        hooks.host.fatal(self._cls._library, released._value, released._aux)

    def __del__(self) -> None:
        """Nobody can use it any more, so nobody else would release its resource."""
        promise = self._promise
        if self._used or promise is None:
            return
        disposer: Disposer[Any] = Disposer(self._cls, self._release)
        queue = promise._queue
        if queue.thread in (None, get_ident()):
            _GiveBack(disposer, promise)
        else:
            # Garbage is collected in whatever thread.
            def give_back() -> None:
                _GiveBack(disposer, promise)

            queue.scheduler.call_from_thread(give_back)

    async def __aenter__(self) -> T_co:
        """Wait for the resource."""
        promise: Any = self._take()
        settled = outcome_of(promise)._state & DEAD
        try:
            resource = await (promise if settled else _Entering(promise)._promise)
        except BaseException:
            if not outcome_of(promise)._state & REJECTED:
                # Whoever waits for it was cancelled; the resource may come all the same.
                _GiveBack(self, promise)
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
        # By its type: `isinstance` may ask an error for its `__class__`, which may raise.
        closed = issubclass(type(error), GeneratorExit)
        assert self._promise is not None
        if error is None:
            outcome = PromiseInspection[Any](FULFILLED, None)
        elif issubclass(type(error), CANCELLATIONS):
            outcome = _CANCELLED
        else:
            outcome = PromiseInspection[Any](REJECTED, error)
        # Not in the context of the block, which must not see what the release sets.
        released: Any = Context().run(self._dispose, self._promise, outcome)
        # Its failure is noticed, whether anybody waits or not.
        _Watch(self, released)
        # A coroutine that is being closed cannot wait.
        if not closed:
            await _to_the_end(released)
        # Frames of what the release raises refer to this one.
        del released


async def _to_the_end(released: Any) -> None:
    """Wait for a release even when that is cancelled: who comes next relies on its end."""
    try:
        await released.reflect()
    except GeneratorExit:
        raise
    except CANCELLATIONS:
        await _to_the_end(released)
        raise


class _Entering(Node):
    """Waits for a resource, and leaves it alone if it comes though nobody wants it any more.

    Then whoever gives it back has to get it.  What can be stopped is cancelled, and told of when
    it has been.
    """

    __slots__ = ("_acquired",)

    def __init__(self, acquired: CorePromise) -> None:
        super().__init__(new_pending(type(acquired), self, owner=acquired))
        self._acquired: CorePromise | None = acquired
        subscribe(acquired, self)

    def _notify(self, parent: CorePromise) -> None:
        pass_on(self._end(), parent)

    def _end(self) -> CorePromise:
        promise: CorePromise = self._promise
        self._promise = self._acquired = None
        self._state = NODE | CANCELLED
        return promise

    def _abandon(self, stack: list[CorePromise]) -> bool:
        acquired = self._acquired
        assert acquired is not None
        # To the others who look at its waiters, this one is dead.
        self._state = NODE | CANCELLING
        if can_be_stopped(acquired) and leave(acquired, stack):
            return True
        self._end()
        return False


class _Watch(Node):
    """Sees to it that the failure of a release is noticed."""

    __slots__ = ("_disposer",)

    def __init__(self, disposer: Disposer[Any], released: CorePromise) -> None:
        super().__init__()
        self._disposer = disposer
        subscribe(released, self)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & REJECTED:
            self._disposer._failed(parent)


class _GiveBack(Node):
    """Waits for a resource that nobody wants any more, and releases it if it comes."""

    __slots__ = ("_disposer",)

    def __init__(self, disposer: Disposer[Any], promise: CorePromise) -> None:
        super().__init__()
        disposer._used = True
        self._disposer = disposer
        # It wants to know, but it does not count as a consumer.
        self._state = NODE | CANCELLING
        mark_handled(promise)
        subscribe(promise, self)
        if can_be_stopped(promise):
            drop(promise)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & FULFILLED:
            _Watch(self._disposer, self._disposer._dispose(parent, _CANCELLED))


#: The class whose promises `Disposer.of` makes; set where the class is made.
default_class: Callable[[], type[CorePromise]] = lambda: CorePromise  # noqa: E731


def set_default_class(cls: type[CorePromise]) -> None:
    """Say whose promises `Disposer.of` makes."""
    global default_class
    default_class = lambda: cls  # noqa: E731


def _manager_methods(manager: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    kind: Any = type(manager)
    for names in (("__aenter__", "__aexit__"), ("__enter__", "__exit__")):
        enter, exit_ = (getattr(kind, name, None) for name in names)
        if enter is not None and exit_ is not None:
            return enter, exit_
    return None


class _Using(Node):
    """Acquires resources, calls a function with them, and releases them.

    Each of the three is waited for to its end, whatever else happens: a cancellation is passed
    on to what is under way, and what comes of that is waited for too.
    """

    __slots__ = (
        "_acquired",
        "_ahead",
        "_cleaning",
        "_disposers",
        "_function",
        "_next",
        "_outcome",
        "_pending",
    )

    def __init__(
        self, cls: type[CorePromise], resources: list[Any], function: Callable[..., Any]
    ) -> None:
        super().__init__()
        self._promise = new_pending(cls, self)
        self._ahead: CorePromise | None = None
        # None, once it has been called.
        self._function: Callable[..., Any] | None = prepare(self._promise, function)
        # The promises of the resources, and how each is released, if it is.
        self._acquired: list[CorePromise] = []
        self._disposers: list[Disposer[Any] | None] = []
        # What comes of it: what the function gave, or a resource that was not to be had; the
        # promise itself, if it was cancelled before.
        self._outcome: CorePromise | None = None
        # The function's promise is being cancelled because this one has been.
        self._cleaning = False
        # The index of the resource that is released next; None before that begins.
        self._next: int | None = None
        # One more than pend: nothing happens before all of them are under way.
        self._pending = 1
        for resource in resources:
            self._acquire(resource)
        self._one_less()

    def _notify(self, parent: CorePromise) -> None:
        if self._next is not None:
            self._released(parent)
        elif self._function is not None:
            self._one_less()
        else:
            self._outcome = parent
            self._ahead = None
            self._release()

    # --- acquiring

    def _acquire(self, resource: Any) -> None:
        disposer: Disposer[Any] | None = None
        cls = type(self._promise)
        if issubclass(type(resource), Disposer):
            promise, disposer = self._taken(resource)
        elif not is_followed(resource) and _manager_methods(resource) is not None:
            promise = new_rejected(
                cls,
                TypeError(
                    "a resource must not be a bare context manager: "
                    f"wrap it with Disposer.of({type_name(resource)})"
                ),
            )
        else:
            promise = (
                resource if is_promise(resource) else new_resolved(cls, resource, self._promise)
            )
        self._acquired.append(self._awaited(promise))
        self._disposers.append(disposer)

    def _taken(self, disposer: Disposer[Any]) -> tuple[CorePromise, Disposer[Any] | None]:
        try:
            return disposer._take(), disposer
        except RuntimeError as error:
            return new_rejected(type(self._promise), error.with_traceback(None)), None

    def _awaited(self, promise: CorePromise) -> CorePromise:
        """Who will have the outcome of a promise: it is waited for, unless it is there."""
        promise = observed(promise)
        outcome = outcome_of(promise)
        if not outcome._state & DEAD:
            self._pending += 1
            subscribe(promise, self)
        elif outcome._state & REJECTED:
            mark_handled(promise)
        return outcome

    def _one_less(self) -> None:
        self._pending -= 1
        if not self._pending:
            # In a turn of its own: neither the function nor a release runs within `using`.
            call_soon(type(self._promise), self._all_settled)

    def _all_settled(self) -> None:
        self._pending = 1
        for index, promise in enumerate(self._acquired):
            disposer = promise._value
            if (
                promise._state & FULFILLED
                and self._disposers[index] is None
                and issubclass(type(disposer), Disposer)
            ):
                # A promise for a disposer.
                if self._outcome is not None and disposer._promise is None:
                    # It has not begun, and need not.
                    disposer._used = True
                    self._acquired[index] = self._promise
                    continue
                taken, self._disposers[index] = self._taken(disposer)
                self._acquired[index] = self._awaited(taken)
        self._pending -= 1
        if self._pending:
            if self._state & CANCELLING:
                # It was cancelled before it could be known that these are waited for.
                stack: list[CorePromise] = []
                self._leave_acquired(stack)
                cancel_all(stack)
            return
        for promise in self._acquired:
            if self._outcome is None and not promise._state & FULFILLED:
                cancelled = not promise._state & REJECTED
                self._outcome = self._promise if cancelled else promise
        if self._outcome is None:
            self._use()
        else:
            self._function = None
            self._release()

    # --- using

    def _use(self) -> None:
        function, self._function = self._function, None
        assert function is not None
        cls = type(self._promise)
        try:
            result = run_in_context(function, *[promise._value for promise in self._acquired])
        except BaseException as error:
            outcome: CorePromise = new_pending(cls)
            mark_handled(outcome)
            reject_raised(outcome, error)
        else:
            outcome = result if is_promise(result) else new_resolved(cls, result, self._promise)
            if end_of(outcome) is self._promise:
                # It would wait for itself, and the resources with it.
                outcome = new_rejected(cls, TypeError(CIRCULAR))
        self._outcome = outcome_of(outcome)
        if self._outcome._state & (FULFILLED | REJECTED):
            mark_handled(outcome)
            self._release()
        else:
            subscribe(outcome, self)
            if not self._state & CANCELLING:
                # Who is resolved with this one's promise must not be what it waits for.
                self._ahead = outcome
                lock(self._promise, self)
            else:
                # The function has cancelled it itself.
                stack: list[CorePromise] = []
                self._cleaning = leave(outcome, stack)
                cancel_all(stack)
        # The traceback of what the function raised refers to this frame.
        del outcome

    # --- releasing, one after the other

    def _release(self) -> None:
        if self._next is None and self._is_cancelled():
            # Whoever releases must not take what is half done for done.
            self._outcome = self._promise
        outcome = self._outcome
        assert outcome is not None
        cancelled = outcome is self._promise or not outcome._state & (FULFILLED | REJECTED)
        inspection = _CANCELLED if cancelled else PromiseInspection[Any]._of(outcome)
        index = self._next or 0
        while index < len(self._acquired):
            disposer, promise = self._disposers[index], self._acquired[index]
            index += 1
            if disposer is not None and promise._state & FULFILLED:
                self._next = index
                released = disposer._dispose(promise, inspection)
                ended = outcome_of(released)
                if not ended._state & DEAD:
                    subscribe(released, self)
                    return
                if ended._state & REJECTED:
                    mark_handled(released)
                    disposer._failed(ended)
                # Frames of what the release has raised refer to this one.
                del released, ended
        self._finish()

    def _released(self, parent: CorePromise) -> None:
        if parent._state & REJECTED:
            assert self._next is not None
            disposer = self._disposers[self._next - 1]
            assert disposer is not None
            disposer._failed(parent)
        self._release()

    def _is_cancelled(self) -> bool:
        """Whether it ends as cancelled, and not with what went wrong while that was stopped."""
        outcome: Any = self._outcome
        cancelling = self._promise._state & CANCELLING
        failed = self._cleaning and outcome._state & REJECTED
        return outcome is self._promise or bool(cancelling and not failed)

    def _finish(self) -> None:
        promise: CorePromise = self._promise
        outcome = self._outcome
        assert outcome is not None
        cancelled = self._is_cancelled()
        self._state = NODE | CANCELLED
        self._promise = self._outcome = None
        self._acquired = []
        self._disposers = []
        if cancelled:
            finish_cancel(promise)
        else:
            pass_on(promise, outcome)

    def _abandon(self, stack: list[CorePromise]) -> bool:
        # It does not count as a consumer of what it waits for any more, but wants to know what
        # comes of it: a resource may be there all the same, and has to be released.
        self._state = NODE | CANCELLING
        if self._function is not None:
            self._outcome = self._promise
            self._leave_acquired(stack)
        elif self._outcome is not None and self._next is None:
            self._ahead = None
            self._cleaning = leave(self._outcome, stack)
        return True

    def _leave_acquired(self, stack: list[CorePromise]) -> None:
        # The first is cancelled first, as by `all`: what is on the stack goes from its end.
        for index in range(len(self._acquired) - 1, -1, -1):
            promise, disposer = self._acquired[index], self._disposers[index]
            if disposer is None or can_be_stopped(promise):
                leave(promise, stack)


def _with_list(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *resources: function(list(resources))


def _not_callable(function: object) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise TypeError(f"expecting a function: handler must be callable, not {shown(function)}")

    return refuse


if TYPE_CHECKING:
    # Of a resource that is there, or will be, checkers find out what it is; of anything, if the
    # handler says what it takes.
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
    """Resources that are given back, whatever happens."""

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
                without a default, with a `PromiseInspection` of what came of its use.  What it
                returns is waited for; a failure goes to the fatal hook, since the resource is
                lost then.

        Raises:
            TypeError: *release* is not callable.

        Bluebird: ``.disposer``.
        """
        if not callable(release):
            raise TypeError(f"release must be callable, not {shown(release)}")
        declared = required_positionals(release)
        kept = keep_context(type(self), release)
        if declared == 0:
            call: Callable[..., Any] = lambda resource, outcome: kept()  # noqa: E731
        elif declared is None or declared == 1:
            call = lambda resource, outcome: kept(resource)  # noqa: E731
        else:
            call = kept
        return Disposer(type(self), call, promise=self)

    @_UsingMethod
    def using(cls: Any, *resources_and_handler: Any) -> Any:
        """A promise for what a handler makes of resources, which are released afterwards.

        Args:
            *resources_and_handler: Disposers, promises, whatever else is followed, or values;
                or one list of these; then the handler, called with the resources, or with the
                list of them, once all are there.

        Each resource that was acquired is released exactly once, one after the other, each
        release waited for: when what the handler returned has settled, when it has raised, when
        another resource was not to be had, or when the promise was cancelled.  Disposers are
        bound to nothing else then: each can be used once.  Something that is no resource
        rejects with a `TypeError`, a disposer that was used with a `RuntimeError`.

        Bluebird: ``Promise.using``; Python: ``async with``.
        """
        if len(resources_and_handler) < 2:
            return new_rejected(
                cls, TypeError("you must pass at least 2 arguments to Promise.using")
            )
        *resources, handler = resources_and_handler
        if not callable(handler):
            handler = _not_callable(handler)
        if len(resources) == 1 and issubclass(type(resources[0]), list | tuple):
            # Also if there is no handler: what is in it has to be released.
            resources = list(resources[0])
            handler = _with_list(handler)
        return _Using(cls, resources, handler)._promise
