"""What both sides of a random program have: `Promise`, and the reference."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable
from inspect import CO_COROUTINE, CO_GENERATOR
from types import FunctionType
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.model.reference import (
    resources,
    world,
)
from twpromise import Disposer, Promise


class Boom(Exception):
    """What goes wrong in a program."""


def generated(body: Callable[[], Any]) -> Any:
    """What an `async def` function does, as a generator.

    Not by ``yield from``: `GeneratorExit` is thrown into what awaits, and what that handles can
    be seen in it.
    """
    function: Any = body
    code = function.__code__
    flags = code.co_flags & ~CO_COROUTINE | CO_GENERATOR
    return FunctionType(code.replace(co_flags=flags), globals(), None, None, function.__closure__)()


class Numbers:
    """Small numbers out of a large one."""

    def __init__(self, number: int) -> None:
        self.number = number

    def below(self, limit: int) -> int:
        """One of `range(limit)`."""
        self.number, number = divmod(self.number, limit)
        return number


class Loop(AbstractEventLoop):
    """As much of an event loop as futures need; it runs when a program says so."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], object]] = deque()

    def get_debug(self) -> bool:
        """As Python's do by default."""
        return False

    def is_closed(self) -> bool:
        """Never."""
        return False

    def create_future(self) -> Future[Any]:
        """Python's own."""
        return Future(loop=self)

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> Any:
        """Keep a call."""
        self.calls.append(lambda: callback(*arguments))

    call_soon_threadsafe = call_soon

    def run(self) -> None:
        """Run all that is there, and what comes meanwhile."""
        while self.calls:
            self.calls.popleft()()


#: The largest number a step may have, and one more.
LIMIT = 1 << 64
#: How long things take, and how far the clock is moved.
TIMES = (0, 1, 2, 5)


#: What a handler does; it gets the promise that it settles, if there is one by then.
Act = Callable[[Any, Numbers, list[Any]], Any]


