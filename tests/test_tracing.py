"""`twpromise.tracing`: spans of OpenTelemetry, in an exporter that keeps them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from contextvars import copy_context
from functools import partial
from inspect import iscoroutinefunction

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from twisted.internet import defer
from twisted.internet.defer import Deferred, ensureDeferred, inlineCallbacks, succeed

from tests.support.promises import Boom
from twpromise import Limiter, Promise, PromiseGroup, PromiseService
from twpromise.debugging import pending
from twpromise.tracing import trace_started, traced


@pytest.fixture
def spans(monkeypatch):
    """What has been exported: a list of spans that have ended; `traced` uses its provider."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter.get_finished_spans


@pytest.fixture(autouse=True)
def _nothing_logged(caplog):
    """OpenTelemetry logs a span that is ended twice, or a context that is left elsewhere."""
    with caplog.at_level(logging.WARNING):
        yield
    assert [] == [record.getMessage() for record in caplog.records]


def named(spans):
    """The spans by their names."""
    return {span.name: span for span in spans()}


def parents(spans):
    """The name of the parent of each span, by its own."""
    names = {span.context.span_id: span.name for span in spans()}
    return {span.name: span.parent and names[span.parent.span_id] for span in spans()}


def of(span):
    """How a span has ended: its outcome, its status, what describes that, its exceptions."""
    exceptions = [event.attributes["exception.type"] for event in span.events]
    return (
        span.attributes["twpromise.outcome"],
        span.status.status_code,
        span.status.description,
        exceptions,
    )


FULFILLED = ("fulfilled", StatusCode.UNSET, None, [])
CANCELLED = ("cancelled", StatusCode.ERROR, "cancelled", [])
REJECTED = ("rejected", StatusCode.ERROR, "Boom: text", ["tests.support.promises.Boom"])


def _promise(resolver):
    return traced("work", lambda: resolver.promise)()


def _under_way(resolver):
    return traced("work", resolver.promise)


def _deferred(resolver):
    return Promise.resolve(traced("work", resolver.promise.to_deferred)())


def _async(resolver):
    @Promise.coroutine
    @traced("work")
    async def work():
        return await resolver.promise

    return work()


def _coroutine(resolver):
    async def work():
        return await resolver.promise

    return Promise.resolve(traced("work", lambda: work())())


def _by_twisted(resolver):
    @traced("work")
    @inlineCallbacks
    def work():
        return (yield resolver.promise.to_deferred())

    return Promise.resolve(work())


def _async_by_twisted(resolver):
    @traced("work")
    async def work():
        return await resolver.promise.to_deferred()

    return Promise.resolve(ensureDeferred(work()))


WAYS = [_promise, _under_way, _deferred, _async, _coroutine, _by_twisted, _async_by_twisted]
ways = pytest.mark.parametrize("way", WAYS)


@ways
def test_fulfilled(scheduler, spans, way):
    """The span ends with what the function returned, and not before; the value is passed on."""
    resolver = Promise.defer()
    promise = way(resolver)
    scheduler.flush()
    assert () == spans()
    resolver.resolve("value")
    scheduler.flush()
    (span,) = spans()
    assert "work" == span.name
    assert FULFILLED == of(span)
    assert "value" == promise.value()


@ways
def test_rejected(scheduler, spans, way):
    """The status is an error, and the exception is recorded."""
    resolver = Promise.defer()
    promise = way(resolver)
    error = Boom("text")
    resolver.reject(error)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    (span,) = spans()
    assert REJECTED == of(span)
    assert error is promise.reason()


@ways
def test_cancelled(scheduler, spans, way):
    """A cancellation goes upwards as it does without tracing, and is the status."""
    resolver = Promise.defer()
    promise = way(resolver)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert resolver.promise.is_cancelled()
    (span,) = spans()
    assert CANCELLED == of(span)


def _drop(copy, wrap):
    wrap(lambda: copy.delay(1, "value"))()


def _drop_in_a_handler(copy, wrap):
    def handler(_):
        wrap(lambda: copy.delay(1, "value"))()

    copy.resolve(1).then(handler)


