"""What several themes tell the type checkers."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Awaitable
from typing import Protocol, TypeAlias, TypeVar

__all__ = ["Followed", "Resolve"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

#: What is followed, as far as a checker can tell: promises, Deferreds, coroutines and asyncio's
#: futures can be awaited; what comes from an executor cannot.
#:
#: Where a handler may return a value or what is followed, there is one overload for
#: ``Followed[U]`` and one for ``U | Followed[U]``: mypy makes too little of the second alone,
#: and nothing of a `lambda` that returns a promise if the second is just ``U``.
Followed: TypeAlias = Awaitable[T] | concurrent.futures.Future[T]


class Resolve(Protocol[T_contra]):
    """The first argument of an executor."""

    def __call__(self, value: T_contra | Followed[T_contra] = ..., /) -> None:
        """Resolve the promise, with None unless there is a value."""
