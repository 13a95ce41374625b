"""Samples of README.md, the documentation and docstrings can be pasted into an empty file, and run.

The ``python`` blocks of a page, in their order, make one program, and the first of them alone makes
another.  A block that is a file of its own, or that needs a package which the tests do not have, is
a ``{code-block} python`` with the name of the file as its caption: it is compiled only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from twpromise import Promise
from twpromise.testing import ManualScheduler

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"^(?P<fence>`{3,})(?P<kind>python|\{code-block\} python)\n(?P<source>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_EXAMPLE = re.compile(
    r"^(?P<indent> *)Example::\n\n(?P<source>((?P=indent) +.*\n|\n)+?)(?=\n*(?P=indent)\S)",
    re.MULTILINE,
)
#: The process must not see that it is run by a test, nor the environment of its caller.
_PASSED_ON = ("PATH", "HOME", "TMPDIR")


def blocks(page: Path, kind: str) -> list[str]:
    """The blocks of one kind, each after as many empty lines as it has lines before it."""
    text = page.read_text()
    return [
        "\n" * text.count("\n", 0, found.start("source")) + found["source"]
        for found in _BLOCK.finditer(text)
        if kind == found["kind"]
    ]


def program_of(sources: list[str]) -> str:
    """The blocks as one program, in which each line has the number that it has in the page."""
    lines: list[str] = []
    for source in sources:
        lines += source.splitlines()[len(lines) :]
    return "\n".join(lines) + "\n"


def run(program: str, page: Path, folder: Path) -> None:
    # Not the name of the page alone: a file `time.py` would be imported in place of the module.
    path = folder / f"page_{page.stem.replace('-', '_')}.py"
    path.write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", path.name],
        cwd=folder,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert 0 == done.returncode, done.stdout


WITH_SAMPLES = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_SAMPLES, ids=lambda page: page.stem)
def test_samples_of_a_page(page: Path, tmp_path: Path) -> None:
    """All blocks together, and the first alone."""
    sources = blocks(page, "python")
    run(program_of(sources), page, tmp_path)
    if len(sources) > 1:
        run(program_of(sources[:1]), page, tmp_path)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "{code-block} python")],
    ids=lambda page: page.stem,
)
def test_other_files_of_a_page(page: Path) -> None:
    """They are Python, and say which file they are."""
    for source in blocks(page, "{code-block} python"):
        options, _, rest = source.strip("\n").partition("\n\n")
        assert options.startswith(":caption: ")
        compile(rest, options, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_sample_is_hidden_or_left_out(page: Path) -> None:
    """What a page shows is what runs."""
    text = page.read_text()
    assert not re.search(r"^<!-- (skip|invisible-code-block)", text, re.MULTILINE)
    assert ">>> " not in "".join(blocks(page, "python"))


def examples() -> Iterator[Any]:
    """What docstrings introduce with ``Example::``."""
    for module in sorted((ROOT / "twpromise").rglob("*.py")):
        text = module.read_text()
        found = [dedent(example["source"]) for example in _EXAMPLE.finditer(text)]
        assert len(found) == text.count(" Example::\n"), module
        for source in found:
            yield pytest.param(source, id=module.stem)


@pytest.mark.parametrize("source", list(examples()))
def test_example_of_a_docstring(source: str, scheduler: ManualScheduler) -> None:
    """It imports what it uses; its promises are fulfilled within seconds."""
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "example.py", "exec"), namespace)
    for _ in range(5):
        scheduler.advance(1)
    assert all(each.is_fulfilled() for each in namespace.values() if Promise.is_(each))
