"""What promises wait for besides promises: Deferreds, timers, futures, other coroutines."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from types import FunctionType
from typing import Any, Final, NamedTuple

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredQueue, _CancellationStatus

from .._bridge.deferreds import DeferredSource, last_of
from .._bridge.executors import FutureSink
from .._bridge.futures import FutureSource
from .._bridge.shared import callbacks_of
from .._core.reactions import Node
from .._core.states import is_promise
from .._coroutines.asyncio_task import CoroutineTask
from .._coroutines.frames import frame_of, place, suspended
from .._coroutines.suspension import Suspension
from .._util.callers import PACKAGE
from .._util.checks import name_of, printable, shown, type_name

__all__ = ["Thing", "coroutines_of", "is_resource", "lines_of", "lock_of", "look_at", "seconds"]


#: A class, which Twisted's types call a function.
_LIST: Final[Any] = defer.DeferredList


#: How many things are looked at, for the coroutines behind one promise.
_DEEP: Final = 20


class Thing(NamedTuple):
    """Something that a promise waits for: a text, and what it waits for itself.

    It also has the resource, if it is one that others hold (a lock, a limiter), and the coroutine,
    if it is one that Twisted or asyncio runs.
    """

    text: str
    ahead: Iterable[tuple[str, Any]] = ()
    resource: Any = None
    coroutine: Any = None


def look_at(what: Any) -> Thing:
    """A `Thing` for what a promise waits for, other than a promise."""
    if isinstance(what, Deferred):
        return _deferred(what)
    if isinstance(what, asyncio.Future):
        return _future(what)
    if isinstance(what, concurrent.futures.Future):
        return _work(what)
    if callable(getattr(what, "getTime", None)):
        return Thing(_timer(what))
    # The reprs of other objects may show values.
    ours = type(what).__module__.startswith("twpromise.")
    text = shown(what) if ours else f"a {type_name(what)}"
    return Thing(text, (), what if is_resource(what) else None)


def lines_of(generator: Any) -> list[str]:
    """The lines at which a coroutine is suspended, the outermost first.

    Lines of this package are left out if there are others: `tracing` has two around each coroutine.
    """
    frames = [frame for one in suspended(generator) if (frame := frame_of(one)) is not None]
    others = [frame for frame in frames if not frame.f_code.co_filename.startswith(PACKAGE)]
    return [place(frame) for frame in others or frames]


def coroutines_of(source: Any) -> list[Any]:
    """The coroutines behind what a promise waits for: of the library, of Twisted, and of asyncio.

    Args:
        source: The source of the promise.
    """
    if isinstance(source, Suspension):
        return [source._generator]
    found: list[Any] = []
    ahead = [source.waits()] if isinstance(source, DeferredSource | FutureSource) else []
    steps = 0
    # They may wait for each other.
    while ahead and steps < _DEEP:
        steps += 1
        for _, what in islice(ahead.pop(), _DEEP):
            if what is not None and not is_promise(what):
                thing = look_at(what)
                ahead.append(thing.ahead)
                if thing.coroutine is not None:
                    found.append(thing.coroutine)
    return found


def lock_of(generator: Any) -> Any:
    """The asyncio lock whose `acquire` a coroutine is suspended in, or None.

    The future that it waits for does not know the lock.
    """
    innermost = [None, *suspended(generator)][-1]
    frame = frame_of(innermost)
    if frame is None or frame.f_code.co_name != "acquire":
        return None
    if frame.f_globals.get("__name__") != asyncio.locks.__name__:
        return None
    return next(filter(is_resource, gc.get_referents(innermost)), None)


def is_resource(what: Any) -> bool:
    """Whether something is held by some and waited for by others, like a lock."""
    kind = type(what)
    return hasattr(kind, "acquire") and (hasattr(kind, "release") or hasattr(kind, "__aexit__"))


# --- timers


def _timer(timer: Any) -> str:
    due = timer.getTime() - timer.seconds()
    return f"a timer, due in {seconds(due)}" if due >= 0 else f"a timer, due {seconds(-due)} ago"


def seconds(number: float) -> str:
    """Seconds for people: three digits, or whole ones."""
    return f"{number:.3g} s" if number < 999.5 else f"{number:.0f} s"


# --- Deferreds


def _deferred(deferred: Any) -> Thing:
    last = last_of(deferred)
    if isinstance(last, Node):
        # A coroutine awaits a promise.
        return Thing("", [("", last._promise)])
    if isinstance(last, _LIST):
        return _several(last)
    canceller: Any = getattr(last, "_canceller", None)
    if isinstance(canceller, partial):
        # It is being cancelled.
        canceller = canceller.args[0] if canceller.args else None
    if canceller is None:
        return Thing("a Deferred without a canceller, which has not fired")
    owner = getattr(canceller, "__self__", None)
    if isinstance(owner, Node):
        # It was made of a promise.
        return Thing("a Deferred", [("", owner._promise)])
    if isinstance(owner, DeferredQueue):
        return Thing(f"an item of a {type_name(owner)}, with {len(owner.waiting)} waiting")
    if owner is not None and is_resource(owner):
        return Thing(f"a {type_name(owner)}, with {len(owner.waiting)} waiting", (), owner)
    for within in _closed_over(canceller):
        if type(within) is _CancellationStatus:
            return _twisted_coroutine(within)
        # The attributes of its class: asking the object for one might run its code.
        if callable(getattr(type(within), "getTime", None)) and within.active():
            return Thing(f"a Deferred, which {_timer(within)} fires")
    return Thing(f"a Deferred, which {_named(canceller)} cancels")


def _named(canceller: Any) -> str:
    code = getattr(canceller, "__code__", None)
    where = "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"
    return f"{name_of(canceller)}{where}"


def _closed_over(function: Any) -> Iterator[Any]:
    if isinstance(function, FunctionType):
        for cell in function.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                # It is empty.
                pass


def _several(deferreds: Any) -> Thing:
    items = deferreds._deferredList
    pending = [(f"item {index}", one) for index, one in enumerate(items) if not one.called]
    return Thing("a DeferredList", [(f"{len(pending)} of {len(items)} items", None), *pending])


def _twisted_coroutine(status: Any) -> Thing:
    """The coroutine that `inlineCallbacks` or `ensureDeferred` runs."""
    waiting = status.waitingOn
    if waiting is None:
        return Thing("a coroutine that Twisted runs")
    # It stands among the arguments that the Deferred calls it back with.
    arguments = [getattr(waiting, "_awaits", None)]
    if not isinstance(waiting, Node):
        arguments += [one for (_, args, _), _ in callbacks_of(waiting) for one in args or ()]
    for argument in arguments:
        lines = lines_of(argument)
        if lines:
            text = f"{name_of(argument)}, a coroutine that Twisted runs, at {lines[-1]}"
            return Thing(text, [("", waiting)], None, argument)
    return Thing("a coroutine that Twisted runs", [("", waiting)])


# --- futures


def _future(future: Any) -> Thing:
    if isinstance(future, CoroutineTask) and future._runner is not None:
        return Thing("", [("", future._runner._promise)])
    get_coro = getattr(future, "get_coro", None)
    if get_coro is not None:
        lines = lines_of(get_coro())
        where = f" at {lines[-1]}" if lines else ""
        text = f"the task {printable(str(future.get_name()))}{where}"
        waiter = lock_of(get_coro()) or getattr(future, "_fut_waiter", None)
        return Thing(text, [] if waiter is None else [("", waiter)], None, get_coro())
    for callback, *_ in getattr(future, "_callbacks", None) or ():
        sink = getattr(callback, "__self__", None)
        if isinstance(sink, FutureSink) and sink._promise is not None:
            # It was made of a promise.
            return Thing("a future", [("", sink._promise)])
    # Its repr shows its callbacks, and what is bound to them.
    return Thing(f"a {type_name(future)}")


def _work(future: Any) -> Thing:
    if not future.running():
        return Thing("work of a thread, or of an executor, which has not begun")
    frame = sys._current_frames().get(getattr(future, "thread", 0))
    try:
        if frame is None or frame.f_code.co_filename.startswith(PACKAGE):
            # What is written in C has no frame.
            return Thing("a thread, or an executor, which runs it")
        return Thing(f"a thread, which is at {place(frame)}")
    finally:
        # This function's own frame, if the thread looks at itself.
        del frame
