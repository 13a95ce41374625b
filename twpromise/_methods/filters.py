"""Filters: the arguments before the handler of `catch` and its relatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from typing import Any, Generic, TypeAlias, TypeVar

from .._core.resolving import DECLINED, is_followed
from .._util.arity import takes_nothing
from .._util.checks import is_exception_class, shown
from .._util.exceptions import is_exception

__all__ = [
    "Filter",
    "Filtered",
    "Kind",
    "NoHandler",
    "Test",
    "Untyped",
    "answer",
    "check_filters",
    "is_operational",
    "passes",
]

A = TypeVar("A", bound=BaseException)
V = TypeVar("V")

#: A filter.  A predicate must return a `bool`, so that type checkers do not take an exception class
#: for one.
Kind: TypeAlias = type[A] | tuple[type[A], ...]
Test: TypeAlias = Callable[[Any], bool] | Mapping[str, Any]
#: Arguments that may precede a handler, but not replace it.
NoHandler: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
Filter: TypeAlias = type[BaseException] | tuple[type[BaseException], ...] | Test


class Untyped(Generic[V]):
    """No object has this type, so that only what is typed as Any matches it.

    It stands in the first overload of a method that has deprecated ones: a handler that is typed
    as Any matches those, too.  Where all that it matches give the same type, as far as it is known,
    pyright takes the first; else it would report a deprecated one.
    """


def check_filters(filters: Iterable[Any]) -> TypeError | None:
    """The error for an invalid filter, or None.

    A filter is an exception class or a tuple of them, a predicate, or a mapping of attribute
    names to values.
    """
    for one in filters:
        if isinstance(one, type):
            if is_exception_class(one):
                continue
        elif isinstance(one, tuple):
            if all(map(is_exception_class, one)):
                continue
        elif isinstance(one, Mapping):
            if all(isinstance(name, str) for name in one):
                continue
        elif callable(one):
            continue
        return TypeError(
            "a filter must be an exception class, a tuple of them, a function of the reason, or "
            f"a mapping of attribute names to values, not {shown(one)} "
            "(Catch filter must inherit from Error or be a simple predicate function)"
        )
    return None


def passes(filters: tuple[Any, ...], arguments: tuple[Any, ...]) -> bool:
    """Whether any of *filters* matches a reason, or there are no filters.

    Args:
        filters: Checked by `check_filters`.
        arguments: The arguments for a predicate: the bound value, if there is one, and the reason.
    """
    if not filters:
        return True
    try:
        return _any_passes(filters, arguments)
    except BaseException as error:
        _set_context(error, arguments[-1])
        raise


def _any_passes(filters: tuple[Any, ...], arguments: tuple[Any, ...]) -> bool:
    reason = arguments[-1]
    for one in filters:
        if isinstance(one, (type, tuple)):
            if isinstance(reason, one):
                return True
        elif isinstance(one, Mapping):
            if all(
                hasattr(reason, name) and getattr(reason, name) == value
                for name, value in one.items()
            ):
                return True
        elif one is is_operational:
            if one(*arguments):
                return True
        # Neither the handler nor the next predicate sees what a predicate sets.
        elif answer(copy_context().run(one, *arguments), _NOT_AT_ONCE):
            return True
    return False


#: As the attribute, for exceptions that have overridden how attributes are read or set.
_context_of = BaseException.__dict__["__context__"]


def _set_context(error: BaseException, reason: object) -> None:
    """Record in *error* that it was raised while *reason* was handled, as Python would."""
    if not is_exception(reason) or _context_of.__get__(error) is not None:
        return
    link = reason
    # If *error* is in the chain of *reason* already, it must not get a circular context.  The walk
    # also ends if the chain is circular.
    for _ in range(100):
        if link is error:
            return
        behind = _context_of.__get__(link)
        if behind is None:
            _context_of.__set__(error, reason)
            return
        link = behind


_NOT_AT_ONCE = (
    "a predicate must return True or False at once, not a coroutine, a promise or the like "
    "(Catch filter must inherit from Error or be a simple predicate function)"
)


def answer(result: Any, message: str) -> bool:
    """Whether a predicate's result is true.

    Raises:
        TypeError: The result is a coroutine or a pending promise, which is always true.
    """
    if not is_followed(result):
        return bool(result)
    close = getattr(result, "close", None)
    if close is not None:
        # A coroutine that will not be run.
        close()
    raise TypeError(message)


class Filtered:
    """A handler that is called for some reasons only."""

    # Python's name for what a wrapper wraps: so a warning can name the handler.
    __slots__ = ("__wrapped__", "_filters")

    def __init__(self, filters: tuple[Any, ...], handler: Callable[..., Any]) -> None:
        self._filters = filters
        self.__wrapped__ = handler

    def __call__(self, *arguments: Any) -> Any:
        handler = self.__wrapped__
        try:
            if not passes(self._filters, arguments):
                return DECLINED
            return handler(*arguments)
        except TypeError as error:
            if not takes_nothing(handler, error):
                raise
        finally:
            # The traceback of what it raises refers to this frame.
            del arguments
        return handler()


def is_operational(*arguments: Any) -> bool:
    """The filter of `error`: whether a reason is marked as operational."""
    return getattr(arguments[-1], "is_operational", False) is True
