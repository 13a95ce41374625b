"""A promise used as a Deferred in place, without `then` or `to_deferred`; see `doors`.

``promise.addCallback(f)`` makes a Deferred of the promise and returns it.  A second call in place
adds to the same Deferred, and if Twisted is given the promise next, it waits for that Deferred: so
``promise.addCallback(f); return promise`` works as with a Deferred.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python.failure import Failure

from .._core import hooks
from .._core.extra import Extra
from .._core.following import outcome_of, root_of
from .._core.jobs import call_soon
from .._core.settling import mark_handled
from .._core.states import DEAD, FULFILLED, REJECTED, CorePromise
from .._util.callers import PACKAGE
from .outcomes import failure_of
from .rings import ahead_of, circular
from .to_deferred import make_deferred

__all__ = ["CALLBACKS", "InPlace", "replace_methods", "take", "take_for"]

#: Where a Deferred keeps its callbacks: Twisted 25 has renamed it.
CALLBACKS = "_callbacks" if hasattr(defer.Deferred(), "_callbacks") else "callbacks"

_DEFER: Any = vars(defer)
#: Functions of Twisted that pass on their argument unchanged.
_HANDING_ON = ("gatherResults", "succeed")

#: What `inlineCallbacks` adds to what is yielded.
_RESUME: Any = getattr(defer, "_gotResultInlineCallbacks", None)


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


class _Made:
    """A Deferred made in place; belongs to the function that made it, and to its callers.

    If none of them returns the promise, the Deferred is dropped: another user of the same promise
    (the next login, say) must not get what is left of it.
    """

    __slots__ = ("deferred", "frames")

    def __init__(self, deferred: Any, user: FrameType) -> None:
        self.deferred = deferred
        self.belong_to(user)

    def belong_to(self, user: FrameType) -> None:
        """Belong to a function from now on, and to its callers."""
        self.frames = [user]
        while (caller := self.frames[-1].f_back) is not None:
            self.frames.append(caller)

    def belongs_to(self, user: FrameType) -> bool:
        """Whether a function has used the promise, or got it from a function that has."""
        if user in self.frames:
            return True
        # It was given to a function of Twisted.
        while user.f_globals is _DEFER:
            user = user.f_back  # type: ignore[assignment]
        return user is self.frames[0]


def _user() -> FrameType:
    """The function that uses a promise: the first one that does not just pass it on."""
    frame: Any = sys._getframe(2)
    while _hands_on(frame):
        frame = frame.f_back
    user: FrameType = frame
    return user


def _hands_on(frame: FrameType) -> bool:
    code = frame.f_code
    # By the file: some functions of Twisted's run code of this package.
    if code.co_filename.startswith(PACKAGE):
        return True
    return frame.f_globals is _DEFER and code.co_name in _HANDING_ON


def _made_in_place(promise: CorePromise) -> Any:
    extra = promise._extra
    made = extra.deferred if type(extra) is Extra else None
    return made.deferred if made is not None and made.belongs_to(_user()) else None


def _make_in_place(promise: CorePromise) -> Any:
    extra = promise._extra
    if type(extra) is not Extra:
        extra = promise._extra = Extra(None, extra)
    user, made = _user(), extra.deferred
    if made is not None and user in made.frames:
        made.belong_to(user)
    else:
        made = extra.deferred = _Made(make_deferred(promise), user)
        call_soon(type(promise), _drop, promise, made)
    return made.deferred


def _drop(promise: CorePromise, made: _Made) -> None:
    # The functions that it may belong to have returned.
    extra = promise._extra
    if type(extra) is Extra and extra.deferred is made:
        extra.deferred = None


def take(promise: CorePromise) -> Any:
    """A Deferred for the calling function: the one made in place, or a new consumer."""
    deferred = _made_in_place(promise)
    if deferred is None:
        return make_deferred(promise)
    extra: Any = promise._extra
    extra.deferred = None
    return deferred


def take_for(waiting: Any, promise: CorePromise) -> Any:
    """The same for a Deferred that will wait for it; one that fails if that closes a ring."""
    if waiting not in ahead_of(promise):
        return take(promise)
    mark_handled(promise)
    return defer.fail(circular())


# --- methods, once they are installed -----------------------------------------------------


def _method(name: str) -> Callable[..., Any]:
    def method(self: CorePromise, *args: Any, **kwargs: Any) -> Any:
        return getattr(_make_in_place(self), name)(*args, **kwargs)

    method.__name__ = name
    return method


def _add_both(self: CorePromise, callback: Any, *args: Any, **kwargs: Any) -> Any:
    if callback is not _RESUME:
        return _make_in_place(self).addBoth(callback, *args, **kwargs)
    if type(args[1]) is CoroutineType:
        # `await_promise` relies on what Twisted does with a plain value.
        return callback(self, *args)
    # `yield` in `inlineCallbacks`: a consumer of its own.
    if self._source is None and self._extra is None:
        # As below, for most.
        deferred = make_deferred(self)
    else:
        deferred = take_for(args[2].deferred, self)
    deferred.addBoth(callback, *args)
    if args[0][0]:
        # Twisted will use the promise as the Deferred that it waits for; see `doors`.
        args[2]._waits_on = deferred
    return deferred


def _as_future(self: CorePromise, loop: Any) -> Any:
    # Only the future results from it: a consumer of its own.
    return take(self).asFuture(loop)


# --- what Twisted reads and writes --------------------------------------------------------

# Reading makes no Deferred, and handles no rejection.


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
    """Take the result, as Twisted does: that changes a Deferred, but no promise."""
    if _made_in_place(self) is not None:
        take(self).addBoth(lambda _: instead)
    elif outcome_of(self)._state & REJECTED:
        mark_handled(self)


class _Callbacks:
    """The callbacks of a promise, to which Twisted appends a Deferred that is to wait."""

    __slots__ = ("_promise",)

    def __init__(self, promise: CorePromise) -> None:
        self._promise = promise

    def append(self, continuation: Any) -> None:
        """Let a Deferred wait for a consumer of its own instead of the promise."""
        waiting = continuation[0][1][0]
        deferred = take_for(waiting, self._promise)
        waiting.result = waiting._chainedTo = deferred
        getattr(deferred, CALLBACKS).append(continuation)
        if deferred.called:
            deferred._runCallbacks()


def replace_methods() -> None:
    """Give promises the methods and attributes of a Deferred, in place of the errors."""
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
