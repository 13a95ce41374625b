"""Generators as coroutines: `twpromise._coroutines`.

Bluebird's pages: Promise.coroutine, Promise.coroutine.addYieldHandler, Generators.
"""

from __future__ import annotations

import gc
import inspect
import sys
import weakref
from contextvars import ContextVar
from traceback import walk_tb

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from tests.support.followed import KINDS, NEED_NO_LOOP, later
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, Source, fail, pending
from twpromise import CancellationError, Promise, RejectionError
from twpromise._coroutines.suspension import Suspension

pytestmark = pytest.mark.usefixtures("scheduler", "unhandled_allowed")

NOT_A_PROMISE = "was yielded that could not be treated as a promise"

variable: ContextVar[str] = ContextVar("variable", default="unset")


@pytest.fixture
def yield_handlers():
    """Yield handlers that are added in the test are gone after it."""
    handlers = Promise._library.yield_handlers
    before = list(handlers)
    yield
    handlers[:] = before


def frames(error):
    """The functions that a traceback goes through."""
    return [frame.f_code.co_name for frame, _ in walk_tb(error.__traceback__)]


# --- circles


def itself(promise):
    return promise


def a_follower(promise):
    return Promise(lambda resolve, reject: resolve(promise))


def one_with_a_cancel_hook(promise):
    return Promise(lambda resolve, reject, on_cancel: (on_cancel(print), resolve(promise)))


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("of", [itself, a_follower, one_with_a_cancel_hook])
def test_a_coroutine_that_awaits_its_own_promise(scheduler, of, steps):
    """It is refused, instead of staying pending."""

    async def main():
        for _ in range(steps):
            await Promise.delay(1)
        with pytest.raises(TypeError, match="circular promise resolution chain"):
            await of(own)
        return "refused"

    own = Promise.resolve().then(lambda _: main())
    for _ in range(3):
        scheduler.advance(1)
    assert "refused" == own.value()


async def awaits_its_own():
    await Promise.delay(1)
    return await started[0]


@Promise.coroutine
def yields_its_own():
    yield Promise.delay(1)
    return (yield started[0])


#: The promise of a coroutine that has been started.
started = []
STARTS = {
    "resolve": lambda function: Promise.resolve(function()),
    "coroutine": lambda function: Promise.coroutine(function)(),
    "method": lambda function: Promise.method(function)(),
    "try_": lambda function: Promise.try_(function),
    "executor": lambda function: Promise(lambda resolve, reject: resolve(function())),
    "then": lambda function: Promise.resolve().then(lambda _: function()),
    "catch": lambda function: Promise.reject(Boom()).catch(Boom, lambda _: function()),
    "join": lambda function: Promise.join(1, lambda _: function()),
    "using": lambda function: Promise.using(Promise.resolve(1).disposer(abs), lambda _: function()),
}


@pytest.mark.parametrize("function", [awaits_its_own, yields_its_own])
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_coroutine_that_awaits_its_own_promise_however_it_was_started(scheduler, function, start):
    """By itself, or by what is resolved with it."""
    started[:] = [start(function)]
    scheduler.advance(1)
    scheduler.advance(1)
    assert ("rejected", TypeError) == (outcome(started[0])[0], type(started[0].reason()))


def test_a_generator_that_yields_its_own_promise_once_it_is_cancelled(scheduler):
    """It learns of the cancellation."""
    seen = []

    @Promise.coroutine
    def main():
        try:
            yield Promise.delay(1)
        finally:
            try:
                yield own
            except Exception as error:
                seen.append(type(error))

    own = main()
    own.cancel()
    scheduler.flush()
    assert [CancellationError] == seen


@pytest.mark.parametrize("of", [itself, a_follower, one_with_a_cancel_hook])
def test_a_generator_that_yields_its_own_promise(scheduler, of):
    """So is this."""

    @Promise.coroutine
    def main():
        yield Promise.delay(1)
        with pytest.raises(TypeError, match="circular promise resolution chain"):
            yield of(own)
        return "refused"

    own = main()
    scheduler.advance(1)
    assert "refused" == own.value()


# --- calling, yielding, returning


def test_the_pages_example(scheduler):
    """Two methods that call each other without end, a delay at a time."""
    said = []

    class PingPong:
        @Promise.coroutine
        def ping(self, value):
            said.append(("Ping?", value))
            yield Promise.delay(0.5)
            self.pong(value + 1)

        @Promise.coroutine
        def pong(self, value):
            said.append(("Pong!", value))
            yield Promise.delay(0.5)
            if value < 5:
                self.ping(value + 1)

    PingPong().ping(0)
    assert [("Ping?", 0)] == said
    scheduler.advance(0.5)
    assert [("Ping?", 0), ("Pong!", 1)] == said
    for _ in range(10):
        scheduler.advance(0.5)
    assert ["Ping?", "Pong!"] * 3 == [word for word, _ in said]
    assert list(range(6)) == [number for _, number in said]


