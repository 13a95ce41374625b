"""Programs that a page shows as files write the output that the page shows below them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("debugging", "diagnostics")]
_BLOCK = re.compile(
    r"^```\{code-block\} (?:python|text)\n:caption: (?P<caption>[^\n]*)\n\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def shown() -> list[tuple[str, str, str]]:
    """Name, source and output of each program."""
    found = []
    for page in PAGES:
        blocks = {block["caption"]: block["text"] for block in _BLOCK.finditer(page.read_text())}
        for caption, output in blocks.items():
            if caption.endswith(" writes"):
                name = caption.removeprefix("What ").removesuffix(" writes")
                found.append((name, blocks[name], output))
    return found


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", path.name],
        cwd=path.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def handles(process: subprocess.Popen[str], signum: int) -> bool:
    """Whether the process has installed a handler already."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [mask] = re.findall(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    return bool(int(mask, 16) & (1 << signum - 1))


def dump_of(process: subprocess.Popen[str]) -> str:
    """What the process writes when it has been sent SIGUSR1 and has a deadlock."""
    deadline = time.monotonic() + 60
    while not handles(process, signal.SIGUSR1):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while time.monotonic() < deadline:
        time.sleep(1)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout is not None
        lines = list(iter(process.stdout.readline, "---\n"))
        if any("wait for each other" in line for line in lines):
            return "".join([*lines, "---\n"])
    raise AssertionError("there was no deadlock")


def plain(output: str, folder: Path) -> list[str]:
    """The lines without the folder, the time of day, and marks that depend on Python's version."""
    output = output.replace(f"{folder}{os.sep}", "")
    output = re.sub(r"(?m)^--- \S+", "--- <time>", output)
    return re.sub(r"(?m)^ +[~^]+\n", "", output).strip().splitlines()


@pytest.mark.parametrize(
    ("name", "source", "output"), shown(), ids=lambda text: text.split("\n")[0]
)
def test_output(name: str, source: str, output: str, tmp_path: Path) -> None:
    """It is the same up to a line of three dots, which stands for what is left out."""
    path = tmp_path / name
    path.write_text(source)
    process = start(path)
    try:
        if "install_signal" in source:
            if not Path("/proc/self/status").exists():
                pytest.skip("no /proc")
            written = dump_of(process)
        else:
            written = process.communicate(timeout=60)[0]
            status = re.search(r"exit status (\d)", output)
            assert (int(status[1]) if status else 0) == process.returncode, written
    finally:
        process.kill()
        process.communicate()
    expected = plain(output, tmp_path)
    if "..." in expected:
        expected = expected[: expected.index("...")]
    assert expected == plain(written, tmp_path)[: len(expected)]
