"""The result of a Deferred, for all promises and coroutines of this library that wait for it.

A Deferred gives its result to the first callback, and None to those behind it, also to callbacks of
other code.  So the first adopter keeps the result in the Deferred, as `_taken_by_promise`, for
others of this library, each of which looks there when it gets None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .._core.resolving import new_resolved
from .._core.states import CorePromise, is_promise

__all__ = [
    "callbacks_of",
    "is_shared",
    "keep_failure",
    "keep_followed",
    "leave_to_others",
    "taken_from",
    "waiting_for",
]

# For Deferreds that have not been adopted.  This default on the class is the only thing that an
# import adds to Twisted: looking for a missing attribute costs a request over Deferreds 5 to 10 %.
_all_deferreds: Any = Deferred
_all_deferreds._taken_by_promise = None


class _Failed:
    """A failure that was taken: kept as long as the promise is, whose reason refers to frames."""

    __slots__ = ("failure",)

    def __init__(self, failure: Failure) -> None:
        self.failure = ref(failure)


def keep_failure(deferred: Any, failure: Failure) -> None:
    """Keep the failure that was taken from a Deferred, for others that have adopted it."""
    # Promises that wait already get it, even if the first promise is cancelled.
    deferred._taken_by_promise = failure if is_shared(deferred, None) else _Failed(failure)


def keep_followed(
    cls: type[CorePromise], deferred: Any, result: Any, owner: CorePromise | None
) -> CorePromise:
    """A promise for an awaitable result that was taken from a Deferred: kept for others, too."""
    # A coroutine, say, is started once, for all.
    promise = result if is_promise(result) else new_resolved(cls, result, owner)
    deferred._taken_by_promise = promise
    return promise


def taken_from(deferred: Any) -> Any:
    """The result that was taken from a Deferred, which gives None now; None if there was none."""
    taken = deferred._taken_by_promise
    if type(taken) is not _Failed:
        return taken
    failure = taken.failure()
    if failure is None:
        failure = Failure(
            RuntimeError(
                "the Deferred has failed, and its failure was taken before by a promise or "
                "a coroutine that is gone: adopt a Deferred once, and share the promise"
            )
        )
    return failure


def waiting_for(deferred: Any, consumer: object) -> Iterator[Any]:
    """The objects of this library that wait for a Deferred, besides *consumer*."""
    for each in callbacks_of(deferred):
        waiting = _called_by(each)
        if _is_ours(waiting) and waiting is not consumer and waiting._waits_for(deferred):
            yield waiting


def is_shared(deferred: Any, consumer: object) -> bool:
    """Whether anything of this library waits for a Deferred, besides *consumer*."""
    return next(waiting_for(deferred, consumer), None) is not None


def leave_to_others(deferred: Any, consumer: object) -> bool:
    """If others of this library wait for a Deferred, remove *consumer*; return whether any do."""
    if not is_shared(deferred, consumer):
        return False
    # A Deferred that stays pending must not collect callbacks that have left it.
    callbacks = callbacks_of(deferred)
    own = [index for index, each in enumerate(callbacks) if _called_by(each) is consumer]
    # It may stand there more than once: from the end, so that each is still where it was.
    for index in reversed(own):
        beside = [*callbacks[max(index - 1, 0) : index], *callbacks[index + 1 : index + 2]]
        # Between callbacks of other code it is needed: it takes the result, which they must not
        # get.
        if any(_is_ours(_called_by(one)) for one in beside):
            del callbacks[index]
    return True


def callbacks_of(deferred: Any) -> list[Any]:
    """The callbacks that a Deferred has not called yet."""
    # Twisted 25.5 has renamed them.
    callbacks = getattr(deferred, "_callbacks", None)
    return deferred.callbacks if callbacks is None else callbacks  # type: ignore[no-any-return]


def _called_by(callbacks: Any) -> Any:
    """The object that a callback is, or is a method of."""
    callback = callbacks[0][0]
    return getattr(callback, "__self__", callback)


def _is_ours(waiting: Any) -> bool:
    return hasattr(type(waiting), "_waits_for")
