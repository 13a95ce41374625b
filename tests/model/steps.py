"""What handlers do, and all steps by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.program import Boom, Numbers
from tests.model.several import Several


class Program(Several):
    """Steps of programs, and what handlers do."""

    def step(self, name: str, number: int) -> None:
        """Do one step of a program."""
        STEPS[name](self, Numbers(number))

    # --- what handlers do

    def gives_nothing(self, numbers: Numbers, own: list[Any]) -> Any:
        return None

    def gives_value(self, numbers: Numbers, own: list[Any]) -> Any:
        return self.number()

    def gives_anything(self, numbers: Numbers, own: list[Any]) -> Any:
        return self.value(numbers)

    def gives_itself(self, numbers: Numbers, own: list[Any]) -> Any:
        return own[0] if own else None

    def raises(self, numbers: Numbers, own: list[Any]) -> Any:
        raise Boom(self.number())

    def cancels(self, numbers: Numbers, own: list[Any]) -> Any:
        self.pick(numbers).cancel()
        return self.value(numbers)

    def cancels_itself(self, numbers: Numbers, own: list[Any]) -> Any:
        if own:
            own[0].cancel()
        return self.value(numbers)

    def cancels_itself_and_raises(self, numbers: Numbers, own: list[Any]) -> Any:
        if own:
            own[0].cancel()
        raise Boom(self.number())

    def settles(self, numbers: Numbers, own: list[Any]) -> Any:
        (self.resolve if numbers.below(2) else self.reject)(numbers)
        return self.number()

    def fires(self, numbers: Numbers, own: list[Any]) -> Any:
        self.fire(numbers)
        return self.number()

    def attaches(self, numbers: Numbers, own: list[Any]) -> Any:
        self.attach(numbers)
        return self.value(numbers)

    def times_out(self, numbers: Numbers, own: list[Any]) -> Any:
        """What is given up, and may clean up then."""
        self.aside(numbers)
        return self.keep(self.derive("timeout", self.promises[-1], 1))

    def limits(self, numbers: Numbers, own: list[Any]) -> Any:
        return self.limited(numbers)

    def starts(self, numbers: Numbers, own: list[Any]) -> Any:
        return self.start(numbers)

    HANDLERS = (
        gives_nothing,
        gives_value,
        gives_anything,
        gives_itself,
        raises,
        cancels,
        cancels_itself,
        cancels_itself_and_raises,
        settles,
        fires,
        attaches,
        times_out,
        limits,
        starts,
    )
    RELEASES = (*[gives_nothing] * 3, *[gives_anything] * 3, raises, *HANDLERS)


STEPS: dict[str, Callable[[Any, Numbers], None]] = {
    "new": Program.new,
    "hook": Program.hook,
    "resolve": Program.resolve,
    "follow": Program.follow,
    "reject": Program.reject,
    "ready": Program.ready,
    "failed": Program.failed,
    "attempt": Program.attempt,
    "attach": Program.attach,
    "catch": Program.catch,
    "constant": Program.constant,
    "done": Program.done,
    "callback": Program.callback,
    "aside": Program.aside,
    "reflect": Program.reflect,
    "shield": Program.shield,
    "watch": Program.watch,
    "cancel": Program.cancel,
    "suppress": Program.suppress,
    "new_deferred": Program.new_deferred,
    "fire": Program.fire,
    "cancel_deferred": Program.cancel_deferred,
    "to_deferred": Program.to_deferred,
    "cancel_out": Program.cancel_out,
    "to_future": Program.to_future,
    "cancel_future": Program.cancel_future,
    "loop": Program.run_loop,
    "several": Program.several,
    "join": Program.join,
    "using": Program.using,
    "map": Program.map,
    "series": Program.series,
    "coroutine": Program.coroutine,
    "stop": Program.stop,
    "delay": Program.delay,
    "timeout": Program.timeout,
    "limit": Program.limit,
    "limited": Program.limited,
    "new_group": Program.new_group,
    "start": Program.start,
    "wait_group": Program.wait_group,
    "cancel_group": Program.cancel_group,
    "turn": Program.turn,
    "wait": Program.wait,
}
