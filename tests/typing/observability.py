"""What type checkers infer for metrics and tracing."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from opentelemetry import trace
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred

from twpromise import Promise
from twpromise.metrics import PromiseCollector
from twpromise.tracing import trace_started, traced

registry = CollectorRegistry()
registry.register(PromiseCollector())
registry.register(PromiseCollector({"service": Promise, "jobs": Promise.get_new_library_copy()}))
PromiseCollector({1: Promise})  # type: ignore[dict-item]
assert_type(Promise.statistics(reset=True), dict[str, Any])


@traced("load")
def load(number: int) -> Promise[str]:
    return Promise.resolve(str(number))


@traced
async def bare(number: int) -> str:
    return str(number)


@traced(kind=trace.SpanKind.CLIENT, attributes={"a": 1}, tracer=trace.get_tracer("own"))
def deferred(number: int) -> Deferred[str]:
    return Deferred()


async def use() -> None:
    assert_type(load(1), Promise[str])
    assert_type(await load(1), str)
    assert_type(await bare(1), str)
    assert_type(deferred(1), Deferred[str])
    assert_type(traced("work", load)(1), Promise[str])
    assert_type(traced("work", Promise.resolve(1)), Promise[int])
    load("1")  # type: ignore[arg-type]
    traced(1)  # type: ignore[call-overload]


assert_type(trace_started(), Callable[[], None])
trace_started(tracer=1)  # type: ignore[arg-type]
