"""Whether and how a value is followed: decided by its type, and remembered."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Coroutine
from types import GeneratorType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.components import getRegistry
from twisted.python.failure import Failure
from zope.interface import implementedBy
from zope.interface.adapter import AdapterRegistry

from .._core.contexts import Held, adopt_held
from .._core.following import follow
from .._core.hooks import Adopter
from .._core.resolving import adopters, resolve
from .._core.settling import reject_raised
from .._core.states import CorePromise
from .._coroutines.awaitables import adopt_awaitable, adopt_generator
from .._coroutines.tasks import adopt_coroutine
from .._util.checks import shown
from ..interfaces import IPromise
from .dask import adopt_dask_future, is_dask_future
from .deferreds import adopt_deferred
from .futures import adopt_future
from .outcomes import adopt_failure
from .thenables import adopt_thenable

__all__ = ["decide", "follow_by"]

#: How many types are remembered; a program that makes ever more types (mocks do) must not keep them
#: all.
LIMIT = 1024

#: In this order: the first that a type is a subclass of.
_FOLLOWED: dict[type, Adopter] = {
    CorePromise: follow,
    Held: adopt_held,
    Deferred: adopt_deferred,
    Failure: adopt_failure,
    asyncio.Future: adopt_future,
    concurrent.futures.Future: adopt_future,
    Coroutine: adopt_coroutine,
    GeneratorType: adopt_generator,
}


def follow_by(kind: type, adopter: Adopter) -> None:
    """Follow values of a type, which must be in `_FOLLOWED`, in another way."""
    _FOLLOWED[kind] = adopter
    adopters.clear()


class _Adapters(AdapterRegistry):
    """Twisted's adapters, and a notice when they change."""

    lookup1: Callable[[object, type[IPromise]], Callable[[Any], object] | None]

    def changed(self, originally_changed: Any) -> None:
        """An adapter was registered somewhere: forget what was decided without it."""
        super().changed(originally_changed)
        adopters.clear()


_adapters = _Adapters((getRegistry(),))


def decide(kind: type) -> Adopter | None:
    """How values of a type are followed, or None if they are not."""
    if len(adopters) >= LIMIT:
        # The adapters remember types too.
        _adapters.changed(_adapters)
    for followed, adopter in _FOLLOWED.items():
        if issubclass(kind, followed):
            return adopter
    adapter = _adapter_for(kind)
    if adapter is not None:
        return _adopt_by(adapter)
    if is_dask_future(kind):
        return adopt_dask_future
    # Not `hasattr`: only the class counts, not its metaclass or the `__getattr__` of an instance.
    if any("then" in vars(base) for base in kind.__mro__):
        return adopt_thenable
    return adopt_awaitable if issubclass(kind, Awaitable) else None


def _adapter_for(kind: type) -> Callable[[Any], object] | None:
    return _adapters.lookup1(implementedBy(kind), IPromise)


def _adopt_by(adapter: Any) -> Adopter:
    def adopt(promise: CorePromise, value: Any) -> None:
        try:
            adapted = adapter(value)
            if type(adapted) is type(value) and _adapter_for(type(value)) is adapter:
                raise TypeError(
                    f"the adapter of {shown(type(value))} to IPromise gives another one"
                )
        except BaseException as error:
            reject_raised(promise, error)
        else:
            resolve(promise, adapted)

    return adopt
