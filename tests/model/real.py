"""The side of a random program that is run by `Promise`."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from tests.model.program import describe, generated
from tests.model.steps import Program
from twpromise import Limiter, Promise, PromiseGroup
from twpromise.testing import ManualScheduler


class Real(Program):
    """With `Promise`."""

    def __init__(self, scheduler: ManualScheduler, watched: bool = False) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.way = 0
        # A copy: its hooks and its scheduler are its own.
        self.cls: Any = Promise.get_new_library_copy()
        self.cls.set_scheduler(scheduler)
        # A first turn says which thread is its own; before it, what a future says takes a turn.
        self.cls.resolve(None).then()
        scheduler.flush()
        self.cls.config(monitoring=watched)
        self.cls.on_possibly_unhandled_rejection(
            lambda reason, _: self.log.append(("unhandled", describe(reason)))
        )
        # Of a rejection that is handled, `reason` may be asked.
        self.cls.on_unhandled_rejection_handled(
            lambda promise: self.log.append(("handled after all", describe(promise.reason())))
        )
        self.cls.on_fatal(lambda reason: self.log.append(("fatal", describe(reason))))

    def logged(self, event: LogEvent) -> None:
        """What a job lets escape is logged."""
        if "log_failure" in event:
            self.log.append(("escaped", describe(event["log_failure"].value)))
        elif "swallowed" in event:
            self.log.append(("swallowed", describe(None)))

    def close(self) -> None:
        """Watch no more."""
        self.cls.config(monitoring=False)

    def make(self, hooks: list[Callable[[], None]], late: bool = False) -> tuple[Any, Any, Any]:
        functions: list[Any] = []
        if not hooks and not late:
            # In turn by a callback, by a resolver, by an executor: they go different ways.
            self.way += 1
            if self.way % 3 == 1:
                promise = self.cls.promisify(functions.append)()
                [callback] = functions
                return promise, lambda value: callback(None, value), callback
            if self.way % 3 == 2:
                resolver = self.cls.defer()
                return resolver.promise, resolver.resolve, resolver.reject

        def executor(resolve: Any, reject: Any, on_cancel: Any) -> None:
            functions.extend([resolve, reject])
            if late:
                self.registers.append(on_cancel)
            for hook in hooks:
                on_cancel(hook)

        return self.cls(executor), *functions

    def resolved(self, value: Any) -> Any:
        return self.cls.resolve(value)

    def rejected(self, reason: Any) -> Any:
        return self.cls.reject(reason)

    def tried(self, function: Callable[[], Any]) -> Any:
        return self.cls.try_(function)

    def delayed(self, seconds: float, value: Any) -> Any:
        return self.cls.delay(seconds, value)

    def derive(self, method: str, promise: Any, *arguments: Any, **options: bool) -> Any:
        return getattr(promise, method)(*arguments, **options)

    def collect(self, method: str, items: Any, *arguments: Any, **options: bool) -> Any:
        return getattr(self.cls, method)(items, *arguments, **options)

    def joined(self, *items_and_handler: Any, **options: bool) -> Any:
        return self.cls.join(*items_and_handler, **options)

    def run(self, body: Callable[[], Any], awaits: bool, handled: list[BaseException]) -> Any:
        if awaits:
            return self.cls.resolve(self.hold(body()))
        return self.cls.coroutine(lambda: self.hold(generated(body)))()

    def used(self, wanted: Any, listed: bool, handler: Callable[..., Any]) -> Any:
        return self.cls.using(wanted, handler) if listed else self.cls.using(*wanted, handler)

    def limiter(self, size: int, waiting: int | None) -> Any:
        return Limiter(size, waiting=waiting, library=self.cls)

    def group(self) -> Any:
        return PromiseGroup(library=self.cls)

    def out(self, promise: Any) -> Deferred[Any]:
        return promise.to_deferred()

    def future(self, promise: Any) -> Future[Any]:
        future: Future[Any] = promise.to_future(self.loop)
        return future

    def fires_with(self, fire: Callable[[Any], None], outcome: Any) -> None:
        # Also where a promise has cancelled it: firing it raises no error.
        fire(outcome)

    def flush(self) -> None:
        self.scheduler.flush()

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds)

    def timers(self) -> int:
        return len(self.scheduler.clock.getDelayedCalls())

    def state(self, promise: Any) -> Any:
        if promise.is_pending():
            return ("pending", None)
        if promise.is_cancelled():
            return ("cancelled", None)
        if promise.is_fulfilled():
            return ("fulfilled", describe(promise.value()))
        # Not `reason()`, which counts as handling it.
        assert promise.is_rejected()
        return ("rejected", describe(promise._inspect()[1]))
