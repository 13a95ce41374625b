"""Futures of Dask's clusters (`distributed.Future`) into promises; the package is not imported."""

from __future__ import annotations

import asyncio
import concurrent.futures
from functools import partial
from typing import Any

from .._core.states import CorePromise
from .futures import adopt_future

__all__ = ["adopt_dask_future", "is_dask_future"]


def is_dask_future(kind: type) -> bool:
    """Whether a type is `distributed.Future`, or derived from it.

    It has an `__await__`, which blocks unless the client's own loop runs it.
    """
    return any(
        base.__module__ == "distributed.client" and base.__name__ == "Future"
        for base in kind.__mro__
    )


def adopt_dask_future(promise: CorePromise, future: Any) -> None:
    """Make a pending promise settle as a future of a cluster does.

    The result is somewhere on the cluster: it is fetched on the loop of the client, which may run
    in another thread.
    """
    outcome: concurrent.futures.Future[Any]
    if future.cancelled():
        # The loop of a client that was closed has ended.
        outcome = concurrent.futures.Future()
        outcome.cancel()
    else:
        loop = future.client.loop.asyncio_loop
        waiting = _outcome_of(future)
        try:
            outcome = asyncio.run_coroutine_threadsafe(waiting, loop)
        except BaseException:
            # The loop has ended.
            waiting.close()
            raise
        outcome.add_done_callback(partial(_release, future))
    adopt_future(promise, outcome, str(future.key))


async def _outcome_of(future: Any) -> Any:
    # On the loop of its client, these give coroutines; elsewhere they would block.
    error = await future.exception()
    if error is not None:
        traceback = await future.traceback()
        # The client keeps the error, whose traceback leads to this frame.
        del future
        raise error.with_traceback(traceback)
    try:
        return await future
    except concurrent.futures.CancelledError:
        # To asyncio this would be an error like others.
        raise asyncio.CancelledError from None


def _release(future: Any, outcome: concurrent.futures.Future[Any]) -> None:
    # Not `cancel`: that waits for an answer, and cancels the work for all users of this key.
    if outcome.cancelled():
        future.release()
