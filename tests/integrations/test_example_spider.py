"""The page *With scrapy*: its spider, which crawls the site that it serves."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integrations.pages import paste

PAGE = "with-scrapy.md"
FOUND = "[('emma', 4), ('persuasion', 10)]"


@pytest.fixture
def run(run_python: Callable[..., str], tmp_path: Path) -> Callable[..., list[str]]:
    """Runs the page's program, with some of it replaced."""

    def run(*edits: tuple[str, str]) -> list[str]:
        paste(PAGE, tmp_path)
        text = (tmp_path / "spider.py").read_text()
        for before, after in edits:
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "spider.py").write_text(text)
        return run_python("-W", "always", "spider.py").splitlines()

    return run


def about_promises(lines: list[str]) -> list[str]:
    """The warnings and errors that the spider's own file causes."""
    return [line for line in lines if re.search("Pipeline|Spider|Traceback|Error", line)]


def test_it_crawls(run: Callable[..., list[str]]) -> None:
    """Three books are found, by few questions for prices; the empty one is dropped."""
    lines = run()
    assert FOUND == lines[-1]
    questions = [line for line in lines if line.startswith("asked for the prices of")]
    assert 3 == sum(int(line.rpartition(" ")[2]) for line in questions)
    assert [] == about_promises(lines)


def test_a_price_that_takes_too_long(run: Callable[..., list[str]]) -> None:
    """The callback fails, which scrapy logs; the spider ends."""
    edits = (("Promise.delay(0.1)", "Promise.delay(60)"), ("timeout(5)", "timeout(0.1)"))
    lines = run(*edits)
    assert "[]" == lines[-1]
    assert 3 == sum("operation timed out" in line for line in lines)


def test_a_pipeline_that_returns_a_promise(run: Callable[..., list[str]]) -> None:
    """The trap of the page: it works, with a warning where promises are installed."""
    lines = run(
        ("PAGES = {", "import twpromise\n\ntwpromise.install()\nPAGES = {"),
        ("async def process_item", "def process_item"),
        (
            "await Promise.in_thread(self._database.execute, insert, item)\n        return item",
            "return Promise.in_thread(self._database.execute, insert, item).return_(item)",
        ),
    )
    assert FOUND == lines[-1]
    assert any("process_item returned a Deferred, this is deprecated" in line for line in lines)


def test_a_reactor_that_is_imported_at_the_top(run: Callable[..., list[str]]) -> None:
    """The trap of the page: scrapy refuses to run on it."""
    lines = run(("import sqlite3\n", "import sqlite3\nfrom twisted.internet import reactor\n"))
    assert any("does not match the requested one" in line for line in lines)
