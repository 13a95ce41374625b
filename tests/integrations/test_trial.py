"""`trial`: tests that return promises, run by the real thing."""

from __future__ import annotations

import re

from tests.integrations.programs import trial_cases


def test_trial_waits_for_promises(run_python):
    """Failures, errors, time-outs and skips are seen, each once, in settled promises, too."""
    output = run_python("-m", "twisted.trial", trial_cases.__name__, status=1)
    outcomes = re.findall(r"^ +(test_\w+) \.\.\. +\[(\w+)\]$", output, re.MULTILINE)
    assert [(name, name.split("_")[1].upper()) for name, _ in outcomes] == outcomes
    assert "FAILED (skips=1, failures=4, errors=4, successes=3)" == output.splitlines()[-1]
