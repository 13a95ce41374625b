"""What the page *Observability* says to watch for, each in a process of its own, by its name."""

import asyncio
import json
import logging
import sys
import threading
from contextvars import copy_context
from functools import partial

import sentry_sdk
import structlog
import treq
from klein import Klein
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from sentry_sdk.integrations.asyncio import AsyncioIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.transport import Transport
from structlog.contextvars import bind_contextvars, get_contextvars
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.web.server import Site

import twpromise
from twpromise import CancellationError, Promise
from twpromise.loops import use_running_loop
from twpromise.tracing import traced


class Kept(Transport):
    """Keeps what Sentry would get: the tag `request` of each event."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.requests = []

    def capture_envelope(self, envelope):
        event = envelope.get_event()
        self.events.append(event)
        self.requests.append(event.get("tags", {}).get("request"))


class Sentry:
    """Sentry's SDK, with what it would send."""

    def __init__(self, *integrations, **options):
        self.kept = Kept()
        sentry_sdk.init(transport=self.kept, integrations=integrations, **options)
        globalLogPublisher.addObserver(self.report)

    def report(self, event):
        failure = event.get("log_failure")
        if failure is not None:
            error = (failure.type, failure.value, failure.getTracebackObject())
            sentry_sdk.capture_exception(error)


async def request(number, function, *arguments):
    """Something that a request does, in a scope of its own."""
    with sentry_sdk.isolation_scope() as scope:
        scope.set_tag("request", number)
        return await function(*arguments)


async def fail(item="tea"):
    await Promise.delay(0)
    raise KeyError(item)


async def in_pool(*integrations):
    """The requests of which Sentry's scope is seen in the pool's one thread, one after another."""
    sentry = Sentry(*integrations)
    reactor.getThreadPool().adjustPoolsize(0, 1)
    capture = partial(sentry_sdk.capture_message, "in a thread")
    await Promise.resolve(request(1, deferToThread, capture))
    await Promise.resolve(request(2, deferToThread, capture))
    await Promise.resolve(request(3, Promise.in_thread, capture))
    return sentry.kept.requests


async def scopes_inherited():
    return await in_pool()


async def scopes_not_inherited():
    return await in_pool(ThreadingIntegration(propagate_scope=False))


async def raised_again():
    """A route's error that is captured, and raised again for klein to log."""
    sentry = Sentry()
    app = Klein()

    async def capture():
        try:
            await fail()
        except KeyError as error:
            sentry_sdk.capture_exception(error)
            raise

    @app.route("/")
    def page(_):
        return Promise.resolve(request(1, capture))

    port = reactor.listenTCP(0, Site(app.resource()), interface="127.0.0.1")
    answer = await treq.get(f"http://127.0.0.1:{port.getHost().port}", persistent=False)
    await answer.content()
    return sentry.kept.requests


async def hooks():
    """How many events there are of an unhandled rejection, by who takes it."""
    sentry = Sentry()
    counts = []

    async def count():
        before = len(sentry.kept.events)
        Promise.resolve(fail())
        await Promise.delay(0.01)
        counts.append(len(sentry.kept.events) - before)

    def capture(error, promise):
        sentry_sdk.capture_exception(error)

    await count()
    Promise.on_possibly_unhandled_rejection(capture)
    await count()
    Promise.on("unhandled_rejection", capture)
    await count()
    return counts


async def std_logging(*integrations):
    """An error that is captured, and a line about it in the standard library's log."""
    sentry = Sentry(*integrations)
    sentry_sdk.capture_exception(KeyError("tea"))
    logging.getLogger("shop").error("failed")
    return len(sentry.kept.events)


async def logging_captured():
    return await std_logging()


async def logging_not_captured():
    return await std_logging(LoggingIntegration(event_level=None))


async def callbacks():
    """What is bound in a callback of a Deferred that another request fires, and in handlers."""
    fired, seen = Deferred(), []

    def see(kind, _):
        seen.append([kind, get_contextvars().get("request")])

    def first():
        bind_contextvars(request=1)
        fired.addCallback(partial(see, "callback"))
        fired.addCallback(partial(copy_context().run, see, "in its context"))
        Promise.from_deferred(fired).then(partial(see, "handler"))

    def second():
        bind_contextvars(request=2)
        fired.callback(None)

    copy_context().run(first)
    copy_context().run(second)
    await Promise.delay(0.01)
    return seen


