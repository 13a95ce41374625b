"""Deferreds and futures that are adopted, or are made of promises."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.model.reference.world import CANCELLED, FULFILLED, REJECTED, CancellationError, Consumer

if TYPE_CHECKING:
    from tests.model.reference.promise import Reference


def wait_for_deferred(deferred: Any, consumer: Any) -> None:
    """Several may wait for a Deferred: the first takes its result, and keeps it for the others."""
    waiting = deferred.__dict__.setdefault("waiting", [])

    def fired(result: Any) -> None:
        if result is None:
            result = getattr(deferred, "taken", None)
        deferred.taken = result
        waiting.remove(consumer)
        consumer.fired(result, deferred)

    waiting.append(consumer)
    deferred.addBoth(fired)


def leave_deferred(deferred: Any, consumer: Any) -> bool:
    """Cancel a Deferred, unless another waits for it; whether it was cancelled."""
    if any(other is not consumer and other.waits(deferred) for other in deferred.waiting):
        return False
    deferred.cancel()
    return True


def fires_from_outside(deferred: Deferred[Any]) -> bool:
    """Not if it was made of a promise."""
    canceller: Any = deferred._canceller
    return not isinstance(getattr(canceller, "__self__", None), Sink)


class Adopted:
    """A promise owns the Deferred that it was resolved with."""

    def __init__(self, promise: Reference, deferred: Deferred[Any]) -> None:
        self.promise: Reference | None = promise
        self.deferred = deferred
        promise.source = self
        wait_for_deferred(deferred, self)

    def waits(self, deferred: Deferred[Any]) -> bool:
        return self.promise is not None

    def ahead(self) -> None:
        """No promise."""

    def from_outside(self) -> bool:
        return fires_from_outside(self.deferred)

    def fired(self, result: Any, deferred: Deferred[Any]) -> None:
        promise, self.promise = self.promise, None
        if promise is not None:
            if isinstance(result, Failure):
                promise.reject(result.value)
            else:
                promise.resolve(result)

    def abandon(self, stack: list[Reference]) -> bool:
        self.promise = None
        leave_deferred(self.deferred, self)
        return False


class Sink(Consumer):
    """A Deferred made of a promise."""

    def __init__(self, promise: Reference) -> None:
        self.promise = promise
        self.deferred: Deferred[Any] = Deferred(self.cancelled)

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == FULFILLED:
            self.deferred.callback(parent.value)
        elif parent.state == REJECTED:
            self.deferred.errback(parent.value)
        else:
            self.deferred.errback(CancellationError("the promise was cancelled"))

    def settles(self) -> list[Reference]:
        """The promises that wait for the Deferred."""
        waiting = getattr(self.deferred, "waiting", [])
        waiting = [consumer for consumer in waiting if consumer.waits(self.deferred)]
        return [
            consumer.promise if isinstance(consumer, Adopted) else consumer.child
            for consumer in waiting
        ]

    def cancelled(self, deferred: Deferred[Any]) -> None:
        behind = self.settles()
        self.end()
        given_up = self.promise.drop()
        for promise in behind:
            promise.give_up(given_up)


def to_deferred(promise: Reference) -> Deferred[Any]:
    state, value = promise.inspect()
    sink = Sink(promise)
    if state == FULFILLED:
        sink.deferred.callback(value)
    elif state == REJECTED:
        promise.mark_handled()
        sink.deferred.errback(value)
    elif state == CANCELLED:
        sink.deferred.errback(
            CancellationError("the promise was cancelled (late cancellation observer)")
        )
    else:
        promise.attach(sink)
    return sink.deferred


class FutureSink(Consumer):
    """A future made of a promise; its loop sets it, and hears when it is cancelled."""

    def __init__(self, promise: Reference, loop: AbstractEventLoop) -> None:
        self.promise, self.loop = promise, loop
        self.future: Future[Any] = loop.create_future()
        self.future.add_done_callback(self.done)
        promise.attach(self)

    def notify(self, parent: Reference) -> None:
        self.end()
        self.loop.call_soon_threadsafe(self.set, parent)

    def set(self, parent: Reference) -> None:
        if self.future.done():
            return
        if parent.state == FULFILLED:
            self.future.set_result(parent.value)
        elif parent.state == REJECTED:
            self.future.set_exception(parent.value)
        else:
            self.future.cancel()

    def done(self, future: Future[Any]) -> None:
        if future.cancelled() and not self.gone:
            self.end()
            self.promise.drop()
