"""Bluebird's own spellings: one table."""

from __future__ import annotations

__all__ = ["ALIASES", "add_aliases"]

#: Every name of bluebird's that is spelt differently here.
ALIASES = {
    "allSettled": "all_settled",
    "asCallback": "as_callback",
    "catchReturn": "catch_return",
    "catchThrow": "catch_throw",
    "deferifyAll": "deferify_all",
    "fromCallback": "from_callback",
    "fromDeferred": "from_deferred",
    "fromNode": "from_node",
    "getNewLibraryCopy": "get_new_library_copy",
    "inThread": "in_thread",
    "isCancelled": "is_cancelled",
    "isFulfilled": "is_fulfilled",
    "isPending": "is_pending",
    "isRejected": "is_rejected",
    "longStackTraces": "long_stack_traces",
    "mapSeries": "map_series",
    "onFatal": "on_fatal",
    "onPossiblyUnhandledRejection": "on_possibly_unhandled_rejection",
    "onUnhandledRejectionHandled": "on_unhandled_rejection_handled",
    "promisifyAll": "promisify_all",
    "runIn": "run_in",
    "setRejectionPolicy": "set_rejection_policy",
    "setScheduler": "set_scheduler",
    "suppressUnhandledRejections": "suppress_unhandled_rejections",
    "tapCatch": "tap_catch",
    "thenReturn": "then_return",
    "thenThrow": "then_throw",
    "toDeferred": "to_deferred",
    "toFuture": "to_future",
}


def add_aliases(cls: type) -> None:
    """Give what a class has, itself or from its bases, bluebird's spellings too."""
    for alias, name in ALIASES.items():
        for base in cls.__mro__:
            if name in vars(base):
                setattr(cls, alias, vars(base)[name])
                break
