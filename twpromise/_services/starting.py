"""What groups and services share: they call the given functions from the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from .._core import hooks
from .._core.contexts import keep_context, run_in_context
from .._core.ending import when_ended
from .._core.jobs import call_soon, check_home
from .._core.reactions import Node
from .._core.settling import fulfill
from .._core.states import DEAD, CorePromise, new_pending
from .._util.checks import not_a_function
from .work import call

if TYPE_CHECKING:
    from .._promise import Promise
    from .._util.types import Followed

__all__ = ["Starting", "end_of"]

P = ParamSpec("P")
U = TypeVar("U")


class Starting:
    """`start_soon`, for groups and services, which wait at their end for all they have started."""

    _library: Any

    if TYPE_CHECKING:

        def _refusal(self) -> str | None:
            """Why nothing new is accepted; None if it is."""

        def _add(self, promise: CorePromise, function: object) -> None:
            """The work of a function is under way, and *promise* is for its result."""

    @overload
    def start_soon(
        self, function: Callable[P, Followed[U]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Promise[U]: ...
    @overload
    def start_soon(
        self, function: Callable[P, U], /, *args: P.args, **kwargs: P.kwargs
    ) -> Promise[U]: ...
    def start_soon(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A promise for the result of a function; its end is waited for.

        Args:
            function: Called from the queue, unless the promise is cancelled before.  It may return
                a promise, a Deferred or the like, or be ``async def``.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Raises:
            TypeError: *function* is not callable.
            RuntimeError: Nothing can be started any more: the group is closed, failing or
                cancelled, or the service stops or has stopped.  The function is not called.

        Trio: ``start_soon``; asyncio: ``create_task``.
        """
        check_home(self._library)
        if not callable(function):
            raise not_a_function("function", function)
        refusal = self._refusal()
        if refusal is not None:
            raise RuntimeError(f"nothing can be started in a {refusal}")
        promise = _start(self._library, function, args, kwargs)
        self._add(promise, function)
        return promise


def _start(
    library: type[CorePromise],
    function: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """A promise for the result of a function that is called soon, unless that is cancelled."""
    promise: CorePromise = new_pending(library)
    if hooks.observer is not None:
        # Its end is awaited, even if the caller ignores it.
        hooks.observer.consumed(promise)
    call_soon(library, _call, promise, keep_context(library, partial(function, *args, **kwargs)))
    return promise


def _call(promise: CorePromise, function: Callable[[], object]) -> None:
    # It may have been handled already, which is no end.
    if not promise._state & DEAD:
        call(promise, partial(run_in_context, function))
    # The traceback of what was raised refers to this frame.
    del promise, function


class _End(Node):
    """Fulfils a promise once another one, which it observes, has ended."""

    __slots__ = ("_whose",)

    def __init__(self, whose: CorePromise) -> None:
        super().__init__()
        self._promise = new_pending(type(whose), self, owner=whose)
        self._whose: Any = whose
        when_ended(whose, self._ended)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See the base."""
        return (("the end of all", self._whose),)

    def _ended(self) -> None:
        if not self._state & DEAD:
            fulfill(self.finish(), None)

    def _release(self) -> None:
        self._whose = None


def end_of(promise: CorePromise) -> Any:
    """A promise that is fulfilled once another one, which it observes, has ended."""
    return _End(promise)._promise
