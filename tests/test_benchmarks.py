"""The benchmarks run; and figures that are the same on any machine hold."""

from __future__ import annotations

import dis
import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest
import twisted

from benchmarks import by_hand, child, machine, micro, report
from benchmarks.child import Waves
from benchmarks.machine import installed
from benchmarks.request import STEPS
from benchmarks.rows import BY_NAME, REACTOR, ROWS, SCENARIOS, UVLOOP, Row
from twpromise import Limiter, Promise, PromiseGroup
from twpromise.testing import ManualScheduler

ROOT = Path(__file__).parent.parent

#: What a request may cost: objects that the garbage collector looks at, calls, and instructions
#: of the package.  None of them depends on the machine; all are what they were at last, so that
#: a change which costs more says so, and one that saves some lowers them.  They are counted in an
#: empty context.
LIMITS = {
    "doxbee-chain": (33, 136, 3900),
    "doxbee-coroutine": (8, 100, 2596),
    "doxbee-await": (9, 128, 2981),
    "errors-chain": (33, 136, 3815),
    "parallel-chain": (88, 217, 6395),
    "over-doxbee-chain": (37, 104, 2640),
    "over-doxbee-coroutine": (11, 88, 1907),
    "over-parallel-chain": (139, 108, 3587),
}
#: What a single operation may cost, in the same way: instructions.
OPERATIONS = {
    "create": 175,
    "resolve": 79,
    "then": 170,
    "fanout": 223,
    "all": 361,
    "map": 612,
    "adopt": 425,
}
#: The same for a member of a group, and a call of a limiter, that takes a second.
SERVICES = {"group": 1260, "limiter": 1930}
#: Bytes of one promise; from 3.12 on, Python keeps the list of weak references in front of an
#: object, and two words for that.
PROMISE = 96 if sys.version_info >= (3, 12) else 88
#: With one handler, there is the promise for its outcome, and nothing else.
BYTES = {"pending": PROMISE, "with one handler": 2 * PROMISE, "settled": PROMISE}

limited = pytest.mark.parametrize("name", LIMITS)
untracked = pytest.mark.skipif(
    gc.is_tracked({}), reason="this Python's collector counts every dictionary"
)
same_bytecode = pytest.mark.skipif(
    "LOAD_FAST_BORROW" in dis.opmap, reason="this Python compiles to more instructions"
)


@pytest.fixture(autouse=True)
def _own_scheduler() -> Iterator[None]:
    """What runs here sets a scheduler of its own, and does not set it back."""
    with ManualScheduler():
        yield


@pytest.fixture(scope="module", autouse=True)
def _closed_loop() -> Iterator[None]:
    """The loop that futures have been run on is closed at the end."""
    yield
    micro.loop().close()
    micro.loop.cache_clear()


def need(module: str | None) -> None:
    """Skip a test where an optional module is not installed."""
    if module is not None and not installed(module):
        pytest.skip(f"{module} is not installed")


# --- figures that are the same on any machine --------------------------------------------------


@pytest.mark.exhaustive
@untracked
@limited
def test_objects(name: str) -> None:
    """A request keeps no more objects alive than it did."""
    if name.startswith("over-") and twisted.version.major < 25:
        pytest.skip("a Deferred itself consists of more objects in this Twisted")
    objects, _, _ = LIMITS[name]
    assert Context().run(by_hand.objects, BY_NAME[name]) <= objects


@pytest.mark.exhaustive
@limited
def test_calls(name: str) -> None:
    """A request makes no more calls than it did."""
    _, calls, _ = LIMITS[name]
    assert Context().run(by_hand.calls, BY_NAME[name]) <= calls


@pytest.mark.exhaustive
@same_bytecode
@limited
def test_instructions(name: str) -> None:
    """A request executes no more instructions than it did."""
    if sys.gettrace() is not None:
        pytest.skip("another tool is tracing: coverage, or a debugger")
    _, _, instructions = LIMITS[name]
    assert Context().run(by_hand.instructions, BY_NAME[name]) <= instructions


@pytest.mark.exhaustive
@same_bytecode
@pytest.mark.parametrize("operation", OPERATIONS)
def test_instructions_of_operations(operation: str) -> None:
    """An operation executes no more instructions than it did."""
    if sys.gettrace() is not None:
        pytest.skip("another tool is tracing: coverage, or a debugger")
    assert Context().run(by_hand.instructions_of, operation) <= OPERATIONS[operation]


