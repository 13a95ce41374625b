"""One definition, two spellings: what is a method and a static function at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, cast

from .._core.resolving import new_resolved

__all__ = ["Both", "Static"]


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
        self._function = function
        self._static = partial(_of_anything, function) if static is None else static

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is not None:
            return MethodType(self._function, instance)
        if not hasattr(owner, "_new"):
            # A mixin, not a library copy: documentation tools look it up there.
            return self
        return update_wrapper(partial(self._static, owner), self._function)


def _of_anything(
    function: Callable[..., Any], owner: Any, subject: Any, /, *args: Any, **kwargs: Any
) -> Any:
    return function(new_resolved(owner, subject), *args, **kwargs)


if TYPE_CHECKING:

    class Static:
        """A class method with many overloads: those of `__call__` in a derived class."""

        def __init__(self, function: Callable[..., Any]) -> None: ...

else:
    Static = classmethod
