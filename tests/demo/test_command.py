"""`python -m twpromise`, as a user runs it: what it prints, and how it exits."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import twpromise
from twpromise._demo.command import main
from twpromise._demo.steps import STEPS

ROOT = Path(twpromise.__file__).parent.parent
NAMES = [*(step.name for step in STEPS), "cleanup", "leftovers"]
POSTGRESQL = "TWPROMISE_TEST_POSTGRESQL"


def run_below(folder, *arguments, **environment):
    """Run the job to its end; its temporary folder is below *folder*, and empty then."""
    temporary = folder / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "twpromise", *arguments],
        cwd=ROOT,
        env=dict(os.environ, TMPDIR=str(temporary), PYTHONUTF8="1", **environment),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        # It is ignored in what shells run in the background, and in the children of that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert [] == os.listdir(temporary)
    return done


@pytest.fixture
def run(tmp_path):
    """Runs the job with arguments."""
    return partial(run_below, tmp_path)


def rows(output):
    """The steps in an output: (mark, name, text)."""
    row = re.compile(r" ([✓✗+x]) (.{13})  (.*?) +[0-9.]+ m?s")
    return [
        (found[1], found[2].rstrip(), found[3])
        for found in map(row.fullmatch, output.split("\n"))
        if found
    ]


def tables(database):
    """The tables in a file of SQLite's."""
    connection = sqlite3.connect(database)
    try:
        return connection.execute("SELECT name FROM sqlite_master").fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """One run without arguments, which several tests look at."""
    return run_below(tmp_path_factory.mktemp("plain"))


def test_every_step_does_what_it_should(plain):
    """Without arguments: a heading, a tick for each step in order, a summary, and status 0."""
    heading, _, *middle, _, summary, end = plain.stdout.split("\n")
    assert ("", 0) == (plain.stderr, plain.returncode)
    assert re.fullmatch(r"twpromise on Twisted \S+, Python \S+, sqlite3", heading)
    assert [("✓", name) for name in NAMES] == [row[:2] for row in rows("\n".join(middle))]
    assert len(NAMES) == len(middle)
    assert re.fullmatch(r"All did what they should, in [0-9.]+ s\.", summary)
    assert "" == end


def test_the_rows_are_aligned(plain):
    """Each row is as wide as the others, and fits a terminal of 80 columns."""
    widths = {len(line) for line in plain.stdout.split("\n") if rows(line)}
    assert 1 == len(widths)
    assert max(widths) <= 80


def test_what_a_row_tells(plain):
    """Rows say what was done: requests at once, what came in place of what failed or hung."""
    text = {name: text for _, name, text in rows(plain.stdout)}
    assert "12 books" in text["adbapi"]
    assert re.search(r"http://127\.0\.0\.1:\d+/", text["twisted.web"])
    assert re.search(r"12 requests, at most [1-4] at once", text["map"])
    assert "503" in text["catch"]
    assert "0.2 s" in text["timeout"]


def test_a_terminal_that_knows_no_ticks(run):
    """Where the encoding of the output has no ticks, there are other marks."""
    done = run(PYTHONIOENCODING="ascii")
    assert ("", 0) == (done.stderr, done.returncode)
    assert [("+", name) for name in NAMES] == [row[:2] for row in rows(done.stdout)]


@pytest.mark.parametrize(
    "arguments",
    [
        "--database sqlite3",
        "--database sqlite3 --connect database=:memory: isolation_level=DEFERRED",
        "--connect cached_statements=10 --connect 'timeout=5 uri=1'",
    ],
)
def test_sqlite_explicitly(run, arguments):
    """The default database can be named, and its arguments given."""
    done = run(*shlex.split(arguments))
    assert ("", 0) == (done.stderr, done.returncode)
    assert NAMES == [name for _, name, _ in rows(done.stdout)]


def test_an_existing_database_is_left_unchanged(run, tmp_path):
    """A database file that was given is used, stays, and has no table more than before."""
    database = tmp_path / "mine.sqlite"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE mine (id INTEGER)")
    connection.commit()
    connection.close()
    done = run("--connect", f"database={database}")
    assert ("", 0) == (done.stderr, done.returncode)
    assert [("mine",)] == tables(database)


