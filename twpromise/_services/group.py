"""`PromiseGroup`: leaving it waits until all that was started in it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

from .._bridge.outcomes import exception_of
from .._core.cancelling import cancel
from .._core.ending import has_ended, when_work_ended
from .._core.jobs import call_soon, check_home
from .._core.reactions import Node, then
from .._core.settling import finish_cancel, fulfill, pass_on, reject
from .._core.states import CANCELLING, HANDLED, REJECTED, CorePromise
from .._coroutines.drivers import Driver, find_driver
from .._promise import Promise
from .._util.errors import CANCELLATIONS, AggregateError
from .starting import Starting, end_of
from .work import check_library

__all__ = ["PromiseGroup"]


class _Members(Node):
    """A consumer of all members of a group; it settles the outcome when all have ended."""

    __slots__ = ("aborted", "aggregate", "failed", "given_up", "members", "on_abort", "waited")

    title = "PromiseGroup"
    #: An inspector shows it, though no user sees its promise.
    is_shown = True

    def __init__(self, on_abort: Callable[[], object]) -> None:
        super().__init__()
        # The members that have not ended, in the order in which they were started.
        self.members: dict[CorePromise, None] = {}
        # What members have gone on without, and has not ended: a thread that has timed out.
        self.given_up: list[Any] = []
        # The members that were rejected; and the error for all, if there are several.
        self.failed: list[CorePromise] = []
        self.aggregate: AggregateError | None = None
        # One has failed, or the group was cancelled.
        self.aborted = False
        # The outcome is awaited: when no members are left, the group is closed.
        self.waited = False
        self.on_abort: Callable[[], object] | None = on_abort

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        state = "" if self.waited or self.aborted else ", and is open"
        yield f"{len(self.members)} members{state}", None
        yield from (("", member) for member in self.members)

    @property
    def state(self) -> str:
        """The state of the group, for messages."""
        if self._promise is None:
            return "closed"
        if self.failed:
            return "failing"
        return "cancelled" if self.aborted else "open"

    def add(self, member: CorePromise) -> None:
        """Wait for one more member."""
        self.members[member] = None
        self.wait_for(member)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & REJECTED:
            self.failed.append(parent)
            self.abort()
        if has_ended(parent):
            self._ended(parent)
        else:
            when_work_ended(parent, partial(self._ended, parent))

    def _ended(self, member: CorePromise) -> None:
        del self.members[member]
        self.settle_if_ended()

    def wait_for_ends(self, left: list[Any]) -> None:
        """See `ending.give_up`."""
        self.given_up += left
        for work in left:
            when_work_ended(work, partial(self._work_ended, work))

    def _work_ended(self, work: Any) -> None:
        self.given_up.remove(work)
        self.settle_if_ended()

    def abort(self) -> None:
        """Cancel the members, once."""
        if self.aborted or self.on_abort is None:
            return
        self.aborted = True
        self.on_abort()
        for member in list(self.members):
            cancel(member)
        self.settle_if_ended()

    def settle_if_ended(self) -> None:
        """Settle the outcome if the group is closed and all members have ended."""
        left = self.members or self.given_up
        if not left and (self.aborted or self.waited) and self._promise is not None:
            outcome = self.finish()
            if self.failed:
                error = self.error()
                if error is self.aggregate:
                    reject(outcome, error)
                else:
                    pass_on(outcome, self.failed[0])
            elif outcome._state & CANCELLING:
                finish_cancel(outcome)
            else:
                fulfill(outcome, None)

    def error(self) -> BaseException:
        """The error for the members that have failed."""
        ends = [member for member in self.failed if _ends_process(member._value)][:1]
        if ends:
            for member in self.failed:
                if member not in ends:
                    # It is reported.
                    then(member)
            self.failed = ends
        if len(self.failed) == 1:
            return exception_of(self.failed[0])
        if self.aggregate is None:
            self.aggregate = _several([member._value for member in self.failed])
        return self.aggregate

    def _abandon(self, stack: list[CorePromise]) -> bool:
        assert self.on_abort is not None
        self.aborted = True
        self.on_abort()
        stack += reversed(self.members)
        if not (self.members or self.given_up):
            self.finish()
            return False
        if self.waits_for_itself():
            # A member waits for the end of the group, and could not be interrupted before that.
            outcome = self._promise
            handled = outcome._state & HANDLED
            self.settle_early(finish_cancel)
            # A member that follows the end of the group ends as that does.
            outcome._source = [*self.members, *self.given_up]
            if handled:
                self._promise.suppress_unhandled_rejections()
        return True

    def _release(self) -> None:
        self.on_abort = None


def _ends_process(error: object) -> bool:
    """Whether an error is raised alone, like `KeyboardInterrupt` in asyncio."""
    return isinstance(error, (KeyboardInterrupt, SystemExit))


def _several(errors: list[Any]) -> AggregateError:
    return AggregateError(f"{len(errors)} errors in a PromiseGroup", errors)


class PromiseGroup(Starting):
    """Work that starts together, fails together, and has ended when the block is left.

    Args:
        library: The library copy whose promises the group returns.

    Raises:
        TypeError: *library* is not a library copy.

    Leaving the ``async with`` block waits until all that was started has *ended*, with its threads
    and clean-up.  The first failure cancels the other work, and the block, which sees
    a cancellation at its `await`; when all has ended, the error is raised.  Several failures, of
    the work or the block, are raised as an `AggregateError`, which is an `ExceptionGroup`.  If the
    block raises or is cancelled, all work is cancelled.

    The work may start more work.  Cancelling a promise of the group is not a failure.  Rejections
    count as handled, since the group raises them.

    Without coroutines, call `wait`.

    Trio: ``open_nursery``; asyncio: ``TaskGroup``.

    Example::

        from twpromise import Promise, PromiseGroup


        async def both():
            async with PromiseGroup() as group:
                one = group.start_soon(Promise.delay, 1, "one")
                two = group.start_soon(Promise.delay, 2, "two")
            return one.value(), two.value()


        result = Promise.resolve(both())
    """

    def __init__(self, *, library: type[Promise[Any]] = Promise) -> None:
        self._library: Any = check_library(library)
        self._node = _Members(self._interrupt_soon)
        # No user sees it: `wait` derives others from it.
        self._outcome: Any = self._node._make_hidden_promise(library)
        self._entered = False
        # The driver of the coroutine whose `async with` block runs.
        self._driver: Driver | None = None
        self._interrupted = False

    def __repr__(self) -> str:
        node = self._node
        return f"<PromiseGroup, {node.state}: {len(node.members)} running>"

    def _refusal(self) -> str | None:
        node = self._node
        ended = node.aborted or node._promise is None
        return f"group that is {node.state}: {self!r}" if ended else None

    def _add(self, promise: CorePromise, function: object) -> None:
        self._node.add(promise)

    def wait(self) -> Promise[None]:
        """Close the group, and return a promise that settles when all that was started has ended.

        It is fulfilled with None.  If something has failed, it is rejected with that error, or with
        an `AggregateError` of several.  The work may start more work meanwhile.  Cancelling the
        promise cancels the group, unless the promise has other consumers.
        """
        check_home(self._library)
        waiting = then(self._outcome)
        self._node.waited = True
        self._node.settle_if_ended()
        return cast("Promise[None]", waiting)

    def cancel(self) -> None:
        """Cancel all that was started, and the ``async with`` block, which raises nothing then.

        Trio: ``cancel_scope.cancel()``; asyncio (Python 3.15): ``TaskGroup.cancel``.
        """
        check_home(self._library)
        self._node.abort()

    # --- async with

    async def __aenter__(self) -> Self:
        """Enter the group.

        Raises:
            RuntimeError: The group is closed, or was entered before.
        """
        check_home(self._library)
        if self._entered or self._node._promise is None:
            raise RuntimeError(f"a group can be entered once, and before it is closed: {self!r}")
        self._entered = True
        try:
            self._driver = await find_driver()
        except BaseException as error:
            # A task is cancelled here.  What was started before is waited for.
            await self.__aexit__(type(error), error, None)
            raise
        # What has failed is raised at the end of the block.
        self._outcome.suppress_unhandled_rejections()
        if self._node.aborted:
            self._interrupt_soon()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Wait until all that was started has ended, and raise what has failed."""
        driver, self._driver = self._driver, None
        # Whether the block was cancelled by this group only.
        ours = self._interrupted and driver is not None and not driver.uncancel()
        node = self._node
        if error is not None:
            node.abort()
        failing = error is not None and not isinstance(error, CANCELLATIONS)
        if isinstance(error, GeneratorExit):
            # The coroutine is closed, and cannot wait: what has failed is reported.
            self.wait()
            return False
        node.waited = True
        node.settle_if_ended()
        try:
            await self._end()
        except CANCELLATIONS as cancellation:
            # Else the errors come first, as in asyncio.
            if isinstance(cancellation, GeneratorExit) or not (failing or node.failed):
                raise
        if not node.failed:
            return ours and not failing
        raised: Any = node.error()
        if error is raised:
            return False
        if failing:
            errors = [member._value for member in node.failed]
            if not isinstance(error, Exception):
                # It is raised alone, too.
                self.wait()
                return False
            if _ends_process(raised):
                # The other one is reported.
                self._library.reject(error)
            elif not any(error is other for other in errors):
                raised = _several([error, *errors])
        context = raised.__context__
        try:
            raise raised
        finally:
            # Not the cancellation that is being handled.
            raised.__context__ = context
            # The traceback refers to this frame, and to the block's, which knows the group.
            del raised, error
            node.failed, node.aggregate = [], None
            self._outcome = self._library.resolve()

    async def _end(self) -> None:
        """Wait until the outcome has settled and ended, also when that is cancelled."""
        if has_ended(self._outcome):
            return
        try:
            await end_of(self._outcome)
        except GeneratorExit:
            # As above.
            self._node.abort()
            self.wait()
            raise
        except CANCELLATIONS:
            self._node.abort()
            # Within the handler: it is cleaning up.
            await self._end()
            raise

    def _interrupt_soon(self) -> None:
        """Interrupt the block, if it runs, in a job of its own: the coroutine may go on there."""
        if self._driver is not None:
            call_soon(self._library, self._interrupt)

    def _interrupt(self) -> None:
        driver = self._driver
        if driver is not None and not self._interrupted:
            self._interrupted = True
            driver.cancel()
