"""A station: sensors send readings, which are stored, queried and watched."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from pool import Connection, Pool
from promise_routes import PromiseRoute
from sensors import Feed, Reading, Sensor
from twisted.internet.defer import DeferredQueue
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory

from twpromise import Deadline, Limiter, LimitExceeded, Promise, PromiseGroup, PromiseService
from twpromise.loops import reactor_in_loop

TABLE = "CREATE TABLE IF NOT EXISTS readings (sensor TEXT, value REAL)"


class Station:
    """What requests and sensors have in common."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.feed = Feed()
        self.sensors: set[Sensor] = set()
        #: SQLite has one writer at a time; and readings stay in their order.
        self.storing = Limiter(1)
        #: Averages that are computed at once, and that wait; beyond that a request gets 503.
        self.averages = Limiter(2, waiting=2)
        #: Work that does not end with a request.
        self.service = PromiseService(grace=10)

    def received(self, reading: Reading) -> None:
        self.service.start_soon(self.keep, reading)

    async def keep(self, reading: Reading) -> None:
        await self.storing.run(self.store, reading)
        self.feed.put(reading)

    def store(self, reading: Reading) -> Promise[None]:
        return Promise.using(
            self.pool.connection(),
            lambda connection: connection.execute(
                "INSERT INTO readings VALUES (?, ?)", reading.sensor, reading.value
            ).then(connection.commit),
        )

    def average(self, name: str) -> Promise[float | None]:
        return Promise.using(
            self.pool.connection(),
            lambda connection: connection.execute(
                "SELECT avg(value) FROM readings WHERE sensor = ?", name
            ).then(lambda rows: rows[0][0]),
        )

    async def forget(self, name: str) -> None:
        async with self.pool.connection() as connection:
            await connection.execute("DELETE FROM readings WHERE sensor = ?", name)
            await connection.commit()


# begin: lifespan
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with reactor_in_loop() as reactor:
        pool = Pool(os.environ.get("READINGS_DATABASE", "readings.sqlite"), size=3)
        async with pool.connection() as connection:
            await connection.execute(TABLE)
        app.state.station = station = Station(pool)
        station.service.startService()
        where = os.environ.get("READINGS_SENSORS", "tcp:8007:interface=127.0.0.1")
        factory = Factory.forProtocol(lambda: Sensor(station.sensors, station.received))
        port = await Promise.resolve(serverFromString(reactor, where).listen(factory))
        app.state.sensors_port = port.getHost().port
        yield
        # Requests have ended.  What they and the sensors began is stored before the pool closes.
        await Promise.resolve(port.stopListening())
        for sensor in station.sensors:
            sensor.transport.loseConnection()
        await Promise.resolve(station.service.stopService())
        await pool.close()


# end: lifespan

app = FastAPI(lifespan=lifespan)
app.router.route_class = PromiseRoute


# begin: dependencies
async def the_station(request: Request) -> Station:
    return request.app.state.station


async def connection(
    station: Annotated[Station, Depends(the_station)],
) -> AsyncIterator[Connection]:
    async with station.pool.connection() as connection:
        yield connection


TheStation = Annotated[Station, Depends(the_station)]
# `scope="function"`: it is given back before the response is sent, not after.
AConnection = Annotated[Connection, Depends(connection, scope="function")]
# end: dependencies


# begin: errors
@app.exception_handler(TimeoutError)
async def too_late(request: Request, error: TimeoutError) -> JSONResponse:
    return JSONResponse({"detail": "no answer in time"}, status_code=504)


@app.exception_handler(LimitExceeded)
async def busy(request: Request, error: LimitExceeded) -> JSONResponse:
    return JSONResponse({"detail": "try later"}, status_code=503)


# end: errors


# begin: operations
@app.get("/sensors/{name}")
def latest(name: str, connection: AConnection) -> Promise[Reading]:
    def first(rows: list[tuple[float]]) -> Reading:
        if not rows:
            raise HTTPException(404, "no such sensor")
        return Reading(name, *rows[0])

    return connection.execute(
        "SELECT value FROM readings WHERE sensor = ? ORDER BY rowid DESC LIMIT 1", name
    ).then(first)


@app.get("/sensors/{name}/next")
async def following(
    name: str, station: TheStation, wait: Annotated[float, Query(ge=0, le=60)] = 30
) -> Reading:
    deadline = Deadline(wait)
    with station.feed.readings() as queue:
        while True:
            reading = await Promise.resolve(queue.get()).timeout(deadline)
            if reading.sensor == name:
                return reading


@app.get("/sensors/{name}/average")
def average(name: str, station: TheStation) -> Promise[float | None]:
    return station.averages.run(station.average, name)


# end: operations


# begin: background
@app.delete("/sensors/{name}", status_code=202)
async def forget(name: str, station: TheStation, background: BackgroundTasks) -> None:
    background.add_task(station.forget, name)


# end: background


# begin: stream
@app.post("/measure")
async def measure(station: TheStation, seconds: float = 5) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        deadline = Deadline(seconds)
        answers = [sensor.measure().timeout(deadline) for sensor in station.sensors]
        async for answer in Promise.as_completed(answers):
            try:
                yield json.dumps(asdict(await answer)) + "\n"
            except (TimeoutError, ConnectionError) as error:
                yield json.dumps({"error": str(error)}) + "\n"

    return StreamingResponse(lines(), media_type="application/jsonl")


# end: stream


# begin: websocket
@app.websocket("/watch")
async def watch(socket: WebSocket) -> None:
    station: Station = socket.app.state.station

    async def send_all(queue: DeferredQueue[Reading]) -> None:
        while True:
            await socket.send_json(asdict(await Promise.resolve(queue.get())))

    await socket.accept()
    with station.feed.readings() as queue:
        async with PromiseGroup() as group:
            group.start_soon(send_all, queue)
            async for line in socket.iter_text():
                for sensor in station.sensors:
                    sensor.sendLine(line.encode())
            group.cancel()  # the client has disconnected


# end: websocket


@app.get("/status")
async def status(station: TheStation) -> dict[str, object]:
    return {
        "sensors_port": app.state.sensors_port,
        "sensors": len(station.sensors),
        "asking": sum(len(sensor.asking) for sensor in station.sensors),
        "waiting": len(station.feed),
        "averages": station.averages.active + station.averages.waiting,
        "pool": repr(station.pool),
    }
