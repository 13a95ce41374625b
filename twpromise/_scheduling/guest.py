"""Twisted's reactor in an asyncio loop that a server runs."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from twisted.internet import asyncioreactor
from twisted.internet.base import ReactorBase
from twisted.internet.error import ReactorNotRestartable, ReactorNotRunning
from twisted.internet.process import reapAllProcesses

from .._util.checks import type_name

__all__ = ["reactor_in_loop"]


@asynccontextmanager
async def reactor_in_loop() -> AsyncGenerator[Any]:
    """Run Twisted's reactor in the running asyncio loop, inside of ``async with``.

    Enter it in the *lifespan* of a server (uvicorn, hypercorn and others), which runs and stops the
    loop.  Inside, the reactor is installed and runs; promises need nothing else.  Leaving the block
    calls the shutdown triggers, as ``reactor.stop()`` does, and waits for them.

    Yields:
        The reactor.

    Raises:
        ReactorNotRestartable: The reactor runs, or has run: it can be started once in a process.
            `use_running_loop` needs no reactor, and can be entered again.
        RuntimeError: Another reactor than asyncio's was installed.

    The server handles signals, except for ``SIGCHLD``, which ``spawnProcess`` needs (in the main
    thread; a loop of another thread gets no signals).  ``reactor.stop()`` calls the shutdown
    triggers, and stops neither the loop nor the server.

    Twisted: ``asyncioreactor.install()`` and ``reactor.run()``.
    """
    loop = asyncio.get_running_loop()
    reactor = _reactor_on(loop)
    started, stopped = asyncio.Event(), asyncio.Event()
    reactor.callWhenRunning(started.set)
    reactor.addSystemEventTrigger("after", "shutdown", stopped.set)
    with _children_watched(loop):
        reactor.startRunning(installSignalHandlers=False)
        try:
            await started.wait()
            yield reactor
        finally:
            try:
                reactor.stop()
            except ReactorNotRunning:
                # A service has stopped it before.
                pass
            await stopped.wait()


def _reactor_on(loop: asyncio.AbstractEventLoop) -> Any:
    """Twisted's asyncio reactor on that loop, ready to be started; installed now, or before."""
    if "twisted.internet.reactor" not in sys.modules:
        asyncioreactor.install(loop)
    reactor: Any = sys.modules["twisted.internet.reactor"]
    # Not `isinstance`: for checkers, what follows would be about that class.
    if not issubclass(type(reactor), asyncioreactor.AsyncioSelectorReactor):
        raise RuntimeError(
            f"reactor_in_loop() needs Twisted's asyncio reactor, and {type_name(reactor)} is "
            "installed: something has imported twisted.internet.reactor before (or used a "
            "promise).  Begin the program with "
            "`from twisted.internet import asyncioreactor; asyncioreactor.install()`"
        )
    if reactor._started or reactor._startedBefore:
        raise ReactorNotRestartable(
            "Twisted's reactor can be started once in a process, and it has been: where it runs, "
            "use it as it is; `twpromise.loops.use_running_loop()` needs none, and can be entered "
            "again"
        )
    if reactor._asyncioEventloop is not loop:
        _move(reactor, loop)
    # Twisted's asyncio reactor stops its loop when it is shut down; this loop is the server's.
    during = reactor._eventTriggers["shutdown"].during
    during[during.index((reactor.crash, (), {}))] = (ReactorBase.crash, (reactor,), {})
    return reactor


def _move(reactor: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Move a reactor that was installed, and not started, to another loop."""
    # `asyncioreactor.install()` made the other loop, and nothing else would close it.
    reactor._asyncioEventloop.close()
    waiting = [(reactor.addReader, each) for each in reactor._readers]
    waiting += [(reactor.addWriter, each) for each in reactor._writers]
    reactor._readers, reactor._writers = {}, {}
    reactor._scheduledAt = reactor._timerHandle = None
    reactor._asyncioEventloop = loop
    for add, selectable in waiting:
        add(selectable)
    reactor._reschedule()


@contextmanager
def _children_watched(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Reap child processes when they end, if this thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Not by `loop.add_signal_handler`: uvloop keeps this signal to itself.
    former = signal.signal(signal.SIGCHLD, lambda *_: loop.call_soon_threadsafe(reapAllProcesses))
    signal.siginterrupt(signal.SIGCHLD, False)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, former)
