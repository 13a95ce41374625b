"""Reading collections item by item: lists, iterators without end, async iterables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Collection, Generator
from typing import Any, Final

from .._core import dropped, hooks
from .._core.states import CorePromise
from .rules import expect_iterable

__all__ = ["END", "Reader"]


#: What `Reader.read` returns when there are no more items.
END: Final = object()


class Reader:
    """Reads a collection item by item, no further than the calls of `read`.

    Args:
        collection: A `Collection`, which is read as a whole; or an iterator or another
            iterable; or an async iterable.

    Raises:
        TypeError: *collection* is not iterable.

    Attributes:
        items: All items, if the collection is read as a whole.
        error: The error that the collection raised after these items.
        length: How many there are; None if that is not known.
        is_async: `read` returns a coroutine, which must have ended before the next call.
    """

    __slots__ = ("_iterator", "_reading", "error", "is_async", "items", "length")

    def __init__(self, collection: Any) -> None:
        self.items: list[Any] | None = None
        self.error: BaseException | None = None
        self.length: int | None = None
        self.is_async = False
        self._reading = False
        kind = type(collection)
        whole = kind is list or kind is tuple
        if not whole and isinstance(collection, AsyncIterable):
            self.is_async = True
            self._iterator: Any = aiter(collection)
            return
        expect_iterable(collection)
        if whole or isinstance(collection, Collection):
            self.items = []
            try:
                self.items.extend(collection)
            except BaseException as error:
                self.error = error
            self.length = len(self.items)
            self._iterator = iter(self.items)
        else:
            self._iterator = iter(collection)

    def read(self) -> Any:
        """The next item: a value, or something that is followed; or `END`.

        For an async iterable it is a coroutine, which returns a tuple of the next item, or `END`.

        Raises:
            BaseException: What the iterator raises.
        """
        iterator = self._iterator
        self._reading = True
        if self.is_async:
            return self._read(iterator)
        try:
            return next(iterator, END)
        finally:
            self._reading = False
            if self._iterator is None:
                # The iterator itself has made us stop.
                _close(iterator)

    async def _read(self, iterator: Any) -> Any:
        try:
            return (await anext(iterator),)
        except StopAsyncIteration:
            return END
        finally:
            self._reading = False
            if self._iterator is None:
                # It was closed meanwhile: after a cancellation it may have gone on.
                await _aclose(iterator)

    def close(self, cls: type[CorePromise]) -> None:
        """Stop reading: generators run their ``finally`` blocks, now or after this step."""
        iterator, self._iterator, self.items = self._iterator, None, None
        if self._reading:
            return
        if self.is_async:
            dropped.follow(cls, _aclose(iterator))
        else:
            _close(iterator)


def _close(iterator: Any) -> None:
    if isinstance(iterator, Generator):
        try:
            iterator.close()
        except BaseException as error:
            hooks.host.escaped(error)


async def _aclose(iterator: Any) -> None:
    if isinstance(iterator, AsyncGenerator):
        await iterator.aclose()