@pytest.mark.parametrize("program", [_drop, _drop_in_a_handler])
def test_warnings_are_given(scheduler, spans, recwarn, program):
    """The same as without tracing: a span consumes nothing, and keeps nothing."""
    texts = []
    for wrap in (lambda function: function, traced("work")):
        copy = Promise.get_new_library_copy()
        copy.config(warnings=True)
        program(copy, wrap)
        scheduler.flush()
        scheduler.advance(1)
        copy.config(warnings=False)
        texts.append([str(warning.message) for warning in recwarn])
        recwarn.clear()
    assert 1 == len(texts[0])
    assert texts[0] == texts[1]
    assert FULFILLED == of(spans()[0])


def test_in_another_thread(scheduler, spans):
    """A function that is called there may return a promise."""
    kept = Promise.delay(1, "value")
    promise = Promise.in_thread(traced("work", lambda: kept))
    scheduler.run_until_complete(promise)
    scheduler.advance(1)
    assert "value" == promise.value()
    assert FULFILLED == of(spans()[0])


@pytest.mark.parametrize("way", [_promise, _under_way, _async, _coroutine])
def test_unhandled_rejections_are_reported(scheduler, spans, reports, way):
    """Tracing handles none."""
    resolver = Promise.defer()
    way(resolver)
    resolver.reject(Boom("text"))
    scheduler.flush()
    assert ["text"] == [str(event["log_failure"].value) for event in reports]


def test_the_last_consumer_is_no_span(scheduler, spans):
    """What only a span waits for is cancelled when its consumer leaves."""
    promise = traced("work", Promise.delay(1))
    consumer = promise.then(str)
    consumer.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert 1 == len(spans())


def test_until_it_has_ended(scheduler, spans):
    """A promise that is cancelled has settled; its span ends when what cleans up has."""
    cleaning = Promise.defer()
    promise = traced("work", Promise.delay(5).finally_(lambda: cleaning.promise))
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    assert () == spans()
    cleaning.resolve(None)
    scheduler.flush()
    assert CANCELLED == of(spans()[0])


def test_late(scheduler, spans):
    """A timeout is a rejection."""
    promise = traced("work", Promise.delay(5).timeout(1, "late"))
    promise.catch(lambda error: None)
    scheduler.advance(1)
    assert ("rejected", StatusCode.ERROR, "TimeoutError: late") == of(spans()[0])[:3]


def test_a_value(spans):
    """A function that returns none of these has ended when it returns."""
    assert 3 == traced("sum")(lambda a, b: a + b)(1, b=2)
    assert FULFILLED == of(spans()[0])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Boom("text"), REJECTED),
        (defer.CancelledError(), CANCELLED),
        (asyncio.CancelledError(), CANCELLED),
    ],
    ids=["an error", "Twisted's", "asyncio's"],
)
def test_raised(spans, error, expected):
    """What the function raises is recorded, and raised; asyncio's and Twisted's cancellations."""

    @traced("work")
    def work():
        raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert error is caught.value
    assert expected == of(spans()[0])
    assert trace.INVALID_SPAN is trace.get_current_span()


def test_a_reason_that_is_no_exception(scheduler, spans):
    """The status shows it."""
    traced("work", Promise.reject("reason")).suppress_unhandled_rejections()
    scheduler.flush()
    assert ("rejected", StatusCode.ERROR, "'reason'", []) == of(spans()[0])


def test_an_error_without_a_text(scheduler, spans, reports):
    """The span ends all the same."""

    class Wordless(Exception):
        def __str__(self):
            raise ValueError("no text")

    traced("work", Promise.reject(Wordless())).suppress_unhandled_rejections()
    scheduler.flush()
    assert ["work"] == list(named(spans))
    assert ["no text"] == [str(event["log_failure"].value) for event in reports]


def test_the_traceback_is_that_of_the_rejection(scheduler, spans):
    """Also if the error was raised elsewhere since."""

    def fail(_):
        raise Boom("text")

    promise = traced("work", Promise.resolve(1).then(fail))
    promise.catch(lambda error: None)
    scheduler.flush()
    (event,) = spans()[0].events
    assert "in fail" in event.attributes["exception.stacktrace"]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda future: future.set_result(1), FULFILLED),
        (lambda future: future.set_exception(Boom("text")), REJECTED),
        (lambda future: future.cancel(), CANCELLED),
    ],
    ids=["result", "exception", "cancelled"],
)
def test_futures(spans, end, expected):
    """Those of asyncio and of executors: the same one is returned."""
    loop = asyncio.new_event_loop()
    futures = [concurrent.futures.Future(), loop.create_future()]
    loop.set_exception_handler(lambda loop, context: logged.append(context["message"]))
    logged = []
    for future in futures:
        assert future is traced("work", lambda future=future: future)()
        end(future)
    loop.run_until_complete(asyncio.sleep(0))
    assert [expected, expected] == [of(span) for span in spans()]
    # Asyncio has something to say of an exception that nothing has retrieved.
    del future, futures
    loop.close()
    assert ["Future exception was never retrieved"] * (expected is REJECTED) == logged


