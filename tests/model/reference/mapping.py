"""Collections that call a function for their items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.model.reference.handlers import adopt, has_failed, later
from tests.model.reference.promise import Reference, drop_rest
from tests.model.reference.world import FULFILLED, Consumer


class Mapping(Consumer):
    """`map`: calls a function for each item that is there, first in, first out."""

    def __init__(
        self,
        child: Reference,
        items: list[Any],
        mapper: Any,
        limit: int | None,
        cancel_rest: bool = False,
    ) -> None:
        self.child, self.mapper, self.limit = child, mapper, limit
        self.cancel_rest = cancel_rest
        child.source = self
        self.results: list[Any] = [None] * len(items)
        self.values: dict[int, Any] = {}
        self.remaining = len(items)
        self.ready: deque[tuple[int, Any]] = deque()
        self.waiting: list[Waiting] = []
        self.active = 0
        # Nothing is called before the next turn.
        self.pumping = True
        for index, item in enumerate(items):
            self.wait(item, index, self.arrived)
        child.world.queue.append(self.pump)

    def wait(self, item: Any, index: int, then: Any) -> None:
        item = adopt(self.child.world, item)
        if not isinstance(item, Reference):
            then(index, item)
            return
        if self.gone:
            item.drop()
            return
        state, value = item.inspect()
        if state == FULFILLED:
            then(index, value)
        else:
            waiting = Waiting(self, item, index, then)
            self.waiting.append(waiting)
            item.attach(waiting)

    def arrived(self, index: int, value: Any) -> None:
        self.values[index] = value
        self.ready.append((index, value))

    def pump(self) -> None:
        if self.gone:
            return
        self.pumping = True
        while self.ready and (self.limit is None or self.active < self.limit):
            index, value = self.ready.popleft()
            try:
                result = self.mapper(value)
            except BaseException as error:
                if self.gone:
                    self.child.world.log("escaped", error)
                else:
                    self.fail(lambda error=error: self.child.reject(error))
                return
            if isinstance(result, Reference | Deferred):
                self.active += 1
                result = adopt(self.child.world, result)
                if self.gone and isinstance(result, Reference):
                    result.mark_handled()
                if not self.gone and has_failed(result):
                    self.fail(lambda result=result: self.child.fails_as(result))
                else:
                    self.wait(result, index, self.result_arrived)
            elif not self.gone:
                self.result(index, result)
            if self.gone:
                return
        self.pumping = False
        if not self.remaining:
            self.end()
            self.child.fulfill(self.collect())

    def collect(self) -> list[Any]:
        return self.results

    def result_arrived(self, index: int, result: Any) -> None:
        self.active -= 1
        self.result(index, result)

    def result(self, index: int, result: Any) -> None:
        self.results[index] = result
        self.remaining -= 1

    def fail(self, settle: Any) -> None:
        self.end()
        for waiting in self.waiting:
            waiting.end()
        settle()
        if self.cancel_rest:
            drop_rest(self.child, [waiting.promise for waiting in self.waiting])

    def abandon(self, stack: list[Reference]) -> bool:
        self.end()
        for waiting in self.waiting:
            waiting.end()
        for waiting in reversed(self.waiting):
            waiting.promise.leave(stack)
        return False


class Waiting(Consumer):
    """One thing that a `map` waits for."""

    def __init__(self, whole: Mapping, promise: Reference, index: int, then: Any) -> None:
        self.whole, self.promise, self.index, self.then = whole, promise, index, then

    def notify(self, parent: Reference) -> None:
        self.end()
        whole = self.whole
        whole.waiting.remove(self)
        if parent.state != FULFILLED:
            whole.fail(lambda: whole.child.pass_on(parent))
            return
        self.then(self.index, parent.value)
        if not whole.pumping:
            whole.pump()


class Filter(Mapping):
    """`filter`: keeps the items for which the function gives something true."""

    def collect(self) -> list[Any]:
        return [self.values[index] for index, result in enumerate(self.results) if result]


class Series(Consumer):
    """`each`, `map_series` and `reduce`: one item after the other.

    From the next turn on; or, if a promise gives the items, in the turn in which it does.
    """

    def __init__(
        self,
        child: Reference,
        kind: str,
        items: list[Any],
        start: Any,
        function: Any,
        *initial: Any,
    ) -> None:
        self.child, self.kind, self.function = child, kind, function
        child.source = self
        self.initial = [later(child.world, item) for item in initial]
        self.items = [later(child.world, item) for item in items]
        self.left = iter(self.items)
        # For `each` the items, for `map_series` what the function gave; for `reduce` the last.
        self.results: list[Any] = []
        self.step: Callable[[Any], bool]
        if all(self.wait(item, self.called) for item in self.initial):
            start(self.run)

    def wait(self, item: Any, step: Callable[[Any], bool]) -> bool:
        """Take a step with a value: whether it is there, and all goes on."""
        item = adopt(self.child.world, item)
        if not isinstance(item, Reference):
            return step(item)
        if self.gone:
            item.drop()
            return False
        state, value = item.inspect()
        if state == FULFILLED:
            return step(value)
        self.step = step
        item.attach(self)
        return False

    def notify(self, parent: Reference) -> None:
        if parent.state != FULFILLED:
            self.end()
            self.child.pass_on(parent)
        elif self.step(parent.value):
            self.run()

    def run(self) -> None:
        while not self.gone:
            try:
                item = next(self.left)
            except StopIteration:
                self.end()
                if self.kind == "reduce":
                    self.child.fulfill(self.results[-1] if self.results else None)
                else:
                    self.child.fulfill(self.results)
                return
            if not self.wait(item, self.call):
                return

    def call(self, value: Any) -> bool:
        arguments = [value]
        if self.kind == "reduce":
            if not self.results:
                return self.called(value)
            arguments.insert(0, self.results.pop())
        elif self.kind == "each":
            self.results.append(value)
        try:
            result = self.function(*arguments)
        except BaseException as error:
            if self.gone:
                self.child.world.log("escaped", error)
            else:
                self.end()
                self.child.reject(error)
            return False
        result = later(self.child.world, result)
        if not self.gone and has_failed(result):
            self.end()
            self.child.fails_as(result)
            return False
        # It may have cancelled all this.
        return self.wait(result, self.called) and not self.gone

    def called(self, result: Any) -> bool:
        if self.kind != "each":
            self.results.append(result)
        return True

    def abandon(self, stack: list[Reference]) -> bool:
        self.end()
        waiting = getattr(self, "awaited", None)
        for item in reversed([waiting, *self.items, *self.initial]):
            if isinstance(item, Reference):
                item.leave(stack)
        return False
