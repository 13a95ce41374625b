"""Tests of a program that has called `twpromise.install`, in a process of its own.

What it does to Twisted cannot be undone: see `tests/bridge/test_install.py`, which runs these.
"""

from __future__ import annotations

import os

if os.environ.get("TWPROMISE_INSTALL") != "1":
    collect_ignore_glob = ["test_*.py"]
