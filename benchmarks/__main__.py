"""The one command that runs all benchmarks: `python -m benchmarks`.

Every program has a process of its own; they are run in turn, several rounds, and compared as
ratios within each round, of which the median counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from . import machine, report, rows

#: Requests that are enough to count the objects of one.
COUNTED = 200


def main() -> None:
    """Run what was asked for, and print what came of it."""
    options = _options()
    try:
        chosen = rows.select(options.only)
    except ValueError as error:
        sys.exit(str(error))
    if options.list:
        print(*(row.name for row in chosen), sep="\n")
        return
    for row in chosen:
        if row.missing:
            _say(f"{row.name} is left out: {row.requires} is not installed")
    chosen = [row for row in chosen if not row.missing]
    results: dict[str, Any] = {
        "machine": machine.describe(),
        "settings": {
            "requests": options.requests,
            "warm_ups": options.warm_ups,
            "waves": options.waves,
            "rounds": options.rounds,
        },
        "rows": _measure(chosen, options),
    }
    print(*machine.told(results["machine"]), sep="\n")
    print(
        f"{options.rounds} rounds of {options.waves} waves of {options.requests} requests each, "
        f"after {options.warm_ups} to warm up; processor's time, peak memory over the start"
    )
    for scenario, measured in report.by_scenario(results):
        print(f"\n{rows.SCENARIOS[scenario]}\n")
        print(report.scenario_table(measured, targets=True))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        help="names of rows, or how they begin, with commas between: doxbee,parallel-chain",
    )
    parser.add_argument("--rounds", type=int, help="how often each row is run (3)")
    parser.add_argument("--requests", type=int, help="in a wave (10000)")
    parser.add_argument("--waves", type=int, default=4, help="that are measured in a round (4)")
    parser.add_argument("--warm-ups", type=int, help="waves before those (2)")
    parser.add_argument("--quick", action="store_true", help="1 round, of 2000 requests a wave")
    parser.add_argument("--json", type=Path, help="where to write all that was measured")
    parser.add_argument("--list", action="store_true", help="print the names of the rows only")
    options = parser.parse_args()
    quick = options.quick
    for name, usual, short in [("rounds", 3, 1), ("requests", 10_000, 2_000), ("warm_ups", 2, 1)]:
        if getattr(options, name) is None:
            setattr(options, name, short if quick else usual)
    return options


def _measure(chosen: list[rows.Row], options: argparse.Namespace) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    for row in chosen:
        counted = machine.run_child(
            "child", row.name, "--count", "--requests", COUNTED, "--warm-ups", 1, "--waves", 1
        )
        measured[row.name] = {"seconds": [], "memory": [], **counted}
    sizes = ["--requests", options.requests, "--warm-ups", options.warm_ups]
    for number in range(1, options.rounds + 1):
        for row in chosen:
            found = machine.run_child("child", row.name, *sizes, "--waves", options.waves)
            wave = sum(found["seconds"]) / len(found["seconds"])
            _say(f"round {number}: {row.name}: {wave * 1000:.1f} ms a wave")
            measured[row.name]["seconds"].append(found["seconds"])
            measured[row.name]["memory"].append(found["memory"])
    return measured


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
