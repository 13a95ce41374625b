"""A library copy: settings and warnings."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import twpromise
from twpromise import Promise, PromiseWarning
from twpromise._diagnostics.library import SETTINGS, Library, check_settings
from twpromise._diagnostics.warning import warn

DEFAULTS = {"warnings": False, "cancellation": True, "async_hooks": True}


def test_the_defaults():
    """What is on, and what is off, unless it is set."""
    settings = Promise.config()
    assert DEFAULTS == {name: settings[name] for name in DEFAULTS}
    assert set(SETTINGS) == set(settings)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_setting_is_changed_and_returned(config, name):
    """`config` returns the settings after the change, and the others stay as they are."""
    before = config()
    after = config(**{name: not DEFAULTS[name]})
    changed = [name, "w_forgotten_return"] if name == "warnings" else [name]
    assert {**before, **dict.fromkeys(changed, not DEFAULTS[name])} == after
    assert after == config()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": True}, "there is no setting 'colour'"),
        ({"cancellation": 1}, "the setting cancellation must be True or False, not 1"),
        ({"async_hooks": None}, "the setting async_hooks must be True or False, not None"),
    ],
    ids=str,
)
def test_bad_settings_change_nothing(config, settings, words):
    """A clear error; what was given along with the bad one is not changed either."""
    before = config()
    with pytest.raises(TypeError, match=words):
        config(warnings=True, **settings)
    assert before == config()


def test_check_settings_gives_them_back():
    """Those that are right."""
    assert {"monitoring": True} == check_settings({"monitoring": True})


def test_the_copy_returned_is_not_the_settings(config):
    """Changing the mapping changes nothing."""
    before = config()
    config()["cancellation"] = "changed"
    assert before == config()


def test_a_library_has_its_own_settings():
    """Two copies share nothing."""
    first, second = Library(), Library()
    first.cancellation = False
    assert (False, True) == (first.cancellation, second.cancellation)
    assert first.settings() != second.settings()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("ignored_handler", ["text"]), ("odd_reason", ["text", Promise.resolve()])],
)
def test_a_library_warns_if_told_to(method, arguments):
    """Else it says nothing."""
    library = Library()
    getattr(library, method)(*arguments)
    library.warnings = True
    with pytest.warns(PromiseWarning, match="str"):
        getattr(library, method)(*arguments)


def test_a_warning_points_at_the_users_line():
    """Not into this package, however deep the call."""
    with pytest.warns(PromiseWarning) as caught:
        warn("message")
    [warning] = caught
    assert (__file__, "message") == (warning.filename, str(warning.message))


def test_a_warning_points_at_users_whose_package_has_a_similar_name():
    """A neighbour of this package, in the same directory, is a user of it."""
    path = twpromise.__file__.replace("__init__.py", "").rstrip("/\\") + "_extras.py"
    module = ModuleType("twpromise_extras")
    module.warn = warn
    exec(compile("def use():\n    warn('message')\n", path, "exec"), vars(module))
    with pytest.warns(PromiseWarning) as caught:
        module.use()
    assert [(path, 2)] == [(warning.filename, warning.lineno) for warning in caught]


def test_a_warning_without_a_user_points_at_the_outermost_frame():
    """Where nothing but this package is running, there is no better line."""
    path = twpromise.__file__
    namespace = {"warn": warn, "__name__": "twpromise.made_up"}
    exec(compile("def use():\n    warn('message')\n", path, "exec"), namespace)
    with pytest.warns(PromiseWarning) as caught:
        _alone(namespace["use"])
    assert 1 == len(caught)
    assert sys._getframe().f_code.co_filename == __file__


def _alone(function):
    function()
