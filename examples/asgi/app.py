"""An application of FastAPI that uses promises and treq; see `asgi.py` for what runs it."""

from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

import treq
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from twpromise import Disposer, Limiter, Promise

upstream = Limiter(10)


@asynccontextmanager
async def lifespan(app):
    async with Disposer.of(TemporaryDirectory()) as folder:
        yield {"folder": folder}
    print("left", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/double/{number}")
async def double(number: int) -> int:
    return await Promise.delay(0.1, number).then(lambda n: 2 * n)


@app.get("/size")
async def size(url: str) -> int:
    return await upstream.run(treq.get, url).then(treq.content).then(len)


@app.post("/count")
async def count(request: Request) -> int:
    return sum([len(part) async for part in request.stream()])


@app.get("/ticks")
async def ticks(number: int = 10, seconds: float = 0.1):
    async def parts():
        try:
            for tick in range(number):
                yield f"tick {tick}\n"
                await Promise.delay(seconds)
        finally:
            print("ticks ended", flush=True)

    return StreamingResponse(parts())


@app.get("/slow")
async def slow() -> str:
    try:
        return await Promise.delay(60, "done")
    finally:
        print("slow ended", flush=True)
