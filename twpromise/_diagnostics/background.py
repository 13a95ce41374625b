"""`background`, and the handlers of users within their wrappers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Generic, ParamSpec, TypeVar

from .._util.arity import declared
from .._util.checks import shown

__all__ = ["Background", "background", "code_of", "unwrapped"]

P = ParamSpec("P")
T = TypeVar("T")


class Background(Generic[P, T]):
    """A handler that starts promises without waiting for them; see `background`."""

    # By this attribute `inspect` finds the parameters of the handler.
    __slots__ = ("__wrapped__",)

    def __init__(self, handler: Callable[P, T]) -> None:
        self.__wrapped__ = handler

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the handler, which need not have a parameter."""
        handler: Any = self.__wrapped__
        try:
            result: T = handler(*args, **kwargs) if declared(handler, 1) else handler(**kwargs)
        finally:
            # The traceback of what it raises refers to this frame.
            del args, kwargs
        return result

    def __get__(self, instance: object, owner: Any = None) -> Background[..., T]:
        """The handler as a method, if it is one."""
        bind = getattr(type(self.__wrapped__), "__get__", None)
        return self if bind is None else Background(bind(self.__wrapped__, instance, owner))


def background(handler: Callable[P, T]) -> Background[P, T]:
    """Mark a handler, so that the forgotten-return warning ignores it.

    Args:
        handler: A handler that starts promises without waiting for them, on purpose.

    Raises:
        TypeError: *handler* is not callable.

    Bluebird: ``return null`` from the handler.
    """
    if not callable(handler):
        raise TypeError(f"handler must be callable, not {shown(handler)}")
    return Background(handler)


def unwrapped(handler: Any) -> tuple[Any, bool]:
    """The user's own handler within its wrappers, and whether `background` is one of them."""
    on_purpose = False
    # Wrappers may wrap each other in a circle.
    for _ in range(100):
        on_purpose = on_purpose or isinstance(handler, Background)
        if isinstance(handler, partial):
            handler = handler.func
        elif isinstance(handler, MethodType):
            handler = handler.__func__
        else:
            wrapped = _wrapped_by(handler)
            if wrapped is None:
                break
            handler = wrapped
    return handler, on_purpose


def _wrapped_by(handler: Any) -> Any:
    # Not `getattr` alone: a `Mock` has every attribute.
    if inspect.getattr_static(handler, "__wrapped__", None) is None:
        return None
    try:
        return handler.__wrapped__
    except Exception:
        # A property that raises.
        return None


def code_of(handler: Any) -> Any:
    """The code that calling a handler runs; None if it is not written in Python."""
    if not isinstance(handler, FunctionType):
        # An object that can be called.
        handler = inspect.getattr_static(type(handler), "__call__", None)
    return handler.__code__ if isinstance(handler, FunctionType) else None
