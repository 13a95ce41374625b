"""``IPromise(x)`` and ``IDeferred(x)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from zope.interface import classImplements
from zope.interface.interface import adapter_hooks

from .._core.resolving import is_followed, new_resolved
from .._core.states import CorePromise, is_promise
from ..interfaces import IDeferred, IPromise
from .to_deferred import make_deferred

__all__ = ["install"]


def install(cls: type[CorePromise]) -> None:
    """Register adapters for everything that promises follow.

    Args:
        cls: The class of the resulting promises.
    """

    def adapt(interface: Any, value: Any) -> Any:
        # A hook and not adapters: `kinds` decides what is followed, and includes types that are not
        # known here.
        if interface is IPromise and is_followed(value):
            return new_resolved(cls, value)
        if interface is IDeferred and is_followed(value):
            promise = value if is_promise(value) else new_resolved(cls, value)
            return make_deferred(promise)
        return None

    adapter_hooks.append(adapt)


#: For mypy's plugin, which takes what a call of an interface gives for the interface.
_deferreds: Callable[..., IDeferred] = cast("Any", IDeferred)

classImplements(Deferred, _deferreds)
