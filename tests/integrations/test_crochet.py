"""`crochet`: functions that threads call, and that return promises."""

from __future__ import annotations


def test_threads_wait_for_promises(run_python):
    """`wait_for` and `run_in_reactor` wait; one that gives up does not cancel for the other."""
    assert "done\n" == run_python("-m", "tests.integrations.programs.blocking")
