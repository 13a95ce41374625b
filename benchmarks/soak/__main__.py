"""Runs the soaks that are asked for, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from .harness import parser

SOAKS = ("threads", "memory", "load", "fairness")


def main() -> int:
    """Run them; 1 if one of them failed."""
    arguments = parser("python -m benchmarks.soak", __package__)
    arguments.add_argument("soaks", nargs="*", metavar="|".join(SOAKS), help="all, unless named")
    options = arguments.parse_args()
    unknown = set(options.soaks) - set(SOAKS)
    if unknown:
        arguments.error(f"there is no soak {', '.join(sorted(unknown))}")
    flags = ["--reactor", options.reactor] + ["--quick"] * options.quick
    failed = []
    for name in options.soaks or SOAKS:
        command = [sys.executable, "-m", f"{__package__}.{name}", *flags]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
