"""Coroutines that are given to promises: `twpromise._coroutines.coroutines`."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from tests.support.outcomes import frames, result_of
from tests.support.promises import Boom, Source, awaiting
from twpromise import CancellationError, Promise
from twpromise.testing import ManualScheduler

OnAsyncio = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
Give = Callable[[Coroutine[Any, Any, Any]], Promise[Any]]


WAYS: dict[str, Give] = {
    "resolve": Promise.resolve,
    "resolver": lambda coroutine: Promise(lambda resolve, reject: resolve(coroutine)),
    "returned": lambda coroutine: Promise.resolve().then(lambda _: coroutine),
    "returned by catch": lambda coroutine: Promise.reject(1).catch(lambda _: coroutine),
    "in a Deferred": lambda coroutine: Promise.from_deferred(succeed(coroutine)),
    "in a promise": lambda coroutine: Promise.resolve(Promise.resolve(coroutine)),
}


@pytest.fixture(params=WAYS)
def give(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Give:
    """Every way in which a promise is given a coroutine."""

    def give(coroutine: Coroutine[Any, Any, Any]) -> Promise[Any]:
        promise = WAYS[request.param](coroutine)
        scheduler.flush()
        return promise

    return give


@types.coroutine
def bare(value: Any) -> Generator[Any, Any, Any]:
    """Yields something as it is, and returns what is sent in."""
    return (yield value)


class TestOutcome:
    """The promise takes on what comes out of the coroutine."""

    def test_value(self, give: Give) -> None:
        """What the coroutine returns is the value."""

        async def coroutine() -> str:
            return "value"

        assert "value" == give(coroutine()).value()

    @pytest.mark.usefixtures("reports")
    def test_error(self, give: Give) -> None:
        """What it raises is the reason; the traceback starts in the coroutine."""

        async def inner() -> None:
            raise Boom

        async def coroutine() -> None:
            await inner()

        reason = give(coroutine()).reason()
        assert isinstance(reason, Boom)
        assert ["coroutine", "inner"] == frames(reason.__traceback__)

    @pytest.mark.usefixtures("reports")
    @pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
    def test_base_exceptions(self, give: Give, error: type[BaseException]) -> None:
        """Whatever it raises, nothing is lost."""

        async def coroutine() -> None:
            raise error

        assert isinstance(give(coroutine()).reason(), error)

    @pytest.mark.usefixtures("scheduler")
    def test_starts_at_once(self) -> None:
        """The coroutine runs up to its first await before `resolve` returns."""
        seen: list[str] = []

        async def coroutine() -> None:
            seen.append("started")

        promise = Promise.resolve(coroutine())
        assert ["started"] == seen
        assert promise.is_fulfilled()

    def test_returns_something_followed(self, give: Give, scheduler: ManualScheduler) -> None:
        """What it returns is followed: a promise, a Deferred, another coroutine."""
        source = Source()
        deferred: Deferred[Any] = Deferred()

        async def coroutine(value: Any) -> Any:
            return value

        promises = [
            give(coroutine(value))
            for value in (source.promise, deferred, awaiting(source.promise), coroutine("now"))
        ]
        source.resolve("promise")
        deferred.callback("Deferred")
        scheduler.flush()
        assert ["promise", "Deferred", "promise", "now"] == [
            promise.value() for promise in promises
        ]

    def test_async_handlers(self, scheduler: ManualScheduler) -> None:
        """Handlers may be `async def`."""
        source = Source()

        async def on_fulfilled(value: int) -> int:
            return value + await source.promise

        async def on_rejected(reason: Any) -> Any:
            return await Promise.resolve("caught").then()

        async def fails(value: int) -> None:
            await source.promise
            raise Boom

        async def cleanup() -> None:
            await source.promise

        fulfilled = Promise.resolve(1).then(on_fulfilled).finally_(cleanup)
        caught = Promise.resolve(1).then(fails).catch(on_rejected)
        scheduler.flush()
        assert fulfilled.is_pending()
        source.resolve(2)
        scheduler.flush()
        assert 3 == fulfilled.value()
        assert "caught" == caught.value()

    def test_coroutine_that_is_used_up(self, give: Give, reports: list[LogEvent]) -> None:
        """One that has run already rejects with Python's own error."""
        coroutine = awaiting(succeed(1))
        with pytest.raises(StopIteration):
            coroutine.send(None)
        assert isinstance(give(coroutine).reason(), RuntimeError)


