"""Draws the states of a promise from the table in `twpromise/_core/states.py`.

python docs/draw_states.py           # prints the picture
python docs/draw_states.py --write   # puts it into docs/architecture.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from twpromise._core.states import TRANSITIONS

PAGE = Path(__file__).with_name("architecture.md")
BEGIN, END = "<!-- states: begin -->\n", "<!-- states: end -->\n"


def picture() -> str:
    """One block for each phase: an arrow for each event, to the phase that it leads to."""
    phases = list(dict.fromkeys(phase for phase, _ in TRANSITIONS))
    width = max(map(len, phases))
    events = max(len(event.value) for _, event in TRANSITIONS)
    lines = ["```text"]
    for phase in phases:
        rows = [(event, to) for (start, event), to in TRANSITIONS.items() if start == phase]
        for number, (event, to) in enumerate(rows):
            name = phase if number == 0 else ""
            corner = "+" if len(rows) > 1 else "-"
            dashes = "-" * (events - len(event.value) + 2)
            lines.append(f"{name:{width}} {corner}- {event.value} {dashes}> {to}")
        lines.append("")
    lines[-1] = "```"
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """The page with the picture of today."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
    else:
        sys.stdout.write(picture())
