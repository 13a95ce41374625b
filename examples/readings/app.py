"""Sensors send readings, as lines over TCP; browsers get them over HTTP and a websocket."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI, HTTPException, WebSocket
from twisted.internet.defer import DeferredQueue
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from twpromise import Promise, PromiseGroup
from twpromise.loops import reactor_in_loop

queues: set[DeferredQueue] = set()  # one for each client that waits for readings


class Sensor(LineOnlyReceiver):
    """Receives lines such as `kitchen 21.5`."""

    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        name, value = line.decode().split()
        for queue in queues:
            queue.put({"sensor": name, "value": float(value)})


@contextmanager
def readings() -> Iterator[DeferredQueue]:
    queue = DeferredQueue()
    queues.add(queue)
    try:
        yield queue
    finally:
        queues.remove(queue)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with reactor_in_loop() as reactor:
        reactor.listenTCP(8007, Factory.forProtocol(Sensor), interface="127.0.0.1")
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/next")
async def next_reading() -> dict:
    with readings() as queue:
        try:
            return await Promise.resolve(queue.get()).timeout(30)
        except TimeoutError:
            raise HTTPException(504, "no reading") from None


@app.websocket("/watch")
async def watch(socket: WebSocket) -> None:
    async def send_all(queue: DeferredQueue) -> None:
        while True:
            await socket.send_json(await Promise.resolve(queue.get()))

    await socket.accept()
    with readings() as queue:
        async with PromiseGroup() as group:
            group.start_soon(send_all, queue)
            async for _ in socket.iter_text():
                pass
            group.cancel()  # the client has disconnected