class TestAwaits:
    """What a coroutine that a promise runs may wait for."""

    @pytest.mark.usefixtures("debugging")
    def test_deferreds(self, give: Give, scheduler: ManualScheduler) -> None:
        """Deferreds: fired, pending, failing."""
        eventually: Deferred[str] = Deferred()
        failing: Deferred[None] = Deferred()

        async def coroutine() -> list[Any]:
            seen: list[Any] = [await succeed("fired"), await eventually]
            for deferred in fail(Boom("fired")), failing:
                try:
                    await deferred
                except Boom as error:
                    seen.append(str(error))
            return seen

        promise = give(coroutine())
        eventually.callback("pending")
        failing.errback(Boom("pending"))
        scheduler.flush()
        assert ["fired", "pending", "fired", "pending"] == promise.value()

    def test_deferred_resumes_at_once(self, scheduler: ManualScheduler) -> None:
        """A Deferred resumes the coroutine within its callback, as with Twisted's own driver."""
        deferred: Deferred[str] = Deferred()
        promise = Promise.resolve(awaiting(deferred))
        deferred.callback("value")
        assert "value" == promise.value()

    def test_deferred_is_owned(self, give: Give, scheduler: ManualScheduler) -> None:
        """A failure that a coroutine has awaited is not logged."""
        deferred: Deferred[Any] = Deferred()
        promise = give(awaiting(deferred)).catch(lambda reason: None)
        failure = Failure(Boom())
        deferred.errback(failure)
        assert [None] == result_of(deferred)
        scheduler.flush()
        assert promise.is_fulfilled()

    def test_paused_deferred(self, give: Give, scheduler: ManualScheduler) -> None:
        """A paused Deferred is waited for until it goes on."""
        deferred = succeed("value")
        deferred.pause()
        promise = give(awaiting(deferred))
        assert promise.is_pending()
        deferred.unpause()
        scheduler.flush()
        assert "value" == promise.value()

    def test_subclass(self, give: Give, scheduler: ManualScheduler) -> None:
        """Subclasses of Deferred are Deferreds."""
        inner: Deferred[Any] = Deferred()
        promise = give(awaiting(DeferredList([inner])))
        inner.callback("value")
        scheduler.flush()
        assert [(True, "value")] == promise.value()

    def test_many_fired_deferreds(self, give: Give) -> None:
        """However many fired Deferreds are yielded, nothing recurses."""

        async def coroutine() -> int:
            total = 0
            for _ in range(5000):
                total += await succeed(1)
                total += await bare(succeed(1))
            return total

        assert 10_000 == give(coroutine()).value()

    def test_bare_yields(self, give: Give, scheduler: ManualScheduler) -> None:
        """What a generator-based coroutine yields is waited for, and its outcome sent in."""
        source = Source()
        deferred: Deferred[Any] = Deferred()

        class Thenable:
            def then(self, resolve: Any, reject: Any) -> None:
                resolve("thenable")

        async def coroutine() -> list[Any]:
            seen = [
                await bare(succeed("fired")),
                await bare(deferred),
                await bare(source.promise),
                await bare(Promise.resolve("settled")),
                await bare(Thenable()),
                await bare(awaiting(succeed("coroutine"))),
                await bare(None),
            ]
            for failing in (
                fail(Boom("Deferred")),
                Promise.reject(Boom("promise")),
                _fails(),
            ):
                try:
                    await bare(failing)
                except Boom as error:
                    seen.append(str(error))
            return seen

        promise = give(coroutine())
        deferred.callback("Deferred")
        scheduler.flush()
        source.resolve("promise")
        scheduler.flush()
        assert [
            *("fired", "Deferred", "promise", "settled", "thenable", "coroutine", None),
            *("Deferred", "promise", "coroutine"),
        ] == promise.value()

    def test_bare_yield_of_a_cancelled_promise(
        self, give: Give, scheduler: ManualScheduler
    ) -> None:
        """A promise that is cancelled, or being cancelled, raises at the yield."""
        cancelled = Source().promise
        cancelling = Source().promise.finally_(Deferred)
        follower: Promise[Any] = Promise(lambda resolve, reject: resolve(cancelling))
        later = Source().promise
        cancelled.cancel()
        cancelling.cancel()
        scheduler.flush()

        async def coroutine() -> list[str]:
            seen = []
            for promise in cancelled, cancelling, follower, later:
                with pytest.raises(CancellationError) as caught:
                    await bare(promise)
                seen.append(str(caught.value))
            return seen

        promise = give(coroutine())
        later.cancel()
        scheduler.flush()
        late = "the promise was cancelled (late cancellation observer)"
        assert [late, late, late, "the promise was cancelled"] == promise.value()

    def test_a_plain_value(self, give: Give) -> None:
        """A plain value that is yielded raises a TypeError there, which may be caught."""

        async def coroutine() -> str:
            with pytest.raises(TypeError, match="could not be treated as a promise: 42"):
                await bare(42)
            return "went on"

        assert "went on" == give(coroutine()).value()

    @pytest.mark.usefixtures("reports")
    def test_a_plain_value_uncaught(self, give: Give) -> None:
        """Where it is not caught, it is the reason."""
        assert isinstance(give(awaiting(bare(42))).reason(), TypeError)

    def test_a_turn(self, scheduler: ManualScheduler) -> None:
        """`asyncio.sleep(0)`, as any bare yield, lets the others have their turn."""
        order: list[str] = []

        async def coroutine(name: str) -> None:
            for _ in range(2):
                order.append(name)
                await asyncio.sleep(0)

        for name in "ab":
            Promise.resolve(coroutine(name))
        scheduler.flush()
        assert ["a", "b", "a", "b"] == order

    def test_errors_do_not_grow(self, scheduler: ManualScheduler) -> None:
        """An error that passes through many awaits has one frame for each, and none of ours."""

        async def coroutine(depth: int) -> None:
            if not depth:
                raise Boom
            await Promise.resolve(coroutine(depth - 1)).then()

        promise = Promise.resolve(coroutine(10))
        results = result_of(promise.to_deferred())
        scheduler.flush()
        names = frames(results[0].getTracebackObject())
        assert 11 == names.count("coroutine")
        assert set(names) <= {"coroutine", "await_promise"}


