"""The program: ``python -m serving``, in the folder `examples`."""

import socket
import sys
from argparse import ArgumentParser

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from .predictor import Predictor, load_model, new_processes, new_thread
from .service import Serving


def main():
    from twisted.internet import reactor

    parser = ArgumentParser(prog="python -m serving")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--size", type=int, default=32, help="texts in a batch, at most")
    parser.add_argument("--at-once", type=int, default=500, help="requests under way, at most")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long one may take")
    options = parser.parse_args()

    warnings = LogLevelFilterPredicate(LogLevel.warn)
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(textFileLogObserver(sys.stderr), [warnings])],
        redirectStandardIO=False,
    )
    listening = socket.create_server(("127.0.0.1", options.port))
    host, port = listening.getsockname()
    endpoint = AdoptedStreamServerEndpoint(reactor, listening.detach(), socket.AF_INET)
    predictor = Predictor(
        load_model,
        new_thread(),
        new_processes,
        size=options.size,
        at_once=options.at_once,
    )
    serving = Serving(endpoint, predictor, options.seconds)
    print(f"listening on http://{host}:{port}", flush=True)
    serving.startService()
    serving.started.then(lambda _: print("ready", flush=True))
    reactor.addSystemEventTrigger("before", "shutdown", serving.stopService)
    reactor.run()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
