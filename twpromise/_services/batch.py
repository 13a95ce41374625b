"""`batch`: many calls for one item each become one call for a list of items."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .._core.contexts import keep_context, run_in_context
from .._core.ending import when_ended
from .._core.jobs import call_soon, check_home
from .._core.reactions import Node
from .._core.resolving import call_into, resolve
from .._core.settling import reject
from .._core.states import FULFILLED, CorePromise, new_pending
from .._promise import Promise
from .._util.checks import check_count, check_seconds, not_a_function, shown

if TYPE_CHECKING:
    from .._util.types import Followed

__all__ = ["Batch", "batch"]

T = TypeVar("T")
R = TypeVar("R")


class _Call(Node):
    """A call for one item: it waits in the queue of its batch, then for the run it is part of."""

    __slots__ = ("_batch", "_index", "item")

    def __init__(self, batch: Batch[Any, Any], item: Any) -> None:
        super().__init__()
        self._batch: Batch[Any, Any] | None = batch
        self._index = 0
        self.item = item

    def begin(self, run: CorePromise, index: int) -> None:
        """Wait for a run; the result for this call stands at *index*."""
        self._batch = self.item = None
        self._index = index
        self.wait_for_source(run)

    def _notify(self, parent: CorePromise) -> None:
        if not parent._state & FULFILLED:
            super()._notify(parent)
            return
        result = parent._value[self._index]
        promise = self.finish()
        if isinstance(result, BaseException):
            reject(promise, result)
        else:
            resolve(promise, result)

    def _release(self) -> None:
        batch, self._batch = self._batch, None
        self.item = None
        if batch is not None:
            # It was cancelled in the queue.
            batch._take_out(self)


class Batch(Generic[T, R]):
    """A function of one item, whose calls are collected and run together; see `batch`."""

    def __init__(
        self,
        run: Callable[[list[Any]], Any],
        size: int,
        wait: float,
        in_flight: int,
        library: type[Promise[Any]],
    ) -> None:
        self._run = keep_context(library, run)
        self._name = getattr(run, "__name__", shown(run))
        self._size = size
        self._wait = wait
        self._in_flight = in_flight
        self._library: Any = library
        self._calls: OrderedDict[_Call, None] = OrderedDict()
        self._running = 0
        # Runs from the first call in the queue on.
        self._timer: Any = None
        # Whether what is in the queue has waited long enough.
        self._due = False

    def __repr__(self) -> str:
        return f"<batch of {self._name}: {len(self._calls)} queued, {self._running} running>"

    def __call__(self, item: T) -> Promise[R]:
        """A promise for the result that belongs to *item*."""
        check_home(self._library)
        call = _Call(self, item)
        promise = call._make_promise(self._library)
        self._calls[call] = None
        self._consider()
        return cast("Promise[R]", promise)

    def _take_out(self, call: _Call) -> None:
        del self._calls[call]
        if not self._calls:
            self._stop_waiting()

    def _consider(self) -> None:
        """Run what is queued, or have it wait."""
        while (
            self._calls
            and self._running < self._in_flight
            and (self._due or len(self._calls) >= self._size)
        ):
            self._dispatch()
        if self._calls and self._timer is None and not self._due:
            scheduler = self._library._queue.scheduler
            self._timer = scheduler.call_later(self._wait, self._waited)

    def _waited(self) -> None:
        self._timer = None
        self._due = True
        self._consider()

    def _stop_waiting(self) -> None:
        self._due = False
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _dispatch(self) -> None:
        """Begin a run with the calls that have waited longest."""
        self._stop_waiting()
        count = min(self._size, len(self._calls))
        calls = [self._calls.popitem(last=False)[0] for _ in range(count)]
        items = [call.item for call in calls]
        running: Any = new_pending(self._library)
        results = running.then(partial(_checked, self._name, count))
        for index, call in enumerate(calls):
            call.begin(results, index)
        self._running += 1
        # Not within the call of the function that has filled the batch.
        call_soon(self._library, self._start, running, items)
        when_ended(results, self._ended)

    def _start(self, running: CorePromise, items: list[Any]) -> None:
        if not running._state:
            call_into(running, run_in_context, (self._run, items))

    def _ended(self) -> None:
        self._running -= 1
        self._consider()


@overload
def batch(
    run: Callable[[list[T]], Followed[Iterable[R]]],
    *,
    size: int = 32,
    wait: float = 0.005,
    in_flight: int = 1,
    library: type[Promise[Any]] = Promise,
) -> Batch[T, R]: ...
@overload
def batch(
    run: Callable[[list[T]], Iterable[R]],
    *,
    size: int = 32,
    wait: float = 0.005,
    in_flight: int = 1,
    library: type[Promise[Any]] = Promise,
) -> Batch[T, R]: ...
def batch(
    run: Callable[[list[Any]], Any],
    *,
    size: int = 32,
    wait: float = 0.005,
    in_flight: int = 1,
    library: type[Promise[Any]] = Promise,
) -> Batch[Any, Any]:
    """A function of one item that collects its calls, and has *run* called with many items.

    Args:
        run: Called with a list of items; returns an iterable with a result for each, in the same
            order, or something that is followed and gives one.  A result that is an exception
            rejects the call that it belongs to.  What *run* raises rejects all calls of this run.
        size: How many items a run gets at most.
        wait: How many seconds the first of them waits for others.
        in_flight: How many runs may be under way.  While there are so many, calls are collected,
            up to *size* for the next run; those beyond that wait in order.
        library: The library copy whose promises this gives.

    Raises:
        TypeError: *run* is not callable, or another argument has a wrong type.
        ValueError: *size* or *in_flight* is less than 1, or *wait* negative.

    A call that is cancelled before its run begins is taken out.  A run is cancelled when all of
    its calls have been cancelled.  *run* is called in the context in which this function was made.

    Example::

        async def load(ids):
            rows = await database.fetch("select id, name from users where id = any(%s)", ids)
            names = dict(rows)
            return [names.get(id, KeyError(id)) for id in ids]

        name_of = batch(load, size=100)
        names = await Promise.all([name_of(1), name_of(2)])  # one query
    """
    if not callable(run):
        raise not_a_function("run", run)
    return Batch(
        run,
        check_count("size", size, 1),
        check_seconds("wait", wait),
        check_count("in_flight", in_flight, 1),
        library,
    )


def _checked(name: str, count: int, results: Any) -> list[Any]:
    """What a batch function returned, as a list of *count* results."""
    if not isinstance(results, Iterable) or isinstance(results, (str, bytes, dict)):
        raise TypeError(
            f"the batch function {name} must return a list with a result for each item, "
            f"not {shown(results)}"
        )
    listed = list(results)
    if len(listed) != count:
        raise ValueError(
            f"the batch function {name} must return a result for each item: "
            f"{count} items, {len(listed)} results"
        )
    return listed
