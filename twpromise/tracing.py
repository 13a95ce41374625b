"""Spans of OpenTelemetry: see the page *Metrics and tracing*."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Final, Protocol, TypeVar, overload

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ._bridge.executors import Executors
from ._core import hooks
from ._core.following import decided_by
from ._core.jobs import call_at_home
from ._core.settling import restore_traceback
from ._core.states import CANCELLED, FULFILLED, is_promise
from ._services.limiter import Limiter
from ._services.starting import Starting
from ._util.checks import name_of, shown
from ._util.errors import CANCELLATIONS

try:
    from opentelemetry import context, trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
    from opentelemetry.util.types import Attributes
except ImportError as error:
    raise ImportError(
        "twpromise.tracing needs opentelemetry: pip install 'twpromise[opentelemetry]'"
    ) from error

__all__ = ["trace_started", "traced"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: The attribute of a span that says how it ended.
OUTCOME: Final = "twpromise.outcome"
_CANCELLATIONS: Final = (*CANCELLATIONS, concurrent.futures.CancelledError)
_BINDING: Final = (classmethod, staticmethod)
_FUTURES: Final = (asyncio.Future, concurrent.futures.Future)


#: The methods that start a function, and the index of the function among their arguments.
_STARTS: Final[tuple[tuple[type, str, int], ...]] = (
    (Starting, "start_soon", 1),
    (Limiter, "run", 1),
    (Executors, "in_thread", 1),
    (Executors, "inThread", 1),
    (Executors, "run_in", 2),
    (Executors, "runIn", 2),
)


class _Decorator(Protocol):
    def __call__(self, function: F, /) -> F: ...


@overload
def traced(
    name: str | None = None,
    /,
    *,
    tracer: Tracer | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes = None,
) -> _Decorator: ...
@overload
def traced(
    name: str,
    what: T,
    /,
    *,
    tracer: Tracer | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes = None,
) -> T: ...
@overload
def traced(function: F, /) -> F: ...
def traced(
    name: Any = None,
    what: Any = None,
    /,
    *,
    tracer: Tracer | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes = None,
) -> Any:
    """A span for each call of a function, or for a promise.

    Args:
        name: The name of the span; by default that of the function.
        what: A function, which may be ``async def``, or return a promise, a Deferred, a coroutine,
            a future or a value.  Or a promise or the like: its span begins now.  Without *what*,
            `traced` is a decorator.
        tracer: Makes the span; by default the tracer of the global provider.
        kind: The kind of the span.
        attributes: The attributes of the span.

    Returns:
        The traced function; or the given promise or the like; for a coroutine, another one, to be
        awaited in its place.

    Raises:
        TypeError: An argument has a wrong type, or *what* cannot be traced.  Put ``@traced`` above
            ``@Promise.coroutine``: a generator function itself cannot be traced.

    The span ends when the promise has *ended*: if it was cancelled or timed out, when its clean-up
    has; see `add_done_callback`.  The span is not a consumer: it changes neither cancellation nor
    reports of unhandled rejections.  It is the current span while the function runs, and in all
    handlers, coroutines and threads that the function attaches or starts, so that their spans are
    its children.

    A rejection is recorded as an exception, and makes the status an error.  So does a cancellation,
    with the description "cancelled".  The attribute ``twpromise.outcome`` is ``"fulfilled"``,
    ``"rejected"`` or ``"cancelled"``.

    Example::

        from twpromise import Promise
        from twpromise.tracing import traced


        @traced("load page")
        def load(url):
            return Promise.resolve(url).then(str.upper)
    """
    function = None
    if what is None and (callable(name) or isinstance(name, _BINDING)):
        name, function = None, name
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be the name of a span, not {shown(name)}")
    _check_tracer(tracer)
    if not isinstance(kind, SpanKind):
        raise TypeError(f"kind must be a SpanKind, not {shown(kind)}")
    if attributes is not None and not isinstance(attributes, Mapping):
        raise TypeError(f"attributes must be a mapping, not {shown(attributes)}")
    begin = partial(_begin, tracer, kind, attributes)
    if function is not None:
        return _decorator(name, begin, function)
    if what is None:
        return partial(_decorator, name, begin)
    if callable(what) or isinstance(what, _BINDING):
        return _decorated(name, begin, what)
    if name is None or not _can_be_followed(what):
        raise TypeError(
            "traced() takes a name and a function or a promise: "
            f'traced("load", promise), not {shown(what)}'
        )
    return _followed(begin(name), what)


def trace_started(*, tracer: Tracer | None = None) -> Callable[[], None]:
    """Trace all calls that start work, from now on: in groups, services, limiters and threads.

    These are ``start_soon``, `Limiter.run`, `Promise.in_thread` and `Promise.run_in`.  The span
    begins with the call, which may have to wait.  Its name has the method and the function:
    ``"in_thread load"``.

    Args:
        tracer: See `traced`.

    Returns:
        A function that ends the tracing.

    Raises:
        TypeError: *tracer* is not a tracer.
        RuntimeError: The calls are traced already.
    """
    _check_tracer(tracer)
    before = [(cls, name, vars(cls)[name]) for cls, name, _ in _STARTS]
    if any(hasattr(function, "_traced") for _, _, function in before):
        raise RuntimeError(
            "trace_started() was called before: call the function that it returned first"
        )
    for cls, name, index in _STARTS:
        setattr(cls, name, _starting(vars(cls)[name], index, tracer))

    def end() -> None:
        for cls, name, function in before:
            setattr(cls, name, function)

    return end


def _starting(method: Any, index: int, tracer: Tracer | None) -> Any:
    """A traced version of a method that starts a function; it may be a class method."""
    start = getattr(method, "__func__", method)

    @wraps(start)
    def call(*args: Any, **kwargs: Any) -> Any:
        function = args[index] if len(args) > index else None
        return traced(f"{start.__name__} {name_of(function)}", start, tracer=tracer)(
            *args, **kwargs
        )

    call._traced = True  # type: ignore[attr-defined]
    return call if start is method else classmethod(call)


def _check_tracer(tracer: object) -> None:
    if tracer is not None and not callable(getattr(tracer, "start_span", None)):
        raise TypeError(f"tracer must be a Tracer of OpenTelemetry, not {shown(tracer)}")


def _begin(tracer: Tracer | None, kind: SpanKind, attributes: Attributes, name: str) -> Span:
    if tracer is None:
        tracer = trace.get_tracer("twpromise")
    try:
        return tracer.start_span(name, kind=kind, attributes=attributes)
    except Exception as error:
        # The traced work goes on without a span; spans made in it are children of the current one.
        hooks.host.escaped(error)
        return trace.NonRecordingSpan(trace.get_current_span().get_span_context())


def _decorator(name: str | None, begin: Callable[[str], Span], function: Any) -> Any:
    if isinstance(function, type):
        raise TypeError(f"@traced takes no class: {shown(function)}; trace its methods")
    return _decorated(name, begin, function)


def _decorated(name: str | None, begin: Callable[[str], Span], function: Any) -> Any:
    if isinstance(function, _BINDING):
        kind = type(function).__name__
        raise TypeError(f"traced() takes no {kind}: put @{kind} above @traced")
    if not callable(function):
        raise TypeError(f"function must be callable, not {shown(function)}")
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise TypeError(
            f"traced() takes no generator function: {shown(function)}; "
            "put @traced above @Promise.coroutine"
        )
    title = name_of(function) if name is None else name

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        span = begin(title)
        token = context.attach(trace.set_span_in_context(span))
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _raised(span, error)
            raise
        finally:
            context.detach(token)
        return _followed(span, result)

    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        # First: a call with wrong arguments makes no span, since nothing would end it.
        coroutine: Any = function(*args, **kwargs)
        return await _stepped(begin(title), coroutine)

    return run if iscoroutinefunction(function) else call


def _can_be_followed(what: Any) -> bool:
    return is_promise(what) or isinstance(what, (Deferred, Coroutine, *_FUTURES))


def _followed(span: Span, result: Any) -> Any:
    """End a span with a result; return the result, or its replacement."""
    if is_promise(result):
        promise: Any = result
        # It may have been returned in another thread.
        call_at_home(promise._queue, promise.add_done_callback, partial(_ended, span))
    elif isinstance(result, Coroutine):
        stepped: Any = _stepped(span, result)
        # Like `wraps`, for a readable name.
        stepped.__qualname__ = name_of(result)
        return stepped
    elif isinstance(result, Deferred):
        result.addBoth(partial(_fired, span))
    elif isinstance(result, _FUTURES):
        result.add_done_callback(partial(_done, span))
    else:
        _end(span, "fulfilled")
    return result


async def _stepped(span: Span, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine, in which a span is the current one."""
    before = context.get_current()
    context.attach(trace.set_span_in_context(span))
    try:
        result = await coroutine
    except BaseException as error:
        _raised(span, error)
        raise
    else:
        _end(span, "fulfilled")
        return result
    finally:
        # Not by a token: that is of one context, and a coroutine may be closed in any.
        if trace.get_current_span() is span:
            context.attach(before)


