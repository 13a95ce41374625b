"""The bridge on asyncio's reactor, in a process of its own: see `asyncio_program`."""

from __future__ import annotations

import json

import pytest

from tests.bridge.asyncio_program import SCENARIOS
from tests.support.processes import run_python


@pytest.fixture(scope="module", params=["plain", "debug"])
def outcomes(request: pytest.FixtureRequest) -> dict[str, str]:
    """What came of each scenario; with asyncio's debug mode, and without."""
    process = run_python("-m", "tests.bridge.asyncio_program", request.param)
    assert 0 == process.returncode, process.stderr
    outcomes: dict[str, str] = json.loads(process.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.parametrize("name", SCENARIOS)
def test_on_asyncios_reactor(outcomes: dict[str, str], name: str) -> None:
    """Each scenario does what its docstring says."""
    assert "" == outcomes[name]


def test_all_of_them(outcomes: dict[str, str]) -> None:
    """None is left out."""
    assert set(SCENARIOS) == set(outcomes)
