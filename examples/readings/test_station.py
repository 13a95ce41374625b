"""Tests of the station by `TestClient`.  Twisted's reactor starts once: all share one client."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from fastapi.testclient import TestClient
from station import app


# begin: client
@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as environment:
        folder: Path = tmp_path_factory.mktemp("station")
        environment.setenv("READINGS_DATABASE", str(folder / "readings.sqlite"))
        environment.setenv("READINGS_SENSORS", "tcp:0:interface=127.0.0.1")
        with TestClient(app) as client:
            yield client


# end: client


@pytest.fixture
def sensor(client: TestClient) -> Iterator[socket.socket]:
    """A connection of a sensor, which the station knows of."""
    port = client.get("/status").json()["sensors_port"]
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as sensor:
        sensor.sendall(b"?\n")
        assert sensor.recv(100) == b"expected: name value\n"
        yield sensor
        sensor.shutdown(socket.SHUT_WR)
        assert sensor.recv(100) == b""


def test_a_reading_is_watched_and_stored(client, sensor):
    with client.websocket_connect("/watch") as watching:
        sensor.sendall(b"kitchen 20\nkitchen 22\n")
        values = [watching.receive_json() for _ in range(2)]
        assert values == [{"sensor": "kitchen", "value": value} for value in (20, 22)]
        watching.send_text("measure")
        assert sensor.recv(100) == b"measure\n"
    stored = client.get("/sensors/kitchen")
    assert (stored.status_code, stored.json()) == (200, {"sensor": "kitchen", "value": 22})
    assert client.get("/sensors/kitchen/average").json() == 21


def test_nothing_is_known_of_a_sensor(client):
    assert client.get("/sensors/cellar").status_code == 404
    assert client.get("/sensors/cellar/average").json() is None
    assert client.get("/sensors/cellar/next?wait=0.01").status_code == 504


def test_sensors_are_forgotten(client, sensor):
    with client.websocket_connect("/watch") as watching:
        sensor.sendall(b"attic 3\n")
        watching.receive_json()
    assert client.get("/sensors/attic").status_code == 200
    # `TestClient` waits for background tasks.
    assert client.delete("/sensors/attic").status_code == 202
    assert client.get("/sensors/attic").status_code == 404


def test_a_measurement_streams_what_sensors_answer(client, sensor):
    def answer():
        assert sensor.recv(100) == b"measure\n"
        sensor.sendall(b"porch 7\n")

    answering = Thread(target=answer)
    with client.websocket_connect("/watch") as watching:
        answering.start()
        assert client.post("/measure").text == '{"sensor": "porch", "value": 7.0}\n'
        answering.join()
        # It has been stored, too.
        assert watching.receive_json() == {"sensor": "porch", "value": 7}


def test_too_late(client, sensor):
    assert client.post("/measure?seconds=0.01").text == '{"error": "operation timed out"}\n'
    assert sensor.recv(100) == b"measure\n"


def test_nothing_is_left(client):
    status = client.get("/status").json()
    assert status["sensors"] == status["waiting"] == status["asking"] == 0
    assert status["pool"] == "<Pool: 3 of 3 idle, 0 waiting>"
