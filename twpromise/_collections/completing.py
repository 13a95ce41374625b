"""`as_completed`: the items of a collection, in the order in which they settle."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from .._core.following import outcome_of
from .._core.reactions import subscribe
from .._core.settling import fulfill, mark_handled
from .._core.states import DEAD, CorePromise, new_pending
from .._util.types import AllPromises, AllValues, Either, Fired
from .rules import OneInput, as_promise
from .several import Several

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Completing"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Completing(Several):
    """Waits for the items, and keeps those that have settled until the iteration takes them.

    The promise that it settles is the one that the iteration waits for: when it is fulfilled,
    there are `settled` items, or no items are `left`.  Each wait has a promise of its own, and is
    a consumer of all items that are left: a wait that is cancelled leaves them.
    """

    __slots__ = ("left", "settled")

    title = "as_completed"

    def _start(self, source: CorePromise, *_: Any) -> None:
        #: How many items are pending.
        self.left = 0
        self.settled: deque[CorePromise] = deque()
        super()._start(source)

    def _begin(self, length: int) -> None:
        self.left = length
        # The pending items; an item that was yielded is not kept.
        self._items = {}

    def _iterate(self, items: list[Any]) -> None:
        for item in items:
            promise = as_promise(self._class, item, self._promise)
            if self._state & DEAD:
                # The iterator has raised after it.
                mark_handled(promise)
            elif outcome_of(promise)._state & DEAD:
                mark_handled(promise)
                self._arrive(promise)
            else:
                self._items[promise] = None
                subscribe(promise, self)
        if not self.left:
            self._wake()

    def _notify(self, parent: CorePromise) -> None:
        if self._items is None:
            super()._notify(parent)
        else:
            self._items.pop(parent, None)
            self._arrive(parent)

    def _arrive(self, promise: CorePromise) -> None:
        """An item has settled."""
        self.left -= 1
        self.settled.append(promise)
        self._wake()

    def _wake(self) -> None:
        promise, self._promise = self._promise, None
        if promise is not None:
            fulfill(promise, None)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        yield f"{self.left} items", None
        yield from (("", item) for item in self._items or ())

    def wait(self) -> Any:
        """A promise that is fulfilled when the next item has settled."""
        promise = self._promise = new_pending(self._class, self)
        return promise

    def _release(self) -> None:
        super()._release()
        self.settled.clear()


async def _in_order(node: _Completing, waiting: Any) -> AsyncGenerator[Any, None]:
    try:
        yield
        await waiting
        while True:
            while node.settled:
                yield node.settled.popleft()
            if not node.left:
                return
            await node.wait()
    finally:
        # Stop consuming; the remaining items go on.
        node.finish()


# What users see in a repr.
_in_order.__qualname__ = _in_order.__name__ = "as_completed"


if TYPE_CHECKING:

    class _AsCompletedMethod(OneInput):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(
            self, instance: AllPromises[T], owner: type, /
        ) -> Callable[[], AsyncGenerator[Promise[T], None]]: ...
        @overload
        def __get__(
            self, instance: AllValues[T], owner: type, /
        ) -> Callable[[], AsyncGenerator[Promise[T], None]]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(
            self, items: Fired[Iterable[Either[T]]], /
        ) -> AsyncGenerator[Promise[T], None]: ...
        @overload
        def __call__(self, items: AllPromises[T], /) -> AsyncGenerator[Promise[T], None]: ...
        @overload
        def __call__(self, items: AllValues[T], /) -> AsyncGenerator[Promise[T], None]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    _AsCompletedMethod = OneInput


class Completing(CorePromise, Generic[T_co]):
    """The method that yields items as they settle; it is a static function too."""

    __slots__ = ()

    @_AsCompletedMethod
    def as_completed(self) -> Any:
        """An async iterator over the promises of a collection, in the order in which they settle.

        The input is as for `Promise.all`.  Items that are promises are yielded themselves.  Each
        has settled when it is yielded; ``await`` it for its value.  A rejection counts as handled.

        Use it in ``async for`` in any coroutine, and as the input of `each`, `map` and the like.
        Cancelling a coroutine that waits for the next promise cancels the remaining ones, unless
        they have another consumer.  Leaving the loop otherwise leaves them running.

        asyncio: ``asyncio.as_completed``; Twisted has no counterpart.
        """
        node = _Completing()
        waiting = node._make_promise(type(self), self)
        node._start(self)
        iterator = _in_order(node, waiting)
        # Start it now: an async generator that has not started runs no clean-up when it is closed
        # or dropped.
        with suppress(StopIteration):
            anext(iterator).send(None)
        return iterator

    asCompleted = as_completed
