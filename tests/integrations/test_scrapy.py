"""`scrapy`: a spider, a middleware and a pipeline that return promises."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest


class Page(BaseHTTPRequestHandler):
    """A page that holds its own name."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path[1:].encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """The address of a server, in a thread."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize(
    ("reactor", "install"),
    [
        ("asyncioreactor.AsyncioSelectorReactor", "installed"),
        ("asyncioreactor.AsyncioSelectorReactor", "plain"),
        ("selectreactor.SelectReactor", "installed"),
    ],
)
def test_a_spider_waits_for_promises(run_python, server, reactor, install):
    """Requests are allowed, items stored or dropped; on asyncio without `install`, too."""
    program = "tests.integrations.programs.crawl"
    output = run_python("-m", program, server, reactor, install)
    assert "stored: one three\n" == output
