"""The rows of the tables: which program, over what, beside what, and what it is to reach."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from .machine import installed
from .request import STEPS, WIDTH
from .styles.turns import QUERIES

REACTOR, ASYNCIO, UVLOOP = "reactor", "asyncio", "uvloop"


@dataclass(frozen=True)
class Row:
    """One program: a scenario, written in one way.

    Args:
        scenario: Which table it stands in.
        style: The way, as it is called in the table and on the command line.
        program: Module of `styles`, and function in it, that start a request.
        title: What the documentation calls it.
        base: The row of the same scenario that it is compared with.
        loop: What runs it.
        requires: The optional module that it needs.
        must: The ratios to `base` that may not be passed: of time and, if given, of memory.
        aim: Those that are wanted.
    """

    scenario: str
    style: str
    program: str
    title: str
    base: str
    loop: str = REACTOR
    requires: str | None = None
    must: tuple[float, ...] = ()
    aim: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """What selects it on the command line."""
        return f"{self.scenario}-{self.style}"

    @property
    def base_name(self) -> str:
        """The name of the row that it is compared with."""
        return f"{self.scenario}-{self.base}"

    @property
    def over_deferreds(self) -> bool:
        """Whether the database hands out Deferreds, instead of taking callbacks."""
        return self.scenario.startswith("over-")

    @property
    def fails(self) -> bool:
        """Whether one request of ten fails."""
        return self.scenario == "errors"

    @property
    def one_by_one(self) -> bool:
        """Whether a request begins when the one before has ended."""
        return self.scenario == "over-turns"

    @property
    def width(self) -> int:
        """How many queries a request has under way at first."""
        return WIDTH if self.scenario.endswith("parallel") else 1

    @property
    def queries(self) -> int:
        """How many queries a request makes that does not fail."""
        if self.one_by_one:
            return QUERIES
        return WIDTH + 1 if self.scenario.endswith("parallel") else STEPS

    @property
    def missing(self) -> bool:
        """Whether the optional module that it needs is not installed."""
        return self.requires is not None and not installed(self.requires)

    def load(self):
        """Its module, and what starts one request: ``start(query, score)``."""
        module, function = self.program.split(".")
        loaded = importlib.import_module(f"benchmarks.styles.{module}")
        return loaded, getattr(loaded, function)


SCENARIOS = {
    "doxbee": "Doxbee sequential",
    "errors": "Doxbee sequential, 10 % of the requests fail",
    "parallel": "Parallel, 25 queries at once",
    "over-doxbee": "Doxbee sequential over Deferreds",
    "over-parallel": "Parallel over Deferreds",
    "over-turns": "One query a turn, over Deferreds",
}

#: Scenario and style: ratios of time and memory to the baseline, not to be passed, and wanted.
_TARGETS: dict[tuple[str, str], tuple[tuple[float, ...], tuple[float, ...]]] = {
    ("doxbee", "chain"): ((2.8, 1.75), (2.2, 1.4)),
    ("errors", "chain"): ((3.2, 1.85), (2.4, 1.5)),
    ("doxbee", "coroutine"): ((1.2, 0.85), (0.8, 0.7)),
    ("doxbee", "await"): ((1.4, 0.95), (0.9, 0.8)),
    ("parallel", "chain"): ((2.8, 1.9), (1.8, 1.43)),
    ("over-doxbee", "chain"): ((0.9,), (0.6,)),
    ("over-doxbee", "coroutine"): ((1.2,), (0.95,)),
    ("over-doxbee", "await"): ((1.2,), (0.95,)),
    ("over-parallel", "chain"): ((0.85,), (0.6,)),
    ("over-turns", "coroutine"): ((1.5,), (1.0,)),
}


def _row(scenario: str, style: str, *rest: str, **options: str) -> Row:
    must, aim = _TARGETS.get((scenario, style), ((), ()))
    return Row(scenario, style, *rest, must=must, aim=aim, **options)


def _over_callbacks(scenario: str, function: str) -> list[Row]:
    def row(style: str, module: str, title: str, prefix: str = "", **options: str) -> Row:
        program = f"{module}.{prefix}{function}"
        return _row(scenario, style, program, title, "callbacks", **options)

    return [
        row("callbacks", "callbacks", "callbacks"),
        row("chain", "chains", "**promises**"),
        row("coroutine", "coroutines", "**promises, `Promise.coroutine`**"),
        row("await", "coroutines", "**promises, `await`**", prefix="awaiting_"),
        row("bare", "bare", "promises without any feature"),
        row("barecoroutine", "bare", "the same, generators", prefix="coroutine_"),
        row("bareawait", "bare", "the same, `await`", prefix="awaiting_"),
        row("deferred", "deferreds", "Deferreds"),
        row("inlinecallbacks", "inline", "Deferreds, `inlineCallbacks`"),
        row("ensuredeferred", "ensure", "Deferreds, `await`"),
        row("asyncio", "tasks", "asyncio, `await`", loop=ASYNCIO),
        row("uvloop", "tasks", "asyncio on uvloop, `await`", loop=UVLOOP, requires="uvloop"),
        row("pypi", "pypi", "PyPI's `promise` 2.3", requires="promise"),
    ]


ROWS = [
    *_over_callbacks("doxbee", "doxbee"),
    *_over_callbacks("errors", "doxbee"),
    *_over_callbacks("parallel", "parallel"),
    _row("over-doxbee", "deferred", "deferreds.doxbee", "Deferreds", "deferred"),
    _row("over-doxbee", "chain", "chains.doxbee_over_deferreds", "**promises**", "deferred"),
    _row(
        "over-doxbee",
        "bare",
        "bare.doxbee_over_deferreds",
        "promises without any feature",
        "deferred",
    ),
    _row("over-doxbee", "inlinecallbacks", "inline.doxbee", "`inlineCallbacks`", "inlinecallbacks"),
    _row(
        "over-doxbee",
        "coroutine",
        "coroutines.doxbee",
        "**`Promise.coroutine`**",
        "inlinecallbacks",
    ),
    _row(
        "over-doxbee",
        "ensuredeferred",
        "ensure.doxbee",
        "`await`, `ensureDeferred`",
        "ensuredeferred",
    ),
    _row(
        "over-doxbee",
        "await",
        "coroutines.awaiting_doxbee",
        "**`await`, `Promise.coroutine`**",
        "ensuredeferred",
    ),
    _row("over-parallel", "deferred", "deferreds.parallel", "`gatherResults`", "deferred"),
    _row("over-parallel", "chain", "chains.parallel", "**`Promise.all`**", "deferred"),
    _row("over-turns", "inlinecallbacks", "turns.inline", "`inlineCallbacks`", "inlinecallbacks"),
    _row(
        "over-turns", "coroutine", "turns.coroutine", "**`Promise.coroutine`**", "inlinecallbacks"
    ),
]
BY_NAME = {row.name: row for row in ROWS}


def select(patterns: list[str]) -> list[Row]:
    """The rows that are named, or whose names begin so, with those that they are compared with."""
    chosen = set()
    for row in ROWS:
        if any(is_named(row.name, pattern) for pattern in patterns):
            chosen |= {row.name, row.base_name}
    return [row for row in ROWS if row.name in chosen]


def is_named(name: str, pattern: str) -> bool:
    """Whether a pattern is a name, or how it begins: its first words."""
    return name == pattern or name.startswith(pattern + "-")
