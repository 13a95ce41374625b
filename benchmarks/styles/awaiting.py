"""`async def` functions: the same ones, with any driver and any awaitable.

Over callbacks, what a query gives is a Deferred, a promise or an asyncio future.
"""

from __future__ import annotations

from ..database import QueryError
from ..request import PATH, RESULT, WIDTH, new_file, new_version


def upload_with(query, score):
    roll_back = score.roll_back

    async def upload(transaction, path=PATH):
        try:
            blob = await query(transaction, "put blob", path)
            file = await query(transaction, "select file", path)
            version = new_version(blob, file)
            await query(transaction, "insert version", version)
            if file is None:
                file = new_file(path, version)
                insertion = await query(transaction, "create query", path)
                await query(transaction, insertion, file)
            await query(transaction, "insert file version", version)
            await query(transaction, "update file", version)
            await query(transaction, "commit", None)
        except QueryError:
            roll_back(transaction)
            raise
        return version["id"]

    return upload


def insert_with(query, score, gather):
    roll_back = score.roll_back

    async def insert(transaction):
        try:
            await gather(
                [query(transaction, "insert file version", index) for index in range(WIDTH)]
            )
            await query(transaction, "commit", None)
        except QueryError:
            roll_back(transaction)
            raise
        return RESULT

    return insert
