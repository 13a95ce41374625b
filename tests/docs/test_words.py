"""The documentation, docstrings and messages use the words of the field."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Metaphors, and words behind which a name is missing: each was a riddle to some reader.
_RIDDLES = re.compile(
    r"\b(told|tells? of|whoever|whatever comes|nobody|somebody|lets? go of|letting go of"
    r"|passe[sd] over|rooms?(?! for)|front door|beats?|for ever|the one who|comes? to nothing"
    r"|its turn)\b",
    re.IGNORECASE,
)


def _strings(path: Path) -> Iterator[str]:
    """Docstrings, messages, and what else is a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


TEXTS = [
    path
    for pattern in ("*.md", "changes/README.md", "docs/*.md", "examples/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]
MODULES = [ROOT / "pytest_twpromise.py", *sorted((ROOT / "twpromise").rglob("*.py"))]


def riddles(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if _RIDDLES.search(line)]


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages(page: Path) -> None:
    """Pages say who does what."""
    assert [] == riddles(page.read_text())


def test_strings() -> None:
    """So do the docstrings and the messages of the package."""
    found = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := [line for text in _strings(path) for line in riddles(text)])
    }
    assert {} == found
