"""The end of the process, in order: what the fatal hook does unless it is replaced."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["EXIT_STATUS", "crash"]

#: What the process exits with.
EXIT_STATUS = 2

_log = Logger(namespace="twpromise")
_crashed = False


def crash(failure: Failure) -> None:
    """Log a failure, stop the reactor in order, and make the process exit with status 2."""
    global _crashed
    _log.failure("Fatal error in Promise: the process is going to end", failure)
    if _crashed:
        return
    _crashed = True
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
    # The program goes on when the reactor has stopped, and would exit with status 0.  So this
    # exits, after writing out what must not be lost.
    if not _crashed:
        return
    try:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                # It is None, its reader has gone, or it is closed.
                pass
    finally:
        os._exit(EXIT_STATUS)


# Exit handlers run in the reverse order of their registration: all that are registered from now
# on come before this one.
atexit.register(_exit)
