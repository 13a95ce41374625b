"""What is set up for tests with real packages: Twisted takes promises, as in an application."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import twpromise

twpromise.install()

with warnings.catch_warnings():
    # What packages import that is deprecated is their own concern.
    warnings.simplefilter("ignore", DeprecationWarning)
    for name in ("twisted.conch.checkers",):
        import_module(name)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., str]:
    """Runs Python in a process of its own, in an empty folder; what it writes."""

    def run(*arguments: str, status: int = 0) -> str:
        process = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert status == process.returncode, process.stdout
        return process.stdout

    return run
