"""Random programs, run by `Promise` and by the reference: all that can be seen is the same.

The same programs are tried every time: some 200, and 10,200 more with `-m exhaustive`.  With
`TWPROMISE_TEST_LONG=1`, `-m exhaustive` tries many more of them, others each time, and prints what
was tried.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogEvent, globalLogPublisher

from tests.model.model import Model
from tests.model.program import LIMIT, Side
from tests.model.real import Real
from tests.model.steps import STEPS
from twpromise._methods import deadline
from twpromise.testing import ManualScheduler

LONG = bool(os.environ.get("TWPROMISE_TEST_LONG"))
#: How many programs of each kind hypothesis draws, which prefers few kinds of steps and shows the
#: smallest that fails.
PROGRAMS = [15, pytest.param(5_000 if LONG else 200, marks=pytest.mark.exhaustive)]
#: How many are drawn evenly.
DRAWN = [20, pytest.param(20_000 if LONG else 1500, marks=pytest.mark.exhaustive)]
#: How many steps a program has at most.
STEPS_AT_MOST = 60

#: What every program ends with.
END = [("turn", 0), ("wait", 3), ("turn", 0), ("loop", 0), ("turn", 0)]
REPORTS = ("unhandled", "handled after all")


class Sliced(ManualScheduler):
    """Every drain stops as soon as it looks at the clock, and goes on in another turn."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = 0

    def timer(self) -> float:
        """A clock that has moved at each look."""
        self.looked += 1
        return float(self.looked)

    def flush(self) -> None:
        """Timers are due between two flushes, and not between two turns of one."""
        self.clock.advance(0)
        while self._calls:
            while self._calls:
                self._calls.popleft()()
            self.clock.advance(0)


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout waits for all that is queued, though slices are as short as one job."""
    monkeypatch.setattr(deadline, "TURNS", 1000)


def _numbers() -> Any:
    # Not `integers`, which prefers the small ones.
    size = (LIMIT.bit_length() - 1) // 8
    return st.binary(min_size=size, max_size=size).map(lambda each: int.from_bytes(each, "little"))


_steps = st.tuples(st.sampled_from(list(STEPS)), _numbers())
# Not `lists` of any length, which prefers the short ones.
programs = st.integers(1, STEPS_AT_MOST).flatmap(
    lambda length: st.lists(_steps, min_size=length, max_size=length)
)


def run(
    program: list[tuple[str, int]],
    scheduler: ManualScheduler,
    watched: bool,
    counts: Counter[str],
) -> None:
    """Run a program on both sides, and compare them after each step."""
    real, model = Real(scheduler, watched), Model()
    sliced = isinstance(scheduler, Sliced)

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "twpromise":
            real.logged(event)

    def log(side: Side) -> list[Any]:
        # At the end of which turn something is reported depends on where turns end.
        return [each for each in side.log if not (sliced and each[0] in REPORTS)]

    counts["programs"] += 1
    globalLogPublisher.addObserver(observe)
    try:
        for name, number in [*program, *END]:
            for side in model, real:
                side.step(name, number)
            assert log(model) == log(real)
            assert model.look() == real.look()
            counts["steps"] += 1
    finally:
        globalLogPublisher.removeObserver(observe)
        real.close()
        real.over = model.over = True
        for deferred in (*real.deferreds, *model.deferreds):
            # Coroutines that were not adopted do not count.
            deferred.addErrback(lambda _: None)
    counts["promises"] += len(real.promises)
    counts["handlers called"] += sum(each[0] == "handler" for each in real.log)
    counts["coroutines"] += len(real.generators)
    counts["steps of coroutines"] += sum(each[0] in ("sent", "thrown") for each in real.log)
    ends = {each[1]: each[2][0] for each in real.log if each[0] == "ends"}
    counts["coroutines that were cancelled"] += sum(
        name in ("GeneratorExit", "CancellationError") for name in ends.values()
    )
    counts["waits of generators that clean up after GeneratorExit"] += sum(
        each[0] == "cleans up" and ends.get(each[1]) == "GeneratorExit" for each in real.log
    )
    counts["rejections reported"] += sum(each[0] == "unhandled" for each in real.log)
    counts["releases"] += sum(each[0] == "release" for each in real.log)
    counts["releases that failed"] += sum(each[0] == "fatal" for each in real.log)
    counts["releases after a cancellation"] += sum(
        each[0] == "release" and each[3][1] == "cancelled" for each in real.log
    )
    counts["futures"] += len(real.futures)
    counts["cancelled"] += sum(real.state(each)[0] == "cancelled" for each in real.promises)


KINDS: dict[str, tuple[type[ManualScheduler], bool]] = {
    "whole turns": (ManualScheduler, False),
    "slices": (Sliced, False),
    "watched": (ManualScheduler, True),
}


def print_counts(counts: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Print what was tried."""
    if LONG:
        with capsys.disabled():
            print("\nrandom programs:", *(f"{value} {key}," for key, value in counts.items()))


