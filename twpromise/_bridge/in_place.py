"""A promise used as a Deferred in place, without `then` or `to_deferred`; see `doors`.

``promise.addCallback(f)`` makes one Deferred of the promise and returns it.  A second call in place
adds to the same Deferred, and what Twisted waits for next, when it is given the promise, is that
Deferred: so ``promise.addCallback(f); return promise`` does what it does with a Deferred.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python.failure import Failure

from .._core import hooks
from .._core.extra import Extra
from .._core.following import outcome_of, root_of
from .._core.settling import mark_handled
from .._core.states import DEAD, FULFILLED, REJECTED, CorePromise
from .deferreds import make_deferred
from .outcomes import failure_of
from .rings import ahead_of, circular

__all__ = ["CALLBACKS", "InPlace", "replace_methods", "take"]

#: Where a Deferred keeps its callbacks: Twisted 25 has renamed it.
CALLBACKS = "_callbacks" if hasattr(defer.Deferred(), "_callbacks") else "callbacks"

#: What `inlineCallbacks` adds to what is yielded.
_RESUME: Any = getattr(defer, "_gotResultInlineCallbacks", None)

#: Modules of Twisted that keep what such a method does for themselves, so that each call is
#: a consumer of its own.
_KEEP_FOR_THEMSELVES = {
    # `cooperate`
    "twisted.internet.task",
    "twisted.conch.ssh.filetransfer",
    "twisted.mail.imap4",
    "twisted.spread.pb",
}


class _NotInstalled:
    """A method of a Deferred, on a promise of a program that has not called `install`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, promise: object, owner: type) -> Any:
        if promise is None:
            return self
        raise AttributeError(
            f"a promise has no {self._name}: use then(), or to_deferred().{self._name}; "
            "or call twpromise.install() when the program starts",
            name=self._name,
            obj=promise,
        )


class InPlace(CorePromise):
    """The methods of a Deferred, which raise until `replace_methods` is called."""

    __slots__ = ()

    if TYPE_CHECKING:
        # A program that is checked uses `to_deferred`.
        ...
    else:
        addBoth = _NotInstalled()
        addCallback = _NotInstalled()
        addCallbacks = _NotInstalled()
        addErrback = _NotInstalled()
        addTimeout = _NotInstalled()
        asFuture = _NotInstalled()
        chainDeferred = _NotInstalled()


def _made_in_place(promise: CorePromise) -> Any:
    extra = promise._extra
    return extra.deferred if type(extra) is Extra else None


def _make_in_place(promise: CorePromise) -> Any:
    extra = promise._extra
    if type(extra) is not Extra:
        extra = promise._extra = Extra(None, extra)
    if extra.deferred is None:
        extra.deferred = make_deferred(promise)
    return extra.deferred


def take(promise: CorePromise) -> Any:
    """A Deferred that belongs to who calls this: the one made in place, or a new consumer."""
    extra = promise._extra
    if type(extra) is Extra and extra.deferred is not None:
        deferred, extra.deferred = extra.deferred, None
        return deferred
    return make_deferred(promise)


def _refuse(promise: CorePromise) -> Any:
    """A Deferred that fails, instead of one that would wait for itself."""
    mark_handled(promise)
    return defer.fail(circular())


# --- methods, once they are installed -----------------------------------------------------


def _method(name: str) -> Callable[..., Any]:
    def method(self: CorePromise, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__")
        get = take if caller in _KEEP_FOR_THEMSELVES else _make_in_place
        return getattr(get(self), name)(*args, **kwargs)

    method.__name__ = name
    return method


def _add_both(self: CorePromise, callback: Any, *args: Any, **kwargs: Any) -> Any:
    if callback is not _RESUME:
        return _make_in_place(self).addBoth(callback, *args, **kwargs)
    if type(args[1]) is CoroutineType:
        # `await_promise` wants what Twisted does with a plain value.
        return callback(self, *args)
    # `yield` in `inlineCallbacks`: a consumer of its own.
    if self._source is not None and args[2].deferred in ahead_of(self):
        deferred = _refuse(self)
    else:
        deferred = make_deferred(self) if self._extra is None else take(self)
    deferred.addBoth(callback, *args)
    if not deferred.called:
        # Twisted will take the promise for what it waits on; see `doors`.
        args[2]._waits_on = deferred
    return deferred


def _as_future(self: CorePromise, loop: Any) -> Any:
    # The future is all that comes of it: a consumer of its own.
    return take(self).asFuture(loop)


# --- what Twisted reads and writes --------------------------------------------------------

# Reading makes nothing, and handles no rejection.


def _called(self: CorePromise) -> bool:
    made = _made_in_place(self)
    return bool(root_of(self)._state & DEAD) if made is None else made.called


def _paused(self: CorePromise) -> int:
    made = _made_in_place(self)
    return 0 if made is None else made.paused


def _result(self: CorePromise) -> Any:
    made = _made_in_place(self)
    if made is not None:
        return made.result
    outcome = root_of(self)
    state = outcome._state
    if state & FULFILLED:
        return outcome._value
    if state & REJECTED:
        return failure_of(outcome._value, outcome._aux)
    if state & DEAD:
        return Failure(hooks.host.late_cancellation())
    raise AttributeError("result")


def _take_result(self: CorePromise, instead: Any) -> None:
    """Twisted has read the result, and takes it: that changes a Deferred, but no promise."""
    if _made_in_place(self) is not None:
        take(self).addBoth(lambda _: instead)
    elif outcome_of(self)._state & REJECTED:
        mark_handled(self)


class _Callbacks:
    """What a promise has for callbacks: Twisted appends the Deferred that is to wait."""

    __slots__ = ("_promise",)

    def __init__(self, promise: CorePromise) -> None:
        self._promise = promise

    def append(self, continuation: Any) -> None:
        """Have a Deferred wait for a consumer of its own, in the place of the promise."""
        waiting = continuation[0][1][0]
        promise = self._promise
        deferred = _refuse(promise) if waiting in ahead_of(promise) else take(promise)
        waiting.result = waiting._chainedTo = deferred
        getattr(deferred, CALLBACKS).append(continuation)
        if deferred.called:
            deferred._runCallbacks()


def replace_methods() -> None:
    """Give promises the methods and the attributes of a Deferred, in the place of the errors."""
    members: dict[str, Any] = {
        name: _method(name)
        for name in ("addCallback", "addCallbacks", "addErrback", "addTimeout", "chainDeferred")
    }
    members |= {
        "addBoth": _add_both,
        "asFuture": _as_future,
        "called": property(_called),
        "paused": property(_paused),
        "result": property(_result, _take_result),
        CALLBACKS: property(_Callbacks),
        # Twisted looks here for an error to forget: a promise has `mark_handled`.
        "_debugInfo": None,
    }
    for name, member in members.items():
        setattr(InPlace, name, member)