def test_a_coroutine_starts_at_once(scheduler):
    """What stands before the first yield runs within the call, which returns a promise."""
    seen = []

    @Promise.coroutine
    def coroutine(*arguments, **keywords):
        seen.append((arguments, keywords))
        yield Promise.resolve()
        seen.append("later")

    promise = coroutine(1, 2, key="value")
    assert Promise.is_(promise)
    assert isinstance(promise, Promise)
    assert [((1, 2), {"key": "value"})] == seen
    scheduler.flush()
    assert "later" == seen[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_yielded_promise_is_waited_for(scheduler, kind):
    """Its value is what the yield gives."""
    thing, resolve, _ = later(kind)

    @Promise.coroutine
    def coroutine():
        return ["got", (yield thing)]

    promise = coroutine()
    scheduler.flush()
    assert promise.is_pending()
    resolve("value")
    scheduler.flush()
    assert ("fulfilled", ["got", "value"]) == outcome(promise)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("catches", [True, False], ids=["caught", "not caught"])
def test_a_rejection_is_raised_at_the_yield(scheduler, kind, catches):
    """Where it can be caught; else it is the outcome."""
    thing, _, reject = later(kind)
    error = Boom("later")

    @Promise.coroutine
    def coroutine():
        try:
            yield thing
        except Boom as caught:
            if not catches:
                raise
            return ["caught", caught]

    promise = coroutine()
    scheduler.flush()
    reject(error)
    scheduler.flush()
    expected = ("fulfilled", ["caught", error]) if catches else ("rejected", error)
    assert expected == outcome(promise)


def test_one_thing_after_the_other(scheduler):
    """Many yields, of all sorts, in one generator."""

    async def coroutine_object():
        return 4

    @Promise.coroutine
    def other(value):
        return (yield Promise.delay(1, value))

    @Promise.coroutine
    def coroutine():
        values = []
        values.append((yield Promise.resolve(1)))
        values.append((yield Promise.delay(1, 2)))
        values.append((yield succeed(3)))
        values.append((yield coroutine_object()))
        values.append((yield other(5)))
        values.extend((yield Promise.all([6, other(7)])))
        for _ in range(2):
            try:
                yield Promise.reject(Boom())
            except Boom:
                values.append("caught")
        values.extend((yield from inner()))
        return values

    def inner():
        return [(yield Promise.resolve(8)), (yield Promise.delay(1, 9))]

    promise = coroutine()
    for _ in range(5):
        scheduler.advance(1)
    assert [1, 2, 3, 4, 5, 6, 7, "caught", "caught", 8, 9] == promise.value()


@pytest.mark.parametrize("value", ["value", None, [1], 0], ids=repr)
@pytest.mark.parametrize("yields", [True, False], ids=["after a yield", "at once"])
def test_the_result_is_what_is_returned(scheduler, value, yields):
    """A plain value; None if nothing is returned."""

    @Promise.coroutine
    def coroutine():
        if yields:
            yield Promise.resolve()
        if value is not None:
            return value

    promise = coroutine()
    assert yields == promise.is_pending()
    scheduler.flush()
    assert ("fulfilled", value) == outcome(promise)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
@pytest.mark.parametrize("yields", [True, False], ids=["after a yield", "at once"])
def test_a_returned_promise_is_followed(scheduler, kind, well, yields):
    """As from a handler."""
    thing, resolve, reject = later(kind)

    @Promise.coroutine
    def coroutine():
        if yields:
            yield Promise.resolve()
        return thing

    promise = coroutine()
    scheduler.flush()
    assert promise.is_pending()
    error = Boom()
    if well:
        resolve("value")
    else:
        reject(error)
    scheduler.flush()
    assert (("fulfilled", "value") if well else ("rejected", error)) == outcome(promise)


@pytest.mark.parametrize("kind", NEED_NO_LOOP)
def test_cancelling_while_the_returned_promise_is_pending(scheduler, kind):
    """The generator has ended: the promise is cancelled at once, with the returned one."""
    thing, *_ = later(kind)

    @Promise.coroutine
    def coroutine():
        yield Promise.resolve()
        return thing

    called = []
    last = coroutine().finally_(lambda: called.append("finally"))
    scheduler.flush()
    last.cancel()
    scheduler.flush()
    assert (("cancelled", None), ["finally"]) == (outcome(last), called)


@pytest.mark.parametrize("error", [Boom(), KeyboardInterrupt(), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("yields", [True, False], ids=["after a yield", "at once"])
def test_an_error_of_the_generator_rejects(scheduler, error, yields):
    """Whatever it is; nothing is raised to the caller."""

    @Promise.coroutine
    def coroutine():
        if yields:
            yield Promise.resolve()
        raise error

    promise = coroutine()
    scheduler.flush()
    assert ("rejected", error) == outcome(promise)


def test_a_stop_iteration_is_an_error_like_others(scheduler):
    """As in every generator."""

    @Promise.coroutine
    def coroutine():
        yield Promise.resolve()
        next(iter(()))

    promise = coroutine()
    scheduler.flush()
    assert RuntimeError is type(promise.reason())


@pytest.mark.parametrize("reason", ["text", None, 5], ids=repr)
def test_reasons_that_are_no_exceptions_are_raised_inside_one(scheduler, reason):
    """As wherever Python needs an exception."""

    @Promise.coroutine
    def coroutine():
        try:
            yield Promise.reject(reason)
        except RejectionError as error:
            return error.cause

    promise = coroutine()
    scheduler.flush()
    assert ("fulfilled", reason) == outcome(promise)


def test_an_unhandled_failure_is_reported(scheduler, reports):
    """Once, and not of what was yielded."""
    error = Boom()

    @Promise.coroutine
    def coroutine():
        yield Promise.reject(error)

    coroutine()
    scheduler.flush()
    assert [error] == reasons(reports)


def test_a_failure_that_is_caught_is_not_reported(scheduler, reports):
    """The yield has handled it."""

    @Promise.coroutine
    def coroutine():
        try:
            yield Promise.reject(Boom())
        except Boom:
            pass

    coroutine()
    scheduler.flush()
    assert [] == reports


# --- what can be a coroutine


def test_methods_of_all_kinds(scheduler):
    """Plain ones, class methods, static methods."""

    class Service:
        name = "service"

        @Promise.coroutine
        def method(self, value):
            return [self.name, (yield Promise.resolve(value))]

        @classmethod
        @Promise.coroutine
        def of_class(cls, value):
            return [cls.name, (yield Promise.resolve(value))]

        @staticmethod
        @Promise.coroutine
        def static(value):
            return [(yield Promise.resolve(value))]

    service = Service()
    promises = [service.method(1), Service.of_class(2), service.of_class(3), Service.static(4)]
    scheduler.flush()
    expected = [["service", 1], ["service", 2], ["service", 3], [4]]
    assert expected == [promise.value() for promise in promises]


def test_name_docstring_and_signature_are_kept():
    """As by every good decorator."""

    @Promise.coroutine
    def coroutine(a, b=2, *, c):
        """What it does."""
        yield

    assert ("coroutine", "What it does.") == (coroutine.__name__, coroutine.__doc__)
    assert "(a, b=2, *, c)" == str(inspect.signature(coroutine))


def test_other_functions(scheduler):
    """An `async def`, and one that returns a generator only at times."""

    @Promise.coroutine
    async def async_def(value):
        return await Promise.resolve(value)

    @Promise.coroutine
    def at_times(value):
        def generator():
            return [(yield Promise.resolve(value))]

        return generator() if value > 1 else value

    @Promise.coroutine
    def fails():
        raise Boom

    promises = [async_def("async"), at_times(1), at_times(2), fails()]
    scheduler.flush()
    assert ["async", 1, [2]] == [promise.value() for promise in promises[:3]]
    assert Boom is type(promises[3].reason())


def test_wrong_arguments_reject():
    """The call never raises."""

    @Promise.coroutine
    def coroutine(value):
        yield value

    assert TypeError is type(coroutine().reason())


def test_each_call_has_a_generator_of_its_own(scheduler):
    """Calls do not disturb one another."""

    @Promise.coroutine
    def coroutine(value):
        total = 0
        for _ in range(3):
            total += yield Promise.delay(1, value)
        return total

    promises = [coroutine(value) for value in (1, 10)]
    for _ in range(3):
        scheduler.advance(1)
    assert [3, 30] == [promise.value() for promise in promises]


@pytest.mark.parametrize("function", [None, 5, "text", Promise.resolve], ids=repr)
def test_a_coroutine_function_must_be_callable(function):
    """A TypeError at once, in the page's words; a promise that is no function included."""
    if function is not None and callable(function):
        function = function()
    with pytest.raises(TypeError, match=r"not .* \(generatorFunction must be a function\)$"):
        Promise.coroutine(function)


# --- yield handlers


@pytest.mark.parametrize("value", [5, None, "Foo", [1], len, object], ids=repr)
def test_yielding_a_plain_value_raises_at_the_yield(scheduler, value):
    """In the words of bluebird's page."""

    @Promise.coroutine
    def coroutine():
        try:
            yield value
        except TypeError as error:
            return str(error)

    @Promise.coroutine
    def careless():
        yield value

    promises = [coroutine(), careless()]
    scheduler.flush()
    text = promises[0].value()
    assert text.startswith("A value ")
    assert text.endswith(NOT_A_PROMISE)
    assert repr(value) in text
    assert TypeError is type(promises[1].reason())


def test_yielding_a_value_whose_repr_raises(scheduler):
    """An error is raised at the yield all the same."""

    class Shy:
        def __repr__(self):
            raise Boom("from repr")

    @Promise.coroutine
    def coroutine():
        try:
            yield Shy()
        except Exception:
            return "raised"

    promise = coroutine()
    scheduler.flush()
    assert "raised" == promise.value()


@pytest.mark.usefixtures("yield_handlers")
@pytest.mark.parametrize("name", ["add_yield_handler", "addYieldHandler"])
def test_yielding_numbers_as_delays(scheduler, name):
    """The page's first example, in seconds."""

    def delay(value):
        return Promise.delay(value, "slept") if isinstance(value, int | float) else None

    assert None is getattr(Promise.coroutine, name)(delay)

    @Promise.coroutine
    def coroutine():
        return [(yield 0.5), (yield Promise.resolve("promise"))]

    promise = coroutine()
    scheduler.advance(0.4)
    assert promise.is_pending()
    scheduler.advance(0.2)
    assert ["slept", "promise"] == promise.value()


@pytest.mark.usefixtures("yield_handlers")
def test_yielding_callbacks(scheduler):
    """The page's second example: the next yield waits for the callback that was handed out."""
    waiting = []

    def callback():
        resolver = Promise.defer()
        waiting.append(resolver.promise)
        return resolver.callback

    Promise.coroutine.add_yield_handler(
        lambda value: waiting.pop() if value is None and waiting else None
    )

    def read_file(name, encoding, callback):
        scheduler.clock.callLater(1, callback, None, f"{name} in {encoding}")

    @Promise.coroutine
    def read(name):
        return (yield read_file(name, "utf8", callback()))

    promise = read("file")
    scheduler.advance(1)
    assert "file in utf8" == promise.value()


@pytest.mark.usefixtures("yield_handlers")
def test_yielding_thunks(scheduler):
    """The page's third example: functions that take a callback."""
    Promise.coroutine.add_yield_handler(
        lambda value: Promise.from_callback(value) if callable(value) else None
    )

    def thunk(name):
        return lambda callback: callback(None, f"contents of {name}")

    @Promise.coroutine
    def read(name):
        return (yield thunk(name))

    promise = read("file")
    scheduler.flush()
    assert "contents of file" == promise.value()


def all_of_a_list(value):
    return Promise.all(value) if isinstance(value, list) else None


@pytest.mark.usefixtures("yield_handlers")
@pytest.mark.parametrize("how", ["added", "for one function", "as a decorator"])
def test_yielding_lists(scheduler, how):
    """The page's fourth and fifth examples: in parallel, for all coroutines or for one."""

    def generator_function(names):
        return (yield [Promise.delay(1, name) for name in names])

    if how == "added":
        Promise.coroutine.add_yield_handler(all_of_a_list)
        read = Promise.coroutine(generator_function)
    else:
        read = Promise.coroutine(generator_function, yield_handler=all_of_a_list)
    promise = read(["a", "b"])
    scheduler.advance(1)
    assert ["a", "b"] == promise.value()


@pytest.mark.usefixtures("yield_handlers")
def test_a_handler_for_one_function_is_not_for_others(scheduler):
    """It alters nothing else."""
    Promise.coroutine(lambda: None, yield_handler=all_of_a_list)

    @Promise.coroutine
    def coroutine():
        yield []

    promise = coroutine()
    scheduler.flush()
    assert TypeError is type(promise.reason())


@pytest.mark.usefixtures("yield_handlers")
def test_the_first_yield_handler_that_returns_a_promise_is_used(scheduler):
    """The function's own first, then the global ones, in their order."""
    asked = []

    def handler(name, answer):
        def ask(value):
            asked.append((name, value))
            return answer(value)

        return ask

    Promise.coroutine.add_yield_handler(handler("first", lambda value: "not followed"))
    Promise.coroutine.add_yield_handler(
        handler("second", lambda value: Promise.resolve("second") if value == 2 else None)
    )
    Promise.coroutine.add_yield_handler(handler("third", lambda value: succeed("third")))

    def generator_function(value):
        return (yield value)

    own = handler("own", lambda value: Promise.resolve("own") if value == 1 else None)
    coroutine = Promise.coroutine(generator_function, yield_handler=own)
    promises = [coroutine(number) for number in (1, 2, 3)]
    scheduler.flush()
    assert ["own", "second", "third"] == [promise.value() for promise in promises]
    assert [
        ("own", 1),
        *[(name, 2) for name in ("own", "first", "second")],
        *[(name, 3) for name in ("own", "first", "second", "third")],
    ] == asked


@pytest.mark.usefixtures("yield_handlers")
@pytest.mark.parametrize("kind", KINDS)
def test_a_promise_returned_by_a_yield_handler_is_followed(scheduler, kind):
    """Whatever it is."""
    thing, resolve, _ = later(kind)
    Promise.coroutine.add_yield_handler(lambda value: thing)

    @Promise.coroutine
    def coroutine():
        return (yield "anything")

    promise = coroutine()
    scheduler.flush()
    assert promise.is_pending()
    resolve("value")
    scheduler.flush()
    assert "value" == promise.value()


@pytest.mark.usefixtures("yield_handlers")
def test_yield_handlers_are_not_called_for_promises(scheduler):
    """Only for values that promises do not follow."""
    asked = []
    Promise.coroutine.add_yield_handler(asked.append)

    @Promise.coroutine
    def coroutine():
        yield Promise.resolve()
        yield succeed(None)

    coroutine()
    scheduler.flush()
    assert [] == asked


@pytest.mark.usefixtures("yield_handlers")
def test_a_yield_handler_that_raises(scheduler):
    """What it raises is raised at the yield."""

    def handler(value):
        raise Boom("from the handler")

    Promise.coroutine.add_yield_handler(handler)

    @Promise.coroutine
    def coroutine():
        try:
            yield 5
        except Boom as error:
            return str(error)

    promise = coroutine()
    scheduler.flush()
    assert "from the handler" == promise.value()


@pytest.mark.usefixtures("yield_handlers")
def test_yield_handlers_count_from_the_next_yield_on(scheduler):
    """Also for coroutines that were made, and started, before."""

    @Promise.coroutine
    def coroutine():
        yield Promise.delay(1)
        return (yield [1, 2])

    promise = coroutine()
    Promise.coroutine.add_yield_handler(all_of_a_list)
    scheduler.advance(1)
    assert [1, 2] == promise.value()


@pytest.mark.parametrize("handler", [None, 5, "text"], ids=repr)
def test_a_yield_handler_must_be_callable(handler):
    """A TypeError at once, in the page's words."""
    with pytest.raises(TypeError, match=r"not .* \(fn must be a function\)$"):
        Promise.coroutine.add_yield_handler(handler)


@pytest.mark.parametrize("handler", [5, "text"], ids=repr)
def test_a_yield_handler_for_one_function_must_be_callable(handler):
    """The same."""
    with pytest.raises(TypeError, match=r"not .* \(fn must be a function\)$"):
        Promise.coroutine(lambda: None, yield_handler=handler)


@pytest.mark.usefixtures("yield_handlers")
def test_yield_handlers_see_the_coroutines_context(scheduler):
    """Variables that they set are seen neither by the coroutine nor by other handlers."""
    seen = []

    def handler(value):
        seen.append(variable.get())
        variable.set("in a handler")
        return Promise.resolve(value) if value == 2 else None

    def again(value):
        seen.append(variable.get())
        return Promise.resolve(value)

    Promise.coroutine.add_yield_handler(handler)
    Promise.coroutine.add_yield_handler(again)

    @Promise.coroutine
    def coroutine():
        yield 1
        seen.append(variable.get())
        variable.set("in the coroutine")
        yield 2
        seen.append(variable.get())

    coroutine()
    scheduler.flush()
    expected = ["unset", "unset", "unset", "in the coroutine", "in the coroutine"]
    assert (expected, "unset") == (seen, variable.get())


# --- cancelling


def watched(thing, log, *, after=None):
    """A coroutine that yields something, and records what it sees."""

    @Promise.coroutine
    def coroutine():
        try:
            log.append(("value", (yield thing)))
        except BaseException as error:
            log.append(type(error))
            raise
        finally:
            if after is not None:
                log.append(("cleanup", (yield after)))

    return coroutine()


@pytest.mark.parametrize("kind", NEED_NO_LOOP)
def test_cancelling_throws_generator_exit(scheduler, kind):
    """At the yield, from the scheduler, whatever is waited for."""
    thing, *_ = later(kind)
    log = []
    promise = watched(thing, log)
    called = []
    promise.finally_(lambda: called.append("finally"))
    scheduler.flush()
    promise.cancel()
    assert (("cancelled", None), []) == (outcome(promise), log)
    scheduler.flush()
    assert (("cancelled", None), [GeneratorExit], ["finally"]) == (outcome(promise), log, called)


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_the_yielded_promise_is_cancelled_unless_it_has_another_consumer(scheduler, others):
    """And goes on otherwise."""
    source = Source()
    seen = []
    if others:
        source.promise.then(seen.append)
    log = []
    promise = watched(source.promise, log)
    promise.cancel()
    scheduler.flush()
    assert (int(not others), [GeneratorExit]) == (source.cancelled, log)
    source.resolve("value")
    scheduler.flush()
    assert (["value"] if others else [], [GeneratorExit]) == (seen, log)


def test_a_promise_that_was_left_does_not_resume_the_generator(scheduler):
    """It settles, for its other consumers, while the generator waits for another one."""
    source, gate = Source(), Source()
    seen = []
    source.promise.then(seen.append)
    log = []
    promise = watched(source.promise, log, after=gate.promise)
    promise.cancel()
    scheduler.flush()
    source.resolve("value")
    scheduler.flush()
    assert (["value"], [GeneratorExit]) == (seen, log)
    gate.resolve("done")
    scheduler.flush()
    assert [GeneratorExit, ("cleanup", "done")] == log
    assert ("cancelled", None) == outcome(promise)


def test_a_promise_that_cannot_be_cancelled_does_not_resume_the_generator(scheduler):
    """It settles while both generators that have left it wait for another one."""
    without = Promise.get_new_library_copy()
    without.config(cancellation=False)
    without.set_scheduler(scheduler)
    source, gate = without.defer(), Source()
    logs = [], []
    for promise in [watched(source.promise, log, after=gate.promise) for log in logs]:
        promise.cancel()
    scheduler.flush()
    source.resolve("value")
    scheduler.flush()
    assert ([GeneratorExit], [GeneratorExit]) == logs
    gate.resolve("done")
    scheduler.flush()
    assert logs == ([GeneratorExit, ("cleanup", "done")],) * 2


def test_a_promise_that_was_left_is_cancelled_with_its_last_consumer(scheduler):
    """A generator that is still cleaning up does not count as a consumer of it."""
    source, gate = Source(), Source()
    other = source.promise.then(str)
    promise = watched(source.promise, [], after=gate.promise)
    promise.cancel()
    scheduler.flush()
    assert 0 == source.cancelled
    other.cancel()
    scheduler.flush()
    assert (1, 0) == (source.cancelled, gate.cancelled)


def test_cleanup_may_yield_the_same_promise_again(scheduler):
    """Yielding the same again is waiting again."""
    source = Source()
    source.promise.then(str)
    log = []
    promise = watched(source.promise, log, after=source.promise)
    promise.cancel()
    scheduler.flush()
    source.resolve("value")
    scheduler.flush()
    assert [GeneratorExit, ("cleanup", "value")] == log


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("well", [True, False], ids=["well", "badly"])
def test_finally_blocks_may_yield(scheduler, reports, kind, well):
    """They are waited for; their errors are reported."""
    thing, resolve, reject = later(kind)
    log = []
    promise = watched(pending()[0], log, after=thing)
    called = []
    promise.finally_(lambda: called.append("finally"))
    promise.cancel()
    scheduler.flush()
    assert ([GeneratorExit], []) == (log, called)
    assert promise.is_cancelled()
    error = Boom("cleanup failed")
    if well:
        resolve("done")
    else:
        reject(error)
    scheduler.flush()
    assert ("cancelled", None) == outcome(promise)
    assert [error] * (not well) == reasons(reports)
    assert [("cleanup", "done")] * well == log[1:]
    assert ["finally"] == called


def test_a_failing_finally_block_is_reported(scheduler, reports):
    """Its promise stays cancelled, and no handler is called."""
    error = Boom("cleanup failed")
    called = []

    @Promise.coroutine
    def coroutine():
        try:
            yield pending()[0]
        finally:
            raise error

    promise = coroutine()
    promise.catch(called.append)
    promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), [error]) == (outcome(promise), reasons(reports))
    assert [] == called


def test_a_generator_may_ignore_a_cancellation(scheduler):
    """It may wait once more; its promise is cancelled all the same."""
    log = []

    @Promise.coroutine
    def coroutine():
        try:
            yield pending()[0]
        except GeneratorExit:
            log.append("ignored")
        log.append((yield Promise.delay(1, "delayed")))
        log.append((yield Promise.delay(1, "not reached")))
        return "result"

    promise = coroutine()
    called = []
    promise.finally_(lambda: called.append("finally"))
    promise.cancel()
    scheduler.advance(1)
    scheduler.advance(1)
    assert ["ignored", "delayed"] == log
    assert (("cancelled", None), ["finally"]) == (outcome(promise), called)


def test_a_generator_that_never_ends(scheduler):
    """It is cancelled as far as others can see."""
    promise = watched(pending()[0], [], after=pending()[0])
    promise.cancel()
    scheduler.flush()
    late = promise.then()
    scheduler.flush()
    assert promise.is_cancelled()
    assert "the promise was cancelled (late cancellation observer)" == str(late.reason())


def test_cancelling_twice(scheduler):
    """The second time, cleaning up goes on."""
    gate, open_gate, _ = pending()
    log = []
    promise = watched(pending()[0], log, after=gate)
    promise.cancel()
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    open_gate("done")
    scheduler.flush()
    assert [GeneratorExit, ("cleanup", "done")] == log


def test_cancelling_a_coroutine_that_has_ended_does_nothing(scheduler):
    """Does nothing."""
    log = []
    promise = watched(Promise.resolve("value"), log)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert (("fulfilled", None), [("value", "value")]) == (outcome(promise), log)


def test_cancelling_after_the_yielded_promise_has_settled(scheduler):
    """Before the generator was resumed: it is cancelled."""
    source = Source()
    log = []
    promise = watched(source.promise, log)
    source.resolve("value")
    promise.cancel()
    scheduler.flush()
    assert (("cancelled", None), [GeneratorExit]) == (outcome(promise), log)


def test_the_yielded_promise_is_cleaned_up_first(scheduler):
    """GeneratorExit is raised when its cancellation has ended."""
    gate, open_gate, _ = pending()
    log = []
    promise = watched(pending()[0].finally_(lambda: gate), log)
    promise.cancel()
    scheduler.flush()
    assert (True, []) == (promise.is_cancelled(), log)
    open_gate()
    scheduler.flush()
    assert (("cancelled", None), [GeneratorExit]) == (outcome(promise), log)


def test_an_error_of_the_yielded_promises_clean_up(scheduler, reports):
    """It is reported; the generator sees that the promise was cancelled."""
    gate, _, reject = pending()
    error = Boom("cleanup failed")
    caught = []

    @Promise.coroutine
    def coroutine():
        try:
            yield pending()[0].finally_(lambda: gate)
        except BaseException as raised:
            caught.append(type(raised))
            raise

    promise = coroutine()
    promise.cancel()
    scheduler.flush()
    reject(error)
    scheduler.flush()
    assert [GeneratorExit] == caught
    assert (("cancelled", None), [error]) == (outcome(promise), reasons(reports))


@pytest.mark.parametrize("answer", ["nothing", "value", "cancelled", "failure"])
def test_a_cancelled_deferred_may_fire_or_fail(scheduler, reports, answer):
    """A value or a CancelledError is ignored; another failure is raised at the yield.

    If it passes, that is reported no more than what a Deferred says that a promise has given up.
    """

    def canceller(deferred):
        if answer == "value":
            deferred.callback("value")
        elif answer == "cancelled":
            deferred.errback(CancelledError())
        elif answer == "failure":
            deferred.errback(Boom("from the canceller"))

    log = []
    promise = watched(Deferred(canceller), log)
    promise.cancel()
    scheduler.flush()
    assert ("cancelled", None) == outcome(promise)
    seen = Boom if answer == "failure" else GeneratorExit
    assert ([seen], []) == (log, reports)


@pytest.mark.parametrize("answers", [False, True], ids=["and does nothing", "and answers"])
def test_an_error_of_a_canceller_is_logged(scheduler, reports, answers):
    """GeneratorExit is raised at the yield all the same, once."""

    def canceller(deferred):
        if answers:
            deferred.callback("value")
        raise Boom("from the canceller")

    deferred = Deferred(canceller)
    log = []
    promise = watched(deferred, log)
    promise.cancel()
    scheduler.flush()
    if not answers:
        deferred.callback("late, and of no interest")
    assert ([GeneratorExit], ("cancelled", None)) == (log, outcome(promise))
    assert [Boom] == [type(error) for error in reasons(reports)]
    reports.clear()


@pytest.mark.parametrize("then", ["yields", "yields a settled promise", "returns", "raises"])
def test_a_coroutine_may_cancel_itself(scheduler, reports, then):
    """GeneratorExit is raised at its next yield, if there is one."""
    log = []
    source = Source()

    @Promise.coroutine
    def coroutine():
        yield Promise.resolve()
        promise.cancel()
        log.append(promise.is_cancelled())
        if then == "raises":
            raise Boom
        if then == "returns":
            return "value"
        try:
            yield Promise.resolve() if "settled" in then else source.promise
        except GeneratorExit:
            log.append(GeneratorExit)
            raise

    promise = coroutine()
    scheduler.flush()
    assert (("cancelled", None), True) == (outcome(promise), log[0])
    if then == "raises":
        assert [Boom] == [type(error) for error in reasons(reports)]
    else:
        assert [GeneratorExit] * then.startswith("yields") == log[1:]
        assert int(then == "yields") == source.cancelled


def test_a_coroutine_that_cancels_itself_cleans_up_in_order(scheduler):
    """What it yields after that is cancelled first, and waited for."""
    gate, open_gate, _ = pending()
    log = []

    @Promise.coroutine
    def coroutine():
        yield Promise.resolve()
        promise.cancel()
        try:
            yield pending()[0].finally_(lambda: gate)
        finally:
            log.append("the end")

    promise = coroutine()
    scheduler.flush()
    assert [] == log
    open_gate()
    scheduler.flush()
    assert (["the end"], ("cancelled", None)) == (log, outcome(promise))


def test_a_deferred_that_fires_before_generator_exit_is_raised(scheduler):
    """The generator goes on to its next yield, where it is raised."""
    deferred = Deferred()
    source = Source()
    log = []

    @Promise.coroutine
    def coroutine():
        log.append((yield deferred))
        try:
            yield source.promise
        finally:
            log.append("cleanup")

    promise = coroutine()
    promise.cancel()
    deferred.callback("value")
    scheduler.flush()
    assert (["value", "cleanup"], ("cancelled", None)) == (log, outcome(promise))
    assert 1 == source.cancelled


def test_a_coroutine_that_ends_before_generator_exit_is_raised(scheduler):
    """There is no generator to raise it in."""
    deferred = Deferred()
    log = []

    @Promise.coroutine
    def coroutine():
        log.append((yield deferred))

    promise = coroutine()
    promise.cancel()
    deferred.callback("value")
    scheduler.flush()
    assert (["value"], ("cancelled", None)) == (log, outcome(promise))


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_cancelling_the_yielded_promise_raises_cancellation_error(scheduler, when):
    """The generator may go on."""
    thing, *_ = pending()
    if when == "before":
        thing.cancel()

    @Promise.coroutine
    def coroutine():
        try:
            yield thing
        except CancellationError as error:
            return str(error)

    promise = coroutine()
    thing.cancel()
    scheduler.flush()
    words = {
        "before": "the promise was cancelled (late cancellation observer)",
        "meanwhile": "the promise was cancelled",
    }
    assert ("fulfilled", words[when]) == outcome(promise)


def test_generator_exit_raised_without_a_cancellation_rejects(scheduler):
    """There was no cancellation."""

    @Promise.coroutine
    def coroutine():
        yield Promise.resolve()
        raise GeneratorExit

    promise = coroutine()
    scheduler.flush()
    assert ("rejected", GeneratorExit) == (outcome(promise)[0], type(promise.reason()))


def test_cancellation_switched_off(config, scheduler):
    """The coroutine goes on."""
    config(cancellation=False)
    log = []
    source = Source()
    promise = watched(source.promise, log)
    promise.cancel()
    source.resolve("value")
    scheduler.flush()
    assert (("fulfilled", None), [("value", "value")]) == (outcome(promise), log)


def test_coroutines_within_coroutines(scheduler):
    """Cancelling the outermost unwinds all of them, the innermost first."""
    log = []
    source = Source()

    @Promise.coroutine
    def nested(depth):
        try:
            yield nested(depth - 1) if depth else source.promise
        finally:
            yield Promise.delay(1)
            log.append(depth)

    promise = nested(3)
    scheduler.flush()
    promise.cancel()
    for _ in range(4):
        scheduler.advance(1)
    assert ([0, 1, 2, 3], 1) == (log, source.cancelled)
    assert ("cancelled", None) == outcome(promise)


def test_a_timeout_for_a_coroutine(scheduler):
    """Its `finally` blocks run."""
    log = []
    promise = watched(pending()[0], log, after=Promise.resolve("done")).timeout(1)
    scheduler.advance(1)
    assert "operation timed out" == str(promise.reason())
    assert [GeneratorExit, ("cleanup", "done")] == log


# --- many


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "make",
    [
        lambda: Promise.resolve(1),
        lambda: succeed(1),
        lambda: Promise.resolve().then(lambda _: 1),
    ],
    ids=["settled promises", "fired Deferreds", "pending promises"],
)
def test_100_000_yields(scheduler, make):
    """Without recursion."""

    @Promise.coroutine
    def coroutine():
        total = 0
        for _ in range(100_000):
            total += yield make()
        return total

    promise = coroutine()
    scheduler.flush()
    assert 100_000 == promise.value()


