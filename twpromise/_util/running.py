"""Code that runs as no asyncio task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["outside_tasks"]


def outside_tasks(function: Callable[[], object]) -> None:
    """Call a function; if an asyncio task makes the call, not as a part of that task.

    What the function runs is no concern of that task.  A coroutine with an `asyncio.timeout`, for
    instance, would cancel the task when its time is up.
    """
    loop = asyncio._get_running_loop()
    task = None if loop is None else asyncio.current_task(loop)
    if loop is None or task is None:
        function()
        return
    asyncio._leave_task(loop, task)
    try:
        function()
    finally:
        asyncio._enter_task(loop, task)
