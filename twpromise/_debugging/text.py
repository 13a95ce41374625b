"""`tree` and `dump`: what is pending, as text for a terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TextIO

from .._core.states import is_promise
from .._util.checks import shown
from .arguments import check_file, check_limit
from .finding import ENOUGH, find_pending
from .records import LIMIT, Pending, PendingPromise, look, number_of, pending
from .things import seconds

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["dump", "text_of", "tree", "write_whole"]

#: How deep lines are indented at most.
_DEEPEST: Final = 24


def tree(promise: Promise[Any], *, limit: int | None = LIMIT) -> str:
    """What a promise waits for, what that waits for, and so on: as text.

    Promises that wait for each other in a circle, most likely a deadlock, come first.

    Args:
        promise: A promise; if it has settled, the text says so.
        limit: How many promises are shown at most; None for all.

    Raises:
        TypeError: *promise* is not a promise, or *limit* not an `int`.
        ValueError: *limit* is less than 1.

    asyncio: ``python -m asyncio pstree``.
    """
    if not is_promise(promise):
        raise TypeError(f"promise must be a promise, not {shown(promise)}")
    check_limit(limit)
    checked: Any = promise
    if not checked.is_pending():
        return f"{shown(promise)}\n"
    found = find_pending(None)
    now = look([promise], found, limit, all_of=False)
    return "\n".join(_text(now, [number_of(promise)])) + "\n"


def dump(
    file: TextIO | None = None,
    *,
    limit: int | None = LIMIT,
    library: type[Promise[Any]] | None = None,
) -> None:
    """Write what is pending to a file; promises that no other one waits for come first.

    Args:
        file: A text file; standard error by default.
        limit: See `pending`.
        library: See `pending`.

    Raises:
        TypeError: *file* is not a text file; or as `pending`.
        ValueError: As `pending`; or the file is closed.
    """
    check_file(file)
    text = text_of(pending(limit=limit, library=library))
    write_whole(sys.stderr if file is None else file, text)


def text_of(now: Pending) -> str:
    """What is pending, as text."""
    # Internal promises have been counted among these.
    about = "about " if now.sampled and now.total > ENOUGH // 4 else ""
    only = f", of which {len(now.promises)} are shown" if now.sampled else ""
    count = "1 promise is" if now.total == 1 else f"{about}{now.total} promises are"
    roots = [one.id for one in now.promises if not one.waited_for_by]
    # In a circle there is no root.
    rest = [one.id for one in now.promises if one.waited_for_by]
    return "\n".join([f"{count} pending{only}.", *_text(now, roots + rest)]) + "\n"


def _text(now: Pending, roots: Iterable[int]) -> Iterator[str]:
    records = {one.id: one for one in now.promises}
    for cycle in now.cycles:
        names = [f"#{number} {records[number].name}" for number in cycle]
        waits = [wait.text for number in cycle for wait in records[number].waits_for if wait.id]
        guessed = ", it seems" if any(text.endswith("it seems") for text in waits) else ""
        yield f"They wait for each other{guessed}: {' -> '.join([*names, f'#{cycle[0]}'])}"
    done: set[int] = set()
    for root in roots:
        if root in records and root not in done:
            yield from _below(records, root, done)


def _below(records: dict[int, PendingPromise], root: int, done: set[int]) -> Iterator[str]:
    """The lines of a promise, and of what it waits for, without recursion."""
    todo: list[tuple[int, str, int | None]] = [(0, "", root)]
    while todo:
        depth, text, number = todo.pop()
        margin = "  " * min(depth, _DEEPEST)
        if number is None:
            yield f"{margin}waits for {text}"
            continue
        record = records[number]
        head = f"#{number} {record.name}" if not text else f"waits for #{number}: {text}"
        if number in done:
            yield f"{margin}{head} (see #{number} above)"
            continue
        done.add(number)
        yield margin + head + "".join(_more(record))
        yield from (f"{margin}  is at {line}" for line in record.coroutine)
        todo += [(depth + 1, one.text, one.id) for one in reversed(record.waits_for)]


def _more(record: PendingPromise) -> Iterator[str]:
    if record.state == "cancelling":
        yield ", is being cancelled"
    if record.age is not None:
        yield f", {seconds(record.age)} old"
    if record.place is not None:
        yield f"; made here: {record.place}"


def write_whole(file: Any, text: str) -> None:
    """Write a text in one piece, even while something else is written to the file.

    If the file has a descriptor, its buffer is bypassed: a signal may have interrupted a use of it.
    """
    try:
        descriptor = file.fileno()
    except (AttributeError, OSError, ValueError):
        file.write(text)
        file.flush()
        return
    rest = memoryview(text.encode(getattr(file, "encoding", None) or "utf-8", "backslashreplace"))
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            # A pipe whose reader is slow, and that does not block.
            select.select([], [descriptor], [], 1)
