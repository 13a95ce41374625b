"""Time: `delay` and `timeout`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import Context
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, cast, overload

from .._bridge.waits import note_where_it_waits
from .._core.cancelling import drop
from .._core.contexts import context_here
from .._core.following import may_come, outcome_of
from .._core.jobs import check_home
from .._core.reactions import Node, observed
from .._core.resolving import new_input, new_rejected
from .._core.settling import fulfill, reject
from .._core.states import DEAD, FULFILLED, CorePromise
from .._util.both import Both
from .._util.callers import calling
from .._util.checks import check_seconds, shown
from .._util.errors import TimeoutError
from .._util.types import Either, Followed
from .deadline import Deadline, call_behind

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Timers"]

_MISFIT: Final = (
    "the deadline is on another scheduler than the promise: make it when that scheduler has been "
    "set, and with library=... for a library copy"
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Timed(Node):
    """A node with a timer, on the clock of its promise's scheduler."""

    __slots__ = ("_timer",)

    def __init__(self) -> None:
        super().__init__()
        self._timer: Any = None

    def _start_timer(self, seconds: float, function: Callable[[], None]) -> None:
        self._timer = self._promise._queue.scheduler.call_later(seconds, function)

    def waits(self) -> Iterable[tuple[str, Any]]:
        """See `Node`."""
        yield from super().waits()
        if self._timer is not None:
            yield "", self._timer

    def _release(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _abandon(self, stack: list[CorePromise]) -> bool:
        # The timer stops now, also if the source has a cancellation to finish first.
        self._release()
        return super()._abandon(stack)


class _Delay(_Timed):
    """Passes a value on after some time, and a rejection or cancellation at once."""

    __slots__ = ("_result", "_seconds")

    def _start(self, source: CorePromise, seconds: float) -> None:
        self._seconds = seconds
        source = observed(source)
        outcome = outcome_of(source)
        if outcome._state & FULFILLED:
            self._delay(outcome._value)
        else:
            self.wait_for_source(source)

    def _delay(self, value: Any) -> None:
        self._result = value
        self._source = None
        self._start_timer(self._seconds, self._fulfill)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & FULFILLED:
            self._delay(parent._value)
        else:
            super()._notify(parent)

    def from_outside(self) -> bool:
        """Whether the timer runs."""
        return self._timer is not None

    def _fulfill(self) -> None:
        value, self._result = self._result, None
        fulfill(self.finish(), value)


class _Timeout(_Timed):
    """Passes an outcome on, unless it takes too long."""

    __slots__ = ("_context", "_error")

    passes_on = True

    def _start(
        self, source: CorePromise, seconds: float | Deadline, error: Callable[[CorePromise], Any]
    ) -> None:
        self._error: Callable[[CorePromise], Any] | None = error
        self._context: Context | None = None
        source = observed(source)
        settled = outcome_of(source)._state & DEAD
        self.wait_for_source(source)
        if not settled:
            # For the cancellers that are called when time is up.
            self._context = context_here(self._promise)
            if isinstance(seconds, Deadline):
                self._timer = seconds._call(self._fire)
            else:
                self._start_timer(seconds, self._fire)

    def _fire(self) -> None:
        queue = self._promise._queue
        if (queue or queue.awake) and may_come(self._source):
            # An outcome that arrived in time may still be queued, and comes first.
            call_behind(queue, self._strike)
        else:
            self._strike()

    def _strike(self) -> None:
        if not self._state & DEAD:
            assert self._context is not None
            self._context.run(self._reject)

    def _reject(self) -> None:
        source, error = self._source, self._error
        assert error is not None
        promise = self.finish()
        promise._library.timeouts += 1
        # First the rejection: it does not wait for the cancellation of the source.
        reject(promise, error(source))
        drop(source, promise)

    def _release(self) -> None:
        # The node may stay among the subscribers of the source, which must not keep the context
        # and the error alive: both may be a request's.
        self._context = self._error = None
        super()._release()


def _late(message: str, seconds: float | Deadline, code: CodeType, line: int) -> TimeoutError:
    error = TimeoutError(message)
    when = f"After {seconds} seconds"
    if isinstance(seconds, Deadline):
        when = f"The deadline of {seconds.seconds} seconds has passed"
    # Not in the message, which is bluebird's, or the user's.
    error.add_note(
        f"{when}; timeout() was called here:\n"
        f'  File "{code.co_filename}", line {line}, in {code.co_name}'
    )
    return error


def _checked(cls: type[CorePromise], seconds: object) -> tuple[Any, float]:
    """None and *seconds*; or a rejected promise, if *seconds* is not valid."""
    check_home(cls)
    try:
        return None, check_seconds("seconds", seconds)
    except (TypeError, ValueError) as error:
        return new_rejected(cls, error.with_traceback(None)), 0


def _delay(self: CorePromise, seconds: float) -> Any:  # noqa: D417 - a method
    """A promise for the same value, *seconds* later; a rejection or cancellation passes at once.

    Args:
        seconds: Seconds to wait, 0 or more.  A negative number or NaN rejects with
            `ValueError`, anything but a number with `TypeError`.

    As a static function it takes the value second: ``Promise.delay(seconds, value=None)``.
    Cancelling the promise clears the timer.

    Bluebird: ``Promise.delay``; Twisted: ``task.deferLater``.
    """
    invalid, seconds = _checked(type(self), seconds)
    return invalid or _Delay.derive(self, seconds)


def _static_delay(cls: type[CorePromise], seconds: float, value: Any = None) -> Any:
    invalid, seconds = _checked(cls, seconds)
    return invalid or _Delay.derive(new_input(cls, value), seconds)


_delay.__name__ = "delay"


if TYPE_CHECKING:

    class _DelayOf(Protocol[T_co]):
        def __call__(self, seconds: float) -> Promise[T_co]: ...

    class _DelayMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: Promise[T], owner: type, /) -> _DelayOf[T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, seconds: float) -> Promise[None]: ...
        @overload
        def __call__(self, seconds: float, value: Followed[T]) -> Promise[T]: ...
        @overload
        def __call__(self, seconds: float, value: Either[T]) -> Promise[T]: ...
        def __call__(self, seconds: float, value: Any = None) -> Any: ...

