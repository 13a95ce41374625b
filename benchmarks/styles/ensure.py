"""`async def` functions that await Deferreds, driven by Twisted."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from .awaiting import insert_with, upload_with
from .deferreds import adapt

__all__ = ["adapt", "doxbee", "parallel"]


def _driven(function, score):
    start = Deferred.fromCoroutine
    completed, failed = score.completed, score.failed
    return lambda transaction: start(function(transaction)).addCallbacks(completed, failed)


def doxbee(query, score):
    return _driven(upload_with(query, score), score)


def parallel(query, score):
    def gather(deferreds):
        return gatherResults(deferreds, consumeErrors=True)

    return _driven(insert_with(query, score, gather), score)
