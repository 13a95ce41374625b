"""What is set up for tests with real packages: Twisted takes promises, as in an application."""

from __future__ import annotations

import warnings
from importlib import import_module

import twpromise

twpromise.install()

with warnings.catch_warnings():
    # What packages import that is deprecated is their own concern.
    warnings.simplefilter("ignore", DeprecationWarning)
    for name in ("twisted.conch.checkers",):
        import_module(name)