def test_a_coroutine_that_is_closed(spans):
    """In whatever context that is: its span is the one of a cancellation."""

    @traced("work")
    async def work():
        await Deferred()

    def close_there():
        with trace.use_span(there):
            coroutine.close()
            assert there is trace.get_current_span()

    coroutine, there = work(), trace.get_tracer("test").start_span("there")
    copy_context().run(coroutine.send, None)
    copy_context().run(close_there)
    assert CANCELLED == of(spans()[0])


def test_what_is_closed_goes_on_with_its_span(spans):
    """The one around what is closed is the current one again, as after any other end."""

    @traced("inner")
    async def inner():
        await Deferred()

    @traced("outer")
    async def outer():
        try:
            await inner()
        finally:
            child("cleanup")

    def close():
        coroutine = outer()
        coroutine.send(None)
        coroutine.close()
        child("outside")

    copy_context().run(close)
    assert {"outer": None, "inner": "outer", "cleanup": "outer", "outside": None} == parents(spans)


@pytest.mark.parametrize("wrap", [traced, partial(traced, "work")], ids=["function", "coroutine"])
def test_what_is_under_way(scheduler, spans, wrap):
    """The inspector shows the coroutine as it does without tracing."""

    async def work():
        await Promise.delay(1)

    copy = Promise.get_new_library_copy()
    promise = copy.resolve(wrap(work)() if wrap is traced else wrap(work()))
    scheduler.flush()
    (record,) = pending(library=copy).promises
    assert f"coroutine {work.__qualname__}" == record.name
    assert ["work"] == [line.split()[-1] for line in record.coroutine]
    assert promise.is_pending()


# --- parents


def child(name):
    """A span that has its parent where this is called."""
    trace.get_tracer("test").start_span(name).end()


def test_parents(scheduler, spans):
    """Spans have the one for parent in whose call they were attached or started."""

    async def coroutine():
        await Promise.delay(1)
        child("a coroutine")

    def callback(_):
        child("a Deferred")

    @traced
    def outer():
        child("the function")
        later = Deferred()
        later.addCallback(callback)
        return Promise.all(
            [
                Promise.delay(1).then(lambda _: child("then")),
                Promise.map([1, 2], lambda n: Promise.delay(1).then(lambda _: child(f"map {n}"))),
                Promise.in_thread(child, "in_thread"),
                Promise.delay(1).finally_(lambda: child("finally_")),
                coroutine(),
                Promise.from_deferred(succeed(1)).then(lambda _: child("after a Deferred")),
                traced("inner", lambda: Promise.delay(1).then(lambda _: child("innermost")))(),
            ]
        )

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        run_in = traced("run_in", lambda: Promise.run_in(pool, child, "executor"))()
        promise = outer()
        scheduler.run_until_complete(run_in)
    child("outside")
    scheduler.run_until_complete(promise)
    name = "test_parents.<locals>.outer"
    assert {
        **dict.fromkeys(["the function", "then", "map 1", "map 2", "in_thread", "finally_"], name),
        **dict.fromkeys(["a coroutine", "after a Deferred", "inner"], name),
        "innermost": "inner",
        "executor": "run_in",
        "run_in": None,
        "outside": None,
        name: None,
    } == parents(spans)


def test_parents_in_coroutines(scheduler, spans):
    """An ``async def`` function may await another, and go on with its own span."""

    @traced("inner")
    async def inner():
        await Promise.delay(1)
        child("in inner")

    @Promise.coroutine
    @traced("outer")
    async def outer():
        await inner()
        child("in outer")
        await Promise.all([inner(), Promise.delay(1)])
        child("at the end")

    promise = outer()
    child("outside")
    scheduler.run_until_complete(promise)
    assert {
        "outer": None,
        "outside": None,
        "inner": "outer",
        "in inner": "inner",
        "in outer": "outer",
        "at the end": "outer",
    } == parents(spans)


