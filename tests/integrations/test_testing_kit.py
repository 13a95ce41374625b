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
    [sample] = re.findall(rf"(?ms)^:caption: {name}\.py\n\n(.*?)^```", page)
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
    outcomes = re.findall(r"::(test_\w+)\S* (\w+)", re.split("= (?:ERRORS|FAILURES)", output)[0])
    expected = {"passed": ["PASSED"], "failed": ["FAILED"], "left": ["PASSED", "ERROR"]}
    assert [
        (name, outcome)
        for name in dict.fromkeys(name for name, _ in outcomes)
        for outcome in expected[name.split("_")[1]] * (20 if name == "test_passed_many" else 1)
    ] == outcomes
    assert len(outcomes) >= 14
    title = r"^_+ (?:ERROR at teardown of )?(\S+) _+$"
    parts = re.split(title, output, flags=re.MULTILINE)[1:]
    shown = {
        name.split("_", 2)[-1]: text for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
    for mistake, text in {
        "unhandled": "Unhandled rejection in Promise",
        "handler": "Unhandled rejection in Promise",
        "first": "The above exception was the direct cause of the following exception",
        "fatal": "Fatal error in Promise",
        "pending": "1 promise is still pending",
        "timer": "kept.append(Promise.delay(60))",
        "coroutine": "in hang",
    }.items():
        assert text in shown[mistake]
    assert shown["first"].index("assert 2 == value") < shown["first"].index("assert [1] == seen")
