"""What a service needs, in the reference: a limiter, and a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.reference.handlers import call_for, then
from tests.model.reference.promise import Reference
from tests.model.reference.resources import Disposer
from tests.model.reference.world import (
    PENDING,
    REJECTED,
    AggregateError,
    Consumer,
    Inspection,
    World,
)


class LimitExceeded(Exception):
    """What a limiter rejects with that is full."""


class Limiter:
    """At most so many at once; the others stand in line, and so many of them at most."""

    def __init__(self, world: World, size: int, room: int | None) -> None:
        self.world, self.size, self.room = world, size, room
        # What has a slot, and what has none yet.
        self.running: list[Turn] = []
        self.line: list[Turn] = []

    def __repr__(self) -> str:
        running, waiting = len(self.running), len(self.line)
        return f"<Limiter: {running} of {self.size} running, {waiting} waiting>"

    def run(self, function: Callable[[], Any]) -> Reference:
        return self.add(Call(self, function))

    def acquire(self) -> Slot:
        return Slot(self)

    def add(self, turn: Turn) -> Reference:
        running, waiting = len(self.running), len(self.line)
        if self.room is not None and running + waiting >= self.size + self.room:
            full = f"the limiter is full: {running} running, {waiting} waiting"
            turn.child.reject(LimitExceeded(full))
        else:
            self.line.append(turn)
            if not waiting:
                self.next()
        return turn.child

    def next(self) -> None:
        """The first of the line has its turn, if there is one, and a slot for it."""
        if self.line and len(self.running) < self.size:
            turn = self.line.pop(0)
            self.running.append(turn)
            turn.begin()

    def free(self, turn: Turn) -> None:
        """A slot is free again; the next one takes it in a turn of its own, if any waits now."""
        self.running.remove(turn)
        if self.line:
            self.world.queue.append(self.next)


class Turn(Consumer):
    """Stands in line; then it has a slot, until that is freed."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.child = Reference(limiter.world, self)

    def begin(self) -> None:
        self.child.fulfill(None)

    def abandon(self, stack: list[Reference]) -> bool:
        if self in self.limiter.line:
            self.limiter.line.remove(self)
        return False


class Call(Turn):
    """Needs its slot until what its function has begun has ended."""

    def __init__(self, limiter: Limiter, function: Callable[[], Any]) -> None:
        super().__init__(limiter)
        self.function = function

    def begin(self) -> None:
        self.child.source = None
        work: list[Reference] = []

        def call() -> Any:
            result = self.function()
            # It ends when the work does.
            work.append(result if isinstance(result, Reference) else self.child)
            return result

        call_for(self.child, call)
        if work and (work[0].state == PENDING or work[0].under_way()):
            work[0].when_ended(self.end_turn)
        else:
            self.end_turn()

    def end_turn(self) -> None:
        self.limiter.free(self)


class Slot(Disposer):
    """A slot as a resource: it gets in line when it is used."""

    def __init__(self, limiter: Limiter) -> None:
        self.turn = Turn(limiter)
        super().__init__(Reference(limiter.world), self.give_back)

    def take(self) -> Reference:
        if not self.used:
            self.promise.resolve(self.turn.limiter.add(self.turn))
        return super().take()

    def give_back(self, resource: None, outcome: Inspection) -> None:
        self.turn.limiter.free(self.turn)


class Group(Consumer):
    """Waits until all that was started has ended; what fails cancels the others."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: How all ends.
        self.child = Reference(world, self)
        #: What has not ended, with what that has gone on without; and what has failed.
        self.members: list[Reference] = []
        self.given_up: list[Reference] = []
        self.failed: list[Reference] = []
        #: Nothing is started any more: it was cancelled, or something has failed.
        self.stopped = False
        #: Its end is asked for: when all have ended, nothing is started any more.
        self.waited = False

    def __repr__(self) -> str:
        state = "cancelled" if self.stopped else "open"
        if self.failed:
            state = "failing"
        if self.gone:
            state = "closed"
        return f"<PromiseGroup, {state}: {len(self.members)} running>"

    def start_soon(self, function: Callable[[], Any]) -> Reference:
        if self.stopped or self.gone:
            state = repr(self).partition(", ")[2].partition(":")[0]
            raise RuntimeError(f"nothing can be started in a group that is {state}: {self!r}")
        member = Reference(self.world)
        # The group raises it.
        member.handled = True
        self.members.append(member)
        member.attach(self)

        def start() -> None:
            if not member.dead:
                call_for(member, function)

        self.world.queue.append(start)
        return member

    def wait(self) -> Reference:
        waiting = then(self.child)
        self.waited = True
        self.look()
        return waiting

    def cancel(self) -> None:
        if self.stopped or self.gone:
            return
        self.stopped = True
        for member in list(self.members):
            member.cancel()
        self.look()

    def notify(self, parent: Reference) -> None:
        """One of the members has settled."""
        if parent.state == REJECTED:
            self.failed.append(parent)
            self.cancel()
        if parent.under_way() is None:
            self.ended(parent)
        else:
            parent.when_ended(lambda: self.ended(parent))

    def wait_for_ends(self, left: list[Reference]) -> None:
        self.given_up += left
        for promise in left:
            promise.when_ended(lambda promise=promise: self.given_up_ended(promise))

    def given_up_ended(self, promise: Reference) -> None:
        self.given_up.remove(promise)
        self.look()

    def ended(self, member: Reference) -> None:
        self.members.remove(member)
        self.look()

    def look(self) -> None:
        """Whether this is the end."""
        left = self.members or self.given_up
        if left or self.gone or not (self.stopped or self.waited):
            return
        self.end()
        if len(self.failed) == 1:
            self.child.pass_on(self.failed[0])
        elif self.failed:
            self.child.reject(AggregateError([member.value for member in self.failed]))
        elif self.child.cancelling:
            self.child.finish_cancel()
        else:
            self.child.fulfill(None)

    def abandon(self, stack: list[Reference]) -> bool:
        """All that have waited have left."""
        self.stopped = True
        stack += reversed(self.members)
        if not (self.members or self.given_up):
            self.end()
            return False
        if self.child.is_behind(self.child):
            # A member waits for this: it could not be interrupted before that.
            outcome, self.child = self.child, Reference(self.world, self)
            self.child.cancelling, self.child.handled = True, outcome.handled
            outcome.finish_cancel()
            outcome.given_up = [*self.members, *self.given_up]
        return True
