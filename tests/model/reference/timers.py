"""Time: `delay` and `timeout`."""

from __future__ import annotations

from typing import Any

from tests.model.reference.promise import Reference, drop_rest
from tests.model.reference.world import FULFILLED, PENDING, Consumer, TimeoutError


class Timed(Consumer):
    def __init__(self, parent: Reference, child: Reference, seconds: float) -> None:
        self.child, self.seconds = child, seconds
        self.awaited = parent
        self.timer: Any = None

    def ahead(self) -> Reference | None:
        return self.awaited

    def start_timer(self) -> None:
        world = self.child.world
        self.timer = (world.now + self.seconds, self.fire)
        world.timers.append(self.timer)

    def stop_timer(self) -> None:
        if self.timer in self.child.world.timers:
            self.child.world.timers.remove(self.timer)

    def fire(self) -> None:
        raise NotImplementedError

    def abandon(self, stack: list[Reference]) -> bool:
        self.stop_timer()
        self.alive = False
        if self.awaited.leave(stack, self.child):
            return True
        self.end()
        return False


class Delay(Timed):
    def __init__(self, parent: Reference, child: Reference, seconds: float) -> None:
        super().__init__(parent, child, seconds)
        if parent.inspect()[0] == FULFILLED:
            self.settled = parent.end()
            self.start_timer()
        else:
            parent.attach(self)

    def ahead(self) -> Reference | None:
        return None if self.timer else self.awaited

    def from_outside(self) -> bool:
        return self.timer is not None

    def notify(self, parent: Reference) -> None:
        if parent.state == FULFILLED:
            self.settled = parent
            self.start_timer()
        else:
            self.end()
            self.child.pass_on(parent)

    def fire(self) -> None:
        self.end()
        self.child.fulfill(self.settled.value)


class Timeout(Timed):
    def __init__(self, parent: Reference, child: Reference, seconds: float) -> None:
        super().__init__(parent, child, seconds)
        if parent.inspect()[0] == PENDING:
            self.start_timer()
        parent.attach(self)

    def notify(self, parent: Reference) -> None:
        self.stop_timer()
        self.end()
        self.child.pass_on(parent)

    def fire(self) -> None:
        world = self.child.world
        if (world.queue or world.rejections) and self.awaited.may_come():
            # All that was there first has its turn.
            world.rejections.append(self)
        else:
            self.strike()

    def look(self) -> None:
        if self.gone or not self.alive:
            return
        if self.child.world.queue:
            self.child.world.rejections.append(self)
        else:
            self.strike()

    def strike(self) -> None:
        self.end()
        self.child.reject(TimeoutError("operation timed out"))
        drop_rest(self.child, [self.awaited])
