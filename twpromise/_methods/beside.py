"""Handlers that leave the outcome as it is: it is passed on when they have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._core.jobs import call_soon
from .._core.reactions import Node, observed
from .._core.resolving import is_followed, resolve
from .._core.settling import lock, pass_on, reject_raised
from .._core.states import CANCELLING, FULFILLED, REJECTED, CorePromise, new_pending

__all__ = ["Beside", "Finishing"]


class Finishing(Node):
    """Passes an outcome on when some work has ended; a cancellation does not stop the work.

    The work may release something.

    Args:
        promise: Will settle as *outcome* has.
        outcome: A settled promise; or *promise* itself, if that is cancelled.
    """

    __slots__ = ("_ahead", "_outcome")

    #: What is waited for; see `following.end_of`.
    _ahead: CorePromise | None
    _outcome: Any

    def __init__(self, promise: CorePromise | None = None, outcome: Any = None) -> None:
        super().__init__(promise)
        self._outcome = outcome
        self._ahead = None
        if promise is not None:
            promise._source = self

    def _follow(self, result: Any) -> CorePromise:
        """A promise for the result of a function, which the node will wait for.

        It exists before it is resolved and before coroutines start, so that it cannot be resolved
        with the node's own promise and wait for itself.
        """
        promise = self._promise
        ahead: CorePromise = new_pending(type(promise), owner=promise)
        if not promise._state & CANCELLING:
            self._ahead = ahead
            lock(promise, self)
        resolve(ahead, result)
        return ahead

    def _pass_outcome(self) -> None:
        outcome = self._outcome
        pass_on(self.finish(), outcome)

    def _release(self) -> None:
        self._ahead = self._outcome = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        self._ahead = None
        self._outcome = self._promise
        return True


class Beside(Finishing):
    """Runs a handler and waits for it; only a failure of the handler changes the outcome."""

    __slots__ = ("_call",)

    title = "finally_ or tap"

    def _start(self, source: CorePromise, call: Callable[[int, Any], Any]) -> None:
        # Called with a state, and a value or reason: calls the handler if it is meant for those.
        self._call: Any = call
        self.wait_for_source(observed(source))

    def _notify(self, parent: CorePromise) -> None:
        if self._outcome is None:
            self._outcome = parent
            # The traceback of what the handler raises leads here.
            del parent
            self._run()

    def _run(self) -> None:
        # The traceback of what the handler raises leads here: no promise in a local variable.
        try:
            result = self._call(self._outcome._state, self._outcome._value)
            if is_followed(result):
                self._wait_for_handler(result)
            else:
                self._pass_outcome()
        except BaseException as error:
            reject_raised(self.finish(), error)

    def _wait_for_handler(self, result: Any) -> None:
        outcome = self._outcome
        promise = self.finish()
        end = _HandlerEnd(promise, outcome)
        end._work = end._follow(result)
        end.wait_for(end._work)
        if not outcome._state & (FULFILLED | REJECTED) and end.waits_for_itself():
            end._pass_outcome()

    def _release(self) -> None:
        self._call = self._outcome = None

    def _abandon(self, stack: list[CorePromise]) -> bool:
        if self._outcome is None:
            if self.leave_source(stack):
                return True
            # The source is not cancelled with it: it has another consumer, or has settled.
            call_soon(type(self._promise), self._run)
        return super()._abandon(stack)


class _HandlerEnd(Finishing):
    """Waits for what the handler of a `Beside` returned."""

    __slots__ = ("_work",)

    title = Beside.title

    #: The promise for that, also while it is the clean-up of a cancellation.
    _work: CorePromise | None

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        yield "its handler", self._work

    def _release(self) -> None:
        super()._release()
        self._work = None

    def _notify(self, parent: CorePromise) -> None:
        if not parent._state & FULFILLED:
            self._outcome = parent
        self._pass_outcome()

    def _abandon(self, stack: list[CorePromise]) -> bool:
        if self.waits_for_itself():
            # The handler's work would never end.
            self.finish()
            return False
        return super()._abandon(stack)
