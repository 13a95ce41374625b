"""Ready-made promisifiers, for functions without a callback of Node's kind.

Pass one to `Promise.promisify` or `Promise.promisify_all` as ``promisifier``, or call it with a
function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any, ParamSpec, TypeVar, overload

from ._promise import Promise

__all__ = ["callback_pair", "returning", "threads"]

P = ParamSpec("P")
U = TypeVar("U")


def callback_pair(function: Callable[..., object]) -> Callable[..., Promise[Any]]:
    """Promisify a function that takes a callback and an errback.

    Args:
        function: Called with two functions after the other positional arguments: the first takes
            the result, the second the error; further arguments of either are ignored.

    Bluebird: the ``DOMPromisifier`` of ``Promise.promisifyAll``'s page.
    """

    def promisified(*args: Any, **kwargs: Any) -> Promise[Any]:
        def executor(resolve: Callable[..., None], reject: Callable[..., None]) -> object:
            def success(*values: Any) -> None:
                resolve(*values[:1])

            def failure(*errors: Any) -> None:
                reject(*errors[:1])

            # The promise runs it, if it is a coroutine.
            return function(*args, success, failure, **kwargs)

        return Promise(executor)

    return update_wrapper(promisified, function)


@overload
def returning(function: Callable[P, Awaitable[U]]) -> Callable[P, Promise[U]]: ...
@overload
def returning(function: Callable[P, U]) -> Callable[P, Promise[U]]: ...
def returning(function: Any) -> Any:
    """Promisify a function that returns a Deferred, a coroutine or a value.

    Args:
        function: The function; what it raises rejects.

    The same as `Promise.method`, as a promisifier.
    """
    return Promise.method(function)


def threads(function: Callable[P, U]) -> Callable[P, Promise[U]]:
    """Promisify a function that blocks: each call runs in a thread.

    Args:
        function: Run in the reactor's pool; see `Promise.in_thread`.
    """

    def promisified(*args: P.args, **kwargs: P.kwargs) -> Promise[U]:
        return Promise.in_thread(function, *args, **kwargs)

    return update_wrapper(promisified, function)
