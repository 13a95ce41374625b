"""Random programs, and the two sides that run them: `Promise`, and the reference."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable
from inspect import CO_COROUTINE, CO_GENERATOR
from types import FunctionType, coroutine
from typing import Any

from twisted.internet.defer import AlreadyCalledError, Deferred
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from tests.model import reference, services
from tests.model.reference import Reference, World
from twpromise import Disposer, Limiter, Promise, PromiseGroup
from twpromise.testing import ManualScheduler


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


class Side:
    """Runs a program; what the promises are is left to the two that derive from this."""

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

    def used(self, resources: Any, listed: bool, handler: Callable[..., Any]) -> Any:
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
        what = HANDLERS[numbers.below(len(HANDLERS))]
        later = Numbers(numbers.below(1 << 20))

        def handler(*arguments: Any) -> Any:
            self.log.append(("handler", name, *map(describe, arguments)))
            return what(self, Numbers(later.number), own)

        return handler

    def step(self, name: str, number: int) -> None:
        """Do one step of a program."""
        STEPS[name](self, Numbers(number))

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

    # --- steps

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
        what = HANDLERS[numbers.below(len(HANDLERS))]
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

    def several(self, numbers: Numbers) -> None:
        name = ("all", "all_settled", "any", "some", "race", "props")[numbers.below(6)]
        arguments = (numbers.below(3),) if name == "some" else ()
        items: Any = [self.value(numbers) for _ in range(numbers.below(4))]
        if name == "props":
            items = dict(enumerate(items))
        options = {} if name == "all_settled" else self.options(numbers)
        self.keep(self.gather(numbers, name, items, *arguments, **options))

    def options(self, numbers: Numbers) -> dict[str, bool]:
        """Whether what is left is cancelled."""
        return {"cancel_rest": True} if numbers.below(2) else {}

    def join(self, numbers: Numbers) -> None:
        own: list[Any] = []
        items = [self.value(numbers) for _ in range(numbers.below(4))]
        handler = self.handler(numbers, own)
        if numbers.below(2):
            own.append(self.keep(self.joined(*items, handler, **self.options(numbers))))
        else:
            own.append(self.keep(self.derive("spread", self.later(numbers, items), handler)))

    def gather(
        self, numbers: Numbers, name: str, items: Any, *arguments: Any, **options: bool
    ) -> Any:
        """What a collection gives for items, or for a promise for them."""
        if numbers.below(3):
            return self.collect(name, items, *arguments, **options)
        return self.derive(name, self.later(numbers, items), *arguments, **options)

    def later(self, numbers: Numbers, items: Any) -> Any:
        """A promise for a list; it is not shared, since the items may be promises."""
        return self.derive("then", self.pick(numbers), lambda _: items, None)

    def using(self, numbers: Numbers) -> None:
        own: list[Any] = []
        resources = [self.resource(numbers) for _ in range(numbers.below(4))]
        listed = not resources or not numbers.below(3)
        handler = self.handler(numbers, own)
        own.append(self.keep(self.used(resources, listed, handler)))

    def resource(self, numbers: Numbers) -> Any:
        """What `using` takes: it needs to be released, or it does not."""
        what = numbers.below(8)
        if what == 0:
            return self.value(numbers)
        if what == 1 and self.disposers:
            # As likely as not it has been used.
            return self.disposers[numbers.below(len(self.disposers))]
        if what == 4 and self.limiters:
            disposer = self.a_limiter(numbers).acquire()
            self.disposers.append(disposer)
            return disposer
        disposer = self.disposer(numbers)
        if what == 2:
            return self.derive("then", self.pick(numbers), lambda _: disposer, None)
        if what == 3:
            return self.keep(self.delayed(TIMES[numbers.below(len(TIMES))], disposer))
        return disposer

    def disposer(self, numbers: Numbers) -> Any:
        """A resource that is to be released."""
        name = self.number()
        what = RELEASES[numbers.below(len(RELEASES))]
        what_else = Numbers(numbers.below(1 << 20))

        def release(resource: Any, outcome: Any) -> Any:
            if self.over:
                return None
            self.log.append(("release", name, describe(resource), describe(outcome)))
            return what(self, Numbers(what_else.number), [])

        disposer = self.derive("disposer", self.resolved(self.value(numbers)), release)
        self.disposers.append(disposer)
        return disposer

    def map(self, numbers: Numbers) -> None:
        own: list[Any] = []
        name = ("map", "filter")[numbers.below(2)]
        limit = (None, 1, 2)[numbers.below(3)]
        items = [self.value(numbers) for _ in range(numbers.below(4))]
        mapper = self.handler(numbers, own)
        options = self.options(numbers)
        own.append(self.keep(self.gather(numbers, name, items, mapper, limit, **options)))

    def series(self, numbers: Numbers) -> None:
        own: list[Any] = []
        name = ("each", "map_series", "reduce")[numbers.below(3)]
        items = [self.value(numbers) for _ in range(numbers.below(4))]
        function = self.handler(numbers, own)
        initial = (self.value(numbers),) if name == "reduce" and numbers.below(2) else ()
        own.append(self.keep(self.gather(numbers, name, items, function, *initial)))

    def coroutine(self, numbers: Numbers) -> None:
        name = self.number()
        awaits = bool(numbers.below(2))
        own: list[Any] = []
        # Seldom none: it has to wait for something to be cancelled there.
        length = min(numbers.below(8), 3)
        # What each step does when it has what it waits for, and whether it catches what it gets.
        acts = [HANDLERS[numbers.below(len(HANDLERS))] for _ in range(length)]
        catches = [numbers.below(3) for _ in range(length)]
        cleans_up = numbers.below(3)
        later = Numbers(numbers.below(1 << 30))
        handled: list[BaseException] = []

        def log(what: str, value: Any = None) -> None:
            followed = not isinstance(value, int | BaseException | list | None)
            self.log.append((what, name, "something" if followed else describe(value)))

        @coroutine
        def wait(for_what: Any) -> Any:
            # Both kinds have the same body: `await` where it is one, else what is yielded as it is.
            if awaits:
                return (yield from for_what.__await__())
            return (yield for_what)

        async def body() -> Any:
            mine = Numbers(later.number)
            try:
                for act, catch in zip(acts, catches, strict=True):
                    try:
                        log("sent", await wait(self.awaited(mine, awaits)))
                    except BaseException as error:
                        log("thrown", error)
                        # Some go on, also when they are cancelled.
                        if catch or self.over:
                            raise
                    result = act(self, mine, own)
                return result if acts else self.value(mine)
            except BaseException as error:
                log("ends", error)
                handled.append(error)
                raise
            finally:
                if cleans_up and not self.over:
                    log("cleans up", await wait(self.awaited(mine, awaits)))
                    if cleans_up == 2:
                        act = HANDLERS[mine.below(len(HANDLERS))]
                        act(self, mine, own)

        own.append(self.keep(self.run(body, awaits, handled)))
        self.running.extend(own)

    def stop(self, numbers: Numbers) -> None:
        """Cancel what a coroutine gives, one of the last three."""
        if self.running:
            self.running[-1 - numbers.below(min(len(self.running), 3))].cancel()

    def awaited(self, numbers: Numbers, awaits: bool) -> Any:
        """Something that a coroutine waits for; Twisted decides how a Deferred is awaited."""
        if not awaits and self.deferreds and not numbers.below(3):
            return self.deferreds[numbers.below(len(self.deferreds))]
        return self.pick(numbers)

    def delay(self, numbers: Numbers) -> None:
        seconds = TIMES[numbers.below(len(TIMES))]
        if numbers.below(3):
            self.keep(self.derive("delay", self.pick(numbers), seconds))
        else:
            self.keep(self.delayed(seconds, self.value(numbers)))

    def timeout(self, numbers: Numbers) -> None:
        seconds = TIMES[numbers.below(len(TIMES))]
        promise = self.pick(numbers)
        self.keep(self.derive("timeout", promise, seconds))

    def limit(self, numbers: Numbers) -> None:
        """A new limiter."""
        self.limiters.append(self.limiter(1 + numbers.below(2), (None, 0, 1)[numbers.below(3)]))

    def a_limiter(self, numbers: Numbers) -> Any:
        """One of the limiters; later ones more often."""
        if not self.limiters:
            self.limit(numbers)
        return self.limiters[-1 - min(numbers.below(len(self.limiters)), numbers.below(3))]

    def limited(self, numbers: Numbers) -> Any:
        """Run a function when a limiter has a slot for it."""
        own: list[Any] = []
        limiter = self.a_limiter(numbers)
        own.append(self.keep(limiter.run(self.handler(numbers, own))))
        return own[0]

    def new_group(self, numbers: Numbers) -> None:
        self.groups.append(self.group())

    def a_group(self, numbers: Numbers) -> Any:
        """One of the groups; later ones more often."""
        if not self.groups:
            self.new_group(numbers)
        return self.groups[-1 - min(numbers.below(len(self.groups)), numbers.below(3))]

    def start(self, numbers: Numbers) -> Any:
        """Start a function in a group, which may be closed."""
        own: list[Any] = []
        group = self.a_group(numbers)
        try:
            own.append(self.keep(group.start_soon(self.handler(numbers, own))))
        except RuntimeError as error:
            self.log.append(("refused", describe(error)))
            return None
        return own[0]

    def wait_group(self, numbers: Numbers) -> None:
        self.keep(self.a_group(numbers).wait())

    def cancel_group(self, numbers: Numbers) -> None:
        self.a_group(numbers).cancel()

    def turn(self, numbers: Numbers) -> None:
        self.flush()

    def wait(self, numbers: Numbers) -> None:
        self.advance(TIMES[numbers.below(len(TIMES))])

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

    def limits(self, numbers: Numbers, own: list[Any]) -> Any:
        return self.limited(numbers)

    def starts(self, numbers: Numbers, own: list[Any]) -> Any:
        return self.start(numbers)


HANDLERS = (
    Side.gives_nothing,
    Side.gives_value,
    Side.gives_anything,
    Side.gives_itself,
    Side.raises,
    Side.cancels,
    Side.cancels_itself,
    Side.cancels_itself_and_raises,
    Side.settles,
    Side.fires,
    Side.attaches,
    Side.limits,
    Side.starts,
)
RELEASES = (*[Side.gives_nothing] * 3, *[Side.gives_anything] * 3, Side.raises, *HANDLERS)
STEPS: dict[str, Callable[[Any, Numbers], None]] = {
    "new": Side.new,
    "hook": Side.hook,
    "resolve": Side.resolve,
    "follow": Side.follow,
    "reject": Side.reject,
    "ready": Side.ready,
    "failed": Side.failed,
    "attempt": Side.attempt,
    "attach": Side.attach,
    "catch": Side.catch,
    "constant": Side.constant,
    "done": Side.done,
    "callback": Side.callback,
    "aside": Side.aside,
    "reflect": Side.reflect,
    "shield": Side.shield,
    "watch": Side.watch,
    "cancel": Side.cancel,
    "suppress": Side.suppress,
    "new_deferred": Side.new_deferred,
    "fire": Side.fire,
    "cancel_deferred": Side.cancel_deferred,
    "to_deferred": Side.to_deferred,
    "cancel_out": Side.cancel_out,
    "to_future": Side.to_future,
    "cancel_future": Side.cancel_future,
    "loop": Side.run_loop,
    "several": Side.several,
    "join": Side.join,
    "using": Side.using,
    "map": Side.map,
    "series": Side.series,
    "coroutine": Side.coroutine,
    "stop": Side.stop,
    "delay": Side.delay,
    "timeout": Side.timeout,
    "limit": Side.limit,
    "limited": Side.limited,
    "new_group": Side.new_group,
    "start": Side.start,
    "wait_group": Side.wait_group,
    "cancel_group": Side.cancel_group,
    "turn": Side.turn,
    "wait": Side.wait,
}


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
    if isinstance(value, reference.AggregateError):
        return ("AggregateError", [describe(reason) for reason in value.reasons])
    if isinstance(value, BaseException):
        return (type(value).__name__, str(value))
    if isinstance(value, reference.Inspection):
        return ("inspection", value.state, describe(value.value))
    if isinstance(value, Promise.PromiseInspection):
        if value.is_fulfilled():
            return ("inspection", "fulfilled", describe(value.value()))
        if value.is_rejected():
            return ("inspection", "rejected", describe(value.reason()))
        return ("inspection", "cancelled" if value.is_cancelled() else "pending", None)
    if isinstance(value, reference.Disposer | Disposer):
        return "disposer"
    assert value is None or isinstance(value, int), value
    return value


class Real(Side):
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

    def used(self, resources: Any, listed: bool, handler: Callable[..., Any]) -> Any:
        return self.cls.using(resources, handler) if listed else self.cls.using(*resources, handler)

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


class Model(Side):
    """With the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(lambda what, value: self.log.append((what, describe(value))))

    def make(self, hooks: list[Callable[[], None]], late: bool = False) -> tuple[Any, Any, Any]:
        promise = Reference(self.world)
        promise.hooks = hooks

        def register(hook: Callable[[], None]) -> None:
            if promise.inspect()[0] == reference.PENDING:
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
        everything = {reference.FULFILLED, reference.REJECTED, reference.CANCELLED}
        if method == "then":
            return promise.then(*arguments)
        if method == "catch":
            return promise.catch(*arguments)
        if method == "finally_":
            (handler,) = arguments
            return promise.aside(lambda _: handler(), everything)
        if method == "tap":
            return promise.aside(*arguments, {reference.FULFILLED})
        if method == "tap_catch":
            return promise.aside(*arguments, {reference.REJECTED})
        if method == "reflect":
            return promise.reflect()
        if method == "disposer":
            return reference.Disposer(promise, *arguments)
        if method == "suppress_unhandled_rejections":
            return promise.mark_handled()
        if method == "add_done_callback":
            return promise.watch(*arguments)
        if method in ("return_", "catch_return"):
            return promise.constant(*arguments, fails=method != "return_")
        if method in ("throw", "catch_throw"):
            # Its items are made when they are read, so no rejection is reported before.
            throw = lambda _: self.rejected(*arguments)  # noqa: E731
            return promise.then(throw) if method == "throw" else promise.then(None, throw)
        if method == "done":
            reference.Done(promise.then(*arguments))
            return None
        if method == "as_callback":
            reference.Callback(promise, *arguments)
            return promise
        child = Reference(self.world)
        if method == "spread":
            (handler,) = arguments
            reference.Listed(promise, child, lambda items: reference.All(child, items))
            return child.then(lambda values: handler(*values))
        if method == "shield":
            reference.Shield(promise, child)
        elif method in ("delay", "timeout"):
            kind = {"delay": reference.Delay, "timeout": reference.Timeout}[method]
            child.source = kind(promise, child, *arguments)
        else:
            function, initial = arguments[:1], arguments[1:]
            if method != "reduce":
                function, initial = arguments, ()

            def begin(items: Any, *initial: Any) -> None:
                start = lambda run: run()  # noqa: E731
                self.begin(method, child, items, start, *function, *initial, **options)

            listed = reference.Listed(promise, child, begin, *initial)
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
            reference.Mapping(child, items, *arguments, **options)
        elif method == "filter":
            reference.Filter(child, items, *arguments, **options)
        elif method in ("each", "map_series", "reduce"):
            reference.Series(child, method, items, start, *arguments)
        elif method == "any":
            reference.Some(child, items, 1, True, **options)
        elif method == "some":
            reference.Some(child, items, *arguments, False, **options)
        elif method == "race":
            reference.Race(child, items, **options)
        elif method == "props":
            reference.Props(child, items, **options)
        else:
            kind = {"all": reference.All, "all_settled": reference.AllSettled}[method]
            kind(child, items, **options)

    def joined(self, *items_and_handler: Any, **options: bool) -> Any:
        *items, handler = items_and_handler
        return self.collect("all", items, **options).then(lambda values: handler(*values))

    def run(self, body: Callable[[], Any], awaits: bool, handled: list[BaseException]) -> Any:
        child = Reference(self.world)
        if awaits:
            reference.Running(child, self.hold(body()), reference.CancellationError, handled)
        else:
            reference.Running(child, self.hold(generated(body)), GeneratorExit, handled)
        return child

    def used(self, resources: Any, listed: bool, handler: Callable[..., Any]) -> Any:
        child = Reference(self.world)
        handle = handler if listed else lambda values: handler(*values)
        reference.Using(child, resources, handle)
        return child

    def limiter(self, size: int, waiting: int | None) -> Any:
        return services.Limiter(self.world, size, waiting)

    def group(self) -> Any:
        return services.Group(self.world)

    def out(self, promise: Any) -> Deferred[Any]:
        return reference.to_deferred(promise)

    def future(self, promise: Any) -> Future[Any]:
        return reference.FutureSink(promise, self.loop).future

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
