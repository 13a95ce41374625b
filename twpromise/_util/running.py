"""Code that does not run as part of an asyncio task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["outside_tasks"]


def outside_tasks(function: Callable[[], object]) -> None:
    """Call a function, but not as a part of the asyncio task that makes the call.

    Otherwise a coroutine with an `asyncio.timeout`, for instance, would cancel that task when its
    time is up.
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
