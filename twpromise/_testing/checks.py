"""`PromiseChecks`: fails a test for errors that its own assertions do not see."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from .._promise import Promise
from .._util.checks import shown
from .leftovers import PendingPromises, describe_timers, is_of_package, timers_of
from .manual import ManualScheduler

__all__ = ["PromiseChecks", "run_queue"]


class PromiseChecks:
    """Fails a test, at the end of a ``with`` block, for what promises would only have logged.

    First it runs all that is queued.  A test fails for

    - an unhandled rejection: an assertion that has failed in a handler, for instance;
    - a fatal error: of `done`, or of a release;
    - a promise that was made inside the block and is pending, also if it was dropped: its handlers
      were never called;
    - a timer that was set inside the block, and is left.

    If the block fails itself, its error is raised, with the errors that were found as its cause, so
    that Python and pytest show them first.  Pending promises and timers are not looked for then.

    Args:
        allow_unhandled: True allows unhandled rejections, fatal errors, and everything else that
            promises log at critical level; a type, or a tuple of types, only such exceptions.
        allow_pending: True allows pending promises, and timers.
        library: The library copy to check; `Promise` by default.

    Raises:
        ExceptionGroup: On leaving, if several things were found, assertions first; a single
            error is raised as it is.  Pending promises and timers are one `AssertionError`.

    The fixtures of the pytest plugin and `PromiseTestMixin` use it.
    """

    def __init__(
        self,
        *,
        allow_unhandled: bool | type[BaseException] | tuple[type[BaseException], ...] = False,
        allow_pending: bool = False,
        library: type[Promise[Any]] = Promise,
    ) -> None:
        self._allowed: Any = BaseException if allow_unhandled is True else allow_unhandled or ()
        self._allow_pending = allow_pending
        #: The library copy to check.
        self.library = library
        self._pending = PendingPromises(library)
        self._timers: list[Any] = []
        self._errors: list[BaseException] = []
        self._observer: Any = self._observe
        #: Whether the test itself has failed; then pending promises and timers are not looked for.
        self.failed = False
        #: The error that names pending promises, and timers, if there is one.
        self.leftovers: AssertionError | None = None

    def __enter__(self) -> Self:
        """Start the checks."""
        self.start()
        return self

    def start(self) -> None:
        """Watch what is made and logged from now on."""
        globalLogPublisher.addObserver(self._observer)
        if not self._allow_pending:
            self._pending.start()
            self._timers = timers_of(self.library._queue.scheduler)

    def stop(self) -> None:
        """Stop watching; may be called twice."""
        globalLogPublisher.removeObserver(self._observer)
        self._pending.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Check, and raise what was found."""
        # For pytest: its tracebacks begin with the test.
        __tracebackhide__ = True
        try:
            self._settle()
        finally:
            self.stop()
        self.raise_for(error)

    def end_of_test(self, error: BaseException | None) -> None:
        """Check for errors only: fixtures, or ``tearDown``, may still settle pending promises.

        Args:
            error: The error of the test, if it has failed.
        """
        __tracebackhide__ = True
        self.failed = error is not None
        self._settle()
        if error is None:
            _raise(self._take())
        else:
            _explain(error, self._take())

    def raise_for(self, error: BaseException | None) -> None:
        """Raise what was found.

        Args:
            error: The error of the test, which the found ones explain.
        """
        __tracebackhide__ = True
        found = self._take()
        if error is not None:
            _explain(error, found)
            return
        if not (self._allow_pending or self.failed):
            timers = timers_of(self.library._queue.scheduler)
            left = [timer for timer in timers if timer not in self._timers]
            pending = self._pending.describe()
            if pending:
                # A promise waits for the others.
                left = [timer for timer in left if not is_of_package(timer)]
            texts = [*filter(None, [pending, describe_timers(left)])]
            if texts:
                self.leftovers = AssertionError("\n".join(texts))
                found.append(self.leftovers)
        _raise(found)

    def _observe(self, event: LogEvent) -> None:
        if event.get("log_level") is not LogLevel.critical:
            return
        # Not what Deferreds log when they are collected: they may belong to an earlier test.
        if event.get("log_namespace") != "twpromise":
            return
        failure = event.get("log_failure")
        error = AssertionError(formatEvent(event)) if failure is None else failure.value
        if not isinstance(error, self._allowed):
            _note(error, formatEvent(event))
            self._errors.append(error)

    def _settle(self) -> None:
        """Run what is queued."""
        before = len(self._errors)
        run_queue(self.library)
        for error in self._errors[before:]:
            _note(
                error, "The handler was still queued when the test ended: call flush() in the test."
            )

    def _take(self) -> list[BaseException]:
        found, self._errors = self._errors, []
        # Each once; assertions first.
        unique = {id(error): error for error in found}.values()
        return sorted(unique, key=lambda error: not isinstance(error, AssertionError))


def run_queue(library: type[Promise[Any]]) -> None:
    """Run the handlers that are due now."""
    queue = library._queue
    if isinstance(queue.scheduler, ManualScheduler):
        queue.scheduler.flush()
    elif queue.is_home():
        queue.run_rest()


def _note(error: BaseException, text: str) -> None:
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)


def _explain(error: BaseException, found: list[BaseException]) -> None:
    """Make Python show the errors that were found before an error."""
    if not found:
        return
    last, earlier = error, _shown_before(error)
    while earlier is not None:
        last, earlier = earlier, _shown_before(earlier)
    first, *others = found
    if all(each is not last and each is not error for each in found):
        last.__cause__ = first
        for other in others:
            _note(first, f"There was also: {shown(other)}")


def _shown_before(error: BaseException) -> BaseException | None:
    """The error that Python shows before another."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _raise(found: list[BaseException]) -> None:
    __tracebackhide__ = True
    if len(found) == 1:
        raise found[0]
    if found:
        raise BaseExceptionGroup("errors of promises", found) from found[0]
