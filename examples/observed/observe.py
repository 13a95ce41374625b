"""What a service sets up once, to be observed: logs, traces, errors and figures."""

import json
from functools import wraps

import sentry_sdk
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from prometheus_client import REGISTRY, Counter
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.transport import Transport
from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel, formatEvent

from twpromise.metrics import PromiseCollector
from twpromise.tracing import traced

REQUESTS = Counter("shop_requests", "Requests that have ended.", ["route", "outcome"])
log = structlog.get_logger()


def ids(span=None):
    """The ids of a span, by default of the current one."""
    context = (span or trace.get_current_span()).get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def span_line(span):
    """A span as a line of JSON."""
    parent = span.parent and trace.format_span_id(span.parent.span_id)
    outcome = span.attributes.get("twpromise.outcome")
    return json.dumps({"span": span.name, **ids(span), "parent": parent, "outcome": outcome}) + "\n"


class Printed(Transport):
    """Sends nothing: prints which errors Sentry would get."""

    def capture_envelope(self, envelope):
        event = envelope.get_event() or {}
        for error in event.get("exception", {}).get("values", [])[-1:]:
            # One that was never raised has no frames.
            frames = (error.get("stacktrace") or {}).get("frames") or [{"function": None}]
            shown = {"sentry": error["type"], "in": frames[-1]["function"]}
            shown |= {"tags": event.get("tags", {}), **event["contexts"]["trace"]}
            print(json.dumps(shown) + "\n", end="", flush=True)


def with_ids(event, hint):
    """An event of Sentry's, in the trace of OpenTelemetry's."""
    event["contexts"]["trace"] = ids() or event["contexts"]["trace"]
    return event


def report(event):
    """An observer of Twisted's log, for its warnings and errors, and for those of promises.

    Promises log an unhandled rejection in the context of the request that it comes from.
    """
    if event["log_level"] < LogLevel.warn:
        return
    failure = event.get("log_failure")
    error = failure and (failure.type, failure.value, failure.getTracebackObject())
    getattr(log, event["log_level"].name)(formatEvent(event), exc_info=error)
    if error:
        sentry_sdk.capture_exception(error)


def set_up():
    """Begin to observe.  It is called once, before there are requests."""
    structlog.configure(
        [
            structlog.contextvars.merge_contextvars,
            lambda logger, method, event: {**event, **ids()},
            structlog.processors.add_log_level,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        # Writes a line at once: `print` would let lines of threads come between it and its end.
        logger_factory=structlog.WriteLoggerFactory(),
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=span_line)))
    trace.set_tracer_provider(provider)
    sentry_sdk.init(
        transport=Printed(),  # In production: dsn=...
        before_send=with_ids,
        integrations=[ThreadingIntegration(propagate_scope=False)],
    )
    REGISTRY.register(PromiseCollector())


def observed(work):
    """A decorator for a route: a span, a scope of Sentry's, and its path in each line of the log.

    Args:
        work: The `PromiseService` that it runs under.
    """

    def decorate(function):
        name = function.__name__

        @wraps(function)
        async def answer(request, **arguments):
            structlog.contextvars.bind_contextvars(path=request.path.decode())
            outcome = "cancelled"
            with sentry_sdk.isolation_scope() as scope:
                scope.set_tag("route", name)
                try:
                    page = await function(request, **arguments)
                    outcome = "answered"
                    return page
                except CancelledError:
                    raise  # The client has left, or the service stops: no error.
                except Exception as error:
                    outcome = "failed"
                    log.error("failed", exc_info=error)
                    sentry_sdk.capture_exception(error)
                    raise
                finally:
                    REQUESTS.labels(name, outcome).inc()

        @traced(name)
        @wraps(function)
        def route(request, **arguments):
            return work.start_soon(answer, request, **arguments)

        return route

    return decorate
