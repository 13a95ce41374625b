"""`manhole`: names for an interactive session inside of a running service."""

from __future__ import annotations

import sys
from typing import Any

from .._util.checks import shown
from .records import pending, promise_of, snapshot
from .text import dump, tree

__all__ = ["manhole"]


def manhole(**names: Any) -> dict[str, Any]:
    """A namespace for ``twisted.conch.manhole``, in which to look at promises.

    It has `pending`, `tree` and `snapshot`; ``dump()``, which writes to the session; and
    ``promise(number)``, which returns the promise shown under that number.

    Args:
        **names: More names for it.
    """
    return {
        "pending": pending,
        "tree": tree,
        "snapshot": snapshot,
        "dump": _dump,
        "promise": _promise,
        **names,
    }


def _dump(*arguments: Any, **keywords: Any) -> None:
    # What is standard output at the moment is the session.
    dump(sys.stdout, *arguments, **keywords)


def _promise(number: int) -> Any:
    promise = promise_of(number)
    if promise is None:
        raise LookupError(
            f"no promise was shown with the number {shown(number)}, or it has been collected"
        )
    return promise
