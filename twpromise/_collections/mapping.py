"""`map` and `filter`: a function for each item, as many at once as one likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

from .._core import hooks
from .._core.cancelling import cancel_all, drop, leave
from .._core.contexts import keep_context, prepare, run_in_context
from .._core.extra import binding_of
from .._core.following import outcome_of
from .._core.reactions import Node, subscribe
from .._core.resolving import adopters, new_rejected, new_resolved
from .._core.settling import fulfill, pass_on, reject_raised
from .._core.states import CANCELLED, DEAD, FULFILLED, NODE, CorePromise, is_promise
from .._scheduling.queue import call_soon
from .._util.arity import required_positionals
from .._util.both import Both
from .._util.checks import is_int, shown
from .._util.types import (
    Fired,
    Gives,
    Items,
    Later,
    Listed,
    Mixed,
    N,
    Promises,
    Sees,
    SeesIndex,
    Values,
)
from .reading import END, Reader

__all__ = ["MapMethod", "Mapped", "call", "extra_arguments", "not_a_function"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


#: How many items are started before whatever else is queued has its turn.
_BATCH = 32


def not_a_function(name: str, function: object) -> TypeError:
    """The error for a callback that is not callable."""
    return TypeError(f"fn must be a function: {name} must be callable, not {shown(function)}")


def extra_arguments(promise: CorePromise, function: Callable[..., Any], least: int) -> int:
    """How many extra arguments, of two, a callback declares besides the *least* it gets."""
    declared = required_positionals(function) or least
    bound = binding_of(promise) is not None
    return max(0, min(declared - bound - least, 2))


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; this is what is run in a context that others are to be called in."""
    return function(*arguments)


class _Item(Node):
    """One thing that is waited for: an item, what became of it, or the reading of the next."""

    __slots__ = ("_index", "_then", "_whole")

    def __init__(
        self,
        whole: _Map,
        promise: CorePromise,
        then: Callable[[_Map, int, Any], object],
        index: int,
    ) -> None:
        self._state = NODE
        self._promise = promise
        self._whole = whole
        self._then = then
        self._index = index
        whole._waiting[self] = None
        subscribe(promise, self)

    def _notify(self, parent: CorePromise) -> None:
        self._state = NODE | CANCELLED
        del self._whole._waiting[self]
        self._whole._settled(self._then, self._index, parent)