async def _fails() -> None:
    raise Boom("coroutine")


class TestFutures:
    """asyncio's futures, on the loop that promises run on."""

    def test_future(self, on_asyncio: OnAsyncio) -> None:
        """Futures, tasks and `asyncio.sleep` may be awaited in a promise's coroutine."""

        async def main() -> Any:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_soon(future.set_result, "future")
            failing = loop.create_future()
            loop.call_soon(failing.set_exception, Boom())

            async def coroutine() -> list[Any]:
                seen = [await future, await future, await asyncio.create_task(awaiting(succeeded))]
                with pytest.raises(Boom):
                    await failing
                await asyncio.sleep(0.001)
                return seen

            succeeded = loop.create_future()
            succeeded.set_result("task")
            return await Promise.resolve(coroutine())

        assert ["future", "future", "task"] == on_asyncio(main)

    def test_cancelled(self, on_asyncio: OnAsyncio) -> None:
        """A future that others cancel raises asyncio's CancelledError at the await."""

        async def main() -> Any:
            future = asyncio.get_running_loop().create_future()

            async def coroutine() -> str:
                with pytest.raises(asyncio.CancelledError):
                    await future
                return "went on"

            promise = Promise.resolve(coroutine())
            future.cancel()
            return await promise

        assert "went on" == on_asyncio(main)

    def test_cancelling(self, on_asyncio: OnAsyncio) -> None:
        """Cancelling the promise cancels the future that its coroutine waits for."""

        async def main() -> Any:
            future = asyncio.get_running_loop().create_future()
            promise = Promise.resolve(awaiting(future))
            promise.cancel()
            await Promise.resolve().then()
            return promise.is_cancelled() and future.cancelled()

        assert on_asyncio(main)


