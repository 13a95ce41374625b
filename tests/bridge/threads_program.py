"""Eight threads that use the promises of a reactor which runs in a thread of its own.

Run by `test_threads`, in a process of its own.  Each call is to be answered, or to raise
`RuntimeError`; one that does neither in time is printed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import succeed

from twpromise import Promise

THREADS = 8
ROUNDS = 25
#: Far more than any answer takes.
PATIENCE = 30

pool = ThreadPoolExecutor(2)


def at_home(function: Callable[..., Any], *arguments: Any) -> Any:
    """What comes of a call there."""
    return Promise.call_from_thread(function, *arguments).result(PATIENCE)


def made(*arguments: Any) -> Any:
    """A promise that was made there."""
    [promise] = at_home(lambda: [Promise.delay(0.002, *arguments)])
    return promise


async def awaited(promise: Any) -> Any:
    """Awaits it, for so long."""
    return await asyncio.wait_for(promise, PATIENCE)


async def given_up() -> None:
    """Leaves a promise that takes too long."""
    try:
        await asyncio.wait_for(at_home(lambda: [Promise.delay(3600)])[0], 0.001)
    except TimeoutError:
        pass


def resolves() -> None:
    """`resolve` in this thread, awaited in this thread."""
    [resolver] = at_home(lambda: [Promise.defer()])
    resolver.resolve("value")
    assert "value" == asyncio.run(awaited(resolver.promise))


def cancels() -> None:
    """`cancel` in this thread."""
    [promise] = at_home(lambda: [Promise.delay(3600)])
    promise.cancel()
    # Behind the cancellation.
    at_home(lambda: Promise.delay(0))
    assert promise.is_cancelled()


def refused(function: Callable[[], object]) -> Callable[[], None]:
    """Something that raises."""

    def refused() -> None:
        with pytest.raises(RuntimeError, match=r"use Promise\.call_from_thread"):
            function()

    return refused


def settled() -> Any:
    """A promise of theirs that has settled."""
    [promise] = at_home(lambda: [Promise.resolve(1)])
    return promise


def attaches() -> None:
    """A handler is called, or refused: it may come just while the queue is being run."""
    called = threading.Event()
    try:
        settled().then(lambda _: called.set())
    except RuntimeError as error:
        if "call_from_thread" not in str(error):
            raise
    else:
        assert called.wait(PATIENCE)


USES: list[Callable[[], object]] = [
    lambda: at_home(len, "abc"),
    lambda: at_home(Promise.delay, 0.001, "value"),
    lambda: at_home(lambda: Promise.in_thread(len, "abc")),
    lambda: Promise.call_from_thread(Promise.delay, 3600).cancel(),
    lambda: asyncio.run(awaited(made("value"))),
    lambda: asyncio.run(given_up()),
    resolves,
    cancels,
    attaches,
    *map(
        refused,
        [
            lambda: Promise(lambda resolve, reject: resolve(1)),
            lambda: Promise.reject(ValueError()),
            lambda: Promise.try_(list),
            lambda: Promise.all([1, 2]),
            lambda: Promise.map([1, 2], abs),
            lambda: Promise.delay(0.001),
            lambda: Promise.from_deferred(succeed(1)),
            lambda: Promise.in_thread(len, ""),
            lambda: Promise.run_in(pool, len, ""),
            lambda: made("value").timeout(1),
        ],
    ),
]


def use_all(start: int, doing: dict[int, object], failed: list[BaseException]) -> None:
    """Use everything, in an order of its own."""
    try:
        for turn in range(ROUNDS * len(USES)):
            doing[start] = USES[(turn * 7 + start) % len(USES)]
            doing[start]()  # type: ignore[operator]
        del doing[start]
    except BaseException as error:
        failed.append(error)
        raise


def main() -> None:
    """Run the reactor in a thread, as crochet does, and the others beside it."""
    runs = threading.Thread(target=lambda: reactor.run(installSignalHandlers=False))  # type: ignore[attr-defined]
    runs.start()
    doing: dict[int, object] = {}
    failed: list[BaseException] = []
    threads = [
        threading.Thread(target=use_all, args=(number, doing, failed)) for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    print(len(doing), "hang")
    print(len(threads), "threads")
    reactor.callFromThread(reactor.stop)  # type: ignore[attr-defined]
    runs.join()
    pool.shutdown()


if __name__ == "__main__":
    main()
