"""The node that calls a function for each item of a collection: `map`, `each` and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._core.cancelling import drop, leave
from .._core.contexts import keep_context, prepare, run_in_context
from .._core.following import outcome_of
from .._core.jobs import call_soon
from .._core.reactions import Node
from .._core.resolving import adopters
from .._core.settling import mark_handled, pass_on
from .._core.states import DEAD, FULFILLED, CorePromise, is_promise
from .collecting import Collecting
from .reading import END, Reader
from .rules import as_promise, extra_arguments, observe

__all__ = ["BATCH", "Iterating"]

#: How many items are started, or read, before other jobs of the queue run.
BATCH = 32


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; `keep_context` makes it a call in the context of the caller."""
    return function(*arguments)


class _Wait(Node):
    """One promise that an `Iterating` waits for, and what to do with its value."""

    __slots__ = ("index", "step", "whole")

    whole: Iterating
    step: Callable[[Any, int], object]
    index: int

    def _notify(self, parent: CorePromise) -> None:
        whole = self.whole
        del whole._waits[self]
        if not parent._state & FULFILLED:
            whole.settle(pass_on, parent)
            return
        self._source = None
        self.step(parent._value, self.index)
        # The traceback of what the function raises leads here.
        del parent
        if not whole._running:
            whole._run()

    def _settles(self, awaited: CorePromise) -> list[CorePromise]:
        return self.whole._settles(awaited)


class Iterating(Collecting):
    """Reads a collection, calls a function for each item, and goes on with its results.

    Subclasses define when an item is read or started (`_run`), and what happens to an item that was
    read (`_take`) and to a result of the function (`_called`).
    """

    __slots__ = (
        "_class",
        "_context",
        "_extra",
        "_function",
        "_reader",
        "_reading",
        "_results",
        "_running",
        "_waits",
    )

    #: How many arguments the function always gets.
    _least = 1

    def _start(self, source: CorePromise, function: Any = None, /, *_: Any) -> None:
        self._class = type(source)
        self._extra = extra_arguments(source, function, self._least)
        self._function: Any = prepare(source, function)
        # Calls a function in the context of the caller, in which the iterator is read, too.
        self._context: Any = keep_context(self._class, _call)
        self._reader: Any = None
        # The wait for the next item of an async iterable.
        self._reading: _Wait | None = None
        self._results: list[Any] = []
        # `_run` is running, or is queued.
        self._running = False
        # In the order in which they began.
        self._waits: dict[_Wait, None] = {}
        self._wait_first(source)

    def _wait_first(self, source: CorePromise) -> None:
        """Wait for the collection."""
        self._go_on(source, self._begin)

    def _begin(self, collection: Any, _: int) -> None:
        try:
            reader = self._reader = Reader(collection)
        except BaseException as error:
            self.fail(error)
            return
        if reader.error is None:
            self._open(reader)
        else:
            promise, items = self._promise, reader.items or ()
            self.fail(reader.error)
            self._drop_rest(observe(self._class, items), promise)

    def _open(self, reader: Reader) -> None:
        """The collection can be read."""

    # --- waiting

    def _go_on(
        self,
        item: Any,
        step: Callable[[Any, int], object],
        index: int = 0,
        *,
        fails_at_once: bool = False,
    ) -> _Wait | None:
        """Call *step* with the value of *item*, and *index*: now, or once the item has settled."""
        if adopters[type(item)] is not None:
            item = as_promise(self._class, item, self._promise)
            if self._state & DEAD:
                # A coroutine that was started just now has cancelled the node's promise, or the
                # function has.
                if fails_at_once:
                    mark_handled(item)
                drop(item)
                return None
            outcome = outcome_of(item)
            if not outcome._state & FULFILLED:
                if fails_at_once and self.settle_if_failed(item):
                    return None
                wait = _Wait()
                wait.whole, wait.step, wait.index = self, step, index
                self._waits[wait] = None
                wait.wait_for_source(item)
                return wait
            item = outcome._value
            # The traceback of what the function raises leads here.
            del outcome
        if not self._state & DEAD:
            step(item, index)
        return None

    # --- working

    def _run_soon(self) -> None:
        self._running = True
        call_soon(self._class, self._run)

    def _run(self) -> None:
        """Read items and start them, as long as there is something to do."""

    def _read(self) -> None:
        """Read one more item."""
        reader = self._reader
        try:
            # Reading a list runs no code of the user, and needs no context.
            whole = reader.items is not None
            item = reader.read() if whole else run_in_context(self._context, reader.read)
        except BaseException as error:
            self.fail(error)
            return
        if self._state & DEAD:
            # The iterator has cancelled the node's promise.
            observe(self._class, [item])
            return
        if reader.is_async:
            self._reading = self._go_on(item, self._read_async)
        else:
            self._take(item)
        # The traceback of what the function raises leads here.
        del item

    def _read_async(self, read: Any, _: int) -> None:
        self._reading = None
        self._take(END if read is END else read[0])

    def _take(self, item: Any) -> None:
        """An item was read, or `END`."""

    def _call(self, index: int, *arguments: Any) -> None:
        """Call the function for an item, and go on with its result."""
        if self._extra:
            arguments += (index,) if self._extra == 1 else (index, self._reader.length)
        try:
            result = run_in_context(self._function, *arguments)
        except BaseException as error:
            self.fail(error)
        else:
            # Like `_go_on`, inlined: that saves a tenth of an item for a plain value.
            if adopters[type(result)] is not None:
                # A rejection counts as if the function had raised: no other call is made.
                self._go_on(result, self._called, index, fails_at_once=True)
            elif not self._state & DEAD:
                self._called(result, index)

    def _called(self, result: Any, index: int) -> None:
        """The function has returned *result*, or something that was fulfilled with it."""

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        for wait in self._waits:
            called = wait.step.__func__ is type(self)._called  # type: ignore[attr-defined]
            text = "the collection"
            if wait is self._reading:
                text = "the next item"
            elif self._reader is not None:
                text = f"{'what was called for ' if called else ''}item {wait.index}"
            yield text, wait._source

    # --- ending

    def _release(self) -> None:
        reader, context, reading = self._reader, self._context, self._reading
        read = None if reading is None else reading._source
        for wait in self._waits:
            wait.finish()
        self._waits = {}
        self._reader = self._context = self._reading = self._function = None
        self._results = []
        if reader is not None:
            run_in_context(context, reader.close, self._class)
        if read is not None:
            drop(read)

    def _wanted(self) -> list[Any]:
        """The items to wait for, now or later."""
        return [wait._source for wait in self._waits]

    def _abandon(self, stack: list[CorePromise]) -> bool:
        wanted = self._wanted()
        # The wait for the next item is among those.
        self._reading = None
        self.finish()
        # Cancel the first item first.
        for item in reversed(wanted):
            if is_promise(item):
                leave(item, stack)
        return False
