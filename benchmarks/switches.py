"""What each diagnostic switch costs, and what it costs to have them at all.

    python benchmarks/switches.py [--rounds N] [--hops N]

Every row is a program of its own: a chain of `then`s is built and run on a scheduler by hand, and
the processor's time is taken.  The rows are run in turn, several rounds, and compared as ratios
to the first: the library with every diagnostic hook taken out of its source.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "twpromise"

PROGRAM = """
import sys, time
from twpromise import Promise
from twpromise.testing import ManualScheduler

scheduler = ManualScheduler()
Promise.set_scheduler(scheduler)
settings = {settings}
{before}
if settings:
    Promise.config(**settings)

def chain(hops):
    promise = Promise.resolve(0)
    for _ in range(hops):
        promise = promise.then(step)
    scheduler.flush()

def step(value):
    return value + 1

chain({hops} // 10)
began = time.process_time()
for _ in range(10):
    chain({hops} // 10)
print(time.process_time() - began)
"""

#: Name, settings, and what comes before them.
ROWS = [
    ("without any hooks", {}, ""),
    ("everything off", {}, ""),
    ("monitoring", {"monitoring": True}, ""),
    (
        "monitoring, a listener",
        {"monitoring": True},
        "Promise.on('promise_fulfilled', lambda promise: None)",
    ),
    ("warnings", {"warnings": True}, ""),
    (
        "warnings, w_forgotten_return off",
        {"warnings": True, "w_forgotten_return": False},
        "",
    ),
    ("long_stack_traces", {"long_stack_traces": True}, ""),
    ("tracking", {"tracking": True}, ""),
    ("cancellation off", {"cancellation": False}, ""),
    ("async_hooks off", {"async_hooks": False}, ""),
    (
        "a context variable set",
        {},
        "import contextvars; contextvars.ContextVar('v').set(1)",
    ),
    (
        "a context variable set, async_hooks off",
        {"async_hooks": False},
        "import contextvars; contextvars.ContextVar('v').set(1)",
    ),
]


class _WithoutHooks(ast.NodeTransformer):
    """Makes each look at ``hooks.observer`` a constant, which the compiler takes out."""

    removed = 0

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        test = ast.unparse(node)
        if test not in ("hooks.observer is not None", "hooks.observer is None"):
            return node
        self.removed += 1
        return ast.copy_location(ast.Constant(test.endswith("is None")), node)


def without_hooks(folder: Path) -> int:
    """Put a copy of the package without hooks into a folder; how many hooks there were."""
    shutil.copytree(PACKAGE, folder / "twpromise", ignore=shutil.ignore_patterns("__pycache__"))
    transformer = _WithoutHooks()
    for path in (folder / "twpromise" / "_core").glob("*.py"):
        path.write_text(ast.unparse(transformer.visit(ast.parse(path.read_text()))))
    return transformer.removed


def seconds(folder: Path, settings: dict[str, bool], before: str, hops: int) -> float:
    """Processor time of one run of one row."""
    program = PROGRAM.format(settings=settings, before=before, hops=hops)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TWPROMISE_")}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**environment, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout)


def main() -> None:
    """Run the rows in turn and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each row is run")
    parser.add_argument("--hops", type=int, default=100_000, help="how many thens in each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name)
        removed = without_hooks(bare)
        times: dict[str, list[float]] = {row: [] for row, _, _ in ROWS}
        for _ in range(options.rounds):
            for index, (row, settings, before) in enumerate(ROWS):
                folder = bare if index == 0 else PACKAGE.parent
                times[row].append(seconds(folder, settings, before, options.hops))
    print(f"Python {sys.version.split()[0]}, {options.rounds} rounds of {options.hops} hops each")
    print(f"{removed} hooks were taken out for the first row\n")
    print(f"{'':42}{'ratio':>8}{'spread':>16}")
    base = times[ROWS[0][0]]
    for row, _, _ in ROWS:
        ratios = [mine / other for mine, other in zip(times[row], base, strict=True)]
        low, high = min(ratios), max(ratios)
        print(f"{row:42}{statistics.median(ratios):8.2f}{low:9.2f} - {high:4.2f}")


if __name__ == "__main__":
    main()