def trying(
    kind: str, context: Context, counts: Counter[str], reports: list[LogEvent]
) -> Callable[[list[tuple[str, int]]], None]:
    """What tries a program of one of the kinds."""
    scheduler, watched = KINDS[kind]

    def try_out(program: list[tuple[str, int]]) -> None:
        context.copy().run(run, program, scheduler(), watched, counts)
        # They have been compared.
        reports.clear()

    return try_out


@pytest.mark.parametrize("many", PROGRAMS, ids="{} programs".format)
@pytest.mark.parametrize("kind", KINDS)
def test_programs(
    context: Context,
    kind: str,
    many: int,
    capsys: pytest.CaptureFixture[str],
    reports: list[LogEvent],
) -> None:
    """States, values, the order of handlers, reports, Deferreds, timers: after each step."""
    counts: Counter[str] = Counter()
    try_out = trying(kind, context, counts, reports)

    @settings(max_examples=many, derandomize=not LONG, deadline=None, database=None)
    @given(programs)
    def try_all(program: list[tuple[str, int]]) -> None:
        try_out(program)

    try_all()
    print_counts(counts, capsys)


#: Kinds of steps that make together what is rare else.
THEMES = (
    # Generators and coroutines that are cancelled, and clean up.
    ("new", "new_deferred", "fire", "resolve", "coroutine", "coroutine", "stop", "stop", "turn"),
    # Chains of followers, some without other consumers.
    ("follow", "follow", "follow", "aside", "cancel", "turn"),
    ("follow", "follow", "follow", "follow", "attach", "aside", "resolve", "turn"),
    # Resources that come, are used, and go, or are cancelled meanwhile.
    ("new", "resolve", "new_deferred", "fire", "using", "using", "cancel", "turn"),
    # The same, of what handlers make, which may wait for itself.
    ("follow", "attach", "attach", "using", "cancel", "turn"),
    # What is shielded and watched, and what collections leave.
    ("new", "resolve", "reject", "follow", "shield", "shield", "watch", "attach", "cancel", "turn"),
    ("new", "reject", "ready", "aside", "several", "map", "watch", "cancel", "turn"),
    # What waits for a slot of a limiter, and what has one, cancelled and timed out.
    ("limit", "limited", "limited", "limited", "new", "resolve", "reject", "cancel", "turn"),
    ("limited", "limited", "using", "aside", "timeout", "cancel", "wait", "turn", "attach"),
    # What was started in groups, which fail or are left.
    ("new_group", "start", "start", "wait_group", "cancel", "new", "resolve", "reject", "turn"),
    ("start", "start", "wait_group", "cancel_group", "aside", "watch", "attach", "cancel", "turn"),
    ("new", "start", "start", "wait_group", "wait", "turn"),
)


def drawn(seed: int) -> list[tuple[str, int]]:
    """A program of all kinds of steps, evenly; or of some of them, so that more comes of each."""
    random = Random(seed)
    kinds = list(STEPS)
    if seed % 4 == 0:
        kinds = list(random.choice(THEMES))
    elif seed % 2:
        share = random.choice((0.15, 0.4))
        kinds = [kind for kind in kinds if random.random() < share]
        # Without these, little would happen.
        kinds += ["new", "resolve", "turn"]
    length = random.randint(1, STEPS_AT_MOST)
    return [(random.choice(kinds), random.randrange(LIMIT)) for _ in range(length)]


def shortest(
    program: list[tuple[str, int]], fails: Callable[[list[tuple[str, int]]], bool]
) -> list[tuple[str, int]]:
    """A program that fails as well, of which no step can be left out."""
    index = len(program)
    while index:
        index -= 1
        shorter = program[:index] + program[index + 1 :]
        if fails(shorter):
            program, index = shorter, len(shorter)
    return program


@pytest.mark.parametrize("many", DRAWN, ids="{} programs".format)
@pytest.mark.parametrize("kind", KINDS)
def test_programs_drawn_evenly(
    context: Context,
    kind: str,
    many: int,
    capsys: pytest.CaptureFixture[str],
    reports: list[LogEvent],
) -> None:
    """The same, of steps each of which is as likely as the others."""
    counts: Counter[str] = Counter()
    try_out = trying(kind, context, counts, reports)

    def fails(program: list[tuple[str, int]]) -> bool:
        try:
            try_out(program)
        except Exception:
            return True
        return False

    first = Random().getrandbits(32) if LONG else many * list(KINDS).index(kind)
    for seed in range(first, first + many):
        program = drawn(seed)
        if fails(program):
            try_out(shortest(program, fails))
            pytest.fail(f"the program {seed} fails only the first time")
    print_counts(counts, capsys)


def test_shortest_programs() -> None:
    """The shortest failing program is printed, and nothing else."""
    program = [("new", 0), ("turn", 1), ("resolve", 2), ("turn", 3), ("new", 4)]
    found = shortest(program, lambda each: {("turn", 1), ("new", 4)} <= set(each))
    assert [("turn", 1), ("new", 4)] == found
