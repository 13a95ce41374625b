"""A plugin of pytest that runs tests in a random order."""

from __future__ import annotations

from random import Random

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle them."""
    Random(0).shuffle(items)
