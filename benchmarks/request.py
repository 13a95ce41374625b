"""What the requests of all implementations have in common: their data, and their score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .database import Database, QueryError

PATH = "documents/letters/first.txt"
#: What a request gives that went well.
RESULT = "version of blob 1"
#: Queries of one doxbee request, and of one parallel request before its commit.
STEPS = 8
WIDTH = 25


def new_version(blob: str, file: dict[str, Any] | None) -> dict[str, Any]:
    """The version of a file that is about to be stored."""
    previous = None if file is None else file["version"]
    version = {"account": 1, "blob": blob, "creator": 1, "previous": previous, "mime": "text"}
    version["id"] = "version of " + blob
    return version


def new_file(path: str, version: dict[str, Any]) -> dict[str, Any]:
    """The file itself, if there was none."""
    return {"id": 1, "account": 1, "name": path.split("/")[-1], "version": version["id"]}


class Score:
    """Counts how the requests of a wave end."""

    def __init__(self, database: Database) -> None:
        self.roll_back = database.roll_back
        self.left = 0
        self.completed_right = 0
        self.failed_right = 0
        self.wrong: list[object] = []
        self._ended: Callable[[], object] | None = None

    def begin(self, requests: int, ended: Callable[[], object]) -> None:
        """So many requests are about to be made; call *ended* when all of them have ended."""
        self.left = requests
        self._ended = ended

    def completed(self, value: object) -> None:
        """A request has ended well."""
        if value == RESULT:
            self.completed_right += 1
        else:
            self.wrong.append(value)
        self._count()

    def failed(self, error: object) -> None:
        """A request has failed; with an exception, or with a Failure of one."""
        if isinstance(getattr(error, "value", error), QueryError):
            self.failed_right += 1
        else:
            self.wrong.append(error)
        self._count()

    def done(self, error: object, value: object) -> None:
        """The same as a callback."""
        if error is None:
            self.completed(value)
        else:
            self.failed(error)

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            assert self._ended is not None
            self._ended()
