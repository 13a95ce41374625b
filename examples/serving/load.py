"""How many requests a second are answered, with batches and without: ``python -m serving.load``.

It starts the service in a process of its own, once with batches of 32 texts and once of one, and
has 64 clients send one request after the other.  The two take turns, so that what else the machine
does counts for both.
"""

import asyncio
import json
import signal
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

TEXT = "we went to the station and had a cup of tea"


async def client(port, end, latencies):
    """Send requests until it is time to end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"text": TEXT})
    request = f"POST /language HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    while (begin := perf_counter()) < end:
        writer.write(request.encode())
        # The last chunk is empty.
        received = await reader.readuntil(b"\r\n0\r\n\r\n")
        answer = json.loads(received.splitlines()[-3])
        assert answer["language"] == "english", answer
        latencies.append(perf_counter() - begin)
    writer.close()
    await writer.wait_closed()


async def load(port, clients, seconds):
    """Requests a second, and the seconds that each took."""
    latencies = []
    begin = perf_counter()
    await asyncio.gather(*(client(port, begin + seconds, latencies) for _ in range(clients)))
    return len(latencies) / (perf_counter() - begin), latencies


class Server:
    """The service, with batches of a size."""

    def __init__(self, size):
        arguments = ["-m", "serving", "--port=0", f"--size={size}", "--seconds=60"]
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port = int(self._process.stdout.readline().rpartition(":")[2])
        assert self._process.stdout.readline() == "ready\n"
        self.rates, self.latencies = [], []

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()


def main():
    parser = ArgumentParser(prog="python -m serving.load")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    servers = {}
    try:
        for size in (1, 32):
            servers[size] = Server(size)
        for number in range(options.rounds + 1):
            for server in servers.values():
                rate, latencies = asyncio.run(load(server.port, options.clients, options.seconds))
                # The first round warms up.
                if number:
                    server.rates.append(rate)
                    server.latencies += latencies
    finally:
        for server in servers.values():
            server.stop()
    for size, server in servers.items():
        cuts = quantiles(server.latencies, n=100)
        within = ", ".join(f"{cuts[each - 1] * 1e3:.0f} ms ({each} %)" for each in (50, 95, 99))
        rate = median(server.rates)
        print(f"batches of {size:2}: {rate:5.0f} requests a second, answered within {within}")
    ratio = median(servers[32].rates) / median(servers[1].rates)
    print(f"with batches: {ratio:.1f} times as many")


if __name__ == "__main__":
    main()