def test_help(run):
    """--help names the arguments and the exit status, and exits with 0."""
    done = run("--help")
    assert ("", 0) == (done.stderr, done.returncode)
    for expected in ("--database", "--connect", "psycopg", "Exit status"):
        assert expected in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--database no_such_module", "argument --database: cannot import 'no_such_module': No"),
        ("--database ''", "argument --database: cannot import ''"),
        ("--database .relative", "argument --database: cannot import '.relative'"),
        ("--database json", "argument --database: 'json' is no DB-API module"),
        ("--database", "argument --database: expected one argument"),
        ("--connect", "argument --connect: expected at least one argument"),
        ("--connect mydatabase", "argument --connect: expected name=value, not 'mydatabase'"),
        ("--connect =3", "argument --connect: expected name=value, not '=3'"),
        ("--connect '\"a=3'", "argument --connect: No closing quotation"),
        ("--connect bogus=1", "argument --database: cannot connect with 'sqlite3': "),
        ("--connect database=/no/such/folder/x", "cannot connect with 'sqlite3': unable to open"),
        ("--connect cp_max=3", "argument --database: cannot connect with 'sqlite3': "),
        ("--bogus", "unrecognized arguments: --bogus"),
        ("--data sqlite3", "unrecognized arguments: --data sqlite3"),
        ("more", "unrecognized arguments: more"),
    ],
)
def test_bad_arguments(capsys, arguments, reason):
    """A bad argument gets one line that says why, and status 2; nothing is started."""
    with pytest.raises(SystemExit) as exited:
        main(shlex.split(arguments))
    output, errors = capsys.readouterr()
    assert ("", 2) == (output, exited.value.code)
    assert re.fullmatch(r"python -m twpromise: error: .+\n", errors)
    assert reason in errors


def test_a_bad_argument_in_a_process(run):
    """The same when it is run as users do: the line goes to stderr."""
    done = run("--database", "no_such_module")
    expected = "error: argument --database: cannot import 'no_such_module': No module named"
    assert ("", 2) == (done.stdout, done.returncode)
    assert re.fullmatch(rf"python -m twpromise: {expected} 'no_such_module'\n", done.stderr)


def test_a_step_that_fails(run, tmp_path):
    """Its row has a cross and the reason, the others are tried, and the status is 1."""
    database = tmp_path / "faulty.sqlite"
    done = run(
        *("--database", "tests.demo.faulty"),
        *("--connect", f"database={database} at='WHERE id' fault=failure"),
    )
    assert 1 == done.returncode
    assert NAMES == [name for _, name, _ in rows(done.stdout)]
    failed = {name: text for mark, name, text in rows(done.stdout) if mark != "✓"}
    assert ["Agent", "map", "any"] == list(failed)
    assert "ServiceError: status 500: internal server error" == failed["Agent"]
    assert re.fullmatch(
        r"python -m twpromise: 3 failed: "
        r"Agent \(ServiceError: status 500: internal server error\); "
        r"map \(.+\); any \(AggregateError: .+\)\n",
        done.stderr,
    )
    assert "All did" not in done.stdout
    assert [] == tables(database)


def test_a_step_that_the_others_need(run, tmp_path):
    """If there are no books to serve, nothing else is tried; all is cleaned up."""
    database = tmp_path / "faulty.sqlite"
    done = run(
        *("--database", "tests.demo.faulty"),
        *("--connect", f"database={database} at='SELECT COUNT' fault=failure"),
    )
    expected = [
        ("✗", "adbapi", "OperationalError: no SELECT COUNT today"),
        ("✓", "cleanup"),
        ("✓", "leftovers"),
    ]
    assert expected == [
        row[: len(want)] for row, want in zip(rows(done.stdout), expected, strict=True)
    ]
    assert "1 failed: adbapi (OperationalError: no SELECT COUNT today)" in done.stderr
    assert 1 == done.returncode
    assert [] == tables(database)


def test_an_interrupt(run, tmp_path):
    """Control-C ends the step that runs, the rest is not tried; cleaned up all the same."""
    database = tmp_path / "faulty.sqlite"
    done = run(
        *("--database", "tests.demo.faulty"),
        *("--connect", f"database={database} at='SELECT COUNT' fault=interrupt"),
    )
    assert ("python -m twpromise: interrupted\n", 130) == (done.stderr, done.returncode)
    assert ["cleanup", "leftovers"] == [name for _, name, _ in rows(done.stdout)][-2:]
    assert {"✓"} == {mark for mark, _, _ in rows(done.stdout)[-2:]}
    assert "map" not in done.stdout
    assert [] == tables(database)


@pytest.mark.skipif(
    POSTGRESQL not in os.environ,
    reason=f"no PostgreSQL: {POSTGRESQL} says how to connect (host=... dbname=... user=...)",
)
def test_postgresql(run):
    """With psycopg it is the same program: the same steps, and no table is left."""
    connect = os.environ[POSTGRESQL]
    done = run("--database", "psycopg", "--connect", connect)
    assert ("", 0) == (done.stderr, done.returncode)
    assert [("✓", name) for name in NAMES] == [row[:2] for row in rows(done.stdout)]
    with importlib.import_module("psycopg").connect(connect) as connection:
        left = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'twpromise%'"
        assert [] == connection.execute(left).fetchall()


def test_importing_the_module_runs_nothing():
    """Importing `twpromise.__main__` gives `main`, and runs nothing."""
    module = importlib.import_module("twpromise.__main__")
    assert callable(module.main)


def test_nothing_to_be_warned_about(run):
    """With all diagnostics on the job says what it says without."""
    done = run(TWPROMISE_DEBUG="1")
    assert (0, "") == (done.returncode, done.stderr)
