"""`batch`: many calls for one item each become one call for a list of items."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .._core.cancelling import discard
from .._core.contexts import context_here
from .._core.jobs import call_soon, check_home
from .._core.reactions import Node
from .._core.resolving import resolve
from .._core.settling import fulfill, reject, reject_raised
from .._core.states import FULFILLED, SETTLED, CorePromise, new_pending
from .._promise import Promise
from .._util.checks import check_count, check_seconds, not_a_function, shown
from .work import begin, check_library

if TYPE_CHECKING:
    from .._util.types import Followed

__all__ = ["Batch", "batch"]

T = TypeVar("T")
R = TypeVar("R")

#: Iterables that are a mistake: one value, or without the order of the items.
_NO_LISTS = str, bytes, bytearray, dict, set, frozenset


class _Call(Node):
    """A call for one item: waits in the queue of its batch, then for its run."""

    __slots__ = ("_batch", "index", "item")

    title = "call of a batch"

    def __init__(self, batch: Batch[Any, Any], item: Any) -> None:
        super().__init__()
        self._batch: Batch[Any, Any] | None = batch
        self.item = item
        #: The index of the item, and of its result, in the run.
        self.index = 0

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        return super().waits() if self._batch is None else (("", self._batch),)

    def wait_for_run(self, run: CorePromise) -> None:
        """Leave the queue, and become a consumer of the promise for the results of a run."""
        self._batch = None
        self.wait_for_source(run)

    def _notify(self, parent: CorePromise) -> None:
        if not parent._state & FULFILLED:
            super()._notify(parent)
            return
        result = parent._value[self.index]
        promise = self.finish()
        if isinstance(result, BaseException):
            reject(promise, result)
        else:
            resolve(promise, result)

    def _release(self) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            # It was cancelled in the queue.
            batch._take_out(self)


class _Run(Node):
    """One run of a batch: it calls the function, and settles a promise for the list of results.

    Each call of the run consumes that promise: when all have left it, the run is cancelled.
    """

    __slots__ = ("_batch", "_calls")

    def __init__(self, batch: Batch[Any, Any], calls: list[_Call]) -> None:
        super().__init__()
        self._promise = new_pending(batch._library, self, owner=calls[0]._promise)
        self._batch: Batch[Any, Any] = batch
        self._calls = calls
        for call in calls:
            call.wait_for_run(self._promise)
        # Not within the call that fills the batch.
        call_soon(batch._library, self._begin)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        yield f"a run of {self._batch._name} with {len(self._calls)} items", self._source

    def _begin(self) -> None:
        batch = self._batch
        # Some may have been cancelled since.
        self._calls = [call for call in self._calls if not call._state & SETTLED]
        if not self._calls:
            batch._ended()
            return
        for index, call in enumerate(self._calls):
            call.index = index
        items = [call.item for call in self._calls]
        running = new_pending(batch._library, owner=self._promise)
        self.wait_for_source(running)
        batch._context.copy().run(begin, running, partial(batch._run, items), batch._ended)

    def _notify(self, parent: CorePromise) -> None:
        if not parent._state & FULFILLED:
            super()._notify(parent)
            return
        name, calls = self._batch._name, self._calls
        promise = self.finish()
        try:
            results = _checked(name, len(calls), parent._value)
        except BaseException as error:
            reject_raised(promise, error)
            # The traceback of the error leads to this frame.
            del promise, parent
        else:
            for call, result in zip(calls, results, strict=True):
                if call._state & SETTLED:
                    # It has left.
                    discard(promise, result)
            fulfill(promise, results)

    def _release(self) -> None:
        self._calls = []


class Batch(Generic[T, R]):
    """A function of one item, made by `batch`, that collects its calls and runs them together."""

    def __init__(
        self,
        run: Callable[[list[Any]], Any],
        size: int,
        wait: float,
        in_flight: int,
        library: Any,
    ) -> None:
        self._run = run
        self._name: str = getattr(run, "__name__", shown(run))
        self._size = size
        self._wait = wait
        self._in_flight = in_flight
        self._library = library
        # Each run gets a copy.
        self._context = context_here(library)
        self._calls: OrderedDict[_Call, None] = OrderedDict()
        self._running = 0
        # Runs from the first call in the queue on.
        self._timer: Any = None
        # The timer has fired: until the queue is empty, its items are run as soon as a run may
        # begin.
        self._due = False

    def __repr__(self) -> str:
        return f"<batch of {self._name}: {len(self._calls)} queued, {self._running} running>"

    def __call__(self, item: T) -> Promise[R]:
        """A promise for the result of *item*."""
        check_home(self._library)
        call = _Call(self, item)
        promise = call._make_promise(self._library)
        self._calls[call] = None
        # When promises left a loop, its timers were cleared.
        if not self._due and (self._timer is None or not self._timer.active()):
            scheduler = self._library._queue.scheduler
            self._timer = scheduler.call_later(self._wait, self._waited)
        self._run_if_due()
        return cast("Promise[R]", promise)

    def _take_out(self, call: _Call) -> None:
        del self._calls[call]
        self._stop_if_empty()

    def _stop_if_empty(self) -> None:
        if self._calls:
            return
        self._due = False
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _waited(self) -> None:
        self._timer = None
        self._due = True
        self._run_if_due()

    def _run_if_due(self) -> None:
        calls, size = self._calls, self._size
        while calls and self._running < self._in_flight and (self._due or len(calls) >= size):
            self._running += 1
            _Run(self, [calls.popitem(last=False)[0] for _ in range(min(size, len(calls)))])
            self._stop_if_empty()

    def _ended(self) -> None:
        self._running -= 1
        self._run_if_due()


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
    """A function of one item that collects its calls, and calls *run* with a list of items.

    Args:
        run: Called with a list of items.  Returns a list or another iterable, or a promise or the
            like for one, with a result for each item, in the same order.  A result that is an
            exception or a `Failure` rejects the call for that item.  If *run* raises, or does
            not return one result for each item, all calls of that run are rejected.
        size: How many items a run gets at most, 1 or more.
        wait: How many seconds the first call waits for others.
        in_flight: How many runs may be under way at once, 1 or more.  Calls made meanwhile wait
            in order, and go in runs of up to *size*.
        library: The library copy whose promises the function returns.

    Raises:
        TypeError: *run* is not callable, or another argument has a wrong type.
        ValueError: *size* or *in_flight* is less than 1, or *wait* is negative.

    A call that is cancelled or times out before its run begins is removed; later, only its result
    is dropped, or cancelled if it is a promise.  When all calls of a run are cancelled, so is what
    *run* returned.  Each run is called from the queue, in a copy of the context in which `batch`
    was called.

    JavaScript: ``DataLoader``, without its cache.

    Example::

        from twpromise import Promise, batch

        NAMES = {1: "ada", 2: "grace"}


        async def load(ids):
            await Promise.delay(0.1)  # a query for all ids
            return [NAMES.get(id, KeyError(id)) for id in ids]


        name_of = batch(load, size=100)
        names = Promise.all([name_of(1), name_of(2)])  # one call of load
    """
    if not callable(run):
        raise not_a_function("run", run)
    return Batch(
        run,
        check_count("size", size, 1),
        check_seconds("wait", wait),
        check_count("in_flight", in_flight, 1),
        check_library(library),
    )


def _checked(name: str, count: int, results: Any) -> list[Any]:
    """The results of a batch function, as a list of *count*."""
    if not isinstance(results, Iterable) or isinstance(results, _NO_LISTS):
        raise TypeError(
            f"the batch function {name} must return a list with a result for each item, "
            f"not {shown(results)}"
        )
    # No further: it may have no end.
    listed = list(islice(results, count + 1))
    if len(listed) != count:
        found = len(listed) if len(listed) < count else f"more than {count}"
        raise ValueError(
            f"the batch function {name} must return a result for each item: "
            f"{count} items, {found} results"
        )
    return listed
