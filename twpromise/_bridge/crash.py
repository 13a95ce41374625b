"""`exit_process`: end the process in order, as the handler of `Promise.on_fatal`."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from .._util.checks import shown
from .._util.exceptions import get_traceback, is_exception
from .outcomes import report_of

__all__ = ["EXIT_STATUS", "exit_process"]

#: What the process exits with.
EXIT_STATUS = 2

_log = Logger(namespace="twpromise")

# Written at exit: the first reason.  None as long as the process need not end.
_why: str | None = None


def exit_process(reason: object) -> None:
    """Stop the reactor in order, and make the process exit with status 2.

    ``Promise.on_fatal(exit_process)`` does what bluebird does on a fatal error, for a process that
    a supervisor restarts.

    Args:
        reason: The error.  It is logged at critical level, and written to standard error when the
            process exits.

    Shutdown triggers run, and what they return is waited for.  The status is 2, whatever the
    program exits with.  If an asyncio loop runs, and no reactor, the loop raises `SystemExit`.
    `atexit` functions that were registered before twpromise was imported are not called.
    """
    global _why
    traceback = get_traceback(reason) if is_exception(reason) else None
    _log.failure(
        "Fatal error in Promise: the process is going to end", report_of(reason, traceback)
    )
    if _why is not None:
        return
    _why = shown(reason)
    loop = asyncio._get_running_loop()
    installed = sys.modules.get("twisted.internet.reactor")
    if loop is not None and not getattr(installed, "running", False):
        loop.call_soon(sys.exit, EXIT_STATUS)
        return
    reactor = _get_reactor()
    try:
        reactor.stop()
    except ReactorNotRunning:
        reactor.callWhenRunning(_stop)


def _get_reactor() -> Any:
    from twisted.internet import reactor

    return reactor


def _stop() -> None:
    try:
        _get_reactor().stop()
    except ReactorNotRunning:
        # It has been stopped meanwhile.
        pass


def _exit() -> None:
    # The program goes on when the reactor has stopped, and would exit with status 0. So this exits,
    # after flushing the output.
    if _why is None:
        return
    try:
        logging.shutdown()
        for stream, text in ((sys.stdout, ""), (sys.stderr, _EPITAPH.format(EXIT_STATUS, _why))):
            try:
                stream.write(text)
                stream.flush()
            except (AttributeError, OSError, ValueError):
                # Standard error is None or closed, its reader has gone, or it cannot encode the
                # text.
                pass
    finally:
        os._exit(EXIT_STATUS)


_EPITAPH = "twpromise: exit status {}, because of a fatal error in a promise: {}\n"

# Exit handlers run in the reverse order of their registration: this one runs after all that are
# registered later.
atexit.register(_exit)
