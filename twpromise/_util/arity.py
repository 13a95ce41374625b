"""The arity rule: a callback gets extra arguments if it declares them.

JavaScript drops arguments that a function does not declare, and Python raises.  So a function
is given as many arguments as it has positional parameters **without a default**; parameters
with a default, and ``*args``, stay as they are.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from inspect import CO_VARARGS
from types import FunctionType, MethodType
from typing import Any, Final

from .exceptions import get_traceback

__all__ = [
    "FORWARDREF",
    "STRING",
    "declared",
    "required_positionals",
    "signature_of",
    "takes_nothing",
    "taking",
    "without_arguments",
]

# Values of `annotationlib.Format`, which Python has from 3.14 on.
FORWARDREF: Final = 3
STRING: Final = 4


def signature_of(function: Any, annotations: int) -> inspect.Signature | None:
    """The signature of *function*; None if it has none that can be read.

    Args:
        function: Any callable.
        annotations: How to return them from Python 3.14 on, where they are evaluated when they are
            read, and often name things that are imported for checkers only: those that cannot be
            evaluated as `FORWARDREF`, or all of them as `STRING`.
    """
    options: dict[str, Any] = (
        {"annotation_format": annotations} if sys.version_info >= (3, 14) else {}
    )
    try:
        return inspect.signature(function, **options)
    except Exception:
        # Some builtins have none; and evaluating annotations may raise anything.
        return None


def required_positionals(function: Any) -> int | None:
    """How many positional arguments *function* must be given; None if that is unknown."""
    kind = type(function)
    if kind is FunctionType:
        code = function.__code__
        return int(code.co_argcount) - len(function.__defaults__ or ())
    if kind is MethodType and type(function.__func__) is FunctionType:
        code = function.__func__.__code__
        return max(int(code.co_argcount) - len(function.__func__.__defaults__ or ()) - 1, 0)
    signature = signature_of(function, STRING)
    if signature is None:
        return None
    return sum(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in signature.parameters.values()
    )


def declared(function: Any, offered: int, least: int = 1) -> int:
    """How many of the *offered* positional arguments to call *function* with.

    Args:
        function: Gets those for which it has parameters without a default; with ``*args``, and
            if its parameters are unknown, all.  A wrapper with ``*args``, as decorators of
            coroutines give it, counts as the function that it wraps.
        offered: How many there are.
        least: How many of them it gets even if its parameters for them have defaults.
    """
    bound = type(function) is MethodType
    plain = function.__func__ if bound else function
    code = plain.__code__ if type(plain) is FunctionType else None
    if code is not None and code.co_flags & CO_VARARGS:
        if not hasattr(plain, "__wrapped__"):
            return offered
        code = None
    if code is not None:
        most = code.co_argcount - bound
        required = most - len(plain.__defaults__ or ())
    else:
        signature = signature_of(function, STRING)
        if signature is None:
            return offered
        required = most = 0
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                return offered
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                most += 1
                required += parameter.default is parameter.empty
    return int(min(max(required, min(least, most)), offered))


def takes_nothing(function: Any, error: TypeError) -> bool:
    """Whether a call with arguments raised *error* because *function* has no parameter for any.

    Call it with the error of that call.  The function has done nothing then: it was not entered.
    """
    traceback = get_traceback(error)
    return (traceback is None or traceback.tb_next is None) and declared(function, 1) == 0


def taking(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* as a handler that is called with arguments, even if it has no parameter."""
    return function if declared(function, 1) else without_arguments(function)


def without_arguments(function: Callable[[], Any]) -> Callable[..., Any]:
    """*function* as a handler that is called with arguments."""

    def without(*arguments: Any) -> Any:
        # What it raises does not keep them alive.
        del arguments
        return function()

    # For what names a handler.
    without.__wrapped__ = function  # type: ignore[attr-defined]
    return without