@pytest.mark.exhaustive
def test_100_000_errors(scheduler):
    """Raised at one yield after the other, without recursion."""

    @Promise.coroutine
    def coroutine():
        caught = 0
        for _ in range(50_000):
            for thing in (Promise.reject(Boom()), 5):
                try:
                    yield thing
                except (Boom, TypeError):
                    caught += 1
        return caught

    promise = coroutine()
    scheduler.flush()
    assert 100_000 == promise.value()


@pytest.mark.exhaustive
def test_a_coroutine_of_many_steps_stays_in_constant_memory(scheduler):
    """Whatever it yields is gone afterwards."""
    blocks = {}

    @Promise.coroutine
    def coroutine():
        for number in range(20_001):
            if number in (1_000, 20_000):
                blocks[number] = sys.getallocatedblocks()
            yield Promise.resolve(1)
            yield Promise.resolve().then(str)
            yield succeed(None)
            try:
                yield Promise.resolve().then(fail)
            except Boom:
                pass

    gc.disable()
    try:
        coroutine()
        scheduler.flush()
    finally:
        gc.enable()
    assert 500 > blocks[20_000] - blocks[1_000]


@pytest.mark.parametrize("depth", [300])
def test_coroutines_in_a_deep_chain(scheduler, depth):
    """Each waits for the next one."""

    @Promise.coroutine
    def nested(depth):
        yield Promise.resolve()
        return 1 + ((yield nested(depth - 1)) if depth else 0)

    promise = nested(depth)
    scheduler.flush()
    assert depth + 1 == promise.value()


