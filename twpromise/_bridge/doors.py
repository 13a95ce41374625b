"""`install`: Twisted takes a promise wherever it takes a Deferred.

Twisted checks the exact type of what a function returns, yields or is given.  At each such place,
a *door*, a promise is replaced by a Deferred of its own, which is one more consumer.  So cancelling
that Deferred, or adding callbacks to it, changes neither the promise nor its other consumers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from inspect import signature
from types import CoroutineType, FunctionType
from typing import Any
from weakref import WeakSet

import twisted
from twisted.internet import defer
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.web import _flatten

from .._core.states import CorePromise, new_pending
from .._core.subscribers import has_consumers
from .._diagnostics import handed_over
from .._util.errors import PromiseWarning
from . import kinds
from .in_place import CALLBACKS, replace_methods, take, take_for
from .rings import adopt_checked
from .to_deferred import make_deferred

__all__ = ["add_classes", "install"]

#: The promise classes of all library copies.
_classes: WeakSet[type[CorePromise]] = WeakSet()
#: The same once Twisted accepts promises; it has the classes of Deferreds, too.
_promises: set[type] = set()

#: The classes of Deferreds and promises.
_kinds: set[type] = set()


class _Kinds(list[type]):
    """Twisted's list of these classes, which is slower to search."""

    def append(self, kind: type) -> None:
        """Twisted adds each class that is derived from `Deferred`."""
        super().append(kind)
        _kinds.add(kind)


def add_classes(*classes: type[CorePromise]) -> None:
    """Let Twisted take the promises of one more library copy, if `install` was called."""
    _classes.update(classes)
    if _promises:
        _open_to(classes)


def install() -> None:
    """Let Twisted take a promise wherever it takes a Deferred.

    Call it once, when an application starts, or set ``TWPROMISE_INSTALL=1`` in its environment.
    A library must not call it: return Deferreds from a library, with `Promise.to_deferred` or
    `deferify`.  Without it, Twisted takes a promise for a plain value: a credentials checker that
    returns one lets every user in.

    From then on Twisted waits for a promise that a callback returns, that ``inlineCallbacks``
    yields, that a credentials checker, a trial test or a ``LoopingCall`` returns, and so on.  Each
    time Twisted gets a new Deferred, which is one more consumer: when Twisted cancels it, the
    promise is cancelled only if it has no other consumer.  ``promise.addCallback(f)`` and its kin
    make a Deferred and return it.

    Warns:
        PromiseWarning: This release of Twisted has changed, and takes promises for plain values in
            some places; the warning names them.

    Calling it again does nothing.
    """
    if _promises:
        return
    handed_over.stop()
    kinds.follow_by(Deferred, adopt_checked)
    replace_methods()
    Deferred.register(CorePromise)  # pyright: ignore[reportAttributeAccessIssue]
    for open_door in _DOORS:
        try:
            open_door()
        except AttributeError:
            # `_checks` finds it again, since a door does not work without it.
            pass
    closed = [name for name, is_open in _checks() if not is_open]
    if closed:
        warnings.warn(
            f"Twisted {twisted.__version__} does not wait for promises in: {', '.join(closed)}; "
            "use to_deferred() there",
            PromiseWarning,
            stacklevel=2,
        )


# --- the doors ----------------------------------------------------------------------------


def _open_results() -> None:
    """What a callback returns, and ``yield`` in ``inlineCallbacks``; see `in_place`."""
    known = _Kinds(defer._DEFERRED_SUBCLASSES)
    defer._DEFERRED_SUBCLASSES = known  # type: ignore[assignment]
    _kinds.update(known)
    _open_to(_classes)


def _open_to(classes: Iterable[type[CorePromise]]) -> None:
    for cls in classes:
        _promises.add(cls)
        defer._DEFERRED_SUBCLASSES.append(cls)  # type: ignore[arg-type]


def _open_cancelling() -> None:
    """Cancelling what ``inlineCallbacks`` returned, while it waits for a promise."""
    handle: Any = defer._handleCancelInlineCallbacks

    def handle_cancel(result: Any, status: Any, /) -> Any:
        if type(status.waitingOn) in _promises:
            status.waitingOn = status._waits_on
        return handle(result, status)

    defer._handleCancelInlineCallbacks = handle_cancel


def _open_firing() -> None:
    """``Deferred.callback`` and ``succeed``; what ``inlineCallbacks`` returns."""

    @wraps(Deferred.callback)
    def callback(self: Any, result: Any) -> None:
        if type(result) in _promises and not self.called:
            result = take_for(self, result)
            # As if the first callback had returned it.
            give: Any = (defer.passthru, (), {})
            getattr(self, CALLBACKS).insert(0, (give, give))
        self._startRunCallbacks(result)

    Deferred.callback = callback  # type: ignore[method-assign]


