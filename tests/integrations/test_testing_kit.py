"""The testing kit under pytest-asyncio, anyio's plugin and pytest-twisted."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
#: What pytest-asyncio wants to be set.
OPTIONS = {"asyncio": ("-o", "asyncio_default_fixture_loop_scope=function")}
PLUGINS = ("asyncio", "anyio", "twisted")


@pytest.fixture
def run_pytest(run_python):
    """Runs pytest, with one plugin, in a process of its own; what it writes."""

    def run(path, plugin, status):
        return run_python(
            *("-m", "pytest", "-v", "--color=no", "-c", os.devnull, "--noconftest", "-W", "error"),
            *("-o", "markers=asyncio\nanyio", *OPTIONS.get(plugin, ())),
            *(f"-pno:{other}" for other in (*PLUGINS, "cacheprovider") if plugin != other),
            str(path),
            status=status,
        )

    return run


@pytest.mark.parametrize(
    ("plugin", "name"),
    [("asyncio", "test_on_the_loop"), ("twisted", "test_on_the_reactor")],
    ids=["asyncio", "twisted"],
)
def test_the_samples_of_the_page_pass(run_pytest, tmp_path, plugin, name):
    """Those that need a plugin: see `tests/testing/test_page` for the others."""
    page = (PROGRAMS.parents[2] / "docs" / "testing.md").read_text("utf-8")
    [sample] = [each for each in re.findall(r"(?ms)^```python\n(.*?)^```", page) if name in each]
    (tmp_path / "test_sample.py").write_text(sample, "utf-8")
    assert "1 passed" in run_pytest("test_sample.py", plugin, 0)


@pytest.mark.parametrize(
    ("plugin", "cases"),
    [("asyncio", "loop"), ("anyio", "loop"), ("twisted", "reactor")],
    ids=PLUGINS,
)
def test_mistakes_fail_the_tests_that_made_them(run_pytest, plugin, cases):
    """And no others; what is shown names the mistake."""
    output = run_pytest(PROGRAMS / f"kit_{cases}_cases.py", plugin, 1)
    outcomes = re.findall(r"::(test_\w+)\S* (\w+)", output.partition("= FAILURES")[0])
    assert [(name, name.split("_")[1].upper()) for name, _ in outcomes] == outcomes
    assert len(outcomes) >= 14
    shown = {
        name.rpartition(".")[2]: text
        for name, text in re.findall(
            r"^_+ (\S+) _+$\n(.*?)(?=^_+ \S+ _+$|^=)", output, re.MULTILINE | re.DOTALL
        )
    }
    for name, text in {
        "test_failed_unhandled": "Unhandled rejection in Promise",
        "test_failed_handler": "Unhandled rejection in Promise",
        "test_failed_first": "The above exception was the direct cause of the following exception",
        "test_failed_fatal": "Fatal error in Promise",
        "test_failed_pending": "1 promise is still pending",
        "test_failed_timer": "kept.append(Promise.delay(60))",
        "test_failed_coroutine": "in hang",
    }.items():
        assert text in shown[name]
    assert shown["test_failed_first"].index("assert 2 == value") < shown["test_failed_first"].index(
        "assert [1] == seen"
    )