def test_in_a_group(scheduler, spans):
    """What is started in a group has the span of its caller."""

    @traced("request")
    def request():
        group = PromiseGroup()
        for name in "ab":
            group.start_soon(traced(name, Promise.delay), 1)
        return group.wait()

    request()
    scheduler.advance(1)
    assert {"request": None, "a": "request", "b": "request"} == parents(spans)


@pytest.mark.parametrize("drive", [asyncio.run, lambda coroutine: None], ids=["asyncio", "none"])
def test_on_asyncio(spans, drive):
    """As a task of asyncio's, too; a coroutine that is not started has no span."""

    @traced("work")
    async def work():
        await asyncio.sleep(0)
        child("in work")

    coroutine = work()
    drive(coroutine)
    coroutine.close()
    assert ({"work": None, "in work": "work"} if drive is asyncio.run else {}) == parents(spans)


# --- what is started


@pytest.fixture
def started():
    """What is started has spans."""
    end = trace_started()
    yield
    end()


def work(number=1):
    """What is started."""
    return Promise.delay(1).then(lambda _: child(f"in {number}"))


def test_started(scheduler, spans, started):
    """Each has a span, and is the parent of what it makes; nothing else changes."""
    group, service, limiter = PromiseGroup(), PromiseService(), Limiter(1)

    @traced("request")
    def request():
        return Promise.all(
            [
                group.start_soon(work, 1),
                service.start_soon(work, number=2),
                limiter.run(work, 3),
                Promise.in_thread(child, "in 4"),
            ]
        )

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        promise = Promise.join(request(), Promise.runIn(pool, child, "in 5"))
        scheduler.run_until_complete(promise)
    scheduler.flush()
    assert 2 == [span.name for span in spans()].count("start_soon work")
    assert {
        "request": None,
        "start_soon work": "request",
        "in 1": "start_soon work",
        "in 2": "start_soon work",
        "run work": "request",
        "in 3": "run work",
        "in_thread child": "request",
        "in 4": "in_thread child",
        "run_in child": None,
        "in 5": "run_in child",
    } == parents(spans)
    assert {"fulfilled", None} == {
        (span.attributes or {}).get("twpromise.outcome") for span in spans()
    }


def test_started_and_cancelled(scheduler, spans, started):
    """While it waits for a slot, say."""
    limiter = Limiter(1)
    limiter.run(Promise.delay, 5)
    waiting = limiter.run(work)
    waiting.cancel()
    scheduler.flush()
    assert {"run work": CANCELLED} == {span.name: of(span) for span in spans()}


def test_started_in_vain(spans, started):
    """An error is raised, as without spans."""
    with pytest.raises(TypeError, match="function must be callable, not 5"):
        PromiseGroup().start_soon(5)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        PromiseGroup().start_soon()
    assert ["start_soon int", "start_soon NoneType"] == [span.name for span in spans()]


def test_twice(spans, started):
    """It is an error, as there would be two spans for each."""
    with pytest.raises(RuntimeError, match=r"trace_started\(\) was called before"):
        trace_started()


def test_ended(scheduler, spans):
    """All is as it was before."""
    before = PromiseGroup.start_soon, Promise.in_thread
    end = trace_started(tracer=trace.get_tracer("own"))
    assert before != (PromiseGroup.start_soon, Promise.in_thread)
    PromiseGroup().start_soon(int)
    end()
    assert before == (PromiseGroup.start_soon, Promise.in_thread)
    PromiseGroup().start_soon(int)
    scheduler.flush()
    assert ["own"] == [span.instrumentation_scope.name for span in spans()]


# --- how it is called


def test_how_it_is_called(scheduler, spans):
    """As a decorator with or without a name, and with both."""

    @traced
    def bare():
        """Docs."""

    @traced()
    def empty():
        pass

    class Service:
        @traced("method", kind=SpanKind.CLIENT, attributes={"a": 1})
        async def method(self, value):
            return value

    bare()
    empty()
    scheduler.run_until_complete(Promise.resolve(Service().method(1)))
    assert "Docs." == bare.__doc__
    assert iscoroutinefunction(Service.method)
    start = "test_how_it_is_called.<locals>."
    assert {start + "bare", start + "empty", "method"} == set(named(spans))
    method = named(spans)["method"]
    assert (SpanKind.CLIENT, 1) == (method.kind, method.attributes["a"])


