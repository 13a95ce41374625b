"""What drives generators, whatever they yield: `twpromise._coroutines.runner`.

Through a small driver of its own; what coroutines and `Promise.coroutine` make of it is tested
with them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent

from tests.support.promises import Boom
from twpromise import CancellationError, Promise
from twpromise._core.states import new_pending
from twpromise._coroutines.runner import Runner
from twpromise._methods.resolvers import resolve_from_anywhere
from twpromise.testing import ManualScheduler


class Stop(GeneratorExit):
    """What this driver throws in to cancel."""


class Signal(Deferred[Any]):
    """A Deferred that says how often it was cancelled, and fires when it likes."""

    def __init__(self, at_once: Any = None) -> None:
        super().__init__()
        self.stopped = 0
        self.stop: Callable[[], object] = lambda: None
        if at_once is not None:
            self.callback(at_once)

    def cancel(self) -> None:
        """Cancel without firing."""
        self.stopped += 1
        self.stop()


class Driver(Runner):
    """Drives generators; they may yield promises and Deferreds."""

    __slots__ = ()

    def _wait_for_other(self, yielded: Any) -> None:
        raise TypeError(f"not to be waited for: {yielded!r}")

    def _answered(
        self, value: Any, error: BaseException | None
    ) -> tuple[Any, BaseException | None]:
        if isinstance(error, CancellationError):
            return None, Stop()
        return value, error

    def _cancellation(self) -> BaseException:
        return Stop()


@pytest.fixture
def run(scheduler: ManualScheduler) -> Callable[[Generator[Any, Any, Any]], Promise[Any]]:
    """Runs a generator, and gives the promise for what comes of it."""

    def run(generator: Generator[Any, Any, Any]) -> Promise[Any]:
        promise: Promise[Any] = new_pending(Promise._new)  # type: ignore[arg-type]
        Driver(promise, generator).start()
        return promise

    return run


Run = Callable[[Generator[Any, Any, Any]], Promise[Any]]


def pending() -> Promise[Any]:
    """A promise that stays pending."""
    return Promise(lambda resolve, reject: None)


class TestSteps:
    """Each step waits for what the step before has yielded."""

    def test_values_are_sent_in(self, run: Run, scheduler: ManualScheduler) -> None:
        """Values are sent in, whether they were there at once or come later."""
        signal, later = Signal(), Deferred()

        def generator() -> Any:
            return [
                (yield Promise.resolve("promise")),
                (yield Promise.resolve("later").then()),
                (yield succeed("Deferred")),
                (yield later),
                (yield Signal("at once")),
                (yield signal),
            ]

        promise = run(generator())
        scheduler.flush()
        later.callback("later Deferred")
        signal.callback("signal")
        assert [
            *("promise", "later", "Deferred", "later Deferred", "at once", "signal")
        ] == promise.value()

    def test_errors_are_thrown_in(self, run: Run, scheduler: ManualScheduler) -> None:
        """Errors are thrown in, and may be caught there."""
        source = pending()

        def generator() -> Any:
            caught = []
            for failing in Promise.reject(Boom(1)), fail(Boom(2)), 3, Promise.reject("odd"):
                try:
                    yield failing
                except Exception as error:
                    caught.append(type(error).__name__)
            try:
                yield source
            except CancellationError as error:
                caught.append(str(error))
            return caught

        promise = run(generator())
        scheduler.flush()
        source.cancel()
        scheduler.flush()
        assert [
            *("Boom", "Boom", "TypeError", "RejectionError", "the promise was cancelled")
        ] == promise.value()

    @pytest.mark.usefixtures("reports")
    def test_ends(self, run: Run) -> None:
        """What it returns is followed; what it raises rejects."""

        def returns(value: Any) -> Any:
            return value
            yield

        def raises() -> Any:
            raise Boom
            yield

        assert "value" == run(returns("value")).value()
        assert "value" == run(returns(Promise.resolve("value"))).value()
        assert isinstance(run(raises()).reason(), Boom)

    def test_nothing_recurses(self, run: Run, scheduler: ManualScheduler) -> None:
        """However often a generator waits for a settled promise."""

        def generator() -> Any:
            total = 0
            for _ in range(5000):
                total += yield Signal(1)
                total += yield succeed(1)
                total += yield Promise.resolve(1)
            return total

        promise = run(generator())
        scheduler.flush()
        assert 15_000 == promise.value()


class TestCancelling:
    """Cancelling raises GeneratorExit in it, once, after it has left the awaited promise."""

    def test_cancelling_while_a_promise_is_waited_for(
        self, run: Run, scheduler: ManualScheduler
    ) -> None:
        """The promise is cancelled; GeneratorExit is raised from the scheduler."""
        source = pending()
        seen: list[Any] = []

        def generator() -> Any:
            try:
                yield source
            except BaseException as error:
                seen.append(type(error))
                raise

        promise = run(generator())
        promise.cancel()
        assert [] == seen
        scheduler.flush()
        assert [Stop] == seen
        assert source.is_cancelled()

    def test_a_shared_promise_is_left_to_its_other_consumers(
        self, run: Run, scheduler: ManualScheduler
    ) -> None:
        """Its outcome does not resume the generator."""
        source = pending()
        source.then()
        seen: list[Any] = []

        def generator() -> Any:
            try:
                yield source
            except Stop:
                seen.append("stopped")
                yield other
                seen.append("went on")
                raise

        other = pending()
        promise = run(generator())
        promise.cancel()
        scheduler.flush()
        assert ["stopped"] == seen
        assert not source.is_cancelled()
        resolve_from_anywhere(source, "value")
        scheduler.flush()
        assert ["stopped"] == seen
        resolve_from_anywhere(other)
        scheduler.flush()
        assert ["stopped", "went on"] == seen
        assert promise.is_cancelled()

    def test_a_promise_that_was_left_is_not_kept_alive(
        self, run: Run, scheduler: ManualScheduler
    ) -> None:
        """A generator that goes on to something else is no consumer of what it has left."""
        source, cleanup = pending(), pending()
        other = source.then()

        def generator() -> Any:
            try:
                yield source
            finally:
                yield cleanup

        promise = run(generator())
        promise.cancel()
        scheduler.flush()
        assert not source.is_cancelled()
        other.cancel()
        assert source.is_cancelled()
        scheduler.flush()
        assert cleanup.is_pending()

    @pytest.mark.parametrize("answers", [False, True], ids=["later", "at once"])
    def test_signal(self, run: Run, scheduler: ManualScheduler, answers: bool) -> None:
        """A Deferred is cancelled, and resumes the generator when it fires."""
        signal = Signal()
        if answers:
            signal.stop = lambda: signal.callback("stopped")
        seen: list[Any] = []

        def generator() -> Any:
            seen.append((yield signal))

        promise = run(generator())
        promise.cancel()
        assert 0 == signal.stopped
        scheduler.flush()
        assert 1 == signal.stopped
        if not answers:
            assert [] == seen
            signal.callback("stopped")
        assert ["stopped"] == seen
        assert promise.is_cancelled()

    @pytest.mark.parametrize("answers", [False, True], ids=["raises", "answers and raises"])
    def test_an_error_of_the_stop_function_is_logged(
        self, run: Run, scheduler: ManualScheduler, reports: list[LogEvent], answers: bool
    ) -> None:
        """What cancelling a Deferred raises is logged; the generator is interrupted once."""
        signal = Signal()
        seen: list[Any] = []

        def stop() -> None:
            if answers:
                signal.callback("answered")
            raise Boom

        def generator() -> Any:
            try:
                seen.append((yield signal))
            except Stop:
                seen.append("thrown in")
                raise

        signal.stop = stop
        promise = run(generator())
        promise.cancel()
        scheduler.flush()
        signal.callback("late")
        assert ["answered" if answers else "thrown in"] == seen
        assert [Boom] == [event["log_failure"].type for event in reports]
        assert promise.is_cancelled()

    def test_a_generator_that_cancels_its_own_promise(
        self, run: Run, scheduler: ManualScheduler
    ) -> None:
        """GeneratorExit is raised at its next wait."""
        signal, source = Signal(), pending()
        seen: list[Any] = []

        def generator() -> Any:
            yield signal
            promise.cancel()
            try:
                seen.append((yield Signal("at once")))
                yield source
            except BaseException as error:
                seen.append(type(error))
                raise

        promise = run(generator())
        signal.callback(None)
        scheduler.flush()
        assert ["at once", Stop] == seen
        assert source.is_cancelled()
        assert promise.is_cancelled()

    def test_a_generator_that_ignores_a_cancellation(
        self, run: Run, scheduler: ManualScheduler
    ) -> None:
        """It is not raised again, and the generator's result is dropped."""
        other = Signal()
        seen: list[Any] = []

        def generator() -> Any:
            for signal in Signal(), other:
                try:
                    seen.append((yield pending() if signal is not other else other))
                except BaseException as error:
                    seen.append(type(error))
            return "value"

        promise = run(generator())
        promise.cancel()
        scheduler.flush()
        promise.cancel()
        scheduler.flush()
        other.callback("signal")
        assert "signal" == seen[1]
        assert promise.is_cancelled()

    def test_a_promise_that_was_left_can_be_waited_for_again(
        self, run: Run, scheduler: ManualScheduler
    ) -> None:
        """It resumes the generator once."""
        resolvers: list[Any] = []
        source: Promise[Any] = Promise(lambda resolve, reject: resolvers.append(resolve))
        source.then()
        seen: list[Any] = []

        def generator() -> Any:
            try:
                yield source
            except Stop:
                seen.append((yield source))
                seen.append((yield source))

        promise = run(generator())
        promise.cancel()
        scheduler.flush()
        resolvers[0]("value")
        scheduler.flush()
        assert ["value", "value"] == seen
        assert promise.is_cancelled()


