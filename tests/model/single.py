"""Steps of programs that are about one promise, Deferred or future."""

from __future__ import annotations

from asyncio import Future
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.model.program import Boom, Numbers, Side, describe


class Single(Side):
    """Steps that are about one promise, Deferred or future."""

    def new(self, numbers: Numbers) -> None:
        hooks = []
        for _ in range(numbers.below(3)):
            name = self.number()
            hooks.append(lambda name=name: self.log.append(("hook", name)))
        promise, resolve, reject = self.make(hooks, bool(numbers.below(2)))
        self.keep(promise)
        self.settlers.append((resolve, reject))

    def hook(self, numbers: Numbers) -> None:
        """Register another hook, at any time."""
        if self.registers:
            name = self.number()
            register = self.registers[numbers.below(len(self.registers))]
            register(lambda: self.log.append(("hook", name)))

    def resolve(self, numbers: Numbers) -> None:
        if self.settlers:
            resolve, _ = self.settlers[numbers.below(len(self.settlers))]
            resolve(self.value(numbers))

    def follow(self, numbers: Numbers) -> None:
        """Have a promise without hooks, often a new one, follow another."""
        if numbers.below(2):
            promise, *settlers = self.make([])
            self.settlers.append((settlers[0], settlers[1]))
            self.keep(promise)
        other = self.pick(numbers)
        if self.settlers:
            count = len(self.settlers)
            resolve, _ = self.settlers[count - 1 - numbers.below(min(count, 4))]
            resolve(other)

    def reject(self, numbers: Numbers) -> None:
        if self.settlers:
            _, reject = self.settlers[numbers.below(len(self.settlers))]
            reject(Boom(self.number()))

    def ready(self, numbers: Numbers) -> None:
        self.keep(self.resolved(self.value(numbers)))

    def attempt(self, numbers: Numbers) -> None:
        self.keep(self.tried(self.handler(numbers, [])))

    def failed(self, numbers: Numbers) -> None:
        self.keep(self.rejected(Boom(self.number())))

    def attach(self, numbers: Numbers) -> None:
        own: list[Any] = []
        promise = self.pick(numbers)
        which = numbers.below(3)
        fulfilled = self.handler(numbers, own) if which != 1 else None
        rejected = self.handler(numbers, own) if which != 0 else None
        own.append(self.keep(self.derive("then", promise, fulfilled, rejected)))

    def catch(self, numbers: Numbers) -> None:
        own: list[Any] = []
        promise = self.pick(numbers)
        kind = ("Boom", "CancellationError")[numbers.below(2)]
        handler = self.handler(numbers, own)
        passes = lambda reason: describe(reason)[0] == kind  # noqa: E731
        own.append(self.keep(self.derive("catch", promise, passes, handler)))

    def constant(self, numbers: Numbers) -> None:
        promise = self.pick(numbers)
        name = ("return_", "throw", "catch_return", "catch_throw")[numbers.below(4)]
        what = Boom(self.number()) if name.endswith("throw") else self.value(numbers)
        self.keep(self.derive(name, promise, what))

    def done(self, numbers: Numbers) -> None:
        promise = self.pick(numbers)
        which = numbers.below(3)
        fulfilled = self.handler(numbers, []) if which != 1 else None
        rejected = self.handler(numbers, []) if which != 0 else None
        self.derive("done", promise, fulfilled, rejected)

    def callback(self, numbers: Numbers) -> None:
        promise = self.pick(numbers)
        self.derive("as_callback", promise, self.handler(numbers, []))

    def aside(self, numbers: Numbers) -> None:
        own: list[Any] = []
        promise = self.pick(numbers)
        name = ("finally_", "tap", "tap_catch")[numbers.below(3)]
        own.append(self.keep(self.derive(name, promise, self.handler(numbers, own))))

    def reflect(self, numbers: Numbers) -> None:
        self.keep(self.derive("reflect", self.pick(numbers)))

    def shield(self, numbers: Numbers) -> None:
        self.keep(self.derive("shield", self.pick(numbers)))

    def watch(self, numbers: Numbers) -> None:
        """Have a callback called when a promise has ended."""
        name = self.number()
        what = self.HANDLERS[numbers.below(len(self.HANDLERS))]
        later = Numbers(numbers.below(1 << 20))

        def done(promise: Any) -> None:
            self.log.append(("done", name, self.state(promise)))
            if later.below(2):
                # What it returns does not matter.
                what(self, later, [])

        self.derive("add_done_callback", self.pick(numbers), done)

    def cancel(self, numbers: Numbers) -> None:
        self.pick(numbers).cancel()

    def suppress(self, numbers: Numbers) -> None:
        self.derive("suppress_unhandled_rejections", self.pick(numbers))

    def new_deferred(self, numbers: Numbers) -> None:
        name = self.number()
        what = numbers.below(4)
        index = len(self.deferreds)

        def canceller(deferred: Deferred[Any]) -> None:
            self.log.append(("canceller", name))
            if what == 2:
                self.spent.add(index)
                deferred.errback(Boom(name))
            elif what == 3:
                self.spent.add(index)
                deferred.callback(name)

        deferred: Deferred[Any] = Deferred(canceller if what else None)
        # A failure is there for others as long as anything refers to it.
        deferred.addErrback(self.failure)
        self.deferreds.append(deferred)
        if numbers.below(2):
            self.keep(self.resolved(deferred))

    def failure(self, failure: Failure) -> Failure:
        """Keep a failure of a Deferred, and pass it on."""
        self.failures.append(failure)
        return failure

    def fire(self, numbers: Numbers) -> None:
        if not self.deferreds:
            return
        index = numbers.below(len(self.deferreds))
        if index in self.spent:
            return
        self.spent.add(index)
        deferred = self.deferreds[index]
        what = numbers.below(3)
        if what == 0:
            self.fires_with(deferred.errback, Boom(self.number()))
        else:
            self.fires_with(deferred.callback, self.number() if what == 1 else self.pick(numbers))

    def cancel_deferred(self, numbers: Numbers) -> None:
        if self.deferreds:
            index = numbers.below(len(self.deferreds))
            self.spent.add(index)
            self.deferreds[index].cancel()

    def to_deferred(self, numbers: Numbers) -> None:
        name = self.number()
        deferred = self.out(self.pick(numbers))
        self.outs.append(deferred)

        def fired(result: Any) -> None:
            self.log.append(("Deferred", name, describe(result)))

        deferred.addBoth(fired)

    def cancel_out(self, numbers: Numbers) -> None:
        if self.outs:
            self.outs[numbers.below(len(self.outs))].cancel()

    def to_future(self, numbers: Numbers) -> None:
        name = self.number()
        future = self.future(self.pick(numbers))
        self.futures.append(future)

        def done(future: Future[Any]) -> None:
            cancelled = future.cancelled()
            outcome = None if cancelled else future.exception() or future.result()
            self.log.append(("future", name, cancelled, describe(outcome)))

        future.add_done_callback(done)

    def cancel_future(self, numbers: Numbers) -> None:
        if self.futures:
            self.futures[numbers.below(len(self.futures))].cancel()

    def run_loop(self, numbers: Numbers) -> None:
        self.loop.run()
