"""Steps of programs that are about several promises, resources, time and services."""

from __future__ import annotations

from types import coroutine
from typing import Any

from tests.model.program import TIMES, Numbers, describe
from tests.model.single import Single


class Several(Single):
    """Steps that are about several promises, resources, coroutines, time and services."""

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
        what = self.RELEASES[numbers.below(len(self.RELEASES))]
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
        acts = [self.HANDLERS[numbers.below(len(self.HANDLERS))] for _ in range(length)]
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
                        act = self.HANDLERS[mine.below(len(self.HANDLERS))]
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