class _Map(Node):
    """Starts a function for each item, first in, first out, as the items come."""

    __slots__ = (
        "_active",
        "_all_there",
        "_cls",
        "_context",
        "_exhausted",
        "_extra",
        "_function",
        "_limit",
        "_pumping",
        "_reader",
        "_reading",
        "_ready",
        "_remaining",
        "_results",
        "_source",
        "_waiting",
    )

    def _start(self, source: CorePromise, function: Callable[..., Any], limit: int | None) -> None:
        self._extra = extra_arguments(source, function, 1)
        self._function: Callable[..., Any] | None = prepare(source, function)
        self._cls = type(source)
        # Calls a function in the context of now: an iterator is read in there, too.
        self._context: Callable[..., Any] | None = keep_context(self._cls, call)
        self._limit = limit
        self._reader: Reader | None = None
        # The indices and values of items that can be started.
        self._ready: deque[tuple[int, Any]] = deque()
        self._results: list[Any] = []
        # How many of the items that were read have no result yet.
        self._remaining = 0
        # How many results are pending, and inputs that were read because there was room.
        self._active = 0
        self._exhausted = False
        # The collection is there as a whole.
        self._all_there = False
        # What will give the next item of an async iterable.
        self._reading: _Item | None = None
        self._pumping = False
        # In the order in which the wait for each began.
        self._waiting: dict[_Item, None] = {}
        self._source: CorePromise | None = source
        outcome = outcome_of(source)
        if outcome._state & FULFILLED:
            self._begin(outcome._value)
        else:
            subscribe(source, self)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & FULFILLED:
            self._begin(parent._value)
        else:
            pass_on(self._end(), parent)

    def _begin(self, collection: Any) -> None:
        self._source = None
        try:
            reader = self._reader = Reader(collection)
        except BaseException as error:
            self._fail(error)
            return
        items = reader.items
        if items is not None:
            # Whichever comes first is started first.
            self._exhausted = self._all_there = True
            self._remaining = len(items)
            self._results = [None] * len(items)
            for index, item in enumerate(items):
                self._input(index, item)
        self._pumping = True
        call_soon(self._cls, self._pump)

    def _input(self, index: int, item: Any) -> None:
        """An item that is there, or is waited for."""
        kind = adopters[type(item)]
        if kind is None:
            self._ready.append((index, item))
        else:
            self._active += not self._all_there
            self._wait(item, _Map._arrived, index)

    def _arrived(self, index: int, value: Any) -> None:
        self._active -= not self._all_there
        self._ready.append((index, value))

    def _wait(self, item: Any, then: Callable[[Any, int, Any], object], index: int) -> _Item | None:
        """Go on with the value of something that is followed; now, if it is there."""
        promise = item if is_promise(item) else new_resolved(self._cls, item, self._promise)
        if self._state & DEAD:
            # It was started just now, and has cancelled all this.
            drop(promise)
        else:
            outcome = outcome_of(promise)
            if not outcome._state & FULFILLED:
                return _Item(self, promise, then, index)
            then(self, index, outcome._value)
        return None

    # --- starting

    def _pump(self) -> None:
        """Start what can be started."""
        if self._state & DEAD:
            return
        self._pumping = True
        limit = self._limit
        budget = _BATCH
        while limit is None or self._active < limit:
            if not budget:
                call_soon(self._cls, self._pump)
                return
            budget -= 1
            if self._ready:
                index, value = self._ready.popleft()
                self._start_item(index, value)
            elif self._exhausted or self._reading is not None:
                break
            else:
                self._read()
            if self._state & DEAD:
                return
        self._pumping = False
        if self._exhausted and not self._remaining:
            results = self._collect()
            fulfill(self._end(), results)

    def _read(self) -> None:
        """Read one more item of a collection that is not there as a whole."""
        reader = self._reader
        context = self._context
        assert reader is not None
        assert context is not None
        try:
            item = run_in_context(context, reader.read)
        except BaseException as error:
            self._fail(error)
            return
        if self._state & DEAD:
            # The iterator has cancelled all this.
            return
        if reader.is_async:
            self._reading = self._wait(item, _Map._read_async, 0)
        else:
            self._take(item)

    def _read_async(self, _: int, read: Any) -> None:
        self._reading = None
        self._take(END if read is END else read[0])

    def _take(self, item: Any) -> None:
        """An item was read.

        If it is pending it takes a place: so no more is read than there is room for.
        """
        if item is END:
            self._exhausted = True
            return
        self._remaining += 1
        self._results.append(None)
        self._input(len(self._results) - 1, item)

    def _start_item(self, index: int, value: Any) -> None:
        function = self._function
        assert function is not None
        self._keep(index, value)
        try:
            if not self._extra:
                result = run_in_context(function, value)
            elif self._extra == 1:
                result = run_in_context(function, value, index)
            else:
                length = None if self._reader is None else self._reader.length
                result = run_in_context(function, value, index, length)
        except BaseException as error:
            self._fail(error)
            return
        kind = adopters[type(result)]
        if kind is not None:
            self._active += 1
            self._wait(result, _Map._result_arrived, index)
        elif not self._state & DEAD:
            # Else its own function has cancelled it.
            self._result(index, result)

    def _result_arrived(self, index: int, result: Any) -> None:
        self._active -= 1
        self._result(index, result)

    # --- ending

    def _settled(
        self, then: Callable[[Any, int, Any], object], index: int, parent: CorePromise
    ) -> None:
        if not parent._state & FULFILLED:
            pass_on(self._end(), parent)
            return
        then(self, index, parent._value)
        if not self._pumping:
            self._pump()

    def _fail(self, error: BaseException) -> None:
        """Something that was called has raised this to the caller of this function."""
        if self._state & DEAD:
            # It has cancelled all this before.
            hooks.host.escaped(error)
        else:
            reject_raised(self._end(), error)

    def _keep(self, index: int, value: Any) -> None:
        """An item is about to be started."""

    def _result(self, index: int, result: Any) -> None:
        """There is a result of an item."""
        self._results[index] = result
        self._remaining -= 1

    def _collect(self) -> list[Any]:
        return self._results

    def _end(self) -> CorePromise:
        stack: list[CorePromise] = []
        promise = self._stop(stack, cancel=False)
        cancel_all(stack)
        return promise

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self._stop(stack, cancel=True)
        return False

    def _stop(self, stack: list[CorePromise], *, cancel: bool) -> CorePromise:
        """Wait for nothing more, and read nothing more.

        Args:
            stack: Gets what is to be cancelled.
            cancel: Whether that is all that nobody else waits for, or only what is being read.
        """
        promise: CorePromise = self._promise
        source, self._source = self._source, None
        waiting, self._waiting = self._waiting, {}
        reading, self._reading = self._reading, None
        reader, self._reader = self._reader, None
        context, self._context = self._context, None
        self._state = NODE | CANCELLED
        self._promise = self._function = None
        self._ready.clear()
        self._results = []
        for item in waiting:
            item._state = NODE | CANCELLED
        if cancel:
            # The first item is to be the first that is cancelled.
            for item in reversed(waiting):
                leave(item._promise, stack)
            if source is not None:
                leave(source, stack)
        elif reading is not None:
            leave(reading._promise, stack)
        if reader is not None and context is not None and not self._exhausted:
            run_in_context(context, reader.close, self._cls)
        return promise


