"""Generators and `async def` functions, driven by our promises."""

from __future__ import annotations

from twpromise import Promise

from ..database import QueryError
from ..request import PATH, RESULT, WIDTH, new_file, new_version
from . import awaiting
from .chains import adapt, started

__all__ = ["adapt", "awaiting_doxbee", "awaiting_parallel", "doxbee", "parallel"]


def upload_with(coroutine, query, score):
    """The upload, by whatever drives generators."""
    roll_back = score.roll_back

    @coroutine
    def upload(transaction, path=PATH):
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

    return upload


def insert_with(coroutine, query, score, gather):
    roll_back = score.roll_back

    @coroutine
    def insert(transaction):
        try:
            yield gather(
                [query(transaction, "insert file version", index) for index in range(WIDTH)]
            )
            yield query(transaction, "commit", None)
        except QueryError:
            roll_back(transaction)
            raise
        return RESULT

    return insert


def doxbee(query, score):
    return started(upload_with(Promise.coroutine, query, score), score)


def parallel(query, score):
    return started(insert_with(Promise.coroutine, query, score, Promise.all), score)


def awaiting_doxbee(query, score):
    return started(Promise.coroutine(awaiting.upload_with(query, score)), score)


def awaiting_parallel(query, score):
    return started(Promise.coroutine(awaiting.insert_with(query, score, Promise.all)), score)