# --- how a span ends


def _ended(span: Span, promise: Any) -> None:
    # Not `outcome_of`: for warnings, that consumes.
    outcome = decided_by(promise)
    if outcome._state & FULFILLED:
        _end(span, "fulfilled")
    elif outcome._state & CANCELLED:
        _end(span, "cancelled")
    else:
        restore_traceback(outcome)
        _end(span, "rejected", outcome._value)


def _fired(span: Span, result: Any) -> Any:
    if isinstance(result, Failure):
        _raised(span, result.value)
    else:
        _end(span, "fulfilled")
    return result


def _done(span: Span, future: Any) -> None:
    # By `exception()` it would count as retrieved, and asyncio would not report it.
    if future.cancelled():
        _end(span, "cancelled")
    elif future._exception is not None:
        _raised(span, future._exception)
    else:
        _end(span, "fulfilled")


def _raised(span: Span, error: BaseException | None) -> None:
    _end(span, "cancelled" if isinstance(error, _CANCELLATIONS) else "rejected", error)


def _end(span: Span, outcome: str, reason: object = None) -> None:
    """End a span.  Errors of the exporter, or of the text of an exception, are logged."""
    try:
        try:
            span.set_attribute(OUTCOME, outcome)
            if outcome == "cancelled":
                span.set_status(Status(StatusCode.ERROR, outcome))
            elif outcome == "rejected" and isinstance(reason, BaseException):
                span.set_status(Status(StatusCode.ERROR, f"{type(reason).__name__}: {reason}"))
                span.record_exception(reason)
            elif outcome == "rejected":
                span.set_status(Status(StatusCode.ERROR, shown(reason)))
        finally:
            span.end()
    except Exception as error:
        hooks.host.escaped(error)
