"""README.md, the documentation, the changelog and docstrings use the words of the field."""

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


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted((ROOT / "twpromise").rglob("*.py"))


def riddles(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if _RIDDLES.search(line)]


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.stem)
def test_pages(page: Path) -> None:
    """Pages say who does what."""
    assert [] == riddles(page.read_text())


def test_docstrings() -> None:
    """So do the docstrings of the package."""
    found = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := [line for doc in _docstrings(path) for line in riddles(doc)])
    }
    assert {} == found
