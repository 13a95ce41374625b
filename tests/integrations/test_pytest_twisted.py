"""`pytest-twisted`: tests that return promises, run by the real thing."""

from __future__ import annotations

import os
import re

from tests.integrations.programs import pytest_twisted_cases


def test_pytest_twisted_waits_for_promises(run_python):
    """Tests and fixtures wait; failures are seen, in settled promises, too."""
    output = run_python(
        *("-m", "pytest", "-v", "--color=no", "-c", os.devnull, "--noconftest", "-W", "error"),
        *("-p", "no:asyncio", "-p", "no:anyio", pytest_twisted_cases.__file__),
        status=1,
    )
    outcomes = re.findall(r"::(test_\w+) (\w+)", output)
    assert [(name, name.split("_")[1].upper()) for name, _ in outcomes] == outcomes
    assert "6 failed" in output.splitlines()[-1]
    assert "5 passed" in output.splitlines()[-1]
    assert "Unhandled" not in output
