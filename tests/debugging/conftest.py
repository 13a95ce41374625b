"""Fixtures: a library copy of the test's own, so that the promises of others are not found."""

from __future__ import annotations

import pytest

from twpromise.debugging import pending


@pytest.fixture
def copy(copy, no_collector):
    """A library copy; a collection may change the order in which promises are found."""
    return copy


@pytest.fixture
def waits(copy):
    """Says what the only promise that nothing waits for waits for."""

    def look():
        roots = [one for one in pending(library=copy).promises if not one.waited_for_by]
        assert 1 == len(roots), roots
        return [wait.text for wait in roots[0].waits_for]

    return look
