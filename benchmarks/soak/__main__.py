"""Runs the soaks that are asked for, one after the other, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from .harness import parser

SOAKS = ("programs", "threads", "memory", "load", "fairness")


def main() -> int:
    """Run them; 1 if one of them failed."""
    arguments = parser("python -m benchmarks.soak", __package__)
    arguments.add_argument("soaks", nargs="*", metavar="|".join(SOAKS), help="all, unless named")
    options = arguments.parse_args()
    unknown = set(options.soaks) - set(SOAKS)
    if unknown:
        arguments.error(f"there is no soak {', '.join(sorted(unknown))}")
    environment = {**os.environ, "TWPROMISE_TEST_LONG": "" if options.quick else "1"}
    failed = [
        name
        for name in options.soaks or SOAKS
        if subprocess.run(
            _command(name, options.reactor, options.quick), env=environment, check=False
        ).returncode
    ]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return bool(failed)


def _command(name: str, reactor: str, quick: bool) -> list[str]:
    if name == "programs":
        # Those are tests; what is long is that there are many more programs.
        return [sys.executable, "-m", "pytest", "-q", "-m", "exhaustive", "tests/model"]
    module = f"{__package__}.{name}"
    return [sys.executable, "-m", module, "--reactor", reactor, *["--quick"] * quick]


if __name__ == "__main__":
    sys.exit(main())
