"""anyio, httpx and aiohttp in the coroutines of promises, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Self

import aiohttp
import anyio
import httpx
import pytest
import uvloop
from aiohttp import web

from twpromise import Promise

Main = Callable[[], Coroutine[Any, Any, Any]]

#: Where promises start coroutines of their own.
STARTS: dict[str, Callable[[Callable[..., Any]], Promise[Any]]] = {
    "resolve": lambda function: Promise.resolve(function()),
    "coroutine": lambda function: Promise.coroutine(function)(),
    "then": lambda function: Promise.resolve(1).then(function),
    "map": lambda function: Promise.map([1, 2], function).get(1),
    "using": lambda function: Promise.using(Promise.resolve(1).disposer(lambda *_: None), function),
}
started_each_way = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


@pytest.fixture(params=["asyncio", "asyncio, eager tasks", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Main], Any]:
    """Runs a function's coroutine on a loop that promises run on, too; no task may be left."""
    factory = uvloop.new_event_loop if "uvloop" == request.param else asyncio.new_event_loop
    eager = "asyncio, eager tasks" == request.param
    if eager and sys.version_info < (3, 12):
        pytest.skip("this Python has no eager tasks")

    def run(main: Main) -> Any:
        async def checked() -> Any:
            loop = asyncio.get_running_loop()
            if eager:
                loop.set_task_factory(asyncio.eager_task_factory)
            previous = Promise.set_scheduler(loop.call_soon)
            task = asyncio.current_task()
            try:
                result = await main()
                assert task is asyncio.current_task()
                assert 0 == task.cancelling()
                return result
            finally:
                Promise.set_scheduler(previous)

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(checked())

    return run


class Server:
    """A web server on the loopback, which answers at once, or not for a long time."""

    def __init__(self) -> None:
        #: How many requests were given up by their clients.
        self.given_up = 0

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/{which}", self._answer)
        self._runner = web.AppRunner(application, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: Any) -> Any:
        if "slow" == request.match_info["which"]:
            try:
                await asyncio.sleep(60)
            finally:
                self.given_up += 1
        return web.Response(text="answered")


async def by_httpx(url: str, timeout: float | None = None) -> str:
    """A request by httpx; a pool of connections, and timeouts, by anyio."""
    async with httpx.AsyncClient(timeout=timeout) as client:
        return str((await client.get(url)).text)


async def by_aiohttp(url: str, timeout: float | None = None) -> str:
    """A request by aiohttp."""
    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(timeout=limits) as session, session.get(url) as response:
        return str(await response.text())


clients = pytest.mark.parametrize("client", [by_httpx, by_aiohttp])


@clients
@started_each_way
def test_requests(run: Any, start: Any, client: Any) -> None:
    """A request is answered; one that takes too long raises its timeout within the coroutine."""

    async def main() -> Any:
        async with Server() as server:

            async def fetch(*_: object) -> tuple[str, str]:
                answer = await client(server.url + "fast")
                try:
                    await client(server.url + "slow", 0.05)
                except (TimeoutError, httpx.TimeoutException):
                    return answer, "too late"
                return answer, "in time"

            return await start(fetch)

    assert ("answered", "too late") == run(main)


@clients
def test_a_request_is_cancelled(run: Any, client: Any) -> None:
    """Cancelling the promise of a request closes its connection."""

    async def main() -> None:
        async with Server() as server:
            promise = Promise.resolve(1).then(lambda _: client(server.url + "slow"))
            await asyncio.sleep(0.1)
            promise.cancel()
            async with asyncio.timeout(10):
                while not server.given_up:
                    await asyncio.sleep(0.001)
            assert promise.is_cancelled()

    run(main)


@started_each_way
def test_anyios_groups_and_scopes(run: Any, start: Any) -> None:
    """Groups wait and cancel; scopes end at their deadline, nested, shielded, from outside."""

    async def too_long() -> None:
        with anyio.fail_after(0.001):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
                await anyio.sleep(60)

    async def coroutine(*_: object) -> list[Any]:
        seen: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        for awaited in (lambda: anyio.sleep(60)), (lambda: Promise(lambda *_: None)):
            with anyio.move_on_after(0.001) as scope:
                await awaited()
            seen.append(scope.cancelled_caught)
        with pytest.raises(TimeoutError):
            await too_long()
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0)
                    seen.append("cleaned up")
        seen.append(await anyio.to_thread.run_sync(lambda: "from a thread"))
        task = asyncio.current_task()
        assert task is not None
        return [*seen, anyio.get_current_task().name, task.cancelling()]

    async def main() -> Any:
        return await start(coroutine)

    expected = [True, True, "cleaned up", "from a thread", coroutine.__qualname__, 0]
    assert expected == run(main)


def test_an_anyio_group_is_cancelled(run: Any) -> None:
    """Cancelling the promise cancels the tasks of its coroutine's group."""
    seen: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep(60)
        finally:
            seen.append("child")

    async def coroutine() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async def main() -> bool:
        promise = Promise.resolve(coroutine())
        await asyncio.sleep(0.01)
        promise.cancel()
        await promise.reflect()
        await asyncio.sleep(0.01)
        return promise.is_cancelled()

    assert run(main)
    assert ["child"] == seen