class TestCancelling:
    """Cancelling a promise that runs a coroutine."""

    @pytest.mark.parametrize("awaited", ["promise", "Deferred", "coroutine", "thenable"])
    def test_sees_it(self, give: Give, scheduler: ManualScheduler, awaited: str) -> None:
        """The coroutine sees CancellationError (a Deferred's own error, there) at its await."""
        seen: list[Any] = []
        cancelled: list[Any] = []
        source = Source()
        deferred: Deferred[Any] = Deferred(cancelled.append)

        class Thenable:
            def then(self, resolve: Any, reject: Any) -> None:
                cancelled.append("never called back")

        waits = {
            "promise": lambda: source.promise,
            "Deferred": lambda: deferred,
            "coroutine": lambda: awaiting(source.promise),
            "thenable": lambda: bare(Thenable()),
        }

        async def coroutine() -> None:
            try:
                await waits[awaited]()
            except CancelledError as error:
                seen.append(type(error))
                raise

        promise = give(coroutine())
        promise.cancel()
        assert [] == seen
        scheduler.flush()
        assert promise.is_cancelled()
        assert [CancelledError if awaited == "Deferred" else CancellationError] == seen
        assert 1 == len(cancelled) + source.cancelled

    def test_turn(self, scheduler: ManualScheduler) -> None:
        """`cancel` runs nothing of the coroutine: that has a turn of its own."""
        seen: list[str] = []

        async def coroutine() -> None:
            try:
                await Source().promise
            finally:
                seen.append("cleaned up")

        promise = Promise.resolve(coroutine())
        promise.cancel()
        assert promise.is_cancelled()
        assert [] == seen
        scheduler.flush()
        assert ["cleaned up"] == seen

    def test_cleanup_is_waited_for(self, give: Give, scheduler: ManualScheduler) -> None:
        """Cleanup that awaits more ends before promises behind it are notified."""
        order: list[str] = []
        first, second = Source(), Source()
        deferred: Deferred[Any] = Deferred()

        async def coroutine() -> None:
            try:
                await first.promise
            finally:
                order.append("cleaning up")
                await second.promise
                await deferred
                order.append("cleaned up")

        promise = give(coroutine())
        after = promise.finally_(lambda: order.append("after"))
        after.cancel()
        scheduler.flush()
        assert ["cleaning up"] == order
        assert promise.is_cancelled()
        assert second.promise.is_pending()
        second.resolve()
        scheduler.flush()
        assert ["cleaning up"] == order
        deferred.callback(None)
        scheduler.flush()
        assert ["cleaning up", "cleaned up", "after"] == order
        assert after.is_cancelled()

    def test_catches_everything(self, give: Give, scheduler: ManualScheduler) -> None:
        """A coroutine that catches it and goes on is seen through; the promise is cancelled."""
        other = Source()
        seen: list[Any] = []

        async def coroutine() -> str:
            for promise in source.promise, other.promise:
                try:
                    seen.append(await promise)
                except BaseException as error:
                    seen.append(type(error))
            return "value"

        source = Source()
        promise = give(coroutine())
        promise.cancel()
        scheduler.flush()
        promise.cancel()
        scheduler.flush()
        assert [CancellationError] == seen
        other.resolve("more")
        scheduler.flush()
        assert [CancellationError, "more"] == seen
        assert promise.is_cancelled()

    def test_awaits_the_same_again(self, give: Give, scheduler: ManualScheduler) -> None:
        """It may wait once more for what it waited for, if others keep that alive."""
        source = Source()
        source.promise.then()
        seen: list[Any] = []

        async def coroutine() -> None:
            try:
                await source.promise
            except CancelledError:
                seen.append(await source.promise)

        promise = give(coroutine())
        promise.cancel()
        scheduler.flush()
        assert [] == seen
        source.resolve("value")
        scheduler.flush()
        assert ["value"] == seen
        assert promise.is_cancelled()

    def test_cleanup_that_fails(
        self, give: Give, scheduler: ManualScheduler, reports: list[LogEvent]
    ) -> None:
        """What the cleanup raises is not lost."""

        async def coroutine() -> None:
            try:
                await Source().promise
            finally:
                raise Boom("in the cleanup")

        give(coroutine()).cancel()
        scheduler.flush()
        assert ["in the cleanup"] == [str(event["log_failure"].value) for event in reports]

    @pytest.mark.parametrize("then", ["returns", "raises", "awaits", "awaits a Deferred"])
    def test_itself(self, scheduler: ManualScheduler, reports: list[LogEvent], then: str) -> None:
        """A coroutine may cancel its own promise: it sees that at its next await, if any."""
        seen: list[Any] = []
        promise: Promise[Any]
        source, go = Source(), Source()
        deferred: Deferred[Any] = Deferred()

        async def coroutine() -> Any:
            await go.promise
            promise.cancel()
            seen.append("goes on")
            try:
                if then == "raises":
                    raise Boom
                if then == "awaits":
                    await Promise.resolve("no trip")
                    await bare(succeed("a short one"))
                    await source.promise
                if then == "awaits a Deferred":
                    await deferred
            except BaseException as error:
                seen.append(type(error))
                raise
            return "value"

        promise = Promise.resolve(coroutine())
        go.resolve()
        scheduler.flush()
        assert {
            "returns": ["goes on"],
            "raises": ["goes on", Boom],
            "awaits": ["goes on", CancellationError],
            "awaits a Deferred": ["goes on", CancelledError],
        }[then] == seen
        assert [Boom][then != "raises" :] == [event["log_failure"].type for event in reports]
        assert promise.is_cancelled() or then == "raises"
        assert (then == "awaits") is source.promise.is_cancelled()

    def test_shared(self, give: Give, scheduler: ManualScheduler) -> None:
        """What the coroutine waits for goes on if others wait for it too."""
        source = Source()
        other = source.promise.then()
        promise = give(awaiting(source.promise))
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert 0 == source.cancelled
        source.resolve("value")
        scheduler.flush()
        assert "value" == other.value()

    def test_before_the_turn_of_what_it_waits_for(
        self, give: Give, scheduler: ManualScheduler
    ) -> None:
        """A settled promise that has not notified its coroutine does not resume a cancelled one."""
        seen: list[Any] = []
        source = Source()

        async def coroutine() -> None:
            try:
                seen.append(await source.promise)
            except CancelledError as error:
                seen.append(type(error))

        promise = give(coroutine())
        source.resolve("value")
        promise.cancel()
        scheduler.flush()
        assert [CancellationError] == seen
        assert promise.is_cancelled()

    @pytest.mark.parametrize("more", [False, True], ids=["ends", "awaits more"])
    def test_deferred_fires_before_the_turn(
        self, give: Give, scheduler: ManualScheduler, more: bool
    ) -> None:
        """A Deferred that fires between `cancel` and its turn resumes; the next await raises."""
        deferred: Deferred[Any] = Deferred()
        source = Source()
        seen: list[Any] = []

        async def coroutine() -> None:
            seen.append(await deferred)
            if more:
                try:
                    await source.promise
                finally:
                    seen.append("cleaned up")

        promise = give(coroutine())
        promise.cancel()
        deferred.callback("value")
        scheduler.flush()
        assert ["value", "cleaned up"][: 1 + more] == seen
        assert promise.is_cancelled()
        assert more is source.promise.is_cancelled()

    @pytest.mark.parametrize("ends", [False, True])
    def test_turn_within_a_step(self, scheduler: ManualScheduler, ends: bool) -> None:
        """If its step runs the turn that would resume it, it is resumed at its next wait."""
        deferred: Deferred[Any] = Deferred()
        source = Source()
        seen: list[Any] = []

        async def coroutine() -> None:
            await deferred
            scheduler.flush()
            if ends:
                return
            try:
                await source.promise
            except BaseException as error:
                seen.append(type(error))
                raise

        promise = Promise.resolve(coroutine())
        promise.cancel()
        deferred.callback(None)
        scheduler.flush()
        assert promise.is_cancelled()
        notified = ([], 0) if ends else ([CancellationError], 1)
        assert notified == (seen, source.cancelled)

    def test_canceller_that_raises(
        self, give: Give, scheduler: ManualScheduler, reports: list[LogEvent]
    ) -> None:
        """What a canceller raises is logged; the coroutine sees a CancellationError instead."""

        def canceller(deferred: Deferred[Any]) -> None:
            raise Boom("in the canceller")

        deferred: Deferred[Any] = Deferred(canceller)
        other = Source()
        seen: list[Any] = []

        async def coroutine() -> None:
            try:
                await deferred
            except CancelledError as error:
                seen.append(type(error))
                seen.append(await other.promise)

        promise = give(coroutine())
        promise.cancel()
        scheduler.flush()
        assert [CancellationError] == seen
        assert ["in the canceller"] == [str(event["log_failure"].value) for event in reports]
        # Its late answer does not resume what waits for something else by now.
        deferred.errback(Boom())
        assert [None] == result_of(deferred)
        scheduler.flush()
        assert [CancellationError] == seen
        other.resolve("value")
        scheduler.flush()
        assert [CancellationError, "value"] == seen
        assert promise.is_cancelled()
        assert 1 == len(reports)

    def test_canceller_that_answers_and_raises(
        self, give: Give, scheduler: ManualScheduler, reports: list[LogEvent]
    ) -> None:
        """If it has fired the Deferred before, that is what the coroutine sees."""

        def canceller(deferred: Deferred[Any]) -> None:
            deferred.callback("value")
            raise Boom("in the canceller")

        seen: list[Any] = []

        async def coroutine() -> None:
            seen.append(await Deferred(canceller))

        promise = give(coroutine())
        promise.cancel()
        scheduler.flush()
        assert ["value"] == seen
        assert 1 == len(reports)
        assert promise.is_cancelled()

    def test_late_answer(self, give: Give, scheduler: ManualScheduler) -> None:
        """A canceller that answers late raises nothing where it answers."""

        def canceller(deferred: Deferred[Any]) -> None:
            scheduler.clock.callLater(1, deferred.callback, "late")

        promise = give(awaiting(Deferred(canceller)))
        promise.cancel()
        scheduler.advance(1)
        assert promise.is_cancelled()

    def test_answers_itself(self, give: Give, scheduler: ManualScheduler) -> None:
        """A coroutine that is resumed by the cancellation may fire what it has waited for."""
        deferred: Deferred[Any] = Deferred(lambda deferred: None)

        async def coroutine() -> None:
            try:
                await deferred
            finally:
                # It has a canceller, so that Twisted would raise AlreadyCalledError.
                deferred.callback("late")

        promise = give(coroutine())
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()

    def test_bare_yield_of_a_deferred_before(self, give: Give, scheduler: ManualScheduler) -> None:
        """A Deferred that was waited for before is not cancelled instead of the current one."""
        source = Source()

        async def coroutine() -> None:
            await bare(succeed(1))
            await bare(source.promise)

        promise = give(coroutine())
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert 1 == source.cancelled

    @pytest.mark.usefixtures("config")
    def test_disabled(self, give: Give, scheduler: ManualScheduler) -> None:
        """With cancellation off, nothing happens."""
        source = Source()
        promise = give(awaiting(source.promise))
        Promise.config(cancellation=False)
        promise.cancel()
        scheduler.flush()
        source.resolve("value")
        scheduler.flush()
        assert "value" == promise.value()


