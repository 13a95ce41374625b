"""The fake database: what all implementations ask, and wait for.

Every operation is answered about a millisecond after the call, for each style alike, through one
callback API; adapters turn that into Deferreds, futures or promises where a row wants those.

Operations that are asked for stand in one list, and one timer answers all that stand there.  That
is how Node's own timers treat those of the same duration, and so what bluebird's benchmarks
measure on; with a `callLater` for each, most of the time would go into the reactor's heap of
timers, and hide what is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

#: About a millisecond, in seconds.
DELAY = 0.001

#: What the statements give; all others give None.
ANSWERS = {"put blob": "blob 1", "create query": "query 1"}


class QueryError(Exception):
    """A query failed, as it was set to."""


class Transaction:
    """What the queries of one request run in.

    Args:
        fails_at: Which of its queries fails, counted from 1; none, if it is 0.
    """

    __slots__ = ("left",)

    def __init__(self, fails_at: int = 0) -> None:
        self.left = fails_at


class Database:
    """Answers queries through callbacks: ``callback(error, value)``.

    Args:
        call_later: The reactor's, or the loop's: has a function called after so many seconds.
        may_answer: Asked before the queries that wait are answered, with their number, if it is
            given; they wait on if it says no.
        delay: Seconds until an operation is answered.
    """

    def __init__(
        self,
        call_later: Callable[..., object],
        may_answer: Callable[[int], bool] | None = None,
        delay: float = DELAY,
    ) -> None:
        self.call_later = call_later
        self._delay = delay
        self._may_answer = may_answer
        self._waiting: list[tuple[Any, QueryError | None, str]] = []
        #: How many queries have been answered.
        self.answered = 0
        #: How many transactions have been rolled back.
        self.rolled_back = 0

    def query(
        self,
        transaction: Transaction,
        statement: str,
        parameters: object,
        callback: Callable[[QueryError | None, Any], object],
    ) -> None:
        """Call *callback* with the answer, later."""
        self._ask(transaction, statement, callback)

    def roll_back(self, transaction: Transaction) -> None:
        """Undo what a transaction has done; at once."""
        self.rolled_back += 1

    def _ask(self, transaction: Transaction, statement: str, whom: Any) -> None:
        transaction.left -= 1
        error = None if transaction.left else QueryError(statement)
        if not self._waiting:
            self.call_later(self._delay, self._answer)
        self._waiting.append((whom, error, statement))

    def _answer(self) -> None:
        if self._may_answer is not None and not self._may_answer(len(self._waiting)):
            self.call_later(0, self._answer)
            return
        waiting, self._waiting = self._waiting, []
        self.answered += len(waiting)
        self._tell(waiting)

    @staticmethod
    def _tell(waiting: list[tuple[Any, QueryError | None, str]]) -> None:
        for callback, error, statement in waiting:
            callback(error, None if error else ANSWERS.get(statement))


class DeferredDatabase(Database):
    """The same, but hands out Deferreds, as what stands on Twisted does."""

    def query(  # type: ignore[override]
        self, transaction: Transaction, statement: str, parameters: object
    ) -> Deferred[Any]:
        """A Deferred for the answer."""
        deferred: Deferred[Any] = Deferred()
        self._ask(transaction, statement, deferred)
        return deferred

    @staticmethod
    def _tell(waiting: list[tuple[Any, QueryError | None, str]]) -> None:
        for deferred, error, statement in waiting:
            if error:
                deferred.errback(error)
            else:
                deferred.callback(ANSWERS.get(statement))
