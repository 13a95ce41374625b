"""Waiting for several: `all`, `all_settled`, `props`, `any`, `some`, `race`, `join`, `spread`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    overload,
)

from twisted.internet.defer import Deferred

from .._bridge.deferreds import lock_to_deferred
from .._core import hooks
from .._core.cancelling import drop, leave
from .._core.following import follow, outcome_of
from .._core.reactions import Node, late_observer, subscribe
from .._core.resolving import adopters, is_followed, new_rejected, new_resolved
from .._core.settling import finish_cancel, fulfill, mark_handled, pass_on, reject, reject_raised
from .._core.states import (
    AT_ONCE,
    BY_CALLBACK,
    CANCELLED,
    CANCELLING,
    DEAD,
    FULFILLED,
    NODE,
    REJECTED,
    CorePromise,
    is_promise,
    new_fulfilled,
    new_pending,
)
from .._methods.reflection import PromiseInspection
from .._scheduling.queue import call_soon
from .._util.both import Both, Static
from .._util.checks import is_int, shown, type_name
from .._util.errors import AggregateError
from .._util.types import AllPromises, AllValues, Either, Fired, Followed, Gives, Later, Listed, N

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Combining", "expect_iterable"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
K = TypeVar("K")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


#: The words of the page, and what Python calls it.
NOT_ITERABLE = "expecting an array, a promise or a thenable: the input must be an iterable, not {}"


def expect_iterable(iterable: object) -> Any:
    """*iterable*, if it is a collection to us.

    Raises:
        TypeError: It is not iterable; or it is a mapping, a `str` or `bytes`, which hold no
            promises side by side.
    """
    kind = type(iterable)
    if kind is list or kind is tuple:
        # Most.
        return iterable
    if isinstance(iterable, (str, bytes, Mapping)) or not isinstance(iterable, Iterable):
        raise TypeError(NOT_ITERABLE.format(type_name(iterable)))
    return iterable


class _Several(Node):
    """Waits for a promise of a collection, then for the items, and settles one promise.

    It sits among the waiters of every item itself: there is no object for each of them.
    """

    __slots__ = ("_class", "_items", "_looking", "_pending", "_source")

    #: Whether Deferreds and their like are waited for directly, where there is nothing else to be
    #: told of an item than its value, or the first failure.
    _directly: ClassVar[bool] = False

    def _start(self, source: CorePromise) -> None:
        # The items: plain values, values of settled promises, promises that pend, and what is
        # waited for directly.
        self._items: list[Any] | None = None
        self._class = type(source)
        self._pending = 0
        # Which item is being waited for, while it may turn out to be there at once.
        self._looking = -1
        self._source: CorePromise | None = None
        outcome = outcome_of(source)
        if outcome._state & FULFILLED:
            self._begin(outcome._value)
        else:
            self._source = source
            subscribe(source, self)

    def _notify(self, parent: CorePromise) -> None:
        if self._items is not None:
            self._settled(parent)
        elif parent._state & FULFILLED:
            self._source = None
            self._begin(parent._value)
        else:
            pass_on(self._end(), parent)

    def _begin(self, collection: Any) -> None:
        cls = self._class
        try:
            items = self._items = self._list(collection)
        except BaseException as error:
            if self._state & DEAD:
                # What was iterated has cancelled all this before.
                hooks.host.escaped(error)
            else:
                reject_raised(self._end(), error)
            return
        # As if all pended, and one more: nothing is complete before every item has been looked at.
        self._pending = len(items) + 1
        if not self._state & DEAD:
            self._look_ahead(len(items))
        direct = Deferred if self._directly else None
        arrived = self._arrived
        counts = self._directly
        queued = len(cls._queue)
        there = 1
        for index, item in enumerate(items):
            kind = type(item)
            adopter = adopters[kind]
            if adopter is None:
                there += 1
                self._plain(item)
            elif (
                adopter is follow
                and item._subscribers is None
                and not item._state
                and not self._state & DEAD
                and hooks.observer is None
            ):
                # `_look_at`, for most; as `subscribe` does it, a tenth of an item less.
                item._subscribers = self
                if item._aux is not BY_CALLBACK:
                    counts = False
            elif kind is direct and not self._state & DEAD and hooks.observer is None:
                # Whoever watches is shown a promise for each.
                self._looking = index
                item.addBoth(arrived, index)
                if self._looking != index:
                    # It was there at once.
                    item = items[index]
                    if not is_followed(item):
                        there += 1
                    else:
                        promise = new_resolved(cls, item, self._promise)
                        there += self._look_at(items, index, promise)
                        counts = False
                self._looking = -1
            else:
                promise = item if adopter is follow else new_resolved(cls, item, self._promise)
                there += self._look_at(items, index, promise)
                counts = False
        if not self._state & DEAD:
            self._less(there)
            if counts and len(cls._queue) == queued and not self._state & DEAD:
                self._state = AT_ONCE

    def _look_at(self, items: list[Any], index: int, promise: CorePromise) -> bool:
        """An item is a promise, or has become one.

        Returns:
            Whether its value is there.
        """
        outcome = outcome_of(promise)
        if outcome._state & FULFILLED:
            items[index] = outcome._value
            self._plain(outcome._value)
            return True
        if self._state & DEAD:
            self._too_late(promise)
        elif outcome._state & DEAD:
            items[index] = outcome
            mark_handled(promise)
            self._settled(outcome if outcome._state & REJECTED else late_observer(promise))
        else:
            items[index] = promise
            subscribe(promise, self)
        return False

    def _too_late(self, promise: CorePromise) -> None:
        """An item comes when all is decided, or cancelled."""
        # The rest has been asked for, and is nobody's surprise.
        mark_handled(promise)
        if self._state & CANCELLING:
            drop(promise)

    def _arrived(self, value: Any, index: int) -> None:
        """What was waited for directly is there."""
        kind = adopters[type(value)]
        if kind is None and self._state == AT_ONCE:
            # Most.
            self._items[index] = value  # type: ignore[index]
            self._at_once()
        else:
            self._arrived_specially(value, index)

    def _arrived_specially(self, value: Any, index: int) -> None:
        items = self._items
        assert items is not None
        if self._looking == index:
            items[index] = value
            self._looking = -1
        elif not is_followed(value):
            if not self._state & DEAD:
                items[index] = value
                # In its turn, since others may have settled before whose turn is still to come.
                call_soon(self._class, self._less_unless_ended)
        else:
            # A failure, or something that is to be waited for in turn.
            promise = new_resolved(self._class, value, self._promise)
            if self._state & DEAD:
                self._too_late(promise)
            else:
                # From the queue, like everybody else: the first that failed is to be the reason.
                self._state = NODE
                items[index] = promise
                subscribe(promise, self)

    def _at_once(self) -> None:
        """One more is there, which did not come from the queue; the end comes from there."""
        self._pending -= 1
        if not self._pending:
            self._pending = 1
            call_soon(self._class, self._less_unless_ended)

    def _less_unless_ended(self) -> None:
        if not self._state & DEAD:
            self._less(1)

    def _less(self, there: int) -> None:
        """So many more items are there."""
        self._pending -= there
        if not self._pending:
            self._complete()

    def _list(self, collection: Any) -> list[Any]:
        return list(expect_iterable(collection))

    def _look_ahead(self, length: int) -> None:
        """There are so many items; this may decide it, though each is still looked at."""

    def _plain(self, value: Any) -> None:
        """An item has its value already; this may decide it, and be called again after."""

    def _settled(self, promise: CorePromise) -> None:
        """An item that pended has settled."""

    def _complete(self) -> None:
        """All items have settled, and nothing has decided it before."""

    def _end(self) -> CorePromise:
        promise: CorePromise = self._promise
        self._state = NODE | CANCELLED
        self._promise = self._source = None
        self._items = []
        return promise

    def _abandon(self, stack: list[CorePromise]) -> bool:
        waited_for = [self._source] if self._items is None else self._items
        self._end()
        # It was not decided: those that are looked at later go, too.
        self._state |= CANCELLING
        # The first item is to be the first that is cancelled.
        for item in reversed(waited_for):
            if is_promise(item):
                leave(item, stack)
            elif type(item) is Deferred:
                promise = new_pending(self._class)
                lock_to_deferred(promise, item)
                leave(promise, stack)
        return False


class _All(_Several):
    """All values; or the first rejection, or cancellation."""

    __slots__ = ()

    _directly = True

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & FULFILLED and self._items is not None:
            # All that `_Several` does here, in one call.
            self._pending -= 1
            if not self._pending:
                self._complete()
        else:
            super()._notify(parent)

    def _settled(self, promise: CorePromise) -> None:
        # With no value: those that have one are counted above.
        pass_on(self._end(), promise)

    def _values(self) -> list[Any]:
        return [
            item._value if adopters[type(item)] is follow else item for item in self._items or ()
        ]

    def _complete(self) -> None:
        values = self._values()
        fulfill(self._end(), values)


class _Props(_All):
    """All values of a mapping."""

    __slots__ = ("_keys",)

    def _list(self, collection: Any) -> list[Any]:
        if not isinstance(collection, Mapping):
            raise TypeError(
                "cannot await properties of a non-object: the input must be a mapping, "
                f"not {type_name(collection)}"
            )
        self._keys = list(collection)
        return [collection[key] for key in self._keys]

    def _complete(self) -> None:
        values = dict(zip(self._keys, self._values(), strict=True))
        fulfill(self._end(), values)

    def _end(self) -> CorePromise:
        self._keys = []
        return super()._end()


class _AllSettled(_Several):
    """An inspection of each, however it has settled."""

    __slots__ = ()

    def _settled(self, promise: CorePromise) -> None:
        self._less(1)

    def _complete(self) -> None:
        inspections = [
            PromiseInspection._of(item) if is_promise(item) else PromiseInspection(FULFILLED, item)
            for item in self._items or ()
        ]
        fulfill(self._end(), inspections)


class _Some(_Several):
    """The first values, in the order in which they came."""

    __slots__ = ("_can", "_count", "_reasons", "_unwrap", "_values")

    def _start(  # type: ignore[override]
        self, source: CorePromise, count: int, unwrap: bool
    ) -> None:
        self._count = count
        self._unwrap = unwrap
        self._values: list[Any] = []
        self._reasons: list[Any] = []
        # How many can still be fulfilled, those that are included.
        self._can = 0
        super()._start(source)

    def _look_ahead(self, length: int) -> None:
        self._can = length
        if not self._count:
            self._complete()
        elif length < self._count:
            error = ValueError(
                f"the input must contain at least {self._count} items "
                f"but contains only {length} items"
            )
            reject(self._end(), error)

    def _plain(self, value: Any) -> None:
        if not self._state & DEAD:
            self._values.append(value)
            self._decide()

    def _settled(self, promise: CorePromise) -> None:
        self._pending -= 1
        if promise._state & FULFILLED:
            self._values.append(promise._value)
        else:
            self._can -= 1
            if promise._state & REJECTED:
                self._reasons.append(promise._value)
        self._decide()

    def _decide(self) -> None:
        if len(self._values) == self._count:
            self._complete()
        elif self._can < self._count:
            reasons = self._reasons
            promise = self._end()
            if reasons:
                reject(promise, AggregateError("too few of the promises were fulfilled", reasons))
            else:
                finish_cancel(promise)

    def _complete(self) -> None:
        values = self._values
        fulfill(self._end(), values[0] if self._unwrap else values)

    def _end(self) -> CorePromise:
        self._values, self._reasons = [], []
        return super()._end()


class _Race(_Several):
    """Whatever settles first."""

    __slots__ = ()

    def _plain(self, value: Any) -> None:
        if not self._state & DEAD:
            fulfill(self._end(), value)

    def _settled(self, promise: CorePromise) -> None:
        pass_on(self._end(), promise)

    def _complete(self) -> None:
        """A race of nothing stays pending."""


def _expect_count(count: object) -> int:
    if not is_int(count) or count < 0:
        raise TypeError(
            f"expecting a positive integer: count must be an int, 0 or more, not {shown(count)}"
        )
    return count


class _Spread:
    """Calls a handler with the items of a list as its arguments."""

    # Python's name for what a wrapper is about: so a warning can name the handler.
    __slots__ = ("__wrapped__",)

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.__wrapped__ = handler

    def __call__(self, *arguments: Any) -> Any:
        # The bound value, if there is one, comes first.
        *bound, values = arguments
        return self.__wrapped__(*bound, *values)


if TYPE_CHECKING:
    Late: TypeAlias = Followed[T]
    PromisesByKey: TypeAlias = Mapping[K, Followed[T]] | Followed[Mapping[K, Followed[T]]]
    ValuesByKey: TypeAlias = Mapping[K, Either[T]] | Followed[Mapping[K, Either[T]]]

    class _AllMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> Callable[[], Listed[T]]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> Callable[[], Listed[T]]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Iterable[Either[T]]], /) -> Listed[T]: ...
        @overload
        def __call__(self, items: tuple[Followed[A], Followed[B]], /) -> Promise[tuple[A, B]]: ...  # type: ignore[overload-overlap]
        @overload
        def __call__(  # type: ignore[overload-overlap]
            self, items: tuple[Followed[A], Followed[B], Followed[C]], /
        ) -> Promise[tuple[A, B, C]]: ...
        @overload
        def __call__(  # type: ignore[overload-overlap]
            self, items: tuple[Followed[A], Followed[B], Followed[C], Followed[D]], /
        ) -> Promise[tuple[A, B, C, D]]: ...
        @overload
        def __call__(self, items: AllPromises[T], /) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _AllSettledMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(
            self, instance: AllPromises[T], owner: type, /
        ) -> Callable[[], Listed[PromiseInspection[T]]]: ...
        @overload
        def __get__(
            self, instance: AllValues[T], owner: type, /
        ) -> Callable[[], Listed[PromiseInspection[T]]]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Iterable[Either[T]]], /
        ) -> Listed[PromiseInspection[T]]: ...
        @overload
        def __call__(self, items: AllPromises[T], /) -> Listed[PromiseInspection[T]]: ...
        @overload
        def __call__(self, items: AllValues[T], /) -> Listed[PromiseInspection[T]]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _PropsMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(
            self, instance: PromisesByKey[K, T], owner: type, /
        ) -> Callable[[], Promise[dict[K, T]]]: ...
        @overload
        def __get__(
            self, instance: ValuesByKey[K, T], owner: type, /
        ) -> Callable[[], Promise[dict[K, T]]]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, mapping: PromisesByKey[K, T], /) -> Promise[dict[K, T]]: ...
        @overload
        def __call__(self, mapping: ValuesByKey[K, T], /) -> Promise[dict[K, T]]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _FirstMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> Callable[[], Promise[T]]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> Callable[[], Promise[T]]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Iterable[Either[T]]], /) -> Promise[T]: ...
        @overload
        def __call__(self, items: AllPromises[T], /) -> Promise[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /) -> Promise[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _SomeMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: AllPromises[T], owner: type, /) -> _SomeOf[T]: ...
        @overload
        def __get__(self, instance: AllValues[T], owner: type, /) -> _SomeOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, items: Fired[Iterable[Either[T]]], /, count: int) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllPromises[T], /, count: int) -> Listed[T]: ...
        @overload
        def __call__(self, items: AllValues[T], /, count: int) -> Listed[T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

    class _JoinMethod(Static):
        @overload
        def __call__(self, *values: Late[T]) -> Listed[T]: ...
        @overload
        def __call__(self, a: Late[A], fn: Later[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Late[A], fn: Gives[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Either[A], fn: Later[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Either[A], fn: Gives[[A], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Late[A], b: Late[B], fn: Later[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Late[A], b: Late[B], fn: Gives[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Late[A], b: Either[B], fn: Later[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Late[A], b: Either[B], fn: Gives[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Either[A], b: Late[B], fn: Later[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Either[A], b: Late[B], fn: Gives[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Either[A], b: Either[B], fn: Later[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(self, a: Either[A], b: Either[B], fn: Gives[[A, B], U], /) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Late[A], b: Late[B], c: Late[C], fn: Later[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Late[A], b: Late[B], c: Late[C], fn: Gives[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Either[A], b: Either[B], c: Either[C], fn: Later[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Either[A], b: Either[B], c: Either[C], fn: Gives[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Late[A], b: Either[B], c: Late[C], fn: Gives[[A, B, C], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self, a: Late[A], b: Late[B], c: Late[C], d: Late[D], fn: Gives[[A, B, C, D], U], /
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self,
            a: Late[A],
            b: Late[B],
            c: Late[C],
            d: Late[D],
            e: Late[E],
            fn: Gives[[A, B, C, D, E], U],
            /,
        ) -> Promise[U]: ...
        @overload
        def __call__(
            self,
            a: Late[A],
            b: Late[B],
            c: Late[C],
            d: Late[D],
            e: Late[E],
            f: Late[F],
            fn: Gives[[A, B, C, D, E, F], U],
            /,
        ) -> Promise[U]: ...
        def __call__(self, *values: Any) -> Any: ...

    class _SomeOf(Protocol[T]):
        def __call__(self, count: int) -> Listed[T]: ...

else:
    _AllMethod = _AllSettledMethod = _FirstMethod = _PropsMethod = _SomeMethod = Both
    _JoinMethod = Static


class Combining(CorePromise, Generic[T_co]):
    """The methods that wait for several promises; each is a static function too.

    An input is an iterable, or a promise (a Deferred, ...) for one, of values, promises,
    Deferreds and whatever else is followed.  It is never modified.  A rejection settles the
    result at once, and later ones of the same input are not reported as unhandled.  Cancelling
    the result cancels the inputs that nobody else waits for.
    """

    __slots__ = ()

    @_AllMethod
    def all(self) -> Any:
        """A promise for the list of all values, in the order of the input.

        Bluebird: ``Promise.all``; Twisted: ``gatherResults``.
        """
        return _All.derive(self)

    @_AllSettledMethod
    def all_settled(self) -> Any:
        """A promise for a list of `PromiseInspection`, one for each item, once all settled.

        Bluebird: ``Promise.allSettled``; Twisted: ``DeferredList``.
        """
        return _AllSettled.derive(self)

    allSettled = all_settled

    @_PropsMethod
    def props(self) -> Any:
        """A promise for a `dict` of all values of a mapping, its keys in the same order.

        What is no `collections.abc.Mapping` rejects with a `TypeError`.

        Bluebird: ``Promise.props``.
        """
        return _Props.derive(self)

    @_FirstMethod
    def any(self) -> Any:
        """A promise for the first value that comes.

        Rejects with an `AggregateError` of all reasons if there is none, and with a
        `ValueError` if there are no items; it is cancelled if all items are.

        Bluebird: ``Promise.any``.
        """
        return _Some.derive(self, 1, True)

    @_SomeMethod
    def some(self, count: int) -> Any:
        """A promise for a list of the first *count* values, in the order in which they came.

        Args:
            count: An `int`, 0 or more; anything else rejects with a `TypeError`.

        Rejects with an `AggregateError` of the reasons, in the order in which they came, as
        soon as too few can be fulfilled; with a `ValueError` if there are too few items.

        Bluebird: ``Promise.some``.
        """
        try:
            number = _expect_count(count)
        except TypeError as error:
            return new_rejected(type(self), error.with_traceback(None))
        return _Some.derive(self, number, False)

    @_FirstMethod
    def race(self) -> Any:
        """A promise that settles as the first of the items that does.

        A race of nothing stays pending for ever; see `any`.

        Bluebird: ``Promise.race``; Twisted: `DeferredList`, fired by the first of either kind.
        """
        return _Race.derive(self)

    @overload
    def spread(self, handler: Callable[..., Followed[U]]) -> Promise[U]: ...
    @overload
    def spread(self, handler: Callable[..., Followed[U] | N]) -> Promise[U | N]: ...
    @overload
    def spread(self, handler: Callable[..., Either[U]]) -> Promise[U]: ...
    def spread(self, handler: Callable[..., Any]) -> Any:
        """`all`, then *handler* with the values as its arguments.

        Args:
            handler: Called with as many arguments as there are values; something that is not
                callable rejects with a `TypeError`.

        Bluebird: ``.spread``.
        """
        if not callable(handler):
            return new_rejected(
                type(self),
                TypeError(f"fn must be a function: handler must be callable, not {shown(handler)}"),
            )
        return _All.derive(self).then(_Spread(handler))

    @_JoinMethod
    def join(cls: Any, *values: Any) -> Any:
        """A promise for what a handler makes of several values.

        Args:
            *values: Values, promises, Deferreds, ...; the last argument is the handler, called
                with the values as its arguments.  Without a handler it is the list of values.

        Bluebird: ``Promise.join``.
        """
        handler = values[-1] if values else None
        if callable(handler):
            return _All.derive(new_fulfilled(cls, values[:-1])).then(_Spread(handler))
        return _All.derive(new_fulfilled(cls, values))
