"""The page *Testing*: its samples are files that pass as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
SAMPLES: list[str] = re.findall(
    r"(?ms)^```\{code-block\} python\n:caption: test_\w+\.py\n\n(.*?)^```", PAGE
)
#: What runs these stands in the extra `integrations`: see `tests/integrations/test_testing_kit`.
NEED_A_PLUGIN = ("pytest.mark.asyncio", "pytest_twisted")


@pytest.mark.parametrize(
    "sample",
    [sample for sample in SAMPLES if not any(name in sample for name in NEED_A_PLUGIN)],
    ids=lambda sample: re.search(r"test_\w+", sample)[0],
)
def test_a_sample(pytester, reports, sample):
    """It is pasted into an empty file, and run."""
    pytester.makepyfile(sample)
    count = len(re.findall(r"def test_", sample))
    pytester.runpytest_inprocess(
        *(f"-pno:{name}" for name in ("cacheprovider", "anyio", "asyncio", "twisted"))
    ).assert_outcomes(passed=count)
