"""Deferreds into promises, and promises into Deferreds: `twpromise._bridge.deferreds`."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

import pytest
from twisted.internet.defer import (
    AlreadyCalledError,
    CancelledError,
    Deferred,
    DeferredList,
    fail,
    gatherResults,
    succeed,
)
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from tests.support.outcomes import frames, reasons, result_of
from tests.support.promises import Boom, Source, awaiting
from twpromise import CancellationError, IPromise, Promise, RejectionError
from twpromise.testing import ManualScheduler

variable: ContextVar[str] = ContextVar("variable", default="unset")

Adopt = Callable[[Deferred[Any]], Promise[Any]]

with_and_without_debugging = pytest.mark.usefixtures("debugging")

ADOPTIONS: dict[str, Adopt] = {
    "from_deferred": Promise.from_deferred,
    "resolve": Promise.resolve,
    "resolver": lambda deferred: Promise(lambda resolve, reject: resolve(deferred)),
    "returned": lambda deferred: Promise.resolve().then(lambda _: deferred),
    "returned by a coroutine": lambda deferred: Promise.resolve(_returning(deferred)),
    "in a promise": lambda deferred: Promise.resolve(Promise.from_deferred(deferred)),
    "in a Deferred": lambda deferred: Promise.from_deferred(
        succeed(None).addCallback(lambda _: deferred)
    ),
}


async def _returning(value: Any) -> Any:
    return value


@pytest.fixture(params=ADOPTIONS)
def adopt(request: pytest.FixtureRequest, scheduler: ManualScheduler) -> Adopt:
    """Every way in which a promise adopts a Deferred."""

    def adopt(deferred: Deferred[Any]) -> Promise[Any]:
        promise = ADOPTIONS[request.param](deferred)
        # The returned Deferred is adopted when the handler has run.
        scheduler.flush()
        return promise

    return adopt


def raised(message: str = "oops") -> Failure:
    """A failure with a traceback that goes through this function."""
    try:
        raise Boom(message)
    except Boom:
        return Failure()


# --- Deferred to promise


class TestAdoption:
    """A promise takes on the fate of a Deferred."""

    def test_pending(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """The promise is pending until the Deferred fires, then fulfilled at once."""
        deferred: Deferred[Any] = Deferred()
        promise = adopt(deferred)
        assert promise.is_pending()
        deferred.callback("value")
        scheduler.flush()
        assert "value" == promise.value()

    @pytest.mark.usefixtures("reports")
    def test_failing(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """The promise is rejected with the exception in the failure."""
        deferred: Deferred[Any] = Deferred()
        promise = adopt(deferred)
        failure = raised()
        deferred.errback(failure)
        scheduler.flush()
        assert failure.value is promise.reason()

    @pytest.mark.usefixtures("scheduler")
    @pytest.mark.parametrize("way", ["from_deferred", "resolve", "resolver"])
    def test_fired(self, way: str) -> None:
        """A Deferred that has fired gives a promise that is settled there and then."""
        assert "value" == ADOPTIONS[way](succeed("value")).value()
        failure = raised()
        assert failure.value is ADOPTIONS[way](fail(failure)).reason()

    def test_handlers_run_later(self, scheduler: ManualScheduler) -> None:
        """The handlers of a promise for a fired Deferred run from the scheduler all the same."""
        seen: list[Any] = []
        Promise.from_deferred(succeed("value")).then(seen.append)
        assert [] == seen
        scheduler.flush()
        assert ["value"] == seen

    def test_handlers_run_after_the_fire(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """Firing the Deferred runs no handler; the scheduler does."""
        deferred: Deferred[Any] = Deferred()
        seen: list[Any] = []
        adopt(deferred).then(seen.append)
        deferred.callback("value")
        assert [] == seen
        scheduler.flush()
        assert ["value"] == seen

    def test_paused(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A paused Deferred that has fired gives a pending promise, until it goes on."""
        deferred: Deferred[Any] = Deferred()
        deferred.callback("value")
        deferred.pause()
        promise = adopt(deferred)
        assert promise.is_pending()
        deferred.unpause()
        scheduler.flush()
        assert "value" == promise.value()

    @pytest.mark.usefixtures("reports")
    @pytest.mark.parametrize("fails", [False, True], ids=["fires", "fails"])
    def test_chained(self, adopt: Adopt, scheduler: ManualScheduler, fails: bool) -> None:
        """A Deferred that waits for another gives a pending promise, until that fires."""
        inner: Deferred[Any] = Deferred()
        promise = adopt(succeed(None).addCallback(lambda _: inner))
        assert promise.is_pending()
        if fails:
            failure = raised()
            inner.errback(failure)
            scheduler.flush()
            assert failure.value is promise.reason()
        else:
            inner.callback("value")
            scheduler.flush()
            assert "value" == promise.value()

    def test_callbacks_before(self, adopt: Adopt) -> None:
        """What was attached to the Deferred before it was adopted has had its say."""
        promise = adopt(succeed(20).addCallback(lambda value: value + 1))
        assert 21 == promise.value()

    @pytest.mark.parametrize("deferred_class", [DeferredList, gatherResults])
    def test_subclass(
        self, adopt: Adopt, scheduler: ManualScheduler, deferred_class: Callable[..., Any]
    ) -> None:
        """Subclasses of Deferred are Deferreds."""
        inner: Deferred[Any] = Deferred()
        promise = adopt(deferred_class([inner]).addCallback(len))
        assert promise.is_pending()
        inner.callback(1)
        scheduler.flush()
        assert 1 == promise.value()

    @pytest.mark.usefixtures("reports")
    def test_cancelled_by_others(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A CancelledError without a cancellation is a rejection like any other."""
        deferred: Deferred[Any] = Deferred()
        promise = adopt(deferred)
        deferred.cancel()
        scheduler.flush()
        assert promise.is_rejected()
        assert isinstance(promise.reason(), CancelledError)

    @pytest.mark.parametrize("value", [1, None, KeyError("a value"), [Deferred()]])
    def test_values(self, adopt: Adopt, value: Any) -> None:
        """Any value may come, an exception that is only a value included."""
        assert value is adopt(succeed(value)).value()

    def test_twice(self, scheduler: ManualScheduler) -> None:
        """Both promises have the value; see `test_shared_deferreds`."""
        deferred: Deferred[Any] = Deferred()
        first, second = Promise.from_deferred(deferred), Promise.from_deferred(deferred)
        deferred.callback("value")
        assert "value" == first.value() == second.value()


@with_and_without_debugging
class TestOwnership:
    """The promise owns the Deferred that it has adopted."""

    @pytest.mark.usefixtures("reports")
    @pytest.mark.parametrize("result", ["value", raised()], ids=["value", "failure"])
    @pytest.mark.parametrize("fires", ["before", "after"])
    def test_later_holders_see_none(
        self, adopt: Adopt, scheduler: ManualScheduler, result: Any, fires: str
    ) -> None:
        """Callbacks that are added to the Deferred later get None, never a value or a failure."""
        deferred: Deferred[Any] = Deferred()
        if fires == "before":
            deferred.callback(result)
        promise = adopt(deferred).catch(lambda reason: None)
        seen = result_of(deferred)
        if fires == "after":
            deferred.callback(result)
        assert [None] == seen
        scheduler.flush()
        assert promise.is_fulfilled()

    def test_logged_once(
        self,
        adopt: Adopt,
        scheduler: ManualScheduler,
        reports: list[LogEvent],
        deferred_errors: list[LogEvent],
    ) -> None:
        """An unhandled failure is logged by the promise, and not by the Deferred."""
        deferred: Deferred[Any] = Deferred()
        promise = adopt(deferred)
        failure = raised()
        deferred.errback(failure)
        scheduler.flush()
        del deferred, promise
        gc.collect()
        assert [failure.value] == reasons(reports)
        assert [] == deferred_errors

    def test_handled_is_not_logged(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A failure that a handler of the promise has seen is not logged at all."""
        deferred: Deferred[Any] = Deferred()
        adopt(deferred).catch(lambda reason: None)
        deferred.errback(raised())
        scheduler.flush()
        del deferred
        gc.collect()


class TestFiringWithMore:
    """A Deferred may fire with something that is followed."""

    def test_promise(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A promise that comes out of a Deferred is followed."""
        more = Source()
        promise = adopt(succeed(more.promise))
        assert promise.is_pending()
        more.resolve("value")
        scheduler.flush()
        assert "value" == promise.value()

    @pytest.mark.usefixtures("reports")
    def test_rejected_promise(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """So is one that fails."""
        error = Boom()
        assert error is adopt(succeed(Promise.reject(error))).reason()

    def test_coroutine(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A coroutine that comes out of a Deferred is run."""
        inner: Deferred[Any] = Deferred()

        async def more() -> Any:
            return await inner

        deferred: Deferred[Any] = Deferred()
        promise = adopt(deferred)
        deferred.callback(more())
        scheduler.flush()
        assert promise.is_pending()
        inner.callback("value")
        scheduler.flush()
        assert "value" == promise.value()

    @pytest.mark.usefixtures("reports")
    def test_itself(self, scheduler: ManualScheduler) -> None:
        """A Deferred that fires with the promise that has adopted it rejects: a ring."""
        deferred: Deferred[Any] = Deferred()
        promise = Promise.from_deferred(deferred)
        deferred.callback(promise)
        scheduler.flush()
        assert isinstance(promise.reason(), TypeError)

    def test_cancelled(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """Cancelling reaches what came out of the Deferred."""
        more = Source()
        promise = adopt(succeed(more.promise))
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert 1 == more.cancelled


class TestCancellingTheWork:
    """The last consumer of a promise that leaves cancels the Deferred behind it."""

    def test_canceller(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """The canceller is called once, with the Deferred, and at once.

        A result of the Deferred between now and the next turn would be lost.
        """
        cancelled: list[Any] = []
        deferred: Deferred[Any] = Deferred(cancelled.append)
        promise = adopt(deferred)
        promise.cancel()
        assert promise.is_cancelled()
        assert [deferred] == cancelled
        scheduler.flush()
        assert [deferred] == cancelled
        assert promise.is_cancelled()

    def test_last_one(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """While the promise has another consumer, the Deferred is not cancelled."""
        cancelled: list[Any] = []
        promise = adopt(Deferred(cancelled.append))
        first, second = promise.then(), promise.then()
        first.cancel()
        scheduler.flush()
        assert [] == cancelled
        second.cancel()
        scheduler.flush()
        assert 1 == len(cancelled)
        assert promise.is_cancelled()

    def test_canceller_that_raises(
        self, adopt: Adopt, scheduler: ManualScheduler, reports: list[LogEvent]
    ) -> None:
        """What a canceller raises is logged once; the promise is cancelled all the same."""

        def canceller(deferred: Deferred[Any]) -> None:
            raise Boom("in the canceller")

        deferred: Deferred[Any] = Deferred(canceller)
        promise = adopt(deferred)
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert ["in the canceller"] == [str(event["log_failure"].value) for event in reports]
        # It has not been fired, and may yet be.
        deferred.errback(raised())
        scheduler.flush()
        assert 1 == len(reports)
        assert promise.is_cancelled()

    def test_canceller_that_fires_and_raises(
        self, adopt: Adopt, scheduler: ManualScheduler, reports: list[LogEvent]
    ) -> None:
        """So it is if the canceller has fired the Deferred before."""

        def canceller(deferred: Deferred[Any]) -> None:
            deferred.callback("value")
            raise Boom("in the canceller")

        promise = adopt(Deferred(canceller))
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert 1 == len(reports)

    @pytest.mark.parametrize(
        "answer",
        [
            lambda deferred: deferred.callback("value"),
            lambda deferred: deferred.errback(raised()),
        ],
        ids=["value", "failure"],
    )
    @pytest.mark.parametrize("canceller", ["none", "at once", "late"])
    def test_answers(
        self,
        adopt: Adopt,
        scheduler: ManualScheduler,
        answer: Callable[[Deferred[Any]], None],
        canceller: str,
    ) -> None:
        """What comes after the cancellation is swallowed, and raises nothing where it is fired."""

        def answers_at_once(deferred: Deferred[Any]) -> None:
            answer(deferred)

        def answers_late(deferred: Deferred[Any]) -> None:
            scheduler.clock.callLater(1, answer, deferred)

        cancellers = {"none": None, "at once": answers_at_once, "late": answers_late}
        deferred: Deferred[Any] = Deferred(cancellers[canceller])
        promise = adopt(deferred)
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        if canceller == "none":
            answer(deferred)
        # A call that raises AlreadyCalledError would raise it here.
        scheduler.advance(1)
        assert promise.is_cancelled()

    def test_fires_in_the_turn(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A Deferred that was cancelled and is fired all the same, in the same turn: in vain."""
        cancelled: list[Any] = []
        deferred: Deferred[Any] = Deferred(cancelled.append)
        promise = adopt(deferred)
        promise.cancel()
        deferred.errback(raised())
        scheduler.flush()
        assert promise.is_cancelled()
        assert [deferred] == cancelled

    def test_twice_fired_is_an_error_still(self, scheduler: ManualScheduler) -> None:
        """A Deferred that was not cancelled by us keeps its own ways with those who err."""
        deferred: Deferred[Any] = Deferred()
        promise = Promise.from_deferred(deferred)
        promise.cancel()
        deferred.callback(1)
        scheduler.flush()
        with pytest.raises(AlreadyCalledError):
            deferred.callback(2)

    def test_chained(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """Cancelling reaches the Deferred that the adopted one waits for, late answer and all."""
        cancelled: list[Any] = []
        inner: Deferred[Any] = Deferred(cancelled.append)
        promise = adopt(succeed(None).addCallback(lambda _: inner))
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        assert [inner] == cancelled
        inner.callback("late")

    def test_paused(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """A paused Deferred cannot be cancelled; its later result is swallowed."""
        deferred: Deferred[Any] = Deferred()
        deferred.callback("value")
        deferred.pause()
        promise = adopt(deferred)
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()
        deferred.unpause()
        scheduler.flush()
        assert promise.is_cancelled()

    @pytest.mark.usefixtures("config")
    def test_disabled(self, adopt: Adopt, scheduler: ManualScheduler) -> None:
        """With cancellation switched off, nothing is cancelled."""
        Promise.config(cancellation=False)
        cancelled: list[Any] = []
        deferred: Deferred[Any] = Deferred(cancelled.append)
        promise = adopt(deferred)
        promise.cancel()
        scheduler.flush()
        assert [] == cancelled
        deferred.callback("value")
        scheduler.flush()
        assert "value" == promise.value()


class TestFromDeferred:
    """`Promise.from_deferred`, the public function."""

    @pytest.mark.parametrize("wrong", [None, 1, Deferred, lambda: None, Promise.resolve(1)])
    def test_something_else(self, wrong: Any) -> None:
        """Anything but a Deferred raises a TypeError that says so."""
        with pytest.raises(TypeError, match="deferred must be a Deferred, not "):
            Promise.from_deferred(wrong)

    @pytest.mark.usefixtures("scheduler")
    def test_type(self) -> None:
        """What comes back is a promise, and a Deferred that fires gives its value."""
        promise = Promise.from_deferred(succeed(1))
        assert isinstance(promise, Promise)
        assert IPromise.providedBy(promise)

    @pytest.mark.usefixtures("scheduler")
    def test_adapter(self) -> None:
        """`IPromise(deferred)` is the same adoption; a promise is its own adapter."""
        promise = IPromise(succeed("value"))
        assert "value" == promise.value()
        assert promise is IPromise(promise)


# --- promise to Deferred


@with_and_without_debugging
class TestToDeferred:
    """A Deferred is one more consumer of a promise."""

    @pytest.mark.usefixtures("scheduler")
    def test_new_each_time(self) -> None:
        """Each call gives a Deferred of its own; what one consumer does the next never sees."""
        promise = Promise.resolve(1)
        first, second = promise.to_deferred(), promise.to_deferred()
        assert first is not second
        assert Deferred is type(first)
        assert [2] == result_of(first.addCallback(lambda value: value + 1))
        assert [1] == result_of(second)

    @pytest.mark.usefixtures("scheduler")
    def test_settled(self) -> None:
        """A settled promise gives a Deferred that has fired."""
        assert [1] == result_of(Promise.resolve(1).to_deferred())
        error = Boom()
        (failure,) = result_of(Promise.reject(error).to_deferred())
        assert error is failure.value

    @pytest.mark.usefixtures("scheduler")
    def test_following_one_that_has_settled(self) -> None:
        """So does one that follows a settled promise and has not been notified yet."""
        for settle, expected in (("resolve", 1), ("reject", Boom())):
            source = Source()
            follower: Promise[Any] = Promise(lambda resolve, reject: resolve(source.promise))  # noqa: B023
            getattr(source, settle)(expected)
            (result,) = result_of(follower.to_deferred())
            assert expected is getattr(result, "value", result)

    def test_pending(self, scheduler: ManualScheduler) -> None:
        """A pending promise fires it from the scheduler, never from within `resolve`."""
        source = Source()
        results = result_of(source.promise.to_deferred())
        source.resolve("value")
        assert [] == results
        scheduler.flush()
        assert ["value"] == results

    def test_order(self, scheduler: ManualScheduler) -> None:
        """Deferreds and handlers are notified in the order in which they were attached."""
        source = Source()
        order: list[str] = []
        source.promise.then(lambda _: order.append("then"))
        source.promise.to_deferred().addCallback(lambda _: order.append("Deferred"))
        source.promise.then(lambda _: order.append("then again"))
        source.resolve()
        scheduler.flush()
        assert ["then", "Deferred", "then again"] == order

    def test_error_in_a_callback(
        self, scheduler: ManualScheduler, deferred_errors: list[LogEvent]
    ) -> None:
        """A callback that fails is the Deferred's own business."""
        source = Source()
        other = source.promise.then()

        def callback(value: Any) -> None:
            raise Boom

        source.promise.to_deferred().addCallback(callback)
        source.resolve(1)
        scheduler.flush()
        assert 1 == other.value()
        gc.collect()
        assert [Boom] == [event["log_failure"].type for event in deferred_errors[1:]]

    def test_unhandled_is_the_deferreds(
        self, scheduler: ManualScheduler, deferred_errors: list[LogEvent]
    ) -> None:
        """The rejection counts as handled: it is logged by the Deferred alone, if by anybody."""
        source = Source()
        settled = Promise.reject(Boom()).to_deferred()
        eventually = source.promise.to_deferred()
        source.reject(Boom())
        scheduler.flush()
        assert settled.called
        assert eventually.called
        del settled, eventually
        gc.collect()
        # Twisted writes a line before each failure.
        assert [Boom, Boom] == [event["log_failure"].type for event in deferred_errors[1::2]]

    @pytest.mark.parametrize("async_hooks", [True, False], ids=["", "async_hooks=False"])
    @pytest.mark.parametrize("settle", ["resolve", "reject", "cancel"])
    def test_context(self, scheduler: ManualScheduler, settle: str, async_hooks: bool) -> None:
        """Callbacks run in the context in which the Deferred was made, each in its own."""
        copy = Promise.get_new_library_copy()
        copy.config(async_hooks=async_hooks)
        source = Source(copy)
        seen: list[str] = []

        def callback(_: Any) -> None:
            seen.append(variable.get())
            variable.set("set by a callback")

        def make(name: str | None) -> None:
            if name is not None:
                variable.set(name)
            source.promise.to_deferred().addBoth(callback)
            copy.deferify(lambda: source.promise)().addBoth(callback)

        def settle_it() -> None:
            variable.set("where it settles")
            getattr(source, settle, source.promise.cancel)()
            scheduler.flush()

        for name in ("one", "two", None):
            Context().run(make, name)
        Context().run(settle_it)
        expected = ["one", "one", "two", "two"] if async_hooks else ["unset"] * 4
        assert [*expected, "unset", "unset"] == sorted(seen)

    def test_odd_reason(self, scheduler: ManualScheduler) -> None:
        """A reason that is no exception travels inside a RejectionError."""
        source = Source()
        eventually = result_of(source.promise.to_deferred())
        source.reject("odd")
        scheduler.flush()
        for (failure,) in eventually, result_of(source.promise.to_deferred()):
            assert isinstance(failure.value, RejectionError)
            assert "odd" == failure.value.cause

    def test_base_exception(self, scheduler: ManualScheduler) -> None:
        """An exception that is no `Exception` arrives as it is."""
        error = SystemExit(3)

        def handler(_: Any) -> None:
            raise error

        results = result_of(Promise.resolve().then(handler).to_deferred())
        scheduler.flush()
        assert error is results[0].value


class TestCancellingTheDeferred:
    """Cancelling a Deferred that was made of a promise: this consumer leaves."""

    def test_last_one(self, scheduler: ManualScheduler) -> None:
        """The Deferred errbacks with CancelledError at once; then the work stops."""
        source = Source()
        deferred = source.promise.to_deferred()
        results = result_of(deferred)
        deferred.cancel()
        assert CancelledError is results[0].type
        assert source.promise.is_cancelled()
        scheduler.flush()
        assert 1 == source.cancelled

    @pytest.mark.parametrize("other", ["then", "to_deferred", "await"])
    def test_not_the_last(self, scheduler: ManualScheduler, other: str) -> None:
        """The work goes on for the others, of whichever kind."""
        source = Source()
        others: dict[str, Callable[[], Promise[Any]]] = {
            "then": source.promise.then,
            "to_deferred": lambda: Promise.from_deferred(source.promise.to_deferred()),
            "await": lambda: Promise.resolve(awaiting(source.promise)),
        }
        deferred = source.promise.to_deferred()
        another = others[other]()
        results = result_of(deferred)
        deferred.cancel()
        scheduler.flush()
        assert 0 == source.cancelled
        source.resolve("value")
        scheduler.flush()
        assert "value" == another.value()
        assert CancelledError is results[0].type
        assert 1 == len(results)

    def test_all_leave(self, scheduler: ManualScheduler) -> None:
        """When the last of many has left, the work stops."""
        source = Source()
        deferreds = [source.promise.to_deferred().addErrback(lambda _: None) for _ in range(20)]
        for deferred in deferreds:
            scheduler.flush()
            assert 0 == source.cancelled
            deferred.cancel()
        scheduler.flush()
        assert 1 == source.cancelled

    def test_reaches_a_deferred(self, scheduler: ManualScheduler) -> None:
        """Cancelling reaches a Deferred at the other end of the chain."""
        cancelled: list[Any] = []
        work: Deferred[Any] = Deferred(cancelled.append)
        deferred = Promise.from_deferred(work).then(str).finally_(lambda: None).to_deferred()
        results = result_of(deferred)
        deferred.cancel()
        scheduler.flush()
        assert [work] == cancelled
        assert CancelledError is results[0].type

    def test_cancelled_by_others(self, scheduler: ManualScheduler) -> None:
        """A promise cancelled by others errbacks with a CancellationError, a CancelledError."""
        source = Source()
        results = result_of(source.promise.to_deferred())
        source.promise.cancel()
        assert [] == results
        scheduler.flush()
        assert CancellationError is results[0].type
        assert isinstance(results[0].value, CancelledError)
        assert results[0].check(CancelledError)

    @pytest.mark.parametrize("turns", ["before the turn", "after it"])
    def test_cancelled_already(self, scheduler: ManualScheduler, turns: str) -> None:
        """A promise that is cancelled already gives a Deferred that has failed."""
        source = Source()
        source.promise.cancel()
        if turns == "after it":
            scheduler.flush()
        (failure,) = result_of(source.promise.to_deferred())
        assert CancellationError is failure.type
        assert "the promise was cancelled (late cancellation observer)" == str(failure.value)

    def test_cancelling(self, scheduler: ManualScheduler) -> None:
        """So does one whose cancellation is being finished, by a handler that takes its time."""
        cleanup: Deferred[Any] = Deferred()
        source = Source()
        promise = source.promise.finally_(lambda: cleanup)
        follower: Promise[Any] = Promise(lambda resolve, reject: resolve(promise))
        before = result_of(promise.to_deferred())
        promise.cancel()
        scheduler.flush()
        (failure,) = result_of(promise.to_deferred())
        assert "the promise was cancelled (late cancellation observer)" == str(failure.value)
        # And what follows that.
        later = result_of(follower.to_deferred())
        assert [CancellationError] == [failure.type for failure in later]
        assert [] == before
        cleanup.callback(None)
        scheduler.flush()
        assert [CancellationError] == [failure.type for failure in before]

    def test_twice(self, scheduler: ManualScheduler) -> None:
        """Cancelling again does nothing."""
        source = Source()
        deferred = source.promise.to_deferred()
        results = result_of(deferred)
        deferred.cancel()
        deferred.cancel()
        scheduler.flush()
        deferred.cancel()
        assert 1 == source.cancelled
        assert 1 == len(results)

    @pytest.mark.parametrize("settle", ["resolve", "reject"])
    def test_settled_meanwhile(self, scheduler: ManualScheduler, settle: str) -> None:
        """A promise that settles after its Deferred was cancelled raises nothing in anybody."""
        source = Source()
        kept = source.promise.catch(lambda reason: None)
        deferred = source.promise.to_deferred()
        results = result_of(deferred)
        getattr(source, settle)(Boom())
        # Settled, and the Deferred has not been notified.
        deferred.cancel()
        scheduler.flush()
        assert [CancelledError] == [failure.type for failure in results]
        assert kept.is_fulfilled()

    @pytest.mark.parametrize("settle", ["resolve", "reject", "cancel"])
    def test_after_it_has_fired(self, scheduler: ManualScheduler, settle: str) -> None:
        """Cancelling a Deferred that has fired does nothing."""
        source = Source()
        deferred = source.promise.to_deferred()
        results = result_of(deferred)
        if settle == "cancel":
            source.promise.cancel()
        else:
            getattr(source, settle)(Boom())
        scheduler.flush()
        deferred.cancel()
        scheduler.flush()
        assert 1 == len(results)

    @pytest.mark.parametrize("settle", ["resolve", "reject", "cancel"])
    def test_a_deferred_that_is_fired_outside(
        self, scheduler: ManualScheduler, settle: str
    ) -> None:
        """A Deferred that its holder has fired himself is left alone, without an error."""
        source = Source()
        source.promise.catch(lambda reason: None)
        deferred = source.promise.to_deferred()
        results = result_of(deferred)
        deferred.callback("from elsewhere")
        if settle == "cancel":
            source.promise.cancel()
        else:
            getattr(source, settle)(Boom())
        scheduler.flush()
        assert ["from elsewhere"] == results

    @pytest.mark.usefixtures("config")
    def test_disabled(self, scheduler: ManualScheduler) -> None:
        """With cancellation off the Deferred is cancelled, and the promise goes on."""
        source = Source()
        Promise.config(cancellation=False)
        deferred = source.promise.to_deferred()
        results = result_of(deferred)
        deferred.cancel()
        scheduler.flush()
        assert [CancelledError] == [failure.type for failure in results]
        source.resolve("value")
        scheduler.flush()
        assert "value" == source.promise.value()

    def test_timeout(self, scheduler: ManualScheduler) -> None:
        """Twisted's own `addTimeout` cancels the promise as one consumer."""
        source = Source()
        deferred = source.promise.to_deferred().addTimeout(1, scheduler.clock)
        results = result_of(deferred)
        scheduler.advance(1)
        assert "TimeoutError" == results[0].type.__name__
        assert 1 == source.cancelled


# --- there and back


@with_and_without_debugging
class TestTracebacks:
    """Errors and their tracebacks are kept on either side of the bridge."""

    def test_handlers_frame(self, scheduler: ManualScheduler) -> None:
        """The failure's traceback starts with the handler's frame: none of ours are in it."""

        def innermost() -> None:
            raise Boom

        def handler(_: Any) -> None:
            innermost()

        promise = Promise.resolve().then(handler).then(str)
        results = result_of(promise.to_deferred())
        scheduler.flush()
        later = result_of(promise.to_deferred())
        for (failure,) in results, later:
            assert ["handler", "innermost"] == frames(failure.getTracebackObject())
            assert "in innermost" in failure.getTraceback()

    def test_executors_frame(self, scheduler: ManualScheduler) -> None:
        """So it does with the frame of an executor."""

        def executor(resolve: Any, reject: Any) -> None:
            raise Boom

        (failure,) = result_of(Promise(executor).to_deferred())
        assert ["executor"] == frames(failure.getTracebackObject())

    @pytest.mark.usefixtures("reports")
    @pytest.mark.parametrize("hops", [0, 3])
    @pytest.mark.parametrize("fires", ["before", "after"])
    def test_the_very_same_failure(
        self, adopt: Adopt, scheduler: ManualScheduler, hops: int, fires: str
    ) -> None:
        """A failure that came from a Deferred goes out as the same object, traceback and all."""
        failure = raised()
        text = failure.getTraceback()
        deferred: Deferred[Any] = Deferred()
        if fires == "before":
            deferred.errback(failure)
        promise = adopt(deferred)
        for _ in range(hops):
            promise = promise.then(str)
        results = result_of(promise.to_deferred())
        if fires == "after":
            deferred.errback(failure)
        scheduler.flush()
        assert failure is results[0]
        assert failure is result_of(promise.to_deferred())[0]
        assert text == failure.getTraceback()
        assert "in raised" in text

    def test_rejected_with_a_failure(self, scheduler: ManualScheduler) -> None:
        """`reject(failure)` is the failure's own error, and the failure goes out again."""
        failure = raised()
        promise = Promise.reject(failure)
        assert failure.value is promise.reason()
        assert failure is result_of(promise.to_deferred())[0]

    def test_never_raised(self, scheduler: ManualScheduler) -> None:
        """An exception that was never raised has no traceback, even if it is raised later."""
        error = Boom()
        promise = Promise.reject(error)
        with pytest.raises(Boom):
            result_of(promise.to_deferred())[0].raiseException()
        (failure,) = result_of(promise.to_deferred())
        assert None is failure.getTracebackObject()

    def test_cleaned_failure(self, scheduler: ManualScheduler) -> None:
        """A failure without its traceback (pickled, or cleaned) is raised without it."""
        failure = raised()
        failure.cleanFailure()
        promise = Promise.from_deferred(fail(failure))
        results = result_of(Promise.resolve(awaiting(promise)).to_deferred())
        scheduler.flush()
        assert failure.value is results[0].value
