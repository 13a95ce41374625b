"""Promises in asyncio programs: on a loop that asyncio, a server or a test tool runs."""

from __future__ import annotations

import asyncio
import sys
from _thread import get_ident
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ._core.states import CorePromise
from ._coroutines.asyncio_task import coroutine_tasks
from ._promise import Promise
from ._scheduling.guest import reactor_in_loop
from ._scheduling.loop import LoopScheduler
from ._scheduling.queue import JobQueue
from ._scheduling.schedulers import ReactorScheduler
from ._scheduling.scheduling import schedulers
from ._util.checks import shown

__all__ = ["LoopScheduler", "reactor_in_loop", "use_running_loop"]


@asynccontextmanager
async def use_running_loop(*promise_classes: type[Promise[Any]]) -> AsyncGenerator[None]:
    """Run promises on the running asyncio loop, without a reactor, inside of ``async with``.

    Args:
        *promise_classes: The library copies; `Promise` by default.

    What is queued already runs on this loop.  Leaving the block runs queued handlers, waits for
    threads of `Promise.in_thread`, cancels coroutines that still run, waits for their clean-up, and
    restores the former scheduler.  Remaining timers are cleared: a promise that waits for one stays
    pending.

    A nested use on the same loop has no effect.  Several loops can use it one after the other;
    promises run in one thread at a time.

    Raises:
        RuntimeError: No loop is running; or promises run on the loop, or the reactor, of another
            thread.
        TypeError: *promise_classes* has something other than library copies.

    Bluebird: ``Promise.setScheduler``.
    """
    scheduler = LoopScheduler()
    moved = [
        promise_class
        # Each once.
        for promise_class in dict.fromkeys(promise_classes or (Promise,))
        if _is_to_move(promise_class, scheduler.event_loop())
    ]
    # The library copies that did not run on this loop before.
    visiting = [
        promise_class
        for promise_class in moved
        if promise_class._queue.scheduler.event_loop() is not scheduler.event_loop()
    ]
    former = [_move(promise_class, scheduler) for promise_class in moved]
    queues = {promise_class._queue for promise_class in moved}
    try:
        yield
    finally:
        try:
            for queue in queues:
                await scheduler._finish(queue)
            await _cancel_coroutines({promise_class._queue for promise_class in visiting})
            for queue in queues:
                await scheduler._finish(queue)
        finally:
            scheduler._clear_timers()
            for promise_class, before in zip(moved, former, strict=True):
                promise_class.set_scheduler(before)


def _is_to_move(promise_class: Any, loop: asyncio.AbstractEventLoop) -> bool:
    """Check a library copy; return whether its promises do not run on this loop yet."""
    if not (isinstance(promise_class, type) and issubclass(promise_class, CorePromise)):
        raise TypeError(
            "use_running_loop() takes library copies, use_running_loop(Promise), "
            f"not {shown(promise_class)}"
        )
    at = promise_class._queue.scheduler
    if isinstance(at, LoopScheduler) and at.event_loop() is loop:
        return False
    for other in schedulers():
        if _is_used_elsewhere(other):
            raise RuntimeError(
                f"promises run in another thread, on {shown(other)}, and in one thread at a time: "
                "await them here, or use Promise.call_from_thread(function, *args)"
            )
    return True


async def _cancel_coroutines(queues: set[JobQueue]) -> None:
    """Cancel the coroutines of promises that leave this loop, and wait for their end.

    Later they could not await promises, not even to clean up.
    """
    tasks = coroutine_tasks(queues)
    for task in tasks:
        # A clean-up that has begun is not interrupted.
        if not task.cancelling():
            task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _is_used_elsewhere(at: Any) -> bool:
    """Whether a scheduler's loop, or reactor, runs in another thread."""
    if isinstance(at, LoopScheduler):
        return at.event_loop().is_running()
    reactor = sys.modules.get("twisted.internet.reactor")
    return (
        isinstance(at, ReactorScheduler)
        and getattr(reactor, "running", False)
        and at.home_thread() != get_ident()
    )


def _move(promise_class: type[Promise[Any]], scheduler: LoopScheduler) -> Any:
    """Set a scheduler, which also runs what is queued; return the one that was set before."""
    old = promise_class._queue
    before = promise_class.set_scheduler(scheduler)
    new = promise_class._queue
    new.extend(old)
    new.rejections += old.rejections
    old.clear()
    old.rejections = []
    if new or new.rejections:
        new.wake()
    return before
