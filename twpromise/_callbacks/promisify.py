"""`promisify`: make a function that returns a promise of one that takes a callback."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._core.states import CorePromise, new_by_callback
from .._util.arity import FORWARDREF, required_positionals, signature_of
from .._util.checks import shown
from .node_callback import MultiCallback, NodeCallback, reject_if_failing, reject_unless_called

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["DEFERREDS", "MARK", "PROMISES", "Promisification", "arranged"]

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=Callable[..., Any])

#: The attribute of functions made here: what they return.
MARK = "__promisified__"
PROMISES = "promises"
DEFERREDS = "Deferreds"

_NO_CONTEXT = object()
#: Stands for an argument that was not given.
_MISSING = object()


def _promisified(
    cls: type[CorePromise], function: Callable[..., Any], context: Any, multi_args: bool
) -> Callable[..., Any]:
    """A function that calls *function* with a callback, and returns a promise for its outcome."""
    new_callback = MultiCallback if multi_args else NodeCallback
    call = function if context is _NO_CONTEXT else partial(function, context)

    # Up to three arguments are passed on one by one: building tuples of them costs a quarter of a
    # call.
    def promisified(
        first: Any = _MISSING,
        second: Any = _MISSING,
        third: Any = _MISSING,
        /,
        *more: Any,
        **kwargs: Any,
    ) -> Any:
        promise: CorePromise = new_by_callback(cls)
        callback = new_callback()
        callback._promise = promise
        try:
            if third is not _MISSING and not more and not kwargs:
                result = call(first, second, third, callback)
            elif kwargs or more:
                result = call(*_given(first, second, third), *more, callback, **kwargs)
            elif second is not _MISSING:
                result = call(first, second, callback)
            else:
                result = call(callback) if first is _MISSING else call(first, callback)
        except BaseException as error:
            reject_unless_called(promise, callback, error)
            return promise
        if result is not None:
            reject_if_failing(promise, callback, result)
        return promise

    return _dressed(promisified, function, call is not function)


def _given(*arguments: Any) -> list[Any]:
    return [argument for argument in arguments if argument is not _MISSING]


def _dressed(
    promisified: Callable[..., Any], function: Callable[..., Any], bound: bool
) -> Callable[..., Any]:
    """Give a promisified function the name, docstring and signature of the original.

    Args:
        promisified: The new function.
        function: The original.
        bound: Whether its first parameter is filled already.
    """
    update_wrapper(promisified, function)
    setattr(promisified, MARK, PROMISES)
    signature = signature_of(function, FORWARDREF)
    if signature is None:
        return promisified
    parameters = list(signature.parameters.values())
    if bound and parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        del parameters[0]
    for index in range(len(parameters) - 1, -1, -1):
        kind = parameters[index].kind
        if kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD):
            # The callback.
            del parameters[index]
            break
        if kind is kind.VAR_POSITIONAL:
            break
    promisified.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=inspect.Signature.empty
    )
    return promisified


def arranged(promisifier: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the user with as many arguments as it declares, at least one."""
    declared = required_positionals(promisifier)
    return promisifier(*arguments[: max(declared or 1, 1)])


class Promisification(CorePromise):
    """`promisify`."""

    __slots__ = ()

    @overload
    @classmethod
    def promisify(
        cls,
        function: Callable[..., object],
        *,
        context: Any = ...,
        multi_args: bool = False,
        multiArgs: bool = False,
        promisifier: None = None,
    ) -> Callable[..., Promise[Any]]: ...
    @overload
    @classmethod
    def promisify(
        cls,
        function: F,
        *,
        context: Any = ...,
        multi_args: bool = False,
        multiArgs: bool = False,
        promisifier: Callable[[F], R]
        | Callable[[F, Callable[..., Callable[..., Promise[Any]]]], R],
    ) -> R: ...
    @classmethod
    def promisify(
        cls,
        function: Callable[..., Any],
        *,
        context: Any = _NO_CONTEXT,
        multi_args: bool = False,
        multiArgs: bool = False,
        promisifier: Callable[..., Any] | None = None,
    ) -> Callable[..., Any]:
        """A function that calls *function* with a callback, and returns a promise for its result.

        Args:
            function: Takes a callback as its last positional argument, and calls it, in any thread,
                with an error or None and with its results.  It may be ``async def``; its own
                result is ignored.
            context: If given, the first argument of each call, like ``self``.
            multi_args: Fulfil with the list of all results, not with the first one.
            multiArgs: Bluebird's spelling of *multi_args*.
            promisifier: Makes the function instead.  Called with *function*; and with the default
                version, if it declares a second parameter.

        An error that is an exception with a class of its own rejects as it is, and counts as
        operational; any other error is wrapped in an `OperationalError`.  What *function* raises
        rejects.  The new function has the name, docstring and signature of *function*, without the
        callback.  In a class it is a method.

        Raises:
            TypeError: *function* is a class, or not callable; *promisifier* returns no function.

        Bluebird: ``Promise.promisify``.
        """
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"Promise.promisify() takes a function, not {shown(function)}; "
                "use Promise.promisify_all for objects, classes and modules "
                "(Promise.promisify called on an object)"
            )
        if promisifier is not None and not callable(promisifier):
            raise TypeError(f"promisifier must be callable, not {shown(promisifier)}")
        if getattr(function, MARK, None) is PROMISES:
            return function

        def default(original: Callable[..., Any] = function) -> Callable[..., Any]:
            return _promisified(cls, original, context, multi_args or multiArgs)

        if promisifier is None:
            return default()
        made: Callable[..., Any] = arranged(promisifier, function, default)
        if not callable(made):
            raise TypeError(f"promisifier must return a function, not {shown(made)}")
        return made
