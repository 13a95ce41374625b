"""The page of the documentation that says what promises are tested with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_package_is_on_the_page():
    """docs/integrations.md names each package of the extra `integrations`."""
    page = (ROOT / "docs" / "integrations.md").read_text().casefold()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = [
        re.match(r"[\w-]+", line)[0] for line in extras["optional-dependencies"]["integrations"]
    ]
    assert [] == [package for package in packages if package not in page]
