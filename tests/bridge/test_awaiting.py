"""``await promise`` in coroutines of promises, Twisted and asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, inlineCallbacks
from twisted.logger import LogEvent

from tests.support.outcomes import frames, result_of
from tests.support.promises import Boom, Source, awaiting
from twpromise import CancellationError, Promise, RejectionError
from twpromise.testing import ManualScheduler

Drive = Callable[[Coroutine[Any, Any, Any]], Deferred[Any]]
OnAsyncio = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@inlineCallbacks
def _yielding(coroutine: Any) -> Generator[Any, Any, Any]:
    return (yield coroutine)


@inlineCallbacks
def _yielding_deferred(coroutine: Any) -> Generator[Any, Any, Any]:
    return (yield ensureDeferred(coroutine))


def _promising(coroutine: Any) -> Deferred[Any]:
    return Promise.resolve(coroutine).to_deferred()


DRIVERS: dict[str, Drive] = {
    "ensureDeferred": ensureDeferred,
    "fromCoroutine": Deferred.fromCoroutine,
    "yield coroutine": _yielding,
    "yield Deferred": _yielding_deferred,
    "promise": _promising,
}


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Drive:
    """Everything on the Twisted side that runs a coroutine."""
    return DRIVERS[request.param]


@pytest.fixture(params=[*DRIVERS, "ensureDeferred in a handler", "promise in a handler"])
def drive(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Drive:
    """The same, called as they are; and some of them in a handler."""
    name, _, within = request.param.partition(" in a ")
    driver = DRIVERS[name]

    def in_a_handler(coroutine: Any) -> Deferred[Any]:
        driven: list[Deferred[Any]] = []
        Promise.resolve(None).then(lambda _: driven.append(driver(coroutine)))
        scheduler.flush()
        return driven[0]

    return in_a_handler if within else driver


# --- under Twisted


class TestTwisted:
    """In a coroutine that Twisted, or a promise, drives."""

    @pytest.mark.usefixtures("scheduler")
    def test_settled(self, drive: Drive) -> None:
        """A promise that has settled is returned without a trip through the scheduler."""

        async def coroutine() -> list[Any]:
            values = [await Promise.resolve(1), await Promise.resolve(Promise.resolve(2))]
            error = Boom()
            try:
                await Promise.reject(error)
            except Boom as caught:
                values.append(caught is error)
            return values

        # A promise hands its outcome on in a turn of its own; the coroutine is through.
        promise = Promise.resolve(coroutine())
        assert [1, 2, True] == promise.value()
        assert [[1, 2, True]] == result_of(drive(coroutine()))

    def test_pending(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A pending promise is waited for, and resumes from the scheduler."""
        source = Source()
        results = result_of(drive(awaiting(source.promise)))
        scheduler.flush()
        source.resolve("value")
        assert [] == results
        scheduler.flush()
        assert ["value"] == results

    @pytest.mark.usefixtures("scheduler")
    @pytest.mark.parametrize(("settle", "outcome"), [("resolve", 1), ("reject", Boom())])
    def test_following_one_that_has_settled(self, settle: str, outcome: Any) -> None:
        """Nor is a follower of a settled promise that has not been notified yet."""
        source = Source()
        follower: Promise[Any] = Promise(lambda resolve, reject: resolve(source.promise))
        getattr(source, settle)(outcome)

        async def coroutine() -> Any:
            try:
                return await follower
            except Boom as caught:
                return caught

        assert [outcome] == result_of(ensureDeferred(coroutine()))

    def test_odd_reason(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A reason that is no exception is raised inside a RejectionError."""

        async def coroutine() -> list[Any]:
            causes = []
            for make in (lambda: source.promise), (lambda: Promise.reject("at once")):
                with pytest.raises(RejectionError) as caught:
                    await make()
                causes.append(caught.value.cause)
            return causes

        source = Source()
        results = result_of(drive(coroutine()))
        source.reject("eventually")
        scheduler.flush()
        assert [["eventually", "at once"]] == results

    @pytest.mark.parametrize(
        "error", [Boom(), KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr
    )
    def test_rejected(self, drive: Drive, scheduler: ManualScheduler, error: BaseException) -> None:
        """A rejection is raised at the await, as the very exception."""
        source = Source()
        results = result_of(drive(awaiting(source.promise)))
        source.reject(error)
        scheduler.flush()
        assert error is results[0].value

    @pytest.mark.usefixtures("reports")
    def test_stop_iteration(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """StopIteration becomes a RuntimeError, as wherever it leaves a coroutine."""
        source = Source()
        results = result_of(drive(awaiting(source.promise)))
        source.reject(StopIteration(1))
        scheduler.flush()
        assert RuntimeError is results[0].type

    def test_many_in_turn(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A coroutine may wait again and again, for promises that are not there yet."""

        async def coroutine() -> int:
            total = 0
            for _ in range(2000):
                total += await Promise.resolve(1).then()
            return total

        results = result_of(drive(coroutine()))
        scheduler.flush()
        assert [2000] == results

    @pytest.mark.exhaustive
    def test_a_loop_without_trips(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """However many settled promises are awaited, nothing recurses."""

        async def coroutine() -> int:
            total = 0
            for _ in range(20_000):
                total += await Promise.resolve(1)
            return total

        results = result_of(drive(coroutine()))
        scheduler.flush()
        assert [20_000] == results

    def test_many_wait_for_one(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """Any number of coroutines may wait for one promise; they resume in order."""
        source = Source()
        order: list[int] = []

        async def coroutine(number: int) -> None:
            order.append(number + await source.promise)

        results = [result_of(drive(coroutine(number))) for number in range(20)]
        source.resolve(100)
        scheduler.flush()
        assert [100 + number for number in range(20)] == order
        assert [[None]] * 20 == results

    def test_twice(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A promise may be awaited as often as one likes."""
        source = Source()

        async def coroutine() -> list[Any]:
            return [await source.promise, await source.promise]

        results = result_of(drive(coroutine()))
        source.resolve(1)
        scheduler.flush()
        assert [[1, 1]] == results

    def test_nested(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """The await may be at any depth of coroutines, beside those of Deferreds."""
        source = Source()
        deferred: Deferred[str] = Deferred()

        async def inner() -> Any:
            return [await deferred, await source.promise, await Promise.resolve("now")]

        async def outer() -> Any:
            return await inner()

        results = result_of(drive(outer()))
        deferred.callback("Deferred")
        scheduler.flush()
        source.resolve("promise")
        scheduler.flush()
        assert [["Deferred", "promise", "now"]] == results

    def test_async_generator(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """Async generators and comprehensions wait for promises as well."""

        async def numbers() -> AsyncIterator[int]:
            for number in range(5):
                yield await Promise.resolve(number).then()

        async def coroutine() -> list[int]:
            return [number async for number in numbers() if await Promise.resolve(number % 2)]

        results = result_of(drive(coroutine()))
        scheduler.flush()
        assert [[1, 3]] == results

    def test_handled(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A rejection that is awaited is not reported, and what came of it is reported once."""

        async def coroutine() -> str:
            try:
                await source.promise
            except Boom:
                return "caught"
            return "missed"

        source = Source()
        results = result_of(drive(coroutine()))
        source.reject(Boom())
        scheduler.flush()
        assert ["caught"] == results

    def test_handled_in_the_same_turn(self, scheduler: ManualScheduler) -> None:
        """One that had been rejected before, and is awaited in time, is not reported either."""
        results = result_of(ensureDeferred(awaiting(Promise.reject(Boom()))))
        scheduler.flush()
        assert Boom is results[0].type

    def test_context(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """The coroutine keeps its own context variables over an await."""
        variable = contextvars.ContextVar("variable", default="unset")
        source = Source()

        async def coroutine(value: str) -> list[str]:
            seen = [variable.get()]
            variable.set(value)
            await source.promise
            return [*seen, variable.get()]

        results = [result_of(drive(coroutine(value))) for value in "ab"]
        source.promise.then(lambda _: variable.set("handler"))
        source.resolve()
        scheduler.flush()
        assert [[["unset", "a"]], [["unset", "b"]]] == results
        assert "unset" == variable.get()

    @pytest.mark.usefixtures("debugging")
    def test_debugging(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """`setDebugging(True)` changes nothing."""
        source, other = Source(), Source()

        async def coroutine() -> Any:
            try:
                await source.promise
            except Boom:
                return await other.promise

        results = result_of(drive(coroutine()))
        source.reject(Boom())
        scheduler.flush()
        other.resolve("value")
        scheduler.flush()
        assert ["value"] == results

    def test_what_is_yielded(self, scheduler: ManualScheduler) -> None:
        """What an await yields can be looked at, like any Deferred; but not within a drain."""

        async def fail() -> None:
            raise Boom

        Promise.resolve(fail()).suppress_unhandled_rejections()
        scheduler.flush()
        yielded = awaiting(Source().promise).send(None)
        assert isinstance(yielded, Deferred)
        assert "Deferred" in str(yielded) or "Awaiter" in str(yielded)
        assert not yielded.called

    def test_resumed_too_early(self, scheduler: ManualScheduler) -> None:
        """A driver that does not wait gets an error that says so, not a made-up value."""
        coroutine = awaiting(Source().promise)
        coroutine.send(None)
        with pytest.raises(RuntimeError, match="before the promise has settled"):
            coroutine.send(None)

    def test_drivers_of_their_own(self, scheduler: ManualScheduler) -> None:
        """A driver that is called by a handler gets the value, or that error, or its own."""
        source, settled = Source(), Source()
        seen: list[Any] = []

        def handler(_: Any) -> None:
            coroutines = [awaiting(each.promise) for each in (source, settled, source)]
            for coroutine in coroutines:
                coroutine.send(None)
            settled.resolve("value")
            for coroutine, how in zip(coroutines, ["send", "send", "throw"], strict=True):
                try:
                    getattr(coroutine, how)(Boom("made up"))
                except (Boom, RuntimeError, StopIteration) as error:
                    seen.append((type(error), *error.args))

        Promise.resolve(None).then(handler)
        scheduler.flush()
        too_early = "await resumed before the promise has settled"
        assert [(RuntimeError, too_early), (StopIteration, "value"), (Boom, "made up")] == seen

    def test_cancelled_before_it_is_waited_for(self, scheduler: ManualScheduler) -> None:
        """What an await yields may be cancelled before anybody has begun to wait."""
        source = Source()
        coroutine = awaiting(source.promise)
        yielded = coroutine.send(None)
        assert yielded.cancel()
        assert not yielded.cancel()
        with pytest.raises(CancellationError):
            coroutine.send(None)
        assert source.promise.is_cancelled()

    def test_following_one_that_is_pending(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A promise that follows another is waited for until that has settled."""
        source = Source()
        follower: Promise[Any] = Promise(lambda resolve, reject: resolve(source.promise))
        results = result_of(drive(awaiting(follower)))
        scheduler.flush()
        assert [] == results
        source.resolve("value")
        scheduler.flush()
        assert ["value"] == results

    def test_abandoned(self, scheduler: ManualScheduler) -> None:
        """A coroutine that is closed while it waits leaves its promise alone."""
        source = Source()
        coroutine = awaiting(source.promise)
        coroutine.send(None)
        coroutine.close()
        source.resolve(1)
        scheduler.flush()


class TestCancellingTwisted:
    """Cancelling the Deferred of a coroutine cancels the promise that it waits for."""

    @pytest.mark.usefixtures("debugging")
    def test_consumer_leaves(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """The coroutine sees CancellationError at its await, and the work stops."""
        source = Source()
        seen: list[Any] = []

        async def coroutine() -> None:
            try:
                await source.promise
            except BaseException as error:
                seen.append(type(error))
                raise

        deferred = drive(coroutine())
        results = result_of(deferred)
        deferred.cancel()
        scheduler.flush()
        assert [CancellationError] == seen
        assert source.promise.is_cancelled()
        assert 1 == source.cancelled
        assert results[0].check(CancelledError)
        assert 1 == len(results)

    def test_one_of_many(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """The others who wait for the promise are not disturbed."""
        source = Source()
        other = source.promise.then()
        deferreds = [drive(awaiting(source.promise)) for _ in range(3)]
        results = [result_of(deferred) for deferred in deferreds]
        deferreds[1].cancel()
        scheduler.flush()
        assert source.promise.is_pending()
        source.resolve("value")
        scheduler.flush()
        assert ["value"] == results[0] == results[2]
        assert results[1][0].check(CancelledError)
        assert "value" == other.value()

    def test_caught(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """A coroutine that catches it may wait for more; then that is cancelled in its turn."""
        first, second = Source(), Source()
        seen: list[Any] = []

        async def coroutine() -> str:
            for source in first, second:
                try:
                    await source.promise
                except CancelledError as error:
                    seen.append(type(error))
            return "done"

        deferred = ensureDeferred(coroutine())
        results = result_of(deferred)
        deferred.cancel()
        scheduler.flush()
        assert [] == results
        assert first.promise.is_cancelled()
        assert second.promise.is_pending()
        deferred.cancel()
        assert [] == results[1:]
        second.resolve()
        scheduler.flush()
        assert second.cancelled in (0, 1)
        assert [CancellationError] == seen[:1]
        assert 1 == len(results)

    def test_promise_cancelled_by_others(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """When others cancel the promise, the await raises CancellationError."""
        source = Source()
        results = result_of(drive(awaiting(source.promise)))
        source.promise.cancel()
        assert [] == results
        scheduler.flush()
        assert CancellationError is results[0].type

    @pytest.mark.parametrize("turns", ["before the turn", "after it"])
    def test_cancelled_already(self, scheduler: ManualScheduler, turns: str) -> None:
        """Awaiting a promise that is cancelled already raises at once."""
        source = Source()
        source.promise.cancel()
        if turns == "after it":
            scheduler.flush()
        results = result_of(ensureDeferred(awaiting(source.promise)))
        assert [CancellationError] == [failure.type for failure in results]

    def test_being_cancelled(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """So does a promise whose cancellation is not finished, and one that follows it."""
        cleanup: Deferred[Any] = Deferred()
        promise = Source().promise.finally_(lambda: cleanup)
        follower: Promise[Any] = Promise(lambda resolve, reject: resolve(promise))
        promise.cancel()
        scheduler.flush()
        for awaited in promise, follower:
            results = result_of(drive(awaiting(awaited)))
            scheduler.flush()
            assert [CancellationError] == [failure.type for failure in results]
            assert "the promise was cancelled (late cancellation observer)" == str(results[0].value)
        cleanup.callback(None)

    def test_after_settling(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """Cancelling in the turn in which the promise has settled is still a cancellation."""
        source = Source()
        deferred = drive(awaiting(source.promise))
        results = result_of(deferred)
        source.resolve("value")
        deferred.cancel()
        scheduler.flush()
        assert results[0].check(CancelledError)
        assert 1 == len(results)

    @pytest.mark.usefixtures("config")
    def test_disabled(self, scheduler: ManualScheduler) -> None:
        """With cancellation off the coroutine is cancelled, and the promise goes on."""
        source = Source()
        Promise.config(cancellation=False)
        deferred = ensureDeferred(awaiting(source.promise))
        results = result_of(deferred)
        deferred.cancel()
        scheduler.flush()
        assert CancellationError is results[0].type
        source.resolve(1)
        scheduler.flush()
        assert 1 == source.promise.value()


class TestTracebacks:
    """The traceback shows where the error was raised."""

    def test_frames(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """The traceback leads from the await to the frame that raised."""

        def handler(_: Any) -> None:
            raise Boom

        source = Source()
        results = result_of(drive(awaiting(source.promise.then(handler))))
        source.resolve(None)
        scheduler.flush()
        names = frames(results[0].value.__traceback__ or results[0].getTracebackObject())
        text = results[0].getTraceback()
        assert "in awaiting" in text
        assert "in handler" in text
        assert 1 == names.count("handler") or not names

    def test_of_one_that_has_settled(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """Raised at once, it shows as much as an error of the coroutine's own does there."""

        def handler(_: Any) -> None:
            raise Boom

        async def raising() -> None:
            handler(None)

        rejected = Promise.resolve().then(handler)
        rejected.suppress_unhandled_rejections()
        scheduler.flush()
        own, awaited = result_of(drive(raising())), result_of(drive(awaiting(rejected)))
        scheduler.flush()
        # Twisted 24.7 shows nothing of either on Python 3.13 if a generator yields the coroutine.
        shown = "in raising" in own[0].getTraceback()
        text = awaited[0].getTraceback()
        assert shown == ("in awaiting" in text)
        assert shown == ("in handler" in text)

    def test_of_a_deferred(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """So it does when the promise has adopted a Deferred."""

        def callback(_: Any) -> None:
            raise Boom

        deferred: Deferred[Any] = Deferred()
        promise = Promise.from_deferred(deferred.addCallback(callback))
        results = result_of(drive(awaiting(promise)))
        deferred.callback(None)
        scheduler.flush()
        text = results[0].getTraceback()
        assert "in awaiting" in text
        assert "in callback" in text

    def test_in_an_except_block(self, drive: Drive, scheduler: ManualScheduler) -> None:
        """It leads through all the coroutines, also where one is handling another error."""
        source = Source()
        seen: list[Any] = []

        async def outer() -> None:
            try:
                raise Boom
            except Boom:
                try:
                    await awaiting(source.promise)
                except KeyError as error:
                    seen.append((frames(error.__traceback__), type(error.__context__)))

        drive(outer())
        source.reject(KeyError())
        scheduler.flush()
        assert [(["outer", "awaiting", "await_promise"], Boom)] == seen


# --- under asyncio


class TestAsyncio:
    """In a task of asyncio, with promises on its loop."""

    def test_pending_and_settled(self, on_asyncio: OnAsyncio) -> None:
        """Promises are awaited as futures are."""

        async def main() -> list[Any]:
            source = Source()
            asyncio.get_running_loop().call_soon(source.resolve, "pending")
            return [await source.promise, await Promise.resolve("settled")]

        assert ["pending", "settled"] == on_asyncio(main)

    def test_settled_is_no_trip(self, on_asyncio: OnAsyncio) -> None:
        """A settled promise is returned without letting another task run."""

        async def main() -> list[str]:
            order: list[str] = []

            async def other() -> None:
                order.append("other")

            task = asyncio.create_task(other())
            await Promise.resolve()
            order.append("main")
            await task
            return order

        assert ["main", "other"] == on_asyncio(main)

    def test_rejected(self, on_asyncio: OnAsyncio) -> None:
        """A rejection is raised at the await."""

        async def main() -> Any:
            source = Source()
            error = Boom()
            asyncio.get_running_loop().call_soon(source.reject, error)
            with pytest.raises(Boom) as caught:
                await source.promise
            return caught.value is error

        assert on_asyncio(main)

    def test_cancelled_by_others(self, on_asyncio: OnAsyncio) -> None:
        """A promise that others cancel raises CancellationError: the task is not cancelled."""

        async def main() -> bool:
            source = Source()
            asyncio.get_running_loop().call_soon(source.promise.cancel)
            with pytest.raises(CancellationError):
                await source.promise
            return True

        assert on_asyncio(main)

    @pytest.mark.parametrize("message", [None, "enough"])
    def test_cancelling_the_task(self, on_asyncio: OnAsyncio, message: str | None) -> None:
        """The coroutine sees asyncio's CancelledError, with the message; the promise is left."""

        async def main() -> tuple[Any, ...]:
            source = Source()
            seen: list[Any] = []

            async def coroutine() -> None:
                try:
                    await source.promise
                except asyncio.CancelledError as error:
                    seen.append(error.args)
                    raise

            task = asyncio.create_task(coroutine())
            await asyncio.sleep(0)
            task.cancel(message) if message else task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert source.promise.is_cancelled()
            await Promise.resolve().then()
            return (*seen, source.cancelled)

        assert (((message,) if message else ()), 1) == on_asyncio(main)

    def test_one_of_many(self, on_asyncio: OnAsyncio) -> None:
        """A task that is cancelled leaves the promise to the others."""

        async def main() -> list[Any]:
            source = Source()
            tasks = [asyncio.create_task(awaiting(source.promise)) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.wait([tasks[1]])
            assert source.promise.is_pending()
            source.resolve("value")
            return await asyncio.gather(*tasks, return_exceptions=True)

        first, second, third = on_asyncio(main)
        assert "value" == first == third
        assert isinstance(second, asyncio.CancelledError)

    def test_cancelled_before_it_starts(self, on_asyncio: OnAsyncio) -> None:
        """A task that is cancelled while it runs leaves the promise that it then waits for."""

        async def main() -> bool:
            source = Source()

            async def coroutine() -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await source.promise

            task = asyncio.create_task(coroutine())
            await asyncio.wait([task])
            return task.cancelled() and source.promise.is_cancelled()

        assert on_asyncio(main)

    def test_cancelled_once_it_is_woken(self, on_asyncio: OnAsyncio) -> None:
        """A task that is cancelled when it is about to go on is cancelled, as with a future."""

        async def main() -> bool:
            source = Source()
            task = asyncio.create_task(awaiting(source.promise))
            await asyncio.sleep(0)
            # After the waiters of before, so that the task has been woken.
            source.promise.then(lambda _: task.cancel())
            source.resolve("value")
            await asyncio.wait([task])
            return task.cancelled()

        assert on_asyncio(main)

    def test_caught(self, on_asyncio: OnAsyncio) -> None:
        """A task may catch its cancellation and wait for another promise."""

        async def main() -> Any:
            source, other = Source(), Source()

            async def coroutine() -> Any:
                try:
                    await source.promise
                except asyncio.CancelledError:
                    return await other.promise

            task = asyncio.create_task(coroutine())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            other.resolve("cleaned up")
            return await task

        assert "cleaned up" == on_asyncio(main)

    def test_wait_for(self, on_asyncio: OnAsyncio) -> None:
        """`wait_for` takes a promise; when its time is up the promise is cancelled."""

        async def main() -> list[Any]:
            assert 1 == await asyncio.wait_for(Promise.resolve(1), 60)
            assert 2 == await asyncio.wait_for(Promise.resolve(2).then(), 60)
            source = Source()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(source.promise, 0.001)
            await Promise.resolve().then()
            return source.cancelled

        assert 1 == on_asyncio(main)

    def test_gather(self, on_asyncio: OnAsyncio) -> None:
        """`gather` takes promises beside coroutines."""

        async def main() -> list[Any]:
            error = Boom()
            source = Source()
            asyncio.get_running_loop().call_later(0.001, source.reject, error)
            results = await asyncio.gather(
                Promise.resolve(1),
                Promise.resolve(2).then(),
                awaiting(Promise.resolve(3)),
                source.promise,
                return_exceptions=True,
            )
            return [*results[:3], results[3] is error]

        assert [1, 2, 3, True] == on_asyncio(main)

    def test_task_group(self, on_asyncio: OnAsyncio) -> None:
        """When one task of a group fails, the promises of the others are cancelled."""

        async def main() -> list[str]:
            source, failing = Source(), Source()

            async def group_of_two() -> None:
                async with asyncio.TaskGroup() as group:
                    group.create_task(awaiting(source.promise))
                    group.create_task(awaiting(failing.promise))
                    asyncio.get_running_loop().call_soon(failing.reject, Boom())

            with pytest.raises(ExceptionGroup) as caught:
                await group_of_two()
            assert [Boom] == [type(error) for error in caught.value.exceptions]
            await Promise.resolve().then()
            return source.cancelled

        assert 1 == on_asyncio(main)

    def test_timeout_block(self, on_asyncio: OnAsyncio) -> None:
        """`asyncio.timeout` interrupts an await of a promise."""

        async def main() -> bool:
            source = Source()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await source.promise
            return source.promise.is_cancelled()

        assert on_asyncio(main)

    def test_twisted_coroutine_within(self, on_asyncio: OnAsyncio) -> None:
        """A coroutine that Twisted drives may be started from within a task."""

        async def main() -> list[Any]:
            source, other = Source(), Source()
            deferred = ensureDeferred(awaiting(source.promise))
            coroutine_promise = Promise.resolve(awaiting(source.promise))
            doomed = ensureDeferred(awaiting(other.promise))
            doomed_results = result_of(doomed)
            doomed.cancel()
            future = deferred.asFuture(asyncio.get_running_loop())
            source.resolve("value")
            return [await future, await coroutine_promise, doomed_results[0].type]

        assert ["value", "value", CancellationError] == on_asyncio(main)

    def test_deferred_within(self, on_asyncio: OnAsyncio) -> None:
        """A Deferred is awaited in a task once a promise has adopted it."""

        async def main() -> Any:
            deferred: Deferred[str] = Deferred()
            asyncio.get_running_loop().call_soon(deferred.callback, "value")
            return await Promise.from_deferred(deferred)

        assert "value" == on_asyncio(main)

    @pytest.mark.parametrize("debug", [False, True])
    def test_pure_python_task(self, scheduler: ManualScheduler, debug: bool) -> None:
        """asyncio's tasks without their C accelerator know yielded promises, too."""
        loop = asyncio.new_event_loop()
        loop.set_debug(debug)
        source, doomed = Source(), Source()
        try:
            tasks = [
                asyncio.tasks._PyTask(awaiting(promise), loop=loop)  # type: ignore[attr-defined]
                for promise in (source.promise, doomed.promise)
            ]
            loop.call_soon(tasks[1].cancel)
            loop.call_soon(source.resolve, "value")
            loop.call_soon(scheduler.flush)
            assert "value" == loop.run_until_complete(tasks[0])
            with pytest.raises(asyncio.CancelledError):
                loop.run_until_complete(tasks[1])
        finally:
            loop.close()
        assert doomed.promise.is_cancelled()

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="this Python has no eager tasks")
    @pytest.mark.parametrize("when", ["at once", "in the same turn", "later"])
    @pytest.mark.parametrize(
        "outcome", ["value", "reason", "task cancelled", "promise cancelled", "another left"]
    )
    def test_started_by_a_handler(self, on_asyncio: OnAsyncio, when: str, outcome: str) -> None:
        """An eager task, which runs within a handler, waits for a promise as any other."""

        async def main() -> Any:
            source, cleanup = Source(), Source()
            promise = source.promise.finally_(lambda: cleanup.promise)
            another = promise.then()
            tasks: list[asyncio.Task[Any]] = []

            def settle() -> None:
                if outcome == "reason":
                    source.reject(Boom(outcome))
                elif outcome == "task cancelled":
                    another.cancel()
                    tasks[0].cancel()
                elif outcome == "promise cancelled":
                    promise.cancel()
                else:
                    if outcome == "another left":
                        another.cancel()
                    source.resolve(outcome)
                another.suppress_unhandled_rejections()
                asyncio.get_running_loop().call_later(0.001, cleanup.resolve)

            def handler(_: Any) -> None:
                task: Any = asyncio.Task
                loop = asyncio.get_running_loop()
                tasks.append(task(awaiting(promise), loop=loop, eager_start=True))
                if when == "at once":
                    settle()

            await Promise.resolve(None).then(handler)
            if when != "at once":
                for _ in range(0 if when == "in the same turn" else 3):
                    await asyncio.sleep(0)
                settle()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert outcome.endswith("cancelled") == source.promise.is_cancelled()
            return type(results[0]) if outcome.endswith("cancelled") else str(results[0])

        expected = {
            "task cancelled": asyncio.CancelledError,
            "promise cancelled": CancellationError,
        }
        assert expected.get(outcome, outcome) == on_asyncio(main)

    def test_a_loop_that_a_coroutine_runs(self, scheduler: ManualScheduler) -> None:
        """Tasks of a loop that runs within a coroutine wait for promises as any others."""

        async def main() -> Any:
            source = Source()
            loop = asyncio.get_running_loop()
            loop.call_soon(source.resolve, "value")
            loop.call_soon(scheduler.flush)
            return await source.promise

        async def runs_a_loop() -> Any:
            return asyncio.run(main())

        promise = Promise.resolve(runs_a_loop())
        scheduler.flush()
        assert "value" == promise.value()

    def test_reports(self, on_asyncio: OnAsyncio, reports: list[LogEvent]) -> None:
        """A rejection that a task was waiting for is handled, even if the task has left."""

        async def main() -> None:
            source = Source()
            task = asyncio.create_task(awaiting(source.promise))
            await asyncio.sleep(0)
            source.promise.then(None, lambda reason: task.cancel())
            source.reject(Boom())
            await asyncio.wait([task])

        on_asyncio(main)
        assert [] == reports
