"""The code that a page of the documentation includes, pasted into an empty folder, and run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def paste(page: str, folder: Path) -> list[str]:
    """Put the files which `docs/<page>` includes as a whole into *folder*; gives their names.

    A page that includes a part of a file of `examples/` includes the whole file, too: what a reader
    copies from the page is then a program.
    """
    text = (ROOT / "docs" / page).read_text()
    names = []
    for source in re.findall(r"^```\{literalinclude\} (\S+)\n(?!:)", text, re.MULTILINE):
        path = ROOT / "docs" / source
        shutil.copy(path, folder / path.name)
        names.append(path.name)
    assert names, f"{page} includes no file"
    return names
