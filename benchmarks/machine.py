"""What the figures were measured on, and how a program is run in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIBRARIES = ("twpromise", "twisted", "promise", "uvloop", "pyperf")


def describe() -> dict[str, Any]:
    """The versions and the machine."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "processors": os.cpu_count(),
    }


def told(machine: dict[str, Any]) -> list[str]:
    """The same in lines."""
    libraries = machine["libraries"].items()
    versions = ", ".join(f"{name} {version}" for name, version in libraries if version)
    return [
        f"{machine['python']}; {versions}",
        f"{machine['system']}; {machine['processors']} x {machine['processor']}",
    ]


def installed(module: str) -> bool:
    """Whether an optional module is there."""
    return importlib.util.find_spec(module) is not None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def run_child(module: str, *arguments: object) -> Any:
    """What a module prints, as JSON, when it is run in a fresh process.

    Raises:
        RuntimeError: It failed; what it printed is in the message.
    """
    settings = {key: value for key, value in os.environ.items() if not _changes(key)}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        env={**settings, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _changes(variable: str) -> bool:
    """Whether an environment variable changes what is measured."""
    return variable.startswith("TWPROMISE_") or variable in {
        "PYTHONASYNCIODEBUG",
        "PYTHONDEVMODE",
        "PYTHONMALLOC",
        "PYTHONTRACEMALLOC",
    }