def test_what_a_cancelled_coroutine_returns(scheduler: ManualScheduler) -> None:
    """It has no consumer, and is cancelled, too."""
    cancelled: list[Any] = []
    deferred: Deferred[Any] = Deferred(cancelled.append)

    async def run() -> Any:
        try:
            await Promise.defer().promise
        except CancellationError:
            return deferred

    promise = Promise.resolve(run())
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [deferred] == cancelled


class Counted(Generator[Any, Any, Any]):
    """A generator that is an object with attributes: what is generated from other languages, say.

    It waits for one promise, and ends when it is cancelled.
    """

    def __init__(self, promise: Promise[Any], how: str) -> None:
        self.promise = promise
        self.how = how

    def send(self, value: Any) -> Any:
        """Wait."""
        return self.promise

    def throw(self, *arguments: Any) -> Any:
        """End, in one way or the other."""
        raise {"stops": Stop, "returns": StopIteration, "fails": Boom}[self.how]


@pytest.mark.parametrize("how", ["stops", "returns", "fails"])
def test_a_promise_that_was_left_keeps_no_generator(
    run: Run, scheduler: ManualScheduler, how: str
) -> None:
    """Though its other consumers keep it alive, and the runner is among its subscribers."""
    lasting = pending()
    generator = Counted(lasting, how)
    promise = run(generator)
    other = lasting.then()
    promise.suppress_unhandled_rejections()
    promise.cancel()
    scheduler.flush()
    assert not promise.is_pending()
    reference = weakref.ref(generator)
    del promise, generator
    assert reference() is None
    assert other.is_pending()
