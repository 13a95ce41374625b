"""Results into tables: for a terminal, and for the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from statistics import median
from typing import Any

from . import micro
from .machine import told
from .rows import BY_NAME, SCENARIOS, Row

Results = dict[str, Any]


class Measured:
    """What was measured of a row, beside that which it is compared with.

    Args:
        row: Which row.
        rows: What was measured of all of them.
    """

    def __init__(self, row: Row, rows: dict[str, Any]) -> None:
        self.row = row
        mine, base = rows[row.name], rows[row.base_name]
        times, base_times = _per_round(mine), _per_round(base)
        #: Seconds of a wave, and bytes.
        self.seconds = median(times)
        self.memory = median(mine["memory"])
        #: How much of the time was the garbage collector's.
        self.collector = median(
            collected / sum(waves)
            for collected, waves in zip(mine["collected"], mine["seconds"], strict=True)
        )
        self.objects: float = mine["objects"]
        self.ratios = [a / b for a, b in zip(times, base_times, strict=True)]
        self.time_ratio = median(self.ratios)
        # One request at a time needs no memory.
        base_memory = median(base["memory"])
        self.memory_ratio = self.memory / base_memory if base_memory else None


def _per_round(measured: dict[str, Any]) -> list[float]:
    """Seconds of a wave in each round: of all waves together, since single ones are bimodal."""
    return [sum(waves) / len(waves) for waves in measured["seconds"]]


def by_scenario(results: Results) -> Iterable[tuple[str, list[Measured]]]:
    """The scenarios that were measured, and what was measured of each."""
    rows = results.get("rows", {})
    for scenario in SCENARIOS:
        found = [
            Measured(row, rows)
            for name, row in BY_NAME.items()
            if row.scenario == scenario and name in rows
        ]
        if found:
            yield scenario, found


def told_settings(results: Results) -> str:
    """How it was measured, in a line."""
    settings = results["settings"]
    return (
        f"{settings['rounds']} rounds of {settings['waves']} waves of "
        f"{settings['requests']:,} requests each, after {settings['warm_ups']} to warm up; "
        "processor's time; peak of resident memory over the start"
    )


def table(heads: list[str], lines: list[list[str]]) -> str:
    """A Markdown table, which can be read in a terminal, too."""
    cells = [heads, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]

    def joined(line: list[str]) -> str:
        first, *others = line
        rest = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return "| " + " | ".join([first.ljust(widths[0]), *rest]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([joined(heads), joined(rule), *map(joined, lines)])


def _targets(values: tuple[float, ...]) -> str:
    return " / ".join(f"{value:g}" for value in values) or "-"


def scenario_table(measured: list[Measured], targets: bool) -> str:
    """What was measured of one scenario.

    Args:
        measured: Its rows.
        targets: Whether to show what is to be reached, and what the rows are called on the
            command line.
    """
    heads = ["", "ms a wave", "ratio", "spread", "collector", "MB", "ratio", "objects a request"]
    lines = []
    for each in measured:
        row = each.row
        line = [
            row.style if targets else row.title,
            f"{each.seconds * 1000:.0f}",
            f"{each.time_ratio:.2f}",
            f"{min(each.ratios):.2f}-{max(each.ratios):.2f}",
            f"{each.collector:.0%}",
            f"{each.memory / 1e6:.1f}",
            "-" if each.memory_ratio is None else f"{each.memory_ratio:.2f}",
            "-" if row.one_by_one else f"{each.objects:.0f}",
        ]
        if targets:
            line += [_targets(row.must), _targets(row.aim), _verdict(each)]
        lines.append(line)
    return table(heads + (["must", "aim", ""] if targets else []), lines)


def _verdict(measured: Measured) -> str:
    row = measured.row
    found = (measured.time_ratio, measured.memory_ratio or 0)

    def within(targets: tuple[float, ...]) -> bool:
        return all(round(a, 2) <= b for a, b in zip(found, targets, strict=False))

    if not row.must:
        return ""
    if not within(row.must):
        return "too much"
    return "aim reached" if within(row.aim) else "must reached"


def operations_table(operations: Results) -> str:
    """Nanoseconds of single operations, and beside each what it takes of what ours takes."""
    lines = []
    for operation, by_library in operations.items():
        title, _ = micro.OPERATIONS[operation]
        mine = median(by_library["promises"])
        line = [title]
        for library in micro.LIBRARIES:
            if library not in by_library:
                line.append("-")
                continue
            found = median(by_library[library])
            ratio = "" if library == "promises" else f" ({found / mine:.1f})"
            line.append(f"{found * 1e9:.0f}{ratio}")
        lines.append(line)
    return table(["ns", *micro.LIBRARIES.values()], lines)


def sizes_table(sizes: Results) -> str:
    """Bytes of one promise, Deferred or future."""
    lines = [
        [state, *(f"{by_state[state]:.0f}" for by_state in sizes.values())]
        for state in micro.STATES
    ]
    return table(["bytes", *(micro.LIBRARIES[library] for library in sizes)], lines)


#: What the growing figures are called, what they are multiplied with, and to which digit.
FIGURES = {
    "seconds": ("ns a promise", 1e9),
    "without collector": ("ns a promise, collector off", 1e9),
    "bytes": ("bytes a promise", 1),
}


def growth_table(growth: Results, figure: str) -> str:
    """A figure for one promise of few to many, and how far the largest is from the smallest."""
    title, factor = FIGURES[figure]
    found = {name: each[figure] for name, each in growth.items() if figure in each}
    sizes = next(iter(found.values()))
    lines = [
        [
            name,
            *(f"{value * factor:.0f}" for value in by_size.values()),
            f"{max(by_size.values()) / min(by_size.values()) - 1:.0%}",
        ]
        for name, by_size in found.items()
    ]
    return table([title, *(f"{int(size):,}" for size in sizes), "within"], lines)


def tables(results: Results) -> dict[str, str]:
    """What belongs between the comments of the page, by name."""
    found = {
        scenario: f"{_picture(scenario)}\n\n{scenario_table(measured, targets=False)}"
        for scenario, measured in by_scenario(results)
    }
    if "operations" in results:
        found["operations"] = operations_table(results["operations"])
    if "sizes" in results:
        found["sizes"] = sizes_table(results["sizes"])
    if "growth" in results:
        found["growth"] = "\n\n".join(
            [
                _picture("growth"),
                *(growth_table(results["growth"], figure) for figure in FIGURES),
            ]
        )
    machine = [*told(results["machine"]), told_settings(results)]
    found["machine"] = "\n".join(f"- {line}" for line in machine)
    return found


def _picture(name: str) -> str:
    return f"![The table as a chart.](performance/{name}.svg)"


def filled(page: str, found: dict[str, str]) -> str:
    """The page with the tables in their places.

    Raises:
        ValueError: There is no place for a table.
    """
    for name, text in found.items():
        pattern = rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)"
        page, places = re.subn(
            pattern, lambda place, text=text: f"{place[1]}{text}\n{place[2]}", page, flags=re.DOTALL
        )
        if places != 1:
            raise ValueError(f"{places} places for {name!r} in the page")
    return page
