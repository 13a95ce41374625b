"""Rules that all methods of collections share: checks of arguments, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._core.extra import binding_of
from .._core.jobs import check_home
from .._core.resolving import is_followed, new_input, new_rejected, new_resolved
from .._core.settling import mark_handled
from .._core.states import INPUT, CorePromise, is_promise
from .._util.arity import required_positionals
from .._util.both import Both, show_signature
from .._util.checks import not_a_function, shown, type_name

__all__ = [
    "OneInput",
    "as_promise",
    "derive_calling",
    "expect_iterable",
    "extra_arguments",
    "not_an_int",
    "observe",
]


def expect_iterable(iterable: object) -> Any:
    """Return *iterable* if it is a collection of items.

    Raises:
        TypeError: It is not iterable, or is a mapping, a `str` or `bytes`.
    """
    kind = type(iterable)
    if kind is list or kind is tuple:
        # The usual case.
        return iterable
    # Before Python had `__iter__`, `__getitem__` made something iterable, and still does.
    is_iterable = isinstance(iterable, Iterable) or (
        hasattr(kind, "__getitem__") and not hasattr(kind, "__iter__")
    )
    if isinstance(iterable, (str, bytes, Mapping)) or not is_iterable:
        raise TypeError(
            f"the input must be an iterable, not {type_name(iterable)} "
            "(expecting an array, a promise or a thenable)"
        )
    return iterable


def observe(cls: type[CorePromise], items: Iterable[Any]) -> list[CorePromise]:
    """Mark items that no result is made of as handled, like those of any collection.

    Returns:
        The promises of the items that are followed.
    """
    followed = [
        item if is_promise(item) else new_resolved(cls, item, INPUT)
        for item in items
        if is_followed(item)
    ]
    for promise in followed:
        mark_handled(promise)
    return followed


def as_promise(cls: type[CorePromise], item: Any, owner: CorePromise | None) -> CorePromise:
    """A promise for something that is followed; a new one is made on behalf of *owner*.

    Without an owner, the wait for it has ended.
    """
    promise: CorePromise = (
        item if is_promise(item) else new_resolved(cls, item, INPUT if owner is None else owner)
    )
    return promise


def not_an_int(name: str, value: object, allowed: str) -> TypeError:
    """The error for a count that is not an `int`, or outside of what is *allowed*."""
    return TypeError(
        f"{name} must be an int, {allowed}, not {shown(value)} (expecting a positive integer)"
    )


def derive_calling(
    kind: Any, source: CorePromise, name: str, function: object, *arguments: Any
) -> Any:
    """Check a user's function, and derive a promise that a node settles which calls it.

    Args:
        kind: The kind of node, with a method `derive`.
        source: The promise to derive from.
        name: The parameter's name, for the message if the function is not callable.
        function: The function.
        *arguments: More arguments of the node.
    """
    if not callable(function):
        return new_rejected(type(source), not_a_function(name, function))
    return kind.derive(source, function, *arguments)


def extra_arguments(promise: CorePromise, function: Callable[..., Any], least: int) -> int:
    """How many of the two extra arguments a callback declares, after the *least* it gets."""
    declared = required_positionals(function) or least
    bound = binding_of(promise) is not None
    return max(0, min(declared - bound - least, 2))


if TYPE_CHECKING:
    OneInput = Both
else:

    class OneInput(Both):
        """A method with options only: the static function takes the collection, and the options."""

        def __init__(self, function: Callable[..., Any], example: str = "iterable: {}([p, q])"):
            name = f"Promise.{function.__name__}"
            known = (function.__kwdefaults__ or {}).keys()

            def static(cls: type[CorePromise], *inputs: Any, **options: Any) -> Any:
                if len(inputs) != 1 or (options and not options.keys() <= known):
                    raise TypeError(f"{name}() takes one {example.format(name)}")
                check_home(cls)
                return function(new_input(cls, inputs[0]), **options)

            show_signature(static, function)
            super().__init__(function, static)
