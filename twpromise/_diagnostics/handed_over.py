"""The warning about a promise that Twisted takes for a plain value, unless `install` was called.

Twisted checks what a callback returns, what ``inlineCallbacks`` yields, and what a Deferred is
fired with, which includes all results of ``maybeDeferred``.  While warnings are on, each check goes
through a function of this module, too.
"""

from __future__ import annotations

import sys
from asyncio import iscoroutine
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import twisted
from twisted.internet import defer

from .._core import hooks
from .._core.states import CorePromise, is_promise
from .background import code_of, unwrapped
from .warning import show

__all__ = ["stop", "switch"]

_TWISTED = str(Path(twisted.__file__).parent)

#: The objects in Twisted's modules while nothing is watched.
_before: list[tuple[Any, str, Any]] = []
_installed = False


def stop() -> None:
    """Stop: `twpromise.install` was called, and Twisted accepts promises."""
    global _installed
    switch(on=False)
    _installed = True


def switch(*, on: bool) -> None:
    """Watch, or stop watching."""
    if not on:
        while _before:
            setattr(*_before.pop())
    elif not _before and not _installed:
        _replace(defer, "_DEFERRED_SUBCLASSES", _WatchedKinds(defer._DEFERRED_SUBCLASSES))
        _replace(defer, "iscoroutine", _is_coroutine)
        _replace(defer.Deferred, "callback", _callback(defer.Deferred.callback))


def _replace(owner: Any, name: str, new: Any) -> None:
    _before.append((owner, name, vars(owner)[name]))
    setattr(owner, name, new)


class _WatchedKinds(list[Any]):
    """Twisted looks in here for the type of what a callback has returned.

    Args:
        kinds: Twisted's own list.
    """

    def __init__(self, kinds: list[Any]) -> None:
        super().__init__(kinds)
        self._kinds = kinds

    def append(self, kind: Any) -> None:
        """Twisted adds each class that is derived from `Deferred`."""
        super().append(kind)
        self._kinds.append(kind)

    def __contains__(self, kind: object) -> bool:
        if list.__contains__(self, kind):
            return True
        if isinstance(kind, type) and issubclass(kind, CorePromise) and kind._library.warnings:
            frame = sys._getframe(1)
            if frame.f_code is defer.maybeDeferred.__code__:
                _warn_of_call(frame)
            elif frame.f_code.co_name == "_runCallbacks":
                function = frame.f_locals["callback"]
                _warn([function], "returned a promise from a callback of a Deferred")
        return False


def _is_coroutine(value: object) -> bool:
    """Twisted calls this with what a generator has yielded."""
    if _is_watched(value):
        frame = sys._getframe(1)
        if frame.f_code.co_name == "_inlineCallbacks":
            # A coroutine has no such frame, and its `await` waits for the promise anyway.
            running = getattr(frame.f_locals["gen"], "gi_frame", None)
            if running is not None:
                what = "yielded a promise in inlineCallbacks"
                _show(running.f_code, what, running.f_lineno)
    return iscoroutine(value)


def _callback(callback: Any) -> Any:
    """`Deferred.callback`, which checks what the Deferred is fired with."""

    def watched(self: Any, result: Any) -> None:
        if _is_watched(result):
            _warn_of_firing(sys._getframe(1))
        callback(self, result)

    return watched


def _is_watched(value: object) -> bool:
    """Whether a value is a promise of a library copy with warnings on."""
    return is_promise(value) and value._library.warnings


def _warn_of_firing(frame: Any) -> None:
    # Only in Twisted 24.7 do `succeed`, and so `maybeDeferred`, fire by `callback`.
    if frame.f_code is defer.succeed.__code__:  # pragma: no cover - only in Twisted 24.7
        frame = frame.f_back
    if frame.f_code is defer.maybeDeferred.__code__:  # pragma: no cover - only in Twisted 24.7
        _warn_of_call(frame)
    elif frame.f_code.co_name == "_inlineCallbacks":
        generator = frame.f_locals["gen"]
        code = getattr(generator, "gi_code", None) or generator.cr_code
        what = "returned a promise to Twisted's driver of coroutines"
        _show(code, what, code.co_firstlineno)
    else:
        _show(frame.f_code, "fired a Deferred with a promise", frame.f_lineno)


def _warn_of_call(maybe_deferred: FrameType) -> None:
    # Trial calls a test through another function.
    functions = [maybe_deferred.f_locals["f"], *maybe_deferred.f_locals["args"]]
    _warn(functions, "returned a promise to maybeDeferred")


def _warn(functions: Iterable[Any], what: str) -> None:
    """Name the first of some functions that is neither Twisted's nor written in C."""
    for function in functions:
        code = code_of(unwrapped(function)[0])
        if code is not None and not code.co_filename.startswith(_TWISTED):
            _show(code, what, code.co_firstlineno)
            return


def _show(code: CodeType, what: str, line: int) -> None:
    try:
        show(
            f"{code.co_qualname} {what}, which did not wait for it: return to_deferred() instead, "
            "or call twpromise.install() when the program starts",
            code.co_filename,
            line,
        )
    except Exception as error:
        # Warnings are errors.  Twisted goes on: raised here, this would leave a Deferred half run.
        hooks.host.escaped(error)