# --- tracebacks


def test_tracebacks_do_not_grow(scheduler):
    """One error, seen by many: each of them sees where it came from, and no more."""

    def raises(_):
        raise Boom

    failed = Promise.resolve().then(raises)
    lengths = []

    @Promise.coroutine
    def coroutine():
        for _ in range(5):
            try:
                yield failed
            except Boom as error:
                lengths.append(len(frames(error)))

    coroutine()
    coroutine()
    scheduler.flush()
    assert 10 == len(lengths)
    assert 1 == len(set(lengths))


def test_a_traceback_goes_through_the_generators(scheduler):
    """What a coroutine yields in vain is found where it was yielded; no library in between."""

    @Promise.coroutine
    def inner():
        yield Promise.resolve()
        raise Boom

    @Promise.coroutine
    def outer():
        yield inner()

    promise = outer()
    scheduler.flush()
    names = frames(promise.reason())
    assert "inner" == names[-1]
    assert "outer" in names
    assert {"inner", "outer"} >= set(names) - {"throw", "run", "_advance"}


# --- context variables


def test_a_coroutine_runs_in_a_context_of_its_own(scheduler):
    """Variables that it sets are seen in its later steps, and nowhere else."""
    seen = []

    @Promise.coroutine
    def coroutine(name):
        seen.append((name, variable.get()))
        variable.set(name)
        yield Promise.resolve()
        seen.append((name, variable.get()))
        yield succeed(None)
        seen.append((name, variable.get()))

    variable.set("caller")
    coroutine("one")
    coroutine("two")
    assert "caller" == variable.get()
    scheduler.flush()
    for name in ("one", "two"):
        assert ["caller", name, name] == [value for who, value in seen if who == name]
    assert "caller" == variable.get()


