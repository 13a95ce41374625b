"""A service with promises in FastAPI; where they run is for ``TWPROMISE_TEST_ON`` to say.

``loop``: on the server's loop, without a reactor; ``reactor``: on Twisted's reactor, which is put
inside the server's loop; ``task``: on Twisted's reactor, which runs the server.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Factory
from twisted.internet.utils import getProcessValue
from twisted.protocols.basic import LineReceiver

from twpromise import CancellationError, Promise
from twpromise.loops import reactor_in_loop, use_running_loop


class Echo(LineReceiver):
    """Sends each line back."""

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line)


class Question(LineReceiver):
    """Sends one line, and takes one."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.answer: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.sendLine(self.line)

    def lineReceived(self, line: bytes) -> None:
        self.answer.callback(line)
        self.transport.loseConnection()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What promises need, and a Twisted server that echoes lines where a reactor runs."""
    async with AsyncExitStack() as stack:
        on = os.environ["TWPROMISE_TEST_ON"]
        if "loop" == on:
            await stack.enter_async_context(use_running_loop())
        elif "reactor" == on:
            await serve_echo(await stack.enter_async_context(reactor_in_loop()))
        else:
            from twisted.internet import reactor

            await serve_echo(reactor)
        yield
    print("left", flush=True)


async def serve_echo(reactor: Any) -> None:
    """Start a server that stops, after a while, when the reactor does."""
    server = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await Promise.resolve(server.listen(Factory.forProtocol(Echo)))
    app.state.twisted = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    def stop() -> Deferred[None]:
        return task.deferLater(reactor, 0.01, port.stopListening).addCallback(said)

    def said(_: object) -> None:
        print("stopped", flush=True)

    reactor.addSystemEventTrigger("before", "shutdown", stop)


app = FastAPI(lifespan=lifespan)
cancelled: list[str] = []


def work(name: str) -> Promise[Any]:
    """Work that goes on until it is cancelled."""
    return Promise(lambda resolve, reject, on_cancel: on_cancel(lambda: cancelled.append(name)))


@app.get("/double/{number}")
async def double(number: int) -> int:
    """Waits for a handler, a timer and, inside, a coroutine."""
    return await Promise.resolve(number).then(lambda n: Promise.delay(0.001, n)).then(doubled)


async def doubled(number: int) -> int:
    """Waits for asyncio and for a promise."""
    await asyncio.sleep(0)
    return number + await Promise.resolve(number)


@app.get("/echo/{text}")
async def echo(text: str) -> str:
    """Asks the Twisted server."""
    question = Question(text.encode())
    await Promise.resolve(connectProtocol(app.state.twisted, question))
    return (await Promise.resolve(question.answer).timeout(20)).decode()


@app.get("/child")
async def child() -> int:
    """Waits for a process that closes its output long before it ends."""
    value = getProcessValue("/bin/sh", ["-c", "exec >&- 2>&- <&-; sleep 0.05; exit 3"])
    return await Promise.resolve(value).timeout(20)


@app.get("/thread/{number}")
async def thread(number: int) -> int:
    """Works in a thread."""
    return await Promise.in_thread(pow, number, 2)


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Parts, one after the other."""

    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield await Promise.delay(0.001, f"part {number}\n")

    return StreamingResponse(parts())


@app.get("/slow")
async def slow(request: Request) -> Response:
    """Works until the client disconnects."""

    async def disconnected() -> None:
        while "http.disconnect" != (await request.receive())["type"]:
            pass

    promise = work("slow")
    watcher = asyncio.create_task(disconnected())
    watcher.add_done_callback(lambda _: promise.cancel())
    try:
        return await promise
    except CancellationError:
        return Response(status_code=499)


@app.get("/endless")
async def endless() -> StreamingResponse:
    """A stream that waits for its second part until the client disconnects."""

    async def parts() -> AsyncIterator[str]:
        yield "first"
        await work("endless")

    return StreamingResponse(parts())


@app.get("/cancelled")
async def names() -> list[str]:
    """What was cancelled so far."""
    return cancelled


@app.websocket("/words")
async def words(socket: WebSocket) -> None:
    """Sends each word back, a little later."""
    await socket.accept()
    async for word in socket.iter_text():
        await socket.send_text(await Promise.delay(0.001, word.upper()))
