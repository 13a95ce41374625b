"""Tables and pictures for the documentation: `python -m benchmarks.pictures results.json`.

The tables go into docs/performance.md, between the comments that name them; the pictures, drawn
by matplotlib, into docs/performance/.  Whatever was not measured stays as it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from . import report
from .machine import ROOT

PAGE = ROOT / "docs" / "performance.md"
OURS, THEIRS = "#2a7f62", "#9aa5b1"


def _plain(title: str) -> str:
    return title.replace("*", "").replace("`", "")


def draw_scenario(measured: list[report.Measured]) -> Figure:
    """Bars of time, memory and objects, as ratios to what the rows are compared with."""
    titles = [_plain(each.row.title) for each in measured]
    colours = [OURS if "**" in each.row.title else THEIRS for each in measured]
    spread = [
        [each.time_ratio - min(each.ratios) for each in measured],
        [max(each.ratios) - each.time_ratio for each in measured],
    ]
    panels = [
        ("time", [each.time_ratio for each in measured], spread),
        ("memory", [each.memory_ratio or 0 for each in measured], None),
    ]
    figure = Figure(figsize=(9, 0.6 + 0.32 * len(measured)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, (what, ratios, errors) in zip((left, right), panels, strict=True):
        bars = axes.barh(titles, ratios, xerr=errors, color=colours, error_kw={"elinewidth": 0.8})
        axes.bar_label(bars, [f" {ratio:.2f}" for ratio in ratios], fontsize=8)
        axes.margins(x=0.15)
        axes.axvline(1, color="black", linewidth=0.6)
        _bare(axes, f"{what}, as a ratio")
    left.invert_yaxis()
    return figure


def draw_growth(growth: dict[str, Any]) -> Figure:
    """Lines of nanoseconds and bytes for one promise, over how many there are."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels: Iterable[Any] = figure.subplots(1, 3)
    for axes, (key, (title, factor)) in zip(panels, report.FIGURES.items(), strict=True):
        for index, (name, by_figure) in enumerate(growth.items()):
            if key in by_figure:
                sizes = [int(size) for size in by_figure[key]]
                values = [value * factor for value in by_figure[key].values()]
                # The same colour in each panel, also where one has no line.
                line = {"color": f"C{index}", "marker": "o", "markersize": 3}
                axes.plot(sizes, values, label=name, **line)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        _bare(axes, title)
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure


def _bare(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a picture that is the same each time it is drawn of the same figures."""
    path.parent.mkdir(exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "twpromise"}):
        figure.savefig(path, metadata={"Date": None})
    # It ends some lines in blanks.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def main() -> None:
    """Draw what was measured, and fill the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("results", type=Path, help="what `python -m benchmarks --json` wrote")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to fill")
    options = parser.parse_args()
    results = json.loads(options.results.read_text())
    folder = options.page.with_suffix("")
    for scenario, measured in report.by_scenario(results):
        save(draw_scenario(measured), folder / f"{scenario}.svg")
    if "growth" in results:
        save(draw_growth(results["growth"]), folder / "growth.svg")
    page = options.page.read_text()
    options.page.write_text(report.filled(page, report.tables(results)))


if __name__ == "__main__":
    main()