async def bound_in_a_def():
    """What the second of two requests finds bound, in an ordinary route and a coroutine."""
    app = Klein()
    found = []

    @app.route("/def/<name>")
    def ordinary(_, name):
        found.append(get_contextvars().get("name"))
        bind_contextvars(name=name)
        return ""

    @app.route("/async/<name>")
    async def coroutine(_, name):
        return ordinary(_, name)

    port = reactor.listenTCP(0, Site(app.resource()), interface="127.0.0.1")
    for path in ("async/1", "async/2", "def/1", "def/2"):
        url = f"http://127.0.0.1:{port.getHost().port}/{path}"
        await (await treq.get(url, persistent=False)).content()
    return found


async def not_sampled():
    """A trace that is not sampled: what is exported, and whether lines have an id all the same."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    @traced
    async def page():
        await Promise.delay(0)
        context = trace.get_current_span().get_span_context()
        return context.is_valid, bool(context.trace_flags.sampled)

    return [*await Promise.resolve(page()), len(exporter.get_finished_spans())]


async def exported_in():
    """Whether spans are exported in the main thread, by each processor."""
    threads = []

    class Exporter(SpanExporter):
        def export(self, spans):
            threads.append(threading.current_thread() is threading.main_thread())
            return SpanExportResult.SUCCESS

    for processor in (SimpleSpanProcessor(Exporter()), BatchSpanProcessor(Exporter())):
        provider = TracerProvider()
        provider.add_span_processor(processor)
        await traced(Promise.delay, tracer=provider.get_tracer("shop"))(0)
        await Promise.delay(0)
        provider.shutdown()
    return threads


async def errors_sampled():
    """`sample_rate` is about errors, `traces_sample_rate` is not."""
    counts = []
    for options in ({"sample_rate": 0.0}, {"traces_sample_rate": 0.0}):
        sentry = Sentry(**options)
        sentry_sdk.capture_exception(KeyError("tea"))
        counts.append(len(sentry.kept.events))
    return counts


async def cancelled():
    """Which errors a coroutine sees that is cancelled, at a promise and at a Deferred."""
    seen = []

    async def wait(awaited):
        try:
            await awaited
        except Exception as error:
            seen.append([isinstance(error, each) for each in (CancellationError, CancelledError)])
            raise

    for awaited in (Promise.delay(60), Deferred()):
        waiting = Promise.resolve(wait(awaited))
        await Promise.delay(0)
        waiting.cancel()
    await Promise.delay(0)
    return seen


async def variables(**options):
    """Whether Sentry's events have the variables of functions."""
    sentry = Sentry(**options)

    Promise.resolve(fail())
    await Promise.delay(0.01)
    (event,) = sentry.kept.events
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    return any(frame.get("vars") for frame in frames)


async def variables_sent():
    return await variables()


async def variables_kept_back():
    return await variables(include_local_variables=False)


async def hooks_off():
    """What a handler finds bound if contexts are switched off."""
    Promise.config(async_hooks=False)
    bind_contextvars(request=1)
    return await Promise.delay(0).then(lambda _: get_contextvars())


def on_asyncio():
    """Events of errors that were handled: of a promise's coroutine, and of a task."""

    async def main():
        sentry = Sentry(AsyncioIntegration())
        counts = []
        async with use_running_loop():
            await Promise.resolve(fail()).catch(KeyError, lambda error: None)
            counts.append(len(sentry.kept.events))
            try:
                await asyncio.create_task(fail())
            except KeyError:
                pass
            counts.append(len(sentry.kept.events))
        return counts

    print(json.dumps(asyncio.run(main())))


def on_a_reactor(function):
    def failed(error):
        print(repr(error))

    def start():
        called = Promise.resolve(function()).then(json.dumps).then(print)
        called.catch(failed).finally_(reactor.stop)

    twpromise.install()
    structlog.contextvars.clear_contextvars()
    reactor.callWhenRunning(copy_context().run, start)
    reactor.run()


if __name__ == "__main__":
    if sys.argv[1] == "on_asyncio":
        on_asyncio()
    else:
        on_a_reactor(globals()[sys.argv[1]])
