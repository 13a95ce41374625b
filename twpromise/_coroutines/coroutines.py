"""Coroutine objects: driven the Twisted way, as one consumer of what they await."""

from __future__ import annotations

from asyncio import Future
from types import CoroutineType, GeneratorType
from typing import Any

from .._core.resolving import adopters, is_followed
from .._core.states import new_fulfilled
from .._util.checks import shown
from .._util.errors import CancellationError
from .awaitables import adopt_awaitable
from .awaiting import await_promise
from .runner import Runner

__all__ = ["CoroutineRunner"]

_AWAIT = await_promise.__code__


class CoroutineRunner(Runner):
    """Runs a coroutine object; it may await promises, Deferreds and asyncio's futures."""

    __slots__ = ()

    # Some objects (a connection, say) return themselves when they are awaited, and raise the second
    # time.
    _as_it_is = staticmethod(adopt_awaitable)

    def _wait_for_other(self, yielded: Any) -> None:
        if yielded is None:
            # ``asyncio.sleep(0)``, or a bare ``yield``: go on behind all that is queued.
            self._wait_for(new_fulfilled(self._class, None, self._promise))
            return
        # An object that can only be awaited must not yield itself: that would never end.
        if adopters[type(yielded)] is adopt_awaitable or not is_followed(yielded):
            raise TypeError(
                f"a value was awaited that could not be treated as a promise: {shown(yielded)}"
            )
        # An asyncio future is asked for its result by its own `__await__`.
        self._wait_for_followed(yielded, not issubclass(type(yielded), Future))

    def _looks_itself(self) -> bool:
        # As with an awaiter.  Python 3.11 loses frames of what is thrown in through coroutines.
        inner = self._generator
        while type(inner) is CoroutineType:
            inner = inner.cr_await
        return type(inner) is GeneratorType and inner.gi_code is _AWAIT

    def _cancellation(self) -> BaseException:
        return CancellationError("the coroutine was cancelled")
