"""Whether an asyncio loop can wait for promises: it runs where they do, or in another thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from twisted.python import threadable

from .._util.checks import shown

if TYPE_CHECKING:
    from .._scheduling.queue import JobQueue

__all__ = ["runs_at_home"]


def runs_at_home(queue: JobQueue, loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the promises of a queue settle on *loop*, which runs; if not, in another thread.

    Raises:
        RuntimeError: They cannot settle while *loop* runs, since it blocks their thread; or nothing
            has ever run them.
    """
    home = queue.scheduler.event_loop()
    if queue.is_home():
        if loop is home:
            return True
        raise RuntimeError(
            f"a promise cannot be waited for on {shown(loop)}: promises do not run on this loop, "
            "and would never settle while it runs.  Put the program into `async with "
            "twpromise.loops.use_running_loop():`, or run it on Twisted's asyncio reactor"
        )
    running = home is not None and home.is_running()
    # `ioThread` is set as soon as a reactor has been started.
    if not running and queue.drained_in is None and threadable.ioThread is None:
        raise RuntimeError(
            f"a promise cannot be waited for on {shown(loop)}: promises belong to another thread, "
            "in which no reactor runs, and would never settle.  Put the program into `async with "
            "twpromise.loops.use_running_loop():`; or start the reactor, and use "
            "Promise.call_from_thread(function, *args)"
        )
    return False
