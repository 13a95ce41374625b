"""Runs the examples in README.md, in docs/ and in the package's docstrings.

Examples find `Promise`, `scheduler` and `clock` ready: promises settle when the example
says `scheduler.flush()`, and time passes when it says `scheduler.advance(seconds)`.
An example that cannot run has `<!-- skip: next -->` on the line before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from typing import Any

from sybil import Document, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers import myst, rest
from sybil.parsers.abstract.lexers import BlockLexer

from twpromise import Promise
from twpromise.testing import ManualScheduler

_FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE

_literal_examples = BlockLexer(
    start_pattern=re.compile(r"^(?P<prefix>[ \t]*)Examples?::\n", re.MULTILINE),
    end_pattern_template=r"\n?\Z|\n[ \t]{{0,{len_prefix}}}(?=\S|\Z)",
)
_evaluate = PythonEvaluator()


def _parse_literal_examples(document: Document) -> Iterator[Region]:
    """The blocks that a docstring introduces with `Example::`."""
    for region in _literal_examples(document):
        source = region.lexemes["source"].strip_leading_newlines()
        if not source.startswith(">>>"):
            region.parsed, region.evaluator = source, _evaluate
            yield region


def _setup(namespace: dict[str, Any]) -> None:
    scheduler = ManualScheduler()
    namespace.update(Promise=Promise, scheduler=scheduler, clock=scheduler.clock)
    namespace["_previous_scheduler"] = Promise.set_scheduler(scheduler)


def _teardown(namespace: dict[str, Any]) -> None:
    Promise.set_scheduler(namespace["_previous_scheduler"])


pytest_collect_file = (
    Sybil(
        parsers=[myst.PythonCodeBlockParser(doctest_optionflags=_FLAGS), myst.SkipParser()],
        pattern="*.md",
        setup=_setup,
        teardown=_teardown,
    )
    + Sybil(
        parsers=[
            rest.DocTestParser(optionflags=_FLAGS),
            _parse_literal_examples,
            rest.SkipParser(),
        ],
        path="twpromise",
        pattern="*.py",
        setup=_setup,
        teardown=_teardown,
    )
).pytest()
