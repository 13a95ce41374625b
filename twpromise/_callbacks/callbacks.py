"""`from_callback` and `as_callback`: a promise from a callback, and a callback for a promise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .._core import dropped, hooks
from .._core.contexts import prepare
from .._core.jobs import call_soon, check_home
from .._core.reactions import Node
from .._core.resolving import new_rejected
from .._core.states import CANCELLED, FULFILLED, CorePromise, new_pending
from .._util.arity import declared, required_positionals
from .._util.checks import shown
from .._util.errors import RejectionError
from .._util.types import Class
from .node_callback import is_error, node_callback, reject_if_failing, reject_unless_called

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Callbacks"]

T_co = TypeVar("T_co", covariant=True)


class _CallbackSink(Node):
    """Calls a callback with the outcome of a promise."""

    __slots__ = ("_callback", "_spread")

    def __init__(self, callback: Callable[..., Any], spread: bool) -> None:
        super().__init__()
        self._callback = callback
        self._spread = spread

    def _notify(self, parent: CorePromise) -> None:
        state = parent._state
        if state & CANCELLED:
            return
        if not state & FULFILLED:
            reason = parent._value
            if not is_error(reason):
                reason = RejectionError.wrap(reason)
            arguments = (reason,) if self._spread else (reason, None)
        elif self._spread and issubclass(type(parent._value), list | tuple):
            arguments = (None, *parent._value)
        else:
            arguments = (None, parent._value)
        try:
            dropped.call(type(parent), self._callback, *arguments)
        except BaseException as error:
            call_soon(type(parent), hooks.host.escaped, error)


def _call(callback: Callable[..., Any], *arguments: Any) -> Any:
    """Call a callback with as many arguments as it takes; missing ones are None."""
    missing = (required_positionals(callback) or 0) - len(arguments)
    count = declared(callback, len(arguments), len(arguments))
    return callback(*arguments[:count], *[None] * missing)


class Callbacks(CorePromise, Generic[T_co]):
    """`from_callback` and `as_callback`."""

    __slots__ = ()

    @classmethod
    def from_callback(
        cls: Class,
        resolver: Callable[[Callable[..., None]], object],
        *,
        multi_args: bool = False,
        multiArgs: bool = False,
    ) -> Promise[Any]:
        """A promise for the result that a function passes to a callback.

        Args:
            resolver: Called at once with a callback: ``callback(error, *results)``.  If it is not
                callable, the promise is rejected with `TypeError`.
            multi_args: As for `promisify`.
            multiArgs: Bluebird's spelling of *multi_args*.

        Bluebird: ``Promise.fromCallback``.
        """
        if not callable(resolver):
            return new_rejected(
                cls,
                TypeError(
                    f"resolver must be callable, not {shown(resolver)} (expecting a function)"
                ),
            )
        check_home(cls)
        promise = new_pending(cls)
        callback = node_callback(promise, multi_args or multiArgs)
        try:
            result = resolver(callback)
            if result is not None:
                reject_if_failing(promise, callback, result)
        except BaseException as error:
            reject_unless_called(promise, callback, error)
        return cast("Promise[Any]", promise)

    fromCallback = from_callback

    from_node = from_callback
    fromNode = from_node

    def as_callback(
        self, callback: Callable[..., object] | None = None, *, spread: bool = False
    ) -> Promise[T_co]:
        """Call a callback with the outcome, and return this promise.

        Args:
            callback: Called with ``(None, value)`` or ``(error, None)``, or with as many of these
                as it takes.  What it raises is logged as an uncaught error; it may be ``async
                def``.  It is ignored if it is not callable, and not called if the promise is
                cancelled.
            spread: Call it with ``(None, *value)``, for a list or tuple, or with ``(error)``; its
                other parameters get None.

        A reason that is false (None, for example) is passed as a `RejectionError`, with the reason
        as its ``cause``.

        Bluebird: ``.asCallback``.
        """
        if callable(callback):
            _CallbackSink(prepare(self, partial(_call, callback), awaited=False), spread).wait_for(
                self
            )
        return cast("Promise[T_co]", self)

    asCallback = as_callback

    nodeify = as_callback
