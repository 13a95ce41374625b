"""The side of a random program that is run by the reference."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import AlreadyCalledError, Deferred

from tests.model.program import describe, generated
from tests.model.reference import (
    collections,
    coroutines,
    deferreds,
    handlers,
    mapping,
    resources,
    services,
    timers,
    world,
)
from tests.model.reference.promise import Reference
from tests.model.reference.world import FULFILLED, PENDING, REJECTED, World
from tests.model.steps import Program


class Model(Program):
    """With the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(lambda what, value: self.log.append((what, describe(value))))

    def make(self, hooks: list[Callable[[], None]], late: bool = False) -> tuple[Any, Any, Any]:
        promise = Reference(self.world)
        promise.hooks = hooks

        def register(hook: Callable[[], None]) -> None:
            if promise.inspect()[0] == PENDING:
                hooks.append(hook)

        if late:
            self.registers.append(register)
        called = False

        def once(settle: Callable[[Any], None]) -> Callable[[Any], None]:
            def call(value: Any) -> None:
                nonlocal called
                if not called and not promise.dead:
                    settle(value)
                called = True

            return call

        return promise, once(promise.resolve), once(promise.reject)

    def resolved(self, value: Any) -> Any:
        if isinstance(value, Reference):
            return value
        promise = Reference(self.world)
        promise.resolve(value)
        return promise

    def rejected(self, reason: Any) -> Any:
        promise = Reference(self.world)
        promise.reject(reason)
        return promise

    def tried(self, function: Callable[[], Any]) -> Any:
        promise = Reference(self.world)
        try:
            result = function()
        except BaseException as error:
            promise.reject(error)
        else:
            promise.resolve(result)
        return promise

    def delayed(self, seconds: float, value: Any) -> Any:
        promise = Reference(self.world)
        promise.resolve(value)
        return self.derive("delay", promise, seconds)

    def derive(self, method: str, promise: Any, *arguments: Any, **options: bool) -> Any:
        everything = {FULFILLED, REJECTED, world.CANCELLED}
        if method == "then":
            return handlers.then(promise, *arguments)
        if method == "catch":
            return handlers.catch(promise, *arguments)
        if method == "finally_":
            (handler,) = arguments
            return handlers.aside(promise, lambda _: handler(), everything)
        if method == "tap":
            return handlers.aside(promise, *arguments, {FULFILLED})
        if method == "tap_catch":
            return handlers.aside(promise, *arguments, {REJECTED})
        if method == "reflect":
            return handlers.reflect(promise)
        if method == "disposer":
            return resources.Disposer(promise, *arguments)
        if method == "suppress_unhandled_rejections":
            return promise.mark_handled()
        if method == "add_done_callback":
            return promise.watch(*arguments)
        if method in ("return_", "catch_return"):
            return handlers.constant(promise, *arguments, fails=method != "return_")
        if method in ("throw", "catch_throw"):
            # Its items are made when they are read, so no rejection is reported before.
            throw = lambda _: self.rejected(*arguments)  # noqa: E731
            return handlers.then(promise, *((throw,) if method == "throw" else (None, throw)))
        if method == "done":
            handlers.Done(handlers.then(promise, *arguments))
            return None
        if method == "as_callback":
            handlers.Callback(promise, *arguments)
            return promise
        child = Reference(self.world)
        if method == "spread":
            (handler,) = arguments
            collections.Listed(promise, child, lambda items: collections.All(child, items))
            return handlers.then(child, lambda values: handler(*values))
        if method == "shield":
            handlers.Shield(promise, child)
        elif method in ("delay", "timeout"):
            kind = {"delay": timers.Delay, "timeout": timers.Timeout}[method]
            child.source = kind(promise, child, *arguments)
        else:
            function, initial = arguments[:1], arguments[1:]
            if method != "reduce":
                function, initial = arguments, ()

            def begin(items: Any, *initial: Any) -> None:
                start = lambda run: run()  # noqa: E731
                self.begin(method, child, items, start, *function, *initial, **options)

            listed = collections.Listed(promise, child, begin, *initial)
            listed.at_once = method not in ("map", "filter", "each", "map_series", "reduce")
        return child

    def collect(self, method: str, items: Any, *arguments: Any, **options: bool) -> Any:
        child = Reference(self.world)
        self.begin(method, child, items, self.world.queue.append, *arguments, **options)
        return child

    def begin(
        self,
        method: str,
        child: Reference,
        items: Any,
        start: Any,
        *arguments: Any,
        **options: bool,
    ) -> None:
        """Have a collection settle *child*; *start* is called with what runs a series."""
        if method == "map":
            mapping.Mapping(child, items, *arguments, **options)
        elif method == "filter":
            mapping.Filter(child, items, *arguments, **options)
        elif method in ("each", "map_series", "reduce"):
            mapping.Series(child, method, items, start, *arguments)
        elif method == "any":
            collections.Some(child, items, 1, True, **options)
        elif method == "some":
            collections.Some(child, items, *arguments, False, **options)
        elif method == "race":
            collections.Race(child, items, **options)
        elif method == "props":
            collections.Props(child, items, **options)
        else:
            kind = {"all": collections.All, "all_settled": collections.AllSettled}[method]
            kind(child, items, **options)

    def joined(self, *items_and_handler: Any, **options: bool) -> Any:
        *items, handler = items_and_handler
        values = self.collect("all", items, **options)
        return handlers.then(values, lambda values: handler(*values))

    def run(self, body: Callable[[], Any], awaits: bool, handled: list[BaseException]) -> Any:
        child = Reference(self.world)
        if awaits:
            coroutines.Running(child, self.hold(body()), world.CancellationError, handled)
        else:
            coroutines.Running(child, self.hold(generated(body)), GeneratorExit, handled)
        return child

    def used(self, wanted: Any, listed: bool, handler: Callable[..., Any]) -> Any:
        child = Reference(self.world)
        handle = handler if listed else lambda values: handler(*values)
        resources.Using(child, wanted, handle)
        return child

    def limiter(self, size: int, waiting: int | None) -> Any:
        return services.Limiter(self.world, size, waiting)

    def group(self) -> Any:
        return services.Group(self.world)

    def out(self, promise: Any) -> Deferred[Any]:
        return deferreds.to_deferred(promise)

    def future(self, promise: Any) -> Future[Any]:
        return deferreds.FutureSink(promise, self.loop).future

    def fires_with(self, fire: Callable[[Any], None], outcome: Any) -> None:
        try:
            fire(outcome)
        except AlreadyCalledError:
            pass

    def flush(self) -> None:
        self.world.flush()

    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    def timers(self) -> int:
        return len(self.world.timers)

    def state(self, promise: Any) -> Any:
        state, value = promise.inspect()
        return state, None if state in ("pending", "cancelled") else describe(value)