class _Filter(_Map):
    """Keeps the items for which a function gives something true."""

    __slots__ = ("_values",)

    def _start(self, source: CorePromise, function: Callable[..., Any], limit: int | None) -> None:
        self._values: dict[int, Any] = {}
        super()._start(source, function, limit)

    def _keep(self, index: int, value: Any) -> None:
        self._values[index] = value

    def _result(self, index: int, result: Any) -> None:
        super()._result(index, None)
        if not result:
            del self._values[index]

    def _collect(self) -> list[Any]:
        values = self._values
        return [values[index] for index in range(len(self._results)) if index in values]

    def _stop(self, stack: list[CorePromise], *, cancel: bool) -> CorePromise:
        self._values = {}
        return super()._stop(stack, cancel=cancel)


def _mapped(
    kind: type[_Map], name: str, self: CorePromise, function: Any, concurrency: object
) -> Any:
    if not callable(function):
        return new_rejected(type(self), not_a_function(name, function))
    if concurrency is not None and (not is_int(concurrency) or concurrency < 1):
        return new_rejected(
            type(self),
            TypeError(
                "expecting a positive integer: concurrency must be an int, 1 or more, "
                f"or None, not {shown(concurrency)}"
            ),
        )
    return kind.derive(self, function, concurrency)


if TYPE_CHECKING:
    Limit: TypeAlias = int | None

    class _MapOf(Protocol[T_co, P]):
        @overload
        def __call__(
            self, mapper: Mixed[[T_co], U, N], *a: P.args, **k: P.kwargs
        ) -> Listed[U | N]: ...
        @overload
        def __call__(self, mapper: Gives[[T_co], U], *a: P.args, **k: P.kwargs) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Later[[T_co, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Gives[[T_co, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Later[[T_co, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, mapper: Gives[[T_co, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...

    class MapMethod(Both, Generic[P]):
        def __init__(
            self, function: Callable[Concatenate[Any, Callable[..., Any], P], Any]
        ) -> None: ...

        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _MapOf[T, P]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _MapOf[T, P]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Items[T]], /, mapper: Later[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Fired[Items[T]], /, mapper: Gives[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Fired[Items[T]], /, mapper: Gives[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, mapper: Later[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, mapper: Gives[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, mapper: Gives[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Mixed[[T], U, N], *a: P.args, **k: P.kwargs
        ) -> Listed[U | N]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Gives[[T], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Later[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Gives[[T, int], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Later[[T, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        @overload
        def __call__(
            self, items: Values[T], /, mapper: Gives[[T, int, Any], U], *a: P.args, **k: P.kwargs
        ) -> Listed[U]: ...
        def __call__(self, items: Any, /, mapper: Any, *a: P.args, **k: P.kwargs) -> Any: ...

    class _FilterOf(Protocol[T]):
        @overload
        def __call__(self, predicate: Sees[T], concurrency: Limit = None) -> Listed[T]: ...
        @overload
        def __call__(self, predicate: SeesIndex[T], concurrency: Limit = None) -> Listed[T]: ...

    class _FilterMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promises[T], owner: type, /) -> _FilterOf[T]: ...
        @overload
        def __get__(self, instance: Values[T], owner: type, /) -> _FilterOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Items[T]], /, predicate: Sees[T], concurrency: Limit = None
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Fired[Items[T]], /, predicate: SeesIndex[T], concurrency: Limit = None
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, predicate: Sees[T], concurrency: Limit = None
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Promises[T], /, predicate: SeesIndex[T], concurrency: Limit = None
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Values[T], /, predicate: Sees[T], concurrency: Limit = None
        ) -> Listed[T]: ...
        @overload
        def __call__(
            self, items: Values[T], /, predicate: SeesIndex[T], concurrency: Limit = None
        ) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    MapMethod = _FilterMethod = Both


class Mapped(CorePromise, Generic[T_co]):
    """The methods that call a function for each item; each is a static function too.

    The items may be those of a list, of an iterator or generator, or of an async iterable.
    Those of a list are started, first in, first out, as they come; a generator is read no
    further than there is room for, and closed when the result has failed or is cancelled.

    The function is called with the item; with its index, and with the number of items (None, if
    that is not known), if it has positional parameters without a default for them.  It may be
    an ``async def`` function, or return anything that is followed.
    """

    __slots__ = ()

    @MapMethod
    def map(self, mapper: Callable[..., Any], concurrency: int | None = None) -> Any:
        """A promise for the list of what *mapper* gives, in the order of the items.

        Args:
            mapper: Called for each item.
            concurrency: How many results may be pending at once; None is as many as there are.

        Bluebird: ``Promise.map``; Twisted: `DeferredSemaphore`, `Cooperator`.
        """
        return _mapped(_Map, "mapper", self, mapper, concurrency)

    @_FilterMethod
    def filter(self, predicate: Callable[..., Any], concurrency: int | None = None) -> Any:
        """A promise for the list of those items for which *predicate* gives something true.

        Args:
            predicate: Called for each item.
            concurrency: How many results may be pending at once; None is as many as there are.

        Bluebird: ``Promise.filter``.
        """
        return _mapped(_Filter, "predicate", self, predicate, concurrency)
