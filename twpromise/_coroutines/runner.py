"""What drives generators and coroutines: each step waits for what the step before yielded."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final

from .._core import contexts, hooks
from .._core.cancelling import cancel_all, discard, leave
from .._core.contexts import drive
from .._core.reactions import Node, observed, subscribe
from .._core.resolving import is_followed, resolve
from .._core.settling import finish_cancel, fulfill, lock, reject_raised
from .._core.states import CANCELLED, CANCELLING, CLOSED, FOLLOWING, FULFILLED, NODE, CorePromise
from .._core.subscribers import remove_subscriber
from .._scheduling.queue import call_soon

__all__ = ["Runner", "set_waits"]

# The two exact types of what is mostly yielded, promises apart, and how to wait for them.  The
# function has the runner wait for a promise; or sets `Runner._foreign` and `Runner._stop`, and
# arranges for `Runner.resume`.
_deferred: type
_wait_for_deferred: Callable[[Runner, Any], object]
_awaiter: type
_wait_for_awaiter: Callable[[Runner, Any], object]


def set_waits(
    deferred: type,
    wait_for_deferred: Callable[[Runner, Any], object],
    awaiter: type,
    wait_for_awaiter: Callable[[Runner, Any], object],
) -> None:
    """Say how to wait for what a runner knows nothing of."""
    global _deferred, _wait_for_deferred, _awaiter, _wait_for_awaiter
    _deferred, _wait_for_deferred = deferred, wait_for_deferred
    _awaiter, _wait_for_awaiter = awaiter, wait_for_awaiter


#: What a generator "yields" when it has returned, or failed.
_ENDED: Final = object()
#: What a runner "waits for" while its generator runs.
_RUNNING: Final = object()


class Runner(Node):
    """Runs a generator or coroutine to its end, and resolves a promise with its result.

    Args:
        promise: What to resolve.
        generator: Has ``send``, ``throw`` and ``close``.
    """

    __slots__ = (
        "_cancelled_itself",
        "_class",
        "_context",
        "_foreign",
        "_generator",
        "_interrupted",
        "_left",
        "_ready",
        "_sends",
        "_special",
        "_stop",
        "_waiting",
    )

    # These are not set before they are needed.
    #: With `_special`: whether its outcome is sent in; or the generator looks for itself.
    _sends: bool
    #: With `_foreign`: what is called with it in order to stop it.
    _stop: Callable[[Any], object]

    def __init__(self, promise: CorePromise, generator: Any) -> None:
        self._state = NODE
        self._promise = promise
        self._class = type(promise)
        self._generator: Any = generator
        # The generator's own context, once it has anything in it.
        self._context: Context | None = None
        # The promise that is waited for, if there is nothing to do with a value but to send it
        # in, as in most steps; or `_RUNNING`.
        self._waiting: Any = None
        # The promise that is waited for if the generator has a context, or is being cancelled, or
        # is not sent the value.
        self._special: CorePromise | None = None
        # What else is waited for.
        self._foreign: Any = None
        # The promise that was left in a cancellation, where this is still among the waiters.
        self._left: CorePromise | None = None
        # What is waited for has been told that nobody cares any more, and will answer.
        self._interrupted = False
        self._cancelled_itself = False
        # What to send or to throw in next.  Not an argument of `_advance`: errors refer, by their
        # tracebacks, to the frames that lead to the generator.
        self._ready: tuple[Any, BaseException | None] | None = (None, None)
        lock(promise, self)

    def start(self) -> None:
        """Run up to the first thing to wait for."""
        context = copy_context()
        if not self._promise._library.async_hooks:
            context = Context()
        self._context = context
        if contexts.driving:
            self._advance()
        else:
            drive(self._advance)

    def resume(self, foreign: Any, value: Any, error: BaseException | None = None) -> None:
        """*foreign*, which is no promise, is there; nothing happens if it was given up."""
        if self._foreign is not foreign:
            return
        self._foreign = None
        self._ready = value, error
        # Else it was there at once: the loop in `_advance` goes on with it.
        if self._waiting is not _RUNNING:
            self._answer()
            # The error's traceback refers to this frame.
            del value, error
            self._advance()

    def _notify(self, parent: CorePromise) -> None:
        if (
            parent is not self._waiting
            or not parent._state & FULFILLED
            or hooks.observer is not None
        ):
            if self._receive(parent):
                # The traceback of its reason refers to this frame.
                del parent
                self._advance()
            return
        # Most steps: what `_advance` comes to for a value, where the generator has nothing in its
        # context.  In one call, which is worth a fifth of the step.
        self._waiting = _RUNNING
        try:
            yielded = self._generator.send(parent._value)
        except StopIteration as stop:
            result = stop.value
        except BaseException as error:
            self._fail(error)
            return
        else:
            if (
                type(yielded) is self._class
                and yielded._subscribers is None
                and not yielded._state & CLOSED
                and not self._cancelled_itself
                and not contexts.scratch
                and hooks.observer is None
            ):
                # As `subscribe` does it: a tenth of a step less.
                self._waiting = yielded
                yielded._subscribers = self
                # Nothing has been raised that could refer to this frame.
                return
            # If it has set something, it takes the context along.
            self._context = contexts.scratch or None
            if self._take(yielded):
                if self._context is None:
                    self._advance()
                else:
                    # The context cannot be entered again before this job ends.
                    call_soon(type(self._promise), self._advance)
            return
        # Not where StopIteration is handled: it would be the context of what follows.
        self._context = contexts.scratch or None
        self._finish(result)

    def _receive(self, parent: CorePromise) -> bool:
        """A promise has settled; whether the generator goes on with that."""
        if parent is self._waiting:
            self._waiting = None
            sends = True
        elif parent is self._special:
            self._special = None
            sends = self._sends
        else:
            # It was left, in a cancellation.
            return False
        value = error = None
        if sends:
            if parent._state & FULFILLED:
                value = parent._value
            elif not self._looks_itself():
                error = hooks.host.exception_of(parent)
        self._ready = value, error
        self._answer()
        return True

    def _looks_itself(self) -> bool:
        """Whether whoever waits in the generator takes a reason from the promise itself."""
        return False

    def _answer(self) -> None:
        """What was waited for may have been interrupted: then that is thrown in."""
        if self._interrupted:
            self._interrupted = False
            self._state = NODE
            assert self._ready is not None
            self._ready = self._answered(*self._ready)

    def _advance(self) -> None:
        """Run the generator until it waits for something that is not there."""
        while True:
            assert self._ready is not None
            value, error = self._ready
            self._ready = None
            self._waiting = _RUNNING
            if self._context is None:
                self._context = Context()
            step: Any = self._generator.send if error is None else self._generator.throw
            if hooks.observer is not None:
                step = hooks.observer.watched(self._promise, step, False)
            try:
                yielded = self._context.run(step, value if error is None else error)
            except StopIteration as stop:
                result = stop.value
                break
            except BaseException as raised:
                self._fail(raised)
                return
            finally:
                # The traceback of the error leads to this frame.
                del value, error, step
            # An empty context need not be kept: most have nothing in them.
            self._context = self._context or None
            if not self._take(yielded):
                return
        # Not where StopIteration is handled: it would be the context of what follows.
        self._context = self._context or None
        self._finish(result)
        # It may be an error that was thrown in, whose traceback refers to this frame.
        del result

    def _take(self, yielded: Any) -> bool:
        """Wait for what was yielded; whether it is there already, or cannot be waited for."""
        if self._left is not None:
            remove_subscriber(self._left, self)
            self._left = None
            self._state = NODE
        kind = type(yielded)
        try:
            if kind is _deferred:
                _wait_for_deferred(self, yielded)
            elif kind is _awaiter:
                _wait_for_awaiter(self, yielded)
            elif issubclass(kind, CorePromise):
                self._wait_for(yielded)
            else:
                self._wait_for_other(yielded)
        except BaseException as raised:
            self._ready = None, raised
        if self._ready is not None:
            return True
        if self._waiting is _RUNNING:
            self._waiting = None
        if self._cancelled_itself:
            self._cancelled_itself = False
            stack: list[CorePromise] = []
            # Cancellers are no part of the generator, whose context this may be.
            Context().run(self._abandon, stack)
            Context().run(cancel_all, stack)
        return False

    def _wait_for(self, promise: CorePromise, sends: bool = True) -> None:
        if promise._state & (FOLLOWING | CANCELLED | CANCELLING):
            # If it has been cancelled, what tells this runner will be another promise.
            promise = observed(promise)
        if sends and self._context is None and self._state == NODE:
            self._waiting = promise
        else:
            self._waiting = None
            self._special = promise
            self._sends = sends
        subscribe(promise, self)

    def _wait_for_other(self, yielded: Any) -> None:
        raise NotImplementedError(type(self))

    @staticmethod
    def _in_context(
        context: Context | None,
        settle: Callable[[CorePromise, Any], None],
        promise: Any,
        value: Any,
    ) -> None:
        """Settle a promise with what a generator gave in *context*, and may be a coroutine.

        That is part of the generator: it sees what the generator has set, as if it had been
        awaited, and nobody sees what it sets; nor does it see the context in which the generator
        happens to be resumed.
        """
        copy = Context() if context is None else context.copy()
        copy.run(settle, promise, value)

    # --- the end

    def _finish(self, result: Any) -> None:
        context = self._context
        promise = self._end()
        if promise._state & CANCELLING:
            finish_cancel(promise)
            if is_followed(result):
                self._in_context(context, discard, promise, result)
        elif is_followed(result):
            self._in_context(context, resolve, promise, result)
        else:
            fulfill(promise, result)

    def _fail(self, error: BaseException) -> None:
        promise = self._end()
        if promise._state & CANCELLING and self._is_cancellation(error):
            finish_cancel(promise)
        else:
            # The first frame of the traceback is that of `_advance`.
            reject_raised(promise, error)

    def _end(self) -> Any:
        promise, self._promise = self._promise, None
        promise._source = None
        self._state = NODE | CANCELLED
        self._generator = self._context = self._foreign = None
        self._waiting = self._special = None
        return promise

    # --- cancellation

    def _abandon(self, stack: list[CorePromise]) -> bool:
        if self._waiting is _RUNNING:
            # It cancels itself: after this step.
            self._cancelled_itself = True
        elif not self._leave(stack):
            call_soon(type(self._promise), self._interrupt)
        return True

    def _leave(self, stack: list[CorePromise]) -> bool:
        """Leave the promise that is waited for.

        Returns:
            True if it will be cancelled, and tell: what it still has to finish comes first.
        """
        waiting: CorePromise | None = self._waiting
        if waiting is not None:
            self._waiting = None
            self._special = waiting
            self._sends = True
        waiting = self._special
        if waiting is None:
            return False
        # To the others who look at its waiters, this one is dead.
        self._state = NODE | CANCELLING
        self._interrupted = leave(waiting, stack)
        if not self._interrupted:
            self._special, self._left = None, waiting
        return self._interrupted

    def _interrupt(self) -> None:
        """Tell the generator, in a turn of its own, that nobody cares any more."""
        if self._state & CANCELLED:
            return
        if self._waiting is _RUNNING:
            # In a drain within its own step: after that.
            self._cancelled_itself = True
            return
        stack: list[CorePromise] = []
        waits = self._leave(stack)
        # Cancellers run in what the generator has set, and set nothing there.
        context = Context() if self._context is None else self._context.copy()
        context.run(cancel_all, stack)
        if waits:
            return
        foreign = self._foreign
        if foreign is not None:
            self._interrupted = True
            try:
                context.run(self._stop, foreign)
            except BaseException as error:
                hooks.host.escaped(error)
            else:
                # Which resumes the generator, now or when it pleases.
                return
            if self._foreign is not foreign:
                return
            self._foreign = None
            self._interrupted = False
        self._ready = None, self._cancellation()
        self._advance()

    def _answered(
        self, value: Any, error: BaseException | None
    ) -> tuple[Any, BaseException | None]:
        """How to go on when what was waited for has answered that nobody cares any more."""
        return value, error

    def _cancellation(self) -> BaseException:
        """What is thrown in."""
        raise NotImplementedError(type(self))

    def _is_cancellation(self, error: BaseException) -> bool:
        """Whether that came out again."""
        raise NotImplementedError(type(self))