@pytest.mark.exhaustive
@same_bytecode
@pytest.mark.parametrize("what", SERVICES)
def test_instructions_of_services(what: str) -> None:
    """A member of a group, or a call of a limiter, executes no more instructions than it did."""
    if sys.gettrace() is not None:
        pytest.skip("another tool is tracing: coverage, or a debugger")

    def count(calls: int) -> int:
        group, limiter = PromiseGroup(), Limiter(2)
        start = group.start_soon if what == "group" else limiter.run

        def run() -> None:
            for _ in range(calls):
                start(Promise.delay, 1)
            group.wait()
            for _ in range(calls):
                scheduler.advance(1)

        return by_hand.instructions_in(run).total()

    with ManualScheduler() as scheduler:
        count(10)
        assert (count(50) - count(10)) / 40 <= SERVICES[what]


@pytest.mark.exhaustive
@same_bytecode
def test_instructions_of_tracking() -> None:
    """It adds at most a quarter to a link of a chain while it is on, and nothing once it is off."""
    if sys.gettrace() is not None:
        pytest.skip("another tool is tracing: coverage, or a debugger")

    def chain(hops: int) -> int:
        """How many instructions a chain executes."""

        def run() -> None:
            promise = Promise.resolve(0)
            for _ in range(hops):
                promise = promise.then(abs)
            scheduler.flush()

        return by_hand.instructions_in(run).total()

    def link() -> int:
        chain(10)
        return (chain(1010) - chain(10)) // 1000

    with ManualScheduler() as scheduler:
        before = link()
        Promise.config(tracking=True)
        try:
            tracked = link()
        finally:
            Promise.config(tracking=False)
        assert before < tracked <= 1.25 * before
        assert before == link()


@pytest.mark.parametrize("state", micro.STATES)
def test_bytes(state: str) -> None:
    """A promise is no larger than it was."""
    assert Context().run(micro.size, "promises", state) <= BYTES[state] + 1


