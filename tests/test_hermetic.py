"""Tests do not depend on the environment of the process that runs them."""

from __future__ import annotations

import os

import pytest

from tests.support.processes import run_python
from twpromise import Promise


def run(*arguments, **environ):
    """Run tests in a process of their own, and return what pytest says last."""
    done = run_python(*arguments, **environ)
    assert 0 == done.returncode, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        (["-X", "dev"], {}),
        ([], {"TWPROMISE_DEBUG": "1"}),
        ([], {"TWPROMISE_WARNINGS": "1", "PYTHONDEVMODE": "1", "PYTHONIOENCODING": "latin-1"}),
    ],
    ids=["-X dev", "debug", "variables"],
)
def test_settings_of_the_environment_change_no_test(options, environ):
    """They have the defaults in tests, of library copies, too."""
    tests = f"{__file__}::test_settings_of_tests", f"{__file__}::test_environment_of_children"
    assert "2 passed" in run(*options, "-m", "pytest", "-n0", *tests, **environ)


def test_settings_of_tests():
    """What all tests begin with."""
    for promise_class in Promise, Promise.get_new_library_copy():
        settings = promise_class.config()
        assert (False, False) == (settings["warnings"], settings["long_stack_traces"])


def test_environment_of_children():
    """Nothing of that kind."""
    assert not {"PYTHONIOENCODING", "PYTHONDEVMODE", "TWPROMISE_WARNINGS"} & set(os.environ)
