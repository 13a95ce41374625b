"""Methods that are static functions too, and the public names of functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import update_wrapper
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

from .._core.jobs import check_home
from .._core.resolving import new_input

__all__ = ["Both", "Static", "name_publicly", "show_signature"]

#: Stands for an argument that was not given.
_MISSING: Any = object()


class Both:
    """A method that is a static function too: ``Promise.map(xs, f)`` is ``xs.map(f)``.

    For type checkers each has a class of its own, beside the method: its `__call__` is the static
    function, and `__get__` gives the method of a promise.

    Args:
        function: The method; called on the class, it gets a promise for the first argument.
        static: Called on the class instead, with the class, where the arguments differ.
    """

    def __init__(
        self, function: Callable[..., Any], static: Callable[..., Any] | None = None
    ) -> None:
        update_wrapper(cast("Callable[..., Any]", self), function)
        static = _of_anything(function) if static is None else static
        static.__name__, static.__doc__ = function.__name__, function.__doc__
        self.method = function
        self.static = static

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is not None:
            return MethodType(self.method, instance)
        if not hasattr(owner, "_new"):
            # A mixin, not a library copy: documentation tools look it up there.
            return self
        return MethodType(self.static, owner)


def _of_anything(function: Callable[..., Any]) -> Callable[..., Any]:
    """The static function for a method: its first argument may be any value."""

    def static(owner: Any, subject: Any = _MISSING, /, *args: Any, **kwargs: Any) -> Any:
        if subject is _MISSING:
            # Python says what is missing.
            return function(*args, **kwargs)
        check_home(owner)
        return function(new_input(owner, subject), *args, **kwargs)

    show_signature(static, function)
    return static


def show_signature(static: Any, function: Callable[..., Any]) -> None:
    """Have `help` show the parameters of a method for its static function, behind the class."""
    signature = inspect.signature(function)
    owner = inspect.Parameter("owner", inspect.Parameter.POSITIONAL_ONLY)
    static.__signature__ = signature.replace(parameters=[owner, *signature.parameters.values()])


def name_publicly(cls: type, public: str, module: str) -> None:
    """Give the functions of a class, and of its mixins, their public names.

    Python's errors, `help` and `pickle` use these names.

    Args:
        cls: The class.
        public: The public name of the class.
        module: The module that users import it from.
    """
    for mixin in cls.__mro__:
        for name, value in vars(mixin).items():
            for function in _functions_of(value):
                if name == "__call__":
                    function.__qualname__ = public
                elif name == function.__name__ and (name == "__init__" or name[0] != "_"):
                    # Neither an alias nor private.
                    function.__qualname__ = f"{public}.{name}"
                    function.__module__ = module


def _functions_of(value: object) -> Iterator[FunctionType]:
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, (staticmethod, classmethod)):
        yield from _functions_of(value.__func__)
    elif isinstance(value, Both):
        yield from _functions_of(value.method)
        yield from _functions_of(value.static)


if TYPE_CHECKING:

    class Static:
        """A class method with many overloads: those of `__call__` in a derived class."""

        def __init__(self, function: Callable[..., Any]) -> None: ...

else:
    Static = classmethod
