"""The programs in `examples/`, as a user starts them: each ends by itself, and all went well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(name: str, temporary: Path) -> list[str]:
    """Run an example to its end; the lines that it prints.  It leaves nothing behind."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
        cwd=temporary,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "" == done.stderr
    assert 0 == done.returncode
    assert [] == list(temporary.iterdir())
    return done.stdout.splitlines()


def test_all() -> None:
    """Each example has its test: here, or, if it needs other packages, among the integrations."""
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    with_packages = {path.stem for path in (ROOT / "tests/integrations").glob("test_example_*.py")}
    with_packages = {name.removeprefix("test_example_") for name in with_packages}
    assert tests - {"all"} <= {path.stem for path in EXAMPLES.glob("*.py")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tests | with_packages


def test_crawler(tmp_path: Path) -> None:
    """It reads every page once, and gives up those that cannot be read."""
    lines = run("crawler", tmp_path)
    said = sorted(re.sub(r"^http://127.0.0.1:\d+", "", line) for line in lines)
    assert [
        "/: 3 links",
        "/books/emma: 2 links",
        "/books: 3 links",
        "/broken: status 500",
        "/endless: operation timed out",
        "/people/austen: 1 links",
        "/people: 1 links",
        "/slow: operation timed out",
        "8 pages",
    ] == said


def test_pool(tmp_path: Path) -> None:
    """A transfer is made, or leaves no trace."""
    lines = run("pool", tmp_path)
    assert "ada gave mary 20 pence" == lines[0]
    # Whether she has been given something by then is for the two connections to settle.
    assert re.fullmatch(r"not done: mary has \d+ pence only", lines[1])
    assert [
        "not done: operation timed out",
        "grace gave mary 5 pence",
        "ada: 30, grace: 45, mary: 25",
    ] == lines[2:]


def test_elsewhere(tmp_path: Path) -> None:
    """Threads and processes give what was asked of them."""
    assert [
        "in a thread: 42",
        "and again: 1",
        "in processes: [1000000007, 1000000009, 1000000021]",
    ] == run("elsewhere", tmp_path)


def test_stopping(tmp_path: Path) -> None:
    """One request is answered and one refused before the process ends."""
    lines = run("stopping", tmp_path)
    assert "stopped" == lines.pop()
    assert ["/quick: 200, found", "/slow: 503, try later"] == sorted(lines)
