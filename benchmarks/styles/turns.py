"""One query at a time, each in a reactor turn of its own: nothing to share a turn's cost with."""

from __future__ import annotations

from twisted.internet.defer import inlineCallbacks

from twpromise import Promise

from ..request import RESULT

#: Queries of one request; there is only one request at a time.
QUERIES = 10


def _queries(query, transaction):
    for _ in range(QUERIES):
        yield query(transaction, "select file", None)
    return RESULT


def inline(query, score):
    completed, failed = score.completed, score.failed
    run = inlineCallbacks(_queries)
    return lambda transaction: run(query, transaction).addCallbacks(completed, failed)


def coroutine(query, score):
    completed, failed = score.completed, score.failed
    run = Promise.coroutine(_queries)
    return lambda transaction: run(query, transaction).then(completed, failed)
