"""Which promises an asyncio program puts on its loop."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio

from twpromise import Promise
from twpromise.loops import LoopScheduler, reactor_in_loop, use_running_loop


async def entering() -> None:
    """Library copies are given by their classes."""
    async with use_running_loop():
        pass
    async with use_running_loop(Promise, Promise.get_new_library_copy()):
        pass
    async with reactor_in_loop() as reactor:
        reactor.callLater(1, print)


@use_running_loop()
async def decorated() -> None:
    """The block may be a whole function."""


def scheduling(loop: asyncio.AbstractEventLoop) -> None:
    """A scheduler for a loop."""
    Promise.set_scheduler(LoopScheduler(loop, time_slice=0.01))


def mistaken(promise: Promise[int]) -> None:
    """Neither a promise nor a number of seconds will do."""
    use_running_loop(promise)  # type: ignore[arg-type]
    LoopScheduler(1)  # type: ignore[arg-type]
