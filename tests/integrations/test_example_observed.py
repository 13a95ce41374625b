"""`examples/observed`, as the page *Observability* has it: over HTTP, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.integrations.pages import ROOT, paste

PAGE = "observability.md"
LEFTOVERS = Path(__file__).with_name("programs") / "observed_leftovers.py"
#: How often several requests are made at the same time.
AT_ONCE = 12


def get(port, path):
    """The status and the text that a server answers with."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


class Shop:
    """The shop in a process of its own, and the lines that it has written."""

    def __init__(self, folder, program):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", program, "0", "0"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Else a test would wait for what it writes.
        self._too_long = threading.Timer(120, self._process.kill)
        self._too_long.start()
        self.lines = []
        self.port, self.admin = self.wait_for(event="listening")["ports"]

    def close(self):
        """End it, if a test has failed."""
        self._too_long.cancel()
        self._process.kill()
        self._process.communicate()

    def get(self, path):
        return get(self.port, path)

    def ask(self, path):
        """A connection on which a request has been sent."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        return connection

    def wait_for(self, **fields):
        """The next line that it writes with these fields."""
        while line := self._process.stdout.readline():
            said = json.loads(line)
            self.lines.append(said)
            if fields.items() <= said.items():
                return said
        raise AssertionError(self._process.communicate()[1])

    def signal(self, signum):
        self._process.send_signal(signum)

    def end(self):
        """Stop it; what it has written on standard error, after it has ended by itself."""
        self.signal(signal.SIGTERM)
        output, errors = self._process.communicate(timeout=60)
        self.lines += map(json.loads, output.splitlines())
        assert 0 == self._process.returncode, errors
        return errors

    def with_fields(self, **fields):
        """The lines that have these fields."""
        return [line for line in self.lines if fields.items() <= line.items()]


@pytest.fixture
def started(tmp_path):
    """Starts the program that is pasted from the page, or another one in its folder."""
    shops = []

    def start(program=None):
        text = (ROOT / "docs" / PAGE).read_text()
        (line,) = re.findall(r"^python (\S+) \d+ \d+$", text, re.MULTILINE)
        assert line in paste(PAGE, tmp_path)
        shops.append(Shop(tmp_path, program or line))
        return shops[-1]

    yield start
    for shop in shops:
        shop.close()


@pytest.fixture
def shop(started):
    return started()


def test_pasted(shop):
    """It answers, and ends by itself; nothing is written on standard error."""
    assert (200, "3\n") == shop.get("/price/tea")
    assert (500, "failed\n") == shop.get("/price/nothing")
    assert (200, "begun\n") == shop.get("/prefetch/tea")
    assert "" == shop.end()


def test_correlated(shop):
    """What a request logs, its spans and its event of Sentry's have one trace; so have parents."""
    shop.get("/price/tea")
    shop.get("/price/nothing")
    shop.end()
    for path, outcome in (("/price/tea", "fulfilled"), ("/price/nothing", "rejected")):
        logged = shop.with_fields(path=path)
        (trace,) = {line["trace_id"] for line in logged}
        route, look_up = (
            next(line for line in shop.with_fields(span=name, trace_id=trace))
            for name in ("price", "look_up")
        )
        assert (outcome, None) == (route["outcome"], route["parent"])
        assert (outcome, route["span_id"]) == (look_up["outcome"], look_up["parent"])
        # In a thread, and after that.
        assert [look_up["span_id"], route["span_id"]] == [line["span_id"] for line in logged]
    (event,) = shop.with_fields(sentry="KeyError")
    assert (trace, route["span_id"]) == (event["trace_id"], event["span_id"])
    assert ("look_up", {"route": "price"}) == (event["in"], event["tags"])


