"""Fixtures for pytest."""

import pytest

from twpromise import Promise
from twpromise.testing import ManualScheduler


@pytest.fixture
def scheduler():
    """Promises settle, and time passes, when the test says so."""
    scheduler = ManualScheduler()
    previous = Promise.set_scheduler(scheduler)
    yield scheduler
    scheduler.flush()
    assert [] == scheduler.clock.getDelayedCalls()
    Promise.set_scheduler(previous)
