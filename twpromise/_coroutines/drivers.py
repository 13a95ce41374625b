"""What drives a coroutine, and how to interrupt the coroutine where it waits.

To interrupt is what ``asyncio.Task.cancel`` and ``uncancel`` do for `asyncio.TaskGroup`: the
coroutine sees a cancellation at its `await`, and is not cancelled itself, so that it may catch the
cancellation and go on.  Here, the drivers of Twisted and of this library, which are not tasks, get
the same methods.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator
from contextvars import Context
from types import CoroutineType, coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from .._core.states import CANCELLING
from . import awaiting
from .runner import Runner
from .tasks import TaskRunner

__all__ = ["Driver", "find_driver"]

_log = Logger(namespace="twpromise")

#: How many interruptions are pending, by the id of the interrupted coroutine.
_requests: Counter[int] = Counter()


class Driver(Protocol):
    """What drives a coroutine: an asyncio task, or something with these methods of one."""

    def cancel(self) -> object:
        """Throw a cancellation into the coroutine, which waits."""
        ...

    def uncancel(self) -> int:
        """Withdraw a request to cancel; return how many are left."""
        ...


@coroutine
def find_driver() -> Generator[Any, Any, Driver]:
    """The driver of the coroutine that awaits this."""
    question = _Question()
    yield question
    driver: Driver = question.driver
    return driver


class _Question(Deferred[Any]):
    """Yielded by a coroutine to its driver, which reveals its kind by how it starts to wait.

    Like an `Awaiter`, it is a Deferred, and something that asyncio waits for like a future.
    """

    # Nothing that `Deferred.__init__` makes is used.
    __init__ = object.__init__  # pyright: ignore[reportAssignmentType]

    driver: Any = None

    _asyncio_future_blocking = True

    def addBoth(self, callback: Any, *args: Any, **kwargs: Any) -> Any:
        """A driver that waits for Deferreds calls this; it goes on at once."""
        if isinstance(callback, TaskRunner):
            self.driver = callback._task
        elif isinstance(callback, Runner):
            self.driver = _OfRunner(callback)
        else:
            self.driver = _OfTwisted(args)
        callback(None, *args, **kwargs)
        return self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task, which is the running one."""
        return asyncio.get_running_loop()

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """An asyncio task calls this; it goes on in the next turn of its loop."""
        self.driver = asyncio.current_task()
        self.get_loop().call_soon(callback, awaiting._woken(None), context=context)

    def cancel(self, msg: object = None) -> bool:  # type: ignore[override]
        """The task is woken already."""
        return False


class _Interruptible(ABC):
    """A driver that is not a task; like a task, it counts the requests to cancel."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def cancel(self) -> None:
        """Throw a cancellation into the coroutine, which waits."""
        _requests[id(self._driver)] += 1
        if not self._is_cancelled():
            # Else it is cleaning up.
            self._interrupt()

    def uncancel(self) -> int:
        """Withdraw a request to cancel; return how many are left."""
        key = id(self._driver)
        left = _requests[key] - 1
        if left:
            _requests[key] = left
        else:
            del _requests[key]
        if self._is_cancelled():
            return left + 1
        if not left:
            self._forgive()
        return left

    @abstractmethod
    def _interrupt(self) -> None: ...

    @abstractmethod
    def _forgive(self) -> None:
        """Catching the cancellation does not count as swallowing it."""

    @abstractmethod
    def _is_cancelled(self) -> bool:
        """Whether the coroutine has been cancelled, and not only interrupted."""


class _OfRunner(_Interruptible):
    """The runner of a promise's coroutine, on a reactor."""

    _driver: Runner

    def _interrupt(self) -> None:
        self._driver._interrupt()

    def _forgive(self) -> None:
        self._driver._cancelled_itself = False

    def _is_cancelled(self) -> bool:
        promise = self._driver._promise
        # None if the runner has closed a coroutine that swallowed its cancellation.
        return promise is None or bool(promise._state & CANCELLING)


class _OfTwisted(_Interruptible):
    """The driver of `ensureDeferred` and `inlineCallbacks`.

    Args:
        arguments: The arguments of Twisted's callback.  Among them are the coroutine and a record
            of what it waits for, which Twisted itself uses to cancel the coroutine.
    """

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        super().__init__(next((one for one in arguments if hasattr(one, "waitingOn")), None))
        self._deferred = getattr(self._driver, "deferred", None)
        self._coroutine = next((one for one in arguments if type(one) is CoroutineType), None)

    def _interrupt(self) -> None:
        waiting = getattr(self._driver, "waitingOn", None)
        if waiting is None:
            _log.error(
                "A group has failed, or was cancelled, and the coroutine in its `async with` block "
                "cannot be interrupted: {coroutine}",
                coroutine=self._coroutine,
            )
        else:
            waiting.cancel()

    def _forgive(self) -> None:
        if self._coroutine in awaiting._cancelled:
            del awaiting._cancelled[self._coroutine]

    def _is_cancelled(self) -> bool:
        # The coroutine fires another Deferred, once it has been cancelled.
        return getattr(self._driver, "deferred", None) is not self._deferred