def test_a_tracer_of_ones_own(spans):
    """Instead of the global provider's."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traced("work", int, tracer=provider.get_tracer("own"))()
    assert () == spans()
    assert "own" == exporter.get_finished_spans()[0].instrumentation_scope.name


def test_a_tracer_that_raises(spans, reports):
    """What is made has the span around it for parent, and not none."""

    class Failing:
        def start_span(self, *args, **kwargs):
            raise Boom("of the tracer")

    traced("outer", traced("inner", partial(child, "innermost"), tracer=Failing()))()
    assert {"outer": None, "innermost": "outer"} == parents(spans)
    assert ["of the tracer"] == [str(event["log_failure"].value) for event in reports]


class _Failing(SpanProcessor):
    """A processor that raises."""

    def __init__(self, *, at_start):
        self._at_start = at_start

    def on_start(self, span, parent_context=None):
        """Of a span that begins."""
        if self._at_start:
            raise Boom("of the processor")

    def on_end(self, span):
        """Of a span that ends."""
        raise Boom("of the processor")


@pytest.mark.parametrize("at_start", [False, True])
def test_a_processor_that_raises(scheduler, reports, at_start):
    """It is logged; what is traced goes on as without it."""
    provider = TracerProvider()
    provider.add_span_processor(_Failing(at_start=at_start))
    work = partial(traced, "work", tracer=provider.get_tracer("own"))
    deferred, future = Deferred(), concurrent.futures.Future()

    async def run():
        return 1

    def fail():
        raise KeyError(2)

    made = [work(Promise.resolve(3)), Promise.resolve(work(run)()), Promise.resolve(work(deferred))]
    work(future).set_result(4)
    deferred.callback(5)
    with pytest.raises(KeyError):
        work(fail)()
    assert 6 == work(lambda: 6)()
    scheduler.flush()
    assert [3, 1, 5] == [promise.value() for promise in made]
    assert ["of the processor"] * 6 == [str(event["log_failure"].value) for event in reports]


def test_an_error_without_a_text_is_raised(spans, reports):
    """That one, and not the error of its text."""

    class Wordless(Exception):
        def __str__(self):
            raise ValueError("no text")

    @traced
    def work():
        raise Wordless

    with pytest.raises(Wordless):
        work()
    assert ["no text"] == [str(event["log_failure"].value) for event in reports]


class _Started(SpanProcessor):
    """A processor that remembers which spans began."""

    def __init__(self):
        self.names = []

    def on_start(self, span, parent_context=None):
        """Of a span that begins."""
        self.names.append(span.name)


def test_wrong_arguments_of_an_async_function(scheduler):
    """No span begins, which nothing would end."""
    started = _Started()
    provider = TracerProvider()
    provider.add_span_processor(started)

    @traced(tracer=provider.get_tracer("own"))
    async def work():
        """Takes nothing."""

    promise = Promise.resolve(work(1))
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert isinstance(promise.reason(), TypeError)
    assert [] == started.names


def _generator():
    yield


async def _async_generator():
    yield


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: traced(5), "name must be the name of a span, not 5"),
        (lambda: traced("work", 5), "traced.. takes a name and a function or a promise"),
        (lambda: traced(None, Promise.resolve(1)), "takes a name and a function"),
        (lambda: traced("work")(5), "function must be callable, not 5"),
        (lambda: traced(_generator), "put @traced above @Promise.coroutine"),
        (lambda: traced("work", _async_generator), "takes no generator function"),
        (lambda: traced(classmethod(len)), "put @classmethod above @traced"),
        (lambda: traced("work")(staticmethod(len)), "put @staticmethod above @traced"),
        (lambda: traced("work", classmethod(len)), "takes no classmethod"),
        (lambda: traced("work", tracer=TracerProvider()), "tracer must be a Tracer of OpenTel"),
        (lambda: trace_started(tracer=5), "tracer must be a Tracer of OpenTelemetry, not 5"),
        (lambda: traced("work", kind="client"), "kind must be a SpanKind, not 'client'"),
        (lambda: traced("work", attributes=[1]), r"attributes must be a mapping, not \[1\]"),
        (lambda: traced(Boom), "@traced takes no class: <class .*Boom'>; trace its methods"),
        (lambda: traced("work")(Boom), "; trace its methods"),
    ],
)
def test_wrong_calls(call, message):
    """The message says what is taken."""
    with pytest.raises(TypeError, match=message):
        call()