def test_concurrent(shop):
    """Requests at the same time are not mixed: neither their lines, spans nor events."""
    paths = ["/price/tea", "/price/nothing", "/prefetch/missing"] * AT_ONCE
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(shop.get, paths))
    assert [200, 500, 200] * AT_ONCE == [status for status, _ in answers]
    shop.end()
    traces = defaultdict(list)
    for line in shop.lines:
        if "trace_id" in line:
            traces[line["trace_id"]].append(line)
    of_paths = defaultdict(list)
    for lines in traces.values():
        (path,) = {line["path"] for line in lines if "path" in line}
        logged = sorted(line["event"] for line in lines if "path" in line)
        spans = sorted(line["span"] for line in lines if "span" in line)
        tags = [line["tags"]["route"] for line in lines if "sentry" in line]
        items = {line["item"] for line in lines if "item" in line}
        of_paths[path].append((logged, spans, tags, items))
    assert {
        "/price/tea": [(["found", "looking up"], ["look_up", "price"], [], {"tea"})] * AT_ONCE,
        "/price/nothing": [(["failed", "looking up"], ["look_up", "price"], ["price"], {"nothing"})]
        * AT_ONCE,
        "/prefetch/missing": [
            (
                ["Unhandled rejection in Promise", "looking up"],
                ["look_up", "prefetch"],
                ["prefetch"],
                {"missing"},
            )
        ]
        * AT_ONCE,
    } == of_paths


def test_reported_once(shop):
    """An error of a route, and one that no request waits for: a line and an event for each."""
    shop.get("/price/nothing")
    shop.get("/prefetch/missing")
    shop.end()
    logged = [line for line in shop.lines if line.get("level") in ("error", "critical")]
    assert ["failed", "Unhandled rejection in Promise"] == [line["event"] for line in logged]
    for line in logged:
        assert "look_up" == line["exception"][0]["frames"][-1]["name"]
    events = shop.with_fields(sentry="KeyError")
    assert [line["trace_id"] for line in logged] == [event["trace_id"] for event in events]
    assert ["look_up"] * 2 == [event["in"] for event in events]


def test_metrics(shop):
    """Requests by their outcomes, and the figures of promises."""
    shop.get("/price/tea")
    shop.get("/price/nothing")
    shop.get("/prefetch/missing")
    shop.wait_for(sentry="KeyError", tags={"route": "prefetch"})
    status, text = get(shop.admin, "/metrics")
    assert 200 == status
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert {
        'shop_requests_total{outcome="answered",route="price"}': "1.0",
        'shop_requests_total{outcome="failed",route="price"}': "1.0",
        'shop_requests_total{outcome="answered",route="prefetch"}': "1.0",
        'twpromise_unhandled_rejections_total{library="Promise"}': "1.0",
        'twpromise_pending{library="Promise"}': "0.0",
    }.items() <= figures.items()


def hanging(shop):
    """Two requests that hang, one after the other; the dump."""
    requests = [shop.ask("/pay")]
    for count in (1, 2):
        text = ""
        while text.count("coroutine pay\n") + text.count("coroutine pay #") < count:
            text = get(shop.admin, "/promises/dump")[1]
        if count == 1:
            requests.append(shop.ask("/pay"))
    return requests, text


def test_hanging(shop):
    """The inspector and the dump of a signal show what hangs; so does the snapshot."""
    requests, text = hanging(shop)
    page = (ROOT / "docs" / PAGE).read_text()
    assert set(re.findall(r'(?:observe|shop)\.py", line \d+, in \w+', text)) == set(
        re.findall(r'(?:observe|shop)\.py", line \d+, in \w+', page)
    )
    for found in (
        r"#\d+ coroutine pay\n",
        r'  is at File ".*shop.py", line \d+, in pay',
        r"  waits for #(\d+): a DeferredLock, with 1 waiting; coroutine pay #\1 holds it",
        r"      waits for a timer, due in 3[56]\d\d s",
    ):
        assert re.search(found, text), text
    assert "coroutine pay" in get(shop.admin, "/promises/snapshot.json")[1]
    shop.signal(signal.SIGUSR1)
    errors = shop.end()
    assert "SIGUSR1: promises" in errors
    assert re.search(r"a DeferredLock, with 1 waiting; coroutine pay #\d+ holds it", errors)
    for request in requests:
        request.close()


