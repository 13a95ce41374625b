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

from . import machine, measure, micro, report, rows

#: What `--only` selects beside the rows.
PARTS = (*(f"micro-{operation}" for operation in micro.OPERATIONS), "bytes", "growth")


def main() -> None:
    """Run what was asked for, and print what came of it."""
    options = _options()
    patterns = options.only or [*rows.SCENARIOS, *PARTS]
    chosen = rows.select(patterns)
    parts = [part for part in PARTS if any(rows.is_named(part, pattern) for pattern in patterns)]
    names = [row.name for row in chosen] + parts
    for pattern in patterns:
        if not any(rows.is_named(name, pattern) for name in names):
            sys.exit(f"nothing is called {pattern!r}; --list tells what there is")
    if options.list:
        print(*names, sep="\n")
        return
    for row in chosen:
        if row.missing:
            measure.say(f"{row.name} is left out: {row.requires} is not installed")
    results = {
        "machine": machine.describe(),
        "settings": {
            "requests": options.requests,
            "warm_ups": options.warm_ups,
            "waves": options.waves,
            "rounds": options.rounds,
        },
        **_measure([row for row in chosen if not row.missing], parts, options),
    }
    _tell(results)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _measure(
    chosen: list[rows.Row], parts: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    results: dict[str, Any] = {}
    if chosen:
        results["rows"] = measure.requests(chosen, options)
    operations = [part.removeprefix("micro-") for part in parts if part.startswith("micro-")]
    if operations:
        results["operations"] = measure.operations(operations, options)
    if "bytes" in parts:
        results["sizes"] = measure.sizes()
    if "growth" in parts:
        results["growth"] = measure.growth(options)
    return results


def _tell(results: dict[str, Any]) -> None:
    print(*machine.told(results["machine"]), sep="\n")
    print(report.told_settings(results))
    for scenario, measured in report.by_scenario(results):
        print(f"\n{rows.SCENARIOS[scenario]}\n")
        print(report.scenario_table(measured, targets=True))
    if "operations" in results:
        print("\nSingle operations, and how many times what ours take\n")
        print(report.operations_table(results["operations"]))
    if "sizes" in results:
        print("\nBytes of one\n")
        print(report.sizes_table(results["sizes"]))
    if "growth" in results:
        for figure in report.FIGURES:
            print("\nGrowth\n")
            print(report.growth_table(results["growth"], figure))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=[],
        help="names, or their first words, with commas between: doxbee,parallel-chain,micro",
    )
    parser.add_argument("--rounds", type=int, help="how often each program is run (3)")
    parser.add_argument("--requests", type=int, help="in a wave (10000)")
    parser.add_argument("--waves", type=int, default=4, help="that are measured in a round (4)")
    parser.add_argument("--warm-ups", type=int, help="waves before those (2)")
    parser.add_argument("--quick", action="store_true", help="1 round, of 2000 requests a wave")
    parser.add_argument("--json", type=Path, help="where to write all that was measured")
    parser.add_argument("--list", action="store_true", help="print the names only")
    options = parser.parse_args()
    quick = options.quick
    for name, usual, short in [("rounds", 3, 1), ("requests", 10_000, 2_000), ("warm_ups", 2, 1)]:
        if getattr(options, name) is None:
            setattr(options, name, short if quick else usual)
    return options


if __name__ == "__main__":
    main()
