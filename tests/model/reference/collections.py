"""Collections whose items are waited for all at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.reference.handlers import adopt, later
from tests.model.reference.promise import Reference, drop_rest
from tests.model.reference.world import (
    CANCELLED,
    FULFILLED,
    PENDING,
    REJECTED,
    AggregateError,
    CancellationError,
    Consumer,
    Inspection,
)


class Listed(Consumer):
    """A collection whose items are what a promise is fulfilled with.

    *also* is what is wanted besides.
    """

    #: Whether all of its items are wanted, or one after the other.
    at_once = True

    def ahead(self) -> Reference | None:
        return self.awaited if self.at_once else None

    def __init__(
        self, parent: Reference, child: Reference, begin: Callable[..., object], *also: Any
    ) -> None:
        self.child, self.begin = child, begin
        self.also = [later(child.world, item) for item in also]
        self.watching: list[Also] = []
        child.source = self
        parent.attach(self)
        for item in self.also:
            if isinstance(item, Reference) and self.awaits_input(parent):
                if item.inspect()[0] == CANCELLED:
                    self.end()
                    child.reject(
                        CancellationError("the promise was cancelled (late cancellation observer)")
                    )
                else:
                    self.watching.append(Also(self))
                    item.attach(self.watching[-1])

    def end(self) -> None:
        super().end()
        for each in self.watching:
            each.end()

    def awaits_input(self, parent: Reference) -> bool:
        return not self.gone and parent.inspect()[0] != FULFILLED

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == FULFILLED:
            self.begin(parent.value, *self.also)
        else:
            self.child.pass_on(parent)

    def abandon(self, stack: list[Reference]) -> bool:
        self.end()
        for item in reversed([self.awaited, *self.also]):
            if isinstance(item, Reference):
                item.leave(stack)
        return False


class Also(Consumer):
    """The initial value of `reduce`, while the list is not there: a cancellation counts."""

    def __init__(self, whole: Listed) -> None:
        self.whole = whole

    def notify(self, parent: Reference) -> None:
        self.end()
        if parent.state == CANCELLED and not self.whole.gone:
            self.whole.end()
            self.whole.child.pass_on(parent)


class Several(Consumer):
    """Waits for the items of a list."""

    sees_cancellations = False
    #: Whether its promise was cancelled.
    left = False
    #: Whether what is left is cancelled.
    cancel_rest = False

    def __init__(self, child: Reference, items: list[Any], cancel_rest: bool = False) -> None:
        self.child = child
        child.source = self
        self.items = list(items)
        self.pending = len(items)
        self.begin()
        for index, item in enumerate(self.items):
            item = adopt(child.world, item)
            if not isinstance(item, Reference):
                self.fulfilled(index, item)
                continue
            self.items[index] = item
            state, value = item.inspect()
            if state == FULFILLED:
                self.items[index] = value
                self.fulfilled(index, value)
            elif self.gone:
                # It has settled; rejections of the other items count as handled.
                item.mark_handled()
            else:
                if state == PENDING:
                    item.attach(self)
                elif self.sees_cancellations and item.cleaning() is not None:
                    self.items[index] = item.cleaning()
                    item.attach_for_end(self)
                else:
                    item.mark_handled()
                    if state == REJECTED:
                        self.failed(item.end())
                    else:
                        self.was_cancelled(item)
        if not self.gone and not self.pending:
            self.complete()
        self.cancel_rest = cancel_rest
        if not self.left:
            self.drop_rest()

    def begin(self) -> None:
        pass

    def notify(self, parent: Reference) -> None:
        if parent.state == FULFILLED:
            index = next(index for index, item in enumerate(self.items) if item is parent)
            self.fulfilled(index, parent.value)
        else:
            self.failed(parent)
        if not self.gone and not self.pending:
            self.complete()
        self.drop_rest()

    def drop_rest(self) -> None:
        if self.cancel_rest and self.gone:
            drop_rest(self.child, self.items)

    def fulfilled(self, index: int, value: Any) -> None:
        self.pending -= 1

    def failed(self, parent: Reference) -> None:
        self.end()
        self.child.pass_on(parent)

    def was_cancelled(self, item: Reference) -> None:
        self.failed(item.late_observer())

    def complete(self) -> None:
        self.end()
        self.child.fulfill(
            [item.value if isinstance(item, Reference) else item for item in self.items]
        )

    def abandon(self, stack: list[Reference]) -> bool:
        self.left = True
        self.end()
        for item in reversed(self.items):
            if isinstance(item, Reference):
                item.leave(stack)
        return False


class All(Several):
    pass


class Props(Several):
    """`props`: the values of a mapping."""

    def __init__(self, child: Reference, items: dict[Any, Any], cancel_rest: bool = False) -> None:
        self.keys = list(items)
        super().__init__(child, list(items.values()), cancel_rest)

    def complete(self) -> None:
        self.end()
        values = [item.value if isinstance(item, Reference) else item for item in self.items]
        self.child.fulfill(dict(zip(self.keys, values, strict=True)))


class AllSettled(Several):
    sees_cancellations = True

    def failed(self, parent: Reference) -> None:
        self.pending -= 1

    def complete(self) -> None:
        self.end()
        self.child.fulfill(
            [
                Inspection(*item.inspect())
                if isinstance(item, Reference)
                else Inspection(FULFILLED, item)
                for item in self.items
            ]
        )


class Race(Several):
    def fulfilled(self, index: int, value: Any) -> None:
        if not self.gone:
            self.end()
            self.child.fulfill(value)

    def complete(self) -> None:
        """A race of nothing stays pending."""


class Some(Several):
    def __init__(
        self,
        child: Reference,
        items: list[Any],
        count: int,
        unwrap: bool,
        cancel_rest: bool = False,
    ) -> None:
        self.count, self.unwrap = count, unwrap
        self.values: list[Any] = []
        self.reasons: list[Any] = []
        self.can = len(items)
        super().__init__(child, items, cancel_rest)

    def begin(self) -> None:
        if not self.count:
            self.decide()
        elif self.can < self.count:
            self.end()
            self.child.reject(
                ValueError(
                    f"the input must contain at least {self.count} items "
                    f"but contains only {self.can} items"
                )
            )

    def fulfilled(self, index: int, value: Any) -> None:
        self.pending -= 1
        if not self.gone:
            self.values.append(value)
            self.decide()

    def failed(self, parent: Reference) -> None:
        self.pending -= 1
        self.can -= 1
        if parent.state == REJECTED:
            self.reasons.append(parent.value)
        self.decide()

    def was_cancelled(self, item: Reference) -> None:
        self.failed(item)

    def decide(self) -> None:
        if len(self.values) == self.count:
            self.end()
            self.child.fulfill(self.values[0] if self.unwrap else self.values)
        elif self.can < self.count:
            self.end()
            if self.reasons:
                self.child.reject(AggregateError(self.reasons))
            else:
                self.child.finish_cancel()
