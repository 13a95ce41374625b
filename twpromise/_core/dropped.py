"""Results of functions whose caller ignores them: coroutines are run all the same."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import GeneratorType
from typing import Any

from . import hooks
from .contexts import Held, run_in_context
from .reactions import Node
from .resolving import is_followed, new_resolved
from .states import FULFILLED, CorePromise, is_promise

__all__ = ["Failed", "call", "follow", "run"]

#: Called with an error that has no caller; returns whether it has handled it.
Failed = Callable[[BaseException], bool]


class _Failing(Node):
    """Waits for an outcome of which only a failure matters."""

    __slots__ = ("_failed",)

    def __init__(self, failed: Failed | None) -> None:
        super().__init__()
        self._failed: Any = failed

    def _notify(self, parent: CorePromise) -> None:
        failed = self._failed
        self.finish()
        if not parent._state & FULFILLED:
            error = hooks.host.exception_of(parent)
            if failed is None or not failed(error):
                hooks.host.escaped(error)

    def _release(self) -> None:
        self._failed = None


def follow(cls: type[CorePromise], result: Any, failed: Failed | None = None) -> None:
    """Follow the result of a function, if promises follow it, in case it fails.

    Args:
        cls: The library copy that follows it.
        result: The result: anything.
        failed: Called with the error; by default the error is logged.
    """
    if is_followed(result):
        _Failing(failed).wait_for(new_resolved(cls, result))


def run(cls: type[CorePromise], result: Any, failed: Failed | None = None) -> None:
    """Like `follow`, for the coroutine of an ``async def`` function alone, which has not begun.

    A promise or a Deferred is left alone: it is under way, and reports its failure itself.
    """
    inner = result._result if type(result) is Held else result
    if is_promise(inner):
        if hooks.observer is not None:
            # The function that returned it knows that nothing waits for it.
            hooks.observer.consumed(inner)
    elif is_followed(inner) and issubclass(type(inner), Coroutine | GeneratorType):
        follow(cls, result, failed)


def call(cls: type[CorePromise], function: Callable[..., Any], *arguments: Any) -> None:
    """Call a callback from within a job, and run it if it is ``async def``."""
    run(cls, run_in_context(function, *arguments))
