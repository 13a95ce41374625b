"""What it costs to observe a request as `examples/observed` does, over HTTP with klein.

    python benchmarks/observed.py [--rounds N] [--requests N]

Every row is a program of its own, a server and a client that sends one request after another on one
connection; the processor's time of both is taken.  The rows are run in turn, several rounds.
It needs the packages of the extra `integrations`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROGRAM = """
import os, sys, time
result, sys.stdout = sys.stdout, open(os.devnull, "w")
import observe
from klein import Klein
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.web.server import Site
from twpromise import Promise, PromiseService, install

observing, lines, sampled, requests = {settings}
install()
app, work = Klein(), PromiseService()

async def page(request):
    await Promise.delay(0)
    for _ in range(lines):
        observe.log.info("found", price=3)
    return "3"

if observing:
    make = observe.TracerProvider
    observe.TracerProvider = lambda: make(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
    observe.set_up()
    route = observe.observed(work)(page)
else:
    def route(request):
        return work.start_soon(page, request)
app.route("/")(route)

class Client(Protocol):
    left = requests + requests // 5
    def connectionMade(self):
        self.transport.write(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    def dataReceived(self, data):
        if not (data.startswith(b"HTTP/1.1 200") and data.endswith(b"\\r\\n0\\r\\n\\r\\n")):
            os._exit(1)  # Not one answer as a whole: the count would be wrong.
        self.left -= 1
        if self.left == requests:
            self.began = time.process_time()  # The first ones have warmed up.
        if self.left:
            self.connectionMade()
        else:
            print((time.process_time() - self.began) / requests, file=result)
            reactor.stop()

site = Site(app.resource())
site.requestFactory.log = lambda *args: None
port = reactor.listenTCP(0, site, interface="127.0.0.1")
work.startService()
connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Client())
reactor.run()
"""

#: Name, whether it is observed, lines in the log, whether it is sampled.
ROWS = [
    ("not observed", False, 0, True),
    ("observed, traces not sampled", True, 0, False),
    ("observed", True, 0, True),
    ("observed, a line in the log", True, 1, True),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples" / "observed")))
    seconds: dict[str, list[float]] = {name: [] for name, *_ in ROWS}
    for _ in range(options.rounds):
        for name, *settings in ROWS:
            program = PROGRAM.replace("{settings}", repr((*settings, options.requests)))
            done = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "PYTHONPATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            seconds[name].append(json.loads(done.stdout))
    first = seconds[ROWS[0][0]]
    for name, each in seconds.items():
        ratios = [mine / other for mine, other in zip(each, first, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        microseconds = statistics.median(each) * 1e6
        print(f"{name:30} {microseconds:5.0f} us  {statistics.median(ratios):.2f}  ({spread})")


if __name__ == "__main__":
    main()