class Side:
    """One of two that run the same program; what the promises are, each of them says."""

    #: What handlers do, and what those do that release something: the last of these classes.
    HANDLERS: ClassVar[tuple[Act, ...]]
    RELEASES: ClassVar[tuple[Act, ...]]

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.promises: list[Any] = []
        # How each promise that is settled from outside is resolved and rejected.
        self.settlers: list[tuple[Any, Any]] = []
        # What registers hooks of promises, with the promise.
        self.registers: list[Any] = []
        self.deferreds: list[Deferred[Any]] = []
        self.failures: list[Failure] = []
        # Deferreds that the program has fired or cancelled, so that it does not do so twice.
        self.spent: set[int] = set()
        # Deferreds made of promises.
        self.outs: list[Deferred[Any]] = []
        # Futures made of promises.
        self.loop = Loop()
        self.futures: list[Future[Any]] = []
        # The promises of coroutines.
        self.running: list[Any] = []
        # Disposers, which would release what is theirs if they were thrown away.
        self.disposers: list[Any] = []
        # Generators and coroutines.
        self.generators: list[Any] = []
        self.limiters: list[Any] = []
        self.groups: list[Any] = []
        self.made = 0
        self.over = False

    # --- what the sides do, each in its way

    def make(self, hooks: list[Callable[[], None]], late: bool = False) -> tuple[Any, Any, Any]:
        """A pending promise, and what settles it; *late* if hooks may be registered later."""
        raise NotImplementedError

    def resolved(self, value: Any) -> Any:
        """What `Promise.resolve` gives."""
        raise NotImplementedError

    def rejected(self, reason: Any) -> Any:
        """What `Promise.reject` gives."""
        raise NotImplementedError

    def tried(self, function: Callable[[], Any]) -> Any:
        """What `Promise.try_` gives."""
        raise NotImplementedError

    def delayed(self, seconds: float, value: Any) -> Any:
        """What `Promise.delay` gives."""
        raise NotImplementedError

    def derive(self, method: str, promise: Any, *arguments: Any, **options: bool) -> Any:
        """What a method gives."""
        raise NotImplementedError

    def collect(self, method: str, items: Any, *arguments: Any, **options: bool) -> Any:
        """What a static function gives for a list, or `props` for a mapping."""
        raise NotImplementedError

    def joined(self, *items_and_handler: Any, **options: bool) -> Any:
        """What `Promise.join` gives."""
        raise NotImplementedError

    def run(self, body: Callable[[], Any], awaits: bool, handled: list[BaseException]) -> Any:
        """A promise for what a generator, or a coroutine, gives; and what that handles."""
        raise NotImplementedError

    def used(self, wanted: Any, listed: bool, handler: Callable[..., Any]) -> Any:
        """What `Promise.using` gives."""
        raise NotImplementedError

    def limiter(self, size: int, waiting: int | None) -> Any:
        """A `Limiter`."""
        raise NotImplementedError

    def group(self) -> Any:
        """A `PromiseGroup`."""
        raise NotImplementedError

    def out(self, promise: Any) -> Deferred[Any]:
        """A Deferred of a promise."""
        raise NotImplementedError

    def future(self, promise: Any) -> Future[Any]:
        """A future of a promise."""
        raise NotImplementedError

    def fires_with(self, fire: Callable[[Any], None], outcome: Any) -> None:
        """Fire a Deferred that the program has neither fired nor cancelled before."""
        raise NotImplementedError

    def flush(self) -> None:
        """Run what is queued."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        raise NotImplementedError

    def timers(self) -> int:
        """How many timers run."""
        raise NotImplementedError

    def state(self, promise: Any) -> Any:
        """What everybody can see of a promise."""
        raise NotImplementedError

    # --- what is done on either side

    def number(self) -> int:
        """A name for something new."""
        self.made += 1
        return self.made

    def keep(self, promise: Any) -> Any:
        """Remember a promise; later steps are about it."""
        self.promises.append(promise)
        return promise

    def hold(self, generator: Any) -> Any:
        """Keep a generator or coroutine until the program is over: Python ends it else."""
        self.generators.append(generator)
        return generator

    def pick(self, numbers: Numbers) -> Any:
        """One of the promises; later ones more often."""
        count = len(self.promises)
        recent = numbers.below(2)
        if not count:
            promise, *settlers = self.make([])
            self.settlers.append((settlers[0], settlers[1]))
            return self.keep(promise)
        return self.promises[count - 1 - numbers.below(min(count, 4) if recent else count)]

    def value(self, numbers: Numbers) -> Any:
        """A value, often one that is followed."""
        what = numbers.below(6)
        if what < 3:
            return self.number()
        if what < 5 or not self.deferreds:
            return self.pick(numbers)
        return self.deferreds[numbers.below(len(self.deferreds))]

    def handler(self, numbers: Numbers, own: list[Any]) -> Any:
        """A handler that logs its call, and does something.

        Args:
            numbers: Say what.
            own: Will hold the promise that the handler settles.
        """
        name = self.number()
        what = self.HANDLERS[numbers.below(len(self.HANDLERS))]
        later = Numbers(numbers.below(1 << 20))

        def handler(*arguments: Any) -> Any:
            self.log.append(("handler", name, *map(describe, arguments)))
            return what(self, Numbers(later.number), own)

        return handler

    def look(self) -> list[Any]:
        """All that can be seen."""
        return [
            [self.state(promise) for promise in self.promises],
            [deferred.called for deferred in self.deferreds],
            [deferred.called for deferred in self.outs],
            [(future.done(), future.cancelled()) for future in self.futures],
            [repr(each) for each in (*self.limiters, *self.groups)],
            self.timers(),
        ]


def describe(value: Any) -> Any:
    """A value, or a reason, in words that are the same on both sides."""
    if isinstance(value, Failure):
        value = value.value
    if isinstance(value, list):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {key: describe(item) for key, item in value.items()}
    if isinstance(value, Promise.AggregateError):
        return ("AggregateError", [describe(reason) for reason in value])
    if isinstance(value, world.AggregateError):
        return ("AggregateError", [describe(reason) for reason in value.reasons])
    if isinstance(value, BaseException):
        return (type(value).__name__, str(value))
    if isinstance(value, world.Inspection):
        return ("inspection", value.state, describe(value.value))
    if isinstance(value, Promise.PromiseInspection):
        if value.is_fulfilled():
            return ("inspection", "fulfilled", describe(value.value()))
        if value.is_rejected():
            return ("inspection", "rejected", describe(value.reason()))
        return ("inspection", "cancelled" if value.is_cancelled() else "pending", None)
    if isinstance(value, resources.Disposer | Disposer):
        return "disposer"
    assert value is None or isinstance(value, int), value
    return value