def _open_functions() -> None:
    """Functions that others have imported by name: their code is replaced."""
    succeed = _copy(defer.succeed)
    by_hand = ("Deferred", "result", "called", "_chainedTo")
    if succeed.__code__.co_names == by_hand:  # pragma: no branch - Twisted 24.7
        # Before, it called `Deferred.callback`.
        _run_instead(defer.succeed, _succeed, _promises, take)
    maybe: Any = defer.maybeDeferred
    # These two make trial leave it out of tracebacks.
    named = {"co_name": maybe.__code__.co_name, "co_filename": maybe.__code__.co_filename}
    _run_instead(maybe, _maybe_deferred)
    maybe.__code__ = maybe.__code__.replace(**named)
    maybe.__kwdefaults__ = {
        "_kinds": _kinds,
        "_promises": _promises,
        "_succeed": succeed,
        "_take": take,
    }
    from_coroutine = vars(Deferred)["fromCoroutine"].__func__
    start = _copy(from_coroutine)
    _run_instead(from_coroutine, _from_coroutine, _promises, take, start)
    ensure = defer.ensureDeferred
    _run_instead(ensure, _ensure_deferred, _promises, take, start, _copy(ensure))
    _run_instead(defer.race, _race, _consumers, _copy(defer.race))


def _copy(function: Any) -> Any:
    return FunctionType(function.__code__, function.__globals__, function.__name__)


def _run_instead(function: Any, instead: Any, *needed: Any) -> None:
    """Replace the code of a function of Twisted, which gets *needed* as its last parameters."""
    function.__signature__ = signature(function)
    function.__code__ = instead.__code__
    function.__defaults__ = needed


# These run with the globals of `twisted.internet.defer`.


def _succeed(result: Any, _promises: Any, _take: Any) -> Any:
    if type(result) in _promises:
        return _take(result)
    deferred: Any = Deferred()
    deferred.result = result
    deferred.called = True
    deferred._chainedTo = None
    return deferred


def _maybe_deferred(  # pragma: no cover - it runs under the name of Twisted's file
    f: Any, *args: Any, _kinds: Any, _promises: Any, _succeed: Any, _take: Any, **kwargs: Any
) -> Any:
    try:
        result = f(*args, **kwargs)
    except BaseException:
        return fail(Failure(captureVars=Deferred.debug))
    kind = type(result)
    if kind in _kinds:
        return _take(result) if kind in _promises else result
    if isinstance(result, Failure):
        return fail(result)
    # As Twisted does it: not for other awaitables.
    return Deferred.fromCoroutine(result) if kind is CoroutineType else _succeed(result)


def _from_coroutine(cls: Any, coro: Any, _promises: Any, _take: Any, _original: Any) -> Any:
    return _take(coro) if type(coro) in _promises else _original(cls, coro)


def _ensure_deferred(coro: Any, _promises: Any, _take: Any, _start: Any, _original: Any) -> Any:
    kind = type(coro)
    if kind is CoroutineType:
        return _start(Deferred, coro)
    return _take(coro) if kind in _promises else _original(coro)


def _race(ds: Any, _consumers: Any, _original: Any) -> Any:
    return _original(_consumers(ds))


def _open_lists() -> None:
    """``DeferredList``, and so ``gatherResults`` and the triggers of a shutdown."""
    lists: Any = defer.DeferredList
    init = lists.__init__

    @wraps(init)
    def __init__(self: Any, deferredList: Any, *args: Any, **kwargs: Any) -> None:
        items = list(deferredList)
        consumers = _consumers(items)
        init(self, consumers, *args, **kwargs)
        if self.fireOnOneErrback:
            for item, consumer in zip(items, consumers, strict=True):
                if item is not consumer:
                    # The list fails with its error, and reports it.
                    consumer.addErrback(lambda _: None)

    lists.__init__ = __init__


def _consumers(items: Iterable[Any]) -> list[Any]:
    """A Deferred for each promise of *items*, and the others as they are."""
    return [take(item) if type(item) in _promises else item for item in items]


def _open_templates() -> None:
    """Promises among what a template of twisted.web renders."""
    templates: Any = _flatten
    fork = templates._fork
    templates._fork = lambda d: take(d) if type(d) in _promises else fork(d)


_DOORS = (
    _open_results,
    _open_cancelling,
    _open_firing,
    _open_functions,
    _open_lists,
    _open_templates,
)


# --- whether they are open ----------------------------------------------------------------


def _checks() -> Iterator[tuple[str, bool]]:
    """The name of each door, and whether a promise gets a consumer there."""
    cls: Any = next(iter(_promises))

    def taken(give: Callable[[Any], object]) -> bool:
        promise = new_pending(cls)
        try:
            given = give(promise)
        except Exception:
            return False
        del given
        return has_consumers(promise)

    @defer.inlineCallbacks
    def wait(promise: Any) -> Any:
        yield promise

    def cancelled_alone() -> bool:
        promise = new_pending(cls)
        other = make_deferred(promise)
        wait(promise).addErrback(lambda _: None).cancel()
        return not other.called and has_consumers(promise)

    yield "the result of a callback", taken(lambda p: defer.succeed(None).addCallback(lambda _: p))
    yield "yield in inlineCallbacks", taken(wait)
    yield "cancelling inlineCallbacks", cancelled_alone()
    yield "maybeDeferred", taken(lambda p: defer.maybeDeferred(lambda: p))
    yield "succeed", taken(defer.succeed)
    yield "ensureDeferred", taken(defer.ensureDeferred)
    yield "Deferred.fromCoroutine", taken(Deferred.fromCoroutine)
    yield "Deferred.callback", taken(lambda p: Deferred().callback(p))
    yield "DeferredList", taken(lambda p: defer.DeferredList([p]))
    yield "race", taken(lambda p: defer.race([p]))
    yield "templates", taken(lambda p: _flatten.flatten(None, p, lambda _: None))
