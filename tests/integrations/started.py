"""The programs of pages, started as their pages say, and stopped by a signal."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.integrations.pages import ROOT, paste

__all__ = ["Program", "eventually_get", "free_port", "started"]


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def eventually_get(url: str) -> httpx.Response:
    """The first answer of a server that has just been started."""
    until = time.monotonic() + 30
    while True:
        try:
            return httpx.get(url, timeout=20)
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.05)


class Program(subprocess.Popen[str]):
    """A process that gets one signal to end."""

    _terminated = False

    def terminate(self) -> None:
        """Send a SIGTERM, if that has not been done."""
        if not self._terminated:
            self._terminated = True
            super().terminate()


@contextmanager
def started(
    page: str,
    folder: Path,
    name: str,
    *arguments: str,
    edits: Mapping[str, str] | None = None,
    warnings: str = "error",
    errors: str = "",
    **environment: str,
) -> Iterator[Program]:
    """A program of `docs/<page>`, pasted into an empty folder and started there.

    When the block is left it is sent a SIGTERM, unless it was; it must end with status 0, and with
    nothing on its standard error.  A program that hangs is killed, and so never blocks a test that
    reads a line.

    Args:
        page: Below `docs`.
        folder: Where it is pasted.
        name: Of the file that is started.
        *arguments: What it is started with.
        edits: What is replaced in that file, and by what: to show that it is needed.
        warnings: What Python does with them.
        errors: Is on its standard error; by default that is empty.
        **environment: Its variables.
    """
    paste(page, folder)
    text = (folder / name).read_text()
    for before, after in (edits or {}).items():
        assert before in text
        text = text.replace(before, after)
    (folder / name).write_text(text)
    process = Program(
        [sys.executable, "-W", warnings, name, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killing = threading.Timer(60, process.kill)
    killing.start()
    try:
        try:
            yield process
        finally:
            process.terminate()
            output, written = process.communicate()
            print(output, written, sep="\n")
        assert errors in written if errors else "" == written
        assert 0 == process.returncode
    finally:
        killing.cancel()
