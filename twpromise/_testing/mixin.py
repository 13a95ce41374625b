"""`PromiseTestMixin`, for trial."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from .._bridge.waits import note_where_it_waits
from .._core import hooks
from .._promise import Promise
from .._util.checks import shown
from .checks import PromiseChecks, run_queue
from .manual import ManualScheduler
from .running import turn_of_reactor

__all__ = ["PromiseTestMixin"]

T = TypeVar("T")

# The class that this is mixed into, for type checkers.
if TYPE_CHECKING:
    _Base = SynchronousTestCase
else:
    _Base = object


class PromiseTestMixin(_Base):
    """A mixin for trial test cases, whose tests may use and return promises.

    Put it before the test case among the bases.  In a `SynchronousTestCase`, promises run on
    ``self.promises``, a `ManualScheduler`.  In a `TestCase` they run on the reactor; a test that
    returns a promise is waited for, and one that is ``async def`` may await promises.

    A test fails for promises that are pending, and timers that are set, after its ``tearDown``; see
    `PromiseChecks`.  Trial itself fails it for errors that are logged.  To allow them, set the
    attributes `allow_unhandled` and `allow_pending` of the case or of a test method.

    Example::

        from twisted.trial.unittest import SynchronousTestCase

        from twpromise import Promise
        from twpromise.testing import PromiseTestMixin


        class Tests(PromiseTestMixin, SynchronousTestCase):
            def test_delay(self):
                promise = Promise.delay(1, "value")
                self.assert_no_result(promise)
                self.promises.advance(1)
                assert self.success_result_of(promise) == "value"
    """

    #: The library copy of the tests.
    promise_library: ClassVar[type[Promise[Any]]] = Promise
    #: Which rejections may stay unhandled, or be fatal; True, a type or a tuple of types.
    allow_unhandled: bool | type[BaseException] | tuple[type[BaseException], ...] = False
    #: Whether promises may stay pending, and timers set.
    allow_pending: bool = False
    #: The scheduler of a `SynchronousTestCase`.
    promises: ManualScheduler

    _checks: PromiseChecks
    _allowed: Any

    def run(self, result: Any = None) -> Any:
        """Run the test, with the checks around ``setUp``, the test and ``tearDown``."""
        if not isinstance(self, SynchronousTestCase):
            raise TypeError(f"{type(self).__name__} must be a test case of trial")
        with ExitStack() as stack:
            if not isinstance(self, TestCase):
                self.promises = stack.enter_context(ManualScheduler(library=self.promise_library))
            self._allowed = self._setting("allow_unhandled")
            # Trial itself looks at what is logged.
            self._checks = PromiseChecks(
                allow_unhandled=True,
                allow_pending=self._setting("allow_pending"),
                library=self.promise_library,
            )
            self._checks.start()
            # Also if `tearDown` is never called.
            stack.callback(self._checks.stop)
            for name, run in (
                ("setUp", self._run_step),
                (self._testMethodName, self._run_step),
                ("tearDown", self._run_tear_down),
            ):
                replaced = vars(self).get(name)
                stack.callback(self._restore, name, replaced)
                setattr(self, name, partial(self._drive, run, getattr(self, name)))
            return super().run(result)  # type: ignore[no-untyped-call]

    def _restore(self, name: str, replaced: Any) -> None:
        delattr(self, name)
        if replaced is not None:
            setattr(self, name, replaced)

    def _drive(
        self, run: Callable[..., Coroutine[Any, Any, None]], function: Callable[[], object]
    ) -> Deferred[None] | None:
        coroutine = run(function)
        if isinstance(self, TestCase):
            return Deferred.fromCoroutine(coroutine)
        try:
            coroutine.send(None)
        except StopIteration:
            pass
        return None

    async def _run_step(self, function: Callable[[], object]) -> None:
        # Until it has ended: trial does not wait for it after a timeout.
        self._checks.failed = True
        await self._await(function())
        self._checks.failed = False

    async def _run_tear_down(self, function: Callable[[], object]) -> None:
        await self._await(function())
        if isinstance(self, TestCase):
            await turn_of_reactor()
        run_queue(self.promise_library)
        allowed = self._allowed
        if allowed:
            types = allowed if isinstance(allowed, tuple) else (allowed,)
            self.flushLoggedErrors(  # type: ignore[no-untyped-call]
                *(() if allowed is True else types)
            )
        self._checks.raise_for(None)

    def _setting(self, name: str) -> Any:
        return getattr(getattr(self, self._testMethodName), name, getattr(self, name))

    async def _await(self, result: object) -> None:
        if isawaitable(result):
            if isinstance(self, TestCase):
                await result
            else:
                self.promises.run_until_complete(result)

    def success_result_of(self, awaitable: Awaitable[T]) -> T:
        """Run the handlers that are due, and return the value of a promise.

        Args:
            awaitable: A promise, a Deferred, a coroutine or anything else that promises follow.

        Raises:
            AssertionError: It is pending, rejected or cancelled; with the traceback of its reason.

        Trial: ``successResultOf``.
        """
        promise = self._outcome_of(awaitable)
        if not promise.is_fulfilled():
            reason = hooks.host.exception_of(promise)
            raise self.failureException(f"{shown(promise)} was not fulfilled") from reason
        return cast("T", promise.value())

    def failure_result_of(self, awaitable: Awaitable[Any], *types: type[BaseException]) -> Failure:
        """Run the handlers that are due, and return the reason of a promise as a Failure.

        A rejection that an earlier `advance` has logged still fails the test: call
        `Promise.to_deferred` before `advance`, and pass the Deferred.

        Args:
            awaitable: A promise, a Deferred, a coroutine or anything else that promises follow.
            *types: The expected exception classes; by default any.

        Raises:
            AssertionError: It is pending or fulfilled, or the reason is of another type.

        Trial: ``failureResultOf``.
        """
        promise = self._outcome_of(awaitable)
        if promise.is_fulfilled():
            self.fail(f"{shown(promise)} was fulfilled, with {shown(promise.value())}")
        reason = hooks.host.exception_of(promise)
        if types and not isinstance(reason, types):
            expected = " or ".join(each.__name__ for each in types)
            raise self.failureException(f"{expected} was expected") from reason
        return Failure(reason)

    def assert_no_result(self, awaitable: Awaitable[Any]) -> None:
        """Run the handlers that are due, and fail if a promise is not pending.

        Args:
            awaitable: A promise, a Deferred, a coroutine or anything else that promises follow.

        Raises:
            AssertionError: It is not pending.

        Trial: ``assertNoResult``.
        """
        promise: Any = self.promise_library.resolve(awaitable)
        run_queue(self.promise_library)
        if not promise.is_pending():
            self.fail(f"{shown(promise)} is not pending")

    successResultOf = success_result_of  # type: ignore[assignment]
    failureResultOf = failure_result_of  # pyright: ignore[reportAssignmentType]
    assertNoResult = assert_no_result  # pyright: ignore[reportAssignmentType]

    def _outcome_of(self, awaitable: Any) -> Any:
        promise: Any = self.promise_library.resolve(awaitable)
        # So it has a handler.
        promise.reflect()
        run_queue(self.promise_library)
        if promise.is_pending():
            error = self.failureException(f"{shown(promise)} is pending")
            raise note_where_it_waits(error, promise)
        return promise
