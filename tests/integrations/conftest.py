"""What is set up for tests with real packages: Twisted takes promises, as in an application."""

from __future__ import annotations

import twpromise

twpromise.install()
