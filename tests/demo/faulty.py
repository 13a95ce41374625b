"""A DB-API module that does not do what it should: sqlite3, with a fault at one statement."""

from __future__ import annotations

import os
import signal
import sqlite3

paramstyle = "qmark"


def connect(database, at, fault):
    """Connect to a file; a statement that has *at* in it fails, or interrupts the process."""

    class Cursor(sqlite3.Cursor):
        def execute(self, statement, *parameters):
            if at in statement:
                if fault == "interrupt":
                    os.kill(os.getpid(), signal.SIGINT)
                else:
                    raise sqlite3.OperationalError(f"no {at} today")
            return super().execute(statement, *parameters)

    class Connection(sqlite3.Connection):
        def cursor(self):
            return super().cursor(Cursor)

    return sqlite3.connect(database, check_same_thread=False, factory=Connection)
