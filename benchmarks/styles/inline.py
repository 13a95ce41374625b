"""Generators that yield Deferreds: `inlineCallbacks`."""

from __future__ import annotations

from twisted.internet.defer import gatherResults, inlineCallbacks

from ..database import QueryError
from ..request import PATH, RESULT, WIDTH, new_file, new_version
from .deferreds import adapt

__all__ = ["adapt", "doxbee", "parallel"]


def doxbee(query, score):
    roll_back = score.roll_back
    completed, failed = score.completed, score.failed

    @inlineCallbacks
    def upload(transaction, path):
        try:
            blob = yield query(transaction, "put blob", path)
            file = yield query(transaction, "select file", path)
            version = new_version(blob, file)
            yield query(transaction, "insert version", version)
            if file is None:
                file = new_file(path, version)
                insertion = yield query(transaction, "create query", path)
                yield query(transaction, insertion, file)
            yield query(transaction, "insert file version", version)
            yield query(transaction, "update file", version)
            yield query(transaction, "commit", None)
        except QueryError:
            roll_back(transaction)
            raise
        return version["id"]

    return lambda transaction: upload(transaction, PATH).addCallbacks(completed, failed)


def parallel(query, score):
    roll_back = score.roll_back
    completed, failed = score.completed, score.failed

    @inlineCallbacks
    def insert(transaction):
        try:
            yield gatherResults(
                [query(transaction, "insert file version", index) for index in range(WIDTH)],
                consumeErrors=True,
            )
            yield query(transaction, "commit", None)
        except QueryError:
            roll_back(transaction)
            raise
        return RESULT

    return lambda transaction: insert(transaction).addCallbacks(completed, failed)
