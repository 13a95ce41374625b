"""The arity rule: extra callback arguments go to those who declare them.

JavaScript drops arguments that a function does not declare, and Python raises.  So a function
is given as many arguments as it has positional parameters **without a default**; parameters
with a default, and ``*args``, are not ours to fill.
"""

from __future__ import annotations

import inspect
from types import FunctionType, MethodType
from typing import Any

__all__ = ["required_positionals"]


def required_positionals(function: Any) -> int | None:
    """How many positional arguments *function* must be given; None if it does not tell."""
    kind = type(function)
    if kind is FunctionType:
        code = function.__code__
        return int(code.co_argcount) - len(function.__defaults__ or ())
    if kind is MethodType and type(function.__func__) is FunctionType:
        code = function.__func__.__code__
        return max(int(code.co_argcount) - len(function.__func__.__defaults__ or ()) - 1, 0)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some builtins do not tell.
        return None
    return sum(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in signature.parameters.values()
    )