# --- that it runs -----------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_requests(row: Row) -> None:
    """Each program answers every request as it should."""
    need(row.requires)
    if row.loop == REACTOR:
        assert 1 == len(by_hand.run(row, 20).seconds)
    else:
        assert 2 == len(child.run(row, 20, 1, 2, count=False)["seconds"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("row", ["doxbee-asyncio", "parallel-asyncio", "errors-uvloop"])
def test_objects_on_a_loop(row: str) -> None:
    """Those of programs that no clock drives can be counted, too."""
    need("uvloop" if BY_NAME[row].loop == UVLOOP else None)
    assert 5 < child.run(BY_NAME[row], 20, 1, 1, count=True)["objects"] < 500


@pytest.mark.parametrize(
    ("operation", "library"),
    [(operation, library) for operation, found in micro.PROGRAMS.items() for library in found],
)
def test_operations(operation: str, library: str) -> None:
    """Each single operation ends."""
    need("promise" if library == "pypi" else None)
    # Each looks at its own result.
    micro.PROGRAMS[operation][library](20)()


@pytest.mark.parametrize("library", micro.LIBRARIES)
def test_size(library: str) -> None:
    """What one takes is measured for each library."""
    need("promise" if library == "pypi" else None)
    assert 50 < micro.size(library, "pending") < 1000


def cheat_with_queries(waves: Waves) -> None:
    waves.database.answered -= 1


def cheat_with_results(waves: Waves) -> None:
    waves.score.completed_right -= 1
    waves.score.completed("something else")


def cheat_with_failures(waves: Waves) -> None:
    waves.score.failed_right -= 1
    waves.score.failed(ValueError("some other failure"))


def cheat_with_transactions(waves: Waves) -> None:
    waves.database.rolled_back -= 1


@pytest.mark.parametrize(
    "cheat",
    [cheat_with_queries, cheat_with_results, cheat_with_failures, cheat_with_transactions],
)
def test_no_row_cheats(cheat: Callable[[Waves], None]) -> None:
    """A program with a wrong answer, or a missing query, is an error."""
    waves = by_hand.run(BY_NAME["errors-callbacks"], 20)
    waves.score.begin(2, lambda: None)
    cheat(waves)
    with pytest.raises(AssertionError, match=r"^errors-callbacks: "):
        waves.check(2)


def test_failures() -> None:
    """One request of ten fails, and the failures are spread over all steps."""
    waves = by_hand.run(BY_NAME["errors-chain"], 80)
    assert (144, 16, 16) == (
        waves.score.completed_right,
        waves.score.failed_right,
        waves.database.rolled_back,
    )
    # 36 is how many queries those make that fail at the first step, the second, and so on.
    assert 2 * (72 * STEPS + 36) == waves.database.answered


def test_places() -> None:
    """Whatever is measured has its place in the documentation."""
    page = (ROOT / "docs" / "performance.md").read_text()
    names = [*SCENARIOS, "machine", "operations", "sizes", "growth"]
    filled = report.filled(page, {name: f"the table of {name}" for name in names})
    assert names == sorted(re.findall("the table of (.*)", filled), key=names.index)
    assert filled == report.filled(filled, {"growth": "the table of growth"})


def test_no_place() -> None:
    """A table without a place in the page is an error."""
    with pytest.raises(ValueError, match="0 places for 'growth'"):
        report.filled("a page", {"growth": "a table"})


def run(*arguments: object) -> Any:
    """Run a command of the benchmarks in a process of its own; what it prints."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout


def test_command(tmp_path: Path) -> None:
    """One command measures what it is asked to, with what that is compared with."""
    results = tmp_path / "results.json"
    sizes = ["--rounds", 1, "--requests", 20, "--waves", 1, "--warm-ups", 1]
    printed = run("benchmarks", "--only", "doxbee-chain", *sizes, "--json", results)
    assert "2.8 / 1.75" in printed
    assert ["doxbee-callbacks", "doxbee-chain"] == list(json.loads(results.read_text())["rows"])


def test_tasks() -> None:
    """What tasks cost is measured beside tasks of asyncio's."""
    printed = run("benchmarks.tasks", "--rounds", 1, "--repeat", 1)
    assert 3 == sum(line.startswith("a promise, our task") for line in printed.splitlines())


def test_services() -> None:
    """What a limiter and a batch cost is measured beside what one would use instead."""
    printed = run("benchmarks.services", "--rounds", 1)
    assert 4 == printed.count("of the time of DeferredSemaphore")
    assert 2 == printed.count("batch, of")


def test_inspector() -> None:
    """How long the inspector takes is measured for each kind of promise that is pending."""
    printed = run("benchmarks.inspector", "--promises", 50, "--times", 1)
    assert 7 == printed.count("  pending() ") == printed.count("  page: dump ")
    assert "bytes for a promise" in printed


def test_pictures(tmp_path: Path) -> None:
    """Another draws pictures of all of it, and puts the tables into the page."""
    need("matplotlib")
    rows = {
        row.name: {
            "seconds": [[1.0, 2.0], [2.0, 3.0]],
            "collected": [1.0, 2.0],
            "memory": [1, 2],
            "objects": 1,
        }
        for row in ROWS
    }
    results = {
        "machine": machine.describe(),
        "settings": {"rounds": 2, "waves": 2, "requests": 20, "warm_ups": 1},
        "rows": rows,
        "operations": {"then": {"promises": [1e-7, 2e-7, 3e-7], "asyncio": [1e-6] * 3}},
        "sizes": {"promises": dict.fromkeys(micro.STATES, 88)},
        "growth": {"then": {figure: {"1000": 1, "10000": 2} for figure in report.FIGURES}},
    }
    page = tmp_path / "performance.md"
    page.write_text((ROOT / "docs" / "performance.md").read_text())
    (tmp_path / "results.json").write_text(json.dumps(results))
    run("benchmarks.pictures", tmp_path / "results.json", "--page", page)
    assert {f"{name}.svg" for name in (*SCENARIOS, "growth")} == {
        path.name for path in (tmp_path / "performance").iterdir()
    }
    lines = page.read_text().splitlines()
    assert 1 == sum(line.startswith("| one hop of a chain |") for line in lines)
    cells = ["callbacks", "2000", "1.00", "1.00-1.00", "37%"]
    assert any(line.split()[1:10:2] == cells for line in lines)
