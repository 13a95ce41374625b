"""One after the other: `reduce`, `each` and `map_series`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar, overload

from .._core import hooks
from .._core.cancelling import drop, leave
from .._core.contexts import keep_context, prepare, run_in_context
from .._core.following import outcome_of
from .._core.reactions import Node, subscribe
from .._core.resolving import adopters, is_followed, new_rejected, new_resolved
from .._core.settling import fulfill, mark_handled, pass_on, reject_raised
from .._core.states import CANCELLED, DEAD, FULFILLED, NODE, CorePromise, is_promise
from .._scheduling.queue import call_soon
from .._util.both import Both
from .._util.types import Either, Fired, Gives, Items, Listed, Promises, Sees, SeesIndex, Values
from .mapping import MapMethod, call, extra_arguments, not_a_function
from .reading import END, Reader

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["InSeries"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "<nothing>"


#: Stands for an `initial` that was left out.
MISSING: Final = _Missing()

#: How many items are passed before whatever else is queued has its turn.
_BATCH = 32


class _Series(Node):
    """Reads an item, calls a function, waits for its result, and so on."""

    __slots__ = (
        "_cls",
        "_context",
        "_extra",
        "_function",
        "_index",
        "_reader",
        "_step",
        "_waiting",
    )

    #: How many arguments the function gets in any case.
    _least = 1

    def _start(self, source: CorePromise, function: Callable[..., Any]) -> None:
        self._extra = extra_arguments(source, function, self._least)
        self._function: Callable[..., Any] | None = prepare(source, function)
        self._cls = type(source)
        # Calls a function in the context of now: an iterator is read in there, too.
        self._context: Callable[..., Any] | None = keep_context(self._cls, call)
        self._reader: Reader | None = None
        self._index = 0
        # What is waited for, and what to do with its value.
        self._waiting: CorePromise | None = None
        self._step: Callable[[Any], bool] | None = None
        if self._wait(source, self._begin):
            self._run_soon()

    def _wait(self, item: Any, step: Callable[[Any], bool]) -> bool:
        """Have *step* called with the value of *item*: now, or when it is there.

        Returns:
            Whether to go on; else there is nothing to do until `_notify`.
        """
        kind = adopters[type(item)]
        if kind is None:
            return step(item)
        promise = item if is_promise(item) else new_resolved(self._cls, item, self._promise)
        if self._state & DEAD:
            # It was started just now, and has cancelled all this.
            drop(promise)
            return False
        outcome = outcome_of(promise)
        if outcome._state & FULFILLED:
            return step(outcome._value)
        self._waiting = promise
        self._step = step
        subscribe(promise, self)
        return False

    def _notify(self, parent: CorePromise) -> None:
        self._waiting = None
        step, self._step = self._step, None
        assert step is not None
        if not parent._state & FULFILLED:
            pass_on(self._end(), parent)
        elif step(parent._value):
            self._run()

    def _run_soon(self) -> None:
        call_soon(self._cls, self._run)

    def _run(self) -> None:
        if self._state & DEAD:
            return
        for _ in range(_BATCH):
            if not self._next():
                return
        self._run_soon()

    def _next(self) -> bool:
        reader = self._reader
        context = self._context
        assert reader is not None
        assert context is not None
        try:
            # What reads a list is no code of others, and needs no context.
            whole = reader.items is not None
            item = reader.read() if whole else run_in_context(context, reader.read)
        except BaseException as error:
            self._fail(error)
            return False
        if self._state & DEAD:
            # The iterator has cancelled all this.
            return False
        return self._wait(item, self._read_async) if reader.is_async else self._read(item)

    # --- the steps; each returns whether to go on

    def _begin(self, collection: Any) -> bool:
        try:
            reader = self._reader = Reader(collection)
        except BaseException as error:
            self._fail(error)
            return False
        items = reader.items or []
        for index, item in enumerate(items):
            if is_followed(item):
                items[index] = self._later(item)
                if self._state & DEAD:
                    # One of them has cancelled all this when it was started.
                    drop(items[index])
        return not self._state & DEAD

    def _later(self, item: Any) -> CorePromise:
        """Something that is followed, whose turn is still to come."""
        promise = item if is_promise(item) else new_resolved(self._cls, item, self._promise)
        # A rejection counts when it is its turn; until then it is nobody's surprise.
        mark_handled(promise)
        return promise

    def _read_async(self, read: Any) -> bool:
        return self._read(END if read is END else read[0])

    def _read(self, item: Any) -> bool:
        if item is END:
            result = self._result()
            fulfill(self._end(), result)
            return False
        return self._wait(item, self._item)

    def _item(self, value: Any) -> bool:
        return self._call(value)

    def _call(self, *arguments: Any) -> bool:
        """Call the function with an item."""
        function = self._function
        assert function is not None
        index = self._index
        self._index = index + 1
        if self._extra:
            arguments = (*arguments, index)
            if self._extra == 2:
                assert self._reader is not None
                arguments = (*arguments, self._reader.length)
        try:
            result = run_in_context(function, *arguments)
        except BaseException as error:
            self._fail(error)
            return False
        # Its own function may have cancelled it.
        return self._wait(result, self._called) and not self._state & DEAD

    def _called(self, result: Any) -> bool:
        """There is a result of the function."""
        return True

    def _result(self) -> Any:
        """What the promise is fulfilled with in the end."""

    # --- ending

    def _fail(self, error: BaseException) -> None:
        """Something that was called has raised this to the caller of this function."""
        if self._state & DEAD:
            # It has cancelled all this before.
            hooks.host.escaped(error)
        else:
            reject_raised(self._end(), error)

    def _end(self) -> CorePromise:
        promise: CorePromise = self._promise
        reader, self._reader = self._reader, None
        context, self._context = self._context, None
        self._state = NODE | CANCELLED
        self._promise = self._waiting = self._step = self._function = None
        if reader is not None and context is not None:
            run_in_context(context, reader.close, self._cls)
        return promise

    def _still_wanted(self) -> list[Any]:
        """What is waited for now, and what would have been waited for later."""
        items = self._reader.items if self._reader is not None else None
        return [self._waiting, *(items or ())]

    def _abandon(self, stack: list[CorePromise]) -> bool:
        wanted = self._still_wanted()
        self._end()
        # The first item is to be the first that is cancelled.
        for item in reversed(wanted):
            if is_promise(item):
                leave(item, stack)
        return False


class _Listing(_Series):
    """Keeps something of each item, until the end."""

    __slots__ = ("_results",)

    def _start(self, source: CorePromise, function: Callable[..., Any]) -> None:
        self._results: list[Any] = []
        super()._start(source, function)

    def _result(self) -> Any:
        return self._results

    def _end(self) -> CorePromise:
        self._results = []
        return super()._end()


class _Each(_Listing):
    """Keeps the items."""

    __slots__ = ()

    def _call(self, *arguments: Any) -> bool:
        self._results.append(arguments[0])
        return super()._call(*arguments)


class _MapSeries(_Listing):
    """Keeps what the function gives."""

    __slots__ = ()

    def _called(self, result: Any) -> bool:
        self._results.append(result)
        return True


class _Reduce(_Series):
    """Keeps what the function gave last."""

    __slots__ = ("_accumulator", "_initial")

    _least = 2

    def _start(  # type: ignore[override]
        self, source: CorePromise, function: Callable[..., Any], initial: Any
    ) -> None:
        self._cls = type(source)
        self._initial: Any = self._later(initial) if is_followed(initial) else initial
        self._accumulator: Any = MISSING
        super()._start(source, function)

    def _begin(self, collection: Any) -> bool:
        return super()._begin(collection) and self._wait(self._initial, self._called)

    def _called(self, result: Any) -> bool:
        self._initial = None
        self._accumulator = result
        return True

    def _still_wanted(self) -> list[Any]:
        return [*super()._still_wanted(), self._initial]

    def _call(self, *arguments: Any) -> bool:
        if self._accumulator is MISSING:
            # Nothing to start with: the first item is.
            self._index += 1
            return self._called(arguments[0])
        accumulator, self._accumulator = self._accumulator, None
        return super()._call(accumulator, *arguments)

    def _result(self) -> Any:
        return None if self._accumulator is MISSING else self._accumulator

    def _end(self) -> CorePromise:
        self._initial = self._accumulator = None
        return super()._end()


if TYPE_CHECKING:
    R2: TypeAlias = Gives[[U, T], U]
    R34: TypeAlias = Gives[[U, T, int], U] | Gives[[U, T, int, Any], U]

    class _ReduceOf(Protocol[T]):
        @overload
        def __call__(self, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(self, reducer: R34[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(self, reducer: R2[U, T], initial: Either[U]) -> Promise[U]: ...
        @overload
        def __call__(self, reducer: R34[U, T], initial: Either[U]) -> Promise[U]: ...

    class _ReduceMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _ReduceOf[T]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _ReduceOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Items[T]], /, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(
            self, items: Fired[Items[T]], /, reducer: R2[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        @overload
        def __call__(self, items: Promises[T], /, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, reducer: R2[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        @overload
        def __call__(self, items: Values[T], /, reducer: R2[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(self, items: Values[T], /, reducer: R34[T, T]) -> Promise[T | None]: ...
        @overload
        def __call__(
            self, items: Values[T], /, reducer: R2[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, reducer: R34[U, T], initial: Either[U]
        ) -> Promise[U]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _EachOf(Protocol[T]):
        @overload
        def __call__(self, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, function: SeesIndex[T]) -> Listed[T]: ...

    class _EachMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _EachOf[T]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _EachOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Items[T]], /, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Fired[Items[T]], /, function: SeesIndex[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Promises[T], /, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Promises[T], /, function: SeesIndex[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Values[T], /, function: Sees[T]) -> Listed[T]: ...
        @overload
        def __call__(self, items: Values[T], /, function: SeesIndex[T]) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    _ReduceMethod = _EachMethod = Both


class InSeries(CorePromise, Generic[T_co]):
    """The methods that take one item at a time, in order; each is a static function too.

    An item that is pending is waited for before its turn, a rejected one ends the series when
    its turn has come, and the next item is not read before the function's result is there.
    Collections are read, and the function is called, as by `Promise.map`.
    """

    __slots__ = ()

    @_ReduceMethod
    def reduce(self, reducer: Callable[..., Any], initial: Any = MISSING) -> Any:
        """A promise for what is left when *reducer* has combined all items, two at a time.

        Args:
            reducer: Called with what it gave last and with an item.
            initial: What it is called with first; if that is left out, the first item, and
                *reducer* is not called for a single item.  It is waited for.

        Bluebird: ``Promise.reduce``; Python: `functools.reduce`.
        """
        if not callable(reducer):
            return new_rejected(type(self), not_a_function("reducer", reducer))
        return _Reduce.derive(self, reducer, initial)

    @_EachMethod
    def each(self, function: Callable[..., Any]) -> Any:
        """A promise for the list of the items, once *function* was called for each of them.

        Args:
            function: Called for each item, for what it does.

        Bluebird: ``Promise.each``.
        """
        if not callable(function):
            return new_rejected(type(self), not_a_function("function", function))
        return _Each.derive(self, function)

    @MapMethod
    def map_series(self, mapper: Callable[..., Any]) -> Any:
        """A promise for the list of what *mapper* gives, called for one item after the other.

        Args:
            mapper: Called for each item.

        Bluebird: ``Promise.mapSeries``.
        """
        if not callable(mapper):
            return new_rejected(type(self), not_a_function("mapper", mapper))
        return _MapSeries.derive(self, mapper)

    mapSeries = map_series