else:
    _DelayMethod = Both


class Timers(CorePromise, Generic[T_co]):
    """The methods that wait, in seconds on the scheduler's clock."""

    __slots__ = ()

    delay = _DelayMethod(_delay, _static_delay)

    def timeout(
        self, seconds: float | Deadline, message_or_error: str | BaseException | None = None
    ) -> Promise[T_co]:
        """A promise for the same outcome, rejected if this promise does not settle in time.

        Args:
            seconds: Seconds to wait, checked as by `delay`; or a `Deadline`.  A deadline on
                another scheduler rejects with `RuntimeError`.
            message_or_error: The message of the `TimeoutError`, by default "operation timed
                out"; or the exception to reject with.  Anything else rejects with `TypeError`.

        When time is up, this promise loses a consumer.  If it has no other one, it is cancelled,
        and so is a Deferred that it adopted; the rejection does not wait for that.  An outcome that
        arrives in time is passed on, however long the queue is.  Notes of the `TimeoutError` give
        the seconds, and the line that called `timeout`.

        Bluebird: ``.timeout``; Twisted: ``Deferred.addTimeout``.
        """
        promise = None
        if not isinstance(seconds, Deadline):
            promise, seconds = _checked(type(self), seconds)
        elif not seconds._fits(self):
            promise = new_rejected(type(self), RuntimeError(_MISFIT))
        error = "operation timed out" if message_or_error is None else message_or_error
        if promise is None and isinstance(error, BaseException):
            promise = _Timeout.derive(self, seconds, lambda _: error)
        elif promise is None and isinstance(error, str):
            frame = calling()
            place = frame.f_code, frame.f_lineno
            late = lambda source: note_where_it_waits(  # noqa: E731
                _late(error, seconds, *place), source
            )
            promise = _Timeout.derive(self, seconds, late)
        elif promise is None:
            wrong = f"message_or_error must be a str or an exception, not {shown(error)}"
            promise = new_rejected(type(self), TypeError(wrong))
        return cast("Promise[T_co]", promise)