class TestContext:
    """Context variables in coroutines."""

    @pytest.mark.parametrize("waits_for", ["promise", "Deferred", "a turn"])
    def test_steps(self, scheduler: ManualScheduler, waits_for: str) -> None:
        """Variables set by one step are seen by the next one, and nowhere else."""
        variable = contextvars.ContextVar("variable", default="unset")
        source = Source()
        deferred: Deferred[Any] = Deferred()
        waits: dict[str, Callable[[], Any]] = {
            "promise": lambda: source.promise,
            "Deferred": lambda: deferred,
            "a turn": lambda: asyncio.sleep(0),
        }

        async def coroutine(name: str) -> list[str]:
            seen = [variable.get()]
            variable.set(name)
            await waits[waits_for]()
            seen.append(variable.get())
            variable.set(name * 2)
            await Promise.resolve().then()
            return [*seen, variable.get()]

        seen_by_handlers: list[str] = []
        promises = [Promise.resolve(coroutine(name)) for name in "ab"]
        assert "unset" == variable.get()
        source.promise.then(lambda _: seen_by_handlers.append(variable.get()))
        promises[0].then(lambda _: seen_by_handlers.append(variable.get()))
        scheduler.flush()
        source.resolve()
        deferred.callback(None)
        scheduler.flush()
        assert "unset" == variable.get()
        assert ["unset", "unset"] == seen_by_handlers
        assert ["unset", "a", "aa"] == promises[0].value()

    def test_inherited(self, scheduler: ManualScheduler) -> None:
        """A coroutine starts with the variables that are set where it is given to the promise."""
        variable = contextvars.ContextVar("variable", default="unset")

        async def coroutine() -> list[str]:
            before = variable.get()
            await Promise.resolve().then()
            return [before, variable.get()]

        context = contextvars.copy_context()
        context.run(variable.set, "set")
        promise = context.run(lambda: Promise.resolve(coroutine()))
        context.run(variable.set, "later")
        scheduler.flush()
        assert ["set", "set"] == promise.value()

    @pytest.mark.usefixtures("config")
    def test_switched_off(self, scheduler: ManualScheduler) -> None:
        """Without `async_hooks` it starts with nothing, and keeps what it sets itself."""
        variable = contextvars.ContextVar("variable", default="unset")
        Promise.config(async_hooks=False)

        async def coroutine() -> list[str]:
            before = variable.get()
            variable.set("mine")
            await Promise.resolve().then()
            return [before, variable.get()]

        context = contextvars.copy_context()
        context.run(variable.set, "set")
        promise = context.run(lambda: Promise.resolve(coroutine()))
        scheduler.flush()
        assert ["unset", "mine"] == promise.value()
