"""Runs the examples in the package's docstrings; those of the pages are tested in tests/docs.

Examples find `Promise`, `scheduler` and `clock` ready: promises settle when the example
says `scheduler.flush()`, and time passes when it says `scheduler.advance(seconds)`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from typing import Any

from sybil import Document, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers import rest
from sybil.parsers.abstract.lexers import BlockLexer

from twpromise import Promise
from twpromise.testing import ManualScheduler

# Tests, and the processes that they start, run with the defaults, whatever the environment of the
# one that runs them says.
for name in ("DEBUG", "WARNINGS", "LONG_STACK_TRACES", "W_FORGOTTEN_RETURN", "TRACKING"):
    os.environ.pop(f"TWPROMISE_{name}", None)
for name in ("PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONIOENCODING", "PYTHONWARNINGS"):
    os.environ.pop(name, None)
if sys.flags.dev_mode:
    # For library copies: they are made in this process.
    os.environ["TWPROMISE_DEBUG"] = "0"
Promise.config(warnings=False, long_stack_traces=False)

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


pytest_plugins = ["pytester"]


def _setup(namespace: dict[str, Any]) -> None:
    scheduler = ManualScheduler()
    namespace.update(Promise=Promise, scheduler=scheduler, clock=scheduler.clock)
    # An example may have a scheduler of its own.
    namespace["_scheduler"] = scheduler.__enter__()


def _teardown(namespace: dict[str, Any]) -> None:
    namespace["_scheduler"].__exit__(None, None, None)


pytest_collect_file = Sybil(
    parsers=[
        rest.DocTestParser(optionflags=_FLAGS),
        _parse_literal_examples,
    ],
    path="twpromise",
    pattern="*.py",
    setup=_setup,
    teardown=_teardown,
).pytest()