def test_cleaning_up_runs_in_the_same_context(scheduler):
    """Also when it is cancelled."""
    seen = []

    @Promise.coroutine
    def coroutine():
        variable.set("coroutine")
        try:
            yield pending()[0]
        finally:
            seen.append(variable.get())

    promise = coroutine()
    promise.cancel()
    scheduler.flush()
    assert ["coroutine"] == seen


def test_contexts_switched_off(config, scheduler):
    """Then a coroutine starts in an empty one."""
    config(async_hooks=False)
    seen = []

    @Promise.coroutine
    def coroutine():
        seen.append(variable.get())
        yield Promise.resolve()

    variable.set("caller")
    coroutine()
    assert ["unset"] == seen


# --- memory


@pytest.mark.parametrize("how", ["returns", "fails", "is cancelled"])
def test_a_coroutine_is_freed_by_reference_counting(scheduler, how):
    """Its frame does not outlive it."""

    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)

    @Promise.coroutine
    def coroutine(thing):
        yield Promise.resolve()
        if how == "fails":
            del thing
            raise Boom
        if how == "is cancelled":
            yield pending()[0]

    gc.collect()
    gc.disable()
    try:
        promise = coroutine(thing)
        promise.suppress_unhandled_rejections()
        del thing
        scheduler.flush()
        if how == "is cancelled":
            promise.cancel()
            scheduler.flush()
        del promise
        assert None is reference()
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["_advance", "_cancellation", "_wait_for_other"])
def test_a_runner_says_what_it_runs(name):
    """What generators and coroutines do in their own way is not done for them."""
    suspension = Suspension(Promise.defer().promise, None)
    arguments = (None,) if name == "_wait_for_other" else ()
    with pytest.raises(NotImplementedError):
        getattr(suspension, name)(*arguments)


def test_a_promise_that_cannot_be_cancelled_does_not_disturb_the_clean_up(scheduler):
    """It settles while the generator, which was cancelled, waits for another one."""
    without = Promise.get_new_library_copy()
    without.config(cancellation=False)
    without.set_scheduler(scheduler)
    source, gate = without.defer(), Promise.defer()
    log = []

    @Promise.coroutine
    def main():
        try:
            yield source.promise
        finally:
            log.append("cleaning up")
            yield gate.promise
            log.append("cleaned up")

    promise = main()
    promise.cancel()
    scheduler.flush()
    source.resolve("value")
    scheduler.flush()
    assert ["cleaning up"] == log
    gate.resolve()
    scheduler.flush()
    assert ["cleaning up", "cleaned up"] == log
    assert promise.is_cancelled()
