"""Calls in another thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any

__all__ = ["in_thread"]


def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives, or raises, in a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    thread = Thread(target=run)
    thread.start()
    thread.join(60)
    return future.result(0)
