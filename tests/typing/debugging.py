"""What type checkers infer for the inspector."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from typing import Any, assert_type

from twpromise import Promise
from twpromise.debugging import (
    Pending,
    PendingPromise,
    WaitsFor,
    dump,
    install_signal,
    manhole,
    pending,
    snapshot,
    tree,
)

now = pending(limit=None, library=Promise)
assert_type(now, Pending)
assert_type(now.promises, tuple[PendingPromise, ...])
assert_type(now.cycles, tuple[tuple[int, ...], ...])
assert_type(now.total, int)
for record in now.promises:
    assert_type(record.place, str | None)
    assert_type(record.age, float | None)
    assert_type(record.waits_for, tuple[WaitsFor, ...])
    assert_type(record.waits_for[0].id, int | None)
    assert_type(record.waited_for_by, tuple[int, ...])
    assert_type(record.coroutine, tuple[str, ...])
    record.age = 1.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

assert_type(snapshot(10), dict[str, Any])
assert_type(tree(Promise.resolve(1)), str)
tree(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
dump()
dump(io.StringIO(), limit=5)
assert_type(install_signal(signal.SIGUSR1, file=io.StringIO(), limit=None), Callable[[], None])
install_signal("USR1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(manhole(service=1), dict[str, Any])
