"""What holds for all tests, also those of the examples."""

from __future__ import annotations

import os
import sys

from twpromise import Promise

# Tests, and the processes that they start, run with the defaults, in any environment.
for name in ("DEBUG", "WARNINGS", "LONG_STACK_TRACES", "W_FORGOTTEN_RETURN", "TRACKING"):
    os.environ.pop(f"TWPROMISE_{name}", None)
for name in ("PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONIOENCODING", "PYTHONWARNINGS"):
    os.environ.pop(name, None)
if sys.flags.dev_mode:
    # For library copies: they are made in this process.
    os.environ["TWPROMISE_DEBUG"] = "0"
Promise.config(warnings=False, long_stack_traces=False)

pytest_plugins = ["pytester"]
