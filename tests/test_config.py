"""Settings, the environment, and processes that run with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import twpromise
from twpromise._diagnostics.library import from_environment

OFF = {
    "warnings": False,
    "w_forgotten_return": False,
    "long_stack_traces": False,
    "tracking": False,
}
# Development mode switches no tracking on.
ON = dict.fromkeys(OFF, True) | {"tracking": False}


def test_the_settings_come_back(copy):
    """All settings, after the change; what is given back can be given again."""
    settings = copy.config(monitoring=True, cancellation=False)
    assert {
        "warnings": False,
        "w_forgotten_return": False,
        "long_stack_traces": False,
        "cancellation": False,
        "monitoring": True,
        "async_hooks": True,
        "tracking": False,
    } == settings
    assert settings == copy.config(**settings)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("longStackTraces", "long_stack_traces"),
        ("asyncHooks", "async_hooks"),
        ("wForgottenReturn", "w_forgotten_return"),
    ],
)
def test_bluebirds_spellings(copy, spelling, name):
    """A setting answers to bluebird's spelling too."""
    for value in (False, True):
        assert value is copy.config(**{spelling: value})[name]
    copy.config(w_forgotten_return=False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"warnings": True}, (True, True)),
        ({"warnings": False}, (False, False)),
        ({"warnings": {}}, (True, True)),
        ({"warnings": {"w_forgotten_return": False}}, (True, False)),
        ({"warnings": {"wForgottenReturn": True}}, (True, True)),
        ({"w_forgotten_return": False, "warnings": True}, (True, False)),
        ({"warnings": {}, "w_forgotten_return": False}, (True, False)),
    ],
)
def test_the_one_warning_that_is_switched_by_itself(copy, settings, expected):
    """`warnings` switches all, a mapping all but for what it says."""
    changed = copy.config(**settings)
    assert expected == (changed["warnings"], changed["w_forgotten_return"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"monitoring": True, "verbose": True}, "there is no setting 'verbose'"),
        ({"monitoring": True, "cancellation": 1}, "cancellation must be True or False, not 1"),
        ({"monitoring": True, "warnings": "all"}, "warnings must be True or False, not 'all'"),
        ({"monitoring": True, "warnings": {"w_x": True}}, "there is no warning 'w_x'"),
        ({"monitoring": True, "warnings": {"wForgottenReturn": 0}}, "must be True or False"),
    ],
)
def test_what_is_no_setting_changes_none(copy, settings, message):
    """An unknown key, or a value of the wrong type, is named, and nothing is changed."""
    before = copy.config()
    with pytest.raises(TypeError, match=message):
        copy.config(**settings)
    assert before == copy.config()


# --- the environment


@pytest.mark.parametrize(
    ("environ", "development", "expected"),
    [
        ({}, False, OFF),
        ({}, True, ON),
        ({"DEBUG": "1"}, False, ON),
        ({"DEBUG": ""}, False, OFF),
        ({"DEBUG": "0"}, True, OFF),
        ({"DEBUG": "1", "WARNINGS": "0"}, False, {**OFF, "long_stack_traces": True}),
        ({"DEBUG": "1", "LONG_STACK_TRACES": "0"}, False, {**ON, "long_stack_traces": False}),
        ({"WARNINGS": "1"}, False, {**ON, "long_stack_traces": False}),
        ({"LONG_STACK_TRACES": "yes"}, False, {**OFF, "long_stack_traces": True}),
        ({"WARNINGS": "0"}, True, {**OFF, "long_stack_traces": True}),
        ({"DEBUG": "0", "WARNINGS": "1"}, True, {**ON, "long_stack_traces": False}),
        ({"WARNINGS": "1", "W_FORGOTTEN_RETURN": "0"}, False, {**OFF, "warnings": True}),
        ({"W_FORGOTTEN_RETURN": "1"}, False, {**OFF, "w_forgotten_return": True}),
        ({"TRACKING": "1"}, False, {**OFF, "tracking": True}),
    ],
)
def test_what_the_environment_says(environ, development, expected):
    """The variables and their precedence, as on bluebird's page."""
    variables = {f"TWPROMISE_{name}": value for name, value in environ.items()}
    assert expected == from_environment(variables, development)


SHOW = "from twpromise import Promise; print(Promise.config())"


def run(*arguments, **environ):
    """Run Python in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TWPROMISE_", "PYTHONDEV"))}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ((), {}, (False, False)),
        ((), {"TWPROMISE_DEBUG": "1"}, (True, True)),
        ((), {"TWPROMISE_LONG_STACK_TRACES": "1"}, (False, True)),
        (("-X", "dev"), {}, (True, True)),
        (("-X", "dev"), {"TWPROMISE_DEBUG": "0"}, (False, False)),
    ],
    ids=["nothing", "debug", "traces", "dev mode", "dev mode, debug 0"],
)
def test_a_process(arguments, environ, expected):
    """The environment and Python's development mode set the defaults of a process."""
    result = run(*arguments, "-W", "ignore", "-c", SHOW, **environ)
    settings = eval(result.stdout)
    assert expected == (settings["warnings"], settings["long_stack_traces"])


START_SOON = """
from twpromise import PromiseGroup
from twpromise.debugging import pending

promise = PromiseGroup().start_soon(print)
print([record.place for record in pending().promises if record.name != "PromiseGroup"])
"""


def test_tracking_from_the_environment():
    """The places are those of the user, whichever modules are imported later."""
    result = run("-c", START_SOON, TWPROMISE_TRACKING="1")
    assert ['File "<string>", line 5, in <module>'] == eval(result.stdout), result.stderr


# --- trial

TRIAL = """
from twisted.trial.unittest import TestCase
from twpromise import Promise

class Rejections(TestCase):
    def test_unhandled(self):
        Promise.reject(ValueError("unhandled by the test"))
        return Promise.delay(0).to_deferred()

    def test_flushed(self):
        Promise.reject(ValueError("flushed by the test"))
        def flush(_):
            assert 1 == len(self.flushLoggedErrors(ValueError))
        return Promise.delay(0).then(flush).to_deferred()
"""


def test_trial_fails_a_test_by_itself(tmp_path):
    """A test in which a rejection stays unhandled fails, unless it flushes the logged error."""
    (tmp_path / "test_rejections.py").write_text(TRIAL)
    result = subprocess.run(
        [sys.executable, "-m", "twisted.trial", "test_rejections"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(twpromise.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = result.stdout + result.stderr
    assert "FAILED (errors=1, successes=1)" in output
    assert "ValueError: unhandled by the test" in output
    assert "flushed by the test" not in output
