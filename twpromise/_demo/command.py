"""The command line: arguments, the reactor, and the exit status."""

from __future__ import annotations

import platform
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from time import perf_counter
from typing import Any, NoReturn

import twisted
from twisted.internet.task import deferLater, react

from .driver import BadDriver, Driver, load_driver, parse_arguments
from .report import Report
from .steps import STEPS
from .tour import Interrupted, Tour

__all__ = ["main"]

_PROGRAM = "python -m twpromise"

_DESCRIPTION = """\
Starts a small HTTP service on loopback, its data in a database, and is its own client:
the Deferreds of twisted.web's Agent, adbapi and deferToThread become promises, which fan
out, recover and are handed back as Deferreds.  Prints each step, and cleans up."""

_EPILOG = f"""\
examples:
  {_PROGRAM}
  {_PROGRAM} --database psycopg --connect "host=127.0.0.1 dbname=test user=me"

Exit status: 0 if all steps did what they should, 1 if one did not, 2 if an argument is
bad, 130 if it was interrupted."""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print in one line what is wrong, and exit."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the job.

    Args:
        arguments: What was given on the command line; that of the process by default.

    Raises:
        SystemExit: Always; see ``--help`` for its status.
    """
    driver = _parse(arguments)
    react(_run, (driver,))


def _parse(arguments: Sequence[str] | None) -> Driver:
    parser = _Parser(
        prog=_PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--database",
        metavar="MODULE",
        default="sqlite3",
        help="the DB-API module that holds the data: sqlite3 (the default), psycopg, ...",
    )
    parser.add_argument(
        "--connect",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="arguments of the module's connect(), quoted as in a shell; whole numbers are "
        "passed as such (default: none; for sqlite3, a file in a temporary folder)",
    )
    options = parser.parse_args(arguments)
    try:
        connect = parse_arguments(options.connect)
    except ValueError as error:
        parser.error(f"argument --connect: {error}")
    try:
        return load_driver(options.database, connect)
    except BadDriver as error:
        parser.error(f"argument --database: {error}")


async def _run(reactor: Any, driver: Driver) -> None:
    # From here on the reactor runs.
    await deferLater(reactor, 0)
    started = perf_counter()
    report = Report(sys.stdout)
    report.line(
        f"twpromise on Twisted {twisted.__version__}, Python {platform.python_version()}, "
        f"{driver.name}\n"
    )
    tour = Tour(driver, report, reactor)
    reactor.addSystemEventTrigger("before", "shutdown", tour.interrupt)
    try:
        failures = await tour.run(STEPS)
    except Interrupted:
        print(f"{_PROGRAM}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    if failures:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in failures.items())
        print(f"{_PROGRAM}: {len(failures)} failed: {reasons}", file=sys.stderr)
        raise SystemExit(1)
    report.line(f"\nAll did what they should, in {perf_counter() - started:.1f} s.")