def test_cancelled_by_the_client(shop):
    """A client that leaves, at a Deferred and at a promise, counts as cancelled: no error."""
    requests, _ = hanging(shop)
    for request in reversed(requests):
        request.close()
        shop.wait_for(span="pay", outcome="cancelled")
    text = get(shop.admin, "/metrics")[1]
    assert 'shop_requests_total{outcome="cancelled",route="pay"} 2.0' in text.splitlines()
    shop.end()
    assert [] == [line for line in shop.lines if "sentry" in line]
    assert {"info"} == {line["level"] for line in shop.lines if "level" in line}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
def test_leftovers(started):
    """No threads, timers, sockets and pending promises are left, though requests hang."""
    shop = started(LEFTOVERS)
    shop.get("/price/tea")
    shop.get("/price/nothing")
    shop.get("/prefetch/missing")
    requests, _ = hanging(shop)
    get(shop.admin, "/metrics")
    assert "" == shop.end()
    left = {"threads": [], "timers": 0, "sockets": [], "promises": 0}
    assert left == shop.lines[-1]["left"]
    for request in requests:
        request.close()


@pytest.fixture
def trap(run_python):
    """What a program finds; what it logs stands before that."""

    def run(name):
        output = run_python("-m", "tests.integrations.programs.observed_traps", name)
        return json.loads(output.splitlines()[-1])

    return run


def test_scopes_of_threads(trap):
    """A thread of the pool keeps the scope of the request that started it; ours are of no harm."""
    assert [1, 1, 3] == trap("scopes_inherited")
    assert [None, None, 3] == trap("scopes_not_inherited")


def test_raised_again(trap):
    """An error that is captured and raised again is an event twice, the second without its tags."""
    assert [1, None] == trap("raised_again")


def test_hooks(trap):
    """A hook takes the place of the log: one event each; a subscriber comes beside the hook."""
    assert [1, 1, 2] == trap("hooks")


def test_logging_of_the_standard_library(trap):
    """An error in that log is an event of its own, unless it is switched off."""
    assert 2 == trap("logging_captured")
    assert 1 == trap("logging_not_captured")


def test_callbacks(trap):
    """A callback of a Deferred sees what fires it; a handler, and a context given, its own."""
    assert [["callback", 2], ["in its context", 1], ["handler", 1]] == trap("callbacks")


def test_bound_in_a_def(trap):
    """What an ordinary function binds stays bound for other requests; a coroutine's does not."""
    assert [None, None, None, "1"] == trap("bound_in_a_def")


def test_not_sampled(trap):
    """A trace that is not sampled has an id, and no spans."""
    assert [True, False, 0] == trap("not_sampled")


def test_exported_in(trap):
    """A simple processor calls the exporter in the reactor's thread, a batching one in its own."""
    assert [True, False] == trap("exported_in")


def test_errors_sampled(trap):
    """Sentry's `sample_rate` drops errors; `traces_sample_rate` does not."""
    assert [0, 1] == trap("errors_sampled")


def test_cancelled(trap):
    """Both are Twisted's `CancelledError`, and both are an `Exception`."""
    assert [[True, True], [False, True]] == trap("cancelled")


def test_variables(trap):
    """Events have the variables of functions, unless that is switched off."""
    assert trap("variables_sent")
    assert not trap("variables_kept_back")


def test_contexts_off(trap):
    """Without `async_hooks` handlers find nothing bound."""
    assert {} == trap("hooks_off")


def test_on_asyncio(trap):
    """Sentry reports what tasks raise though it is handled; not promises' coroutines."""
    assert [0, 1] == trap("on_asyncio")
