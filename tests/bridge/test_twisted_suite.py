"""Twisted's own tests have the same results with `twpromise.install` and without."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.exhaustive

SUITES = [
    "twisted.cred.test",
    "twisted.internet.test.test_inlinecb",
    "twisted.test.test_amp",
    "twisted.test.test_defer",
    "twisted.test.test_task",
    "twisted.trial.test",
    "twisted.web.test",
]
ROOT = Path(__file__).parents[2]
RUN = "import twpromise; from twisted.scripts.trial import run; run()"


def results(folder: Path, install: str) -> tuple[str, list[str]]:
    """The last line of trial's output, and the names of the tests that did not simply pass."""
    trial = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, "--temp-directory", f"trial{install}", *SUITES],
        cwd=folder,
        env=os.environ | {"TWPROMISE_INSTALL": install, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = trial.stdout.splitlines()
    return lines[-1], sorted(line for line in lines if re.match(r"twisted\.[\w.]+\.test\w+$", line))


def test_the_same_results(tmp_path: Path) -> None:
    """Of the suites of defer, task, inlineCallbacks, cred, web, AMP and trial."""
    summary, names = results(tmp_path, "0")
    assert re.search(r"successes=\d{4}", summary), summary
    assert (summary, names) == results(tmp_path, "1")
